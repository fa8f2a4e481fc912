# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the escrow copy on the reader host, tells its progress line by line, and brings its manifests home."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.cloudexit.flexible_engine.plugins.action import disk_pass
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import from_environment


class ActionModule(disk_pass.ActionModule):
    """As a pass, into a store."""

    module = "cloudexit.flexible_engine.disk_escrow"
    purpose = "escrow"
    words: ClassVar[dict[str, str]] = {"target": "escrow"}
    done = "are in the escrow, were restored once and compared"

    def _kind(self, args: dict[str, Any]) -> str:
        """Nothing but the store is logged in to; what the reader host has not in its environment goes along."""
        store = args.get("store")
        if isinstance(store, dict):
            args["store"] = {**store, **from_environment("s3", store)}
        return ""
