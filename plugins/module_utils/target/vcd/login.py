# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who logs in to Cloud Director, and which version of its interface is spoken.

A password, an API token that a user made in the portal, or a service account, whose token changes with each use and is
therefore kept in a file that is written before the new token is used.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import tempfile
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    InvalidInput,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import locks, wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Wire

WANTED = "39.1"
FLOOR = "37.1"
CEILING = "40.0"
TOKEN_HEADER = "x-vmware-vcloud-access-token"
LOGIN = "/cloudapi/1.0.0/sessions"


@dataclass(frozen=True)
class Credentials:
    """One way to log in to an organisation: user and password, api_token, or token_file of a service account."""

    org: str
    username: str = ""
    password: str = ""
    api_token: str = ""
    token_file: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.username or 'token'}@{self.org})"

    def problems(self) -> list[Problem]:
        """What is missing or too much."""
        found = []
        if not re.fullmatch(r"[A-Za-z0-9._ -]{1,128}", self.org):
            found.append(Problem("org", "the name of the organisation is missing" if not self.org else "is not a name"))
        ways = [bool(self.password), bool(self.api_token), bool(self.token_file)]
        if sum(ways) != 1:
            found.append(Problem("password", "give exactly one of password, api_token and token_file"))
        if self.password and not self.username:
            found.append(Problem("username", "a password needs a user"))
        return found


@dataclass(frozen=True)
class Login:
    """A session that was opened: its token, how it idles out, and the ids of the organisation and of the session."""

    token: str
    idle_minutes: int = 30
    session: str = ""
    org_id: str = ""
    expires_in: float = 0.0


# -- versions


def number_of(version: str) -> tuple[int, int]:
    """A version as numbers; (-1, -1) where it is none (alphas)."""
    found = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", version)
    return (int(found[1]), int(found[2])) if found else (-1, -1)


def offered(tree: xml.Tree) -> list[str]:
    """The versions that an answer to /api/versions lists."""
    return [xml.text(one, "Version") for one in xml.children(tree, "VersionInfo")]


def choose(versions: Sequence[str], host: str, asked: str = "") -> str:
    """The version to speak: what was asked for, else 39.1, else the newest from 37.1 to before 40.0."""
    what = f"cannot speak with the Cloud Director at {host}"
    known = sorted({one for one in versions if number_of(one) != (-1, -1)}, key=number_of)
    fit = [one for one in known if number_of(FLOOR) <= number_of(one) < number_of(CEILING)]
    said = ", ".join(known[-12:]) or "none"
    if asked:
        if asked not in fit:
            raise Refused(
                what,
                cause=f"version {asked} is not one that both sides speak (the server offers {said})",
                hint=f"Leave api_version out, or give one from {FLOOR} to before {CEILING}.",
            )
        return asked
    if not fit:
        newer = bool(known) and number_of(known[0]) >= number_of(CEILING)
        raise Refused(
            what,
            cause=f"it offers the versions {said}; {FLOOR} at least is needed, and {CEILING} is another product",
            hint="This is VCF Automation, which has no Cloud Director interface of this kind."
            if newer
            else "Cloud Director 10.4.1 or newer is needed.",
        )
    return WANTED if WANTED in fit else fit[-1]


# -- log-ins


def password(wire_: Wire, who: Credentials, version: str) -> Login:
    """Log in with user and password."""
    what = f"cannot log in to {wire_.host} as {who.username}@{who.org}"
    pair = base64.b64encode(f"{who.username}@{who.org}:{who.password}".encode()).decode("ascii")
    headers = {"Authorization": f"Basic {pair}", "Accept": f"application/json;version={version}"}
    answer = wire.judge(wire_.send("POST", LOGIN, what, headers=headers, body=b""))
    token = answer.headers.get(TOKEN_HEADER, "")
    if not _good(token):
        raise wire.not_understood(what, "it has no token")
    found = answer.json() if answer.body.strip() else {}
    return Login(
        token,
        idle_minutes=max(1, xml.whole(found.get("sessionIdleTimeoutMinutes"), 30)),
        session=wire.string(found.get("id")),
        org_id=wire.ref(found.get("org"))[0],
    )


def api_token(wire_: Wire, who: Credentials) -> Login:
    """Log in with an API token that does not change."""
    login, rotated = _exchange(wire_, who, who.api_token)
    if rotated not in ("", who.api_token):
        raise AuthFailed(
            f"cannot go on at {wire_.host} with this token",
            cause="it is that of a service account, which is used up with this log-in",
            hint="Keep it in a file and give that as token_file; make a new token for the service account first.",
        )
    return login


def service_account(wire_: Wire, who: Credentials) -> Login:
    """Log in as a service account: the token in the file is replaced, durably, before the new one is used."""
    path = Path(who.token_file)
    what = f"cannot log in to {wire_.host} with the token file {path}"
    with locks.hold(f"token {path.resolve()}", what, pace=wire_.pace):
        token, whole = read_token(path)
        login, rotated = _exchange(wire_, who, token)
        if rotated and rotated != token:
            try:
                _write_token(path, rotated, whole)
            except OSError as error:
                raise CloudExitError(
                    f"The new token of the service account could not be written to {path}",
                    cause=error.strerror or str(error),
                    hint="The old one is used up: make a new token for the service account, and the file writable.",
                ) from error
    return login


def read_token(path: Path) -> tuple[str, wire.Json | None]:
    """(token, the JSON around it or None) of a token file: bare, or JSON with `refresh_token` as other tools write."""
    try:
        if path.stat().st_size > 65536:
            raise InvalidInput(f"{path} is no token file", [Problem("token_file", "it is too large")])
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CloudExitError(f"The token file {path} cannot be read", cause=str(error)) from error
    if text.startswith("{"):
        try:
            whole = json.loads(text)
        except ValueError as error:
            raise InvalidInput(
                f"{path} is no token file", [Problem("token_file", f"it is not JSON: {error}")]
            ) from error
        token = wire.string(whole.get("refresh_token"))
    else:
        whole, token = None, text
    if not re.fullmatch(r"[\x21-\x7e]{8,8192}", token):
        raise InvalidInput(f"{path} is no token file", [Problem("token_file", "it holds no token")])
    return token, whole


def _write_token(path: Path, token: str, whole: wire.Json | None) -> None:
    text = json.dumps({**whole, "refresh_token": token}, indent=2) if whole is not None else token
    real = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, real)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    folder = os.open(real.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _exchange(wire_: Wire, who: Credentials, token: str) -> tuple[Login, str]:
    what = f"cannot log in to {wire_.host}, organisation {who.org}, with the token"
    form = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": token}).encode("ascii")
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    path = f"/oauth/tenant/{urllib.parse.quote(who.org, safe='')}/token"
    answer = wire_.send("POST", path, what, headers=headers, body=form)
    if answer.status in (400, 401, 403):
        reason = wire.told(answer)
        cause = f"the server answered {answer.status} {reason.minor}: {reason.message}".rstrip(": ")
        hint = "The token was revoked, used up, or belongs to another organisation. Make a new one in the portal."
        raise AuthFailed(what, cause=cause, hint=hint) from reason
    found = wire.judge(answer).json()
    access = wire.string(found.get("access_token"))
    if not _good(access):
        raise wire.not_understood(what, "it has no token")
    lives = found.get("expires_in")
    seconds = float(lives) if isinstance(lives, (int, float)) and not isinstance(lives, bool) else 0.0
    return Login(access, expires_in=seconds), wire.string(found.get("refresh_token"))


def _good(token: str) -> bool:
    """Whether it can stand in a header."""
    return bool(re.fullmatch(r"[\x21-\x7e]{1,65536}", token))
