# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw rows as resources: nothing that changes by itself, no secrets, the same for the same object."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import convert
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing

SECRETS = (
    "password",
    "adminPass",
    "admin_pass",
    "db_password",
    "psk",
    "token",
    "auth_token",
    "private_key",
    "privateKey",
    "user_data",
    "userData",
    "secret_key",
    "access_key",
    "AccessKeyId",
    "api_key",
    "auth_key",
    "passphrase",
    "credentials",
    "kubeconfig",
)
VOLATILE = (
    "updated",
    "updated_at",
    "update_time",
    "updateTime",
    "updated_time",
    "last_modified",
    "links",
    "self",
    "href",
    "revision_number",
    "request_id",
    "OS-EXT-STS:task_state",
    "operating_status",
    "used_capacity",
    "avail_capacity",
    "progress",
)
HARMLESS = (
    "key_pair",
    "public_key",
    "passive",
    "bypass",
    "status_x",
    "cores",
    "totalCoresUsed",
    "keystone",
    "usage_type",
)


def made(row: dict[str, Any], **changed: Any) -> model.Resource:
    listing = Listing(**{"kind": "things", "service": "x", "path": "/x", "key": "x", **changed})
    return convert.resource(listing, str(row.get("id", "i")), row, "mine")


def test_the_usual_names() -> None:
    row = {"id": "i", "name": "n", "status": "OK", "created_at": "2026", "project_id": "mine", "flavor": "f", "size": 3}
    assert made(row) == model.Resource(
        id="i", name="n", status="OK", created="2026", properties={"flavor": "f", "size": 3}
    )
    assert made(row, fields={"size_gib": "size"}).size_gib == 3.0
    assert "size" not in made(row, fields={"size_gib": "size"}).properties


def test_names_of_the_service() -> None:
    row = {
        "meta": {"uid": "i", "name": "n"},
        "phase": {"now": "OK"},
        "begin": 17,
        "vol": {"bytes": 2**31},
        "above": "p",
        "name": "other",
    }
    fields = {"id": "meta.uid", "name": "meta.name", "status": "phase.now", "created": "begin", "parent": "above"}
    found = made(row, fields=fields | {"size_bytes": "vol.bytes"})
    assert (found.name, found.status, found.created, found.parent, found.size_gib) == ("n", "OK", "17", "p", 2.0)
    assert found.properties["name"] == "other"
    assert made({"size": 512}, fields={"size_mib": "size"}).size_gib == 0.5
    assert made({"id": "i", "_parent": "above"}).parent == "above"


def test_another_project_stays_visible() -> None:
    assert made({"id": "i", "project_id": "theirs", "tenant_id": "mine"}).properties == {"project_id": "theirs"}


@pytest.mark.parametrize("key", SECRETS)
def test_secrets_are_left_out_wherever_they_are(key: str) -> None:
    row = {"id": "i", key: "PLANTED", "deep": [{"a": {key: "PLANTED", "b": 1}}], "c": {key: {"x": "PLANTED"}}}
    found = made(row)
    assert "PLANTED" not in repr(found) and found.properties == {"deep": [{"a": {"b": 1}}]}


@pytest.mark.parametrize("key", VOLATILE)
def test_what_changes_by_itself_is_left_out(key: str) -> None:
    assert made({"id": "i", key: "x", "a": {key: 1, "b": 2}}).properties == {"a": {"b": 2}}


@pytest.mark.parametrize("key", HARMLESS)
def test_all_else_is_kept(key: str) -> None:
    assert made({"id": "i", key: "x"}).properties == {key: "x"}


def test_more_to_leave_out_and_lists_in_order() -> None:
    row = {"id": "i", "serial": 5, "rules": ["b", "a"], "tags": ["b", "a"], "pairs": [{"k": 2}, {"k": 1}]}
    found = made(row, drop=("serial",), ordered=("rules",))
    assert found.properties == {"rules": ["b", "a"], "tags": ["a", "b"], "pairs": [{"k": 1}, {"k": 2}]}


def test_empty_is_left_out_and_nought_and_no_are_not() -> None:
    row = {"id": "i", "a": "", "b": None, "c": [], "d": {}, "e": [None, ""], "f": {"g": None}, "h": 0, "k": False}
    assert made(row).properties == {"h": 0, "k": False}


def test_hostile_values() -> None:
    deep: Any = "bottom"
    for _level in range(50):
        deep = [{"d": deep}]
    row = {
        "id": "i",
        "name": "{{ 7*7 }}<script>/../é\ud800",
        "deep": deep,
        "long": "x" * 100_000,
        "nan": float("nan"),
        "inf": [float("inf")],
        "mixed": [1, "1", None, {"a": 1}, [2]],
    }
    found = made(row)
    assert len(found.properties["long"]) == convert.LONGEST_TEXT + 1 and "nan" not in found.properties
    assert "bottom" not in json.dumps(found.properties)
    estate = model.Estate(
        model.KIND, 1, model.Tenant("mine"), {"key_pairs": "complete"}, resources={"key_pairs": [found]}
    )
    assert model.loads(model.to_text(estate)).digest() == estate.digest()
    for strange in ({"id": "i", "name": ["x"], "status": {"a": 1}, "created_at": True}, {"id": "i", "size": "many"}):
        assert isinstance(made(strange, fields={"size_gib": "size"}), model.Resource)


def test_any_order_gives_the_same_bytes() -> None:
    row = {"id": "i", "b": [3, 1, 2], "a": {"y": [{"k": 1, "l": 2}, {"k": 0}], "x": ["é", "e"]}, "name": "n"}
    first = made(row)
    chance = random.Random(3)

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            chance.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        if isinstance(value, list):
            return chance.sample([shuffled(entry) for entry in value], len(value))
        return value

    for _round in range(20):
        assert json.dumps(made(shuffled(row)).properties) == json.dumps(first.properties)


def test_metadata_of_typed_objects_holds_no_secrets_either() -> None:
    row = {"id": "i", "metadata": {"admin_pass": "PLANTED", "group": "web"}, "flavor": {}}
    assert convert.server(row, {}).metadata == {"group": "web"}
    assert convert.volume({"id": "v", "metadata": {"token": "PLANTED"}}).metadata == {}
