#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_adapt
short_description: Make a Linux guest bootable on other virtual hardware, on a copy of its disk
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Runs on the reader host, as root, on the clone of a boot disk that is attached there. The guest does not run.
  - Puts the drivers of the target's controllers and network cards into every initramfs that lacks them (initramfs-tools
    and dracut), names disks by UUID in fstab, crypttab and the boot loader's files, pins the names of network cards to
    their MAC addresses, keeps static addresses, puts the loader at the path that every UEFI firmware tries, keeps
    cloud-init from setting the machine up as a new one, and keeps the source cloud's services from starting.
  - The guest is examined first, read-only. What is not understood is refused with every reason, before anything is
    written.
  - A second run changes nothing. A run that was killed half way is noticed (RV(ignore:dirty)); the clone then has to be
    made anew.
  - The guest's own program that builds the initramfs runs in namespaces of its own, without network, without writing to
    the guest's disk and with few capabilities. That is containment, not isolation, so use a reader host that can be
    thrown away.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
requirements:
  - Linux 5.8 or later with loop devices, util-linux, mtools (for UEFI guests) and zstd on the reader host
  - PyYAML, for guests that use netplan
  - blake3 (for O(hash_before))
options:
  workload:
    description:
      - The workload, the host variable C(cloudexit) of the plan inventory. Says the hardware, the network cards and
        whether the guest is adapted at all. Needs O(clones).
    type: dict
  clones:
    description:
      - What M(cloudexit.flexible_engine.disk_clone) returned as C(clones). The boot clone is adapted; the others are
        only read, to learn what device names in the guest mean.
    type: list
    elements: dict
  device:
    description:
      - Path of the disk, a block device or a raw image, in place of O(workload).
    type: path
  identity:
    description:
      - What the disk of O(device) is, for example the id of the volume. With it, a record of what was done is kept in
        O(state_dir), an adaptation that was started and not finished is noticed, and O(hash_before) is done.
    type: str
  mode:
    description:
      - With V(none), the guest is left as it is.
    type: str
    choices: [offline, none]
    default: offline
  hardware:
    description:
      - The virtual hardware at the target. Only with O(device).
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
          - What the target starts the machine with. Left out, whatever the disk is made for.
        type: str
        choices: [bios, efi]
  nics:
    description:
      - The network cards, in the order of the source. Only with O(device).
    type: list
    elements: dict
    default: []
    suboptions:
      mac:
        description:
          - MAC address at the source.
        type: str
        required: true
      new_mac:
        description:
          - MAC address at the target, where it is another one.
        type: str
      keep_mac:
        description:
          - V(false) says that the target gives another MAC address that is not known yet. A card that the guest's
            configuration names is then refused.
        type: bool
        default: true
      name:
        description:
          - The guest's name for it, where its files do not tell.
        type: str
      addresses:
        description:
          - Its IP addresses, which help to find the name.
        type: list
        elements: str
        default: []
  data_disks:
    description:
      - The other disks of the server, which are only read. Only with O(device).
    type: list
    elements: dict
    default: []
    suboptions:
      device:
        description:
          - Path of the disk on the reader host.
        type: path
        required: true
      name:
        description:
          - What the guest called it, for example V(vdb). Left out, by the order.
        type: str
      serial:
        description:
          - Its serial at the source, the first 20 characters of the volume's id.
        type: str
  disable_agents:
    description:
      - Keep the services of the source cloud from starting.
    type: bool
    default: true
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
  hash_before:
    description:
      - Take the manifest of the untouched disk before the first change. It is the proof against the source. Nothing is
        hashed when nothing is to be changed, nor with O(device) without O(identity).
    type: bool
    default: true
  state_dir:
    description:
      - Directory of the reader host for the record of what was done, the manifest, and the originals of changed files.
    type: path
    default: /var/lib/cloudexit
  wait_timeout:
    description:
      - Seconds to wait for the clones' devices to appear.
    type: int
    default: 60
  timeout:
    description:
      - Seconds that the building of one initramfs may take.
    type: int
    default: 900
seealso:
  - module: cloudexit.flexible_engine.disk_clone
  - module: cloudexit.flexible_engine.guest_prepare
"""

EXAMPLES = r"""
- name: Make the boot clone of a workload bootable at the target
  cloudexit.flexible_engine.guest_adapt:
    workload: "{{ cloudexit }}"
    clones: "{{ cloned.clones }}"
  delegate_to: "{{ cloudexit.reader.name }}"
  become: true

- name: Tell what would be changed in a raw image
  cloudexit.flexible_engine.guest_adapt:
    device: /srv/images/web-1.raw
    hardware:
      controllers: [pvscsi]
      nics: [vmxnet3]
      firmware: bios
    nics:
      - mac: fa:16:3e:2b:6c:01
        addresses: [10.20.0.11]
  check_mode: true
  diff: true
"""

RETURN = r"""
files:
  description: Every file of the guest that was changed, or in check mode would be. On a later run, those of the run
    that did it.
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
      description: SHA-256 before; null where the file was not there. For a symbolic link that of its target's name.
      type: str
      sample: 424ec4f71d1c8630e2618133baae396096f41b7bd56a09d484f0992f3762ab76
    after:
      description: SHA-256 after; null where the file is gone, and in check mode for what would be rebuilt.
      type: str
      sample: 4c09b369182e95e44913b79d2ec185e2505d9ee36cdd5bf0b4d1204d466d2754
    reason:
      description: Why it was changed.
      type: str
      sample: names disks by UUID, and the screen beside the serial console
found:
  description: What the guest is; empty where it was not looked at.
  returned: success
  type: dict
  contains:
    name:
      description: Its name and version.
      type: str
      sample: Debian GNU/Linux 12 (bookworm)
    kernels:
      description: Its kernels, with the controllers and network cards that each can drive.
      type: list
      elements: dict
    bootloader:
      description: Its boot loader.
      type: str
      sample: grub2
    firmware:
      description: The firmware that its disk can be started with.
      type: list
      elements: str
      sample: [bios]
    initramfs_tool:
      description: The tool that builds its initramfs.
      type: str
      sample: initramfs-tools
    network_tools:
      description: The tools that configure its network.
      type: list
      elements: str
      sample: [netplan]
    root_spec:
      description: What its fstab mounts as root.
      type: str
      sample: UUID=ac678246-dae1-48a5-9a1e-b25c91d5e8ff
notes:
  description: What a person should look at after the move.
  returned: success
  type: list
  elements: str
  sample: [open-vm-tools is wanted and not installed]
device:
  description: The device that was adapted; empty with V(none).
  returned: success
  type: str
  sample: /dev/vdc
manifest_before:
  description: Root of the manifest of the untouched disk. Empty where none was asked for or nothing was to be changed.
  returned: success
  type: str
  sample: blake3:0f4c…
manifest_file:
  description: File of that manifest on the reader host.
  returned: success
  type: str
  sample: /var/lib/cloudexit/guests/1f0c9f3f4a4a4f7c8d9e/before.manifest
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 24.1
dirty:
  description: Whether the disk may be half adapted and has to be made anew.
  returned: always
  type: bool
  sample: false
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import adapt as acts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.job import job_id
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    CONTROLLERS,
    FIRMWARES,
    MODES,
    NIC_TYPES,
    AdaptPlan,
    AdaptResult,
    diff_of,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run

CHOSEN = ("mode", "disable_agents", "cloud_init", "console")


def work_of(params: dict[str, Any]) -> acts.Work | None:
    chosen = {key: params[key] for key in CHOSEN}
    if params["mode"] == "none":
        return None
    if params["workload"] is not None:
        return acts.of_workload(
            params["workload"],
            params["clones"],
            state_dir=params["state_dir"],
            wait_s=params["wait_timeout"],
            hash_before=params["hash_before"],
            options=chosen,
        )
    given = {"hardware": params["hardware"] or {}, "nics": params["nics"], "data_disks": params["data_disks"]}
    identity = params["identity"] or ""
    return acts.Work(
        device=params["device"],
        plan=AdaptPlan.from_dict({**chosen, **given}),
        identity=identity,
        record=f"{params['state_dir']}/guests/{job_id(identity)}" if identity else "",
        hash_before=params["hash_before"],
    )


def adapt(module: AnsibleModule) -> dict[str, Any]:
    work = work_of(module.params)
    if work is None:
        adapted, device = acts.Adapted(AdaptResult()), ""
    else:
        device = work.device
        try:
            adapted = acts.run(work, check=module.check_mode, timeout_s=module.params["timeout"])
        except acts.Dirty as error:
            module.fail_json(
                msg=str(error), error="Dirty", hint=error.hint, retryable=True, dirty=True, device=work.device
            )
    result = adapted.to_dict()
    result.update(notes=result.pop("warnings"), device=device, dirty=False)
    if module._diff:
        result["diff"] = diff_of(adapted.result.files) if adapted.result.changed else []
    return result


def main() -> None:
    nic = {
        "mac": {"type": "str", "required": True},
        "new_mac": {"type": "str"},
        "keep_mac": {"type": "bool", "default": True},
        "name": {"type": "str"},
        "addresses": {"type": "list", "elements": "str", "default": []},
    }
    disk = {"device": {"type": "path", "required": True}, "name": {"type": "str"}, "serial": {"type": "str"}}
    hardware = {
        "controllers": {"type": "list", "elements": "str", "choices": list(CONTROLLERS), "default": ["pvscsi"]},
        "nics": {"type": "list", "elements": "str", "choices": list(NIC_TYPES), "default": ["vmxnet3"]},
        "firmware": {"type": "str", "choices": list(FIRMWARES)},
    }
    module = AnsibleModule(
        argument_spec={
            "workload": {"type": "dict"},
            "clones": {"type": "list", "elements": "dict"},
            "device": {"type": "path"},
            "identity": {"type": "str"},
            "mode": {"type": "str", "choices": list(MODES), "default": "offline"},
            "hardware": {"type": "dict", "options": hardware},
            "nics": {"type": "list", "elements": "dict", "default": [], "options": nic},
            "data_disks": {"type": "list", "elements": "dict", "default": [], "options": disk},
            "disable_agents": {"type": "bool", "default": True},
            "cloud_init": {"type": "bool", "default": True},
            "console": {"type": "bool", "default": True},
            "hash_before": {"type": "bool", "default": True},
            "state_dir": {"type": "path", "default": "/var/lib/cloudexit"},
            "wait_timeout": {"type": "int", "default": 60},
            "timeout": {"type": "int", "default": 900},
        },
        required_one_of=[("workload", "device")],
        mutually_exclusive=[("workload", "device")],
        required_by={"workload": ["clones"]},
        supports_check_mode=True,
    )
    run(module, adapt)


if __name__ == "__main__":
    main()
