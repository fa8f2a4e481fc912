# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is outside of the edges: connections to addresses of Cloud Director's networks, and what becomes of them.

An address and port there is a port on this machine, a door. It is open just as long as NAT and firewalls of the lab's
Cloud Director let a connection pass, and leads to the guest that they lead to. Behind a closed one nobody listens.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType

from tests.lab.paths import HOST, Instance

from .service import Control, ControlError, through_edge

INTERNET = "192.0.2.1"
TIMEOUT_S = 30.0


class Outside:
    """Doors of an instance, in threads of this process. Use it in a ``with`` statement."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._doors: dict[tuple[str, str, int], _Door] = {}
        self._stop = threading.Event()
        self._news = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Outside:
        self._news.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._news.join(TIMEOUT_S)
        for door in self._doors.values():
            door.close()

    def port(self, address: str, port: int, source: str = INTERNET) -> int:
        """The port on this machine for connections from source to a port of an address."""
        key = (source, address, port)
        if key not in self._doors:
            self._doors[key] = _Door(self.instance, *key)
            self._doors[key].judge()
        return self._doors[key].number

    def _listen(self) -> None:
        """Judge every door whenever something changed in Cloud Director, for a configured rule takes effect then."""
        control, version = Control(self.instance), 0
        while not self._stop.is_set():
            with contextlib.suppress(OSError, ValueError, ControlError):
                found = control.machines(version, 1.0)[0]
                if found != version:
                    for door in list(self._doors.values()):
                        door.judge()
                    version = found
            self._stop.wait(0.2)


class _Door:
    """One door. Whether it is open is judged when something changes, and once more for each connection."""

    def __init__(self, instance: Instance, source: str, address: str, port: int) -> None:
        self.instance = instance
        self.source, self.address, self.port = source, address, port
        self._lock = threading.Lock()
        self._open = False
        self._socket = self._bound(0)
        self.number = int(self._socket.getsockname()[1])

    @staticmethod
    def _bound(number: int) -> socket.socket:
        """A socket that has the port and does not listen: who connects is refused."""
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, number))
        return made

    def _inner(self) -> tuple[str, int] | None:
        return through_edge(self.instance, self.address, self.port, self.source)

    def judge(self) -> None:
        """Open or close it, as rules and machines are now."""
        wanted = self._inner() is not None
        with self._lock:
            if wanted and not self._open:
                self._socket.listen()
                threading.Thread(target=self._serve, args=(self._socket,), daemon=True).start()
            elif self._open and not wanted:
                self._hang_up()
                self._socket = self._bound(self.number)
            self._open = wanted

    def close(self) -> None:
        """For good."""
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                client, dummy = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client:
            try:
                inner = self._inner()
                if inner is None:
                    raise ConnectionRefusedError
                with socket.create_connection(inner, TIMEOUT_S) as guest:
                    guest.settimeout(None)
                    back = threading.Thread(target=_pump, args=(guest, client), daemon=True)
                    back.start()
                    _pump(client, guest)
                    back.join()
            except (OSError, ControlError):
                with contextlib.suppress(OSError):  # a reset instead of an end
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes one way until that way ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
