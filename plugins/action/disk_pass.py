# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the pass on the reader host, tells its progress line by line, and brings its manifests home."""

from __future__ import annotations

import base64
import os
import re
import time
from typing import Any, ClassVar

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import from_environment

display = Display()

MODULE = "cloudexit.flexible_engine.disk_pass"
INFO = "cloudexit.flexible_engine.disk_pass_info"
STEP = 5
EVERY_S = 30.0
LONGEST_WAIT_S = 10.0
LOST_S = 600.0
_KEPT = re.compile(r"(target|before|source)-(\d+)\.manifest")


class ActionModule(ActionBase):
    """One task, from the start of the job to its proof."""

    module = MODULE
    purpose = "pass"
    words: ClassVar[dict[str, str]] = {"before": "before", "target": "moved", "source": "sent"}
    done = "are at the target and proven"
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        self._vars = task_vars or {}
        args = dict(self._task.args)
        # the reader host has another environment than the controller, which holds the credentials
        kind = self._kind(args)
        args |= from_environment(kind, args) if kind else {}
        self._evidence = args.get("evidence_dir")
        self._about = {"workload": args.get("workload"), "state_dir": args.get("state_dir"), "purpose": self.purpose}
        self._about = {key: value for key, value in self._about.items() if value is not None}
        found = self._execute_module(module_name=self.module, module_args=args, task_vars=task_vars)
        if found.get("failed") or found.get("skipped") or self._task.check_mode or "finished" not in found:
            return dict(found)
        told = str(args.get("progress", True)).lower() not in ("false", "no", "0")
        lines = Lines(self._host(args), self.done) if told else None
        return self._end(self._follow(dict(found), lines))

    def _kind(self, args: dict[str, Any]) -> str:
        """The type of the plan's target; what is no workload is refused by the module."""
        workload = args.get("workload")
        target = workload.get("target") if isinstance(workload, dict) else None
        return "vcd" if isinstance(target, dict) and target.get("type") == "vcd" else "vsphere"

    def _host(self, args: dict[str, Any]) -> str:
        workload = args.get("workload")
        return str(workload.get("host", "")) if isinstance(workload, dict) else ""

    def _follow(self, found: dict[str, Any], lines: Lines | None) -> dict[str, Any]:
        """Ask until the job has ended. A reader host that does not answer for a while is asked again: it works on."""
        wait = 2.0
        lost_since = 0.0
        while not found["finished"]:
            status = found["status"]
            if lines is not None:
                lines.show(status)
            args = {**self._about, "wait": wait, "seen": str(status.get("stage", ""))}
            wait = min(wait * 1.5, LONGEST_WAIT_S)
            try:
                args["manifests"] = bool(self._evidence)
                asked = self._execute_module(module_name=INFO, module_args=args, task_vars=self._vars)
            except AnsibleConnectionFailure:
                asked = {"unreachable": True}
            if asked.get("unreachable"):
                moment = time.monotonic()
                lost_since = lost_since or moment
                if moment - lost_since > LOST_S:
                    raise AnsibleConnectionFailure(
                        "The reader host has not answered for ten minutes. The copy goes on: run again to join it."
                    )
                time.sleep(LONGEST_WAIT_S)
                continue
            lost_since = 0.0
            if asked.get("failed"):
                return dict(asked)
            found = {**found, **asked, "changed": found.get("changed", True)}
        if lines is not None:
            lines.show({**found["status"], "result": found.get("result")}, last=True)
        return found

    def _end(self, found: dict[str, Any]) -> dict[str, Any]:
        if found.get("failed"):
            return found
        status = found["status"]
        if status.get("phase") == "done":
            result = {**found["result"], "job": found["job"]}
            if self._evidence:
                result["manifest_files"] = self._keep(found)
            return result
        error = status.get("error") or {
            "type": "CloudExitError",
            "msg": "The job on the reader host has ended without a result: it was killed, or the host was restarted.",
            "hint": "Run again; what it left is taken away and the disks are copied anew.",
            "retryable": True,
        }
        return {
            "failed": True,
            "changed": self.purpose != "verify",
            "msg": error["msg"],
            "error": error["type"],
            "hint": error["hint"],
            "retryable": error["retryable"],
            "job": found["job"],
            "record": found["record"],
        }

    def _keep(self, found: dict[str, Any]) -> list[str]:
        """Write the manifests below the evidence directory; what is too large for a result is fetched as a file."""
        name = os.path.basename(str(self._about["workload"].get("host", ""))) or "unnamed"
        directory = os.path.join(str(self._evidence), "manifests", name)
        os.makedirs(directory, exist_ok=True)
        kept = []
        manifests = found.get("manifests") or {}
        for file, content in sorted(manifests.items()):
            match = _KEPT.fullmatch(file)
            if not match or match[1] not in self.words:
                continue
            if match[1] == "source" and f"target-{match[2]}.manifest" in manifests:
                continue  # they are equal; of a disk that was only sampled there is none of the target
            word = self.words[match[1]]
            path = os.path.join(directory, f"{word}-{match[2]}.manifest")
            temporary = f"{path}.part"
            if content is None:
                self._connection.fetch_file(os.path.join(found["record"], file), temporary)
            else:
                with open(temporary, "wb") as stream:
                    stream.write(base64.b64decode(content))
            os.replace(temporary, path)
            kept.append(path)
        return kept


class Lines:
    """One line for each disk and step of five percent, or each half minute."""

    def __init__(self, host: str, done: str) -> None:
        self.host = host
        self.done = done
        self.shown: dict[tuple[Any, ...], tuple[int, float]] = {}

    def show(self, status: dict[str, Any], last: bool = False) -> None:
        """Tell what has changed since it was told last."""
        disks = status.get("disks") or []
        moment = time.monotonic()
        phase = str(status.get("phase", ""))
        if phase not in ("copying", "reading", "reading back"):
            self._say("done" if phase == "done" else str(status.get("stage", "")), moment, status)
            return
        for disk in disks:
            if disk["phase"] == "waiting" or not disk["total"]:
                continue
            percent = 100 * disk["done"] // disk["total"]
            key = (disk["index"], disk["phase"])
            before, when = self.shown.get(key, (-STEP, 0.0))
            if percent < before + STEP and moment - when < EVERY_S and not last:
                continue
            if percent == before and last:
                continue
            self.shown[key] = (percent, moment)
            text = f"{self.host}  disk {disk['index'] + 1}/{len(disks)}  {disk['phase']}  {percent:3d}%"
            if status.get("rate"):
                text += f"  {status['rate'] / 1e6:.0f} MB/s  eta {_clock(status.get('eta_s'))}"
            display.display(text)

    def _say(self, stage: str, moment: float, status: dict[str, Any]) -> None:
        _percent, when = self.shown.get((stage,), (0, 0.0))
        if when and moment - when < EVERY_S:
            return
        self.shown[(stage,)] = (0, moment)
        if stage == "done":
            text = f"{self.host}  all {status.get('total', 0) / 1e9:.1f} GB {self.done}"
            disks = (status.get("result") or {}).get("disks") or []
            sampled = [str(disk["index"] + 1) for disk in disks if disk.get("proof") == "sampled"]
            display.display(f"{text}; disk {', '.join(sampled)} by a sample only" if sampled else text)
        elif stage.startswith(("waiting", "removing")):
            display.display(f"{self.host}  {stage}")


def _clock(seconds: Any) -> str:
    if not isinstance(seconds, (int, float)):
        return "--:--"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
