# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Octavia provider without amphorae: what the API asks for is soon ACTIVE, or gone."""

from __future__ import annotations

import threading
import time

import sqlalchemy
from octavia.api.drivers.noop_driver import driver as noop
from octavia.common import utils
from octavia.db import api as database
from octavia_lib.api.drivers import exceptions

CHILDREN = ("l7rule", "l7policy", "health_monitor", "member", "pool", "listener")
CHANGES = ("_create", "_update", "_delete", "_failover", "_batch_update")
_vip_ports: list[str] = []
_wanted = threading.Event()
_worker: threading.Thread | None = None
_guard = threading.Lock()


def _pending(session):
    tables = (*CHILDREN, "load_balancer")
    return sum(
        session.execute(
            sqlalchemy.text(f"SELECT count(*) FROM {table} WHERE provisioning_status LIKE 'PENDING%'")
        ).scalar()
        for table in tables
    )


def _settle(session):
    """One pass over the tables: deletions are carried out, the rest becomes ACTIVE and ONLINE."""
    run = session.execute
    run(sqlalchemy.text("SET foreign_key_checks = 0"))
    for table in CHILDREN:
        run(sqlalchemy.text(f"DELETE FROM {table} WHERE provisioning_status = 'PENDING_DELETE'"))
    run(
        sqlalchemy.text(
            "UPDATE load_balancer SET provisioning_status = 'DELETED', operating_status = 'OFFLINE'"
            " WHERE provisioning_status = 'PENDING_DELETE'"
        )
    )
    for table in (*CHILDREN, "load_balancer"):
        run(
            sqlalchemy.text(
                f"UPDATE {table} SET provisioning_status = 'ACTIVE', operating_status = 'ONLINE'"
                " WHERE provisioning_status IN ('PENDING_CREATE', 'PENDING_UPDATE')"
            )
        )
    run(sqlalchemy.text("SET foreign_key_checks = 1"))
    session.commit()


def _work():
    """Sleeps until something is asked for; the API commits after it called us, so look for some seconds."""
    while True:
        _wanted.wait()
        _wanted.clear()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            with database.get_session() as session:
                if _pending(session):
                    _settle(session)
            while _vip_ports:
                utils.get_network_driver().network_proxy.delete_port(_vip_ports.pop(), ignore_missing=True)
            time.sleep(0.25)


def _ask():
    global _worker
    with _guard:
        if _worker is None:
            _worker = threading.Thread(target=_work, daemon=True)
            _worker.start()
    _wanted.set()


class SettlingDriver(noop.NoopProviderDriver):
    """Octavia's no-op provider, whose requests are settled in the database."""

    def __getattribute__(self, name):
        if name.endswith(CHANGES) and not name.startswith("_"):
            _ask()
        return super().__getattribute__(name)

    def loadbalancer_delete(self, loadbalancer, cascade=False):
        super().loadbalancer_delete(loadbalancer, cascade)
        _vip_ports.append(loadbalancer.vip_port_id)

    def create_vip_port(self, *args, **kwargs):
        """Leave the address to Octavia's network driver."""
        raise exceptions.NotImplementedError()
