# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an object of an organisation is: the options of the modules that make, change and remove only what is ours."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  tenant:
    description:
      - Tenant that it belongs to. It is written at the end of the description (of a rule of an edge, of its name),
        together with a digest of what was configured.
      - Only what bears this tenant is ever changed or removed.
    type: str
    required: true
  state:
    description:
      - Whether it should be there.
    type: str
    choices: [present, absent]
    default: present
  overwrite:
    description:
      - Whether to change it, or remove it, although somebody edited it since. Otherwise an edit is an error, and
        nothing is changed.
    type: bool
    default: false
"""
