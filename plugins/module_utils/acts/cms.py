# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes for somebody's eyes only: CMS (RFC 5652, RFC 5083) by the `openssl` of the host, so that any other opens them.

Each message is AuthEnvelopedData with AES-256-GCM: a changed byte is found when it is opened. Certificates name who can
open it; the private key that opens it goes to openssl through memory, never through a file or the command line.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    NotFound,
    Problem,
)

TIMEOUT_S = 600.0


def fingerprint(certificate: str) -> str:
    """`sha256:…` of a certificate (PEM). Raises InvalidInput for what is none."""
    try:
        shown = _openssl(["x509", "-noout", "-fingerprint", "-sha256"], certificate.encode()).decode()
    except CloudExitError as error:
        raise InvalidInput(
            "A recipient of the escrow is no certificate", [Problem("recipients", str(error))]
        ) from error
    return "sha256:" + shown.rpartition("=")[2].strip().replace(":", "").lower()


def seal(data: bytes, recipients: Sequence[str]) -> bytes:
    """`data` for the holders of the keys of `recipients` (certificates, PEM), DER. Raises CloudExitError."""
    if not recipients:
        raise InvalidInput("Nothing is encrypted for nobody", [Problem("recipients", "must not be empty")])
    with tempfile.TemporaryDirectory(prefix="cloudexit-") as folder:
        files = []
        for number, certificate in enumerate(recipients):
            path = os.path.join(folder, f"{number}.pem")
            with open(path, "w", encoding="ascii", errors="replace") as stream:
                stream.write(certificate)
            files.append(path)
        return _openssl(["cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER", *files], data)


def open_sealed(message: bytes, key: str) -> bytes:
    """What was sealed, with the private key (PEM, without a pass phrase) of one of its recipients.

    Raises CloudExitError where the key is not one of them or a byte is another than was sealed.
    """
    held = os.memfd_create("cloudexit-key", 0)
    try:
        os.write(held, key.encode())
        os.lseek(held, 0, os.SEEK_SET)
        arguments = ["cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", f"/dev/fd/{held}"]
        return _openssl(arguments, message, pass_fds=(held,))
    finally:
        os.close(held)


def _openssl(arguments: Sequence[str], data: bytes, pass_fds: Sequence[int] = ()) -> bytes:
    try:
        done = subprocess.run(
            ["openssl", *arguments],
            input=data,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
            pass_fds=tuple(pass_fds),
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise NotFound(
            "The program openssl is not on this host", hint="Install the package openssl, 3.0 or newer."
        ) from (error)
    except subprocess.TimeoutExpired as error:
        raise CloudExitError(f"openssl {arguments[0]} did not end within {TIMEOUT_S:.0f} s", retryable=True) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CloudExitError(f"openssl {arguments[0]} failed", cause=said[-1] if said else f"code {done.returncode}")
    return done.stdout
