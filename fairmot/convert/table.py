"""The table of a conversion: every tensor of the source and of the network, and what became of it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairmot.convert.names import Row
from fairmot.files import write_atomic
from fairmot.text_tables import markdown


class Line(NamedTuple):
    """One tensor.

    Attributes:
        source: its name there; empty where the source lacks it.
        output: its name there; empty where the output lacks it.
        shape: its sizes; None for what is no array.
        note: why it was left out or how it was changed.
    """

    source: str
    output: str
    shape: tuple[int, ...] | None
    note: str

    def texts(self) -> tuple[str, ...]:
        """The four columns as text."""
        shape = "" if self.shape is None else "x".join(map(str, self.shape)) or "scalar"
        return self.source or "-", self.output or "-", shape, self.note


def table_of(rows: Iterable[Row], source_names: Mapping[str, str], output_names: Mapping[str, str]) -> list[Line]:
    """Lines of entries under the original's names, which also stand where source or output use no other name."""
    return [
        Line(
            source_names.get(row.name, ""),
            output_names.get(row.name, row.name) if row.taken else "",
            row.shape,
            row.note,
        )
        for row in rows
    ]


def write_table(path: Path, table: Iterable[Line], about: Mapping[str, Any]) -> None:
    """The table as a file: Markdown or JSON, as the path ends.

    Args:
        path: ends in .md or .json.
        table: the lines.
        about: what it is of, such as source and network.

    Raises:
        OSError: the folder or the disk refuses.
    """
    if path.suffix == ".json":
        content = json.dumps({**about, "tensors": [line._asdict() for line in table]}, indent=2) + "\n"
    else:
        head = [f"{key}: {value}  " for key, value in about.items()]
        body = markdown(Line._fields, [line.texts() for line in table])
        content = "\n".join([*head, "", *body]) + "\n"
    write_atomic(path, content)
