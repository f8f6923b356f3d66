"""The public data sets, each on a miniature of its download; expectations are written by hand."""

import shutil
from pathlib import Path

import pytest
import tiny_downloads as tiny
from tiny_downloads import labels, run

from fairmot.data.index import build_index
from fairmot.errors import ConfigError, DataError
from fairmot.evaluation.sequences import find_ground_truth
from fairmot.prepare.command import summary

A_BOX = [0.2, 0.5, 0.2, 0.8]  # 10,5,20,40 in an image of 100x50


@pytest.mark.parametrize(("dataset", "inside"), [("dancetrack", "dancetrack"), ("sportsmot", "dataset")])
def test_val_of_mot_format_counts_its_own_identities(dataset: str, inside: str, tmp_path: Path) -> None:
    top = tmp_path / "download" / inside
    tiny.mot_sequence(top / "train/s1", "1, 4, 10, 5, 20, 40, 1, 1, 1", "1,9,50,5,20,40,1,1,1", digits=8)
    tiny.mot_sequence(top / "val/s2", "2,0,10,5,20,40,1,1,1", digits=8)
    tiny.mot_sequence(top / "test/s3", digits=8)
    manifest = run(dataset, tmp_path / "download", tmp_path / "out")
    assert manifest["lists"] == {f"{dataset}.train": 2, f"{dataset}.test": 2, f"{dataset}.val": 2}
    assert labels(tmp_path / "out", dataset) == {
        "train/s1/img1/00000001": [[0, 0, *A_BOX], [0, 1, 0.6, 0.5, 0.2, 0.8]],
        "train/s1/img1/00000002": [],
        "val/s2/img1/00000001": [],
        "val/s2/img1/00000002": [[0, 0, *A_BOX]],
    }
    assert (tmp_path / f"out/{dataset}/images/val/s2/gt/gt.txt").is_file()


def test_parts_of_a_split_belong_together(tmp_path: Path) -> None:
    for part, name in (("train1", "s1"), ("train2", "s2")):
        tiny.mot_sequence(tmp_path / "download" / part / name, "1,1,10,5,20,40,1,1,1")
    manifest = run("dancetrack", tmp_path / "download", tmp_path / "out")
    assert manifest["lists"] == {"dancetrack.train": 4}
    assert [rows[0][1] for rows in labels(tmp_path / "out", "dancetrack").values() if rows] == [0, 1]


@pytest.mark.parametrize("dataset", ["mot16", "mot20"])
def test_mot16_and_mot20_keep_flagged_pedestrians(dataset: str, tmp_path: Path) -> None:
    rows = ("1,1,10,5,20,40,1,1,1", "1,2,10,5,20,40,0,1,1", "1,3,10,5,20,40,1,7,1", "1,4,-10,5,20,40,1,1,0")
    tiny.mot_sequence(tmp_path / "download/train/X-01", *rows, frames=1)
    manifest = run(dataset, tmp_path / "download", tmp_path / "out")
    assert labels(tmp_path / "out", dataset) == {"train/X-01/img1/000001": [[0, 0, *A_BOX], [0, 1, 0, 0.5, 0.2, 0.8]]}
    assert manifest["lists"] == {f"{dataset}.train": 1}
    assert "1 of its" in summary(manifest)


def test_crowdhuman_id_gives_every_box_its_own_identity_in_each_file(tmp_path: Path) -> None:
    manifest = run("crowdhuman", tiny.crowdhuman(tmp_path / "download"), tmp_path / "out")
    assert labels(tmp_path / "out", "crowdhuman") == {
        "train/273271,1a": [[0, 0, *A_BOX], [0, 1, 0.05, 0.7, 0.3, 1.2]],
        "train/273271,2b": [[0, 2, 0.2, 0.5, 0.2, 0.8]],
        "val/284193,9c": [[0, 0, 0.5, 0.5, 1, 1]],
    }
    assert manifest["lists"] == {"crowdhuman.train": 2, "crowdhuman.val": 1}
    text = summary(manifest)
    assert "train: 1 of the 3 images of annotation_train.odgt are missing, the first: 273271,lost" in text
    assert "train: 1 boxes without area left out, the first: " in text
    assert "annotation_train.odgt:1" in text
    assert "train: 1 ground truth rows left out" in text
    assert "crowdhuman.train: 2 images (15000 published), 3 boxes (339565 published)" in text


def test_crowdhuman_det_lies_beside_it_without_identities(tmp_path: Path) -> None:
    root = tiny.crowdhuman(tmp_path / "download")
    run("crowdhuman", root, tmp_path / "out")
    manifest = run("crowdhuman", root, tmp_path / "out", labels="det")
    assert manifest["lists"] == {"crowdhuman_det.train": 2, "crowdhuman_det.val": 1}
    assert manifest["totals"] == {"images": 3, "boxes": 4, "identities": 0}
    index = build_index(str(tmp_path / "out"), {"a": "crowdhuman_det.train", "b": "crowdhuman.train"}, progress=False)
    assert index.identities.counts == [0, 3]
    found = labels(tmp_path / "out", "crowdhuman_det")
    assert found["train/273271,1a"] == [[0, -1, *A_BOX], [0, -1, 0.05, 0.7, 0.3, 1.2]]
    assert labels(tmp_path / "out", "crowdhuman")["train/273271,2b"] == [[0, 2, 0.2, 0.5, 0.2, 0.8]]


def test_crowdhuman_with_one_of_the_files(tmp_path: Path) -> None:
    root = tiny.crowdhuman(tmp_path / "download")
    (root / "annotation_train.odgt").unlink()
    assert run("crowdhuman", root, tmp_path / "out")["lists"] == {"crowdhuman.val": 1}
    (root / "annotation_val.odgt").unlink()
    with pytest.raises(DataError, match="neither annotation_train.odgt nor annotation_val.odgt"):
        run("crowdhuman", root, tmp_path / "out2")


def test_visdrone_makes_pedestrians_and_persons_one_class(tmp_path: Path) -> None:
    manifest = run("visdrone", tiny.visdrone(tmp_path / "download"), tmp_path / "out")
    assert labels(tmp_path / "out", "visdrone") == {
        "train/uav0000013_00000_v/img1/000001": [[0, 0, *A_BOX], [0, 1, 0.6, 0.5, 0.2, 0.8]],
        "train/uav0000013_00000_v/img1/000002": [[0, 0, 0.22, 0.5, 0.2, 0.8]],
        "val/uav0000086_00000_v/img1/000001": [[0, 0, 0.25, 0.25, 0.5, 0.5]],
    }
    assert manifest["lists"] == {"visdrone.test": 1, "visdrone.train": 2, "visdrone.val": 1}
    text = summary(manifest)
    assert "uav0000013_00000_v: 1 ground truth rows left out" in text
    assert "1 boxes without area left out" in text
    truth = tmp_path / "out/visdrone/images/train"
    assert (truth / "uav0000013_00000_v/gt/gt.txt").read_text().splitlines() == [
        "1,5,10.00,5.00,20.00,40.00,1,1,1",
        "1,8,50.00,5.00,20.00,40.00,1,1,1",
        "2,5,12.00,5.00,20.00,40.00,1,1,1",
    ]
    sequences, skipped = find_ground_truth(truth)
    assert [len(sequence.counted()) for sequence in sequences] == [3]
    assert not skipped


def test_kitti_counts_pedestrians_and_on_demand_the_sitting(tmp_path: Path) -> None:
    root = tiny.kitti(tmp_path / "download")
    manifest = run("kitti", root, tmp_path / "out")
    first = {
        "train/KITTI-0000/img1/000001": [[0, 0, *A_BOX]],
        "train/KITTI-0000/img1/000002": [],
        "train/KITTI-0000/img1/000003": [[0, 0, 0.1, 0.5, 0.4, 0.8]],
    }
    assert labels(tmp_path / "out", "kitti") == first
    assert manifest["lists"] == {"kitti.train": 3, "kitti.test": 1}
    assert manifest["sequences"][0]["rows_without_image"] == 1
    assert manifest["sequences"][0]["frame_rate"] == 10
    with pytest.raises(DataError, match=r"other settings \(sitting\)"):
        run("kitti", root, tmp_path / "out", sitting=True)
    run("kitti", root, tmp_path / "out2", sitting=True, sequences=["KITTI-0000"])
    sitting = first | {"train/KITTI-0000/img1/000002": [[0, 1, 0.605, 0.5, 0.2, 0.8]]}
    assert labels(tmp_path / "out2", "kitti") == sitting


def test_missing_annotations_are_named(tmp_path: Path) -> None:
    kitti, visdrone = tiny.kitti(tmp_path / "kitti_download"), tiny.visdrone(tmp_path / "visdrone_download")
    shutil.rmtree(kitti / "training/label_02")
    with pytest.raises(DataError, match=r"label_02/0000.txt: .*unpack data_tracking_label_2.zip"):
        run("kitti", kitti, tmp_path / "out")
    shutil.rmtree(visdrone / "VisDrone2019-MOT-val/annotations")
    with pytest.raises(DataError, match=r"uav0000086_00000_v.txt: these annotations are missing"):
        run("visdrone", visdrone, tmp_path / "out")


@pytest.mark.parametrize("dataset", ["kitti", "visdrone", "crowdhuman", "caltech", "dancetrack"])
def test_an_empty_download_is_one_clear_error(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "download").mkdir()
    with pytest.raises(DataError, match="download"):
        run(dataset, tmp_path / "download", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("dataset", "file", "line", "message"),
    [
        ("crowdhuman", "annotation_val.odgt", "{", r"odgt:2: not JSON"),
        ("crowdhuman", "annotation_val.odgt", "[]", r"odgt:2: the line must be an object"),
        ("crowdhuman", "annotation_val.odgt", '{"gtboxes": []}', r"odgt:2: key 'ID' is missing"),
        ("crowdhuman", "annotation_val.odgt", '{"ID": "284193,9c", "gtboxes": []}', r"odgt:2: image .* is there twice"),
        ("crowdhuman", "annotation_val.odgt", '{"ID": "x", "gtboxes": [{}]}', r"odgt:2: gtboxes\[0\].fbox must be \[x"),
        ("crowdhuman", "annotation_val.odgt", '{"ID": "x", "gtboxes": [{"fbox": [1, 2, "a", 3]}]}', r"odgt:2: w 'a'"),
        ("visdrone", "VisDrone2019-MOT-val/annotations/uav0000086_00000_v.txt", "1,2,3", r"v.txt:2: 3 columns, expect"),
        ("visdrone", "VisDrone2019-MOT-val/annotations/uav0000086_00000_v.txt", "1,1,1,1,1,1,1,12,0,0", "category 12"),
        (
            "visdrone",
            "VisDrone2019-MOT-val/annotations/uav0000086_00000_v.txt",
            "1,-1,1,1,1,1,1,1,0,0",
            "2: id -1 must",
        ),
        ("kitti", "training/label_02/0000.txt", "1 2 Pedestrian", r"0000.txt:7: 3 columns, expected 17"),
        ("kitti", "training/label_02/0000.txt", "1 2 Dog" + " 0" * 14, r"0000.txt:7: type 'Dog' is not of KITTI"),
        ("kitti", "training/label_02/0000.txt", "1 -1 Pedestrian" + " 0" * 14, r"0000.txt:7: id -1 must be"),
    ],
)
def test_broken_annotations_name_file_and_line(
    dataset: str, file: str, line: str, message: str, tmp_path: Path
) -> None:
    root = getattr(tiny, dataset)(tmp_path / "download")
    path = root / file
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=message):
        run(dataset, root, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f".{dataset}.lock"]


def test_boxes_no_label_can_hold_are_left_out_and_named(tmp_path: Path) -> None:
    rows = ("1,1,10,5,20,40,1,1,1", "1,2,4000,5,20,40,1,1,1", "1,3,110,5,20,40,1,1,1")
    tiny.mot_sequence(tmp_path / "download/MOT16-02", *rows, frames=1)
    manifest = run("mot16", tmp_path / "download", tmp_path / "out")
    assert labels(tmp_path / "out", "mot16")["train/MOT16-02/img1/000001"] == [
        [0, 0, *A_BOX],
        [0, 1, 1.2, 0.5, 0.2, 0.8],
    ]
    assert "1 boxes far outside their image left out, the first in MOT16-02/img1/000001.jpg" in summary(manifest)


def test_an_output_inside_the_download_is_refused(tmp_path: Path) -> None:
    root = tiny.crowdhuman(tmp_path / "download")
    with pytest.raises(DataError, match="over the download"):
        run("crowdhuman", root, root / "out")


def test_keys_of_other_data_sets_are_refused(tmp_path: Path) -> None:
    for key, value in {"name": "mine", "sitting": True, "lists": "there", "labels": "det", "classes": ["a"]}.items():
        with pytest.raises(ValueError, match=rf"{key} is for dataset=\w.*, not for mot17"):
            tiny.prepare_config("mot17", tmp_path, tmp_path, **{key: value})
    with pytest.raises(ConfigError, match="CrowdHuman has none"):
        run("crowdhuman", tiny.crowdhuman(tmp_path / "download"), tmp_path / "out", sequences=["a"])


def test_counts_are_compared_with_the_published(tmp_path: Path) -> None:
    manifest = run("visdrone", tiny.visdrone(tmp_path / "download"), tmp_path / "out")
    reports = [report | {"images": 0} for report in manifest["sequences"]] * 7
    whole = manifest | {"lists": {"visdrone.val": 2819}, "sequences": reports}
    assert "visdrone.val: 2819 images, as published" in summary(whole)
    assert "visdrone.val: 1 images (2819 published): 1 of its 7 sequences were prepared" in summary(manifest)
    whole["lists"] = {"visdrone.val": 2000}
    assert "2000 images (2819 published): images are missing from the download" in summary(whole)
