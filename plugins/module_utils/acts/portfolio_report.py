# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portfolio: the assessments of many tenants, and the failures of those that have none, on one page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assessment_report
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.pages import File
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import portfolio as portfolios
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    NotFound,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import portfolio as pages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import LANGUAGES, Language

NAME = "portfolio"


@dataclass(frozen=True)
class Given:
    """A tenant: its assessment, why there is none of now, and whether it was assessed in this run."""

    name: str
    assessment: str
    failure: str = ""
    fresh: bool = True


def gather(tenants: Iterable[Given], today: str, *, dest: str = "") -> portfolios.Portfolio:
    """The portfolio. A tenant whose file is missing or not valid is a row with the cause. Raises InvalidInput."""
    try:
        day = date.fromisoformat(today)
    except ValueError as error:
        problem = Problem("today", f"must be a date like 2026-11-30, not {today!r}")
        raise InvalidInput("The portfolio cannot be made", [problem]) from error
    given = sorted(tenants, key=lambda tenant: (tenant.name, tenant.assessment))
    names = Counter(tenant.name for tenant in given)
    rows = [_row(tenant, day, dest, twice=names[tenant.name] > 1) for tenant in given]
    return portfolios.Portfolio(kind=portfolios.KIND, version=portfolios.VERSION, today=day.isoformat(), tenants=rows)


def _row(given: Given, day: date, dest: str, *, twice: bool) -> portfolios.Tenant:
    if twice:
        failure = "Several tenants of the inventory have this name, so that they write over each other's files."
        return pages.tenant(given.name, None, day, failure=failure)
    try:
        assessment = assessment_report.load(given.assessment)
    except NotFound as error:
        failure = given.failure or (str(error) if given.fresh else "")
        return pages.tenant(given.name, None, day, failure=failure)
    except CloudExitError as error:
        return pages.tenant(given.name, None, day, failure=given.failure or str(error))
    folder = os.path.relpath(os.path.dirname(os.path.abspath(given.assessment)), os.path.abspath(dest or "."))
    report = os.path.normpath(os.path.join(folder, assessment_report.stem(given.assessment)))
    return pages.tenant(given.name, assessment, day, failure=given.failure, earlier=not given.fresh, report=report)


def files(
    portfolio: portfolios.Portfolio,
    dest: str,
    *,
    languages: Sequence[Language] = LANGUAGES,
) -> list[File]:
    """The pages, the table and the data of a portfolio, in the directory `dest`."""
    states = Counter(tenant.state for tenant in portfolio.tenants)
    told = f"{len(portfolio.tenants)} tenants" + "".join(
        f", {count} {state}" for state, count in sorted(states.items())
    )
    return [
        *(
            File(os.path.join(dest, f"{NAME}.{language}.html"), pages.render(portfolio, language, stem=NAME), told)
            for language in languages
        ),
        File(os.path.join(dest, f"{NAME}.json"), portfolios.to_text(portfolio)),
        File(os.path.join(dest, f"{NAME}.csv"), pages.csv_text(portfolio)),
    ]
