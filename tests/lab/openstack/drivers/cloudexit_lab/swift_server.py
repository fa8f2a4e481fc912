# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of Swift in one process: account, container and object server and the proxy.

Takes the folder with swift.conf and <kind>.conf. Nothing of Swift is loaded before the first connection to the
proxy's port, so a Swift that nobody asks costs almost nothing.
"""

from __future__ import annotations

import configparser
import select
import socket
import sys

KINDS = ("account", "container", "object", "proxy")


def main(folder):
    sockets = {}
    for kind in KINDS:
        conf = configparser.RawConfigParser()
        conf.read(f"{folder}/{kind}.conf")
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((conf["DEFAULT"]["bind_ip"], int(conf["DEFAULT"]["bind_port"])))
        listener.listen(128)
        sockets[kind] = listener
    select.select([sockets["proxy"]], [], [])
    serve(folder, sockets)


def serve(folder, sockets):
    import eventlet

    eventlet.monkey_patch(all=False, socket=True, select=True, thread=True)
    from eventlet.green import socket as green
    from swift.common import utils
    from swift.common.storage_policy import reload_storage_policies

    utils.set_swift_dir(folder)
    reload_storage_policies()
    from swift.common import wsgi

    # each server wants to choose the event loop, and would throw away the one that the others wait in
    choose = eventlet.hubs.use_hub

    def choose_once(hub=None):
        if not hasattr(eventlet.hubs._threadlocal, "hub"):
            choose(hub)

    eventlet.hubs.use_hub = choose_once
    threads = []
    for kind, listener in sockets.items():
        conf = utils.readconf(f"{folder}/{kind}.conf", f"app:{kind}-server", log_name=f"{kind}-server")
        logger = utils.get_logger(conf, f"{kind}-server", log_to_console=True, log_route=f"{kind}-wsgi")
        threads.append(eventlet.spawn(wsgi.run_server, conf, logger, green.socket(fileno=listener.detach())))
    for thread in threads:
        thread.wait()


if __name__ == "__main__":
    main(sys.argv[1])
