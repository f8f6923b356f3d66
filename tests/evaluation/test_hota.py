from itertools import permutations

import numpy as np
import pytest
from evaluation_data import rows

from fairmot.evaluation.metrics import evaluate_sequence
from fairmot.mot.rows import MotRows

Box = tuple[float, float, float, float]
Frames = dict[int, dict[int, Box]]


def by_frame(source: MotRows) -> Frames:
    frames: Frames = {}
    for frame, identity, box in zip(source.frames, source.ids, source.boxes_xywh, strict=True):
        frames.setdefault(int(frame), {})[int(identity)] = tuple(box)
    return frames


def overlap(a: Box, b: Box) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def alignments(gt: Frames, results: Frames) -> dict[tuple[int, int], float]:
    """Soft Jaccard index of every pair of tracks."""
    shared: dict[tuple[int, int], float] = {}
    for t in gt.keys() & results.keys():
        for i, gt_box in gt[t].items():
            for j, result_box in results[t].items():
                own = overlap(gt_box, result_box)
                rivals = sum(overlap(box, result_box) for box in gt[t].values())
                rivals += sum(overlap(gt_box, box) for box in results[t].values()) - own
                shared[i, j] = shared.get((i, j), 0) + (own / rivals if rivals else 0)

    def length(frames: Frames, identity: int) -> int:
        return sum(identity in boxes for boxes in frames.values())

    return {(i, j): value / (length(gt, i) + length(results, j) - value) for (i, j), value in shared.items()}


def best_pairs(gt: dict[int, Box], results: dict[int, Box], aligned: dict[tuple[int, int], float]) -> list:
    """Every assignment tried: the pairs of the best one."""
    slots = [*results, *[None] * len(gt)]
    best = max(
        permutations(slots, len(gt)),
        key=lambda chosen: sum(
            aligned[i, j] * overlap(gt[i], results[j]) for i, j in zip(gt, chosen, strict=True) if j is not None
        ),
    )
    return [(i, j, overlap(gt[i], results[j])) for i, j in zip(gt, best, strict=True) if j is not None]


def definition(gt: Frames, results: Frames) -> tuple[float, float, float, float]:
    """HOTA, DetA, AssA, LocA in percent, as the paper defines them: true positive by true positive."""
    aligned = alignments(gt, results)
    found = [(t, *pair) for t in sorted(gt.keys() & results.keys()) for pair in best_pairs(gt[t], results[t], aligned)]
    gt_total, result_total = (sum(map(len, frames.values())) for frames in (gt, results))
    scores = []
    for threshold in [k / 20 for k in range(1, 20)]:
        matches = [(t, i, j, iou) for t, i, j, iou in found if iou >= threshold - 1e-12]
        association = 0.0
        for _, i, j, _ in matches:
            together = sum((i, j) == (k, m) for _, k, m, _ in matches)
            either = sum(i in boxes for boxes in gt.values()) + sum(j in boxes for boxes in results.values()) - together
            association += together / either
        detection_accuracy = len(matches) / (gt_total + result_total - len(matches))
        association_accuracy = association / len(matches) if matches else 0
        localisation = sum(iou for *_, iou in matches) / len(matches) if matches else 1
        scores.append(
            ((detection_accuracy * association_accuracy) ** 0.5, detection_accuracy, association_accuracy, localisation)
        )
    return tuple(100 * np.mean(scores, axis=0))


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_the_definition(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sides = []
    for first_id in (1, 7):
        boxes = []
        for t in range(1, 9):
            for k in np.flatnonzero(generator.random(3) < 0.8):
                swapped = first_id + (k + (t > 4)) % 3 if first_id == 7 else first_id + k
                boxes.append((t, swapped, *(generator.normal((20 * k + t, 10, 30, 40), 3))))
        sides.append(rows(*boxes))
    gt, results = sides
    figures = evaluate_sequence(gt, results).figures()
    expected = definition(by_frame(gt), by_frame(results))
    assert 0 < expected[0] < 100
    assert [figures[name] for name in ("HOTA", "DetA", "AssA", "LocA")] == pytest.approx(list(expected))


def test_one_track_cut_in_half() -> None:
    # Perfect boxes, two ids of 5 frames each for one object of 10: AssA = 5 / 10 at every threshold.
    gt = rows(*((t, 1, 0, 0, 10, 10) for t in range(1, 11)))
    results = rows(*((t, 1 if t <= 5 else 2, 0, 0, 10, 10) for t in range(1, 11)))
    figures = evaluate_sequence(gt, results).figures()
    assert figures["DetA"] == pytest.approx(100)
    assert figures["AssA"] == pytest.approx(50)
    assert figures["HOTA"] == pytest.approx(100 * 0.5**0.5)


@pytest.mark.parametrize(("height", "thresholds"), [(1.5, 3), (3, 6), (5, 10), (5.1, 10), (9.5, 19)])
def test_thresholds_are_inclusive(height: float, thresholds: int) -> None:
    # IoU height / 10; in floating point 3 * 0.05 and 6 * 0.05 lie a little above 0.15 and 0.30.
    figures = evaluate_sequence(rows((1, 1, 0, 0, 10, 10)), rows((1, 1, 0, 0, 10, height))).figures()
    assert figures["DetA"] == pytest.approx(100 * thresholds / 19)
    assert figures["MOTA"] == (100 if height >= 5 else -100)


def test_overlaps_are_rounded_as_officially() -> None:
    """An IoU of 0.8 to the last bit by corners, as TrackEval takes areas; by width times height it is 5e-16 less."""
    figures = evaluate_sequence(rows((1, 1, 1200, 945, 61, 126)), rows((1, 1, 1194.7, 948.7, 61.3, 126))).figures()
    assert figures["DetA"] == pytest.approx(100 * 16 / 19)
