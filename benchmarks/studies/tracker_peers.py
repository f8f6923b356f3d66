"""Other projects' trackers on detections that `tracker_options` lays out; run by it, with a Python that has them.

    <python> benchmarks/studies/tracker_peers.py <folder>

The folder holds jobs.json, a list of [tracker, threshold, part], and <part>.npz of each part: `first` and `last` frame,
`frame`, `boxes` (left, top, right, bottom), `scores` and `embeddings` of its detections, `pictures`. Each job gives
<tracker>_<threshold>_<part>.npy: rows of frame, id, left, top, width, height, score. What is not said here is as the
project has it; the threshold is of detections that count as sure.
"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

Update = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Boxes [N, 4], scores [N], embeddings [N, D] and picture to rows [T, 6] of left, top, right, bottom, id, score."""

STARTS_ABOVE = 0.1
"""A threshold of its own for new tracks is so much above that of sure detections, as in ByteTrack."""


def of_trackers(name: str, threshold: float, _: bool) -> Update:
    """Roboflow's `trackers`."""
    import supervision  # noqa: PLC0415
    import trackers  # noqa: PLC0415

    surer = {"track_activation_threshold": threshold + STARTS_ABOVE, "high_conf_det_threshold": threshold}
    kind, keys = {
        "SORT": (trackers.SORTTracker, {"track_activation_threshold": threshold}),
        "ByteTrack": (trackers.ByteTrackTracker, surer),
        "OC-SORT": (trackers.OCSORTTracker, {"high_conf_det_threshold": threshold}),
        "BoT-SORT": (trackers.BoTSORTTracker, surer),
        "C-BIoU": (trackers.CBIoUTracker, surer),
    }[name]
    tracker = kind(**keys)

    def update(boxes: np.ndarray, scores: np.ndarray, _: np.ndarray, picture: np.ndarray) -> np.ndarray:
        found = supervision.Detections(xyxy=boxes, confidence=scores, class_id=np.zeros(len(boxes), int))
        moves = {"frame": picture} if name == "BoT-SORT" else {}
        tracks = tracker.update(found, **moves)
        if tracks.tracker_id is None:
            return np.zeros((0, 6))
        rows = np.column_stack([tracks.xyxy, tracks.tracker_id, tracks.confidence])
        return rows[tracks.tracker_id >= 0]

    return update


def of_boxmot(name: str, threshold: float, by_appearance: bool) -> Update:
    """BoxMOT, without camera motion; by boxes alone, or by the embeddings that come with them."""
    import boxmot  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from boxmot.structures import Boxes, Detections  # noqa: PLC0415

    sure = {"track_high_thresh": threshold, "track_low_thresh": threshold / 2}
    kind, keys = {
        "ByteTrack": (boxmot.ByteTrack, {"track_thresh": threshold, "min_conf": threshold / 2}),
        "OC-SORT": (boxmot.OcSort, {"det_thresh": threshold, "min_conf": threshold / 2}),
        "BoostTrack": (boxmot.BoostTrack, {"det_thresh": threshold, "use_embeddings": by_appearance, "use_cmc": False}),
        "BoT-SORT": (boxmot.BotSort, {**sure, "new_track_thresh": threshold + STARTS_ABOVE, "use_cmc": False}),
        "DeepOC-SORT": (boxmot.DeepOcSort, {"det_thresh": threshold, "cmc_off": True}),
        "Hybrid-SORT": (
            boxmot.HybridSort,
            {"det_thresh": threshold, "track_thresh": threshold, "low_thresh": threshold / 2, "cmc_method": None},
        ),
    }[name]
    tracker = kind(**keys)

    def update(boxes: np.ndarray, scores: np.ndarray, embeddings: np.ndarray, picture: np.ndarray) -> np.ndarray:
        if not by_appearance:
            tracks = np.asarray(tracker.update(np.column_stack([boxes, scores, np.zeros(len(boxes))]), picture))
            return tracks[:, :6] if len(tracks) else np.zeros((0, 6))
        columns = [torch.from_numpy(np.ascontiguousarray(one, np.float32)) for one in (boxes, scores, embeddings)]
        classes = torch.zeros(len(boxes), dtype=torch.int64)
        found = Detections(Boxes(columns[0]), columns[1], classes, "frame", embeddings=columns[2])
        tracks = tracker.update(found, picture)
        return np.column_stack([tracks.geometry.values, tracks.track_ids, tracks.scores])

    return update


MAKERS = {"trackers": of_trackers, "boxmot": of_boxmot}


def run(update: Update, part: np.lib.npyio.NpzFile) -> np.ndarray:
    rows = [np.zeros((0, 7))]
    frames, boxes, scores = part["frame"], part["boxes"].astype(np.float32), part["scores"]
    lengths = np.linalg.norm(part["embeddings"], axis=1, keepdims=True)
    embeddings = part["embeddings"] / np.maximum(lengths, np.finfo(np.float32).tiny)
    for picture, frame in zip(part["pictures"], range(int(part["first"]), int(part["last"]) + 1), strict=True):
        here = frames == frame
        tracks = update(boxes[here], scores[here], embeddings[here], cv2.imread(str(picture)))
        sides = tracks[:, 2:4] - tracks[:, :2]
        here = np.column_stack([np.full(len(tracks), frame), tracks[:, 4], tracks[:, :2], sides, tracks[:, 5]])
        rows.append(here[(sides > 0).all(axis=1)])
    return np.concatenate(rows)


def main() -> None:
    folder = Path(sys.argv[1])
    for tracker, threshold, part in json.loads((folder / "jobs.json").read_text()):
        package, name = tracker.split()
        print(f"{package} {version(package)}: {name}, threshold {threshold}, {part}", file=sys.stderr)
        with np.load(folder / f"{part}.npz") as inputs:
            make = MAKERS[package](name, threshold, inputs["embeddings"].shape[1] > 0)
            np.save(folder / f"{tracker}_{threshold}_{part}.npy", run(make, inputs))


if __name__ == "__main__":
    main()
