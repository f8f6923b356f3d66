"""The sets of the MIX in the layout of JDE's data zoo, and the lists that conf/data expects of all preparations."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tiny_downloads import ROW, draw, labelled, labels, run, write

from fairmot.data.index import build_index
from fairmot.errors import DataError
from fairmot.prepare.command import summary
from fairmot.prepare.sets import jde


def test_lists_choose_the_images_and_labels_stay_as_they_are(tmp_path: Path) -> None:
    root = tmp_path / "download/PRW"
    labelled(root / "images/c1s1_000151.jpg", ROW.format(7), "0 -1 0.123457 0.5 0.2 1.3")
    labelled(root / "images/c1s1_000376.jpg")
    labelled(root / "images/c2s1_000001.jpg", ROW.format(3))
    draw(root / "images/c9s9_000001.jpg")  # in no list
    write(root / "prw.train", "PRW/images/c1s1_000376.jpg", "PRW/images/c1s1_000151.jpg", "PRW/images/lost.jpg")
    write(root / "prw.val", "PRW/images/c2s1_000001.jpg")
    manifest = run("prw", root, tmp_path / "out")
    assert labels(tmp_path / "out", "prw") == {
        "train/c1s1_000151": [[0, -1, 0.123457, 0.5, 0.2, 1.3], [0, 7, 0.2, 0.5, 0.2, 0.8]],
        "train/c1s1_000376": [],
        "val/c2s1_000001": [[0, 3, 0.2, 0.5, 0.2, 0.8]],
    }
    train = (tmp_path / "out/prw.train").read_text().split()
    assert train == ["prw/images/train/c1s1_000376.jpg", "prw/images/train/c1s1_000151.jpg"]
    assert manifest["lists"] == {"prw.train": 2, "prw.val": 1}
    assert "train: 1 of the 3 images of prw.train are missing, the first: PRW/images/lost.jpg" in summary(manifest)


@pytest.mark.parametrize("inside", ["images", "data/images"])
def test_caltech_in_both_layouts_with_lists_elsewhere(inside: str, tmp_path: Path) -> None:
    root = tmp_path / "download/Caltech"
    labelled(root / inside / "set00_V000_1271.png", ROW.format(-1))
    labelled(root / inside / "set00_V000_1272.png", ROW.format(5))
    write(tmp_path / "lists/caltech.all", "Caltech/data/images/set00_V000_1272.png")
    write(tmp_path / "lists/prw.train", "PRW/images/c1s1_000376.jpg")
    if inside == "images":
        with pytest.raises(DataError, match=r"lists=.*download: no caltech.all in this folder"):
            run("caltech", root, tmp_path / "out", lists=str(tmp_path / "download"))
    manifest = run("caltech", root, tmp_path / "out", lists=str(tmp_path / "lists"))
    assert manifest["lists"] == {"caltech.all": 1}
    assert list(labels(tmp_path / "out", "caltech").values()) == [[[0, 5, 0.2, 0.5, 0.2, 0.8]]]


def test_without_lists_every_labelled_image_counts(tmp_path: Path) -> None:
    root = tmp_path / "download/Citypersons"
    labelled(root / "images/train/jena/jena_1.png", ROW.format(0))
    draw(root / "images/train/jena/jena_2.png")
    labelled(root / "images/val/lindau/lindau_1.png", ROW.format(0))
    manifest = run("citypersons", root, tmp_path / "out")
    assert manifest["lists"] == {"citypersons.train": 1, "citypersons.val": 1}
    assert sorted(labels(tmp_path / "out", "citypersons")) == ["train/jena/jena_1", "val/lindau/lindau_1"]
    assert "citypersons.train: 1 images (2500 published): images are missing" in summary(manifest)


def test_ethz_joins_its_folders(tmp_path: Path) -> None:
    root = tmp_path / "download/ETHZ"
    for folder in ("eth01", "eth02"):
        labelled(root / folder / "images/image_00000001_0.png", ROW.format(2))
    manifest = run("ethz", root, tmp_path / "out")
    assert manifest["lists"] == {"eth.train": 2}
    assert sorted(labels(tmp_path / "out", "eth")) == ["train/eth01/image_00000001_0", "train/eth02/image_00000001_0"]
    index = build_index(str(tmp_path / "out"), {"eth": "eth.train"}, progress=False)
    assert index.summary()[0] | {"name": ""} == {
        "name": "",
        "images": 2,
        "boxes": 2,
        "identities": 3,
        "images_without_boxes": 0,
    }


def test_faults_name_file_and_line(tmp_path: Path) -> None:
    root = tmp_path / "download/PRW"
    label = labelled(root / "images/a.jpg", ROW.format(0), "0 1 200 100 30 60")
    with pytest.raises(DataError, match=r"labels_with_ids/a.txt:2: .*looks like pixels"):
        run("prw", root, tmp_path / "out")
    label.write_text(ROW.format(0))
    write(root / "prw.train", "PRW/images/a.jpg", "images/a.jpg")
    with pytest.raises(DataError, match=r"prw.train:2: images/a.jpg is there twice"):
        run("prw", root, tmp_path / "out")
    write(root / "prw.train", "PRW/images/b.jpg")
    with pytest.raises(DataError, match=r"prw.train: none of its 1 images is below root"):
        run("prw", root, tmp_path / "out")
    (root / "prw.train").unlink()
    label.unlink()
    with pytest.raises(
        DataError, match=r"none of the 1 images has labels; this one's would be .*labels_with_ids/a.txt"
    ):
        run("prw", root, tmp_path / "out")


def test_too_many_images_point_at_the_lists(tmp_path: Path) -> None:
    root = tmp_path / "download/PRW"
    labelled(root / "images/a.jpg", ROW.format(0))
    manifest = run("prw", root, tmp_path / "out")
    manifest["lists"] = {"prw.train": 11816}
    assert "11816 images (5701 published): the published list files choose among the images" in summary(manifest)


def test_conf_expects_the_lists_that_prepare_writes() -> None:
    mot = {f"{name}.train" for name in ("mot15", "mot16", "mot17", "mot17_half", "mot20", "dancetrack", "sportsmot")}
    known = mot | {f"{rules.name}.{split}" for rules in jde.RULES.values() for split in rules.splits}
    known |= {f"{name}.{split}" for name in ("crowdhuman", "crowdhuman_det") for split in ("train", "val")}
    known |= {"visdrone.train", "visdrone.val", "kitti.train", "synthetic.train"}
    folder = Path(__file__).resolve().parents[2] / "conf/data"
    used = {}
    for path in sorted(folder.glob("*.yaml")):
        used[path.stem] = set(OmegaConf.to_container(OmegaConf.load(path))["train"].values())
        assert used[path.stem] <= known, path
    assert used["mix"] == {
        "mot17.train",
        "caltech.all",
        "citypersons.train",
        "cuhksysu.train",
        "prw.train",
        "eth.train",
    }
    assert used["crowdhuman_mix"] == used["mix"] | {"crowdhuman_det.train", "crowdhuman_det.val"}
