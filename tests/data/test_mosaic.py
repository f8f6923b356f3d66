"""Mosaic, mixup and erasing: boxes, identities and targets stay right; all is drawn from (seed, epoch, index)."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fairmot.data.augment import Picture
from fairmot.data.dataset import COLUMNS, Augmentation, DataConfig, JointDataset
from fairmot.data.index import build_index
from fairmot.data.labels import format_labels
from fairmot.data.mosaic import compose_mosaic, erase, mix_up
from fairmot.data.transforms import TransformConfig

SIZE_HW = (128, 192)
STILL = {"hsv_fraction": 0, "rotation_degrees": 0, "translation": 0, "scale_low": 1, "scale_high": 1}
STILL |= {"shear_degrees": 0, "flip_probability": 0}


MOVING = {"scale_low": 0.5, "scale_high": 1.2, "flip_probability": 0.5, "translation": 0.1}


def box_picture(height: int, width: int, box_xyxy: tuple[int, int, int, int], identity: int) -> Picture:
    """A bright box on black and its label."""
    image = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box_xyxy
    image[top:bottom, left:right] = 200
    box = [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height]
    return Picture(image, (height, width), 1, np.array([[0, identity, *box]], np.float32))


def pixel_boxes(labels: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    centre, half = labels[:, 2:4], labels[:, 4:] / 2
    return np.concatenate([centre - half, centre + half], axis=1) * (size_hw[::-1] * 2)


@pytest.mark.parametrize("uniforms", [(0.0, 0.0), (0.5, 0.5), (0.99, 0.3)])
def test_the_boxes_of_a_mosaic_hold_their_objects(uniforms: tuple[float, float]) -> None:
    pictures = [
        box_picture(128, 192, (60, 40, 110, 90), 0),
        box_picture(300, 200, (80, 120, 130, 190), 1),
        box_picture(64, 96, (30, 20, 60, 44), 2),
        box_picture(100, 100, (30, 40, 60, 70), 3),
    ]
    for identity in range(4):
        dark = [picture._replace(image_bgr=picture.image_bgr * (k == identity)) for k, picture in enumerate(pictures)]
        mosaic = compose_mosaic(dark, np.array(uniforms), SIZE_HW)
        assert mosaic.image_bgr.shape == (*SIZE_HW, 3)
        assert mosaic.labels[:, 1].tolist() == [0, 1, 2, 3]
        box = pixel_boxes(mosaic.labels, SIZE_HW)[identity]
        rows_px, columns_px = np.nonzero(mosaic.image_bgr[..., 0] > 100)
        seen = [columns_px.min(), rows_px.min(), columns_px.max() + 1, rows_px.max() + 1]
        np.testing.assert_allclose(box, seen, atol=1.5)


def test_a_mosaic_cuts_boxes_at_the_seams_and_drops_what_is_hidden() -> None:
    """The point is in the middle: tiles are 64 x 96, as the pictures, so nothing is scaled."""
    cases = [((-30, 10, 30, 60), [0, 10, 30, 60]), ((80, -50, 96, 10), None)]
    tiles = [box_picture(64, 96, (1, 1, 2, 2), 9)] * 3
    for box_xyxy, expected in cases:
        left, top, right, bottom = box_xyxy
        box = [(left + right) / 192, (top + bottom) / 128, (right - left) / 96, (bottom - top) / 64]
        first = Picture(np.zeros((64, 96, 3), np.uint8), (64, 96), 1, np.array([[0, 5, *box]], np.float32))
        labels = compose_mosaic([first, *tiles], np.array([0.5, 0.5]), SIZE_HW).labels
        found = pixel_boxes(labels[labels[:, 1] == 5], SIZE_HW).round(3).tolist()
        assert found == ([] if expected is None else [expected])


def test_a_reduced_picture_goes_to_the_same_place() -> None:
    whole = box_picture(256, 384, (100, 80, 200, 180), 1)
    half = Picture(cv2.resize(whole.image_bgr, (192, 128), interpolation=cv2.INTER_AREA), (256, 384), 2, whole.labels)
    one, other = (compose_mosaic([picture] * 4, np.array([0.4, 0.7]), SIZE_HW) for picture in (whole, half))
    np.testing.assert_array_equal(one.labels, other.labels)
    assert np.abs(one.image_bgr.astype(int) - other.image_bgr).mean() < 1


def test_mixup_keeps_both_samples() -> None:
    one, other = box_picture(*SIZE_HW, (10, 10, 60, 60), 0), box_picture(*SIZE_HW, (100, 50, 150, 100), 5)
    image = one.image_bgr.copy()
    labels = mix_up(image, one.labels, other.image_bgr, other.labels, np.random.default_rng(0))
    np.testing.assert_array_equal(labels, np.concatenate([one.labels, other.labels]))
    share = image[30, 30, 0] / one.image_bgr[30, 30, 0]
    assert 0.2 < share < 0.8
    assert image[70, 120, 0] / other.image_bgr[70, 120, 0] == pytest.approx(1 - share, abs=0.02)


def test_erasing_drops_only_objects_that_are_hidden() -> None:
    """A grid of small boxes on black: those kept must show at least a quarter, those dropped less."""
    height, width = SIZE_HW
    y, x = (axis.ravel() for axis in np.mgrid[0.05:1:0.1, 0.05:1:0.1])
    labels = np.stack([y * 0, np.arange(len(x)), x, y, y * 0 + 0.08, y * 0 + 0.08], axis=1).astype(np.float32)
    dropped = 0
    for seed in range(20):
        image = np.zeros((height, width, 3), np.uint8)
        kept = erase(image, labels, np.random.default_rng(seed))
        covered = image.any(2)
        assert 0.015 < covered.mean() < 0.11
        for label, (left, top, right, bottom) in zip(labels, pixel_boxes(labels, SIZE_HW), strict=True):
            hidden = covered[round(top) : round(bottom), round(left) : round(right)].mean()
            if label[1] in kept[:, 1]:
                assert hidden < 0.87
            else:
                assert hidden > 0.63
                dropped += 1
    assert dropped > 20


@pytest.fixture
def grey_levels(tmp_path: Path) -> Path:
    """Six pictures, each one grey level with one object in the middle: who took part can be seen."""
    for folder in ("images", "labels_with_ids"):
        (tmp_path / "a" / folder).mkdir(parents=True)
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"a/images/{number}.png"), np.full((64, 96, 3), 20 + 40 * number, np.uint8))
        text = format_labels(np.array([[0, number, 0.5, 0.5, 0.3, 0.5]]))
        (tmp_path / f"a/labels_with_ids/{number}.txt").write_text(text)
    (tmp_path / "a.train").write_text("".join(f"a/images/{number}.png\n" for number in range(6)))
    return tmp_path


def dataset_of(root: Path, augmentation: Augmentation, seed: int = 3, **transforms: float) -> JointDataset:
    index = build_index(str(root), {"a": "a.train"}, progress=False)
    config = DataConfig(
        input_size=list(SIZE_HW), augmentation=augmentation, transforms=TransformConfig(**(STILL | transforms))
    )
    return JointDataset(index, config, seed=seed, ltrb=True, down_ratio=4, msra=False)


def ids_of(sample: tuple[np.ndarray, ...]) -> list[int]:
    columns = dict(zip(COLUMNS, sample, strict=True))
    return columns["ids"][columns["reg_mask"] == 1].tolist()


@pytest.mark.parametrize("augmentation", [Augmentation.reference, Augmentation.fast])
def test_the_identities_of_a_mosaic_are_those_of_its_tiles(augmentation: Augmentation, grey_levels: Path) -> None:
    dataset = dataset_of(grey_levels, augmentation, mosaic_probability=1)
    assert dataset.slots == 8
    partners = []
    for i in range(6):
        sample = dataset[i]
        image, ids = sample[0], ids_of(sample)
        height, width = SIZE_HW
        corners = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)]
        assert [round((int(image[y, x, 0]) - 20) / 40) for y, x in corners] == ids
        assert ids[0] == i
        partners.append(tuple(ids[1:]))
    assert len(set(partners)) == 6


@pytest.mark.parametrize("augmentation", [Augmentation.reference, Augmentation.fast])
def test_mixup_partners_bring_their_identities(augmentation: Augmentation, grey_levels: Path) -> None:
    dataset = dataset_of(grey_levels, augmentation, mixup_probability=1)
    for i in range(6):
        sample = dataset[i]
        own, partner = ids_of(sample)
        assert own == i
        level, low, high = sample[0][64, 96, 0], *sorted((20 + 40 * own, 20 + 40 * partner))
        assert low <= level <= high
        assert low == high or low < level < high


def test_everything_is_drawn_from_seed_epoch_and_index(grey_levels: Path) -> None:
    chances = {f"{name}_probability": 0.5 for name in ("mosaic", "mixup", "erasing")}
    dataset, again = (dataset_of(grey_levels, Augmentation.fast, **MOVING, **chances) for _ in range(2))
    samples = [[dataset.at_epoch(epoch)[i] for i in range(6)] for epoch in range(3)]
    for epoch in (2, 0):
        for i in (5, 0, 3):
            repeated = again.at_epoch(epoch)[i]
            assert all(np.array_equal(a, b) for a, b in zip(repeated, samples[epoch][i], strict=True))
    assert len({sample[0].tobytes() for epoch in samples for sample in epoch}) == 18
    objects = {len(ids_of(sample)) for epoch in samples for sample in epoch}
    assert len(objects) > 3


def test_switches_leave_the_other_numbers_as_they_are(grey_levels: Path) -> None:
    """With erasing on, the warp of a sample is the one it has without."""
    plain = dataset_of(grey_levels, Augmentation.fast, **MOVING)
    erased = dataset_of(grey_levels, Augmentation.fast, **MOVING, erasing_probability=1)
    for i in range(6):
        one, other = plain[i], erased[i]
        differs = (one[0] != other[0]).any(2).mean()
        assert 0 < differs < 0.12
        if len(ids_of(other)):
            np.testing.assert_array_equal(one[COLUMNS.index("wh")], other[COLUMNS.index("wh")])


def test_without_augmentation_the_chances_count_for_nothing(grey_levels: Path) -> None:
    plain = dataset_of(grey_levels, Augmentation.none)
    other = dataset_of(grey_levels, Augmentation.none, mosaic_probability=1, mixup_probability=1, erasing_probability=1)
    assert all(np.array_equal(a, b) for a, b in zip(plain[2], other[2], strict=True))
