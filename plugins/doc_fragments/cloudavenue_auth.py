# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach Orange's own interface of Cloud Avenue: the options beside those of Cloud Director."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  interface:
    description:
      - Which form of Orange's interface is spoken.
      - V(core) is the one of 2026, with a host of its own (O(core_api)) and O(username) and O(password).
      - V(console) is the older one, on the host of Cloud Director and with its session; an API token is enough for it.
      - V(auto) is V(core) where there is a password, else V(console).
    type: str
    choices: [auto, core, console]
    default: auto
  core_api:
    description:
      - Address of Orange's interface. Left out, E(CLOUDAVENUE_CORE_API) is used, else
        V(https://api1.cloudavenue.orange-business.com).
    type: str
"""
