# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access log for Swift's proxy in the columns that uWSGI writes for the other APIs.

Columns, separated by tabs: start in microseconds since the epoch, method, URI, status, milliseconds, Host, user agent.
"""

from __future__ import annotations

import time


class AccessLog:
    """WSGI filter that appends one line for each answered request."""

    def __init__(self, app, path):
        self._app = app
        self._file = open(path, "a", buffering=1)  # noqa: SIM115

    def __call__(self, environ, start_response):
        began = time.time()

        def started(status, headers, exc_info=None):
            uri = environ.get("PATH_INFO", "")
            if environ.get("QUERY_STRING"):
                uri += "?" + environ["QUERY_STRING"]
            fields = (
                int(began * 1e6),
                environ.get("REQUEST_METHOD", ""),
                uri,
                status.split()[0],
                int((time.time() - began) * 1000),
                environ.get("HTTP_HOST", ""),
                environ.get("HTTP_USER_AGENT", ""),
            )
            self._file.write("\t".join(str(f).replace("\t", " ").replace("\n", " ") for f in fields) + "\n")
            return start_response(status, headers, exc_info)

        return self._app(environ, started)


def filter_factory(global_conf, **local_conf):
    """Paste's factory; the option is ``access_log``."""
    return lambda app: AccessLog(app, local_conf["access_log"])
