"""FairMOT's online tracker (Zhang et al., IJCV 2021): one object follows one sequence.

A frame passes through four matchings, each over what the one before left: by appearance and motion (followed and lost
tracks), by overlap (followed tracks), optionally by overlap with weak detections (BYTE), and by overlap for tracks seen
only once. Without embeddings the first is by overlap too. The rules, thresholds and the order of tracks and detections
are those of the original.
"""

from collections.abc import Callable

import numpy as np

from fairmot.structures import Detections, Tracks
from fairmot.tracking import kalman
from fairmot.tracking.camera import CameraMotion
from fairmot.tracking.config import Cost, TrackerConfig
from fairmot.tracking.matching import (
    Pairs,
    assign,
    cosine_distances,
    gate_by_motion,
    giou_distances,
    iou_pairs,
    normalize,
    xyxy_to_xyah,
)
from fairmot.tracking.track_table import TrackTable

_Stage = tuple[np.ndarray, np.ndarray, float, Callable[[np.ndarray, Detections, np.ndarray, float], Pairs]]
"""A matching: rows of tracks, columns of detections, the largest cost, and what lists the pairs with their costs."""


class Tracker:
    """Identities of one sequence, from 1. A second sequence takes a second tracker.

    Memory is bounded by the objects of the last `track_buffer` frames, however long the sequence.

    Attributes:
        n_frames: frames seen.
        n_tracked: tracks that the last frame's detections continued or started.
        n_removed: how often a track was given up. One that was lost for too long counts twice: it can still be found
            in the frame after its time is over, and counts again once that has passed (the original's count).
    """

    def __init__(self, config: TrackerConfig) -> None:
        self.n_frames = 0
        self.n_tracked = 0
        self.n_removed = 0
        self._config = config
        self._max_lost_frames = int(config.frame_rate / 30.0 * config.track_buffer)
        self._camera = CameraMotion() if config.camera_motion else None
        self._clock = 0.0  # the newest frame's time, in frames of config.frame_rate
        self._next_id = 1
        self._tracks = TrackTable.start(_no_detections(0), 1, 0, 0.0)  # the n_tracked followed ones, then the lost ones

    @property
    def n_lost(self) -> int:
        """Tracks that may be found again."""
        return len(self._tracks) - self.n_tracked

    def update(self, detections: Detections, frame: np.ndarray | None = None, time_s: float | None = None) -> Tracks:
        """Take in the next frame.

        Args:
            detections: all of the frame's, also weak ones; with embeddings in all frames or in none. Boxes without
                area are ignored.
            frame: uint8 [H, W, 3] or [H, W]; needed with `camera_motion` only.
            time_s: since the sequence's first frame: how long lost tracks are remembered goes by it, not by the
                number of frames. None: frames follow each other at config.frame_rate. All or none of a sequence.

        Returns:
            The confirmed tracks found in this frame.

        Raises:
            ValueError: the embeddings' length is not that of the frames before, or the frame is missing.
        """
        if self._camera is not None and frame is None:
            raise ValueError("tracker.camera_motion needs the picture of every frame: update(detections, frame)")
        detections = self._usable(detections)
        if self._camera is not None and frame is not None:
            self._tracks.move(self._camera.estimate(frame, detections.boxes_xyxy))
        self.n_frames += 1
        self._clock = self.n_frames if time_s is None else time_s * self._config.frame_rate
        is_strong = detections.scores > np.float32(self._config.conf_thres)
        rows, columns = self._associate(detections, is_strong)
        self._tracks.correct(
            rows, detections.boxes_xyxy[columns], detections.scores[columns], self.n_frames, self._clock
        )
        trusted = is_strong[columns]  # weak detections are blurred or covered: they show where, not who
        if detections.embeddings.shape[1]:
            self._tracks.blend(rows[trusted], detections.embeddings[columns[trusted]], self._config.smoothing)
        is_strong[columns] = False
        self._turn_over(rows, self._start(detections.select(is_strong)) if is_strong.any() else None)
        self._drop_duplicates()
        return self._report()

    def _usable(self, detections: Detections) -> Detections:
        """Detections that score enough and have an area, their embeddings at length 1."""
        given = detections.embeddings.shape[1]
        if self._next_id == 1:
            self._tracks = TrackTable.start(_no_detections(given), 1, 0, 0.0)
        expected = self._tracks.features.shape[1]
        if len(detections) and given != expected:
            raise ValueError(
                f"detections.embeddings must have {expected} columns as in the sequence's earlier frames, got {given}"
            )
        threshold = self._config.low_thres if self._config.byte else self._config.conf_thres
        sides = detections.boxes_xyxy[:, 2:] - detections.boxes_xyxy[:, :2]
        usable = detections.select((detections.scores > np.float32(threshold)) & (sides > 0).all(axis=1))
        usable.embeddings = usable.embeddings.reshape(len(usable), expected)
        if expected:
            usable.embeddings = normalize(usable.embeddings)
        return usable

    def _associate(self, detections: Detections, is_strong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict, then match in stages: rows of tracks and of detections, each int64 [M]."""
        config, tracks = self._config, self._tracks
        confirmed = tracks.confirmed[: self.n_tracked]
        followed, unconfirmed = np.flatnonzero(confirmed), np.flatnonzero(~confirmed)
        lost = np.arange(self.n_tracked, len(tracks))
        pool = np.concatenate([followed, lost])
        tracks.predict(pool, is_lost=pool >= self.n_tracked)
        strong, weak = np.flatnonzero(is_strong), np.flatnonzero(~is_strong)
        overlap = self._overlap_pairs
        stages: list[_Stage] = [
            (pool if config.byte_lost else followed, weak, config.match_low, overlap),
            (unconfirmed, strong, config.match_unconfirmed, overlap),
        ]
        cost = config.cost if tracks.features.shape[1] else Cost.iou
        first = self._likely_overlap_pairs if cost is Cost.iou_embedding else overlap
        if cost not in (Cost.iou, Cost.iou_embedding):
            appearance = (pool, strong, config.match_embedding, self._appearance_pairs)
            stages = [appearance, (followed, strong, config.match_iou, overlap), *stages]
        elif config.match_lost is None:
            stages = [(pool, strong, config.match_iou, first), *stages]
        else:
            found_again = (lost, strong, config.match_lost, first)
            stages = [(followed, strong, config.match_iou, first), found_again, *stages]
        column_of = np.full(len(tracks), -1)
        is_free = np.ones(len(detections), bool)
        for candidates, seen, limit, pairs_of in stages:
            rows, columns = candidates[column_of[candidates] < 0], seen[is_free[seen]]
            if not len(rows) or not len(columns):
                continue
            pairs = pairs_of(rows, detections, columns, limit)
            one_class = tracks.classes[rows[pairs.rows]] == detections.classes[columns[pairs.columns]]
            matched_rows, matched_columns = assign(pairs.where(one_class), limit)
            column_of[rows[matched_rows]] = columns[matched_columns]
            is_free[columns[matched_columns]] = False
        rows = np.flatnonzero(column_of >= 0)
        return rows, column_of[rows]

    def _overlap_pairs(self, rows: np.ndarray, detections: Detections, columns: np.ndarray, limit: float) -> Pairs:
        """IoU distances of up to the limit."""
        return iou_pairs(self._tracks.boxes_xyxy(rows), detections.boxes_xyxy[columns], limit)

    def _likely_overlap_pairs(
        self, rows: np.ndarray, detections: Detections, columns: np.ndarray, limit: float
    ) -> Pairs:
        """The same pairs; their costs, from 0 to the limit, say by appearance too which of them is likely."""
        pairs, weight = self._overlap_pairs(rows, detections, columns, limit), self._config.appearance_weight
        unlike = cosine_distances(
            self._tracks.features[rows[pairs.rows]], detections.embeddings[columns[pairs.columns]]
        )
        return pairs._replace(costs=(1 - weight) * pairs.costs + weight * limit * unlike / 2)

    def _appearance_pairs(self, rows: np.ndarray, detections: Detections, columns: np.ndarray, _: float) -> Pairs:
        """Costs by appearance, of pairs within the motion model's gate."""
        tracks, config = self._tracks, self._config
        means, boxes_xyxy = tracks.means[rows], detections.boxes_xyxy[columns]
        spread = kalman.innovation_variances(means, tracks.variances[rows])
        pairs = gate_by_motion(means, spread, xyxy_to_xyah(boxes_xyxy))
        near = rows[pairs.rows]
        costs = cosine_distances(tracks.features[near], detections.embeddings[columns[pairs.columns]])
        if config.cost is Cost.giou_embedding:
            costs *= giou_distances(tracks.boxes_xyxy(near), boxes_xyxy[pairs.columns])
        else:
            costs = config.appearance_weight * costs + (1 - config.appearance_weight) * pairs.costs
        return pairs._replace(costs=costs)

    def _start(self, detections: Detections) -> TrackTable:
        """New tracks with the next ids, from what scores enough."""
        detections = detections.select(detections.scores > np.float32(self._config.start_thres))
        new = TrackTable.start(detections, self._next_id, self.n_frames, self._clock)
        self._next_id += len(new)
        return new

    def _turn_over(self, found_rows: np.ndarray, new: TrackTable | None) -> None:
        """Sort all tracks into followed, lost and forgotten ones, in the original's order."""
        tracks, n_tracked = self._tracks, self.n_tracked
        found = np.zeros(len(tracks), bool)
        found[found_rows] = True
        followed, found_again = np.flatnonzero(found[:n_tracked]), n_tracked + np.flatnonzero(found[n_tracked:])
        still_lost = n_tracked + np.flatnonzero(~found[n_tracked:])
        missed = np.flatnonzero(~found[:n_tracked])
        newly_lost = missed[tracks.confirmed[missed]]
        lost_for = np.rint(self._clock - tracks.last_seen[still_lost])
        too_old = still_lost[lost_for > self._max_lost_frames]
        self.n_removed += len(missed) - len(newly_lost) + len(too_old)
        lost = np.concatenate([still_lost, newly_lost])
        lost = lost[~tracks.expired[lost]]
        tracks.expired[too_old] = True
        all_tracks = tracks if new is None else tracks.join(new)
        started = np.arange(len(tracks), len(all_tracks))
        self._tracks = all_tracks.take(np.concatenate([followed, started, found_again, lost]))
        self.n_tracked = len(followed) + len(started) + len(found_again)

    def _drop_duplicates(self) -> None:
        """Where a followed and a lost track cover each other, keep the one with the longer history."""
        tracks, n_tracked, limit = self._tracks, self.n_tracked, self._config.match_duplicate
        if n_tracked == len(tracks):
            return
        boxes_xyxy, history = tracks.boxes_xyxy(), tracks.last_frames - tracks.first_frames
        pairs = iou_pairs(boxes_xyxy[:n_tracked], boxes_xyxy[n_tracked:], limit)
        followed, lost = pairs.rows, n_tracked + pairs.columns
        twins = (pairs.costs < limit) & (tracks.classes[followed] == tracks.classes[lost])
        if not twins.any():
            return
        followed, lost = followed[twins], lost[twins]
        keep = np.ones(len(tracks), bool)
        keep[np.where(history[followed] > history[lost], lost, followed)] = False
        self._tracks = tracks.take(keep)
        self.n_tracked = int(keep[:n_tracked].sum())

    def _report(self) -> Tracks:
        tracks = self._tracks
        rows = np.flatnonzero(tracks.confirmed[: self.n_tracked])
        return Tracks(tracks.ids[rows], tracks.boxes_xyxy(rows), tracks.scores[rows], tracks.classes[rows])


def _no_detections(reid_dim: int) -> Detections:
    return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, reid_dim)))


def plausible(tracks: Tracks, config: TrackerConfig) -> Tracks:
    """The tracks worth reporting: boxes that are large enough and not wider than a person can be."""
    widths_px, heights_px = (tracks.boxes_xyxy[:, 2:] - tracks.boxes_xyxy[:, :2]).T
    return tracks.select(are_plausible(widths_px, heights_px, config))


def are_plausible(widths_px: np.ndarray, heights_px: np.ndarray, config: TrackerConfig) -> np.ndarray:
    """Bool [T]: of `plausible`, by the boxes' sides, each [T]."""
    upright = ~(widths_px / heights_px > config.max_aspect)
    return upright & (widths_px * heights_px > config.min_box_area)
