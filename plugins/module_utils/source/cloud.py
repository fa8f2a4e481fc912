# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to a source cloud: where credentials come from, which project, and what its errors mean.

openstacksdk is imported only when a connection is made (it costs about half a second), and nowhere outside `source`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import endpoints, signing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.services import (
    COMPUTE_MICROVERSION,
    Catalogue,
    Endpoint,
    with_microversion,
)

API_TIMEOUT = 60.0
"""Seconds that one HTTP call may take."""

LIST_TIMEOUT = 30.0
"""Seconds that a call for a list of objects may take: a service that stalls must not hold up reading the rest."""

_CREDENTIAL_HINT = "Check the entry in clouds.yaml (OS_CLIENT_CONFIG_FILE), the option auth, or the OS_* variables."
_URL_USER = re.compile(r"(?<=://)[^/@\s]+@")
_POOL = re.compile(r"(?P<what>.*?):? HTTPS?ConnectionPool\(.*?(?P<why>\[Errno [^\]]*\][^\"')]*|[Rr]ead timed out).*")
_TOKEN = re.compile(r"\bgAAAA[\w=-]{20,}|(?<=X-Auth-Token: )\S+")


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragment `openstack_auth`, as a module declares them (plain data)."""
    return {
        "cloud": {"type": "raw"},
        "auth": {"type": "dict", "no_log": True},
        "auth_type": {"type": "str"},
        "region_name": {"type": "str"},
        "project_id": {"type": "str"},
        "interface": {"type": "str", "choices": ["public", "internal", "admin"]},
        "validate_certs": {"type": "bool"},
        "ca_cert": {"type": "path"},
        "api_timeout": {"type": "float"},
    }


@dataclass(frozen=True)
class SourceAuth:
    """Which cloud, as whom, in which project. Empty values fall back to clouds.yaml and to the OS_* environment.

    cloud: name of an entry of clouds.yaml, or the content of one. auth: as openstacksdk takes it. project_id: another
    project than the credential's own (a new scope is asked for). ca_cert: path of a PEM file. api_timeout: seconds that
    a call may take; None for the usual.
    """

    cloud: str | Mapping[str, Any] | None = field(default=None, repr=False)
    auth: Mapping[str, Any] | None = field(default=None, repr=False)
    auth_type: str | None = None
    region_name: str | None = None
    interface: str | None = None
    validate_certs: bool | None = None
    ca_cert: str | None = None
    project_id: str | None = None
    api_timeout: float | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> SourceAuth:
        """From module or plugin options (the `openstack_auth` fragment); options of other names are ignored."""
        names = ("cloud", "auth", "auth_type", "region_name", "interface", "validate_certs", "ca_cert", "project_id")
        chosen = {name: params[name] for name in names if params.get(name) not in (None, "")}
        if params.get("api_timeout"):
            chosen["api_timeout"] = float(params["api_timeout"])
        return cls(**chosen)

    @property
    def timeout(self) -> float:
        """Seconds that one call may take."""
        return self.api_timeout or API_TIMEOUT

    @property
    def list_timeout(self) -> float:
        """Seconds that a call for a list of objects may take."""
        return self.api_timeout or LIST_TIMEOUT

    @property
    def label(self) -> str:
        """How messages name this cloud; never a secret."""
        if isinstance(self.cloud, str):
            return f"cloud {self.cloud!r}"
        return "the source cloud"


@dataclass(frozen=True)
class Project:
    """A Keystone project that the credential may see."""

    id: str
    name: str
    domain_id: str = ""
    enabled: bool = True


class Cloud:
    """One authenticated project of a source cloud. Made by `connect`.

    `compute`, `block_storage`, `image`, `network`, `identity` are openstacksdk's proxies: their own methods work, and
    so do plain calls (`cloud.compute.get("/servers/detail")`), which re-authenticate once when a token has expired.
    Their first use asks the service for its versions (one call). Wrap calls in `doing`.
    """

    def __init__(self, params: SourceAuth, sdk: Any) -> None:
        self.params = params
        self.sdk = sdk
        access = sdk.session.auth.get_access(sdk.session)
        self.project_id: str = access.project_id or ""
        self.project_name: str = access.project_name or ""
        self.project_domain_id: str = access.project_domain_id or ""
        self.region: str = sdk.config.get_region_name() or ""
        self.label = params.label
        self._compute: Any = None
        self._access = access
        self._catalogue: Catalogue | None = None

    @property
    def session(self) -> Any:
        """The keystoneauth session: one for all services."""
        return self.sdk.session

    @property
    def keys(self) -> signing.Keys | None:
        """The access key that this log-in signs its requests with; None for a log-in with a token."""
        signer = getattr(getattr(self.session, "session", None), "auth", None)
        return signer.keys if isinstance(signer, signing.Signer) else None

    @property
    def iam(self) -> str:
        """Root of the identity service's own extensions: the catalogue's, else that of the URL of the log-in."""
        endpoint = self.catalogue.endpoint("iam")
        return endpoint.url if endpoint and endpoint.origin != "table" else endpoints.root(self.catalogue.auth_url)

    @property
    def catalogue(self) -> Catalogue:
        """Where this project's services are."""
        if self._catalogue is None:
            config = self.sdk.config.config
            auth = config.get("auth")
            self._catalogue = Catalogue(
                session=self.session,
                entries=_entries(self._access),
                config=config,
                project_id=self.project_id,
                region=self.region,
                interface=str(config.get("interface") or "public").removesuffix("URL"),
                auth_url=str((auth.get("auth_url") if isinstance(auth, Mapping) else "") or ""),
            )
        return self._catalogue

    def service(self, name: str) -> Endpoint | None:
        """A service by the name that listings use ("compute", "evs"); None where this cloud has none.

        One call for Nova (its newest microversion), none for the others.
        """
        endpoint = self.catalogue.endpoint(name)
        if endpoint is None or name != "compute":
            return endpoint
        chosen = self.sdk.config.config.get("compute_default_microversion")
        return with_microversion(endpoint, str(chosen or ""), timeout=self.params.list_timeout)

    @property
    def compute(self) -> Any:
        """Nova, at microversion 2.79 or the newest that this cloud has; one set in clouds.yaml stands."""
        if self._compute is None:
            proxy = self.sdk.compute
            if not getattr(proxy, "default_microversion", None):
                data = proxy.get_endpoint_data()
                newest = getattr(data, "max_microversion", None)
                if newest:
                    proxy.default_microversion = ".".join(str(n) for n in min(tuple(newest), COMPUTE_MICROVERSION))
            self._compute = proxy
        return self._compute

    @property
    def compute_microversion(self) -> tuple[int, int]:
        """The microversion that calls to Nova use; (2, 1) where the cloud has none."""
        text = getattr(self.compute, "default_microversion", None) or "2.1"
        major, minor = [*str(text).split("."), ""][:2]
        return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else COMPUTE_MICROVERSION

    @property
    def block_storage(self) -> Any:
        """Cinder."""
        return self.sdk.block_storage

    @property
    def image(self) -> Any:
        """Glance."""
        return self.sdk.image

    @property
    def network(self) -> Any:
        """Neutron."""
        return self.sdk.network

    @property
    def identity(self) -> Any:
        """Keystone."""
        return self.sdk.identity

    def projects(self) -> list[Project]:
        """The projects this credential may have a scope in, by name (Keystone, GET /v3/auth/projects)."""
        with doing(f"List the projects of {self.label}"):
            session = self.sdk.session
            url = session.get_endpoint(interface=_auth_interface()).rstrip("/")
            url = url if url.endswith("/v3") else f"{url}/v3"
            answer = session.get(f"{url}/auth/projects", timeout=self.params.timeout).json()
        found = [
            Project(str(p["id"]), str(p.get("name", "")), str(p.get("domain_id", "")), bool(p.get("enabled", True)))
            for p in answer.get("projects", [])
        ]
        return sorted(found, key=lambda project: (project.name, project.id))

    def scoped(self, project_id: str) -> Cloud:
        """The same credential in another project; raises AuthFailed where it has no role there."""
        if project_id == self.project_id:
            return self
        return connect(replace(self.params, project_id=project_id))

    def close(self) -> None:
        """Close the HTTP session."""
        self.sdk.close()

    def __enter__(self) -> Cloud:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()


def connect(params: SourceAuth) -> Cloud:
    """Authenticate and return the project's Cloud. One call (the token).

    Raises AuthFailed (credential refused, or none given), Unreachable (Keystone did not answer), NotFound (no such
    entry in clouds.yaml).
    """
    try:
        import openstack
        import openstack.config
        import openstack.config.cloud_region
    except ImportError as exc:
        raise CloudExitError(
            f"Cannot connect to {params.label}",
            cause="the Python library openstacksdk is not installed where this runs",
            hint="Install it with: pip install 'openstacksdk>=4.4,<5'",
        ) from exc
    logging.getLogger("keystoneauth").addHandler(logging.NullHandler())  # its warnings print the URL with its user
    what = f"Cannot connect to {params.label}"
    config_file = os.environ.get("OS_CLIENT_CONFIG_FILE")
    if config_file and not os.path.isfile(config_file):
        raise NotFound(what, cause=f"OS_CLIENT_CONFIG_FILE names {config_file}, which is not a file")
    options: dict[str, Any] = {"api_timeout": params.timeout, "app_name": "cloudexit"}
    if isinstance(params.cloud, Mapping):
        options.update(params.cloud)
        options["load_yaml_config"] = options["load_envvars"] = False
    elif params.cloud:
        options["cloud"] = params.cloud
    given = {
        "auth_type": params.auth_type,
        "region_name": params.region_name,
        "interface": params.interface,
        "verify": params.validate_certs,
        "cacert": params.ca_cert,
        "auth": dict(params.auth) if params.auth else None,
    }
    options.update({key: value for key, value in given.items() if value is not None})
    try:
        signed = _signed(openstack, options, params)
        if signed is not None:
            return Cloud(params, signed)
        sdk = openstack.connect(**options)
        if params.project_id:
            sdk = sdk.connect_as(project_id=params.project_id)
        return Cloud(params, sdk)
    except Exception as exc:
        error = translate(exc, what)
        if not isinstance(error, CloudExitError):
            # the SDK raises plain exceptions for credentials that lack a part
            error = AuthFailed(what, cause=scrub(str(exc)), hint=_CREDENTIAL_HINT)
        raise error from exc


def _signed(openstack: Any, options: Mapping[str, Any], params: SourceAuth) -> Any:
    """A connection whose requests are signed, where the credential is an access key; None where it is not."""
    auth: dict[str, Any] = {}
    config = openstack.config.OpenStackConfig(
        load_yaml_config=options.get("load_yaml_config", True), load_envvars=options.get("load_envvars", True)
    )
    name = options.get("cloud") or (os.environ.get("OS_CLOUD") if options.get("load_envvars", True) else None)
    entry = (config.cloud_config.get("clouds") or {}).get(name) or {}
    for given in (entry.get("auth"), options.get("auth")):
        auth.update(given if isinstance(given, Mapping) else {})
    around = os.environ if not name and options.get("load_envvars", True) else {}
    for key, variable in (
        ("auth_url", "OS_AUTH_URL"),
        ("project_name", "OS_PROJECT_NAME"),
        ("password", "OS_PASSWORD"),
    ):
        if not auth.get(key) and around.get(variable):
            auth[key] = around[variable]
    keys = signing.keys_of(auth, around)
    if keys is None:
        return None
    if params.project_id:
        auth["project_id"] = params.project_id
    region = config.get_one(validate=False, **{**options, "auth_type": "none", "auth": {}})
    verify, _certificate = region.get_requests_verify_args()
    session = signing.session(auth, keys, verify=verify, timeout=params.timeout)
    plain = {key: value for key, value in auth.items() if key in ("auth_url", "project_name", "project_id")}
    made = openstack.config.cloud_region.CloudRegion(
        name=region.name, region_name=region.region_name, config={**region.config, "auth": plain}, session=session
    )
    return openstack.connection.Connection(config=made)


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Whatever the SDK raises inside becomes one of our errors: `with doing("Read server 1f3…"): ...`."""
    try:
        yield
    except Exception as exc:
        raise translate(exc, what) from exc


def translate(exc: BaseException, what: str) -> Exception:
    """An exception of openstacksdk, keystoneauth or requests as a CloudExitError about `what`.

    A CloudExitError is returned as it is, and so is an exception that comes from none of these libraries (a fault of
    ours must not look like a fault of the cloud).
    """
    if isinstance(exc, CloudExitError):
        return exc
    status = http_status(exc)
    if status is not None:
        return _from_status(exc, what, status)
    module = type(exc).__module__.partition(".")[0]
    name = type(exc).__name__
    cause = _cause(exc)
    if module not in ("openstack", "keystoneauth1", "requests", "urllib3"):
        return exc if isinstance(exc, Exception) else CloudExitError(what, cause=cause)
    if name in ("EndpointNotFound", "EmptyCatalog", "ServiceDisabledException"):
        return NotFound(what, cause=cause, hint="The cloud's catalogue has no such service in this region and project.")
    if name in ("DiscoveryFailure", "ServiceDiscoveryException", "VersionNotAvailable"):
        return Unreachable(
            what, cause=cause, retryable=True, hint="Check the URL, or set <service>_endpoint_override in clouds.yaml."
        )
    if name in ("ResourceTimeout",):
        return Timeout(what, cause=cause, retryable=True)
    if name in ("SSLError",):
        return Unreachable(what, cause=cause, hint="Give the certificate authority with ca_cert.")
    if name in ("ConnectFailure", "ConnectTimeout", "ConnectionError", "UnknownConnectionError") or module == "urllib3":
        return Unreachable(what, cause=cause, hint="Check the address, the network and the proxy.", retryable=True)
    if name in ("ReadTimeout", "Timeout", "ChunkedEncodingError"):
        return Unreachable(what, cause=cause, retryable=True)
    if name == "ConfigException" and "was not found" in cause:
        return NotFound(what, cause=cause, hint="Check the name, and the path in OS_CLIENT_CONFIG_FILE.")
    if name in (
        "ConfigException",
        "MissingRequiredOptions",
        "MissingAuthPlugin",
        "NoMatchingPlugin",
        "AuthorizationFailure",
        "UnsupportedParameters",
        "OptionError",
        "MissingAuthMethods",
    ):
        return AuthFailed(what, cause=cause, hint=_CREDENTIAL_HINT)
    return CloudExitError(what, cause=cause)


def http_status(exc: BaseException) -> int | None:
    """The HTTP status behind an exception of the SDK, or None where there was no answer."""
    for name in ("status_code", "http_status"):
        value = getattr(exc, name, None)
        if isinstance(value, int) and 100 <= value <= 599:
            return value
    return None


def _from_status(exc: BaseException, what: str, status: int) -> CloudExitError:
    cause = _cause(exc)
    answered = f"HTTP {status}" + (f", {cause}" if cause else "")
    if status == 401:
        return AuthFailed(what, cause=f"the cloud refused the credential ({answered})", hint=_CREDENTIAL_HINT)
    if status == 403:
        if "quota" in cause.lower():
            return Refused(what, cause=answered, hint="Free something or have the project's quota raised.")
        return Refused(what, cause=answered, hint="The credential lacks a role for this in the project.")
    if status == 404:
        return NotFound(what, cause=answered)
    if status == 409:
        return Conflict(what, cause=answered, retryable=True)
    if status == 413:
        return Refused(what, cause=answered, hint="Free something or have the project's quota raised.")
    if status in (408, 429, 502, 503, 504):
        return Unreachable(what, cause=answered, hint="Try again later.", retryable=True)
    return CloudExitError(what, cause=answered, retryable=status >= 500)


def _cause(exc: BaseException) -> str:
    """What the exception says, in one line, without a credential in it."""
    text = str(getattr(exc, "details", None) or getattr(exc, "message", None) or exc)
    said = _POOL.match(" ".join(text.split()))
    parts = [f"{said['what']}: {said['why']}" if said else text]
    request_id = getattr(exc, "request_id", None)
    if isinstance(request_id, str) and request_id and request_id not in parts[0]:
        parts.append(f"request {request_id}")
    return scrub(", ".join(" ".join(part.split()) for part in parts if part))[:800]


def scrub(text: str) -> str:
    """`text` without what looks like a password in a URL or a token."""
    return _TOKEN.sub("***", _URL_USER.sub("***@", text))


def _entries(access: Any) -> list[Mapping[str, Any]]:
    """The catalogue that came with the token, in one form for all versions of Keystone."""
    if not (hasattr(access, "has_service_catalog") and access.has_service_catalog()):
        return []  # signed requests: there was no log-in
    return list(access.service_catalog.normalize_catalog())


def _auth_interface() -> Any:
    from keystoneauth1 import plugin

    return plugin.AUTH_INTERFACE
