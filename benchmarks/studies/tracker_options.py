"""The tracker's options, and other projects' trackers, on equal detections of real sequences.

    python -m benchmarks.studies.tracker_options data=<MOT15>/train [thresholds=0.1,0.2,0.3,0.4] [own=yes]
           [peers=trackers:<a Python with trackers>,boxmot:<one with boxmot>]
           [embeddings=<folder of the parts that choose>,<folder of those held out>]

Detections are the sequences' det/det.txt, public detections of MOTChallenge, their confidences 0 to 100 taken as 0
to 1. The threshold of sure detections is chosen for each tracker alike, by HOTA on `CHOSEN_ON`; what stands under "held
out" is of frames that chose nothing. Scores are of MOTChallenge's official rules. Other projects run in environments of
their own, by `tracker_peers.py`, which says their settings. Without `embeddings` boxes are all there is; with it they
bring the embeddings that `box_embeddings` stored for them, learned on the other parts: two folders, so ETH-Bahnhof is
tracked in two halves only.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks.measuring import options, run
from benchmarks.tracker import rules
from fairmot.detections.find import find_detections, open_detections
from fairmot.detections.sequence import SequenceDetections
from fairmot.evaluation.metrics import SequenceMetrics, SequencePair, combine, evaluate_pair
from fairmot.evaluation.sequences import GroundTruthSequence, find_ground_truth
from fairmot.mot.numbering import number_pictures
from fairmot.mot.rows import result_rows, track_rows
from fairmot.tracking.config import Cost, TrackerConfig
from fairmot.tracking.tracker import Tracker, plausible

CONFIDENCES = (0.0, 100.0)


class Part(NamedTuple):
    """Frames of a sequence that are tracked by themselves."""

    sequence: str
    first: int
    last: int


CHOSEN_ON = (Part("ETH-Bahnhof", 1, 500), Part("TUD-Campus", 1, 71))
HELD_OUT = (Part("ETH-Bahnhof", 501, 1000), Part("TUD-Stadtmitte", 1, 179))
WHOLE = (Part("ETH-Bahnhof", 1, 1000), Part("TUD-Campus", 1, 71), Part("TUD-Stadtmitte", 1, 179))
PEERS = {
    "trackers": ("SORT", "ByteTrack", "OC-SORT", "BoT-SORT", "C-BIoU"),
    "boxmot": ("ByteTrack", "OC-SORT", "BoostTrack"),
}
PEERS_BY_APPEARANCE = {"boxmot": ("BoT-SORT", "DeepOC-SORT", "BoostTrack", "Hybrid-SORT")}


class Sequence(NamedTuple):
    """What is known of one: ground truth, detections, pictures by frame."""

    truth: GroundTruthSequence
    found: SequenceDetections
    pictures: dict[int, str]


Run = Callable[[list[float], list[Part]], list[list[np.ndarray]]]
"""Thresholds and parts to the rows of each part for each threshold: frame, id, left, top, width, height, score."""


def own_trackers() -> dict[str, TrackerConfig]:
    """The paper's tracker, each option alone beside it, published BYTE and the combination."""
    paper, best = TrackerConfig(cost=Cost.iou), rules("boxes")
    alone: dict[str, dict[str, Any]] = {
        "match_iou 0.7": {"match_iou": best.match_iou},
        "byte": {"byte": True},
        "byte, byte_lost": {"byte": True, "byte_lost": True},
        "match_lost 0.4": {"match_lost": best.match_lost},
    }
    return {
        "the paper's, boxes alone": paper,
        **{f"+ {name}": replace(paper, **keys) for name, keys in alone.items()},
        "tracker=byte": rules("byte"),
        "tracker=boxes": best,
        "tracker=boxes without match_iou 0.7": replace(best, match_iou=paper.match_iou),
        "tracker=boxes without byte_lost": replace(best, byte_lost=False),
        "tracker=boxes without byte, byte_lost": replace(best, byte=False),
        "tracker=boxes without match_lost 0.4": replace(best, match_lost=None),
        "+ camera_motion": replace(paper, camera_motion=True),
    }


def trackers_by_appearance() -> dict[str, TrackerConfig]:
    """What can be done with embeddings; limits of appearance are those that were best on CHOSEN_ON."""
    paper, boxes, best = TrackerConfig(match_embedding=0.2), rules("boxes"), rules("boxes_embedding")
    giou = replace(paper, cost=Cost.giou_embedding, match_embedding=0.1)
    return {
        "the paper's, limit 0.4": TrackerConfig(),
        "the paper's, limit 0.2": paper,
        "+ byte, byte_lost": replace(paper, byte=True, byte_lost=True),
        "giou_embedding, limit 0.1": giou,
        "giou_embedding, limit 0.1, byte, byte_lost": replace(giou, byte=True, byte_lost=True),
        "tracker=boxes": boxes,
        "tracker=boxes_embedding": best,
        "tracker=boxes_embedding, camera_motion": replace(best, camera_motion=True),
    }


def at_threshold(config: TrackerConfig, threshold: float) -> TrackerConfig:
    """Sure detections from `threshold`, weak ones from half of it; published BYTE's new tracks from 0.1 above it."""
    starts = threshold + 0.1 if config.start_thres else 0.0
    return replace(config, conf_thres=threshold, low_thres=threshold / 2, start_thres=starts)


def read(root: Path, embeddings: str) -> dict[Part, Sequence]:
    """All parts; those of WHOLE only without embeddings."""
    known, sequences = {truth.name: truth for truth in find_ground_truth(root)[0]}, {}
    places = dict(zip((CHOSEN_ON, HELD_OUT), embeddings.split(","), strict=True)) if embeddings else {}
    for parts in (CHOSEN_ON, HELD_OUT) if embeddings else (CHOSEN_ON, HELD_OUT, WHOLE):
        for part in parts:
            truth = known[part.sequence]
            assert truth.folder is not None
            numbered = number_pictures(truth.folder)
            pictures = {int(frame): str(path) for frame, path in zip(numbered.frames, numbered.paths, strict=True)}
            found = open_detections(find_detections(places.get(parts, str(root)), truth.name), CONFIDENCES)
            sequences[part] = Sequence(truth, found, pictures)
    return sequences


def run_own(config: TrackerConfig, sequences: dict[Part, Sequence], parts: list[Part]) -> list[np.ndarray]:
    tables = []
    for part in parts:
        one, tracker, rows = sequences[part], Tracker(config), [np.zeros((0, 8))]
        for frame in range(part.first, part.last + 1):
            picture = cv2.imread(one.pictures[frame]) if config.camera_motion else None
            rows.append(track_rows(frame, plausible(tracker.update(one.found.at(frame), picture), config), 1))
        tables.append(np.concatenate(rows)[:, :7])
    return tables


def run_peer(
    python: str, tracker: str, sequences: dict[Part, Sequence], thresholds: list[float], parts: list[Part]
) -> list[list[np.ndarray]]:
    with tempfile.TemporaryDirectory() as place:
        folder, names = Path(place), [f"{part.sequence}-{part.first}-{part.last}" for part in parts]
        for name, part in zip(names, parts, strict=True):
            one, frames = sequences[part], range(part.first, part.last + 1)
            found = [one.found.at(frame) for frame in frames]
            np.savez(
                folder / f"{name}.npz",
                first=part.first,
                last=part.last,
                frame=np.repeat(list(frames), [len(detections) for detections in found]),
                boxes=np.concatenate([detections.boxes_xyxy for detections in found]),
                scores=np.concatenate([detections.scores for detections in found]),
                embeddings=np.concatenate([detections.embeddings for detections in found]),
                pictures=[one.pictures[frame] for frame in frames],
            )
        jobs = [(tracker, threshold, name) for threshold in thresholds for name in names]
        (folder / "jobs.json").write_text(json.dumps(jobs))
        run([python, str(Path(__file__).with_name("tracker_peers.py")), place], {"PYTHONPATH": ""})
        return [[np.load(folder / f"{tracker}_{at}_{name}.npy") for name in names] for at in thresholds]


def score(sequences: dict[Part, Sequence], parts: tuple[Part, ...], tables: list[np.ndarray]) -> list[SequenceMetrics]:
    """One a part, then all of them together."""
    scored = []
    for part, rows in zip(parts, tables, strict=True):
        truth = sequences[part].truth
        inside = (truth.gt.frames >= part.first) & (truth.gt.frames <= part.last)
        results = result_rows(rows[:, 0], rows[:, 1], rows[:, 2:6], rows[:, 6])
        scored.append(evaluate_pair(SequencePair(part.sequence, truth.gt.select(inside), results, truth.benchmark)))
    return [*scored, combine(scored)]


def figures(metrics: SequenceMetrics) -> str:
    return f"{metrics.hota_score:.1f} / {metrics.idf1:.1f} / {metrics.mota:.1f} / {metrics.switches}"


def shown(sequences: dict[Part, Sequence]) -> tuple[Part, ...]:
    """The parts with a column of their own."""
    return WHOLE if WHOLE[0] in sequences else (*CHOSEN_ON, *HELD_OUT)


def show(name: str, run_tracker: Run, thresholds: list[float], sequences: dict[Part, Sequence]) -> None:
    """One row of the table: choose the threshold, then score everything by it."""
    tables = run_tracker(thresholds, list(CHOSEN_ON))
    tried = [score(sequences, CHOSEN_ON, of_threshold)[-1] for of_threshold in tables]
    best = int(np.argmax([metrics.hota_score for metrics in tried]))
    parts = shown(sequences)
    (tables_at_best,) = run_tracker([thresholds[best]], [*HELD_OUT, *parts])
    held_out = score(sequences, HELD_OUT, tables_at_best[: len(HELD_OUT)])[-1]
    whole = score(sequences, parts, tables_at_best[len(HELD_OUT) :])
    cells = [name, f"{thresholds[best]:g}", *map(figures, (tried[best], held_out, whole[-1], *whole[:-1]))]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    given = options(__doc__, data="", thresholds="0.1,0.2,0.3,0.4", own="yes", peers="", embeddings="")
    thresholds = [float(threshold) for threshold in given["thresholds"].split(",")]
    sequences = read(Path(given["data"]), given["embeddings"])
    own = trackers_by_appearance() if given["embeddings"] else own_trackers()
    peers = PEERS_BY_APPEARANCE if given["embeddings"] else PEERS
    columns = [f"{part.sequence} {part.first}-{part.last}" for part in shown(sequences)]
    print("HOTA / IDF1 / MOTA / switches\n| tracker | threshold | chosen on | held out | whole | ", end="")
    print(" | ".join(columns), "|\n", "|---" * (5 + len(columns)), "|", sep="")
    for name, config in own.items() if given["own"] == "yes" else ():
        ours: Run = lambda those, parts, config=config: [  # noqa: E731
            run_own(at_threshold(config, threshold), sequences, parts) for threshold in those
        ]
        show(name, ours, thresholds, sequences)
    for place in filter(None, given["peers"].split(",")):
        package, python = place.split(":", 1)
        for name in peers[package]:
            show(f"{package} {name}", partial(run_peer, python, f"{package} {name}", sequences), thresholds, sequences)


if __name__ == "__main__":
    main()
