"""Decoding against the original's objects: exact cells, boxes in cells and in pixels of the picture."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from fairmot.model.decode import Decode, to_image_boxes

FIXTURES = Path(__file__).parent / "fixtures"
pytestmark = pytest.mark.parity


@pytest.fixture(params=["decode_1920x1080", "decode_640x480"])
def fixture(request):
    return np.load(FIXTURES / f"{request.param}.npz")


def decoded(fixture, with_offsets=True):
    heat = fixture["hm"].astype(np.float64)
    logits = np.log(heat / (1 - heat))
    embedding = np.zeros((1, 2, *heat.shape[2:]), np.float32)
    inputs = [logits, fixture["wh"], embedding] + [fixture["reg"]] * with_offsets
    outputs = Decode(max_objects=40)(*(ms.Tensor(array.astype(np.float32)) for array in inputs))
    return [output.asnumpy() for output in outputs]


def test_cells_scores_and_boxes(fixture):
    boxes_xyxy, scores, classes, _, cells = decoded(fixture)
    np.testing.assert_array_equal(cells, fixture["exp_inds"])
    np.testing.assert_allclose(scores, fixture["exp_dets_fm"][..., 4], rtol=0, atol=1e-6)
    np.testing.assert_allclose(boxes_xyxy, fixture["exp_dets_fm"][..., :4], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(classes, fixture["exp_dets_fm"][..., 5])


def test_without_offsets(fixture):
    boxes_xyxy = decoded(fixture, with_offsets=False)[0]
    np.testing.assert_allclose(boxes_xyxy, fixture["exp_dets_fm_noreg"][..., :4], rtol=0, atol=1e-4)


def test_pixels_of_the_picture(fixture):
    boxes_xyxy, scores, *_ = decoded(fixture)
    width, height = (int(side) for side in fixture["image_wh"])
    pixels = to_image_boxes(boxes_xyxy[0], (height, width), fixture["hm"].shape[2:])
    np.testing.assert_allclose(pixels, fixture["exp_boxes_scores"][:, :4], rtol=0, atol=1e-2)
    np.testing.assert_allclose(scores[0], fixture["exp_boxes_scores"][:, 4], rtol=0, atol=1e-6)
