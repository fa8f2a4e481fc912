# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own door: faults, calls, VMs for the hypervisor, reset, save and restore. No customer has it."""

from __future__ import annotations

import json
import time
from pathlib import Path

from .core import ApiError, new_id
from .packets import packet
from .web import Answer, Request, json_answer, route
from .workloads import tell, views


def _json(request: Request) -> dict:
    return request.json() if request.length else {}


@route("GET", "/_lab/health", "lab")
def health(request: Request) -> Answer:
    return json_answer({"ok": True, "version": request.cloud.version})


@route("GET PUT DELETE", "/_lab/faults", "lab")
def faults(request: Request) -> Answer:
    if request.method != "GET":
        request.cloud.plant(_json(request))
    return json_answer(request.cloud.faults)


@route("GET DELETE", "/_lab/calls", "lab")
def calls(request: Request) -> Answer:
    cloud = request.cloud
    if request.method == "DELETE":
        cloud.calls.clear()
    since = float(request.query.get("since", 0))
    return json_answer([c for c in cloud.calls if c["time"] >= since])


@route("PUT", "/_lab/options", "lab")
def options(request: Request) -> Answer:
    cloud = request.cloud
    cloud.options.update(_json(request))
    return json_answer(cloud.options)


@route("GET", "/_lab/vms", "lab")
def vms(request: Request) -> Answer:
    cloud = request.cloud
    since = request.query.get("since")
    until = time.time() + min(float(request.query.get("timeout", 0)), 60)
    with cloud.lock:
        while since is not None and cloud.version == int(since) and time.time() < until:
            cloud.changed.wait(max(0.01, until - time.time()))
        return json_answer({"version": cloud.version, "vms": views(cloud)})


@route("GET", "/_lab/packet", "lab")
def fate(request: Request) -> Answer:
    """What happens to a packet: source, target, protocol (TCP), port."""
    asked = request.query
    with request.cloud.lock:
        found = packet(
            request.cloud,
            asked["source"],
            asked["target"],
            asked.get("protocol", "TCP"),
            int(asked.get("port", 0)),
        )
    return json_answer(found)


@route("PUT", "/_lab/vms/{ident}/{what:guest|power}", "lab")
def guest(request: Request, ident: str, what: str) -> Answer:
    tell(request.cloud, ident, _json(request))
    return json_answer({})


@route("DELETE", "/_lab/sessions", "lab")
def sessions(request: Request) -> Answer:
    with request.cloud.lock:
        count = len(request.cloud.table("session"))
        request.cloud.table("session").clear()
        request.cloud.table("orange_session").clear()
    return json_answer({"terminated": count})


@route("POST", "/_lab/{what:reset|save|restore|settle}", "lab")
def state(request: Request, what: str) -> Answer:
    cloud = request.cloud
    if what == "reset":
        cloud.reset()
    elif what == "settle":
        cloud.settle()
    else:
        folder = Path(str(_json(request)["folder"]))
        if what == "save":
            cloud.keep_as(folder)
        elif not (folder / "state.json").exists():
            raise ApiError(404, f"{folder} has no saved state.")
        else:
            cloud.go_back(folder)
    return json_answer({})


@route("GET", "/_lab/state/{kind}", "lab")
def table(request: Request, kind: str) -> Answer:
    with request.cloud.lock:
        return json_answer(json.loads(json.dumps(request.cloud.table(kind))))


@route("GET", "/_lab/state", "lab")
def tables(request: Request) -> Answer:
    with request.cloud.lock:
        return json_answer(json.loads(json.dumps(request.cloud.db)))


@route("PATCH", "/_lab/state/{kind}/{ident}", "lab")
def edit(request: Request, kind: str, ident: str) -> Answer:
    with request.cloud.lock:
        row = request.cloud.need(kind, ident)
        row.update(_json(request))
        request.cloud.touch()
    return json_answer(row)


@route("POST", "/_lab/foreign/{edge}", "lab")
def foreign(request: Request, edge: str) -> Answer:
    """Rules that somebody else made on an edge."""
    cloud = request.cloud
    given = _json(request)
    with cloud.lock:
        row = next(iter(cloud.find("gateway", name=edge)), None)
        if row is None:
            raise ApiError(404, f"There is no edge {edge}.")
        for number in range(int(given.get("firewall", 0))):
            address = f"10.{200 + number // 250}.{number % 250}.0/24"
            group = cloud.put("firewallGroup", {
                "name": f"theirs-{number}", "type": "IP_SET", "owner_kind": row["owner_kind"], "owner": row["owner"],
                "description": "", "ipAddresses": [address], "members": None, "vmCriteria": None,
            })  # fmt: skip
            reference = [{"name": group["name"], "id": f"urn:vcloud:firewallGroup:{group['id']}"}]
            row["firewall"].append(
                {
                    "id": new_id(),
                    "name": f"theirs {number}",
                    "description": "",
                    "actionValue": ("ALLOW", "DROP")[number % 2],
                    "action": ("ALLOW", "DROP")[number % 2],
                    "enabled": number % 7 != 0,
                    "direction": "IN_OUT",
                    "ipProtocol": "IPV4",
                    "logging": False,
                    "networkContextProfiles": None,
                    "applicationPortProfiles": None,
                    "sourceFirewallGroups": reference,
                    "destinationFirewallGroups": None,
                    "version": {"version": number % 3},
                }
            )
        wanted = int(given.get("nat", 0))
        if wanted and not row["public"]:
            row["public"].append("198.51.100.250")
        for number in range(wanted):
            row["nat"].append(
                {
                    "id": new_id(),
                    "name": f"theirs {number}",
                    "description": "",
                    "enabled": True,
                    "type": "DNAT",
                    "ruleType": "DNAT",
                    "externalAddresses": row["public"][0],
                    "internalAddresses": f"10.200.0.{number % 250 + 1}",
                    "dnatExternalPort": str(20000 + number),
                    "internalPort": None,
                    "applicationPortProfile": None,
                    "snatDestinationAddresses": None,
                    "logging": False,
                    "firewallMatch": "MATCH_INTERNAL_ADDRESS",
                    "priority": 0,
                    "systemRule": False,
                    "version": {"version": 0},
                }
            )
        cloud.touch()
    return json_answer({})
