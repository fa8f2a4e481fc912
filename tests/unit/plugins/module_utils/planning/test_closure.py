# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What uses what, what a deletion would take along, and the order that follows."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import closure

UUID = "6f1e5a0f-0b11-4f0c-8f3b-1f5e9d150c4d"


def estate(**parts: Any) -> e.Estate:
    typed = {key: value for key, value in parts.items() if key in e.kinds.TYPED}
    rest = {key: value for key, value in parts.items() if key not in typed}
    return e.Estate(kind=e.KIND, version=1, tenant=e.Tenant(project_id="p"), read={}, resources=rest, **typed)


def res(ident: str, parent: str = "", **properties: Any) -> e.Resource:
    return e.Resource(id=ident, parent=parent, properties=properties)


def uses(found: e.Estate, user: str) -> set[str]:
    return set(closure.links(found).uses.get(user, ()))


def takes(found: e.Estate, key: str, **known: Any) -> set[str]:
    return set(closure.closure(found, key, **known).taken)


SERVER = e.Server(
    id="s1", volumes=[e.Attachment("v1"), e.Attachment("v2")], ports=["p1"], key_name="mine", image_id="i1"
)
CARD = e.Port(
    id="p1",
    network_id="n1",
    device_id="s1",
    device_owner="compute:nova",
    fixed_ips=[e.FixedIp("10.0.0.5", "u1")],
    security_groups=["g1"],
)
NET = {"networks": [e.Network(id="n1")], "subnets": [e.Subnet(id="u1", network_id="n1")]}


def test_a_server_may_take_its_ports_and_its_volumes() -> None:
    found = estate(servers=[SERVER], volumes=[e.Volume(id="v1"), e.Volume(id="v2")], ports=[CARD], **NET)
    assert takes(found, "servers/s1") == {"ports/p1", "volumes/v1", "volumes/v2"}
    # the family says which volumes stay
    kept = {"id": "v2", "delete_on_termination": "false"}
    told = res("s1", **{"os-extended-volumes:volumes_attached": [{"id": "v1", "delete_on_termination": "true"}, kept]})
    found = estate(servers=[SERVER], volumes=found.volumes, ports=[CARD], ecs_servers=[told], **NET)
    assert takes(found, "servers/s1") == {"ports/p1", "volumes/v1"}
    assert "servers/s1" in closure.closure(found, "volumes/v2").users


def test_a_volume_that_only_says_itself_that_it_is_attached_counts() -> None:
    volume = e.Volume(id="v1", attachments=[e.VolumeAttachment("s9")])
    found = estate(servers=[e.Server(id="s9")], volumes=[volume])
    assert uses(found, "servers/s9") == {"volumes/v1"}
    assert takes(found, "servers/s9") == {"volumes/v1"}
    assert uses(found, "volumes/v1") == set()


def test_what_a_server_and_its_port_need() -> None:
    found = estate(
        servers=[SERVER],
        ports=[CARD],
        images=[e.Image(id="i1")],
        key_pairs=[res("mine")],
        security_groups=[
            e.SecurityGroup(id="g1", rules=[e.Rule(id="r", remote_group_id="g2")]),
            e.SecurityGroup(id="g2"),
        ],
        **NET,
    )
    assert uses(found, "servers/s1") == {"ports/p1", "images/i1", "key_pairs/mine"}
    assert uses(found, "ports/p1") == {"networks/n1", "subnets/u1", "security_groups/g1"}
    assert uses(found, "security_groups/g1") == {"security_groups/g2"}
    assert uses(found, "subnets/u1") == {"networks/n1"}


def test_a_name_is_an_object_only_where_a_key_says_so() -> None:
    found = estate(
        key_pairs=[res("web")],
        buckets=[res("web")],
        trackers=[res("system", bucket_name="web")],
        topics=[res("t", x="web")],
    )
    assert uses(found, "trackers/system") == {"buckets/web"}
    assert uses(found, "topics/t") == set()


@pytest.mark.parametrize("where", [{"target": UUID}, {"urn": f"urn:x:{UUID}:y"}, {"deep": [{"er": {UUID: 1}}]}])
def test_any_id_that_is_mentioned_anywhere_counts(where: dict[str, Any]) -> None:
    found = estate(functions=[res("f", **where)], file_shares=[res(UUID)])
    assert uses(found, "functions/f") == {f"file_shares/{UUID}"}


def test_a_balancer_takes_its_parts_and_its_port_and_no_part_goes_before_what_it_serves_stays() -> None:
    vip = e.Port(id="vip", network_id="n1", device_id=f"lb-{UUID}", device_owner="Octavia")
    found = estate(
        ports=[vip, CARD],
        servers=[SERVER],
        load_balancers=[res(UUID, vip_port_id="vip", listeners=[{"id": "l"}], pools=[{"id": "pool"}])],
        lb_listeners=[res("l", UUID, default_pool_id="pool", loadbalancers=[{"id": UUID}])],
        lb_pools=[res("pool", UUID, members=[{"id": "m"}], healthmonitor_id="hm", listeners=[{"id": "l"}])],
        lb_members=[res("m", "pool", address="10.0.0.5", subnet_id="u1")],
        lb_health_monitors=[res("hm", "pool", pools=[{"id": "pool"}])],
        **NET,
    )
    lb = f"load_balancers/{UUID}"
    parts = {"lb_listeners/l", "lb_pools/pool", "lb_members/m", "lb_health_monitors/hm"}
    assert takes(found, lb) == {*parts, "ports/vip"}
    assert uses(found, "lb_pools/pool") == {lb, "lb_listeners/l"}
    links = closure.links(found)
    assert links.serves["lb_members/m"] >= {"ports/p1"}
    assert links.unclaimed == {}
    order, _after = closure.order([*parts, lb, "ports/vip"], links)
    assert order == ["lb_members/m", "lb_health_monitors/hm", "lb_pools/pool", "lb_listeners/l", lb, "ports/vip"]


def test_a_port_of_something_that_the_estate_does_not_show_is_not_free() -> None:
    strange = e.Port(id="x", device_id="rds-7", device_owner="network_rds")
    free = e.Port(id="y")
    assert closure.links(estate(ports=[strange, free])).unclaimed == {"ports/x": "network_rds rds-7"}


def test_a_floating_address_needs_the_router_that_leads_to_its_port() -> None:
    ours, other = (
        e.Port(id=f"i{n}", network_id="n1", device_id=f"r{n}", device_owner="network:router_interface", fixed_ips=fixed)
        for n, fixed in (("1", [e.FixedIp("10.0.0.1", "u1")]), ("2", [e.FixedIp("10.9.0.1", "u9")]))
    )
    bound, idle = e.FloatingIp(id="f1", address="198.51.100.1", port_id="p1"), e.FloatingIp(id="f2")
    found = estate(ports=[CARD, ours, other], routers=[res("r1"), res("r2")], floating_ips=[bound, idle], **NET)
    assert uses(found, "floating_ips/f1") == {"ports/p1", "routers/r1"}
    assert uses(found, "floating_ips/f2") == set()
    assert closure.order(["routers/r1", "floating_ips/f1"], closure.links(found))[0] == [
        "floating_ips/f1",
        "routers/r1",
    ]


def test_a_router_works_for_the_subnets_that_it_has_ports_on_and_goes_before_them() -> None:
    inner = e.Port(
        id="ri",
        network_id="n1",
        device_id="r1",
        device_owner="network:router_interface",
        fixed_ips=[e.FixedIp("10.0.0.1", "u1")],
    )
    found = estate(ports=[inner], routers=[res("r1")], firewall_groups=[res("fw", ports=["ri"])], **NET)
    links = closure.links(found)
    assert links.serves["routers/r1"] == {"networks/n1", "subnets/u1"}
    assert links.serves["firewall_groups/fw"] == {"routers/r1"}
    order, after = closure.order(["networks/n1", "subnets/u1", "routers/r1", "firewall_groups/fw"], links)
    assert order == ["firewall_groups/fw", "routers/r1", "subnets/u1", "networks/n1"]
    assert after["subnets/u1"] == ["routers/r1"]


def test_the_two_faces_of_one_object_are_one() -> None:
    found = estate(
        networks=[e.Network(id="n1")],
        routers=[res("r1")],
        vpcs=[res("r1"), res("other")],
        vpc_subnets=[res("n1", "other")],
        servers=[e.Server(id="s1")],
        scaling_groups=[res("as1")],
        scaling_instances=[res("s1", "as1")],
    )
    links = closure.links(found)
    assert links.uses["networks/n1"] == {"vpcs/other"}
    assert takes(found, "scaling_groups/as1") == {"servers/s1"}
    assert not any(key.startswith(("vpc_subnets/", "scaling_instances/", "vpcs/r1")) for key in links.uses)


def test_a_backup_outlives_what_it_was_made_of_but_a_snapshot_does_not() -> None:
    found = estate(
        volumes=[e.Volume(id="v1")],
        snapshots=[e.Snapshot(id="sn", volume_id="v1")],
        volume_backups=[res("b", "v1", volume_id="v1", snapshot_id="sn")],
        vaults=[res("va", resources=[{"id": "v1"}])],
        vault_backups=[res("vb", "va", resource_id="v1")],
        images=[e.Image(id="i", owner="p", properties={"instance_id": "v1", "backup_id": "vb"})],
    )
    links = closure.links(found)
    assert links.made_of["volume_backups/b"] == {"volumes/v1"}
    assert closure.closure(found, "volumes/v1").users == ("snapshots/sn",)
    assert takes(found, "volume_backups/b") == {"snapshots/sn"}
    assert takes(found, "vaults/va") == {"vault_backups/vb"}
    assert uses(found, "images/i") == {"vault_backups/vb"}


def test_databases_take_their_automatic_backups_and_leave_the_others() -> None:
    backups = [res("a", "db", type="auto", instance_id="db"), res("m", "db", type="manual", instance_id="db")]
    found = estate(rds_instances=[res("db")], rds_backups=backups)
    assert takes(found, "rds_instances/db") == {"rds_backups/a"}
    assert closure.closure(found, "rds_instances/db").users == ()
    # an automatic one cannot go alone
    assert closure.closure(found, "rds_backups/a").users == ("rds_instances/db",)
    assert closure.closure(found, "rds_backups/m").users == ()
    assert closure.order(["rds_backups/a", "rds_instances/db"], closure.links(found))[0][0] == "rds_instances/db"


def test_backups_of_one_checkpoint_go_together_and_subnets_with_their_network() -> None:
    found = estate(server_backups=[res("a", "c1"), res("b", "c1"), res("c", "c2"), res("d")], **NET)
    assert takes(found, "server_backups/a") == {"server_backups/b"}
    assert takes(found, "server_backups/c") == takes(found, "server_backups/d") == set()
    assert takes(found, "networks/n1") == {"subnets/u1"}


def test_what_a_stack_takes_is_never_guessed() -> None:
    found = estate(stacks=[res("st")], servers=[e.Server(id="s1")])
    assert closure.links(found).untold == {"stacks/st"}
    told = closure.links(found, {"stacks/st": ["s1", "unknown"]})
    assert told.untold == set()
    assert told.takes["stacks/st"] == {"servers/s1"}


def test_a_key_is_used_by_all_that_it_encrypts_and_by_all_that_it_may() -> None:
    def volume(ident: str, encrypted: bool, key: str = "") -> e.Volume:
        return e.Volume(id=ident, encrypted=encrypted, metadata={"__system__cmkid": key} if key else {})

    found = estate(
        keys=[res("k1"), res("k2")],
        volumes=[volume("named", True, "k1"), volume("some", True), volume("plain", False)],
        snapshots=[e.Snapshot(id=f"of-{v}", volume_id=v) for v in ("named", "some", "plain", "lost")],
        volume_backups=[res("b", "named", volume_id="named"), res("pb", "plain", volume_id="plain"), res("lost")],
        servers=[e.Server(id="s1")],
        images=[e.Image(id="i1"), e.Image(id="i2", properties={"__system__encrypted": "1", "__system__cmkid": "k2"})],
        file_shares=[res("f")],
        dns_zones=[res("z")],
    )
    links = closure.links(found)
    assert links.users["keys/k1"] - links.users["keys/k2"] == {
        "volumes/named",
        "snapshots/of-named",
        "volume_backups/b",
    }
    assert links.users["keys/k2"] - links.users["keys/k1"] == {"images/i2"}
    both = {"volumes/some", "snapshots/of-some", "snapshots/of-lost", "volume_backups/lost", "file_shares/f"}
    assert links.users["keys/k1"] & links.users["keys/k2"] == both


def test_the_order_within_a_stage_follows_use_and_then_rank_and_survives_a_circle() -> None:
    chain = estate(
        volumes=[e.Volume(id="v"), e.Volume(id="clone", snapshot_id="sn")],
        snapshots=[e.Snapshot(id="sn", volume_id="v")],
    )
    assert closure.order(["volumes/v", "volumes/clone", "snapshots/sn"], closure.links(chain))[0] == [
        "volumes/clone",
        "snapshots/sn",
        "volumes/v",
    ]
    groups = [e.SecurityGroup(id=a, rules=[e.Rule(id="r", remote_group_id=b)]) for a, b in ("ab", "ba")]
    order, after = closure.order(
        ["security_groups/a", "security_groups/b"], closure.links(estate(security_groups=groups))
    )
    assert order == ["security_groups/a", "security_groups/b"]
    assert after == {"security_groups/a": [], "security_groups/b": ["security_groups/a"]}


def test_hosts_go_after_the_servers_on_them_and_readers_after_all_servers() -> None:
    found = estate(
        servers=[e.Server(id="a"), e.Server(id="b"), e.Server(id="z")],
        dedicated_hosts=[res("h", instance_uuids=["a"])],
        alarms=[res("al", dimensions=[{"value": "b"}])],
    )
    keys = ["servers/a", "servers/b", "servers/z", "dedicated_hosts/h", "alarms/al"]
    order, after = closure.order(keys, closure.links(found), last=["servers/a"])
    assert order == ["servers/b", "servers/z", "servers/a", "dedicated_hosts/h", "alarms/al"]
    assert (after["dedicated_hosts/h"], after["alarms/al"]) == (["servers/a"], ["servers/b"])
