# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to a running QEMU over its control socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any


class QmpError(Exception):
    """QEMU refused a command, or does not answer."""


class Qmp:
    """A short conversation with QEMU; use it in a ``with`` statement. Raises QmpError for whatever goes wrong."""

    def __init__(self, path: Path, timeout: float = 3.0) -> None:
        self.path = path
        self.timeout = timeout
        self._socket: socket.socket | None = None
        self._buffer = b""

    def __enter__(self) -> Qmp:
        # by way of the folder's descriptor: a socket's path may have 107 bytes only
        try:
            folder = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            raise QmpError(f"{self.path}: {error}") from error
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(self.timeout)
            self._socket.connect(f"/proc/self/fd/{folder}/{self.path.name}")
            self._line()
            self.execute("qmp_capabilities")
        except BaseException as error:
            self.__exit__(None, None, None)
            if isinstance(error, OSError):
                raise QmpError(f"{self.path.name}: {error}") from error
            raise
        finally:
            os.close(folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _line(self) -> dict[str, Any]:
        assert self._socket is not None
        while b"\n" not in self._buffer:
            got = self._socket.recv(65536)
            if not got:
                raise QmpError(f"{self.path.name}: the connection was closed")
            self._buffer += got
        line, dummy, self._buffer = self._buffer.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run a command and return what it returns; events are skipped."""
        assert self._socket is not None
        message = {"execute": command, **({"arguments": arguments} if arguments else {})}
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
            while True:
                said = self._line()
                if "return" in said:
                    return said["return"]
                if "error" in said:
                    raise QmpError(f"{command}: {said['error'].get('desc')}")
        except OSError as error:
            raise QmpError(f"{command}: {error}") from error
