# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every configuration file of the lab's OpenStack, from the instance's ports and folders.

Customers call the APIs at 127.0.0.1 (the catalog's public interface), services call each other at 127.0.0.2 (the
internal interface): the same processes, but the access logs tell the two apart.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..paths import HOST, Instance
from . import install

INTERNAL_HOST = "127.0.0.2"
REGION = "RegionOne"
SERVICE_PASSWORD = "lab-service-password"
ADMIN_PASSWORD = "lab-admin-password"
DATABASES = (
    "keystone",
    "glance",
    "cinder",
    "placement",
    "nova_api",
    "nova",
    "nova_cell0",
    "neutron",
    "octavia",
    "barbican",
)
SERVICE_USERS = ("glance", "cinder", "nova", "neutron", "placement", "swift", "octavia", "barbican")
# service, type, port's name, path
CATALOG = (
    ("keystone", "identity", "keystone", "/v3"),
    ("glance", "image", "glance", ""),
    ("cinder", "block-storage", "cinder", "/v3"),
    ("cinderv3", "volumev3", "cinder", "/v3/%(project_id)s"),
    ("nova", "compute", "nova", "/v2.1"),
    ("placement", "placement", "placement", ""),
    ("neutron", "network", "neutron", ""),
    ("octavia", "load-balancer", "octavia", ""),
    ("barbican", "key-manager", "barbican", ""),
    ("swift", "object-store", "swift", "/v1/AUTH_%(project_id)s"),
    ("s3", "s3", "swift", ""),
)
Sections = Mapping[str, Mapping[str, Any]]


def database_url(instance: Instance, name: str) -> str:
    """The SQLAlchemy URL of a service's database, by UNIX socket."""
    return f"mysql+pymysql://root@localhost/{name}?unix_socket={socket_path(instance)}&charset=utf8mb4"


def socket_path(instance: Instance) -> Path:
    """The database's UNIX socket."""
    return instance.run / "mariadb.sock"


def internal(instance: Instance, what: str, path: str = "") -> str:
    """A service's URL for other services."""
    return f"http://{INTERNAL_HOST}:{instance.port(what)}{path}"


def endpoint_url(instance: Instance, interface: str, port_name: str, path: str) -> str:
    """What the catalog says of a service on an interface (public, internal, admin)."""
    host = INTERNAL_HOST if interface == "internal" else HOST
    return f"http://{host}:{instance.port(port_name)}{path}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def ini(sections: Sections) -> str:
    """Sections as the text of an INI file."""
    blocks = []
    for name, options in sections.items():
        lines = [f"[{name}]", *(f"{k} = {_value(v)}" for k, v in options.items())]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _login(instance: Instance, user: str) -> dict[str, Any]:
    return {
        "auth_type": "password",
        "auth_url": internal(instance, "keystone", "/v3"),
        "username": user,
        "password": SERVICE_PASSWORD,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "region_name": REGION,
    }


def _client(instance: Instance, user: str) -> dict[str, Any]:
    return {**_login(instance, user), "valid_interfaces": "internal"}


def _authtoken(instance: Instance, user: str) -> dict[str, Any]:
    return {
        **_login(instance, user),
        "www_authenticate_uri": instance.url("keystone", "/v3"),
        "interface": "internal",
        "service_token_roles": "service",
        "service_token_roles_required": True,
        # a revoked token must be seen to be revoked
        "token_cache_time": 10,
    }


def _database(instance: Instance, name: str) -> dict[str, Any]:
    return {"connection": database_url(instance, name), "max_pool_size": 4, "max_overflow": 12}


def _common(instance: Instance) -> dict[str, dict[str, Any]]:
    """What every oslo service gets."""
    return {
        "oslo_concurrency": {"lock_path": instance.data / "locks"},
        "oslo_messaging_notifications": {"driver": "noop"},
        "oslo_messaging_rabbit": {
            "rabbit_quorum_queue": False,
            # the queue starts at the same time as its users
            "rabbit_retry_interval": 1,
            "rabbit_retry_backoff": 0,
            "rabbit_interval_max": 1,
        },
    }


def queue_url(instance: Instance) -> str:
    """The message queue's URL."""
    return f"rabbit://guest:guest@{HOST}:{instance.port('rabbit')}/"


_KEYS = {"fixed_key": "0" * 64}


def _mariadb(instance: Instance) -> Sections:
    return {
        "mariadbd": {
            "user": "root",
            "datadir": instance.data / "mariadb",
            "socket": socket_path(instance),
            "pid-file": instance.run / "mariadb.own",
            "log-error": instance.log("mariadb"),
            "tmpdir": instance.data / "tmp",
            "secure-file-priv": "",
            "skip-networking": 1,
            "skip-name-resolve": 1,
            "skip-log-bin": 1,
            "character-set-server": "utf8mb4",
            "max_connections": 400,
            "performance_schema": "OFF",
            "innodb_buffer_pool_size": "96M",
            "innodb_log_file_size": "32M",
            # a lab's data may be lost with the machine
            "innodb_flush_log_at_trx_commit": 0,
            "innodb_flush_method": "nosync",
            "innodb_doublewrite": 0,
            "innodb_io_capacity_max": 40000,
            "key_buffer_size": "1M",
            "aria_pagecache_buffer_size": "4M",
            "table_open_cache": 1000,
        }
    }


def _keystone(instance: Instance) -> Sections:
    return {
        "DEFAULT": {"use_stderr": True},
        "database": _database(instance, "keystone"),
        "identity": {"password_hash_rounds": 4},
        "token": {"provider": "fernet", "expiration": token_seconds(instance)},
        "fernet_tokens": {"key_repository": instance.data / "keystone" / "fernet"},
        "credential": {"key_repository": instance.data / "keystone" / "credential"},
        # plain "memory" hands out the cached object itself, and EC2 credentials are changed in place
        "cache": {"enabled": True, "backend": "dogpile.cache.memory_pickle", "expiration_time": 5},
        "revoke": {"caching": False},
    }


def token_seconds(instance: Instance) -> int:
    """How long tokens live, a day unless a test says less."""
    return int(instance.env().get("token_seconds", 86400))


def _glance(instance: Instance, etc: Path) -> Sections:
    store = instance.data / "glance"
    return {
        "DEFAULT": {
            "use_stderr": True,
            "enabled_backends": "file:file",
            "bind_host": HOST,
            "bind_port": instance.port("glance"),
            "hashing_algorithm": "sha256",
            "enabled_import_methods": "[glance-direct,web-download,copy-image]",
            "worker_self_reference_url": internal(instance, "glance"),
        },
        "database": _database(instance, "glance"),
        "glance_store": {"default_backend": "file"},
        "file": {"filesystem_store_datadir": store / "images", "filesystem_thin_provisioning": True},
        "os_glance_staging_store": {"filesystem_store_datadir": store / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": store / "tasks"},
        "paste_deploy": {"flavor": "keystone", "config_file": etc / "glance" / "glance-api-paste.ini"},
        "keystone_authtoken": _authtoken(instance, "glance"),
        **_common(instance),
    }


def _placement(instance: Instance) -> Sections:
    return {
        "DEFAULT": {"use_stderr": True},
        "placement_database": _database(instance, "placement"),
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": _authtoken(instance, "placement"),
    }


def _nova(instance: Instance) -> Sections:
    state = instance.data / "nova"
    client = _client(instance, "nova")
    return {
        "DEFAULT": {
            "use_stderr": True,
            "host": "lab-compute",
            "state_path": state,
            "instances_path": state / "instances",
            "my_ip": HOST,
            "transport_url": queue_url(instance),
            "compute_driver": "cloudexit_lab.LabDriver",
            "rootwrap_config": instance.etc / "rootwrap-nova.conf",
            "report_interval": 3,
            "vif_plugging_is_fatal": False,
            "vif_plugging_timeout": 0,
            # an emulated guest takes its time to shut down
            "shutdown_timeout": 180,
            "allow_resize_to_same_host": True,
            "osapi_compute_workers": 1,
            "compute_link_prefix": instance.url("nova"),
            "cpu_allocation_ratio": 16,
            "ram_allocation_ratio": 16,
            "disk_allocation_ratio": 64,
            "reserved_host_memory_mb": 0,
        },
        "api": {"auth_strategy": "keystone"},
        "quota": {k: -1 for k in ("instances", "cores", "ram", "key_pairs", "server_groups", "metadata_items")},
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1},
        "filter_scheduler": {"track_instance_changes": False},
        "placement": client,
        "neutron": client,
        "cinder": {**_login(instance, "nova"), "catalog_info": "block-storage::internalURL", "os_region_name": REGION},
        "glance": {"api_servers": internal(instance, "glance")},
        "service_user": {"send_service_user_token": True, **_login(instance, "nova")},
        "vnc": {"enabled": False},
        "key_manager": {"backend": "nova.keymgr.conf_key_mgr.ConfKeyManager", **_KEYS},
        "wsgi": {"api_paste_config": instance.etc / "nova-api-paste.ini"},
        "keystone_authtoken": _authtoken(instance, "nova"),
        **_common(instance),
    }


def _nova_databases(instance: Instance) -> Sections:
    """Not for nova-compute, which refuses to work when it is told of a database."""
    return {"api_database": _database(instance, "nova_api"), "database": _database(instance, "nova")}


def _cinder(instance: Instance, etc: Path) -> Sections:
    state = instance.data / "cinder"
    return {
        "DEFAULT": {
            "use_stderr": True,
            "host": "lab-cinder",
            "my_ip": HOST,
            "state_path": state,
            "image_conversion_dir": state / "conversion",
            "transport_url": queue_url(instance),
            "auth_strategy": "keystone",
            "report_interval": 3,
            "osapi_volume_workers": 1,
            "public_endpoint": instance.url("cinder"),
            "enabled_backends": "file",
            "default_volume_type": "standard",
            "glance_api_servers": internal(instance, "glance"),
            # an attached volume may be uploaded to an image
            "enable_force_upload": True,
            "rootwrap_config": instance.etc / "rootwrap-cinder.conf",
            "api_paste_config": etc / "cinder" / "api-paste.ini",
            "resource_query_filters_file": etc / "cinder" / "resource_filters.json",
            "scheduler_driver_init_wait_time": 2,
            # the scheduler hears of the storage soon, even if it started later
            "backend_stats_polling_interval": 5,
            "periodic_interval": 5,
            "periodic_fuzzy_delay": 0,
            "image_volume_cache_enabled": False,
        },
        "file": {
            "volume_backend_name": "file",
            "volume_driver": "cloudexit_lab.volume.RawFileDriver",
            "lab_volumes": state / "volumes",
        },
        "database": _database(instance, "cinder"),
        # with the old defaults, who may read may delete
        "oslo_policy": {"enforce_new_defaults": True},
        "nova": {**_login(instance, "cinder"), "interface": "internal"},
        "service_user": {"send_service_user_token": True, **_login(instance, "cinder")},
        "key_manager": {"backend": "cinder.keymgr.conf_key_mgr.ConfKeyManager", **_KEYS},
        "keystone_authtoken": _authtoken(instance, "cinder"),
        **_common(instance),
    }


def _neutron(instance: Instance, etc: Path) -> Sections:
    kinds = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")
    return {
        "DEFAULT": {
            "use_stderr": True,
            "state_path": instance.data / "neutron",
            "transport_url": queue_url(instance),
            "core_plugin": "ml2",
            "service_plugins": "router,qos,vpnaas,firewall_v2",
            "auth_strategy": "keystone",
            "api_paste_config": etc / "neutron" / "api-paste.ini",
            "notify_nova_on_port_status_changes": False,
            "notify_nova_on_port_data_changes": False,
            "api_workers": 1,
            "rpc_workers": 0,
            "l3_ha": False,
            "network_auto_schedule": False,
            "router_auto_schedule": False,
        },
        "database": _database(instance, "neutron"),
        # a list; the other one is in ml2.ini
        "service_providers": {"service_provider": "VPN:lab:cloudexit_lab.network_services.SettledVpn:default"},
        "quotas": {f"quota_{kind}": -1 for kind in kinds},
        "nova": {**_login(instance, "neutron"), "endpoint_type": "internal"},
        "placement": {**_login(instance, "neutron"), "endpoint_type": "internal"},
        "keystone_authtoken": _authtoken(instance, "neutron"),
        **_common(instance),
    }


def _ml2() -> Sections:
    return {
        "ml2": {
            "type_drivers": "flat,vlan,vxlan,local",
            "tenant_network_types": "vxlan",
            "mechanism_drivers": "cloudexit_lab",
            # not dns: it refuses servers whose names are no host names
            "extension_drivers": "port_security,qos",
        },
        "ml2_type_flat": {"flat_networks": "external"},
        "ml2_type_vlan": {"network_vlan_ranges": "external:100:199"},
        "ml2_type_vxlan": {"vni_ranges": "1:5000"},
        "securitygroup": {"enable_security_group": True},
        "service_providers": {
            "service_provider": "FIREWALL_V2:lab:cloudexit_lab.network_services.SettledFirewall:default"
        },
    }


def _octavia(instance: Instance) -> Sections:
    return {
        "DEFAULT": {"use_stderr": True, "transport_url": queue_url(instance)},
        "api_settings": {
            "bind_host": HOST,
            "bind_port": instance.port("octavia"),
            "auth_strategy": "keystone",
            "enabled_provider_drivers": "cloudexit_lab:lab",
            "default_provider_driver": "cloudexit_lab",
        },
        "database": _database(instance, "octavia"),
        "service_auth": _client(instance, "octavia"),
        "neutron": {"endpoint_override": internal(instance, "neutron"), "valid_interfaces": "internal"},
        "oslo_messaging": {"topic": "octavia"},
        "driver_agent": {
            "status_socket_path": instance.run / "octavia-status.sock",
            "stats_socket_path": instance.run / "octavia-stats.sock",
            "get_socket_path": instance.run / "octavia-get.sock",
        },
        "controller_worker": {
            "amphora_driver": "amphora_noop_driver",
            "compute_driver": "compute_noop_driver",
            # VIPs are real Neutron ports
            "network_driver": "allowed_address_pairs_driver",
            "image_driver": "image_noop_driver",
            "volume_driver": "volume_noop_driver",
            "amp_flavor_id": 1,
            "amp_boot_network_list": "00000000-0000-0000-0000-000000000001",
            "workers": 1,
        },
        "certificates": {"cert_manager": "local_cert_manager", "cert_generator": "local_cert_generator"},
        "keystone_authtoken": _authtoken(instance, "octavia"),
        **_common(instance),
    }


def _barbican(instance: Instance) -> Sections:
    return {
        "DEFAULT": {
            "use_stderr": True,
            "host_href": instance.url("barbican"),
            "transport_url": queue_url(instance),
        },
        "database": _database(instance, "barbican"),
        "queue": {"enable": False},
        # members may have secrets
        "oslo_policy": {"enforce_new_defaults": True, "enforce_scope": True},
        "secretstore": {"enabled_secretstore_plugins": "store_crypto"},
        "crypto": {"enabled_crypto_plugins": "simple_crypto"},
        "simple_crypto_plugin": {"kek": base64.urlsafe_b64encode(bytes(32)).decode()},
        "keystone_authtoken": _authtoken(instance, "barbican"),
        **_common(instance),
    }


_SWIFT_PIPELINE = (
    "lab-access-log",
    "catch_errors",
    "gatekeeper",
    "healthcheck",
    "listing_formats",
    "bulk",
    "tempurl",
    # S3 requests are only verified with these four in this order
    "authtoken",
    "s3api",
    "s3token",
    "keystoneauth",
    "copy",
    "container-quotas",
    "account-quotas",
    "slo",
    "dlo",
    "versioned_writes",
    "symlink",
)
_SWIFT_FILTERS: dict[str, dict[str, Any]] = {
    "keystoneauth": {"operator_roles": "admin, member", "reseller_prefix": "AUTH"},
    "versioned_writes": {"allow_object_versioning": True},
    "s3api": {"s3_acl": False, "location": REGION},
}


def _swift_base(instance: Instance, port: str) -> dict[str, Any]:
    return {
        "bind_ip": HOST,
        "bind_port": instance.port(port),
        "workers": 0,
        "user": "root",
        "swift_dir": instance.etc / "swift",
        "devices": instance.data / "swift",
        "mount_check": False,
        "log_level": "WARNING",
        "log_address": instance.run / "no-syslog",
        "fallocate_reserve": 0,
    }


def _swift_proxy(instance: Instance) -> Sections:
    login = _login(instance, "swift")
    special = {
        "lab-access-log": {
            "paste.filter_factory": "cloudexit_lab.access_log:filter_factory",
            "access_log": access_log(instance, "swift"),
        },
        "authtoken": {
            "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
            **_authtoken(instance, "swift"),
            "delay_auth_decision": True,
            # a header of 8 KiB is too long for Swift, and the catalogue is longer
            "include_service_catalog": False,
        },
        "s3token": {
            "use": "egg:swift#s3token",
            "auth_uri": internal(instance, "keystone", "/v3"),
            **login,
            "delay_auth_decision": True,
        },
    }
    filters = {}
    for name in _SWIFT_PIPELINE:
        plain = {"use": f"egg:swift#{name.replace('-', '_')}", **_SWIFT_FILTERS.get(name, {})}
        filters[f"filter:{name}"] = special.get(name, plain)
    return {
        "DEFAULT": _swift_base(instance, "swift"),
        "pipeline:main": {"pipeline": " ".join((*_SWIFT_PIPELINE, "proxy-server"))},
        "app:proxy-server": {
            "use": "egg:swift#proxy",
            "allow_account_management": True,
            "account_autocreate": True,
        },
        **filters,
    }


def _swift_back(instance: Instance, kind: str) -> Sections:
    return {
        "DEFAULT": _swift_base(instance, f"swift-{kind}"),
        "pipeline:main": {"pipeline": f"{kind}-server"},
        f"app:{kind}-server": {"use": f"egg:swift#{kind}"},
    }


def access_log(instance: Instance, service: str) -> Path:
    """The access log of an API: see access_log.py of the drivers for its columns."""
    return instance.logs / f"access-{service}.tsv"


def _rabbit(instance: Instance) -> str:
    return "\n".join(
        (
            f"listeners.tcp.1 = {HOST}:{instance.port('rabbit')}",
            "num_acceptors.tcp = 2",
            "log.file.level = warning",
            "vm_memory_high_watermark.absolute = 512MB",
            "",
        )
    )


def clouds_yaml(instance: Instance, extra: Mapping[str, Any] | None = None) -> str:
    """clouds.yaml with the administrator's entry and those of the tenants (JSON is YAML)."""
    admin = cloud_entry(instance, username="admin", password=ADMIN_PASSWORD, project_name="admin")
    clouds = {"lab-admin": admin, **(extra or {})}
    return json.dumps({"clouds": clouds}, indent=2) + "\n"


def cloud_entry(instance: Instance, auth_type: str = "password", **auth: str) -> dict[str, Any]:
    """One entry of clouds.yaml. A password log-in gets the Default domain."""
    full: dict[str, Any] = {"auth_url": instance.url("keystone", "/v3"), **auth}
    if auth_type == "password":
        full |= {"user_domain_name": "Default", "project_domain_name": "Default"}
    return {
        "auth_type": auth_type,
        "auth": full,
        "region_name": REGION,
        "interface": "public",
        "identity_api_version": 3,
    }


def write(instance: Instance) -> None:
    """Write all files below the instance's etc, and make the folders that they name."""
    venv_etc = install.venv_dir(instance) / "etc"
    etc, data = instance.etc, instance.data
    for folder in (
        data / "tmp",
        data / "locks",
        data / "nova" / "instances",
        data / "attach",
        data / "cinder" / "volumes",
        data / "cinder" / "conversion",
        data / "glance" / "images",
        data / "glance" / "staging",
        data / "neutron",
        data / "swift" / "d1",
        data / "rabbit" / "home",
        etc / "swift",
        instance.dir / "bin",
    ):
        folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {
        "mariadb.cnf": ini(_mariadb(instance)),
        "keystone.conf": ini(_keystone(instance)),
        "glance-api.conf": ini(_glance(instance, venv_etc)),
        "placement.conf": ini(_placement(instance)),
        "nova.conf": ini(_nova(instance)),
        "nova-db.conf": ini(_nova_databases(instance)),
        "nova-api-paste.ini": (venv_etc / "nova" / "api-paste.ini").read_text(),
        "cinder.conf": ini(_cinder(instance, venv_etc)),
        "neutron.conf": ini(_neutron(instance, venv_etc)),
        "ml2.ini": ini(_ml2()),
        "octavia.conf": ini(_octavia(instance)),
        "barbican.conf": ini(_barbican(instance)),
        "barbican-api-paste.ini": (venv_etc / "barbican" / "barbican-api-paste.ini").read_text(),
        "rabbitmq.conf": _rabbit(instance),
        "rabbitmq-plugins": "[].\n",
        "swift/swift.conf": ini(
            {
                "swift-hash": {"swift_hash_path_prefix": "lab", "swift_hash_path_suffix": "lab"},
                "storage-policy:0": {"name": "gold", "default": "yes"},
            }
        ),
        "swift/proxy.conf": ini(_swift_proxy(instance)),
    }
    for kind in ("account", "container", "object"):
        files[f"swift/{kind}.conf"] = ini(_swift_back(instance, kind))
    for service in ("nova", "cinder"):
        files[f"rootwrap-{service}.conf"] = ini(
            {
                "DEFAULT": {
                    "filters_path": venv_etc / service / "rootwrap.d",
                    "exec_dirs": f"{venv_etc.parent / 'bin'},/sbin,/usr/sbin,/bin,/usr/bin",
                    "use_syslog": False,
                }
            }
        )
    for name, text in files.items():
        (etc / name).write_text(text)
    # oslo.privsep starts its daemon by the command "sudo"; we are root already, and env runs what it is given
    sudo = instance.dir / "bin" / "sudo"
    if not sudo.is_symlink():
        sudo.symlink_to("/usr/bin/env")
