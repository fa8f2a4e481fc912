# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small tenants to be retired, in the lab's real services: fifty and more objects of all kinds in a project of its own.

No guest of their servers runs. Each has three users: `operator` (member: may do everything in its project), `reader`
(may read and nothing else) and `purge` (member, another person).
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .openstack import config
from .openstack.rest import Api
from .paths import Instance, wait_for

USERS = {
    "operator": ("member", "reader", "load-balancer_member"),
    "reader": ("reader",),
    "purge": ("member", "reader", "load-balancer_member"),
}
HOSTILE = "{{ 7*7 }} <b>'\"$(id)\\ é"


@dataclass
class Tenant:
    """A project and what was made in it. ids: by kind of the estate."""

    instance: Instance
    name: str
    project_id: str
    api: Api
    ids: dict[str, list[str]] = field(default_factory=dict)

    def auth(self, user: str = "operator") -> dict[str, str]:
        """The log-in of one of USERS, as openstacksdk takes it."""
        return {
            "auth_url": config.endpoint_url(self.instance, "public", "keystone", "/v3"),
            "username": f"{self.name}-{user}",
            "password": password(self.name, user),
            "project_name": self.name,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }

    def add(self, kind: str, ident: str) -> str:
        """Remember an object."""
        self.ids.setdefault(kind, []).append(ident)
        return ident

    def count(self) -> int:
        """How many objects there are."""
        return sum(map(len, self.ids.values()))


def password(name: str, user: str) -> str:
    """The password of a tenant's user."""
    return f"{name}-{user}-password"


def project(instance: Instance, name: str) -> Tenant:
    """An empty project with its three users; one of the name that is there is taken as it is."""
    admin = Api(instance)
    known = admin.get("identity", "/projects", name=name)["projects"]
    body: dict[str, Any] = {"project": {"name": name, "domain_id": "default"}}
    ident = str(known[0]["id"] if known else admin.post("identity", "/projects", body)["project"]["id"])
    roles = {role["name"]: role["id"] for role in admin.get("identity", "/roles")["roles"]}
    for user, granted in USERS.items():
        full = f"{name}-{user}"
        there = admin.get("identity", "/users", name=full)["users"]
        body = {"user": {"name": full, "password": password(name, user), "domain_id": "default"}}
        user_id = there[0]["id"] if there else admin.post("identity", "/users", body)["user"]["id"]
        for role in granted:
            admin.put("identity", f"/projects/{ident}/users/{user_id}/roles/{roles[role]}")
    api = Api(instance, f"{name}-operator", password(name, "operator"), name)
    api.get("identity", "/auth/projects")
    return Tenant(instance, name, ident, api)


def make(instance: Instance, name: str = "retire", seed: int = 0, servers: int = 5) -> Tenant:
    """A tenant with a mix of objects: the same for the same seed, but for ids. Takes some seconds a server."""
    tenant = project(instance, name)
    with no_guests(instance):
        _Making(tenant, random.Random(seed), servers).run()
    return tenant


def few(instance: Instance, name: str, chance: random.Random, parts: Sequence[str] = ()) -> Tenant:
    """A tenant with a handful of objects: a network with a port and a group, and parts of `_Making.few`, or some."""
    tenant = project(instance, name)
    with no_guests(instance):
        _Making(tenant, chance, 0).few(parts)
    return tenant


def many(instance: Instance, name: str, objects: int) -> Tenant:
    """A tenant with about so many objects of many kinds."""
    tenant = project(instance, name)
    with no_guests(instance):
        _Making(tenant, random.Random(0), 0).many(objects)
    return tenant


@contextlib.contextmanager
def no_guests(instance: Instance) -> Iterator[None]:
    """While servers are made, the hypervisor starts nothing."""
    hold = instance.data / "nova" / "instances" / "hold"
    hold.parent.mkdir(parents=True, exist_ok=True)
    hold.touch()
    try:
        yield
    finally:
        hold.unlink(missing_ok=True)


class _Making:
    def __init__(self, tenant: Tenant, chance: random.Random, servers: int) -> None:
        self.tenant = tenant
        self.api = tenant.api
        self.chance = chance
        self.servers = servers
        self.reached: set[str] = set()
        """Subnets that the router leads to."""
        self.volumes = f"/{tenant.project_id}/volumes"
        self.flavors = {f["name"]: f["id"] for f in self.api.get("compute", "/flavors")["flavors"]}
        self.external = self.api.get("network", "/networks", name="external")["networks"][0]["id"]

    def run(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            image = pool.submit(self.image, "golden")
            nets = list(pool.map(self.network, range(3)))
            groups = list(pool.map(self.group, range(3)))
            self.router(nets)
            plans = [(n, self.chance.randrange(3), self.chance.random() < 0.5) for n in range(self.servers)]
            made = list(pool.map(lambda plan: self.server(*plan, nets, groups), plans))
            rest = [
                pool.submit(self.balancer, nets[0][1]),
                pool.submit(self.stores),
                pool.submit(self.firewall),
                pool.submit(self.secret),
                pool.submit(self.addresses, [port for dummy, port in made]),
                *(pool.submit(self.snapshot, volume) for volume in self.tenant.ids["volumes"][:4]),
                *(pool.submit(self.volume, f"spare-{number}") for number in range(3)),
                pool.submit(self.server_group),
                pool.submit(self.port, nets[2], groups[0], HOSTILE),
            ]
            for one in (image, *rest):
                one.result()

    def few(self, parts: Sequence[str]) -> None:
        net, group = self.network(0), self.group(0)
        port = self.port(net, group, HOSTILE)

        def disk() -> None:
            self.snapshot(self.volume("disk"))

        def reached() -> None:
            self.router([net])
            self.addresses([port])

        making: dict[str, Callable[[], Any]] = {
            "disk": disk,
            "router": reached,
            "volume": lambda: self.volume("spare"),
            "server": lambda: self.server(0, 0, self.chance.random() < 0.5, [net], [group]),
            "image": lambda: self.image("golden"),
            "store": lambda: store(self.tenant, "a b é"),
            "server_group": self.server_group,
            "firewall": self.firewall,
            "secret": self.secret,
            "balancer": lambda: self.balancer(net[1]),
        }
        for part in parts or self.chance.sample(sorted(making), 3):
            making[part]()

    def many(self, objects: int) -> None:
        def share(percent: float) -> range:
            return range(max(1, round(objects * percent / 100)))

        with ThreadPoolExecutor(4) as pool:
            nets = list(pool.map(self.network, share(4)))
            groups = list(pool.map(self.group, share(20)))
            self.router(nets)
            servers = [pool.submit(self.server, n, n % len(nets), False, nets, groups) for n in share(2)]
            ports = [pool.submit(self.port, nets[n % len(nets)], groups[n % len(groups)], f"p-{n}") for n in share(24)]
            volumes = [pool.submit(self.volume, f"volume-{n}") for n in share(18)]
            rest = [pool.submit(self.snapshot, volumes[n].result()) for n in share(8)]
            rest += [pool.submit(store, self.tenant, f"store-{n}", 5) for n in share(4)]
            rest += [pool.submit(self.image, f"image-{n}") for n in share(3)]
            rest += [pool.submit(self.secret) for dummy in share(2)]
            rest += [pool.submit(self.addresses, []) for dummy in share(6)]
            rest += [pool.submit(self.balancer, nets[0][1]), pool.submit(self.firewall), pool.submit(self.server_group)]
            for one in (*servers, *ports, *rest):
                one.result()

    def network(self, number: int) -> tuple[str, str]:
        name = f"net-{number}"
        network = str(self.api.post("network", "/networks", {"network": {"name": name}})["network"]["id"])
        body = {
            "network_id": network,
            "name": name,
            "ip_version": 4,
            "cidr": f"10.{50 + number // 256}.{number % 256}.0/24",
        }
        subnet = str(self.api.post("network", "/subnets", {"subnet": body})["subnet"]["id"])
        self.tenant.add("networks", network)
        return network, self.tenant.add("subnets", subnet)

    def router(self, nets: list[tuple[str, str]]) -> str:
        body = {"router": {"name": "main", "external_gateway_info": {"network_id": self.external}}}
        router = str(self.api.post("network", "/routers", body)["router"]["id"])
        for dummy, subnet in nets[:2]:
            self.api.put("network", f"/routers/{router}/add_router_interface", {"subnet_id": subnet})
            self.reached.add(subnet)
        return self.tenant.add("routers", router)

    def group(self, number: int) -> str:
        body = {"security_group": {"name": f"group-{number}"}}
        group = str(self.api.post("network", "/security-groups", body)["security_group"]["id"])
        rule = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp"}
        rules = [{**rule, "port_range_min": port, "port_range_max": port} for port in (22, 443)]
        self.api.post("network", "/security-group-rules", {"security_group_rules": rules})
        return self.tenant.add("security_groups", group)

    def port(self, net: tuple[str, str], group: str, name: str) -> str:
        body = {"network_id": net[0], "name": name, "security_groups": [group]}
        return self.tenant.add("ports", str(self.api.post("network", "/ports", {"port": body})["port"]["id"]))

    def volume(self, name: str, **more: Any) -> str:
        body = {"name": name, "size": 1, "volume_type": "standard", **more}
        ident = str(self.api.post("volume", self.volumes, {"volume": body})["volume"]["id"])
        self.api.wait_status("volume", f"{self.volumes}/{ident}", "volume", "available")
        return self.tenant.add("volumes", ident)

    def snapshot(self, volume: str) -> str:
        path = f"/{self.tenant.project_id}/snapshots"
        body = {"snapshot": {"name": "before", "volume_id": volume, "force": True}}
        ident = str(self.api.post("volume", path, body)["snapshot"]["id"])
        self.api.wait_status("volume", f"{path}/{ident}", "snapshot", "available")
        return self.tenant.add("snapshots", ident)

    def server(
        self, number: int, net: int, second: bool, nets: list[tuple[str, str]], groups: list[str]
    ) -> tuple[str, str]:
        name = HOSTILE if number == 0 else f"server-{number}"
        boot = self.volume(f"{name}-root"[:200])
        self.api.post("volume", f"{self.volumes}/{boot}/action", {"os-set_bootable": {"bootable": True}})
        disks = [boot, *([self.volume(f"{name}-data"[:200])] if second else [])]
        port = self.port(nets[net], groups[net], f"port of {number}")
        mapping = {"source_type": "volume", "destination_type": "volume", "delete_on_termination": False}
        body = {
            "name": name,
            "flavorRef": self.flavors["s3.small.1"],
            "networks": [{"port": port}],
            "block_device_mapping_v2": [
                {**mapping, "uuid": disk, "boot_index": 0 if index == 0 else -1} for index, disk in enumerate(disks)
            ],
        }
        ident = str(self.api.post("compute", "/servers", {"server": body})["server"]["id"])
        self.api.wait_status("compute", f"/servers/{ident}", "server", "ACTIVE")
        return self.tenant.add("servers", ident), port

    def addresses(self, ports: list[str]) -> None:
        inside = set()
        for port in ports:
            subnet = self.api.get("network", f"/ports/{port}")["port"]["fixed_ips"][0]["subnet_id"]
            if subnet in self.reached:
                inside.add(port)
        # a port in a subnet that the router does not reach takes none
        for port in (*(port for port in ports if port in inside), None):
            if port is not None and len(self.tenant.ids.get("floating_ips", [])) == 2:
                continue
            body = {"floating_network_id": self.external} | ({"port_id": port} if port else {})
            made = self.api.post("network", "/floatingips", {"floatingip": body})
            self.tenant.add("floating_ips", str(made["floatingip"]["id"]))

    def image(self, name: str) -> str:
        body = {"name": name, "disk_format": "raw", "container_format": "bare", "min_disk": 1, "protected": True}
        image = str(self.api.post("image", "/images", body)["id"])
        headers = {"Content-Type": "application/octet-stream"}
        self.api.put("image", f"/images/{image}/file", b"an image".ljust(4096), headers=headers)
        return self.tenant.add("images", image)

    def server_group(self) -> str:
        body = {"server_group": {"name": "apart", "policy": "soft-anti-affinity"}}
        made = self.api.post("compute", "/os-server-groups", body)
        return self.tenant.add("server_groups", str(made["server_group"]["id"]))

    def balancer(self, subnet: str) -> None:
        def made(path: str, key: str, body: dict[str, Any]) -> str:
            ident = str(self.api.post("load-balancer", path, {key: body})[key]["id"])
            self.settled(balancer or ident)
            return ident

        balancer = ""
        balancer = self.tenant.add(
            "load_balancers", made("/lbaas/loadbalancers", "loadbalancer", {"name": "shop", "vip_subnet_id": subnet})
        )
        body = {"name": "http", "protocol": "HTTP", "protocol_port": 80, "loadbalancer_id": balancer}
        listener = self.tenant.add("lb_listeners", made("/lbaas/listeners", "listener", body))
        body = {"name": "web", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "listener_id": listener}
        pool = self.tenant.add("lb_pools", made("/lbaas/pools", "pool", body))
        for number in (1, 2):
            body = {"address": f"10.50.0.{200 + number}", "protocol_port": 8080, "subnet_id": subnet}
            self.tenant.add("lb_members", made(f"/lbaas/pools/{pool}/members", "member", body))
        body = {"pool_id": pool, "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
        self.tenant.add("lb_health_monitors", made("/lbaas/healthmonitors", "healthmonitor", body))
        body = {"listener_id": listener, "action": "REJECT", "name": "no"}
        self.tenant.add("lb_l7_policies", made("/lbaas/l7policies", "l7policy", body))

    def settled(self, balancer: str) -> None:
        path = f"/lbaas/loadbalancers/{balancer}"
        wait_for(
            lambda: self.api.get("load-balancer", path)["loadbalancer"]["provisioning_status"] == "ACTIVE",
            60,
            f"{path} to settle",
            every=0.1,
        )

    def firewall(self) -> None:
        body: dict[str, Any] = {"name": "deny", "action": "deny", "protocol": "tcp"}
        rule = str(self.api.post("network", "/fwaas/firewall_rules", {"firewall_rule": body})["firewall_rule"]["id"])
        body = {"firewall_policy": {"name": "edge", "firewall_rules": [rule]}}
        policy = str(self.api.post("network", "/fwaas/firewall_policies", body)["firewall_policy"]["id"])
        body = {"firewall_group": {"name": "edge", "ingress_firewall_policy_id": policy}}
        group = str(self.api.post("network", "/fwaas/firewall_groups", body)["firewall_group"]["id"])
        for kind, ident in (("firewall_rules", rule), ("firewall_policies", policy), ("firewall_groups", group)):
            self.tenant.add(kind, ident)

    def secret(self) -> str:
        body = {"name": "password", "payload": "x", "payload_content_type": "text/plain"}
        made = self.api.post("key-manager", "/secrets", body)
        return self.tenant.add("secrets", str(made["secret_ref"]).rpartition("/")[2])

    def stores(self) -> None:
        for name in ("files", "a b é"):
            store(self.tenant, name)


def store(tenant: Tenant, name: str, objects: int = 3) -> str:
    """A container with some objects, that anybody may read."""
    import urllib.parse
    import urllib.request

    root = config.endpoint_url(tenant.instance, "public", "swift", f"/v1/AUTH_{tenant.project_id}")
    where = f"{root}/{urllib.parse.quote(name, safe='')}"
    urls = [(where, b""), *((f"{where}/{urllib.parse.quote(f'object {n} {{é}}')}", b"x" * 100) for n in range(objects))]
    for url, content in urls:
        headers = {"X-Auth-Token": tenant.api.token(), "X-Container-Read": ".r:*,.rlistings"}
        request = urllib.request.Request(url, data=content, method="PUT", headers=headers)
        with urllib.request.urlopen(request, timeout=60):
            pass
    return tenant.add("containers", name)
