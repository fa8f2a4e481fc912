# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach the target, vCenter or Cloud Director: the options of modules that serve either."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  hostname:
    description:
      - Name or address of the vCenter (or ESXi host), for a plan whose target is of the type V(vsphere).
      - Left out, the environment variable E(VMWARE_HOST) is used.
    type: str
  port:
    description:
      - HTTPS port of the vCenter. Left out, E(VMWARE_PORT) is used, else 443.
    type: int
  url:
    description:
      - Address of Cloud Director, for a plan whose target is of the type V(vcd).
      - Left out, the environment variable E(VCD_URL) is used, else E(CLOUDAVENUE_URL), else the console of Cloud Avenue
        to which the name of the organisation belongs.
    type: str
  org:
    description:
      - Organisation of Cloud Director to log in to. Left out, the plan's C(target.org) is used.
    type: str
  username:
    description:
      - User to log in as. Left out, E(VMWARE_USER) is used for vCenter; E(VCD_USER) or E(CLOUDAVENUE_USERNAME) for
        Cloud Director.
    type: str
  password:
    description:
      - Password of that user. Left out, E(VMWARE_PASSWORD) is used for vCenter; E(VCD_PASSWORD) or
        E(CLOUDAVENUE_PASSWORD) for Cloud Director, where there is no other way to log in.
      - It is kept in memory only.
    type: str
  api_token:
    description:
      - API token that a user made in the portal of Cloud Director, instead of a password. Left out, and with no other
        way to log in, E(VCD_API_TOKEN) or E(CLOUDAVENUE_API_TOKEN) is used.
    type: str
  token_file:
    description:
      - File with the token of a service account of Cloud Director, which is rewritten at each log-in. Left out, and
        with no other way to log in, E(VCD_TOKEN_FILE) or E(CLOUDAVENUE_TOKEN_FILE) is used.
    type: path
  validate_certs:
    description:
      - Whether the TLS certificate is verified. Left out, E(VMWARE_VALIDATE_CERTS) or E(VCD_VALIDATE_CERTS) is used,
        else it is.
    type: bool
  ca_cert:
    description:
      - File with the certificate authority (PEM) that signed the certificate.
      - Left out, E(SSL_CERT_FILE) is used, and for Cloud Director E(REQUESTS_CA_BUNDLE) after it; else the authorities
        that the system knows.
    type: path
requirements:
  - pyvmomi >= 9, < 10 for vCenter
  - requests >= 2.31 for Cloud Director
"""
