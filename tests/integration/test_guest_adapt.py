# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""guest_adapt and prepare_guest, of the installed collection, on the lab's guests.

The soak tests start the guests in QEMU: behind pvscsi and vmxnet3 a guest must start after it was adapted, and must not
without.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.installed import BIN, Playbook, clean_env
from tests.lab.guests import build
from tests.lab.hypervisor import trial
from tests.lab.hypervisor.guest import Guest
from tests.lab.hypervisor.machine import Disk, Machine, Network, Nic
from tests.lab.paths import HOST, Instance, lab_root

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

MAC = "fa:16:3e:00:00:01"
FLAVOURS = ("bios-initramfs-ifupdown", "bios-vda-netplan", "uefi-dracut-networkd")
ADAPT = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Adapt
      cloudexit.flexible_engine.guest_adapt:
        device: "{{ device }}"
        identity: "{{ identity }}"
        state_dir: "{{ state_dir }}"
        hardware: "{{ hardware }}"
        nics: [{mac: "fa:16:3e:00:00:01", addresses: ["{{ address }}"]}]
        data_disks: [{device: "{{ data }}"}]
      register: adapted

    - name: Tell
      ansible.builtin.copy:
        content: "{{ adapted | to_json }}"
        dest: "{{ state_dir }}.json"
        mode: "0600"
      check_mode: false
      changed_when: false
      diff: false
"""
PREPARE = """
- hosts: guests
  gather_facts: false
  roles:
    - role: cloudexit.flexible_engine.prepare_guest
"""


class Image:
    """A copy of one of the lab's guests."""

    def __init__(self, flavour: str, folder: Path) -> None:
        self.info = build.ensure(lab_root() / "cache", flavour)
        self.folder = folder
        self.root = self._copy("root.raw", self.info["root"])
        self.data = self._copy("data.raw", self.info["data_disk"])
        self.state = folder / "state"

    def _copy(self, name: str, source: str) -> Path:
        target = self.folder / name
        subprocess.run(["cp", "--sparse=always", source, target], check=True)
        return target

    @property
    def address(self) -> str:
        return self.info["network"]["address"] or "10.20.0.11"

    @property
    def offset(self) -> int:
        table = json.loads(subprocess.run(["sfdisk", "-J", self.root], capture_output=True, check=True).stdout)
        return int(table["partitiontable"]["partitions"][-1]["start"]) * 512

    def clean(self) -> bool:
        command = ["e2fsck", "-fn", f"{self.root}?offset={self.offset}"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def digest(self) -> str:
        return hashlib.file_digest(open(self.root, "rb"), "sha256").hexdigest()

    def arguments(self, identity: str = "clone-1", **hardware: Any) -> dict[str, Any]:
        return {
            "device": str(self.root),
            "data": str(self.data),
            "identity": identity,
            "address": self.address,
            "state_dir": str(self.state),
            "hardware": {"controllers": ["pvscsi"], "nics": ["vmxnet3"], "firmware": self.info["firmware"], **hardware},
        }

    def result(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(Path(f"{self.state}.json").read_text())
        return result

    def boot(self, side: str = "target") -> trial.Outcome:
        """Start it; at the target with empty firmware variables."""
        return trial.boot(
            [self.root, self.data],
            side=side,
            firmware=self.info["firmware"],
            address=self.address,
            mac=MAC,
            timeout=600,
            powerdown=side == "source",
        )


@pytest.fixture
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Image:
    (tmp_path / "adapt.yml").write_text(ADAPT)
    (tmp_path / "image").mkdir()
    return Image(getattr(request, "param", FLAVOURS[1]), tmp_path / "image")


def test_check_then_adapt_then_nothing(playbook: Playbook, image: Image, tmp_path: Path) -> None:
    """A root by /dev/vda1 and a static address with netplan."""
    adapt = str(tmp_path / "adapt.yml")
    before = image.digest()
    told = playbook(adapt, "--check", "--diff", extra=image.arguments()).ok()
    assert "-/dev/vda1 / ext4" in told.output and f"+UUID={image.info['uuids']['root']} / ext4" in told.output
    assert image.digest() == before and not image.state.exists()

    playbook(adapt, extra=image.arguments()).ok()
    done = image.result()
    assert done["manifest_before"].startswith("blake3:") and Path(done["manifest_file"]).is_file()
    assert {file["path"] for file in done["files"]} == {
        "/boot/grub/grub.cfg",
        f"/boot/initrd.img-{image.info['kernel']}",
        "/etc/default/grub",
        "/etc/fstab",
        "/etc/initramfs-tools/modules",
        "/etc/systemd/network/10-cloudexit-ens3.link",
    }
    assert all(file["after"] for file in done["files"]) and image.clean()

    after = image.digest()
    again = playbook(adapt, extra=image.arguments()).ok()
    assert again.changed == 0 and image.result()["files"] == done["files"]
    shutil.rmtree(image.state)  # without the record the guest itself says that nothing is left to do
    assert playbook(adapt, extra=image.arguments()).ok().changed == 0
    assert image.digest() == after


def test_hardware_that_the_kernel_cannot_drive(playbook: Playbook, image: Image, tmp_path: Path) -> None:
    before = image.digest()
    asked = image.arguments(controllers=["lsilogic"], nics=["e1000e"], firmware="efi")
    played = playbook(str(tmp_path / "adapt.yml"), extra=asked)
    assert played.code != 0
    for told in (
        "the controller lsilogic; it can drive: pvscsi, nvme",
        "e1000e; it can drive: vmxnet3",
        "made for bios",
    ):
        assert told in played.output
    assert image.digest() == before


@pytest.mark.parametrize("everything", [False, True], ids=["the controller only", "the module too"])
def test_killed_half_way(
    playbook: Playbook, image: Image, collections_path: Path, tmp_path: Path, everything: bool
) -> None:
    """SIGKILL while the initramfs is built: a module that lives on is waited for, a dead one leaves a dirty clone."""
    command = [str(BIN / "ansible-playbook"), str(tmp_path / "adapt.yml"), "-e", json.dumps(image.arguments())]
    running = subprocess.Popen(
        command, env=clean_env(collections_path), cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while b"mkinitramfs -d /tmp/cloudexit-conf" not in _command_lines() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    (lock,) = image.state.glob("guests/*/lock")
    holders = _holders(lock)
    assert holders, "the module ended with the controller"
    if not everything:
        again = playbook(str(tmp_path / "adapt.yml"), extra=image.arguments()).ok()
        assert again.changed == 0 and len(image.result()["files"]) == 6 and image.clean()
        return
    for pid in holders:
        os.kill(pid, signal.SIGKILL)
    while _loops(image.root) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _loops(image.root)
    played = playbook(str(tmp_path / "adapt.yml"), extra=image.arguments())
    assert played.code != 0 and "may be half adapted" in played.output and '"dirty": true' in played.output
    renewed = Image(FLAVOURS[1], image.folder)
    assert playbook(str(tmp_path / "adapt.yml"), extra=renewed.arguments("clone-2")).ok().changed == 1


def _holders(path: Path) -> list[int]:
    """The processes that have a file open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(path):
                found.append(int(link.parts[2]))
        except OSError:
            continue
    return sorted(set(found))


def _loops(path: Path) -> bytes:
    return subprocess.run(["losetup", "-j", path], capture_output=True, check=True).stdout


def _command_lines() -> bytes:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout


# with the guests running


@pytest.mark.soak
@pytest.mark.parametrize("image", FLAVOURS, indirect=True)
def test_it_starts_only_when_adapted(playbook: Playbook, image: Image, tmp_path: Path) -> None:
    failed = image.boot()
    assert not failed.up, failed
    assert failed.why, failed
    renewed = Image(image.info["flavour"], image.folder)
    playbook(str(tmp_path / "adapt.yml"), extra=renewed.arguments()).ok()
    started = renewed.boot()
    assert started.up, started.console[-4000:]
    assert started.report
    assert (started.report["storage"], started.report["nic"]) == ("vmw_pvscsi", "vmxnet3")
    assert started.report["nics"] == ["ens3"]
    if image.info["network"]["address"]:
        assert started.report["ips"] == [image.info["network"]["address"]]


@pytest.fixture
def running(image: Image, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The guest running at the source, and how Ansible logs in to it."""
    instance = Instance("prepare", root=str(tmp_path / "lab"))
    instance.make_dirs()
    ports = {22: trial._free_port(), 80: trial._free_port()}
    net = Network.of("10.20.0.0/24", "10.20.0.1", image.address)
    disks = tuple(
        Disk(str(path), "virtio", 0, unit, f"disk-{unit}") for unit, path in enumerate((image.root, image.data))
    )
    nic = Nic(MAC, "virtio", net, ports)
    machine = Machine("source", "guest", trial.UUID, image.info["firmware"], 1, 512, disks, (nic,))
    guest = Guest(instance, machine.key)
    nvram = tmp_path / "vars.fd"
    if image.info.get("nvram"):
        shutil.copy(image.info["nvram"], nvram)
    guest.start(machine, "guest", nvram)
    try:
        deadline = time.monotonic() + 600
        while not guest.report():
            assert guest.running() and time.monotonic() < deadline, guest.serial.read_text(errors="replace")[-4000:]
            time.sleep(0.5)
        yield {
            "guest": guest,
            "login": {
                "ansible_host": HOST,
                "ansible_port": ports[22],
                "ansible_user": image.info["ssh"]["user"],
                "ansible_ssh_private_key_file": image.info["ssh"]["key"],
                "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
                "ansible_ssh_timeout": 120,
                "ansible_python_interpreter": "/usr/bin/python3",
            },
        }
    finally:
        if guest.running():
            guest.kill()


@pytest.mark.soak
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("image", FLAVOURS[1:], indirect=True)
def test_prepared_while_it_runs(playbook: Playbook, image: Image, running: dict[str, Any], tmp_path: Path) -> None:
    """Prepared, put back, prepared again; then nothing but the agents is left to do offline, and it starts."""
    (tmp_path / "prepare.yml").write_text(PREPARE)
    (tmp_path / "hosts.json").write_text(json.dumps({"guests": {"hosts": {"guest": running["login"]}}}))
    run = [str(tmp_path / "prepare.yml"), "-i", tmp_path / "hosts.json"]
    prepare = {"prepare_guest_open_vm_tools": False}
    assert playbook(*run, "--check", "--diff", extra=prepare, timeout=1200).ok().changed == 1
    assert playbook(*run, extra=prepare, timeout=1200).ok().changed == 1
    assert playbook(*run, extra=prepare, timeout=1200).ok().changed == 0
    absent = {**prepare, "prepare_guest_state": "absent"}
    assert playbook(*run, extra=absent, timeout=1200).ok().changed == 1
    assert playbook(*run, extra=absent, timeout=1200).ok().changed == 0
    assert playbook(*run, extra=prepare, timeout=1200).ok().changed == 1

    guest = running["guest"]
    end = time.monotonic() + 120
    while guest.running() and time.monotonic() < end:
        guest.press_power(110)
        time.sleep(0.5)
    playbook(str(tmp_path / "adapt.yml"), extra=image.arguments()).ok()
    left = [file["path"] for file in image.result()["files"]]
    assert [path for path in left if "/systemd/system/" not in path] == []
    started = image.boot()
    assert started.up, started.console[-4000:]


def test_the_controller_is_not_prepared_by_accident(playbook: Playbook, tmp_path: Path) -> None:
    (tmp_path / "prepare.yml").write_text(PREPARE)
    hosts = {"guests": {"hosts": {"web-1": {"ansible_connection": "local"}}}}
    (tmp_path / "hosts.json").write_text(json.dumps(hosts))
    played = playbook(str(tmp_path / "prepare.yml"), "-i", tmp_path / "hosts.json", "--check")
    assert played.code != 0 and "the machine that runs Ansible would be changed" in played.output
