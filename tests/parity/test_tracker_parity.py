"""The tracker's parts, and whole sequences, against the original's."""

from pathlib import Path

import numpy as np
import pytest

from fairmot.structures import Detections
from fairmot.tracking import kalman
from fairmot.tracking.config import TrackerConfig
from fairmot.tracking.matching import (
    Pairs,
    assign,
    cosine_distances,
    gate_by_motion,
    iou_distances,
    normalize,
    xyxy_to_xyah,
)
from fairmot.tracking.track_table import TrackTable
from fairmot.tracking.tracker import Tracker, plausible

FIXTURES = Path(__file__).parent / "fixtures" / "tracker"
pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def motion():
    return np.load(FIXTURES / "kalman.npz")


@pytest.fixture(scope="module")
def matching():
    return np.load(FIXTURES / "matching.npz")


def covariance(variances):
    """[..., 3, 4] as the original's [..., 8, 8]."""
    full = np.zeros((*variances.shape[:-2], 8, 8))
    own = np.arange(4)
    full[..., own, own], full[..., own + 4, own + 4] = variances[..., 0, :], variances[..., 2, :]
    full[..., own, own + 4] = full[..., own + 4, own] = variances[..., 1, :]
    return full


def variances_of(full):
    own = np.arange(4)
    return np.stack([full[..., own, own], full[..., own, own + 4], full[..., own + 4, own + 4]], axis=-2)


def assert_same_state(state, mean, full):
    np.testing.assert_allclose(state[0], mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(covariance(state[1]), full, rtol=1e-9, atol=1e-15)


def test_ten_steps_of_the_motion_model(motion):
    state = kalman.initiate(motion["meas0"][None])
    assert_same_state(state, motion["init_mean"][None], motion["init_cov"][None])
    for step, measurement in enumerate(motion["meas"]):
        state = kalman.predict(*state)
        assert_same_state(state, motion["pred_mean"][step][None], motion["pred_cov"][step][None])
        expected = kalman.innovation_variances(*state)
        np.testing.assert_allclose(np.diag(expected[0]), motion["proj_cov"][step], rtol=1e-9, atol=1e-15)
        pairs = gate_by_motion(state[0], expected, motion["candidates"])
        inside = np.flatnonzero(motion["gating4"][step] <= motion["chi2inv95"][3])
        np.testing.assert_array_equal(np.sort(pairs.columns), inside)
        np.testing.assert_allclose(np.sort(pairs.costs), np.sort(motion["gating4"][step][inside]), rtol=1e-9)
        if step != 5:  # the object is not seen
            state = kalman.update(*state, measurement[None])
        assert_same_state(state, motion["upd_mean"][step][None], motion["upd_cov"][step][None])


def test_many_states_at_a_time(motion):
    state = kalman.predict(motion["multi_mean_in"], variances_of(motion["multi_cov_in"]))
    assert_same_state(state, motion["multi_mean"], motion["multi_cov"])
    assert motion["chi2inv95"][3] == kalman.GATE_4_DEGREES


def to_xyxy(boxes_xywh):
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


def test_distances(matching):
    found = Detections(to_xyxy(matching["det_tlwh"]), np.ones(7), normalize(matching["det_feat"]))
    started = Detections(to_xyxy(matching["track_tlwh"]), np.ones(6), normalize(matching["track_feat"]))
    table = TrackTable.start(started, first_id=1, frame=1, clock=1.0)
    table.predict(np.arange(6), is_lost=np.arange(6) == matching["tracks_lost_index"])
    np.testing.assert_allclose(table.means, matching["track_mean_after_predict"], rtol=1e-9)
    overlap = 1 - iou_distances(table.boxes_xyxy()[:, None], found.boxes_xyxy[None])
    np.testing.assert_allclose(overlap, matching["iou"], atol=1e-9)
    appearance = cosine_distances(np.repeat(table.features, 7, axis=0), np.tile(found.embeddings, (6, 1))).reshape(6, 7)
    np.testing.assert_allclose(appearance, matching["emb"], atol=1e-6)
    expected = kalman.innovation_variances(table.means, table.variances)
    gated = gate_by_motion(table.means, expected, xyxy_to_xyah(found.boxes_xyxy))
    fused = np.full((6, 7), np.inf)
    weight = TrackerConfig().appearance_weight
    cosine = appearance[gated.rows, gated.columns]
    fused[gated.rows, gated.columns] = weight * cosine + (1 - weight) * gated.costs
    np.testing.assert_allclose(fused, matching["fused"], atol=1e-6)


@pytest.mark.parametrize("case", range(6))
def test_assignments(matching, case):
    cost = matching[f"la{case}_cost"]
    rows, columns = np.nonzero(np.isfinite(cost))
    rows, columns = assign(Pairs(rows, columns, cost[rows, columns]), float(matching[f"la{case}_thresh"]))
    np.testing.assert_array_equal(np.stack([rows, columns], axis=1), matching[f"la{case}_matches"])
    left_rows, left_columns = (
        np.setdiff1d(np.arange(n), used) for n, used in zip(cost.shape, (rows, columns), strict=True)
    )
    np.testing.assert_array_equal(left_rows, matching[f"la{case}_unmatched_rows"])
    np.testing.assert_array_equal(left_columns, matching[f"la{case}_unmatched_cols"])


def test_running_embedding(matching):
    given = normalize(matching["smooth_in"])
    table = TrackTable.start(Detections([[0, 0, 9, 9]], [1], given[:1]), first_id=1, frame=1, clock=1.0)
    for step, expected in enumerate(matching["smooth_out"]):
        if step:
            table.blend(np.array([0]), given[step : step + 1], TrackerConfig().smoothing)
        np.testing.assert_allclose(table.features[0], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["crowd_120x150", "stadtmitte_gt_jitter"])
def test_whole_sequence(name, request):
    committed = (FIXTURES / f"{name}.npz").exists()
    folder = FIXTURES if committed else request.getfixturevalue("shared") / "parity" / "tracker"
    fixture, expected = np.load(folder / f"{name}.npz"), np.loadtxt(folder / f"{name}.expected.txt", delimiter=",")
    config = TrackerConfig()
    tracker, id_of, ends = Tracker(config), {}, np.cumsum(fixture["count"])
    for index, end in enumerate(ends):
        now = slice(end - fixture["count"][index], end)
        found = Detections(fixture["tlbr"][now], fixture["score"][now], fixture["emb"][now].astype(np.float32))
        tracks = plausible(tracker.update(found), config)
        rows = expected[expected[:, 0] == index + 1]
        assert len(tracks) == len(rows), f"frame {index + 1}"
        np.testing.assert_allclose(tracks.boxes_xyxy, to_xyxy(rows[:, 2:]), atol=0.05, err_msg=f"frame {index + 1}")
        for ours, original in zip(tracks.ids.tolist(), rows[:, 1].tolist(), strict=True):
            assert id_of.setdefault(ours, original) == original, f"frame {index + 1}"
        lengths = tracker.n_tracked, tracker.n_lost, tracker.n_removed
        assert lengths == tuple(int(fixture[f"exp_n_{kind}"][index]) for kind in ("tracked", "lost", "removed"))
    assert len(set(id_of.values())) == len(id_of) == len(np.unique(expected[:, 1]))
