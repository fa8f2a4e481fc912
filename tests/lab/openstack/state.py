# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving what an instance's cloud holds, and going back to it while the services keep running.

A saved state is a folder: ``meta.json``, the rows of each table as the database's own text format, and copies of the
volumes, images, servers and objects. It may be restored in another instance made from the same prepared databases:
ports and folders are rewritten on the way.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..paths import Instance, Proc, fail, proc_start_time, wait_for, write_atomic
from . import config, database, ready, services

# rows that say that a process is alive; an old one would make it look dead
_KEPT = {("nova", "services"), ("cinder", "services"), ("cinder", "workers")}
_KEPT_PRISTINE = 2
_FOLDERS = ("cinder/volumes", "glance/images", "swift/d1", "nova/instances")
# what env.json says of the cloud's content
_ENV = ("readers", "seed")
# written by the hypervisor, or of one run only
_TRANSIENT = ("guest.json", "hold")


def saved_dir(instance: Instance, name: str) -> Path:
    """The folder of a saved state."""
    return instance.dir / "saved" / name / "openstack"


def pristine_id(instance: Instance) -> str:
    """Which prepared databases the instance was made from."""
    try:
        return (instance.data / "pristine-id").read_text().strip()
    except FileNotFoundError:
        return ""


# guests


def servers(instance: Instance) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folder and description of each server of the lab's Nova."""
    for path in sorted((instance.data / "nova" / "instances").glob("*/server.json")):
        try:
            yield path.parent, json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            continue


def guest_runs(folder: Path) -> bool:
    """Whether the hypervisor says that the server's guest runs, and its process exists."""
    try:
        guest = json.loads((folder / "guest.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    if guest.get("state") != "running":
        return False
    pid = guest.get("pid")
    return pid is None or proc_start_time(int(pid)) is not None


def _set_power(folder: Path, server: dict[str, Any], power: str) -> None:
    server = {**server, "power": "on" if power == "on" else "off", "held": False}
    write_atomic(folder / "server.json", json.dumps(server, indent=1))
    write_atomic(folder / "power", power + "\n")


def stop_guests(instance: Instance, timeout: float = 30.0) -> list[Path]:
    """Kill every guest; Nova is not told. Returns the folders of the servers that were to be on."""
    were_on = []
    for folder, server in servers(instance):
        if server["power"] == "on" or server.get("held"):
            were_on.append(folder)
        if server["power"] == "on" or guest_runs(folder):
            _set_power(folder, server, "kill")
    wait_for(
        lambda: not any(guest_runs(f) for f, dummy in servers(instance)), timeout, "the hypervisor to stop all guests"
    )
    return were_on


def start_guests(folders: Iterable[Path]) -> None:
    """Let the guests of these servers run (again)."""
    for folder in folders:
        _set_power(folder, json.loads((folder / "server.json").read_text()), "on")


# database


def _tables(instance: Instance) -> dict[tuple[str, str], str]:
    """Checksum by (database, table); "0" for an empty one."""
    names = ",".join(f"'{d}'" for d in config.DATABASES)
    rows = database.sql(
        instance,
        "SELECT table_schema, table_name FROM information_schema.tables"
        f" WHERE table_type = 'BASE TABLE' AND table_schema IN ({names})",
    )
    wanted = ", ".join(f"`{d}`.`{t}`" for d, t in rows if (d, t) not in _KEPT)
    found = {}
    for name, checksum in database.sql(instance, f"CHECKSUM TABLE {wanted}"):
        schema, dummy, table = (name or "").partition(".")
        found[schema, table] = checksum or ""
    return found


def _save_tables(instance: Instance, folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    checksums = _tables(instance)
    statements = ["SET NAMES binary; SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;"]
    statements.append("START TRANSACTION WITH CONSISTENT SNAPSHOT;")
    for (schema, table), checksum in checksums.items():
        if checksum != "0":
            file = database.quote(str(folder / f"{schema}.{table}.tsv"))
            statements.append(f"SELECT * INTO OUTFILE {file} CHARACTER SET binary FROM `{schema}`.`{table}`;")
    database.sql(instance, "\n".join([*statements, "COMMIT;"]))
    return {f"{s}.{t}": c for (s, t), c in checksums.items()}


def _restore_tables(instance: Instance, folder: Path, meta: dict[str, Any]) -> int:
    """Make each table what it was; only those that differ are touched. Returns how many."""
    moved = _moves(instance, meta)
    present = _tables(instance)
    statements = ["SET NAMES binary; SET foreign_key_checks = 0; SET unique_checks = 0; SET sql_mode = '';"]
    statements.append("SET autocommit = 0;")
    changed = 0
    scratch = instance.data / "tmp" / "restore"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for (schema, table), checksum in present.items():
        saved = meta["tables"].get(f"{schema}.{table}", "0")
        file = folder / f"{schema}.{table}.tsv"
        rewritten = None
        if moved and file.exists():
            old = file.read_bytes()
            new = _rewrite(old, moved)
            if new != old:
                rewritten = scratch / file.name
                rewritten.write_bytes(new)
        if checksum == saved and rewritten is None:
            continue
        changed += 1
        statements.append(f"DELETE FROM `{schema}`.`{table}`;")
        if file.exists():
            source = database.quote(str(rewritten or file))
            statements.append(f"LOAD DATA INFILE {source} INTO TABLE `{schema}`.`{table}` CHARACTER SET binary;")
    if changed:
        database.sql(instance, "\n".join([*statements, "COMMIT;"]))
    shutil.rmtree(scratch, ignore_errors=True)
    return changed


def _moves(instance: Instance, meta: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """What has to be replaced in a state that was saved by an instance with other ports or folders."""
    if meta["dir"] == str(instance.dir) and meta["base_port"] == instance.base_port:
        return []
    pairs = [(f"{meta['dir']}/", f"{instance.dir}/")]
    for offset in range(20):
        for host in ("127.0.0.1", config.INTERNAL_HOST):
            pairs.append((f"{host}:{meta['base_port'] + offset}", f"{host}:{instance.base_port + offset}"))
    return [(old.encode(), new.encode()) for old, new in pairs]


def _rewrite(content: bytes, moves: list[tuple[bytes, bytes]]) -> bytes:
    # ports may overlap: first to names that nothing else has
    for i, (old, dummy) in enumerate(moves):
        content = content.replace(old, b"\1%d\2" % i)
    for i, (dummy, new) in enumerate(moves):
        content = content.replace(b"\1%d\2" % i, new)
    return content


# files


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder to a new place, with holes, times and attributes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", "--sparse=auto", str(source), str(target)], check=True)


def _copy_file(source: Path, target: Path, moves: list[tuple[bytes, bytes]]) -> None:
    part = target.with_name(f".{target.name}.part")
    if moves and (source.name == "server.json" or source.parent.name == "attached"):
        part.write_bytes(_rewrite(source.read_bytes(), moves))
        shutil.copystat(source, part)
    else:
        subprocess.run(
            ["cp", "-a", "--reflink=auto", "--sparse=always", "--no-dereference", str(source), str(part)], check=True
        )
    part.replace(target)


def _same(a: Path, b: Path) -> bool:
    try:
        one, two = a.lstat(), b.lstat()
    except FileNotFoundError:
        return False
    return (stat.S_IFMT(one.st_mode), one.st_size, one.st_mtime_ns) == (
        stat.S_IFMT(two.st_mode),
        two.st_size,
        two.st_mtime_ns,
    )


def sync_tree(
    source: Path, target: Path, skip: tuple[str, ...] = (), moves: list[tuple[bytes, bytes]] | None = None
) -> int:
    """Make target's files what source's are, by size and time of change; returns how many were copied.

    Files named power or server.json are written last, as somebody may act upon them. moves: what is replaced in the
    files that name other files, where the state is another instance's.
    """
    copied = 0
    target.mkdir(parents=True, exist_ok=True)
    names = {p.name for p in source.iterdir() if p.name not in skip}
    for entry in list(target.iterdir()):
        if entry.name not in names:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
    for name in sorted(names, key=lambda n: (n in ("server.json", "power"), n != "server.json", n)):
        entry, there = source / name, target / name
        if entry.is_dir() and not entry.is_symlink():
            if there.exists() and not there.is_dir():
                there.unlink()
            copied += sync_tree(entry, there, skip, moves)
            shutil.copystat(entry, there)
        elif not _same(entry, there):
            if there.is_dir():
                shutil.rmtree(there)
            _copy_file(entry, there, moves or [])
            copied += 1
    return copied


def save(instance: Instance, name: str) -> None:
    """Keep the cloud's content under a name. Guests are killed for it and started again."""
    target = saved_dir(instance, name)
    part = target.with_name("openstack.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    were_on = stop_guests(instance)
    try:
        meta = {
            "dir": str(instance.dir),
            "base_port": instance.base_port,
            "pristine": pristine_id(instance),
            "env": {key: instance.env().get(key) for key in _ENV},
            "tables": _save_tables(instance, part / "db"),
        }
        for folder in _FOLDERS:
            sync_tree(instance.data / folder, part / "files" / folder, _TRANSIENT)
        for folder in were_on:
            saved = part / "files" / "nova" / "instances" / folder.name
            _set_power(saved, json.loads((saved / "server.json").read_text()), "on")
    finally:
        start_guests(were_on)
    write_atomic(part / "meta.json", json.dumps(meta))
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _busy(instance: Instance) -> list[str]:
    """Workers that are in the middle of something, as far as the database tells."""
    nova = database.sql(
        instance,
        "SELECT 1 FROM nova.instances WHERE deleted = 0 AND (task_state IS NOT NULL OR vm_state = 'building') LIMIT 1",
    )
    cinder = database.sql(
        instance,
        "SELECT 1 FROM cinder.volumes WHERE deleted = 0 AND status LIKE '%ing' UNION"
        " SELECT 1 FROM cinder.snapshots WHERE deleted = 0 AND status LIKE '%ing' LIMIT 1",
    )
    return (["nova-compute"] if nova else []) + (["cinder-volume"] if cinder else [])


def restore(instance: Instance, name: str) -> None:
    """Make the cloud's content what it was when it was saved.

    Services stay up; workers that are busy are started anew, and so is what a test has stopped.
    """
    source = saved_dir(instance, name)
    try:
        meta = json.loads((source / "meta.json").read_text())
    except FileNotFoundError:
        fail(f"{instance.name} has no saved state {name}")
        raise
    if meta["pristine"] != pristine_id(instance):
        fail(f"the state {name} belongs to a cloud that was made anew since; seed again")
    busy = _busy(instance)
    services.stop(instance, *busy, grace=5)
    stop_guests(instance)
    release = instance.data / "attach" / "release"
    release.touch()
    try:
        shim = Proc(instance, "attach-shim")
        wait_for(
            lambda: not shim.alive() or not any((instance.data / "attach").glob("*/*.json")),
            20,
            "the attach shim to let go of all devices",
            every=0.05,
        )
        _restore_tables(instance, source / "db", meta)
        moves = _moves(instance, meta)
        for folder in _FOLDERS:
            sync_tree(source / "files" / folder, instance.data / folder, _TRANSIENT, moves)
        instance.update_env(**meta["env"])
    finally:
        release.unlink(missing_ok=True)
    stopped = [n for n in services.all_services(instance) if not Proc(instance, n).alive()]
    if stopped:
        since = database.sql(instance, "SELECT utc_timestamp()")[0][0] or ""
        services.start(instance, *stopped)
        services.wait_ready(instance, stopped)
        ready.wait_workers(instance, since)
    if instance.env().get("token_seconds"):
        from . import faults

        faults.token_lifetime(instance, None)


def keep_pristine(instance: Instance, target: Path) -> None:
    """Put the database, keys and the node's identity into the cache, while everything runs.

    The database writes out what it holds and is stopped (SIGSTOP) for the copy, so that the copy is whole.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    marker = f"{time.time_ns():x}"
    (instance.data / "pristine-id").write_text(marker)
    database.sql(
        instance,
        "SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL innodb_io_capacity = 20000;"
        " SET GLOBAL innodb_max_dirty_pages_pct = 0; SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0;"
        " FLUSH TABLES; FLUSH LOGS;",
    )

    def clean() -> bool:
        rows = database.sql(instance, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
        return int(rows[0][1] or 0) < 20

    wait_for(clean, 20, "the database to write its pages")
    server = Proc(instance, "mariadb")
    server.signal(signal.SIGSTOP)
    try:
        time.sleep(0.1)  # writes that the kernel was given already
        copy_tree(instance.data / "mariadb", part / "mariadb")
    finally:
        server.signal(signal.SIGCONT)
    database.sql(instance, "SET GLOBAL innodb_flush_log_at_trx_commit = 0; SET GLOBAL innodb_max_dirty_pages_pct = 90;")
    shutil.copytree(instance.data / "keystone", part / "keystone")
    (part / "nova").mkdir()
    shutil.copy2(instance.data / "nova" / "compute_id", part / "nova")
    (part / "pristine-id").write_text(marker)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    kept = sorted(target.parent.glob("openstack-pristine-" + "?" * 12), key=lambda p: p.stat().st_mtime)
    for old in kept[:-_KEPT_PRISTINE]:
        shutil.rmtree(old, ignore_errors=True)
