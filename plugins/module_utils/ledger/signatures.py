# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures that OpenSSH makes and checks (`ssh-keygen -Y`), and the file that says whose keys count.

That file is the `allowed_signers` of ssh-keygen(1), one key a line. Its first principal is `<role>:<person>`, as in

    customer:alice@acme.example valid-before="20270101" ssh-ed25519 AAAA… alice

more principals are other names of the same person, such as `user:<id of a user of the cloud>`. Nothing else is added to
the form, so the stock `ssh-keygen -Y verify` takes the file as it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import struct
import subprocess
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    NotFound,
    Problem,
)

LARGEST_SIGNATURE = 64 * 1024
_PRINCIPAL = re.compile(r"([a-z][a-z_]*):([^\s\",*?!:]+)")
_FIELD = re.compile(r'(?:"[^"]*"|[^\s"])+')
_KEY = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+")
_ARMOUR = re.compile(rb"\s*-----BEGIN SSH SIGNATURE-----\s([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----\s*")
_SECONDS = 60


@dataclass(frozen=True)
class Signer:
    """A line of the file. names: all its principals, the first one `<role>:<person>`. key: the public key, binary."""

    role: str
    person: str
    names: tuple[str, ...]
    key: bytes

    @property
    def principal(self) -> str:
        return f"{self.role}:{self.person}"

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        return fingerprint(self.key)

    def called(self, name: str) -> bool:
        """Whether this is one of the signer's names, with or without the role before it, in any spelling."""
        told = {folded(other) for other in self.names} | {folded(other.partition(":")[2]) for other in self.names}
        return folded(name) in told


@dataclass(frozen=True)
class Signers:
    """The file: its bytes, and what they say."""

    text: bytes
    lines: tuple[Signer, ...]

    @property
    def digest(self) -> str:
        """`sha256:…` of the file's bytes; what a retirement plan names its signers by."""
        return "sha256:" + hashlib.sha256(self.text).hexdigest()

    def of(self, key: bytes) -> Signer | None:
        """Whose key this is."""
        return next((line for line in self.lines if line.key == key), None)


@dataclass(frozen=True)
class Envelope:
    """What a signature says of itself, not verified: the key that made it, and what for."""

    key: bytes
    namespace: str


def folded(name: str) -> str:
    """A name in the one spelling that names are compared in."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def fingerprint(key: bytes) -> str:
    """A public key's fingerprint, as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


def read_signers(path: str) -> Signers:
    """The file of allowed signers. Raises NotFound, CloudExitError, InvalidInput with all problems."""
    try:
        with open(path, "rb") as stream:
            return parse_signers(stream.read(), path)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file of allowed signers {path}", hint="docs/verify.md shows one.") from error
    except OSError as error:
        raise CloudExitError(f"Could not read the allowed signers {path}", cause=error.strerror or "") from error


def parse_signers(text: bytes, what: str = "allowed_signers") -> Signers:
    """The bytes of such a file. Raises InvalidInput with all problems.

    Narrower than OpenSSH, so that it is plain who is who: no patterns, no certificate authorities, a role and a person
    first, one person a key.
    """
    problems: list[Problem] = []
    lines: list[Signer] = []
    try:
        rows = text.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{what} is not valid", [Problem("(document)", str(error))]) from error
    for number, row in enumerate(rows, 1):
        if not row.strip() or row.lstrip().startswith("#"):
            continue
        signer, said = _line(row)
        if signer is not None and (other := next((one for one in lines if one.key == signer.key), None)):
            said = f"{signer.principal} has the key of {other.principal}"
        if signer is None or said:
            problems.append(Problem(f"line {number}", said))
        else:
            lines.append(signer)
    if not lines and not problems:
        problems.append(Problem("(document)", "names nobody"))
    if problems:
        raise InvalidInput(f"{what} is not valid", problems, hint="One line a key: <role>:<person> <type> <key>.")
    return Signers(text, tuple(lines))


def _line(row: str) -> tuple[Signer | None, str]:
    fields = _FIELD.findall(row)
    at = next((index for index, field in enumerate(fields[:3]) if _KEY.fullmatch(field)), 0)
    if at == 0 or len(fields) <= at + 1:
        return None, "is not `<role>:<person> [options] <type> <key>`"
    if at == 2 and "cert-authority" in fields[1].lower():
        return None, "cert-authority is not taken: name each key"
    names = tuple(fields[0].strip('"').split(","))
    wrong = next((name for name in names if not _PRINCIPAL.fullmatch(name)), None)
    if wrong is not None:
        return None, f"{wrong} is not `<role>:<person>`"
    try:
        key = base64.b64decode(fields[at + 1], validate=True)
    except binascii.Error:
        return None, "its key is not base64"
    role, dummy, person = names[0].partition(":")
    return Signer(role, person, names, key), ""


def envelope(signature: bytes) -> Envelope:
    """What a signature (the text that `ssh-keygen -Y sign` writes; PROTOCOL.sshsig of OpenSSH) says of itself.

    Raises InvalidInput when it is none.
    """
    found = _ARMOUR.fullmatch(signature) if len(signature) <= LARGEST_SIGNATURE else None
    try:
        if found is None:
            raise ValueError("no SSH signature")
        blob = base64.b64decode(b"".join(found[1].split()), validate=True)
        if blob[:6] != b"SSHSIG" or struct.unpack(">I", blob[6:10]) != (1,):
            raise ValueError("another version of SSH signatures")
        key, rest = _string(blob[10:])
        namespace, dummy = _string(rest)
        return Envelope(key, namespace.decode("utf-8"))
    except (ValueError, struct.error) as error:
        raise InvalidInput("this is not a signature", [Problem("(signature)", str(error))]) from error


def _string(data: bytes) -> tuple[bytes, bytes]:
    (size,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + size:
        raise ValueError("it is cut off")
    return data[4 : 4 + size], data[4 + size :]


def sign(data: bytes, key: str, namespace: str) -> bytes:
    """The signature of `data`. key: file of a private key, or of a public key whose private one is in ssh-agent.

    Raises CloudExitError. A key that asks for a passphrase belongs in ssh-agent: nobody is asked.
    """
    done = _ssh_keygen(["-Y", "sign", "-q", "-f", os.path.abspath(key), "-n", namespace], data)
    if done.returncode or not done.stdout:
        raise CloudExitError(
            f"Could not sign with {key}",
            cause=_said(done),
            hint="Give a file that only you can read, or its .pub while ssh-agent holds the key (SSH_AUTH_SOCK).",
        )
    return done.stdout


def verify(data: bytes, signature: bytes, signers: Signers, namespace: str, at: datetime) -> tuple[Signer | None, str]:
    """Who signed `data`, as ssh-keygen found it at that moment; or None, and what is wrong. Raises CloudExitError."""
    try:
        told = envelope(signature)
    except InvalidInput as error:
        return None, error.problems[0].message
    if told.namespace != namespace:
        return None, f"was made for {told.namespace or 'nothing'}, not for {namespace}"
    signer = signers.of(told.key)
    if signer is None:
        return None, f"its key {fingerprint(told.key)} is not among the allowed signers"
    moment = at.astimezone(timezone.utc).strftime("%Y%m%d%H%M%S")
    with tempfile.TemporaryDirectory(prefix="cloudexit-") as folder:
        files = {"signers": signers.text, "signature": signature}
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as stream:
                stream.write(content)
        command = ["-Y", "verify", "-f", "signers", "-I", signer.principal, "-n", namespace, "-s", "signature"]
        done = _ssh_keygen([*command, f"-Overify-time={moment}"], data, folder)
    return (signer, "") if done.returncode == 0 else (None, f"{signer.principal}: {_said(done)}")


def _ssh_keygen(arguments: Sequence[str], data: bytes, folder: str | None = None) -> subprocess.CompletedProcess[bytes]:
    passed = ("PATH", "HOME", "SSH_AUTH_SOCK")
    env = {name: os.environ[name] for name in passed if name in os.environ}
    env |= {"LC_ALL": "C", "TZ": "UTC", "SSH_ASKPASS_REQUIRE": "never"}
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=data,
            cwd=folder,
            env=env,
            capture_output=True,
            timeout=_SECONDS,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        hint = "Install the OpenSSH client (8.9 or later)."
        raise CloudExitError("Could not run ssh-keygen", cause=str(error), hint=hint) from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last lines of ssh-keygen, as one."""
    lines = [line.strip() for line in (done.stderr + done.stdout).decode("utf-8", "replace").splitlines()]
    return "; ".join(line for line in lines if line)[-400:] or "ssh-keygen said nothing"
