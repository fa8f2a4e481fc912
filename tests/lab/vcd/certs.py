# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority of the lab's own, and a certificate of it for 127.0.0.1 and localhost."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

DAYS = "3650"


def certificates(folder: Path) -> tuple[Path, Path]:
    """(ca.pem, server.pem with its key) in a folder; made at the first call, by openssl."""
    ca, server = folder / "ca.pem", folder / "server.pem"
    if ca.exists() and server.exists():
        return ca, server
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        here = Path(name)

        def openssl(*argv: str) -> None:
            subprocess.run(["openssl", *argv], check=True, capture_output=True, cwd=here)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256")
        openssl(
            "req",
            "-x509",
            *key,
            "-days",
            DAYS,
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=lab Cloud Director CA",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        )
        openssl("req", "-new", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
        (here / "ext").write_text(
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
            "keyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        openssl(
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            DAYS,
            "-sha256",
            "-extfile",
            "ext",
            "-out",
            "server.crt",
        )
        both = here / "both.pem"
        with open(os.open(both, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write((here / "server.crt").read_bytes() + (here / "server.key").read_bytes())
        both.replace(server)
        (here / "ca.pem").replace(ca)
    return ca, server
