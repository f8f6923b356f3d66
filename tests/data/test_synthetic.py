import multiprocessing
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from fairmot.data.dataset import DataConfig
from fairmot.data.labels import read_labels
from fairmot.data.synthetic.figure import Figure
from fairmot.data.synthetic.generate import SyntheticConfig, data_set_name, generate, located
from fairmot.data.synthetic.scene import make_scene, render
from fairmot.errors import DataError

SMALL = SyntheticConfig(train_sequences=2, val_sequences=1, frames_per_sequence=8, height=96, width=160, walkers=4)
NAME, DEFAULT = data_set_name(SMALL), data_set_name(SyntheticConfig())


def files_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def times_of(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


@pytest.fixture(scope="module")
def default_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("default")
    generate(root, SyntheticConfig(), progress=False)
    return root


def truths(root: Path, split: str, settings: SyntheticConfig | None = None) -> dict[str, np.ndarray]:
    paths = sorted((root / data_set_name(settings or SyntheticConfig()) / "images" / split).glob("*/gt/gt.txt"))
    return {path.parents[1].name: np.loadtxt(path, delimiter=",", ndmin=2) for path in paths}


def test_lists_name_images_with_labels_and_truth_beside_them(tmp_path: Path) -> None:
    generate(tmp_path, SMALL, progress=False)
    for split, sequences in (("train", 2), ("val", 1)):
        paths = (tmp_path / f"{NAME}.{split}").read_text().split()
        assert len(paths) == sequences * 8 == len(set(paths))
        for path in paths:
            assert cv2.imread(str(tmp_path / path)).shape == (96, 160, 3)
            read_labels(str(tmp_path / path.replace("/images/", "/labels_with_ids/").replace(".jpg", ".txt")))
    folder = tmp_path / NAME / "images/train/synthetic-train-01"
    assert "frameRate=10" in (folder / "seqinfo.ini").read_text()
    assert "imWidth=160\nimHeight=96" in (folder / "seqinfo.ini").read_text()


def test_same_settings_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    generate(tmp_path / "a", SMALL, progress=False)
    generate(tmp_path / "b", SMALL, progress=False)
    other = SyntheticConfig(**{**asdict(SMALL), "seed": 318})
    generate(tmp_path / "c", other, progress=False)
    first, second, third = (files_of(tmp_path / name) for name in "abc")
    assert first == second
    image = "images/train/synthetic-train-01/img1/000001.jpg"
    assert first[f"{NAME}/{image}"] != third[f"{data_set_name(other)}/{image}"]


def test_complete_set_is_reused_untouched(tmp_path: Path) -> None:
    generate(tmp_path, SMALL, progress=False)
    before = times_of(tmp_path)
    generate(tmp_path, SMALL, progress=False)
    assert times_of(tmp_path) == before


def test_other_settings_have_a_folder_of_their_own(tmp_path: Path) -> None:
    """Whoever trains on the first set goes on with it."""
    generate(tmp_path, SMALL, progress=False)
    before = files_of(tmp_path)
    smaller = replace(SMALL, train_sequences=1, val_sequences=0)
    generate(tmp_path, smaller, progress=False)
    after = files_of(tmp_path)
    assert {name: after[name] for name in before} == before
    generate(tmp_path / "fresh", smaller, progress=False)
    fresh = files_of(tmp_path / "fresh")
    assert {name: after[name] for name in fresh} == fresh
    assert after.keys() == before.keys() | fresh.keys()
    assert f"{data_set_name(smaller)}.val" not in after


def test_the_configuration_means_the_set_of_its_own_settings() -> None:
    config = DataConfig(
        train={"a": "synthetic.train", "b": "synthetics.train", "c": "synthetic-01234567.train"},
        validation=["synthetic/images/val/*", "mot17/synthetic/*"],
        synthetic=SMALL,
    )
    assert config.train == {"a": f"{NAME}.train", "b": "synthetics.train", "c": f"{NAME}.train"}
    assert config.validation == [f"{NAME}/images/val/*", "mot17/synthetic/*"]
    other = replace(config, synthetic=SyntheticConfig())
    assert other.train["a"] == f"{DEFAULT}.train" != config.train["a"]
    assert located("synthetic", SMALL) == "synthetic"


@pytest.mark.parametrize("lost", [f"{NAME}.manifest.json", f"{NAME}.train"])
def test_incomplete_set_and_what_a_killed_process_left_are_replaced(tmp_path: Path, lost: str) -> None:
    generate(tmp_path, SMALL, progress=False)
    whole = files_of(tmp_path)
    (tmp_path / lost).unlink()
    (tmp_path / NAME / "images/train/synthetic-train-01/img1/000001.jpg").unlink()
    (tmp_path / f".{NAME}.building-killed/images").mkdir(parents=True)
    generate(tmp_path, SMALL, progress=False)
    assert files_of(tmp_path) == whole
    assert not list(tmp_path.glob(f".{NAME}.building-*"))


def test_somebody_elses_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not made by FairMOT"):
        generate(tmp_path, SMALL, progress=False)
    assert (tmp_path / NAME / "thesis.txt").read_text() == "mine"


def test_a_root_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file"):
        generate(tmp_path / "file", SMALL, progress=False)


def test_processes_at_once_leave_one_whole_set(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=generate, args=(tmp_path / "shared", SMALL, False)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    generate(tmp_path / "alone", SMALL, progress=False)
    assert files_of(tmp_path / "shared") == files_of(tmp_path / "alone")


def test_labels_are_the_flagged_truth_normalised_with_ids_from_0_over_the_list(default_set: Path) -> None:
    for split in ("train", "val"):
        ids: set[int] = set()
        for name, truth in truths(default_set, split).items():
            flagged = truth[truth[:, 6] == 1]
            sequence_ids = {}
            for frame in range(1, 61):
                path = default_set / DEFAULT / "labels_with_ids" / split / name / f"img1/{frame:06d}.txt"
                labels, expected = read_labels(str(path)), flagged[flagged[:, 0] == frame]
                np.testing.assert_allclose(labels[:, 4:] * (384, 224), expected[:, 4:6], atol=1e-3)
                corners = (labels[:, 2:4] - labels[:, 4:] / 2) * (384, 224)
                np.testing.assert_allclose(corners, expected[:, 2:4], atol=1e-3)
                for label_id, truth_id in zip(labels[:, 1], expected[:, 1], strict=True):
                    assert sequence_ids.setdefault(truth_id, label_id) == label_id
            assert not ids & set(sequence_ids.values())
            ids |= set(map(int, sequence_ids.values()))
        assert ids == set(range(len(ids)))
        assert len(ids) == {"train": 32, "val": 8}[split]


def test_truth_has_occlusions_borders_returns_and_smooth_motion(default_set: Path) -> None:
    hidden_runs, returns, beyond = [], 0, 0
    for truth in [*truths(default_set, "train").values(), *truths(default_set, "val").values()]:
        assert set(truth[:, 6]) <= {0, 1}
        np.testing.assert_array_equal(truth[:, 6] == 1, truth[:, 8] >= 0.1)
        assert ((truth[:, 8] >= 0) & (truth[:, 8] <= 1)).all()
        left, top, width, height = truth[:, 2:6].T
        assert ((left < 384) & (left + width > 0) & (top < 224) & (top + height > 0)).all()
        beyond += np.count_nonzero((left < 0) | (left + width > 384))
        inside = (left > 0) & (left + width < 384)
        for identity in np.unique(truth[:, 1]):
            track = truth[truth[:, 1] == identity]
            gaps = np.diff(track[:, 0])
            returns += np.count_nonzero(gaps > 1)
            steps = np.diff(track[:, 2:6], axis=0)[gaps == 1]
            assert np.abs(steps[:, :2]).max() < 20
            if (gaps == 1).all() and len(steps) > 1:
                assert np.abs(np.diff(steps, axis=0)).max() < 5
            mine = inside[truth[:, 1] == identity] & (track[:, 8] < 0.7)
            starts = np.flatnonzero(np.diff(np.r_[0, mine, 0]))
            hidden_runs += list(starts[1::2] - starts[::2])
    assert beyond > 100
    assert returns >= 5
    assert np.count_nonzero((np.array(hidden_runs) >= 4) & (np.array(hidden_runs) <= 20)) >= 10


def test_nearer_walkers_hide_farther_ones(default_set: Path) -> None:
    for truth in truths(default_set, "val").values():
        nearest = truth[truth[:, 1] == truth[:, 1].max()]
        left, top, width, height = nearest[:, 2:6].T
        within = (left > 0) & (left + width < 384)
        assert within.any()
        in_image = np.minimum(1, (224 - top) / height)
        assert (nearest[within, 8] >= in_image[within] - 0.1).all()
        farther = truth[truth[:, 1] != truth[:, 1].max()]
        within = (farther[:, 2] > 0) & (farther[:, 2] + farther[:, 4] < 384) & (farther[:, 3] + farther[:, 5] < 224)
        assert (farther[within, 8] < 0.5).any()


def test_config_is_a_structured_config_and_names_a_refused_key() -> None:
    assert OmegaConf.to_object(OmegaConf.structured(SyntheticConfig)) == SyntheticConfig()
    with pytest.raises(ValueError, match=r"synthetic\.walkers=0"):
        SyntheticConfig(walkers=0)


def test_carts_are_wide_and_of_class_1_in_labels_and_2_in_the_truth(tmp_path: Path) -> None:
    settings = SyntheticConfig(**{**asdict(SMALL), "classes": 2, "train_sequences": 1, "walkers": 6})
    generate(tmp_path, settings, progress=False)
    (truth,) = truths(tmp_path, "train", settings).values()
    assert set(truth[:, 7]) == {1, 2}
    for class_id, aspect in ((1, 0.44), (2, 0.48 / 0.42)):
        boxes = truth[truth[:, 7] == class_id]
        np.testing.assert_allclose(boxes[:, 4] / boxes[:, 5], aspect, rtol=0.02)
    assert all(len(set(truth[truth[:, 1] == identity, 7])) == 1 for identity in set(truth[:, 1]))
    for frame in range(1, 9):
        path = next(tmp_path.glob("synthetic-*/labels_with_ids")) / f"train/synthetic-train-01/img1/{frame:06d}.txt"
        expected = truth[(truth[:, 0] == frame) & (truth[:, 6] == 1)]
        np.testing.assert_array_equal(read_labels(str(path))[:, 0] + 1, expected[:, 7])


def test_a_cart_fills_its_box(tmp_path: Path) -> None:
    """The pixels in which a scene with a cart differs from the street alone."""
    scene = make_scene(np.random.default_rng(2), 224, 384, 3, 6.0, 2)
    street = replace(scene, walkers=[])
    alone = replace(scene, walkers=scene.walkers[1:2])
    for time_s in np.arange(0, 6, 0.5):
        (picture, seen), (empty, _) = render(alone, 224, 384, time_s), render(street, 224, 384, time_s)
        if not seen or seen[0].visibility < 1:
            continue
        left, top, width, height = seen[0].box_xywh
        strong = np.abs(picture.astype(int) - empty).max(-1) > 60  # the shadow is weaker
        ys, xs = np.nonzero(strong[: int(top + height) + 1])
        assert seen[0].figure is Figure.cart
        np.testing.assert_allclose([xs.min(), xs.max() + 1], [left, left + width], atol=0.08 * width)
        assert ys.min() == pytest.approx(top, abs=0.1 * height)
        return
    raise AssertionError("the cart never stood wholly in the picture")
