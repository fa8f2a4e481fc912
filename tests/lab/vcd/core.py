# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's Cloud Director knows: its tables, kept on disk, its tasks, and the faults that were planted."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Effect = Callable[..., "Row | None"]
EFFECTS: dict[str, Effect] = {}
RUNNING = ("queued", "preRunning", "running")
MINOR = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "ACCESS_TO_RESOURCE_IS_FORBIDDEN",
    404: "RESOURCE_NOT_FOUND",
    406: "NOT_ACCEPTABLE",
    409: "CONFLICT",
    411: "LENGTH_REQUIRED",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "REQUESTED_RANGE_NOT_SATISFIABLE",
    500: "INTERNAL_SERVER_ERROR",
}
OPTIONS: Row = {"task_seconds": 0.05, "configuring_seconds": 0.0, "idle_minutes": 30, "transfer_idle_seconds": 3600}
URN_KINDS = {"vapptemplate": "vapptemplate", "storageprofile": "vdcstorageProfile"}


class ApiError(Exception):
    """A refusal: HTTP status, minor code, words."""

    def __init__(self, status: int, message: str, minor: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.minor = minor or MINOR.get(status, "INTERNAL_SERVER_ERROR")
        self.headers = headers or {}


def effect(name: str) -> Callable[[Effect], Effect]:
    """Name what a task does when its time has come. Run without the lock, again after a restart in the middle."""

    def register(function: Effect) -> Effect:
        EFFECTS[name] = function
        return function

    return register


def new_id() -> str:
    """A new id."""
    return str(uuid.uuid4())


def now(seconds: float = 0) -> str:
    """This moment, or another, as Cloud Director writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def urn(kind: str, ident: str) -> str:
    """urn:vcloud:kind:id."""
    return f"urn:vcloud:{URN_KINDS.get(kind, kind)}:{ident}"


def bare(value: str) -> str:
    """The uuid of an id, URN or href."""
    found = re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", str(value).lower())
    return found[-1] if found else str(value)


class Cloud:
    """State of one server. Every access of the tables holds ``lock``."""

    def __init__(self, folder: Path, seed: Callable[[Cloud], None], options: Row | None = None) -> None:
        self.folder = folder
        self.given = dict(options or {})
        self.options: Row = {**OPTIONS, **self.given}
        self.lock = threading.RLock()
        self.wake = threading.Condition(self.lock)
        self.changed = threading.Condition(self.lock)
        self.version = 1
        self.db: dict[str, dict[str, Row]] = {}
        self.faults: Row = {}
        self.calls: list[Row] = []
        self._dirty = False
        self._saving = threading.RLock()  # taken before the other lock, by whoever needs both
        self._going: set[str] = set()
        self._stop = False
        self._seed = seed
        for name in ("transfer", "disks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.state_file = folder / "state.json"
        if self.state_file.exists():
            self._load()
        else:
            seed(self)
            self.save()
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._tick, self._keep)]
        for thread in self._threads:
            thread.start()

    # tables

    def table(self, kind: str) -> dict[str, Row]:
        """All rows of a kind by id."""
        return self.db.setdefault(kind, {})

    def get(self, kind: str, ident: str) -> Row | None:
        """One row."""
        return self.table(kind).get(bare(ident) if kind != "session" else ident)

    def need(self, kind: str, ident: str, status: int = 404) -> Row:
        """One row, or the error for none."""
        row = self.get(kind, ident)
        if row is None:
            raise ApiError(status, f'[ {new_id()} ] No access to entity "{urn(kind, bare(ident))}".')
        return row

    def put(self, kind: str, row: Row) -> Row:
        """Add or replace a row."""
        row.setdefault("id", new_id())
        row["kind"] = kind
        self.table(kind)[row["id"]] = row
        self.touch()
        return row

    def drop(self, kind: str, ident: str) -> None:
        """Remove a row and its metadata."""
        self.table(kind).pop(ident, None)
        self.table("metadata").pop(ident, None)
        self.touch()

    def find(self, kind: str, **wanted: Any) -> list[Row]:
        """Rows with these values."""
        return [r for r in self.table(kind).values() if all(r.get(k) == v for k, v in wanted.items())]

    def touch(self) -> None:
        """Say that something changed."""
        with self.lock:
            self._dirty = True
            self.version += 1
            self.changed.notify_all()
            self.wake.notify_all()

    # on disk

    def _load(self) -> None:
        self.db = json.loads(self.state_file.read_text())
        for row in self.table("task").values():  # what had begun begins again
            if row["status"] in RUNNING and row["due"]:
                row["due"] = time.time()

    def save(self) -> None:
        """Write the tables."""
        with self._saving:
            with self.lock:
                text = json.dumps(self.db)
                self._dirty = False
            part = self.state_file.with_suffix(".part")
            part.write_text(text)
            os.replace(part, self.state_file)

    def _keep(self) -> None:
        while not self._stop:
            time.sleep(0.3)
            if self._dirty:
                self.save()

    def stop(self) -> None:
        """Write everything and end."""
        with self.lock:
            self._stop = True
            self.wake.notify_all()
            self.changed.notify_all()
        self.save()

    def reset(self) -> None:
        """As new: the seed, no bytes, no faults, no calls."""
        with self._saving, self.lock:
            self.db, self.faults, self.calls = {}, {}, []
            self.options = {**OPTIONS, **self.given}
            self._going = set()
            for name in ("transfer", "disks"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
                (self.folder / name).mkdir()
            self._seed(self)
            self.touch()
            self.save()

    def keep_as(self, folder: Path) -> None:
        """Copy state and bytes; waits for running tasks."""
        self.settle()
        with self._saving, self.lock:
            self.save()
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            shutil.copy2(self.state_file, folder / "state.json")
            for name in ("transfer", "disks"):
                copy_file(self.folder / name, folder / name)

    def go_back(self, folder: Path) -> None:
        """Take a kept state; VMs that ran are powered off, as after a failure of the hosts."""
        with self._saving, self.lock:
            self.faults, self.calls, self._going = {}, [], set()
            for name in ("transfer", "disks"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
                copy_file(folder / name, self.folder / name)
            shutil.copy2(folder / "state.json", self.state_file)
            self._load()
            for row in self.table("vm").values():
                row["guest"] = {}
                if row["status"] == 4:
                    row.update(status=8, deployed=False)
            self.touch()

    def settle(self, seconds: float = 30) -> None:
        """Wait until no task with something to do is left."""
        until = time.time() + seconds
        with self.lock:
            while any(t["status"] in RUNNING and t["due"] for t in self.table("task").values()):
                if time.time() > until:
                    raise TimeoutError("tasks go on for too long")
                self.changed.wait(0.2)

    # tasks

    def start(
        self,
        operation: str,
        words: str,
        owner: Row,
        do: str = "",
        locks: Iterable[Row] = (),
        waits: bool = False,
        user: str = "",
        **args: Any,
    ) -> Row:
        """Begin a task on its owner: after some time ``do`` is done. With ``waits`` only when ``ready`` says so.

        Where the option task_seconds is 0 it is done at once.
        """
        with self.lock:
            seconds = float(self.options["task_seconds"])
            row = self.put(
                "task",
                {
                    "operation": words,
                    "operationName": operation,
                    "status": "running" if waits else "queued",
                    "owner": {"kind": owner["kind"], "id": owner["id"], "name": owner.get("name", "")},
                    "start": now(),
                    "end": "",
                    "expiry": now(86400),
                    "error": None,
                    "details": "",
                    "progress": 0,
                    "do": do,
                    "args": args,
                    "due": 0 if waits else time.time() + seconds,
                    "began": time.time(),
                    "seconds": seconds,
                    "locks": [owner["id"], *(r["id"] for r in locks)],
                    "user": user,
                    "orgid": next(iter(self.table("org")), ""),
                },
            )
            self._forget_old()
            if seconds <= 0 and not waits:  # done before the answer
                self._going.add(row["id"])
                self._do(row, self._going)
            self.wake.notify_all()
            return row

    def _forget_old(self) -> None:
        done = [t for t in self.table("task").values() if t["status"] not in RUNNING]
        for row in done[:-400]:
            self.table("task").pop(row["id"], None)

    def ready(self, task: Row, **args: Any) -> None:
        """Let a task that waited go on."""
        with self.lock:
            task["args"].update(args)
            task["due"] = time.time() + float(self.options["task_seconds"])
            self.touch()

    def fail(self, task: Row, error: ApiError) -> None:
        """End a task with an error."""
        with self.lock:
            if task["status"] in RUNNING:
                task.update(
                    status="error",
                    end=now(),
                    error={"major": error.status, "minor": error.minor, "message": f"[ {new_id()} ] {error.message}"},
                )
                self.touch()

    def running(self, ident: str) -> list[Row]:
        """Tasks that hold an entity."""
        return [t for t in self.table("task").values() if t["status"] in RUNNING and ident in t["locks"]]

    def need_free(self, *rows: Row) -> None:
        """BUSY_ENTITY when a task runs on one of these, or a fault says so."""
        for row in rows:
            fault = self.fault("busy", f"{row['kind']} {row.get('name', '')}")
            if fault:
                raise ApiError(
                    int(fault.get("status", 400)),
                    f"[ {new_id()} ] The entity {row.get('name', '')} is busy completing an operation SOMETHING.",
                    "BUSY_ENTITY",
                )
            busy = self.running(row["id"])
            if busy:
                what = urn(row["kind"], row["id"])
                raise ApiError(
                    400,
                    f"[ {new_id()} ] The entity {row.get('name', '')} is busy completing an operation"
                    f" {busy[0]['operationName']}"
                    f" (task {urn('task', busy[0]['id'])}, entity {what}).",
                    "BUSY_ENTITY",
                )

    def _tick(self) -> None:
        while True:
            with self.lock:
                if self._stop:
                    return
                moment = time.time()
                pending = [t for t in self.table("task").values() if t["status"] in RUNNING and t["due"]]
                waits = [t["due"] - moment for t in pending if t["id"] not in self._going]
                for task in pending:
                    if task["status"] == "queued" and moment >= task["began"] + task["seconds"] / 3:
                        task["status"] = "running"
                    if task["due"] <= moment and task["id"] not in self._going:
                        self._going.add(task["id"])
                        threading.Thread(target=self._do, args=(task, self._going), daemon=True).start()
                wait = min([w for w in waits if w > 0], default=1.0)
                self.wake.wait(max(0.005, min(wait, 1.0)))

    def _do(self, task: Row, going: set[str]) -> None:
        result: Row | None = None
        try:
            with self.lock:
                fault = self.fault("task_error", task["operationName"])
                if fault:
                    raise ApiError(
                        int(fault.get("status", 500)), fault.get("message", "It failed."), fault.get("minor", "")
                    )
            if task["do"]:
                result = EFFECTS[task["do"]](self, task, **copy.deepcopy(task["args"]))
        except ApiError as error:
            self._undo(task)
            self.fail(task, error)
        except Exception as error:
            traceback.print_exc()
            self._undo(task)
            self.fail(task, ApiError(500, f"{type(error).__name__}: {error}"))
        else:
            with self.lock:
                if task["status"] in RUNNING:
                    task.update(status="success", end=now(), progress=100)
                    task.update(result or {})
        finally:
            with self.lock:
                going.discard(task["id"])
                self.touch()

    def _undo(self, task: Row) -> None:
        undo = EFFECTS.get(f"{task['do']} undo")
        if undo:
            undo(self, task, **copy.deepcopy(task["args"]))

    def cancel(self, task: Row) -> None:
        """Abort a task that still runs; what it had begun is undone."""
        with self.lock:
            if task["status"] not in RUNNING:
                return
            if f"{task['do']} cancel" in EFFECTS:
                EFFECTS[f"{task['do']} cancel"](self, task, **copy.deepcopy(task["args"]))
            else:
                self._undo(task)
            task.update(
                status="aborted",
                end=now(),
                error={"major": 400, "minor": "TASK_CANCELED", "message": "Task was cancelled."},
            )
            self.touch()

    # faults

    def fault(self, name: str, subject: str = "", count: bool = True) -> Row | None:
        """The planted fault of a name whose ``match`` is in the subject; each is used up after its ``times``."""
        with self.lock:
            planted = self.faults.get(name)
            for one in planted if isinstance(planted, list) else [planted] if planted else []:
                if one.get("left", 1) <= 0 or not re.search(str(one.get("match", "")), subject):
                    continue
                if one.get("skip", 0) > 0:
                    if count:
                        one["skip"] -= 1
                    continue
                if one.get("until") and time.time() > one["until"]:
                    continue
                if count and "left" in one:
                    one["left"] -= 1
                return dict(one)
            return None

    def plant(self, faults: Row) -> None:
        """Replace all faults. ``times`` 0 or left out means always, ``seconds`` lets a fault end by itself."""
        with self.lock:
            self.faults = {}
            for name, given in faults.items():
                ones = given if isinstance(given, list) else [given if isinstance(given, dict) else {}]
                for one in ones:
                    if one.get("times"):
                        one["left"] = int(one["times"])
                    if one.get("for_seconds"):
                        one["until"] = time.time() + float(one["for_seconds"])
                self.faults[name] = ones


def copy_file(source: Path, target: Path) -> None:
    """Copy a file or folder with its holes, sharing blocks where the filesystem can."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for entry in source.iterdir():
            copy_file(entry, target / entry.name)
        return
    size = source.stat().st_size
    part = target.with_name(target.name + ".part")
    with open(source, "rb") as a, open(part, "wb") as b:
        b.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(a.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(a.fileno(), at, os.SEEK_HOLE)
            while at < end:
                moved = os.copy_file_range(a.fileno(), b.fileno(), min(end - at, 1 << 26), at, at)
                if not moved:
                    break
                at += moved
    part.replace(target)
