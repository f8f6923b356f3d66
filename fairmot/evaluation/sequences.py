"""Finding sequences with ground truth on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from fairmot.errors import DataError
from fairmot.evaluation.preprocess import preprocess
from fairmot.mot.benchmarks import Benchmark, benchmark_of
from fairmot.mot.number_table import holds_rows
from fairmot.mot.numbering import has_pictures, number_pictures
from fairmot.mot.rows import MotRows, read_truth_file, result_rows
from fairmot.mot.sequence import read_length
from fairmot.picture_files import is_foreign_folder

GENERAL_RULES = Benchmark.mot15
"""The one rule all of MOTChallenge shares, for sequences it does not know: a row with flag 0 does not count."""


@dataclass
class GroundTruthSequence:
    """One sequence to score against.

    Attributes:
        name: of the sequence.
        folder: of the sequence, where its images may be; None where there is only a text file.
        gt: the rows of its gt file whose frame has a picture, and who have an identity.
        benchmark: whose rules apply.
        frames: int64 [N], the numbers of its pictures' frames, rising; None where there are no pictures.
        length: frames that its seqinfo.ini says, None where nobody says.
        notes: sentences on what was left out, or is strange.
    """

    name: str
    folder: Path | None
    gt: MotRows
    benchmark: Benchmark
    frames: np.ndarray | None = None
    length: int | None = None
    notes: list[str] = field(default_factory=list)

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

    @property
    def last_frame(self) -> int:
        """The number of the last frame: of the pictures, else by seqinfo.ini, else with a row; 0 where nobody knows."""
        if self.frames is not None:
            return int(self.frames[-1])
        return self.length or int(self.gt.frames.max(initial=0))


def find_ground_truth(
    root: Path, benchmark: Benchmark | None = None
) -> tuple[list[GroundTruthSequence], dict[str, str]]:
    """The sequences of a folder: `<name>/gt/gt.txt`, or `<name>.txt`; or of one sequence's own folder.

    Args:
        root: the folder.
        benchmark: whose rules apply; None: those of the sequence's name, GENERAL_RULES where it is not MOTChallenge's.

    Returns:
        The sequences by name, those without any object included, and for those left out (no ground truth) why.

    Raises:
        DataError: no such folder, no sequence with ground truth, two of the same name, or a file that cannot be used.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name one with <sequence>/gt/gt.txt or <sequence>.txt in it")
    found, skipped = [], {}
    for name, folder, text in _candidates(root):
        if not text.is_file():
            skipped[name] = f"no {text}"
        elif folder is None and not holds_rows(text):
            skipped[name] = f"{text} does not begin with a row of ground truth"
        else:
            found.append(_open(name, folder, text, benchmark or rules_of(name) or GENERAL_RULES))
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise DataError(
            f"{root}: no sequence with ground truth there ({reasons or 'no <sequence>/gt/gt.txt, no <sequence>.txt'})"
        )
    return found, skipped


def require_objects(place: str, sequences: Sequence[GroundTruthSequence]) -> None:
    """Single sequences may be empty of people; all of them may not.

    Args:
        place: where they are from, for the message.
        sequences: to score against.

    Raises:
        DataError: not one object counts.
    """
    if not any(len(sequence.counted()) for sequence in sequences):
        reasons = "; ".join(f"{sequence.name}: {note}" for sequence in sequences for note in sequence.notes)
        raise DataError(f"{place}: no object to score against ({reasons})")


def _open(name: str, folder: Path | None, text: Path, rules: Benchmark) -> GroundTruthSequence:
    """One sequence, its rows under the numbers of its pictures where there are some."""
    truth = read_truth_file(text)
    sequence = GroundTruthSequence(name, folder, truth.rows, rules)
    kept = np.ones(len(truth.rows), bool)
    if folder is not None and has_pictures(folder):
        pictures = number_pictures(folder, truth)
        sequence.gt, kept = pictures.numbered(truth.rows)
        sequence.frames, sequence.notes = pictures.frames, pictures.say()
        if not kept.all():
            first = truth.place(int(np.argmin(kept)))
            sequence.notes.append(
                f"{np.count_nonzero(~kept)} rows of frames without a picture are left out, the first: {first}"
            )
    elif len(truth.rows) and truth.rows.frames.min() < 1:
        place = truth.place(int(np.argmin(truth.rows.frames)))
        raise DataError(f"{place}: frame 0 is below 1; frames count from 1")
    if folder is not None:
        sequence.length = read_length(folder / "seqinfo.ini")
    nameless = kept & (sequence.gt.ids < 0)
    if nameless.any():
        first = truth.place(int(np.argmax(nameless)))
        count = np.count_nonzero(nameless)
        sequence.notes.append(f"{count} boxes without identity (id -1) cannot be scored and do not count: {first}")
    sequence.gt = sequence.gt.select(kept & ~nameless)
    if not len(sequence.counted()):
        flags = f", {np.count_nonzero(truth.rows.scores == 0)} with flag 0" if len(truth.rows) else ""
        sequence.notes.append(
            f"no row of {text} counts as an object ({len(truth.rows)} rows{flags}): all that is found there is false"
        )
    return sequence


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
    visible = [path for path in root.iterdir() if not is_foreign_folder(path.name)]
    folders = [path for path in visible if (path / "gt").is_dir() or (path / "img1").is_dir()]
    candidates: list[tuple[str, Path | None, Path]] = [(path.name, path, path / "gt" / "gt.txt") for path in folders]
    candidates += [(path.stem, None, path) for path in visible if path.suffix == ".txt" and path.is_file()]
    candidates.sort(key=lambda candidate: candidate[0])
    for one, next_one in pairwise(candidates):
        if one[0] == next_one[0]:
            raise DataError(f"{one[2]} and {next_one[2]}: two ground truths of one sequence; keep one")
    return candidates
