# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names made from what people call their servers are safe wherever they are used."""

from __future__ import annotations

import re

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names

HOSTILE = [
    "a b'\"{{ 7*7 }}/../é",
    "",
    "..",
    "日本",
    "-rf /",
    "a\nb",
    "\x00",
    "A" * 300,
    "ÀÉ",
    "%2f\\",
    "{% raw %}",
    "\ud800",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", names.slug(name))
    assert re.fullmatch(r"group_[a-z0-9_]+", names.group_name("group", name))
    key = names.host_keys({"3f2a9c1d-0d0f-4c07-9a9e-6d0a4f9f8a11": name})["3f2a9c1d-0d0f-4c07-9a9e-6d0a4f9f8a11"]
    assert re.fullmatch(r"[a-z0-9-]+-3f2a9c1d", key)
    target = names.vm_name(name)
    assert 0 < len(target) <= 80
    assert not set(target) & set("%/\\{}'\"\n\x00") and not target.startswith((".", "-", " "))
    assert "\n" not in names.printable(name) and "\x00" not in names.printable(name)


def test_slug() -> None:
    assert names.slug(HOSTILE[0]) == "a-b-7-7-e"
    assert names.slug("Web_Server.01") == "web-server-01"
    assert names.slug("日本", fallback="server") == "server"


def test_host_keys_of_ids_that_begin_alike() -> None:
    keys = names.host_keys({"aaaaaaaa-1111-0000": "web", "aaaaaaaa-2222-0000": "web", "bbbbbbbb-0000": "web"})
    assert sorted(keys.values()) == ["web-aaaaaaaa", "web-aaaaaaaa2222", "web-bbbbbbbb"]
    assert (
        names.host_keys({"aaaaaaaa-2222-0000": "web", "aaaaaaaa-1111-0000": "web"})["aaaaaaaa-1111-0000"]
        == "web-aaaaaaaa"
    )


def test_target_names_are_unique_whatever_the_case() -> None:
    found = names.unique_vm_names({"1111aaaa": "Web", "2222bbbb": "web", "3333cccc": "db"})
    assert found == {"1111aaaa": "Web-1111aaaa", "2222bbbb": "web-2222bbbb", "3333cccc": "db"}
    long = names.unique_vm_names({"1111aaaa": "x" * 90, "2222bbbb": "x" * 90})
    assert len(set(long.values())) == 2 and all(len(name) <= 80 for name in long.values())


def test_an_ordinary_name_stays() -> None:
    assert names.vm_name("SRV-Paie_01 (prod).eu") == "SRV-Paie_01 (prod).eu"
    assert names.vm_name("Comptabilité") == "Comptabilité"


def test_what_is_taken_out_leaves_one_dash() -> None:
    assert names.vm_name(HOSTILE[0]) == "a b-7-7-é"
    assert names.vm_name("SRV - prod") == "SRV - prod"
