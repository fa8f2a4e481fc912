# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completeness: which ports and dimensions are explained, and which are of something that was not found."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine.complete import (
    unexplained,
)
from tests.lab.flexible_engine.seed import ident

SERVER, RDS, LB, STRANGER = ident("server"), ident("rds"), ident("lb"), ident("stranger")


def port(owner: str, device: str, ip: str = "10.0.0.9", identity: str = "port-1") -> model.Port:
    return model.Port(id=identity, device_owner=owner, device_id=device, fixed_ips=[model.FixedIp(ip)])


def metric(namespace: str, *dimensions: tuple[str, str]) -> model.Resource:
    name = ",".join(f"{key}={value}" for key, value in dimensions)
    listed = [{"name": key, "value": value} for key, value in dimensions]
    return model.Resource(f"{namespace}/{name}", name, properties={"dimensions": listed})


def estate(**more: Any) -> model.Estate:
    resources = {
        "rds_instances": [
            model.Resource(RDS, "db", properties={"private_ips": ["10.0.0.50"], "nodes": [{"id": ident("node")}]})
        ],
        "load_balancers": [model.Resource(LB, "lb", properties={"vip_port_id": ident("vip port")})],
        "buckets": [model.Resource("files", "files")],
        "public_ips": [model.Resource(ident("eip"), "203.0.113.1", properties={"port_id": ident("eip port")})],
        **more.pop("resources", {}),
    }
    return model.Estate(
        model.KIND,
        model.VERSION,
        model.Tenant("p"),
        {"servers": more.pop("servers_read", "complete"), "ports": "complete"},
        servers=[model.Server(SERVER, "web")],
        resources=resources,
        **more,
    )


@pytest.mark.parametrize(
    "explained",
    [
        port("compute:eu-west-0a", SERVER),
        port("network:dhcp", "dhcp-whatever"),
        port("network:VIP_PORT", ""),
        port("", ""),
        port("Octavia", f"lb-{LB}"),
        port("neutron:LOADBALANCERV2", "", identity=ident("vip port")),
        port("RDS", ident("node")),
        port("RDS", "no id of ours", ip="10.0.0.50"),
    ],
    ids=lambda entry: f"{entry.device_owner or 'nobody'}",
)
def test_ports_that_are_explained(explained: model.Port) -> None:
    assert unexplained(estate(ports=[explained])) == []


@pytest.mark.parametrize(
    "stray",
    [
        port("compute:eu-west-0a", STRANGER),
        port("network:secret_service", STRANGER),
        port("", STRANGER),
        port("compute:eu-west-0a", STRANGER, ip="10.0.0.50"),
        port("vpcep", "", identity=ident("eip port")),
    ],
    ids=lambda entry: f"{entry.device_owner or 'nobody'} {entry.fixed_ips[0].ip}",
)
def test_ports_that_are_not(stray: model.Port) -> None:
    (finding,) = unexplained(estate(ports=[stray]))
    assert (finding.rule, finding.severity, finding.data_gap) == ("port_unexplained", "warning", True)
    assert finding.subject == model.Subject("ports", stray.id, "")
    assert finding.seen_fr and finding.action and finding.action_fr


def test_servers_that_were_not_read_explain_nothing_and_accuse_nobody() -> None:
    ports = [port("compute:eu-west-0a", STRANGER), port("RDS", STRANGER, identity="port-2")]
    found = unexplained(estate(ports=ports, servers_read="not_read"))
    assert [finding.subject.id for finding in found] == ["port-2"]


@pytest.mark.parametrize(
    "explained",
    [
        metric("SYS.ECS", ("instance_id", SERVER)),
        metric("SYS.EVS", ("disk_name", f"{SERVER}-vda")),
        metric("SYS.OBS", ("bucket_name", "files")),
        metric("SYS.VPC", ("publicip_id", ident("eip"))),
        metric("AGT.ECS", ("instance_id", SERVER.upper()), ("mount_point", "/data")),
        metric("SYS.X"),
    ],
    ids=lambda entry: entry.id[:10],
)
def test_dimensions_that_are_explained(explained: model.Resource) -> None:
    assert unexplained(estate(resources={"metrics": [explained]})) == []


def test_dimensions_that_are_not() -> None:
    hostile = metric("SYS.APIG", ("api_id", "x\n\x1b[31m{{ 7*7 }}"))
    found = unexplained(estate(resources={"metrics": [metric("SYS.APIG", ("api_id", STRANGER)), hostile]}))
    assert [finding.rule for finding in found] == ["dimension_unexplained"] * 2
    assert STRANGER in found[0].seen and "\n" not in found[1].seen and "\x1b" not in found[1].seen


def test_an_alarm_that_names_an_object_does_not_explain_it() -> None:
    alarm = model.Resource("al1", "cpu", properties={"metric": {"dimensions": [{"value": STRANGER}]}})
    resources = {"alarms": [alarm], "metrics": [metric("SYS.ECS", ("instance_id", STRANGER))]}
    assert len(unexplained(estate(resources=resources))) == 1


def test_an_estate_of_nothing() -> None:
    assert unexplained(model.Estate(model.KIND, model.VERSION, model.Tenant("p"), {})) == []
