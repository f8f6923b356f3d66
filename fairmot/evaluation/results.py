"""The results of a tracker beside their ground truth: read, and what cannot be right about them said."""

import logging
from pathlib import Path

import numpy as np

from fairmot.errors import DataError
from fairmot.evaluation.sequences import GroundTruthSequence
from fairmot.mot.rows import NOT_GIVEN, MotRows, read_results

_log = logging.getLogger(__name__)


def with_something_to_score(
    sequences: list[GroundTruthSequence], folder: Path, skipped: dict[str, str]
) -> list[GroundTruthSequence]:
    """Without sequences that have neither an object nor a result.

    Args:
        sequences: the ground truth.
        folder: of the results.
        skipped: gets the name of each that is left out, and why.
    """
    kept = []
    for one in sequences:
        if len(one.counted()) or (folder / f"{one.name}.txt").is_file():
            kept.append(one)
        else:
            skipped[one.name] = "; ".join([*one.notes, "and there is no result"])
    return kept


def read_all_results(folder: Path, sequences: list[GroundTruthSequence]) -> dict[str, MotRows]:
    """The result of every sequence, by name; rows of frames that have no picture are left out, and named in a warning.

    Raises:
        DataError: a sequence has no file, a file cannot be used, or its frames are not those of the ground truth.
    """
    missing = [one.name for one in sequences if not (folder / f"{one.name}.txt").is_file()]
    if missing:
        raise DataError(
            f"{folder}: no result for {', '.join(missing)}; every sequence of the ground truth needs a file "
            "<sequence>.txt, an empty one where nothing was found"
        )
    results = {}
    for one in sequences:
        path = folder / f"{one.name}.txt"
        rows = read_results(path)
        _check_frames(path, rows, one)
        if one.frames is not None:
            kept = np.isin(rows.frames, one.frames)
            if not kept.all():
                _log.warning("%s: %d rows of frames without a picture are left out", path, np.count_nonzero(~kept))
            rows = rows.select(kept)
        _say_what_cannot_match(path, rows, one)
        results[one.name] = rows
    return results


def _check_frames(path: Path, results: MotRows, sequence: GroundTruthSequence) -> None:
    """Refuse results none of which is in a frame of the ground truth: they are of something else."""
    gt_frames = sequence.counted().frames
    if len(results) and len(gt_frames) and not np.isin(results.frames, gt_frames).any():
        raise DataError(
            f"{path}: frames {results.frames.min()} to {results.frames.max()}, but the ground truth of {sequence.name} "
            f"is of frames {gt_frames.min()} to {gt_frames.max()}; is it the same sequence, numbered from 1?"
        )


def _say_what_cannot_match(path: Path, results: MotRows, sequence: GroundTruthSequence) -> None:
    """Warn of results that end early, or whose classes are not those of the ground truth."""
    truth = sequence.counted()
    last, end = int(results.frames.max(initial=0)), int(truth.frames.max(initial=0))
    if last < end:
        missed = np.count_nonzero(truth.frames > last)
        ends = f"ends with frame {last}" if len(results) else "is empty"
        _log.warning(
            "%s: %s, the ground truth ends with frame %d: %d boxes after it are missed", path, ends, end, missed
        )
    found, true = (set(np.unique(rows.classes).tolist()) - {NOT_GIVEN} for rows in (results, truth))
    if found and true and not found & true:
        _log.warning(
            "%s: its classes are %s, those of the ground truth %s: nothing can match",
            path,
            _listed(found),
            _listed(true),
        )


def _listed(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
