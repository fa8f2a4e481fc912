# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trips: a random tenant, random edits of its plan, random changes of the tenant. Every edit stands, every change
is told, nothing else moves, and the next run changes nothing."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import draft as drafting

NAMES = ["web", "db", "app {{ 1 }}", "# cache", "", "Équipe: x", "web", "a\nb", "- queue", "'q\""]
IMAGE = {"os_distro": "debian", "os_version": "12", "hw_firmware_type": "bios"}
KINDS = ["keys", "routers", "topics", "buckets", "key_pairs"]
OPTIONS = drafting.Options(
    tenant="acme",
    cloud="lab",
    estate_file="acme.estate.json",
    datacenter="DC0",
    compute="DC0_C0",
    datastore="LocalDS_0",
    reader_server_id="r1",
)


class World:
    """A tenant that changes."""

    def __init__(self, rng: random.Random, servers: int) -> None:
        self.rng = rng
        self.serial = 0
        self.servers: dict[str, e.Server] = {}
        self.volumes: dict[str, e.Volume] = {}
        self.ports: dict[str, e.Port] = {}
        self.networks = {f"n{n}": e.Network(id=f"n{n}", name=rng.choice(NAMES)) for n in range(4)}
        self.groups = {f"g{n}": self._group(f"g{n}") for n in range(5)}
        self.floating: dict[str, e.FloatingIp] = {}
        self.resources = {
            kind: {f"{kind}-{n}": e.Resource(id=f"{kind}-{n}", name=rng.choice(NAMES)) for n in range(3)}
            for kind in KINDS
        }
        for _server in range(servers):
            self.add_server()
        for number in range(4):
            port = rng.choice(sorted(self.ports))
            self.floating[f"f{number}"] = e.FloatingIp(id=f"f{number}", address=f"203.0.113.{number}", port_id=port)

    def _group(self, ident: str) -> e.SecurityGroup:
        rules = [e.Rule(id=f"{ident}-r{n}", protocol="tcp", port_min=n, port_max=n) for n in range(3)]
        return e.SecurityGroup(id=ident, name=f"group {ident}", rules=rules)

    def _new(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}{self.serial}"

    def estate(self) -> e.Estate:
        """As it is now."""
        kinds = ["servers", "volumes", "ports", "networks", "security_groups", "floating_ips", *KINDS]
        return e.Estate(
            kind=e.KIND,
            version=e.VERSION,
            tenant=e.Tenant(project_id="p"),
            read=dict.fromkeys(kinds, "complete"),
            servers=[self.servers[key] for key in sorted(self.servers)],
            volumes=[self.volumes[key] for key in sorted(self.volumes)],
            ports=[self.ports[key] for key in sorted(self.ports)],
            networks=[self.networks[key] for key in sorted(self.networks)],
            security_groups=[self.groups[key] for key in sorted(self.groups)],
            floating_ips=[self.floating[key] for key in sorted(self.floating)],
            resources={kind: [some[key] for key in sorted(some)] for kind, some in self.resources.items()},
        )

    # -- changes

    def add_server(self) -> None:
        rng = self.rng
        self.serial += 1
        ident = f"{rng.getrandbits(32):08x}-0000-4000-8000-{self.serial:012x}"
        volumes = [self._volume(ident) for _n in range(rng.randint(1, 3))]
        ports = [self._port(ident) for _n in range(rng.randint(1, 2))]
        self.servers[ident] = e.Server(
            id=ident,
            name=f"{rng.choice(NAMES)}-{rng.randint(1, 99)}",
            status=rng.choice(["ACTIVE", "ACTIVE", "ACTIVE", "SHUTOFF", "ERROR"]),
            flavor=e.Flavor(vcpus=rng.randint(1, 8), ram_mib=1024 * rng.randint(1, 8)),
            volumes=[e.Attachment(v, f"/dev/vd{'abcdef'[n]}", not n) for n, v in enumerate(volumes)],
            ports=ports,
            metadata={"group": rng.choice(["shop", "crm"])} if rng.random() < 0.4 else {},
        )

    def _volume(self, server: str) -> str:
        ident = self._new("v")
        self.volumes[ident] = e.Volume(
            id=ident,
            status="in-use",
            size_gib=self.rng.randint(1, 50),
            image_metadata=IMAGE,
            attachments=[e.VolumeAttachment(server)] if server else [],
        )
        return ident

    def _port(self, server: str) -> str:
        ident = self._new("p")
        number = self.serial
        self.ports[ident] = e.Port(
            id=ident,
            network_id=self.rng.choice(sorted(self.networks)),
            mac=f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}",
            device_id=server,
            device_owner="compute:nova",
            fixed_ips=[e.FixedIp(ip=f"10.0.{number // 256}.{number % 256}", subnet_id="s")],
        )
        return ident

    def remove_server(self) -> None:
        server = self.servers.pop(self.rng.choice(sorted(self.servers)))
        for place in server.volumes:
            del self.volumes[place.volume_id]
        for port in server.ports:
            del self.ports[port]
        for ident, address in list(self.floating.items()):
            if address.port_id in server.ports:
                self.floating[ident] = replace(address, port_id=None)

    def _server(self, **changed: Any) -> None:
        server = self.servers[self.rng.choice(sorted(self.servers))]
        self.servers[server.id] = replace(server, **changed)

    def resize(self) -> None:
        self._server(flavor=e.Flavor(vcpus=self.rng.randint(9, 16), ram_mib=1024 * self.rng.randint(9, 16)))

    def status(self) -> None:
        self._server(status=self.rng.choice(["ERROR", "SHUTOFF", "ACTIVE"]))

    def rename(self) -> None:
        self._server(name=f"renamed {self._new('')}")

    def regroup(self) -> None:
        self._server(metadata={"group": self._new("team")})

    def attach(self) -> None:
        server = self.servers[self.rng.choice(sorted(self.servers))]
        places = [*server.volumes, e.Attachment(self._volume(server.id), f"/dev/vdx{self.serial}")]
        self.servers[server.id] = replace(server, volumes=places)

    def detach(self) -> None:
        server = self.servers[self.rng.choice([i for i in sorted(self.servers) if self.servers[i].volumes])]
        self.servers[server.id] = replace(server, volumes=server.volumes[:-1])
        ident = server.volumes[-1].volume_id
        self.volumes[ident] = replace(self.volumes[ident], attachments=[], status="available")

    def extend(self) -> None:
        ident = self.rng.choice(sorted(self.volumes))
        self.volumes[ident] = replace(self.volumes[ident], size_gib=self.volumes[ident].size_gib + 7)

    def readdress(self) -> None:
        ident = self.rng.choice(sorted(self.ports))
        address = e.FixedIp(ip=f"10.9.0.{self.serial % 250}", subnet_id="s")
        self.serial += 1
        self.ports[ident] = replace(self.ports[ident], fixed_ips=[*self.ports[ident].fixed_ips[1:], address])

    def loose_volume(self) -> None:
        self._volume("")

    def rule(self) -> None:
        ident = self.rng.choice(sorted(self.groups))
        rule = e.Rule(id=self._new("r"), remote_group_id=self.rng.choice(sorted(self.groups)))
        self.groups[ident] = replace(self.groups[ident], rules=[*self.groups[ident].rules, rule])

    def network(self) -> None:
        ident = self._new("net")
        self.networks[ident] = e.Network(id=ident, name="new")

    def resource(self) -> None:
        kind = self.rng.choice(KINDS)
        some = self.resources[kind]
        what = self.rng.random()
        if what < 0.4 or not some:
            ident = self._new("x")
            some[ident] = e.Resource(id=ident, name="new: {{ x }}")
        elif what < 0.7:
            ident = self.rng.choice(sorted(some))
            del some[ident]
        else:
            ident = self.rng.choice(sorted(some))
            some[ident] = replace(some[ident], properties={"state": self._new("")})

    def change(self, count: int) -> None:
        """So many changes of any sort."""
        sorts: list[Callable[[], None]] = [
            self.add_server,
            self.remove_server,
            self.resize,
            self.status,
            self.rename,
            self.regroup,
            self.attach,
            self.detach,
            self.extend,
            self.readdress,
            self.loose_volume,
            self.rule,
            self.network,
            self.resource,
        ]
        before = self.estate()
        while len(different(before, self.estate())) < count:
            self.rng.choice(sorts)()


def different(before: e.Estate, after: e.Estate) -> set[tuple[str, str, str]]:
    """What is not as it was: what happened, kind, id."""
    found: set[tuple[str, str, str]] = set()
    for kind in before.read:
        old, new = ({entry.id: entry for entry in estate.of(kind)} for estate in (before, after))
        found |= {("added", kind, ident) for ident in new.keys() - old.keys()}
        found |= {("removed", kind, ident) for ident in old.keys() - new.keys()}
        found |= {("changed", kind, ident) for ident in old.keys() & new.keys() if old[ident] != new[ident]}
    return found


VALUES: dict[str, list[str]] = {
    "cpus": ["31", "33", "64"],
    "memory_mib": ["99000", "98000"],
    "firmware": ["efi"],
    "adapt": ["none"],
    "controller": ["nvme", "sata"],
    "keep_mac": ["false"],
    "type": ["e1000e"],
    "deadline_s": ["77"],
    "reason": ['"because: I say so"', "'it''s old'"],
    "workloads_at_once": ["9"],
    "disks_per_reader": ["3"],
    "bandwidth_mib_s": ["12.5"],
    "folder": ["mine"],
    "datastore": ["Other_DS"],
    "target": ["PG-1", '"PG 2"'],
}


class Editor:
    """A person with a text editor. marks: comments that must be there once, whatever happens."""

    def __init__(self, rng: random.Random, text: str) -> None:
        self.rng = rng
        self.lines = text.split("\n")
        self.marks: list[str] = []
        self.count = 0
        self.touched: set[int] = set()

    def text(self) -> str:
        return "\n".join(self.lines)

    def _mark(self) -> str:
        self.marks.append(f"# mark {len(self.marks)}. {{{{ x }}}}: ä")
        return self.marks[-1]

    def value(self) -> bool:
        found = [
            (i, match)
            for i, line in enumerate(self.lines)
            if i not in self.touched
            and (match := re.match(r"^(\s+(?:- )?)([a-z_]+): (\S.*)$", line))
            and match[2] in VALUES
            and line.startswith("  ")
        ]
        index, match = self.rng.choice(found)
        new = self.rng.choice(VALUES[match[2]])
        if match[2] == "type" and match[3] == "vsphere":
            return False
        note = f"  {self._mark()}" if self.rng.random() < 0.4 else ""
        self.lines[index] = f"{match[1]}{match[2]}: {new}{note}"
        self.touched.add(index)
        return True

    def note(self) -> bool:
        """A comment line of its own, as deep as the line below it; or behind a value."""
        index = self.rng.randrange(self.lines.index("---") + 1, len(self.lines) - 1)
        line = self.lines[index]
        if not line.strip() or line.lstrip().startswith("#") or "#" in line:
            return False
        if self.rng.random() < 0.5:
            self.lines[index] = f"{line}   {self._mark()}"
            self.touched.add(index)
            return True
        indent = len(line) - len(line.lstrip())
        self._insert(index, [" " * indent + self._mark()])
        return True

    def _insert(self, index: int, lines: list[str]) -> None:
        self.lines[index:index] = lines
        self.touched = {i + len(lines) if i >= index else i for i in self.touched}

    def check(self) -> bool:
        """A check for a workload."""
        found = [i for i, line in enumerate(self.lines) if line == "    stop:" or line.startswith("    guest:")]
        if not found:
            return False
        index = self.rng.choice(found)
        above = next(i for i in range(index, 0, -1) if re.match(r"^  \S", self.lines[i]))
        below = next((i for i in range(index, len(self.lines)) if re.match(r"^(  )?\S", self.lines[i])), index)
        if any("checks:" in line for line in self.lines[above:below]):
            return False
        self._insert(index, ["    checks:", f"      - {{type: tcp, port: 443}} {self._mark()}"])
        return True

    def decide(self) -> bool:
        found = [
            i
            for i, line in enumerate(self.lines)
            if "decision: " in line and line.startswith("    ") and i not in self.touched
        ]
        if not found:
            return False
        index = self.rng.choice(found)
        note = f" {self._mark()}" if self.rng.random() < 0.5 and "#" not in self.lines[index] else ""
        self.lines[index] = re.sub(r"decision: \w+", "decision: customer", self.lines[index]) + note
        self.touched.add(index)
        return True

    def window(self) -> bool:
        found = [i for i, line in enumerate(self.lines) if line == "    groups:"]
        index = self.rng.choice(found) if found else 0
        if not index or any("start:" in line for line in self.lines[index - 3 : index + 20]):
            return False
        self._insert(index, ["    hours: 4", f"    start: 2026-12-05T20:00Z {self._mark()}"])
        return True

    def rekey(self) -> bool:
        """Another name for a workload."""
        found = [i for i, line in enumerate(self.lines) if re.match(r"^  [a-z0-9-]+-[0-9a-f]{8}:$", line)]
        if not found:
            return False
        index = self.rng.choice(found)
        self.lines[index] = f"  mine-{self.count}:"
        self.touched.add(index)
        return True

    def edit(self, count: int) -> None:
        sorts = [self.value] * 6 + [self.note] * 5 + [self.check, self.decide, self.decide, self.window, self.rekey]
        while self.count < count:
            self.count += self.rng.choice(sorts)()


def leaves(data: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Every value by its path; entries of lists by what tells them apart, workloads by their server."""
    found: dict[tuple[Any, ...], Any] = {}
    if isinstance(data, dict) and data:
        for key, value in data.items():
            name = value["source"]["id"] if path == ("workloads",) else key
            found.update(leaves(value, (*path, name)))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            name = (value.get("volume") or value.get("port") or index) if isinstance(value, dict) else value
            found.update(leaves(value, (*path, name)))
    else:
        found[path] = data
    return found


def data_of(text: str) -> Any:
    read, problems = document.read(text)
    assert read is not None and not problems, problems
    return read.data


@pytest.mark.parametrize("seed", range(6))
def test_round_trip(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    world = World(rng, servers=rng.randint(5, 14))
    path = tmp_path / "acme.plan.yml"
    before = world.estate()
    assess.draft_plan(before, OPTIONS, str(path))
    base = path.read_text()
    editor = Editor(rng, base)
    editor.edit(rng.randint(30, 45))
    edited = editor.text()
    ours, drafted = leaves(data_of(edited)), leaves(data_of(base))
    path.write_text(edited)
    unchanged = assess.draft_plan(before, OPTIONS, str(path))
    assert not unchanged.merged.edits, "nothing changed in the tenant"
    assert path.read_text().partition("\n---\n")[2] == edited.partition("\n---\n")[2]

    world.change(rng.randint(10, 20))
    after = world.estate()
    result = assess.draft_plan(after, OPTIONS, str(path), previous=before)
    text = path.read_text()
    new, now = leaves(data_of((tmp_path / "acme.draft.yml").read_text())), leaves(data_of(text))

    # all edits stand
    for mark in editor.marks:
        assert text.count(mark) == 1, mark
    for place, value in ours.items():
        if place not in drafted or drafted[place] != value:
            assert now.get(place) == value, f"edit lost at {place}"
    for place in drafted:
        if place not in ours and place[0] != "waves":
            assert place not in now, f"what people removed is back: {place}"

    # all changes are told, and nothing else
    told = {(change.op, change.kind, change.id) for change in result.assessment.drift}
    assert told == different(before, after)

    # nothing else moves: what is not as it was follows the draft
    for place in {*ours, *now}:
        if place[0] != "waves" and ours.get(place) != now.get(place) and now.get(place) != {}:
            assert drafted.get(place) != new.get(place), f"moved for no reason: {place}"
            assert now.get(place) in (new.get(place), None) or place[-1] == "reader", place
    theirs = Counter(base.split("\n"))
    lost = Counter(edited.split("\n")) - Counter(text.split("\n"))
    for line in lost:
        bare = re.sub(r"\s+# mark .*", "", line)
        assert theirs[bare], f"a line of people is gone: {line}"

    # what is in the plan is in the tenant, and the other way round; groups are in waves
    plan = plans.parse(data_of(text))[0]
    assert plan is not None
    assert {server.id for server in after.servers} <= {w.source.id for w in plan.workloads.values()}
    homes = Counter(group for wave in plan.waves.values() for group in wave.groups)
    assert {w.group for w in plan.moving().values() if w.group} <= set(homes) and set(homes.values()) <= {1}

    # again: the same bytes
    files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    again = assess.draft_plan(after, OPTIONS, str(path), previous=before)
    assert not again.changed and not again.merged.edits
    assert files == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_every_object_has_a_decision() -> None:
    """What is in the estate is a workload, goes with one, is mapped, is decided with another, or is listed."""
    world = World(random.Random(5), servers=6)
    for _n in range(3):
        world.loose_volume()
    estate = replace(
        world.estate(),
        subnets=[e.Subnet(id="s1", network_id="n0"), e.Subnet(id="s2", network_id="elsewhere")],
        snapshots=[e.Snapshot(id="sn")],
        images=[e.Image(id="im")],
        resources={
            "lb_pools": [e.Resource(id="pool", parent="lb"), e.Resource(id="lone")],
            "load_balancers": [e.Resource(id="lb", name="{{ lb }}")],
        },
    )
    plan = drafting.draft(estate, OPTIONS).plan
    listed = {(kind, ident) for kind, some in plan.objects.items() for ident in some}
    assert {
        ("subnets", "s2"),
        ("snapshots", "sn"),
        ("images", "im"),
        ("lb_pools", "lone"),
        ("load_balancers", "lb"),
    } <= listed
    assert not {("subnets", "s1"), ("lb_pools", "pool")} & listed
    loose = {("volumes", volume.id) for volume in estate.volumes if not volume.attachments}
    assert loose <= listed and len(loose) == 3 and len([k for k, _i in listed if k == "volumes"]) == 3
    assert {("networks", n.id) for n in estate.networks if n.id not in plan.networks} <= listed
    assert all(("security_groups", group.id) in listed for group in estate.security_groups)


def lacking(*kinds: str) -> Callable[[e.Estate], e.Estate]:
    """A reading in which these kinds could not be read."""

    def read(estate: e.Estate) -> e.Estate:
        empty: dict[str, Any] = {kind: [] for kind in kinds if hasattr(estate, kind)}
        resources = {kind: some for kind, some in estate.resources.items() if kind not in kinds}
        states: dict[str, e.ReadState] = {**estate.read}
        states.update(dict.fromkeys(kinds, "not_read"))
        return replace(estate, read=states, resources=resources, **empty)

    return read


OUTAGES: dict[str, Callable[[e.Estate], e.Estate]] = {
    "servers": lacking("servers"),
    "volumes": lacking("volumes"),
    "ports": lacking("ports"),
    "networks": lacking("networks"),
    "keys": lacking("keys", "topics", "security_groups"),
    "compute": lacking("servers", "key_pairs"),
    "all": lacking("servers", "volumes", "ports", "networks", "security_groups", "floating_ips", *KINDS),
    "partial": lambda estate: replace(estate, read={**estate.read, "servers": "partial"}, servers=estate.servers[:2]),
}


def test_what_cannot_be_read_stays_in_a_plan_that_people_have_to_fill_in(tmp_path: Path) -> None:
    estate = World(random.Random(7), servers=3).estate()
    options = replace(OPTIONS, datacenter="", reader_server_id="")
    path = tmp_path / "acme.plan.yml"
    assert assess.draft_plan(estate, options, str(path)).problems
    before = data_of(path.read_text())
    assert before["objects"]["security_groups"]
    assess.draft_plan(lacking("security_groups")(estate), options, str(path), previous=estate)
    assert {**data_of(path.read_text()), "estate": before["estate"]} == before


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("outage", sorted(OUTAGES))
def test_what_cannot_be_read_is_not_gone(outage: str, edited: bool, tmp_path: Path) -> None:
    """A service that is down takes nothing out of the plan, and nothing is to be put back when it is up again."""
    world = World(random.Random(7), servers=8)
    for _n in range(3):
        world.loose_volume()
    estate = world.estate()
    path = tmp_path / "acme.plan.yml"
    assess.draft_plan(estate, OPTIONS, str(path))
    if edited:
        path.write_text(path.read_text().replace("deadline_s: 300", "deadline_s: 60 # ours") + "# end\n")
    before = data_of(path.read_text())

    result = assess.draft_plan(OUTAGES[outage](estate), OPTIONS, str(path), previous=estate)
    during = data_of(path.read_text())
    assert {**during, "estate": before["estate"]} == before and result.merged.conflicts == []
    assert {change.op for change in result.assessment.drift} == {"changed"}, "nothing is told to be gone"
    if outage == "volumes":
        assert {w.readiness for w in result.assessment.workloads} <= {"unknown", "not_ready"}
    again = assess.draft_plan(OUTAGES[outage](estate), OPTIONS, str(path), previous=estate)
    assert not again.changed

    text = path.read_text()
    assess.draft_plan(estate, OPTIONS, str(path))
    assert data_of(path.read_text()) == before and (not edited or text.count("# ours") == text.count("deadline_s"))
