# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that modules share, and the connections that they stand for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import decommission, escrow, organisation
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.target import Session as AnySession
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.target import is_vcd
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import cloud as clouds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import client as vcd
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import orange
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.client import Session, connect

WORKLOAD: dict[str, Any] = {"type": "dict", "required": True}

SIGNING: dict[str, dict[str, Any]] = {
    "signing_key": {"type": "path", "required": True, "no_log": False},
    "signers": {"type": "path", "required": True},
    "tsa_url": {"type": "str", "default": ""},
    "tsa_ca": {"type": "path", "default": ""},
}
"""The options of the doc fragment `ledger_signing`."""


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


_ENVIRONMENT: dict[str, dict[str, tuple[str, ...]]] = {
    "vsphere": {
        "hostname": ("VMWARE_HOST",),
        "port": ("VMWARE_PORT",),
        "username": ("VMWARE_USER",),
        "password": ("VMWARE_PASSWORD",),
        "validate_certs": ("VMWARE_VALIDATE_CERTS",),
    },
    "s3": {
        "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
        "access_key": ("AWS_ACCESS_KEY_ID",),
        "secret_key": ("AWS_SECRET_ACCESS_KEY",),
        "ca_cert": ("AWS_CA_BUNDLE",),
    },
    "vcd": {
        "url": ("VCD_URL", "CLOUDAVENUE_URL"),
        "org": ("VCD_ORG", "CLOUDAVENUE_ORG"),
        "username": ("VCD_USER", "CLOUDAVENUE_USERNAME"),
        "password": ("VCD_PASSWORD", "CLOUDAVENUE_PASSWORD"),
        "api_token": ("VCD_API_TOKEN", "CLOUDAVENUE_API_TOKEN"),
        "token_file": ("VCD_TOKEN_FILE", "CLOUDAVENUE_TOKEN_FILE"),
        "validate_certs": ("VCD_VALIDATE_CERTS",),
    },
}
_WAYS = ("password", "api_token", "token_file")


def from_environment(kind: str, given: Mapping[str, Any]) -> dict[str, str]:
    """What the environment says of the options for a kind of target that are not given; one way to log in is enough."""
    found: dict[str, str] = {}
    for option, variables in _ENVIRONMENT[kind].items():
        known = {**found, **{key: value for key, value in given.items() if value not in (None, "")}}
        if option in known or (option in _WAYS and any(way in known for way in _WAYS)):
            continue
        value = next((os.environ[name] for name in variables if os.environ.get(name)), "")
        if value:
            found[option] = value
    return found


def vcd_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragment `vcd_auth`. `open_vcd` takes from the environment what is left out."""
    return {
        "url": {"type": "str"},
        "org": {"type": "str"},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "api_token": {"type": "str", "no_log": True},
        "token_file": {"type": "path", "no_log": False},
        "validate_certs": {"type": "bool"},
        "ca_cert": {"type": "path"},
    }


def owned_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragment `vcd_owned`."""
    return {
        "tenant": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "overwrite": {"type": "bool", "default": False},
    }


def named_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragments `vcd_owned` and `vcd_owned.named`."""
    return {"name": {"type": "str", "required": True}, **owned_spec()}


DESCRIBED: dict[str, dict[str, Any]] = {"description": {"type": "str", "default": ""}}
"""The option of the doc fragment `vcd_owned.described`."""


def edge_spec() -> dict[str, dict[str, Any]]:
    """The option of the doc fragment `vcd_owned.edge`."""
    return {"edge": {"type": "str", "required": True}}


def rules_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragment `vcd_owned.rules`."""
    return {"edge": {"type": "str"}, "vdc_group": {"type": "str"}}


RULES_PLACE: dict[str, Any] = {
    "mutually_exclusive": [("edge", "vdc_group")],
    "required_one_of": [("edge", "vdc_group")],
}
"""What must hold between the options of `rules_spec`."""


def any_target_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragment `target_auth`: of either kind of target."""
    return {
        **vcd_spec(),
        "hostname": {"type": "str"},
        "port": {"type": "int"},
    }


def open_any_target(module: AnsibleModule, workload: Workload) -> AnySession:
    """The target that the plan names. What the options leave out comes from the environment, as documented for each."""
    return open_vcd(module, workload) if is_vcd(workload) else open_target(_vcenter_params(module))


def _filled(module: AnsibleModule | None, kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with what the environment says; a module shows none of the secrets among them."""
    found = {**params, **from_environment(kind, params)}
    for key in ("password", "api_token"):
        if module is not None and found.get(key):
            module.no_log_values.add(found[key])
    given = found.get("validate_certs")
    found["validate_certs"] = True if given is None else bool(boolean(given, strict=False))
    return found


def _vcenter_params(module: AnsibleModule) -> dict[str, Any]:
    """The options as those of `target_spec` are: with the environment, and refused where they are not complete."""
    params = _filled(module, "vsphere", module.params)
    missing = [
        Problem(option, f"is missing: give it, or set {_ENVIRONMENT['vsphere'][option][0]} in the environment")
        for option in ("hostname", "username", "password")
        if not params.get(option)
    ]
    port = str(params.get("port") or 443)
    if not port.isdigit():
        missing.append(Problem("port", "must be a number (VMWARE_PORT in the environment)"))
    if missing:
        raise InvalidInput("The log-in to vCenter is not complete", missing)
    return {**params, "port": int(port)}


def open_vcd(module: AnsibleModule, workload: Workload | None = None, *, org: str = "") -> vcd.Session:
    """The Cloud Director. Left out, the organisation is that of the plan (the workload's, or `org`), or the
    environment's.
    """
    params = dict(module.params)
    if not params["org"]:
        params["org"] = org or (workload.data.target.org if workload is not None else None)
    return connect_vcd(params, module)


def connect_vcd(params: Mapping[str, Any], module: AnsibleModule | None = None) -> vcd.Session:
    """The Cloud Director that the options of `vcd_spec` and the environment name."""
    params = _filled(module, "vcd", params)
    return vcd.connect(
        params["url"] or orange.console(params["org"] or ""),
        params["org"] or "",
        username=params["username"] or "",
        password=params["password"] or "",
        api_token=params["api_token"] or "",
        token_file=params["token_file"] or "",
        validate_certs=params["validate_certs"],
        ca_file=params["ca_cert"] or os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE"),
    )


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


def thing_of(module: AnsibleModule) -> organisation.Options:
    """The options of `named_spec`, as acts take them."""
    params = module.params
    return organisation.Options(
        params["name"],
        params["tenant"],
        absent=params["state"] == "absent",
        overwrite=params["overwrite"],
        dry_run=module.check_mode,
    )


def orange_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragments `vcd_auth` and `cloudavenue_auth`."""
    return {
        **vcd_spec(),
        "interface": {"type": "str", "choices": ["auto", "core", "console"], "default": "auto"},
        "core_api": {"type": "str"},
    }


def open_orange(module: AnsibleModule, session: vcd.Session) -> orange.Orange:
    """Orange's interface, for the user of a session."""
    params = _filled(module, "vcd", module.params)
    if params["interface"] == "console" or (params["interface"] == "auto" and not session.who.password):
        return orange.of_session(session)
    return orange.connect(
        session.who.org,
        session.who.username,
        session.who.password,
        core_api=params["core_api"] or os.environ.get("CLOUDAVENUE_CORE_API") or orange.CORE_API,
        validate_certs=params["validate_certs"],
        ca_file=params["ca_cert"] or os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE"),
    )


def retirement_spec() -> dict[str, dict[str, Any]]:
    """The options that the modules of a decommission share."""
    return {
        **source_spec(),
        "policy": {"type": "path", "required": True},
        "plan": {"type": "path"},
        "evidence_dir": {"type": "path", "required": True},
        "path": {"type": "path", "required": True},
        "progress_file": {"type": "path"},
    }


@contextmanager
def open_retirement(params: Mapping[str, Any]) -> Iterator[decommission.Source]:
    """The tenant of a retirement policy at the source, with its documents; lines of progress go to `progress_file`."""
    papers = decommission.papers(params["policy"], params["evidence_dir"], params["plan"] or "")
    wanted = papers.policy.tenant
    auth = clouds.SourceAuth.from_params(params)
    if not auth.region_name and wanted.region and auth.cloud is None:
        auth = replace(auth, region_name=wanted.region)

    def tell(text: str) -> None:
        if params["progress_file"]:
            with open(params["progress_file"], "a", encoding="utf-8") as file:
                file.write(f"{wanted.name}  {text}\n")

    with clouds.connect(auth).scoped(auth.project_id or wanted.project_id) as cloud:
        yield decommission.Source(cloud, papers, on_read=tell)


STORE: dict[str, dict[str, Any]] = {
    "place": {"type": "str", "required": True},
    "endpoint_url": {"type": "str"},
    "region": {"type": "str"},
    "access_key": {"type": "str", "no_log": False},
    "secret_key": {"type": "str", "no_log": True},
    "ca_cert": {"type": "path"},
    "retain_until": {"type": "str"},
}
"""The suboptions of the option `store`."""


def store_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragment `store`."""
    return {
        "store": {"type": "dict", "required": True, "options": STORE},
        "recipients": {"type": "list", "elements": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": True},
    }


def open_place(given: Mapping[str, Any]) -> escrow.Store:
    """The store that STORE's options and the environment name."""
    return escrow.store_of({**given, **from_environment("s3", given)})


def open_store(params: Mapping[str, Any]) -> tuple[escrow.Store, escrow.Keys]:
    """The store of an escrow, and who can open what is kept there."""
    return open_place(params["store"]), escrow.Keys(tuple(params["recipients"]), params["key"])
