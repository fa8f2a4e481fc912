# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Canonical JSON against the examples of RFC 8785 and its number table (appendix B)."""

from __future__ import annotations

import json
import struct

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput

APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B)
def test_numbers_of_the_rfc(bits: str, text: str) -> None:
    assert canonical.number(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


def test_the_example_of_the_rfc() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert canonical.dumps(value).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_keys_in_the_order_of_utf_16() -> None:
    # RFC 8785, 3.2.3: U+1F600 is a surrogate pair and so comes before U+FB33.
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    spelled = json.loads(canonical.dumps(dict.fromkeys(names, 0)), object_pairs_hook=list)
    assert [name for name, value in spelled] == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


HOPELESS = [float("nan"), float("inf"), 2**53 + 1, 10**400, "\ud800", {1: 2}, {"a": {1, 2}}, b"x"]


@pytest.mark.parametrize("value", HOPELESS)
def test_what_has_no_form_is_refused_with_its_path(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical.dumps({"outer": [value]})
    assert "$.outer[0]" in str(caught.value)


def test_all_problems_are_told() -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical.dumps({"a": float("nan"), "b": [float("inf")]})
    assert [problem.path for problem in caught.value.problems] == ["$.a", "$.b[0]"]


@pytest.mark.parametrize("line", [b'{"a":1,"a":2}', b"[NaN]", b"{", b"\xff", b"[" * 100000])
def test_reading_is_strict(line: bytes) -> None:
    with pytest.raises(InvalidInput):
        canonical.loads(line)


def test_reading_gives_back_what_was_written() -> None:
    value = {"a": [1, 2.5, 2**53 - 1, -7, True, None, "é\u2028\x00"], "ö": {"deep": [[]]}}
    assert canonical.loads(canonical.dumps(value)) == value
    assert canonical.dumps(canonical.loads(canonical.dumps(value))) == canonical.dumps(value)
