# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the target in an inventory: names, paths, ids, ambiguity, reach, space."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import placement
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import DiskSpec, VmSpec

GIB = 1024**3


def ref(moref: str) -> Any:
    return SimpleNamespace(_moId=moref)


class FakeSession:
    """An inventory: a datacenter in a folder, a cluster of two hosts without DRS, a pool, stores and networks."""

    host = "vc.example"

    def __init__(self) -> None:
        self.content = SimpleNamespace(rootFolder=ref("group-d1"))
        self.inventory: dict[str, dict[str, Any]] = {}
        add = self.add
        add("Folder", "group-d2", "Paris", "group-d1")
        add("Datacenter", "dc-1", "DC", "group-d2", vmFolder=ref("group-v1"))
        add("Datacenter", "dc-2", "DC", "group-d1", vmFolder=ref("group-v9"))
        add("Folder", "group-v1", "vm", "dc-1")
        add("Folder", "group-v2", "cloudexit", "group-v1")
        add("Folder", "group-v3", "a%2fb", "group-v2")
        add("Folder", "group-h1", "host", "dc-1")
        reach = {"datastore": [ref("ds-1"), ref("ds-2")], "network": [ref("net-1"), ref("pg-1"), ref("pg-2")]}
        add(
            "ClusterComputeResource", "c-1", "Cluster", "group-h1",
            resourcePool=ref("rp-1"), host=[ref("h-1"), ref("h-2"), ref("h-3")], **reach,
        )  # fmt: skip
        add("ResourcePool", "rp-1", "Resources", "c-1", owner=ref("c-1"))
        add("ResourcePool", "rp-2", "gold", "rp-1", owner=ref("c-1"))
        for number, store in ((1, "ds-1"), (2, "ds-1"), (3, "ds-2")):
            add(
                "HostSystem", f"h-{number}", f"esx-{number}", "c-1",
                datastore=[ref(store)], network=reach["network"], **{"runtime.connectionState": "connected"},
            )  # fmt: skip
        for moref, name, free in (("ds-1", "fast", 10), ("ds-2", "slow", 100), ("ds-3", "far", 100)):
            space = {"summary.freeSpace": free * GIB, "summary.capacity": 200 * GIB, "summary.accessible": True}
            add("Datastore", moref, name, "dc-1", **space)
        add("Network", "net-1", "VM Network", "dc-1")
        add("DistributedVirtualPortgroup", "pg-1", "twice", "dc-1")
        add("DistributedVirtualPortgroup", "pg-2", "twice", "dc-1")
        add("Network", "net-2", "island", "dc-1")

    def add(self, kind: str, moref: str, name: str, parent: str, **values: Any) -> None:
        self.inventory[moref] = {"type": kind, "object": ref(moref), "name": name, "parent": ref(parent), **values}

    def list(self, *_arguments: Any) -> dict[str, dict[str, Any]]:
        return self.inventory

    def property(self, obj: Any, path: str, _what: str) -> Any:
        return self.inventory[obj._moId].get(path)


@pytest.fixture(autouse=True)
def no_backings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        placement, "_backings", lambda _session, chosen, _where: {k: e["object"]._moId for k, e in chosen.items()}
    )


def resolve(session: Any = None, **changes: Any) -> placement.Placement:
    wanted = {"datacenter": "Paris/DC", "compute": "Cluster", "datastore": "fast", **changes}
    return placement.resolve(session or FakeSession(), **wanted)


def problems(session: Any = None, **changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        resolve(session, **changes)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_a_cluster_without_drs_gets_a_host_that_has_the_datastore() -> None:
    chosen = {resolve(spread=f"vm-{n}").host for n in range(20)}
    assert chosen == {"h-1", "h-2"}
    assert resolve(datastore="slow").host == "h-3"


def test_with_drs_vcenter_chooses() -> None:
    session = FakeSession()
    session.inventory["c-1"]["configuration.drsConfig"] = SimpleNamespace(enabled=True)
    assert resolve(session).host is None


@pytest.mark.parametrize(
    ("compute", "pool", "host"),
    [
        ("gold", "rp-2", None),
        ("Cluster/Resources/gold", "rp-2", None),
        ("esx-1", "rp-1", "h-1"),
        ("rp-2", "rp-2", None),
    ],
)
def test_pools_and_hosts(compute: str, pool: str, host: str | None) -> None:
    found = resolve(compute=compute)
    assert found.pool == pool
    if host:
        assert found.host == host


def test_a_host_reaches_only_what_it_has() -> None:
    assert "not reachable from 'esx-1'" in problems(compute="esx-1", datastore="slow")["target.datastore"]


def test_everything_that_is_wrong_comes_at_once() -> None:
    found = problems(compute="Clutter", datastore="fats", networks=["VM Netwrk", "twice"], datastores=["far"])
    assert set(found) == {"target.compute", "target.datastore", "target.networks"}
    with pytest.raises(InvalidInput) as caught:
        resolve(compute="Clutter", datastore="fats", networks=["VM Netwrk", "twice"])
    assert len(caught.value.problems) == 4
    text = str(caught.value)
    assert "there are: far, fast, slow" in text and "pg-1, pg-2" in text


def test_ids_tell_things_of_the_same_name_apart() -> None:
    assert "dc-1, dc-2" in problems(datacenter="DC")["target.datacenter"]
    found = resolve(datacenter="dc-1", networks=["pg-2", "VM Network"])
    assert found.networks == {"pg-2": "pg-2", "VM Network": "net-1"}
    assert found.network_names["pg-2"] == "twice"


def test_networks_and_stores_must_be_reachable() -> None:
    assert "not reachable" in problems(networks=["island"])["target.networks"]
    assert "not reachable" in problems(datastores=["far"])["target.datastore"]


def test_sick_datastores_and_hosts_are_refused() -> None:
    session = FakeSession()
    session.inventory["ds-1"]["summary.accessible"] = False
    session.inventory["ds-2"]["summary.maintenanceMode"] = "inMaintenance"
    session.inventory["h-1"]["runtime.inMaintenanceMode"] = True
    assert "not accessible" in problems(session)["target.datastore"]
    assert "maintenance" in problems(session, datastore="slow")["target.datastore"]
    assert "maintenance" in problems(session, compute="esx-1")["target.compute"]


@pytest.mark.parametrize(
    ("folder", "found", "missing"),
    [
        ("", "group-v1", []),
        ("cloudexit", "group-v2", []),
        ("/cloudexit/a%2fb/", "group-v3", []),
        ("cloudexit/new/deep", None, ["new", "deep"]),
        ("group-v3", "group-v3", []),
    ],
)
def test_folders(folder: str, found: str | None, missing: list[str]) -> None:
    place = resolve(folder=folder)
    assert (place.folder, place.missing_folders) == (found, missing)


def machine(*disks: DiskSpec) -> VmSpec:
    return VmSpec("web-1", 1, 512, disks)


def test_disks_that_do_not_fit_are_named_with_need_and_free_space() -> None:
    place = resolve(datastores=["slow"])
    placement.check_space(place, machine(DiskSpec(6 * GIB), DiskSpec(90 * GIB, datastore="slow")))
    with pytest.raises(Refused) as caught:
        placement.check_space(place, machine(DiskSpec(6 * GIB), DiskSpec(5 * GIB), DiskSpec(4 * GIB)))
    text = str(caught.value)
    assert "disks[1]: needs 5.0 GiB, but 4.0 GiB are free in fast after the disks before it" in text
    assert "disks[2]" not in text
