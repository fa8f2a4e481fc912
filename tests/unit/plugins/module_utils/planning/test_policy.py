# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy: where a server goes, that silence is no consent, and that everything wrong is told."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import METRICS, Metrics
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import facts, policy, schedule
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.readiness import Readiness
from tests.unit.plugins.module_utils.planning.estates import HOSTILE, IMAGE, estate, server, volume

READY = Readiness("ready", 95)
DOCS = Path(__file__).parents[5] / "docs" / "policy.md"


def fact(metrics: Metrics | None = None, image: dict[str, str] | None = None, **changed: Any) -> facts.Fact:
    found = estate(servers=[server(**changed)], volumes=[volume(image_metadata={**IMAGE, **(image or {})})])
    return facts.collect(found, metrics).of("servers")[0]


def load(text: str) -> policy.Policy:
    return policy.loads("version: 1\n" + text, "The policy")


def example() -> policy.Policy:
    text = re.search(r"```yaml\n(version: 1\n.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert text
    return policy.loads(text[1], "The example")


def test_without_a_policy_everything_goes_to_the_target_and_nobody_is_asked() -> None:
    for target, wanted in (
        ("vsphere", "vsphere"),
        ("cloud_avenue", "cloud_avenue"),
        ("vcd", "cloud_avenue"),
        ("bleu", "bleu"),
    ):
        decision = policy.decide(policy.DEFAULT, fact(), READY, target=target)
        assert (decision.destination, decision.answer, decision.reasons) == (wanted, "not_asked", [])
        assert decision.settled


def test_a_policy_file_asks_and_decides_nothing_by_itself() -> None:
    decision = policy.decide(load(""), fact(), READY)
    assert (decision.destination, decision.answer) == ("customer", "open")
    assert not decision.settled
    assert decision.reasons == ["The customer has not answered yet."]


@pytest.mark.parametrize("proposed", ["target", "cloud_avenue", "vsphere", "bleu", "rebuild", "retire", "customer"])
@pytest.mark.parametrize("ask", [True, False])
def test_silence_is_never_consent_where_somebody_is_asked(proposed: str, ask: bool) -> None:
    silent = policy.decide(load(f"default: {proposed}\nask: {str(ask).lower()}"), fact(), READY)
    asked = ask or proposed in ("retire", "customer")
    assert silent.answer == ("open" if asked else "not_asked")
    assert silent.settled is not asked
    agreed = policy.decide(
        load(f"default: {proposed}\nask: {str(ask).lower()}\nanswers: [{{when: {{}}, answer: agreed}}]"), fact(), READY
    )
    assert (agreed.destination, agreed.answer) == (silent.destination, "agreed")
    refused = policy.decide(load(f"default: {proposed}\nanswers: [{{when: {{}}, answer: refused}}]"), fact(), READY)
    assert (refused.destination, refused.answer, refused.settled) == (silent.destination, "refused", False)
    assert refused.reasons[-1] == "The customer refused this proposal."


def test_the_customer_may_choose_another_place() -> None:
    text = "default: retire\nanswers: [{when: {name: web-1}, answer: refused, to: target}]"
    decision = policy.decide(load(text), fact(), READY, target="cloud_avenue")
    assert (decision.destination, decision.answer) == ("cloud_avenue", "agreed")
    assert decision.reasons[-1] == "The customer chose it instead of retire."
    other = policy.decide(load(text), fact(name="web-2"), READY)
    assert (other.destination, other.answer) == ("retire", "open")


def test_the_first_that_fits_decides_and_shows_facts_in_its_reason() -> None:
    chosen = load(
        """
ask: false
destinations:
  - {id: never, when: {name: other}, to: retire}
  - {id: first, when: {cpus: {ge: 2}}, to: bleu, reason: {en: "{cpus} CPUs of {name}", fr: "{cpus} processeurs"}}
  - {id: second, when: {}, to: vsphere}
"""
    )
    decision = policy.decide(chosen, fact(name=HOSTILE), READY)
    assert decision.destination == "bleu"
    assert decision.reasons == ["2 CPUs of a b'\"{{ 7*7 }}/../é <script>{os}"]
    assert decision.reasons_fr == ["2 processeurs"]
    one_cpu = fact(flavor=e.Flavor(vcpus=1, ram_mib=512))
    assert policy.decide(chosen, one_cpu, READY).reasons == ["second"]


def test_a_condition_may_look_at_readiness() -> None:
    chosen = load(
        "ask: false\ndefault: target\ndestinations:\n"
        "  [{id: a, when: {readiness: unknown, missing: {contains: os}}, to: customer}]"
    )
    assert policy.decide(chosen, fact(), Readiness("unknown", 50, ["os"])).destination == "customer"
    assert policy.decide(chosen, fact(), READY).destination == "vsphere"


def test_the_example_of_the_manual_does_what_it_says() -> None:
    chosen = example()
    idle = Metrics(kind=METRICS, version=1)

    def place(found: facts.Fact) -> tuple[str, str]:
        decision = policy.decide(chosen, found, READY)
        return decision.destination, decision.answer

    windows = {"os_distro": "windows", "os_version": "2019"}
    large = e.Flavor(vcpus=8, ram_mib=65536)
    assert place(fact(tags=["secnumcloud"], flavor=large, image=windows)) == ("cloud_avenue", "open")
    assert place(fact(metadata={"residency": "fr"})) == ("cloud_avenue", "open")
    assert place(fact(idle, status="SHUTOFF")) == ("retire", "open")
    assert place(fact(idle, status="SHUTOFF", metadata={"keep": "yes"})) == ("customer", "open")
    assert place(fact(name="pg-7")) == ("rebuild", "open")
    assert place(fact(image=windows, flavor=large)) == ("bleu", "open")
    assert place(fact(image=windows)) == ("vsphere", "open")
    assert place(fact()) == ("customer", "open")
    assert place(fact(name="legacy-1")) == ("vsphere", "agreed")
    assert place(fact(name="pg-7", metadata={"owner": "shop"})) == ("rebuild", "agreed")
    assert chosen.schedule.windows[0] == schedule.Window("2026-12-05T20:00Z", 8.0, "pilot")
    assert chosen.storage == {"SATA": "bronze", "SAS": "silver", "SSD": "gold"}
    assert chosen.capacity is not None and chosen.capacity.max_disk_gib == 8000
    assert (chosen.deadline, chosen.grouping.key, chosen.sizing.mode) == ("2027-03-31", "app", "measured")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deadline: soon", "deadline (line 2): must be a date"),
        ("deadline: 2027-02-30", "deadline (line 2): must be a date"),
        ("default: cloudavenue", "default (line 2): must be one of"),
        ("defalt: bleu", "defalt (line 2): unknown key (did you mean default?)"),
        (
            "destinations: [{id: a, when: {os_famly: x}, to: bleu}]",
            "os_famly (line 2): there is no such fact (did you mean os_family?)",
        ),
        ("destinations: [{id: a, when: [], to: bleu}]", "destinations[0].when (line 2): must be a mapping"),
        ("destinations: [{id: a, to: bleu}]", "destinations[0].when (line 2): is missing"),
        (
            "destinations: [{id: a, when: {}, to: bleu}, {id: a, when: {}, to: bleu}]",
            "destinations[1].id (line 2): a is there twice",
        ),
        (
            "destinations: [{id: a, when: {}, to: bleu, reason: {de: x}}]",
            "destinations[0].reason (line 2): must be text",
        ),
        ("destinations: [{id: '', when: {}, to: bleu}]", "destinations[0].id (line 2): must not be empty"),
        ("answers: [{when: {x: 1}, answer: agreed}]", "answers[0].when.x (line 2): there is no such fact"),
        ("answers: [{when: {}, answer: open}]", "answers[0].answer (line 2): must be one of agreed, refused"),
        ("sizing: {target_use: 0}", "sizing.target_use (line 2): must be above 0"),
        ("sizing: {comfort: 0.5}", "sizing.comfort (line 2): must be from 1"),
        ("sizing: {min_samples: 0}", "sizing.min_samples (line 2): must be above 0"),
        ("storage: {SAS: ' '}", "storage.SAS (line 2): must not be empty"),
        ("storage: {SAS: 3}", "storage.SAS (line 2): must be text"),
        (
            "schedule: {windows: [{start: 2026-12-05, hours: 1}]}",
            "schedule.windows[0].start (line 2): must be a moment",
        ),
        ("schedule: {windows: [{start: '2026-12-05T20:00Z', hours: .inf}]}", "schedule.windows[0].hours (line 2)"),
        (
            "schedule: {windows: [{start: '2026-12-05T20:00Z', hours: 1}, {start: '2026-12-05T20:00:00Z', hours: 2}]}",
            "schedule.windows[1].start (line 2): is that of schedule.windows[0] as well",
        ),
        ("schedule: {rate_mib_s: 0}", "schedule.rate_mib_s (line 2): must be above 0"),
        ("schedule: {at_once: 0, teams: -1}", "schedule.teams (line 2): must be above 0"),
        ("grouping: {max_workloads: 0}", "grouping.max_workloads (line 2): must be above 0"),
        ("capacity: {cpus: -1}", "capacity.cpus (line 2): must not be below 0"),
        ("version: 2", "is there twice"),
        ("- x", "not YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as told:
        load(text)
    assert said in str(told.value)


def test_all_faults_are_told_together() -> None:
    with pytest.raises(InvalidInput) as told:
        policy.loads(
            "version: 3\ndefault: x\nask: maybe\ndestinations: [3]\nanswers: no\nschedule: [1]\n"
            "grouping: {max_gib: x}\n"
        )
    paths = [problem.path for problem in told.value.problems]
    assert paths == [
        "version (line 1)",
        "default (line 2)",
        "ask (line 3)",
        "destinations[0] (line 4)",
        "answers (line 5)",
        "schedule (line 6)",
        "grouping.max_gib (line 7)",
    ]
    for empty in ("", "3", "[]", "null"):
        with pytest.raises(InvalidInput):
            policy.loads(empty)


def test_a_policy_is_plain_data() -> None:
    chosen = example()
    again, problems = policy.parse(schema.dump(chosen))
    assert problems == []
    assert again == chosen
    assert replace(chosen, default="bleu").default == "bleu"
    policy.decide(chosen, fact(), READY)
    assert schema.dump(chosen) == schema.dump(again)


@pytest.mark.parametrize("text", ["2026-12-05T20:00Z", "2026-12-05T20:00:30Z"])
def test_moments(text: str) -> None:
    assert schedule.is_moment(text) is None
    assert schedule.moment(text).utcoffset() is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-12-05",
        "2026-12-05T20:00",
        "2026-13-05T20:00Z",
        "2026-12-05T25:00Z",
        "2026-12-05 20:00Z",
        "2026-12-05T20:00Z\n",
    ],
)
def test_no_moments(text: str) -> None:
    assert schedule.is_moment(text)


def test_the_manual_has_every_key() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for path, kind, default, meaning in schema.describe(policy.Policy):
        assert f"| `{path}` | {kind} | {default} | {meaning} |" in text, "run tests/tools/tables.py"
