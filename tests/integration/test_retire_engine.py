# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant of the real services put to rest, brought back and purged by the engine, with the watcher beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as es
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Retirement
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import leftover
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement as facts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, SourceAuth, connect
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.retire import Retiree
from tests.conftest import COLLECTION, ROOT, SOURCE_TREE
from tests.installed import Lab
from tests.lab import retire as tenants
from tests.lab.openstack.config import REGION
from tests.unit.plugins.module_utils.acts.test_retire_family import parents_of, plan_of, run

KINDS = ("servers", "server_groups", "volumes", "snapshots", "images", "floating_ips")
"""What goes; the network stays. The role `reader` may read all of it."""


@pytest.fixture(scope="module")
def tenant(lab: Lab) -> tenants.Tenant:
    return tenants.make(lab.instance, f"engine-{int(time.time())}", servers=1)


@pytest.fixture
def cloud(tenant: tenants.Tenant) -> Iterator[Cloud]:
    with connect(SourceAuth(auth=tenant.auth("purge"), region_name=REGION)) as made:
        yield made


def watching(tenant: tenants.Tenant, plan: Path, ledger: Path, stop: Path, folder: Path) -> subprocess.Popen[str]:
    """The watcher, with a credential that can only read."""
    config = {"clouds": {"reader": {"auth": tenant.auth("reader"), "region_name": REGION}}}
    (folder / "clouds.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", f"{COLLECTION}.plugins.module_utils.watch", "--plan", str(plan)]
    command += ["--ledger", str(ledger), "--stop-file", str(stop), "--cloud", "reader", "--interval", "0.5"]
    env = {**os.environ, "PYTHONPATH": f"{SOURCE_TREE}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1"}
    started = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert started.stdout is not None
    assert started.stdout.readline().startswith("watching")
    assert "records" in (line := started.stdout.readline()), line
    return started


def prepared(cloud: Cloud, tenant: tenants.Tenant, folder: Path) -> tuple[es.Estate, Retirement, Retiree, Path]:
    estate = reading.read(cloud).estate
    here = {f"{kind}/{obj.id}" for kind in KINDS for obj in estate.of(kind)}
    own = {f"{kind}/{ident}" for kind, idents in tenant.ids.items() for ident in idents}
    plan = plan_of(estate, Retiree(cloud).who(), KINDS, here - own)
    file = folder / "plan.json"
    file.write_bytes(canonical.dumps(schema.dump(plan)) + b"\n")
    return estate, plan, Retiree(cloud, [item.ref.key for item in plan.items], parents_of(estate)), file


def test_the_watcher_stops_the_purge_when_something_else_goes(
    tenant: tenants.Tenant, cloud: Cloud, tmp_path: Path
) -> None:
    dummy_estate, plan, retiree, file = prepared(cloud, tenant, tmp_path)
    ledger, stop = tmp_path / "ledger.jsonl", tmp_path / "stop"
    watcher = watching(tenant, file, ledger, stop, tmp_path)
    victim = next(item.ref for item in plan.items if item.ref.kind == "snapshots")
    retiree.call(victim, "delete")
    said = watcher.communicate(timeout=120)[0]
    assert watcher.returncode == 1, said
    assert f"{victim.key} is gone, and the ledger has no intent of it" in stop.read_text()
    done = run("purge", plan, retiree, ledger, sleep=time.sleep, stop=retire.stop_file(str(stop)))
    assert not done.changed and victim.key in str(done.stopped)


def test_a_tenant_goes_by_the_book(tenant: tenants.Tenant, cloud: Cloud, tmp_path: Path) -> None:
    estate, plan, retiree, file = prepared(cloud, tenant, tmp_path)
    ledger, stop = tmp_path / "evidence" / "ledger.jsonl", tmp_path / "stop"
    ledger.parent.mkdir()
    for act in ("quarantine", "undo"):
        done = run(act, plan, retiree, ledger, sleep=time.sleep)
        assert done.stopped is None, str(done.stopped)
    after = reading.read(cloud).estate
    for kind in KINDS:
        # Nova's picture of a server's addresses follows late; its ports and floating addresses are compared themselves
        here = [(one.id, getattr(one, "status", ""), facts.seen(kind, one)) for one in after.of(kind)]
        assert here == [(one.id, getattr(one, "status", ""), facts.seen(kind, one)) for one in estate.of(kind)]
    assert run("quarantine", plan, retiree, ledger, sleep=time.sleep).stopped is None
    watcher = watching(tenant, file, ledger, stop, tmp_path)
    done = run("purge", plan, retiree, ledger, sleep=time.sleep, stop=retire.stop_file(str(stop)))
    if done.stopped is not None:
        stop.write_text("the purge was stopped\n")
    said = watcher.communicate(timeout=120)[0]
    assert done.stopped is None, str(done.stopped)
    assert watcher.returncode == 0, said
    assert [one for one in leftover.left(plan, reading.read(cloud).estate) if one.why == "planned"] == []
    assert chain.verify(str(ledger)).ok
