# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of a started machine: a port that answers, a page with a text, a command that ends well.

All checks of a workload run at the same time, each is tried until it holds or its time is over, and each tells its
result: who reads it wants to know all that is wrong.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem

ATTEMPT_S = 15.0
"""Seconds that one attempt of a check may take."""
PAGE_LIMIT = 4 << 20
"""Bytes of a page that are looked at."""
KINDS = ("tcp", "http", "ssh")


class NotYet(Exception):
    """The check does not hold (now); says why."""


@dataclass(frozen=True)
class Check:
    """One check, as the plan has it. timeout_s: seconds until it must have held."""

    type: str
    host: str = ""
    port: int = 0
    url: str = ""
    status: int = 200
    expect: str = ""
    command: str = ""
    user: str = ""
    key_file: str = ""
    options: tuple[str, ...] = ()
    host_key_alias: str = ""
    rc: int = 0
    timeout_s: float = 300.0
    validate_certs: bool = True

    @property
    def name(self) -> str:
        """What it checks, in a few words."""
        if self.type == "tcp":
            return f"tcp {self.host}:{self.port}"
        if self.type == "http":
            return f"http {self.url}"
        return f"ssh {self.host}: {self.command}"


@dataclass(frozen=True)
class Outcome:
    """How a check ended. seconds: until it held, or until it was given up. detail: what was seen last."""

    name: str
    ok: bool
    seconds: float
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 1)}


def of_plan(checks: Sequence[Mapping[str, Any]], default_host: str = "", host_key_alias: str = "") -> list[Check]:
    """The checks of a plan or of a module's option. Raises InvalidInput with all problems."""
    found, problems = [], []
    for index, raw in enumerate(checks):
        given = {key: value for key, value in raw.items() if value is not None and key in Check.__dataclass_fields__}
        kind = str(given.get("type", ""))
        given.setdefault("port", 22 if kind == "ssh" else 0)
        if kind != "http":
            given["host"] = given.get("host") or default_host
            given.setdefault("host_key_alias", host_key_alias)
        if "options" in given:
            given["options"] = tuple(str(option) for option in given["options"])
        check = Check(**given)
        where = f"checks[{index}]"
        if kind not in KINDS:
            problems.append(Problem(f"{where}.type", f"{kind!r} is not one of {', '.join(KINDS)}"))
        elif kind == "http" and not check.url.startswith(("http://", "https://")):
            problems.append(Problem(f"{where}.url", "must begin with http:// or https://"))
        elif kind != "http" and (not check.host or check.host.startswith("-")):
            problems.append(Problem(f"{where}.host", "must be set: the workload has no address"))
        elif kind == "tcp" and not 0 < check.port < 65536:
            problems.append(Problem(f"{where}.port", "must be a port, 1 to 65535"))
        elif kind == "ssh" and (not check.command or check.user.startswith("-")):
            problems.append(Problem(where, "must have a command, and a user that is a login name"))
        found.append(check)
    if problems:
        raise InvalidInput("The checks cannot be run", problems, hint="Correct checks in the plan.")
    return found


def run_all(
    checks: Sequence[Check],
    *,
    pause_s: float = 2.0,
    on_change: Callable[[Check, str], None] | None = None,
    attempt: Callable[[Check, float], str] | None = None,
) -> list[Outcome]:
    """Run every check until it holds or its time is over; the outcomes are in the order of the checks."""
    outcomes: list[Outcome | None] = [None] * len(checks)
    attempt = attempt or try_once

    def work(index: int, check: Check) -> None:
        outcomes[index] = _until(check, pause_s, attempt, on_change)

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(checks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcome for outcome in outcomes if outcome is not None]


def _until(
    check: Check,
    pause_s: float,
    attempt: Callable[[Check, float], str],
    on_change: Callable[[Check, str], None] | None,
) -> Outcome:
    began = time.monotonic()
    pause = min(0.25, pause_s)
    last = ""
    while True:
        left = check.timeout_s - (time.monotonic() - began)
        try:
            detail = attempt(check, max(1.0, min(ATTEMPT_S, left)))
        except NotYet as exc:
            detail = str(exc)
        else:
            return Outcome(check.name, True, time.monotonic() - began, detail)
        if detail != last and on_change is not None:
            on_change(check, detail)
        last = detail
        passed = time.monotonic() - began
        if passed + pause >= check.timeout_s:
            return Outcome(check.name, False, passed, f"{detail} (given up after {check.timeout_s:g} s)")
        time.sleep(pause)
        pause = min(pause * 1.5, pause_s)


def try_once(check: Check, timeout: float) -> str:
    """One attempt; returns what was seen, raises NotYet."""
    return {"tcp": _tcp, "http": _http, "ssh": _ssh}[check.type](check, timeout)


def _tcp(check: Check, timeout: float) -> str:
    try:
        with socket.create_connection((check.host, check.port), timeout):
            return "connected"
    except OSError as exc:
        raise NotYet(_said(exc)) from exc


def _http(check: Check, timeout: float) -> str:
    parts = urlsplit(check.url)
    host, path = parts.hostname or "", parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if not check.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path, headers={"User-Agent": "cloudexit", "Connection": "close"})
            answer = connection.getresponse()
            page = answer.read(PAGE_LIMIT).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise NotYet(_said(exc)) from exc
    if answer.status != check.status:
        raise NotYet(f"HTTP {answer.status}, expected {check.status}")
    if check.expect and check.expect not in page:
        raise NotYet(f"HTTP {answer.status}, but the page ({len(page)} characters) does not hold the expected text")
    return f"HTTP {answer.status}" + (", with the expected text" if check.expect else "")


def _ssh(check: Check, timeout: float) -> str:
    argv = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={int(timeout)}", "-o", "LogLevel=ERROR"]
    argv += ["-p", str(check.port)]
    if check.key_file:
        argv += ["-i", check.key_file, "-o", "IdentitiesOnly=yes"]
    if check.host_key_alias:
        # the same machine may answer at other addresses and ports than before: its key goes by its id
        argv += ["-o", f"HostKeyAlias={check.host_key_alias}", "-o", "StrictHostKeyChecking=accept-new"]
    for option in check.options:
        argv += ["-o", option]
    if check.user:
        argv += ["-l", check.user]
    argv += ["--", check.host, check.command]
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout + 5,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError as exc:
        raise NotYet("there is no ssh program here") from exc
    except subprocess.TimeoutExpired as exc:
        raise NotYet(f"no end after {timeout:.0f} s") from exc
    if done.returncode != check.rc:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NotYet(f"ended with {done.returncode}, expected {check.rc}" + (f": {said[0][:200]}" if said else ""))
    if check.expect and check.expect not in done.stdout:
        raise NotYet("the output does not hold the expected text")
    return f"ended with {done.returncode}" + (", with the expected text" if check.expect else "")


def _said(exc: BaseException) -> str:
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    return str(getattr(exc, "strerror", None) or exc or type(exc).__name__)
