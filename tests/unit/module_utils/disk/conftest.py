# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk images to convert, and qemu-img as the judge."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

MakeRaw = Callable[..., Path]
QemuImg = Callable[..., str]


def mixed_bytes(size: int, seed: int = 1) -> bytes:
    """Half text, half noise: some of it compresses."""
    noise = random.Random(seed)
    text = b"".join(b"line %d of the file, %d\n" % (n, n * seed) for n in range(size // 40))
    return (text[: size // 2] + noise.randbytes(size))[:size]


@pytest.fixture
def make_raw(tmp_path: Path) -> MakeRaw:
    """make_raw(size, {offset: bytes}) -> a sparse raw file."""

    def make(size: int, data: Mapping[int, bytes] | None = None, name: str = "disk.raw") -> Path:
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(size)
            for offset, content in (data or {}).items():
                file.seek(offset)
                file.write(content)
        return path

    return make


@pytest.fixture
def qemu_img() -> QemuImg:
    """Run qemu-img; its output. The test fails when it fails."""

    def run(*arguments: object) -> str:
        done = subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert not [thread for thread in threading.enumerate() if thread not in before and thread.name.startswith("disk-")]
