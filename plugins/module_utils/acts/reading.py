# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of an estate, and beside it the reading before: what changed in a tenant is told from the two."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, InvalidInput

ENDING = ".json"


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
