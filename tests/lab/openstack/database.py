# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL on an instance's database, through the client program."""

from __future__ import annotations

import subprocess

from ..paths import Instance
from .config import CATALOG, DATABASES, database_url, endpoint_url, queue_url, socket_path

_UNESCAPE = {"n": "\n", "t": "\t", "\\": "\\", "0": "\0"}


class DatabaseError(RuntimeError):
    """The database refused a statement; says which."""


def unescape(field: str) -> str | None:
    """A field as the client's batch mode prints it."""
    if field == "NULL":
        return None
    out, i = [], 0
    while i < len(field):
        if field[i] == "\\" and i + 1 < len(field):
            out.append(_UNESCAPE.get(field[i + 1], field[i + 1]))
            i += 2
        else:
            out.append(field[i])
            i += 1
    return "".join(out)


def sql(instance: Instance, statements: str, database: str = "") -> list[list[str | None]]:
    """Run statements and return the rows of all results (a text NULL reads as None)."""
    done = subprocess.run(
        [
            "mariadb",
            "--no-defaults",
            f"--socket={socket_path(instance)}",
            "--user=root",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            *([f"--database={database}"] if database else []),
        ],
        input=statements,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DatabaseError(f"{done.stderr.strip()} in: {statements[:200]}")
    return [[unescape(f) for f in line.split("\t")] for line in done.stdout.splitlines()]


def quote(text: str) -> str:
    """A string as an SQL literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def answers(instance: Instance) -> bool:
    """Whether the database takes connections."""
    try:
        sql(instance, "SELECT 1")
    except DatabaseError:
        return False
    return True


def create_all(instance: Instance) -> None:
    """Create the services' empty databases."""
    sql(instance, "".join(f"CREATE DATABASE IF NOT EXISTS {d} CHARACTER SET utf8mb3;\n" for d in DATABASES))


def move_here(instance: Instance) -> None:
    """Make restored databases name this instance's ports and folders, whichever they named before."""
    ports = {(name, kind): (port, path) for name, kind, port, path in CATALOG}
    rows = sql(
        instance,
        "SELECT e.id, e.interface, s.type, JSON_VALUE(s.extra, '$.name'), e.url"
        " FROM endpoint e JOIN service s ON s.id = e.service_id",
        "keystone",
    )
    changes = []
    for ident, interface, kind, name, url in rows:
        known = ports.get((name or "", kind or ""))
        wanted = endpoint_url(instance, interface or "", *known) if known else url
        if wanted != url:
            changes.append(f"UPDATE endpoint SET url = {quote(wanted or '')} WHERE id = {quote(ident or '')};")
    if changes:
        sql(instance, "\n".join(changes), "keystone")
    cell0, cell1 = database_url(instance, "nova_cell0"), database_url(instance, "nova")
    queue = queue_url(instance)
    sql(
        instance,
        f"UPDATE cell_mappings SET database_connection = {quote(cell0)}, transport_url = 'none:///' WHERE id = 1;\n"
        f"UPDATE cell_mappings SET database_connection = {quote(cell1)}, transport_url = {quote(queue)} WHERE id <> 1;",
        "nova_api",
    )
