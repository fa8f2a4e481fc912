# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant in memory to test decommission against: it errs, it is slow, others work in it, and it crashes the program.

It sees everything: at each call that changes something it checks by itself, from its own state and the records,
that this call was permitted, and writes down in `violations` what was not. It shares no code with the executor.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as es
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Problem,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import (
    KIND,
    STAGES,
    VERSION,
    Answer,
    Approvals,
    Item,
    Kept,
    Limits,
    Made,
    Reference,
    Retirement,
    Stage,
    Step,
    Tenant,
    Who,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement as facts

CLOUD, REGION, PROJECT = "iam.example.test", "eu-west-0", "p-1"
START = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)
STAGE_OF: dict[str, Stage] = {
    "scaling_groups": "freeze",
    "lb_members": "front_doors",
    "load_balancers": "front_doors",
    "servers": "servers",
    "images": "images",
    "vault_backups": "backups",
    "snapshots": "volumes",
    "volumes": "volumes",
    "floating_ips": "addresses",
    "ports": "network",
    "subnets": "network",
    "networks": "network",
    "security_groups": "network",
    "buckets": "buckets",
    "keys": "keys",
}
RANK = {kind: rank for rank, kind in enumerate(STAGE_OF)}


class Crash(BaseException):
    """The program is gone at this point, as by SIGKILL."""


@dataclass(frozen=True)
class Gate:
    name: str
    open: bool
    why: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Thing:
    """An object: what the estate shows of it, and what only the cloud knows."""

    kind: str
    obj: Any
    uid: int
    locked: bool = False
    running: bool = False
    access: bool = True
    groups: tuple[str, ...] = ()
    key: str = ""
    """Key that its content is encrypted with."""
    auto: bool = False
    """A port that goes with its server."""
    content: int = 0
    going: int = -1
    """Readings until it is gone, once it was deleted."""
    stale: int = 0
    events: list[tuple[datetime, str]] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    """How strangers changed it after the plan."""

    def state(self) -> tuple[Any, ...]:
        return (self.obj, self.locked, self.running, self.access, self.groups, self.content)


@dataclass
class Memory:
    """A ledger in memory, in the place of `ledger.chain`: the same calls, no disk. A crash can hit a write."""

    records: list[dict[str, Any]] = field(default_factory=list)
    model: Model | None = None
    GENESIS = chain.GENESIS
    Entry = chain.Entry
    lost: bool = False
    """Whether writes vanish without a word."""
    problems: list[Problem] = field(default_factory=list)

    def read(self, path: str) -> list[dict[str, Any]]:
        if not self.records:
            raise NotFound("no ledger")
        return list(self.records)

    def append(self, path: str, entries: Sequence[chain.Entry]) -> chain.Appended:
        if self.model is not None:
            self.model.tick()
        if self.lost:
            return chain.Appended([])
        made = [
            {
                "seq": len(self.records) + 1 + number,
                "time": one.time,
                "tenant": one.tenant,
                "act": one.act,
                "ids": dict(one.ids),
                "digests": dict(one.digests),
                "result": dict(one.result),
            }
            for number, one in enumerate(entries)
        ]
        self.records += made
        if self.model is not None:
            self.model.tick()
        return chain.Appended(made)

    def verify(self, path: str, *, expected_head: str = "") -> chain.Verification:
        return chain.Verification(list(self.problems), len(self.records), "")


@dataclass
class Odds:
    """How likely each fault is, at each call."""

    fails: float = 0.0
    """An error before or after the effect; an answer without effect."""
    stale: float = 0.0
    empty: float = 0.0
    slow: float = 0.0
    stranger: float = 0.0
    reuse: float = 0.0
    jump: float = 0.0
    gate: float = 0.0
    stop: float = 0.0
    hold: float = 0.0
    wrong: float = 0.0


class Model:
    """The cloud. `crash_at`: the number of the operation at which the program dies."""

    def __init__(self, seed: int = 0, odds: Odds | None = None) -> None:
        self.rng = random.Random(seed)
        self.odds = odds or Odds()
        self.things: dict[tuple[str, str], Thing] = {}
        self.now = START
        self.offset = timedelta(0)
        self.memory = Memory(model=self)
        self.plan: Retirement | None = None
        self.planned: dict[tuple[str, str], int] = {}
        self.user = Who(user_id="u-purge", cloud=CLOUD, region=REGION, project_id=PROJECT)
        self.violations: list[str] = []
        self.deleted: list[tuple[str, str, int]] = []
        self.calls: list[tuple[str, str, str]] = []
        self.operations = 0
        self.crash_at = -1
        self.dead = False
        self.hidden: dict[tuple[str, str], int] = {}
        """How often a reading says falsely that an object is absent."""
        self.ignored: set[tuple[str, str]] = set()
        """Objects whose delete is taken and not carried out."""
        self.careless = False
        """Whether an undo does more than it should."""
        self.unread: set[str] = set()
        self.empties: set[tuple[str, str]] = set()
        self.gate_answer: list[Gate] | None = None
        self.next_gates: list[Gate] = [Gate("approvals", True)]
        self.stop_answer = ""
        self.next_stop = ""
        self.next_holds: set[str] = set()
        self.hold_answer: set[str] = set()
        self.purging = False
        self.run_deleted: set[str] = set()
        self.run_gib = 0.0
        self.day_deleted: dict[str, set[str]] = {}
        self.strangers_deleted: set[int] = set()
        self.uid = 0

    # what a test makes

    def add(self, kind: str, obj: Any, **more: Any) -> Thing:
        self.uid += 1
        thing = self.things[(kind, obj.id)] = Thing(kind, obj, self.uid, **more)
        return thing

    def get(self, kind: str, name: str) -> Thing | None:
        return self.things.get((kind, name))

    def of(self, kind: str) -> list[Thing]:
        return [thing for (other, dummy), thing in self.things.items() if other == kind]

    def reboot(self) -> None:
        """The next process: nothing of the last one is left but the cloud and the ledger."""
        self.dead, self.crash_at = False, -1
        # what the last process sent has arrived by now
        self.now += 2 * ledger.SLACK
        # a clock is set between two processes; within one it only counts (ledger.steady)
        if self.luck(self.odds.jump):
            self.offset = timedelta(seconds=self.rng.choice([0, 200, -200, 7200, -7200, 86400, -86400]))
        self.run_deleted, self.run_gib = set(), 0.0
        self.gate_answer, self.stop_answer, self.hold_answer = None, "", set()
        self.next_stop = ""

    def calm(self) -> None:
        """From now on everything works."""
        self.odds = Odds()
        self.next_stop, self.next_holds, self.next_gates = "", set(), [Gate("approvals", True)]
        self.empties.clear()

    # what happens by itself

    def tick(self) -> None:
        if self.dead:
            raise Crash
        self.operations += 1
        self.now += timedelta(milliseconds=1)
        if self.operations == self.crash_at:
            self.dead = True
            raise Crash

    def luck(self, chance: float) -> bool:
        return chance > 0 and self.rng.random() < chance

    def local(self) -> datetime:
        return self.now + self.offset

    def sleep(self, seconds: float) -> None:
        self.tick()
        self.now += timedelta(seconds=seconds)

    def fail(self) -> None:
        """One of the errors of a cloud."""
        raise self.rng.choice(
            [
                Unreachable("no answer", retryable=True),
                Timeout("too late", retryable=True),
                CloudExitError("500", retryable=True),
                Refused("403 for a while", retryable=True),
            ]
        )

    # what a run is given besides the cloud

    def gates(self) -> Sequence[Gate]:
        self.tick()
        if self.luck(self.odds.gate):
            closed = self.rng.choice([[], [Gate("accepted", False, "nobody signed")]])
            self.gate_answer = closed
            return closed
        self.gate_answer = list(self.next_gates)
        return self.gate_answer

    def stop(self) -> str:
        if self.luck(self.odds.stop):
            self.next_stop = "somebody says stop"
        self.stop_answer = self.next_stop
        return self.stop_answer

    def holds(self) -> Collection[str]:
        self.tick()
        if self.luck(self.odds.fails):
            self.fail()
        if self.luck(self.odds.hold) and self.planned:
            kind, name = self.rng.choice(sorted(self.planned))
            self.next_holds.add(f"{kind}/{name}")
        self.hold_answer = set(self.next_holds)
        return self.hold_answer

    def closure(self, ref: Reference, obj: Any) -> Collection[str]:
        self.tick()
        return {f"{kind}/{name}" for kind, name in self.along(ref.kind, ref.id)}

    def along(self, kind: str, name: str) -> list[tuple[str, str]]:
        """What vanishes with an object."""
        if kind == "servers":
            return [("ports", one.obj.id) for one in self.of("ports") if one.auto and one.obj.device_id == name]
        if kind == "load_balancers":
            return [("lb_members", one.obj.id) for one in self.of("lb_members") if one.obj.parent == name]
        return []

    # the cloud

    def who(self) -> Who:
        self.tick()
        if self.luck(self.odds.wrong):
            return replace(self.user, project_id="p-other")
        return self.user

    def clock(self) -> datetime:
        self.tick()
        return self.now

    def read(self, ref: Reference) -> Any | None:
        self.tick()
        key = (ref.kind, ref.id)
        if self.luck(self.odds.fails):
            self.fail()
        if self.luck(self.odds.stranger):
            self.meddle(key)
        thing = self.things.get(key)
        self.unread.discard(ref.key)
        if thing is None:
            return None
        if thing.going == 0:
            self.vanish(key)
            return None
        if self.hidden.get(key, 0) > 0:
            self.hidden[key] -= 1
            return None
        if thing.going > 0:
            thing.going -= 1
        elif self.luck(self.odds.empty) and key not in self.empties:
            self.empties.add(key)
            return None
        self.empties.discard(key)
        return thing.obj

    def way(self, ref: Reference, obj: Any) -> tuple[str, ...]:
        thing = self.things.get((ref.kind, ref.id))
        steps: list[str] = []
        if thing is not None and thing.locked:
            steps.append("unlock")
        if ref.kind == "floating_ips" and obj.port_id:
            steps.append("disassociate")
        if ref.kind == "volumes":
            steps += [f"detach:{place.server_id}" for place in obj.attachments]
        if ref.kind == "buckets":
            steps.append("empty")
        return (*steps, "delete")

    def call(self, ref: Reference, step: str, on_progress: Any = None) -> Answer:
        self.tick()
        self.judge(ref, step)
        self.unread.add(ref.key)
        trouble = self.rng.choice(["before", "after", "ignored"]) if self.luck(self.odds.fails) else ""
        if trouble == "ignored" or (step == "delete" and (ref.kind, ref.id) in self.ignored):
            return Answer(status=202, request_id=f"req-{self.operations}")
        if trouble == "before":
            self.fail()
        self.effect(ref, step)
        self.tick()
        if trouble == "after":
            raise self.rng.choice([Timeout("too late", retryable=True), CloudExitError("500", retryable=True)])
        return Answer(status=204, request_id=f"req-{self.operations}")

    def effect(self, ref: Reference, step: str) -> None:
        key = (ref.kind, ref.id)
        thing = self.things.get(key)
        if thing is None:
            raise NotFound(f"{ref.key}: 404")
        name, dummy, other = step.partition(":")
        if thing.going >= 0:
            raise Conflict(f"{ref.key}: it is being deleted", retryable=True)
        if name == "unlock":
            thing.locked = False
        elif name == "disassociate":
            thing.obj = replace(thing.obj, port_id=None, fixed_address=None)
        elif name == "detach":
            self.detach(key[1], other)
        elif name == "empty":
            thing.content = 0
            thing.obj = replace(thing.obj, size_gib=0.0)
        elif name == "delete":
            self.refuse(thing)
            thing.going = self.rng.randint(1, 4) if self.luck(self.odds.slow) else 0
            if thing.going == 0:
                self.vanish(key)
        else:
            raise Refused(f"{ref.key}: no such call as {step}")
        thing.events.append((self.now, step))

    def refuse(self, thing: Thing) -> None:
        """What a cloud does not delete: something hangs on it."""
        obj, name = thing.obj, thing.obj.id
        used = {
            "volumes": bool(getattr(obj, "attachments", []))
            or any(s.obj.volume_id == name for s in self.of("snapshots")),
            "subnets": any(fixed.subnet_id == name for port in self.of("ports") for fixed in port.obj.fixed_ips),
            "networks": any(port.obj.network_id == name for port in self.of("ports"))
            or any(subnet.obj.network_id == name for subnet in self.of("subnets")),
            "security_groups": any(name in port.groups for port in self.of("ports")),
            "buckets": thing.content > 0,
        }
        if used.get(thing.kind) or thing.locked:
            raise Conflict(f"{thing.kind}/{name}: in use", retryable=True)

    def detach(self, volume: str, server: str) -> None:
        place = self.things[("volumes", volume)]
        place.obj = replace(place.obj, attachments=[one for one in place.obj.attachments if one.server_id != server])
        host = self.get("servers", server)
        if host is not None:
            host.obj = replace(host.obj, volumes=[one for one in host.obj.volumes if one.volume_id != volume])

    def vanish(self, key: tuple[str, str]) -> None:
        """It is gone, and with it what the cloud takes along."""
        along = self.along(*key)
        thing = self.things.pop(key)
        self.deleted.append((*key, thing.uid))
        name = key[1]
        if key[0] == "servers":
            for volume in self.of("volumes"):
                if any(place.server_id == name for place in volume.obj.attachments):
                    self.detach(volume.obj.id, name)
                    volume.events.append((self.now, "detached"))
            for port in self.of("ports"):
                if port.obj.device_id == name and not port.auto:
                    port.obj = replace(port.obj, device_id="", device_owner="")
        if key[0] == "ports":
            for address in self.of("floating_ips"):
                if address.obj.port_id == name:
                    address.obj = replace(address.obj, port_id=None, fixed_address=None)
        for other in along:
            if other in self.things:
                self.vanish(other)
        if self.luck(self.odds.reuse):
            born = {"created": "2026-03-02T12:00:00Z"} if getattr(thing.obj, "created", "") else {"name": "newcomer"}
            if key[0] == "floating_ips":
                born = {"address": "198.51.100.99"}
            self.add(key[0], replace(thing.obj, **born))

    def quarantine_steps(self, ref: Reference, obj: Any) -> tuple[Step, ...]:
        self.tick()
        thing = self.things.get((ref.kind, ref.id))
        if thing is None:
            return ()
        found: list[tuple[str, Any, Any]] = []
        if ref.kind == "servers":
            found.append(("stop", "ACTIVE" if thing.running else "SHUTOFF", "SHUTOFF"))
            called = obj.name if obj.name.startswith("retired ") else f"retired {obj.name}"
            found.append(("rename", obj.name, called))
            found.append(("lock", thing.locked, True))
        if ref.kind == "ports":
            found.append(("close_groups", list(thing.groups), []))
        if ref.kind == "floating_ips":
            leads = {"port_id": thing.obj.port_id, "fixed": thing.obj.fixed_address}
            found.append(("disassociate", leads, {"port_id": None, "fixed": None}))
        if ref.kind == "buckets":
            found.append(("revoke_access", thing.access, False))
        return tuple(Step(name=name, before=before, after=after) for name, before, after in found)

    def apply(self, ref: Reference, step: Step) -> Answer:
        return self.set(ref, step.name, step.after)

    def undo(self, ref: Reference, step: Step) -> Answer:
        answer = self.set(ref, step.name, step.before)
        if self.careless and step.name == "rename":
            thing = self.things[(ref.kind, ref.id)]
            thing.obj = replace(thing.obj, tags=["lost"])
        return answer

    def set(self, ref: Reference, name: str, value: Any) -> Answer:
        self.tick()
        self.judge_rest(ref, name)
        self.unread.add(ref.key)
        trouble = self.rng.choice(["before", "after"]) if self.luck(self.odds.fails) else ""
        if trouble == "before":
            self.fail()
        thing = self.things.get((ref.kind, ref.id))
        if thing is None:
            raise NotFound(f"{ref.key}: 404")
        if name == "stop":
            thing.running = value == "ACTIVE"
        elif name == "rename":
            thing.obj = replace(thing.obj, name=value)
        elif name == "lock":
            thing.locked = value
        elif name == "close_groups":
            thing.groups = tuple(value)
        elif name == "disassociate":
            thing.obj = replace(thing.obj, port_id=value["port_id"], fixed_address=value["fixed"])
        elif name == "revoke_access":
            thing.access = value
        thing.events.append((self.now, name))
        if not self.purging:
            # what was done before a quarantine is what the soak is about
            thing.changed -= {"write", "start"}
        self.tick()
        if trouble == "after":
            raise self.rng.choice([Timeout("too late", retryable=True), CloudExitError("500", retryable=True)])
        return Answer(status=200, request_id=f"req-{self.operations}")

    def activity(self, ref: Reference, obj: Any, since: str) -> list[str]:
        self.tick()
        if self.luck(self.odds.fails):
            self.fail()
        thing = self.things.get((ref.kind, ref.id))
        return [what for at, what in thing.events if at > ledger.moment(since)] if thing is not None else []

    # others

    def meddle(self, key: tuple[str, str]) -> None:
        """Somebody else does something to an object."""
        thing = self.things.get(key)
        if thing is None or thing.going >= 0:
            return
        what = self.rng.choice(["rename", "write", "start", "delete", "attach"])
        if what == "rename" and key[0] != "floating_ips":
            thing.obj = replace(thing.obj, name=f"{thing.obj.name}-in-use")
        elif what == "write":
            thing.events.append((self.now, "written to"))
        elif what == "start" and key[0] == "servers":
            thing.running = True
            thing.events.append((self.now, "started"))
        elif what == "attach" and key[0] == "volumes":
            thing.obj = replace(thing.obj, attachments=[*thing.obj.attachments, es.VolumeAttachment("s-foreign")])
        elif what == "delete":
            self.strangers_deleted.add(thing.uid)
            for other in self.along(*key):
                self.strangers_deleted.add(self.things[other].uid)
            self.vanish(key)
            return
        else:
            return
        thing.changed.add(what)

    # what was permitted

    def wrong(self, what: str) -> None:
        self.violations.append(what)

    def judge_rest(self, ref: Reference, name: str) -> None:
        key = (ref.kind, ref.id)
        self.calls.append((ref.kind, ref.id, name))
        thing = self.things.get(key)
        if key not in self.planned:
            self.wrong(f"outside the plan: {name} {ref.key}")
        elif thing is not None and thing.uid != self.planned[key]:
            self.wrong(f"another object: {name} {ref.key}")
        step = "relock" if self.purging else name
        if not self.intended(ref, step):
            self.wrong(f"no intent: {name} {ref.key}")
        if self.stop_answer and not self.purging:
            self.wrong(f"after stop: {name} {ref.key}")

    def intended(self, ref: Reference, step: str) -> bool:
        for record in reversed(self.memory.records):
            if record["ids"].get("object") == ref.key:
                return str(record["act"]).endswith("_intent") and record["result"]["step"] == step
        return False

    def judge(self, ref: Reference, step: str) -> None:
        key = (ref.kind, ref.id)
        self.calls.append((ref.kind, ref.id, step))
        thing = self.things.get(key)
        plan = self.plan
        assert plan is not None
        if key not in self.planned or ref.project != PROJECT:
            self.wrong(f"outside the plan: {step} {ref.key}")
            return
        if not self.intended(ref, step):
            self.wrong(f"no intent: {step} {ref.key}")
        if ref.key in self.unread:
            self.wrong(f"repeated blindly: {step} {ref.key}")
        if not self.gate_answer or not all(gate.open for gate in self.gate_answer):
            self.wrong(f"a gate was closed: {step} {ref.key}")
        if self.stop_answer:
            self.wrong(f"after stop: {step} {ref.key}")
        if self.user.project_id != PROJECT or self.user.domain_admin or self.user.user_id == plan.made.user_id:
            self.wrong(f"wrong credential: {step} {ref.key}")
        if self.local() >= ledger.moment(plan.expires):
            self.wrong(f"expired: {step} {ref.key}")
        for other in [key, *self.along(*key)]:
            there = self.things.get(other)
            name = f"{other[0]}/{other[1]}"
            if other not in self.planned:
                self.wrong(f"outside the plan: {step} takes {name}")
            elif there is not None and there.uid != self.planned[other]:
                self.wrong(f"another object: {step} {name}")
            elif there is not None and getattr(there.obj, "project_id", PROJECT) != PROJECT:
                self.wrong(f"another tenant's: {step} {name}")
            elif there is not None and there.changed:
                self.wrong(f"changed by others: {step} {name}")
            if name in self.hold_answer:
                self.wrong(f"held: {step} {name}")
        if step == "delete" and thing is not None:
            self.judge_delete(key, plan)

    def judge_delete(self, key: tuple[str, str], plan: Retirement) -> None:
        name = f"{key[0]}/{key[1]}"
        item = plan.item(name)
        if item is None:
            return
        turn = STAGES.index(item.stage)
        for other in plan.items:
            there = self.things.get((other.ref.kind, other.ref.id))
            early = STAGES.index(other.stage) < turn or other.ref.key in item.after
            if early and there is not None and there.uid == self.planned[(other.ref.kind, other.ref.id)]:
                self.wrong(f"order: {name} before {other.ref.key}")
        objects = {name, *(f"{kind}/{one}" for kind, one in self.along(*key))}
        if name not in self.run_deleted:
            self.run_gib += sum(one.ref.size_gib for one in plan.items if one.ref.key in objects)
        self.run_deleted |= objects
        today = self.day_deleted.setdefault(self.local().strftime("%Y-%m-%d"), set())
        today |= objects
        limits = plan.limits
        if len(self.run_deleted) > limits.objects_per_run:
            self.wrong(f"cap of objects in a run: {name}")
        if len(today) > limits.objects_per_day:
            self.wrong(f"cap of objects in a day: {name}")
        if len(today) > (len(plan.items) + len(plan.kept)) * limits.share_percent_per_day / 100:
            self.wrong(f"cap of the share in a day: {name}")
        if self.run_gib > limits.gib_per_run + 1e-6:
            self.wrong(f"cap of GiB: {name}")
        if item.stage == "keys" and any(not one.startswith("keys/") for one in self.run_deleted):
            self.wrong(f"a key with other things: {name}")
        if item.stage == "keys" and any(thing.key == key[1] for thing in self.things.values()):
            self.wrong(f"a key of what is still there: {name}")


def plan_of(model: Model, chosen: Collection[tuple[str, str]], limits: Limits | None = None) -> Retirement:
    """A plan that deletes the chosen objects and keeps all others, as the planner would make it; the model knows it."""
    keys = sorted(chosen, key=lambda key: (STAGES.index(STAGE_OF[key[0]]), RANK[key[0]], key[1]))
    items = []
    for kind, name in keys:
        obj = model.things[(kind, name)].obj
        items.append(
            Item(
                ref=Reference(
                    kind=kind,
                    cloud=CLOUD,
                    region=REGION,
                    project=PROJECT,
                    id=name,
                    created=facts.created(kind, obj),
                    size_gib=facts.size_gib(kind, obj),
                ),
                name=facts.name(kind, obj),
                stage=STAGE_OF[kind],
                choice="moved",
                seen=facts.seen(kind, obj),
                after=_after(kind, obj, keys, model),
                takes=[f"{other}/{one}" for other, one in model.along(kind, name)],
            )
        )
    kept = [
        Kept(kind=kind, id=name, name=facts.name(kind, thing.obj), reason="undecided")
        for (kind, name), thing in sorted(model.things.items())
        if (kind, name) not in set(keys)
    ]
    model.plan = Retirement(
        kind=KIND,
        version=VERSION,
        tenant=Tenant(name="acme", project_id=PROJECT, region=REGION, cloud=CLOUD),
        made=Made(at=ledger.text(model.now), user_id="u-plan", estate="sha256:1", policy="sha256:2", ledger=""),
        expires=ledger.text(model.now + timedelta(days=30)),
        cool_off_hours=24,
        approvals=Approvals(needed=2, signers="sha256:3"),
        limits=limits or Limits(),
        items=items,
        kept=kept,
    )
    model.planned = {key: model.things[key].uid for key in keys}
    return model.plan


def _after(kind: str, obj: Any, keys: Sequence[tuple[str, str]], model: Model) -> list[str]:
    planned = set(keys)
    found: list[tuple[str, str]] = []
    if kind == "volumes":
        found += [("snapshots", one.obj.id) for one in model.of("snapshots") if one.obj.volume_id == obj.id]
        found += [("servers", place.server_id) for place in obj.attachments]
    if kind == "subnets":
        found += [
            ("ports", one.obj.id) for one in model.of("ports") if any(f.subnet_id == obj.id for f in one.obj.fixed_ips)
        ]
    if kind == "networks":
        found += [("subnets", one.obj.id) for one in model.of("subnets") if one.obj.network_id == obj.id]
    return sorted(f"{other}/{name}" for other, name in found if (other, name) in planned)


def estate(model: Model, rng: random.Random) -> set[tuple[str, str]]:
    """Fill the model with a random tenant; returns a random choice of what may go, closed under what hangs together."""
    names = rng.choice([["web", "web", "db"], ["a", "b", "c", "d"], ["", "x", "x"]])

    def name() -> str:
        return str(rng.choice(names))

    def born() -> str:
        return f"2025-0{rng.randint(1, 9)}-0{rng.randint(1, 9)}T10:00:0{rng.randint(0, 9)}Z"

    for number in range(rng.randint(1, 2)):
        model.add("networks", es.Network(f"n{number}", name(), PROJECT))
        model.add("subnets", es.Subnet(f"sub{number}", name(), f"n{number}", f"10.{number}.0.0/24"))
        model.add("security_groups", es.SecurityGroup(f"g{number}", name()))
    for number in range(rng.randint(0, 2)):
        model.add("keys", es.Resource(f"k{number}", name(), created=born()))
    for number in range(rng.randint(1, 5)):
        made: list[es.Attachment] = []
        server = f"s{number}"
        for index in range(rng.randint(0, 2)):
            volume = f"v{number}-{index}"
            key = rng.choice(["", *(thing.obj.id for thing in model.of("keys"))])
            attached = [es.VolumeAttachment(server, f"/dev/vd{index}")]
            made.append(es.Attachment(volume, f"/dev/vd{index}", index == 0))
            shown = es.Volume(volume, name(), "in-use", rng.randint(1, 50), created=born(), attachments=attached)
            model.add("volumes", replace(shown, encrypted=bool(key)), key=key)
            for copy in range(rng.choice([0, 0, 1])):
                shot = es.Snapshot(
                    f"sn{number}-{index}-{copy}", volume, name(), size_gib=shown.size_gib, created=born()
                )
                model.add("snapshots", shot)
        ports = []
        for index in range(rng.randint(0, 2)):
            port, net = f"p{number}-{index}", rng.choice(model.of("networks")).obj.id
            ports.append(port)
            fixed = [es.FixedIp(f"10.0.0.{number}{index}", f"sub{net[1:]}")]
            groups = (f"g{net[1:]}",)
            shown_port = es.Port(port, "", net, f"fa:{number}:{index}", server, "compute:nova", created=born())
            shown_port = replace(shown_port, fixed_ips=fixed, security_groups=list(groups))
            model.add("ports", shown_port, auto=rng.random() < 0.7, groups=groups)
            if rng.random() < 0.3:
                model.add(
                    "floating_ips",
                    es.FloatingIp(f"f{number}-{index}", f"203.0.113.{number}{index}", "ext", port, fixed[0].ip),
                )
        shown_server = es.Server(server, name(), "ACTIVE", created=born(), volumes=made, ports=ports)
        model.add("servers", shown_server, running=rng.random() < 0.5, locked=rng.random() < 0.2)
    for number in range(rng.randint(0, 2)):
        size = float(rng.randint(0, 9))
        model.add("buckets", es.Resource(f"b{number}", f"b{number}", created=born(), size_gib=size), content=int(size))
        model.add("load_balancers", es.Resource(f"lb{number}", name(), created=born()))
        for member in range(rng.randint(0, 2)):
            model.add("lb_members", es.Resource(f"m{number}-{member}", name(), parent=f"lb{number}"))
    model.add("servers", es.Server("s-foreign", "web", "ACTIVE", created=born()))
    return closed(model, {key for key in sorted(model.things) if rng.random() < rng.choice([0.5, 0.9, 1.0])})


def small(model: Model, limits: Limits | None = None) -> Retirement:
    """The same few objects every time: a server and what hangs on it, one that stays, a bucket, a key; and the plan."""
    born = "2025-05-05T10:00:00Z"
    model.add("keys", es.Resource("k1", "key", created=born))
    model.add("networks", es.Network("n1", "net", PROJECT))
    model.add("subnets", es.Subnet("sub1", "net", "n1", "10.0.0.0/24"))
    fixed = [es.FixedIp("10.0.0.5", "sub1")]
    port = es.Port("p1", "", "n1", "fa:1", "s1", "compute:nova", created=born, fixed_ips=fixed, security_groups=["g1"])
    model.add("security_groups", es.SecurityGroup("g1", "web"))
    model.add("ports", port, auto=True, groups=("g1",))
    model.add("floating_ips", es.FloatingIp("f1", "203.0.113.5", "ext", "p1", "10.0.0.5"))
    where = [es.VolumeAttachment("s1", "/dev/vda")]
    volume = es.Volume("v1", "web", "in-use", 40, created=born, attachments=where, encrypted=True)
    model.add("volumes", volume, key="k1")
    model.add("snapshots", es.Snapshot("sn1", "v1", "web", size_gib=40, created=born))
    disks = [es.Attachment("v1", "/dev/vda", True)]
    model.add("servers", es.Server("s1", "web", "ACTIVE", created=born, volumes=disks, ports=["p1"]), running=True)
    model.add("servers", es.Server("s2", "web", "ACTIVE", created=born), running=True)
    model.add("servers", es.Server("s9", "web", "ACTIVE", created=born), running=True)
    model.add("buckets", es.Resource("b1", "b1", created=born, size_gib=5.0), content=5)
    return plan_of(model, set(model.things) - {("servers", "s9")}, limits)


def closed(model: Model, chosen: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The largest part of a choice whose deletion touches nothing that stays."""
    chosen -= {("servers", "s-foreign")}
    while True:
        out = {key for key in chosen if not _may_go(model, key, chosen)}
        if not out:
            return chosen
        chosen -= out


def _may_go(model: Model, key: tuple[str, str], chosen: set[tuple[str, str]]) -> bool:
    kind, name = key
    obj = model.things[key].obj
    needs: list[tuple[str, str]] = list(model.along(kind, name))
    if kind == "volumes":
        needs += [("servers", place.server_id) for place in obj.attachments]
        needs += [("snapshots", one.obj.id) for one in model.of("snapshots") if one.obj.volume_id == name]
    if kind == "ports" and obj.device_id:
        needs += [("servers", obj.device_id)]
        needs += [("floating_ips", one.obj.id) for one in model.of("floating_ips") if one.obj.port_id == name]
    if kind == "subnets":
        needs += [("ports", one.obj.id) for one in model.of("ports") if one.obj.network_id == obj.network_id]
    if kind == "networks":
        needs += [("subnets", one.obj.id) for one in model.of("subnets") if one.obj.network_id == name]
    if kind == "security_groups":
        needs += [("ports", one.obj.id) for one in model.of("ports") if name in one.groups]
    if kind == "keys":
        needs += [("volumes", one.obj.id) for one in model.of("volumes") if one.key == name]
    if kind == "lb_members":
        needs += [("load_balancers", obj.parent)]
    return all(need in chosen for need in needs)
