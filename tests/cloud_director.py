# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Cloud Director in this process, for tests of the modules that speak to it, and things put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import measure_vmdk, stream_vmdk
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    client,
    org,
    ovf,
    template,
    vapp,
    vm,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.spec import DiskSpec, VmSpec
from tests.lab.vcd import Control, seed
from tests.lab.vcd.make import serve

MIB = 1 << 20


@dataclass
class Director:
    """The server: its address, its own door, and the options of a module that logs in."""

    url: str
    folder: Path
    control: Control

    @property
    def ca(self) -> str:
        """The file of its certificate authority."""
        return str(self.folder / "ca.pem")

    @property
    def login(self) -> dict[str, Any]:
        """The options of a module."""
        return {
            "url": self.url,
            "org": seed.ORG,
            "username": seed.USER,
            "password": seed.PASSWORD,
            "ca_cert": self.ca,
        }

    def connect(self) -> client.Session:
        """A session of the client."""
        return client.connect(self.url, seed.ORG, username=seed.USER, password=seed.PASSWORD, ca_file=self.ca)

    def writes(self) -> list[str]:
        """The calls that changed something, log-ins left out."""
        return [
            f"{one['method']} {one['path']}"
            for one in self.control.calls()
            if one["method"] not in ("GET", "HEAD")
            and not any(part in one["path"] for part in ("/sessions", "/oauth/", "/auth/"))
        ]

    def package(self, name: str = "web-1", description: str = "") -> tuple[bytes, dict[str, bytes]]:
        """A descriptor and the files that it names: a machine with one small disk."""
        raw = self.folder / f"{name}.raw"
        with open(raw, "wb") as stream:
            stream.truncate(2 * MIB)
        spec = VmSpec(name, 1, 512, (DiskSpec(2 * MIB),), (), description=description)
        length = measure_vmdk(open_source(str(raw)), lambda *dummy: None).bytes_sent
        made = bytearray()
        stream_vmdk(
            open_source(str(raw)),
            made.extend,
            lambda *dummy: None,
            None,
            compressor="deterministic",
            expected_length=length,
        )
        raw.unlink()
        return ovf.write(spec, [length]), {ovf.file_name(0): bytes(made)}

    def machines(self) -> list[dict[str, Any]]:
        """The machines that there are."""
        return self.control.machines()[1]

    def template(self, catalog: str, name: str = "image") -> str:
        """Upload a template into a catalog that is there; its name."""
        descriptor, files = self.package(name)
        with self.connect() as session:
            sizes = {key: len(data) for key, data in files.items()}
            place = org.find_catalog(session, catalog)
            with template.begin(session, place, name, descriptor, sizes) as transfer:
                for key, data in files.items():
                    transfer.send(key, lambda write, data=data: write(data))
                transfer.complete(timeout=60)
        return name

    def machine(self, name: str, source_id: str = "", *, tenant: str = "acme", box: str = "group-1") -> str:
        """Make a machine, with owner marks where a source is named; its id."""
        marks = Marks(tenant, source_id, state="verified")
        descriptor, files = self.package(name, vm.stamp(marks) if source_id else "")
        with self.connect() as session:
            place = org.vdc(session, seed.VDC)
            catalog, dummy = org.ensure_catalog(session, "tests")
            sizes = {key: len(data) for key, data in files.items()}
            with template.begin(session, catalog, f"tests-{name}", descriptor, sizes) as transfer:
                for key, data in files.items():
                    transfer.send(key, lambda write, data=data: write(data))
                made = transfer.complete(timeout=60)
            inside, dummy = vapp.ensure(session, place, box)
            spec = VmSpec(name, 1, 512, (DiskSpec(2 * MIB),), (), description=vm.stamp(marks) if source_id else "")
            found = vapp.add_machine(session, inside, made, spec)
            template.remove(session, made.href)
            if source_id:
                vm.set_marks(session, found, marks)
            return found.uuid


@pytest.fixture
def director(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Director]:
    """A new server, alone for the test; nothing of the environment is taken for a log-in."""
    for name in ("CLOUDAVENUE_", "VCD_"):
        for rest in ("URL", "ORG", "USER", "USERNAME", "PASSWORD", "API_TOKEN", "TOKEN_FILE", "CORE_API"):
            monkeypatch.delenv(name + rest, raising=False)
    folder = tmp_path / "vcd"
    server = serve(folder, options={"task_seconds": 0.01, "job_seconds": 0.01, "configuring_seconds": 0.01})
    server.start()
    yield Director(server.url, folder, Control(server.url, folder / "ca.pem"))
    server.stop()


def cycle(
    call: Callable[..., dict[str, Any]], director: Director, module: str, params: dict[str, Any]
) -> list[dict[str, Any]]:
    """Check, do, do again; the results. Only the second may change anything, and the first says that it will."""
    results = []
    for check in (True, False, False):
        director.control.settle()
        director.control.forget()
        result = call(module, {**director.login, **params}, check=check, diff=True)
        assert not result.get("failed"), result
        changes = director.writes()
        assert bool(changes) == (len(results) == 1), changes
        results.append(result)
    assert [one["changed"] for one in results] == [True, True, False]
    assert results[0]["diff"] == results[1]["diff"]
    return results
