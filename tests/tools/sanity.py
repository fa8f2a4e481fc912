# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test sanity` on a copy of the working tree.

ansible-test insists on a folder called `.../ansible_collections/<namespace>/<name>` and resolves symlinks, so the tree
is copied. It also wants to fetch a script that installs pip into its environments; a script of the same name in its
cache that uses a pip wheel from the package index spares that download. Everything stays under `.lab/`.

    python tests/tools/sanity.py [arguments for ansible-test sanity]
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".lab" / "sanity"
TREE = WORK / "ansible_collections" / "cloudexit" / "flexible_engine"
HOME = WORK / "home"
# The pip that ansible-test of a core release asks for.
PIP_OF_CORE = {"2.16": "23.1.2", "2.17": "23.1.2", "2.18": "24.2", "2.19": "24.2", "2.20": "25.2", "2.21": "25.2"}

GET_PIP = '''\
"""Stand-in for get-pip.py: run the pip of a wheel that lies beside this script."""
import os
import sys

sys.path.insert(0, {wheel!r})
os.environ["PYTHONPATH"] = {wheel!r}
from pip._internal.cli.main import main

dropped = ("--no-setuptools", "--no-wheel")
sys.exit(main(["install", *[arg for arg in sys.argv[1:] if arg not in dropped], {requirement!r}]))
'''


def core_version() -> str:
    from ansible.release import __version__

    return ".".join(__version__.split(".")[:2])


def prepare_pip() -> None:
    """Put the pip bootstrap into ansible-test's cache."""
    version = PIP_OF_CORE[core_version()]
    cache = HOME / ".ansible" / "test" / "cache"
    script = cache / f"get_pip_{version.replace('.', '_')}.py"
    wheel = cache / f"pip-{version}-py3-none-any.whl"
    cache.mkdir(parents=True, exist_ok=True)
    if not wheel.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), f"pip=={version}"],
            check=True,
        )
    script.write_text(GET_PIP.format(wheel=str(wheel), requirement=f"pip=={version}"), encoding="utf-8")


def prepare_shellcheck() -> None:
    """Install shellcheck where that can be done; without it ansible-test skips that one test and says so."""
    if shutil.which("shellcheck") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("installing shellcheck (apt-get)", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "shellcheck"]
    for command in (install, ["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if done.returncode == 0 and command is install:
            return


def copy_tree() -> int:
    """Bring the copy up to date with the files git would track; returns how many files it has."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    if not (TREE / ".git").exists():  # else ansible-test asks the checkout's git, which ignores everything under .lab/
        subprocess.run(["git", "init", "--quiet", str(TREE)], check=True)
    present = {str(path.relative_to(TREE)) for path in TREE.rglob("*") if path.is_file()}
    present = {name for name in present if not name.startswith((".git/", "tests/output/"))}
    for name in present - wanted:
        (TREE / name).unlink()
    for name in sorted(wanted):
        source, copy = ROOT / name, TREE / name
        if copy.exists() and filecmp.cmp(source, copy, shallow=False) and source.stat().st_mode == copy.stat().st_mode:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
    return len(wanted)


def main() -> int:
    prepare_pip()
    prepare_shellcheck()
    count = copy_tree()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"ansible-test sanity --python {version}: {count} files in {TREE.relative_to(ROOT)}", flush=True)
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "OS_", "VMWARE_")) and name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    env |= {"PIP_QUIET": "1", "HOME": str(HOME), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}
    command = [str(Path(sys.executable).parent / "ansible-test"), "sanity", "--python", version, *sys.argv[1:]]
    return subprocess.run(command, cwd=TREE, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
