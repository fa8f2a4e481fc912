# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults and broken connections as errors that a person can act on."""

from __future__ import annotations

import http.client
import ssl
import sys
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import client, vmomi


def fault(name: str, /, **values: Any) -> Any:
    kind: Any = vmomi.load()
    for part in name.split("."):
        kind = getattr(kind, part)
    return kind(**values)


@pytest.mark.parametrize(
    ("name", "values", "kind", "text"),
    [
        ("vim.fault.InvalidLogin", {}, AuthFailed, "password is wrong"),
        ("vim.fault.NotAuthenticated", {}, AuthFailed, "not authenticated"),
        ("vim.fault.NoPermission", {"privilegeId": "VApp.Import"}, AuthFailed, "VApp.Import"),
        ("vim.fault.DuplicateName", {"name": "web-1", "msg": "The name 'web-1' already exists."}, Conflict, "web-1"),
        ("vim.fault.TaskInProgress", {}, Conflict, "Another operation"),
        ("vmodl.fault.ManagedObjectNotFound", {}, NotFound, "gone"),
        ("vim.fault.InvalidPowerState", {"msg": "on already"}, Refused, "on already"),
        ("vmodl.fault.InvalidArgument", {"invalidProperty": "spec.guestId"}, CloudExitError, "spec.guestId"),
    ],
)
def test_faults(name: str, values: dict[str, Any], kind: type[CloudExitError], text: str) -> None:
    error = vmomi.translate(fault(name, **values), "cannot do it")
    assert error.__class__ is kind
    assert str(error).startswith("cannot do it") and text in str(error)


def test_the_text_of_a_fault_has_the_messages_below_it_once() -> None:
    message = fault("vmodl.LocalizableMessage", key="k", message="No space left on device.")
    text = vmomi.fault_text(fault("vim.fault.FileFault", msg="File fault", faultMessage=[message, message], file="x"))
    assert text == "File fault; No space left on device (FileFault)"


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ConnectionRefusedError(111, "Connection refused"), True),
        (http.client.RemoteDisconnected("closed"), True),
        (TimeoutError("timed out"), True),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), False),
        (ssl.SSLError(1, "wrong version number"), False),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), True),
    ],
)
def test_connections(error: Exception, retryable: bool) -> None:
    found = vmomi.translate(error, "cannot reach it")
    assert isinstance(found, Unreachable) and found.retryable is retryable and found.hint


def test_a_mistake_of_ours_is_not_dressed_up() -> None:
    with pytest.raises(KeyError):
        vmomi.translate(KeyError("x"), "cannot do it")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyVmomi", None)
    with pytest.raises(vmomi.MissingLibrary, match="pip install 'pyvmomi"):
        client.connect("127.0.0.1", 1, "user", "secret")


def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Any) -> None:
    with pytest.raises(CloudExitError, match=r"no-ca\.pem"):
        client.connect("127.0.0.1", 1, "user", "secret", ca_file=str(tmp_path / "no-ca.pem"))


def test_nobody_there() -> None:
    with pytest.raises(Unreachable) as caught:
        client.connect("127.0.0.1", 1, "user", "hunter2-secret")
    assert "127.0.0.1:1" in str(caught.value) and "hunter2" not in str(caught.value)
