# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks: what Cloud Director does after it has answered.

A change is over when its task is, and when the object has no other task left that runs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    NotFound,
    Refused,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.names import printable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Answer, Json

GONE = "gone"
RUNNING = frozenset({"queued", "preRunning", "running", "postRunning"})
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
TASK_S = 1800.0


@dataclass(frozen=True)
class Task:
    """A task as it is: href, status, what it does, to whom, how far, and why it failed."""

    href: str
    status: str
    operation: str = ""
    owner: str = ""
    owner_href: str = ""
    details: str = ""
    progress: int = 0
    minor: str = ""
    error: str = ""

    @property
    def running(self) -> bool:
        """Whether it is not over yet."""
        return self.status in RUNNING

    @property
    def uuid(self) -> str:
        """Its id without its kind."""
        return uuid_of(self.href)


def uuid_of(text: str) -> str:
    """The last UUID in an id, URN or href, in lower case; "" where there is none."""
    found = UUID.findall(text)
    return found[-1].lower() if found else ""


def of(tree: xml.Tree) -> Task:
    """A task from a Task element."""
    owner, error = xml.child(tree, "Owner"), xml.child(tree, "Error")
    return Task(
        href=xml.attribute(tree, "href"),
        status=xml.attribute(tree, "status"),
        operation=printable(xml.attribute(tree, "operation"), 200),
        owner=xml.attribute(owner, "id"),
        owner_href=xml.attribute(owner, "href"),
        details=xml.text(tree, "Details")[:1000],
        progress=xml.number(tree, "Progress"),
        minor=printable(xml.attribute(error, "minorErrorCode"), 80),
        error=printable(wire.strip_request(xml.attribute(error, "message")), 400),
    )


def embedded(tree: xml.Tree) -> list[Task]:
    """The tasks that an object carries, running or over."""
    return [of(one) for one in xml.children(tree, "Tasks") for one in xml.children(one, "Task")]


def read(session: Session, href: str, what: str) -> Task:
    """A task by its href or id. One that cannot be seen any more (404, 403) has the status `gone`."""
    path = href if href.startswith(("/", "http:", "https:")) else f"/api/task/{uuid_of(href)}"
    try:
        return of(session.read(path, what))
    except (NotFound, Refused) as error:
        reason = wire.said(error)
        if reason is None or reason.status not in (403, 404):
            raise
        return Task(href=path, status=GONE)


def wait(session: Session, task: Task | str, what: str, *, timeout: float = TASK_S) -> Task:
    """The task once it is over, in success or `gone`. Raises what it failed of, or Timeout (it then goes on).

    A task that is gone says nothing: read the object.
    """
    found = task if isinstance(task, Task) else read(session, task, what)
    deadline = session.pace.now() + timeout
    for pause in session.pace.pauses(0.15, 15.0, 1.5):
        if found.status in ("success", GONE):
            return found
        if not found.running:
            raise failed(found, what)
        if session.pace.now() + pause > deadline:
            raise Timeout(
                what,
                cause=f"the task {found.uuid} ({found.operation or found.status}) was not done after {timeout:g} s",
                hint="It goes on by itself. Look at it in the portal, and run this again.",
                retryable=True,
            )
        session.pace.sleep(pause)
        found = read(session, found.href, what)
    raise AssertionError("pauses do not end")


def failed(task: Task, what: str) -> CloudExitError:
    """The error for a task that did not succeed."""
    if task.status in ("aborted", "canceled", "cancelled"):
        return CloudExitError(
            what, cause=f"its task {task.uuid} was cancelled by somebody", hint="Run this again.", retryable=True
        )
    status = {"BUSY_ENTITY": 400, "DUPLICATE_NAME": 400, "RESOURCE_NOT_FOUND": 404, "TIMEDOUT": 500}.get(
        task.minor, 400
    )
    reason = wire.ServerSaid(status, task.minor, task.error or f"its status is {printable(task.status, 40)!r}")
    error = wire.failure(reason, what)
    text = f"{task.minor}: {reason.message}" if task.minor else reason.message
    error.cause = f"the task {task.uuid or task.operation} failed, {text}"
    return error


def cancel(session: Session, task: Task | str, what: str) -> None:
    """Ask for the end of a task. One that is over or gone is none to ask."""
    href = task.href if isinstance(task, Task) else task
    with contextlib.suppress(NotFound, Refused):
        session.call("POST", f"{wire.path_of(href, what)}/action/cancel", what, wait_busy=False)


def following(session: Session, answer: Answer) -> list[Task]:
    """The tasks that an answer started: in its body, in the object in its body, or by its Location."""
    if answer.is_xml:
        tree = answer.xml()
        return [of(tree)] if xml.local(tree) == "Task" else embedded(tree)
    location = answer.headers.get("location", "")
    if answer.status == 202 and "/task/" in location:
        return [read(session, location, answer.what)]
    return []


def run(
    session: Session,
    method: str,
    path: str,
    what: str,
    *,
    body: xml.Node | Json | list[Json] | None = None,
    content_type: str = "",
    accept: str = "",
    ok: Collection[int] = (200, 201, 202, 204),
    timeout: float = TASK_S,
) -> tuple[Answer, list[Task]]:
    """A change: the call, and its tasks to their end; the answer and the tasks as they ended.

    A task that failed because another one held the object is started again, as a call that is refused for it is.
    """
    deadline = session.pace.now() + session.busy_timeout
    for pause in session.pace.pauses(2.0, 30.0):
        answer = session.call(method, path, what, body=body, content_type=content_type, accept=accept, ok=ok)
        try:
            return answer, [wait(session, task, what, timeout=timeout) for task in following(session, answer)]
        except CloudExitError as error:
            if wire.minor_of(error) != wire.BUSY or session.pace.now() + pause > deadline:
                raise
        session.pace.sleep(pause)
    raise AssertionError("pauses do not end")


def settled(session: Session, path: str, what: str, *, timeout: float = TASK_S) -> xml.Tree:
    """An object once none of its tasks runs any more. Tasks that failed are not ours to judge."""
    deadline = session.pace.now() + timeout
    for pause in session.pace.pauses(0.15, 10.0, 1.5):
        tree = session.read(path, what)
        running = [task for task in embedded(tree) if task.running]
        if not running:
            return tree
        if session.pace.now() + pause > deadline:
            raise Timeout(
                what,
                cause=f"{running[0].operation or 'a task'} ({running[0].uuid}) still runs on it after {timeout:g} s",
                retryable=True,
            )
        session.pace.sleep(pause)
    raise AssertionError("pauses do not end")
