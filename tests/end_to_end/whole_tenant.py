# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the seeded tenant lacks, made by its user through the services' APIs: at least one object of every kind."""

from __future__ import annotations

import base64
import http.client
import uuid
from typing import Any
from urllib.parse import quote

from tests.lab import seed
from tests.lab.openstack import database
from tests.lab.openstack.rest import Api
from tests.lab.openstack.schema import TENANT_USERS
from tests.lab.paths import HOST, Instance, wait_for

HOSTILE = "a b'\"{{ 7*7 }}/../é<script>alert(1)</script>"
FORMULA = '=HYPERLINK("http://evil.example")'
SECRET = "what nobody may read"


def user(instance: Instance, name: str, project: str) -> Api:
    """A tenant's user, logged in."""
    api = Api(instance, name, TENANT_USERS[name][0], project)
    api.get("identity", "/auth/projects")
    return api


class Whole:
    """Makes the objects. `made`: their ids by kind."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.api = user(instance, seed.OPERATOR, seed.TENANT)
        self.made: dict[str, set[str]] = {}

    def all(self) -> None:
        """All of them."""
        self.compute()
        self.storage()
        self.images()
        self.network()
        self.balancer()
        self.objects()
        self.secret()

    def _post(self, kind: str, service: str, path: str, key: str, **fields: Any) -> str:
        ident = str(self.api.post(service, path, {key: fields})[key]["id"])
        self.made.setdefault(kind, set()).add(ident)
        return ident

    def compute(self) -> None:
        """A server group and a key pair."""
        group = {"name": HOSTILE, "policy": "anti-affinity"}
        self._post("server_groups", "compute", "/os-server-groups", "server_group", **group)
        # its name is its id: letters, digits, blanks, `-` and `_` only
        public = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()
        body = {"name": "key_1 of ops - 2", "type": "ssh", "public_key": f"ssh-ed25519 {public} {FORMULA}"}
        self.api.post("compute", "/os-keypairs", {"keypair": body})
        self.made["key_pairs"] = {body["name"]}

    def storage(self) -> None:
        """A volume of nobody, its snapshot, and a backup."""
        api, project = self.api, f"/{self.api.project_id}"
        volume = self._post("volumes", "volume", f"{project}/volumes", "volume", name=HOSTILE, size=1)
        api.wait_status("volume", f"{project}/volumes/{volume}", "volume", "available")
        about = {"name": FORMULA, "volume_id": volume, "description": HOSTILE}
        snapshot = self._post("snapshots", "volume", f"{project}/snapshots", "snapshot", **about)
        api.wait_status("volume", f"{project}/snapshots/{snapshot}", "snapshot", "available")
        # no worker for backups runs in the lab: the row that one would have made; the API answers for real
        backup = str(uuid.uuid5(uuid.NAMESPACE_URL, volume))
        columns = {
            "id": backup,
            "volume_id": volume,
            "user_id": api.user_id,
            "project_id": api.project_id,
            "display_name": HOSTILE,
            "status": "available",
            "service": "cinder.backup.drivers.swift.SwiftBackupDriver",
        }
        names = ", ".join(columns)
        values = ", ".join(database.quote(value) for value in columns.values())
        database.sql(
            self.instance,
            f"INSERT INTO backups ({names}, size, object_count, deleted, created_at, num_dependent_backups)"
            f" VALUES ({values}, 1, 7, 0, utc_timestamp(), 0)",
            "cinder",
        )
        self.made["backups"] = {backup}

    def images(self) -> None:
        """A private image with bytes, and one that another tenant shares."""
        self._image(self.api, "private", HOSTILE)
        other = user(self.instance, "globex-operator", "globex")
        shared = self._image(other, "shared", FORMULA)
        other.post("image", f"/images/{shared}/members", {"member": self.api.project_id})
        self.api.put("image", f"/images/{shared}/members/{self.api.project_id}", {"status": "accepted"})

    def _image(self, owner: Api, visibility: str, name: str) -> str:
        body = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": visibility}
        ident = str(owner.post("image", "/images", body)["id"])
        headers = {"Content-Type": "application/octet-stream"}
        owner.put("image", f"/images/{ident}/file", bytes(4096), headers=headers)
        self.made.setdefault("images", set()).add(ident)
        return ident

    def network(self) -> None:
        """A network with a router, a port, addresses, groups that name each other, a VPN, a firewall."""
        api = self.api
        external = str(api.get("network", "/networks", name="external")["networks"][0]["id"])

        def post(kind: str, path: str, key: str, **fields: Any) -> str:
            return self._post(kind, "network", path, key, **fields)

        network = post("networks", "/networks", "network", name=HOSTILE, description=FORMULA)
        subnet = post(
            "subnets", "/subnets", "subnet", name=HOSTILE, network_id=network, ip_version=4, cidr="10.77.0.0/24"
        )
        gateway = {"network_id": external}
        router = post("routers", "/routers", "router", name=HOSTILE, external_gateway_info=gateway)
        api.put("network", f"/routers/{router}/add_router_interface", {"subnet_id": subnet})
        inside = api.get("network", "/ports", device_id=router, network_id=network)["ports"][0]["id"]
        first = post("security_groups", "/security-groups", "security_group", name=HOSTILE)
        second = post("security_groups", "/security-groups", "security_group", name=FORMULA)
        for here, there in ((first, second), (second, first)):
            rule = {"security_group_id": here, "direction": "ingress", "protocol": "tcp", "remote_group_id": there}
            api.post("network", "/security-group-rules", {"security_group_rule": rule})
        post(
            "ports",
            "/ports",
            "port",
            name=HOSTILE,
            network_id=network,
            security_groups=[first],
            allowed_address_pairs=[{"ip_address": "10.77.0.99"}],
        )
        post("floating_ips", "/floatingips", "floatingip", floating_network_id=external, description=HOSTILE)

        ike = post("ike_policies", "/vpn/ikepolicies", "ikepolicy", name=HOSTILE)
        ipsec = post("ipsec_policies", "/vpn/ipsecpolicies", "ipsecpolicy", name=FORMULA)
        vpn = post("vpn_services", "/vpn/vpnservices", "vpnservice", name=HOSTILE, router_id=router, subnet_id=subnet)
        post(
            "vpn_connections",
            "/vpn/ipsec-site-connections",
            "ipsec_site_connection",
            name=FORMULA,
            vpnservice_id=vpn,
            ikepolicy_id=ike,
            ipsecpolicy_id=ipsec,
            peer_address="198.51.100.7",
            peer_id="198.51.100.7",
            peer_cidrs=["192.0.2.0/24"],
            psk=SECRET,
        )

        rule = post(
            "firewall_rules",
            "/fwaas/firewall_rules",
            "firewall_rule",
            name=HOSTILE,
            protocol="tcp",
            destination_port="443",
            action="allow",
        )
        wall = post(
            "firewall_policies", "/fwaas/firewall_policies", "firewall_policy", name=FORMULA, firewall_rules=[rule]
        )
        post(
            "firewall_groups",
            "/fwaas/firewall_groups",
            "firewall_group",
            name=HOSTILE,
            ingress_firewall_policy_id=wall,
            ports=[inside],
        )

    def balancer(self) -> None:
        """A load balancer with all that belongs to one."""
        subnet = self.api.get("network", "/subnets", name="app-net")["subnets"][0]["id"]
        above = "/lbaas/loadbalancers"

        def post(kind: str, path: str, key: str, **fields: Any) -> str:
            ident = self._post(kind, "load-balancer", path, key, **fields)
            wait_for(settled, 60, "the load balancer to be active", every=0.2)
            return ident

        def settled() -> bool:
            found = self.api.get("load-balancer", above)["loadbalancers"]
            return all(row["provisioning_status"] == "ACTIVE" for row in found)

        balancer = post("load_balancers", above, "loadbalancer", name=HOSTILE, vip_subnet_id=subnet)
        listener = post(
            "lb_listeners",
            "/lbaas/listeners",
            "listener",
            name=FORMULA,
            loadbalancer_id=balancer,
            protocol="HTTP",
            protocol_port=80,
        )
        pool = post(
            "lb_pools",
            "/lbaas/pools",
            "pool",
            name=HOSTILE,
            listener_id=listener,
            protocol="HTTP",
            lb_algorithm="ROUND_ROBIN",
        )
        post(
            "lb_members", f"/lbaas/pools/{pool}/members", "member", name=HOSTILE, address="10.20.0.11", protocol_port=80
        )
        post(
            "lb_health_monitors",
            "/lbaas/healthmonitors",
            "healthmonitor",
            name=HOSTILE,
            pool_id=pool,
            type="HTTP",
            delay=5,
            timeout=3,
            max_retries=2,
        )
        post(
            "lb_l7_policies",
            "/lbaas/l7policies",
            "l7policy",
            name=HOSTILE,
            listener_id=listener,
            action="REDIRECT_TO_URL",
            redirect_url="https://shop.example/",
        )

    def objects(self) -> None:
        """Swift containers, one with an object; no name of a container has a slash."""
        self.made["containers"] = set()
        for name in (HOSTILE.replace("/", "|"), FORMULA.replace("/", "|")):
            path = f"/v1/AUTH_{self.api.project_id}/{quote(name, safe='')}"
            self._swift("PUT", path, b"")
            self._swift("PUT", f"{path}/{quote(HOSTILE)}", b"x" * 1000)
            self.made["containers"].add(name)

    def _swift(self, method: str, path: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(HOST, self.instance.port("swift"), timeout=120)
        try:
            headers = {"X-Auth-Token": self.api.token(), "User-Agent": "cloudexit-lab"}
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status < 300, (method, path, answer.status, said)
        finally:
            connection.close()

    def secret(self) -> None:
        """A secret in Barbican."""
        body = {"name": HOSTILE, "payload": SECRET, "payload_content_type": "text/plain", "secret_type": "passphrase"}
        made = self.api.post("key-manager", "/secrets", body)
        self.made["secrets"] = {str(made["secret_ref"]).rpartition("/")[2]}
