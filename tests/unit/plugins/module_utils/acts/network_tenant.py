# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small tenant with a network, as an estate and a plan: two web servers and a database move, one server stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import emit

ORG, VDC, EDGE = "cav01ev01ocb0001234", "acme-vdc", "tn01e02ocb0001234spt101"
PUBLIC = {"203.0.113.7": "198.51.100.10"}
OUTBOUND = "198.51.100.11"
SERVERS = {
    "web-1": ("front", "10.1.0.10", ["web"]),
    "web-2": ("front", "10.1.0.11", ["web"]),
    "db-1": ("back", "10.2.0.20", ["db"]),
    "stays": ("front", "10.1.0.99", ["web"]),
}


def _rule(identity: str, **more: Any) -> e.Rule:
    return e.Rule(identity, **{"protocol": "tcp", **more})


def estate(**changed: Any) -> e.Estate:
    """What was read of the tenant."""
    out = [e.Rule(f"out-{n}", direction="egress", ethertype=family) for n, family in enumerate(("IPv4", "IPv6"))]
    made = e.Estate(
        kind=e.KIND,
        version=e.VERSION,
        tenant=e.Tenant(project_id="p1"),
        read=dict.fromkeys(kinds.KINDS, "complete"),
        servers=[e.Server(f"server-{name}", name, ports=[f"port-{name}"]) for name in SERVERS],
        ports=[
            *(
                e.Port(
                    f"port-{name}",
                    network_id=f"net-{net}",
                    mac=f"fa:16:3e:00:00:{number:02x}",
                    device_id=f"server-{name}",
                    device_owner="compute:nova",
                    fixed_ips=[e.FixedIp(address, f"subnet-{net}")],
                    security_groups=groups,
                )
                for number, (name, (net, address, groups)) in enumerate(SERVERS.items())
            ),
            *(
                e.Port(
                    f"router-{net}",
                    network_id=f"net-{net}",
                    device_id="router",
                    device_owner="network:router_interface",
                    fixed_ips=[e.FixedIp(address, f"subnet-{net}")],
                )
                for net, address in (("front", "10.1.0.1"), ("back", "10.2.0.1"))
            ),
        ],
        networks=[e.Network(f"net-{name}", name) for name in ("front", "back")],
        subnets=[
            e.Subnet("subnet-front", network_id="net-front", cidr="10.1.0.0/24", gateway="10.1.0.1", dns=["9.9.9.9"]),
            e.Subnet("subnet-back", network_id="net-back", cidr="10.2.0.0/24", gateway="10.2.0.1"),
        ],
        security_groups=[
            e.SecurityGroup(
                "web",
                "web",
                rules=[
                    _rule("r80", port_min=80, port_max=80),
                    _rule("r443", port_min=443, port_max=443, remote_cidr="192.0.2.0/24"),
                    *out,
                ],
            ),
            e.SecurityGroup(
                "db", "db", rules=[_rule("r5432", port_min=5432, port_max=5440, remote_group_id="web"), out[0]]
            ),
        ],
        floating_ips=[
            e.FloatingIp("fip-1", "203.0.113.7", port_id="port-web-1", fixed_address="10.1.0.10"),
            e.FloatingIp("fip-2", "203.0.113.8", port_id="port-stays", fixed_address="10.1.0.99"),
        ],
        resources={
            "routers": [e.Resource("router", "edge", properties={"external_gateway_info": {"network_id": "ext"}})]
        },
    )
    return replace(made, **changed)


VIP = "10.1.0.5"


def balancer(**changed: Any) -> dict[str, list[e.Resource]]:
    """A load balancer of Octavia before the web servers, and the router. changed: kinds in place of these."""

    def one(identity: str, parent: str = "", name: str = "", **about: Any) -> e.Resource:
        return e.Resource(identity, name, parent=parent, properties=about)

    return {
        **estate().resources,
        "load_balancers": [one("lb1", name="shop", vip_address=VIP, vip_port_id="vip", admin_state_up=True)],
        "lb_listeners": [
            one("li80", "lb1", "plain", protocol="HTTP", protocol_port=80, default_pool_id="po1"),
            one("li8443", "lb1", "through", protocol="HTTPS", protocol_port=8443, default_pool_id="po1"),
        ],
        "lb_pools": [one("po1", "lb1", "webs", protocol="HTTP", lb_algorithm="SOURCE_IP", healthmonitor_id="hm1")],
        "lb_members": [
            one(f"m{number}", "po1", address=address, protocol_port=80, weight=weight)
            for number, (address, weight) in enumerate((("10.1.0.10", 2), ("10.1.0.11", 4)))
        ],
        "lb_health_monitors": [one("hm1", "po1", type="HTTP", url_path="/", expected_codes="200")],
        **changed,
    }


def plan(read: e.Estate, **changed: Any) -> plans.Plan:
    """Its plan."""
    workloads = {}
    for number, (name, (net, address, _groups)) in enumerate(SERVERS.items()):
        source = plans.Source(id=f"server-{name}", name=name)
        if name == "stays":
            workloads[name] = plans.Workload(source=source, move="none", reason="it stays")
            continue
        nic = plans.Nic(
            port=f"port-{name}", mac=f"fa:16:3e:00:00:{number:02x}", network=f"net-{net}", addresses=[address]
        )
        workloads[name] = plans.Workload(
            source=source,
            move="cold",
            name=name,
            group="all",
            reader="reader-1",
            disks=[plans.Disk(volume=f"volume-{name}", size_gib=1, boot=True)],
            nics=[nic],
        )
    made = plans.Plan(
        plugin=plans.PLUGIN,
        version=plans.VERSION,
        tenant=plans.Tenant(name="acme", project_id="p1"),
        target=plans.Target(type="vcd", org=ORG, vdc=VDC),
        estate=plans.EstateRef(file="acme.estate.json", digest=read.digest()),
        readers={"reader-1": plans.Reader(server_id="reader")},
        networks={f"net-{name}": plans.NetworkMap(name=name, target=name) for name in ("front", "back")},
        edge=plans.Edge(name=EDGE, public=dict(PUBLIC), outbound=OUTBOUND),
        waves={"wave_1": plans.Wave(groups=["all"])},
        workloads=workloads,
    )
    return plans.load(schema.dump(replace(made, **changed)))


def write(folder: Any, read: e.Estate, planned: plans.Plan) -> None:
    """Both as the files `acme.estate.json` and `acme.plan.yml`."""
    (folder / "acme.estate.json").write_text(e.to_text(read), encoding="utf-8")
    (folder / "acme.plan.yml").write_text(emit.to_text(planned), encoding="utf-8")
