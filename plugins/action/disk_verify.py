# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the reading on the reader host, and tells its progress line by line."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.cloudexit.flexible_engine.plugins.action import disk_pass


class ActionModule(disk_pass.ActionModule):
    """As a pass, but nothing is sent."""

    module = "cloudexit.flexible_engine.disk_verify"
    purpose = "verify"
    words: ClassVar[dict[str, str]] = {}
    done = "of the source are what moved"

    def _kind(self, args: dict[str, Any]) -> str:
        return ""
