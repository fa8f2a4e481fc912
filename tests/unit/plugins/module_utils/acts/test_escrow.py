# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An escrow copy: encrypted, restored once, compared; opened by openssl alone; never replaced once it is verified."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import cms, escrow, transfer
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.job import Record
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import hash_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Conflict
from tests.unit.plugins.module_utils.acts.variable import variable

SIZE = 3 << 20
WORKLOAD = Workload.of(variable())


class Shelf:
    name = "shelf"

    """A store in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self.held[key] = data

    def get(self, key: str) -> bytes:
        return self.held[key]

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.held if key.startswith(prefix))

    def remove(self, key: str) -> None:
        del self.held[key]


def pair(folder: Path, name: str, kind: str) -> tuple[str, str]:
    """A certificate and its private key."""
    how = {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}[kind]
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    wanted = ["-x509", "-nodes", "-subj", f"/CN={name}", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *wanted, "-newkey", *how], check=True, capture_output=True)
    return certificate.read_text(), key.read_text()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    folder = tmp_path_factory.mktemp("people")
    return {
        name: pair(folder, name, kind) for name, kind in (("customer", "rsa"), ("operator", "ec"), ("nobody", "ec"))
    }


@pytest.fixture
def keys(people: dict[str, tuple[str, str]]) -> escrow.Keys:
    return escrow.Keys((people["customer"][0], people["operator"][0]), people["operator"][1])


@pytest.fixture
def work(tmp_path: Path) -> transfer.Pass:
    disks = []
    for number, disk in enumerate(WORKLOAD.data.disks):
        path = tmp_path / f"disk-{number}.raw"
        with open(path, "wb") as stream:
            stream.write(random.Random(number).randbytes(1 << 20))
            stream.truncate(SIZE)
        disks.append(transfer.PassDisk(number, disk.volume, str(path), SIZE))
    return transfer.Pass("pass-1", WORKLOAD.host, disks, frozen_at="2026-01-01T00:00:00+00:00")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    record = Record(tmp_path / "state", "job")
    assert record.claim() is not None
    return record


def run(work: transfer.Pass, shelf: escrow.Store, keys: escrow.Keys, record: Record) -> dict[str, Any]:
    def opened() -> transfer.Target:
        identity = work.id if work.disks else ""
        return escrow.EscrowTarget(WORKLOAD, shelf, keys, spool_dir=str(record.path), pass_id=identity)

    return transfer.Runner(work, opened, record, pause=lambda _seconds: None, tick_s=0.01).run()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(escrow, "PART", 300_000)


def test_a_copy_is_restored_compared_and_found_again(
    work: transfer.Pass, keys: escrow.Keys, record: Record, people: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    shelf = Shelf()
    result = run(work, shelf, keys, record)
    roots = [hash_source(open_source(disk.path)).root for disk in work.disks]
    assert [(d["manifest_source"], d["manifest_target"], d["equal"]) for d in result["disks"]] == [
        (root, root, True) for root in roots
    ]
    assert list(record.path.glob("restored-*")) == [], "the scratch copy stays"
    index = json.loads(shelf.held[f"acme/server-1/pass-1/{escrow.INDEX}"])
    assert index["marks"]["state"] == "verified" and index["marks"]["manifest.1"] == roots[1]
    assert index["recipients"] == [cms.fingerprint(people[name][0]) for name in ("customer", "operator")]
    assert len(index["disks"][0]["parts"]) > 2

    # nothing readable lies in the store, and the customer opens it without us
    plain = Path(work.disks[0].path).read_bytes()[:64]
    assert not any(plain in held for held in shelf.held.values())
    key = tmp_path / "customer.key"
    key.write_text(people["customer"][1])
    whole = b""
    for part in index["disks"][0]["parts"]:
        opened = subprocess.run(
            ["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", str(key)],
            input=shelf.held[part["name"]],
            capture_output=True,
            check=True,
        )
        whole += opened.stdout
    disk = tmp_path / "disk.vmdk"
    disk.write_bytes(whole)
    raw = tmp_path / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)], check=True)
    assert raw.read_bytes() == Path(work.disks[0].path).read_bytes()

    # a later run copies nothing, wherever it runs
    before = dict(shelf.held)
    other = Record(tmp_path / "elsewhere", "job")
    other.claim()
    again = run(replace(work, disks=[]), shelf, keys, other)
    assert not again["changed"] and [d["manifest_target"] for d in again["disks"]] == roots
    assert shelf.held == before


def test_another_pass_is_kept_beside_the_first(work: transfer.Pass, keys: escrow.Keys, record: Record) -> None:
    shelf = Shelf()
    run(work, shelf, keys, record)
    first = {key: data for key, data in shelf.held.items() if "/pass-1/" in key}
    assert run(replace(work, id="pass-2", frozen_at="2026-02-01T00:00:00+00:00"), shelf, keys, record)["changed"]
    assert {key: data for key, data in shelf.held.items() if "/pass-1/" in key} == first
    target = escrow.EscrowTarget(WORKLOAD, shelf, keys, spool_dir=str(record.path))
    newest = target.find()
    assert newest is not None and newest.ref == "acme/server-1/pass-2/"
    with pytest.raises(Conflict, match="is verified"):
        target.destroy(newest)


def test_a_byte_that_changed_in_the_store_is_found(work: transfer.Pass, keys: escrow.Keys, record: Record) -> None:
    class Rotten(Shelf):
        def put(self, key: str, data: bytes) -> None:
            super().put(key, data[:-40] + bytes([data[-40] ^ 1]) + data[-39:] if "disk-1/000001" in key else data)

    with pytest.raises(CloudExitError, match=r"disk-1/000001\.cms is not what was stored"):
        run(work, Rotten(), keys, record)


def test_without_the_key_of_a_recipient_nothing_counts_as_kept(
    work: transfer.Pass, keys: escrow.Keys, record: Record, people: dict[str, tuple[str, str]]
) -> None:
    shelf = Shelf()
    with pytest.raises(CloudExitError, match="openssl cms failed"):
        run(work, shelf, replace(keys, key=people["nobody"][1]), record)
    assert json.loads(shelf.held[f"acme/server-1/pass-1/{escrow.INDEX}"])["marks"]["state"] == "imported"


def test_documents_are_kept_under_numbers(keys: escrow.Keys) -> None:
    shelf = Shelf()
    index = escrow.keep_files(
        shelf, keys, "acme/documents/1/", [("../é {{ x }}.json", b"{}" * 200_000), ("empty", b"")]
    )
    assert [about["name"] for about in index["files"]] == ["../é {{ x }}.json", "empty"]
    assert all(key.startswith("acme/documents/1/") and ".." not in key for key in shelf.held)
    assert b"".join(escrow.restore(shelf, keys, index["files"][0])) == b"{}" * 200_000


def test_a_recipient_that_is_no_certificate_is_named(keys: escrow.Keys) -> None:
    with pytest.raises(CloudExitError, match="no certificate"):
        escrow.EscrowTarget(WORKLOAD, Shelf(), replace(keys, recipients=("nonsense",)), spool_dir="/nowhere")
