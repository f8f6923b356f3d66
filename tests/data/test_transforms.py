"""What the parity fixtures do not show: colour jitter, options, flips, ranges."""

import cv2
import numpy as np
import pytest

from fairmot.data.transforms import (
    TransformConfig,
    affine_matrix,
    hsv_jitter,
    letterbox,
    warp_boxes,
    warp_image,
)

NO_CHANGE = TransformConfig(rotation_degrees=0, translation=0, scale_low=1, scale_high=1, shear_degrees=0)


def random_picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_hsv_jitter_is_the_plain_formula(seed: int) -> None:
    picture = random_picture(40, 50)
    before = picture.copy()
    uniforms = np.random.default_rng(seed).random(2)
    result = hsv_jitter(picture, uniforms, 0.5)
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    for channel, uniform in zip((1, 2), uniforms.tolist(), strict=True):
        factor = 0.5 + uniform
        scaled = hsv[..., channel].astype(np.float32) * np.float32(factor)
        hsv[..., channel] = np.clip(scaled, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(result, cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("size_hw", [(96, 160), (160, 96), (64, 64)])
@pytest.mark.parametrize("shape", [(48, 64), (97, 31), (47, 96), (96, 47), (1, 500)])
def test_letterbox_has_the_asked_size_and_keeps_proportions(size_hw: tuple[int, int], shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    result, ratio, pad_x, pad_y = letterbox(picture, size_hw)
    assert result.shape == (*size_hw, 3)
    assert ratio == min(size_hw[0] / shape[0], size_hw[1] / shape[1])
    assert set(np.unique(result)) <= {0, 128}
    filled = (result == 0).all(2)
    assert (filled.any(1).argmax(), filled.any(0).argmax()) == (int(pad_y), int(pad_x)), "the odd pixel goes last"
    assert filled.any(1).sum() == size_hw[0] - 2 * pad_y
    assert filled.any(0).sum() == size_hw[1] - 2 * pad_x


def test_shift_is_scaled_by_the_other_side_as_in_the_original_or_by_its_own() -> None:
    uniforms = np.array([0.5, 0.5, 1.0, 0.0, 0.5, 0.5])
    config = TransformConfig(scale_low=1, scale_high=1)
    matrix, _ = affine_matrix(uniforms, (100, 200), config)
    np.testing.assert_allclose(matrix[:2, 2], [10, -20], atol=1e-9)
    config.translate_by_swapped_size = False
    matrix, _ = affine_matrix(uniforms, (100, 200), config)
    np.testing.assert_allclose(matrix[:2, 2], [20, -10], atol=1e-9)


def test_ranges_of_the_warp() -> None:
    rng = np.random.default_rng(0)
    drawn = [affine_matrix(rng.random(6), (608, 1088), TransformConfig(shear_degrees=0)) for _ in range(3000)]
    angles = np.array([angle for _, angle in drawn])
    scales = np.array([np.sqrt(np.linalg.det(matrix[:2, :2])) for matrix, _ in drawn])
    for values, low, high in ((angles, -5, 5), (scales, 0.5, 1.2)):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high >= values.max() > high - 0.01 * (high - low)
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))


def test_no_warp_changes_nothing() -> None:
    matrix, angle_degrees = affine_matrix(np.full(6, 0.3), (60, 80), NO_CHANGE)
    picture = random_picture(60, 80)
    np.testing.assert_array_equal(warp_image(picture, matrix), picture)
    boxes_xyxy = np.array([[10, 10, 30, 50], [-20, 5, 20, 45]], np.float32)
    warped, kept = warp_boxes(boxes_xyxy, matrix, angle_degrees, (60, 80), clip=False)
    np.testing.assert_allclose(warped, boxes_xyxy, atol=1e-4)
    assert kept.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("box_xyxy", "kept", "kept_when_clipped"),
    [
        ((10, 10, 14.1, 14.1), True, True),
        ((10, 10, 14, 20), False, False),  # 4 px is not more than 4
        ((10, 10, 15, 59.9), True, True),
        ((10, 5, 15, 55), False, False),  # ten times as high as wide
        ((-10, 10, 0, 30), False, False),  # touches the border from outside
        ((-10, 10, 0.5, 30), True, False),
        ((79, 10, 90, 30), True, False),
        ((80, 10, 90, 30), False, False),
        ((10, 60, 20, 80), False, False),
        ((10, -20, 20, 5), True, True),
        ((-190, 10, 10, 50), True, False),  # a twentieth of its area is inside
    ],
)
def test_which_boxes_survive(box_xyxy: tuple[float, ...], kept: bool, kept_when_clipped: bool) -> None:
    boxes_xyxy = np.array([box_xyxy], np.float32)
    for clip, expected in ((False, kept), (True, kept_when_clipped)):
        result, indices = warp_boxes(boxes_xyxy, np.eye(3), 0.0, (60, 80), clip)
        assert len(result) == len(indices) == expected
        if clip and expected:
            assert (result >= 0).all()
            assert (result <= (80, 60, 80, 60)).all()


def test_no_boxes() -> None:
    warped, kept = warp_boxes(np.zeros((0, 4), np.float32), np.eye(3), 3.0, (60, 80), clip=True)
    assert (warped.shape, kept.shape) == ((0, 4), (0,))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"hsv_fraction": 1.1}, "transforms.hsv_fraction"),
        ({"flip_probability": -0.1}, "transforms.flip_probability"),
        ({"mosaic_probability": 1.1}, "transforms.mosaic_probability"),
        ({"mixup_probability": float("nan")}, "transforms.mixup_probability"),
        ({"erasing_probability": -1}, "transforms.erasing_probability"),
        ({"translation": float("nan")}, "transforms.translation"),
        ({"rotation_degrees": -1}, "transforms.rotation_degrees"),
        ({"shear_degrees": 90}, "transforms.shear_degrees"),
        ({"scale_low": 0}, "transforms.scale_low"),
        ({"scale_low": 1.3}, "transforms.scale_low"),
    ],
)
def test_refused_ranges_name_the_key(options: dict[str, float], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        TransformConfig(**options)  # type: ignore[arg-type]
