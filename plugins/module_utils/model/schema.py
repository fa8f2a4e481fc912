# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents as dataclasses: one declaration gives the loader, the dump, every problem with its path, and the manual.

Understood types: `str`, `int`, `float`, `bool`, `Any`, `None`, `Literal`, `list[T]`, `dict[str, T]`, dataclasses, and
`T | None`. The metadata of each field is made by `doc`.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem

T = TypeVar("T")
Check = Callable[[Any], "str | None"]
_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class _Unset:
    """Stands for a value that could not be loaded: empty, false, equal to nothing, and so is all that hangs on it.

    So rules can still be applied to the sound rest of a document. It never gets into a document without problems.
    """

    def __getattr__(self, name: str) -> _Unset:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _key: object) -> _Unset:
        return self

    def __call__(self, *_args: object, **_kwargs: object) -> _Unset:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __contains__(self, _key: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


UNSET: Any = _Unset()


def doc(text: str, *, check: Check | None = None) -> dict[str, Any]:
    """The metadata of a field of a document: its text for the manual, and what else must hold (None: it does)."""
    return {"doc": text, "check": check}


def load(cls: type[T], data: Any, path: str = "") -> tuple[T | None, list[Problem]]:
    """`data` (plain mappings, lists, scalars) as a `cls`, and all problems; the object is None when there is any."""
    value, problems = load_partial(cls, data, path)
    return (None if problems else value), problems


def load_partial(cls: type[T], data: Any, path: str = "") -> tuple[T, list[Problem]]:
    """As `load`, but the object is there in any case, with UNSET where a value could not be loaded."""
    problems: list[Problem] = []
    value: T = _load(cls, data, path, problems)
    return value, problems


def whole(value: Any) -> bool:
    """Whether nothing in what `load_partial` gave is UNSET; values that a check refuses are there."""
    if dataclasses.is_dataclass(value):
        return all(whole(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return all(map(whole, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(whole, value))
    return value is not UNSET


def dump(value: Any) -> Any:
    """The document as plain data, fields in declared order; what is left out at load comes back as its default."""
    if dataclasses.is_dataclass(value):
        return {field.name: dump(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: dump(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [dump(entry) for entry in value]
    return value


def canonical(data: Any) -> bytes:
    """`data` as JSON bytes that depend on nothing but its content: sorted keys, UTF-8, no spaces."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def digest(data: Any) -> str:
    """The digest of a document's content: `sha256:` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(canonical(data)).hexdigest()}"


def join(path: str, key: object) -> str:
    """The path of a member: `workloads.web-1`, `disks[0]`; names that hold a dot or a blank are quoted."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    text = str(key)
    if not text or not all(char.isalnum() or char in "_-" for char in text):
        text = json.dumps(text, ensure_ascii=False)
    return f"{path}.{text}" if path else text


def describe(cls: Any, path: str = "") -> Iterator[tuple[str, str, str, str]]:
    """For the manual, one row a key: path, type, default (`required` where there is none), text."""
    hints = _hints(cls)
    for field in dataclasses.fields(cls):
        kind = hints[field.name]
        where = f"{path}.{field.name}" if path else field.name
        yield where, type_name(kind), _default_name(field), field.metadata.get("doc", "")
        inner, suffix = _inner(kind)
        if inner is not None:
            yield from describe(inner, where + suffix)


def type_name(kind: Any) -> str:
    """How the manual names a type."""
    if kind in _KINDS:
        return {str: "text", int: "integer", float: "number", bool: "boolean"}[kind]
    if kind is Any:
        return "any"
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if arg is type(None) else type_name(arg) for arg in args)
    if origin is list:
        return f"list of {type_name(args[0])}s" if not dataclasses.is_dataclass(args[0]) else "list of mappings"
    return "mapping"


def _default_name(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return json.dumps(field.default)
    if field.default_factory is not dataclasses.MISSING:
        made = dump(field.default_factory())
        return "see below" if dataclasses.is_dataclass(field.default_factory) else json.dumps(made)
    return "required"


def _inner(kind: Any) -> tuple[Any, str]:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for arg in args:
            found, suffix = _inner(arg)
            if found is not None:
                return found, suffix
        return None, ""
    if origin is list:
        return (args[0], "[]") if dataclasses.is_dataclass(args[0]) else (None, "")
    if origin is dict:
        found, suffix = _inner(args[1])
        return found, f".*{suffix}"
    return (kind, "") if dataclasses.is_dataclass(kind) else (None, "")


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@functools.cache
def _plan_of(cls: Any) -> tuple[dict[str, dataclasses.Field[Any]], dict[str, Any]]:
    return {field.name: field for field in dataclasses.fields(cls)}, _hints(cls)


def _seen(value: Any) -> str:
    """What was found, for a message."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        shown = value if len(value) <= 60 else value[:57] + "..."
        return f"the text {json.dumps(shown, ensure_ascii=False)}"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a {type(value).__name__}"


def _load(kind: Any, data: Any, path: str, problems: list[Problem]) -> Any:
    if kind is Any:
        return data
    if kind in _KINDS:
        return _scalar(kind, data, path, problems)
    if dataclasses.is_dataclass(kind):
        return _object(kind, data, path, problems)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in args:
            return None
        return _load(next(arg for arg in args if arg is not type(None)), data, path, problems)
    if origin is typing.Literal:
        if isinstance(data, str) and data in args:
            return data
        choices = ", ".join(str(choice) for choice in args)
        near = difflib.get_close_matches(str(data), [str(choice) for choice in args], 1) if data is not None else []
        hint = f" (did you mean {near[0]}?)" if near else ""
        problems.append(Problem(path, f"must be one of {choices}, not {_seen(data)}{hint}"))
        return UNSET
    if origin is list:
        if not isinstance(data, (list, tuple)):
            problems.append(Problem(path, f"must be a list, not {_seen(data)}"))
            return UNSET
        return [_load(args[0], entry, join(path, index), problems) for index, entry in enumerate(data)]
    if origin is dict:
        return _mapping(args[1], data, path, problems)
    raise TypeError(f"schema type {kind!r}")


def _mapping(kind: Any, data: Any, path: str, problems: list[Problem]) -> Any:
    if not isinstance(data, Mapping):
        problems.append(Problem(path, f"must be a mapping, not {_seen(data)}"))
        return UNSET
    loaded = {}
    for key, entry in data.items():
        if not isinstance(key, str):
            problems.append(Problem(join(path, str(key)), f"this key must be text: put it in quotes, not {_seen(key)}"))
            continue
        loaded[key] = _load(kind, entry, join(path, key), problems)
    return loaded


def _scalar(kind: type[Any], data: Any, path: str, problems: list[Problem]) -> Any:
    if kind is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        return float(data)
    if isinstance(data, kind) and (kind is bool or not isinstance(data, bool)):
        return data
    hint = ": put it in quotes" if kind is str and isinstance(data, (int, float)) else ""
    problems.append(Problem(path, f"must be {_KINDS[kind]}, not {_seen(data)}{hint}"))
    return UNSET


def _object(cls: Any, data: Any, path: str, problems: list[Problem]) -> Any:
    if not isinstance(data, Mapping):
        problems.append(Problem(path or "(document)", f"must be a mapping, not {_seen(data)}"))
        return UNSET
    fields, hints = _plan_of(cls)
    for key in data:
        if key not in fields:
            near = difflib.get_close_matches(str(key), list(fields), 1)
            hint = f" (did you mean {near[0]}?)" if near else f"; known here: {', '.join(fields)}"
            problems.append(Problem(join(path, str(key)), f"unknown key{hint}"))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        where = join(path, name)
        if name not in data:
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                problems.append(Problem(where, f"is missing: {field.metadata.get('doc', '')}".rstrip(": ")))
                values[name] = UNSET
            continue
        before = len(problems)
        values[name] = _load(hints[name], data[name], where, problems)
        check: Check | None = field.metadata.get("check")
        if check is not None and len(problems) == before and values[name] is not None:
            said = check(values[name])
            if said:
                problems.append(Problem(where, said))
    return cls(**values)
