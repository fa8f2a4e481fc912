# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes that the collection's modules declare: check mode, diff mode, action groups."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tells the change without making it.
  diff_mode:
    description: Tells in diff mode what was or would be changed.
"""

    # A module that changes something: check and diff mode in full.
    FULL = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tells the change without making it.
    support: full
  diff_mode:
    description: Tells in diff mode what was or would be changed.
    support: full
"""

    # A module that only reads.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tells the change without making it.
    support: full
    details: This module only reads; it runs the same in check mode.
  diff_mode:
    description: Tells in diff mode what was or would be changed.
    support: N/A
    details: This module only reads.
"""

    ACTIONGROUP_SOURCE = r"""
options: {}
attributes:
  action_group:
    description: >-
      Use C(group/cloudexit.flexible_engine.source) in C(module_defaults) to set the source cloud's options once.
    support: full
    membership:
      - cloudexit.flexible_engine.source
"""

    ACTIONGROUP_TARGET = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/cloudexit.flexible_engine.target) in C(module_defaults) to set the target's options once.
    support: full
    membership:
      - cloudexit.flexible_engine.target
"""

    ACTIONGROUP_BOTH = r"""
options: {}
attributes:
  action_group:
    description: >-
      Use C(group/cloudexit.flexible_engine.source) and C(group/cloudexit.flexible_engine.target) in C(module_defaults)
      to set the options of both sides once.
    support: full
    membership:
      - cloudexit.flexible_engine.source
      - cloudexit.flexible_engine.target
"""
