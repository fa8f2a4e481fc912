# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program, write what it took into a file, end as it did: `measured.py RESULT PROGRAM [ARGUMENT ...]`.

A process of its own because of ru_maxrss: a program inherits the peak of the process image that it replaces (Linux,
exec_mmap in fs/exec.c), so a program that is started by a large process seems to be as large. This one is small.
"""

import json
import os
import sys
import time

result, *words = sys.argv[1:]
started = time.monotonic()
pid = os.posix_spawnp(words[0], words, os.environ)
_pid, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - started
cpu = usage.ru_utime + usage.ru_stime
with open(result, "w") as stream:
    json.dump({"wall": wall, "cpu": cpu, "rss": usage.ru_maxrss * 1024}, stream)
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
