# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where services are: from the identity URL, and from what a catalogue says."""

from __future__ import annotations

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import endpoints

PARIS = "https://iam.eu-west-0.prod-cloud-ocb.orange-business.com/v3"


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("vpc", "https://vpc.eu-west-0.prod-cloud-ocb.orange-business.com"),
        ("obs", "https://oss.eu-west-0.prod-cloud-ocb.orange-business.com"),
        ("eps", "https://eps.prod-cloud-ocb.orange-business.com"),
        ("tms", "https://tms.prod-cloud-ocb.orange-business.com"),
        ("nosql", "https://gaussdb-nosql.eu-west-0.prod-cloud-ocb.orange-business.com"),
        ("swr", "https://swr-api.eu-west-0.prod-cloud-ocb.orange-business.com"),
        ("sfs_turbo", "https://sfs-turbo.eu-west-0.prod-cloud-ocb.orange-business.com"),
        ("sorcery", None),
    ],
)
def test_the_table_gives_the_host(service: str, expected: str | None) -> None:
    assert endpoints.url(service, PARIS) == expected


def test_the_region_that_was_asked_for_wins() -> None:
    assert endpoints.url("ecs", PARIS, "eu-west-1") == "https://ecs.eu-west-1.prod-cloud-ocb.orange-business.com"
    assert endpoints.url("ecs", "https://iam.cloud.example.com/v3", "eu-west-1") == (
        "https://ecs.eu-west-1.cloud.example.com"
    )
    assert endpoints.url("ecs", "https://iam.cloud.example.com/v3") is None, "no region, no host"
    assert endpoints.url("eps", "https://iam.cloud.example.com/v3") == "https://eps.cloud.example.com"


@pytest.mark.parametrize(
    "auth_url",
    ["http://127.0.0.1:5000/v3", "https://keystone.example.com/v3", "https://iam", "", "https://[", "iam.eu-west-0.x"],
)
def test_other_clouds_are_not_taken_for_it(auth_url: str) -> None:
    assert endpoints.place(auth_url) is None
    assert endpoints.url("ecs", auth_url, "eu-west-0") is None
    assert endpoints.openstack_url("compute", auth_url, "eu-west-0", "p") is None


def test_openstack_services_have_version_and_project() -> None:
    base = "prod-cloud-ocb.orange-business.com"
    assert endpoints.openstack_url("compute", PARIS, "", "p1") == f"https://ecs.eu-west-0.{base}/v2.1/p1"
    assert endpoints.openstack_url("image", PARIS, "", "p1") == f"https://ims.eu-west-0.{base}/v2"
    assert endpoints.openstack_url("dns", PARIS, "eu-west-1", "p1") == f"https://dns.{base}/v2"
    assert endpoints.openstack_url("key_manager", PARIS, "", "p1") is None


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://vpc.eu.example.com/v1/0d2c", "https://vpc.eu.example.com"),
        ("https://ces.eu.example.com/V1.0/0d2c", "https://ces.eu.example.com"),
        ("https://as.eu.example.com/autoscaling-api/v1/0d2c", "https://as.eu.example.com"),
        ("https://cce.eu.example.com/api/v3/projects/0d2c", "https://cce.eu.example.com"),
        ("https://rds.eu.example.com/rds/v1/0d2c", "https://rds.eu.example.com"),
        ("https://elb.eu.example.com/v2.0/", "https://elb.eu.example.com"),
        ("https://elb.eu.example.com/", "https://elb.eu.example.com"),
        ("http://gateway:8080/vpc/v1/0d2c?x=1", "http://gateway:8080/vpc"),
        ("http://gateway:8080/rds", "http://gateway:8080/rds"),
        ("http://gateway:8080/rds/v3/p", "http://gateway:8080/rds"),
    ],
)
def test_the_root_of_an_endpoint(endpoint: str, expected: str) -> None:
    assert endpoints.root(endpoint) == expected


def test_every_service_of_a_kind_has_a_host() -> None:
    openstack = {
        "compute", "block_storage", "image", "network", "load_balancer", "dns", "object_store", "orchestration",
        "key_manager",
    }  # fmt: skip
    services = {kind.service for kind in kinds.KINDS.values()} - openstack
    assert services == set(endpoints.TABLE) - {"iam"}


def test_no_catalogue_type_belongs_to_two_services() -> None:
    types = [kind for row in endpoints.TABLE.values() for kind in row.types]
    types += [kind for group in endpoints.UNREAD.values() for kind in group]
    assert len(types) == len(set(types))
