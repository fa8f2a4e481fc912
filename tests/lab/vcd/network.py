# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI: organisations, VDCs, edges, networks with DHCP, IP sets and groups, port profiles."""

from __future__ import annotations

import ipaddress
import re
import time
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any

from .core import ApiError, Cloud, Row, bare, effect, new_id, urn
from .machines import used_ips
from .query import matches, page_of
from .seed import PUBLIC
from .web import Answer, Request, json_answer, route

V1 = "/cloudapi/1.0.0"


def one(request: Request, kind: str, ident: str) -> Row:
    """The row of a URN, else 403, as Cloud Director says for what is not there too."""
    row = request.cloud.get(kind, ident)
    if row is None:
        raise ApiError(
            403,
            f"[ {new_id()} ] Either you need some or all of the following rights [] to perform operations"
            f" [] for {ident} or the target entity is invalid.",
            "ACCESS_TO_RESOURCE_IS_FORBIDDEN",
        )
    return row


def dig(body: Any, name: str) -> Any:
    """The value at a dotted path."""
    for part in name.split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body


def listed(request: Request, rows: Iterable[Row]) -> Answer:
    """A page of rows, filtered."""
    found = list(rows)
    expression = request.query.get("filter", "")
    if expression:
        if request.query.get("filterEncoded") == "true":
            expression = urllib.parse.unquote(expression)
        found = [r for r in found if matches(expression, lambda name, r=r: dig(r, name))]
    for name, down in (("sortAsc", False), ("sortDesc", True)):
        by = request.query.get(name)
        if by:
            found.sort(key=lambda r: str(dig(r, by) or ""), reverse=down)
    page, size = page_of(request)
    total = len(found)
    shown = [{k: v for k, v in r.items() if not k.startswith("_")} for r in found[(page - 1) * size : page * size]]
    body = {
        "resultTotal": total,
        "pageCount": -(-total // size),
        "page": page,
        "pageSize": size,
        "associations": None,
        "values": shown,
    }
    headers = {}
    if page * size < total:
        query = urllib.parse.urlencode({**request.query, "page": page + 1})
        headers["Link"] = f'<{request.base}{request.path}?{query}>;rel="nextPage";type="application/json"'
    return json_answer(body, 200, **headers)


def accepted(request: Request, task: Row) -> Answer:
    """202 with the address of the task and no body."""
    return Answer(202, b"", "", {"Location": f"{request.base}/api/task/{task['id']}"})


def begin(request: Request, name: str, words: str, owner: Row, do: str = "", *locks: Row, **args: Any) -> Answer:
    """Begin a task and say so."""
    return accepted(request, request.cloud.start(name, words, owner, do, locks=locks, user=request.user["id"], **args))


@effect("put row")
def _put_row(cloud: Cloud, task: Row, kind: str, row: Row, edge: str = "", details: str = "") -> Row:
    with cloud.lock:
        cloud.put(kind, row)
        configuring(cloud, edge)
    return {"details": details} if details else {}


@effect("drop row")
def _drop_row(cloud: Cloud, task: Row, kind: str, ident: str, edge: str = "") -> None:
    with cloud.lock:
        cloud.drop(kind, ident)
        configuring(cloud, edge)


def configuring(cloud: Cloud, edge: str) -> None:
    """After a change an edge is CONFIGURING for a while."""
    row = cloud.get("gateway", edge) if edge else None
    if row:
        row["configuring_until"] = time.time() + float(cloud.options["configuring_seconds"])


def reference(cloud: Cloud, kind: str, ident: str) -> Row:
    """{name, id} of a row."""
    row = cloud.get(kind, ident)
    return {"name": row["name"] if row else None, "id": urn(kind, ident)}


def kind_of(ident: str) -> str:
    """The kind in a URN."""
    found = re.fullmatch(r"urn:vcloud:(\w+):[0-9a-f-]{36}", ident)
    if not found:
        raise ApiError(400, f"{ident!r} is no URN.")
    return {"vdcstorageProfile": "storageprofile"}.get(found[1], found[1])


def owner_of(request: Request, body: Row, kinds: tuple[str, ...], field: str = "ownerRef") -> tuple[str, str]:
    """Kind and id of the owner that a body names."""
    ident = str(dig(body, f"{field}.id") or "")
    kind = kind_of(ident)
    if kind not in kinds:
        raise ApiError(400, f"{field} is a {kind}; possible are {', '.join(kinds)}.")
    if request.cloud.get(kind, ident) is None:
        raise ApiError(400, f"{field} {ident} is not there.")
    return kind, bare(ident)


def text_of(body: Row, field: str, longest: int = 128, must: bool = True) -> str:
    """A text of a body."""
    value = body.get(field) or ""
    if not isinstance(value, str) or (must and not value.strip()) or len(value) > longest:
        raise ApiError(400, f"{field} {value!r} is empty, longer than {longest}, or no text.", "VALIDATION_EXCEPTION")
    return value


# organisations and VDCs


@route("GET", f"{V1}/orgs")
def orgs(request: Request) -> Answer:
    rows = [
        {"id": urn("org", o["id"]), "name": o["name"], "displayName": o["fullName"], "isEnabled": True}
        for o in request.cloud.table("org").values()
    ]
    return listed(request, rows)


@route("GET", "/cloudapi/{v:[0-9.]+}/vdcs")
def vdcs(request: Request, v: str) -> Answer:
    cloud = request.cloud
    org = next(iter(cloud.table("org")))
    rows = [
        {"id": urn("vdc", r["id"]), "name": r["name"], "allocationType": "FLEX", "org": reference(cloud, "org", org)}
        for r in cloud.table("vdc").values()
    ]
    return listed(request, rows)


@route("GET", "/cloudapi/{v:[0-9.]+}/vdcs/{ident}/capabilities")
def capabilities(request: Request, v: str, ident: str) -> Answer:
    one(request, "vdc", ident)
    rows = [{"name": "networkProvider", "value": "NSX_T", "category": "Networking"}]
    for name in ("vdcGroupNetworkProviderTypes", "dfw"):
        rows.append({"name": name, "value": "NSX_T" if name != "dfw" else "true", "category": "Networking"})
    return listed(request, rows)


@route("GET", "/cloudapi/{v:[0-9.]+}/vdcs/{ident}/computePolicies")
def compute_policies(request: Request, v: str, ident: str) -> Answer:
    one(request, "vdc", ident)
    return listed(request, [_policy(p) for p in request.cloud.table("computepolicy").values()])


@route("GET", "/cloudapi/{v:[0-9.]+}/vdcComputePolicies/{ident}")
def compute_policy(request: Request, v: str, ident: str) -> Answer:
    return json_answer(_policy(one(request, "computepolicy", ident)))


def _policy(row: Row) -> Row:
    return {
        "id": urn("vdcComputePolicy", row["id"]),
        "name": row["name"],
        "description": row["description"],
        "isSizingOnly": True,
        "policyType": "VdcVmPolicy",
        "cpuCount": None,
        "memory": None,
    }


# edges


def edge_body(request: Request, row: Row) -> Row:
    """An edge."""
    cloud = request.cloud
    group = cloud.get("vdcGroup", row["owner"]) if row["owner_kind"] == "vdcGroup" else None
    vdc = group["vdcs"][0] if group else row["owner"]
    org = next(iter(cloud.table("org")))
    used = edge_used(cloud, row)
    ranges = [{"startAddress": ip, "endAddress": ip} for ip in row["public"]]
    subnet = {
        "gateway": f"{PUBLIC}1", "prefixLength": 24, "dnsSuffix": None, "dnsServer1": "", "dnsServer2": "",
        "ipRanges": {"values": ranges}, "enabled": True, "totalIpCount": len(ranges), "usedIpCount": len(used),
        "primaryIp": row["public"][0] if row["public"] else "", "autoAllocateIpRanges": False,
    }  # fmt: skip
    busy = time.time() < row["configuring_until"]
    return {
        "id": urn("gateway", row["id"]),
        "name": row["name"],
        "description": row["description"],
        "status": "CONFIGURING" if busy else "REALIZED",
        "ownerRef": reference(cloud, row["owner_kind"], row["owner"]),
        "orgVdc": reference(cloud, "vdc", vdc),
        "orgRef": reference(cloud, "org", org),
        "orgVdcNetworkCount": len(cloud.find("network", edge=row["id"])),
        "edgeGatewayUplinks": [
            {
                "uplinkId": urn("network", row["id"]),
                "uplinkName": row["t0"],
                "connected": True,
                "dedicated": False,
                "usingIpSpace": False,
                "backingType": "NSXT_VRF_TIER0",
                "quickAddAllocatedIpCount": None,
                "vrfLiteBacked": True,
                "subnets": {"values": [subnet]},
            }
        ],
        "gatewayBacking": {
            "backingId": row["id"],
            "gatewayType": "NSXT_BACKED",
            "networkProvider": {"name": "nsxt", "id": f"urn:vcloud:nsxtmanager:{row['id']}"},
        },
        "distributedRoutingEnabled": False,
        "nonDistributedRoutingEnabled": False,
        "serviceNetworkDefinition": "192.168.255.225/27",
        "deploymentMode": "ACTIVE_STANDBY",
        "edgeClusterConfig": None,
    }


def edge_used(cloud: Cloud, row: Row) -> dict[str, str]:
    """Public addresses that are in use, and for what."""
    found = {str(n["externalAddresses"]): "NAT" for n in row["nat"] if n.get("externalAddresses")}
    for service in cloud.find("loadBalancerVirtualService", edge=row["id"]):
        found[service["virtualIpAddress"]] = "LOAD_BALANCER"
    return {ip: what for ip, what in found.items() if ip in row["public"]}


@route("GET", f"{V1}/edgeGateways")
def edges(request: Request) -> Answer:
    return listed(request, [edge_body(request, e) for e in request.cloud.table("gateway").values()])


@route("GET", f"{V1}/edgeGateways/{{ident}}")
def edge(request: Request, ident: str) -> Answer:
    return json_answer(edge_body(request, one(request, "gateway", ident)))


@route("GET", f"{V1}/edgeGateways/{{ident}}/usedIpAddresses")
def used_addresses(request: Request, ident: str) -> Answer:
    row = one(request, "gateway", ident)
    rows = [
        {"ipAddress": ip, "category": what, "networkRef": None, "orgRef": None}
        for ip, what in sorted(edge_used(request.cloud, row).items())
    ]
    return listed(request, rows)


@route("PUT", f"{V1}/edgeGateways/{{ident}}")
def edit_edge(request: Request, ident: str) -> Answer:
    request.right("edge.edit")
    row = one(request, "gateway", ident)
    body = request.json()
    kind, owner = owner_of(request, body, ("vdc", "vdcGroup"))
    request.cloud.need_free(row)
    row.update(description=body.get("description") or "", owner_kind=kind, owner=owner)
    for net in request.cloud.find("network", edge=row["id"]):
        net.update(owner_kind=kind, owner=owner)
    return begin(request, "edgeGatewayUpdate", f"Updating edge gateway {row['name']}", row)


# networks of the organisation


def network_body(request: Request, row: Row) -> Row:
    """A network."""
    cloud = request.cloud
    org = next(iter(cloud.table("org")))
    used = used_ips(cloud, row["id"])
    subnets = []
    for subnet in row["subnets"]:
        total = sum(
            int(ipaddress.ip_address(r["endAddress"])) - int(ipaddress.ip_address(r["startAddress"])) + 1
            for r in (subnet.get("ipRanges") or {}).get("values") or []
        )
        subnets.append({**subnet, "enabled": True, "usedIpCount": len(used), "totalIpCount": total})
    connection = None
    if row["edge"]:
        connection = {"routerRef": reference(cloud, "gateway", row["edge"]), "connectionType": row["connection"],
                      "connectionTypeValue": row["connection"], "connected": True}  # fmt: skip
    return {
        "id": urn("network", row["id"]), "name": row["name"], "description": row["description"],
        "subnets": {"values": subnets}, "backingNetworkId": row["id"], "backingNetworkType": "NSXT_FLEXIBLE_SEGMENT",
        "ownerRef": reference(cloud, row["owner_kind"], row["owner"]), "orgRef": reference(cloud, "org", org),
        "orgVdc": reference(cloud, "vdc", row["owner"]) if row["owner_kind"] == "vdc" else None,
        "orgVdcIsNsxTBacked": True, "networkType": row["type"], "connection": connection, "isDefaultNetwork": False,
        "shared": False, "enableDualSubnetNetwork": bool(row.get("dual")), "status": "REALIZED",
        "totalIpCount": sum(int(s["totalIpCount"]) for s in subnets), "usedIpCount": len(used),
        "guestVlanTaggingAllowed": bool(row.get("vlan")), "retainNicResources": False, "crossVdcNetworkId": None,
        "parentNetworkId": None, "lastTaskFailureMessage": None, "securityGroups": None,
    }  # fmt: skip


def _subnets(body: Row) -> list[Row]:
    found = []
    for subnet in dig(body, "subnets.values") or []:
        try:
            gateway = ipaddress.ip_interface(f"{subnet['gateway']}/{int(subnet['prefixLength'])}")
        except (KeyError, TypeError, ValueError) as error:
            raise ApiError(400, f"A subnet needs gateway and prefixLength: {error}", "VALIDATION_EXCEPTION") from None
        if gateway.ip in (gateway.network.network_address, gateway.network[-1]) and gateway.network.prefixlen < 31:
            raise ApiError(
                400,
                f"The gateway {gateway} is the address of the network itself, or its broadcast.",
                "VALIDATION_EXCEPTION",
            )
        ranges = []
        for given in (subnet.get("ipRanges") or {}).get("values") or []:
            try:
                low, high = ipaddress.ip_address(given["startAddress"]), ipaddress.ip_address(given["endAddress"])
            except (KeyError, ValueError) as error:
                raise ApiError(400, f"An IP range is not complete: {error}", "VALIDATION_EXCEPTION") from None
            if low not in gateway.network or high not in gateway.network or int(low) > int(high):
                raise ApiError(400, f"The IP range {low} - {high} is not in {gateway.network}.", "VALIDATION_EXCEPTION")
            if int(low) <= int(gateway.ip) <= int(high):
                raise ApiError(
                    400, f"The IP range {low} - {high} has the gateway {gateway.ip} in it.", "VALIDATION_EXCEPTION"
                )
            if any(
                int(ipaddress.ip_address(r["startAddress"])) <= int(high)
                and int(low) <= int(ipaddress.ip_address(r["endAddress"]))
                for r in ranges
            ):
                raise ApiError(400, f"The IP range {low} - {high} overlaps another.", "VALIDATION_EXCEPTION")
            ranges.append({"startAddress": str(low), "endAddress": str(high)})
        for name in ("dnsServer1", "dnsServer2"):
            if subnet.get(name):
                try:
                    ipaddress.ip_address(subnet[name])
                except ValueError:
                    raise ApiError(400, f"{name} {subnet[name]!r} is no address.", "VALIDATION_EXCEPTION") from None
        found.append(
            {
                "gateway": str(gateway.ip),
                "prefixLength": gateway.network.prefixlen,
                "dnsSuffix": subnet.get("dnsSuffix") or "",
                "dnsServer1": subnet.get("dnsServer1") or "",
                "dnsServer2": subnet.get("dnsServer2") or "",
                "ipRanges": {"values": ranges},
            }
        )
    if not found:
        raise ApiError(400, "A network needs a subnet.", "VALIDATION_EXCEPTION")
    versions = [ipaddress.ip_address(s["gateway"]).version for s in found]
    if len(found) > 1 and (versions != [4, 6] or not body.get("enableDualSubnetNetwork")):
        raise ApiError(
            400,
            "A second subnet needs enableDualSubnetNetwork, and is one of IPv6 behind one of IPv4.",
            "VALIDATION_EXCEPTION",
        )
    return found


@route("GET", f"{V1}/orgVdcNetworks")
def networks(request: Request) -> Answer:
    return listed(request, [network_body(request, n) for n in request.cloud.table("network").values()])


@route("GET", f"{V1}/orgVdcNetworks/{{ident}}")
def network(request: Request, ident: str) -> Answer:
    return json_answer(network_body(request, one(request, "network", ident)))


@route("POST", f"{V1}/orgVdcNetworks")
def create_network(request: Request) -> Answer:
    request.right("network.edit")
    cloud = request.cloud
    body = request.json()
    name = text_of(body, "name")
    field = "ownerRef" if body.get("ownerRef") else "orgVdc"
    kind, owner = owner_of(request, body, ("vdc", "vdcGroup"), field)
    if any(n["name"] == name for n in cloud.table("network").values()):
        raise ApiError(400, f"The network name {name} is already in use.", "DUPLICATE_NAME")
    vdc = cloud.get("vdc", owner) if kind == "vdc" else None
    if vdc and vdc["network_quota"] and len(cloud.find("network", owner=owner)) >= vdc["network_quota"]:
        raise ApiError(400, f"The network quota of {vdc['name']} is used up.", "QUOTA_EXCEEDED")
    row = {
        "id": new_id(),
        "kind": "network",
        "name": name,
        "description": text_of(body, "description", 512, False),
        "owner_kind": kind,
        "owner": owner,
        "type": body.get("networkType"),
        "edge": "",
        "connection": "",
        "dhcp": None,
        "bindings": [],
        "subnets": _subnets(body),
        "dual": bool(body.get("enableDualSubnetNetwork")),
        "vlan": bool(body.get("guestVlanTaggingAllowed")),
    }
    locks = []
    if row["type"] == "NAT_ROUTED":
        ident = str(dig(body, "connection.routerRef.id") or "")
        edge = cloud.get("gateway", ident)
        if edge is None:
            raise ApiError(400, f"connection.routerRef {ident!r} is no edge.", "VALIDATION_EXCEPTION")
        if edge["owner"] != owner:
            raise ApiError(
                400,
                f"The edge {edge['name']} is of {reference(cloud, edge['owner_kind'], edge['owner'])['name']},"
                " the network is to be another's.",
                "VALIDATION_EXCEPTION",
            )
        cloud.need_free(edge)
        new = [ipaddress.ip_interface(f"{s['gateway']}/{s['prefixLength']}").network for s in row["subnets"]]
        for other in cloud.find("network", edge=edge["id"]):
            for subnet in other["subnets"]:
                old = ipaddress.ip_interface(f"{subnet['gateway']}/{subnet['prefixLength']}").network
                if any(old.version == n.version and old.overlaps(n) for n in new):
                    raise ApiError(
                        400, f"The subnet overlaps {old} of {other['name']} on the same edge.", "VALIDATION_EXCEPTION"
                    )
        row.update(
            edge=edge["id"],
            connection=dig(body, "connection.connectionTypeValue")
            or dig(body, "connection.connectionType")
            or "INTERNAL",
        )
        locks.append(edge)
    elif row["type"] != "ISOLATED":
        raise ApiError(
            403 if row["type"] in ("OPAQUE", "DIRECT", "IMPORTED") else 400,
            f"networkType {row['type']!r} is not possible.",
        )
    return begin(
        request,
        "orgVdcNetworkCreate",
        f"Creating network {name}({row['id']})",
        row,
        "put row",
        *locks,
        kind="network",
        row=row,
        edge=row["edge"],
    )


@route("PUT", f"{V1}/orgVdcNetworks/{{ident}}")
def edit_network(request: Request, ident: str) -> Answer:
    request.right("network.edit")
    cloud = request.cloud
    row = one(request, "network", ident)
    body = request.json()
    locks = [e for e in [cloud.get("gateway", row["edge"])] if e]
    cloud.need_free(row, *locks)
    subnets = _subnets(body)
    if [(s["gateway"], s["prefixLength"]) for s in subnets] != [
        (s["gateway"], s["prefixLength"]) for s in row["subnets"]
    ]:
        raise ApiError(400, "Gateway and prefix of a network cannot be changed.", "VALIDATION_EXCEPTION")
    name = text_of(body, "name")
    if any(n["name"] == name and n is not row for n in cloud.table("network").values()):
        raise ApiError(400, f"The network name {name} is already in use.", "DUPLICATE_NAME")
    changed = {**row, "name": name, "description": text_of(body, "description", 512, False), "subnets": subnets}
    return begin(
        request,
        "orgVdcNetworkUpdate",
        f"Updating network {name}",
        row,
        "put row",
        *locks,
        kind="network",
        row=changed,
        edge=row["edge"],
    )


@route("DELETE", f"{V1}/orgVdcNetworks/{{ident}}")
def delete_network(request: Request, ident: str) -> Answer:
    request.right("network.edit")
    cloud = request.cloud
    row = one(request, "network", ident)
    locks = [e for e in [cloud.get("gateway", row["edge"])] if e]
    cloud.need_free(row, *locks)
    apps = [a["name"] for a in cloud.table("vapp").values() for n in a["networks"] if n["parent"] == row["id"]]
    if apps:
        raise ApiError(400, f"The network {row['name']} is in use by {', '.join(sorted(apps))}.", "NETWORK_IN_USE")
    if any(bare(m["id"]) == row["id"] for g in cloud.table("firewallGroup").values() for m in g.get("members") or []):
        raise ApiError(400, f"The network {row['name']} is a member of a security group.", "NETWORK_IN_USE")
    return begin(
        request,
        "orgVdcNetworkDelete",
        f"Deleting network {row['name']}",
        row,
        "drop row",
        *locks,
        kind="network",
        ident=row["id"],
        edge=row["edge"],
    )


@route("GET PUT DELETE", f"{V1}/orgVdcNetworks/{{ident}}/dhcp")
def dhcp(request: Request, ident: str) -> Answer:
    row = one(request, "network", ident)
    empty = {
        "enabled": False,
        "mode": "EDGE",
        "leaseTime": 86400,
        "dhcpPools": None,
        "dnsServers": [],
        "ipAddress": None,
    }
    if request.method == "GET":
        return json_answer(row["dhcp"] or empty)
    request.right("network.edit")
    request.cloud.need_free(row)
    if request.method == "DELETE":
        row["dhcp"] = None
        return begin(request, "orgVdcNetworkDhcpDelete", f"Removing DHCP of {row['name']}", row)
    body = request.json()
    mode = body.get("mode") or "EDGE"
    if mode not in ("EDGE", "NETWORK", "RELAY") or (mode == "EDGE" and not row["edge"]):
        raise ApiError(400, f"The DHCP mode {mode} is not possible for {row['name']}.", "VALIDATION_EXCEPTION")
    subnet = ipaddress.ip_interface(f"{row['subnets'][0]['gateway']}/{row['subnets'][0]['prefixLength']}").network
    fixed = (row["subnets"][0].get("ipRanges") or {}).get("values") or []
    for pool in body.get("dhcpPools") or []:
        low, high = (ipaddress.ip_address(str(dig(pool, f"ipRange.{n}"))) for n in ("startAddress", "endAddress"))
        if low not in subnet or high not in subnet or int(low) > int(high):
            raise ApiError(400, f"The DHCP pool {low} - {high} is not in {subnet}.", "VALIDATION_EXCEPTION")
        for given in fixed:
            if int(low) <= int(ipaddress.ip_address(given["endAddress"])) and int(
                ipaddress.ip_address(given["startAddress"])
            ) <= int(high):
                raise ApiError(400, f"The DHCP pool {low} - {high} overlaps the static pool.", "VALIDATION_EXCEPTION")
    if mode == "NETWORK":
        server = ipaddress.ip_address(str(body.get("ipAddress") or "0.0.0.0"))
        if server not in subnet or server == ipaddress.ip_address(row["subnets"][0]["gateway"]):
            raise ApiError(400, f"DHCP in the mode NETWORK needs ipAddress in {subnet}.", "VALIDATION_EXCEPTION")
    if row["bindings"] and not body.get("enabled"):
        raise ApiError(400, f"{row['name']} has DHCP bindings; remove them first.", "VALIDATION_EXCEPTION")
    known = {k: body.get(k) for k in ("enabled", "mode", "ipAddress", "dhcpPools", "dnsServers", "leaseTime")}
    return begin(
        request,
        "orgVdcNetworkDhcpUpdate",
        f"Updating DHCP of {row['name']}",
        row,
        "put row",
        kind="network",
        row={**row, "dhcp": {**empty, **{k: v for k, v in known.items() if v is not None}}},
        edge=row["edge"],
    )


@route("GET POST", f"{V1}/orgVdcNetworks/{{ident}}/dhcp/bindings")
def bindings(request: Request, ident: str) -> Answer:
    row = one(request, "network", ident)
    if request.method == "GET":
        return listed(request, row["bindings"])
    request.right("network.edit")
    request.cloud.need_free(row)
    body = request.json()
    if not row["dhcp"] or not body.get("ipAddress") or not body.get("macAddress"):
        raise ApiError(400, "A binding needs ipAddress, macAddress and a network with DHCP.", "VALIDATION_EXCEPTION")
    check_binding(row, body, row["bindings"])
    made = {**body, "id": new_id(), "version": {"version": 0}}
    changed = {**row, "bindings": [*row["bindings"], made]}
    return begin(
        request,
        "orgVdcNetworkDhcpBindingCreate",
        f"Binding in {row['name']}",
        row,
        "put row",
        kind="network",
        row=changed,
        details=made["id"],
    )


def check_binding(row: Row, body: Row, others: list[Row]) -> None:
    """400 for a binding that DHCP of the network cannot keep."""

    def refuse(text: str) -> ApiError:
        return ApiError(400, text, "VALIDATION_EXCEPTION")

    text_of(body, "name")
    text_of(body, "description", 1024, False)
    dhcp = row["dhcp"] or {}
    if not dhcp.get("enabled") or dhcp.get("mode") == "RELAY":
        raise refuse(f"{row['name']} has no DHCP of its own that is enabled.")
    mac = str(body["macAddress"])
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", mac):
        raise refuse(f"{mac!r} is no MAC address.")
    if body.get("bindingType") not in ("IPV4", "IPV6"):
        raise refuse(f"bindingType {body.get('bindingType')!r} is unknown.")
    try:
        address = ipaddress.ip_address(str(body["ipAddress"]))
    except ValueError:
        raise refuse(f"{body['ipAddress']!r} is no address.") from None
    subnets = [ipaddress.ip_interface(f"{s['gateway']}/{s['prefixLength']}") for s in row["subnets"]]
    if f"IPV{address.version}" != body["bindingType"] or not any(address in s.network for s in subnets):
        raise refuse(f"{address} is in no subnet of {row['name']} for a binding of {body['bindingType']}.")
    if any(address == s.ip for s in subnets) or str(address) == dhcp.get("ipAddress"):
        raise refuse(f"{address} is the gateway's or the DHCP server's.")
    for other in others:
        if str(other["macAddress"]).lower() == mac.lower() or other["ipAddress"] == str(address):
            raise refuse(f"The binding {other['name']} has {mac} or {address} already.")


@route("GET PUT DELETE", f"{V1}/orgVdcNetworks/{{ident}}/dhcp/bindings/{{binding}}")
def binding(request: Request, ident: str, binding: str) -> Answer:
    row = one(request, "network", ident)
    found = next((b for b in row["bindings"] if b["id"] == bare(binding)), None)
    if found is None:
        raise ApiError(403, "No such binding.")
    if request.method == "GET":
        return json_answer(found)
    request.right("network.edit")
    request.cloud.need_free(row)
    rest = [b for b in row["bindings"] if b is not found]
    if request.method == "PUT":
        body = request.json()
        same_version(body, found)
        check_binding(row, body, rest)
        rest.append({**body, "id": found["id"], "version": {"version": found["version"]["version"] + 1}})
    return begin(
        request,
        "orgVdcNetworkDhcpBindingUpdate",
        f"Binding in {row['name']}",
        row,
        "put row",
        kind="network",
        row={**row, "bindings": rest},
    )


def same_version(body: Row, row: Row) -> None:
    """409 when somebody changed it since it was read."""
    if dig(body, "version.version") != row["version"]["version"]:
        raise ApiError(
            409,
            f"The version {dig(body, 'version.version')} is not the present one, {row['version']['version']}.",
            "CONCURRENT_MODIFICATION",
        )


# IP sets, security groups


def contexts(cloud: Cloud, row: Row) -> list[str]:
    """The URNs under which a group or profile is listed: its owner, and the edges or VDCs of that."""
    found = [urn(row["owner_kind"], row["owner"])]
    group = cloud.get("vdcGroup", row["owner"]) if row["owner_kind"] == "vdcGroup" else None
    if group:
        found += [urn("vdc", v) for v in group["vdcs"]]
        found += [urn("gateway", e["id"]) for e in cloud.table("gateway").values() if e["owner"] == group["id"]]
    if row["owner_kind"] == "vdc":
        found += [urn("gateway", e["id"]) for e in cloud.table("gateway").values() if e["owner"] == row["owner"]]
    return found


def group_body(request: Request, row: Row) -> Row:
    """An IP set or group."""
    cloud = request.cloud
    return {
        "id": urn("firewallGroup", row["id"]),
        "name": row["name"],
        "description": row["description"],
        "typeValue": row["type"],
        "type": row["type"],
        "ownerRef": reference(cloud, row["owner_kind"], row["owner"]),
        "edgeGatewayRef": None,
        "ipAddresses": row["ipAddresses"],
        "members": row["members"],
        "vmCriteria": row["vmCriteria"],
        "orgRef": None,
        "networkProviderScope": "",
        "status": "REALIZED",
        "_contexts": contexts(cloud, row),
    }


def listed_in_context(request: Request, rows: Iterable[Row], what: str) -> Answer:
    """A page of what belongs to the _context of the filter."""
    expression = urllib.parse.unquote(request.query.get("filter", ""))
    asked = re.findall(r"_context==([^;,()]+)", expression)
    if not asked and "ownerRef.id==" in expression:  # what VMware's client asks for a VDC group's
        return listed(request, rows)
    if not asked:
        raise ApiError(400, f"A filter with _context is mandatory for {what}.", "INVALID_FILTER")
    found = [r for r in rows if not r["_contexts"] or any(bare(c) == bare(a) for c in r["_contexts"] for a in asked)]
    rest = [p for p in re.split(";", expression) if not p.strip("()").startswith("_context==")]
    request.query["filter"] = ";".join(rest)
    return listed(request, found)


def _addresses(values: Any) -> list[str]:
    found = []
    for value in values or []:
        text = str(value)
        try:
            if "-" in text:
                low, high = (ipaddress.ip_address(p.strip()) for p in text.split("-"))
                if low.version != high.version or int(low) > int(high):
                    raise ValueError
            elif "/" in text:
                ipaddress.ip_network(text, strict=False)
            else:
                ipaddress.ip_address(text)
        except ValueError:
            raise ApiError(400, f"{text!r} is no address, CIDR or range.", "VALIDATION_EXCEPTION") from None
        found.append(text)
    return found


def _group(request: Request, body: Row, before: Row | None = None) -> Row:
    cloud = request.cloud
    kind, owner = owner_of(
        request, body, ("gateway", "vdcGroup", "vdc"), "ownerRef" if body.get("ownerRef") else "edgeGatewayRef"
    )
    typed = body.get("typeValue") or body.get("type")
    if typed not in ("IP_SET", "SECURITY_GROUP", "VM_CRITERIA", "STATIC_MEMBERS"):
        raise ApiError(400, f"typeValue {typed!r} is unknown.", "VALIDATION_EXCEPTION")
    name = text_of(body, "name")
    for other in cloud.table("firewallGroup").values():
        if other is not before and (other["name"], other["type"], other["owner"]) == (name, typed, owner):
            raise ApiError(400, f"The name {name} is already that of another {typed}.", "DUPLICATE_NAME")
    members = body.get("members") or []
    for member in members:
        if cloud.get("network", str(member.get("id"))) is None:
            raise ApiError(400, f"The member {member.get('id')} is no network.", "VALIDATION_EXCEPTION")
    criteria = body.get("vmCriteria") or []
    if len(criteria) > 3 or any(len(c.get("rules") or []) > 4 for c in criteria):
        raise ApiError(400, "At most 3 criteria with 4 rules each.", "VALIDATION_EXCEPTION")
    addresses = _addresses(body.get("ipAddresses"))
    if (typed == "IP_SET" and (members or criteria)) or (typed != "IP_SET" and addresses):
        raise ApiError(400, f"A {typed} cannot have those members.", "VALIDATION_EXCEPTION")
    return {
        "id": before["id"] if before else new_id(),
        "kind": "firewallGroup",
        "name": name,
        "type": typed,
        "owner_kind": kind,
        "owner": owner,
        "description": text_of(body, "description", 4096, False),
        "ipAddresses": addresses or None,
        "members": [reference(cloud, "network", bare(m["id"])) for m in members] or None,
        "vmCriteria": criteria or None,
    }


@route("GET", f"{V1}/firewallGroups/summaries")
def group_summaries(request: Request) -> Answer:
    rows = [group_body(request, g) for g in request.cloud.table("firewallGroup").values()]
    keep = ("id", "name", "description", "typeValue", "type", "ownerRef", "status", "_contexts")
    return listed_in_context(request, [{k: r[k] for k in keep} for r in rows], "firewallGroups")


@route("POST", f"{V1}/firewallGroups")
def create_group(request: Request) -> Answer:
    request.right("group.edit")
    row = _group(request, request.json())
    return begin(
        request,
        "firewallGroupCreate",
        f"Creating {row['type']} {row['name']}",
        row,
        "put row",
        kind="firewallGroup",
        row=row,
    )


@route("GET PUT DELETE", f"{V1}/firewallGroups/{{ident}}")
def group(request: Request, ident: str) -> Answer:
    row = one(request, "firewallGroup", ident)
    if request.method == "GET":
        body = group_body(request, row)
        body.pop("_contexts")
        return json_answer(body)
    request.right("group.edit")
    request.cloud.need_free(row)
    if request.method == "PUT":
        return begin(
            request,
            "firewallGroupUpdate",
            f"Updating {row['name']}",
            row,
            "put row",
            kind="firewallGroup",
            row=_group(request, request.json(), row),
        )
    used = rules_with(request.cloud, urn("firewallGroup", row["id"]))
    if used:
        raise ApiError(400, f"{row['name']} is in use by the rule {used[0]}.", "FIREWALL_GROUP_IN_USE")
    return begin(
        request,
        "firewallGroupDelete",
        f"Deleting {row['name']}",
        row,
        "drop row",
        kind="firewallGroup",
        ident=row["id"],
    )


def rules_with(cloud: Cloud, ident: str) -> list[str]:
    """Names of rules that refer to a group or profile."""
    found = []
    rules = [r for e in cloud.table("gateway").values() for r in e["firewall"]]
    rules += [r for g in cloud.table("vdcGroup").values() for r in g["dfw_rules"] or []]
    for rule in rules:
        for field in ("sourceFirewallGroups", "destinationFirewallGroups", "applicationPortProfiles"):
            if any(bare(r["id"]) == bare(ident) for r in rule.get(field) or []):
                found.append(rule["name"])
    for edge in cloud.table("gateway").values():
        found += [n["name"] for n in edge["nat"] if bare(dig(n, "applicationPortProfile.id") or "x") == bare(ident)]
    return found


@route("GET", f"{V1}/firewallGroups/{{ident}}/associatedVMs")
def associated(request: Request, ident: str) -> Answer:
    cloud = request.cloud
    row = one(request, "firewallGroup", ident)
    wanted = {bare(m["id"]) for m in row["members"] or []}
    found = []
    for vm in cloud.table("vm").values():
        vapp = cloud.get("vapp", vm["parent"])
        if not vapp:
            continue
        parents = {n["name"]: n["parent"] for n in vapp["networks"]}
        hit = any(parents.get(n["network"]) in wanted for n in vm["nics"] if parents.get(n["network"]))
        for criterion in row["vmCriteria"] or []:
            hit = hit or all(meets(cloud, vm, r) for r in criterion.get("rules") or [])
        if hit:
            found.append(
                {
                    "id": urn("vm", vm["id"]),
                    "name": vm["name"],
                    "vappRef": reference(cloud, "vapp", vapp["id"]),
                    "vdcRef": reference(cloud, "vdc", vapp["vdc"]),
                }
            )
    return listed(request, found)


def meets(cloud: Cloud, vm: Row, rule: Row) -> bool:
    """Whether a VM meets a rule of a criterion."""
    tags = [t for t, vms in cloud.table("tag").items() if vm["id"] in vms["vms"]]
    values = [vm["name"]] if rule.get("attributeType") == "VM_NAME" else tags
    wanted = str(rule.get("attributeValue", ""))
    tests: dict[str, Callable[[str], bool]] = {
        "EQUALS": lambda v: v == wanted, "CONTAINS": lambda v: wanted in v,
        "STARTS_WITH": lambda v: v.startswith(wanted), "ENDS_WITH": lambda v: v.endswith(wanted),
    }  # fmt: skip
    return any(tests.get(str(rule.get("operator")), lambda v: False)(v) for v in values)


# port profiles


def profile_body(request: Request, row: Row) -> Row:
    """An application port profile."""
    cloud = request.cloud
    return {
        "id": urn("applicationPortProfile", row["id"]),
        "name": row["name"],
        "description": row["description"],
        "scope": row["scope"],
        "applicationPorts": row["applicationPorts"],
        "orgRef": reference(cloud, "org", row["org"]) if row["scope"] == "TENANT" else None,
        "contextEntityId": urn(row["owner_kind"], row["owner"]) if row["owner"] else None,
        "usableForNAT": True,
        "_contexts": contexts(cloud, row) if row["owner"] else [],
    }


def _profile(request: Request, body: Row, before: Row | None = None) -> Row:
    cloud = request.cloud
    ident = str(body.get("contextEntityId") or "")
    kind = kind_of(ident)
    if kind not in ("vdc", "vdcGroup") or cloud.get(kind, ident) is None or body.get("scope") != "TENANT":
        raise ApiError(
            400, "A profile needs scope TENANT and a VDC or group as contextEntityId.", "VALIDATION_EXCEPTION"
        )
    name = text_of(body, "name")
    for other in cloud.table("applicationPortProfile").values():
        if other is not before and other["name"] == name and other["owner"] == bare(ident):
            raise ApiError(400, f"The name {name} is already that of another profile.", "DUPLICATE_NAME")
    ports = []
    for port in body.get("applicationPorts") or []:
        if port.get("protocol") not in ("TCP", "UDP", "ICMPv4", "ICMPv6"):
            raise ApiError(400, f"The protocol {port.get('protocol')!r} is unknown.", "VALIDATION_EXCEPTION")
        numbers = port.get("destinationPorts") or []
        for text in numbers:
            found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(text))
            if not found or int(found[1]) > 65535 or (found[2] and not int(found[1]) <= int(found[2]) <= 65535):
                raise ApiError(400, f"{text!r} is no port or range of ports.", "VALIDATION_EXCEPTION")
        if len(numbers) > 15:
            raise ApiError(400, "A profile has at most 15 ports each protocol.", "VALIDATION_EXCEPTION")
        ports.append(
            {"name": port.get("name"), "protocol": port["protocol"], "destinationPorts": [str(n) for n in numbers]}
        )
    if not ports:
        raise ApiError(400, "A profile needs applicationPorts.", "VALIDATION_EXCEPTION")
    return {
        "id": before["id"] if before else new_id(),
        "kind": "applicationPortProfile",
        "name": name,
        "scope": "TENANT",
        "owner_kind": kind,
        "owner": bare(ident),
        "org": next(iter(cloud.table("org"))),
        "description": text_of(body, "description", 4096, False),
        "applicationPorts": ports,
    }


@route("GET POST", f"{V1}/applicationPortProfiles")
def profiles(request: Request) -> Answer:
    if request.method == "GET":
        rows = [profile_body(request, p) for p in request.cloud.table("applicationPortProfile").values()]
        if (
            "scope==SYSTEM" in urllib.parse.unquote(request.query.get("filter", ""))
            and "_context" not in request.query["filter"]
        ):
            for row in rows:
                row.pop("_contexts")
            return listed(request, rows)
        return listed_in_context(request, rows, "applicationPortProfiles")
    request.right("group.edit")
    row = _profile(request, request.json())
    return begin(
        request,
        "applicationPortProfileCreate",
        f"Creating {row['name']}",
        row,
        "put row",
        kind="applicationPortProfile",
        row=row,
    )


@route("GET PUT DELETE", f"{V1}/applicationPortProfiles/{{ident}}")
def profile(request: Request, ident: str) -> Answer:
    row = one(request, "applicationPortProfile", ident)
    if request.method == "GET":
        body = profile_body(request, row)
        body.pop("_contexts")
        return json_answer(body)
    request.right("group.edit")
    request.cloud.need_free(row)
    if row["scope"] != "TENANT":
        raise ApiError(403, f"{row['name']} is the system's.")
    if request.method == "PUT":
        return begin(
            request,
            "applicationPortProfileUpdate",
            f"Updating {row['name']}",
            row,
            "put row",
            kind="applicationPortProfile",
            row=_profile(request, request.json(), row),
        )
    used = rules_with(request.cloud, urn("applicationPortProfile", row["id"]))
    if used:
        raise ApiError(400, f"{row['name']} is in use by the rule {used[0]}.", "APPLICATION_PORT_PROFILE_IN_USE")
    return begin(
        request,
        "applicationPortProfileDelete",
        f"Deleting {row['name']}",
        row,
        "drop row",
        kind="applicationPortProfile",
        ident=row["id"],
    )
