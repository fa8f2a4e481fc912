# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML that people edit: read with every fault named and the line of each value; written so that it reads well.

Read is the safe part of YAML 1.1 without its traps: a MAC address is never a number to the base 60, a date is text,
a key that is there twice is a fault. `!vault` text is kept as `Vaulted`.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Problem

MAX_NODES = 500_000
"""Values that one document may hold, aliases counted as often as they are used."""

_PLAIN = re.compile(r"^[A-Za-z0-9_/][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+(][A-Za-z0-9_./@+()-]*)*\Z")

_NUMBER = re.compile(r"^[-+.0-9][0-9_.eE+:-]*\Z")
_HARMLESS = re.compile(r"^[ !#-\[\]-~]*\Z")
"""Printable ASCII without a quote or backslash: between double quotes it stands for itself."""
_IP = re.compile(r"^\d{1,3}(?:\.\d{1,3}){3}\Z")


class Vaulted(str):
    """Text that Ansible Vault encrypted (the `!vault` tag); whoever knows Ansible decrypts it."""


@functools.cache
def _yaml() -> Any:
    try:
        import yaml
    except ImportError as exc:
        raise CloudExitError(
            "Cannot read or write YAML",
            cause="the Python library PyYAML is not installed where this runs",
            hint="Install it with: pip install PyYAML",
        ) from exc
    return yaml


@functools.cache
def _loader_class() -> Any:
    """SafeLoader without sexagesimal, octal and hexadecimal numbers and without time stamps."""
    yaml = _yaml()
    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with libyaml
    loader: Any = type("PlanLoader", (base,), {})
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":int", ":float", ":timestamp"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    real = re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?\Z")
    whole = re.compile(r"^[-+]?(?:0|[1-9][0-9]*)\Z")
    # the first that matches wins
    loader.add_implicit_resolver("tag:yaml.org,2002:int", whole, list("-+0123456789"))
    loader.add_implicit_resolver("tag:yaml.org,2002:float", real, list("-+0123456789."))
    return loader


class Document:
    """Plain data with the line (from 1) on which each value stands, by path."""

    def __init__(self, data: Any, lines: dict[str, int]) -> None:
        self.data = data
        self.lines = lines

    def line(self, path: str) -> int | None:
        """The line of `path`, or of the nearest thing around it; None where nothing is known."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = re.sub(r"""(?:\.?"(?:[^"\\]|\\.)*"|\.?[^."\[\]]+|\[\d+\])$""", "", path) if path else ""
            if path.endswith("."):
                path = path[:-1]
        return self.lines.get("")


def read(text: str) -> tuple[Document | None, list[Problem]]:
    """The one YAML document in `text`; None and a problem where it cannot be parsed. Repeated keys are problems too."""
    found, problems, _root = parse(text)
    return found, problems


def parse(text: str) -> tuple[Document | None, list[Problem], Any]:
    """As `read`, and PyYAML's nodes of the text, each with its marks; None where it could not be parsed."""
    problems: list[Problem] = []
    yaml = _yaml()
    try:
        loader = _loader_class()(text)
        node = loader.get_single_node()
        if node is None:
            return None, [Problem("(document)", "is empty")], None
        lines: dict[str, int] = {}
        data = _Builder(loader, lines, problems).build(node, "")
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        return None, [Problem("(document)", f"not YAML{where}: {exc.problem or exc.context}")], None
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        return None, [Problem("(document)", f"not YAML: {' '.join(str(exc).split())}")], None
    return Document(data, lines), problems, node


class _Builder:
    def __init__(self, loader: Any, lines: dict[str, int], problems: list[Problem]) -> None:
        self._loader = loader
        self._lines = lines
        self._problems = problems
        self._open: set[int] = set()
        self._count = 0

    def build(self, node: Any, path: str) -> Any:
        self._count += 1
        if self._count > MAX_NODES:
            raise ValueError(f"it holds more than {MAX_NODES} values")
        if id(node) in self._open:
            raise ValueError(f"line {node.start_mark.line + 1}: an alias inside of itself")
        self._lines.setdefault(path, node.start_mark.line + 1)
        if node.id == "scalar":
            if node.tag == "!vault":
                return Vaulted(node.value)
            return self._loader.construct_object(node)
        self._open.add(id(node))
        try:
            if node.id == "sequence":
                return [self.build(entry, schema.join(path, index)) for index, entry in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: Any, path: str) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._loader.construct_object(key_node) if key_node.id == "scalar" else None
            if key is None or not isinstance(key, (str, int, float, bool)):
                self._problems.append(Problem(path or "(document)", f"line {line}: a key that is not text"))
                continue
            where = schema.join(path, str(key))
            if key in built:
                self._problems.append(
                    Problem(where, f"is there twice, on lines {self._lines.get(where, line)} and {line}")
                )
                continue
            self._lines[where] = line
            built[key] = self.build(value_node, where)
        return built


def scalar(value: Any) -> str:
    """A text, number, boolean or null as YAML on one line; text is quoted wherever a reader could take it otherwise."""
    if isinstance(value, str):
        if _PLAIN.match(value) and (_IP.match(value) or not _NUMBER.match(value)) and not _has_meaning(value):
            return value
        if _HARMLESS.match(value):
            return f'"{value}"'
        quoted: str = _yaml().dump(value, default_style='"', allow_unicode=True, width=10**9)
        return quoted.strip()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _has_meaning(text: str) -> bool:
    """Whether YAML 1.1 takes unquoted text for something else: a number, a boolean, null, a date."""
    resolvers = _yaml().SafeLoader.yaml_implicit_resolvers
    found = [*resolvers.get(text[0], ()), *resolvers.get(None, ())]
    return any(pattern.match(text) for _tag, pattern in found)


def block(data: Any, indent: int = 0) -> list[str]:
    """Plain data as lines of YAML in block style, in the order given; empty mappings and lists as `{}` and `[]`."""
    pad = " " * indent
    lines: list[str] = []
    if isinstance(data, dict):
        for key, value in data.items():
            if isinstance(value, (dict, list)) and value:
                lines.append(f"{pad}{scalar(key)}:")
                lines += block(value, indent + 2)
            else:
                lines.append(f"{pad}{scalar(key)}: {_leaf(value)}")
    elif isinstance(data, list):
        for entry in data:
            if isinstance(entry, (dict, list)) and entry:
                inner = block(entry, indent + 2)
                lines.append(f"{pad}- {inner[0].lstrip()}")
                lines += inner[1:]
            else:
                lines.append(f"{pad}- {_leaf(entry)}")
    else:
        lines.append(f"{pad}{_leaf(data)}")
    return lines


def _leaf(value: Any) -> str:
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return scalar(value)
