# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that modules share, and the connections that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import env_fallback

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import cloud as clouds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.client import Session, connect

WORKLOAD: dict[str, Any] = {"type": "dict", "required": True}


def source_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragment `openstack_auth`."""
    return clouds.argument_spec()


def target_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragment `vsphere_auth`."""
    return {
        "hostname": {"type": "str", "required": True, "fallback": (env_fallback, ["VMWARE_HOST"])},
        "port": {"type": "int", "default": 443, "fallback": (env_fallback, ["VMWARE_PORT"])},
        "username": {"type": "str", "required": True, "fallback": (env_fallback, ["VMWARE_USER"])},
        "password": {
            "type": "str",
            "required": True,
            "no_log": True,
            "fallback": (env_fallback, ["VMWARE_PASSWORD"]),
        },
        "validate_certs": {"type": "bool", "default": True, "fallback": (env_fallback, ["VMWARE_VALIDATE_CERTS"])},
        "ca_cert": {"type": "path"},
    }


def open_source(params: Mapping[str, Any], workload: Workload) -> clouds.Cloud:
    """The source cloud in the workload's project.

    Where the options name no cloud and no credential, the plan's `tenant.cloud` does; the environment comes last.
    """
    auth = clouds.SourceAuth.from_params(params)
    if not auth.cloud and not auth.auth and workload.data.tenant.cloud:
        auth = replace(auth, cloud=workload.data.tenant.cloud)
    if not auth.region_name and workload.data.tenant.region and auth.cloud is None:
        auth = replace(auth, region_name=workload.data.tenant.region)
    return clouds.connect(auth).scoped(auth.project_id or workload.data.tenant.project_id)


def open_target(params: Mapping[str, Any]) -> Session:
    """The vCenter."""
    return connect(
        params["hostname"],
        params["port"],
        params["username"],
        params["password"],
        validate_certs=params["validate_certs"],
        ca_file=params["ca_cert"],
    )
