# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that sign for the ledger."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  signing_key:
    description:
      - File of the ledger's private key, which only its owner can read; or of its public key, while C(ssh-agent) holds
        the private one. A key with a passphrase belongs in C(ssh-agent).
    type: path
    required: true
  signers:
    description:
      - File of allowed signers, as C(ssh-keygen -Y verify) takes it. The ledger's key is there as C(ledger:<name>).
    type: path
    required: true
  tsa_url:
    description:
      - URL of a time-stamping authority (RFC 3161). Left out, there is no time stamp.
    type: str
    default: ''
  tsa_ca:
    description:
      - File of certificates (PEM) that the time stamps are checked with, up to the root.
    type: path
    default: ''
requirements:
  - OpenSSH 8.9 or later (C(ssh-keygen))
  - openssl, for time stamps
"""
