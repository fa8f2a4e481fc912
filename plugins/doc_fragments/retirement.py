# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that plan, quarantine, purge and information of a retirement share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  policy:
    description:
      - File of the retirement policy. The file of allowed signers is beside it.
    type: path
    required: true
  plan:
    description:
      - File of the migration plan. Left out for a tenant that nothing of is moved.
    type: path
  evidence_dir:
    description:
      - Directory of the ledger, and of the file C(STOP), whose presence stops every act before its next call.
    type: path
    required: true
  path:
    description:
      - File of the retirement plan; its signatures are beside it.
    type: path
    required: true
  progress_file:
    description:
      - File to which lines of progress are appended. The action plugin of the same name uses it.
    type: path
"""
