# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's vCenter as a process of an instance, its log of calls, and the lab-only control beside it."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.lab.paths import HOST, Instance, Proc, wait_for, write_atomic
from tests.lab.vcenter.build import build

USER = "administrator@vsphere.local"
DEFAULT_OPTIONS = {"lease_timeout": 300.0, "capacity_gib": 2048, "free_gib": 1024}


class ControlError(Exception):
    """The control refused: its status and words."""


class Control:
    """The lab's own door to its vCenter. Nothing here goes through the API that is counted."""

    def __init__(self, instance: Instance) -> None:
        self.base = f"http://{HOST}:{instance.port('vcsim')}/control"

    def call(self, method: str, path: str, body: Any = None, timeout: float = 90.0) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}{path}", data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ControlError(
                f"{method} {path}: {error.code} {error.read().decode(errors='replace').strip()}"
            ) from None

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.call("GET", "/health", timeout=2)["ok"])
        except (OSError, ValueError, ControlError):
            return False

    def machines(self, since: int | None = None, timeout: float = 0.0) -> tuple[int, list[dict[str, Any]]]:
        """(version, machines). With `since` = the last version, wait up to `timeout` seconds (at most 60) for news.

        A machine: moref, name, instance_uuid, uuid, power, firmware, cpus, memory_mib, guest_id, leased,
        disks [{key, label, controller, bus, unit, capacity, path}], nics [{key, type, mac, network, start_connected,
        connected}], extra_config. `path` is the raw disk; it is there once it was uploaded or `make_disks` was called.
        """
        query = "" if since is None else f"?since={since}&timeout={timeout:g}"
        said = self.call("GET", f"/vms{query}", timeout=timeout + 30)
        return said["version"], said["vms"]

    def make_disks(self, moref: str) -> dict[str, Any]:
        """Make empty files for disks that nothing was uploaded to; the machine as it is then."""
        found = self.call("POST", f"/vms/{urllib.parse.quote(moref)}/disks")
        return dict(found)

    def guest(
        self, moref: str, *, hostname: str = "", ip: str = "", tools_running: bool = True, nics: Any = ()
    ) -> None:
        """Say what VMware Tools in the guest would: name, address, and addresses by NIC ([{mac, ips}])."""
        body = {"hostname": hostname, "ip": ip, "tools_running": tools_running, "nics": list(nics)}
        self.call("POST", f"/vms/{urllib.parse.quote(moref)}/guest", body)

    def power(self, moref: str, state: str) -> None:
        """The guest switched itself: poweredOff or poweredOn."""
        self.call("POST", f"/vms/{urllib.parse.quote(moref)}/power", {"state": state})

    def faults(self, **faults: Any) -> dict[str, Any]:
        """Plant these faults in the place of all former ones; none: good health again.

        cut_upload / cut_download {after: bytes, times: n, 0 = always}; lease {state: initializing|ready, message,
        times}; corrupt_upload {offset, times}: flips a bit of the stored disk; rate_mib_s; refuse_chunked (411);
        wrong_thumbprint; no_thumbprint; star_url.
        """
        return dict(self.call("PUT", "/faults", faults))

    def end_sessions(self) -> int:
        """End every session of the API; how many there were."""
        return int(self.call("POST", "/sessions/terminate")["terminated"])

    def sessions(self) -> list[dict[str, Any]]:
        """The living sessions."""
        return list(self.call("GET", "/sessions"))

    def leases(self) -> list[dict[str, Any]]:
        """Open leases: id, moref, vm, export, ready."""
        return list(self.call("GET", "/leases"))

    def datastore(self, name: str, capacity: int, free: int) -> None:
        """Set a datastore's size and free space, in bytes."""
        self.call("PUT", f"/datastores/{urllib.parse.quote(name)}", {"capacity": capacity, "free": free})


def _options_file(instance: Instance) -> Path:
    return instance.etc / "vcenter.json"


def options(instance: Instance) -> dict[str, Any]:
    """Password and settings of the instance's vCenter; made at the first call."""
    file = _options_file(instance)
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        made = {**DEFAULT_OPTIONS, "password": secrets.token_urlsafe(15)}
        write_atomic(file, json.dumps(made, indent=2) + "\n", mode=0o600)
        return made


def call_log(instance: Instance) -> Path:
    """The log of calls, one JSON object a line."""
    return instance.logs / "vcenter-calls.jsonl"


def up(instance: Instance, **settings: Any) -> dict[str, Any]:
    """Start it where it is not running; what env.json then says of it under `vcenter`.

    settings: lease_timeout (seconds), capacity_gib, free_gib (of each datastore); kept for later starts.
    """
    instance.make_dirs()
    wanted = {**options(instance), **{k: v for k, v in settings.items() if v is not None}}
    if wanted != options(instance):
        write_atomic(_options_file(instance), json.dumps(wanted, indent=2) + "\n", mode=0o600)
    proc = Proc(instance, "vcenter")
    data = instance.data / "vcenter"
    if not (proc.alive() and Control(instance).healthy()):
        proc.stop()
        with instance.step("build the vCenter (VMware's simulator)"):
            program = build(instance.cache)
        with instance.step("start the vCenter"):
            data.mkdir(parents=True, exist_ok=True)
            argv = [
                program,
                "-listen", f"{HOST}:{instance.port('vcenter')}", "-control", f"{HOST}:{instance.port('vcsim')}",
                "-data", data, "-calls", call_log(instance), "-user", USER,
                "-lease-timeout", f"{float(wanted['lease_timeout']):g}s",
                "-capacity-gib", wanted["capacity_gib"], "-free-gib", wanted["free_gib"],
            ]  # fmt: skip
            proc.start(argv, env={"LAB_VCENTER_PASSWORD": wanted["password"]})
            wait_for(lambda: _up(instance, proc), 30, f"the vCenter to answer, see {instance.log('vcenter')}", 0.05)
    found = {
        "host": HOST,
        "port": instance.port("vcenter"),
        "user": USER,
        "password": wanted["password"],
        "ca_file": str(data / "ca.pem"),
        "disks": str(data / "disks"),
        "control": Control(instance).base,
        "datacenter": "DC0",
        "compute": "DC0_C0",
        "datastores": ["LocalDS_0", "LocalDS_1"],
        "networks": ["VM Network", "DC0_DVPG0", "DC0_DVPG1"],
    }
    bundle = data / "ca-bundle.pem"
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    known = system.read_text() if system.exists() else ""
    write_atomic(bundle, known + (data / "ca.pem").read_text())
    shell = {
        "VMWARE_HOST": HOST,
        "VMWARE_PORT": str(found["port"]),
        "VMWARE_USER": USER,
        "VMWARE_PASSWORD": wanted["password"],
        "VMWARE_VALIDATE_CERTS": "true",
        "SSL_CERT_FILE": str(bundle),  # as for any private CA
    }
    instance.update_env(vcenter=found, shell={**instance.env().get("shell", {}), **shell})
    return found


def _up(instance: Instance, proc: Proc) -> bool:
    if not proc.alive():
        raise RuntimeError(f"the vCenter ended at once, see {instance.log('vcenter')}")
    if not Control(instance).healthy():
        return False
    with contextlib.suppress(OSError), socket.create_connection((HOST, instance.port("vcenter")), timeout=2):
        return True
    return False


def down(instance: Instance) -> None:
    """Stop it; machines and disks are gone then."""
    Proc(instance, "vcenter").stop(5)
    shutil.rmtree(instance.data / "vcenter" / "disks", ignore_errors=True)


def reset(instance: Instance, **settings: Any) -> dict[str, Any]:
    """Start again with an empty inventory, no disks and an empty log of calls."""
    down(instance)
    call_log(instance).unlink(missing_ok=True)
    return up(instance, **settings)


def save(instance: Instance, name: str) -> None:
    """Nothing to keep: every saved state has an empty vCenter."""


def restore(instance: Instance, name: str) -> None:
    """An empty vCenter again."""
    reset(instance)


def calls(instance: Instance, since: datetime | str | None = None) -> dict[str, Any]:
    """The calls of the API since a moment (UTC): {reads, writes, by_method, write_methods}.

    A write is whatever is not known to be a read; NFC uploads count as writes.
    """
    after = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(since, datetime) else since or ""
    by_method: Counter[str] = Counter()
    writes: Counter[str] = Counter()
    with contextlib.suppress(FileNotFoundError), open(call_log(instance)) as lines:
        for line in lines:
            if not line.endswith("\n"):
                break
            entry = json.loads(line)
            if entry["time"] >= after:
                by_method[entry["method"]] += 1
                if entry["write"]:
                    writes[entry["method"]] += 1
    total = sum(writes.values())
    return {
        "reads": sum(by_method.values()) - total,
        "writes": total,
        "by_method": dict(by_method),
        "write_methods": dict(writes),
    }


def now() -> str:
    """This moment as `calls` takes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
