# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a Cloud and its Server; every route is known once this is imported."""

from __future__ import annotations

from pathlib import Path

from . import access, door, network, orange, query, security, templates, workloads
from .certs import certificates
from .core import Cloud, Row
from .seed import seed
from .web import Server

AREAS = (access, door, network, orange, query, security, templates, workloads)


def serve(folder: Path, port: int = 0, options: Row | None = None, calls: Path | None = None) -> Server:
    """A server over the state in a folder. It listens; ``start`` or ``serve`` lets it answer."""
    folder.mkdir(parents=True, exist_ok=True)
    _ca, certificate = certificates(folder)
    return Server(Cloud(folder, seed, options), certificate, port, calls)
