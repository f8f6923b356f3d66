"""How long scoring takes: 7 sequences of 1000 frames with 30 objects, more than MOT17's training set.

    python benchmarks/evaluation.py [output.json]

Beside it the plain recipe of motmetrics (`compare_to_groundtruth` and `compute_many`), which has no HOTA.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import motmetrics
import numpy as np
import pandas  # type: ignore[import-untyped]

from fairmot.evaluation.metrics import SequencePair, evaluate_pair, evaluate_sequences
from fairmot.evaluation.mot_format import MotRows, result_rows
from fairmot.evaluation.preprocess import Benchmark
from fairmot.files import write_json_atomic

SEQUENCES, FRAMES, OBJECTS = 7, 1000, 30


def synthetic_pair(name: str, seed: int, frame_count: int = FRAMES, object_count: int = OBJECTS) -> SequencePair:
    """People on straight walks; a tracker that misses 15 %, jitters, changes ids and sees two ghosts a frame."""
    generator = np.random.default_rng(seed)
    frames = np.repeat(np.arange(1, frame_count + 1), object_count)
    objects = np.tile(np.arange(object_count), frame_count)
    starts, steps = generator.uniform((0, 0), (1800, 900), (object_count, 2)), generator.normal(0, 1, (object_count, 2))
    sizes = generator.uniform((40, 100), (80, 200), (object_count, 2))
    boxes_xywh = np.concatenate([starts[objects] + steps[objects] * frames[:, None], sizes[objects]], axis=1)
    gt = result_rows(frames, objects + 1, boxes_xywh, np.ones(len(frames)))
    gt.classes = np.where(generator.random(object_count) < 0.1, 7, 1)[objects]  # some are static persons

    generation = (generator.random((frame_count, object_count)) < 0.003).cumsum(0).ravel()
    jitter = np.concatenate([generator.normal(0, 4, (len(frames), 2)), np.zeros((len(frames), 2))], axis=1)
    seen = generator.random(len(frames)) < 0.85
    ghosts = 2 * frame_count
    ghost_boxes = np.concatenate(
        [generator.uniform((0, 0), (1800, 900), (ghosts, 2)), np.tile((60.0, 150.0), (ghosts, 1))], axis=1
    )
    results = result_rows(
        np.concatenate([frames[seen], np.repeat(np.arange(1, frame_count + 1), 2)]),
        np.concatenate([(objects + 1 + object_count * generation)[seen], 10**6 + np.arange(ghosts) % 200]),
        np.concatenate([(boxes_xywh + jitter)[seen], ghost_boxes]),
        np.ones(seen.sum() + ghosts),
    )
    return SequencePair(name, gt, results, Benchmark.mot17)


def _plain_motmetrics(pairs: list[SequencePair]) -> None:
    accumulators = [
        motmetrics.utils.compare_to_groundtruth(_frame(pair.gt), _frame(pair.results), "iou", distth=0.5)
        for pair in pairs
    ]
    motmetrics.metrics.create().compute_many(
        accumulators, metrics=motmetrics.metrics.motchallenge_metrics, generate_overall=True
    )


def _frame(rows: MotRows) -> pandas.DataFrame:
    index = pandas.MultiIndex.from_arrays([rows.frames, rows.ids], names=["FrameId", "Id"])
    return pandas.DataFrame(rows.boxes_xywh, index=index, columns=["X", "Y", "Width", "Height"])


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    pairs = [synthetic_pair(f"walk-{k}", seed=k) for k in range(SEQUENCES)]
    evaluate_pair(synthetic_pair("warm-up", seed=0, frame_count=20))
    timings = {
        "1 worker": _seconds(lambda: evaluate_sequences(pairs, workers=1)),
        "2 workers": _seconds(lambda: evaluate_sequences(pairs, workers=2)),
        "motmetrics alone (no HOTA, no pre-processing)": _seconds(lambda: _plain_motmetrics(pairs)),
    }
    boxes = sum(len(pair.gt) + len(pair.results) for pair in pairs)
    print(f"{SEQUENCES} sequences, {FRAMES} frames, {OBJECTS} objects: {boxes} boxes")
    for name, seconds in timings.items():
        print(f"  {name:<48}{seconds:7.2f} s {boxes / seconds:12,.0f} boxes/s")
    if len(sys.argv) > 1:
        write_json_atomic(Path(sys.argv[1]), {"boxes": boxes, "seconds": timings})


if __name__ == "__main__":
    main()
