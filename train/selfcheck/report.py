"""The self-check's one report: lines for a terminal, Markdown to send, JSON to compare."""

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fairmot
from fairmot.addresses import masked
from fairmot.files import write_atomic
from fairmot.text_tables import markdown
from train.config import as_yaml
from train.selfcheck.check import Session
from train.selfcheck.run import Result

NAMES = ("selfcheck.json", "selfcheck.md")


@dataclass
class Report:
    """What is known so far; written after every check, so that a crash leaves the rest.

    Attributes:
        session: what was checked.
        words: of the command line.
        results: so far.
        running: the check that is being made; None: all are done.
    """

    session: Session
    words: Sequence[str]
    results: list[Result] = field(default_factory=list)
    running: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether all checks were made and none failed or broke off."""
        return self.running is None and not any(result.is_bad for result in self.results)

    def write(self, run_dir: Path) -> None:
        """Both files.

        Raises:
            OSError: they cannot be written.
        """
        texts = (json.dumps(self.as_dict(), indent=2) + "\n", self.as_markdown())
        for name, text in zip(NAMES, texts, strict=True):
            write_atomic(run_dir / name, text)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON; numbers that JSON lacks are null."""
        config = self.session.config
        return {
            "version": fairmot.__version__,
            "command": masked(shlex.join(self.words)),
            "device": "ascend" if self.session.on_ascend else "cpu",
            "ranks": self.session.world.size,
            "precision": config.runtime.precision.value,
            "good": self.is_good,
            "running": self.running,
            "checks": [_as_dict(result) for result in self.results],
            "config": as_yaml(config),
        }

    def as_markdown(self) -> str:
        """A table of the checks, then what a failure means, then the configuration."""
        whole = self.as_dict()
        rows = [
            [result.check.name, result.verdict.value, _against(result), _said(result).replace("|", "\\|")]
            for result in self.results
        ]
        state = "good" if self.is_good else "NOT GOOD"
        if self.running is not None:
            state = f"NOT FINISHED: ended in check {self.running}"
        parts = [
            f"# Self-check: {state}",
            f"`{whole['command']}`",
            f"fairmot {whole['version']}, {whole['device']}, {whole['ranks']} rank(s), {whole['precision']}",
            "\n".join(markdown(["check", "verdict", "value (largest that passes)", "detail"], rows)),
            *(f"**{result.check.name}**: {result.check.meaning}." for result in self.results if result.is_bad),
            f"```yaml\n{whole['config'].strip()}\n```",
        ]
        return "\n\n".join(parts) + "\n"


def as_line(result: Result) -> str:
    """A check's outcome for a terminal; with what it means where it failed."""
    line = f"{result.verdict.value:14} {result.check.name:18} {result.seconds:6.1f} s  {_against(result)}"
    lines = [f"{line}  {_said(result)}".rstrip()]
    if result.is_bad:
        lines.append(f"{'':14} {result.check.meaning}")
    return "\n".join(lines)


def _as_dict(result: Result) -> dict[str, Any]:
    measured = result.measurement
    return {
        "name": result.check.name,
        "verdict": result.verdict.value,
        "value": _finite(result.worst),
        "tolerance": _finite(measured.limit),
        "unit": measured.unit,
        "detail": measured.detail,
        "failed_on_ranks": list(result.ranks),
        "meaning_of_a_failure": result.check.meaning,
        "seconds": round(result.seconds, 2),
        "values": {name: _finite(value) for name, value in measured.values.items()},
    }


def _against(result: Result) -> str:
    """The value with its unit beside the limit."""
    if result.worst is None:
        return ""
    limit = "" if result.measurement.limit is None else f" ({result.measurement.limit:.3g})"
    return f"{result.worst:.3g}{limit} {result.measurement.unit}"


def _said(result: Result) -> str:
    """The detail; on which ranks it failed, where that is not this one alone."""
    where = f"ranks {', '.join(map(str, result.ranks))}; rank 0: " if result.ranks not in ((), (0,)) else ""
    return where + result.measurement.detail


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
