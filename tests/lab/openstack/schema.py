# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made once, before anybody uses the cloud: database schemas, identity, catalog, flavors, types, projects."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..paths import Instance, fail
from . import config, database, install, services
from .config import ADMIN_PASSWORD, CATALOG, REGION, SERVICE_PASSWORD, SERVICE_USERS
from .rest import Api

PROJECTS = ("acme", "globex", "lab-tenant-empty")
TENANT_USERS = {
    # user: (password, projects)
    "acme-operator": ("acme-operator-password", ("acme",)),
    "globex-operator": ("globex-operator-password", ("globex",)),
    "empty-operator": ("empty-operator-password", ("lab-tenant-empty",)),
}
# name, vcpus, MiB, GiB of root disk
FLAVORS = (
    ("s3.tiny", 1, 256, 0),
    ("s3.small.1", 1, 512, 0),
    ("s3.medium.1", 1, 1024, 0),
    ("s3.large.2", 2, 4096, 0),
    ("s3.image", 1, 256, 1),
)
VOLUME_TYPES: dict[str, dict[str, str]] = {
    "standard": {"volume_backend_name": "file"},
    "fast": {"volume_backend_name": "file"},
    "shared": {"volume_backend_name": "file", "multiattach": "<is> True"},
    "encrypted": {"volume_backend_name": "file"},
}


def _run(instance: Instance, log: str, *argv: str) -> None:
    env = {**os.environ, **services.base_env(instance)}
    with open(instance.log(log), "ab") as out:
        done = subprocess.run(argv, env=env, stdout=out, stderr=subprocess.STDOUT, cwd=instance.dir, check=False)
    if done.returncode:
        fail(f"{Path(argv[1]).name} {argv[-1]} failed. {services.last_lines(instance.log(log))}")


def _manage(instance: Instance, name: str, configs: tuple[str, ...], *args: str) -> None:
    """Run one of the services' management programs."""
    venv = install.venv_dir(instance) / "bin"
    options = [x for c in configs for x in ("--config-file", str(instance.etc / c))]
    _run(instance, f"schema-{name}", str(venv / "python"), str(venv / name), *options, *args)


def make_database(instance: Instance) -> None:
    """Make an empty database server below the instance."""
    instance.log("mariadb-install").parent.mkdir(parents=True, exist_ok=True)
    _run(
        instance,
        "mariadb-install",
        "/usr/bin/env",
        "mariadb-install-db",
        f"--defaults-file={instance.etc / 'mariadb.cnf'}",
        "--user=root",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    )


_RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for kind, port in zip(("account", "container", "object"), ports):
    builder = RingBuilder(2, 1, 1)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "d1", "weight": 1,
                     "replication_ip": "127.0.0.1", "replication_port": int(port)})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")
"""


def make_rings(instance: Instance) -> None:
    """Swift's rings: one replica on one device. They hold ports, so each instance has its own."""
    kinds = ("account", "container", "object")
    folder = instance.etc / "swift"
    if not all((folder / f"{kind}.ring.gz").exists() for kind in kinds):
        ports = [str(instance.port(f"swift-{kind}")) for kind in kinds]
        _run(instance, "swift-rings", str(install.python(instance)), "-c", _RINGS, str(folder), *ports)


def _keystone(instance: Instance) -> None:
    for keys in ("fernet", "credential"):
        folder = instance.data / "keystone" / keys
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    conf = ("keystone.conf",)
    owner = ("--keystone-user", "root", "--keystone-group", "root")
    _manage(instance, "keystone-manage", conf, "db_sync")
    _manage(instance, "keystone-manage", conf, "fernet_setup", *owner)
    _manage(instance, "keystone-manage", conf, "credential_setup", *owner)
    urls = [
        x
        for interface in ("public", "internal", "admin")
        for x in (f"--bootstrap-{interface}-url", config.endpoint_url(instance, interface, "keystone", "/v3"))
    ]
    _manage(
        instance,
        "keystone-manage",
        conf,
        "bootstrap",
        *("--bootstrap-region-id", REGION, "--bootstrap-password", ADMIN_PASSWORD),
        *urls,
    )
    services.start(instance, "keystone")
    services.wait_ready(instance, ["keystone"])
    make_identity(instance)


def _nova(instance: Instance) -> None:
    conf = ("nova.conf", "nova-db.conf")
    cell0 = config.database_url(instance, "nova_cell0")
    _manage(instance, "nova-manage", conf, "api_db", "sync")
    _manage(instance, "nova-manage", conf, "cell_v2", "map_cell0", "--database_connection", cell0)
    _manage(instance, "nova-manage", conf, "db", "sync")
    _manage(instance, "nova-manage", conf, "cell_v2", "create_cell", "--name", "cell1")


def make_schemas(instance: Instance) -> None:
    """All schemas, and Keystone with its catalog; the database runs already, Keystone is left running."""
    database.create_all(instance)
    jobs = {
        "keystone": lambda: _keystone(instance),
        "neutron": lambda: _manage(instance, "neutron-db-manage", ("neutron.conf", "ml2.ini"), "upgrade", "heads"),
        "nova": lambda: _nova(instance),
        "octavia": lambda: _manage(instance, "octavia-db-manage", ("octavia.conf",), "upgrade", "head"),
        "barbican": lambda: _manage(
            instance,
            "barbican-db-manage",
            (),
            *("--dburl", config.database_url(instance, "barbican"), "upgrade", "--version", "head"),
        ),
        "cinder": lambda: _manage(instance, "cinder-manage", ("cinder.conf",), "db", "sync"),
        "glance": lambda: _manage(instance, "glance-manage", ("glance-api.conf",), "db_sync"),
        "placement": lambda: _manage(instance, "placement-manage", ("placement.conf",), "db", "sync"),
    }

    def run(name: str) -> None:
        with instance.step(f"schema of {name}"):
            jobs[name]()

    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
        list(pool.map(run, jobs))


def make_identity(instance: Instance) -> None:
    """Roles, service users, the catalog, the tenants and their users."""
    api = Api(instance)
    roles = {r["name"]: r["id"] for r in api.get("identity", "/roles")["roles"]}
    wanted = ("service", "member", "reader", "ResellerAdmin", "load-balancer_admin", "load-balancer_member")
    for name in wanted:
        if name not in roles:
            roles[name] = api.post("identity", "/roles", {"role": {"name": name}})["role"]["id"]

    def project(name: str) -> str:
        body = {"project": {"name": name, "domain_id": "default"}}
        return str(api.post("identity", "/projects", body)["project"]["id"])

    def user(name: str, password: str, default_project: str) -> str:
        body = {"user": {"name": name, "password": password, "domain_id": "default"}}
        body["user"]["default_project_id"] = default_project
        return str(api.post("identity", "/users", body)["user"]["id"])

    def grant(project_id: str, user_id: str, *names: str) -> None:
        for name in names:
            api.put("identity", f"/projects/{project_id}/users/{user_id}/roles/{roles[name]}")

    service_project = project("service")
    for name in SERVICE_USERS:
        grant(service_project, user(name, SERVICE_PASSWORD, service_project), "admin", "service")
    admin_project = next(p["id"] for p in api.get("identity", "/projects", name="admin")["projects"])
    admin = next(u["id"] for u in api.get("identity", "/users", name="admin")["users"])
    grant(admin_project, admin, "load-balancer_admin")
    projects = {name: project(name) for name in PROJECTS}
    for name, (password, of) in TENANT_USERS.items():
        user_id = user(name, password, projects[of[0]])
        for project_name in of:
            grant(projects[project_name], user_id, "member", "reader", "load-balancer_member")
            # the administrator looks into the tenants
            grant(projects[project_name], admin, "admin")

    have = {s["type"] for s in api.get("identity", "/services")["services"]}
    for name, kind, port_name, path in CATALOG:
        if kind in have:
            continue
        service = api.post("identity", "/services", {"service": {"name": name, "type": kind}})["service"]["id"]
        for interface in ("public", "internal", "admin"):
            endpoint = {
                "service_id": service,
                "interface": interface,
                "region_id": REGION,
                "url": config.endpoint_url(instance, interface, port_name, path),
            }
            api.post("identity", "/endpoints", {"endpoint": endpoint})


def make_offers(instance: Instance) -> None:
    """What the cloud offers once all services run: flavors, volume types, quotas, the external network."""
    api = Api(instance)
    flavors = {f["name"] for f in api.get("compute", "/flavors")["flavors"]}
    for name, vcpus, ram, disk in FLAVORS:
        if name not in flavors:
            flavor = {"name": name, "vcpus": vcpus, "ram": ram, "disk": disk}
            api.post("compute", "/flavors", {"flavor": flavor})
    project = f"/{api.project_id}"
    types = {t["name"] for t in api.get("volume", f"{project}/types")["volume_types"]}
    for name, specs in VOLUME_TYPES.items():
        if name in types:
            continue
        body = {"volume_type": {"name": name, "extra_specs": specs, "os-volume-type-access:is_public": True}}
        type_id = api.post("volume", f"{project}/types", body)["volume_type"]["id"]
        if name == "encrypted":
            encryption = {
                "provider": "luks",
                "cipher": "aes-xts-plain64",
                "key_size": 256,
                "control_location": "front-end",
            }
            api.post("volume", f"{project}/types/{type_id}/encryption", {"encryption": encryption})
    # Cinder's default quotas are in its database, whatever cinder.conf says
    unlimited = {k: -1 for k in ("volumes", "snapshots", "gigabytes", "backups", "backup_gigabytes", "groups")}
    api.put("volume", f"{project}/os-quota-class-sets/default", {"quota_class_set": unlimited})
    make_credential(instance)
    for user, (password, projects) in TENANT_USERS.items():
        # a project's default firewall is made when its firewalls are listed for the first time
        for name in projects:
            Api(instance, user, password, name).get("network", "/fwaas/firewall_groups")
    networks = {n["name"] for n in api.get("network", "/networks")["networks"]}
    if "external" not in networks:
        network = {"name": "external", "router:external": True, "shared": False}
        network |= {"provider:network_type": "flat", "provider:physical_network": "external"}
        network_id = api.post("network", "/networks", {"network": network})["network"]["id"]
        subnet = {"network_id": network_id, "name": "external", "ip_version": 4, "cidr": "203.0.113.0/24"}
        api.post("network", "/subnets", {"subnet": {**subnet, "enable_dhcp": False}})


APPLICATION_SECRET = "acme-application-credential-secret"


def make_credential(instance: Instance) -> None:
    """An application credential of acme's user."""
    password, projects = TENANT_USERS["acme-operator"]
    api = Api(instance, "acme-operator", password, projects[0])
    api.get("identity", "/auth/projects")
    body = {"name": "cloudexit", "secret": APPLICATION_SECRET, "unrestricted": False}
    api.post("identity", f"/users/{api.user_id}/application_credentials", {"application_credential": body})
