#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_prepare
short_description: Prepare a running Linux guest for other virtual hardware, before it moves
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Runs in the guest itself, as root, days before the move. Makes the same changes as
    M(cloudexit.flexible_engine.guest_adapt), except those that only make sense on the copy.
  - Everything is harmless at the source, and nothing has to be started again.
  - Every original is kept in C(/var/lib/cloudexit/prepare) and put back with O(state=absent).
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
options:
  state:
    description:
      - V(present) prepares the guest. V(absent) puts everything back that somebody else has not changed since.
    type: str
    choices: [present, absent]
    default: present
  hardware:
    description:
      - The virtual hardware at the target.
    type: dict
    suboptions:
      controllers:
        description:
          - Disk controllers, the boot disk's first.
        type: list
        elements: str
        choices: [pvscsi, lsilogic, lsisas, sata, nvme]
        default: [pvscsi]
      nics:
        description:
          - Kinds of network cards.
        type: list
        elements: str
        choices: [vmxnet3, e1000e, e1000]
        default: [vmxnet3]
      firmware:
        description:
          - What the target starts the machine with. Left out, whatever the machine is started with now.
        type: str
        choices: [bios, efi]
  cloud_init:
    description:
      - Configure cloud-init so that it takes the machine for the one that it was.
    type: bool
    default: true
  console:
    description:
      - Put a screen console beside a serial console that stands alone.
    type: bool
    default: true
  timeout:
    description:
      - Seconds that the building of one initramfs may take.
    type: int
    default: 900
seealso:
  - module: cloudexit.flexible_engine.guest_adapt
"""

EXAMPLES = r"""
- name: Prepare the guest for pvscsi and vmxnet3
  cloudexit.flexible_engine.guest_prepare:
    hardware:
      controllers: [pvscsi]
      nics: [vmxnet3]
  become: true

- name: Put the guest back as it was
  cloudexit.flexible_engine.guest_prepare:
    state: absent
  become: true
"""

RETURN = r"""
files:
  description: Every file that was changed, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path in the guest.
      type: str
      sample: /etc/fstab
    action:
      description: C(created), C(modified), C(removed), or C(rebuilt) for an initramfs.
      type: str
      sample: modified
    before:
      description: SHA-256 before; null where the file was not there.
      type: str
      sample: 424ec4f71d1c8630e2618133baae396096f41b7bd56a09d484f0992f3762ab76
    after:
      description: SHA-256 after; null where the file is gone, and in check mode for what would be rebuilt.
      type: str
      sample: 4c09b369182e95e44913b79d2ec185e2505d9ee36cdd5bf0b4d1204d466d2754
    reason:
      description: Why it was changed.
      type: str
      sample: keeps the name ens3 behind other hardware
found:
  description: What the guest is; empty with V(absent).
  returned: success
  type: dict
  sample: {name: Debian GNU/Linux 12 (bookworm), bootloader: grub2, initramfs_tool: dracut}
notes:
  description: What a person should look at.
  returned: success
  type: list
  elements: str
  sample: [open-vm-tools is wanted and not installed]
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 31.4
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import online
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    CONTROLLERS,
    FIRMWARES,
    NIC_TYPES,
    AdaptPlan,
    diff_of,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def prepare(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    if os.geteuid() != 0:
        raise CloudExitError("a guest can only be prepared as root", hint="Use become: true.")
    if params["state"] == "absent":
        done = online.restore(check=module.check_mode)
    else:
        plan = AdaptPlan.from_dict(
            {
                "hardware": params["hardware"] or {},
                "cloud_init": params["cloud_init"],
                "console": params["console"],
            }
        )
        done = online.prepare(plan, check=module.check_mode, timeout=params["timeout"])
    result = done.to_dict()
    result["notes"] = result.pop("warnings")
    if module._diff:
        result["diff"] = diff_of(done.files)
    return result


def main() -> None:
    hardware = {
        "controllers": {"type": "list", "elements": "str", "choices": list(CONTROLLERS), "default": ["pvscsi"]},
        "nics": {"type": "list", "elements": "str", "choices": list(NIC_TYPES), "default": ["vmxnet3"]},
        "firmware": {"type": "str", "choices": list(FIRMWARES)},
    }
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "hardware": {"type": "dict", "options": hardware},
            "cloud_init": {"type": "bool", "default": True},
            "console": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 900},
        },
        supports_check_mode=True,
    )
    run(module, prepare)


if __name__ == "__main__":
    main()
