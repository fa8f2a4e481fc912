# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the records of a decommission say; the acts themselves are tested in test_retire and in the lab."""

from __future__ import annotations

from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import decommission

BALANCER, PORT = "load_balancers/b", "ports/p"


def record(act: str, key: str, **result: Any) -> dict[str, Any]:
    return {"act": act, "ids": {"object": key}, "result": result}


ASKED = record("purge_intent", BALANCER, step="delete", last=True, takes=[PORT])
ABSENT = record("purge_outcome", BALANCER, step="read", outcome="absent")


def test_what_went_later_than_what_takes_it_along_is_explained() -> None:
    assert decommission.recorded([ASKED], there={PORT}) == set()
    assert decommission.recorded([ASKED], there=set()) == set(), "nothing is known of the balancer itself"
    assert decommission.recorded([ASKED, ABSENT], there={PORT}) == {BALANCER}
    assert decommission.recorded([ASKED, ABSENT], there=set()) == {BALANCER, PORT}
    back = record("purge_outcome", BALANCER, step="read_back", outcome="failed")
    assert decommission.recorded([ASKED, ABSENT, back], there={BALANCER}) == set()
