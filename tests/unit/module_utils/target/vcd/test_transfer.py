# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptors, uploads that break, templates that fail, downloads that break."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    download,
    locks,
    ovf,
    template,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import xml as vxml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.spec import (
    DiskSpec,
    NicSpec,
    VmSpec,
)
from tests.unit.module_utils.target.vcd.fake import (
    VCLOUD,
    Asked,
    Clock,
    Fake,
    Reply,
    error,
    logged_in,
    served,
    task,
    xml,
)

GIB = 1 << 30
HREF = "/api/vAppTemplate/vappTemplate-22222222-2222-4333-8444-555555555555"
CATALOG = "/api/catalog/33333333-2222-4333-8444-555555555555"


@pytest.fixture
def fake() -> Iterator[Fake]:
    with served() as one:
        yield one


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks.tempfile, "gettempdir", lambda: str(tmp_path))


# -- descriptors


def spec(**more: object) -> VmSpec:
    values: dict[str, object] = {
        "name": 'web <1> & "co"',
        "cpus": 2,
        "memory_mib": 2048,
        "disks": (DiskSpec(10 * GIB), DiskSpec(3 * GIB, "sata"), DiskSpec(GIB)),
        "nics": (NicSpec("front", mac="FA:16:3E:00:00:01"), NicSpec(mode="NONE", type="e1000e")),
        "firmware": "efi",
        "guest_id": "debian12_64Guest",
        **more,
    }
    return VmSpec(**values)


def test_a_descriptor_says_what_the_machine_is() -> None:
    data = ovf.write(spec(), [111, None, 333])
    tree = vxml.parse(data, "x")
    assert vxml.local(tree) == "Envelope" and tree.tag.startswith("{http://schemas.dmtf.org/ovf/envelope/1}")
    assert [vxml.local(one) for one in tree] == ["References", "DiskSection", "NetworkSection", "VirtualSystem"]
    files = {vxml.attribute(one, "href"): vxml.attribute(one, "size") for one in vxml.walk(tree, "File")}
    assert files == {"disk-1.vmdk": "111", "disk-3.vmdk": "333"}
    disks = list(vxml.walk(tree, "Disk"))
    assert [vxml.attribute(one, "capacity") for one in disks] == [str(10 * GIB), str(3 * GIB), str(GIB)]
    assert [vxml.attribute(one, "fileRef") for one in disks] == ["file1", "", "file3"]
    assert {vxml.attribute(one, "format") for one in disks} == {ovf.FORMAT}
    assert vxml.attribute(next(vxml.walk(tree, "OperatingSystemSection")), "osType") == "debian12_64Guest"
    assert {vxml.attribute(one, "key"): vxml.attribute(one, "value") for one in vxml.walk(tree, "Config")} == {
        "firmware": "efi"
    }
    items = list(vxml.walk(tree, "Item"))
    for item in items:
        names = [vxml.local(one) for one in item if "CIM_ResourceAllocation" in str(one.tag)]
        assert names == sorted(names)
    cards = [one for one in items if vxml.text(one, "ResourceType") == "10"]
    assert [vxml.text(one, "Connection") for one in cards] == ["front", "none"]
    assert [vxml.text(one, "ResourceSubType") for one in cards] == ["VMXNET3", "E1000E"]
    assert vxml.text(cards[0], "Address") == "fa:16:3e:00:00:01"
    names = [one.attrib[f"{{{vxml.OVF}}}name"] for one in vxml.walk(tree, "Network")]
    assert names == ["front", "none"]
    assert ovf.write(spec(), [111, None, 333]) == data


def test_a_descriptor_is_read_as_it_was_written() -> None:
    found = ovf.disks(ovf.write(spec(), [111, None, 333]), "x")
    assert [(str(one.place), one.file, one.capacity_bytes, one.file_bytes) for one in found] == [
        ("pvscsi0:0", "disk-1.vmdk", 10 * GIB, 111),
        ("pvscsi0:1", "disk-3.vmdk", GIB, 333),
        ("sata0:0", "", 3 * GIB, 0),
    ]


def test_a_descriptor_of_a_server_is_hostile_input() -> None:
    good = ovf.write(spec(), [111, None, 333])
    for old, new in (
        (b"disk-1.vmdk", b"../../api/org"),
        (b"disk-1.vmdk", b"http://evil/x"),
        (b">VirtualSCSI<", b">Strange<"),
        (b"ovf:/disk/disk1<", b"ovf:/disk/nowhere<"),
        (b"<rasd:AddressOnParent>1<", b"<rasd:AddressOnParent>0<"),
    ):
        assert old in good
        with pytest.raises(Conflict):
            ovf.disks(good.replace(old, new), "cannot read")
    with pytest.raises(Refused):
        ovf.disks(b"<!DOCTYPE a><a/>", "cannot read")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"disks": (DiskSpec(3 << 40),)}, r"vm\.disks\[0\]\.capacity_bytes: 3072 GiB; a disk has at most 2048 GiB"),
        ({"disks": (DiskSpec(GIB + 1),)}, "whole MiB"),
        ({"disks": (DiskSpec(GIB, "floppy"),)}, "floppy"),
        ({"disks": ()}, "no disk"),
        ({"name": "a\nb"}, r"vm\.name"),
        ({"nics": (NicSpec("a", mode="MANUAL", address="x"),)}, r"vm\.nics\[0\]\.address"),
        ({"nics": (NicSpec("a", mac="01:00:00:00:00:00"),)}, r"vm\.nics\[0\]\.mac"),
        ({"nics": (NicSpec("a"),) * 11}, "at most 10"),
        ({"firmware": "uefi", "cpus": 0, "memory_mib": 3}, "3 problems"),
    ],
)
def test_what_is_wrong_is_told_before_a_byte_is_sent(more: dict[str, object], says: str) -> None:
    machine = spec(**more)
    with pytest.raises(InvalidInput, match=says):
        ovf.write(machine, [1] * len(machine.disks))


# -- a server that takes uploads


class Catalog:
    """Takes an upload as Cloud Director does; `before` may answer a PUT in its place."""

    def __init__(self, fake: Fake, sizes: dict[str, int]) -> None:
        self.sizes = sizes
        self.bytes: dict[str, bytearray] = {name: bytearray() for name in sizes}
        self.descriptor = b""
        self.failed = ""
        self.removed = False
        self.before: Callable[[Asked], Reply | None] = lambda asked: None
        self.ranges: list[str] = []
        self.imported = True
        fake.routes[f"POST {CATALOG}/action/upload"] = xml(
            f'<CatalogItem xmlns="{VCLOUD}"><Entity href="https://public.name{HREF}"/></CatalogItem>', 201
        )
        fake.routes[f"GET {HREF}"] = self.get
        fake.routes["PUT *"] = self.put
        fake.routes[f"DELETE {HREF}"] = self.delete

    def get(self, asked: Asked) -> Reply:
        if self.removed:
            return error(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN")
        done = bool(self.descriptor) and all(len(self.bytes[n]) >= size for n, size in self.sizes.items())
        status = -1 if self.failed else 8 if done and self.imported else 0
        files = [("descriptor.ovf", len(self.descriptor), -1)]
        if self.descriptor:
            files = [("descriptor.ovf", 1, 1)] + [(n, len(self.bytes[n]), size) for n, size in self.sizes.items()]
        listed = "".join(
            f'<File name="{n}" size="{size}" bytesTransferred="{at}">'
            f'<Link rel="upload:default" href="https://public.name/transfer/t/{n}"/></File>'
            for n, at, size in files
        )
        more = f'<Error minorErrorCode="BAD_REQUEST" message="{self.failed}" majorErrorCode="400"/>'
        tasks = task("error", more=more) if self.failed else "" if status == 8 else task("running")
        inside = f"<Files>{listed}</Files>" if status != 8 else ""
        children = '<Children><Vm href="https://public.name/api/vAppTemplate/vm-1"/></Children>' if status == 8 else ""
        return xml(
            f'<VAppTemplate xmlns="{VCLOUD}" href="https://public.name{HREF}" name="t" status="{status}">'
            f"{inside}{children}<Tasks>{tasks}</Tasks></VAppTemplate>"
        )

    def put(self, asked: Asked) -> Reply:
        name = asked.path.rsplit("/", 1)[-1]
        if name == "descriptor.ovf":
            self.descriptor = asked.body
            return Reply(200)
        said = self.before(asked)
        if said is not None:
            return said
        return self.take(name, asked)

    def take(self, name: str, asked: Asked, most: int = 1 << 40) -> Reply:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", asked.headers["content-range"])
        assert found and int(found[3]) == self.sizes[name]
        assert int(found[2]) - int(found[1]) + 1 == len(asked.body)
        if int(found[1]) != len(self.bytes[name]):
            return Reply(416)
        self.ranges.append(asked.headers["content-range"])
        self.bytes[name] += asked.body[:most]
        return Reply(200)

    def delete(self, asked: Asked) -> Reply:
        self.removed = True
        return xml(task(), 202)


DATA = random.Random(7).randbytes(100_000)


def produce(write: Callable[[bytes], object]) -> None:
    at, sizes = 0, random.Random(1)
    while at < len(DATA):
        step = sizes.randrange(1, 9000)
        write(DATA[at : at + step])
        at += step


def opened(session: Session) -> template.Transfer:
    return template.begin(session, CATALOG, "t", b"<ovf/>", {"disk-1.vmdk": len(DATA)})


def upload(fake: Fake, clock: Clock | None = None, piece: int = 30_000) -> template.Template:
    with logged_in(fake, clock) as session, opened(session) as transfer:
        transfer.send("disk-1.vmdk", produce, piece=piece)
        return transfer.complete()


@pytest.fixture
def catalog(fake: Fake) -> Catalog:
    return Catalog(fake, {"disk-1.vmdk": len(DATA)})


def test_a_file_is_sent_in_ranges(fake: Fake, catalog: Catalog) -> None:
    found = upload(fake)
    assert catalog.bytes["disk-1.vmdk"] == DATA and catalog.descriptor == b"<ovf/>"
    assert catalog.ranges == [
        "bytes 0-29999/100000",
        "bytes 30000-59999/100000",
        "bytes 60000-89999/100000",
        "bytes 90000-99999/100000",
    ]
    assert found.ready and not catalog.removed and len(found.vms) == 1
    params = fake.last(f"POST {CATALOG}/action/upload")
    assert params.headers["content-type"] == template.UPLOAD and params.xml().attrib["name"] == "t"


@pytest.mark.parametrize("piece", [1 << 10, 50_000, 100_000, 1 << 20])
def test_pieces_of_any_size(fake: Fake, catalog: Catalog, piece: int) -> None:
    upload(fake, piece=piece)
    assert catalog.bytes["disk-1.vmdk"] == DATA


def once(number: int, act: Callable[[Asked], Reply | None]) -> Callable[[Asked], Reply | None]:
    """`act` for the PUT of that number, and nothing for the others."""
    seen = [0]

    def before(asked: Asked) -> Reply | None:
        seen[0] += 1
        return act(asked) if seen[0] == number else None

    return before


@pytest.mark.parametrize(
    "fault",
    [
        Reply(cut=-1),
        Reply(500),
        Reply(503),
        Reply(416),
        Reply(401),
        Reply(403),
        Reply(404),
        Reply(429, headers={"Retry-After": "1"}),
    ],
    ids=["cut", "500", "503", "416", "401", "403", "404", "429"],
)
@pytest.mark.parametrize("number", [1, 3, 4])
def test_an_upload_goes_on_after_a_fault(fake: Fake, catalog: Catalog, fault: Reply, number: int) -> None:
    catalog.before = once(number, lambda asked: fault)
    upload(fake)
    assert catalog.bytes["disk-1.vmdk"] == DATA


def test_an_upload_goes_on_in_the_middle_of_a_piece(fake: Fake, catalog: Catalog) -> None:
    def half(asked: Asked) -> Reply:
        catalog.take("disk-1.vmdk", asked, 7_000)
        return Reply(cut=-1)

    catalog.before = once(2, half)
    upload(fake)
    assert catalog.bytes["disk-1.vmdk"] == DATA and "bytes 37000-59999/100000" in catalog.ranges


def test_a_proxy_that_takes_only_small_requests_is_lived_with(fake: Fake, catalog: Catalog) -> None:
    catalog.before = lambda asked: Reply(413) if len(asked.body) > 70_000 else None
    upload(fake, piece=100_000)
    assert catalog.bytes["disk-1.vmdk"] == DATA


def test_an_answer_that_got_lost_is_not_sent_again(fake: Fake, catalog: Catalog) -> None:
    def lost(asked: Asked) -> Reply:
        catalog.take("disk-1.vmdk", asked)
        return Reply(cut=-1)

    catalog.before = once(2, lost)
    upload(fake)
    assert catalog.bytes["disk-1.vmdk"] == DATA and len(catalog.ranges) == 4


def test_a_server_that_lost_what_it_had_gets_it_again(fake: Fake, catalog: Catalog) -> None:
    def forget(asked: Asked) -> Reply:
        del catalog.bytes["disk-1.vmdk"][12_345:]
        return Reply(500)

    catalog.before = once(3, forget)
    upload(fake)
    assert catalog.bytes["disk-1.vmdk"] == DATA and "bytes 12345-42344/100000" in catalog.ranges


def test_a_server_that_always_fails_ends_the_upload_and_leaves_nothing(fake: Fake, catalog: Catalog) -> None:
    catalog.before = lambda asked: Reply(500)
    clock = Clock()
    with pytest.raises(Unreachable, match=r"disk-1\.vmdk") as told:
        upload(fake, clock)
    assert told.value.retryable and catalog.removed and sum(clock.slept) < 300


def test_a_right_that_is_missing_ends_it_soon(fake: Fake, catalog: Catalog) -> None:
    catalog.before = lambda asked: Reply(403)
    with pytest.raises(Refused, match="proxy"):
        upload(fake)
    assert catalog.removed


def test_an_upload_that_the_server_gave_up_says_why(fake: Fake, catalog: Catalog) -> None:
    def fail(asked: Asked) -> Reply:
        catalog.failed = "the VMDK is broken"
        return Reply(404)

    catalog.before = once(2, fail)
    with pytest.raises(CloudExitError, match="the VMDK is broken"):
        upload(fake)
    assert catalog.removed


def test_a_descriptor_that_is_refused_says_why_and_is_removed(fake: Fake, catalog: Catalog) -> None:
    def put(asked: Asked) -> Reply:
        catalog.failed = "vmx-99 is not supported"
        return Reply(200)

    fake.routes["PUT *"] = put
    with pytest.raises(CloudExitError, match="vmx-99 is not supported"):
        upload(fake)
    assert catalog.removed


def test_a_size_that_the_server_has_otherwise_is_told_at_once(fake: Fake, catalog: Catalog) -> None:
    catalog.sizes["disk-1.vmdk"] = len(DATA) + 1
    with pytest.raises(Conflict, match="100001 instead of 100000"):
        upload(fake)
    assert catalog.removed


@pytest.mark.parametrize("number", [99_999, 100_001])
def test_another_length_than_announced_is_an_error(fake: Fake, catalog: Catalog, number: int) -> None:
    with (
        pytest.raises(CloudExitError, match="100000 bytes were announced"),
        logged_in(fake) as session,
        opened(session) as transfer,
    ):
        transfer.send("disk-1.vmdk", lambda write: write(bytes(number)))
    assert catalog.removed


def test_a_producer_that_stops_removes_the_upload(fake: Fake, catalog: Catalog) -> None:
    def stop(write: Callable[[bytes], object]) -> None:
        write(DATA[:70_000])
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"), logged_in(fake) as session, opened(session) as transfer:
        transfer.send("disk-1.vmdk", stop, piece=1000)
    assert catalog.removed and fake.lines().count(f"POST {CATALOG}/action/upload") == 1


def test_missing_bytes_are_not_waited_for(fake: Fake, catalog: Catalog) -> None:
    with pytest.raises(Conflict, match="0 of 100000 bytes"), logged_in(fake) as session, opened(session) as transfer:
        transfer.complete()


def test_a_template_that_somebody_removed(fake: Fake, catalog: Catalog) -> None:
    def gone(asked: Asked) -> Reply:
        catalog.removed = True
        return Reply(404)

    catalog.before = once(2, gone)
    with pytest.raises(NotFound, match="somebody cancelled") as told:
        upload(fake)
    assert told.value.retryable


def test_removing_cancels_what_runs(fake: Fake, catalog: Catalog) -> None:
    cancelled: list[str] = []

    def cancel(asked: Asked) -> Reply:
        cancelled.append(asked.path)
        catalog.removed = True
        return Reply(204)

    fake.routes["POST /api/task/11111111-2222-4333-8444-555555555555/action/cancel"] = cancel
    fake.routes["GET /api/query"] = xml(f'<R xmlns="{VCLOUD}" total="0"/>')
    with logged_in(fake) as session:
        assert template.remove(session, HREF) is True
        assert template.remove(session, HREF) is False
    assert cancelled and f"DELETE {HREF}" not in fake.lines()


def test_what_an_earlier_run_left_is_removed_and_nothing_else(fake: Fake, catalog: Catalog) -> None:
    row = f'<VAppTemplateRecord name="t" href="https://public.name{HREF}" catalogName="c"/>'
    fake.routes["GET /api/query"] = xml(f'<R xmlns="{VCLOUD}" total="1">{row}</R>')
    fake.routes["POST /api/task/11111111-2222-4333-8444-555555555555/action/cancel"] = Reply(204)
    whole = catalog.get
    with logged_in(fake) as session:
        with pytest.raises(Conflict, match="not ours"):
            template.remove_left(session, "t", "c", "[cloudexit acme/1]")
        assert not catalog.removed

        def described(asked: Asked) -> Reply:
            reply = whole(asked)
            text = reply.body.replace(b"<Files>", b"<Description>x [cloudexit acme/1]</Description><Files>")
            return Reply(reply.status, text, reply.headers)

        fake.routes[f"GET {HREF}"] = described
        assert template.remove_left(session, "t", "c", "[cloudexit acme/1]")
        assert catalog.removed
        assert not template.remove_left(session, "t", "c", "[cloudexit acme/1]")


# -- downloads


VM = "/api/vApp/vm-44444444-2222-4333-8444-555555555555"


def offer(fake: Fake, files: dict[str, bytes]) -> list[str]:
    """A VM whose package can be downloaded; the ranges that were asked for."""
    descriptor = ovf.write(spec(), [len(files["disk-1.vmdk"]), None, len(files["disk-3.vmdk"])])
    ranges: list[str] = []
    fake.routes[f"POST {VM}/action/enableDownload"] = xml(task(), 202)
    fake.routes[f"POST {VM}/action/disableDownload"] = xml(task(), 202)
    link = '<Link rel="download:default" href="https://public.name/transfer/d/descriptor.ovf"/>'
    fake.routes[f"GET {VM}"] = [xml(f'<Vm xmlns="{VCLOUD}"/>'), xml(f'<Vm xmlns="{VCLOUD}">{link}</Vm>')]
    fake.routes["GET /transfer/d/descriptor.ovf"] = Reply(200, descriptor)

    def file(name: str) -> Callable[[Asked], Reply]:
        def give(asked: Asked) -> Reply:
            ranges.append(asked.headers.get("range", ""))
            found = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
            at, data = int(found[1]) if found else 0, files[name]
            headers = {"Content-Range": f"bytes {at}-{len(data) - 1}/{len(data)}"} if found else {}
            cut = 40_000 if len(ranges) < 3 and len(data) - at > 40_000 else None
            return Reply(206 if found else 200, data[at:], headers, cut=cut)

        return give

    for name in files:
        fake.routes[f"GET /transfer/d/{name}"] = file(name)
    return ranges


def test_disks_are_read_back_and_go_on_after_breaks(fake: Fake) -> None:
    ranges = offer(fake, {"disk-1.vmdk": DATA, "disk-3.vmdk": DATA[:10]})
    with logged_in(fake) as session, download.open_package(session, VM, "web") as package:
        assert [one.file for one in package.disks] == ["disk-1.vmdk", "disk-3.vmdk", ""]
        with package.fetch(package.disks[0]).buffered() as stream:
            assert stream.read() == DATA
        with package.fetch(package.disks[1]).buffered() as stream:
            assert stream.read() == DATA[:10]
        with pytest.raises(NotFound):
            package.fetch(package.disks[2])
    assert ranges[0] == "" and ranges[1].startswith("bytes=") and len(ranges) == 4
    assert fake.lines()[-1] == f"POST {VM}/action/disableDownload"


def test_a_server_without_ranges_sends_it_all_again(fake: Fake) -> None:
    offer(fake, {"disk-1.vmdk": DATA, "disk-3.vmdk": DATA})
    whole = Reply(200, DATA)
    fake.routes["GET /transfer/d/disk-1.vmdk"] = [Reply(200, DATA, cut=50_000), Reply(200, DATA, cut=70_000), whole]
    with (
        logged_in(fake) as session,
        download.open_package(session, VM, "web") as package,
        package.fetch(package.disks[0]).buffered() as stream,
    ):
        assert stream.read() == DATA


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ([Reply(404)], NotFound),
        ([Reply(200, DATA[:-1])], Refused),
        ([Reply(200, DATA, {"Content-Encoding": "gzip"})], Refused),
        ([Reply(200, DATA, cut=5), Reply(206, DATA, {"Content-Range": "bytes 9-99999/100000"})], Refused),
        ([Reply(200, DATA, cut=5), Reply(cut=-1)], Unreachable),
        ([Reply(200, DATA, cut=5), Reply(200, DATA + b"x")], Refused),
    ],
)
def test_downloads_that_are_not_what_was_promised(fake: Fake, replies: list[Reply], kind: type[CloudExitError]) -> None:
    offer(fake, {"disk-1.vmdk": DATA, "disk-3.vmdk": DATA})
    fake.routes["GET /transfer/d/disk-1.vmdk"] = replies
    with logged_in(fake) as session, download.open_package(session, VM, "web") as package, pytest.raises(kind):
        package.fetch(package.disks[0]).buffered().read()


def test_a_descriptor_that_is_too_large_is_refused_and_the_download_closed(fake: Fake) -> None:
    offer(fake, {"disk-1.vmdk": DATA, "disk-3.vmdk": DATA})
    fake.routes["GET /transfer/d/descriptor.ovf"] = Reply(200, b"<a/>", {"Content-Length": str(13 << 20)}, cut=4)
    with logged_in(fake) as session, pytest.raises(Refused, match="is not taken"):
        download.open_package(session, VM, "web")
    assert fake.lines()[-1] == f"POST {VM}/action/disableDownload"
