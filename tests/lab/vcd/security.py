# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI of what filters and leads packets: edge firewall, distributed firewall, NAT, routes, load balancing, tags."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from .core import ApiError, Cloud, Row, bare, effect, new_id, urn
from .network import V1, accepted, begin, configuring, dig, listed, one, owner_of, reference, same_version, text_of
from .seed import PUBLIC
from .web import Answer, Request, json_answer, route

NAT_TYPES = ("DNAT", "SNAT", "NO_DNAT", "NO_SNAT", "REFLEXIVE")
GROUPS = ("sourceFirewallGroups", "destinationFirewallGroups")


def _refs(cloud: Cloud, rule: Row, field: str, kind: str) -> list[Row] | None:
    found = []
    for given in rule.get(field) or []:
        row = cloud.get(kind, str(given.get("id")))
        if row is None:
            raise ApiError(
                400,
                f"The rule {rule.get('name')!r}: {field} has {given.get('id')}, which is not there.",
                "VALIDATION_EXCEPTION",
            )
        found.append(reference(cloud, kind, row["id"]))
    return found or None


def _rules(cloud: Cloud, given: list[Any], before: list[Row], distributed: bool) -> list[Row]:
    """The whole list of rules that replaces another; ids stay, versions go up where something changed."""
    old = {r["id"]: r for r in before}
    found: list[Row] = []
    for rule in given:
        name = text_of(rule, "name", 255)
        action = rule.get("actionValue") or rule.get("action")
        if action not in ("ALLOW", "DROP", "REJECT"):
            raise ApiError(400, f"The rule {name!r}: actionValue {action!r} is unknown.", "VALIDATION_EXCEPTION")
        if rule.get("direction", "IN_OUT") not in ("IN_OUT", "IN", "OUT"):
            raise ApiError(
                400, f"The rule {name!r}: direction {rule['direction']!r} is unknown.", "VALIDATION_EXCEPTION"
            )
        if rule.get("ipProtocol", "IPV4_IPV6") not in ("IPV4", "IPV6", "IPV4_IPV6"):
            raise ApiError(
                400, f"The rule {name!r}: ipProtocol {rule['ipProtocol']!r} is unknown.", "VALIDATION_EXCEPTION"
            )
        made = {
            "id": bare(rule["id"]) if rule.get("id") else new_id(),
            "name": name,
            "description": rule.get("description") or "",
            "actionValue": action,
            "action": None if action == "REJECT" else action,
            "enabled": bool(rule.get("enabled", True)),
            "direction": rule.get("direction") or "IN_OUT",
            "ipProtocol": rule.get("ipProtocol") or "IPV4_IPV6",
            "logging": bool(rule.get("logging")),
            "networkContextProfiles": rule.get("networkContextProfiles") or None,
            "applicationPortProfiles": _refs(cloud, rule, "applicationPortProfiles", "applicationPortProfile"),
        }
        for field in GROUPS:
            made[field] = _refs(cloud, rule, field, "firewallGroup")
        if distributed:
            made |= {k: rule.get(k) for k in ("comments", "sourceGroupsExcluded", "destinationGroupsExcluded")}
            made["appliedTo"] = rule.get("appliedTo") or None
        present = old.get(made["id"])
        if rule.get("id") and present is None:
            raise ApiError(
                400, f"The rule {name!r} has the id {rule['id']}, which is not there.", "VALIDATION_EXCEPTION"
            )
        if any(r["id"] == made["id"] for r in found):
            raise ApiError(400, f"The id {made['id']} is there twice.", "VALIDATION_EXCEPTION")
        number = present["version"]["version"] if present else 0
        if present and dig(rule, "version.version") not in (None, number):
            same_version(rule, present)
        if present and {k: v for k, v in present.items() if k != "version"} != made:
            number += 1
        made["version"] = {"version": number}
        found.append(made)
    return found


@effect("set rules")
def _set_rules(cloud: Cloud, task: Row, kind: str, ident: str, field: str, rules: list[Row]) -> None:
    with cloud.lock:
        row = cloud.need(kind, ident)
        row[field] = rules
        if kind == "gateway":
            configuring(cloud, ident)


# edge firewall


@route("GET PUT DELETE", f"{V1}/edgeGateways/{{ident}}/firewall/rules")
def edge_rules(request: Request, ident: str) -> Answer:
    cloud = request.cloud
    edge = one(request, "gateway", ident)
    if request.method == "GET":
        last = {
            "id": edge["id"],
            "name": "default_rule",
            "actionValue": edge["default_action"],
            "action": edge["default_action"],
            "enabled": True,
            "direction": "IN_OUT",
            "ipProtocol": "IPV4_IPV6",
            "logging": False,
            "sourceFirewallGroups": None,
            "destinationFirewallGroups": None,
            "applicationPortProfiles": None,
            "version": None,
        }
        return json_answer({"systemRules": None, "userDefinedRules": edge["firewall"], "defaultRules": [last]})
    request.right("edge.firewall")
    cloud.need_free(edge)
    body = request.json() if request.method == "PUT" else {}
    rules = _rules(cloud, body.get("userDefinedRules") or [], edge["firewall"], False)
    return begin(
        request,
        "edgeGatewayFirewallUpdate",
        f"Updating firewall of {edge['name']}",
        edge,
        "set rules",
        kind="gateway",
        ident=edge["id"],
        field="firewall",
        rules=rules,
    )


@route("GET PUT DELETE", f"{V1}/edgeGateways/{{ident}}/firewall/rules/{{rule}}")
def edge_rule(request: Request, ident: str, rule: str) -> Answer:
    cloud = request.cloud
    edge = one(request, "gateway", ident)
    found = next((r for r in edge["firewall"] if r["id"] == bare(rule)), None)
    if found is None:
        raise ApiError(403, f"No firewall rule {rule}.")
    if request.method == "GET":
        return json_answer(found)
    request.right("edge.firewall")
    cloud.need_free(edge)
    rules = [r for r in edge["firewall"] if r is not found]
    if request.method == "PUT":
        body = request.json()
        same_version(body, found)
        given: list[Any] = [{**body, "id": found["id"]} if r is found else r for r in edge["firewall"]]
        rules = _rules(cloud, given, edge["firewall"], False)
    return begin(
        request,
        "edgeGatewayFirewallRuleUpdate",
        f"Firewall rule {found['name']}",
        edge,
        "set rules",
        kind="gateway",
        ident=edge["id"],
        field="firewall",
        rules=rules,
    )


# VDC groups and their distributed firewall


def group_body(request: Request, row: Row) -> Row:
    """A VDC group."""
    cloud = request.cloud
    org = next(iter(cloud.table("org")))
    member = {
        "siteRef": {"id": urn("site", "00000000-0000-4000-8000-000000000001"), "name": "lab"},
        "orgRef": reference(cloud, "org", org),
        "faultDomainTag": "vc",
        "networkProviderScope": "lab",
        "isRemoteOrg": False,
        "status": "REALIZED",
    }
    return {
        "id": urn("vdcGroup", row["id"]),
        "name": row["name"],
        "description": row["description"],
        "orgId": urn("org", org),
        "type": "LOCAL",
        "networkProviderType": "NSX_T",
        "localEgress": False,
        "dfwEnabled": row["dfw"],
        "status": "REALIZED",
        "universalNetworkingEnabled": False,
        "networkPoolId": None,
        "participatingOrgVdcs": [{"vdcRef": reference(cloud, "vdc", v), **member} for v in row["vdcs"]],
    }


def _participants(request: Request, body: Row, before: Row | None) -> list[str]:
    cloud = request.cloud
    found = []
    for given in body.get("participatingOrgVdcs") or []:
        ident = bare(str(dig(given, "vdcRef.id")))
        if cloud.get("vdc", ident) is None:
            raise ApiError(400, f"{ident} is no VDC.", "VALIDATION_EXCEPTION")
        other = next((g for g in cloud.table("vdcGroup").values() if ident in g["vdcs"] and g is not before), None)
        if other:
            raise ApiError(400, f"The VDC is already in the group {other['name']}.", "VALIDATION_EXCEPTION")
        found.append(ident)
    if not found:
        raise ApiError(400, "A group needs participatingOrgVdcs.", "VALIDATION_EXCEPTION")
    return found


@route("GET POST", f"{V1}/vdcGroups")
def groups(request: Request) -> Answer:
    cloud = request.cloud
    if request.method == "GET":
        return listed(request, [group_body(request, g) for g in cloud.table("vdcGroup").values()])
    request.right("group.edit")
    body = request.json()
    name = text_of(body, "name")
    if cloud.find("vdcGroup", name=name):
        raise ApiError(400, f"The group {name} exists already.", "DUPLICATE_NAME")
    row = {
        "id": new_id(),
        "kind": "vdcGroup",
        "name": name,
        "description": body.get("description") or "",
        "org": next(iter(cloud.table("org"))),
        "vdcs": _participants(request, body, None),
        "dfw": bool(body.get("dfwEnabled")),
        "dfw_rules": None,
        "dfw_default": "ALLOW",
    }
    return begin(request, "vdcGroupCreate", f"Creating VDC group {name}", row, "put row", kind="vdcGroup", row=row)


@route("GET", f"{V1}/vdcGroups/networkingCandidateVdcs")
def candidates(request: Request) -> Answer:
    cloud = request.cloud
    if "_context" not in request.query.get("filter", ""):
        raise ApiError(400, "A filter with _context is mandatory for networkingCandidateVdcs.", "INVALID_FILTER")
    request.query["filter"] = ""
    org = next(iter(cloud.table("org")))
    rows = [
        {
            "id": urn("vdc", v["id"]),
            "name": v["name"],
            "faultDomainTag": "vc",
            "networkProviderScope": "lab",
            "orgRef": reference(cloud, "org", org),
            "siteRef": {"id": urn("site", "00000000-0000-4000-8000-000000000001"), "name": "lab"},
        }
        for v in cloud.table("vdc").values()
        if not any(v["id"] in g["vdcs"] for g in cloud.table("vdcGroup").values())
    ]
    return listed(request, rows)


@route("GET PUT DELETE", f"{V1}/vdcGroups/{{ident}}")
def group(request: Request, ident: str) -> Answer:
    cloud = request.cloud
    row = one(request, "vdcGroup", ident)
    if request.method == "GET":
        return json_answer(group_body(request, row))
    request.right("group.edit")
    cloud.need_free(row)
    if request.method == "PUT":
        body = request.json()
        changed = {
            **row,
            "name": text_of(body, "name"),
            "description": body.get("description") or "",
            "vdcs": _participants(request, body, row),
        }
        return begin(request, "vdcGroupUpdate", f"Updating {row['name']}", row, "put row", kind="vdcGroup", row=changed)
    owned = [
        r["name"]
        for k in ("gateway", "network", "firewallGroup")
        for r in cloud.table(k).values()
        if r.get("owner") == row["id"]
    ]
    if owned:
        raise ApiError(400, f"The group {row['name']} still has {owned[0]}.", "VALIDATION_EXCEPTION")
    return begin(
        request, "vdcGroupDelete", f"Deleting {row['name']}", row, "drop row", kind="vdcGroup", ident=row["id"]
    )


def _dfw_rules(row: Row) -> list[Row]:
    if row["dfw_rules"] is None:
        rule = {
            "id": row["id"],
            "name": f"Default_VdcGroup_{row['name']}",
            "description": "",
            "actionValue": row["dfw_default"],
            "action": row["dfw_default"],
            "enabled": True,
            "direction": "IN_OUT",
            "ipProtocol": "IPV4_IPV6",
            "logging": False,
            "networkContextProfiles": None,
            "applicationPortProfiles": None,
            "sourceFirewallGroups": None,
            "destinationFirewallGroups": None,
            "comments": None,
            "sourceGroupsExcluded": None,
            "destinationGroupsExcluded": None,
            "appliedTo": None,
            "version": {"version": 0},
        }
        row["dfw_rules"] = [rule]
    return list(row["dfw_rules"])


@route("GET PUT", f"{V1}/vdcGroups/{{ident}}/dfwPolicies")
def policies(request: Request, ident: str) -> Answer:
    row = one(request, "vdcGroup", ident)
    if request.method == "GET":
        default = {
            "id": urn("vdcGroup", row["id"]),
            "name": "default",
            "description": "",
            "enabled": row["dfw"],
            "version": {"version": 0},
        }
        return json_answer({"enabled": row["dfw"], "defaultPolicy": default if row["dfw"] else None})
    request.right("edge.firewall")
    request.cloud.need_free(row)
    body = request.json()
    changed = {**row, "dfw": bool(body.get("enabled"))}
    return begin(
        request,
        "vdcGroupDfwUpdate",
        f"Distributed firewall of {row['name']}",
        row,
        "put row",
        kind="vdcGroup",
        row=changed,
    )


@route("GET PUT", f"{V1}/vdcGroups/{{ident}}/dfwPolicies/default")
def policy(request: Request, ident: str) -> Answer:
    row = one(request, "vdcGroup", ident)
    if request.method == "GET":
        return json_answer(
            {
                "id": urn("vdcGroup", row["id"]),
                "name": "default",
                "enabled": row["dfw"],
                "description": "",
                "version": {"version": 0},
            }
        )
    request.right("edge.firewall")
    request.cloud.need_free(row)
    return begin(
        request,
        "vdcGroupDfwUpdate",
        f"Distributed firewall of {row['name']}",
        row,
        "put row",
        kind="vdcGroup",
        row={**row, "dfw": bool(request.json().get("enabled"))},
    )


@route("GET PUT POST", f"{V1}/vdcGroups/{{ident}}/dfwPolicies/default/rules")
def dfw_rules(request: Request, ident: str) -> Answer:
    cloud = request.cloud
    row = one(request, "vdcGroup", ident)
    if not row["dfw"]:
        raise ApiError(400, f"The distributed firewall of {row['name']} is off.", "DFW_DISABLED")
    rules = _dfw_rules(row)
    if request.method == "GET":
        return json_answer({"values": rules})
    request.right("edge.firewall")
    cloud.need_free(row)
    body = request.json()
    if request.method == "POST":
        new = _rules(cloud, [{**body, "id": None}], [], True)
        above = dig(body, "_ref.id") or dig(body, "destinationRuleId")
        at = next((i for i, r in enumerate(rules) if above and r["id"] == bare(above)), 0)
        rules[at:at] = new
    else:
        new = []
        rules = _rules(cloud, body.get("values") or [], rules, True)
    task = cloud.start(
        "vdcGroupDfwRulesUpdate",
        f"Distributed firewall of {row['name']}",
        row,
        "set rules",
        user=request.user["id"],
        kind="vdcGroup",
        ident=row["id"],
        field="dfw_rules",
        rules=rules,
    )
    return accepted(request, task)


@route("GET PUT DELETE", f"{V1}/vdcGroups/{{ident}}/dfwPolicies/default/rules/{{rule}}")
def dfw_rule(request: Request, ident: str, rule: str) -> Answer:
    cloud = request.cloud
    row = one(request, "vdcGroup", ident)
    rules = _dfw_rules(row)
    found = next((r for r in rules if r["id"] == bare(rule)), None)
    if found is None:
        raise ApiError(403, f"No rule {rule}.")
    if request.method == "GET":
        return json_answer(found)
    request.right("edge.firewall")
    cloud.need_free(row)
    rest = [r for r in rules if r is not found]
    if request.method == "PUT":
        given: list[Any] = [{**request.json(), "id": found["id"]} if r is found else r for r in rules]
        rest = _rules(cloud, given, rules, True)
    return begin(
        request,
        "vdcGroupDfwRuleUpdate",
        f"Rule {found['name']}",
        row,
        "set rules",
        kind="vdcGroup",
        ident=row["id"],
        field="dfw_rules",
        rules=rest,
    )


# NAT


def _nat(request: Request, edge: Row, body: Row) -> Row:
    cloud = request.cloud
    kind = body.get("type") or body.get("ruleType")
    name = text_of(body, "name", 255)
    if kind not in NAT_TYPES:
        raise ApiError(400, f"The NAT rule {name}: type {kind!r} is unknown.", "VALIDATION_EXCEPTION")
    external, internal = body.get("externalAddresses"), body.get("internalAddresses") or ""
    if external is None:
        raise ApiError(400, f"The NAT rule {name}: externalAddresses is missing.", "VALIDATION_EXCEPTION")
    for text in (external, internal, body.get("snatDestinationAddresses") or ""):
        try:
            if text:
                ipaddress.ip_network(text.partition("-")[0], strict=False)
        except ValueError:
            raise ApiError(400, f"The NAT rule {name}: {text!r} is no address.", "VALIDATION_EXCEPTION") from None
    if kind in ("DNAT", "SNAT", "REFLEXIVE") and external not in edge["public"]:
        raise ApiError(
            400,
            f"The NAT rule {name}: {external!r} is none of the addresses of {edge['name']}.",
            "VALIDATION_EXCEPTION",
        )
    if kind != "NO_DNAT" and not internal:
        raise ApiError(400, f"The NAT rule {name}: internalAddresses is missing.", "VALIDATION_EXCEPTION")
    if kind == "REFLEXIVE" and any(
        n["type"] == "REFLEXIVE" and n["externalAddresses"] == external and n["id"] != bare(str(body.get("id")))
        for n in edge["nat"]
    ):
        raise ApiError(400, f"The NAT rule {name}: {external} has a reflexive rule already.", "VALIDATION_EXCEPTION")
    profile = dig(body, "applicationPortProfile.id")
    if profile and cloud.get("applicationPortProfile", profile) is None:
        raise ApiError(400, f"The NAT rule {name}: {profile} is no port profile.", "VALIDATION_EXCEPTION")
    port = str(body.get("dnatExternalPort") or "")
    if port and (not re.fullmatch(r"\d{1,5}(-\d{1,5})?", port) or kind != "DNAT"):
        raise ApiError(400, f"The NAT rule {name}: dnatExternalPort {port!r} is not possible.", "VALIDATION_EXCEPTION")
    match = body.get("firewallMatch") or "MATCH_INTERNAL_ADDRESS"
    if match not in ("MATCH_INTERNAL_ADDRESS", "MATCH_EXTERNAL_ADDRESS", "BYPASS"):
        raise ApiError(400, f"The NAT rule {name}: firewallMatch {match!r} is unknown.", "VALIDATION_EXCEPTION")
    return {
        "id": new_id(),
        "name": name,
        "description": body.get("description") or "",
        "enabled": bool(body.get("enabled", True)),
        "type": kind,
        "ruleType": None if kind == "REFLEXIVE" else kind,
        "externalAddresses": external,
        "internalAddresses": internal,
        "dnatExternalPort": port or None,
        "internalPort": None,
        "applicationPortProfile": reference(cloud, "applicationPortProfile", bare(profile)) if profile else None,
        "snatDestinationAddresses": body.get("snatDestinationAddresses") or None,
        "logging": bool(body.get("logging")),
        "firewallMatch": match,
        "priority": int(body.get("priority") or 0),
        "systemRule": False,
        "version": {"version": 0},
    }


@route("GET POST", f"{V1}/edgeGateways/{{ident}}/nat/rules")
def nat(request: Request, ident: str) -> Answer:
    edge = one(request, "gateway", ident)
    if request.method == "GET":
        if request.query.get("filter"):
            raise ApiError(400, "A filter is not possible for NAT rules.", "INVALID_FILTER")
        rows = edge["nat"]
        size = int(request.query.get("pageSize", 128))
        start = int(request.query.get("cursor") or 0)
        if "page" in request.query:
            return listed(request, rows)
        body: Row = {"values": rows[start : start + size]}
        headers = {}
        if start + size < len(rows):
            following = f"{request.base}{request.path}?pageSize={size}&cursor={start + size}"
            headers["Link"] = f'<{following}>;rel="nextPage";type="application/json"'
        return json_answer(body, 200, **headers)
    request.right("edge.nat")
    request.cloud.need_free(edge)
    rule = _nat(request, edge, request.json())
    return begin(
        request,
        "edgeGatewayNatRuleCreate",
        f"NAT rule on {edge['name']}",
        edge,
        "set rules",
        kind="gateway",
        ident=edge["id"],
        field="nat",
        rules=[*edge["nat"], rule],
    )


@route("GET PUT DELETE", f"{V1}/edgeGateways/{{ident}}/nat/rules/{{rule}}")
def nat_rule(request: Request, ident: str, rule: str) -> Answer:
    edge = one(request, "gateway", ident)
    found = next((n for n in edge["nat"] if n["id"] == bare(rule)), None)
    if found is None:
        raise ApiError(403, f"No NAT rule {rule}.")
    if request.method == "GET":
        return json_answer(found)
    request.right("edge.nat")
    request.cloud.need_free(edge)
    if request.method == "PUT":
        body = request.json()
        same_version(body, found)
        made = _nat(request, edge, {**body, "id": found["id"]}) | {
            "id": found["id"],
            "version": {"version": found["version"]["version"] + 1},
        }
        rules = [made if n is found else n for n in edge["nat"]]
    else:
        rules = [n for n in edge["nat"] if n is not found]
    return begin(
        request,
        "edgeGatewayNatRuleUpdate",
        f"NAT rule {found['name']}",
        edge,
        "set rules",
        kind="gateway",
        ident=edge["id"],
        field="nat",
        rules=rules,
    )


# static routes


def _route(request: Request, body: Row) -> Row:
    try:
        cidr = ipaddress.ip_network(str(body.get("networkCidr")))
        hops = [
            {
                "ipAddress": str(ipaddress.ip_address(h["ipAddress"])),
                "adminDistance": int(h.get("adminDistance") or 1),
                "scope": h.get("scope"),
            }
            for h in body.get("nextHops") or []
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ApiError(400, f"The static route is not possible: {error}", "VALIDATION_EXCEPTION") from None
    if not hops:
        raise ApiError(400, "A static route needs nextHops.", "VALIDATION_EXCEPTION")
    return {
        "id": new_id(),
        "name": text_of(body, "name"),
        "description": body.get("description") or "",
        "networkCidr": str(cidr),
        "nextHops": hops,
        "systemOwned": False,
        "version": "0",
    }


@route("GET POST", f"{V1}/edgeGateways/{{ident}}/routing/staticRoutes")
def routes(request: Request, ident: str) -> Answer:
    edge = one(request, "gateway", ident)
    if request.method == "GET":
        return listed(request, edge["routes"])
    request.right("edge.routes")
    request.cloud.need_free(edge)
    made = _route(request, request.json())
    task = request.cloud.start(
        "edgeGatewayStaticRouteCreate",
        f"Route on {edge['name']}",
        edge,
        "set rules",
        user=request.user["id"],
        kind="gateway",
        ident=edge["id"],
        field="routes",
        rules=[*edge["routes"], made],
    )
    task["details"] = made["id"]
    return accepted(request, task)


@route("GET PUT DELETE", f"{V1}/edgeGateways/{{ident}}/routing/staticRoutes/{{which}}")
def static_route(request: Request, ident: str, which: str) -> Answer:
    edge = one(request, "gateway", ident)
    found = next((r for r in edge["routes"] if r["id"] == bare(which)), None)
    if found is None:
        raise ApiError(403, f"No static route {which}.")
    if request.method == "GET":
        return json_answer(found)
    request.right("edge.routes")
    request.cloud.need_free(edge)
    rest = [r for r in edge["routes"] if r is not found]
    if request.method == "PUT":
        body = request.json()
        if str(body.get("version")) != found["version"]:  # a text here, unlike everywhere else
            raise ApiError(409, f"The version {body.get('version')} is not the present one.", "CONCURRENT_MODIFICATION")
        rest.append(_route(request, body) | {"id": found["id"], "version": str(int(found["version"]) + 1)})
    return begin(
        request,
        "edgeGatewayStaticRouteUpdate",
        f"Route {found['name']}",
        edge,
        "set rules",
        kind="gateway",
        ident=edge["id"],
        field="routes",
        rules=rest,
    )


# load balancing


@route("GET PUT", f"{V1}/edgeGateways/{{ident}}/loadBalancer")
def load_balancer(request: Request, ident: str) -> Answer:
    edge = one(request, "gateway", ident)
    if request.method == "PUT":
        raise ApiError(403, "The provider switches load balancing on.")
    return json_answer(
        {
            "enabled": edge["alb"],
            "licenseType": None,
            "supportedFeatureSet": "STANDARD",
            "transparentModeEnabled": False,
            "serviceNetworkDefinition": "192.168.255.1/25",
        }
    )


@route("GET", f"{V1}/loadBalancer/serviceEngineGroups/assignments")
def assignments(request: Request) -> Answer:
    cloud = request.cloud
    rows = [
        {
            "id": f"urn:vcloud:serviceEngineGroupAssignment:{e['id']}",
            "gatewayRef": reference(cloud, "gateway", e["id"]),
            "serviceEngineGroupRef": {"id": f"urn:vcloud:serviceEngineGroup:{e['id']}", "name": "seg-lab"},
            "minVirtualServices": 0,
            "maxVirtualServices": 10,
            "numDeployedVirtualServices": len(cloud.find("loadBalancerVirtualService", edge=e["id"])),
        }
        for e in cloud.table("gateway").values()
        if e["alb"]
    ]
    return listed(request, rows)


_ALGORITHMS = (
    "ROUND_ROBIN",
    "LEAST_CONNECTIONS",
    "CONSISTENT_HASH",
    "FASTEST_RESPONSE",
    "LEAST_LOAD",
    "FEWEST_SERVERS",
    "RANDOM",
    "FEWEST_TASKS",
    "CORE_AFFINITY",
)
_PERSISTENCE = {"CLIENT_IP": False, "HTTP_COOKIE": True, "CUSTOM_HTTP_HEADER": True, "APP_COOKIE": True, "TLS": False}
"""Kinds of persistence, and whether they need a value."""
_PROFILES = {"HTTP": "TCP", "HTTPS": "TCP", "L4_TCP": "TCP", "L4_UDP": "UDP", "L4_TLS": "TCP"}


def _wrong(text: str) -> ApiError:
    return ApiError(400, text, "VALIDATION_EXCEPTION")


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and 0 < value < 65536


def _check_pool(body: Row) -> None:
    if body.get("algorithm") not in _ALGORITHMS:
        raise _wrong(f"The algorithm {body.get('algorithm')!r} is unknown.")
    for monitor in body.get("healthMonitors") or []:
        if monitor.get("type") not in ("HTTP", "HTTPS", "TCP", "UDP", "PING"):
            raise _wrong(f"The health monitor {monitor.get('type')!r} is unknown.")
    if body.get("members") and body.get("memberGroupRef"):
        raise _wrong("A pool has members or a group of them.")
    seen = set()
    for member in body.get("members") or []:
        try:
            ipaddress.ip_address(str(member.get("ipAddress")))
        except ValueError:
            raise _wrong(f"The member {member.get('ipAddress')!r} is no address.") from None
        port, ratio = member.get("port", body.get("defaultPort")), member.get("ratio", 1)
        if not _is_port(port) or not isinstance(ratio, int) or not 1 <= ratio <= 20:
            raise _wrong(f"The member {member['ipAddress']} has the port {port!r} and the ratio {ratio!r}.")
        if (member["ipAddress"], port) in seen:
            raise _wrong(f"The member {member['ipAddress']}:{port} is there twice.")
        seen.add((member["ipAddress"], port))
    profile = body.get("persistenceProfile")
    if profile and (
        profile.get("type") not in _PERSISTENCE or (_PERSISTENCE[profile["type"]] and not profile.get("value"))
    ):
        raise _wrong(f"The persistence {profile.get('type')!r} is unknown, or needs a value.")


def _check_service(cloud: Cloud, edge: str, name: str, body: Row, before: Row | None) -> None:
    pool = cloud.get("loadBalancerPool", str(dig(body, "loadBalancerPoolRef.id")))
    if pool is None or pool["edge"] != edge:
        raise _wrong(f"The virtual service {name} needs a pool of the same edge.")
    if bare(str(dig(body, "serviceEngineGroupRef.id") or "")) != edge:  # each edge has one assignment, of its id
        raise _wrong(f"The service engine group of {name} is not assigned to the edge.")
    kind = dig(body, "applicationProfile.type")
    if kind not in _PROFILES:
        raise _wrong(f"The application profile {kind!r} is unknown.")
    if kind in ("HTTPS", "L4_TLS"):
        item = str(dig(body, "certificateRef.id") or "")
        if cloud.get("certificate", item) is None:
            raise _wrong(f"The virtual service {name} of type {kind} needs a certificate.")
    try:
        address = ipaddress.ip_address(str(body.get("virtualIpAddress")))
    except ValueError:
        raise _wrong(f"virtualIpAddress {body.get('virtualIpAddress')!r} is no address.") from None
    gate = cloud.table("gateway")[edge]
    if str(address).startswith(PUBLIC) and str(address) not in gate["public"]:
        raise _wrong(f"{address} is not one of the edge's.")
    if any(str(address) == s["gateway"] for n in cloud.table("network").values() for s in n["subnets"]):
        raise _wrong(f"{address} is the gateway of a network.")
    taken = {
        (port["portStart"], port.get("portEnd") or port["portStart"])
        for other in cloud.find("loadBalancerVirtualService", edge=edge, virtualIpAddress=str(address))
        if other is not before
        for port in other["servicePorts"]
    }
    if not body.get("servicePorts"):
        raise _wrong(f"The virtual service {name} needs servicePorts.")
    for port in body["servicePorts"]:
        low, high = port.get("portStart"), port.get("portEnd") or port.get("portStart")
        if not _is_port(low) or not _is_port(high) or low > high:
            raise _wrong(f"{low!r} to {high!r} are no ports.")
        if any(low <= last and first <= high for first, last in taken):
            raise _wrong(f"{address} port {low} has a virtual service already.")
        if not str(dig(port, "tcpUdpProfile.type")).startswith(_PROFILES[kind]):
            raise _wrong(f"tcpUdpProfile {dig(port, 'tcpUdpProfile.type')!r} does not go with {kind}.")


def _alb(request: Request, kind: str, body: Row, before: Row | None = None) -> Row:
    cloud = request.cloud
    _kind, edge = owner_of(request, body, ("gateway",), "gatewayRef")
    name = text_of(body, "name")
    if any(o["name"] == name and o["edge"] == edge and o is not before for o in cloud.table(kind).values()):
        raise ApiError(400, f"The name {name} is taken.", "DUPLICATE_NAME")
    if not cloud.table("gateway")[edge]["alb"]:
        raise ApiError(400, "Load balancing is not enabled on this edge.", "VALIDATION_EXCEPTION")
    row = {**body, "id": before["id"] if before else new_id(), "kind": kind, "edge": edge, "name": name}
    if kind == "loadBalancerPool":
        _check_pool(body)
    else:
        _check_service(cloud, edge, name, body, before)
        if before is None and len(cloud.find(kind, edge=edge)) >= 10:
            raise ApiError(400, "No more virtual services are possible on this edge.", "QUOTA_EXCEEDED")
    return row


_ALB = {"pools": "loadBalancerPool", "virtualServices": "loadBalancerVirtualService"}


def _alb_body(request: Request, row: Row) -> Row:
    made = {k: v for k, v in row.items() if k not in ("edge", "kind")}
    made |= {
        "id": urn(row["kind"], row["id"]),
        "gatewayRef": reference(request.cloud, "gateway", row["edge"]),
        "status": "REALIZED",
        "healthStatus": "UP",
    }
    if row["kind"] == "loadBalancerPool":
        members = row.get("members") or []
        made |= {
            "memberCount": len(members),
            "enabledMemberCount": sum(bool(m.get("enabled")) for m in members),
            "upMemberCount": len(members),
            "virtualServiceRefs": [
                reference(request.cloud, "loadBalancerVirtualService", s["id"])
                for s in request.cloud.table("loadBalancerVirtualService").values()
                if bare(dig(s, "loadBalancerPoolRef.id")) == row["id"]
            ]
            or None,
        }
    return made


@route("GET", f"{V1}/edgeGateways/{{ident}}/loadBalancer/{{what:poolSummaries|virtualServiceSummaries}}")
def summaries(request: Request, ident: str, what: str) -> Answer:
    edge = one(request, "gateway", ident)
    kind = "loadBalancerPool" if what == "poolSummaries" else "loadBalancerVirtualService"
    return listed(request, [_alb_body(request, r) for r in request.cloud.find(kind, edge=edge["id"])])


@route("POST", f"{V1}/loadBalancer/{{what:pools|virtualServices}}")
def create_alb(request: Request, what: str) -> Answer:
    request.right("edge.loadbalancer")
    row = _alb(request, _ALB[what], request.json())
    edge = request.cloud.table("gateway")[row["edge"]]
    request.cloud.need_free(edge)
    return begin(
        request, f"{_ALB[what]}Create", f"Creating {row['name']}", row, "put row", edge, kind=_ALB[what], row=row
    )


@route("GET PUT DELETE", f"{V1}/loadBalancer/{{what:pools|virtualServices}}/{{ident}}")
def alb(request: Request, what: str, ident: str) -> Answer:
    row = one(request, _ALB[what], ident)
    if request.method == "GET":
        return json_answer(_alb_body(request, row))
    request.right("edge.loadbalancer")
    request.cloud.need_free(row)
    if request.method == "PUT":
        return begin(
            request,
            f"{_ALB[what]}Update",
            f"Updating {row['name']}",
            row,
            "put row",
            kind=_ALB[what],
            row=_alb(request, _ALB[what], request.json(), row),
        )
    if what == "pools" and _alb_body(request, row)["virtualServiceRefs"]:
        raise ApiError(400, f"The pool {row['name']} is in use.", "VALIDATION_EXCEPTION")
    return begin(
        request, f"{_ALB[what]}Delete", f"Deleting {row['name']}", row, "drop row", kind=_ALB[what], ident=row["id"]
    )


# security tags, certificates


@route("PUT", f"{V1}/securityTags/tag")
def tag(request: Request) -> Answer:
    request.right("vm.edit")
    body = request.json()
    name = text_of(body, "tag")
    vms = [bare(e) for e in body.get("entities") or []]
    for ident in vms:
        if request.cloud.get("vm", ident) is None:
            raise ApiError(400, f"{ident} is no VM.", "VALIDATION_EXCEPTION")
    if vms:
        request.cloud.table("tag")[name] = {"id": name, "vms": vms}
    else:
        request.cloud.table("tag").pop(name, None)
    request.cloud.touch()
    return Answer(204)


@route("GET", f"{V1}/securityTags/values")
def tags(request: Request) -> Answer:
    return listed(request, [{"tag": t} for t in sorted(request.cloud.table("tag"))])


@route("GET PUT", f"{V1}/securityTags/vm/{{ident}}")
def vm_tags(request: Request, ident: str) -> Answer:
    vm = one(request, "vm", ident)
    table = request.cloud.table("tag")
    if request.method == "PUT":
        request.right("vm.edit")
        wanted = set(request.json().get("tags") or [])
        for name in wanted | set(table):
            row = table.setdefault(name, {"id": name, "vms": []})
            row["vms"] = [v for v in row["vms"] if v != vm["id"]] + ([vm["id"]] if name in wanted else [])
            if not row["vms"]:
                table.pop(name)
        request.cloud.touch()
    return json_answer({"tags": sorted(t for t, row in table.items() if vm["id"] in row["vms"])})


@route("GET POST", f"{V1}/ssl/certificateLibrary")
def certificates(request: Request) -> Answer:
    cloud = request.cloud

    def shown(row: Row) -> Row:
        return {
            "id": urn("certificateLibraryItem", row["id"]),
            **{k: row[k] for k in ("alias", "description", "certificate")},
        }

    if request.method == "GET":
        return listed(request, [shown(c) for c in cloud.table("certificate").values()])
    request.right("edge.loadbalancer")
    body = request.json()
    if "BEGIN CERTIFICATE" not in str(body.get("certificate")) or cloud.find("certificate", alias=body.get("alias")):
        raise ApiError(400, "The certificate is no PEM, or its alias is taken.", "VALIDATION_EXCEPTION")
    row = cloud.put(
        "certificate",
        {
            "name": text_of(body, "alias"),
            "alias": body["alias"],
            "description": body.get("description") or "",
            "certificate": body["certificate"],
        },
    )
    return json_answer(shown(row), 201)


@route("DELETE", f"{V1}/ssl/certificateLibrary/{{ident}}")
def delete_certificate(request: Request, ident: str) -> Answer:
    row = one(request, "certificate", ident)
    request.cloud.drop("certificate", row["id"])
    return Answer(204)
