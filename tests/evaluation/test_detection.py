import numpy as np
import pytest

from fairmot.errors import DataError
from fairmot.evaluation.detection import ImageMatches, detection_metrics, match_detections

OBJECTS = np.array([[0, 0, 10, 10], [100, 0, 110, 10]], np.float64)
NO_BOXES, NO_SCORES = np.zeros((0, 4)), np.zeros(0)


def test_best_score_first_and_each_object_once() -> None:
    boxes_xyxy = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [100, 0, 110, 10], [50, 0, 60, 10]], np.float64)
    matches = match_detections(boxes_xyxy, np.array([0.5, 0.4, 0.9, 0.95]), OBJECTS)
    np.testing.assert_array_equal(matches.scores, [0.95, 0.9, 0.5, 0.4])
    np.testing.assert_array_equal(matches.correct, [False, True, True, False])
    assert matches.gt_count == 2


def test_half_is_not_enough_overlap() -> None:
    assert not match_detections(np.array([[0, 0, 10, 5.0]]), np.ones(1), OBJECTS).correct.any()
    assert match_detections(np.array([[0, 0, 10, 5.1]]), np.ones(1), OBJECTS).correct.all()


def test_a_detection_whose_best_object_is_taken_is_wrong() -> None:
    objects = np.array([[0, 0, 10, 10], [2, 0, 12, 10]], np.float64)
    matches = match_detections(np.array([[0, 0, 10, 10], [0.5, 0, 10.5, 10]]), np.array([0.9, 0.8]), objects)
    np.testing.assert_array_equal(matches.correct, [True, False])


def image(scores: list[float], correct: list[bool], gt_count: int) -> ImageMatches:
    return ImageMatches(np.array(scores, np.float64), np.array(correct, bool), gt_count)


def test_area_under_the_curve_by_hand() -> None:
    # Precision at the hits: 1/1, 2/3, 3/4; the envelope lifts 2/3 to 3/4; the fourth object is never found.
    metrics = detection_metrics([image([0.9, 0.8, 0.7, 0.6], [True, False, True, True], 4)])
    assert metrics.average_precision == pytest.approx(100 * (1 + 0.75 + 0.75) / 4)
    assert metrics.image_average_precision == metrics.average_precision
    assert (metrics.recall, metrics.precision) == (75, 75)


def test_pooled_and_by_image_differ() -> None:
    metrics = detection_metrics([image([0.5], [True], 1), image([0.9, 0.8], [False, False], 1)])
    assert metrics.image_average_precision == pytest.approx(50)
    assert metrics.average_precision == pytest.approx(100 * (1 / 3) / 2)
    assert metrics.image_count == 2


def test_images_without_objects_add_only_false_detections() -> None:
    metrics = detection_metrics([image([0.5], [True], 1), match_detections(OBJECTS, np.array([0.9, 0.1]), NO_BOXES)])
    assert metrics.image_average_precision == 100
    assert metrics.average_precision == pytest.approx(50)
    assert metrics.precision == pytest.approx(100 / 3)
    assert metrics.image_count == 1


def test_no_detections() -> None:
    metrics = detection_metrics([match_detections(NO_BOXES, NO_SCORES, OBJECTS)])
    assert (metrics.average_precision, metrics.recall, metrics.precision) == (0, 0, 0)


def test_perfect_detections() -> None:
    metrics = detection_metrics([match_detections(OBJECTS, np.ones(2), OBJECTS)] * 3)
    assert (metrics.average_precision, metrics.image_average_precision, metrics.recall) == (100, 100, 100)


@pytest.mark.parametrize("images", [[], [image([0.5], [False], 0)]])
def test_nothing_to_score_against(images: list[ImageMatches]) -> None:
    with pytest.raises(DataError, match="no object in any image"):
        detection_metrics(images)
