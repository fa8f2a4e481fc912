# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a credential is, what counts as absent, and what no answer means: without a cloud."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import errors
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Item, Reference, Step
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import objects
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.retire import Retiree
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.services import Endpoint

VOLUME = {"id": "v1", "name": "disk", "status": "available", "size": 1, "attachments": [], "metadata": {}}


class Answer:
    def __init__(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        self.status_code = status
        self.content = b"" if body is None else json.dumps(body).encode()
        self.headers = headers or {}

    def json(self) -> Any:
        return json.loads(self.content)


class FakeCloud:
    """A project whose services answer what `answers` says, by method and path."""

    project_id = "p1"
    project_domain_id = "d1"
    region = "here"
    iam = "https://iam.test"
    keys = None
    params = SimpleNamespace(timeout=5.0, list_timeout=5.0)

    def __init__(self, **access: Any) -> None:
        self.answers: dict[str, Any] = {}
        self.calls: list[str] = []
        self.missing: set[str] = set()
        told = {"user_id": "u1", "username": "ann", "role_names": ["member"], **access}
        auth = SimpleNamespace(get_access=lambda _session: SimpleNamespace(**told))
        self.session = SimpleNamespace(auth=auth, request=self.request)
        self.catalogue = SimpleNamespace(auth_url="https://iam.test/v3", endpoint=self.service)

    def service(self, name: str) -> Endpoint | None:
        return (
            Endpoint(name, f"https://{name}.test", "catalogue", self.session, {}) if name not in self.missing else None
        )

    def request(self, url: str, method: str, **_options: Any) -> Answer:
        call = f"{method} {url.partition('://')[2]}"
        self.calls.append(call)
        found = self.answers.get(call, Answer(404, {"error": {"message": "not found"}}))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Exception):
            raise found
        return found


def retiree(cloud: FakeCloud, *doomed: str) -> Retiree:
    return Retiree(cloud, doomed, sleep=lambda _seconds: None, wait_seconds=2)


def ref(kind: str = "volumes", ident: str = "v1") -> Reference:
    return Reference(kind=kind, cloud="iam.test", region="here", project="p1", id=ident)


def identity(cloud: FakeCloud, domains: Answer, projects: Answer) -> None:
    cloud.answers = {"GET iam.test/v3/domains": domains, "GET iam.test/v3/projects": projects}


NO = Answer(403)
OWN = Answer(200, {"projects": [{"id": "p1"}]})


@pytest.mark.parametrize(
    ("access", "domains", "projects", "admin"),
    [
        ({}, NO, NO, False),
        ({}, NO, OWN, False),
        ({}, NO, Answer(200, {"projects": [{"id": "p1"}, {"id": "foreign"}]}), True),
        ({}, Answer(200, {"domains": [{"id": "d1"}]}), NO, True),
        ({}, Answer(200, {"domains": []}), NO, False),
        ({}, Answer(500), NO, True),
        ({}, NO, Answer(404), True),
        ({}, NO, Answer(200, {"nonsense": 1}), True),
        ({}, NO, Answer(200, {"projects": ["?"]}), True),
        ({"role_names": ["Admin"]}, NO, NO, True),
        ({"role_names": []}, NO, NO, True),
        ({"role_names": ["reader", "secu_admin"]}, NO, NO, True),
        ({"domain_scoped": True}, NO, NO, True),
        ({"system_scoped": True}, NO, NO, True),
    ],
)
def test_who(access: dict[str, Any], domains: Answer, projects: Answer, admin: bool) -> None:
    cloud = FakeCloud(**access)
    identity(cloud, domains, projects)
    who = retiree(cloud).who()
    assert who.domain_admin is admin
    assert (who.user_id, who.user_name, who.cloud, who.region, who.project_id) == (
        "u1",
        "ann",
        "iam.test",
        "here",
        "p1",
    )
    assert all(call.startswith("GET ") for call in cloud.calls)


def test_nothing_is_called_when_it_is_made() -> None:
    cloud = FakeCloud()
    retiree(cloud)
    assert cloud.calls == []


def test_the_clock_is_of_the_first_service_that_has_one() -> None:
    cloud = FakeCloud()
    cloud.answers = {
        "GET iam.test/v3": Answer(200, {}),
        "GET compute.test": Answer(401, {}, {"Date": "Thu, 01 Jan 2026 10:00:00 GMT"}),
    }
    assert retiree(cloud).clock() == datetime(2026, 1, 1, 10, 0, 1, tzinfo=timezone.utc)
    cloud.answers.clear()
    with pytest.raises(errors.Unreachable, match="has a date"):
        retiree(cloud).clock()


GONE = Answer(404, {"itemNotFound": {"code": 404, "message": "no such volume"}})
UNPUBLISHED = Answer(404, {"error_code": "APIGW.0101", "error_msg": "The API does not exist"})
LIST = "GET block_storage.test/volumes"
ONE = "GET block_storage.test/volumes/v1"


@pytest.mark.parametrize(
    ("one", "listed"),
    [
        (GONE, Answer(500)),
        (GONE, Answer(403)),
        (GONE, Answer(404, {"x": {"message": "no"}})),
        (GONE, Answer(200, {"unexpected": []})),
        (GONE, Answer(200, {"volumes": [{"id": "v1"}]})),
        (GONE, Answer(200, {"volumes": [{"no": "id"}]})),
        (UNPUBLISHED, Answer(200, {"volumes": []})),
        (Answer(403), Answer(200, {"volumes": []})),
        (Answer(500), Answer(200, {"volumes": []})),
        (Answer(200, {"nothing": 1}), Answer(200, {"volumes": []})),
        (Answer(200, {"volume": {**VOLUME, "id": "v2"}}), Answer(200, {"volumes": []})),
    ],
)
def test_what_is_not_certain_is_not_absent(one: Answer, listed: Answer) -> None:
    cloud = FakeCloud()
    cloud.answers = {ONE: one, LIST: listed}
    with pytest.raises(errors.CloudExitError):
        retiree(cloud).read(ref())
    with pytest.raises(errors.CloudExitError):
        retiree(cloud).call(ref(), "delete")
    assert all(call.startswith("GET ") for call in cloud.calls)


def test_certainly_absent() -> None:
    cloud = FakeCloud()
    cloud.answers = {ONE: GONE, LIST: Answer(200, {"volumes": [{"id": "v2"}]})}
    assert retiree(cloud).read(ref()) is None
    assert retiree(cloud).call(ref(), "delete").note == "it was absent already"


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (409, errors.Conflict, True),
        (500, errors.CloudExitError, True),
        (503, errors.Unreachable, True),
        (429, errors.Unreachable, True),
        (403, errors.Refused, False),
        (400, errors.CloudExitError, False),
        (401, errors.AuthFailed, False),
        (404, errors.NotFound, False),
    ],
)
def test_what_a_delete_may_answer(status: int, kind: type[Exception], retryable: bool) -> None:
    cloud = FakeCloud()
    cloud.answers = {ONE: Answer(200, {"volume": VOLUME}), "DELETE block_storage.test/volumes/v1": Answer(status)}
    with pytest.raises(kind) as caught:
        retiree(cloud).call(ref(), "delete")
    assert isinstance(caught.value, errors.CloudExitError) and caught.value.retryable is retryable
    assert [call for call in cloud.calls if call.startswith("DELETE")] == ["DELETE block_storage.test/volumes/v1"]


def test_a_delete_is_made_once_and_tells_its_request() -> None:
    cloud = FakeCloud()
    cloud.answers = {
        ONE: Answer(200, {"volume": VOLUME}),
        "DELETE block_storage.test/volumes/v1": Answer(202, None, {"x-openstack-request-id": "req-7"}),
    }
    answer = retiree(cloud).call(ref(), "delete")
    assert (answer.status, answer.request_id) == (202, "req-7")


def test_the_state_of_a_step_that_never_comes_is_a_timeout() -> None:
    cloud = FakeCloud()
    held = {**VOLUME, "status": "in-use", "attachments": [{"server_id": "s1"}]}
    cloud.answers = {
        ONE: Answer(200, {"volume": held}),
        "DELETE compute.test/servers/s1/os-volume_attachments/v1": Answer(202),
    }
    ticking = iter(range(1000))
    made = Retiree(cloud, sleep=lambda _seconds: None, clock=lambda: next(ticking), wait_seconds=5)
    obj = made.read(ref())
    assert made.way(ref(), obj) == ("detach:s1", "delete")
    with pytest.raises(errors.Timeout) as caught:
        made.call(ref(), "detach:s1")
    assert caught.value.retryable


def test_what_another_project_owns_is_not_touched() -> None:
    cloud = FakeCloud()
    foreign = {"id": "n1", "name": "shared", "project_id": "p2"}
    cloud.answers = {"GET network.test/networks/n1": Answer(200, {"network": foreign})}
    made = retiree(cloud, "networks/n1")
    obj = made.read(ref("networks", "n1"))
    for act in (made.way, made.quarantine_steps):
        with pytest.raises(errors.Refused, match="another project"):
            act(ref("networks", "n1"), obj)
    with pytest.raises(errors.Refused, match="another project"):
        made.call(ref("networks", "n1"), "delete")
    step = Step(name="rename", before="a", after="b")
    for undo in (made.apply, made.undo):
        with pytest.raises(errors.Refused):
            undo(ref("networks", "n1"), step)
    assert all(call.startswith("GET ") for call in cloud.calls)


def test_disks_that_go_with_a_server_must_be_in_the_plan() -> None:
    cloud = FakeCloud()
    held = [{"id": "v1", "delete_on_termination": True}, {"id": "v2", "delete_on_termination": False}]
    server = {
        "id": "s1",
        "name": "web",
        "status": "SHUTOFF",
        "locked": True,
        "os-extended-volumes:volumes_attached": held,
    }
    cloud.answers = {
        "GET compute.test/servers/s1": Answer(200, {"server": server}),
        "DELETE compute.test/servers/s1": Answer(204),
    }
    made = retiree(cloud, "servers/s1")
    assert made.way(ref("servers", "s1"), None) == ("unlock", "delete")
    assert made.takes(ref("servers", "s1"), None) == ["volumes/v1"]
    with pytest.raises(errors.Refused, match="volumes/v1"):
        made.call(ref("servers", "s1"), "delete")
    assert retiree(cloud, "servers/s1", "volumes/v1").call(ref("servers", "s1"), "delete").status == 204


def test_what_is_left_of_a_stack_must_be_in_the_plan() -> None:
    cloud = FakeCloud()
    stack = {"id": "k1", "stack_name": "shop", "stack_status": "CREATE_COMPLETE"}
    cloud.answers = {
        "GET orchestration.test/stacks": Answer(200, {"stacks": [stack]}),
        "GET orchestration.test/stacks/shop/k1/resources": Answer(
            200, {"resources": [{"physical_resource_id": "s1"}, {"physical_resource_id": ""}]}
        ),
        "DELETE orchestration.test/stacks/shop/k1": Answer(204),
    }
    with pytest.raises(errors.Refused, match="unknown/s1"):
        retiree(cloud, "stacks/k1").call(ref("stacks", "k1"), "delete")
    assert retiree(cloud, "stacks/k1", "servers/s1").takes(ref("stacks", "k1"), None) == ["servers/s1"]
    assert retiree(cloud, "stacks/k1", "servers/s1").call(ref("stacks", "k1"), "delete").status == 204


@pytest.mark.parametrize("ident", ["../../v2", "v1?cascade=true", "v1/action", "{project_id}", "v1#", "v 1%00"])
def test_an_id_stays_an_id(ident: str) -> None:
    cloud = FakeCloud()
    cloud.answers = {LIST: Answer(200, {"volumes": []})}
    assert retiree(cloud).read(ref(ident=ident)) is None
    asked = cloud.calls[0].removeprefix("GET block_storage.test/volumes/")
    assert not set(asked) & set("/?#{} ")


def test_no_call_takes_others_along_by_a_flag() -> None:
    for row in objects.ROWS.values():
        for call in row.calls.values():
            text = f"{call.path} {call.params} {call.body}"
            assert "cascade" not in text and "force" not in text and "delete_volume" not in text, row.kind
            flags = {name: value for name, value in call.params.items() if name.startswith("delete_")}
            assert set(flags.values()) <= {"false"}


def test_of_a_plan_it_knows_what_goes_and_what_is_part_of_what() -> None:
    cloud = FakeCloud()
    cloud.answers = {
        "GET load_balancer.test/lbaas/pools": Answer(200, {"pools": [{"id": "pool1", "project_id": "p1"}]}),
        "GET load_balancer.test/lbaas/pools/pool1/members/m1": Answer(200, {"member": {"id": "m1", "name": "web"}}),
        "GET load_balancer.test/lbaas/pools/pool1/members": Answer(200, {"members": [{"id": "m1"}]}),
    }
    member = Item(ref=ref("lb_members", "m1"), stage="front_doors", choice="erased", seen={"parent": "pool1"})
    made = Retiree.of(cloud, SimpleNamespace(items=[member]))
    assert made.read(ref("lb_members", "m1")) is not None
    assert cloud.calls == ["GET load_balancer.test/lbaas/pools/pool1/members/m1"]
    # the pool went, and the member with it
    cloud.answers = {"GET load_balancer.test/lbaas/pools": Answer(200, {"pools": []})}
    assert made.read(ref("lb_members", "m1")) is None
    assert Retiree(cloud).read(ref("lb_members", "m1")) is None


@pytest.mark.parametrize(
    "wrong", [{"cloud": "other"}, {"region": "other"}, {"project": "p2"}, {"kind": "?"}, {"id": ""}]
)
def test_another_place_is_refused(wrong: dict[str, str]) -> None:
    cloud = FakeCloud()
    cloud.answers = {ONE: Answer(200, {"volume": VOLUME})}
    other = replace(ref(), **wrong)
    step = Step(name="rename", before="a", after="b")
    made = retiree(cloud, other.key)
    for act in (
        lambda: made.read(other),
        lambda: made.way(other, None),
        lambda: made.call(other, "delete"),
        lambda: made.takes(other, None),
        lambda: made.quarantine_steps(other, None),
        lambda: made.apply(other, step),
        lambda: made.undo(other, step),
        lambda: made.activity(other, None, "2026-01-01T00:00:00Z"),
    ):
        with pytest.raises(errors.Refused):
            act()
    assert cloud.calls == []


def test_a_service_that_is_gone_says_nothing_of_what_was_in_it() -> None:
    cloud = FakeCloud()
    cloud.missing.add("smn")
    with pytest.raises(errors.Unreachable, match="shows no service"):
        retiree(cloud).read(ref("topics", "t1"))


@pytest.mark.parametrize(("end", "raised"), [("Completed", None), ("Failed", errors.Conflict)])
def test_a_job_is_waited_for(end: str, raised: type[Exception] | None) -> None:
    cloud = FakeCloud()
    rows = Answer(200, {"instances": [{"id": "r1", "name": "db"}], "total_count": 1})
    job = "GET rds.test/v3/p1/jobs?id=j1"
    cloud.answers = {
        "GET rds.test/v3/p1/instances": rows,
        "GET rds.test/v3/p1/backups?instance_id=r1": Answer(200, {"backups": []}),
        "DELETE rds.test/v3/p1/instances/r1": Answer(200, {"job_id": "j1"}),
        job: [Answer(200, {"job": {"status": "Running"}}), Answer(200, {"job": {"status": end}})],
    }
    if raised is None:
        assert retiree(cloud).call(ref("rds_instances", "r1"), "delete").status == 200
    else:
        with pytest.raises(raised):
            retiree(cloud).call(ref("rds_instances", "r1"), "delete")
    assert cloud.calls.count(job) == 2
