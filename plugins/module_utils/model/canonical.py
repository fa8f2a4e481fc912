# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON in the one form that can be hashed: the JSON Canonicalization Scheme (RFC 8785), written and read.

Keys in the order of their UTF-16 code units, no white space, strings escaped only where JSON must, numbers as
ECMAScript prints an IEEE 754 double. What has no such form is refused: NaN, infinities, integers that a double cannot
hold, lone surrogates, keys that are not strings.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem

_ESCAPES = {chr(code): f"\\u{code:04x}" for code in range(0x20)} | {
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
    '"': '\\"',
    "\\": "\\\\",
}
_TABLE = str.maketrans(_ESCAPES)
MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 64


def dumps(value: Any) -> bytes:
    """The canonical form of a JSON value, in UTF-8. Raises InvalidInput, with the path of each offending value."""
    problems: list[Problem] = []
    out: list[str] = []
    _write(value, "$", 0, out, problems)
    if problems:
        raise InvalidInput("this value has no canonical JSON form", problems)
    return "".join(out).encode("utf-8")


def loads(line: bytes) -> Any:
    """Read JSON strictly: UTF-8, no repeated key, no NaN. Raises InvalidInput.

    The value may still have been written in a form that is not canonical: compare `dumps(loads(line))` with `line`.
    """
    try:
        return json.loads(line.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("not a JSON value", [Problem("$", str(error) or type(error).__name__)]) from error


def number(value: int | float) -> str:
    """A number as ECMAScript's Number::toString prints it (RFC 8785, 3.2.2.3). Raises ValueError for all others."""
    if isinstance(value, int):
        if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            return str(value)
        try:
            as_double = float(value)
        except OverflowError:
            as_double = math.inf
        if as_double != value:
            raise ValueError(f"{value} does not fit a double; write it as a string")
        value = as_double
    if not math.isfinite(value):
        raise ValueError("NaN and infinity are not JSON")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, dummy, exponent_text = repr(abs(value)).partition("e")
    digits, point = _digits(mantissa, int(exponent_text or 0))
    count = len(digits)
    if count <= point <= 21:
        body = digits + "0" * (point - count)
    elif 0 < point <= 21:
        body = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        body = "0." + "0" * -point + digits
    else:
        power = f"e{point - 1:+d}"
        body = (digits if count == 1 else f"{digits[0]}.{digits[1:]}") + power
    return sign + body


def _digits(mantissa: str, exponent: int) -> tuple[str, int]:
    """Significant digits and the position of the decimal point relative to the first of them."""
    whole, dummy, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + exponent
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    return stripped.rstrip("0"), point


def _write(value: Any, path: str, depth: int, out: list[str], problems: list[Problem]) -> None:
    if depth > MAX_DEPTH:
        problems.append(Problem(path, f"nested deeper than {MAX_DEPTH}"))
    elif value is None:
        out.append("null")
    elif isinstance(value, bool):
        out.append("true" if value else "false")
    elif isinstance(value, str):
        _write_string(value, path, out, problems)
    elif isinstance(value, (int, float)):
        try:
            out.append(number(value))
        except ValueError as error:
            problems.append(Problem(path, str(error)))
    elif isinstance(value, (list, tuple)):
        out.append("[")
        for index, item in enumerate(value):
            if index:
                out.append(",")
            _write(item, f"{path}[{index}]", depth + 1, out, problems)
        out.append("]")
    elif isinstance(value, dict):
        _write_object(value, path, depth, out, problems)
    else:
        problems.append(Problem(path, f"{type(value).__name__} is not a JSON type"))


def _write_object(value: dict[Any, Any], path: str, depth: int, out: list[str], problems: list[Problem]) -> None:
    for key in value:
        if not isinstance(key, str):
            problems.append(Problem(path, f"the key {key!r} is not a string"))
            return
    out.append("{")
    for index, key in enumerate(sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))):
        if index:
            out.append(",")
        _write_string(key, path, out, problems)
        out.append(":")
        _write(value[key], f"{path}.{key}", depth + 1, out, problems)
    out.append("}")


def _write_string(value: str, path: str, out: list[str], problems: list[Problem]) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        problems.append(Problem(path.encode("utf-8", "replace").decode(), "a lone surrogate is not Unicode text"))
        return
    out.append(f'"{value.translate(_TABLE)}"')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, dummy in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"repeated key {', '.join(repeated)}")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
