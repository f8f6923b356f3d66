"""Tables of metrics: aligned text for the console, Markdown, CSV and JSON."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairmot.evaluation.metrics import SequenceMetrics, combine
from fairmot.files import write_atomic, write_json_atomic
from fairmot.text_tables import aligned, markdown

_NAME = "Sequence"


def text_table(sequences: Sequence[SequenceMetrics]) -> str:
    """One line a sequence and one for all together, columns aligned, two decimals."""
    header, *lines, overall = aligned(_cells(sequences), numbers=True)
    rule = "-" * len(header)
    return "\n".join([header, rule, *lines, rule, overall]) + "\n"


def markdown_table(sequences: Sequence[SequenceMetrics]) -> str:
    """The table of `text_table` in Markdown."""
    header, *rows = _cells(sequences)
    return "".join(f"{line}\n" for line in markdown(header, rows, numbers=True))


def csv_table(sequences: Sequence[SequenceMetrics]) -> str:
    """The same figures unrounded, for spreadsheets."""
    stream = io.StringIO()
    rows = [{_NAME: metrics.name, **metrics.figures()} for metrics in _with_overall(sequences)]
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def write_report(
    folder: str | Path, sequences: Sequence[SequenceMetrics], extras: Mapping[str, Mapping[str, float]] | None = None
) -> None:
    """Write `metrics.txt`, `metrics.md`, `metrics.csv` and `metrics.json` (sequence -> figure -> value, unrounded).

    Args:
        folder: made when absent.
        sequences: their metrics.
        extras: sequence, or OVERALL -> figures for `metrics.json` beside those of the tracks, by name.

    Raises:
        ValueError: there is no sequence.
        OSError: the folder or the disk refuses.
    """
    folder = Path(folder)
    write_atomic(folder / "metrics.txt", text_table(sequences))
    write_atomic(folder / "metrics.md", markdown_table(sequences))
    write_atomic(folder / "metrics.csv", csv_table(sequences))
    figures = {one.name: {**one.figures(), **(extras or {}).get(one.name, {})} for one in _with_overall(sequences)}
    write_json_atomic(folder / "metrics.json", figures)


def score_columns(sequences: Sequence[SequenceMetrics]) -> dict[str, list[Any]]:
    """The figures as `columns` and `data`, a row a sequence and one for all: what pandas writes with orient="split"."""
    rows = _with_overall(sequences)
    data = [[metrics.name, *metrics.figures().values()] for metrics in rows]
    return {"columns": ["sequence", *rows[0].figures()], "data": data}


def _with_overall(sequences: Sequence[SequenceMetrics]) -> list[SequenceMetrics]:
    return [*sequences, combine(sequences)]


def _cells(sequences: Sequence[SequenceMetrics]) -> list[list[str]]:
    rows = _with_overall(sequences)
    header = [_NAME, *rows[0].figures()]
    return [header, *([metrics.name, *map(_format, metrics.figures().values())] for metrics in rows)]


def _format(value: float | int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}"
