# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's file tree: nothing leads out of it, and what would change is a value."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Refused


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "guest" / "etc").mkdir(parents=True)
    (tmp_path / "secret").write_text("of the host")
    return tmp_path / "guest"


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ("/../../secret", "/secret"),
        ("../../../../secret", "/secret"),
        ("/etc/../etc/other", "/etc/other"),
        ("./other", "/etc/other"),
    ],
)
def test_links_stay_inside(root: Path, target: str, inside: str) -> None:
    (root / "etc" / "link").symlink_to(target)
    tree = Tree(str(root))
    assert tree.resolve("/etc/link") == inside
    assert tree.read("/etc/link") is None
    tree.write("/etc/link", "written", reason="test")
    tree.commit()
    assert (root / inside.lstrip("/")).read_text() == "written"
    assert (root.parent / "secret").read_text() == "of the host"


def test_a_link_to_a_directory_outside(root: Path) -> None:
    (root / "etc" / "network").symlink_to(root.parent)
    tree = Tree(str(root))
    assert tree.names("/etc/network") == []
    tree.write("/etc/network/secret", "written", reason="test")
    tree.commit()
    assert (root.parent / "secret").read_text() == "of the host"


def test_links_in_circles(root: Path) -> None:
    (root / "etc" / "a").symlink_to("b")
    (root / "etc" / "b").symlink_to("a")
    with pytest.raises(Refused, match="circles"):
        Tree(str(root)).read("/etc/a")


def test_pipes_and_devices_are_not_read(root: Path) -> None:
    os.mkfifo(root / "etc" / "fstab")
    tree = Tree(str(root))
    assert tree.read("/etc/fstab") is None
    tree.write("/etc/fstab", "x", reason="test")
    with pytest.raises(Refused, match="neither a file nor"):
        tree.changes()


def test_large_files_are_refused(root: Path) -> None:
    with open(root / "etc" / "fstab", "wb") as file:
        file.truncate(5 << 20)
    with pytest.raises(Refused, match="larger than 4096 KiB"):
        Tree(str(root)).text("/etc/fstab")


def test_changes_are_told_before_they_are_made(root: Path, tmp_path: Path) -> None:
    (root / "etc" / "old").write_text("old\n")
    (root / "etc" / "same").write_text("same")
    (root / "etc" / "gone").write_text("gone")
    os.chmod(root / "etc" / "old", 0o640)
    tree = Tree(str(root))
    tree.write("/etc/old", "new\n", reason="why")
    tree.write("/etc/same", "same", reason="why")
    tree.write("/etc/deep/er/made", "made", mode=0o600, reason="why")
    tree.remove("/etc/gone", reason="why")
    tree.remove("/etc/never-there", reason="why")
    tree.symlink("/etc/masked", "/dev/null", reason="why")
    told = tree.changes()
    assert [(change.path, change.action) for change in told] == [
        ("/etc/deep/er/made", "created"),
        ("/etc/gone", "removed"),
        ("/etc/masked", "created"),
        ("/etc/old", "modified"),
    ]
    old = told[3]
    assert (old.before, old.after) == (hashlib.sha256(b"old\n").hexdigest(), hashlib.sha256(b"new\n").hexdigest())
    assert (old.before_text, old.after_text) == ("old\n", "new\n")
    assert (root / "etc" / "old").read_text() == "old\n"
    assert tree.text("/etc/old") == "new\n"
    assert tree.names("/etc") == ["deep", "masked", "old", "same"]
    assert tree.is_dir("/etc/deep") and tree.exists("/etc/deep/er/made") and not tree.exists("/etc/gone")
    assert tree.link("/etc/masked") == "/dev/null"

    assert tree.commit(str(tmp_path / "kept")) == told
    assert (root / "etc" / "old").read_text() == "new\n"
    assert (root / "etc" / "old").stat().st_mode & 0o777 == 0o640
    assert (root / "etc" / "deep" / "er" / "made").stat().st_mode & 0o777 == 0o600
    assert os.readlink(root / "etc" / "masked") == "/dev/null"
    assert not (root / "etc" / "gone").exists()
    assert (tmp_path / "kept" / "etc" / "old").read_text() == "old\n"
    assert (tmp_path / "kept" / "etc" / "gone").read_text() == "gone"
    assert Tree(str(root)).changes() == []


def test_a_full_file_system_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    tree = Tree(str(root))
    tree.write("/etc/new", "x", reason="test")
    with pytest.raises(CloudExitError, match="/etc/new in the guest could not be written: No space left on device"):
        tree.commit()
