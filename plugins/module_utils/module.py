# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner that every module of the collection ends in: call the act, render the result or the error once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError


def run(module: AnsibleModule, act: Callable[[AnsibleModule], Mapping[str, Any]]) -> None:
    """Run `act(module)` and exit with what it returns; a CloudExitError becomes `msg`, `hint` and `retryable`."""
    try:
        result = dict(act(module))
    except CloudExitError as error:
        module.fail_json(msg=str(error), error=type(error).__name__, hint=error.hint, retryable=error.retryable)
    else:
        module.exit_json(**result)
