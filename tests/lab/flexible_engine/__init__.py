# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Flexible Engine: services that no OpenStack has, with recorded shapes, in the catalogue of its Keystone.

up, down, save, restore, reset: the part of an instance. Server: the same in this process, for unit tests.
"""

from __future__ import annotations

from .server import Control, Fault, Keystone, Server
from .service import control, down, reset, restore, save, up

__all__ = ["Control", "Fault", "Keystone", "Server", "control", "down", "reset", "restore", "save", "up"]
