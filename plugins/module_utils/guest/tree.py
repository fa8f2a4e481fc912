# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's file tree, read and changed without ever leaving it.

A guest's files are not trusted: a symbolic link in it may point anywhere. So every path is walked component by
component and links are followed as the guest itself would follow them, inside the tree. Changes are collected first
and written together by `commit`; until then reading shows them, and `changes` tells them: what would change is a
value.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import FileChange
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Refused

MAX_TEXT = 4 << 20
MAX_LINKS = 40
MAX_DIFF = 256 << 10
BACKUP_LIMIT = 4 << 20


@dataclass(frozen=True)
class _Entry:
    """What a path is to hold: a file's bytes, a link's target, or nothing."""

    data: bytes | None = None
    link: str | None = None
    mode: int = 0o644
    reason: str = ""

    @property
    def digest(self) -> str | None:
        if self.link is not None:
            return digest_of(self.link.encode())
        return None if self.data is None else digest_of(self.data)

    @property
    def gone(self) -> bool:
        return self.data is None and self.link is None


def digest_of(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: str) -> str:
    """SHA-256 in hex of a file on this host, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Tree:
    """The files below `root`, a directory of this host; paths are the guest's own, absolute."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._staged: dict[str, _Entry] = {}

    # reading

    def resolve(self, path: str, *, follow: bool = True) -> str:
        """The guest's path with every symbolic link followed inside the tree; the last one only when `follow`.

        Raises Refused where links go in circles.
        """
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                if done:
                    done.pop()
                continue
            here = "/" + "/".join([*done, part])
            target = self._link(here) if (todo or follow) else None
            if target is None:
                done.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise Refused(f"{path} in the guest", cause="its symbolic links go in circles")
            if target.startswith("/"):
                done = []
            todo.extend(piece for piece in reversed(target.split("/")) if piece not in ("", "."))
        return "/" + "/".join(done)

    def host_path(self, path: str, *, follow: bool = True) -> str:
        """Where `path` of the guest is on this host."""
        inside = self.resolve(path, follow=follow)
        return self.root if inside == "/" else posixpath.join(self.root, inside[1:])

    def exists(self, path: str) -> bool:
        """Whether something is there, links followed."""
        inside = self.resolve(path)
        if inside in self._staged:
            return not self._staged[inside].gone
        return os.path.lexists(self._raw(inside)) or self._staged_below(inside)

    def is_file(self, path: str) -> bool:
        """Whether a regular file is there, links followed."""
        inside = self.resolve(path)
        if inside in self._staged:
            return self._staged[inside].data is not None
        return self._kind(inside) == stat.S_IFREG

    def is_dir(self, path: str) -> bool:
        """Whether a directory is there, links followed."""
        inside = self.resolve(path)
        return self._kind(inside) == stat.S_IFDIR or self._staged_below(inside)

    def link(self, path: str) -> str | None:
        """The target that a symbolic link names, or None where `path` is no link."""
        return self._link(self.resolve(path, follow=False))

    def read(self, path: str, limit: int = MAX_TEXT) -> bytes | None:
        """A regular file's bytes, or None where there is none. Raises Refused when it is larger than `limit`."""
        inside = self.resolve(path)
        if inside in self._staged:
            return self._staged[inside].data
        return self._read_raw(inside, limit)

    def text(self, path: str) -> str | None:
        """A regular file as text (UTF-8, other bytes kept through surrogates), or None where there is none."""
        data = self.read(path)
        return None if data is None else data.decode("utf-8", "surrogateescape")

    def names(self, path: str) -> list[str]:
        """The names in a directory, sorted as the C locale does; empty where there is no directory."""
        inside = self.resolve(path)
        found: set[str] = set()
        if self._kind(inside) == stat.S_IFDIR:
            with contextlib.suppress(OSError):
                found.update(os.listdir(self._raw(inside)))
        prefix = inside.rstrip("/") + "/"
        for staged, entry in self._staged.items():
            if staged.startswith(prefix):
                name = staged[len(prefix) :].split("/")[0]
                if not entry.gone:
                    found.add(name)
                elif staged == prefix + name:
                    found.discard(name)
        return sorted(found)

    def glob(self, directory: str, pattern: str) -> list[str]:
        """Paths of the entries of one directory whose name matches `pattern`, in order."""
        names = fnmatch.filter(self.names(directory), pattern)
        return [posixpath.join(directory, name) for name in names if not name.startswith(".") or pattern[0] == "."]

    # changing

    def write(self, path: str, data: bytes | str, *, reason: str, mode: int = 0o644) -> None:
        """Stage a file's content; a file that is there keeps its owner and mode. A link is written through."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        self._staged[self.resolve(path)] = _Entry(data=raw, mode=mode, reason=reason)

    def symlink(self, path: str, target: str, *, reason: str) -> None:
        """Stage a symbolic link in place of what is there."""
        self._staged[self.resolve(path, follow=False)] = _Entry(link=target, reason=reason)

    def remove(self, path: str, *, reason: str) -> None:
        """Stage the removal of a file or link (not of what the link points to)."""
        inside = self.resolve(path, follow=False)
        if os.path.lexists(self._raw(inside)) or inside in self._staged:
            self._staged[inside] = _Entry(reason=reason)

    def changes(self) -> list[FileChange]:
        """What `commit` would change, by path."""
        return [pending[2] for pending in self._pending()]

    def commit(self, keep: str | None = None) -> list[FileChange]:
        """Write what was staged, each file by atomic rename, and return the changes; nothing stays staged.

        keep: a directory of this host where what was there before is kept, under the guest's own path (files up to
        4 MiB). Raises CloudExitError when the file system refuses, for instance because it is full.
        """
        done = []
        for inside, entry, change in self._pending():
            try:
                if keep is not None:
                    self._keep(inside, keep)
                self._apply(inside, entry)
            except OSError as error:
                raise CloudExitError(
                    f"{inside} in the guest could not be written", cause=os.strerror(error.errno or 0)
                ) from error
            done.append(change)
        self._staged.clear()
        return done

    # inside

    def _raw(self, inside: str) -> str:
        return self.root if inside == "/" else posixpath.join(self.root, inside[1:])

    def _staged_below(self, inside: str) -> bool:
        prefix = inside.rstrip("/") + "/"
        return any(path.startswith(prefix) and not entry.gone for path, entry in self._staged.items())

    def _kind(self, inside: str) -> int | None:
        try:
            return stat.S_IFMT(os.lstat(self._raw(inside)).st_mode)
        except OSError:
            return None

    def _link(self, inside: str) -> str | None:
        if inside in self._staged:
            return self._staged[inside].link
        if self._kind(inside) != stat.S_IFLNK:
            return None
        try:
            return os.readlink(self._raw(inside))
        except OSError:
            return None

    def _read_raw(self, inside: str, limit: int) -> bytes | None:
        if self._kind(inside) != stat.S_IFREG:
            return None
        try:
            handle = os.open(self._raw(inside), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise CloudExitError(f"{inside} in the guest could not be read", cause=error.strerror or "") from error
        with os.fdopen(handle, "rb") as file:
            data = file.read(min(limit, os.fstat(handle).st_size) + 1)
        if len(data) > limit:
            raise Refused(f"{inside} in the guest", cause=f"it is larger than {limit >> 10} KiB, which no such file is")
        return data

    def _before(self, inside: str) -> _Entry:
        kind = self._kind(inside)
        if kind == stat.S_IFLNK:
            return _Entry(link=os.readlink(self._raw(inside)))
        if kind == stat.S_IFREG:
            return _Entry(data=self._read_raw(inside, 1 << 30))
        if kind is not None:
            raise Refused(f"{inside} in the guest", cause="it is neither a file nor a symbolic link")
        return _Entry()

    def _pending(self) -> Iterator[tuple[str, _Entry, FileChange]]:
        for inside in sorted(self._staged):
            entry = self._staged[inside]
            before = self._before(inside)
            if (before.data, before.link) == (entry.data, entry.link):
                continue
            action = "created" if before.gone else "removed" if entry.gone else "modified"
            yield (
                inside,
                entry,
                FileChange(
                    path=inside,
                    action=action,
                    before=before.digest,
                    after=entry.digest,
                    reason=entry.reason,
                    before_text=_text_of(before),
                    after_text=_text_of(entry),
                ),
            )

    def _keep(self, inside: str, keep: str) -> None:
        before = self._before(inside)
        if before.gone or (before.data is not None and len(before.data) > BACKUP_LIMIT):
            return
        path = posixpath.join(keep, inside[1:])
        os.makedirs(posixpath.dirname(path), mode=0o700, exist_ok=True)
        if os.path.lexists(path):
            return  # the oldest is the original
        if before.link is not None:
            os.symlink(before.link, path)
            return
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(before.data or b"")
            self._dress(self._raw(inside), handle, 0o600)

    def _apply(self, inside: str, entry: _Entry) -> None:
        path = self._raw(inside)
        if entry.gone:
            os.unlink(path)
            return
        self._make_parents(inside)
        temporary = f"{path}.cloudexit-new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if entry.link is not None:
            os.symlink(entry.link, temporary)
        else:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(entry.data or b"")
                self._dress(path, file.fileno(), entry.mode)
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)

    def _dress(self, path: str, handle: int, mode: int) -> None:
        """Give the new file the owner, mode and extended attributes of the one that it replaces."""
        old = os.lstat(path) if os.path.lexists(path) else None
        if old is None or not stat.S_ISREG(old.st_mode):
            with contextlib.suppress(PermissionError):
                os.fchmod(handle, mode)
            return
        with contextlib.suppress(PermissionError):  # a FAT file system has neither
            os.fchown(handle, old.st_uid, old.st_gid)
            os.fchmod(handle, stat.S_IMODE(old.st_mode))
        with contextlib.suppress(OSError):
            for name in os.listxattr(path, follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.setxattr(handle, name, os.getxattr(path, name, follow_symlinks=False))

    def _make_parents(self, inside: str) -> None:
        parts = inside.split("/")[1:-1]
        for index in range(len(parts)):
            path = self._raw("/" + "/".join(parts[: index + 1]))
            if not os.path.lexists(path):
                os.mkdir(path, 0o755)


def _text_of(entry: _Entry) -> str | None:
    if entry.link is not None:
        return f"-> {entry.link}\n"
    if entry.data is None:
        return ""
    if len(entry.data) > MAX_DIFF or b"\0" in entry.data:
        return None
    return entry.data.decode("utf-8", "replace")
