# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vApp templates: a machine's package uploaded into a catalog, from which it is then made.

The order is Cloud Director's: a catalog item, its descriptor, then the files that the descriptor names, each with its
exact size; then it imports them. Until all are there the name is taken, so what fails is cancelled and removed at once.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    query,
    tasks,
    upload,
    wire,
    xml,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.upload import Place, Produce
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import el

UPLOAD = "application/vnd.vmware.vcloud.uploadVAppTemplateParams+xml"
DESCRIPTOR = "descriptor.ovf"
READY = 8
FAILED = {-1: "its creation failed", 17: "the transfer timed out", 16: "it was rejected", 15: "its quarantine expired"}


@dataclass(frozen=True)
class Template:
    """A template as it is: href, name, status (8: ready), the machine in it, and its files still in upload."""

    href: str
    name: str
    description: str
    status: int
    vms: tuple[str, ...]
    files: Mapping[str, Place]
    running: tuple[tasks.Task, ...]
    failed: tuple[tasks.Task, ...]

    @property
    def ready(self) -> bool:
        """Whether machines can be made from it."""
        return self.status == READY and not self.running


def of(tree: xml.Tree) -> Template:
    """A template from its element."""
    files = {}
    for one in [file for group in xml.children(tree, "Files") for file in xml.children(group, "File")]:
        name = xml.attribute(one, "name")
        files[name] = Place(
            name,
            xml.link(one, "upload:default"),
            xml.whole(xml.attribute(one, "bytesTransferred")),
            xml.whole(xml.attribute(one, "size"), -1),
        )
    found = tasks.embedded(tree)
    inside = xml.child(tree, "Children")
    return Template(
        href=xml.attribute(tree, "href"),
        name=xml.attribute(tree, "name"),
        description=xml.text(tree, "Description"),
        status=xml.whole(xml.attribute(tree, "status"), 0),
        vms=tuple(xml.attribute(one, "href") for one in xml.children(inside, "Vm")) if inside is not None else (),
        files=files,
        running=tuple(task for task in found if task.running),
        failed=tuple(task for task in found if task.status in ("error", "aborted", "canceled")),
    )


def get(session: Session, href: str, what: str = "") -> Template:
    """A template by its href. Raises NotFound; 403 means the same for one that is gone."""
    return of(session.read(href, what or f"cannot read the template {tasks.uuid_of(href)}"))


def find(session: Session, name: str, catalog: str = "") -> list[query.Record]:
    """Templates of that name (in a catalog, by its name): records with `href`, `name`, `status`, `catalogName`."""
    where = {"name": name, **({"catalogName": catalog} if catalog else {})}
    return query.records(session, "vAppTemplate", f"cannot look for the template {name}", where=where)


class Transfer:
    """An open upload. `send` each file, then `complete`; `abort`, or leaving the context earlier, removes it all.

    The session is kept alive as long as it is open.
    """

    def __init__(self, session: Session, href: str, name: str, sizes: Mapping[str, int]) -> None:
        self.session = session
        self.href = href
        self.name = name
        self.sizes = dict(sizes)
        self.what = f"cannot upload the template {name}"
        self._over = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"vcd-transfer-{name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Transfer:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._over:
            self.abort(str(error) if error else "given up")

    def _beat(self) -> None:
        every = max(1.0, min(300.0, self.session.idle_s / 4))
        while not self._stop.wait(every):
            with contextlib.suppress(CloudExitError):
                self.session.keep_alive()

    def state(self) -> Template:
        """The template as it is. Raises what made the upload fail."""
        try:
            found = get(self.session, self.href, self.what)
        except (NotFound, Refused) as error:
            reason = wire.said(error)
            if reason is None or reason.status not in (403, 404):
                raise
            raise NotFound(
                self.what,
                cause="the template is gone: somebody cancelled or removed it, or its time ran out",
                hint="Run this again.",
                retryable=True,
            ) from error
        return checked(found, self.what)

    def send(
        self,
        name: str,
        produce: Produce,
        *,
        piece: int = upload.PIECE,
        timeout: float = 600.0,
        guard: Callable[[], None] | None = None,
    ) -> int:
        """Send a file of the package; the bytes that went over the line. See `upload.send`."""
        what = f"cannot send {name} of the template {self.name}"
        length = self.sizes[name]

        def place() -> Place:
            found = self.state()
            if name in found.files:
                return found.files[name]
            if found.status in (0, 11, 12, 13):
                raise Conflict(what, cause="the server does not ask for this file", retryable=True)
            return Place(name, "", length, length)  # it has all and went on

        return upload.send(self.session, place, produce, length, what, piece=piece, timeout=timeout, guard=guard)

    def complete(self, *, timeout: float = 4 * 3600.0) -> Template:
        """Wait until it is imported. Raises Conflict when bytes are missing: Cloud Director would wait for them."""
        deadline = self.session.pace.now() + timeout
        first = True
        for pause in self.session.pace.pauses(0.5, 15.0, 1.5):
            found = self.state()
            if found.ready and found.vms:
                self._end()
                return found
            missing = {name: one for name, one in found.files.items() if one.transferred < one.size}
            if first and missing:
                some = ", ".join(f"{name} ({one.transferred} of {one.size} bytes)" for name, one in missing.items())
                raise Conflict(self.what, cause=f"these files did not arrive whole: {some}", retryable=True)
            first = False
            if self.session.pace.now() + pause > deadline:
                raise Timeout(self.what, cause=f"it was not imported after {timeout:g} s", retryable=True)
            self.session.pace.sleep(pause)
        raise AssertionError("pauses do not end")

    def _end(self) -> None:
        self._over = True
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=30)

    def abort(self, dummy: str = "") -> None:
        """Cancel and remove the upload. Never raises."""
        if self._over:
            return
        self._end()
        with contextlib.suppress(Exception):
            remove(self.session, self.href)


def checked(found: Template, what: str) -> Template:
    """The template, unless it failed: then the error that its task gives, or that its status says."""
    if found.failed and found.status != READY:
        raise tasks.failed(found.failed[0], what)
    if found.status in FAILED:
        raise CloudExitError(
            what,
            cause=f"{FAILED[found.status]} (status {found.status})",
            hint="Look at its tasks in the portal.",
            retryable=found.status == 17,
        )
    return found


def begin(
    session: Session,
    catalog: str,
    name: str,
    descriptor: bytes,
    sizes: Mapping[str, int],
    *,
    description: str = "",
    storage_profile: str = "",
    timeout: float = 600.0,
) -> Transfer:
    """Open an upload into a catalog (its href): the item is made, the descriptor is sent, the files are asked for.

    sizes: bytes of each file that the descriptor names. storage_profile: href. What was begun is removed when this
    fails. Raises Conflict for a name that is taken, and with the server's reason for a descriptor that it refuses.
    """
    what = f"cannot upload the template {name}"
    params = el(
        "UploadVAppTemplateParams",
        el("Description", description),
        el("VdcStorageProfile", href=session.base + wire.path_of(storage_profile, what)) if storage_profile else None,
        name=name,
        manifestRequired=False,
    )
    place = f"{wire.path_of(catalog, what)}/action/upload"
    item = session.call("POST", place, what, body=params, content_type=UPLOAD).xml()
    entity = item if xml.local(item) == "VAppTemplate" else xml.child(item, "Entity")
    href = xml.attribute(entity, "href")
    if not href:
        raise wire.not_understood(what, "it does not say where the template is")
    transfer = Transfer(session, href, name, sizes)
    try:
        _describe(transfer, descriptor, timeout)
    except BaseException:
        transfer.abort()
        raise
    return transfer


def _describe(transfer: Transfer, descriptor: bytes, timeout: float) -> None:
    session, what = transfer.session, transfer.what
    deadline = session.pace.now() + timeout

    def until(good: Callable[[Template], bool], waiting: str) -> Template:
        for pause in session.pace.pauses(0.15, 5.0, 1.5):
            found = transfer.state()
            if good(found):
                return found
            if session.pace.now() + pause > deadline:
                raise Timeout(what, cause=f"{waiting} after {timeout:g} s", retryable=True)
            session.pace.sleep(pause)
        raise AssertionError("pauses do not end")

    found = until(lambda one: any(file.href for file in one.files.values()), "it does not ask for the descriptor")
    place = found.files.get(DESCRIPTOR) or next(file for file in found.files.values() if file.href)
    session.call("PUT", place.href, what, body=descriptor, content_type="text/xml", accept="*/*")
    if not transfer.sizes:
        return
    found = until(lambda one: set(transfer.sizes) <= set(one.files) or one.ready, "it does not ask for the files")
    wrong = {
        name: found.files[name].size
        for name, size in transfer.sizes.items()
        if name in found.files and found.files[name].size not in (size, -1)
    }
    if wrong:
        some = ", ".join(f"{name}: {size} instead of {transfer.sizes[name]}" for name, size in sorted(wrong.items()))
        raise Conflict(what, cause=f"the server expects other sizes than the descriptor has ({some})")


def remove(session: Session, href: str, *, timeout: float = 900.0) -> bool:
    """Remove a template, or what there is of one: its running tasks are cancelled first. False when it was gone."""
    what = f"cannot remove the template {tasks.uuid_of(href)}"
    cancelled = False
    try:
        found = get(session, href, what)
        for task in found.running:
            tasks.cancel(session, task, what)
            cancelled = True  # an upload that is cancelled goes by itself
        if found.running:
            for task in found.running:
                with contextlib.suppress(CloudExitError):
                    tasks.wait(session, task, what, timeout=60)
            get(session, href, what)
        tasks.run(session, "DELETE", wire.path_of(href, what), what, timeout=timeout)
    except (NotFound, Refused) as error:
        reason = wire.said(error)
        if reason is None or reason.status not in (403, 404):
            raise
        if reason.status == 403 and find_by_href(session, href):
            raise
        return cancelled
    return True


def remove_left(session: Session, name: str, catalog: str, mark: str) -> bool:
    """Remove what an earlier run left of an upload: the templates of that name in a catalog (by its name) whose
    description has `mark`. Whether there were any. Raises Conflict for one without it: that is somebody else's.
    """
    removed = False
    for row in find(session, name, catalog):
        href = row.get("href", "")
        try:
            found = get(session, href)
        except (NotFound, Refused) as error:
            reason = wire.said(error)
            if reason is None or reason.status not in (403, 404):
                raise
            continue
        if mark not in found.description:
            raise Conflict(
                f"the name of the template {name} is taken in the catalog {catalog}",
                cause="there is one that is not ours",
                hint="Rename or remove it.",
            )
        removed = remove(session, href) or removed
    return removed


def find_by_href(session: Session, href: str) -> bool:
    """Whether a template can be seen in a list: of what is gone, an object by itself says only 403."""
    identity = tasks.uuid_of(href)
    rows = query.records(session, "vAppTemplate", f"cannot look for the template {identity}")
    return any(tasks.uuid_of(row.get("href", "")) == identity for row in rows)
