"""Filling the gaps of finished tracks, and smoothing them. Offline: it looks at frames to come.

Rows are those of a MOTChallenge result, float [R, 6 or more]: frame, id, left, top, width, height, and columns that
vary slowly or not at all (score, class).
"""

import numpy as np
from scipy.ndimage import correlate1d

from fairmot.tracking.config import Interpolation, InterpolationConfig

_FRAME, _ID = 0, 1
_BOX = slice(2, 6)


def interpolate(rows: np.ndarray, config: InterpolationConfig) -> np.ndarray:
    """A sequence's rows [R, C] mended as configured: new rows, ordered by frame, then id.

    Raises:
        ValueError: an id has two rows in one frame.
    """
    filled = rows if config.method is Interpolation.none else fill_gaps(rows, config.max_gap_frames)
    if config.method is Interpolation.gaussian:
        filled = smooth(filled, config.smoothing_frames)
    return filled[np.lexsort((filled[:, _ID], filled[:, _FRAME]))]


def fill_gaps(rows: np.ndarray, max_gap_frames: int) -> np.ndarray:
    """Add rows on a straight line wherever an id is missing for at most `max_gap_frames` frames.

    Args:
        rows: [R, C], in any order.
        max_gap_frames: number of missing frames.

    Returns:
        [R or more, C], ordered by id, then frame; all columns are interpolated.

    Raises:
        ValueError: an id has two rows in one frame.
    """
    rows = _by_track(rows)
    before, after = rows[:-1], rows[1:]
    missing = np.where(before[:, _ID] == after[:, _ID], after[:, _FRAME] - before[:, _FRAME] - 1, 0).astype(int)
    missing[missing > max_gap_frames] = 0
    gap = np.repeat(np.arange(len(missing)), missing)
    step = 1 + np.arange(len(gap)) - np.repeat(np.cumsum(missing) - missing, missing)
    share = (step / (missing[gap] + 1))[:, None]
    added = before[gap] + share * (after[gap] - before[gap])
    added[:, _FRAME] = before[gap, _FRAME] + step
    return _by_track(np.concatenate([rows, added]))


def smooth(rows: np.ndarray, smoothing_frames: float) -> np.ndarray:
    """Replace each box by the value, in its frame, of the line that fits the boxes around it with Gaussian weights.

    The purpose is that of StrongSORT's Gaussian-process smoothing (Du et al., 2023). Local lines take time in
    proportion to a track's length, keep steady motion exactly, and do not pull the ends of a long track towards its
    middle. Runs of consecutive frames are smoothed apart.

    Args:
        rows: [R, C], in any order.
        smoothing_frames: standard deviation of the weights.

    Returns:
        [R, C], ordered by id, then frame; only the boxes differ.

    Raises:
        ValueError: an id has two rows in one frame.
    """
    rows = _by_track(rows)
    breaks = (np.diff(rows[:, _ID]) != 0) | (np.diff(rows[:, _FRAME]) != 1)
    for run in np.split(np.arange(len(rows)), np.flatnonzero(breaks) + 1):
        if len(run) > 1:
            rows[run, _BOX] = _smooth_run(rows[run, _BOX], smoothing_frames)
    return rows


def _smooth_run(boxes: np.ndarray, smoothing_frames: float) -> np.ndarray:
    """Local lines through boxes [F, 4] of consecutive frames: [F, 4]."""
    reach = int(np.ceil(4 * smoothing_frames))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * np.square(offsets / smoothing_frames))

    def around(values: np.ndarray, power: int) -> np.ndarray:
        return correlate1d(values, weights * offsets**power, axis=0, mode="constant")

    # The closed form of weighted least squares: moments of the frames that exist, with and without the boxes.
    present = np.ones((len(boxes), 1))
    total, first, second = (around(present, power) for power in range(3))
    return (second * around(boxes, 0) - first * around(boxes, 1)) / (total * second - first**2)


def _by_track(rows: np.ndarray) -> np.ndarray:
    """A copy ordered by id, then frame."""
    rows = rows[np.lexsort((rows[:, _FRAME], rows[:, _ID]))].astype(float)
    twice = np.flatnonzero((np.diff(rows[:, : _ID + 1], axis=0) == 0).all(axis=1))
    if len(twice):
        frame, identity = rows[twice[0], : _ID + 1].astype(int)
        raise ValueError(f"id {identity} has two rows in frame {frame}: a result holds each id once a frame")
    return rows
