"""What fairmot.link is worth on sequences with ground truth: scores before and after, a line a sequence.

    python -m benchmarks.studies.linking gt=<sequences> detections=<folder of stored detections> [conf_thres=0.4]
        [match_iou=0.5] [frame_rate=30] [split_distance=0.7]
    python -m benchmarks.studies.linking gt=<sequences> detections=<folder with det.txt files> score_range=0,120

Tracks are made by the paper's tracker, by one that goes by boxes alone, and by tracker=boxes_embedding (with its own
match_iou, weak detections from half of conf_thres). Boxes of det.txt files have no embeddings;
they get ideal ones: a random direction for each identity of the ground truth that they cover, and one of their own for
all others, so that the table shows what linking could reach.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.measuring import options
from benchmarks.report import markdown
from benchmarks.tracker import rules
from fairmot.boxes import cxcywh_to_xyxy, xywh_to_cxcywh
from fairmot.detections.find import find_detections, open_detections
from fairmot.detections.sequence import SequenceDetections
from fairmot.detections.tracks import track_detections
from fairmot.evaluation.metrics import SequenceMetrics, SequencePair, combine, evaluate_pair
from fairmot.evaluation.sequences import GroundTruthSequence, find_ground_truth
from fairmot.link.config import LinkConfig
from fairmot.link.embeddings import embeddings_of_rows
from fairmot.link.linking import link
from fairmot.mot.rows import MotRows, result_rows
from fairmot.structures import Detections
from fairmot.tracking.config import Cost, TrackerConfig
from fairmot.tracking.matching import assign, iou_pairs

LENGTH = 64
FIGURES = ("HOTA", "MOTA", "IDF1", "IDs")


def with_ideal_embeddings(found: SequenceDetections, truth: MotRows, rng: np.random.Generator) -> SequenceDetections:
    identities = {identity: rng.normal(size=LENGTH) for identity in np.unique(truth.ids).tolist()}
    embeddings, start = rng.normal(size=(len(found.rows), LENGTH)), 0
    for frame, count in zip(found.frames.tolist(), found.counts.tolist(), strict=True):
        here = truth.select(truth.frames == frame)
        boxes_xyxy = cxcywh_to_xyxy(xywh_to_cxcywh(here.boxes_xywh))
        rows, columns = assign(iou_pairs(boxes_xyxy, found.rows.boxes_xyxy[start : start + count], 0.5), 0.5)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            embeddings[start + column] = identities[int(here.ids[row])]
        start += count
    return replace(found, rows=Detections(found.rows.boxes_xyxy, found.rows.scores, embeddings, found.rows.classes))


def as_result(rows: np.ndarray) -> MotRows:
    return result_rows(rows[:, 0], rows[:, 1], rows[:, 2:6], rows[:, 6], rows[:, 7])


def scored(truth: GroundTruthSequence, rows: np.ndarray) -> SequenceMetrics:
    return evaluate_pair(SequencePair(truth.name, truth.gt, as_result(rows), truth.benchmark))


def cells(before: SequenceMetrics, after: SequenceMetrics) -> list[str]:
    pairs = ((before.figures()[name], after.figures()[name]) for name in FIGURES)
    return [f"{one:.4g} -> {other:.4g}" for one, other in pairs]


def trackers(given: dict[str, str]) -> dict[str, TrackerConfig]:
    """Name and rules of those that make the tracks."""
    conf_thres, frame_rate = float(given["conf_thres"]), float(given["frame_rate"])
    papers = TrackerConfig(conf_thres=conf_thres, match_iou=float(given["match_iou"]), frame_rate=frame_rate)
    combined = replace(rules("boxes_embedding"), conf_thres=conf_thres, low_thres=conf_thres / 2, frame_rate=frame_rate)
    return {
        "paper's": papers,
        "boxes alone": replace(papers, cost=Cost.iou),
        "tracker=boxes_embedding": combined,
    }


def main() -> None:
    given = options(
        __doc__,
        gt="",
        detections="",
        score_range="",
        conf_thres="0.4",
        match_iou="0.5",
        frame_rate="30",
        split_distance="",
    )
    scale = tuple(float(part) for part in given["score_range"].split(",")) if given["score_range"] else None
    rng, sequences = np.random.default_rng(0), find_ground_truth(Path(given["gt"]))[0]
    limits = LinkConfig(split_distance=float(given["split_distance"]) if given["split_distance"] else None)
    lines = []
    for tracker, config in trackers(given).items():
        before, after = [], []
        for truth in sequences:
            found = open_detections(find_detections(given["detections"], truth.name), scale)  # type: ignore[arg-type]
            if not found.embedding_length:
                found = with_ideal_embeddings(found, truth.counted(), rng)
            rows = track_detections(found, config, None if truth.frames is None else truth.frames.tolist())
            linked = link(rows, embeddings_of_rows(as_result(rows), found), limits)
            before.append(scored(truth, rows))
            after.append(scored(truth, linked.rows))
            lines.append([tracker, truth.name, str(linked.splits), str(linked.joins), *cells(before[-1], after[-1])])
        lines.append([tracker, "all", "", "", *cells(combine(before), combine(after))])
    print(markdown(("tracker", "sequence", "split", "joined", *FIGURES), lines))


if __name__ == "__main__":
    main()
