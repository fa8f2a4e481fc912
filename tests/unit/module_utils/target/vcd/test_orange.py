# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orange's interface: tokens, jobs one at a time, what comes of an order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    InvalidInput,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import locks, orange
from tests.unit.module_utils.target.vcd.fake import Asked, Clock, Fake, Reply, js, logged_in, served

P = orange.NEW
JOBS = orange.NEW_JOBS
ORG = "cav01ev01ocb0001234"


@pytest.fixture
def fake() -> Iterator[Fake]:
    with served() as one:
        one.routes["POST /auth/v1/user/token"] = lambda asked: token(one, asked)
        one.routes[f"GET {JOBS}/j1"] = js([{"name": "job", "status": "DONE", "actions": [{"details": "ok"}]}])
        yield one


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks.tempfile, "gettempdir", lambda: str(tmp_path))


def token(fake: Fake, asked: Asked) -> Reply:
    form = {key: values[0] for key, values in parse_qs(asked.body.decode()).items()}
    if form != {
        "grant_type": "client_credentials",
        "client_id": "joe",
        "client_secret": "s&=cret",
        "scope": f"tenant:{ORG}",
    }:
        return js({"code": 401, "message": "Unauthorized", "description": "bad"}, 401)
    return js({"access_token": fake.token(), "expires_in": 300})


def opened(fake: Fake, clock: Clock | None = None, password: str = "s&=cret") -> orange.Orange:
    return orange.connect(ORG, "joe", password, core_api=fake.url, pace=(clock or Clock()).pace(), timeout=10)


def test_consoles() -> None:
    assert orange.console(ORG) == "https://console1.cloudavenue.orange-business.com"
    assert orange.console("cav01iv07ocb0001234") == "https://console7.cloudavenue-vdr.itn.intraorange"
    assert orange.console("acme") == ""


def test_a_token_is_used_until_it_is_old(fake: Fake) -> None:
    clock = Clock()
    fake.routes[f"GET {P}/vdcs"] = js([{"vdc_name": "v", "vdc_uuid": "u"}])
    with opened(fake, clock) as cloud:
        assert orange.vdcs(cloud) == {"v": "u"}
        orange.vdcs(cloud)
        assert fake.tokens == 1
        clock.time += 280
        orange.vdcs(cloud)
        assert fake.tokens == 2
    assert fake.last(f"GET {P}/vdcs").headers["authorization"].startswith("Bearer token-2-")


def test_a_token_that_is_refused_is_replaced_once(fake: Fake) -> None:
    fake.routes[f"GET {P}/vdcs"] = [Reply(401), js([])]
    with opened(fake) as cloud:
        assert orange.vdcs(cloud) == {}
        assert fake.tokens == 2
        fake.routes[f"GET {P}/vdcs"] = Reply(401)
        with pytest.raises(AuthFailed):
            orange.vdcs(cloud)


def test_a_wrong_password_is_told_without_it(fake: Fake) -> None:
    with opened(fake, password="hunter2") as cloud, pytest.raises(AuthFailed, match="Unauthorized") as told:
        orange.vdcs(cloud)
    assert "hunter2" not in str(told.value)


def test_what_is_missing_names_the_variable() -> None:
    with pytest.raises(InvalidInput, match="CLOUDAVENUE_PASSWORD"):
        orange.connect(ORG, "joe", "")
    with pytest.raises(InvalidInput, match="https"):
        orange.connect(ORG, "joe", "x", core_api="http://api1.example.com")


def test_overload_waits_as_it_is_told(fake: Fake) -> None:
    clock = Clock()
    fake.routes[f"GET {P}/vdcs"] = [
        Reply(429, b"<html>slow</html>", {"Retry-After": "11"}),
        Reply(503, b"", {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
        js([]),
    ]
    with opened(fake, clock) as cloud:
        orange.vdcs(cloud)
    assert clock.slept == [11.0, 0.0]
    fake.routes[f"GET {P}/vdcs"] = Reply(502, b"<html>")
    with opened(fake) as cloud, pytest.raises(Unreachable):
        orange.vdcs(cloud)
    assert fake.lines().count(f"GET {P}/vdcs") == 4


SPEC = orange.VdcSpec(
    name="v1",
    service_class="STD",
    availability="ONE-ROOM",
    billing="PAYG",
    storage_billing="PAYG",
    cpu_mhz=22000,
    memory_gb=64,
    storage=(orange.Storage("gold", 500, True),),
)


def test_an_order_waits_for_the_job_of_somebody_else(fake: Fake) -> None:
    clock = Clock()
    busy = js({"code": "cf-0002", "reason": "Job already exists", "message": "x"}, 409)
    fake.routes[f"POST {P}/vdcs"] = [busy, js({"message": "", "jobId": ""}, 201), js({"jobId": "j1"}, 201)]
    fake.routes[f"GET {JOBS}/j1"] = [
        js([{"name": "job", "status": "CREATED", "actions": None}]),
        js([{"name": "job", "status": "IN_PROGRESS", "actions": []}]),
        js([{"name": "job", "status": "DONE", "actions": [{"details": "made"}]}]),
    ]
    with opened(fake, clock) as cloud:
        assert orange.create_vdc(cloud, SPEC).details == ("made",)
    assert fake.lines().count(f"POST {P}/vdcs") == 3 and clock.slept[:2] == [5.0, 7.0]
    assert fake.last(f"POST {P}/vdcs").json()["vdc"]["vdcStorageProfiles"] == [
        {"class": "gold", "limit": 500, "default": True}
    ]


def test_a_job_of_somebody_else_that_does_not_end(fake: Fake) -> None:
    fake.routes[f"POST {P}/vdcs"] = js({"code": "cf-0002", "reason": "Job already exists"}, 400)
    with opened(fake) as cloud, pytest.raises(Timeout, match="another job") as told:
        orange.create_vdc(cloud, SPEC, timeout=60)
    assert told.value.retryable


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ([{"status": "FAILED", "actions": [{"details": "no room"}]}], CloudExitError, "no room"),
        ([{"status": "WHAT"}], Refused, "WHAT"),
        ([], CloudExitError, "not there"),
        ({"status": "DONE"}, Refused, "not a list"),
    ],
)
def test_jobs_that_fail(fake: Fake, answer: Any, kind: type[CloudExitError], says: str) -> None:
    fake.routes[f"POST {P}/vdcs"] = js({"jobId": "j1"}, 201)
    fake.routes[f"GET {JOBS}/j1"] = js(answer)
    with opened(fake) as cloud, pytest.raises(kind, match=says):
        orange.create_vdc(cloud, SPEC)


@pytest.mark.parametrize(
    "more",
    [
        {"name": "a b"},
        {"service_class": "ECO", "availability": "HA-DUAL-ROOM"},
        {"service_class": "HP", "billing": "DRAAS"},
        {"service_class": "VOIP"},
        {"cpu_mhz": 2200},
        {"memory_gb": 0},
        {"storage": ()},
        {"storage": (orange.Storage("gold", 99, True),)},
    ],
)
def test_what_cloud_avenue_would_refuse_is_told_before(fake: Fake, more: dict[str, Any]) -> None:
    with opened(fake) as cloud, pytest.raises(InvalidInput):
        orange.create_vdc(cloud, replace(SPEC, **more))
    assert fake.asked == []


def tree(*addresses: str) -> Any:
    services = [
        {"type": "service", "name": "internet", "serviceId": f"s-{ip}", "properties": {"ip": ip, "announced": True}}
        for ip in addresses
    ]
    edge = {"type": "edge-gateway", "name": "e1", "properties": {"edgeUuid": "AB-1"}, "children": services}
    return [{"type": "tier-0-vrf", "name": "t", "children": [edge]}]


def test_an_order_of_an_address_gives_the_new_one(fake: Fake) -> None:
    fake.routes[f"POST {P}/services"] = js({"jobId": "j1"}, 201)
    fake.routes[f"GET {P}/network"] = [js(tree("192.0.2.1")), js(tree("192.0.2.1", "192.0.2.7"))]
    with opened(fake) as cloud:
        found = orange.order_address(cloud, "urn:vcloud:gateway:AB-1")
    assert (found.address, found.edge, found.id) == ("192.0.2.7", "ab-1", "s-192.0.2.7")
    assert fake.last(f"POST {P}/services").json() == {"networkType": "internet", "edgeGateway": "ab-1"}


def test_of_two_new_addresses_the_job_says_which_is_ours(fake: Fake) -> None:
    fake.routes[f"POST {P}/services"] = js({"jobId": "j1"}, 201)
    fake.routes[f"GET {JOBS}/j1"] = js(
        [{"status": "DONE", "actions": [{"details": "IP 192.0.2.8 added (v 1.2.3.4.5)"}]}]
    )
    fake.routes[f"GET {P}/network"] = [js(tree()), js(tree("192.0.2.7", "192.0.2.8"))]
    with opened(fake) as cloud:
        assert orange.order_address(cloud, "ab-1").address == "192.0.2.8"
    fake.routes[f"GET {P}/network"] = js(tree())
    with opened(fake) as cloud, pytest.raises(Conflict, match="0 new addresses"):
        orange.order_address(cloud, "ab-1")


def test_a_tree_without_end_is_not_walked(fake: Fake) -> None:
    deep: dict[str, Any] = {"type": "service", "name": "internet", "properties": {"ip": "192.0.2.1"}}
    for dummy in range(50):
        deep = {"type": "edge-gateway", "children": [deep], "properties": []}
    fake.routes[f"GET {P}/network"] = js(deep)
    with opened(fake) as cloud:
        assert orange.services(cloud) == []


def test_the_older_form_uses_the_session_of_cloud_director(fake: Fake) -> None:
    fake.routes[f"GET {orange.OLD}/vdcs"] = [Reply(401), js([{"vdc_name": "v", "vdc_uuid": "u"}])]
    with logged_in(fake) as session:
        assert orange.vdcs(orange.of_session(session)) == {"v": "u"}
    asked = fake.last(f"GET {orange.OLD}/vdcs")
    assert asked.headers["authorization"].startswith("Bearer token-2-")
    assert asked.headers["accept"] == "application/json;version=38.1"


def test_a_bandwidth_that_is_not_offered(fake: Fake) -> None:
    with opened(fake) as cloud, pytest.raises(InvalidInput):
        orange.set_rate(cloud, "ab-1", 77)
