# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of a page: its texts, numbers, sizes, dates. English is the key, French is beside it in french.py.

What other documents say in English only is shown as it is, and marked as English for who listens to the page.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Literal, get_args

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import french, markup

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
NAMES = {"en": "English", "fr": "Français"}

_NARROW, _FIXED = "\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"
_MONTHS = {
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    "fr": [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
}


def _by_pattern(given: str) -> str:
    for pattern, french_text in french.PATTERNS:
        if match := re.fullmatch(pattern, given):
            return french_text.format(*match.groups())
    return ""


class Words:
    """How things are said in one language. All methods return plain text, but `told`, which returns markup."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._french = language == "fr"

    def __call__(self, english: str, **values: object) -> str:
        """A text or a code of ours; `{placeholders}` are filled with values, numbers as the language writes them."""
        if english in french.CODES:
            said = french.CODES[english][self._french]
        else:
            said = french.TEXTS.get(english, english) if self._french else english
        if not values:
            return said
        return said.format(
            **{key: self.number(value) if isinstance(value, (int, float)) else value for key, value in values.items()}
        )

    def told(self, given: str) -> str:
        """Markup: a text that another document gave in English."""
        if not self._french or not given:
            return markup.text(given)
        known = french.TOLD.get(given) or _by_pattern(given)
        return markup.text(known) if known else f'<span lang="en">{markup.text(given)}</span>'

    def either(self, english: str, other: str) -> str:
        """Markup: a text that another document gave in English and, as `other`, in French."""
        return markup.text(other) if self._french and other else self.told(english)

    def kind(self, name: str) -> str:
        """What a kind of object is called, plural."""
        kind = kinds.KINDS.get(name)
        if kind is None:
            return self(f"kind {name}") if name in ("services", "tenant") else name
        return kind.title_fr if self._french else kind.title

    def count(self, number: int, noun: str) -> str:
        """`1 workload`, `2 workloads`; nouns are those of french.NOUNS."""
        if self._french:
            one, many = french.NOUNS[noun]
            word = many if abs(number) >= 2 else one
        else:
            word = noun if number == 1 else french.PLURALS.get(noun, f"{noun}s")
        return f"{self.number(number)}{_FIXED}{word}"

    def number(self, value: float, digits: int = 0) -> str:
        """A number: `1,234.5`, `1 234,5`."""
        text = f"{value:,.{digits}f}"
        return text.replace(",", _NARROW).replace(".", ",") if self._french else text

    def percent(self, value: int) -> str:
        return f"{self.number(value)}{_NARROW if self._french else ''}%"

    def size(self, gib: float) -> str:
        """GiB with the unit that suits: `320 GiB`, `1.5 TiB`; `Gio` and `Tio` in French."""
        if gib >= 1024 * 1024:
            value, unit = gib / 1024 / 1024, "PiB"
        elif gib >= 1024:
            value, unit = gib / 1024, "TiB"
        else:
            value, unit = gib, "GiB"
        digits = 0 if value >= 100 or value == int(value) else 1
        return f"{self.number(value, digits)}{_FIXED}{unit.replace('B', 'o') if self._french else unit}"

    def duration(self, seconds: int) -> str:
        """Seconds as a person says them, two units of them: `42 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
        day = "j" if self._french else "d"
        if seconds < 60:
            return f"{seconds}{_FIXED}s"
        minutes = round(seconds / 60)
        if minutes < 60:
            parts = [(minutes, "min")]
        elif minutes < 48 * 60:
            parts = [(minutes // 60, "h"), (minutes % 60, "min")]
        else:
            parts = [(minutes // 1440, day), (minutes % 1440 // 60, "h")]
        return " ".join(f"{self.number(value)}{_FIXED}{unit}" for value, unit in parts if value)

    def day(self, value: str) -> str:
        """A date as people write it: `30 June 2027`, `30 juin 2027`; what is not one, as it is."""
        try:
            found = date.fromisoformat(value[:10])
        except ValueError:
            return value
        number = "1er" if self._french and found.day == 1 else str(found.day)
        return f"{number}{_FIXED}{_MONTHS[self.language][found.month - 1]} {found.year}"

    def moment(self, value: str) -> str:
        """A time in UTC: `2 May 2027, 20:00 UTC`; what is not one, as it is."""
        try:
            found = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return value
        return f"{self.day(value)}, {found:%H:%M}{_FIXED}UTC"

    def labelled(self, label: str, value: str) -> str:
        """`label: value`, with the space that French wants before its colon."""
        return f"{label}{_FIXED if self._french else ''}: {value}"
