# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Barbican's API as a WSGI application; its own entry point reads a paste file below /etc only."""

from __future__ import annotations

import os

from paste import deploy

application = deploy.loadapp(f"config:{os.environ['CLOUDEXIT_LAB_PASTE']}")
