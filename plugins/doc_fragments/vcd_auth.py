# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach Cloud Director: the options that all modules of that side share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of Cloud Director, for example V(https://console1.cloudavenue.orange-business.com).
      - Left out, the environment variable E(VCD_URL) is used, else E(CLOUDAVENUE_URL), else the console of Cloud Avenue
        to which the name of the organisation belongs.
    type: str
  org:
    description:
      - Organisation to log in to. Left out, the plan's C(target.org) is used, else E(VCD_ORG) or E(CLOUDAVENUE_ORG).
    type: str
  username:
    description:
      - User to log in as. Left out, E(VCD_USER) or E(CLOUDAVENUE_USERNAME) is used.
    type: str
  password:
    description:
      - Password of that user. Left out, and with no other way to log in, E(VCD_PASSWORD) or E(CLOUDAVENUE_PASSWORD) is
        used. It is kept in memory only.
    type: str
  api_token:
    description:
      - API token that a user made in the portal, instead of a password. Left out, and with no other way to log in,
        E(VCD_API_TOKEN) or E(CLOUDAVENUE_API_TOKEN) is used.
    type: str
  token_file:
    description:
      - File with the token of a service account, which is rewritten at each log-in. Left out, and with no other way to
        log in, E(VCD_TOKEN_FILE) or E(CLOUDAVENUE_TOKEN_FILE) is used.
    type: path
  validate_certs:
    description:
      - Whether the TLS certificate is verified. Left out, E(VCD_VALIDATE_CERTS) is used, else it is.
    type: bool
  ca_cert:
    description:
      - File with the certificate authority (PEM) that signed the certificate.
      - Left out, E(SSL_CERT_FILE) or E(REQUESTS_CA_BUNDLE) is used, else the authorities that the system knows.
    type: path
requirements:
  - requests >= 2.31
"""
