# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pages are made with: the frame of a page, and texts from anywhere that are safe where they are printed.

A page forbids itself to load anything and to run anything but the one script that its policy names by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable

SPACES = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
LONGEST_NAME = 120

_PAGE = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
{script}</body>
</html>
"""


def page(title: str, body: str, *, style: str, language: str = "en", script: str = "") -> str:
    """A whole page. `title` is plain text, `body` is markup."""
    policy = f"default-src 'none'; style-src {_source(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    if script:
        policy += f"; script-src {_source(script)}"
    return _PAGE.format(
        language=language,
        policy=policy,
        title=text(title),
        style=style,
        body=body,
        script=f"<script>{script}</script>\n" if script else "",
    )


def _source(inline: str) -> str:
    digest = base64.b64encode(hashlib.sha256(inline.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def text(value: object) -> str:
    """A text from anywhere, safe between tags and in attributes: markup escaped, control and bidi characters shown."""
    return html.escape(shown(value), quote=True)


def shown(value: object) -> str:
    """A text from anywhere with a sign for each character that cannot be seen."""
    return "".join(char if char.isprintable() or char in SPACES else "\N{REPLACEMENT CHARACTER}" for char in str(value))


def name(value: object) -> str:
    """A name from anywhere, kept from turning the text around it, and cut where it is very long."""
    given = str(value)
    return f"<bdi>{text(given if len(given) <= LONGEST_NAME else given[: LONGEST_NAME - 1] + '…')}</bdi>"


def joined(parts: Iterable[str], by: str = "\n") -> str:
    """The parts that are not empty, as one."""
    return by.join(part for part in parts if part)
