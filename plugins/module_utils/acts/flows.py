# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen on guests into the tenant's file of flows, together with what was seen there before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import sockets as guests
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import observations, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import Flows, Sockets


def load_sockets(servers: Mapping[str, Any]) -> dict[str, Sockets]:
    """Plain data by id of the server; raises InvalidInput with all problems."""
    loaded: dict[str, Sockets] = {}
    problems: list[Problem] = []
    for server_id, data in servers.items():
        found, more = schema.load(Sockets, data, schema.join("servers", server_id))
        problems += more
        if not server_id:
            problems.append(Problem("servers", "holds an empty id"))
        elif found is not None:
            loaded[server_id] = found
    if problems:
        raise InvalidInput("What was seen is not valid", problems, hint="Give what socket_info returned.")
    return loaded


def added(before: Sockets, now: Sockets) -> Sockets:
    """Two looks at one guest as one: samples add up, and so does how often each peer was seen."""
    return guests.picture(
        samples=before.samples + now.samples,
        addresses=[*before.addresses, *now.addresses],
        listeners=[*before.listeners, *now.listeners],
        peers=[*before.peers, *now.peers],
    )


def writing(path: str, servers: Mapping[str, Sockets], *, merge: bool = True) -> tuple[Flows, assess.Writing]:
    """The flows that `path` shall hold, and what that changes there. `merge`: with what it holds already."""
    held = assess.writing(path, "")
    together: dict[str, Sockets] = {}
    if merge and held.before is not None:
        together.update(observations.loads(Flows, held.before, f"The flows {held.path}").servers)
    for server_id, now in servers.items():
        together[server_id] = added(together[server_id], now) if server_id in together else now
    flows = Flows(kind=observations.FLOWS, version=observations.VERSION, servers=dict(sorted(together.items())))
    return flows, assess.Writing(held.path, held.before, observations.to_text(flows))
