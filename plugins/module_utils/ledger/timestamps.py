# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time stamps of an authority (RFC 3161), asked for and checked with `openssl ts`."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Refused,
    Unreachable,
)

LARGEST_TOKEN = 256 * 1024
_SECONDS = 60
_TIME = re.compile(r"^Time stamp: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Authority:
    """A time-stamping authority: where it is, and the file of certificates that its tokens are checked with."""

    url: str
    ca_file: str


def stamp(data: bytes, authority: Authority) -> bytes:
    """The authority's answer for `data`, checked. Raises Unreachable, Refused, CloudExitError."""
    try:
        import requests
    except ImportError as error:
        raise CloudExitError("The Python library requests is missing", hint="Install requirements.txt.") from error
    query = _openssl(["ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "out"], {"data": data}, "out")
    try:
        answer = requests.post(
            authority.url,
            data=query,
            headers={"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"},
            timeout=_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        what = f"The time-stamping authority {authority.url} did not answer"
        raise Unreachable(what, cause=type(error).__name__, retryable=True) from error
    if answer.status_code != 200 or len(answer.content) > LARGEST_TOKEN:
        what = f"The time-stamping authority {authority.url} gave no time stamp"
        raise Refused(what, cause=f"HTTP {answer.status_code}, {len(answer.content)} bytes")
    wrong = verify(data, answer.content, authority.ca_file)
    if wrong:
        raise Refused(
            f"The time stamp of {authority.url} is not valid",
            cause=wrong,
            hint="Is the file of its certificates the right one? Nothing was kept.",
        )
    return answer.content


def verify(data: bytes, token: bytes, ca_file: str) -> str:
    """What is wrong with a time stamp of `data`; empty when nothing is. Raises CloudExitError."""
    try:
        with open(ca_file, "rb") as stream:
            files = {"data": data, "token": token, "ca": stream.read()}
    except OSError as error:
        what = f"Could not read the certificates of the time-stamping authority {ca_file}"
        raise CloudExitError(what, cause=error.strerror or "") from error
    done = _run(["ts", "-verify", "-data", "data", "-in", "token", "-CAfile", "ca"], files)[0]
    return "" if done.returncode == 0 else _said(done)


def told(token: bytes) -> str:
    """The time that a time stamp states, as openssl prints it; empty when it states none."""
    done = _run(["ts", "-reply", "-in", "token", "-text"], {"token": token})[0]
    found = _TIME.search(done.stdout.decode("utf-8", "replace"))
    return found[1] if found else ""


def _openssl(arguments: Sequence[str], files: Mapping[str, bytes], wanted: str) -> bytes:
    done, made = _run(arguments, files, wanted)
    if done.returncode:
        raise CloudExitError(f"openssl {arguments[0]} {arguments[1]} failed", cause=_said(done))
    return made


def _run(
    arguments: Sequence[str], files: Mapping[str, bytes], wanted: str = ""
) -> tuple[subprocess.CompletedProcess[bytes], bytes]:
    with tempfile.TemporaryDirectory(prefix="cloudexit-") as folder:
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as stream:
                stream.write(content)
        try:
            done = subprocess.run(
                ["openssl", *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CloudExitError("Could not run openssl", cause=str(error), hint="Install openssl.") from error
        path = os.path.join(folder, wanted)
        if not wanted or not os.path.exists(path):
            return done, b""
        with open(path, "rb") as stream:
            return done, stream.read()


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line.strip() for line in (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith("Using configuration"))[-400:]
