# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The retirement plan: what of an object is compared, and which objects may go."""

from __future__ import annotations

import json
from dataclasses import replace

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement

SERVER = model.Server(
    id="s1",
    name="web",
    status="ACTIVE",
    flavor=model.Flavor(name="m1", vcpus=2, ram_mib=4096, disk_gib=20),
    metadata={"team": "a", "cloudexit_run": "7"},
    security_groups=["default"],
    volumes=[model.Attachment("v2", "/dev/vdb"), model.Attachment("v1", "/dev/vda", boot=True)],
    ports=["p2", "p1"],
)
PORT = model.Port(
    id="p1",
    name="card",
    network_id="n1",
    mac="fa:16:3e:00:00:01",
    device_id="s1",
    device_owner="compute:nova",
    fixed_ips=[model.FixedIp("10.0.0.5", "sub1")],
    security_groups=["g1"],
)
MEMBER = model.Resource(
    id="m1", parent="pool1", properties={"address": "10.0.0.5", "admin_state_up": True, "weight": 1, "tags": ["x"]}
)


def test_what_a_quarantine_changes_is_not_compared() -> None:
    stopped = replace(SERVER, status="SHUTOFF", locked=True, security_groups=["closed"])
    assert retirement.seen("servers", stopped) == retirement.seen("servers", SERVER)
    closed = replace(PORT, security_groups=["closed"], admin_up=False, status="DOWN")
    assert retirement.seen("ports", closed) == retirement.seen("ports", PORT)
    off = replace(MEMBER, properties={**MEMBER.properties, "admin_state_up": False, "weight": 0})
    assert retirement.seen("lb_members", off) == retirement.seen("lb_members", MEMBER)


def test_the_order_of_an_answer_is_not_compared_but_its_content_is() -> None:
    seen = retirement.seen("servers", SERVER)
    assert retirement.seen("servers", replace(SERVER, ports=["p1", "p2"], volumes=SERVER.volumes[::-1])) == seen
    for change in ({"name": "x"}, {"ports": ["p1"]}, {"volumes": []}, {"metadata": {}}, {"tags": ["t"]}):
        now = retirement.seen("servers", replace(SERVER, **change))
        assert retirement.unlike(seen, now), change
    bigger = retirement.seen("volumes", model.Volume(id="v1", size_gib=11))
    assert retirement.unlike(retirement.seen("volumes", model.Volume(id="v1", size_gib=10)), bigger) == [
        "size_gib was 10, is 11"
    ]


def test_what_this_decommission_has_deleted_may_vanish_from_the_rest_and_nothing_else_may() -> None:
    attached = model.Volume(id="v1", size_gib=1, attachments=[model.VolumeAttachment("s1")])
    before, now = retirement.seen("volumes", attached), retirement.seen("volumes", replace(attached, attachments=[]))
    assert retirement.unlike(before, now, gone={"s1"}) == []
    assert retirement.unlike(before, now, gone={"s2"})
    # somebody attached it to another server, or to one that we had deleted
    other = retirement.seen("volumes", replace(attached, attachments=[model.VolumeAttachment("s9")]))
    assert retirement.unlike(before, other, gone={"s1"})
    assert retirement.unlike(now, before, gone={"s1"})
    free = retirement.seen("ports", replace(PORT, device_id="", device_owner=""))
    assert retirement.unlike(retirement.seen("ports", PORT), free, gone={"s1"}) == []
    leads = model.FloatingIp(id="f", address="198.51.100.1", port_id="p1", fixed_address="10.0.0.5")
    idle = replace(leads, port_id=None, fixed_address=None)
    seen = [retirement.seen("floating_ips", each) for each in (leads, idle)]
    assert retirement.unlike(*seen, gone={"p1"}) == [] != retirement.unlike(*seen)
    pool = model.Resource(id="p", properties={"members": [{"id": "m1"}, {"id": "m2"}], "vip_port_id": "p1", "n": 1})
    less = replace(pool, properties={"members": [{"id": "m2"}], "n": 1})
    seen = [retirement.seen("lb_pools", each) for each in (pool, less)]
    assert retirement.unlike(*seen, gone={"m1", "p1"}) == [] != retirement.unlike(*seen, gone={"m1"})


def test_every_kind_with_fields_of_its_own_is_compared_and_is_plain_data() -> None:
    everything = [
        SERVER,
        model.Volume(id="v"),
        model.Snapshot(id="s"),
        model.Image(id="i", size_bytes=3 << 29),
        PORT,
        model.Network(id="n"),
        model.Subnet(id="u"),
        model.SecurityGroup(id="g", rules=[model.Rule(id="r")]),
        model.FloatingIp(id="f", address="198.51.100.1"),
    ]
    for kind, obj in zip(model.kinds.TYPED, everything, strict=True):
        seen = retirement.seen(kind, obj)
        assert json.loads(json.dumps(seen)) == seen
        assert "status" not in seen
        retirement.created(kind, obj)
    assert retirement.name("floating_ips", everything[-1]) == "198.51.100.1"
    assert retirement.size_gib("images", everything[3]) == 1.5
    assert retirement.size_gib("servers", SERVER) == 0.0
    assert retirement.size_gib("servers", replace(SERVER, image_id="i")) == 20.0
    assert retirement.size_gib("buckets", model.Resource(id="b", size_gib=2.5)) == 2.5
    assert retirement.created("buckets", model.Resource(id="b", created="2020")) == "2020"
