# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flexible Engine's services over HTTP, with recorded shapes: what is listed comes from data, what fails from faults.

Deletes and the calls of a quarantine change the data (`changes`); all other writes are refused.

Everything of a service is below `/<service>`: `/vpc/v1/<project>/vpcs`. `/_lab/calls` and `/_lab/faults` are for tests.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import hmac
import json
import re
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from .changes import SINGLE, Bucket, Changes, path_pattern, policy
from .shapes import ACCOUNT, READS_BY_POST, SHAPES, Shape

HOST = "127.0.0.1"
Data = Mapping[str, Mapping[str, list[dict[str, Any]]]]
"""Raw rows by project and kind; `*` is the project of the account."""
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Fault:
    """What goes wrong. service: of the path, "" for all; kind: one list only. count: how often (0: always).

    status: answer this (429 with APIGW.0308). retry_after: header of it. stall: seconds before the answer. empty_page:
    the page of this number is empty. endless: every page has a row and names a next one. nonsense: no JSON.
    method: only calls of it. Of calls that change something: done: it takes effect before it fails; stale: lists that
    still show what it deleted; reused: another object gets the id.
    """

    service: str = ""
    kind: str = ""
    project: str = ""
    status: int = 0
    retry_after: str = ""
    stall: float = 0.0
    empty_page: int = 0
    endless: bool = False
    nonsense: bool = False
    method: str = ""
    done: bool = False
    stale: int = 0
    reused: bool = False
    count: int = 0
    used: int = 0

    def takes(self, service: str, kind: str, project: str, method: str = "") -> bool:
        """Whether this call is meant; counts it."""
        meant = self.method in ("", method) and self.service in ("", service)
        meant = meant and self.kind in ("", kind) and self.project in ("", project)
        if not meant or (self.count and self.used >= self.count):
            return False
        self.used += 1
        return True


@dataclass
class Call:
    """One request. `write`: whether it may have changed something."""

    method: str
    path: str
    project: str = ""
    status: int = 0

    @property
    def write(self) -> bool:
        path = self.path.partition("?")[0]
        if self.method in ("GET", "HEAD") or path.startswith("/_lab"):
            return False
        return not path.endswith((*READS_BY_POST, "/auth/tokens"))


def any_token(token: str) -> str | None:
    """Who a token is of, where every token is good: nobody in particular."""
    return "" if token else None


class Keystone:
    """Asks a Keystone whose a token is; remembers what it said."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._known: dict[str, str | None] = {}

    def __call__(self, token: str) -> str | None:
        """The token's project, None for a bad one."""
        if token and token not in self._known:
            headers = {"X-Auth-Token": token, "X-Subject-Token": token, "User-Agent": "cloudexit-lab"}
            request = urllib.request.Request(f"{self.url}/auth/tokens", headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    self._known[token] = json.load(answer)["token"].get("project", {}).get("id", "")
            except urllib.error.HTTPError:
                self._known[token] = None
            except OSError:
                return None
        return self._known.get(token)


class Server:
    """The server. Use it as a context manager, or `start` and `stop`.

    data: what is listed. whose: project of a token ("": of any, None: bad). keys: secret by access key, for signed
    requests. extra: handles a path that no service has (whole tenants), or says None.
    """

    def __init__(
        self,
        data: Data | None = None,
        port: int = 0,
        whose: Callable[[str], str | None] = any_token,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        self.data: dict[str, dict[str, list[dict[str, Any]]]] = {
            project: {kind: list(rows) for kind, rows in kinds.items()} for project, kinds in (data or {}).items()
        }
        self.whose = whose
        self.keys = dict(keys or {})
        self.extra: Callable[[str, str, dict[str, str], Any, Mapping[str, str]], Answer | None] | None = None
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.page_size = 0
        self.changes = Changes()
        self._lock = threading.Lock()
        self._shapes = [(shape, shape.pattern) for shape in SHAPES]
        ours = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_arguments: Any) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length) if length else b""
                status, data, headers = ours.handle(self.command, self.path, raw, dict(self.headers))
                body = data if isinstance(data, bytes) else json.dumps(data).encode()
                with contextlib.suppress(ConnectionError):  # who asked may be tired of waiting
                    self.send_response(status)
                    for name, value in {"Content-Type": "application/json", **headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer

        class Listening(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, _request: Any, _address: Any) -> None:
                pass  # who asked may be gone

        self._server = Listening((HOST, port), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://{HOST}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> Server:
        """Answer from now on."""
        self._thread.start()
        return self

    def serve(self) -> None:
        """Answer until `stop`, in this thread."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_args: object) -> None:
        self.stop()

    def fault(self, **what: Any) -> Fault:
        """Plant a fault (see Fault)."""
        made = Fault(**what)
        self.faults.append(made)
        return made

    def writes(self) -> list[Call]:
        """Calls that may have changed something."""
        return [call for call in self.calls if call.write]

    def handle(self, method: str, url: str, raw: bytes, headers: Mapping[str, str]) -> Answer:
        """The answer to a request."""
        split = urlsplit(url)
        path = unquote(split.path)
        query = {key: values[-1] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
        lower = {name.lower(): value for name, value in headers.items()}
        if path.startswith("/_lab/"):
            return self._control(method, path, raw)
        call = Call(method, url)
        with self._lock:
            self.calls.append(call)
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        answer = self._answer(call, path, split.query, query, body, raw, lower)
        call.status = answer[0]
        return answer

    def _answer(
        self,
        call: Call,
        path: str,
        query_text: str,
        query: dict[str, str],
        body: Any,
        raw: bytes,
        headers: Mapping[str, str],
    ) -> Answer:
        if self.extra is not None:
            told = self.extra(call.method, path, query, body, headers)
            if told is not None:
                return told
        service = path.split("/")[1] if path.count("/") else ""
        if service == "obs":
            return self._obs(call, path, query, raw, headers)
        project = self._project(call.method, path, query_text, raw, headers)
        if project is None:
            return self.error(401, "APIGW.0301", "Incorrect IAM authentication information: verify token fail", False)
        if path.endswith("/OS-CREDENTIAL/securitytokens") and call.method == "POST":
            made = {
                "access": f"TEMPORARY{project}",
                "secret": "temporary-secret",
                "securitytoken": f"token-of-{project}",
                "expires_at": "2096-01-01T00:00:00.000000Z",
            }
            return 201, {"credential": made}, {}
        if path.endswith("/batch-query-metric-data") and call.method == "POST":
            return self._fault("ces", "datapoints", project) or self._datapoints(path.split("/")[3], body)
        if re.match(r"^/eps/v1\.0/enterprise-projects/[^/]+/resources/filter$", path) and call.method == "POST":
            return 200, {"resources": [], "errors": [], "total_count": 0}, {}
        for shape, pattern in self._shapes:
            match = pattern.match(path)
            if not match or shape.method != call.method:
                continue
            asked = match.groupdict().get("project") or project or self._only()
            call.project = asked
            if project and asked != project:
                return self.error(403, "APIGW.0302", "The project in the URL is not that of the token", shape.native)
            parent = match.groupdict().get("parent") or query.get(shape.parent or "-", "")
            return self._list(shape, asked, parent, query, body)
        changed = self._change(call, path, query, body, project)
        if changed is not None:
            return changed
        if call.method != "GET" and any(pattern.match(path) for _shape, pattern in self._shapes):
            return self.error(405, "APIGW.0106", "This lab is only for reading", False)
        return self.error(
            404, "APIGW.0101", "The API does not exist or has not been published in the environment", False
        )

    def _change(self, call: Call, path: str, query: Mapping[str, str], body: Any, project: str) -> Answer | None:
        """A call that changes something, or asks after what such a call began; None for any other."""
        headers = {"X-Request-Id": uuid.uuid4().hex}
        if call.method == "GET":
            told = self.changes.job(path, query)
            told = self.changes.below(path) if told is None else told
            return (200, told, headers) if told is not None else self._single(path, query)
        meant = self.changes.meant(call.method, path)
        if meant is None:
            return None
        named = next((part for part in path.split("/") if part in self.data and part != ACCOUNT), "")
        where = call.project = named or project or self._only()
        if project and where != project:
            return self.error(403, "APIGW.0302", "The project in the URL is not that of the token", False)
        with self._lock:
            fault = next(
                (one for one in self.faults if _of_change(one) and one.takes(*meant, where, call.method)), None
            )
            if fault is not None and fault.status and not fault.done:
                return self.error(fault.status, f"{meant[0].upper()}.0{fault.status}", "not now", False)
            done = self.changes.make(call.method, path, query, body, self.data.get(where, {}))
            if fault is not None and done.removed is not None:
                self._after(fault, where, meant[1], done.removed)
        if fault is not None and fault.stall:
            time.sleep(fault.stall)
        if fault is not None and fault.status:
            return self.error(fault.status, f"{meant[0].upper()}.0{fault.status}", "who knows", False)
        if done.status >= 400:
            return self.error(done.status, done.code, done.said, False)
        return done.status, b"" if done.body is None else done.body, headers

    def _after(self, fault: Fault, project: str, kind: str, row: dict[str, Any]) -> None:
        if fault.stale:
            self.changes.ghosts.append((project, kind, row, [fault.stale]))
        if fault.reused:
            fresh = {key: value for key, value in row.items() if key not in ("name", "created_at", "created")}
            self.data[project][kind].append({**fresh, "name": "another", "created_at": "2026-06-01T00:00:00Z"})

    def _single(self, path: str, query: Mapping[str, str]) -> Answer | None:
        zone = path_pattern("dns", "/v2/zones/{id}/recordsets").match(path)
        if zone:
            records = [row for rows in self.data.values() for row in rows.get("dns_records", [])]
            records = [row for row in records if row.get("zone_id") == zone["id"]]
            ids, size = [row["id"] for row in records], int(query.get("limit", 20))
            start = ids.index(query["marker"]) + 1 if query.get("marker") in ids else 0
            more = {"next": f"{path}?marker={ids[start + size - 1]}"} if len(ids) > start + size else {}
            return 200, {"recordsets": records[start : start + size], "links": more}, {}
        for kind, (service, where, key) in SINGLE.items():
            match = path_pattern(service, where).match(path)
            if match:
                rows = (row for rows in self.data.values() for row in rows.get(kind, []))
                found = next((row for row in rows if str(row[key]).rpartition("/")[2] == match["id"]), None)
                return (200, found, {}) if found else self.error(404, "LAB.0404", "not found", True)
        return None

    def _project(self, method: str, path: str, query: str, raw: bytes, headers: Mapping[str, str]) -> str | None:
        signed = headers.get("authorization", "")
        if signed.startswith("SDK-HMAC-SHA256 "):
            return (
                headers.get("x-project-id", "") if self._signature_is_good(method, path, query, raw, headers) else None
            )
        return self.whose(headers.get("x-auth-token", ""))

    def _signature_is_good(self, method: str, path: str, query: str, raw: bytes, headers: Mapping[str, str]) -> bool:
        said = dict(re.findall(r"(\w+)=([^,\s]+)", headers["authorization"]))
        secret = self.keys.get(said.get("Access", ""))
        if secret is None or "host" not in said.get("SignedHeaders", "").split(";"):
            return False
        names = said["SignedHeaders"].split(";")
        lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names)
        pairs = sorted(
            (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
            for name, value in parse_qsl(query, keep_blank_values=True)
        )
        ordered = "&".join(f"{name}={value}" for name, value in pairs)
        address = quote(path if path.endswith("/") else f"{path}/", safe="/-_.~")
        text = "\n".join([method, address, ordered, lines, said["SignedHeaders"], hashlib.sha256(raw).hexdigest()])
        to_sign = "\n".join(
            ["SDK-HMAC-SHA256", headers.get("x-sdk-date", ""), hashlib.sha256(text.encode()).hexdigest()]
        )
        return hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest() == said.get("Signature")

    def _only(self) -> str:
        """The project of a call that names none, where every token is good."""
        return next((project for project in self.data if project != ACCOUNT), "")

    def error(self, status: int, code: str, said: str, native: bool) -> Answer:
        """An error in one of the family's two shapes, with a request id."""
        request = uuid.uuid4().hex
        if native:
            name = {404: "itemNotFound", 403: "forbidden", 429: "overLimit"}.get(status, "computeFault")
            body: dict[str, Any] = {name: {"code": status, "message": said}}
        else:
            body = {"error_code": code, "error_msg": said, "request_id": request}
        return status, body, {"X-Request-Id": request}

    def _fault(self, service: str, kind: str, project: str, native: bool = False) -> Answer | None:
        with self._lock:
            told = (f for f in self.faults if not (f.empty_page or f.endless or _of_change(f)))
            found = next((fault for fault in told if fault.takes(service, kind, project)), None)
        if found is None:
            return None
        if found.stall:
            time.sleep(found.stall)
        if found.nonsense:
            return 200, b"<html>welcome</html>", {"Content-Type": "text/html"}
        if found.status == 429:
            limit = "The throttling threshold has been reached: policy user over ratelimit,limit:10,time:1 minute"
            answer = self.error(429, "APIGW.0308", limit, False)
            if found.retry_after:
                answer[2]["Retry-After"] = found.retry_after
            return answer
        if found.status:
            return self.error(
                found.status, f"{service.upper()}.0{found.status}", f"told to answer {found.status}", native
            )
        return None

    def _paging_fault(self, shape: Shape, project: str) -> Fault | None:
        names = (shape.service, shape.kind, project)
        with self._lock:
            for fault in self.faults:
                if (fault.empty_page or fault.endless) and fault.takes(*names):
                    return fault
        return None

    def _list(self, shape: Shape, project: str, parent: str, query: Mapping[str, str], body: Any) -> Answer:
        failure = self._fault(shape.service, shape.kind, project, shape.native)
        if failure is not None:
            return failure
        with self._lock:
            rows = self.data.get(ACCOUNT if shape.account else project, {}).get(shape.kind, [])
            rows = self.changes.seen(project, shape.kind, rows)
        if shape.kind == "metrics":
            for name in ("namespace", "metric_name"):
                rows = [row for row in rows if query.get(name) in (None, row.get(name))]
        if parent:
            rows = [row for row in rows if parent in (row.get(shape.parent or "-"), row.get("_cluster"))]
        rows = [{name: value for name, value in row.items() if name != "_cluster"} for row in rows]
        given = body if shape.paging == "body_marker" and isinstance(body, dict) else query
        if shape.key == "?":
            found = rows[0] if rows else None
            return (200, found, {}) if found else self.error(404, "CTS.0014", "The tracker does not exist", False)
        try:
            size = min(int(given.get(shape.limit, shape.usual)), shape.most, self.page_size or 10**9)
        except ValueError:
            return self.error(400, "APIGW.0201", "Bad limit", shape.native)
        if shape.paging == "none":
            size = len(rows)
        start = self._start(shape, given, rows, size)
        if start is None or size < 0:
            return self.error(400, "APIGW.0201", "Bad marker", shape.native)
        page = rows[start : start + size]
        broken = self._paging_fault(shape, project)
        more = start + size < len(rows)
        if broken and broken.endless:
            page, more = rows[:1], True
        elif broken and broken.empty_page and broken.used == broken.empty_page:
            page, more = [], True
        return 200, self._page(shape, rows, page, start + size, more), {"X-Request-Id": uuid.uuid4().hex}

    def _start(self, shape: Shape, given: Mapping[str, Any], rows: list[dict[str, Any]], size: int) -> int | None:
        said = given.get(shape.start, "")
        if said == "" or shape.paging == "none":
            return 0
        if shape.paging in ("offset", "start_number", "numbered_marker", "page"):
            if not str(said).isdigit():
                return None
            return max(int(said) - 1, 0) * size if shape.paging == "page" else int(said)
        names = [_ces_marker(row) if shape.kind == "metrics" else row.get(shape.id_field) for row in rows]
        return names.index(said) + 1 if said in names else None

    def _page(self, shape: Shape, rows: list[dict[str, Any]], page: list[dict[str, Any]], end: int, more: bool) -> Any:
        if not shape.key:
            return page
        outer, _dot, inner = shape.key.partition(".")
        answer: dict[str, Any] = {outer: {inner: page} if inner else page}
        if shape.total:
            answer[shape.total] = len(rows)
        last = page[-1] if page else {}
        if shape.paging == "ces":
            name = (_ces_marker(last) if shape.kind == "metrics" else last.get(shape.id_field, "")) if last else ""
            answer["meta_data"] = {"count": len(page), "marker": name, "total": len(rows)}
        elif shape.paging == "body_marker":
            answer["keys"] = [row[shape.id_field] for row in page]
            answer |= {"next_marker": last.get(shape.id_field, "") if more else "", "truncated": str(more).lower()}
        elif shape.paging == "numbered_marker":
            answer["next_marker" if shape.service == "fgs" else "marker"] = (
                end if shape.service == "fgs" else (str(end) if more else "")
            )
        elif shape.paging == "marker" and shape.native and more and shape.service not in ("rts", "orchestration"):
            following = f"{self.url}/{shape.service}?marker={last.get('id', '')}"
            if shape.service == "dns":
                answer["links"] = {"next": following}
            else:
                answer[f"{shape.key}_links"] = [{"rel": "next", "href": following}]
        return answer

    def _datapoints(self, project: str, body: Any) -> Answer:
        """POST batch-query-metric-data: `datapoints` of the data holds the values of an object, the oldest first."""
        if not isinstance(body, dict) or not isinstance(body.get("metrics"), list):
            return self.error(400, "ces.0014", "Bad request", False)
        asked = body["metrics"]
        span = int(body["to"]) - int(body["from"])
        period = int(body["period"]) * 1000
        if len(asked) > 500 or len(asked) * span / period > 3000:
            return self.error(400, "ces.0014", "Some content in message body is not correct: too many points", False)
        known = {
            (row["namespace"], row["metric_name"], row["value"]): row["values"]
            for row in self.data.get(project, {}).get("datapoints", [])
        }
        found = []
        for metric in asked:
            value = metric["dimensions"][0]["value"]
            values = known.get((metric["namespace"], metric["metric_name"], value), [])
            points = [
                {"timestamp": int(body["from"]) + index * period, body["filter"]: number}
                for index, number in enumerate(values)
                # of five minutes that are not over there is no point
                if period > 300_000 or int(body["from"]) + (index + 1) * period <= int(body["to"])
            ]
            found.append({**metric, "unit": "%", "datapoints": points})
        return 200, {"metrics": found}, {}

    def _obs(self, call: Call, path: str, query: Mapping[str, str], raw: bytes, headers: Mapping[str, str]) -> Answer:
        """The S3 side: the account's buckets, and what is asked of each."""
        xml = {"Content-Type": "application/xml", "Date": email.utils.formatdate(usegmt=True)}
        signed = headers.get("authorization", "")
        access = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]+)/", signed)
        if not access or not headers.get("x-amz-date"):
            return 403, _s3_error("AccessDenied", "Access Denied"), xml
        if access[1].startswith("TEMPORARY") and not headers.get("x-amz-security-token"):
            return 403, _s3_error("InvalidAccessKeyId", "The access key is not known"), xml
        failure = self._fault("obs", "buckets", "")
        if failure is not None:
            return (
                (failure[0], _s3_error("Told", f"told to answer {failure[0]}"), xml) if failure[0] != 200 else failure
            )
        buckets = self.data.get(ACCOUNT, {}).get("buckets", [])
        name, dummy, key = path.removeprefix("/obs").strip("/").partition("/")
        if not name:
            rows = "".join(
                f"<Bucket><Name>{escape(row['name'])}</Name><CreationDate>{row['created']}</CreationDate></Bucket>"
                for row in buckets
            )
            return 200, _xml(f"<ListAllMyBucketsResult><Buckets>{rows}</Buckets></ListAllMyBucketsResult>"), xml
        bucket = next((row for row in buckets if row["name"] == name), None)
        if bucket is None:
            return 404, _s3_error("NoSuchBucket", "The specified bucket does not exist"), xml
        failure = self._fault("obs", f"bucket:{name}", "")
        if failure is not None:
            return failure[0], _s3_error("AccessDenied", "Access Denied"), xml
        store = (
            self.changes.stores.setdefault(name, Bucket.of(bucket))
            if call.method != "GET" or ("versions" in query or "uploads" in query or name in self.changes.stores)
            else None
        )
        if store is not None:
            changed = self._stored(call.method, bucket, store, key, query, raw)
            if changed is not None:
                return (*changed, xml)
        if "location" in query:
            return 200, _xml(f"<LocationConstraint>{bucket['region']}</LocationConstraint>"), xml
        if "storageinfo" in query:
            if bucket.get("no_storageinfo"):
                return 501, _s3_error("NotImplemented", "Not implemented"), xml
            said = f"<Size>{bucket['bytes']}</Size><ObjectNumber>{bucket['objects']}</ObjectNumber>"
            return 200, _xml(f"<GetBucketStorageInfoResult>{said}</GetBucketStorageInfoResult>"), xml
        if "versioning" in query:
            status = f"<Status>{bucket['versioning']}</Status>" if bucket.get("versioning") else ""
            return 200, _xml(f"<VersioningConfiguration>{status}</VersioningConfiguration>"), xml
        if "policy" in query:
            if not bucket.get("policy"):
                return 404, _s3_error("NoSuchBucketPolicy", "The bucket policy does not exist"), xml
            return 200, json.dumps(bucket["policy"]).encode(), {}
        if "list-type" in query or "max-keys" in query or not query:
            return self._objects(bucket, query, xml)
        return 400, _s3_error("InvalidArgument", "Not known here"), xml

    def _stored(
        self, method: str, bucket: dict[str, Any], store: Bucket, key: str, query: Mapping[str, str], raw: bytes
    ) -> tuple[int, Any] | None:
        """What is done with a bucket's content or policy; None for anything else."""
        with self._lock:
            if method == "GET" and "versions" in query:
                return 200, _xml(store.page(query))
            if method == "GET" and "uploads" in query:
                return 200, _xml(store.begun())
            if method == "POST" and "delete" in query:
                store.delete_many(raw)
            elif method == "DELETE" and "uploadId" in query:
                store.uploads = [one for one in store.uploads if one[1] != query["uploadId"]]
            elif method == "DELETE" and key:
                store.delete(key, query.get("versionId", ""))
            elif method == "DELETE" and "policy" in query:
                bucket.pop("policy", None)
            elif method == "PUT" and "policy" in query:
                bucket["policy"] = policy(raw)
            elif method == "DELETE" and not query:
                if store.versions or store.uploads:
                    return 409, _s3_error("BucketNotEmpty", "The bucket you tried to delete is not empty")
                self.data[ACCOUNT]["buckets"].remove(bucket)
            else:
                return None
            bucket["objects"] = len({one[0] for one in store.versions if not one[2]})
            bucket["bytes"] = bucket["bytes"] if bucket["objects"] else 0
            return (200, _xml("<DeleteResult></DeleteResult>")) if method == "POST" else (204, b"")

    def _objects(self, bucket: Mapping[str, Any], query: Mapping[str, str], xml: dict[str, str]) -> Answer:
        size = min(int(query.get("max-keys", 1000)), 1000)
        keys = [f"object-{number:06}" for number in range(int(bucket["objects"]))]
        each = int(bucket["bytes"]) // max(len(keys), 1)
        after = query.get("marker", "")
        rest = [key for key in keys if key > after]
        page, more = rest[:size], len(rest) > size
        rows = "".join(f"<Contents><Key>{key}</Key><Size>{each}</Size></Contents>" for key in page)
        tail = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return 200, _xml(f"<ListBucketResult>{tail}{rows}</ListBucketResult>"), xml

    def _control(self, method: str, path: str, raw: bytes) -> Answer:
        what = path.removeprefix("/_lab/").strip("/")
        with self._lock:
            if what == "calls" and method == "DELETE":
                self.calls.clear()
            elif what == "faults" and method == "DELETE":
                self.faults.clear()
            elif what == "faults" and method == "POST":
                given = json.loads(raw or b"{}")
                try:
                    self.faults += [Fault(**one) for one in (given if isinstance(given, list) else [given])]
                except TypeError as exc:
                    return 400, {"error": str(exc)}, {}
            elif what == "data" and method == "PUT":
                self.data = json.loads(raw)
                self.changes = Changes()
            if what == "calls":
                return 200, [{**vars(call), "write": call.write} for call in self.calls], {}
            return 200, {"ok": True, "faults": [vars(fault) for fault in self.faults]}, {}


@dataclass
class Control:
    """The control of a server that runs as a process of its own."""

    url: str
    timeout: float = field(default=30.0)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call of `/_lab/<path>`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_lab/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=self.timeout) as answer:
            return json.load(answer)

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.call("GET", "health")["ok"])
        except (OSError, ValueError):
            return False

    def faults(self, *faults: Mapping[str, Any]) -> None:
        """Plant these in the place of all former ones."""
        self.call("DELETE", "faults")
        self.call("POST", "faults", list(faults))

    def calls(self) -> list[dict[str, Any]]:
        """All calls since the start, or since `forget`: method, path, project, status, write."""
        return list(self.call("GET", "calls"))

    def forget(self) -> None:
        """Empty the log of calls."""
        self.call("DELETE", "calls")


def _of_change(fault: Fault) -> bool:
    """Whether a fault is one of calls that change something."""
    return fault.method not in ("", "GET") or fault.done or fault.reused or fault.stale > 0


def _ces_marker(row: Mapping[str, Any]) -> str:
    dimensions = ",".join(f"{entry['name']}:{entry['value']}" for entry in row.get("dimensions", []))
    return f"{row.get('namespace', '')}.{row.get('metric_name', '')}.{dimensions}"


def _xml(text: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()


def _s3_error(code: str, message: str) -> bytes:
    return _xml(
        f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{uuid.uuid4().hex}</RequestId></Error>"
    )
