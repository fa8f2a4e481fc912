# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nova and Cinder in this process, as far as the acts on servers and disks need them. States change as time passes.

Time passes with each call. `log` has every call; `kill_at` raises Killed after (or instead of) a numbered write, as a
SIGKILL would cut a run.
"""

from __future__ import annotations

import ast
import itertools
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Killed(BaseException):
    """The run ends here."""


class Answer:
    def __init__(self, status_code: int, body: Any = None) -> None:
        self.status_code = status_code
        self.content = b"" if body is None else json.dumps(body).encode()
        self.headers = {"x-openstack-request-id": "req-1"}
        self.reason = ""

    def json(self) -> Any:
        return json.loads(self.content)


def refuse(status: int, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "message": message}})


class FakeOpenStack:
    """State and behaviour. Give it to the acts as `cloud`."""

    compute_microversion = (2, 79)

    def __init__(self, slowness: int = 2) -> None:
        self.servers: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.actions: dict[str, list[dict[str, str]]] = {}
        self.log: list[str] = []
        self.ids = itertools.count(1)
        self.slowness = slowness
        self.later: list[tuple[int, Callable[[], None]]] = []
        self.tick = 0
        self.writes = 0
        self.kill_at: int | None = None
        self.kill_before = False
        self.intercept: Callable[[str, str, Any], Answer | None] = lambda method, url, body: None
        self.compute = self._service("compute")
        self.block_storage = self._service("block_storage")

    def __enter__(self) -> FakeOpenStack:
        return self

    def __exit__(self, *_args: object) -> None:
        return

    # -- set-up

    def add_server(self, server_id: str, status: str = "SHUTOFF", volumes: tuple[str, ...] = ()) -> dict[str, Any]:
        server = {
            "id": server_id,
            "name": f"name of {server_id}",
            "status": status,
            "OS-EXT-STS:task_state": None,
            "OS-EXT-AZ:availability_zone": "nova",
            "locked": False,
            "locked_reason": None,
            "metadata": {},
            "os-extended-volumes:volumes_attached": [{"id": volume} for volume in volumes],
        }
        self.servers[server_id] = server
        self.actions[server_id] = [{"action": "create", "start_time": self.now()}]
        for volume in volumes:
            self.add_volume(volume, at=server_id)
        return server

    def add_volume(self, volume_id: str, at: str = "", size: int = 1, **more: Any) -> dict[str, Any]:
        volume = {
            "id": volume_id,
            "status": "in-use" if at else "available",
            "size": size,
            "multiattach": False,
            "encrypted": False,
            "metadata": {},
            "snapshot_id": None,
            "created_at": self.now(),
            "availability_zone": "nova",
            "attachments": [{"server_id": at, "device": "/dev/vda"}] if at else [],
            **more,
        }
        self.volumes[volume_id] = volume
        return volume

    def act(self, server_id: str, action: str) -> None:
        self.actions[server_id].append({"action": action, "start_time": self.now()})

    # -- what the tests look at

    def now(self) -> str:
        return (EPOCH + timedelta(seconds=self.tick)).strftime("%Y-%m-%dT%H:%M:%S.%f")

    def sleep(self, seconds: float) -> None:
        self._pass(1)

    def clock(self) -> float:
        return float(self.tick)

    def settle(self) -> None:
        """Let everything that is under way end."""
        self._pass(1000)

    def write_calls(self) -> list[str]:
        return [line for line in self.log if not line.startswith("GET")]

    def ours(self) -> list[dict[str, Any]]:
        """Objects with our marks."""
        return [o for o in (*self.volumes.values(), *self.snapshots.values()) if "cloudexit_tenant" in o["metadata"]]

    # -- the services

    def _service(self, name: str) -> Any:
        def request(url: str, method: str, **options: Any) -> Answer:
            return self._request(url, method, options.get("json"), options.get("params") or {})

        endpoint = SimpleNamespace(max_microversion=(3, 70))
        return SimpleNamespace(request=request, get_endpoint_data=lambda: endpoint)

    def _request(self, url: str, method: str, body: Any, params: dict[str, str]) -> Answer:
        self._pass(1)
        self.log.append(f"{method} {url}")
        if method != "GET":
            self.writes += 1
            if self.kill_at == self.writes and self.kill_before:
                raise Killed
        answer = self.intercept(method, url, body) or self._answer(method, url, body, params)
        if method != "GET" and self.kill_at == self.writes:
            raise Killed
        return answer

    def _pass(self, ticks: int) -> None:
        for _tick in range(ticks):
            self.tick += 1
            due = [act for when, act in self.later if when <= self.tick]
            self.later = [(when, act) for when, act in self.later if when > self.tick]
            for act in due:
                act()

    def _then(self, act: Callable[[], None]) -> None:
        self.later.append((self.tick + self.slowness, act))

    def _answer(self, method: str, url: str, body: Any, params: dict[str, str]) -> Answer:
        parts = url.strip("/").split("/")
        match [method, *parts]:
            case ["GET", "volumes" | "snapshots" as kind, "detail"]:
                wanted = ast.literal_eval(params.get("metadata", "{}"))
                objects = [o for o in getattr(self, kind).values() if wanted.items() <= o["metadata"].items()]
                return Answer(200, {kind: objects})
            case ["POST", "snapshots"]:
                return self._make_snapshot(body["snapshot"])
            case ["POST", "volumes"]:
                return self._make_volume(body["volume"])
            case ["DELETE", "volumes" | "snapshots" as kind, object_id]:
                return self._delete(kind, object_id)
            case ["POST", "volumes", volume_id, "metadata"]:
                self.volumes[volume_id]["metadata"].update(body["metadata"])
                return Answer(200, body)
            case ["GET", "volumes", volume_id]:
                found = self.volumes.get(volume_id)
                return Answer(200, {"volume": found}) if found else refuse(404, "Volume could not be found")
            case [_, "servers", server_id, *rest] if server_id in self.servers:
                return self._server(method, self.servers[server_id], rest, body)
        return refuse(404, "not found")

    def _make_snapshot(self, wanted: dict[str, Any]) -> Answer:
        source = self.volumes[wanted["volume_id"]]
        assert source["status"] == "available" or wanted["force"], "a snapshot of an attached volume wants force"
        snapshot = {
            "id": f"snapshot-{next(self.ids)}",
            "volume_id": source["id"],
            "status": "creating",
            "created_at": self.now(),
            "metadata": dict(wanted["metadata"]),
        }
        self.snapshots[snapshot["id"]] = snapshot
        self._then(lambda: snapshot.update(status="available") if snapshot["status"] == "creating" else None)
        return Answer(202, {"snapshot": snapshot})

    def _make_volume(self, wanted: dict[str, Any]) -> Answer:
        if self.snapshots[wanted["snapshot_id"]]["status"] != "available":
            return refuse(400, "Invalid snapshot: not available")
        volume = self.add_volume(
            f"clone-{next(self.ids)}-0123456789abcdef",
            size=wanted["size"],
            status="creating",
            snapshot_id=wanted["snapshot_id"],
            metadata=dict(wanted["metadata"]),
        )
        self._then(lambda: volume.update(status="available"))
        return Answer(202, {"volume": volume})

    def _delete(self, kind: str, object_id: str) -> Answer:
        objects = getattr(self, kind)
        if object_id not in objects:
            return refuse(404, "not found")
        thing = objects[object_id]
        assert "cloudexit_tenant" in thing["metadata"], "only objects of ours are deleted"
        if thing["status"] not in ("available", "error"):
            return refuse(400, f"Invalid volume: status is {thing['status']}")
        if kind == "snapshots" and any(
            v["snapshot_id"] == object_id and v["status"] == "creating" for v in self.volumes.values()
        ):
            return refuse(400, "snapshot is in use")
        thing["status"] = "deleting"
        self._then(lambda: objects.pop(object_id))
        return Answer(202)

    def _server(self, method: str, server: dict[str, Any], rest: list[str], body: Any) -> Answer:
        match [method, *rest]:
            case ["GET"]:
                return Answer(200, {"server": server})
            case ["GET", "os-instance-actions"]:
                return Answer(200, {"instanceActions": self.actions[server["id"]]})
            case ["GET", "os-volume_attachments"]:
                here = [
                    v["id"]
                    for v in self.volumes.values()
                    if any(a["server_id"] == server["id"] for a in v["attachments"])
                ]
                return Answer(200, {"volumeAttachments": [{"volumeId": volume} for volume in here]})
            case ["POST", "os-volume_attachments"]:
                return self._attach(server, self.volumes[body["volumeAttachment"]["volumeId"]])
            case ["DELETE", "os-volume_attachments", volume_id]:
                return self._detach(server, self.volumes[volume_id])
            case ["POST", "metadata"] if not server["locked"]:
                server["metadata"].update(body["metadata"])
                return Answer(200, body)
            case ["DELETE", "metadata", key] if not server["locked"]:
                return Answer(204) if server["metadata"].pop(key, None) is not None else refuse(404, "no such key")
            case ["POST", "action"]:
                return self._action(server, body)
        return refuse(409, f"Instance {server['id']} is locked")

    def _action(self, server: dict[str, Any], body: dict[str, Any]) -> Answer:
        if "lock" in body:
            server.update(locked=True, locked_reason=(body["lock"] or {}).get("locked_reason"))
        elif "unlock" in body:
            server.update(locked=False, locked_reason=None)
        elif server["locked"]:
            return refuse(409, "Instance is locked")
        else:
            word, status = ("powering-off", "SHUTOFF") if "os-stop" in body else ("powering-on", "ACTIVE")
            server["OS-EXT-STS:task_state"] = word
            self.act(server["id"], "stop" if "os-stop" in body else "start")
            self._then(lambda: server.update({"status": status, "OS-EXT-STS:task_state": None}))
        return Answer(202)

    def _attach(self, server: dict[str, Any], volume: dict[str, Any]) -> Answer:
        if volume["status"] != "available":
            return refuse(400, "Invalid volume: not available")
        volume["status"] = "reserved"

        def done() -> None:
            volume.update(status="in-use", attachments=[{"server_id": server["id"], "device": "/dev/vdb"}])

        self._then(done)
        return Answer(200, {"volumeAttachment": {"volumeId": volume["id"]}})

    def _detach(self, server: dict[str, Any], volume: dict[str, Any]) -> Answer:
        if not any(a["server_id"] == server["id"] for a in volume["attachments"]):
            return refuse(404, "no such attachment")
        assert "cloudexit_tenant" in volume["metadata"], "only clones of ours are detached"
        volume["status"] = "detaching"
        self._then(lambda: volume.update(status="available", attachments=[]))
        return Answer(202)
