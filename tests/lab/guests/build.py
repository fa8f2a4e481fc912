# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building guests: one base for all, a root file system for each flavour, and its disks.

``ensure(cache_dir, flavour)`` is the way in. A build is found again by the hash of its sources and key.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import image, tiny, tools
from .flavours import BASE_PACKAGES, FLAVOURS, GIB, NETWORK, NIC, VIRTIO, Flavour, common_files, common_script

Say = Callable[[str], None]
HERE = Path(__file__).resolve().parent
KEEP_BUILDS = 2


def _quiet(_message: str) -> None:
    return None


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def ensure_key(cache: Path) -> Path:
    """The key pair that logs in to every guest, made once. Returns the private key's path (0600)."""
    key = cache / "guests" / "id_ed25519"
    with _locked(cache / "guests" / ".lock-key"):
        if not key.exists() or not key.with_suffix(".pub").exists():
            key.unlink(missing_ok=True)
            tools.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", key], what="key for guests")
    return key


def _digest(*parts: str | bytes) -> str:
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(len(data).to_bytes(8, "big") + data)
    return h.hexdigest()[:12]


def build_id(flavour: str, public_key: str) -> str:
    """What a build's folder is called: changes with the builder, with what the flavour is, and with the key."""
    chosen = FLAVOURS[flavour]
    sources = [HERE / name for name in ("build.py", "image.py", "tools.py", "nvram.py")]
    if chosen.initramfs == "none":
        sources += [HERE / "tiny.py", *sorted((HERE / "files").glob("tiny-*"))]
    texts = [p.read_text() for p in sources]
    files = [f"{k} {v}" for k, v in sorted(common_files(chosen, public_key, "").items())]
    return f"{flavour}-{_digest(repr(chosen), common_script(chosen), *BASE_PACKAGES, *files, *texts)}"


def _base_script() -> tuple[str, list[str]]:
    options = ['Apt::Install-Recommends "0";', 'Acquire::Languages "none";', *tools.apt_options()]
    exclude = ["doc", "man", "locale", "info", "lintian", "bug"]
    dpkg = [f"path-exclude=/usr/share/{name}/*" for name in exclude] + ["force-unsafe-io", "force-confold"]
    return "minbase", [f"--aptopt={o}" for o in options] + [f"--dpkgopt={o}" for o in dpkg]


def _ensure_base(cache: Path, say: Say) -> Path:
    """The tarball all flavours start from: Debian 12, kernel, systemd, ssh, Python."""
    variant, options = _base_script()
    name = f"base-{_digest(variant, *BASE_PACKAGES, *[o for o in options if o.startswith('--dpkgopt')])}.tar"
    base = cache / "guests" / name
    with _locked(cache / "guests" / ".lock-base"):
        if base.exists() and time.time() - base.stat().st_mtime < 30 * 86400:
            return base
        begun = time.monotonic()
        say("guests: Debian base system")
        debs = cache / "debs"
        debs.mkdir(parents=True, exist_ok=True)
        part = base.with_name(f".{base.name}.part")
        debs_in = f'mkdir -p "$1/var/cache/apt/archives"; cp -ln {debs}/*.deb "$1/var/cache/apt/archives/" || true'
        debs_out = (
            f'cp -ln "$1"/var/cache/apt/archives/*.deb {debs}/ || cp -n "$1"/var/cache/apt/archives/*.deb {debs}/;'
            ' rm -f "$1"/var/cache/apt/archives/*.deb'
        )
        tools.run(
            [
                "mmdebstrap",
                "--mode=root",
                f"--variant={variant}",
                "--format=tar",
                *options,
                "--include=" + ",".join(BASE_PACKAGES),
                f"--setup-hook={debs_in} 2>/dev/null",
                f"--customize-hook={debs_out}",
                "--skip=cleanup/apt/lists,download/empty",
                "bookworm",
                part,
                "-",
            ],
            what="Debian base system",
            stdin="\n".join(tools.debian_mirrors()) + "\n",
            env={"TMPDIR": str(cache / "guests"), "INITRD": "No"},
        )
        for old in base.parent.glob("base-*.tar"):
            old.unlink()
        part.rename(base)
        say(f"guests: Debian base system: {time.monotonic() - begun:.0f} s")
    return base


def _put(root: Path, path: str, content: str, mode: int) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(content)
    file.chmod(mode)


def _install(root: Path, cache: Path, packages: tuple[str, ...]) -> None:
    """Install packages inside root, with the package cache that all builds share."""
    archives = root / "var/cache/apt/archives"
    archives.mkdir(parents=True, exist_ok=True)
    debs = cache / "debs"

    def copy(source: Path, to: Path) -> None:
        with contextlib.suppress(FileExistsError):
            try:
                os.link(source, to / source.name)
            except OSError:
                if not (to / source.name).exists():
                    shutil.copy2(source, to / source.name)

    for deb in debs.glob("*.deb"):
        copy(deb, archives)
    resolv = root / "etc/resolv.conf"
    if Path("/etc/resolv.conf").exists():
        resolv.unlink(missing_ok=True)
        shutil.copyfile("/etc/resolv.conf", resolv)
    _put(root, "/etc/apt/apt.conf.d/99build", "\n".join(tools.apt_options()) + "\n", 0o644)
    _put(root, "/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    tools.in_chroot(
        root,
        "echo grub-pc grub-pc/install_devices multiselect | debconf-set-selections\n"
        "echo grub-pc grub-pc/install_devices_empty boolean true | debconf-set-selections\n"
        f"apt-get -q -y --no-install-recommends install {' '.join(packages)}\n",
        what=f"packages {' '.join(packages)}",
    )
    for deb in archives.glob("*.deb"):
        copy(deb, debs)
        deb.unlink()
    for leftover in ("etc/apt/apt.conf.d/99build", "usr/sbin/policy-rc.d", "etc/resolv.conf"):
        (root / leftover).unlink(missing_ok=True)


def _clean(root: Path) -> None:
    for folder in ("var/lib/apt/lists", "var/cache/apt", "var/cache/debconf", "var/log", "tmp", "run"):
        for entry in (root / folder).iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    for old in root.glob("etc/apt/apt.conf.d/99mmdebstrap"):
        old.unlink()


def _kernel(root: Path) -> str:
    return sorted(p.name for p in (root / "lib/modules").iterdir())[-1]


def _initramfs(flavour: Flavour, root: Path) -> None:
    if flavour.initramfs == "dracut":
        # Host-only asks the machine that it runs on for its drivers; here that must be the lab's source hardware.
        kernel = _kernel(root)
        drivers = " ".join(VIRTIO)
        script = f"dracut --force --hostonly --drivers '{drivers} ext4' /boot/initrd.img-{kernel} {kernel}"
    else:
        script = f"update-initramfs -c -k {_kernel(root)}"
    tools.in_chroot(root, script, what=f"initramfs with {flavour.initramfs}")


def _describe(flavour: Flavour, key: Path, kernel: str) -> dict[str, Any]:
    return {
        "flavour": flavour.name,
        "title": flavour.title,
        "os": "debian12",
        "guest_id": "debian12_64Guest",
        "hostname": flavour.hostname,
        "firmware": flavour.firmware,
        "kernel": kernel,
        "initramfs": flavour.initramfs,
        "root_by": flavour.root_by,
        "data": flavour.data,
        "memory_mib": flavour.memory_mib,
        "ssh": {"user": "root", "key": str(key)},
        "http": {"port": 80, "records": "/records.log"},
        "network": {
            **NETWORK,
            "tool": flavour.network_tool,
            "addressing": flavour.addressing,
            "address": flavour.address,
            "nic": NIC,
        },
    }


def _configure(layout: image.Layout, root: Path, public_key: str) -> None:
    """Make a Debian tree the guest that the flavour says."""
    flavour = layout.flavour
    for path, (content, mode) in common_files(flavour, public_key, uuid.uuid4().hex).items():
        _put(root, path, content, mode)
    (root / "root/.ssh").chmod(0o700)
    tools.in_chroot(root, common_script(flavour), what="set the guest up")
    _put(root, "/etc/fstab", layout.fstab(), 0o644)
    (root / "srv/data").mkdir(parents=True, exist_ok=True)
    _initramfs(flavour, root)
    _clean(root)


def _build(cache: Path, flavour: Flavour, key: Path, target: Path, say: Say) -> None:
    base = _ensure_base(cache, say)
    begun = time.monotonic()
    say(f"guests: {flavour.name}")
    work = target.with_name(f".{target.name}.part")
    tools.sweep_loops(work)
    shutil.rmtree(work, ignore_errors=True)
    root = work / "root"
    root.mkdir(parents=True)
    tools.run(["tar", "-C", root, "--numeric-owner", "-xf", base], what="unpack the base system")
    _install(root, cache, flavour.packages)
    layout = image.Layout.new(flavour)
    kernel = _kernel(root)
    public_key = key.with_suffix(".pub").read_text()
    if flavour.initramfs == "none":
        small = work / "small"
        tiny.make_tree(root, small, kernel, public_key, layout.root_uuid, layout.data_uuid)
        image.make_root(layout, small, work / "root.raw", GIB, loader=root)
        shutil.rmtree(small)
    else:
        _configure(layout, root, public_key)
        image.make_root(layout, root, work / "root.raw", GIB)
    image.make_data(layout, root, work / "data.raw", GIB)
    info = _describe(flavour, key, kernel)
    if flavour.firmware == "efi":
        image.make_nvram(layout, work / "vars.fd")
        info["nvram"] = str(target / "vars.fd")
    info.update(
        root=str(target / "root.raw"),
        data_disk=str(target / "data.raw"),
        uuids={"root": layout.root_uuid, "data": layout.data_uuid},
    )
    shutil.rmtree(root)
    (work / "guest.json").write_text(json.dumps(info, indent=2, sort_keys=True) + "\n")
    work.rename(target)
    say(
        f"guests: {flavour.name}: {time.monotonic() - begun:.0f} s, "
        f"{info_size(target / 'root.raw'):.0f} MiB + {info_size(target / 'data.raw'):.0f} MiB"
    )


def info_size(file: Path) -> float:
    """MiB that a sparse file takes."""
    return file.stat().st_blocks * 512 / (1 << 20)


def _prune(folder: Path, flavour: str) -> None:
    builds = sorted(folder.glob(f"{flavour}-" + "?" * 12), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in builds[KEEP_BUILDS:]:
        shutil.rmtree(old, ignore_errors=True)


def ensure(cache_dir: Path | str, flavour: str, say: Say = _quiet) -> dict[str, Any]:
    """Build a guest, or find the build in the cache; returns its description with absolute paths.

    Keys: ``root`` and ``data_disk`` (sparse raw files of 1 GiB), ``nvram`` (UEFI only: variables with the boot entry),
    ``firmware``, ``memory_mib``, ``ssh`` {user, key}, ``http``, ``network`` {cidr, gateway, address, addressing, nic},
    and what else guest.json holds. ``<cache>/guests/<flavour>`` is a link to the newest build. Needs root. Raises
    KeyError for an unknown flavour and BuildError when a step fails.
    """
    chosen = FLAVOURS[flavour]
    cache = Path(cache_dir).resolve()
    lacking = tools.missing_programs()
    if lacking:
        raise tools.BuildError("building guests needs the packages " + " ".join(sorted(set(lacking.values()))))
    if os.geteuid() != 0:
        raise tools.BuildError("building guests needs root (chroot, mounts, loop devices)")
    key = ensure_key(cache)
    folder = cache / "guests"
    target = folder / build_id(flavour, key.with_suffix(".pub").read_text())
    with _locked(folder / f".lock-{flavour}"):
        if not (target / "guest.json").exists():
            shutil.rmtree(target, ignore_errors=True)
            try:
                _build(cache, chosen, key, target, say)
            except BaseException:
                work = target.with_name(f".{target.name}.part")
                tools.sweep_loops(work)
                shutil.rmtree(work, ignore_errors=True)
                raise
            _prune(folder, flavour)
        link = folder / flavour
        fresh = folder / f".{flavour}.link"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target.name)
        fresh.replace(link)
    found: dict[str, Any] = json.loads((target / "guest.json").read_text())
    return found


def ensure_all(cache_dir: Path | str, flavours: list[str], say: Say = _quiet) -> dict[str, dict[str, Any]]:
    """``ensure`` for several flavours, two at a time after the base that they share."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda name: ensure(cache_dir, name, say), flavours)
        return dict(zip(flavours, found, strict=True))


def description(cache_dir: Path | str, flavour: str) -> dict[str, Any] | None:
    """guest.json of the newest build of a flavour, without building; None when there is none."""
    try:
        found: dict[str, Any] = json.loads((Path(cache_dir) / "guests" / flavour / "guest.json").read_text())
    except (FileNotFoundError, NotADirectoryError, subprocess.SubprocessError):
        return None
    return found
