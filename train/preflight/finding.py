"""What a check found, and the table that shows it."""

import os
import shutil
import sys
import textwrap
from dataclasses import dataclass
from enum import Enum

_WIDEST = 120


class Status(Enum):
    """Outcome of a check; a warning does not keep the job from starting."""

    passed = "pass"
    warned = "warn"
    failed = "fail"
    skipped = "skip"


_COLOURS = {Status.passed: "32", Status.warned: "33", Status.failed: "31", Status.skipped: "2"}


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        status: its outcome.
        detail: what was seen; for a skipped check why it was skipped.
        mend: what to do about it; empty where there is nothing to do or the detail already says it.
    """

    status: Status
    detail: str
    mend: str = ""


def passed(detail: str) -> Finding:
    """All is well."""
    return Finding(Status.passed, detail)


def warned(detail: str, mend: str = "") -> Finding:
    """The job can run, but somebody should know."""
    return Finding(Status.warned, detail, mend)


def failed(detail: str, mend: str = "") -> Finding:
    """The job would fail."""
    return Finding(Status.failed, detail, mend)


def skipped(why: str) -> Finding:
    """There is nothing to check here, or it cannot be checked."""
    return Finding(Status.skipped, why)


def wants_colour() -> bool:
    """Whether stdout is a terminal whose user has not declined colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def as_rows(name: str, finding: Finding, name_width: int, colour: bool) -> str:
    """A check's outcome, name and what was seen; what to do about it on lines of its own.

    Args:
        name: of the check.
        finding: what it found.
        name_width: columns for the names of all checks.
        colour: whether the outcome stands in colour.
    """
    text_width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 0)).columns) - name_width - 8
    outcome = finding.status.value
    if colour:
        outcome = f"\033[{_COLOURS[finding.status]}m{outcome}\033[0m"
    indent = " " * (name_width + 8)
    starts = (f"{outcome}  {name:<{name_width}}  ", f"{'':6}{'  mend':<{name_width}}  ")
    lines = []
    for start, text in zip(starts, (finding.detail, finding.mend), strict=True):
        rows = _wrapped(text, text_width)
        lines += [f"{indent if number else start}{row}" for number, row in enumerate(rows)]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, unless a path is longer."""
    options = {"break_long_words": False, "break_on_hyphens": False}
    return [row for line in text.splitlines() for row in textwrap.wrap(line, max(width, 20), **options)]  # type: ignore[arg-type]
