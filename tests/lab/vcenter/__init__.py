# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's vCenter: VMware's simulator, with disks that keep their bytes."""

from __future__ import annotations

from tests.lab.vcenter.service import Control, ControlError, calls, down, now, options, reset, restore, save, up

__all__ = ["Control", "ControlError", "calls", "down", "now", "options", "reset", "restore", "save", "up"]
