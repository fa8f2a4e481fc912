# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests show of their sockets: every iproute2, no iproute2, and one picture of several looks."""

from __future__ import annotations

import random
import shlex
import socket as sockets_
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import sockets
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.sockets import (
    INTERNET,
    Look,
    Socket,
    fold,
    parse,
    parse_proc,
    parse_ss,
    script,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import Listener, Peer

ROOT = Path(__file__).resolve().parents[5]

# CentOS 6: no brackets, processes as ("name",pid,fd)
SS_2_6 = """\
Netid  State      Recv-Q Send-Q     Local Address:Port       Peer Address:Port
udp    UNCONN     0      0                      *:68                    *:*      users:(("dhclient",1012,6))
tcp    LISTEN     0      128                   :::22                   :::*      users:(("sshd",1234,4))
tcp    LISTEN     0      128                    *:22                    *:*      users:(("sshd",1234,3))
tcp    ESTAB      0      0      ::ffff:10.20.0.11:80   ::ffff:10.20.0.12:40112    users:(("httpd",77,9),("httpd",78,9))
"""
# CentOS 7
SS_4_11 = """\
Netid State      Recv-Q Send-Q Local Address:Port               Peer Address:Port
udp   UNCONN     0      0          *:68                       *:*                   users:(("dhclient",pid=1012,fd=6))
tcp   LISTEN     0      128        *:22                       *:*                   users:(("sshd",pid=1234,fd=3))
tcp   LISTEN     0      128       :::22                      :::*                   users:(("sshd",pid=1234,fd=4))
tcp   ESTAB      0      0      ::ffff:10.20.0.11:80  ::ffff:10.20.0.12:40112  users:(("httpd",pid=77,fd=9))
"""
# Debian 10, without its header
SS_4_20 = """\
udp    UNCONN   0        0                 0.0.0.0:68              0.0.0.0:*      users:(("dhclient",pid=1012,fd=6))
tcp    LISTEN   0        128               0.0.0.0:22              0.0.0.0:*      users:(("sshd",pid=1234,fd=3))
tcp    LISTEN   0        128                  [::]:22                 [::]:*      users:(("sshd",pid=1234,fd=4))
tcp    ESTAB    0        0      [::ffff:10.20.0.11]:80      [::ffff:10.20.0.12]:40112  users:(("httpd",pid=77,fd=9))
"""
# Debian 12
SS_6_1 = """\
Netid State  Recv-Q Send-Q              Local Address:Port   Peer Address:Port Process
udp   UNCONN 0      0                  0.0.0.0%eth0:68           0.0.0.0:*     users:(("dhclient",pid=1012,fd=6))
tcp   LISTEN 0      128                     0.0.0.0:22           0.0.0.0:*     users:(("sshd",pid=1234,fd=3))
tcp   LISTEN 0      128                        [::]:22              [::]:*     users:(("sshd",pid=1234,fd=4))
tcp   ESTAB  0      0           [::ffff:10.20.0.11]:80   [::ffff:10.20.0.12]:40112 users:(("httpd",pid=77,fd=9))
"""
SAME = [
    Socket("udp", "UNCONN", "0.0.0.0", 68, "0.0.0.0", 0, "dhclient"),
    Socket("tcp", "LISTEN", "0.0.0.0", 22, "0.0.0.0", 0, "sshd"),
    Socket("tcp", "LISTEN", "::", 22, "::", 0, "sshd"),
    Socket("tcp", "ESTAB", "10.20.0.11", 80, "10.20.0.12", 40112, "httpd"),
]


def ordered(found: list[Socket]) -> list[Socket]:
    return sorted(found, key=repr)


@pytest.mark.parametrize("text", [SS_2_6, SS_4_11, SS_4_20, SS_6_1], ids=["2.6", "4.11", "4.20", "6.1"])
def test_every_iproute2(text: str) -> None:
    assert ordered(parse_ss(text)) == ordered(SAME)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("udp UNCONN 0 0 [fe80::1]%eth0:546 [::]:*", ("fe80::1", 546, "::", 0, "")),
        ("udp UNCONN 0 0 [fe80::1%eth0]:546 [::]:*", ("fe80::1", 546, "::", 0, "")),
        ("udp UNCONN 0 0 *%virbr0:67 *:*", ("0.0.0.0", 67, "0.0.0.0", 0, "")),
        ("tcp LISTEN 0 511 *:80 *:*", ("0.0.0.0", 80, "0.0.0.0", 0, "")),
        ('tcp LISTEN 0 5 [::1]:631 [::]:* users:(("tmux: server",pid=1,fd=2))', ("::1", 631, "::", 0, "tmux: server")),
        ('tcp LISTEN 0 5 1.2.3.4:5 *:* users:(("a\x1b[31m b",pid=1,fd=2))', ("1.2.3.4", 5, "0.0.0.0", 0, "a [31m b")),
    ],
)
def test_odd_lines(line: str, found: tuple[Any, ...]) -> None:
    (socket,) = parse_ss(line + "\r")
    assert (socket.local, socket.local_port, socket.remote, socket.remote_port, socket.process) == found


@pytest.mark.parametrize(
    "text", ["", "Netid State", "u_str ESTAB 0 0 * 1 * 2", "tcp ESTAB 0 0 nowhere here", "tcp\n\x00"]
)
def test_lines_that_say_nothing(text: str) -> None:
    assert parse_ss(text) == []


PROC = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0B00140A:0050 0C00140A:9CB0 01 00000000:00000000 02:000A7F0B 00000000     0        0 2 2 0 20 4 31 10 -1
"""
PROC_6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 0000000000000000FFFF00000B00140A:0050 0000000000000000FFFF00000C00140A:9CB0 06 00000000:00000000
   2: 000080FE00000000FF003EF801000000:0050 000080FE00000000FF003EF802000000:9CB0 01 00000000:00000000
"""


def test_without_iproute2() -> None:
    assert parse_proc("tcp", PROC) == [
        Socket("tcp", "LISTEN", "0.0.0.0", 22, "0.0.0.0", 0),
        Socket("tcp", "ESTAB", "10.20.0.11", 80, "10.20.0.12", 40112),
    ]
    assert parse_proc("tcp", PROC_6)[:2] == [
        Socket("tcp", "LISTEN", "::", 22, "::", 0),
        Socket("tcp", "TIME-WAIT", "10.20.0.11", 80, "10.20.0.12", 40112),
    ]
    assert parse_proc("tcp", PROC_6)[2].local == "fe80::f83e:ff:0:1"
    assert parse_proc("udp", "   9: 00000000:0044 00000000:0000 07 0")[0].state == "UNCONN"


def look(*found: Socket, **changed: Any) -> Look:
    return Look(sockets=list(found), whole=True, **changed)


def tcp(local: str, remote: str, state: str = "ESTAB", process: str = "", protocol: Any = "tcp") -> Socket:
    ends = [end for text in (local, remote) for end in (text.rpartition(":")[0], int(text.rpartition(":")[2]))]
    return Socket(protocol, state, ends[0], ends[1], ends[2], ends[3], process)


def listen(port: int, process: str = "", address: str = "0.0.0.0", protocol: Any = "tcp") -> Socket:
    return Socket(protocol, "LISTEN" if protocol == "tcp" else "UNCONN", address, port, "0.0.0.0", 0, process)


def told(*found: Socket, **changed: Any) -> list[tuple[str, str, str, int]]:
    peers = fold([look(*found, **changed)]).peers
    return [(peer.protocol, peer.direction, peer.address, peer.port) for peer in peers]


def test_one_picture_of_several_looks() -> None:
    web = listen(80, "nginx")
    first = look(
        web, tcp("10.0.0.1:80", "10.0.0.9:40001"), tcp("10.0.0.1:80", "10.0.0.9:40002"), addresses=["10.0.0.1"]
    )
    second = look(
        web, tcp("10.0.0.1:80", "10.0.0.9:50001", "TIME-WAIT"), tcp("10.0.0.1:33000", "10.0.0.5:5432", "ESTAB", "php")
    )
    third = look(listen(80), tcp("10.0.0.1:80", "10.0.0.9:40001", "ESTAB", "nginx"))
    picture = fold([first, second, third])
    assert (picture.samples, picture.addresses) == (3, ["10.0.0.1"])
    assert picture.listeners == [Listener(protocol="tcp", address="0.0.0.0", port=80, process="nginx")]
    assert picture.peers == [
        Peer(protocol="tcp", direction="in", address="10.0.0.9", port=80, process="nginx", seen=3),
        Peer(protocol="tcp", direction="out", address="10.0.0.5", port=5432, process="php", seen=1),
    ]


@pytest.mark.parametrize(
    ("socket", "found"),
    [
        (tcp("10.0.0.1:80", "10.0.0.9:40001"), [("tcp", "in", "10.0.0.9", 80)]),
        # a service on a port that callers have
        (tcp("10.0.0.1:40080", "10.0.0.9:50001"), [("tcp", "in", "10.0.0.9", 40080)]),
        (tcp("10.0.0.1:45000", "10.0.0.9:9200"), [("tcp", "out", "10.0.0.9", 9200)]),
        # the service went, its connection did not
        (tcp("10.0.0.1:8443", "10.0.0.9:50001"), [("tcp", "in", "10.0.0.9", 8443)]),
        (tcp("10.0.0.1:45000", "10.0.0.9:46000"), [("tcp", "out", "10.0.0.9", 0)]),
        # NFS calls from a port that services have
        (tcp("10.0.0.1:800", "10.0.0.9:2049"), [("tcp", "out", "10.0.0.9", 2049)]),
        (tcp("10.0.0.1:8443", "10.0.0.9:65000"), [("tcp", "in", "10.0.0.9", 8443)]),
        # both have the same port, as time servers do
        (tcp("10.0.0.1:123", "10.0.0.9:123", protocol="udp"), [("udp", "out", "10.0.0.9", 123)]),
        (tcp("10.0.0.1:45000", "10.0.0.2:53", protocol="udp"), [("udp", "out", "10.0.0.2", 53)]),
        # attempts are no connections
        (tcp("10.0.0.1:45000", "10.0.0.9:9200", "SYN-SENT"), []),
        (tcp("10.0.0.1:80", "10.0.0.9:40001", "SYN-RECV"), []),
        # what stays in the guest, or goes to many
        (tcp("127.0.0.1:45000", "127.0.0.1:80"), []),
        (tcp("10.0.0.1:45000", "10.0.0.1:80"), []),
        (tcp("fe80::1:45000", "fe80::2:80"), []),
        (tcp("10.0.0.1:45000", "224.0.0.251:5353", protocol="udp"), []),
        # who calls from the internet is not written down; whom this guest calls there is
        (tcp("10.0.0.1:80", "8.8.8.8:40001"), [("tcp", "in", INTERNET, 80)]),
        (tcp("10.0.0.1:45000", "8.8.8.8:443"), [("tcp", "out", "8.8.8.8", 443)]),
    ],
)
def test_who_called_whom(socket: Socket, found: list[tuple[str, str, str, int]]) -> None:
    assert told(listen(80), listen(40080), listen(123, protocol="udp"), socket) == found


def test_the_login_that_looks_is_not_told() -> None:
    login = [
        tcp("10.0.0.1:22", "10.0.0.9:40001"),
        tcp("10.0.0.1:22", "10.0.0.8:40001"),
        tcp("10.0.0.1:80", "10.0.0.9:41"),
    ]
    assert told(listen(22), listen(80), *login, client=("10.0.0.9", 22)) == [
        ("tcp", "in", "10.0.0.8", 22),
        ("tcp", "in", "10.0.0.9", 80),
    ]


def test_a_callers_own_udp_port_is_no_service() -> None:
    found = fold([look(listen(53, protocol="udp"), listen(45000, protocol="udp"), listen(45000))])
    assert [(entry.protocol, entry.port) for entry in found.listeners] == [("tcp", 45000), ("udp", 53)]
    wide = fold([look(listen(45000, protocol="udp"), ephemeral=(50000, 60000))])
    assert [entry.port for entry in wide.listeners] == [45000]


def test_the_number_of_peers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MOST_PEERS", 2)
    rare = [tcp("10.0.0.1:80", f"10.0.0.{n}:40001") for n in (2, 3)]
    often = tcp("10.0.0.1:80", "10.0.0.9:40001")
    assert [peer.address for peer in fold([look(*rare, often), look(often)]).peers] == ["10.0.0.2", "10.0.0.9"]


def test_the_order_of_lines_does_not_matter() -> None:
    rng = random.Random(7)
    found = [
        tcp(f"10.0.0.1:{rng.choice([80, 45000])}", f"10.0.0.{n % 9}:{rng.choice([40000, 443])}", process=f"p{n % 3}")
        for n in range(60)
    ]
    assert fold([look(*found)]) == fold([look(*rng.sample(found, 60))])


def test_nothing_seen() -> None:
    assert (fold([]).samples, fold([look()]).samples) == (0, 1)


TEXT = f"""\
Welcome to this machine
==> look <==
{SS_6_1}==> /proc/net/fib_trie <==
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.20.0.0
        /24 link UNICAST
     |-- 10.20.0.11
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL

==> /proc/net/if_inet6 <==
fd000000000000000000000000000002 04 40 00 82     eth0
00000000000000000000000000000001 01 80 10 80       lo
==> ports <==
10000	20000
==> client <==
SSH_CLIENT=::ffff:10.20.0.12 40112 80
SSH_CLIENT=other 1 2
==> end <==
==> look <==
tcp ESTAB 0 0 10.0.0.1:80 10.0.0.2:40
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_a_look_prints(end: str) -> None:
    (found,) = parse(TEXT.replace("\n", end))
    assert ordered(found.sockets) == ordered(SAME)
    assert found.addresses == ["10.20.0.11", "127.0.0.1", "fd00::2", "::1"]
    assert (found.ephemeral, found.client) == ((10000, 20000), ("10.20.0.12", 80))
    assert fold([found]).addresses == ["10.20.0.11", "fd00::2"]
    assert fold([found]).peers == []  # the only one is the login


@pytest.mark.parametrize(
    "text", ["", "==> end <==", "==> look <==", "sudo: a password is required", "==> look <==\n==> ports <=="]
)
def test_what_is_no_look(text: str) -> None:
    assert parse(text) == []


def test_a_look_without_iproute2() -> None:
    text = f"==> look <==\n==> /proc/net/tcp <==\n{PROC}\n==> /proc/net/tcp6 <==\n{PROC_6}==> end <==\n"
    (found,) = parse(text)
    assert len(found.sockets) == 5


@pytest.mark.parametrize("tool", ["ss", "/proc"])
def test_the_shell_for_real(tool: str) -> None:
    """A listener and a connection of this process are seen, twice, by the shell that guests run."""
    with sockets_.socket() as server, sockets_.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        text = script(2, 0).replace("command -v ss", "command -v ss" if tool == "ss" else "command -v no-such-tool")
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
        looks = parse(done.stdout)
        port = server.getsockname()[1]
        assert len(looks) == 2
        for found in looks:
            ours = {(entry.state, entry.local_port, entry.remote_port) for entry in found.sockets}
            assert {("LISTEN", port, 0), ("ESTAB", client.getsockname()[1], port)} <= ours
            assert "127.0.0.1" in found.addresses
    assert done.stderr == ""
    picture = fold(looks)
    assert picture.samples == 2
    assert ("tcp", "127.0.0.1", port) in {(entry.protocol, entry.address, entry.port) for entry in picture.listeners}


def test_the_shell_finds_the_login_among_its_parents() -> None:
    inner = f"sh -c {shlex.quote(script(1, 0))}; true"
    outer = ["env", "SSH_CLIENT=10.9.8.7 1234 22", "sh", "-c", f"env -i PATH=/usr/bin:/bin {inner}"]
    done = subprocess.run(outer, capture_output=True, text=True, check=True)
    assert parse(done.stdout)[0].client == ("10.9.8.7", 22)


def test_the_role_runs_the_same_shell() -> None:
    variables = yaml.safe_load((ROOT / "roles" / "discover_dependencies" / "vars" / "main.yml").read_text())
    assert variables["__discover_dependencies_look"].strip() == sockets.LOOK.strip()
