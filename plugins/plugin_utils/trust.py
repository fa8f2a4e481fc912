# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which text Ansible may take as a template: none that came from a cloud, whatever release of Ansible runs.

Since ansible-core 2.19 text is a template only when it is trusted; before, everything is one unless marked unsafe.
"""

from __future__ import annotations

import functools
import typing as t

try:
    from ansible.template import trust_as_template as _trust
except ImportError:
    _trust = None


def untrusted(value: t.Any) -> t.Any:
    """Plain data whose texts are never templated."""
    if _trust is not None:
        return value
    return _wrap()(value)


def trusted(value: t.Any) -> t.Any:
    """Plain data whose texts may be templates; for what the operator wrote, never for what a cloud said."""
    if _trust is None:
        return value
    if isinstance(value, str):
        return _trust(value)
    if isinstance(value, dict):
        return {key: trusted(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [trusted(entry) for entry in value]
    return value


@functools.cache
def _wrap() -> t.Callable[[t.Any], t.Any]:
    from ansible.utils.unsafe_proxy import wrap_var

    return wrap_var
