import itertools

import lap
import numpy as np
import pytest

from fairmot.tracking import kalman, matching
from fairmot.tracking.matching import (
    Pairs,
    assign,
    cosine_distances,
    gate_by_motion,
    giou_distances,
    iou_distances,
    iou_pairs,
    nearby,
    normalize,
    xyah_to_xyxy,
    xyxy_to_xyah,
)


@pytest.fixture(params=[0, 10**9], ids=["sorted", "all pairs"])
def search(request, monkeypatch):
    """Both ways to look for neighbours, whatever the number of pairs."""
    monkeypatch.setattr(matching, "_FEW_PAIRS", request.param)


def some_boxes(rng, count, spread_px=300.0):
    low = rng.uniform(-20, spread_px, (count, 2))
    return np.concatenate([low, low + rng.uniform(1, 120, (count, 2))], axis=1)


def sparse(cost):
    rows, columns = np.nonzero(np.isfinite(cost))
    return Pairs(rows, columns, cost[rows, columns])


def test_box_formats_undo_each_other():
    boxes_xyxy = some_boxes(np.random.default_rng(0), 20)
    np.testing.assert_allclose(xyah_to_xyxy(xyxy_to_xyah(boxes_xyxy)), boxes_xyxy, rtol=1e-12)
    np.testing.assert_allclose(xyxy_to_xyah(np.array([[10.0, 20, 30, 60]])), [[20, 40, 0.5, 40]])


def test_overlap_by_hand():
    box, shifted, apart = np.array([[0.0, 0, 9, 9], [5, 0, 14, 9], [20, 0, 29, 9]])
    assert iou_distances(box, box) == 0
    assert iou_distances(box, shifted) == pytest.approx(1 - 50 / 150)
    assert iou_distances(box, apart) == 1
    assert giou_distances(box, shifted) == pytest.approx(1 - 50 / 150)  # the hull is the union
    assert giou_distances(box, apart) == pytest.approx(1 + 100 / 300)


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("limit", [0.0, 0.15, 0.5, 0.7, 0.99, 1.0])
def test_search_finds_every_overlap(limit):
    rng = np.random.default_rng(1)
    boxes_a = some_boxes(rng, 80)
    near = boxes_a[:40] + rng.normal(0, 6, (40, 4))
    boxes_b = np.concatenate([boxes_a[:5], np.sort(near.reshape(-1, 2, 2), axis=1).reshape(-1, 4), some_boxes(rng, 30)])
    dense = iou_distances(boxes_a[:, None], boxes_b[None])
    pairs = iou_pairs(boxes_a, boxes_b, limit)
    found = np.full(dense.shape, np.nan)
    found[pairs.rows, pairs.columns] = pairs.costs
    np.testing.assert_array_equal(found, np.where(dense <= limit, dense, np.nan))
    assert (np.diff(pairs.rows) >= 0).all()


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("axis", [0, 1])
def test_search_reaches_the_farthest_overlap_possible(axis):
    """A box of 10 pixels at the end of one of 20: half of the union, the centres 5 pixels apart."""
    small, large = np.array([[0.0, 0, 9, 9]]), np.array([[0.0, 0, 9, 9]])
    large[0, 2 + axis] = 19
    for boxes_a, boxes_b in ((small, large), (large, small)):
        assert iou_pairs(boxes_a, boxes_b, 0.5).costs.tolist() == [0.5]


def test_search_finds_every_pair_within_the_gate():
    rng = np.random.default_rng(2)
    boxes = xyxy_to_xyah(some_boxes(rng, 120))
    means, variances = kalman.predict(*kalman.initiate(boxes))
    measurements = boxes + rng.normal(0, 4, boxes.shape) * (1, 1, 0.01, 1)
    spread = kalman.innovation_variances(means, variances)
    dense = (np.square(means[:, None, :4] - measurements) / spread[:, None]).sum(axis=2)
    pairs = gate_by_motion(means, spread, measurements)
    assert len(pairs.rows) == (dense <= kalman.GATE_4_DEGREES).sum() > 120
    np.testing.assert_allclose(pairs.costs, dense[pairs.rows, pairs.columns], rtol=1e-9)


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize(("tracks", "detections"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_is_near_nothing(tracks, detections):
    rows, columns = nearby(np.zeros((tracks, 2)), np.ones((tracks, 2)), np.zeros((detections, 2)))
    assert len(rows) == len(columns) == 0


def test_cosine_of_unit_embeddings():
    unit = normalize(np.array([[3.0, 4.0], [-3, -4], [0, 0], [-4, 3]], np.float32))
    np.testing.assert_allclose(cosine_distances(unit[[0, 0, 0, 0]], unit), [0, 2, 1, 1], atol=1e-6)
    assert np.isfinite(unit).all()


@pytest.mark.parametrize("density", [0.03, 0.15, 0.6, 1.0])
def test_assignment_equals_the_solver_on_the_whole_matrix(density):
    rng = np.random.default_rng(3)
    for _ in range(60):
        cost = rng.random(rng.integers(1, 40, 2))
        cost[rng.random(cost.shape) > density] = np.inf
        _, column_of, _ = lap.lapjv(cost, extend_cost=True, cost_limit=0.6)
        rows, columns = assign(sparse(cost), 0.6)
        np.testing.assert_array_equal(rows, np.flatnonzero(column_of >= 0))
        np.testing.assert_array_equal(columns, column_of[column_of >= 0])


def test_assignment_by_hand():
    everything = [np.array([[0.1, 0.2], [0.15, 0.5]]), np.array([[0.4]]), np.array([[0.41]]), np.zeros((0, 0))]
    for cost, expected in zip(everything, [[(0, 1), (1, 0)], [(0, 0)], [], []], strict=True):
        assert list(zip(*assign(sparse(cost), 0.4), strict=True)) == expected


def test_ties_cost_no_match():
    cost = np.full((3, 3), 0.25)
    rows, columns = assign(sparse(cost), 0.4)
    assert (rows.tolist(), sorted(columns.tolist())) == ([0, 1, 2], [0, 1, 2])


def test_assignment_is_optimal_by_brute_force():
    rng = np.random.default_rng(4)
    for _ in range(20):
        cost = rng.random((4, 4))
        rows, columns = assign(sparse(cost), 0.5)
        total = cost[rows, columns].sum() + 0.5 * (4 - len(rows))
        capped = np.minimum(cost, 0.5)
        best = min(capped[range(4), order].sum() for order in itertools.permutations(range(4)))
        assert total == pytest.approx(best)
