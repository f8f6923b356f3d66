"""Tables as lines of text: aligned for a terminal, or Markdown."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], numbers: bool = False) -> list[str]:
    """A line a row, two spaces between columns, none at the end.

    Args:
        rows: cells, as many in every row; the header is a row like the others.
        numbers: all columns but the first hold numbers: to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    justify = [str.ljust, *[str.rjust if numbers else str.ljust] * (len(widths) - 1)]
    return [
        "  ".join(to(cell, width) for to, cell, width in zip(justify, row, widths, strict=True)).rstrip()
        for row in rows
    ]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> list[str]:
    """The lines of a Markdown table; arguments as of `aligned`."""
    rule = ["---", *["---:" if numbers else "---"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]
