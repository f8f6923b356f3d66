"""Small made-up sequences for the tests of metrics and result files."""

import numpy as np

from fairmot.mot.rows import MotRows, result_rows


def rows(*boxes: tuple[int, int, float, float, float, float]) -> MotRows:
    """Rows of (frame, id, x, y, w, h), flag or confidence 1."""
    values = np.array(boxes, np.float64).reshape(-1, 6)
    return result_rows(values[:, 0], values[:, 1], values[:, 2:], np.ones(len(values)))


def walk(seed: int, frame_count: int = 40, object_count: int = 8) -> tuple[MotRows, MotRows]:
    """Ground truth and the result of a poor tracker: misses, jitter, id changes, ghosts, frames of its own."""
    generator = np.random.default_rng(seed)
    frames = np.repeat(np.arange(1, frame_count + 1), object_count)
    objects = np.tile(np.arange(object_count), frame_count)
    starts, steps = generator.uniform(0, 200, (object_count, 2)), generator.normal(0, 2, (object_count, 2))
    sizes = generator.uniform(30, 60, (object_count, 2))
    boxes_xywh = np.concatenate([starts[objects] + steps[objects] * frames[:, None], sizes[objects]], axis=1)
    gt = result_rows(frames, objects + 1, boxes_xywh, np.ones(len(frames)))
    generation = (generator.random((frame_count, object_count)) < 0.03).cumsum(0).ravel()
    seen = np.flatnonzero(generator.random(len(frames)) < 0.8)
    ghosts = generator.integers(1, frame_count + 5, 20)
    results = result_rows(
        np.concatenate([frames[seen], ghosts]),
        np.concatenate([(objects + 1 + 20 * generation)[seen], 5000 + np.arange(20)]),
        np.concatenate(
            [
                boxes_xywh[seen] + generator.normal(0, 3, (len(seen), 4)).clip(-9, 9),
                np.concatenate([generator.uniform(0, 200, (20, 2)), generator.uniform(30, 60, (20, 2))], axis=1),
            ]
        ),
        np.ones(len(seen) + 20),
    )
    shuffled = generator.permutation(len(gt))
    return gt.select(shuffled[: int(0.95 * len(gt))]), results.select(generator.permutation(len(results)))
