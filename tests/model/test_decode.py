"""Peaks, classes and box forms of the decoder (numbers of the original: tests/parity)."""

import mindspore as ms
import numpy as np
import pytest

from fairmot.model.decode import Decode, to_image_boxes

HEIGHT, WIDTH = 6, 8


def decode(hm, wh=None, embedding=None, reg=None, max_objects=4):
    batch = hm.shape[0]
    wh = np.ones((batch, 4, HEIGHT, WIDTH)) if wh is None else wh
    embedding = np.ones((batch, 3, HEIGHT, WIDTH)) if embedding is None else embedding
    maps = [hm, wh, embedding] + ([] if reg is None else [reg])
    return [out.asnumpy() for out in Decode(max_objects)(*(ms.Tensor(array.astype(np.float32)) for array in maps))]


def heatmap(*peaks, classes=1, batch=1):
    """Low everywhere but at (class, y, x, logit)."""
    hm = np.full((batch, classes, HEIGHT, WIDTH), -8.0) - np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 0.01
    for channel, y, x, logit in peaks:
        hm[:, channel, y, x] = logit
    return hm


def test_only_local_maxima_count_and_corners_can_be_peaks():
    hm = heatmap((0, 0, 0, 3.0), (0, 0, 1, 2.9), (0, 1, 1, 2.8), (0, 5, 7, 1.0))
    _, scores, _, _, cells = decode(hm, max_objects=2)
    assert cells.tolist() == [[0, 5 * WIDTH + 7]]
    np.testing.assert_allclose(scores, 1 / (1 + np.exp([[-3.0, -1.0]])), rtol=1e-6)


def test_equal_scores_all_count():
    places = [(y, x) for y in range(0, HEIGHT, 2) for x in range(0, WIDTH, 2)]
    hm = heatmap(*((channel, y, x, 2.0) for channel in (0, 1) for y, x in places), classes=2)
    _, _, classes, _, cells = decode(hm, max_objects=2 * len(places))
    wanted = [(channel, y * WIDTH + x) for channel in (0, 1) for y, x in places]
    assert sorted(zip(classes[0].tolist(), cells[0].tolist(), strict=True)) == wanted


def test_classes_compete_for_the_same_places():
    _, _, classes, _, cells = decode(heatmap((1, 2, 3, 4.0), (0, 2, 3, 3.0), (2, 4, 1, 5.0), classes=3), max_objects=3)
    assert classes.tolist() == [[2, 1, 0]]
    assert cells.tolist() == [[4 * WIDTH + 1, 2 * WIDTH + 3, 2 * WIDTH + 3]]


def test_both_box_forms_and_the_offsets():
    hm = heatmap((0, 2, 3, 4.0))
    reg = np.broadcast_to(np.array([0.25, 0.75]).reshape(1, 2, 1, 1), (1, 2, HEIGHT, WIDTH))
    sides = np.broadcast_to(np.array([1.0, 2, 3, 4]).reshape(1, 4, 1, 1), (1, 4, HEIGHT, WIDTH))
    np.testing.assert_allclose(decode(hm, sides, reg=reg)[0][0, 0], [2.25, 0.75, 6.25, 6.75])
    np.testing.assert_allclose(decode(hm, sides[:, :2], reg=reg)[0][0, 0], [2.75, 1.75, 3.75, 3.75])
    np.testing.assert_allclose(decode(hm, sides)[0][0, 0], [2.5, 0.5, 6.5, 6.5])


def test_embeddings_are_the_peaks_own_at_length_one():
    embedding = np.random.default_rng(2).normal(size=(1, 3, HEIGHT, WIDTH))
    embeddings = decode(heatmap((0, 2, 3, 4.0), (0, 5, 5, 3.0)), embedding=embedding, max_objects=2)[3]
    wanted = np.stack([embedding[0, :, 2, 3], embedding[0, :, 5, 5]])
    np.testing.assert_allclose(embeddings[0], wanted / np.linalg.norm(wanted, axis=1, keepdims=True), rtol=1e-5)


def test_a_map_with_fewer_peaks_or_cells_than_asked_for():
    _, scores, _, _, cells = decode(heatmap((0, 2, 3, 4.0)), max_objects=100)
    assert cells.shape == (1, HEIGHT * WIDTH)
    assert scores[0, 0] > 0.9 and scores[0, -1] == 0


@pytest.mark.parametrize("image_size_hw", [(480, 640), (1080, 1920), (600, 100)])
def test_centre_stays_centre_and_the_map_covers_the_picture(image_size_hw):
    output_size_hw = (152, 272)
    corners = to_image_boxes(np.array([[0, 0, 272, 152]]), image_size_hw, output_size_hw)[0]
    height, width = image_size_hw
    assert corners[:2].max() == pytest.approx(0)  # one side fits exactly, the other one is padded
    assert (corners[:2] + corners[2:]).tolist() == pytest.approx([width, height])
