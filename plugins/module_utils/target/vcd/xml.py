# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML of Cloud Director: answers read as hostile input, requests written with every name escaped.

What comes from a server may be anything: no document type, no entities, UTF-8 only, bounded in bytes, depth and
elements. What is sent keeps the order in which it was built, since Cloud Director checks the order of its schemas.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    InvalidInput,
    Problem,
    Refused,
)

VCLOUD = "http://www.vmware.com/vcloud/v1.5"
OVF = "http://schemas.dmtf.org/ovf/envelope/1"
NAMESPACES: Mapping[str, str] = {
    "": VCLOUD,
    "ovf": OVF,
    "rasd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData",
    "vssd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData",
    "vmw": "http://www.vmware.com/schema/ovf",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
MAX_BYTES = 32 << 20
MAX_DEPTH = 64
MAX_ELEMENTS = 400_000
MAX_ATTRIBUTES = 256

Tree: TypeAlias = "ElementTree.Element"
Value: TypeAlias = "str | int | bool"
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# -- reading


def parse(data: bytes, what: str, *, limit: int = MAX_BYTES) -> Tree:
    """The tree of an answer. Refused (with the reason) when it is not plain, small, well-formed XML in UTF-8."""
    if len(data) > limit:
        raise _refused(what, f"it has {len(data)} bytes, more than the {limit} that are read")
    body = data.removeprefix(b"\xef\xbb\xbf")
    declared = _ENCODING.match(body[:256])
    if declared and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise _refused(what, f"its encoding is {declared[1].decode('ascii')}, not UTF-8")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(what, f"it is not UTF-8 ({error.reason} at byte {error.start})") from error
    builder = _Builder(what)
    try:
        return builder.read(body)
    except expat.ExpatError as error:
        raise _refused(what, f"it is not well-formed: {error}") from error


class _Builder:
    def __init__(self, what: str) -> None:
        self.what = what
        self.tree = ElementTree.TreeBuilder()
        self.depth = self.elements = 0
        parser = expat.ParserCreate("utf-8", "}")
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.tree.data
        parser.StartDoctypeDeclHandler = self.doctype
        parser.EntityDeclHandler = self.doctype
        parser.ExternalEntityRefHandler = self.doctype
        self.parser = parser

    def read(self, body: bytes) -> Tree:
        self.parser.Parse(body, True)
        return self.tree.close()

    def doctype(self, *dummy: object) -> int:
        raise _refused(self.what, "it declares a document type or entities, which are never read")

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > MAX_DEPTH or self.elements > MAX_ELEMENTS or len(attributes) > MAX_ATTRIBUTES:
            raise _refused(self.what, "it is nested too deep or has too many elements")
        self.tree.start(_clark(name), {_clark(key): value for key, value in attributes.items()})

    def end(self, name: str) -> None:
        self.depth -= 1
        self.tree.end(_clark(name))


def _clark(name: str) -> str:
    return "{" + name if "}" in name else name


def _refused(what: str, cause: str) -> Refused:
    return Refused(
        what,
        cause=f"the server's answer is not taken: {cause}",
        hint="Something else than Cloud Director may answer there (a proxy, a portal). Check the address.",
    )


def local(tree: Tree) -> str:
    """The name of an element without its namespace."""
    return str(tree.tag).rpartition("}")[2]


def children(tree: Tree, name: str) -> list[Tree]:
    """The direct children of that name, in any namespace."""
    return [child for child in tree if local(child) == name]


def child(tree: Tree | None, *path: str) -> Tree | None:
    """The first element on a path of names, or None."""
    for name in path:
        if tree is None:
            return None
        tree = next((one for one in tree if local(one) == name), None)
    return tree


def text(tree: Tree | None, *path: str) -> str:
    """The text of the first element on a path, stripped; "" where there is none."""
    found = child(tree, *path)
    return (found.text or "").strip() if found is not None else ""


def number(tree: Tree | None, *path: str, default: int = 0) -> int:
    """The text as a whole number; `default` where it is none."""
    return whole(text(tree, *path), default)


def whole(value: object, default: int = 0) -> int:
    """A whole number from what a server said; `default` where it is none or absurdly long."""
    said = str(value).strip() if not isinstance(value, bool) else ""
    return int(said) if re.fullmatch(r"[+-]?[0-9]{1,20}", said) else default


def truth(tree: Tree | None, *path: str) -> bool:
    """Whether the text is `true`."""
    return text(tree, *path).lower() in ("true", "1")


def attribute(tree: Tree | None, name: str, default: str = "") -> str:
    """An attribute by its name, in any namespace; `default` where there is none."""
    if tree is None:
        return default
    if name in tree.attrib:
        return str(tree.attrib[name])
    return next((str(value) for key, value in tree.attrib.items() if key.rpartition("}")[2] == name), default)


def walk(tree: Tree, name: str) -> Iterator[Tree]:
    """All elements of that name, however deep."""
    return (one for one in tree.iter() if local(one) == name)


@dataclass(frozen=True)
class Link:
    """What a server offers to do with an object."""

    rel: str
    type: str
    href: str
    name: str = ""


def links(tree: Tree) -> list[Link]:
    """The links of an object, in order."""
    return [
        Link(attribute(one, "rel"), attribute(one, "type"), attribute(one, "href"), attribute(one, "name"))
        for one in children(tree, "Link")
    ]


def link(tree: Tree, rel: str, kind: str = "") -> str:
    """The href of the first link with that rel (and media type); "" where there is none."""
    return next((one.href for one in links(tree) if one.rel == rel and kind in ("", one.type)), "")


# -- writing


@dataclass
class Node:
    """An element to be sent. tag and keys of attributes: `Name`, or `ovf:Name` with a prefix of NAMESPACES."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    text: str = ""


def el(
    tag: str, *content: Node | Value | None, at: Mapping[str, Value | None] | None = None, **attributes: Value | None
) -> Node:
    """An element; `at` has attributes with a prefix, or whatever is no name in Python.

    None is left out, in content and attributes; true and false are written as XML wants them.
    """
    both = {**(at or {}), **attributes}
    node = Node(tag, {key: plain(value) for key, value in both.items() if value is not None})
    for one in content:
        if isinstance(one, Node):
            node.children.append(one)
        elif one is not None:
            node.text += plain(one)
    return node


def maybe(tag: str, value: Value | None) -> Node | None:
    """An element, or None where there is nothing to say."""
    return None if value is None or value == "" else el(tag, value)


def plain(value: Value) -> str:
    """A value as text of XML."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def render(node: Node) -> bytes:
    """The document. InvalidInput when a text holds characters that XML cannot carry."""
    used = {""} if _bare(node) else set()
    used |= set(_prefixes(node))
    names = {f"xmlns:{prefix}" if prefix else "xmlns": NAMESPACES[prefix] for prefix in sorted(used)}
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    _write(Node(node.tag, {**names, **node.attributes}, node.children, node.text), out)
    return "".join(out).encode("utf-8")


def _bare(node: Node) -> bool:
    return ":" not in node.tag or any(_bare(one) for one in node.children)


def _prefixes(node: Node) -> Iterator[str]:
    for name in (node.tag, *node.attributes):
        if ":" in name:
            yield name.partition(":")[0]
    for one in node.children:
        yield from _prefixes(one)


def _write(node: Node, out: list[str]) -> None:
    out.append(f"<{node.tag}")
    for key, value in node.attributes.items():
        out.append(f" {key}={quoteattr(_checked(value), {chr(10): '&#10;', chr(13): '&#13;', chr(9): '&#9;'})}")
    if not node.children and not node.text:
        out.append("/>")
        return
    out.append(">")
    out.append(escape(_checked(node.text), {"\r": "&#13;"}))
    for one in node.children:
        _write(one, out)
    out.append(f"</{node.tag}>")


def _checked(value: str) -> str:
    found = _FORBIDDEN.search(value)
    if found:
        where = ascii(value[max(0, found.start() - 20) : found.start() + 10])
        raise InvalidInput(
            "a text cannot be sent to Cloud Director",
            [Problem(where, f"the character U+{ord(found[0]):04X} cannot stand in XML")],
        )
    return value


_PREFIX_OF = {uri: prefix for prefix, uri in NAMESPACES.items()}


def copied(tree: Tree, *, without: Iterable[str] = ("Link",)) -> Node:
    """What was read, to be sent back: with everything in it but the elements named in `without`.

    Elements of namespaces that Cloud Director's own documents do not use are left out.
    """
    attributes = {}
    for key, value in tree.attrib.items():
        uri, dummy, name = str(key).removeprefix("{").rpartition("}")
        if not uri:
            attributes[name] = str(value)
        elif _PREFIX_OF.get(uri):
            attributes[f"{_PREFIX_OF[uri]}:{name}"] = str(value)
    node = Node(_qualified(str(tree.tag)), attributes)
    kept = [one for one in tree if local(one) not in without and _known(one)]
    node.children = [copied(one, without=without) for one in kept]
    if not node.children:
        node.text = tree.text or ""
    return node


def _known(tree: Tree) -> bool:
    return str(tree.tag).removeprefix("{").rpartition("}")[0] in (*_PREFIX_OF, "")


def _qualified(tag: str) -> str:
    uri, dummy, name = tag.removeprefix("{").rpartition("}")
    prefix = _PREFIX_OF.get(uri, "")
    return f"{prefix}:{name}" if prefix else name
