# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two whole tenants for measurements, in the lab's real services: a big one and a small one.

Networks, a router, an image and a few servers of each tenant are made by the APIs. What is many (servers, volumes,
ports, security groups with their rules, snapshots) are copies of what was made: of its rows in the services' databases,
with ids, names, addresses and relations of their own. The services answer for them as for any others. They are on no
hypervisor: a copied server belongs to a host that does not exist, and a copied volume has no bytes, so they can be
read and described, and not be started, moved or deleted.

Both tenants are kept as the state ``tenants``, beside what is in the lab (acme, when it is seeded); the next time they
are there within seconds. Ids and names are the same each time, whatever the instance.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import parts
from ..paths import Instance, wait_for
from . import config, database, faults, install, lifecycle, state
from .rest import Api

STATE = "tenants"
NOWHERE = "lab-elsewhere"
RULES = 10
"""Rules of a copied group, the two that Neutron makes itself included."""
ROLES = ("web", "app", "db")
APPS = ("shop", "erp", "crm", "wiki", "mail", "billing", "stock", "portal", "search", "report")
HOSTILE = "{{ 7*7 }} <b>'\"$(id)\\ é"
_UUID = uuid.uuid5(uuid.NAMESPACE_DNS, "lab.cloudexit.example")

Row = dict[str, str | None]


@dataclass(frozen=True)
class Shape:
    """How many of what a tenant has. Every server has so many volumes and ports."""

    name: str
    servers: int
    volumes: int
    ports: int
    networks: int
    groups: int
    snapshots: int
    first: int
    """The second number of its first network's addresses: 10.<first>.0.0/20."""

    @property
    def user(self) -> str:
        return f"{self.name}-operator"

    @property
    def password(self) -> str:
        return f"{self.name}-operator-password"

    @property
    def apps(self) -> int:
        """How many applications its servers belong to: three groups each, for web, application and database."""
        return max(1, self.groups // len(ROLES))


BIG = Shape("big", servers=1000, volumes=2, ports=2, networks=40, groups=300, snapshots=100, first=64)
SMALL = Shape("small", servers=30, volumes=1, ports=1, networks=20, groups=20, snapshots=5, first=128)
SHAPES = (BIG, SMALL)

# how the few real servers differ: flavor, what Glance said of the image that their boot disk came from
KINDS: tuple[tuple[str, dict[str, str]], ...] = (
    ("s3.small.1", {"os_distro": "debian", "os_version": "12", "image_name": "Debian 12"}),
    (
        "s3.medium.1",
        {"os_distro": "ubuntu", "os_version": "22.04", "hw_firmware_type": "uefi", "hw_machine_type": "q35"},
    ),
    ("s3.large.2", {"os_distro": "windows", "os_type": "windows", "image_name": "Windows Server 2022"}),
    ("s3.tiny", {"image_name": "unknown"}),
)


@parts.alone
def seed(instance: Instance) -> None:
    """Bring the lab to the state with both tenants."""
    key = install.text_digest(install.digest(Path(__file__)), state.pristine_id(instance))
    mark = parts.saved_dir(instance, STATE) / "key"
    if mark.exists() and mark.read_text() == key:
        with instance.step("taking the tenants from a saved state"):
            parts.restore(instance, STATE)
    else:
        parts.restore(instance)
        # Keystone remembers the users of an earlier time by name
        faults.stop_service(instance, "keystone")
        faults.start_service(instance, "keystone")
        clouds: dict[str, Any] = {}
        for shape in SHAPES:
            with instance.step(f"making the tenant {shape.name}"):
                clouds[shape.name] = _Tenant(instance, shape).run()
        instance.update_env(clouds=clouds)
        with instance.step("keeping the tenants for the next time"):
            parts.save(instance, STATE)
            mark.write_text(key)
    lifecycle.write_env(instance)


class Copies:
    """Rows of the databases, copied with other values, and loaded at once."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._columns: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._numbered: dict[tuple[str, str], str] = {}
        self._next: dict[tuple[str, str], int] = {}
        self._new: dict[tuple[str, str], list[Row]] = defaultdict(list)
        names = ",".join(database.quote(name) for name in config.DATABASES)
        found = database.sql(
            instance,
            "SELECT table_schema, table_name, column_name, extra FROM information_schema.columns"
            f" WHERE table_schema IN ({names}) ORDER BY table_schema, table_name, ordinal_position",
        )
        for schema, table, column, extra in found:
            place = (schema or "", table or "")
            self._columns[place].append(column or "")
            if extra == "auto_increment":
                self._numbered[place] = column or ""

    def rows(self, schema: str, table: str, where: str) -> list[Row]:
        """Rows that are there."""
        columns = self._columns[schema, table]
        found = database.sql(self.instance, f"SELECT * FROM `{schema}`.`{table}` WHERE {where}")
        return [dict(zip(columns, row, strict=True)) for row in found]

    def add(self, schema: str, table: str, row: Row) -> str:
        """A row to be loaded. A number that the database would give is given here; returns it, or an empty string."""
        place = (schema, table)
        number = ""
        if place in self._numbered:
            if place not in self._next:
                column = self._numbered[place]
                last = database.sql(self.instance, f"SELECT COALESCE(MAX(`{column}`), 0) FROM `{schema}`.`{table}`")
                self._next[place] = int(last[0][0] or 0)
            self._next[place] += 1
            number = str(self._next[place])
            row = {**row, self._numbered[place]: number}
        self._new[place].append(row)
        return number

    def load(self) -> None:
        """Put all that was added into the databases, in one transaction."""
        folder = self.instance.data / "tmp" / "copies"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        statements = ["SET NAMES binary; SET foreign_key_checks = 0; SET unique_checks = 0; SET sql_mode = '';"]
        statements.append("SET autocommit = 0;")
        for (schema, table), rows in self._new.items():
            columns = self._columns[schema, table]
            file = folder / f"{schema}.{table}.tsv"
            lines = ("\t".join(_field(row[column]) for column in columns) + "\n" for row in rows)
            file.write_text("".join(lines), encoding="utf-8", newline="")
            source = database.quote(str(file))
            statements.append(f"LOAD DATA INFILE {source} INTO TABLE `{schema}`.`{table}` CHARACTER SET binary;")
        database.sql(self.instance, "\n".join([*statements, "COMMIT;"]))
        shutil.rmtree(folder)
        self._new.clear()
        self._next.clear()


def _field(value: str | None) -> str:
    if value is None:
        return "\\N"
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\0", "\\0")


class Renaming:
    """Values that are replaced wherever they stand as words of their own, in plain columns and in JSON alike."""

    def __init__(self, known: Iterable[str]) -> None:
        words = sorted({re.escape(word) for word in known if word}, key=lambda word: (-len(word), word))
        self._pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(words)})(?![\w-]|\.\w)")

    def row(self, row: Row, new: Mapping[str, str]) -> Row:
        """The row with the values of a copy."""
        return {
            column: value if value is None else self._pattern.sub(lambda found: new.get(found[0], found[0]), value)
            for column, value in row.items()
        }


@dataclass(frozen=True)
class Network:
    """A network that was made, with what rows say of it."""

    id: str
    name: str
    subnet: str
    cidr: str
    gateway: str
    segment: str
    ipam: str

    def words(self) -> list[str]:
        return [self.id, self.name, self.subnet, self.cidr, self.gateway, self.segment]


@dataclass(frozen=True)
class Template:
    """A server that was made by the APIs, and everything that its rows name."""

    id: str
    name: str
    volumes: tuple[str, ...]
    ports: tuple[tuple[str, str, str], ...]
    """Of each port: id, MAC address, address."""
    rows: tuple[tuple[str, str, Row], ...]
    """Schema, table and row, of the server and of all that is its own."""
    names: tuple[str, ...]
    """Its own ids that are none of the above: attachments and the like."""


class _Tenant:
    """Making one tenant."""

    def __init__(self, instance: Instance, shape: Shape) -> None:
        self.instance = instance
        self.shape = shape
        self.admin = Api(instance)
        self.copies = Copies(instance)
        self.project_id = self._identity()
        self.api = Api(instance, shape.user, shape.password, shape.name)
        self.api.get("identity", "/auth/projects")
        self.project = f"/{self.project_id}"

    def run(self) -> dict[str, Any]:
        """Make it; returns its log-in for clouds.yaml."""
        shape = self.shape
        instances = self.instance.data / "nova" / "instances"
        hold = instances / "hold"
        hold.touch()
        try:
            with ThreadPoolExecutor(4) as pool:
                image = pool.submit(self._image)
                keypair = pool.submit(self._keypair)
                networks = list(pool.map(self._network, range(shape.networks)))
                image.result()
                keypair.result()
                self._router(networks)
                group, peer = pool.map(self._group, ("group-template", "peer-template"))
                self._rules(group, peer)
                makers = range(min(len(KINDS), shape.servers))
                templates = list(pool.map(lambda kind: self._template(kind, networks, group, peer), makers))
            snapshot = self._snapshot(templates[0].volumes[0])
            groups = self._copy_groups(group, peer)
            self._copy_servers(templates, networks, group, peer, groups)
            self._copy_snapshots(snapshot)
            self.copies.load()
            self._remove(templates, snapshot, group, peer)
            self._floating(networks)
            self._count()
        finally:
            hold.unlink(missing_ok=True)
        return config.cloud_entry(self.instance, username=shape.user, password=shape.password, project_name=shape.name)

    # what is made by the APIs

    def _identity(self) -> str:
        api, shape = self.admin, self.shape
        for found in api.get("identity", "/users", name=shape.user)["users"]:
            api.delete("identity", f"/users/{found['id']}")
        body: dict[str, Any] = {"project": {"name": shape.name, "domain_id": "default"}}
        project = str(api.post("identity", "/projects", body)["project"]["id"])
        body = {"user": {"name": shape.user, "password": shape.password, "domain_id": "default"}}
        user = str(api.post("identity", "/users", body)["user"]["id"])
        roles = {role["name"]: role["id"] for role in api.get("identity", "/roles")["roles"]}
        for role in ("member", "reader", "load-balancer_member"):
            api.put("identity", f"/projects/{project}/users/{user}/roles/{roles[role]}")
        return project

    def _image(self) -> None:
        body = {"name": f"{self.shape.name}-golden", "disk_format": "raw", "container_format": "bare", "min_disk": 1}
        image = str(self.api.post("image", "/images", {**body, "os_distro": "debian", "os_version": "12"})["id"])
        headers = {"Content-Type": "application/octet-stream"}
        self.api.put("image", f"/images/{image}/file", b"an image without a system\n".ljust(4096), headers=headers)

    def _keypair(self) -> None:
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl lab"
        self.api.post("compute", "/os-keypairs", {"keypair": {"name": "operator", "type": "ssh", "public_key": key}})

    def _network(self, number: int) -> Network:
        api = self.api
        name = f"{self.shape.name}-net-{number:02}"
        cidr, gateway = (f"10.{self.shape.first + number}.0.{end}" for end in ("0/20", "1"))
        network = str(api.post("network", "/networks", {"network": {"name": name}})["network"]["id"])
        body = {"network_id": network, "name": name, "ip_version": 4, "cidr": cidr, "gateway_ip": gateway}
        subnet = str(api.post("network", "/subnets", {"subnet": body})["subnet"]["id"])
        segment = self.copies.rows("neutron", "networksegments", f"network_id = {database.quote(network)}")[0]["id"]
        ipam = self.copies.rows("neutron", "ipamsubnets", f"neutron_subnet_id = {database.quote(subnet)}")[0]["id"]
        return Network(network, name, subnet, cidr, gateway, segment or "", ipam or "")

    def _router(self, networks: list[Network]) -> None:
        external = self.api.get("network", "/networks", name="external")["networks"][0]["id"]
        body = {"router": {"name": "main", "external_gateway_info": {"network_id": external}}}
        router = self.api.post("network", "/routers", body)["router"]["id"]
        self.api.put("network", f"/routers/{router}/add_router_interface", {"subnet_id": networks[0].subnet})

    def _group(self, name: str) -> str:
        made = self.api.post("network", "/security-groups", {"security_group": {"name": name}})
        return str(made["security_group"]["id"])

    def _rules(self, group: str, peer: str) -> None:
        base = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp"}
        ports = (22, 80, 443, 8080, 8443, 9100)
        rules: list[dict[str, Any]] = [
            {**base, "port_range_min": port, "port_range_max": port, "remote_ip_prefix": f"10.{number}.0.0/16"}
            for number, port in enumerate(ports)
        ]
        rules.append({**base, "port_range_min": 5432, "port_range_max": 5432, "remote_group_id": peer})
        rules.append({**base, "protocol": "icmp", "remote_ip_prefix": "0.0.0.0/0"})
        self.api.post("network", "/security-group-rules", {"security_group_rules": rules})

    def _template(self, kind: int, networks: list[Network], group: str, peer: str) -> Template:
        """A server of one kind, with all its disks and ports; no guest of it ever runs."""
        api, shape = self.api, self.shape
        flavor, about = KINDS[kind]
        name = f"{shape.name}-template-{kind}"
        flavors = {found["name"]: found["id"] for found in api.get("compute", "/flavors")["flavors"]}
        with ThreadPoolExecutor(2) as pool:
            volumes = list(pool.map(lambda number: self._volume(f"{name}-disk-{number}"), range(shape.volumes)))
        act = f"{self.project}/volumes/{volumes[0]}/action"
        api.post("volume", act, {"os-set_bootable": {"bootable": True}})
        api.post("volume", act, {"os-set_image_metadata": {"metadata": about}})
        ports = []
        for network in networks[: shape.ports]:
            # among the first 256 addresses: the copies' are behind them
            fixed = {"subnet_id": network.subnet, "ip_address": network.cidr.partition(".0/")[0] + f".{16 + kind}"}
            body = {"network_id": network.id, "name": f"{name}-port", "security_groups": [group, peer]}
            body["fixed_ips"] = [fixed]
            made = api.post("network", "/ports", {"port": body})["port"]
            ports.append((str(made["id"]), str(made["mac_address"]), str(made["fixed_ips"][0]["ip_address"])))
        mapping = {"source_type": "volume", "destination_type": "volume", "delete_on_termination": False}
        server = {
            "name": name,
            "flavorRef": flavors[flavor],
            "key_name": "operator",
            "networks": [{"port": port[0]} for port in ports],
            "metadata": {"app": "app-template", "role": "role-template"},
            "tags": ["app-template", "role-template"],
            "block_device_mapping_v2": [
                {**mapping, "uuid": volume, "boot_index": 0 if number == 0 else -1}
                for number, volume in enumerate(volumes)
            ],
        }
        ident = str(api.post("compute", "/servers", {"server": server})["server"]["id"])
        api.wait_status("compute", f"/servers/{ident}", "server", "ACTIVE")
        return self._taken(ident, name, tuple(volumes), tuple(ports))

    def _volume(self, name: str) -> str:
        body = {"name": name, "size": 10, "volume_type": "standard", "metadata": {"owner": self.shape.name}}
        ident = str(self.api.post("volume", f"{self.project}/volumes", {"volume": body})["volume"]["id"])
        self.api.wait_status("volume", f"{self.project}/volumes/{ident}", "volume", "available")
        return ident

    def _snapshot(self, volume: str) -> str:
        body = {"snapshot": {"name": "snapshot-template", "volume_id": volume, "force": True}}
        ident = str(self.api.post("volume", f"{self.project}/snapshots", body)["snapshot"]["id"])
        self.api.wait_status("volume", f"{self.project}/snapshots/{ident}", "snapshot", "available")
        return ident

    def _floating(self, networks: list[Network]) -> None:
        """Addresses from outside for two servers, and one that nobody uses."""
        external = self.api.get("network", "/networks", name="external")["networks"][0]["id"]
        ports = self.api.get("network", "/ports", network_id=networks[0].id, device_owner="compute:nova")["ports"]
        chosen = sorted(port["id"] for port in ports)[:2]
        for port in (*chosen, None):
            body = {"floating_network_id": external} | ({"port_id": port} if port else {})
            self.api.post("network", "/floatingips", {"floatingip": body})

    # what is copied

    def _id(self, *words: object) -> str:
        return str(uuid.uuid5(_UUID, "/".join(map(str, (self.shape.name, *words)))))

    def _taken(
        self, server: str, name: str, volumes: tuple[str, ...], ports: tuple[tuple[str, str, str], ...]
    ) -> Template:
        """The rows of a server, of its volumes and of its ports."""
        rows: list[tuple[str, str, Row]] = []

        def take(schema: str, table: str, where: str) -> list[Row]:
            found = self.copies.rows(schema, table, where)
            rows.extend((schema, table, row) for row in found)
            return found

        its = f"instance_uuid = '{server}'"
        take("nova", "instances", f"uuid = '{server}'")
        for table in ("instance_extra", "instance_info_caches", "instance_metadata", "instance_system_metadata"):
            take("nova", table, its)
        mappings = take("nova", "block_device_mapping", f"{its} AND deleted = 0")
        interfaces = take("nova", "virtual_interfaces", its)
        take("nova", "tags", f"resource_id = '{server}'")
        take("nova_api", "instance_mappings", its)
        take("nova_api", "request_specs", its)
        names = [mapping["uuid"] for mapping in mappings] + [found["uuid"] for found in interfaces]
        for volume in volumes:
            take("cinder", "volumes", f"id = '{volume}'")
            for table in ("volume_metadata", "volume_admin_metadata", "volume_glance_metadata"):
                take("cinder", table, f"volume_id = '{volume}' AND deleted = 0")
            attachments = take("cinder", "volume_attachment", f"volume_id = '{volume}' AND deleted = 0")
            names += [found["id"] for found in attachments]
        port_tables = (
            "ipallocations",
            "ml2_port_bindings",
            "ml2_port_binding_levels",
            "portsecuritybindings",
            "securitygroupportbindings",
        )
        for port, dummy, address in ports:
            take("neutron", "ports", f"id = '{port}'")
            for table in port_tables:
                take("neutron", table, f"port_id = '{port}'")
            take("neutron", "ipamallocations", f"ip_address = '{address}'")
        known = {server, *volumes, *(port[0] for port in ports)}
        own = tuple(sorted({found for found in names if found and found not in known}))
        return Template(server, name, volumes, ports, tuple(rows), own)

    def _standard(self, row: Row) -> Row:
        """The row with a standard attribute of its own (Neutron keeps descriptions and dates there)."""
        number = row.get("standard_attr_id")
        if number is None:
            return row
        about = self.copies.rows("neutron", "standardattributes", f"id = {number}")[0]
        return {**row, "standard_attr_id": self.copies.add("neutron", "standardattributes", about)}

    def _copy_groups(self, group: str, peer: str) -> list[str]:
        """Groups of applications: each lets the one before it in, by name of the group."""
        quoted = database.quote(group)
        (about,) = self.copies.rows("neutron", "securitygroups", f"id = {quoted}")
        rules = self.copies.rows("neutron", "securitygrouprules", f"security_group_id = {quoted}")
        assert len(rules) == RULES, f"a group has {len(rules)} rules"
        renaming = Renaming([group, peer, about["name"] or "", *(rule["id"] or "" for rule in rules)])
        idents = [self._id("group", number) for number in range(self.shape.groups)]
        standards = {row["standard_attr_id"]: self._attributes(row) for row in (about, *rules)}
        for number, ident in enumerate(idents):
            before = idents[number - 1] if number % len(ROLES) else ident
            new = {group: ident, peer: before, about["name"] or "": self._group_name(number)}
            new |= {rule["id"] or "": self._id("rule", number, place) for place, rule in enumerate(rules)}
            for table, row in (("securitygroups", about), *(("securitygrouprules", rule) for rule in rules)):
                copied = renaming.row(row, new)
                attribute = self.copies.add("neutron", "standardattributes", standards[row["standard_attr_id"]])
                self.copies.add("neutron", table, {**copied, "standard_attr_id": attribute})
        return idents

    def _attributes(self, row: Row) -> Row:
        return self.copies.rows("neutron", "standardattributes", f"id = {row['standard_attr_id']}")[0]

    def _app(self, number: int) -> str:
        return f"{APPS[number % len(APPS)]}-{number // len(APPS):02}"

    def _group_name(self, number: int) -> str:
        return f"{self._app(number // len(ROLES))}-{ROLES[number % len(ROLES)]}"

    def _copy_servers(
        self, templates: list[Template], networks: list[Network], group: str, peer: str, groups: list[str]
    ) -> None:
        shape = self.shape
        renamings, attributes = [], []
        for template in templates:
            words = [template.id, template.name, *template.volumes, *template.names, group, peer]
            words += [word for port in template.ports for word in port]
            words += [f"{template.name}-port", "app-template", "role-template"]
            words += [f"{template.name}-disk-{number}" for number in range(shape.volumes)]
            words += [word for network in networks[: shape.ports] for word in network.words()]
            renamings.append(Renaming(words))
            rows = [row for dummy, table, row in template.rows if table == "ports"]
            attributes.append({row["id"]: self._attributes(row) for row in rows})
        for number in range(shape.servers):
            kind = number % len(templates)
            self._copy_server(number, templates[kind], renamings[kind], attributes[kind], networks, group, peer, groups)

    def _copy_server(
        self,
        number: int,
        template: Template,
        renaming: Renaming,
        attributes: Mapping[str | None, Row],
        networks: list[Network],
        group: str,
        peer: str,
        groups: list[str],
    ) -> None:
        shape = self.shape
        app, place = number % shape.apps, number // shape.apps
        role = ROLES[(place * len(ROLES) // max(1, -(-shape.servers // shape.apps))) % len(ROLES)]
        name = f"{self._app(app)}-{role}-{place:02}"
        if number % 97 == 50:
            name = f"{name} {HOSTILE}"
        mine = groups[(app * len(ROLES) + ROLES.index(role)) % len(groups)]
        base = groups[(app * len(ROLES) + 1) % len(groups)]
        new = {
            template.id: self._id("server", number),
            group: mine,
            peer: base if base != mine else groups[(app * len(ROLES)) % len(groups)],
            "app-template": self._app(app),
            "role-template": role,
            f"{template.name}-port": f"{self._app(app)}-{role}",
            **{ident: self._id("own", number, which) for which, ident in enumerate(template.names)},
        }
        ipam = {}
        for which, volume in enumerate(template.volumes):
            new[volume] = self._id("volume", number, which)
            new[f"{template.name}-disk-{which}"] = (
                f"{self._app(app)}-{role}-{place:02}-{'boot' if which == 0 else 'data'}"
            )
        for which, (port, mac, address) in enumerate(template.ports):
            was, network = networks[which], networks[(app * shape.ports + which) % len(networks)]
            host = 256 + place * shape.apps + app
            new[port] = self._id("port", number, which)
            new[mac] = f"fa:16:3e:{which * 16 + host // 65536:02x}:{host // 256 % 256:02x}:{host % 256:02x}"
            new[address] = network.cidr.partition(".0.0/")[0] + f".{host // 256}.{host % 256}"
            new |= dict(zip(was.words(), network.words(), strict=True))
            ipam[was.ipam] = network.ipam
        rename = renaming.row
        for schema, table, row in template.rows:
            copied = rename(row, new)
            if table == "instances":
                copied |= {"host": NOWHERE, "launched_on": NOWHERE, "display_name": name}
                copied |= {"hostname": f"{self._app(app)}-{role}-{place:02}"}
                if number % 10 == 9:
                    copied |= {"vm_state": "stopped", "power_state": "4"}
            elif table == "ipamallocations":
                copied["ipam_subnet_id"] = ipam[row["ipam_subnet_id"] or ""]
            elif table == "ports":
                attribute = self.copies.add("neutron", "standardattributes", attributes[row["id"]])
                copied["standard_attr_id"] = attribute
            elif table == "volumes":
                copied |= {"size": str(10 + number % 40), "provider_location": None}
            self.copies.add(schema, table, copied)

    def _copy_snapshots(self, snapshot: str) -> None:
        (row,) = self.copies.rows("cinder", "snapshots", f"id = {database.quote(snapshot)}")
        for number in range(self.shape.snapshots):
            about = {"id": self._id("snapshot", number), "volume_id": self._id("volume", number, 0)}
            size = str(10 + number % 40)
            self.copies.add(
                "cinder", "snapshots", {**row, **about, "display_name": f"before-{number:03}", "volume_size": size}
            )

    # afterwards

    def _remove(self, templates: list[Template], snapshot: str, group: str, peer: str) -> None:
        """What the copies were made of goes, by the APIs."""
        api = self.api

        def gone(path: str, service: str = "volume") -> Callable[[], bool]:
            return lambda: api.call(service, "GET", path, ok=(404,)).get("itemNotFound") is not None

        api.delete("volume", f"{self.project}/snapshots/{snapshot}")
        for template in templates:
            api.delete("compute", f"/servers/{template.id}")
        wait_for(gone(f"{self.project}/snapshots/{snapshot}"), 60, "the snapshot to go", every=0.2)
        for template in templates:
            wait_for(gone(f"/servers/{template.id}", "compute"), 60, "a server to go", every=0.2)
            for port, dummy, _address in template.ports:
                api.delete("network", f"/ports/{port}")
            for volume in template.volumes:
                path = f"{self.project}/volumes/{volume}"
                api.wait_status("volume", path, "volume", "available")
                api.delete("volume", path)
        for ident in (group, peer):
            api.delete("network", f"/security-groups/{ident}")

    def _count(self) -> None:
        """Cinder adds up what a project uses as it goes; the copies are added here."""
        shape = self.shape
        mine = f"project_id = '{self.project_id}' AND deleted = 0"
        volumes = f"SELECT {{}} FROM volumes WHERE {mine}"
        counts = {
            "volumes": volumes.format("COUNT(*)"),
            "volumes_standard": volumes.format("COUNT(*)"),
            "gigabytes": volumes.format("SUM(size)"),
            "gigabytes_standard": volumes.format("SUM(size)"),
            "snapshots": f"SELECT {shape.snapshots}",
            "snapshots_standard": f"SELECT {shape.snapshots}",
        }
        statements = (
            f"UPDATE quota_usages SET in_use = ({count}) WHERE resource = '{name}' AND {mine};"
            for name, count in counts.items()
        )
        database.sql(self.instance, "\n".join(statements), "cinder")
