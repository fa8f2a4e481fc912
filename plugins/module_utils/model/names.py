# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are safe where they are used, made from names that people gave in a cloud and that may hold anything."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

VM_NAME_MAX = 80
"""Longest name of a virtual machine in vSphere (characters)."""

_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_NOT_VM = re.compile(r"[^\w .()+@-]+")


def slug(text: str, *, fallback: str = "unnamed", length: int = 40) -> str:
    """`text` as lower-case ASCII letters, digits and single `-`; `fallback` where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return _NOT_SLUG.sub("-", plain).strip("-")[:length].strip("-") or fallback


def group_name(prefix: str, text: str) -> str:
    """A valid name of an Ansible group: `<prefix>_<slug>`, with `_` for `-`."""
    return f"{prefix}_{slug(text).replace('-', '_')}"


def short_id(identity: str, length: int = 8) -> str:
    """The first characters of an id, without dashes, for a name that people read."""
    return slug(identity.replace("-", ""), fallback="0")[:length]


def host_keys(named: Mapping[str, str]) -> dict[str, str]:
    """For objects `{id: name}` the host name of each: `slug(name)-<first 8 of the id>`, longer where two were equal."""
    keys: dict[str, str] = {}
    taken: dict[str, str] = {}
    for identity in sorted(named):
        for length in (8, 12, 16, 32):
            key = f"{slug(named[identity], fallback='server')}-{short_id(identity, length)}"
            if key not in taken:
                break
        taken[key] = identity
        keys[identity] = key
    return keys


def vm_name(text: str) -> str:
    """A name for a virtual machine: as given, but without what vSphere escapes or a template reads.

    At most 80 characters; never empty.
    """
    given = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text))
    plain = _NOT_VM.sub("-", given)
    if plain != given:
        plain = re.sub(r"[-. ]*-[-. ]*", "-", plain)
    return plain[:VM_NAME_MAX].strip(" .-") or "server"


def unique_vm_names(named: Mapping[str, str], taken: Iterable[str] = ()) -> dict[str, str]:
    """For objects `{id: name}` the target name of each; where two would be equal (ignoring case), all get their id."""
    wanted = {identity: vm_name(name) for identity, name in named.items()}
    used = Counter(name.casefold() for name in (*taken, *wanted.values()))
    result = {}
    for identity, name in wanted.items():
        if used[name.casefold()] > 1:
            name = f"{name[: VM_NAME_MAX - 9]}-{short_id(identity)}"
        result[identity] = name
    return result


def printable(text: str, length: int = 80) -> str:
    """`text` on one line without control characters, cut: for comments and messages."""
    flat = "".join(char if char.isprintable() else " " for char in text)
    flat = " ".join(flat.split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"
