"""Changes to a text file as they happen to files, drawn from a seed."""

import re
from collections.abc import Callable, Sequence

import numpy as np


def mutated(
    content: bytes,
    rng: np.random.Generator,
    cell: bytes,
    tokens: Sequence[str],
    otherwise: Callable[[int, int, int], bytes],
) -> bytes:
    """Another number or word, a byte changed, a piece cut out, a line doubled, or what the caller does.

    Args:
        content: of the file.
        rng: draws what happens and where.
        cell: pattern of what one of `tokens` may replace.
        tokens: numbers and words.
        otherwise: kind (6 or 7), place and length -> the changed content.
    """
    kind = rng.integers(8)
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 12))
    if kind <= 2:
        cells = list(re.finditer(cell, content))
        found = cells[rng.integers(len(cells))]
        return content[: found.start()] + tokens[rng.integers(len(tokens))].encode() + content[found.end() :]
    if kind == 3:
        return content[:at] + bytes([rng.integers(256)]) + content[at + 1 :]
    if kind == 4:
        return content[:at] + content[at + length :]
    if kind == 5:
        lines = content.splitlines(keepends=True)
        line = int(rng.integers(len(lines)))
        return b"".join([*lines[: line + 1], *lines[line:]])
    return otherwise(int(kind), at, length)
