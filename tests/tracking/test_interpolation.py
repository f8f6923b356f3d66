import numpy as np
import pytest

from fairmot.tracking.config import Interpolation, InterpolationConfig
from fairmot.tracking.interpolation import fill_gaps, interpolate, smooth


def row(frame, identity, left, score=0.8):
    return [frame, identity, left, 50 + left / 2, 40, 100, score, 1]


def walk(frames, identity=1):
    return [row(frame, identity, 10.0 * frame) for frame in frames]


def test_a_gap_is_filled_on_a_straight_line():
    rows = np.array([row(1, 7, 10, 0.9), row(5, 7, 50, 0.5)])
    expected = [row(f, 7, 10 * f, score) for f, score in zip(range(1, 6), (0.9, 0.8, 0.7, 0.6, 0.5), strict=True)]
    np.testing.assert_allclose(fill_gaps(rows, 3), expected)


@pytest.mark.parametrize(("max_gap_frames", "count"), [(0, 3), (2, 3), (3, 6), (20, 6)])
def test_longer_gaps_stay_open(max_gap_frames, count):
    assert len(fill_gaps(np.array(walk([1, 2, 6])), max_gap_frames)) == count


def test_ids_are_filled_apart_in_any_order_of_rows():
    rows = np.array(walk([1, 4], identity=2) + walk([2, 9], identity=1))
    shuffled = rows[[3, 0, 2, 1]]
    filled = interpolate(shuffled, InterpolationConfig(Interpolation.linear))
    assert [(f, i) for f, i in filled[:, :2]] == sorted(
        [(f, 2.0) for f in range(1, 5)] + [(f, 1.0) for f in range(2, 10)]
    )
    np.testing.assert_allclose(filled[:, 2], 10 * filled[:, 0])


def test_no_method_only_orders():
    rows = np.array(walk([5, 1]))
    np.testing.assert_array_equal(interpolate(rows, InterpolationConfig()), rows[::-1])


@pytest.mark.parametrize("method", list(Interpolation))
def test_nothing_and_little_stay(method):
    config = InterpolationConfig(method)
    assert interpolate(np.zeros((0, 8)), config).shape == (0, 8)
    one = np.array(walk([3]))
    np.testing.assert_array_equal(interpolate(one, config), one)


def test_smoothing_removes_jitter_and_keeps_the_path():
    rng = np.random.default_rng(0)
    frames = np.arange(1, 201)
    path = np.stack([5.0 * frames, 200 + 60 * np.sin(frames / 40), 40 + frames / 20, 100 + frames / 8], axis=1)
    rows = np.column_stack([frames, np.ones(200), path + rng.normal(0, 2, path.shape), np.full(200, 0.7)])
    smoothed = smooth(rows, 3.0)
    error_before, error_after = (np.sqrt(np.mean((result[:, 2:6] - path) ** 2)) for result in (rows, smoothed))
    assert error_after < 0.5 * error_before
    np.testing.assert_array_equal(smoothed[:, [0, 1, 6]], rows[:, [0, 1, 6]])


def test_smoothing_keeps_straight_lines_and_open_gaps():
    rows = np.array(walk([1, 2, 3, 4, 40, 41, 42]) + walk(range(1, 5), identity=2))
    np.testing.assert_allclose(smooth(rows, 3.0), rows, atol=1e-9)


def test_gaussian_fills_before_it_smooths_and_leaves_its_input():
    rows = np.array(walk([1, 2, 6, 7]))
    kept = rows.copy()
    mended = interpolate(rows, InterpolationConfig(Interpolation.gaussian))
    assert mended[:, 0].tolist() == list(range(1, 8))
    np.testing.assert_array_equal(rows, kept)


def test_a_long_winding_track_is_followed_to_its_ends():
    frames = np.arange(1, 5001)
    rows = np.column_stack([frames, np.ones(5000), *(np.cos(frames / k) for k in (50, 60, 70, 80))])
    np.testing.assert_allclose(smooth(rows, 3.0), rows, atol=0.01)


def test_an_id_twice_in_a_frame_is_refused():
    with pytest.raises(ValueError, match="id 1 has two rows in frame 3"):
        fill_gaps(np.array(walk([2, 3, 3])), 20)


@pytest.mark.parametrize(
    ("key", "value"), [("max_gap_frames", -1), ("smoothing_frames", 0.4), ("smoothing_frames", float("nan"))]
)
def test_an_impossible_value_names_its_key(key, value):
    with pytest.raises(ValueError, match=rf"interpolation\.{key} "):
        InterpolationConfig(**{key: value})
