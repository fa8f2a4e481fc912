# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of an act: ids, times, digests and counts, never a secret, never a bulky text.

The evidence directory:

    ledger.jsonl             the chain (see chain)
    ledger.jsonl.torn-*      what a crash left of a record, put aside
    workloads/<key>.json     the latest result of each act of a workload, and what the plan says of it; for the report
    tenant.json              the same of acts that are about no single workload
    manifests/               chunk hashes of the disks, as the passes wrote them
    heads/                   how far the chain was, signed (see heads)
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError

HIDDEN = "***"
LONGEST_TEXT = 1024
LONGEST_LIST = 512
DEEPEST = 8
LARGEST_RESULT = 256 * 1024

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)|(admin|user|root)_?pass(_|$)|secret|token|credential|cookie|authoriz|(private|api|access|ssh)_?key|ticket"
    r"|(^|_)(auth|pwd|pin|session|session_id)(_|$)"
)
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(bearer|basic)\s+[A-Za-z0-9+/=._-]{8,}", re.IGNORECASE
)
_URL_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
_DIGEST = re.compile(r"(blake3|sha256|sha512):[0-9a-f]{32,128}")
_ID_KEY = re.compile(r"(^|_)(id|uuid|moid|moref|ref|mac)$")
_ID_NAMES = frozenset({"volume", "snapshot", "clone", "server", "port", "vm", "attachment", "image"})
# What Ansible adds to results, and what may be bulky; none of it is evidence.
_DROPPED = frozenset(
    {"diff", "invocation", "stdout", "stdout_lines", "stderr", "stderr_lines", "warnings", "deprecations", "exception"}
    | {
        "ansible_facts",
        "hint",
        "retryable",
        "module_stdout",
        "module_stderr",
        "msg",
        "start",
        "delta",
        "cmd",
        "changed",
    }
)


@dataclass(frozen=True)
class Act:
    """One act and its result.

    changed: whether it changed anything. evidence: it changes nothing but proves something (a check): it is recorded
    together with acts that changed something, and whenever the workload has no record of it yet. An act that failed is
    recorded once for each failure. One that was skipped, or that changed nothing and has no result, did not happen.
    time: when it ended (RFC 3339); now when empty.
    """

    name: str
    changed: bool = False
    evidence: bool = False
    result: Mapping[str, Any] = field(default_factory=dict)
    time: str = ""


@dataclass(frozen=True)
class Recorded:
    """What was, or in a dry run would be, appended and written."""

    entries: list[chain.Entry]
    records: list[dict[str, Any]]
    torn: str
    workload_file: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        return bool(self.entries) or self.before != self.after


def record(
    path: str,
    tenant: str,
    workload: str,
    acts: Sequence[Act],
    facts: Mapping[str, Any] | None = None,
    *,
    dry_run: bool = False,
) -> Recorded:
    """Append the acts that changed something to the ledger at `path`, and bring the workload's file up to date.

    workload: "" for acts that are about no single one.
    facts: what the plan says of the workload (`source`, `target`, `group`, ...); kept in the workload's file, with its
    ids in every record. Nothing is written when nothing changed. Raises what chain.append raises, and CloudExitError
    when a file cannot be written.
    """
    known = clean(facts or {})
    file = workload_file(path, workload)
    before = read_text(file)
    document = _document(before)
    entries = [_entry(tenant, workload, act, known) for act in _to_record(path, tenant, workload, acts, document)]
    if not entries and (before and (not known or document.get("facts") == known)):
        return Recorded([], [], "", file, before, before)
    if not entries and not before:
        return Recorded([], [], "", file, "", "")
    added = chain.Appended([]) if dry_run or not entries else _append(path, entries)
    latest = dict(document.get("acts", {}))
    for index, entry in enumerate(entries):
        written = added.records[index] if added.records else {"seq": None, "time": None}
        latest[entry.act] = {"seq": written["seq"], "time": written["time"], "result": dict(entry.result)}
    merged = {"version": 1, "tenant": tenant, "workload": workload, "facts": known or document.get("facts", {})}
    after = json.dumps({**merged, "acts": latest}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if not dry_run and after != before:
        write_atomic(file, after)
    return Recorded(entries, added.records, added.torn, file, before, after)


def difference(recorded: Recorded) -> str:
    """What the record adds, for `--diff`: one canonical line for each new record."""
    lines = [
        canonical.dumps(
            {"act": e.act, "ids": dict(e.ids), "digests": dict(e.digests), "result": dict(e.result)}
        ).decode()
        for e in recorded.entries
    ]
    return "".join(f"{line}\n" for line in lines) or "".join(
        difflib.unified_diff(recorded.before.splitlines(True), recorded.after.splitlines(True), n=1)
    )


def workload_file(ledger_path: str, workload: str) -> str:
    """Where the latest results of a workload are kept; a key that is no plain word is not used as a file name.

    Those of acts that are about no single one ("") are beside the ledger.
    """
    if not workload:
        return os.path.join(os.path.dirname(os.path.abspath(ledger_path)), "tenant.json")
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}", workload)
    name = workload if plain else "w-" + hashlib.sha256(workload.encode("utf-8", "replace")).hexdigest()[:24]
    return os.path.join(os.path.dirname(os.path.abspath(ledger_path)), "workloads", f"{name}.json")


def read_workloads(directory: str) -> list[dict[str, Any]]:
    """All workload files of an evidence directory, by key. Raises CloudExitError when one is not readable."""
    folder = os.path.join(directory, "workloads")
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json") and not name.startswith("."))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        path = os.path.join(folder, name)
        document = _document(read_text(path))
        if not document:
            raise CloudExitError(f"{path} is not the record of a workload", hint="Move it away; the ledger has it all.")
        found.append(document)
    return sorted(found, key=lambda document: str(document.get("workload")))


def clean(value: Any) -> Any:
    """A copy that may be kept: secrets by key or by look replaced by `***`, bulk dropped, everything plain JSON."""
    return _clean(value, 0)


def identifiers(value: Any) -> dict[str, str]:
    """Path and value of everything in a cleaned value that names an object, as `disks[0].volume` or `vm_ref`."""
    return {
        path: text
        for path, key, text in _texts(value, "")
        if (key in _ID_NAMES or _ID_KEY.search(key)) and not _DIGEST.fullmatch(text)
    }


def digests(value: Any) -> dict[str, str]:
    """Path and value of everything in a cleaned value that is a digest: `disks[0].manifest_target`."""
    return {path: text for path, key, text in _texts(value, "") if _DIGEST.fullmatch(text)}


def write_atomic(path: str, content: str | bytes, mode: int = 0o600) -> None:
    """Put a file in place whole or not at all. Raises CloudExitError."""
    folder = os.path.dirname(os.path.abspath(path))
    part = ""
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=".part-", dir=folder)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(part, mode)
        os.replace(part, path)
    except OSError as error:
        if part and os.path.exists(part):
            os.unlink(part)
        raise CloudExitError(f"Could not write {path}", cause=error.strerror or str(error)) from error


def _append(path: str, entries: Sequence[chain.Entry]) -> chain.Appended:
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    except OSError as error:
        raise CloudExitError(f"Could not make the folder of the ledger {path}", cause=error.strerror or "") from error
    return chain.append(path, entries)


def _entry(tenant: str, workload: str, act: Act, facts: Any) -> chain.Entry:
    result = clean(act.result)
    ids = {**identifiers(facts), **identifiers(result)}
    found = digests(result)
    if len(canonical.dumps(result)) > LARGEST_RESULT:
        result = {"dropped": "the result was too large for a record", "bytes": len(canonical.dumps(result))}
    return chain.Entry(tenant, workload, act.name, ids, found, result, act.time)


def _to_record(path: str, tenant: str, workload: str, acts: Sequence[Act], document: Mapping[str, Any]) -> list[Act]:
    """Those of the acts that belong in the ledger, in order."""
    done = [act for act in acts if not act.result.get("skipped") and (act.changed or act.result)]
    latest = {name: _failure(found.get("result", {})) for name, found in document.get("acts", {}).items()}
    if not latest and any(not act.changed for act in done):
        latest = dict.fromkeys(_recorded_acts(path, tenant, workload), "")

    def news(act: Act) -> bool:
        failure = _failure(clean(act.result))
        if act.evidence:
            return act.name not in latest or latest[act.name] != failure
        return bool(failure) and latest.get(act.name) != failure

    kept = [act.changed or news(act) for act in done]
    return [act for act, keep in zip(done, kept, strict=True) if keep or (act.evidence and any(kept))]


def _failure(result: Mapping[str, Any]) -> str:
    """What a result says of its failure; empty when it did not fail."""
    return str(result.get("msg") or "failed") if result.get("failed") else ""


def _recorded_acts(path: str, tenant: str, workload: str) -> set[str]:
    if not os.path.exists(path):
        return set()
    return {r["act"] for r in chain.read(path) if (r["tenant"], r["workload"]) == (tenant, workload)}


def read_bytes(path: str) -> bytes | None:
    """The content of a file, None when there is none. Raises CloudExitError."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CloudExitError(f"Could not read {path}", cause=error.strerror or str(error)) from error


def read_text(path: str) -> str:
    """The text of a file, empty when there is none. Raises CloudExitError."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CloudExitError(f"Could not read {path}", cause=str(error)) from error


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("acts", {}), dict) else {}


def _clean(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= canonical.MAX_SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return _clean_mapping(value, depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = list(value)
        if depth >= DEEPEST:
            return f"{len(items)} items"
        kept = [_clean(item, depth + 1) for item in items[:LONGEST_LIST]]
        return [*kept, f"and {len(items) - LONGEST_LIST} more"] if len(items) > LONGEST_LIST else kept
    return _clean_text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _clean_mapping(value: Mapping[Any, Any], depth: int) -> Any:
    if depth >= DEEPEST:
        return f"{len(value)} values"
    kept: dict[str, Any] = {}
    failed = bool(value.get("failed"))
    for name, item in value.items():
        key = _clean_text(str(name))
        if (key in _DROPPED and not (failed and key == "msg")) or key.startswith(("_ansible", "ansible_")):
            continue
        if key == "failed" and not failed:
            continue
        key += "_" if key == "hash" or key.endswith('"hash') else ""  # only a record itself has one (chain)
        kept[key] = HIDDEN if _secret_key(key) and item not in (None, "", False, True) else _clean(item, depth + 1)
    return kept


def _secret_key(key: str) -> bool:
    return bool(_SECRET_KEY.search(_CAMEL.sub("_", key).lower().replace("-", "_")))


def _clean_text(text: str) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")
    if _SECRET_VALUE.search(text):
        return HIDDEN
    text = _URL_LOGIN.sub(f"{HIDDEN}@", text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"


def _texts(value: Any, path: str) -> Iterable[tuple[str, str, str]]:
    """(path, last key, text) of every text in a cleaned value."""
    if isinstance(value, dict):
        for name, item in value.items():
            where = f"{path}.{name}" if path else str(name)
            if isinstance(item, str):
                yield where, str(name), item
            else:
                yield from _texts(item, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, str):
                yield f"{path}[{index}]", "", item
            else:
                yield from _texts(item, f"{path}[{index}]")
