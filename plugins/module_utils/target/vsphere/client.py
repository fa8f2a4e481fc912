# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session with a vCenter: connecting, logging in (again), reading properties, waiting for tasks.

API: vSphere Web Services API, SessionManager, PropertyCollector and Task (developer.broadcom.com).
"""

from __future__ import annotations

import contextlib
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    NotFound,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vmomi

T = TypeVar("T")


def tls_context(validate_certs: bool, ca_file: str | None) -> ssl.SSLContext:
    """TLS settings for vCenter and for hosts. Raises CloudExitError when `ca_file` cannot be read."""
    if not validate_certs:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise CloudExitError(f"cannot read the CA file {ca_file}", cause=str(error)) from error


class Session:
    """A logged-in session. Made by `connect`; usable from several threads; a context manager that logs out.

    One use of a call may meet an expired session: `run` logs in again once and repeats the call.
    """

    def __init__(
        self,
        host: str,
        port: int,
        username: str,
        password: str,
        *,
        validate_certs: bool = True,
        ca_file: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.host = host
        self.port = port
        self.username = username
        self.validate_certs = validate_certs
        self.ca_file = ca_file
        self.timeout = timeout
        self.tls = tls_context(validate_certs, ca_file)
        self._password = password
        self._lock = threading.Lock()
        self._logins = 0
        self._closed = False
        self.key = ""
        adapter = vmomi.load().SoapStubAdapter
        self.stub: Any = adapter(
            host=host,
            port=port,
            path="/sdk",
            version=vmomi.API_VERSION,
            sslContext=self.tls,
            httpConnectionTimeout=timeout,
            connectionPoolTimeout=45,
        )
        what = f"cannot reach the vCenter at {host}:{port}"
        try:
            self.content: Any = vmomi.vim().ServiceInstance("ServiceInstance", self.stub).RetrieveContent()
        except Exception as error:
            self.stub.DropConnections()
            raise vmomi.translate(error, what) from error
        self._login()

    def __repr__(self) -> str:
        return f"Session({self.username}@{self.host}:{self.port})"

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _login(self) -> None:
        try:
            self.key = str(self.content.sessionManager.Login(self.username, self._password).key)
        except Exception as error:
            what = f"cannot log in to the vCenter at {self.host}:{self.port} as {self.username}"
            raise vmomi.translate(error, what) from error
        self._logins += 1

    def _login_again(self, seen: int) -> None:
        with self._lock:
            if self._logins == seen and not self._closed:
                with contextlib.suppress(Exception):
                    self.stub.cookie = ""
                self._login()

    def close(self) -> None:
        """Log out and drop the connections; never raises."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        with contextlib.suppress(Exception):
            self.content.sessionManager.Logout()
        with contextlib.suppress(Exception):
            self.stub.DropConnections()

    def run(self, what: str, call: Callable[[], T], *, repeat: bool = False) -> T:
        """The result of `call()`, its errors translated with `what` ("cannot ...").

        After NotAuthenticated it logs in again and calls once more. With `repeat` (only for calls that may be done
        twice) a broken connection is retried three times with growing pauses.
        """
        tries = 4 if repeat else 1
        pause = 0.5
        authenticated = True
        while True:
            seen = self._logins
            try:
                return call()
            except Exception as error:
                if authenticated and self._not_authenticated(error):
                    authenticated = False
                    self._login_again(seen)
                    continue
                tries -= 1
                if tries > 0 and isinstance(error, vmomi.TRANSPORT_ERRORS) and not isinstance(error, ssl.SSLError):
                    time.sleep(pause * (1 + random.random() / 4))
                    pause *= 2
                    continue
                raise vmomi.translate(error, what) from error

    @staticmethod
    def _not_authenticated(error: Exception) -> bool:
        return vmomi.is_fault(error, "vim.fault.NotAuthenticated")

    def ref(self, kind: str, moref: str) -> Any:
        """A managed object by type (`VirtualMachine`) and id, without asking the server."""
        return getattr(vmomi.vim(), kind)(moref, self.stub)

    def keep_alive(self) -> None:
        """Use the session, so that it does not idle out (30 minutes by default)."""
        self.run("cannot keep the session alive", self._current_time, repeat=True)

    def _current_time(self) -> Any:
        return vmomi.vim().ServiceInstance("ServiceInstance", self.stub).CurrentTime()

    def read(self, objects: Sequence[Any], paths: Sequence[str], what: str) -> dict[str, dict[str, Any]]:
        """Properties of objects of one type in one call: {id: {path: value}}. Unset properties are left out.

        Raises NotFound when one of the objects is gone.
        """
        if not objects:
            return {}
        query = vmomi.vmodl().query.PropertyCollector
        spec = query.FilterSpec(
            propSet=[query.PropertySpec(type=type(objects[0]), pathSet=list(paths))],
            objectSet=[query.ObjectSpec(obj=one) for one in objects],
        )
        return self._collect(spec, what)

    def list(self, kinds: Mapping[str, Sequence[str]], root: Any, what: str) -> dict[str, dict[str, Any]]:
        """All objects of some types below a container: {id: {"type": type, "object": reference, path: value}}.

        kinds: {type name: property paths}. Three calls, whatever the number of objects (a page has up to 5000).
        """
        vim, query = vmomi.vim(), vmomi.vmodl().query.PropertyCollector
        types = [getattr(vim, kind) for kind in kinds]
        view = self.run(
            what, lambda: self.content.viewManager.CreateContainerView(container=root, type=types, recursive=True)
        )
        try:
            traverse = query.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
            spec = query.FilterSpec(
                propSet=[query.PropertySpec(type=getattr(vim, k), pathSet=list(paths)) for k, paths in kinds.items()],
                objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[traverse])],
            )
            return self._collect(spec, what)
        finally:
            with contextlib.suppress(Exception):
                view.DestroyView()

    def _collect(self, spec: Any, what: str) -> dict[str, dict[str, Any]]:
        query = vmomi.vmodl().query.PropertyCollector
        collector = self.content.propertyCollector
        options = query.RetrieveOptions(maxObjects=5000)

        def page() -> Any:
            return collector.RetrievePropertiesEx(specSet=[spec], options=options)

        found: dict[str, dict[str, Any]] = {}
        result = self.run(what, page, repeat=True)
        while result is not None:
            for one in result.objects:
                values = {prop.name: prop.val for prop in one.propSet or []}
                found[one.obj._moId] = {"type": vmomi.fault_name(one.obj), "object": one.obj, **values}
            token = result.token
            if not token:
                break
            result = self.run(what, partial(collector.ContinueRetrievePropertiesEx, token=token))
        return found

    def property(self, obj: Any, path: str, what: str) -> Any:
        """One property of one object; None when it is unset."""
        return self.read([obj], [path], what).get(obj._moId, {}).get(path)

    def wait(self, task: Any, what: str, *, timeout: float = 300.0) -> Any:
        """The result of a task once it succeeded. Raises what its fault says, or Timeout (the task then goes on)."""
        deadline = time.monotonic() + timeout
        pause = 0.05
        while True:
            values = self.read([task], ["info.state", "info.error", "info.result"], what).get(task._moId, {})
            state = str(values.get("info.state", ""))
            if state == "success":
                return values.get("info.result")
            if state == "error":
                fault = values.get("info.error")
                inner = getattr(fault, "fault", None) or fault
                if isinstance(inner, Exception):
                    translated = vmomi.translate(inner, what)
                    text = vmomi.fault_text(fault)
                    if not isinstance(translated, NotFound):
                        translated.cause = text
                    raise translated from inner
                raise CloudExitError(what, cause=vmomi.fault_text(fault) if fault is not None else "no cause was given")
            if time.monotonic() >= deadline:
                raise Timeout(what, cause=f"the task {task._moId} was not done after {timeout:g} s", retryable=True)
            time.sleep(pause)
            pause = min(pause * 1.6, 2.0)

    def poll(self, condition: Callable[[], T | None], *, timeout: float, pause: float = 0.2) -> T | None:
        """The first result of `condition` that is not None, or None after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            found = condition()
            if found is not None or time.monotonic() >= deadline:
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, 2.0)


def connect(
    host: str,
    port: int = 443,
    username: str = "",
    password: str = "",
    validate_certs: bool = True,
    ca_file: str | None = None,
    timeout: float = 60.0,
) -> Session:
    """Connect and log in. Close the session, or use it as a context manager.

    Raises Unreachable (address, network, certificate), AuthFailed (credential) or MissingLibrary; never with the
    password in the text. `timeout` is for each request, in seconds.
    """
    return Session(host, port, username, password, validate_certs=validate_certs, ca_file=ca_file, timeout=timeout)


def ids(objects: Iterable[Any]) -> list[str]:
    """The ids of managed objects."""
    return [str(one._moId) for one in objects]
