# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud Director as a process of an instance, and the lab's own door to it."""

from __future__ import annotations

import contextlib
import json
import shutil
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.lab.paths import CHECKOUT, HOST, Instance, Proc, wait_for, write_atomic

from . import seed


class ControlError(Exception):
    """The door refused: its status and words."""


class Control:
    """The lab's own door to a Cloud Director. Nothing here is in the log of calls."""

    def __init__(self, url: str | Instance, ca_file: Path | None = None) -> None:
        if isinstance(url, Instance):
            ca_file = url.data / "vcd" / "ca.pem"
            url = url.url("vcd", scheme="https")
        self.base = f"{url}/_lab"
        self.ca_file = ca_file

    def call(self, method: str, path: str, body: Any = None, timeout: float = 90.0) -> Any:
        """One call."""
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}{path}", data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            words = error.read().decode(errors="replace").strip()
            raise ControlError(f"{method} {path}: {error.code} {words}") from None

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.call("GET", "/health", timeout=2)["ok"])
        except (OSError, ValueError, ControlError):
            return False

    def machines(self, since: int | None = None, timeout: float = 0.0) -> tuple[int, list[dict[str, Any]]]:
        """(version, machines), as the vCenter's Control has them; waits up to timeout for news after ``since``.

        A NIC also has network_id, gateway, prefix and address, as far as they are known.
        """
        query = f"?since={since}&timeout={timeout}" if since is not None else ""
        found = self.call("GET", f"/vms{query}", timeout=timeout + 30)
        return int(found["version"]), list(found["vms"])

    def guest(
        self,
        moref: str,
        *,
        hostname: str = "",
        ip: str = "",
        tools_running: bool = True,
        nics: list[dict[str, Any]] | None = None,
    ) -> None:
        """Say what VMware Tools in the guest say; nics: [{mac, ips}]."""
        said = {"hostname": hostname, "ip": ip, "tools_running": tools_running, "nics": nics or []}
        self.call("PUT", f"/vms/{moref}/guest", said)

    def power(self, moref: str, state: str) -> None:
        """Note poweredOn or poweredOff, as if the guest had done it."""
        self.call("PUT", f"/vms/{moref}/power", {"state": state})

    def faults(self, **faults: Any) -> dict[str, Any]:
        """Plant these faults in the place of all former ones; none: good health again.

        Each is a mapping or a list of them, with ``times`` (left out: always), ``skip`` (that often not yet),
        ``for_seconds`` and ``match`` (a regular expression on what is named in brackets):
        http {status, minor, message, retry_after, headers, body} [METHOD path]; stall {stall} [METHOD path];
        cut [METHOD path]; expire [METHOD path]; hostile {how: one of web.HOSTILE} [METHOD path];
        busy [kind name]; task_error {status, minor, message} [operationName]; cut_upload {after}, rate {mib_s},
        corrupt_upload {offset} [transfer path]; cut_download {after}, corrupt_download {offset}, whole_downloads
        [path];
        job_exists, job_empty, job_fail [name of the job].
        """
        return dict(self.call("PUT", "/faults", faults))

    def options(self, **options: Any) -> dict[str, Any]:
        """Set task_seconds, configuring_seconds, idle_minutes, transfer_idle_seconds, job_seconds, versions."""
        return dict(self.call("PUT", "/options", options))

    def calls(self, since: float = 0.0) -> list[dict[str, Any]]:
        """Calls of customers: time, method, path, status, user, bytes, write, seconds."""
        return list(self.call("GET", f"/calls?since={since}"))

    def forget(self) -> None:
        """Empty the log of calls."""
        self.call("DELETE", "/calls")

    def end_sessions(self) -> int:
        """End every session; how many there were."""
        return int(self.call("DELETE", "/sessions")["terminated"])

    def settle(self) -> None:
        """Wait until no task runs."""
        self.call("POST", "/settle")

    def reset(self) -> None:
        """As new: the seed, no faults, no calls."""
        self.call("POST", "/reset")

    def table(self, kind: str) -> dict[str, dict[str, Any]]:
        """The rows of a kind as the server keeps them, by id."""
        return dict(self.call("GET", f"/state/{kind}"))

    def tables(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The rows of every kind, by id."""
        return dict(self.call("GET", "/state"))

    def patch(self, kind: str, ident: str, **values: Any) -> dict[str, Any]:
        """Change a row behind everybody's back."""
        return dict(self.call("PATCH", f"/state/{kind}/{ident}", values))

    def packet(self, source: str, target: str, port: int = 0, protocol: str = "TCP") -> dict[str, Any]:
        """What NAT and firewalls do with the first packet of a connection: passes, address, port, mac, vm, met."""
        query = urllib.parse.urlencode({"source": source, "target": target, "port": port, "protocol": protocol})
        return dict(self.call("GET", f"/packet?{query}"))

    def foreign(self, edge: str, firewall: int = 0, nat: int = 0) -> None:
        """Put rules of somebody else on an edge, by name."""
        self.call("POST", f"/foreign/{urllib.parse.quote(edge)}", {"firewall": firewall, "nat": nat})


def through_edge(instance: Instance, target: str, port: int, source: str = "192.0.2.1") -> tuple[str, int] | None:
    """Where on this machine a connection from outside to a public address ends: what NAT and the firewalls of the
    Cloud Director say, then the guest's port in the lab's hypervisor. None when it does not pass.
    """
    from tests.lab.hypervisor import ports

    found = Control(instance).packet(source, target, port)
    if not found["passes"] or not found["mac"]:
        return None
    forwarded = ports(instance, "target", found["mac"]).get(int(found["port"]))
    return (HOST, forwarded) if forwarded else None


def packages() -> list[str]:
    """Debian packages that are needed on this machine."""
    return ["openssl"]


def call_log(instance: Instance) -> Path:
    """The log of calls, one JSON object a line."""
    return instance.logs / "vcd-calls.jsonl"


def up(instance: Instance) -> dict[str, Any]:
    """Start it where it is not running; what env.json then says of it under ``vcd``."""
    instance.make_dirs()
    proc = Proc(instance, "vcd")
    if not (proc.alive() and Control(instance).healthy()):
        proc.stop()
        with instance.step("start the Cloud Director"):
            argv = [sys.executable, "-m", "tests.lab.vcd", "--port", str(instance.port("vcd"))]
            argv += ["--dir", str(instance.data / "vcd"), "--calls", str(call_log(instance))]
            proc.start(argv, env={"PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT)
            wait_for(lambda: _up(instance, proc), 30, f"the Cloud Director to answer, see {instance.log('vcd')}", 0.05)
    return _told(instance)


def _up(instance: Instance, proc: Proc) -> bool:
    if not proc.alive():
        raise RuntimeError(f"the Cloud Director ended at once, see {instance.log('vcd')}")
    return Control(instance).healthy()


def _told(instance: Instance) -> dict[str, Any]:
    url = instance.url("vcd", scheme="https")
    data = instance.data / "vcd"
    found = {
        "url": url,
        "core_api": url,
        "port": instance.port("vcd"),
        "host": HOST,
        "org": seed.ORG,
        "user": seed.USER,
        "password": seed.PASSWORD,
        "api_token": seed.API_TOKEN,
        "ca_file": str(data / "ca.pem"),
        "control": Control(instance).base,
        "vdc": seed.VDC,
        "vdc_group": seed.GROUP,
        "edge": seed.EDGE,
        "storage_profiles": ["gold", "silver"],
    }
    shell = dict(instance.env().get("shell", {}))
    known = Path(shell.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    bundle = data / "ca-bundle.pem"
    if known != bundle:
        others = known.read_text() if known.exists() else ""
        write_atomic(bundle, others + (data / "ca.pem").read_text())
    shell |= {
        "CLOUDAVENUE_ORG": seed.ORG,
        "CLOUDAVENUE_USERNAME": seed.USER,
        "CLOUDAVENUE_PASSWORD": seed.PASSWORD,
        "CLOUDAVENUE_URL": url,
        "CLOUDAVENUE_CORE_API": url,
        "SSL_CERT_FILE": str(bundle),  # as for any private CA
    }
    instance.update_env(vcd=found, shell=shell)
    return found


def down(instance: Instance) -> None:
    """Stop it; state and bytes stay."""
    Proc(instance, "vcd").stop(10)


def reset(instance: Instance) -> dict[str, Any]:
    """As new, with an empty log of calls."""
    if Proc(instance, "vcd").alive():
        Control(instance).reset()
    else:
        for name in ("transfer", "disks"):
            shutil.rmtree(instance.data / "vcd" / name, ignore_errors=True)
        (instance.data / "vcd" / "state.json").unlink(missing_ok=True)
    call_log(instance).unlink(missing_ok=True)
    return up(instance)


def save(instance: Instance, name: str) -> None:
    """Keep its state and bytes."""
    if Proc(instance, "vcd").alive():
        Control(instance).call("POST", "/save", {"folder": str(instance.dir / "saved" / name / "vcd")})


def restore(instance: Instance, name: str) -> None:
    """Take a kept state; where none was kept, as new."""
    folder = instance.dir / "saved" / name / "vcd"
    up(instance)
    if (folder / "state.json").exists():
        Control(instance).call("POST", "/restore", {"folder": str(folder)})
        call_log(instance).unlink(missing_ok=True)
    else:
        reset(instance)


def calls(instance: Instance, since: datetime | float = 0.0) -> dict[str, Any]:
    """The calls since a moment: {reads, writes, by_method, write_methods}; methods are like ``PUT /api/vApp/{}``."""
    after = since.astimezone(UTC).timestamp() if isinstance(since, datetime) else since
    by_method: Counter[str] = Counter()
    writes: Counter[str] = Counter()
    with contextlib.suppress(FileNotFoundError), open(call_log(instance)) as lines:
        for line in lines:
            if not line.endswith("\n"):
                break
            entry = json.loads(line)
            if entry["time"] >= after:
                name = f"{entry['method']} {entry['path']}"
                by_method[name] += 1
                if entry["write"]:
                    writes[name] += 1
    total = sum(writes.values())
    return {
        "reads": sum(by_method.values()) - total,
        "writes": total,
        "by_method": dict(by_method),
        "write_methods": dict(writes),
    }
