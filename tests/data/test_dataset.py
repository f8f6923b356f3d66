from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf
from small_data import person, rows, write_data_set

from fairmot.data.dataset import COLUMNS, Augmentation, DataConfig, JointDataset
from fairmot.data.index import build_index
from fairmot.data.transforms import TransformConfig
from fairmot.errors import DataError
from fairmot.media.picture import read_image

LABELS = [rows(person(k), person(k + 1, x=0.2), person(-1, x=0.9, width=0.4)) for k in range(6)]


def make(root: Path, labels: list = LABELS, seed: int = 5, **options: object) -> JointDataset:
    lists = write_data_set(root, "a", labels)
    chosen = {"root": str(root), "train": lists, "input_size": [64, 96], "max_objects": 8} | options
    config = DataConfig(**chosen)  # type: ignore[arg-type]
    index = build_index(config.root, config.train, progress=False)
    return JointDataset(index, config, seed=seed, ltrb=True, down_ratio=4, msra=False)


def same(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_columns_and_shapes(tmp_path: Path) -> None:
    dataset = make(tmp_path)
    assert len(dataset) == 6
    sample = dict(zip(COLUMNS, dataset[0], strict=True))
    assert sample["image"].flags["C_CONTIGUOUS"]
    assert {name: (array.dtype.name, array.shape) for name, array in sample.items()} == {
        "image": ("uint8", (64, 96, 3)),
        "hm": ("float32", (1, 16, 24)),
        "reg_mask": ("int32", (8,)),
        "ind": ("int32", (8,)),
        "wh": ("float32", (8, 4)),
        "reg": ("float32", (8, 2)),
        "ids": ("int32", (8,)),
    }


@pytest.mark.parametrize("augmentation", Augmentation)
def test_image_is_rgb(augmentation: Augmentation, tmp_path: Path) -> None:
    still = TransformConfig(0, 0, 0, 1, 1, 0, 0)
    dataset = make(tmp_path, augmentation=augmentation, transforms=still)
    blue_bgr = np.zeros((48, 64, 3), np.uint8)
    blue_bgr[..., 0] = 200
    cv2.imwrite(dataset.index.image_path(0), blue_bgr)
    assert dataset[0][0][32, 48].tolist() == [0, 0, 200]


@pytest.mark.parametrize("augmentation", [Augmentation.reference, Augmentation.fast])
def test_sample_is_a_pure_function_of_seed_epoch_and_index(augmentation: Augmentation, tmp_path: Path) -> None:
    dataset = make(tmp_path, augmentation=augmentation)
    first = dataset[2]
    for i in (0, 5, 1):
        dataset[i]
    assert same(dataset[2], first)
    assert same(make(tmp_path, augmentation=augmentation)[2], first)
    assert same(dataset.at_epoch(0)[2], first)
    assert not same(dataset.at_epoch(1)[2], first)
    assert same(dataset[2], first), "a view of another epoch must leave this one alone"
    assert not same(make(tmp_path, seed=6, augmentation=augmentation)[2], first)


def test_samples_and_epochs_draw_different_numbers(tmp_path: Path) -> None:
    """The same picture and labels everywhere: whatever differs is the augmentation."""
    dataset = make(tmp_path, [LABELS[0]] * 12)
    picture = Path(dataset.index.image_path(0)).read_bytes()
    for i in range(len(dataset)):
        Path(dataset.index.image_path(i)).write_bytes(picture)
    images = {dataset.at_epoch(epoch)[i][0].tobytes() for epoch in range(3) for i in range(12)}
    assert len(images) == 36


def test_a_flip_happens_in_half_of_the_samples(tmp_path: Path) -> None:
    only_flip = TransformConfig(0, 0, 0, 1, 1, 0, 0.5)
    dataset = make(tmp_path, [rows(person(0, x=0.25))] * 200, transforms=only_flip)
    left = [int(dataset[i][COLUMNS.index("ind")][0]) % 24 < 12 for i in range(200)]
    assert 70 < sum(left) < 130


@pytest.mark.parametrize("augmentation", [Augmentation.reference, Augmentation.fast])
def test_boxes_move_with_the_picture(augmentation: Augmentation, tmp_path: Path) -> None:
    """A white box on black: after any augmentation the encoded box must cover the white pixels."""
    labels, transforms = [rows([0, 0, 0.5, 0.5, 0.25, 0.5])] * 20, TransformConfig(hsv_fraction=0)
    dataset = make(tmp_path, labels, augmentation=augmentation, transforms=transforms)
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[12:36, 24:40] = 255
    for i in range(len(dataset)):
        cv2.imwrite(dataset.index.image_path(i), picture)
        sample = dict(zip(COLUMNS, dataset[i], strict=True))
        y, x = divmod(int(sample["ind"][0]), 24)
        centre = np.array([x, y]) + sample["reg"][0]
        encoded = np.concatenate([centre - sample["wh"][0, :2], centre + sample["wh"][0, 2:]]) * 4
        rows_px, columns_px = np.nonzero(sample["image"].min(2) > 200)
        seen = [columns_px.min(), rows_px.min(), columns_px.max() + 1, rows_px.max() + 1]
        np.testing.assert_allclose(encoded, seen, atol=2.5, err_msg=f"sample {i}")


def test_without_augmentation_epochs_are_equal(tmp_path: Path) -> None:
    dataset = make(tmp_path, augmentation=Augmentation.none)
    assert same(dataset[3], dataset.at_epoch(4)[3])


def test_clip_boxes_keeps_boxes_inside(tmp_path: Path) -> None:
    def highest(clip: bool) -> float:
        dataset = make(tmp_path, [LABELS[0]] * 20, transforms=TransformConfig(clip_boxes=clip, flip_probability=0))
        rights = []
        for i in range(20):
            sample = dict(zip(COLUMNS, dataset[i], strict=True))
            taken = sample["reg_mask"] == 1
            rights.append(((sample["ind"] % 24) + sample["reg"][:, 0] + sample["wh"][:, 2])[taken].max())
        return max(rights)

    assert highest(clip=False) > 25
    assert highest(clip=True) <= 24 + 1e-4


def test_image_without_objects(tmp_path: Path) -> None:
    sample = make(tmp_path, [rows(), rows(person(0))])[0]
    assert not sample[COLUMNS.index("reg_mask")].any()
    assert not sample[COLUMNS.index("hm")].any()


def test_dropped_boxes_take_their_identity_with_them(tmp_path: Path) -> None:
    too_small = person(1, width=0.01, height=0.01)
    dataset = make(tmp_path, [rows(too_small, person(2))] * 10)
    for i in range(10):
        sample = dict(zip(COLUMNS, dataset[i], strict=True))
        assert sample["ids"][sample["reg_mask"] == 1].tolist() == [2]


def test_identities_are_shifted_by_data_set(tmp_path: Path) -> None:
    lists = write_data_set(tmp_path, "a", [rows(person(6))]) | write_data_set(
        tmp_path, "b", [rows(person(0), person(-1, x=0.2))]
    )
    config = DataConfig(root=str(tmp_path), train=lists, input_size=[64, 96], augmentation=Augmentation.none)
    index = build_index(config.root, config.train, progress=False)
    dataset = JointDataset(index, config, seed=0, ltrb=True, down_ratio=4, msra=False)
    assert dataset[1][COLUMNS.index("ids")][:3].tolist() == [7, -1, 0]


def test_more_objects_than_slots_is_said_and_works(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = make(tmp_path, max_objects=2)
    assert "an image has 3 objects but data.max_objects is 2" in caplog.text
    assert dataset[0][COLUMNS.index("reg_mask")].shape == (2,)


@pytest.mark.parametrize(("people", "slots"), [(0, 8), (8, 8), (9, 16), (501, 500)])
def test_slots_follow_the_fullest_image(tmp_path: Path, people: int, slots: int) -> None:
    dataset = make(tmp_path, [rows(person(0)), rows(*map(person, range(people)))], max_objects=None)
    assert dataset.slots == slots
    assert dataset[0][COLUMNS.index("reg_mask")].shape == (slots,)


def test_class_beyond_num_classes_names_file_and_line(tmp_path: Path) -> None:
    people = [rows(person(0)), rows(person(1), [3, 0, 0.5, 0.5, 0.1, 0.1])]
    with pytest.raises(DataError, match=r"labels_with_ids/001\.txt:2: class 3, but data\.num_classes is 2"):
        make(tmp_path, people, num_classes=2)


def test_an_identity_of_two_classes_names_both_places(tmp_path: Path) -> None:
    cart = [1, 0, 0.5, 0.5, 0.1, 0.1]
    with pytest.raises(DataError, match=r"001\.txt:1: id 0 is of class 1 here and of class 0 in .*/000\.txt:2; ids"):
        make(tmp_path, [rows(person(1), person(0)), rows(cart)], num_classes=2)
    nobody, cart_1 = [1, -1, 0.5, 0.5, 0.1, 0.1], [1, 1, 0.5, 0.5, 0.1, 0.1]
    make(tmp_path, [rows(person(0), person(-1)), rows(cart_1, nobody)], num_classes=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"input_size": [600, 1088]},
            r"data\.input_size=\[600, 1088\]: sides must be multiples of 32; try \[608, 1088\]",
        ),
        ({"input_size": [608]}, r"data\.input_size=\[608\]: give \[height,width\] in pixels"),
        ({"input_size": [0, 32]}, r"data\.input_size"),
        ({"workers": 0}, r"data\.workers must be at least 1, got 0"),
        ({"max_objects": 0}, r"data\.max_objects"),
        ({"num_classes": 0}, r"data\.num_classes"),
    ],
)
def test_refused_configuration_names_the_key(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataConfig(**options)


def test_config_composes() -> None:
    node = OmegaConf.merge(
        OmegaConf.structured(DataConfig), {"train": {"a": "a.train"}, "augmentation": "none", "input_size": [64, 96]}
    )
    config = OmegaConf.to_object(node)
    assert isinstance(config, DataConfig)
    assert config.augmentation is Augmentation.none
    assert config.transforms == TransformConfig()


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_cut_short_pictures_are_refused(ending: str, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    path = tmp_path / f"x{ending}"
    cv2.imwrite(str(path), picture)
    content = path.read_bytes()
    assert read_image(str(path)).shape == (120, 160, 3)
    for length in (len(content) * 2 // 3, len(content) - 9, 100):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=rf"x\{ending}: (JPEG|PNG) file is cut short"):
            read_image(str(path))
    path.write_bytes(content + bytes(100))
    assert read_image(str(path)).shape == (120, 160, 3)


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\xff\xd8 damaged \xff\xd9"])
def test_files_that_are_no_picture(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.jpg: not a picture"):
        read_image(str(tmp_path / "x.jpg"))


def test_missing_picture(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jpg: cannot read this image: No such file"):
        read_image(str(tmp_path / "none.jpg"))


def test_a_number_far_beyond_the_boxes_cannot_fill_the_memory(tmp_path: Path) -> None:
    make(tmp_path / "fits", [rows(person(0), person(999_999))])
    with pytest.raises(DataError, match=r"000\.txt:2: id 16777214, but only 2 boxes of 'a' have an identity"):
        make(tmp_path / "far", [rows(person(0), person(2**24 - 2), person(-1))])


def test_identities_of_all_data_sets_together_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Float32, which holds the shifted numbers, would give two of them one number."""
    monkeypatch.setattr("fairmot.data.dataset.LARGEST_INTEGER", 1000)
    make(tmp_path / "fits", [rows(person(998))])
    with pytest.raises(DataError, match="a: 1001 identities together, and the limit is 1000"):
        make(tmp_path / "more", [rows(person(999))])
