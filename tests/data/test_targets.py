"""What the parity fixtures do not show: other options, classes and degenerate input."""

import numpy as np
import pytest

from fairmot.data.targets import (
    Targets,
    draw_msra_gaussian,
    draw_umich_gaussian,
    empty_targets,
    gaussian_radius,
    write_targets,
)
from fairmot.errors import DataError

SIZE_HW = (20, 40)


def build(rows: list[list[float]], **options: object) -> Targets:
    chosen: dict = {"ltrb": True, "num_classes": 1, "msra": False} | options
    targets = empty_targets(1, SIZE_HW, 4, ltrb=chosen["ltrb"], num_classes=chosen["num_classes"])
    for array in targets:
        array.fill(7)  # what an earlier batch left in this memory
    one = Targets(*(array[0] for array in targets))
    write_targets(np.array(rows, np.float32).reshape(-1, 6), one, ltrb=chosen["ltrb"], msra=chosen["msra"])
    return one


def test_no_objects() -> None:
    targets = build([])
    assert targets.hm.shape == (1, 20, 40)
    assert [column.dtype for column in targets] == [np.float32, np.int32, np.int32, np.float32, np.float32, np.int32]
    assert [column.shape for column in targets[1:]] == [(4,), (4,), (4, 4), (4, 2), (4,)]
    assert not any(column.any() for column in targets)


def test_one_object() -> None:
    targets = build([[0, 9, 0.51, 0.52, 0.1, 0.3]])  # centre (20.4, 10.4) cells, size 4 x 6 cells
    assert targets.ind[0] == 10 * 40 + 20
    np.testing.assert_allclose(targets.reg[0], [0.4, 0.4], atol=1e-5)
    np.testing.assert_allclose(targets.wh[0], [2, 3, 2, 3], atol=1e-5)
    assert (targets.ids[0], targets.reg_mask.tolist()) == (9, [1, 0, 0, 0])
    assert np.argwhere(targets.hm == 1).tolist() == [[0, 10, 20]]


def test_width_and_height_instead_of_four_distances() -> None:
    targets = build([[0, 9, 0.0, 0.52, 0.1, 0.3]], ltrb=False)
    assert targets.wh.shape == (4, 2)
    np.testing.assert_allclose(targets.wh[0], [4, 6], atol=1e-5)


def test_classes_have_their_own_maps() -> None:
    targets = build([[0, 0, 0.2, 0.5, 0.1, 0.1], [2, 1, 0.8, 0.5, 0.1, 0.1]], num_classes=3)
    assert np.argwhere(targets.hm == 1).tolist() == [[0, 10, 8], [2, 10, 32]]


def test_class_without_a_map_is_refused() -> None:
    with pytest.raises(DataError, match="class 2 but num_classes is 2"):
        build([[2, 1, 0.8, 0.5, 0.1, 0.1]], num_classes=2)


def test_boxes_without_area_leave_their_slot_empty() -> None:
    targets = build([[0, 1, 0.5, 0.5, 0.0, 0.5], [0, 2, 0.5, 0.5, 0.1, 0.1]])
    assert targets.reg_mask.tolist() == [0, 1, 0, 0]
    assert targets.ids.tolist() == [0, 2, 0, 0]


def test_objects_beyond_the_slots_are_left_out() -> None:
    targets = build([[0, k, 0.1 * k, 0.5, 0.02, 0.05] for k in range(9)])
    assert targets.ids.tolist() == [0, 1, 2, 3]
    assert (targets.hm == 1).sum() == 4


def test_umich_keeps_the_higher_value_where_objects_meet() -> None:
    heatmap = np.zeros(SIZE_HW, np.float32)
    draw_umich_gaussian(heatmap, 10, 10, 4)
    alone = heatmap.copy()
    draw_umich_gaussian(heatmap, 12, 10, 4)
    assert (heatmap[10, 10], heatmap[10, 12]) == (1, 1)
    assert (heatmap >= alone).all()
    assert heatmap[10, 11] == pytest.approx(np.exp(-1 / (2 * 1.5**2)))


@pytest.mark.parametrize(("x", "y"), [(0, 0), (39, 19), (39, 0), (20, 10)])
def test_msra_has_a_fixed_width_and_is_cut_at_the_border(x: int, y: int) -> None:
    heatmap = np.zeros(SIZE_HW, np.float32)
    draw_msra_gaussian(heatmap, x, y)
    rows, columns = np.mgrid[:20, :40]
    distance_x, distance_y = np.abs(columns - x), np.abs(rows - y)
    expected = np.exp(-(distance_x**2 + distance_y**2) / 72.0)
    expected[(distance_x > 18) | (distance_y > 18)] = 0
    np.testing.assert_allclose(heatmap, expected, atol=1e-6)


def test_msra_option_ignores_the_box_size() -> None:
    small, large = (build([[0, 0, 0.5, 0.5, size, size]], msra=True).hm for size in (0.05, 0.9))
    np.testing.assert_array_equal(small, large)


def test_radius_grows_with_the_box() -> None:
    radii = [gaussian_radius(size, size) for size in (1, 10, 100)]
    assert radii == sorted(radii)
    # By hand for 10 x 10 and overlap 0.7: of the three roots by the legacy rule the last is the smallest.
    assert radii[1] == pytest.approx((-28 + np.sqrt(28**2 + 4 * 2.8 * 30)) / 2)
