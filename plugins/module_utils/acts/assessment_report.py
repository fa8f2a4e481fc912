# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of an assessment: pages and tables beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.pages import File
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import assessment as pages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import tables
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import LANGUAGES, Language

ENDING = ".assessment.json"


def load(path: str) -> assessments.Assessment:
    """The assessment in a file. Raises NotFound, InvalidInput with all problems, CloudExitError (the file)."""
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError as error:
        raise NotFound(f"There is no assessment {path}", hint="Assess the tenant first.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CloudExitError(f"Cannot read the assessment {path}", cause=str(error)) from error
    return assessments.loads(text, f"The assessment {path}")


def stem(path: str) -> str:
    """How the names of the files of an assessment's report begin: `acme` of `…/acme.assessment.json`."""
    base = os.path.basename(path)
    return base[: -len(ENDING)] if base.endswith(ENDING) else os.path.splitext(base)[0]


def files(
    assessment: assessments.Assessment,
    path: str,
    *,
    dest: str = "",
    languages: Sequence[Language] = LANGUAGES,
) -> list[File]:
    """The pages and tables of the assessment in `path`; into `dest`, or beside it."""
    folder = dest or os.path.dirname(os.path.abspath(path))
    name = stem(path)
    where = os.path.join(folder, name)
    found = pages.by_readiness(assessment.workloads)
    told = f"{assessment.name}: {len(assessment.workloads)} workloads, " + ", ".join(
        f"{count} {readiness}" for readiness, count in found.items()
    )
    return [
        *(
            File(f"{where}.assessment.{language}.html", pages.render(assessment, language, stem=name), told)
            for language in languages
        ),
        File(f"{where}.workloads.csv", tables.workloads(assessment)),
        File(f"{where}.findings.csv", tables.findings(assessment)),
        File(f"{where}.objects.csv", tables.objects(assessment)),
    ]
