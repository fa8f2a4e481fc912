# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ML2 mechanism driver for a cloud without agents: each port is bound at once, each floating IP is up at once."""

from __future__ import annotations

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins import constants as plugin_types
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api


class BindEverything(api.MechanismDriver):
    """Binds any port on any host; no packet ever flows."""

    def initialize(self):
        for event in (events.AFTER_CREATE, events.AFTER_UPDATE):
            registry.subscribe(self._settle_floating_ip, resources.FLOATING_IP, event)

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        details = {portbindings.VIF_DETAILS_CONNECTIVITY: self.connectivity}
        for segment in context.segments_to_bind:
            context.set_binding(
                segment[api.ID], portbindings.VIF_TYPE_OTHER, details, status=constants.PORT_STATUS_ACTIVE
            )
            break

    def _settle_floating_ip(self, resource, event, trigger, payload=None):
        """What an L3 agent would report."""
        address = payload.latest_state
        status = constants.FLOATINGIP_STATUS_ACTIVE if address.get("port_id") else constants.FLOATINGIP_STATUS_DOWN
        routing = directory.get_plugin(plugin_types.L3)
        routing.update_floatingip_status(payload.context.elevated(), payload.resource_id or address["id"], status)
