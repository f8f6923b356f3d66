"""Finding sequences with ground truth on disk."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from fairmot.errors import DataError
from fairmot.evaluation.preprocess import preprocess
from fairmot.mot.benchmarks import Benchmark, benchmark_of
from fairmot.mot.rows import MotRows, read_ground_truth, result_rows

GENERAL_RULES = Benchmark.mot15
"""The one rule all of MOTChallenge shares, for sequences it does not know: a row with flag 0 does not count."""


@dataclass
class GroundTruthSequence:
    """One sequence to score against.

    Attributes:
        name: of the sequence.
        folder: of the sequence, where its images may be; None where there is only a text file.
        gt: all rows of its gt file.
        benchmark: whose rules apply.
    """

    name: str
    folder: Path | None
    gt: MotRows
    benchmark: Benchmark

    def counted(self) -> MotRows:
        """The rows that count as objects under the benchmark's rules.

        Raises:
            DataError: see `preprocess`.
        """
        nothing = result_rows(np.zeros(0), np.zeros(0), np.zeros((0, 4)), np.zeros(0))
        try:
            return preprocess(self.gt, nothing, self.benchmark)[0]
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from error


def find_ground_truth(
    root: Path, benchmark: Benchmark | None = None
) -> tuple[list[GroundTruthSequence], dict[str, str]]:
    """The sequences of a folder: `<name>/gt/gt.txt`, or `<name>.txt`; or of one sequence's own folder.

    Args:
        root: the folder.
        benchmark: whose rules apply; None: those of the sequence's name, GENERAL_RULES where it is not MOTChallenge's.

    Returns:
        The sequences by name, and for those left out (no ground truth, or not one row that counts) why.

    Raises:
        DataError: no such folder, no sequence with ground truth, two of the same name, or a file that cannot be used.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name one with <sequence>/gt/gt.txt or <sequence>.txt in it")
    found, skipped = [], {}
    for name, folder, text in _candidates(root):
        if not text.is_file():
            skipped[name] = f"no {text}"
            continue
        rules = benchmark or rules_of(name) or GENERAL_RULES
        sequence = GroundTruthSequence(name, folder, read_ground_truth(text), rules)
        if len(sequence.counted()):
            found.append(sequence)
        else:
            skipped[name] = f"no row of {text} counts as an object"
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise DataError(
            f"{root}: no sequence with ground truth there ({reasons or 'no <sequence>/gt/gt.txt, no <sequence>.txt'})"
        )
    return found, skipped


def rules_of(name: str) -> Benchmark | None:
    """The benchmark of a sequence's name; None where it is none of MOTChallenge's."""
    try:
        return benchmark_of(name)
    except DataError:
        return None


def _candidates(root: Path) -> list[tuple[str, Path | None, Path]]:
    """Name, folder and gt file, which may be missing, of everything that looks like a sequence; by name."""
    if (root / "gt").is_dir() or (root / "img1").is_dir():
        return [(root.resolve().name, root, root / "gt" / "gt.txt")]
    folders = [path for path in root.iterdir() if (path / "gt").is_dir() or (path / "img1").is_dir()]
    candidates: list[tuple[str, Path | None, Path]] = [(path.name, path, path / "gt" / "gt.txt") for path in folders]
    candidates += [(path.stem, None, path) for path in root.glob("*.txt")]
    candidates.sort(key=lambda candidate: candidate[0])
    for one, next_one in pairwise(candidates):
        if one[0] == next_one[0]:
            raise DataError(f"{one[2]} and {next_one[2]}: two ground truths of one sequence; keep one")
    return candidates
