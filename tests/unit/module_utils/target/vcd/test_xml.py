# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile answers are refused; what is sent is escaped and in order."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import el

BOMB = (
    b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>"""
)
HOSTILE = {
    "entity bomb": BOMB,
    "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "external dtd": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
    "plain doctype": b"<!DOCTYPE html><html></html>",
    "unknown entity": b"<a>&nbsp;</a>",
    "utf-16": '<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"),
    "says utf-16": b'<?xml version="1.0" encoding="UTF-16"?><a/>',
    "utf-7": b'<?xml version="1.0" encoding="utf-7"?><a>+ADw-</a>',
    "latin-1": '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"),
    "not utf-8": b"<a>\xff\xfe</a>",
    "cut": b"<a><b>",
    "empty": b"",
    "json": b"{}",
    "null byte": b"<a>\x00</a>",
    "deep": b"<a>" * 100_000 + b"</a>" * 100_000,
    "wide": b"<a>" + b"<b/>" * (xml.MAX_ELEMENTS + 1) + b"</a>",
    "attributes": b"<a " + b" ".join(b'a%d=""' % n for n in range(1000)) + b"/>",
    "two roots": b"<a/><b/>",
    "unbound prefix": b"<x:a/>",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_answers_are_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="cannot read it"):
        xml.parse(body, "cannot read it")


def test_an_answer_that_is_too_large_is_refused() -> None:
    with pytest.raises(Refused, match="more than the 10"):
        xml.parse(b"<a>12345678901</a>", "no", limit=10)


def test_what_is_read() -> None:
    tree = xml.parse(
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><VApp xmlns="http://www.vmware.com/vcloud/v1.5" '
        b'xmlns:o="http://schemas.dmtf.org/ovf/envelope/1" o:name="x" status=\'8\'><Link rel="up" href="/a" type="t"/>'
        b"<o:Info> &lt;hi&#233; </o:Info><N>07</N><B>true</B><N>no</N></VApp>",
        "no",
    )
    assert xml.local(tree) == "VApp"
    assert (xml.attribute(tree, "name"), xml.attribute(tree, "status"), xml.attribute(tree, "no")) == ("x", "8", "")
    assert xml.text(tree, "Info") == "<hié" and xml.number(tree, "N") == 7 and xml.truth(tree, "B")
    assert xml.link(tree, "up") == "/a" and xml.link(tree, "up", "other") == ""
    assert tree.find(f"{{{xml.OVF}}}Info") is not None


@pytest.mark.parametrize("value", ["9" * 21, "1e9", "", "0x10", "٣", True, None, {"a": 1}])
def test_numbers_that_are_none(value: object) -> None:
    assert xml.whole(value, -7) == -7


def test_what_is_sent_is_escaped() -> None:
    name = "a<b>&\"c'\n\r\t é"
    node = el("Outer", el("ovf:Info", name), el("Empty"), None, at={"name": name, "ovf:x": True, "y": None})
    tree = ElementTree.fromstring(xml.render(node))
    assert tree.tag == f"{{{xml.VCLOUD}}}Outer"
    assert tree.attrib == {"name": name, f"{{{xml.OVF}}}x": "true"}
    assert tree[0].tag == f"{{{xml.OVF}}}Info" and tree[0].text == name
    assert [xml.local(one) for one in tree] == ["Info", "Empty"]


@pytest.mark.parametrize("bad", ["a\x00b", "\x1b[2J", "\ud800", "\ufffe"])
def test_characters_that_xml_cannot_carry_are_told(bad: str) -> None:
    with pytest.raises(InvalidInput, match=r"U\+"):
        xml.render(el("A", bad))


def test_a_copy_keeps_all_but_links_and_foreign_things() -> None:
    text = (
        f'<Section xmlns="{xml.VCLOUD}" xmlns:ovf="{xml.OVF}" xmlns:z="urn:z" ovf:required="false" z:q="1">'
        '<ovf:Info>i</ovf:Info><Link rel="edit" href="/x"/><z:Odd/><A name="n"><B>1 &amp; 2</B></A></Section>'
    )
    tree = xml.parse(xml.render(xml.copied(xml.parse(text.encode(), "no"))), "no")
    assert [xml.local(one) for one in tree] == ["Info", "A"]
    assert xml.text(tree, "A", "B") == "1 & 2" and tree.attrib == {f"{{{xml.OVF}}}required": "false"}
