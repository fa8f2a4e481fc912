# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules for things of Cloud Director have in common: whose a thing is, what happens to edits."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Name of it.
    type: str
    required: true
  tenant:
    description:
      - The tenant that it belongs to. It is written, as a stamp, to the end of the description of what is made.
      - What does not carry the stamp of this tenant is not ours, and is never changed or removed. Where it already is
        as it should be, that is fine; otherwise it is a conflict.
    type: str
    required: true
  state:
    description:
      - Whether it is to be there.
    type: str
    choices: [present, absent]
    default: present
  overwrite:
    description:
      - Whether an edit that somebody made of it, since it was written by this collection, is overwritten. With V(false)
        it is a conflict, and nothing is changed.
    type: bool
    default: false
"""
