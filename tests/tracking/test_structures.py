import numpy as np
import pytest

from fairmot.structures import Detections, Tracks


def found(**changes):
    fields = {"boxes_xyxy": np.ones((3, 4)), "scores": np.ones(3), "embeddings": np.ones((3, 8))}
    return Detections(**(fields | changes))


def test_kinds_are_settled_and_classes_default_to_one_class():
    detections = found(boxes_xyxy=[[0, 1, 2, 3]] * 3)
    assert len(detections) == 3
    kinds = [values.dtype for values in (detections.boxes_xyxy, detections.scores, detections.embeddings)]
    assert kinds == [np.float64, np.float32, np.float32]
    assert detections.classes.tolist() == [0, 0, 0]
    assert len(Detections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 8)))) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("boxes_xyxy", np.ones((3, 5))),
        ("boxes_xyxy", np.ones(4)),
        ("scores", np.ones(2)),
        ("scores", np.ones((3, 1))),
        ("embeddings", np.ones((2, 8))),
        ("embeddings", np.ones(3)),
        ("classes", np.ones(2)),
    ],
)
def test_a_wrong_shape_names_the_field(field, value):
    with pytest.raises(ValueError, match=rf"detections\.{field} must be \["):
        found(**{field: value})


@pytest.mark.parametrize("field", ["boxes_xyxy", "scores", "embeddings"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_name_field_and_row(field, bad):
    values = getattr(found(), field).copy()
    values[1] = bad
    with pytest.raises(ValueError, match=rf"detections\.{field} must be finite, row 1"):
        found(**{field: values})


@pytest.mark.parametrize("rows", [np.array([False, True, True]), np.array([1, 2])])
def test_select_keeps_rows_together(rows):
    detections = Detections(np.arange(12).reshape(3, 4), [0.1, 0.2, 0.3], np.arange(6).reshape(3, 2), [5, 6, 7])
    chosen = detections.select(rows)
    assert chosen.classes.tolist() == [6, 7]
    assert chosen.boxes_xyxy[:, 0].tolist() == [4, 8]
    assert chosen.embeddings[:, 1].tolist() == [3, 5]
    tracks = Tracks(np.arange(3), detections.boxes_xyxy, detections.scores, detections.classes).select(rows)
    assert tracks.ids.tolist() == [1, 2]
    assert tracks.scores.tolist() == pytest.approx([0.2, 0.3])
