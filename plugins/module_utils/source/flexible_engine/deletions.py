# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the objects of Flexible Engine's own services are deleted. Paths begin at the root of the service's host.

From the API references of the family; none was tried on a live tenant (docs/flexible-engine.md says how sure each is).
Where the shape of the answer for one object is not certain, the object is looked for in its list, which is certain.
Subscription-billed objects are refused by the family: they are for the contract.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.deletions import (
    EMPTY,
    Call,
    Deletion,
    Part,
    Raw,
    Taken,
    one,
    stack,
    texts,
)

CSBS_PROVIDER = "fc4d5750-22e7-4798-8a46-f48f62c4c1da"
"""The provider of all server backups (Flexible Engine's Terraform provider)."""

_KEEP_VOLUME = {"replication": {"delete_target_volume": False}}

KEY_DAYS = 7
"""Days that a key can still be had back: the least that the family allows."""

_SUBNET = frozenset({400, 404})
_NETWORK_AGAIN = frozenset({403, 409, 500})
"""The network services answer 403 and 500 for a while where they mean: later (the Terraform provider's retries)."""


def subscribed(raw: Raw) -> str:
    """Why an object that is billed by subscription is not deleted; empty where it is not."""
    metadata = raw.get("metadata") if isinstance(raw.get("metadata"), dict) else {}
    billing = raw.get("billing") if isinstance(raw.get("billing"), dict) else {}
    charge = raw.get("charge_info") if isinstance(raw.get("charge_info"), dict) else {}
    modes = (
        texts(metadata.get("charging_mode") if metadata else ""),
        texts(raw.get("charging_mode")),
        texts(billing.get("charging_mode") if billing else ""),
        texts(charge.get("charge_mode") if charge else ""),
    )
    if raw.get("lockSource") == "ORDER" or any(m not in ("", "0", "post_paid", "postPaid") for m in modes):
        return "it is billed by subscription: no call ends that. Put it on the list for the contract with the operator"
    return ""


def _plain(kind: str, path: str, **more: Any) -> Deletion:
    """A kind that is looked for in its list, and deleted at the path of one object."""
    calls = {"delete": Call("DELETE", path, more.pop("body", None), more.pop("params", {})), **more.pop("calls", {})}
    return Deletion(kind, calls=calls, refused=more.pop("refused", subscribed), **more)


def _way(*steps: tuple[Any, str]) -> Any:
    return lambda raw: (*(step for holds, step in steps if holds(raw)), "delete")


def _deletions() -> tuple[Deletion, ...]:
    v1, v2, v3 = "/v1/{project_id}", "/v2/{project_id}", "/v3/{project_id}"
    scaling = "/autoscaling-api/v1/{project_id}"
    cce = "/api/v3/projects/{project_id}/clusters"
    keep = {name: "false" for name in ("evs", "efs", "sfs", "obs", "eni", "net")}
    put, post, delete = "PUT", "POST", "DELETE"
    job = f"{v1}/jobs/{{job}}"
    return (
        _plain(
            "bare_metal",
            "",
            calls={"delete": Call(delete, "/servers/{id}", service="compute")},
        ),
        _plain(
            "dedicated_hosts",
            "/v1.0/{project_id}/dedicated-hosts/{id}",
            refused=lambda raw: (
                subscribed(raw) or ("there are servers on it: delete those first" if raw.get("instance_total") else "")
            ),
        ),
        _plain("volume_backups", f"{v2}/backups/{{id}}"),
        _plain(
            "volume_backup_policies",
            f"{v2}/backuppolicy/{{id}}",
            calls={"off": Call(put, f"{v2}/backuppolicy/{{id}}", {"scheduled_policy": {"status": "OFF"}})},
            way=_way((lambda raw: _schedule(raw).get("status") == "ON", "off")),
        ),
        _plain(
            "server_backups",
            f"{v1}/providers/{CSBS_PROVIDER}/checkpoints/{{checkpoint_id}}",
            takes=(
                Taken("server_backups", f"{v1}/checkpoint_items?checkpoint_id={{checkpoint_id}}", "checkpoint_items"),
            ),
        ),
        _plain("server_backup_policies", f"{v1}/policies/{{id}}"),
        _plain(
            "vaults",
            f"{v3}/vaults/{{id}}",
            takes=(Taken("vault_backups", f"{v3}/backups?vault_id={{id}}", "backups"),),
        ),
        _plain("vault_backups", f"{v3}/backups/{{id}}"),
        _plain("vault_policies", f"{v3}/policies/{{id}}"),
        _plain(
            "protection_groups",
            f"{v1}/server-groups/{{id}}",
            calls={
                "stop": Call(post, f"{v1}/server-groups/{{id}}/action", {"stop-server-group": {}}),
                "remove_pair": Call(delete, f"{v1}/replications/{{arg}}", _KEEP_VOLUME),
                "remove_instance": Call(
                    delete,
                    f"{v1}/protected-instances/{{arg}}",
                    {"protected_instance": {"delete_target_server": False, "delete_target_eip": False}},
                ),
            },
            parts=(
                Part("stop", "", "", "", lambda raw: raw.get("status") == "protected"),
                Part("remove_pair", f"{v1}/replications?server_group_id={{id}}", "replications"),
                Part("remove_instance", f"{v1}/protected-instances?server_group_id={{id}}", "protected_instances"),
            ),
            job=job,
        ),
        _plain("private_images", "/v2/images/{id}"),
        _plain(
            "vpcs",
            f"{v1}/vpcs/{{id}}",
            again=_NETWORK_AGAIN,
            gone=_SUBNET,
            calls={"clear_routes": Call(put, f"{v1}/vpcs/{{id}}", {"vpc": {"routes": []}})},
            way=_way((lambda raw: raw.get("routes"), "clear_routes")),
        ),
        _plain("vpc_subnets", f"{v1}/vpcs/{{vpc_id}}/subnets/{{id}}", again=_NETWORK_AGAIN, gone=_SUBNET),
        _plain(
            "route_tables",
            f"{v1}/routetables/{{id}}",
            calls={
                "disassociate": Call(
                    post, f"{v1}/routetables/{{id}}/action", {"routetable": {"subnets": {"disassociate": ["{arg}"]}}}
                )
            },
            parts=(Part("disassociate", "", "subnets"),),
            refused=lambda raw: "it came with its VPC, and goes with it" if raw.get("default") else "",
            again=_NETWORK_AGAIN,
        ),
        _plain("peerings", "/v2.0/vpc/peerings/{id}", again=_NETWORK_AGAIN),
        _plain(
            "public_ips",
            f"{v1}/publicips/{{id}}",
            calls={"disassociate": Call(put, f"{v1}/publicips/{{id}}", {"publicip": {"port_id": ""}})},
            way=_way((lambda raw: raw.get("port_id"), "disassociate")),
            again=_NETWORK_AGAIN,
        ),
        _plain(
            "bandwidths",
            "/v2.0/{project_id}/bandwidths/{id}",
            refused=lambda raw: (
                subscribed(raw) or ("it is of one address, and goes with it" if raw.get("share_type") == "PER" else "")
            ),
            again=_NETWORK_AGAIN,
        ),
        _plain("flow_logs", f"{v1}/fl/flow_logs/{{id}}"),
        _plain("endpoints", f"{v1}/vpc-endpoints/{{id}}"),
        _plain("endpoint_services", f"{v1}/vpc-endpoint-services/{{id}}"),
        _plain("nat_gateways", f"{v2}/nat_gateways/{{id}}", again=_NETWORK_AGAIN),
        _plain("snat_rules", f"{v2}/nat_gateways/{{nat_gateway_id}}/snat_rules/{{id}}", again=_NETWORK_AGAIN),
        _plain("dnat_rules", f"{v2}/nat_gateways/{{nat_gateway_id}}/dnat_rules/{{id}}", again=_NETWORK_AGAIN),
        _plain(
            "classic_load_balancers",
            "/v1.0/{project_id}/elbaas/loadbalancers/{id}",
            calls={"remove_listener": Call(delete, "/v1.0/{project_id}/elbaas/listeners/{arg}")},
            parts=(Part("remove_listener", "/v1.0/{project_id}/elbaas/listeners?loadbalancer_id={id}", ""),),
            job="/v1.0/{project_id}/jobs/{job}",
        ),
        _plain("shared_load_balancers", f"{v2}/elb/loadbalancers/{{id}}"),
        _plain("dedicated_load_balancers", f"{v3}/elb/loadbalancers/{{id}}"),
        _plain(
            "elb_listeners",
            f"{v3}/elb/listeners/{{id}}",
            calls={"remove_policy": Call(delete, f"{v3}/elb/l7policies/{{arg}}")},
            parts=(Part("remove_policy", f"{v3}/elb/l7policies?listener_id={{id}}", "l7policies"),),
        ),
        _plain(
            "elb_pools",
            f"{v3}/elb/pools/{{id}}",
            calls={"remove_monitor": Call(delete, f"{v3}/elb/healthmonitors/{{arg}}")},
            parts=(Part("remove_monitor", "", "healthmonitor_id", ""),),
            takes=(Taken("elb_members", f"{v3}/elb/pools/{{id}}/members", "members"),),
        ),
        _plain("elb_members", f"{v3}/elb/pools/{{parent}}/members/{{id}}"),
        _plain("elb_certificates", f"{v3}/elb/certificates/{{id}}"),
        _plain(
            "rds_instances",
            f"{v3}/instances/{{id}}",
            by_id="id",
            takes=(Taken("rds_backups", f"{v3}/backups?instance_id={{id}}", "backups", "id", _automatic),),
            job=f"{v3}/jobs?id={{job}}",
        ),
        _plain(
            "rds_backups",
            f"{v3}/backups/{{id}}",
            refused=lambda raw: "it was made by itself, and goes with its database" if _automatic(raw) else "",
        ),
        _plain("dds_instances", f"{v3}/instances/{{id}}"),
        _plain("nosql_instances", f"{v3}/instances/{{id}}"),
        _plain("ddm_instances", f"{v1}/instances/{{id}}"),
        _plain("dcs_instances", f"{v2}/instances/{{id}}"),
        _plain("dms_instances", f"{v2}/instances/{{id}}"),
        _plain(
            "cce_clusters",
            f"{cce}/{{id}}",
            params={f"delete_{name}": value for name, value in keep.items()},
            takes=(Taken("cce_nodes", f"{cce}/{{id}}/nodes", "items", "metadata.uid"),),
        ),
        _plain(
            "cce_nodes",
            f"{cce}/{{parent}}/nodes/{{id}}",
            takes=(Taken("servers", "", "status.serverId", ""),),
        ),
        _plain("image_repositories", "/v2/manage/namespaces/{head}/repos/{tail}"),
        _plain(
            "scaling_groups",
            f"{scaling}/scaling_group/{{id}}",
            calls={
                "pause": Call(post, f"{scaling}/scaling_group/{{id}}/action", {"action": "pause"}),
                # never `force_delete`, which deletes the servers: they are objects of their own
                "remove": Call(delete, f"{scaling}/scaling_group_instance/{{arg}}", params={"instance_delete": "no"}),
            },
            parts=(
                Part("pause", "", "", "", lambda raw: raw.get("scaling_group_status") == "INSERVICE"),
                Part(
                    "remove",
                    f"{scaling}/scaling_group_instance/{{id}}/list",
                    "scaling_group_instances",
                    "instance_id",
                ),
            ),
        ),
        _plain("scaling_configurations", f"{scaling}/scaling_configuration/{{id}}"),
        _plain("file_shares", f"{v2}/shares/{{id}}"),
        _plain("turbo_shares", f"{v1}/sfs-turbo/shares/{{id}}"),
        Deletion(
            "buckets",
            calls={"empty": EMPTY, "delete": EMPTY},
            way=lambda _raw: ("empty", "delete"),
        ),
        Deletion(
            "keys",
            calls={
                "delete": Call(
                    post,
                    "/v1.0/{project_id}/kms/schedule-key-deletion",
                    {"key_id": "{id}", "pending_days": str(KEY_DAYS)},
                )
            },
            ended=frozenset({"4"}),
            ended_note=f"it is scheduled for deletion in {KEY_DAYS} days; until then it can be had back",
            refused=lambda raw: (
                "the service keeps it for the project" if texts(raw.get("default_key_flag")) == "1" else ""
            ),
        ),
        _plain("alarms", "/V1.0/{project_id}/alarms/{id}"),
        one("trackers", "/v1.0/{project_id}/tracker", "", params={"tracker_name": "{id}"}),
        _plain("topics", f"{v2}/notifications/topics/{{id}}"),
        _plain("log_groups", f"{v2}/groups/{{id}}"),
        _plain("functions", f"{v2}/fgs/functions/{{bare}}"),
        _plain("search_clusters", "/v1.0/{project_id}/clusters/{id}"),
        _plain(
            "data_clusters",
            "/v1.1/{project_id}/clusters/{id}",
            ended=frozenset({"terminated"}),
        ),
        _plain("warehouses", "/v1.0/{project_id}/clusters/{id}", body={"keep_last_manual_snapshot": 0}),
        _plain("waf_hosts", f"{v1}/waf/instance/{{id}}"),
        stack("rts_stacks", v1),
    )


def _schedule(raw: Raw) -> Raw:
    found = raw.get("scheduled_policy")
    return found if isinstance(found, dict) else {}


def _automatic(raw: Raw) -> bool:
    return texts(raw.get("type")) in ("auto", "automated", "fragment")


NOT_OBJECTS: dict[str, str] = {
    "ecs_servers": "what the service adds to a server",
    "ecs_tags": "tags of servers",
    "cloud_volumes": "what the service adds to a volume",
    "scaling_instances": "the membership of a server in a scaling group: it ends when the group is deleted",
    "enterprise_projects": "it is of the whole account and cannot be deleted: disable it in the console",
    "tags": "they are of the whole account: remove them in the console when it closes",
    "image_quotas": "a limit of the project",
    "vpc_quotas": "a limit of the project",
    "metrics": "measurements of an object",
}
"""Kinds that are nothing by themselves, and why."""

DELETIONS: tuple[Deletion, ...] = _deletions()
