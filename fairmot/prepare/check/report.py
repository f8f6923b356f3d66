"""Findings and figures as text for people and as JSON for programs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fairmot.files import write_atomic, write_json_atomic
from fairmot.prepare.check.contents import Contents
from fairmot.prepare.check.findings import Finding, Kind, Severity
from fairmot.prepare.check.statistics import list_table, statistics
from fairmot.text_tables import aligned

_SHOWN_A_KIND = 5


def count_errors(findings: Sequence[Finding]) -> int:
    """How many findings are errors."""
    return sum(finding.kind.severity is Severity.error for finding in findings)


def as_text(contents: Contents, findings: Sequence[Finding], most_a_kind: int | None = _SHOWN_A_KIND) -> str:
    """The lists as a table, then the findings by kind, each as `file:line: message`.

    Args:
        contents: what is there.
        findings: what is wrong with it.
        most_a_kind: findings shown of each kind; None: all.
    """
    lists = list_table(contents)
    cells = [[column.replace("_", " ") for column in lists[0]], *(list(map(str, row.values())) for row in lists)]
    return "\n".join([*aligned(cells, numbers=True), "", *_finding_lines(findings, most_a_kind)])


def _finding_lines(findings: Sequence[Finding], most_a_kind: int | None) -> Iterator[str]:
    counts = Counter(finding.kind for finding in findings)
    for kind, count in counts.items():
        yield f"{kind.severity.value}: {count} {kind.meaning} [{kind.name}]"
        yield from (f"  {finding}" for finding in islice((f for f in findings if f.kind is kind), most_a_kind))
        if most_a_kind is not None and count > most_a_kind:
            yield f"  ... {count - most_a_kind} more"
    errors = count_errors(findings)
    yield f"{errors} errors, {len(findings) - errors} warnings" if findings else "nothing is wrong"


def as_json(contents: Contents, findings: Sequence[Finding]) -> dict[str, Any]:
    """All of it as JSON values."""
    counts = Counter(finding.kind for finding in findings)
    errors = count_errors(findings)
    return {
        "root": str(contents.root),
        "errors": errors,
        "warnings": len(findings) - errors,
        "counts": {kind.name: counts[kind] for kind in Kind},
        "lists": list_table(contents),
        "statistics": statistics(contents),
        "findings": [
            {
                "kind": finding.kind.name,
                "severity": finding.kind.severity.value,
                "file": finding.file,
                "line": finding.line or None,
                "message": finding.message,
            }
            for finding in findings
        ],
    }


def write_reports(folder: Path, contents: Contents, findings: Sequence[Finding]) -> None:
    """`report.txt` and `report.json` with all findings.

    Raises:
        OSError: the folder or the disk refuses.
    """
    write_atomic(folder / "report.txt", as_text(contents, findings, None) + "\n")
    write_json_atomic(folder / "report.json", as_json(contents, findings))
