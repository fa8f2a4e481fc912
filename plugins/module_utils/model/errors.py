# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one family of errors: what went wrong, why, and what to do next.

Raised low, where the cause is known; rendered once, by the module runner.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class CloudExitError(Exception):
    """Base of all errors that a person is meant to read.

    what: the object and what could not be done with it. cause: why, as far as known.
    hint: what to do next. retryable: whether the same call may succeed later; it is the hint where no other is given.
    """

    def __init__(self, what: str, *, cause: str = "", hint: str = "", retryable: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.hint = hint or ("Run this again." if retryable else "")
        self.retryable = retryable

    def __str__(self) -> str:
        text = self.what.rstrip(".")
        if self.cause:
            text += f": {self.cause.rstrip('.')}"
        text += "."
        return f"{text} {self.hint}" if self.hint else text


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a document: where (a path like `workloads.web-1.disks[0].volume`) and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidInput(CloudExitError):
    """A document or an argument is not valid; carries every problem, not the first."""

    def __init__(self, what: str, problems: Iterable[Problem], *, hint: str = "") -> None:
        self.problems = list(problems)
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(what, hint=hint)
        self._lines = lines

    def __str__(self) -> str:
        text = f"{self.what} ({len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}):{self._lines}"
        return f"{text}\n{self.hint}" if self.hint else text


class NotFound(CloudExitError):
    """The object is not there, or not visible to this credential."""


class Conflict(CloudExitError):
    """Somebody else's object or change is in the way; nothing was overwritten."""


class Refused(CloudExitError):
    """We do not do this, by rule: the object is shared, encrypted, not understood."""


class Unreachable(CloudExitError):
    """A service or a host did not answer."""


class AuthFailed(CloudExitError):
    """A credential was not accepted."""


class Timeout(CloudExitError):
    """A deadline passed."""
