# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connecting to a source cloud: where the credential comes from, other projects, and what errors say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import (
    SourceAuth,
    connect,
    doing,
    scrub,
    translate,
)
from tests.unit.openstack_http import PASSWORD, FakeCloud, ident

SECRET = "s3cr3t-PLANTED"


@pytest.fixture
def fake() -> Iterator[FakeCloud]:
    with FakeCloud("acme", "globex") as cloud:
        yield cloud


def test_auth_of_its_own(fake: FakeCloud) -> None:
    with connect(SourceAuth(auth=fake.auth(), region_name="RegionOne")) as cloud:
        assert (cloud.project_id, cloud.project_name, cloud.region) == (ident("project acme"), "acme", "RegionOne")


def test_entry_of_clouds_yaml(fake: FakeCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "clouds.yaml"
    file.write_text(json.dumps(fake.clouds("mine")))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    assert connect(SourceAuth(cloud="mine")).project_name == "acme"
    assert connect(SourceAuth(cloud="mine", auth={"project_name": "globex"})).project_name == "globex"
    monkeypatch.setenv("OS_CLOUD", "mine")
    assert connect(SourceAuth()).project_name == "acme"


def test_content_of_an_entry(fake: FakeCloud) -> None:
    assert connect(SourceAuth(cloud=fake.clouds()["clouds"]["acme"])).project_name == "acme"


def test_environment(fake: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in fake.auth().items():
        monkeypatch.setenv(f"OS_{name.upper()}", value)
    assert connect(SourceAuth()).project_name == "acme"


def test_projects_and_another_scope(fake: FakeCloud) -> None:
    cloud = connect(SourceAuth(auth=fake.auth(), region_name="RegionOne"))
    assert [project.name for project in cloud.projects()] == ["acme", "globex"]
    assert cloud.scoped(cloud.project_id) is cloud
    other = cloud.scoped(ident("project globex"))
    assert (other.project_name, other.region) == ("globex", "RegionOne")
    with pytest.raises(AuthFailed):
        cloud.scoped("nowhere")


@pytest.mark.parametrize(("newest", "used"), [("2.96", "2.79"), ("2.60", "2.60"), ("", None)])
def test_microversion(fake: FakeCloud, newest: str, used: str | None) -> None:
    fake.compute_versions = ("2.1" if newest else "", newest)
    cloud = connect(SourceAuth(auth=fake.auth(), region_name="RegionOne"))
    assert cloud.compute.default_microversion == used
    expected = tuple(map(int, used.split("."))) if used else (2, 1)
    assert cloud.compute_microversion == expected


def test_wrong_password(fake: FakeCloud) -> None:
    with pytest.raises(AuthFailed) as caught:
        connect(SourceAuth(auth=fake.auth(password=SECRET)))
    assert "HTTP 401" in str(caught.value) and "clouds.yaml" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_nobody_there() -> None:
    auth = {"auth_url": "http://user:hidden@127.0.0.1:9/v3", "username": "u", "password": SECRET, "project_name": "p"}
    with pytest.raises(Unreachable) as caught:
        connect(SourceAuth(auth=auth))
    assert "Connection refused" in str(caught.value) and caught.value.retryable
    assert SECRET not in str(caught.value) and "hidden" not in str(caught.value)


def test_no_such_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Cannot connect to cloud 'nope': Cloud nope was not found"):
        connect(SourceAuth(cloud="nope"))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "missing.yaml"))
    with pytest.raises(NotFound, match="is not a file"):
        connect(SourceAuth(cloud="nope"))


@pytest.mark.parametrize("auth", [None, {"auth_url": "http://127.0.0.1:9/v3"}])
def test_no_credential(auth: dict[str, str] | None) -> None:
    with pytest.raises(AuthFailed):
        connect(SourceAuth(auth=auth))


def test_secrets_are_not_shown(fake: FakeCloud) -> None:
    text = repr(SourceAuth(cloud=fake.clouds()["clouds"]["acme"], auth=fake.auth()))
    assert PASSWORD not in text
    assert (
        scrub("http://u:pw@h/ X-Auth-Token: abc gAAAAABn-0123456789_abcdefgh") == "http://***@h/ X-Auth-Token: *** ***"
    )


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, CloudExitError, False),
        (401, AuthFailed, False),
        (403, Refused, False),
        (404, NotFound, False),
        (409, Conflict, True),
        (413, Refused, False),
        (429, Unreachable, True),
        (500, CloudExitError, True),
        (503, Unreachable, True),
    ],
)
def test_statuses(status: int, kind: type[CloudExitError], retryable: bool) -> None:
    from openstack.exceptions import HttpException

    error = translate(HttpException("message", http_status=status, details="details of it"), "Read the volumes")
    assert error.__class__ is kind
    assert str(error).startswith(("Read the volumes: HTTP", "Read the volumes: the cloud refused"))
    assert "details of it" in str(error)
    assert isinstance(error, CloudExitError) and error.retryable is retryable


def test_other_errors_of_the_sdk() -> None:
    import keystoneauth1.exceptions as keystone
    import openstack.exceptions
    import requests

    assert isinstance(translate(openstack.exceptions.ResourceTimeout("late"), "w"), Timeout)
    assert isinstance(translate(keystone.EndpointNotFound("none"), "w"), NotFound)
    assert isinstance(translate(keystone.SSLError("bad certificate"), "w"), Unreachable)
    assert isinstance(translate(requests.exceptions.ReadTimeout("slow"), "w"), Unreachable)
    assert isinstance(translate(keystone.DiscoveryFailure("what"), "w"), Unreachable)


def test_faults_of_ours_are_not_blamed_on_the_cloud() -> None:
    with pytest.raises(KeyError), doing("Read the volumes"):
        raise KeyError("ours")
    known = NotFound("it")
    with pytest.raises(NotFound) as caught, doing("Read the volumes"):
        raise known
    assert caught.value is known


def test_the_sdk_is_imported_only_to_connect() -> None:
    code = (
        "import sys\n"
        "import ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud\n"
        "import ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.estate\n"
        "sys.exit('openstack' in sys.modules or 'keystoneauth1' in sys.modules)\n"
    )
    path = ".lab/src"
    root = Path(__file__).resolve().parents[5]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env={"PYTHONPATH": path}, check=False)
    assert done.returncode == 0
