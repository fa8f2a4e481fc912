# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances and processes of the lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.lab.paths import (
    PORTS,
    Instance,
    Proc,
    proc_start_time,
    running_procs,
    stop_all,
    wait_exit,
    wait_for,
    write_atomic,
)

SLEEP = ["sleep", "100"]


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance("one", 30000, root=tmp_path)
    made.make_dirs()
    return made


def test_two_instances_share_the_cache_but_no_port(tmp_path: Path) -> None:
    one, two = Instance("one", 21000, root=tmp_path), Instance("two", 22000, root=tmp_path)
    assert one.cache == two.cache
    ports = {i.port(p) for i in (one, two) for p in PORTS} | set(one.forward_ports()) | set(two.forward_ports())
    assert len(ports) == 2 * (len(PORTS) + 360)


@pytest.mark.parametrize("name", ["", "Lab", "../x", "cache", "a b", "venv"])
def test_name_that_cannot_be_a_folder_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a lab's name"):
        Instance(name, root=tmp_path)


def test_base_port_is_remembered(instance: Instance, tmp_path: Path) -> None:
    instance.update_env(base_port=instance.base_port)
    assert Instance("one", root=tmp_path).port("nova") == 30003


def test_root_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDEXIT_LAB_ROOT", str(tmp_path / "elsewhere"))
    assert Instance("one").dir == tmp_path / "elsewhere" / "one"


def test_updates_of_the_environment_from_many_sides_are_all_kept(instance: Instance) -> None:
    threads = [threading.Thread(target=lambda n=n: instance.update_env(**{f"k{n}": n})) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert instance.env() == {f"k{n}": n for n in range(20)}
    assert instance.update_env(k0=None).keys() == {f"k{n}" for n in range(1, 20)}


def test_a_failed_atomic_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_atomic(file, "old")
    with pytest.raises(TypeError):
        write_atomic(file, 5)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_process_starts_once_and_stops(instance: Instance) -> None:
    proc = Proc(instance, "sleeper")
    pid = proc.start(SLEEP)
    assert Proc(instance, "sleeper").start(SLEEP) == pid
    assert [p.name for p in running_procs(instance)] == ["sleeper"]
    assert os.getpgid(pid) == pid
    assert proc.stop(5)
    assert not proc.alive()
    assert not proc.file.exists()


def test_output_goes_to_the_log(instance: Instance) -> None:
    proc = Proc(instance, "talker")
    pid = proc.start([sys.executable, "-c", "import os; print('hello', os.environ['X'])"], env={"X": "there"})
    wait_exit(pid, 10)
    assert instance.log("talker").read_text() == "hello there\n"


def test_children_that_left_the_group_are_stopped_too(instance: Instance) -> None:
    proc = Proc(instance, "parent")
    proc.start(["sh", "-c", "setsid sleep 100 & sleep 100"])
    wait_for(lambda: len(proc.members()) >= 3, 5, "children")
    children = proc.members()
    assert proc.stop(5)
    assert all(proc_start_time(c) is None for c in children)


def test_children_that_outlive_their_parent_are_stopped(instance: Instance) -> None:
    proc = Proc(instance, "parent")
    pid = proc.start(["sh", "-c", "sleep 100 & exit 0"])
    wait_exit(pid, 5)
    wait_for(lambda: not proc.alive(), 5, "the parent's end")
    assert len(proc.members()) == 1
    proc.stop(5)
    assert proc.members() == []


def test_what_ignores_term_is_killed_after_its_grace(instance: Instance) -> None:
    proc = Proc(instance, "stubborn")
    proc.start(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"])
    wait_for(lambda: instance.log("stubborn").read_text() == "ready\n", 5, "the trap")
    assert proc.stop(0.2) is False
    assert proc.members() == []


def test_a_recycled_pid_is_left_alone(instance: Instance) -> None:
    stranger = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        proc = Proc(instance, "gone")
        start = proc_start_time(stranger.pid)
        assert start is not None
        write_atomic(proc.file, json.dumps({"pid": stranger.pid, "start": start - 1}))
        assert not proc.alive()
        proc.stop(1)
        assert stranger.poll() is None
        assert not proc.file.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_broken_pid_file_means_not_running(instance: Instance) -> None:
    proc = Proc(instance, "odd")
    write_atomic(proc.file, "{")
    assert proc.pid is None
    proc.stop(1)


def test_many_are_stopped_at_once(instance: Instance) -> None:
    procs = [Proc(instance, f"p{n}") for n in range(4)]
    for proc in procs:
        proc.start(SLEEP)
    stop_all(procs, 5)
    assert running_procs(instance) == []


def test_waiting_in_vain_names_what_was_waited_for() -> None:
    with pytest.raises(TimeoutError, match="rain"):
        wait_for(lambda: False, 0.05, "rain", every=0.01)
