# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of the lab's OpenStack: how each is started, in which order, and how to know that it is ready."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..paths import HOST, Instance, Proc, stop_all, wait_for
from . import database, install
from .config import INTERNAL_HOST, access_log, socket_path

_LOG_FORMAT = "%(tmicros)\t%(method)\t%(uri)\t%(status)\t%(msecs)\t%(host)\t%(uagent)"

# all others wait for the queue and the database, and would take the processors from them
_FIRST = ("/usr/bin/nice", "-n", "-10")


@dataclass(frozen=True)
class Service:
    """One process: what to run, with what added to the environment; ``port`` where it answers HTTP."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    lazy: bool = False


def base_env(instance: Instance) -> dict[str, str]:
    """The environment that every service gets."""
    venv_bin = install.venv_dir(instance) / "bin"
    path = os.environ.get("PATH", "/usr/bin:/bin")
    return {
        "PATH": f"{instance.dir / 'bin'}:{venv_bin}:{path}:/usr/sbin:/sbin",
        "PYTHONPATH": str(install.DRIVERS),
        "PYTHONWARNINGS": "ignore",
        "PYTHONNOUSERSITE": "1",
        "XDG_CACHE_HOME": str(instance.cache / "xdg"),
        "HOME": str(instance.data),
        "LC_ALL": "C.UTF-8",
        # not the caller's cloud
        **{k: "" for k in os.environ if k.startswith("OS_") or k.lower().endswith("_proxy")},
        "no_proxy": "*",
    }


def _api(
    instance: Instance,
    name: str,
    port_name: str,
    module: str,
    threads: int,
    env: dict[str, str] | None = None,
    pyargv: str = "",
    lazy: bool = False,
) -> Service:
    port = instance.port(port_name)
    binary = str(install.venv_dir(instance) / "bin" / "uwsgi")
    argv = [
        str(install.python(instance)),
        binary,
        "--http-socket",
        f"{HOST}:{port}",
        "--http-socket",
        f"{INTERNAL_HOST}:{port}",
        "--module",
        f"{module}:application",
        "--processes",
        "1",
        "--threads",
        str(threads),
        "--enable-threads",
        "--single-interpreter",
        "--lazy-apps",
        "--need-app",
        "--die-on-term",
        "--no-orphans",
        "--buffer-size",
        "65535",
        # the default limit of 1 MiB breaks chunked image uploads
        "--chunked-input-limit",
        str(64 << 20),
        "--chunked-input-timeout",
        "300",
        "--socket-timeout",
        "300",
        # a client that keeps its connection would now and then meet a reset
        "--add-header",
        "Connection: close",
        "--log-format",
        _LOG_FORMAT,
        "--req-logger",
        f"file:{access_log(instance, port_name)}",
    ]
    if lazy:
        argv += ["--master", "--cheap"]
    if pyargv:
        argv += ["--pyargv", pyargv]
    return Service(name, tuple(argv), env or {}, port, lazy)


def _rabbit(instance: Instance) -> Service:
    etc, data = instance.etc, instance.data / "rabbit"
    erlang = (
        "+S 1:1 +SDcpu 1:1 +SDio 1 +A 4 +sbwt none +sbwtdcpu none +sbwtdio none"
        " -kernel inet_dist_use_interface {127,0,0,1}"
        f" -start_epmd false -erl_epmd_port {instance.port('erlang')}"
    )
    env = {
        "HOME": str(data / "home"),
        "RABBITMQ_NODENAME": f"cloudexit-{instance.name}@localhost",
        "RABBITMQ_CONFIG_FILE": str(etc / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_MNESIA_BASE": str(data),
        "RABBITMQ_LOG_BASE": str(instance.logs),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(etc / "rabbitmq-plugins"),
        "RABBITMQ_PID_FILE": str(instance.run / "rabbit.own"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": erlang,
    }
    # not the wrapper in the PATH, which changes user and folders
    return Service("rabbit", (*_FIRST, "/usr/lib/rabbitmq/bin/rabbitmq-server"), env)


def all_services(instance: Instance) -> dict[str, Service]:
    """Every process by name, in the order in which they are best started."""
    etc = instance.etc
    python = str(install.python(instance))
    venv_bin = install.venv_dir(instance) / "bin"
    nova = ("--config-file", str(etc / "nova.conf"))
    nova_db = (*nova, "--config-file", str(etc / "nova-db.conf"))
    cinder = ("--config-file", str(etc / "cinder.conf"))

    def worker(name: str, *args: str) -> Service:
        return Service(name, (python, str(venv_bin / name), *args))

    services = [
        _rabbit(instance),
        Service("mariadb", (*_FIRST, "/usr/sbin/mariadbd", f"--defaults-file={etc / 'mariadb.cnf'}")),
        _api(
            instance,
            "keystone",
            "keystone",
            "keystone.wsgi.api",
            4,
            {"OS_KEYSTONE_CONFIG_FILES": str(etc / "keystone.conf")},
        ),
        worker("nova-conductor", *nova_db),
        Service("nova-compute", (python, "-m", "cloudexit_lab.nova_compute", *nova)),
        _api(instance, "placement", "placement", "placement.wsgi.api", 2, {"OS_PLACEMENT_CONFIG_DIR": str(etc)}),
        worker("cinder-volume", *cinder),
        worker("cinder-scheduler", *cinder),
        worker("nova-scheduler", *nova_db),
        _api(
            instance,
            "nova-api",
            "nova",
            "nova.wsgi.osapi_compute",
            4,
            {
                "OS_NOVA_DISABLE_EVENTLET_PATCHING": "true",
                "OS_NOVA_CONFIG_DIR": str(etc),
                # the paste file has to be the first
                "OS_NOVA_CONFIG_FILES": "nova-api-paste.ini;nova.conf;nova-db.conf",
            },
        ),
        _api(
            instance,
            "neutron",
            "neutron",
            "neutron.wsgi.api",
            4,
            {"OS_NEUTRON_CONFIG_DIR": str(etc), "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2.ini"},
        ),
        _api(instance, "cinder-api", "cinder", "cinder.wsgi.api", 4, pyargv=" ".join(cinder)),
        _api(instance, "glance", "glance", "glance.wsgi.api", 4, {"OS_GLANCE_CONFIG_DIR": str(etc)}),
        _api(
            instance,
            "octavia",
            "octavia",
            "octavia.wsgi.api",
            2,
            pyargv=f"--config-file {etc / 'octavia.conf'}",
            lazy=True,
        ),
        _api(
            instance,
            "barbican",
            "barbican",
            "cloudexit_lab.key_manager",
            2,
            # Barbican looks for its configuration at home
            {"HOME": str(etc), "CLOUDEXIT_LAB_PASTE": str(etc / "barbican-api-paste.ini")},
            lazy=True,
        ),
        Service(
            "swift",
            (python, "-m", "cloudexit_lab.swift_server", str(etc / "swift")),
            port=instance.port("swift"),
            lazy=True,
        ),
    ]
    return {s.name: s for s in services}


def start(instance: Instance, *names: str) -> None:
    """Start services that do not run, without waiting for them."""
    services = all_services(instance)
    env = base_env(instance)
    for name in names:
        service = services[name]
        Proc(instance, name).start(service.argv, env={**env, **service.env})


def stop(instance: Instance, *names: str, grace: float = 10.0) -> None:
    """Stop services."""
    stop_all([Proc(instance, n) for n in names], grace)


def http_status(port: int, path: str = "/", timeout: float = 30.0, host: str = INTERNAL_HOST) -> int | None:
    """The status that a GET is answered with; None when there is no answer."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"User-Agent": "cloudexit-lab"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def listening(port: int) -> bool:
    """Whether somebody listens on the TCP port; asks the kernel, so that nobody is woken."""
    wanted = f"{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[1].endswith(f":{wanted}"):
            return True
    return False


def _guarded(instance: Instance, name: str, ready: Callable[[], object]) -> Callable[[], object]:
    """ready, but with an error at once when the process has died."""

    def check() -> object:
        got = ready()
        if not got and not Proc(instance, name).alive():
            raise RuntimeError(f"{name} ended at its start: {last_lines(instance.log(name))}")
        return got

    return check


def last_lines(path: Path, count: int = 12) -> str:
    """The end of a log file."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return f"no log {path}"
    return "\n".join([f"(end of {path})", *lines[-count:]])


def wait_ready(instance: Instance, names: Iterable[str], timeout: float = 180.0) -> None:
    """Wait until services answer. Raises TimeoutError, or RuntimeError with the log's end of one that died."""
    services = all_services(instance)
    for name in names:
        service = services[name]
        port = service.port

        def ready(name: str = name, port: int | None = port, lazy: bool = service.lazy) -> object:
            if name == "mariadb":
                return socket_path(instance).exists() and database.answers(instance)
            if name == "rabbit":
                return listening(instance.port("rabbit"))
            if port is None:
                return True
            if lazy:
                return listening(port)
            return listening(port) and http_status(port) is not None

        wait_for(_guarded(instance, name, ready), timeout, f"{name} to answer")
