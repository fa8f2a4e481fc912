# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of an act, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain, evidence
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger.evidence import Act

ROOT = "blake3:" + "ab" * 32


def record(path: Path, *acts: Act, **options: object) -> evidence.Recorded:
    return evidence.record(str(path), "acme", "web-1-3f2a9c1d", acts, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evidence" / "ledger.jsonl"


def test_acts_that_changed_something_are_recorded_in_order(path: Path) -> None:
    done = record(path, Act("source_stop", True), Act("disk_clone", False), Act("disk_pass", True, result={"bytes": 5}))
    assert [(r["seq"], r["act"], r["result"]) for r in chain.read(str(path))] == [
        (1, "source_stop", {}),
        (2, "disk_pass", {"bytes": 5}),
    ]
    assert done.changed
    assert chain.verify(str(path)).ok


def test_nothing_is_written_when_nothing_changed(path: Path) -> None:
    done = record(path, Act("source_stop"), Act("disk_pass", True, result={"skipped": True}), facts={"group": "web"})
    assert not done.changed
    assert not path.parent.exists()


def test_a_check_is_recorded_with_a_change_and_otherwise_once(path: Path) -> None:
    check = Act("workload_check", evidence=True, result={"checks": [{"name": "http", "ok": True}]})
    assert record(path, check).changed
    assert not record(path, check).changed
    assert record(path, Act("vsphere_vm", True), check).changed
    assert [r["act"] for r in chain.read(str(path))] == ["workload_check", "vsphere_vm", "workload_check"]
    # Without the workload's file the ledger still knows.
    Path(record(path, check).workload_file).unlink()
    assert not record(path, check).changed


def test_a_failure_is_recorded_once_and_so_is_its_end(path: Path) -> None:
    failed = Act("workload_check", evidence=True, result={"failed": True, "msg": "no answer", "checks": []})
    passed = Act("workload_check", evidence=True, result={"checks": []})
    outcomes = [failed, failed, passed, passed]
    assert [record(path, act).changed for act in outcomes] == [True, False, True, False]
    broken = [Act("disk_pass", result={"failed": True, "msg": text}) for text in ("cut off", "cut off", "no space")]
    assert [record(path, act).changed for act in broken] == [True, False, True]
    assert chain.read(str(path))[-1]["result"] == {"failed": True, "msg": "no space"}


def test_an_act_that_did_not_happen_is_no_evidence(path: Path) -> None:
    record(path, Act("source_server", True), Act("disk_pass", evidence=True), Act("workload_check", evidence=True))
    assert [r["act"] for r in chain.read(str(path))] == ["source_server"]


def test_the_workload_file_holds_the_latest_of_each_act(path: Path) -> None:
    facts = {"source": {"id": "s-1", "name": "web-1"}, "target": {"type": "vsphere"}}
    record(path, Act("disk_pass", True, result={"bytes": 1}), Act("source_fence", True), facts=facts)
    done = record(path, Act("disk_pass", True, result={"bytes": 2}))
    (document,) = evidence.read_workloads(str(path.parent))
    assert Path(done.workload_file) == path.parent / "workloads" / "web-1-3f2a9c1d.json"
    assert document["facts"] == facts
    assert document["acts"]["disk_pass"]["result"] == {"bytes": 2}
    assert (document["acts"]["disk_pass"]["seq"], document["acts"]["source_fence"]["seq"]) == (3, 2)
    assert Path(done.workload_file).stat().st_mode & 0o777 == 0o600


def test_a_dry_run_tells_and_writes_nothing(path: Path) -> None:
    done = record(path, Act("source_stop", True, result={"server_id": "s-1"}), dry_run=True)
    assert done.changed
    assert '"server_id":"s-1"' in evidence.difference(done)
    assert not path.parent.exists()


def test_ids_and_digests_are_found_wherever_they_stand(path: Path) -> None:
    result = {
        "server_id": "s-1",
        "vm": {"moref": "vm-12", "instance_uuid": "u-1", "name": "web-1"},
        "disks": [{"volume": "v-1", "manifest_source": ROOT, "manifest_target": ROOT, "bytes": 1 << 30}],
    }
    record(path, Act("disk_pass", True, result=result), facts={"source": {"id": "s-1"}})
    (written,) = chain.read(str(path))
    assert written["ids"] == {
        "source.id": "s-1",
        "server_id": "s-1",
        "vm.moref": "vm-12",
        "vm.instance_uuid": "u-1",
        "disks[0].volume": "v-1",
    }
    assert written["digests"] == {"disks[0].manifest_source": ROOT, "disks[0].manifest_target": ROOT}


SECRETS = {
    "password": "S3CRET-a",
    "adminPass": "S3CRET-b",
    "OS_PASSWORD": "S3CRET-c",
    "auth": {"username": "u", "application_credential_secret": "S3CRET-d"},
    "x-auth-token": "S3CRET-e",
    "apiKey": "S3CRET-f",
    "deep": [{"clone_ticket": "S3CRET-g"}],
    "url": "https://admin:S3CRET-h@vcenter/sdk",
    "note": "Authorization: Bearer S3CRETi0123456789",
    "file": "-----BEGIN OPENSSH PRIVATE KEY-----\nS3CRET-j",
    "session_id": "S3CRET-k",
    "invocation": {"module_args": {"x": "S3CRET-l"}},
}


def test_no_secret_is_kept(path: Path) -> None:
    done = record(path, Act("disk_pass", True, result=SECRETS), facts={"target": SECRETS})
    kept = path.read_text() + Path(done.workload_file).read_text() + evidence.difference(done)
    assert "S3CRET" not in kept
    assert "https://***@vcenter/sdk" in kept


@pytest.mark.parametrize("key", ["keep_mac", "compass", "author", "pass", "passes", "monkey", "key_pair", "pinned"])
def test_what_only_looks_like_a_secret_is_kept(key: str) -> None:
    assert evidence.clean({key: "value"}) == {key: "value"}


def test_bulk_is_dropped() -> None:
    kept = evidence.clean(
        {
            "stdout": "x" * 10**6,
            "diff": {"before": "x"},
            "ansible_facts": {"x": 1},
            "text": "x" * 5000,
            "list": list(range(2000)),
        }
    )
    assert set(kept) == {"text", "list"}
    assert kept["text"].endswith("… (5000 characters)")
    assert (len(kept["list"]), kept["list"][-1]) == (513, "and 1488 more")


def test_a_result_that_is_too_large_in_all_is_named_as_such(path: Path) -> None:
    record(path, Act("disk_pass", True, result={"a": [{"b": ["x" * 1000] * 100}] * 10}))
    assert chain.read(str(path))[0]["result"]["dropped"]


def test_values_that_json_does_not_have() -> None:
    surrogate = "\ud800"
    kept = evidence.clean({"rate": float("nan"), "big": 2**60, "seconds": 1.23456, "set": {1}, "b": b"x", surrogate: 1})
    assert kept == {"rate": None, "big": str(2**60), "seconds": 1.235, "set": [1], "b": "x", "?": 1}
    deep: list[object] = []
    for _level in range(50):
        deep = [deep]
    assert json.dumps(evidence.clean(deep)).count("[") == evidence.DEEPEST


def test_the_message_of_a_failure_is_kept() -> None:
    assert evidence.clean({"failed": True, "msg": "no space"}) == {"failed": True, "msg": "no space"}
    assert evidence.clean({"msg": "all well"}) == {}


@pytest.mark.parametrize("workload", ["../../etc/x", ".hidden", "a/b", "x" * 500, "a b'\"{{ 7*7 }}/../é", "\ud800"])
def test_a_workload_key_is_never_a_path(path: Path, workload: str) -> None:
    file = Path(evidence.workload_file(str(path), workload))
    assert file.parent == path.parent / "workloads"
    assert file.name.startswith("w-")


def test_a_damaged_workload_file_is_made_anew_by_the_next_act(path: Path) -> None:
    file = Path(record(path, Act("a", True)).workload_file)
    file.write_text("{")
    record(path, Act("b", True))
    assert set(json.loads(file.read_text())["acts"]) == {"b"}


def test_a_key_called_hash_is_renamed() -> None:
    assert evidence.clean({"hash": "x", "in": [{"hash": 1}]}) == {"hash_": "x", "in": [{"hash_": 1}]}


def test_what_is_about_no_single_workload_is_beside_the_ledger(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.jsonl")
    done = evidence.record(path, "acme", "", [Act("network_prepare", changed=True, result={"equal": True})])
    assert done.workload_file == str(tmp_path / "tenant.json") and done.records[0]["workload"] == ""
    assert evidence.read_workloads(str(tmp_path)) == [], "it is no workload of the report"
