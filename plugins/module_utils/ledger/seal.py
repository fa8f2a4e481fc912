# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sealed retirement plan: its bytes, and whether enough people have signed exactly these.

ssh-keygen -Y sign -n cloudexit-retirement -f ~/.ssh/id_ed25519 acme.retirement.json
mv acme.retirement.json.sig acme.retirement.json.alice.sig
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import signatures
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    Refused,
)


@dataclass(frozen=True)
class Person:
    """Somebody who has signed, in which role, with which key."""

    person: str
    role: str
    fingerprint: str


@dataclass(frozen=True)
class Sealed:
    """A plan that enough people have signed. digest: `sha256:…` of its bytes, what `sha256sum` prints of the file."""

    plan: retirement.Retirement
    digest: str
    people: tuple[Person, ...]


def digest(plan_bytes: bytes) -> str:
    """`sha256:…` of the bytes of a plan, whatever they are; of a sealed one it is `Retirement.digest`."""
    return "sha256:" + hashlib.sha256(plan_bytes).hexdigest()


def signatures_of(path: str) -> dict[str, bytes]:
    """The signatures beside a file, `<path>.<who>.sig`, by who. Raises CloudExitError."""
    found = {}
    for name in sorted(glob.glob(f"{glob.escape(path)}.*.sig")):
        try:
            with open(name, "rb") as stream:
                found[os.path.basename(name)[len(os.path.basename(path)) + 1 : -4]] = stream.read(
                    signatures.LARGEST_SIGNATURE + 1
                )
        except OSError as error:
            raise CloudExitError(f"Could not read the signature {name}", cause=error.strerror or "") from error
    return found


def check(
    plan_bytes: bytes,
    signed: Mapping[str, bytes],
    signers_file: str,
    approvals: retirement.Approvals,
    now: datetime,
    planner: Collection[str],
    executor: Collection[str],
) -> Sealed:
    """The plan, when these bytes are a plan that may be used now and enough people have signed them.

    planner, executor: all names that the two are known by: id and name of the user of the cloud, a person's name. None
    of the planner's may be the executor's, and nobody who signed may be called by one.
    Raises Refused with every problem at once; CloudExitError when a file or ssh-keygen cannot be read or run.
    """
    problems: list[str] = []
    plan = _plan(plan_bytes, now, problems)
    signers = signatures.read_signers(signers_file)
    if signers.digest != approvals.signers:
        problems.append(f"the file of allowed signers is not the one that the plan names ({signers.digest})")
    planned, executed = ({signatures.folded(name) for name in _names(who) if name} for who in (planner, executor))
    problems += [f"{name} made the plan and executes it" for name in sorted(planned & executed)]
    for title, names in (("who made the plan", planned), ("who executes it", executed)):
        if not names:
            problems.append(f"it is not known {title}")
    people: dict[str, Person] = {}
    keys: dict[str, str] = {}
    for name, signature in sorted(signed.items()):
        signer, wrong = signatures.verify(plan_bytes, signature, signers, retirement.NAMESPACE, now)
        if signer is None:
            problems.append(f"the signature {name}: {wrong}")
            continue
        who = signatures.folded(signer.person)
        if signer.fingerprint in keys:
            problems.append(f"the signature {name}: the key of {keys[signer.fingerprint]} has signed already")
        elif who in people:
            problems.append(f"the signature {name}: {signer.person} has signed already")
        keys.setdefault(signer.fingerprint, name)
        people.setdefault(who, Person(signer.person, signer.role, signer.fingerprint))
        problems += [f"{signer.principal} signed and made the plan" for one in sorted(planned) if signer.called(one)]
        problems += [f"{signer.principal} signed and executes it" for one in sorted(executed) if signer.called(one)]
    if approvals.needed < 1:
        problems.append("no signature is asked for: at least one person must sign")
    if len(people) < approvals.needed:
        problems.append(f"{len(people)} of {approvals.needed} people have signed")
    missing = [role for role in approvals.roles if role not in {one.role for one in people.values()}]
    problems += [f"nobody has signed as {role}" for role in missing]
    if problems or plan is None:
        raise Refused(
            "The retirement plan is not sealed",
            cause="; ".join(problems),
            hint="Nothing was done. Have these bytes signed as docs/certificates.md says, or make a new plan.",
        )
    return Sealed(plan, digest(plan_bytes), tuple(people[who] for who in sorted(people)))


def _names(who: Collection[str]) -> Collection[str]:
    return (who,) if isinstance(who, str) else who


def _plan(plan_bytes: bytes, now: datetime, problems: list[str]) -> retirement.Retirement | None:
    try:
        plan = retirement.loads(plan_bytes)
    except InvalidInput as error:
        problems += [str(problem) for problem in error.problems]
        return None
    if plan.encode() != plan_bytes:
        problems.append("the plan is not in canonical form: its bytes are not those that were made")
    for title, text, early in (("was made at", plan.made.at, True), ("expired at", plan.expires, False)):
        try:
            moment = instant(text)
        except ValueError:
            problems.append(f"it {title} {text or 'an unknown time'}, which is no moment in UTC")
            continue
        if (moment > now) if early else (moment <= now):
            problems.append(f"it {title} {text}" + (", which is in the future" if early else ""))
    return plan


def instant(text: str) -> datetime:
    """A moment of a document. Raises ValueError when it is none, or says no zone."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return moment.astimezone(timezone.utc)
