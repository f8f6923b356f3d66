"""The picture of the loss curves."""

import cv2
import pytest

from train.report.curves import draw_curves
from train.report.record import RunRecord


def record_losses(run_dir, steps):
    record = RunRecord(run_dir)
    for step in steps:
        record.append("metrics", step=step, values={"loss": 1 / step, "id_loss": 2.0})
    record.close()


def test_nothing_is_drawn_of_less_than_two_steps(tmp_path):
    record_losses(tmp_path, [1])
    assert draw_curves(tmp_path) is None


def test_a_newer_picture_takes_the_place_of_the_earlier_one_only_once_it_is_whole(tmp_path):
    record_losses(tmp_path, [1, 2])
    path = draw_curves(tmp_path)
    earlier = path.read_bytes()
    with path.open("rb") as somebody_looking:
        record_losses(tmp_path, [3, 4])
        assert draw_curves(tmp_path) == path
        assert somebody_looking.read() == earlier
    assert cv2.imread(str(path)).shape == (700, 1300, 3)
    assert path.read_bytes() != earlier


@pytest.mark.parametrize(
    ("last", "scale", "some"), [(0.02, "log", {"0.05", "0.1", "0.2"}), (1.0, "linear", {"1.2", "1.4", "1.6"})]
)
def test_small_losses_can_be_read(last, scale, some, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("fairmot.media.figures.save_figure", lambda figure, path: drawn.append(figure))
    record = RunRecord(tmp_path)
    for step, value in enumerate([2.0, last]):
        record.append("metrics", step=step, values={"loss": 1.0, "id_loss": value})
    record.close()
    draw_curves(tmp_path)
    axes = drawn[0].axes[2]
    assert axes.get_yscale() == scale
    assert some <= {label.get_text() for label in axes.get_yticklabels()}
