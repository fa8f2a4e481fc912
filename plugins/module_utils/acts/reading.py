# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a tenant into a file, and beside it the reading before: what changed in a tenant is told from the two."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from typing import Any, TextIO

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, InvalidInput
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect

ENDING = ".json"


class Progress:
    """Steps of a reading as lines of JSON in a file that somebody watches: `{kind, count}` or `{kind, wait, why}`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def count(self, kind: str, count: int) -> None:
        """So many objects of the kind were read."""
        self._write({"kind": kind, "count": count})

    def wait(self, kind: str, seconds: float, why: str) -> None:
        """A list waits for its service."""
        self._write({"kind": kind, "wait": round(seconds, 1), "why": why})

    def _write(self, step: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(step) + "\n")
            self._file.flush()


def read_estate(auth: SourceAuth, *, page_size: int, progress_file: str = "") -> reading.Reading:
    """Read the tenant that `auth` logs in to, and tell the steps into a file. Writes nothing to the cloud."""
    if not progress_file:
        return assess.read_estate(auth, page_size=page_size)
    try:
        with open(progress_file, "a", encoding="utf-8") as file, connect(auth) as cloud:
            progress = Progress(file)
            return reading.read(cloud, page_size=page_size, on_progress=progress.count, on_wait=progress.wait)
    except OSError as exc:
        raise CloudExitError(f"Cannot write {progress_file}", cause=str(exc.strerror or exc)) from exc


def previous_path(path: str) -> str:
    """Where the reading before `path` is kept: `acme.estate.previous.json` beside `acme.estate.json`."""
    stem = path[: -len(ENDING)] if path.endswith(ENDING) else path
    return f"{stem}.previous{ENDING}"


@dataclass(frozen=True)
class EstateFile:
    """An estate that shall be in a file. supersedes: the file holds another estate, which becomes the previous one."""

    writing: assess.Writing
    supersedes: bool

    @property
    def previous(self) -> str:
        """Path of the reading before; empty where there is none."""
        path = previous_path(self.writing.path)
        return path if self.supersedes or os.path.exists(path) else ""

    def write(self) -> None:
        """Keep what is there as the reading before, then write. Cut anywhere, the next run ends with the same files."""
        if self.supersedes:
            _copy(self.writing.path, previous_path(self.writing.path))
        self.writing.write()


def estate_file(path: str, estate: estates.Estate) -> EstateFile:
    """What writing the estate to `path` would change."""
    writing = assess.writing(path, estates.to_text(estate))
    return EstateFile(writing, writing.changed and _is_another(writing.before, estate))


def _is_another(text: str | None, estate: estates.Estate) -> bool:
    if text is None:
        return False
    try:
        return estates.loads(text).digest() != estate.digest()
    except InvalidInput:
        return False  # nothing could be compared with it


def _copy(path: str, to: str) -> None:
    """A copy with the same mode, whole or not at all."""
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(to), prefix=".", suffix=".part")
        os.close(handle)
        try:
            shutil.copyfile(path, temporary)
            shutil.copymode(path, temporary)
            os.replace(temporary, to)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as exc:
        raise CloudExitError(f"Cannot write {to}", cause=str(exc.strerror or exc)) from exc
