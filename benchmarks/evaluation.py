"""Processor time of scoring: MOT17's training set, each scene three times, so 21 sequences of its length and crowd.

    python -m benchmarks.evaluation [share=1] [plots=true] [output=evaluation.json]

share is the part of each sequence's frames. Beside the official rules those of motmetrics. Neither reading nor
imports are in it, which cost `python -m fairmot.evaluate` some seconds more.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measuring import options
from benchmarks.report import Part, Row, publish
from fairmot.evaluation.metrics import SequencePair, evaluate_sequences
from fairmot.evaluation.plots import plot_sequence
from fairmot.evaluation.rules import Rules
from fairmot.mot.benchmarks import MOT17_DETECTORS, TRAIN_LENGTHS, Benchmark
from fairmot.mot.rows import result_rows

OBJECTS = {"02": 34, "04": 48, "05": 9, "09": 11, "10": 21, "11": 11, "13": 17}
"""MOT17's scene -> objects a frame, about: those that count and a tenth that does not."""


def synthetic_pair(name: str, seed: int, frame_count: int, object_count: int, rules: Rules) -> SequencePair:
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
    return SequencePair(name, gt, results, Benchmark.mot17, rules)


def mot17_like(share: float, rules: Rules) -> list[SequencePair]:
    """21 sequences, of which this part of the frames."""
    scenes = [(scene, length) for scene, length in TRAIN_LENGTHS[Benchmark.mot17].items() for _ in MOT17_DETECTORS]
    return [
        synthetic_pair(f"{scene}-{k}", k, max(2, round(share * length)), OBJECTS[scene[-2:]], rules)
        for k, (scene, length) in enumerate(scenes)
    ]


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    given = options(__doc__, share="1", plots="true", output="")
    pairs = {rules: mot17_like(float(given["share"]), rules) for rules in Rules}
    for rules in Rules:
        evaluate_sequences([synthetic_pair("warm-up", 0, 20, 10, rules)])
    scored = {rules.value: _seconds(lambda of=pairs[rules]: evaluate_sequences(of)) for rules in Rules}
    official = pairs[Rules.official]
    boxes = sum(len(pair.gt) + len(pair.results) for pair in official)
    what = f"{len(official)} sequences, {boxes} boxes"
    rows = [Row(f"{what}: scored", scored["official"], "s", "rules=motmetrics", scored["motmetrics"])]
    if given["plots"] == "true":
        with tempfile.TemporaryDirectory() as folder:
            draw = partial(plot_sequence, Path(folder))
            drawn = _seconds(lambda: evaluate_sequences(official, watch=draw))
        rows.append(Row(f"{what}: scored and drawn", drawn, "s", most=40))
    publish(Part(rows, details={"boxes": boxes, "processor seconds": scored}), given["output"])


if __name__ == "__main__":
    main()
