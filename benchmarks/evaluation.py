"""How long scoring takes: 7 sequences of 1000 frames with 30 objects, more than MOT17's training set.

    python -m benchmarks.evaluation [frames=1000] [output=evaluation.json]

Beside it the plain recipe of motmetrics (`compare_to_groundtruth` and `compute_many`), which has no HOTA.
"""

import time
from collections.abc import Callable

import motmetrics
import numpy as np
import pandas  # type: ignore[import-untyped]

from benchmarks.measuring import options
from benchmarks.report import Part, Row, publish
from fairmot.evaluation.metrics import SequencePair, evaluate_pair, evaluate_sequences
from fairmot.mot.benchmarks import Benchmark
from fairmot.mot.rows import MotRows, result_rows

SEQUENCES, OBJECTS = 7, 30


def synthetic_pair(name: str, seed: int, frame_count: int, object_count: int = OBJECTS) -> SequencePair:
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
    given = options(__doc__, frames="1000", output="")
    frames = int(given["frames"])
    pairs = [synthetic_pair(f"walk-{k}", k, frames) for k in range(SEQUENCES)]
    evaluate_pair(synthetic_pair("warm-up", 0, 20))
    timings = {
        "1 worker": _seconds(lambda: evaluate_sequences(pairs, workers=1)),
        "2 workers": _seconds(lambda: evaluate_sequences(pairs, workers=2)),
        "motmetrics": _seconds(lambda: _plain_motmetrics(pairs)),
    }
    boxes = sum(len(pair.gt) + len(pair.results) for pair in pairs)
    what = f"{SEQUENCES} sequences of {frames} frames, {OBJECTS} objects"
    rows = [
        Row(f"{what}, {workers}", timings[workers], "s", "motmetrics, no HOTA", timings["motmetrics"])
        for workers in ("1 worker", "2 workers")
    ]
    rows.append(Row("boxes, 1 worker", boxes / timings["1 worker"], "1/s"))
    publish(Part(rows, details={"boxes": boxes, "seconds": timings}), given["output"])


if __name__ == "__main__":
    main()
