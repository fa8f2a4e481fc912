# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else has a part in objects of a project, and what the deletion of a stack takes along. Reading calls only.

Image service v2 "Show image members", Networking v2.0 "List RBAC policies", Block Storage v3 "List volume transfers",
Orchestration v1 "List resources"; containers tell it in their own settings (Swift, container ACLs).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Unreachable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, translate
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.pages import dig

_ABSENT = (404,)


def read(cloud: Cloud, estate: estates.Estate) -> dict[str, list[str]]:
    """For objects (kind/id) of the estate, the projects that use them too. Raises CloudExitError where none is told."""
    found: dict[str, list[str]] = defaultdict(list)
    ours = estate.tenant.project_id
    for image in estate.images:
        if image.owner == ours and image.visibility == "shared":
            for member in _list(cloud, "image", f"/images/{quote(image.id, safe='')}/members", "members"):
                found[f"images/{image.id}"].append(str(member.get("member_id")))
    for policy in _list(cloud, "network", "/rbac-policies", "rbac_policies"):
        kind = {"network": "networks", "security_group": "security_groups"}.get(str(policy.get("object_type")))
        if kind and policy.get("target_tenant") != ours and policy.get("project_id", ours) == ours:
            found[f"{kind}/{policy.get('object_id')}"].append(str(policy.get("target_tenant")))
    for transfer in _list(cloud, "block_storage", "/volume-transfers/detail", "transfers"):
        found[f"volumes/{transfer.get('volume_id')}"].append("whoever accepts its transfer")
    return {key: sorted(users) for key, users in sorted(found.items())}


def taken(cloud: Cloud, estate: estates.Estate) -> dict[str, list[str]]:
    """For stacks (kind/id) of the estate: the ids of what they made. A stack that does not tell is left out."""
    found = {}
    for kind, service in (("stacks", "orchestration"), ("rts_stacks", "rts")):
        for stack in estate.of(kind):
            path = f"/stacks/{quote(stack.name, safe='')}/{quote(stack.id, safe='')}/resources"
            if kind == "rts_stacks":
                path = "/v1/{project_id}" + path
            try:
                rows = _list(cloud, service, path, "resources")
            except CloudExitError:
                continue
            found[f"{kind}/{stack.id}"] = sorted(
                str(row["physical_resource_id"]) for row in rows if row.get("physical_resource_id")
            )
    return found


def _list(cloud: Cloud, service: str, path: str, key: str) -> list[Mapping[str, Any]]:
    """The rows of a list that has one page; none where the cloud has no such list."""
    endpoint = cloud.service(service)
    if endpoint is None:
        return []
    what = f"Could not read {path} of {service}"
    try:
        answer = endpoint.request("GET", endpoint.address(path, cloud.project_id))
        if int(answer.status_code) in _ABSENT:
            return []
        rows = dig(answer.json(), key) if int(answer.status_code) == 200 else None
    except Exception as exc:
        raise translate(exc, what) from exc
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise Unreachable(what, cause=f"it answered {answer.status_code}", retryable=True)
    return rows
