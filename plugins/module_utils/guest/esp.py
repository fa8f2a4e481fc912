# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EFI system partition, through mtools: it works where this host's kernel has no FAT driver, and mounts nothing."""

from __future__ import annotations

import os
import posixpath
import re

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import FileChange
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.storage import Partition, run_tool
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree, digest_file
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Refused

_PLAIN = re.compile(r"(/[A-Za-z0-9._ ~-]+)+\Z")


class Esp:
    """A copy of an EFI system partition's files in `directory`, and the way back to the disk."""

    def __init__(self, device: str, partition: Partition, directory: str) -> None:
        """Raises CloudExitError when the partition cannot be read."""
        self._image = f"{device}@@{partition.offset}"
        self.tree = Tree(directory)
        result = run_tool(["mcopy", "-i", self._image, "-s", "-n", "-m", "::/", directory])
        listing = run_tool(["mdir", "-i", self._image, "-b", "::/"])
        if listing.returncode != 0 or (result.returncode != 0 and listing.stdout.strip()):
            raise CloudExitError(
                "the EFI system partition could not be read",
                cause=(result.stderr or listing.stderr).strip()[:300],
            )

    def write_back(self, changes: list[FileChange], prefix: str = "") -> None:
        """Bring the changed files, which are committed to the copy, to the disk, and compare what stands there.

        prefix: where the partition is mounted in the paths of `changes`.
        """
        for change in changes:
            path = change.path[len(prefix) :]
            if not _PLAIN.match(path):
                raise Refused(f"{change.path} on the EFI system partition", cause="its name has special characters")
            if change.action == "removed":
                self._run("mdel", f"::{path}")
                continue
            self._directories(posixpath.dirname(path))
            self._run("mcopy", "-o", self.tree.host_path(path), f"::{path}")
            if self._digest(path) != change.after:
                raise CloudExitError(f"{change.path} on the EFI system partition", cause="it was not written correctly")

    def _directories(self, path: str) -> None:
        parts = path.split("/")[1:]
        for index in range(len(parts)):
            directory = "/" + "/".join(parts[: index + 1])
            if directory != "/" and run_tool(["mdir", "-i", self._image, "-b", f"::{directory}"]).returncode != 0:
                self._run("mmd", f"::{directory}")

    def _digest(self, path: str) -> str:
        check = posixpath.join(self.tree.root, ".cloudexit-check")
        self._run("mcopy", "-o", f"::{path}", check)
        digest = digest_file(check)
        os.unlink(check)
        return digest

    def _run(self, tool: str, *arguments: str) -> None:
        result = run_tool([tool, "-i", self._image, *arguments])
        if result.returncode != 0:
            raise CloudExitError(
                "the EFI system partition could not be written", cause=result.stderr.strip()[:300] or f"{tool} failed"
            )
