"""What a trial of fairmot.tune costs where frames hold few boxes, in processor time.

    python -m benchmarks.studies.few_boxes data=<MOT15>/train [passes=10] [score_range=0,100]

Every sequence's det.txt is tracked and scored as a trial does it, without pictures, by the paper's tracker and by
tracker=boxes in turn. Printed is the pass that took the least processor time: on a machine with other work the wall's
time says how much of that there is. All sequences together are the sum of their least passes.
"""

import time
from pathlib import Path

import numpy as np

from benchmarks.measuring import options
from benchmarks.report import markdown
from benchmarks.tracker import rules
from fairmot.detections.find import find_detections, open_detections
from fairmot.detections.tracks import track_detections
from fairmot.evaluation.metrics import SequencePair, evaluate_pair
from fairmot.evaluation.sequences import find_ground_truth
from fairmot.mot.rows import result_rows


def main() -> None:
    given = options(__doc__, data="", passes="10", score_range="0,100")
    low, high = map(float, given["score_range"].split(","))
    lines = []
    for name in ("default", "boxes"):
        config, total_s, total = rules(name), np.zeros(2), 0
        for truth in find_ground_truth(Path(given["data"]))[0]:
            found = open_detections(find_detections(given["data"], truth.name), (low, high))
            frames = None if truth.frames is None else truth.frames.tolist()
            times_s = []
            for _ in range(int(given["passes"])):
                began_s = time.process_time()
                rows = track_detections(found, config, frames)
                tracked_s = time.process_time()
                results = result_rows(rows[:, 0], rows[:, 1], rows[:, 2:6], rows[:, 6], rows[:, 7])
                evaluate_pair(SequencePair(truth.name, truth.gt, results, truth.benchmark))
                times_s.append((tracked_s - began_s, time.process_time() - tracked_s))
            least_s, count = np.min(times_s, axis=0), len(found.frames) if frames is None else len(frames)
            lines.append([name, truth.name, *cells(least_s, count)])
            total_s, total = total_s + least_s, total + count
        lines.append([name, "all", *cells(total_s, total)])
    print(
        markdown(
            ("tracker", "sequence", "tracking, us a frame", "scoring, us a frame", "frames/s tracked", "scored too"),
            lines,
        )
    )


def cells(seconds: np.ndarray, frames: int) -> list[str]:
    """Of tracking and scoring: microseconds a frame, and frames in a second of processor time."""
    tracking_s, scoring_s = seconds
    each_us = [f"{1e6 * part / frames:.0f}" for part in (tracking_s, scoring_s)]
    return [*each_us, f"{frames / tracking_s:.0f}", f"{frames / (tracking_s + scoring_s):.0f}"]


if __name__ == "__main__":
    main()
