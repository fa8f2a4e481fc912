# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Integration tests run the installed artefact, never the checkout; the fixtures come from tests.installed."""

from __future__ import annotations

from tests.installed import collections_path, fresh_lab, lab, operator, playbook

__all__ = ["collections_path", "fresh_lab", "lab", "operator", "playbook"]
