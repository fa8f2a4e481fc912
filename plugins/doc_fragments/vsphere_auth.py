# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach vCenter: the options that all modules of that side share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  hostname:
    description:
      - Name or address of the vCenter (or ESXi host).
      - Left out, the environment variable E(VMWARE_HOST) is used.
    type: str
    required: true
  port:
    description:
      - Its HTTPS port. Left out, E(VMWARE_PORT) is used, else 443.
    type: int
    default: 443
  username:
    description:
      - User to log in as. Left out, E(VMWARE_USER) is used.
    type: str
    required: true
  password:
    description:
      - Password of that user. Left out, E(VMWARE_PASSWORD) is used.
      - It is kept in memory only.
    type: str
    required: true
  validate_certs:
    description:
      - Whether the TLS certificate is verified. Left out, E(VMWARE_VALIDATE_CERTS) is used, else it is.
    type: bool
    default: true
  ca_cert:
    description:
      - File with the certificate authority (PEM) that signed the certificate.
    type: path
requirements:
  - pyvmomi >= 9, < 10
"""
