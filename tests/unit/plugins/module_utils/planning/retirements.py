# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small tenant at its end, for tests of decommission; and random ones with everything mixed in."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.kinds import KINDS
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import gates, retirement

READ: dict[str, e.ReadState] = dict.fromkeys(KINDS, "complete")
OURS = "p"
NOW = "2027-02-02T10:00:00Z"
"""A Tuesday, when all is over that has to be."""
ERASED = policies.Choice(choice="erased", by="Jeanne", at="2026-10-02")


def res(ident: str, parent: str = "", name: str = "", **properties: Any) -> e.Resource:
    return e.Resource(id=ident, parent=parent, name=name, properties=properties)


def workload(server: e.Server, **changed: Any) -> plans.Workload:
    disks = [plans.Disk(volume=place.volume_id, size_gib=10) for place in server.volumes]
    return plans.Workload(**{"source": plans.Source(id=server.id), "move": "cold", "disks": disks, **changed})


def proof(server: e.Server, **changed: Any) -> gates.Proof:
    made = gates.Proof(
        manifest=f"sha256:{server.id}",
        read_back=f"sha256:{server.id}",
        volumes=tuple(place.volume_id for place in server.volumes),
        target="vc/web",
        at="2026-12-01T00:00:00Z",
        day="2027-02-02T09:00:00Z",
        source_now=f"sha256:{server.id}",
        target_now=True,
    )
    return replace(made, **changed)


def policy(**changed: Any) -> policies.Policy:
    plain = policies.Policy(
        kind=policies.KIND,
        version=1,
        tenant=policies.Tenant(name="acme", project_id=OURS),
        parties=policies.Parties(controller="Acme", processor="us", contract="C", legal_basis="GDPR"),
        decision=policies.Decided(choice="other_provider", by="Jeanne", mandate="CIO", at="2026-10-01"),
        switching=policies.Switching(asked="2026-10-01", notice_ends="2026-11-01", transition_end="2026-12-01"),
        notice=policies.Notice(sent="2026-12-01", delivered="2026-12-02", receipt="RK 1"),
        escrow=policies.Escrow(waiver=policies.Waived(by="Jeanne", at="2026-10-02", why="not needed")),
        acceptances={"web": policies.Acceptance(by="Paul", at="2026-12-05")},
    )
    return replace(plain, **changed)


@dataclass
class Case:
    """All that a retirement plan is drafted from."""

    estate: e.Estate
    plan: plans.Plan | None
    policy: policies.Policy
    known: retirement.Known

    def draft(self) -> model.Retirement:
        return retirement.draft(self.estate, self.estate, self.plan, self.policy, self.known)

    def fates(self) -> dict[str, str]:
        """What becomes of each object: its choice, or why it stays."""
        made = self.draft()
        gone = {item.ref.key: item.choice for item in made.items}
        return {**gone, **{f"{kept.kind}/{kept.id}": kept.reason for kept in made.kept}}


SERVER = e.Server(id="s1", name="web", volumes=[e.Attachment("v1", boot=True), e.Attachment("v2")], ports=["p1"])


def migration(**workloads: plans.Workload) -> plans.Plan:
    return plans.Plan(
        plugin=plans.PLUGIN,
        version=1,
        tenant=plans.Tenant(name="acme", project_id=OURS),
        target=plans.Target(type="vsphere"),
        workloads=workloads,
    )


def known(**changed: Any) -> retirement.Known:
    plain = retirement.Known(
        at=NOW,
        user_id="planner",
        ledger="sha256:0",
        cloud="iam.example",
        signers="sha256:1",
        proofs={"web": proof(SERVER)},
        shared={},
    )
    return replace(plain, **changed)


def estate(**changed: Any) -> e.Estate:
    """One server with two disks and a card, that moved."""
    plain = e.Estate(
        kind=e.KIND,
        version=1,
        tenant=e.Tenant(project_id=OURS, project_name="acme", region="R1"),
        read=dict(READ),
        servers=[SERVER],
        volumes=[e.Volume(id=ident, size_gib=10, attachments=[e.VolumeAttachment("s1")]) for ident in ("v1", "v2")],
        ports=[
            e.Port(
                id="p1",
                network_id="n1",
                device_id="s1",
                device_owner="compute:az",
                fixed_ips=[e.FixedIp("10.0.0.5", "u1")],
                security_groups=["g1"],
            )
        ],
        networks=[e.Network(id="n1", name="app", project_id=OURS)],
        subnets=[e.Subnet(id="u1", network_id="n1")],
        security_groups=[e.SecurityGroup(id="g0", name="default"), e.SecurityGroup(id="g1", name="web")],
    )
    return replace(plain, **changed)


def case(**changed: Any) -> Case:
    """The same, proven and accepted; parts of an estate, of a policy and of what is known may be given by name."""
    parts = {key: changed.pop(key) for key in list(changed) if key in e.Estate.__dataclass_fields__}
    facts = {key: changed.pop(key) for key in list(changed) if key in retirement.Known.__dataclass_fields__}
    plan = changed.pop("plan", migration(web=workload(SERVER)))
    return Case(estate(**parts), plan, policy(**changed), known(**facts))


# -- random tenants


def random_case(rng: random.Random) -> Case:
    """A tenant with everything mixed in: foreign, shared, held, unmigrated, unproven, encrypted, marked, odd."""
    return _Maker(rng).made()


class _Maker:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0
        self.typed: dict[str, list[Any]] = {kind: [] for kind in e.kinds.TYPED}
        self.rest: dict[str, list[e.Resource]] = {}

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def new(self, what: str) -> str:
        self.count += 1
        return f"{what}-{self.rng.getrandbits(64):016x}-{self.count}"

    def some(self, found: list[Any], most: int = 2) -> list[Any]:
        return self.rng.sample(found, self.rng.randint(0, min(most, len(found)))) if found else []

    def ids(self, kind: str) -> list[str]:
        return [entry.id for entry in self.typed.get(kind, self.rest.get(kind, []))]

    def add(self, kind: str, parent: str = "", **properties: Any) -> str:
        ident = self.new(kind[:3])
        if self.chance(0.05):
            properties["project_id"] = "other"
        if self.chance(0.05):
            found = [entry.id for entries in (*self.typed.values(), *self.rest.values()) for entry in entries]
            properties["hint"] = {"deep": self.some(found, 1)}
        self.rest.setdefault(kind, []).append(res(ident, parent, self.rng.choice(["a", "b", ""]), **properties))
        return ident

    def made(self) -> Case:
        self.network()
        self.servers()
        self.copies()
        self.around()
        estate = e.Estate(
            kind=e.KIND,
            version=1,
            tenant=e.Tenant(project_id=OURS, region="R1"),
            read=dict(READ),
            resources={kind: sorted(found, key=lambda entry: entry.id) for kind, found in sorted(self.rest.items())},
            **{kind: sorted(found, key=lambda entry: entry.id) for kind, found in self.typed.items()},
        )
        plan = self.migration()
        return Case(estate, plan, self.decisions(estate, plan), self.facts(estate, plan))

    def network(self) -> None:
        for dummy in range(self.rng.randint(0, 2)):
            self.add("keys")
        for dummy in range(self.rng.randint(1, 3)):
            network = e.Network(
                id=self.new("net"),
                project_id=self.rng.choice([OURS] * 8 + ["other", ""]),
                shared=self.chance(0.08),
                external=self.chance(0.08),
            )
            self.typed["networks"].append(network)
            for dummy2 in range(self.rng.randint(0, 2)):
                self.typed["subnets"].append(e.Subnet(id=self.new("sub"), network_id=network.id))
        if self.chance(0.05):
            self.typed["subnets"].append(e.Subnet(id=self.new("sub"), network_id="elsewhere"))
        groups = [self.new("grp") for dummy in range(self.rng.randint(1, 3))]
        for index, ident in enumerate(groups):
            rules = [e.Rule(id=self.new("rul"), remote_group_id=other) for other in self.some(groups, 1)]
            self.typed["security_groups"].append(
                e.SecurityGroup(id=ident, name="default" if not index else "x", rules=rules)
            )
        for dummy in range(self.rng.randint(0, 1)):
            router = self.add("routers", external_gateway_info={"network_id": self.rng.choice(self.ids("networks"))})
            for subnet in self.some(self.typed["subnets"]):
                self.port(subnet, router, "network:router_interface")

    def port(self, subnet: e.Subnet, device: str = "", owner: str = "") -> e.Port:
        self.count += 1
        port = e.Port(
            id=self.new("prt"),
            network_id=subnet.network_id,
            device_id=device,
            device_owner=owner,
            fixed_ips=[e.FixedIp(f"10.0.{self.count // 250}.{self.count % 250}", subnet.id)],
            security_groups=sorted(self.some(self.ids("security_groups"))),
        )
        self.typed["ports"].append(port)
        return port

    def servers(self) -> None:
        free: list[str] = []
        keys = self.ids("keys")
        for dummy in range(self.rng.randint(0, 4)):
            ident = self.new("srv")
            volumes = [self.new("vol") for dummy2 in range(self.rng.randint(0, 2))]
            shared = self.some(free, 1) if self.chance(0.3) else []
            free += volumes
            for volume in volumes:
                encrypted = self.chance(0.3)
                metadata = {"__system__cmkid": self.rng.choice(keys)} if encrypted and keys and self.chance(0.7) else {}
                self.typed["volumes"].append(
                    e.Volume(
                        id=volume,
                        size_gib=1,
                        encrypted=encrypted,
                        metadata=metadata,
                        attachments=[e.VolumeAttachment(ident)] if self.chance(0.8) else [],
                    )
                )
            subnets = self.typed["subnets"]
            ports = [self.port(s, ident, "compute:az").id for s in self.some(subnets)]
            self.typed["servers"].append(
                e.Server(
                    id=ident,
                    volumes=[e.Attachment(v, boot=not i) for i, v in enumerate((*volumes, *shared))],
                    ports=ports if self.chance(0.8) else [],
                )
            )
        for dummy in range(self.rng.randint(0, 1)):
            self.typed["volumes"].append(e.Volume(id=self.new("vol"), size_gib=1))
        if self.typed["subnets"] and self.chance(0.3):
            self.port(self.rng.choice(self.typed["subnets"]), *self.rng.choice([("", ""), ("rds-1", "rds")]))

    def copies(self) -> None:
        marks = {"cloudexit_tenant": "acme", "cloudexit_source_id": ""}
        for volume in list(self.typed["volumes"]):
            if self.chance(0.3):
                own = {**marks, "cloudexit_source_id": volume.id} if self.chance(0.4) else {}
                snapshot = e.Snapshot(id=self.new("snp"), volume_id=volume.id, metadata=own)
                self.typed["snapshots"].append(snapshot)
                if own and self.chance(0.5):
                    self.typed["volumes"].append(
                        e.Volume(id=self.new("vol"), size_gib=1, snapshot_id=snapshot.id, metadata=own)
                    )
            if self.chance(0.2):
                self.add("volume_backups", volume.id, volume_id=volume.id)
        if self.chance(0.2):
            vault = self.add("vaults", resources=[{"id": ident} for ident in self.some(self.ids("volumes"))])
            self.add("vault_backups", vault, resource_id="".join(self.some(self.ids("servers"), 1)))
        if self.chance(0.3):
            self.typed["images"].append(
                e.Image(
                    id=self.new("img"),
                    owner=self.rng.choice([OURS, OURS, "other"]),
                    visibility=self.rng.choice(["private", "shared", "public"]),
                    properties={"instance_id": "".join(self.some(self.ids("servers"), 1))},
                )
            )

    def around(self) -> None:
        for port in self.some(self.typed["ports"]):
            self.typed["floating_ips"].append(
                e.FloatingIp(id=self.new("fip"), address=f"198.51.100.{self.count % 250}", port_id=port.id)
            )
        if self.chance(0.3):
            listener, pool, balancer = self.new("lis"), self.new("poo"), self.new("lba")
            self.rest["load_balancers"] = [res(balancer, listeners=[{"id": listener}], pools=[{"id": pool}])]
            self.rest["lb_listeners"] = [res(listener, balancer, default_pool_id=pool)]
            self.rest["lb_pools"] = [res(pool, balancer, listeners=[{"id": listener}])]
            for port in self.some(self.typed["ports"]):
                address = port.fixed_ips[0]
                self.add("lb_members", pool, address=address.ip, subnet_id=address.subnet_id)
        for kind, wanted in (
            ("alarms", "servers"),
            ("volume_backup_policies", "volumes"),
            ("server_groups", "servers"),
            ("nat_gateways", "networks"),
            ("stacks", "servers"),
            ("rds_instances", "networks"),
            ("file_shares", "networks"),
            ("topics", "alarms"),
        ):
            if self.chance(0.2):
                self.add(kind, targets=self.some(self.ids(wanted)))
        if self.chance(0.2):
            self.add("peerings", accept={"tenant_id": self.rng.choice([OURS, "other"])})
        if self.chance(0.2):
            self.add("buckets")
        if self.chance(0.2):
            zone = self.add("dns_zones")
            self.add("dns_records", zone, type="A", records=[f.address for f in self.some(self.typed["floating_ips"])])

    def migration(self) -> plans.Plan | None:
        if self.chance(0.1):
            return None
        workloads, readers = {}, {}
        servers = self.typed["servers"]
        if servers and self.chance(0.3):
            readers = {"reader": plans.Reader(server_id=servers[0].id)}
        for index, server in enumerate(servers):
            if self.chance(0.15):
                continue
            answer = self.rng.choice(["agreed"] * 6 + ["open"])
            changed: dict[str, Any] = {"decision": plans.Decision(to="vsphere", answer=answer)}
            if self.chance(0.15):
                changed = {"move": "none", "reason": "stays"}
            elif readers and index:
                changed["reader"] = "reader"
            made = workload(server, **changed)
            if made.disks and self.chance(0.1):
                made = replace(made, disks=made.disks[1:])
            workloads[f"w{index}"] = made
        return replace(migration(**workloads), readers=readers)

    def choice(self) -> policies.Choice:
        return self.rng.choice(
            [
                ERASED,
                policies.Choice(choice="moved"),
                replace(ERASED, choice="exported", what="dump", digest="sha256:" + "0" * 64, handed_over="2026-12-01"),
            ]
        )

    def decisions(self, estate: e.Estate, plan: plans.Plan | None) -> policies.Policy:
        hosts = list(plan.workloads) if plan is not None else []
        every = [(kind, entry.id) for kind in KINDS for entry in estate.of(kind)]
        objects: dict[str, dict[str, policies.Choice]] = {}
        for kind, ident in self.some(every, 3):
            objects.setdefault(kind, {})[ident] = self.choice()
        holds = [
            policies.Hold(
                objects=[f"{kind}/{ident}" for kind, ident in self.some(every)],
                workloads=self.some(hosts, 1),
                all=self.chance(0.02),
                why="dispute",
                until=self.rng.choice(["", "2026-01-01", "2028-01-01"]),
            )
            for dummy in range(self.rng.randint(0, 1))
        ]
        copies = ["snapshots", "volume_backups", "vaults", "vault_backups", "images", "rds_instances"]
        return policy(
            decision=policies.Decided(
                choice=self.rng.choice(["other_provider"] * 5 + ["erase"]), by="Jeanne", mandate="CIO", at="2026-10-01"
            ),
            workloads={host: self.choice() for host in self.some(hosts, 1)},
            kinds={kind: ERASED for kind in self.some(copies, 3)},
            objects=objects,
            acceptances={host: policies.Acceptance(by="Paul", at="2026-12-05") for host in hosts if self.chance(0.8)},
            holds=holds,
            protected={f"{kind}/{ident}": "evidence" for kind, ident in self.some(every, 1)},
            reader_hosts=self.rng.choice(["last", "keep"]),
        )

    def facts(self, estate: e.Estate, plan: plans.Plan | None) -> retirement.Known:
        servers = {server.id: server for server in estate.servers}
        proofs = {}
        for host, entry in (plan.workloads if plan is not None else {}).items():
            whole = proof(servers[entry.source.id], volumes=tuple(disk.volume for disk in entry.disks))
            bad = replace(whole, **self.rng.choice([{"read_back": "sha256:x"}, {"manifest": ""}, {"volumes": ()}]))
            if self.chance(0.85):
                proofs[host] = whole if self.chance(0.85) else bad
        every = [f"{kind}/{entry.id}" for kind in KINDS for entry in estate.of(kind)]
        taken = {
            f"stacks/{stack.id}": self.some(self.ids("servers")) for stack in estate.of("stacks") if self.chance(0.5)
        }
        shared = {key: ["project other"] for key in (self.some(every, 1) if self.chance(0.3) else [])}
        return known(proofs=proofs, taken=taken, shared=shared)
