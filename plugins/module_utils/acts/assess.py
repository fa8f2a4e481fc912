# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessing a tenant: its estate into a file, a draft plan beside it. A plan that people edit is never overwritten."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import draft, emit
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect

PLAN_ENDINGS = (".plan.yml", ".plan.yaml")


@dataclass(frozen=True)
class Writing:
    """A text file that shall hold `after`: whether that is a change, and what it held before (None: no such file)."""

    path: str
    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def diff(self) -> dict[str, str]:
        """As Ansible shows it."""
        header = {"before_header": self.path, "after_header": self.path}
        return {"before": self.before or "", "after": self.after, **header}

    def write(self) -> None:
        """Put it there, whole or not at all; directories are made."""
        if not self.changed:
            return
        folder = os.path.dirname(self.path)
        try:
            os.makedirs(folder, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(self.after)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o666 & ~_umask() if self.before is None else os.stat(self.path).st_mode & 0o777)
                os.replace(temporary, self.path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as exc:
            raise CloudExitError(f"Cannot write {self.path}", cause=str(exc.strerror or exc)) from exc


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def writing(path: str, after: str) -> Writing:
    """What writing `after` to `path` would change."""
    path = os.path.abspath(path)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return Writing(path, file.read(), after)
    except FileNotFoundError:
        return Writing(path, None, after)
    except (OSError, UnicodeDecodeError) as exc:
        raise CloudExitError(f"Cannot read {path}", cause=str(exc)) from exc


def read_estate(auth: SourceAuth, *, page_size: int = reading.PAGE_SIZE) -> reading.Reading:
    """Read the tenant that `auth` logs in to. Writes nothing to the cloud."""
    with connect(auth) as cloud:
        return reading.read(cloud, page_size=page_size)


def summary(estate: estates.Estate) -> dict[str, Any]:
    """What modules return of an estate: digest, counts, what was read, findings."""
    return {
        "digest": estate.digest(),
        "tenant": schema.dump(estate.tenant),
        "counts": estate.counts(),
        "read": dict(estate.read),
        "findings": schema.dump(estate.findings),
    }


def load_estate(path: str) -> estates.Estate:
    """The estate in a file; raises NotFound, or InvalidInput with all problems."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError as exc:
        raise NotFound(f"There is no estate {path}", hint="Read the tenant first.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise CloudExitError(f"Cannot read the estate {path}", cause=str(exc)) from exc
    return estates.loads(text, f"The estate {path}")


@dataclass(frozen=True)
class Drafted:
    """A drafted plan and where it goes. `kept`: a plan was there and left alone; `problems`: what is wrong in it."""

    draft: draft.Draft
    writing: Writing
    kept: bool
    problems: Sequence[Problem]

    def message(self) -> str:
        """What happened, for people."""
        moving = len(self.draft.plan.moving())
        head = f"{moving} of {len(self.draft.plan.workloads)} servers are drafted to move."
        if self.kept:
            return f"{head} There is a plan already, which was kept; the new draft is {self.writing.path}."
        to_fill = f" {len(self.draft.open)} places are still to be filled in." if self.draft.open else ""
        return f"{head} The plan is {self.writing.path}.{to_fill}"


def draft_plan(
    estate: estates.Estate, options: draft.Options, path: str, *, force: bool = False, check: bool = False
) -> Drafted:
    """Draft a plan into `path`; where a plan is there already and differs, into `<name>.draft.yml` beside it.

    `force` replaces the plan. `check` writes nothing.
    """
    ending = next((ending for ending in PLAN_ENDINGS if path.endswith(ending)), None)
    if ending is None:
        raise Refused(
            f"Cannot draft into {path}",
            cause="the name of a plan ends in .plan.yml",
            hint="Ansible goes by it.",
        )
    drafted = draft.draft(estate, options)
    text = emit.to_text(drafted.plan, file=os.path.basename(path), remarks=drafted.remarks, to_fill=drafted.open)
    plan = writing(path, text)
    kept = plan.before is not None and plan.changed and not force
    problems: Sequence[Problem] = ()
    if kept:
        problems = _problems(plan.before or "")
        plan = writing(path[: -len(ending)] + ".draft.yml", text)
    if not check:
        plan.write()
    return Drafted(drafted, plan, kept, problems)


def _problems(text: str) -> Sequence[Problem]:
    try:
        plans.loads(text)
    except InvalidInput as exc:
        return exc.problems
    return ()
