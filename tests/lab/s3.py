# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real S3 server with versions and object lock: versitygw, built once through the Go module proxy."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.vcenter.build import find_go

VERSION = "v1.8.0"
MODULE = "github.com/versity/versitygw/cmd/versitygw"
ACCESS_KEY, SECRET_KEY = "lab", "lab-secret-key"


@dataclass(frozen=True)
class Server:
    """Where it listens, and the folder of its log."""

    url: str
    folder: Path


def binary(cache: Path) -> Path:
    """The binary, built when it is missing. Takes some minutes the first time."""
    target = cache / f"versitygw-{VERSION}" / "versitygw"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            env = {
                **os.environ,
                "GOPATH": str(cache / "go"),
                "GOCACHE": str(cache / "go-build"),
                "GOBIN": str(target.parent / "part"),
                "GOFLAGS": "-modcacherw",
                "GOTOOLCHAIN": "local",
                "CGO_ENABLED": "0",
            }
            argv = ["nice", find_go(cache), "install", "-trimpath", "-ldflags=-s -w", f"{MODULE}@{VERSION}"]
            done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"building versitygw failed:\n{done.stderr[-4000:]}")
            made = target.parent / "part" / "versitygw"
            made.replace(target)
            made.parent.rmdir()
    return target


@contextmanager
def running(cache: Path, folder: Path) -> Iterator[Server]:
    """The server on loopback, with its objects in `folder`, until the end of the block."""
    program = binary(cache)
    for name in ("data", "versions"):
        (folder / name).mkdir(parents=True)
    port = _free_port()
    argv = [str(program), "--port", f"127.0.0.1:{port}", "--health", "/health", "posix"]
    argv += ["--versioning-dir", str(folder / "versions"), str(folder / "data")]
    env = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY, "HOME": str(folder)}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while not _answers(f"{url}/health"):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"versitygw did not start:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield Server(url, folder)
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
