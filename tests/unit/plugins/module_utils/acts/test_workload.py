# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host variable as a workload, and the machine that it becomes."""

from __future__ import annotations

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vsphere
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Refused
from tests.unit.plugins.module_utils.acts.variable import variable


def test_a_variable_is_a_workload() -> None:
    workload = Workload.of(variable())
    assert (workload.host, workload.tenant, workload.server_id) == ("web-1", "acme", "server-1")
    assert workload.reader.server_id == "reader" and workload.adapts
    assert workload.plan_digest == "abababababab"
    assert workload.addresses == ["10.20.0.11"]
    assert workload.disk_bytes == 2 << 30
    other = variable(tenant={"name": "other", "project_id": "p1"})
    assert workload.instance_uuid != Workload.of(other).instance_uuid


def test_all_that_is_wrong_is_told() -> None:
    broken = variable(cpus="two", colour="red")
    del broken["tenant"]
    with pytest.raises(InvalidInput) as caught:
        Workload.of(broken)
    text = str(caught.value)
    assert "(3 problems)" in text
    assert "workload.cpus" in text and "workload.colour" in text and "workload.tenant" in text
    assert "{{ cloudexit }}" in text


@pytest.mark.parametrize("change", [{"move": "none", "reason": "too old"}, {"reader": None}])
def test_what_does_not_move_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Refused, match="web-1 is not moved"):
        Workload.of(variable(**change))


def test_the_machine_has_the_plan_s_hardware_and_our_marks() -> None:
    workload = Workload.of(variable())
    spec = vsphere.spec_of(workload, extra={"pass": "p"})
    assert (spec.name, spec.cpus, spec.memory_mib, spec.guest_id) == ("web-1", 2, 1024, "debian12_64Guest")
    assert [(d.capacity_bytes, d.controller, d.datastore) for d in spec.disks] == [
        (1 << 30, "pvscsi", None),
        (1 << 30, "pvscsi", "DS1"),
    ]
    assert [(n.network, n.type, n.mac) for n in spec.nics] == [("VM Network", "vmxnet3", "fa:16:3e:00:00:01")]
    assert spec.marks == workload.marks and spec.extra_config == {"cloudexit.pass": "p"}
    assert spec.instance_uuid == workload.instance_uuid
    nics = [{**variable()["nics"][0], "keep_mac": False}]
    assert vsphere.spec_of(Workload.of(variable(nics=nics))).nics[0].mac is None


def test_the_boot_disk_may_be_another_than_the_first() -> None:
    disks = variable()["disks"]
    disks[0]["boot"], disks[1]["boot"] = False, True
    assert vsphere.boot_index(Workload.of(variable(disks=disks))) == 1
