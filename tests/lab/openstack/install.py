# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python environment with the OpenStack services, made once and shared by all instances."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from ..paths import Instance, fail

HERE = Path(__file__).resolve().parent
DRIVERS = HERE / "drivers"
REQUIREMENTS = HERE / "requirements.txt"
PINS = HERE / "pins.txt"
PACKAGES = ["rabbitmq-server", "mariadb-server-core", "mariadb-client-core", "qemu-utils"]
# Nova takes its driver from below nova.virt only
_NOVA_DRIVER = "from cloudexit_lab.virt import LabDriver  # noqa: F401\n"


def packages() -> list[str]:
    """The Debian packages that OpenStack in the lab needs."""
    return PACKAGES if importlib.util.find_spec("ensurepip") else [*PACKAGES, "python3-venv"]


def digest(*files: Path) -> str:
    """A short hash of files and of the Python version."""
    h = hashlib.sha256(sys.version.split()[0].encode())
    for file in files:
        h.update(file.name.encode() + b"\0" + file.read_bytes())
    return h.hexdigest()[:12]


def text_digest(*texts: str) -> str:
    """A short hash of texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def venv_dir(instance: Instance) -> Path:
    """Where the environment is, or will be."""
    return instance.cache / f"openstack-venv-{digest(REQUIREMENTS, PINS)}"


def python(instance: Instance) -> Path:
    """The environment's interpreter."""
    return venv_dir(instance) / "bin" / "python"


def ensure(instance: Instance) -> Path:
    """Make the environment unless it is complete. Ends the program with pip's last lines when pip fails."""
    target = venv_dir(instance)
    marker = target / "complete"
    instance.cache.mkdir(parents=True, exist_ok=True)
    with open(instance.cache / "openstack-venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists() and marker.read_text() == str(target):
            return target
        shutil.rmtree(target, ignore_errors=True)
        with instance.step("installing OpenStack's Python packages (once, about two minutes)"):
            _run([sys.executable, "-m", "venv", str(target)])
            _run(
                [
                    str(target / "bin" / "pip"),
                    "--disable-pip-version-check",
                    "install",
                    "--quiet",
                    "--no-warn-script-location",
                    "-c",
                    str(PINS),
                    "-r",
                    str(REQUIREMENTS),
                ]
            )
            packages_dir = next((target / "lib").glob("python3*")) / "site-packages"
            (packages_dir / "nova" / "virt" / "cloudexit_lab.py").write_text(_NOVA_DRIVER)
            _quicken_rpc(packages_dir / "oslo_messaging" / "_drivers" / "amqpdriver.py")
            marker.write_text(str(target))
    return target


def _quicken_rpc(source: Path) -> None:
    """oslo.messaging looks for an RPC's reply every half second; on one machine most replies take milliseconds."""
    text = source.read_text()
    slow = "            except queue.Empty:\n                time.sleep(0.5)\n"
    if text.count(slow) != 1:
        fail(f"{source} is not the release that the lab knows; look at ReplyWaiters.get")
    source.write_text(text.replace(slow, slow.replace("0.5", "0.01")))


def _run(argv: list[str]) -> None:
    done = subprocess.run(["nice", "-n", "5", *argv], capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        fail(f"{' '.join(argv[:4])} ... failed:\n{tail}")
