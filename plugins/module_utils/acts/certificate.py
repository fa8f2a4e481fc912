# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issue a certificate: from the ledger, signed, printed in each language, with all that it takes to verify it.

What is put into the evidence directory, so that it can be handed over as it is:

    certificates/     the certificate, its pages, their signatures and time stamp (ledger/certificate)
    retirement/       of an erasure: the sealed plan, its signatures, its file of allowed signers
    allowed_signers   whose keys sign heads and certificates
    tsa.pem           certificates of the time-stamping authority, where one is used
    verify.sh         verifies all of it with stock tools (ledger/script)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import certificate as build
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import (
    chain,
    evidence,
    heads,
    seal,
    signatures,
    timestamps,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger.script import VERIFY
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical, retirement
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import certificate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import NotFound, Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import certificate as report
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import Language

LEDGER = "ledger.jsonl"


@dataclass(frozen=True)
class Request:
    """What a certificate is issued with. key: file of a `ledger:` key of `signers`; signers: path of that file."""

    directory: str
    key: str
    signers: str
    terms: model.Terms
    now: datetime
    languages: Sequence[Language] = ("en", "fr")
    authority: timestamps.Authority | None = None


@dataclass(frozen=True)
class Issued:
    """A certificate and the files that belong to it. files: path → content, new: of what was missing or another."""

    certificate: model.Certificate
    path: str
    files: dict[str, bytes]
    new: dict[str, bytes]


def erasure(request: Request, plan_path: str, left: Sequence[str] = (), *, dry_run: bool = False) -> Issued:
    """Certify that what a sealed plan lists is erased. `left`: see ledger.certificate.erasure, as for what it raises.

    The seal is checked as of the first delete: the plan may have expired since.
    """
    plan_bytes = _need(plan_path, "retirement plan")
    signed = seal.signatures_of(plan_path)
    found = _evidence(request, retirement.loads(plan_bytes).tenant.name)
    began = build.first_delete(found.records, seal.digest(plan_bytes))
    if began is None:
        raise Refused(
            "No certificate of erasure is issued",
            cause=f"the ledger has no delete by the plan {plan_path} ({seal.digest(plan_bytes)})",
            hint="Purge first, or give the plan that was carried out.",
        )
    plan = retirement.loads(plan_bytes)
    executor = [request.terms.executed_by, *_users(found.records, seal.digest(plan_bytes))]
    sealed = seal.check(plan_bytes, signed, request.signers, plan.approvals, began, [plan.made.user_id], executor)
    certificate = build.erasure(found, sealed, request.terms, request.now, left)
    name = os.path.basename(plan_path)
    beside = {f"{name}.{who}.sig": signature for who, signature in signed.items()}
    beside |= {name: plan_bytes, "allowed_signers": _need(request.signers, "file of allowed signers")}
    return _issue(request, certificate, {f"retirement/{one}": data for one, data in beside.items()}, dry_run)


def migration(request: Request, plan_path: str, *, dry_run: bool = False) -> Issued:
    """Certify what was moved by a migration plan. Raises what ledger.certificate.migration raises."""
    text = _need(plan_path, "plan").decode("utf-8", "replace")
    told = plans.loads(text, f"The plan {plan_path}").tenant
    tenant = retirement.Tenant(name=told.name, project_id=told.project_id, region=told.region)
    facts = {
        str(document.get("workload")): document.get("facts", {})
        for document in evidence.read_workloads(request.directory)
        if document.get("tenant") == told.name
    }
    certificate = build.migration(_evidence(request, told.name), tenant, facts, request.terms, request.now)
    return _issue(request, certificate, {}, dry_run)


def _evidence(request: Request, tenant: str) -> build.Evidence:
    path = os.path.join(request.directory, LEDGER)
    problems = [str(problem) for problem in chain.verify(path).problems]
    records = chain.read(path)
    folder = os.path.join(request.directory, heads.FOLDER)
    if os.path.isdir(folder):
        signers = signatures.read_signers(request.signers)
        problems += [str(problem) for problem in heads.check(records, [folder], signers).problems]
    return build.Evidence(tenant, records, problems)


def _users(records: Sequence[Mapping[str, Any]], plan_digest: str) -> list[str]:
    """Ids and names of the users whose credentials carried the plan out, as the runs were recorded."""
    names = ("user", "user_id", "user_name")
    runs = [r for r in records if r["act"] == "run_begin" and r["digests"].get("plan") == plan_digest]
    return sorted({str(record["ids"][name]) for record in runs for name in names if record["ids"].get(name)})


def _issue(request: Request, certificate: model.Certificate, more: dict[str, bytes], dry_run: bool) -> Issued:
    """Sign, stamp and write what is not there yet."""
    folder = request.directory
    base = f"{build.FOLDER}/{certificate.id}"
    there = evidence.read_bytes(os.path.join(folder, f"{base}.json"))
    if there is not None:
        certificate = replace(certificate, issued=model.load(canonical.loads(there), base).issued)
    data = build.encode(certificate)
    files = {f"{base}.json": data, "verify.sh": VERIFY.encode(), **more}
    files["allowed_signers"] = _need(request.signers, "file of allowed signers")
    if request.authority:
        files["tsa.pem"] = _need(request.authority.ca_file, "file of the authority's certificates")
    for language in request.languages:
        page = report.render(certificate, language, file=os.path.basename(f"{base}.json"), digest=seal.digest(data))
        files[f"{base}.{language}.html"] = page.encode()
    signers = signatures.read_signers(request.signers)
    at = seal.instant(certificate.issued)
    for name in [one for one in files if one.startswith(base)]:
        made = evidence.read_bytes(os.path.join(folder, f"{name}.sig"))
        if made is None or signatures.verify(files[name], made, signers, model.NAMESPACE, at)[0] is None:
            made = b"" if dry_run else heads.signed(files[name], request.key, model.NAMESPACE, signers, at)
        files[f"{name}.sig"] = made
    if request.authority:
        token = evidence.read_bytes(os.path.join(folder, f"{base}.json.tsr"))
        if token is None or timestamps.verify(data, token, request.authority.ca_file):
            token = b"" if dry_run else timestamps.stamp(data, request.authority)
        files[f"{base}.json.tsr"] = token
    new = {
        name: content for name, content in files.items() if evidence.read_bytes(os.path.join(folder, name)) != content
    }
    for name in [] if dry_run else sorted(new, key=lambda one: one == f"{base}.json"):
        evidence.write_atomic(os.path.join(folder, name), new[name], 0o644)
    return Issued(certificate, os.path.join(folder, f"{base}.json"), files, new)


def _need(path: str, what: str) -> bytes:
    found = evidence.read_bytes(path)
    if found is None:
        raise NotFound(f"There is no {what} {path}")
    return found
