# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module vsphere_vm in the process of its task where it can, see plugin_utils/here.py."""

from __future__ import annotations

from ansible_collections.cloudexit.flexible_engine.plugins.modules import vsphere_vm
from ansible_collections.cloudexit.flexible_engine.plugins.plugin_utils.here import Here, load

load("pyVmomi")


class ActionModule(Here):
    """The module, here."""

    MODULE = vsphere_vm
