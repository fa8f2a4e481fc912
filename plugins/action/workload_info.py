# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module workload_info in the process of its task where it can, see plugin_utils/here.py."""

from __future__ import annotations

from ansible_collections.cloudexit.flexible_engine.plugins.modules import workload_info
from ansible_collections.cloudexit.flexible_engine.plugins.plugin_utils.here import Here, load

load("openstack", "pyVmomi")


class ActionModule(Here):
    """The module, here."""

    MODULE = workload_info
