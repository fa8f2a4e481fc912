# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Cloud Director with Orange's API of Cloud Avenue: a server of its own that keeps state and bytes.

A part of the lab (see tests.lab.parts): up, down, save, restore, reset. Control is the lab's own door to it.
For one test alone: ``serve(folder)`` of tests.lab.vcd.make, in this process.
"""

from __future__ import annotations

from .outside import INTERNET, Outside
from .service import Control, ControlError, calls, down, packages, reset, restore, save, through_edge, up

__all__ = ["INTERNET", "Control", "ControlError", "Outside", "calls", "down", "packages", "reset", "restore", "save"]
__all__ += ["through_edge", "up"]
