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
      - Tenant that it belongs to. It is written, as a stamp, to the end of the description of what is made (of a rule
        of an edge, of its name), together with a digest of what was configured.
      - What does not carry the stamp of this tenant is not ours, and is never changed or removed. Where it already is
        as it should be, that is fine; otherwise it is a conflict.
      - What M(cloudexit.flexible_engine.network_prepare) made has a stamp of its own, and is not ours here.
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

    # One thing, by its name.
    NAMED = r"""
options:
  name:
    description:
      - Name of it.
    type: str
    required: true
"""

    # A text for people at a part of the network.
    DESCRIBED = r"""
options:
  description:
    description:
      - Text for people. A change of it alone changes nothing.
    type: str
    default: ''
"""

    # On an edge gateway.
    EDGE = r"""
options:
  edge:
    description:
      - Edge gateway that it is on.
    type: str
    required: true
"""

    # What rules of the firewalls name.
    RULES = r"""
options:
  edge:
    description:
      - Edge gateway for whose rules it is. Where the edge belongs to a VDC group, it is the group's.
      - Exactly one of O(edge) and O(vdc_group) is needed.
    type: str
  vdc_group:
    description:
      - VDC group for whose rules it is.
    type: str
"""
