# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nova-compute that asks for its conductor every second, as both start at the same time here."""

from nova.cmd import compute  # has to be the first import: it decides how threads work
from nova.conductor import api


def main():
    wait = api.API.wait_until_ready
    api.API.wait_until_ready = lambda self, context: wait(self, context, early_timeout=1, early_attempts=120)
    compute.main()


if __name__ == "__main__":
    main()
