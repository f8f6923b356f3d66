"""Damaged result files and ground truth: each is read for what it says or refused with the line; nothing else."""

import re
from pathlib import Path

import numpy as np
import pytest
from fuzzing import mutated

from fairmot.errors import DataError
from fairmot.mot.rows import MotRows, first_fault, read_ground_truth, read_results

TIMES = 400
TOKENS = (
    "",
    "nan",
    "-inf",
    "1e400",
    "-1",
    "0",
    "1_0",
    "9" * 20,
    "0x10",
    "1.5",
    "٣",
    "1e2",
    "x",
    "\0",
    "\t",
    ";",
    ",",
    "\ufeff",
)
RESULTS = "".join(f"{frame},{who},{9 * who + frame}.5,20,30,40,0.9,1,-1,-1\n" for frame in (1, 2, 4) for who in (1, 2))
TRUTH = "".join(f"{frame},{who},{9 * who + frame}.5,20,30,40,1,1,0.5\n" for frame in (1, 2, 4) for who in (1, 2))


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Another number or word, a byte changed, a piece cut out, a line doubled, the end cut off, other separators."""

    def separators_or_end(kind, at, length):
        if kind == 6:
            return content.replace(b",", (b" ", b"\t", b";", b", ")[rng.integers(4)])[: len(content) - at % 3]
        return content[:at]

    return mutated(content, rng, rb"[-\w.]+", TOKENS, separators_or_end)


@pytest.mark.parametrize(
    ("name", "read", "text"), [("results", read_results, RESULTS), ("truth", read_ground_truth, TRUTH)]
)
def test_damage(name: str, read, text: str, tmp_path: Path) -> None:
    path = tmp_path / "seq.txt"
    rng = np.random.default_rng(list(name.encode()))
    accepted = 0
    for time in range(TIMES):
        damaged = mutate(text.encode(), rng)
        path.write_bytes(damaged)
        try:
            rows: MotRows = read(path)
        except DataError as error:
            assert re.match(rf"{re.escape(str(path))}:\d+: ", str(error)), (time, damaged, str(error))
        else:
            accepted += 1
            is_truth = name == "truth"
            sized = (rows.scores != 0) | (not is_truth)
            assert first_fault(rows, sized, 1 - is_truth, -int(is_truth)) is None, (time, damaged)
            filled = [line for line in damaged.decode().replace("\ufeff", "").split("\n") if line.strip()]
            assert len(filled) - 1 <= len(rows) <= len(filled), (time, damaged)
    assert 0.1 * TIMES < accepted < 0.9 * TIMES
