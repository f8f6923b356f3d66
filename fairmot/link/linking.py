"""Offline linking of finished tracks by appearance and motion.

The ideas are those of GTA-Link (Sun et al., ACCV workshops 2024: split by appearance, then connect) and AFLink (Du et
al., StrongSORT, TMM 2023: connect by motion). Rows are float [R, 8], as of `fairmot.mot.rows.track_rows`.
"""

from dataclasses import dataclass

import numpy as np

from fairmot.link.config import LinkConfig
from fairmot.tracking.matching import Pairs, assign, normalize

_FRAME, _ID, _CLASS = 0, 1, 7
_VELOCITY_FRAMES = 10
"""Frames at the end of a track that its velocity is taken from."""


@dataclass(frozen=True)
class Linked:
    """Rows with new ids, and what was done.

    Attributes:
        rows: [R, 8], ordered by frame, then id.
        splits: cuts that were made.
        joins: pairs of tracks that became one.
    """

    rows: np.ndarray
    splits: int
    joins: int


def link(rows: np.ndarray, embeddings: np.ndarray, config: LinkConfig) -> Linked:
    """Split and join the tracks of one sequence.

    Args:
        rows: [R, 8].
        embeddings: [R, D] of any length, NaN in rows without one.
        config: the limits.
    """
    if not len(rows):
        return Linked(rows, 0, 0)
    order = np.lexsort((rows[:, _FRAME], rows[:, _ID]))
    rows, embeddings = rows[order].copy(), embeddings[order]
    known = np.flatnonzero(np.isfinite(embeddings).all(axis=1))
    unit = np.zeros_like(embeddings)
    unit[known] = normalize(embeddings[known])
    tracks = np.cumsum(np.diff(rows[:, _ID], prepend=rows[:1, _ID]) != 0)
    parts = tracks
    if config.split_distance is not None and len(known):
        parts = _split(tracks, known, unit, config.split_distance, config.split_rows)
    joined, joins = _join(rows, parts, known, unit, config)
    # Who keeps most of a track keeps its id; a part that nothing was joined to gets a new one.
    rows[:, _ID] = _names(rows[:, _ID], joined)[joined]
    splits = len(np.unique(parts)) - len(np.unique(tracks))
    return Linked(rows[np.lexsort((rows[:, _ID], rows[:, _FRAME]))], splits, joins)


def _split(tracks: np.ndarray, known: np.ndarray, unit: np.ndarray, limit: float, least: int) -> np.ndarray:
    """Cut tracks again and again where their embeddings fall apart most: int64 [R], a number for every part."""
    parts, n_parts = tracks.copy(), int(tracks[-1]) + 1
    waiting = [known[run] for run in np.split(np.arange(len(known)), np.flatnonzero(np.diff(tracks[known])) + 1)]
    while waiting:
        run = waiting.pop()
        if len(run) < 2 * least:
            continue
        sums = np.cumsum(unit[run], axis=0, dtype=np.float64)
        before, after = sums[least - 1 : len(run) - least], sums[-1] - sums[least - 1 : len(run) - least]
        distances = 1 - (normalize(before) * normalize(after)).sum(axis=1)
        cut = int(distances.argmax())
        if distances[cut] <= limit:
            continue
        at = least + cut  # the first known row behind the cut
        behind = np.flatnonzero(parts == parts[run[at]])
        parts[behind[behind >= run[at]]] = n_parts
        n_parts += 1
        waiting += [run[:at], run[at:]]
    return parts


def _join(
    rows: np.ndarray, parts: np.ndarray, known: np.ndarray, unit: np.ndarray, config: LinkConfig
) -> tuple[np.ndarray, int]:
    """Give parts that are one person one number: int64 [R] from 0 without gaps, and how many pairs were joined."""
    numbers, parts = np.unique(parts, return_inverse=True)
    ends = _ends(rows, parts, len(numbers))
    sums = np.zeros((len(numbers), unit.shape[1]))
    np.add.at(sums, parts[known], unit[known])
    has_known = np.bincount(parts[known], minlength=len(numbers)) > 0
    gaps = ends.first_frames[None, :] - ends.last_frames[:, None]
    near = (gaps >= 1) & (gaps <= config.max_gap_frames) & (ends.classes[:, None] == ends.classes[None, :])
    earlier, later = np.nonzero(near)
    gaps = gaps[earlier, later]
    misses = _misses(ends, earlier, later, gaps) / (config.join_motion * (1 + gaps / config.max_gap_frames))
    means = normalize(sums)
    distances = 1 - means @ means.T
    limit = min(config.join_distance, _least_of_strangers(distances, ends, has_known, config.join_mistakes))
    looks = distances[earlier, later] / max(limit, 1e-9)
    # Shares of the two limits: both must be within theirs, and the sum chooses between several.
    fits = (misses <= 1) & (looks <= 1) & has_known[earlier] & has_known[later]
    pairs = Pairs(earlier, later, (misses + looks) / 2).where(fits)
    earlier, later = assign(pairs, 1.0)
    follower = np.arange(len(numbers))
    for one, next_one in sorted(
        zip(earlier.tolist(), later.tolist(), strict=True), key=lambda pair: ends.first_frames[pair[0]]
    ):
        follower[next_one] = follower[one]
    return np.unique(follower[parts], return_inverse=True)[1], len(earlier)


def _least_of_strangers(distances: np.ndarray, ends: "_Ends", has_known: np.ndarray, mistakes: float) -> float:
    """The cosine distance that a share `mistakes` of those people fall below who are seen at the same time.

    They are certainly not one person, so they tell how well these embeddings tell people of this sequence apart.
    """
    together = np.minimum.outer(ends.last_frames, ends.last_frames) >= np.maximum.outer(
        ends.first_frames, ends.first_frames
    )
    strangers = np.triu(together & np.logical_and.outer(has_known, has_known), 1)
    return float(np.quantile(distances[strangers], mistakes)) if strangers.any() else np.inf


@dataclass(frozen=True)
class _Ends:
    """Both ends of P parts: frames, classes, heights [P], centres and velocities [P, 2] there; pixels, frames."""

    first_frames: np.ndarray
    last_frames: np.ndarray
    classes: np.ndarray
    first_centres: np.ndarray
    last_centres: np.ndarray
    first_velocities: np.ndarray
    last_velocities: np.ndarray
    first_heights: np.ndarray
    last_heights: np.ndarray


def _ends(rows: np.ndarray, parts: np.ndarray, count: int) -> _Ends:
    """Rows of a part follow each other in time, since they are ordered by track and frame and cuts keep that order."""
    order = np.argsort(parts, kind="stable")
    starts = np.searchsorted(parts[order], np.arange(count))
    stops = np.append(starts[1:], len(order)) - 1
    reach = np.minimum(stops - starts, _VELOCITY_FRAMES)
    first, last = order[starts], order[stops]
    after_first, before_last = order[starts + reach], order[stops - reach]
    frames, centres = rows[:, _FRAME], rows[:, 2:4] + rows[:, 4:6] / 2

    def velocities(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        return (centres[end] - centres[begin]) / np.maximum(frames[end] - frames[begin], 1)[:, None]

    return _Ends(
        frames[first], frames[last], rows[first, _CLASS], centres[first], centres[last],
        velocities(first, after_first), velocities(before_last, last), rows[first, 5], rows[last, 5],
    )  # fmt: skip


def _misses(ends: _Ends, earlier: np.ndarray, later: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """How far two tracks miss each other, in heights of the box: the mean of looking ahead and of looking back."""
    step = gaps[:, None]
    ahead = ends.last_centres[earlier] + ends.last_velocities[earlier] * step - ends.first_centres[later]
    back = ends.first_centres[later] - ends.first_velocities[later] * step - ends.last_centres[earlier]
    heights = (ends.last_heights[earlier] + ends.first_heights[later]) / 2
    growth = np.abs(np.log(ends.first_heights[later] / ends.last_heights[earlier]))
    return (np.linalg.norm(ahead, axis=1) + np.linalg.norm(back, axis=1)) / 2 / heights + growth


def _names(ids: np.ndarray, joined: np.ndarray) -> np.ndarray:
    """An id for each new track: the one most of its rows had, a new one where another track keeps that."""
    kept, n_rows = np.unique(np.column_stack([joined, ids]), axis=0, return_counts=True)
    names, taken, next_id = np.full(int(joined.max()) + 1, -1.0), set(), ids.max() + 1
    for row in np.argsort(-n_rows, kind="stable"):
        track, name = int(kept[row, 0]), kept[row, 1]
        if names[track] < 0 and name not in taken:
            names[track] = name
            taken.add(name)
    for track in np.flatnonzero(names < 0):
        names[track], next_id = next_id, next_id + 1
    return names
