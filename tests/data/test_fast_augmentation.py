"""The fast chain against the reference chain: the same random numbers, boxes and, nearly, pixels."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from small_data import person, rows

from fairmot.data.augment import LARGEST_ENLARGEMENT, NUM_DRAWS, Picture, augment_fast, augment_reference
from fairmot.data.dataset import Augmentation, DataConfig, JointDataset
from fairmot.data.index import build_index
from fairmot.data.labels import format_labels
from fairmot.data.transforms import TransformConfig
from fairmot.errors import DataError
from fairmot.media.picture import decode, decode_reduced

SIZE_HW = (160, 288)
LABELS = rows(person(0), person(1, x=0.2, y=0.3), person(2, x=0.95, width=0.3), person(-1, x=0.7, y=0.9))


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Structure of all sizes, falling off towards the fine as in photographs."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for level in range(2, 9):
        cells = rng.standard_normal((2**level, 2**level, 3)).astype(np.float32) / 2**level
        picture += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC) * 400
    return np.clip(picture + 120, 0, 255).astype(np.uint8)


def encoded(picture: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".jpg", picture, options)[1].tobytes()


def both(content: bytes, uniforms9: np.ndarray, config: TransformConfig) -> list[tuple[np.ndarray, np.ndarray]]:
    """(picture, labels) of the reference and of the fast chain."""
    results = []
    fast_hw = (SIZE_HW[0] / LARGEST_ENLARGEMENT, SIZE_HW[1] / LARGEST_ENLARGEMENT)
    for chain, fit_hw in ((augment_reference, None), (augment_fast, fast_hw)):
        out_rgb = np.empty((*SIZE_HW, 3), np.uint8)
        picture = Picture(*decode_reduced(content, "x.jpg", fit_hw), LABELS)
        labels = chain(picture, uniforms9, config, out_rgb)
        results.append((out_rgb, labels))
    return results


@pytest.mark.parametrize("size_hw", [(284, 512), (285, 511), (120, 160), (640, 1000), (300, 200), (200, 288)])
def test_same_boxes_and_nearly_the_same_pixels(size_hw: tuple[int, int]) -> None:
    content = encoded(scene(*size_hw))
    rng = np.random.default_rng(sum(size_hw))
    differences = []
    for _ in range(8):
        (reference, expected), (fast, labels) = both(content, rng.random(NUM_DRAWS), TransformConfig())
        np.testing.assert_array_equal(labels, expected)
        differences.append(np.abs(fast.astype(int) - reference).mean())
    assert max(differences) < 1.5, differences
    assert np.mean(differences) < 1, differences


@pytest.mark.parametrize("size_hw", [(284, 512), (285, 511), (121, 163), (645, 1003)])
@pytest.mark.parametrize("flip", [0, 1])
def test_pixels_stay_where_they_are(size_hw: tuple[int, int], flip: int) -> None:
    """A bright blob's centre of mass shows a shift that mean differences would hide."""
    height, width = size_hw
    y, x = np.mgrid[:height, :width]
    blob = np.exp(-(((x - 0.4 * width) / (0.06 * width)) ** 2 + ((y - 0.6 * height) / (0.06 * height)) ** 2))
    content = encoded((blob * 255).astype(np.uint8)[..., None].repeat(3, 2), cv2.IMWRITE_JPEG_QUALITY, 98)
    config = TransformConfig(hsv_fraction=0, translation=0, flip_probability=flip)
    rng = np.random.default_rng(1)
    for _ in range(4):
        centres = []
        for picture, _ in both(content, rng.random(NUM_DRAWS), config):
            weights = np.maximum(picture[..., 0].astype(float) - 140, 0)  # the border is grey
            rows_px, columns_px = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
            centres.append([(weights * axis).sum() / weights.sum() for axis in (columns_px, rows_px)])
        np.testing.assert_allclose(centres[1], centres[0], atol=0.1)


def test_colours_are_those_of_the_reference() -> None:
    """One colour a picture: only the jitter and the order of the channels count."""
    rng = np.random.default_rng(2)
    for colour in ((200, 30, 90), (20, 220, 220), (128, 128, 128), (250, 250, 10)):
        content = encoded(np.full((*SIZE_HW, 3), colour, np.uint8))
        (reference, _), (fast, _) = both(content, rng.random(NUM_DRAWS), TransformConfig())
        difference = np.abs(fast.astype(int) - reference).max(2)
        assert (difference <= 1).mean() > 0.97  # but for the line where the picture ends in grey


def test_the_dataset_draws_the_same_numbers_in_both_ways(tmp_path: Path) -> None:
    for folder in ("images", "labels_with_ids"):
        (tmp_path / "a" / folder).mkdir(parents=True)
    for number in range(4):
        (tmp_path / f"a/images/{number}.jpg").write_bytes(encoded(scene(284, 512, number)))
        (tmp_path / f"a/labels_with_ids/{number}.txt").write_text(format_labels(LABELS))
    (tmp_path / "a.train").write_text("".join(f"a/images/{number}.jpg\n" for number in range(4)))
    index = build_index(str(tmp_path), {"a": "a.train"}, progress=False)
    one, other = (
        JointDataset(
            index,
            DataConfig(input_size=list(SIZE_HW), augmentation=augmentation),
            seed=3,
            ltrb=True,
            down_ratio=4,
            msra=False,
        ).at_epoch(2)
        for augmentation in (Augmentation.reference, Augmentation.fast)
    )
    for i in range(4):
        reference, fast = one[i], other[i]
        for expected, column in zip(reference[1:], fast[1:], strict=True):
            np.testing.assert_array_equal(column, expected)
        assert 0 < np.abs(fast[0].astype(int) - reference[0]).mean() < 2.5
        assert all(np.array_equal(a, b) for a, b in zip(other[i], fast, strict=True)), "twice the same sample"


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_QUALITY, 60)])
@pytest.mark.parametrize("shape", [(120, 160, 3), (121, 163, 3), (77, 33)])
def test_whole_jpegs_are_opencvs(shape: tuple[int, ...], options: tuple[int, ...]) -> None:
    content = encoded(scene(*shape[:2])[..., : shape[2] if len(shape) == 3 else 1], *options)
    np.testing.assert_array_equal(decode(content, "x"), cv2.imdecode(np.frombuffer(content, np.uint8), 1))


@pytest.mark.parametrize("ending", [".jpg", ".png"])
@pytest.mark.parametrize(("factor", "reduction"), [(1.1, 1), (0.51, 1), (0.5, 2), (0.3, 2), (0.25, 4), (0.01, 8)])
def test_how_much_is_decoded(ending: str, factor: float, reduction: int) -> None:
    content = cv2.imencode(ending, scene(121, 163))[1].tobytes()
    image, size_hw, used = decode_reduced(content, "x", (121 * factor, 163))
    assert (size_hw, used) == ((121, 163), reduction)
    assert image.shape == (-(-121 // reduction), -(-163 // reduction), 3)
    whole = decode(content, "x")[: 120 // reduction * reduction, : 160 // reduction * reduction]
    means = cv2.resize(whole, None, fx=1 / reduction, fy=1 / reduction, interpolation=cv2.INTER_AREA)
    assert np.abs(image[: means.shape[0], : means.shape[1]].astype(int) - means).mean() < 2.5


def test_pictures_are_turned_upright() -> None:
    """Orientation 6 of EXIF: the camera was held on its side."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    content = encoded(scene(40, 60))
    turned = content[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + content[2:]
    assert decode(turned, "x").shape == (60, 40, 3)
    assert decode_reduced(turned, "x", (15, 10))[0].shape == (15, 10, 3)


def test_a_damaged_jpeg_is_refused_by_name() -> None:
    content = encoded(scene(40, 60))
    with pytest.raises(DataError, match=r"bad\.jpg: not a picture"):
        decode(content[:2] + bytes(40) + content[-2:], "bad.jpg")
