# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages that the lab needs: looked for first, only what is missing is installed."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .paths import fail

_POLICY = Path("/usr/sbin/policy-rc.d")


def require_host(commands: str = "the lab") -> None:
    """End with one sentence when this is no Debian or we are not root."""
    missing = []
    if not Path("/etc/debian_version").exists():
        missing.append("a Debian system (12 was tried)")
    if os.geteuid() != 0:
        missing.append("root (run it with sudo)")
    if missing:
        fail(f"{commands} needs {' and '.join(missing)}.")


def missing_packages(wanted: Iterable[str]) -> list[str]:
    """Those of the wanted Debian packages that are not installed."""
    wanted = list(wanted)
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\\n", *wanted],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    have = {line.split()[0] for line in shown.splitlines() if line.split()[1:2] == ["ii"]}
    return [p for p in wanted if p not in have]


@contextlib.contextmanager
def _no_daemons() -> Iterator[None]:
    """Keep maintainer scripts from starting services, unless the system has its own rule for that."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def ensure(wanted: Iterable[str], say: Callable[[str], None] = print) -> list[str]:
    """Install the missing ones of the wanted packages with apt-get. Returns what was installed.

    Raises SystemExit with apt's last lines when it fails.
    """
    missing = missing_packages(wanted)
    if not missing:
        return []
    say(f"installing Debian packages: {' '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_daemons():
        for argv in (
            ["apt-get", "-qq", "update"],
            ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *missing],
        ):
            done = subprocess.run(["nice", "-n", "5", *argv], env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
                fail(f"{' '.join(argv[:2])} failed:\n{tail}")
    return missing
