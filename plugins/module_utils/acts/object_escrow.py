# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Escrow of containers and buckets: every object and version, encrypted, restored once and compared.

Below `<tenant>/<kind>/<digest of its name>/<digest of its listing>/` are the parts of every entry under numbers, and
`escrow.json`, written last, once everything that came back was what had been read. No name is ever a key there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import cms, escrow
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical, names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Reference
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import contents, objects, stores
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud

TELL = 100
"""Entries between two lines of progress."""


def keep(
    cloud: Cloud,
    tenant: str,
    wanted: Sequence[tuple[str, str]],
    store: escrow.Store,
    keys: escrow.Keys,
    *,
    dry_run: bool = False,
    on_progress: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Keep containers and buckets (kind, id).

    Returns {changed, objects: [{object, manifest, restored, entries, bytes, prefix}]}.
    manifest: digest over key, version, size and SHA-256 of every entry; restored: the same of what came back. One that
    is kept already as it is listed now is not kept again. Raises CloudExitError where something else came back.
    """
    found = [_keep(cloud, tenant, kind, ident, store, keys, dry_run, on_progress) for kind, ident in wanted]
    return {
        "changed": any(made for made, _about in found),
        "objects": [about for _made, about in found],
    }


def _keep(
    cloud: Cloud,
    tenant: str,
    kind: str,
    ident: str,
    store: escrow.Store,
    keys: escrow.Keys,
    dry_run: bool,
    on_progress: Callable[[str], None],
) -> tuple[bool, dict[str, Any]]:
    ref = Reference(kind=kind, cloud="", region=cloud.region, project=cloud.project_id, id=ident)
    place = stores.of(objects.Objects(cloud, {}), ref)
    rows = sorted(contents.entries(place), key=lambda entry: (entry.key, entry.version))
    listing = schema.digest([[row.key, row.version, row.size, row.tag] for row in rows])
    named = hashlib.sha256(ident.encode("utf-8", "surrogatepass")).hexdigest()
    prefix = f"{names.slug(tenant)}/{kind}/{named[:20]}/{listing.rpartition(':')[2][:20]}/"
    about: dict[str, Any] = {"object": ref.key, "prefix": prefix, "entries": len(rows)}
    about["bytes"] = sum(row.size for row in rows)
    held = _held(store, prefix)
    if held is not None:
        return False, {**about, "manifest": held["manifest"], "restored": held["manifest"]}
    if dry_run:
        return True, about
    kept: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        writer = escrow.Writer(store, keys, f"{prefix}{number}/")
        for piece in contents.read(place, row):
            writer.write(piece)
        kept.append({"key": row.key, "version": row.version, **writer.finish()})
        _tell(on_progress, ref.key, "kept", number + 1, len(rows))
    manifest = _manifest(kept)
    back = [_restored(store, keys, one) for one in kept]
    restored = _manifest(back)
    if restored != manifest:
        raise CloudExitError(f"What the escrow gave back of {ref.key} is not what was kept")
    index = {
        "kind": escrow.KIND,
        "version": escrow.VERSION,
        "prefix": prefix,
        "recipients": [cms.fingerprint(one) for one in keys.recipients],
        "object": ref.key,
        "manifest": manifest,
        "entries": kept,
    }
    store.put(f"{prefix}{escrow.INDEX}", canonical.dumps(index) + b"\n")
    return True, {**about, "manifest": manifest, "restored": restored}


def _restored(store: escrow.Store, keys: escrow.Keys, kept: dict[str, Any]) -> dict[str, Any]:
    whole, size = hashlib.sha256(), 0
    for piece in escrow.restore(store, keys, kept):
        whole.update(piece)
        size += len(piece)
    return {"key": kept["key"], "version": kept["version"], "bytes": size, "sha256": whole.hexdigest()}


def _manifest(kept: Sequence[dict[str, Any]]) -> str:
    return schema.digest([[one["key"], one["version"], one["bytes"], one["sha256"]] for one in kept])


def _held(store: escrow.Store, prefix: str) -> dict[str, Any] | None:
    try:
        found = canonical.loads(store.get(f"{prefix}{escrow.INDEX}"))
    except NotFound:
        return None
    return found if isinstance(found, dict) and found.get("manifest") else None


def _tell(on_progress: Callable[[str], None], what: str, word: str, done: int, total: int) -> None:
    if done % TELL == 0 or done == total:
        on_progress(f"{what}  {word} {done}/{total}")
