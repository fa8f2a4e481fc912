# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may go wrong in a cloud, on request of a test."""

from __future__ import annotations

from ..paths import Instance, wait_for
from . import config, database, services

_CHECKED = ("volume", "compute", "network", "image")


def stop_service(instance: Instance, name: str) -> None:
    """Stop one service, such as nova-api or cinder-volume."""
    services.stop(instance, name)


def start_service(instance: Instance, name: str) -> None:
    """Start one service and wait until it answers."""
    services.start(instance, name)
    services.wait_ready(instance, [name])


def token_lifetime(instance: Instance, seconds: int | None) -> None:
    """Let tokens that are issued from now on live so many seconds; None for a day again. Restarts Keystone."""
    instance.update_env(token_seconds=seconds)
    config.write(instance)
    stop_service(instance, "keystone")
    start_service(instance, "keystone")


def revoke_tokens(instance: Instance, username: str = "acme-operator") -> None:
    """Make every token that a user was given so far invalid; new log-ins work.

    Returns when no service takes such a token any more (services keep what they know of a token for some seconds).
    """
    from .rest import Api, ApiError
    from .schema import TENANT_USERS

    password, projects = TENANT_USERS[username]
    probe = Api(instance, username, password, projects[0])
    probe.get("identity", "/auth/projects")
    paths = {
        "volume": f"/{probe.project_id}/volumes?limit=1",
        "compute": "/servers?limit=1",
        "network": "/networks?limit=1",
        "image": "/images?limit=1",
    }
    for service in _CHECKED:
        probe.call(service, "GET", paths[service])
    database.sql(
        instance,
        "INSERT INTO revocation_event (user_id, issued_before, revoked_at)"
        f" VALUES ({database.quote(probe.user_id)}, utc_timestamp() + INTERVAL 1 SECOND, utc_timestamp());",
        "keystone",
    )

    def refused() -> bool:
        for service in _CHECKED:
            try:
                probe.call(service, "GET", paths[service])
            except ApiError as e:
                if e.status == 401:
                    continue
                raise
            return False
        return True

    wait_for(refused, 60, "the services to refuse revoked tokens", every=0.2)
