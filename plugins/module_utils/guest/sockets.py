# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services a guest has and whom it talks to, from what its kernel shows.

`LOOK` is a piece of shell that looks once: it needs no root, no Python and nothing installed, and changes nothing.
`parse` understands what it prints, `fold` makes one picture of several looks.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import (
    Listener,
    Peer,
    Sockets,
)

LOOK = r"""
echo "==> look <=="
PATH=$PATH:/usr/sbin:/sbin LC_ALL=C; export PATH LC_ALL
if command -v ss >/dev/null 2>&1
then ss -n -t -u -a -p 2>/dev/null | cat
else tail -n +1 /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 2>/dev/null
fi
tail -n +1 /proc/net/fib_trie /proc/net/if_inet6 2>/dev/null
echo "==> ports <=="
cat /proc/sys/net/ipv4/ip_local_port_range 2>/dev/null
echo "==> client <=="
p=$$
while [ "${p:-0}" -gt 1 ]
do
  tr "\0" "\n" < /proc/$p/environ | grep "^SSH_CLIENT="
  p=$(sed -n "s/^PPid:[^0-9]*//p" /proc/$p/status)
done 2>/dev/null
echo "==> end <=="
"""
"""Shell that looks once. `| cat`, since ss breaks its lines for a terminal."""

INTERNET = "internet"
"""Stands for all public addresses that called: who they are is nobody's business here."""
MOST_PEERS = 2000
"""Peers of one guest that are told; of more, those that were seen in the most looks."""
EPHEMERAL = (32768, 60999)
"""Linux's own range of ports for callers."""

Protocol = Literal["tcp", "udp"]

_PROCESS = re.compile(r'users:\(\("((?:[^"\\]|\\.)*)"')
_ENDPOINT = re.compile(r"(?P<address>.*?)(?:%(?P<scope>[^:\]]*))?:(?P<port>\d+|\*)\Z")
_HEADER = re.compile(r"==> (.+) <==\Z")
_PROC = re.compile(
    r"\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{2})\b"
)
_LEAF = re.compile(r"\|-- ([0-9.]+)\Z")
_STATES = {
    "01": "ESTAB",
    "02": "SYN-SENT",
    "03": "SYN-RECV",
    "04": "FIN-WAIT-1",
    "05": "FIN-WAIT-2",
    "06": "TIME-WAIT",
    "07": "UNCONN",
    "08": "CLOSE-WAIT",
    "09": "LAST-ACK",
    "0A": "LISTEN",
    "0B": "CLOSING",
}
_CONNECTED = frozenset({"ESTAB", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE-WAIT", "LAST-ACK", "CLOSING"})
"""States of a connection that came about; an attempt (SYN-SENT, SYN-RECV) is none."""


@dataclass(frozen=True)
class Socket:
    """A socket, or a connection without one that the kernel still remembers. Ports are 0 where there is none."""

    protocol: Protocol
    state: str
    local: str
    local_port: int
    remote: str
    remote_port: int
    process: str = ""


@dataclass
class Look:
    """What was seen at one moment."""

    sockets: list[Socket] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    ephemeral: tuple[int, int] = EPHEMERAL
    client: tuple[str, int] | None = None
    whole: bool = False


def script(samples: int, interval_s: float) -> str:
    """Shell that looks so many times, with a pause between."""
    return (
        f"n={samples}\nwhile :\ndo\n{LOOK.strip()}\nn=$((n - 1))\n[ $n -gt 0 ] || break\nsleep {interval_s:g}\ndone\n"
    )


def parse(text: str) -> list[Look]:
    """The looks in what `LOOK`, run once or several times, printed; one that was cut off is left out."""
    looks: list[Look] = []
    section: list[str] = []
    title = ""
    for line in [*text.splitlines(), "==> end of the text <=="]:
        header = _HEADER.match(line.strip())
        if header is None:
            section.append(line.rstrip())
            continue
        if title == "look":
            looks.append(Look())
        if looks:
            _section(looks[-1], title, section)
        title, section = header[1], []
        if title == "end" and looks:
            looks[-1].whole = True
    return [look for look in looks if look.whole]


def _section(look: Look, title: str, lines: Sequence[str]) -> None:
    if title == "look":
        look.sockets += parse_ss("\n".join(lines))
    elif title in ("/proc/net/tcp", "/proc/net/tcp6"):
        look.sockets += parse_proc("tcp", "\n".join(lines))
    elif title in ("/proc/net/udp", "/proc/net/udp6"):
        look.sockets += parse_proc("udp", "\n".join(lines))
    elif title == "/proc/net/fib_trie":
        look.addresses += _trie(lines)
    elif title == "/proc/net/if_inet6":
        look.addresses += _inet6(lines)
    elif title == "ports":
        words = " ".join(lines).split()
        if len(words) == 2 and all(word.isdecimal() for word in words):
            look.ephemeral = (int(words[0]), int(words[1]))
    elif title == "client":
        for line in lines:
            words = line.partition("=")[2].split()
            if line.startswith("SSH_CLIENT=") and len(words) == 3 and words[2].isdecimal():
                look.client = (_plain(words[0]), int(words[2]))
                return


def parse_ss(text: str) -> list[Socket]:
    """The sockets in the output of `ss -n -t -u -a -p`, with or without its header, of any iproute2."""
    return [socket for line in text.splitlines() for socket in _ss_line(line)]


def _ss_line(line: str) -> Iterator[Socket]:
    words = line.split(None, 6)
    if len(words) < 6 or words[0] not in ("tcp", "udp"):
        return
    local, remote = _endpoint(words[4]), _endpoint(words[5])
    if local is None or remote is None:
        return
    process = _PROCESS.search(words[6]) if len(words) > 6 else None
    named = names.printable(process[1], 40) if process else ""
    protocol: Protocol = "tcp" if words[0] == "tcp" else "udp"
    yield Socket(protocol, words[1], *local, *remote, named)


def _endpoint(text: str) -> tuple[str, int] | None:
    """`10.0.0.5%eth0:68`, `[::1]:80`, `:::80`, `*:80`, `[fe80::1%eth0]:546`: address and port."""
    match = _ENDPOINT.match(text)
    if match is None:
        return None
    address = _plain(match["address"].strip("[]"))
    return address, 0 if match["port"] == "*" else int(match["port"])


def _plain(address: str) -> str:
    """An address in its one spelling; `0.0.0.0` for any."""
    address = address.partition("%")[0].strip("[]")
    if address in ("*", ""):
        return "0.0.0.0"
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def parse_proc(protocol: Protocol, text: str) -> list[Socket]:
    """The sockets in /proc/net/tcp, tcp6, udp or udp6, where there is no ss. No names of programs."""
    found = []
    for line in text.splitlines():
        match = _PROC.match(line)
        if match:
            local, local_port, remote, remote_port, state = match.groups()
            named = _STATES.get(state, state)
            ends = (_unhex(local), int(local_port, 16), _unhex(remote), int(remote_port, 16))
            found.append(Socket(protocol, named, *ends))
    return found


def _unhex(text: str) -> str:
    """The kernel prints each 32 bits of an address as a number of a little-endian machine."""
    raw = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    return _plain(str(ipaddress.ip_address(raw)))


def _trie(lines: Iterable[str]) -> Iterator[str]:
    leaf = ""
    for line in lines:
        match = _LEAF.search(line)
        if match:
            leaf = match[1]
        elif line.split() == ["/32", "host", "LOCAL"] and leaf:
            yield _plain(leaf)


def _inet6(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        word = line.split(" ")[0]
        if re.match(r"[0-9a-f]{32}\Z", word):
            yield str(ipaddress.ip_address(bytes.fromhex(word)))


def fold(looks: Sequence[Look]) -> Sockets:
    """One picture of all looks. The same looks give the same picture, in whatever order their lines come.

    Left out: what stays in the guest, what no look saw established, and the login that looked.
    """
    listeners: dict[tuple[Protocol, str, int], set[str]] = defaultdict(set)
    peers: Counter[tuple[Protocol, Literal["in", "out"], str, int]] = Counter()
    processes: dict[tuple[Protocol, Literal["in", "out"], str, int], set[str]] = defaultdict(set)
    addresses = {address for look in looks for address in look.addresses if _outward(address)}
    for look in looks:
        listening = set()
        for socket in look.sockets:
            if _listens(socket, look.ephemeral):
                listening.add((socket.protocol, socket.local_port))
                listeners[(socket.protocol, socket.local, socket.local_port)].add(socket.process)
        seen = set()
        own = addresses | {socket.local for socket in look.sockets}
        for socket in look.sockets:
            if socket.state not in _CONNECTED or socket.remote in own or not _outward(socket.remote):
                continue
            direction, port = _service(socket, listening, look.ephemeral)
            if direction == "in" and (socket.remote, socket.local_port) == look.client:
                continue
            public = direction == "in" and ipaddress.ip_address(socket.remote).is_global
            key = (socket.protocol, direction, INTERNET if public else socket.remote, port)
            seen.add(key)
            processes[key].add(socket.process)
        peers.update(seen)
    return picture(
        samples=len(looks),
        addresses=addresses,
        listeners=[
            Listener(protocol=protocol, address=address, port=port, process=_first(named))
            for (protocol, address, port), named in listeners.items()
        ],
        peers=[
            Peer(
                protocol=key[0],
                direction=key[1],
                address=key[2],
                port=key[3],
                process=_first(processes[key]),
                seen=count,
            )
            for key, count in peers.items()
        ],
    )


def picture(*, samples: int, addresses: Iterable[str], listeners: Iterable[Listener], peers: Iterable[Peer]) -> Sockets:
    """Sockets in their one order; the same listener or peer may be there several times and then is one."""
    serving: dict[tuple[str, str, int], Listener] = {}
    for listener in listeners:
        where = (listener.protocol, listener.address, listener.port)
        known = serving.get(where, listener)
        serving[where] = replace(listener, process=_first((known.process, listener.process)))
    calling: dict[tuple[str, str, str, int], Peer] = {}
    for peer in peers:
        who = (peer.protocol, peer.direction, peer.address, peer.port)
        before = calling.get(who)
        if before is not None:
            peer = replace(peer, process=_first((before.process, peer.process)), seen=before.seen + peer.seen)
        calling[who] = peer
    told = sorted(calling, key=lambda who: (-calling[who].seen, who))[:MOST_PEERS]
    return Sockets(
        samples=samples,
        addresses=sorted(set(addresses)),
        listeners=[serving[where] for where in sorted(serving)],
        peers=[calling[who] for who in sorted(told)],
    )


def _listens(socket: Socket, ephemeral: tuple[int, int]) -> bool:
    if socket.protocol == "tcp":
        return socket.state == "LISTEN"
    # a caller's own port is no service
    return socket.state == "UNCONN" and not ephemeral[0] <= socket.local_port <= ephemeral[1]


def _service(
    socket: Socket, listening: set[tuple[Protocol, int]], ephemeral: tuple[int, int]
) -> tuple[Literal["in", "out"], int]:
    """Who called, and the port of the service; 0 where both have a port that callers have."""
    here, there = socket.local_port, socket.remote_port
    mine = ephemeral[0] <= here <= ephemeral[1]
    # the peer may be of another system, whose range is not ours
    theirs = ephemeral[0] <= there <= ephemeral[1] or there >= EPHEMERAL[0]
    if (socket.protocol, here) in listening and not (socket.protocol == "udp" and here == there):
        return "in", here
    if mine and theirs:
        return "out", 0
    return ("in", here) if theirs else ("out", there)


def _outward(address: str) -> bool:
    """Whether it is the address of one machine that others can reach."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        return False
    return address != "255.255.255.255"


def _first(processes: Iterable[str]) -> str:
    return min((process for process in processes if process), default="")
