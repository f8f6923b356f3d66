"""Targets, letterbox and affine warp against outputs of the original PyTorch code.

The fixtures beside this file hold random numbers only. Those made from MOTChallenge frames or labels are read from
the shared folder (FAIRMOT_SHARED) and skipped where it is absent.
"""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from fairmot.data.dataset import COLUMNS, Augmentation, DataConfig, JointDataset
from fairmot.data.index import build_index
from fairmot.data.transforms import TransformConfig, affine_matrix, letterbox, warp_boxes, warp_image

pytestmark = pytest.mark.parity

FIXTURES = Path(__file__).parent / "fixtures" / "targets"
BORDER_CASES = json.loads((FIXTURES / "border.json").read_text())
SHARED = Path(os.environ.get("FAIRMOT_SHARED", Path(__file__).resolve().parents[2] / ".." / "shared"))
SHARED_TARGETS = SHARED / "parity" / "targets"
FRAMES = {
    "mot15": {
        "eth_bahnhof_000100": SHARED / "data/MOT15/train/ETH-Bahnhof/img1/000100.jpg",
        "tud_campus_000020": SHARED_TARGETS / "tud_campus_000020.source.jpg",
    },
    "mot17": {
        "mot17_04_000001": SHARED_TARGETS / "mot17_04_000001.source.jpg",
        "mot17_05_000006": SHARED / "data/MOT17-mini/train/MOT17-05-FRCNN/img1/000006.jpg",
    },
}
INPUT_SIZE_HW = (608, 1088)


def require(*paths: Path) -> None:
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        pytest.skip(f"made from MOTChallenge data, which is not part of the project; missing: {missing[0]}")


def joint_dataset(root: Path, lists: dict[str, list[str]], max_objects: int = 500) -> JointDataset:
    for name, images in lists.items():
        (root / f"{name}.train").write_text("\n".join(images) + "\n")
    index = build_index(str(root), {name: f"{name}.train" for name in lists}, progress=False)
    config = DataConfig(max_objects=max_objects, augmentation=Augmentation.none)
    return JointDataset(index, config, seed=0, ltrb=True, down_ratio=4, msra=False)


def add_labels(root: Path, name: str, source: Path) -> None:
    target = root / "labels_with_ids" / f"{name}.txt"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)


def assert_same_targets(sample: dict[str, np.ndarray], expected: np.lib.npyio.NpzFile) -> None:
    for key in ("ind", "reg_mask", "ids"):
        np.testing.assert_array_equal(sample[key], expected[key], err_msg=key)
    for key in ("wh", "reg"):
        np.testing.assert_allclose(sample[key], expected[key], atol=1e-3, rtol=0, err_msg=key)
    np.testing.assert_allclose(sample["hm"], expected["hm"], atol=1e-5, rtol=0)
    np.testing.assert_array_equal(sample["hm"] == 1, expected["hm"] == 1)


@pytest.mark.parametrize("name", BORDER_CASES)
def test_boxes_at_and_beyond_the_border(name: str, tmp_path: Path) -> None:
    case = BORDER_CASES[name]
    (tmp_path / "images").mkdir()
    grey = np.full((case["image_height"], case["image_width"], 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), grey)
    add_labels(tmp_path, name, FIXTURES / f"{name}.labels.txt")
    dataset = joint_dataset(tmp_path, {"x": [f"images/{name}.png"]}, max_objects=case["K"])
    sample = dict(zip(COLUMNS, dataset[0], strict=True))
    assert len(dataset.index.labels(0)) == case["n_label_rows"]
    assert sample["reg_mask"].sum() == case["n_mask"]
    assert dataset.index.identities.num_identities == case["nID"]
    assert_same_targets(sample, np.load(FIXTURES / f"{name}.npz"))
    means = sample["image"].reshape(-1, 3).mean(0) / 255
    np.testing.assert_allclose(means, case["input_channel_mean_RGB"], atol=1e-3)
    _, ratio, pad_x, pad_y = letterbox(grey, INPUT_SIZE_HW)
    np.testing.assert_allclose([ratio, pad_x, pad_y], [case["ratio"], case["dw"], case["dh"]], atol=1e-9)


def test_real_frames_of_two_data_sets(tmp_path: Path) -> None:
    require(SHARED_TARGETS / "meta.json", *(path for frames in FRAMES.values() for path in frames.values()))
    meta = json.loads((SHARED_TARGETS / "meta.json").read_text())
    (tmp_path / "images").mkdir()
    for name, source in (item for frames in FRAMES.values() for item in frames.items()):
        (tmp_path / "images" / f"{name}.jpg").symlink_to(source.resolve())
        add_labels(tmp_path, name, SHARED_TARGETS / f"{name}.labels.txt")
    lists = {data_set: [f"images/{name}.jpg" for name in frames] for data_set, frames in FRAMES.items()}
    dataset = joint_dataset(tmp_path, lists)
    identities = dataset.index.identities
    assert identities.num_identities == meta["dataset"]["nID"]
    assert dict(zip(identities.names, identities.counts, strict=True)) == meta["dataset"]["tid_num"]
    assert dict(zip(identities.names, identities.offsets, strict=True)) == meta["dataset"]["tid_start_index"]
    for i, name in enumerate(name for frames in FRAMES.values() for name in frames):
        sample = dict(zip(COLUMNS, dataset[i], strict=True))
        assert_same_targets(sample, np.load(SHARED_TARGETS / f"{name}.npz"))
        means = sample["image"].reshape(-1, 3).mean(0) / 255
        np.testing.assert_allclose(means, meta[name]["input_channel_mean_RGB"], atol=1e-3, err_msg=name)


@pytest.mark.parametrize("name", ["tud_campus_000020", "mot17_04_000001"])
def test_letterbox_of_real_frames(name: str) -> None:
    require(SHARED_TARGETS / f"{name}.source.jpg")
    source = cv2.imread(str(SHARED_TARGETS / f"{name}.source.jpg"))
    expected = cv2.imread(str(SHARED_TARGETS / f"{name}.letterbox.png"))
    result, *_ = letterbox(source, INPUT_SIZE_HW)
    assert result.shape == expected.shape
    difference = np.abs(result.astype(int) - expected)
    assert (difference <= 2).mean() >= 0.999


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 8])
def test_affine_matrix_from_the_same_uniform_numbers(seed: int) -> None:
    stored = np.load(FIXTURES / "random_affine.npz")
    matrix, angle_degrees = affine_matrix(stored[f"s{seed}_uniform6"], INPUT_SIZE_HW, TransformConfig())
    np.testing.assert_allclose(matrix, stored[f"s{seed}_M"], atol=1e-9, rtol=1e-12)
    assert angle_degrees == pytest.approx(float(stored[f"s{seed}_angle_deg"]), abs=1e-12)


def check_warped_boxes(stored: np.lib.npyio.NpzFile, seed: int, mode: str) -> None:
    boxes_xyxy, kept = warp_boxes(
        stored[f"s{seed}_boxes_in"],
        stored[f"s{seed}_M"],
        float(stored[f"s{seed}_angle_deg"]),
        INPUT_SIZE_HW,
        clip=mode == "clipped",
    )
    np.testing.assert_array_equal(kept, stored[f"s{seed}_kept_{mode}"])
    np.testing.assert_allclose(boxes_xyxy, stored[f"s{seed}_boxes_out_{mode}"], atol=1e-2)


@pytest.mark.parametrize("mode", ["unclipped", "clipped"])
@pytest.mark.parametrize("seed", [3, 4, 8])
def test_affine_boxes(seed: int, mode: str) -> None:
    check_warped_boxes(np.load(FIXTURES / "random_affine.npz"), seed, mode)


@pytest.mark.parametrize("mode", ["unclipped", "clipped"])
@pytest.mark.parametrize("seed", [1, 2])
def test_affine_boxes_of_a_real_frame(seed: int, mode: str) -> None:
    require(SHARED_TARGETS / "random_affine.npz")
    check_warped_boxes(np.load(SHARED_TARGETS / "random_affine.npz"), seed, mode)


def test_affine_image() -> None:
    stored = np.load(FIXTURES / "random_affine_image.npz")
    difference = np.abs(warp_image(stored["image"], stored["M"]).astype(int) - stored["warped"])
    assert difference.mean() < 1
