# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's OpenStack: real services, with four small drivers of our own where OpenStack takes drivers.

up, down, save, restore: the life of an instance's cloud. calls, revoke_tokens, token_lifetime, stop_service,
start_service: for tests.
"""

from __future__ import annotations

from .access import Call, Calls, calls
from .faults import revoke_tokens, start_service, stop_service, token_lifetime
from .install import packages
from .lifecycle import down, status, up
from .state import restore, save

__all__ = [
    "Call",
    "Calls",
    "calls",
    "down",
    "packages",
    "restore",
    "revoke_tokens",
    "save",
    "start_service",
    "status",
    "stop_service",
    "token_lifetime",
    "up",
]
