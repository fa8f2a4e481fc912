# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that touches pyVmomi: it is imported when it is first needed, and is untyped.

Everything of vSphere that crosses a module's border here is a plain value: references are their ids (`vm-42`).
"""

from __future__ import annotations

import http.client
import importlib
import ssl
from typing import Any
from xml.parsers.expat import ExpatError

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Unreachable,
)

API_VERSION = "vim.version.v7_0"
TRANSPORT_ERRORS = (OSError, http.client.HTTPException, ExpatError)


class MissingLibrary(CloudExitError):
    """A Python package that this act needs is not installed."""


def load() -> Any:
    """The `pyVmomi` package. Raises MissingLibrary with the name to install."""
    try:
        return importlib.import_module("pyVmomi")
    except ImportError as error:
        raise MissingLibrary(
            "cannot talk to vSphere",
            cause="the Python package pyvmomi is not installed for this interpreter",
            hint="Install it with: pip install 'pyvmomi>=9,<10'",
        ) from error


def vim() -> Any:
    """pyVmomi's `vim` types."""
    return load().vim


def vmodl() -> Any:
    """pyVmomi's `vmodl` types."""
    return load().vmodl


def fault_text(fault: Any) -> str:
    """What a fault says, in one line: its message, the messages below it, or at least its type."""
    parts: list[str] = []

    def add(text: Any) -> None:
        line = " ".join(str(text or "").split()).rstrip(".")
        if line and line not in parts:
            parts.append(line)

    add(getattr(fault, "localizedMessage", None))
    inner = getattr(fault, "fault", None) or fault
    add(getattr(inner, "msg", None))
    for message in getattr(inner, "faultMessage", None) or []:
        add(getattr(message, "message", None))
    cause = getattr(inner, "faultCause", None)
    if cause is not None:
        add(getattr(cause, "localizedMessage", None) or getattr(cause, "msg", None))
    kind = fault_name(inner)
    if getattr(inner, "existingState", None):
        add(f"it is {inner.existingState}, and must be {getattr(inner, 'requestedState', None) or 'in another state'}")
    for name in ("property", "invalidProperty", "privilegeId", "reason"):
        value = getattr(inner, name, None)
        if value and str(value) not in " ".join(parts):
            add(f"{name} {value}")
    return f"{'; '.join(parts)} ({kind})" if parts else kind


def fault_name(fault: Any) -> str:
    """The fault's type as the API calls it, such as `InvalidLogin`."""
    return type(fault).__name__.rsplit(".", 1)[-1]


def is_fault(error: BaseException, *names: str) -> bool:
    """Whether an exception is one of these faults, such as `vim.fault.NotAuthenticated`, or derived from one."""
    for name in names:
        kind: Any = load()
        for part in name.split("."):
            kind = getattr(kind, part)
        if isinstance(error, kind):
            return True
    return False


def translate(error: BaseException, what: str) -> CloudExitError:
    """The error of this collection for one of pyVmomi or of the connection; `what` says what could not be done.

    Anything else, such as a mistake in our own code, is raised as it is.
    """
    if isinstance(error, CloudExitError):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(
            what,
            cause=f"its TLS certificate is not trusted ({getattr(error, 'verify_message', '') or error})",
            hint="Give the CA that signed it (ca_file), or the host name that it was issued for.",
        )
    if isinstance(error, TimeoutError):
        return Unreachable(what, cause="no answer in time", hint="Check host, port and firewall.", retryable=True)
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Unreachable(
            what, cause="the other side closed the connection", hint="Check host, port and network.", retryable=True
        )
    if isinstance(error, ssl.SSLError):
        return Unreachable(
            what, cause=f"TLS failed ({getattr(error, 'reason', '') or error})", hint="Is this port HTTPS?"
        )
    if isinstance(error, TRANSPORT_ERRORS):
        text = str(error) or type(error).__name__
        return Unreachable(what, cause=text, hint="Check host, port and network.", retryable=True)
    if not is_fault(error, "vmodl.MethodFault"):
        raise error
    text = fault_text(error)
    if is_fault(error, "vim.fault.InvalidLogin"):
        return AuthFailed(
            what, cause="user name or password is wrong", hint="Check the credential, and whether it is locked."
        )
    if is_fault(error, "vim.fault.NotAuthenticated"):
        return AuthFailed(what, cause="the session is not authenticated any more", retryable=True)
    if is_fault(error, "vim.fault.NoPermission"):
        return AuthFailed(what, cause=text, hint="Give the role of this user the privilege that is named.")
    if is_fault(error, "vmodl.fault.ManagedObjectNotFound"):
        return NotFound(what, cause="the object is gone, or was never there")
    if is_fault(error, "vim.fault.DuplicateName", "vim.fault.AlreadyExists"):
        return Conflict(what, cause=text, hint="Choose another name, or move the other object away.")
    if is_fault(error, "vim.fault.TaskInProgress", "vim.fault.ConcurrentAccess", "vim.fault.MethodDisabled"):
        return Conflict(what, cause=text, hint="Another operation holds the object; try again later.", retryable=True)
    if is_fault(error, "vim.fault.InvalidPowerState", "vim.fault.InvalidState", "vmodl.fault.NotSupported"):
        return Refused(what, cause=text)
    return CloudExitError(what, cause=text)
