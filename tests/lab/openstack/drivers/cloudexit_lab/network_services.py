# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service drivers of Neutron for a cloud without agents: what the API asks of VPNs and firewalls is there at once."""

from __future__ import annotations

from neutron_fwaas.services.firewall.service_drivers import driver_api
from neutron_lib import constants
from neutron_vpnaas.services.vpn import service_drivers


class SettledVpn(service_drivers.VpnDriver):
    """VPN services and connections are ACTIVE as soon as they are made; no packet ever flows."""

    @property
    def service_type(self):
        return "lab"

    def _settle_service(self, context, service):
        self.service_plugin.set_vpnservice_status(context.elevated(), service["id"], constants.ACTIVE, True)

    def _settle_connection(self, context, connection):
        self.service_plugin.update_ipsec_site_conn_status(context.elevated(), connection["id"], constants.ACTIVE)

    def create_vpnservice(self, context, vpnservice):
        self._settle_service(context, vpnservice)

    def update_vpnservice(self, context, old_vpnservice, vpnservice):
        self._settle_service(context, vpnservice)

    def delete_vpnservice(self, context, vpnservice):
        pass

    def create_ipsec_site_connection(self, context, ipsec_site_connection):
        self._settle_connection(context, ipsec_site_connection)

    def update_ipsec_site_connection(self, context, old_ipsec_site_connection, ipsec_site_connection):
        self._settle_connection(context, ipsec_site_connection)

    def delete_ipsec_site_connection(self, context, ipsec_site_connection):
        pass


class SettledFirewall(driver_api.FirewallDriverDB):
    """Firewall groups are ACTIVE with ports, INACTIVE without, as soon as they are made."""

    def is_supported_l3_port(self, port):
        return True

    def create_firewall_group_precommit(self, context, firewall_group):
        firewall_group["status"] = constants.ACTIVE if firewall_group["ports"] else constants.INACTIVE

    def update_firewall_group_precommit(self, context, old_firewall_group, new_firewall_group):
        self.create_firewall_group_precommit(context, new_firewall_group)
