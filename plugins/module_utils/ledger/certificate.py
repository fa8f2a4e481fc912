# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates from a ledger: of what was moved and proven, of what was erased. Refused where anything is open or left.

certificates/<id>.json              canonical JSON and one newline
certificates/<id>.json.sig          its signature (`ssh-keygen -Y sign -n cloudexit-certificate`), by a `ledger:` key
certificates/<id>.json.tsr          a time stamp of it (RFC 3161), where an authority was given
certificates/<id>.<language>.html   to print, with a signature likewise
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import seal
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import certificate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Item, Tenant

FOLDER = "certificates"
_PHASES = ("purge", "quarantine", "undo")
_KEY_OF_VOLUME = "__system__cmkid"
"""Metadata of an encrypted disk of Flexible Engine: the id of its key (Flexible Engine's EVS API)."""

TEXTS: dict[str, tuple[str, str]] = {
    "erasure": (
        "The ledger shows that each object that is listed here was deleted at the customer's choice, by the sealed "
        "plan that is named here, after every condition that is listed here was met, and that its service no longer "
        "knew it when it was read afterwards.",
        "Le registre montre que chaque objet listé ici a été supprimé selon le choix du client, d'après le plan "
        "scellé nommé ici, une fois remplies toutes les conditions listées ici, et que son service ne le "
        "connaissait plus à la relecture.",
    ),
    "api_deletion": (
        "Logical deletion by API: the service was told to delete the object and then no longer knew it. This says "
        "nothing of the storage media below the service.",
        "Suppression logique par API : le service a reçu l'ordre de supprimer l'objet, puis ne le connaissait plus. "
        "Cela ne dit rien des supports de stockage sur lesquels repose le service.",
    ),
    "cryptographic_erase": (
        "Cryptographic erase: the object was encrypted with one key only, was deleted by API, and the key's service "
        "no longer knew that key afterwards.",
        "Effacement cryptographique : l'objet était chiffré avec une seule clé, a été supprimé par API, et le "
        "service de clés ne connaissait plus cette clé ensuite.",
    ),
    "risk": (
        "Residual risk: copies that the operator of the platform keeps by itself (replicas, backups, media not yet "
        "reused) are outside of what an API shows.",
        "Risque résiduel : les copies que l'opérateur de la plateforme garde de lui-même (réplicas, sauvegardes, "
        "supports non encore réutilisés) échappent à ce qu'une API permet de constater.",
    ),
    "no_media": (
        "The operator of the infrastructure has stated nothing of its storage media; that is for a document of its "
        "own.",
        "L'opérateur de l'infrastructure n'a rien déclaré sur ses supports de stockage ; cela relève d'un document "
        "distinct.",
    ),
    "migration": (
        "The ledger shows that each workload that is listed here was copied, that its disks were read back at the "
        "target and compared with what was read at the source, that its machine passed its checks there, and that "
        "its source was fenced afterwards.",
        "Le registre montre que chaque charge listée ici a été copiée, que ses disques ont été relus à la cible et "
        "comparés à ce qui a été lu à la source, que sa machine y a passé ses contrôles, et que sa source a été "
        "isolée ensuite.",
    ),
    "full": (
        "Every disk was read back whole and is equal, chunk by chunk.",
        "Chaque disque a été relu en entier et est identique, bloc par bloc.",
    ),
    "sampled": (
        "Of the disks that are marked as sampled only some chunks were read back and compared: that these are equal "
        "does not prove the others.",
        "Des disques marqués comme échantillonnés, seuls certains blocs ont été relus et comparés : leur identité "
        "ne prouve rien des autres.",
    ),
}
"""What a certificate states, in English and in French."""


@dataclass(frozen=True)
class Evidence:
    """What a certificate is made from: the records of a sound chain, all problems of the chain and of its heads."""

    tenant: str
    records: Sequence[Mapping[str, Any]]
    problems: Sequence[str] = ()


def encode(certificate: model.Certificate) -> bytes:
    """The bytes that are signed."""
    return canonical.dumps(schema.dump(certificate)) + b"\n"


def first_delete(records: Sequence[Mapping[str, Any]], plan_digest: str) -> datetime | None:
    """When the first call of a purge by this plan was intended; None when none was."""
    return next(
        (
            seal.instant(str(record["time"]))
            for record in records
            if record["act"] == "purge_intent" and record["digests"].get("plan") == plan_digest
        ),
        None,
    )


def erasure(
    evidence: Evidence, sealed: seal.Sealed, terms: model.Terms, now: datetime, left: Sequence[str] = ()
) -> model.Certificate:
    """The certificate that all objects of a sealed plan are erased.

    left: what a last reading of the tenant found that is neither gone nor kept by the plan. Raises Refused with all
    that is in the way: a ledger that is not sound, an intent without an outcome, a condition not met, something left,
    one person who executed and verified, words that claim more than was done.
    """
    plan = sealed.plan
    mine = [record for record in evidence.records if record["tenant"] == plan.tenant.name]
    ours = [record for record in mine if record["digests"].get("plan") == sealed.digest]
    absent = _absent(ours)
    problems = [*evidence.problems, *_open(mine), *(f"{one} is left" for one in left)]
    problems += [
        f"{item.ref.key} is left: the ledger does not say that it is absent"
        for item in plan.items
        if item.ref.key not in absent
    ]
    gates = {str(record["result"].get("name")): record for record in ours if record["act"] == "gate"}
    problems += [
        f"the gate {name} was closed: {record['result'].get('why', '')}"
        for name, record in gates.items()
        if record["result"].get("open") is not True
    ]
    if not gates:
        problems.append("the ledger has no gate of this plan")
    if not terms.executed_by or not terms.verified_by:
        problems.append("who executed it and who verified it must both be named")
    elif terms.executed_by.casefold() == terms.verified_by.casefold():
        problems.append(f"{terms.executed_by} executed it and cannot be who verified it")
    destroyed = {key.partition("/")[2] for key in absent if key.startswith("keys/")}
    present = [item for item in plan.items if item.ref.key in absent]
    assets = [_asset(item, ours, absent[item.ref.key], destroyed) for item in present]
    if all(asset.method == "api_deletion" for asset in assets):
        problems += _claims(terms)
    _refuse("erasure", problems)
    acts = [record for record in ours if str(record["act"]).partition("_")[0] in _PHASES]
    methods = sorted({asset.method for asset in assets})
    certificate = model.Certificate(
        kind=model.KIND,
        version=model.VERSION,
        id="",
        purpose="erasure",
        issued=_text(now),
        tenant=plan.tenant,
        terms=terms,
        scope=_scope(plan.tenant, [*(item.ref.kind for item in plan.items), *(entry.kind for entry in plan.kept)]),
        chain=_chain(evidence.records),
        plan=model.PlanOf(
            digest=sealed.digest,
            estate=plan.made.estate,
            expires=plan.expires,
            made=plan.made.at,
            migration=plan.made.plan,
            policy=plan.made.policy,
            tool=plan.made.tool,
        ),
        assets=assets,
        totals=_totals(assets),
        kept=plan.kept,
        gates=[_gate(name, record) for name, record in sorted(gates.items())],
        timers=plan.timers,
        waivers=plan.waivers,
        approvals=[
            model.Approval(role=one.role, person=one.person, fingerprint=one.fingerprint) for one in sealed.people
        ],
        executed=sorted({str(record["ids"]["run"]) for record in acts if "run" in record["ids"]}),
        started=str(acts[0]["time"]) if acts else "",
        ended=str(acts[-1]["time"]) if acts else "",
    )
    return _stated(certificate, ["erasure", *methods, "risk", *([] if terms.media else ["no_media"])])


def migration(
    evidence: Evidence, tenant: Tenant, facts: Mapping[str, Mapping[str, Any]], terms: model.Terms, now: datetime
) -> model.Certificate:
    """The certificate that workloads were moved: all those of the ledger whose source is fenced.

    facts: what the plan said of each workload (`source`, `target`), by its key. Raises Refused with all that is in the
    way: a ledger that is not sound, a fenced workload with a disk that is not proven or a check that did not pass.
    """
    problems = [*evidence.problems]
    mine = [record for record in evidence.records if record["tenant"] == tenant.name]
    problems += _open(mine)
    by_workload: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in mine:
        if record["workload"]:
            by_workload[str(record["workload"])].append(record)
    moved, others = [], {}
    for key, records in sorted(by_workload.items()):
        fence = next((one for one in reversed(records) if isinstance(one["result"].get("fenced"), bool)), None)
        if fence is None or not fence["result"]["fenced"]:
            others[key] = "its source was not fenced" if fence is None else "it was rolled back"
            continue
        found, wrong = _moved(key, records, fence, facts.get(key, {}))
        moved.append(found)
        problems += [f"{key}: {said}" for said in wrong]
    if not moved:
        problems.append("the ledger has no workload that was moved")
    problems += _claims(terms)
    _refuse("migration", problems)
    sampled = any(disk.proof == "sampled" for one in moved for disk in one.disks)
    certificate = model.Certificate(
        kind=model.KIND,
        version=model.VERSION,
        id="",
        purpose="migration",
        issued=_text(now),
        tenant=tenant,
        terms=terms,
        scope=_scope(tenant, ["servers", "volumes"]),
        chain=_chain(evidence.records),
        moved=moved,
        others=others,
        started=str(mine[0]["time"]),
        ended=max(one.fenced for one in moved),
    )
    return _stated(certificate, ["migration", "sampled" if sampled else "full"])


def _refuse(purpose: str, problems: Sequence[str]) -> None:
    if problems:
        raise Refused(
            f"No certificate of {purpose} is issued",
            cause="; ".join(problems[:20]) + (f"; and {len(problems) - 20} more" if len(problems) > 20 else ""),
            hint="Finish what is left, resolve what is open, and issue it then.",
        )


def _claims(terms: model.Terms) -> list[str]:
    """Words of people that claim more than was done. What the operator states of its media is quoted as theirs."""
    told = {name: text for name, text in schema.dump(terms).items() if name != "media"}
    return [
        f"{name} says {found[0]!r}, which a deletion by API does not show"
        for name, text in told.items()
        if (found := model.CLAIMS.search(text))
    ]


def _open(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Intents that nothing came of."""
    open_intents: dict[tuple[str, str, str], int] = {}
    for record in records:
        kind, dummy, phase = str(record["act"]).rpartition("_")
        if kind not in _PHASES or phase not in ("intent", "outcome"):
            continue
        key = str(record["ids"].get("object", ""))
        step = str(record["result"].get("step", ""))
        if phase == "intent":
            open_intents[kind, key, step] = record["seq"]
        elif record["result"].get("outcome") == "absent":
            open_intents = {one: seq for one, seq in open_intents.items() if one[1] != key}
        elif record["result"].get("outcome") != "unknown":
            open_intents.pop((kind, key, step), None)
    for (kind, key, step), seq in open_intents.items():
        yield f"the outcome of {kind} {step} of {key} is open (record {seq})"


def _absent(records: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Objects that were read as absent and not begun again since, with the record that says so."""
    found: dict[str, Mapping[str, Any]] = {}
    for record in records:
        key = str(record["ids"].get("object", ""))
        if record["act"] == "purge_outcome" and record["result"].get("outcome") == "absent":
            found[key] = record
        elif record["act"] in ("purge_intent", "purge_outcome"):
            found.pop(key, None)
    return found


def _asset(
    item: Item, records: Sequence[Mapping[str, Any]], absent: Mapping[str, Any], destroyed: set[str]
) -> model.Asset:
    mine = [record for record in records if record["ids"].get("object") == item.ref.key]
    intents = [record for record in mine if record["act"] == "purge_intent"]
    done = [r for r in mine if r["act"] == "purge_outcome" and r["result"].get("outcome") == "done"]
    key = str(_mapping(item.seen.get("metadata")).get(_KEY_OF_VOLUME, ""))
    erased = bool(key) and key in destroyed and item.seen.get("encrypted") is True
    return model.Asset(
        kind=item.ref.kind,
        id=item.ref.id,
        name=item.name,
        created=item.ref.created,
        size_gib=item.ref.size_gib,
        choice=item.choice,
        why=item.why,
        key=key,
        covers=item.takes,
        method="cryptographic_erase" if erased else "api_deletion",
        started=str(intents[0]["time"]) if intents else str(absent["time"]),
        ended=str(absent["time"]),
        calls=[str(record["result"].get("step", "")) for record in done],
        requests=[str(r["result"]["request_id"]) for r in done if r["result"].get("request_id")],
        verified=str(absent["result"].get("how") or absent["result"].get("step") or "read"),
        record=absent["seq"],
    )


def _totals(assets: Sequence[model.Asset]) -> list[model.Total]:
    found: dict[tuple[str, model.Method], list[float]] = defaultdict(list)
    for asset in assets:
        found[asset.kind, asset.method].append(asset.size_gib)
    return [
        model.Total(kind=kind, method=method, count=len(sizes), size_gib=round(sum(sizes), 3))
        for (kind, method), sizes in sorted(found.items())
    ]


def _gate(name: str, record: Mapping[str, Any]) -> model.Gate:
    result = record["result"]
    return model.Gate(
        name=name,
        why=str(result.get("why", "")),
        at=str(record["time"]),
        evidence=dict(_mapping(result.get("evidence"))),
    )


def _moved(
    key: str, records: Sequence[Mapping[str, Any]], fence: Mapping[str, Any], facts: Mapping[str, Any]
) -> tuple[model.Moved, list[str]]:
    latest = {str(record["act"]): record["result"] for record in records}
    source, target = _mapping(facts.get("source")), _mapping(facts.get("target"))
    wrong: list[str] = []
    disks: list[model.Disk] = []
    for disk in (one for result in latest.values() for one in _mappings(result.get("disks"))):
        if "manifest_target" in disk:
            disks.append(_disk(disk, len(disks) + 1, wrong))
    if not disks:
        wrong.append("the ledger has no proof of its disks")
    checks = [one for result in latest.values() for one in _mappings(result.get("checks"))]
    wrong += [f"the check {_named(one)} did not pass" for one in checks if one.get("ok") is not True]
    names = ("vm_ref", "target_ref", "moref", "vm")
    refs = [str(result[name]) for result in latest.values() for name in names if result.get(name)]
    places = [str(target[name]) for name in ("org", "vdc", "datacenter", "compute") if target.get(name)]
    found = model.Moved(
        workload=key,
        name=str(source.get("name", "")),
        source=str(source.get("id", "")),
        target=refs[0] if refs else "",
        place=" / ".join(places),
        fenced=str(fence["time"]),
        disks=disks,
        checks=[_named(one) for one in checks],
        record=fence["seq"],
    )
    return found, wrong


def _disk(disk: Mapping[str, Any], number: int, wrong: list[str]) -> model.Disk:
    label = str(disk.get("label") or f"disk {number}")
    sample = _mapping(disk.get("sample"))
    sampled = disk.get("proof") == "sampled" and bool(sample)
    source = str(disk.get("manifest_source") or "")
    if not source or not (sampled or (disk.get("equal") is True and source == disk.get("manifest_target"))):
        wrong.append(f"the {label} is not proven")
    return model.Disk(
        label=label,
        volume=str(disk.get("volume") or ""),
        bytes=int(disk.get("bytes") or 0),
        proof="sampled" if sampled else "full",
        manifest=source,
        before=str(disk.get("manifest_before") or ""),
        compared=f"{sample.get('read', 0)}/{sample.get('chunks', 0)}"
        if sampled and isinstance(sample, Mapping)
        else "",
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _named(check: Mapping[str, Any]) -> str:
    return str(check.get("name") or check.get("type") or "(unnamed)")


def _scope(tenant: Tenant, kinds: Sequence[str]) -> model.Scope:
    regions = [tenant.region] if tenant.region else []
    return model.Scope(projects=[tenant.project_id], regions=regions, kinds=sorted(set(kinds)))


def _chain(records: Sequence[Mapping[str, Any]]) -> model.Chain:
    return model.Chain(head=str(records[-1]["hash"]), ledger=str(records[0]["hash"]), records=len(records))


def _stated(certificate: model.Certificate, texts: Sequence[str]) -> model.Certificate:
    """With what it states, and with its id: a plain word whatever the tenant is called, and one for each content."""
    said = {language: [TEXTS[name][place] for name in texts] for place, language in enumerate(("en", "fr"))}
    whole = replace(certificate, statements=said)
    content = canonical.dumps(schema.dump(replace(whole, id="", issued="")))
    plain = "".join(char if char.isascii() and char.isalnum() else "-" for char in certificate.tenant.name)[:40]
    number = f"{certificate.chain.records:08d}-{hashlib.sha256(content).hexdigest()[:8]}"
    return replace(whole, id=f"{plain or 'tenant'}-{certificate.purpose}-{number}")


def _text(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
