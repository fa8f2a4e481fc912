# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as YAML for people: sections explained, defaults left out, one blank line between workloads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import (
    document,
    edit,
    kinds,
    names,
    schema,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem

_HEAD = """\
# The plan of tenant {tenant}: what becomes of every server, and where.
# Edit it, have it reviewed, keep it in git. It is an Ansible inventory as well:
#   ansible-inventory -i {file} --graph
#   ansible-playbook -i {file} cloudexit.flexible_engine.migrate --limit wave_1 --check --diff
# Every key is described in docs/plan.md. Keys that are left out have the default told there.
"""
_TO_FILL = "# Still to be filled in before it can be used:"
_COMMENTS = {
    "estate": "Drafted from this reading of the tenant.",
    "target": "Where the tenant goes.",
    "readers": "Helper servers in the source tenant that read the disks. connection: Ansible host variables.",
    "limits": "How much at once. bandwidth_mib_s: per reader, 0 is no limit.",
    "networks": "Source networks, by id, and the port group or network of the target that takes the place of each.",
    "edge": "The edge gateway, for `prepare`: public addresses of the source, and what takes the place of each.",
    "waves": "Move groups that share a cutover window (start, hours). Workloads of one group cut over together.",
    "workloads": "One entry a server, by Ansible host name. move: cold, or none with a reason.",
    "objects": "What becomes of everything else: move, translate, replace, recreate, leave, or customer: not decided.",
}
_SECTIONS = (
    "tenant",
    "estate",
    "target",
    "readers",
    "limits",
    "networks",
    "edge",
    "waves",
    "workloads",
    "objects",
)
# always written, although they have a default
_SHOWN = {
    "firmware",
    "guest",
    "os",
    "adapt",
    "controller",
    "keep_mac",
    "type",
    "cpus",
    "memory_mib",
    "target",
    "reason",
    "workloads_at_once",
    "disks_per_reader",
    "bandwidth_mib_s",
    "server_id",
    "outbound",
}


def to_text(
    plan: plans.Plan,
    *,
    file: str = "tenant.plan.yml",
    remarks: Mapping[str, Iterable[str]] | None = None,
    to_fill: Iterable[Problem] = (),
) -> str:
    """The plan as text; `plans.loads` of it gives the same plan. `remarks`: comment lines above a workload, by host."""
    open_ = list(to_fill)
    lines = _HEAD.format(tenant=names.printable(plan.tenant.name), file=names.printable(file)).splitlines()
    if open_:
        lines += ["#", _TO_FILL]
        lines += [f"#   {names.printable(str(problem), 110)}" for problem in open_]
    lines += ["---", f"plugin: {document.scalar(plan.plugin)}", f"version: {plan.version}"]
    for section in _SECTIONS:
        if section == "edge" and plan.target.type != "vcd":
            continue
        lines.append("")
        if section in _COMMENTS:
            lines.append(f"# {_COMMENTS[section]}")
        value = getattr(plan, section)
        if section == "workloads" and value:
            lines.append("workloads:")
            lines += _workloads(value, remarks or {})
        elif section == "objects" and value:
            lines.append("objects:")
            lines += _objects(value)
        else:
            lines += document.block({section: _shown(value)})
    return "\n".join(lines) + "\n"


def _workloads(workloads: Mapping[str, plans.Workload], remarks: Mapping[str, Iterable[str]]) -> list[str]:
    lines: list[str] = []
    for index, (host, workload) in enumerate(workloads.items()):
        if index:
            lines.append("")
        lines += [f"  # {names.printable(remark, 110)}" for remark in remarks.get(host, ())]
        lines += document.block({host: _workload(workload)}, 2)
    return lines


def _objects(objects: Mapping[str, Mapping[str, plans.Object]]) -> list[str]:
    lines: list[str] = []
    for kind, entries in objects.items():
        about = kinds.KINDS.get(kind)
        if about is not None:
            lines.append(f"  # {about.title}{f': {about.note}' if about.note else ''}")
        shown = {ident: {k: v for k, v in schema.dump(entry).items() if v != ""} for ident, entry in entries.items()}
        lines += edit.block({kind: shown}, 2, 2)
    return lines


def told(text: str, to_fill: Iterable[Problem]) -> str:
    """The text of a plan that people have, whose head names what is still to be filled in as of now."""
    lines = text.split("\n")
    start = next((i for i, line in enumerate(lines) if line.rstrip("\r") == _TO_FILL), None)
    if start is None or any(not line.startswith("#") for line in lines[:start]):
        return text
    end = start + 1
    while end < len(lines) and lines[end].startswith("#   "):
        end += 1
    if end == start + 1:
        return text
    ending = "\r" if lines[start].endswith("\r") else ""
    now = [f"#   {names.printable(str(problem), 110)}{ending}" for problem in to_fill]
    if now:
        lines[start + 1 : end] = now
    else:
        del lines[start - 1 if lines[start - 1].rstrip("\r") == "#" else start : end]
    return "\n".join(lines)


def _workload(workload: plans.Workload) -> dict[str, Any]:
    if workload.move == "none":
        shown: dict[str, Any] = _shown(workload)
        return {key: shown[key] for key in shown if getattr(workload, key) != _default(workload, key)}
    shown = _shown(workload)
    if not workload.reason:
        shown.pop("reason", None)
    return shown


def _asked(value: Any, name: str) -> bool:
    """Whether it is a key of a target or an edge that people are to see, although it is empty."""
    if isinstance(value, plans.Edge):
        return name == "name"
    if not isinstance(value, plans.Target):
        return False
    shown = {"vsphere": ("folder",), "vcd": ("storage_profile",)}[value.type]
    return name in plans.TARGET_NEEDS[value.type] or name in shown


def _shown(value: Any) -> Any:
    """Plain data without what equals its default, but with what people want to see."""
    if dataclasses.is_dataclass(value):
        return {
            entry.name: _shown(getattr(value, entry.name))
            for entry in dataclasses.fields(value)
            if entry.name in _SHOWN
            or getattr(value, entry.name) != _default(value, entry.name)
            or _asked(value, entry.name)
        }
    if isinstance(value, Mapping):
        return {key: _shown(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_shown(entry) for entry in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return schema.dump(value)


def _default(value: Any, name: str) -> Any:
    entry = next(entry for entry in dataclasses.fields(value) if entry.name == name)
    if entry.default is not dataclasses.MISSING:
        return entry.default
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return dataclasses.MISSING
