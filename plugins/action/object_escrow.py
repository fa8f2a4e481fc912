# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and shows its lines of progress."""

from __future__ import annotations

from ansible_collections.cloudexit.flexible_engine.plugins.plugin_utils.progress import Shown


class ActionModule(Shown):
    """One task."""

    module = "cloudexit.flexible_engine.object_escrow"
