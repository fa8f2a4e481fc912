# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The papers of a decommission for tests: a policy whose times are over, people who sign, a folder that has it all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

from tests import sealed


def ago(days: float) -> str:
    """A day in the past, as the policy has it."""
    return (datetime.now(timezone.utc) - timedelta(days=days)).strftime("%Y-%m-%d")


SIGNED: dict[str, str] = {"by": "Alice Durand", "at": ago(50), "why": "nobody needs it"}
"""Who decided something, when and why."""

ERASED: dict[str, str] = {"choice": "erased", **SIGNED}


class Desk:
    """A folder with a retirement policy, a file of allowed signers, and whatever the acts put there."""

    def __init__(self, folder: Path, tenant: str, project_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.people = sealed.People(folder)
        self.policy_file = folder / f"{tenant}.retirement.yml"
        self.path = folder / f"{tenant}.retirement.json"
        self.evidence = folder / "evidence"
        self.policy: dict[str, Any] = {
            "kind": "cloudexit.retirement_policy",
            "version": 1,
            "tenant": {"name": tenant, "project_id": project_id},
            "parties": {
                "controller": "Acme SA",
                "processor": "Orange Business",
                "contract": "FE-2019-0042",
                "legal_basis": "GDPR Art. 28(3)(g)",
            },
            "decision": {"choice": "erase", "by": "Alice Durand", "mandate": "CIO", "at": ago(60)},
            "kinds": {},
            "objects": {},
            "acceptances": {},
            "notice": {"sent": ago(59), "delivered": ago(58), "receipt": "R-1"},
            "switching": {"asked": ago(100), "notice_ends": ago(50), "transition_end": ago(45)},
            "soak_days": 0,
            "cool_off_hours": 0.0001,
            "escrow": {"waiver": SIGNED},
            "approvals": {"needed": 3, "roles": ["customer", "operations", "security"]},
            "calendar": {
                "zone": "UTC",
                "weekdays": [1, 2, 3, 4, 5, 6, 7],
                "start": "00:00",
                "end": "23:59",
                "holidays": "none",
            },
        }
        self.write()

    def write(self, **changed: Any) -> None:
        """Write the policy, with keys changed."""
        self.policy.update(changed)
        self.policy_file.write_text(yaml.safe_dump(self.policy, sort_keys=False, allow_unicode=True))

    def sign(self, *names: str) -> None:
        """Have people sign the plan as it is; all three where none is named."""
        for who, signature in self.people.sign(self.path.read_bytes(), *(names or sealed.NAMES)).items():
            Path(f"{self.path}.{who}.sig").write_bytes(signature)

    def unsign(self) -> None:
        """Take all signatures away."""
        for file in self.folder.glob("*.sig"):
            file.unlink()

    def params(self, **more: Any) -> dict[str, Any]:
        """The options that the modules of a decommission share."""
        found = {"policy": self.policy_file, "evidence_dir": self.evidence, "path": self.path}
        return {**{key: str(value) for key, value in found.items()}, **more}

    def variables(self, **more: Any) -> Mapping[str, Any]:
        """The same as variables of the role."""
        return {
            "decommission_policy": self.policy_file.name,
            "decommission_retirement": self.path.name,
            "decommission_evidence_dir": str(self.evidence),
            **more,
        }
