"""Miniatures of the data sets' official downloads, and a look at what was made of them."""

import json
from pathlib import Path

import cv2
import numpy as np

from fairmot.prepare.command import DATA_SETS
from fairmot.prepare.config import BoxIdentity, CustomFormat, PrepareConfig

HEIGHT, WIDTH = 50, 100
SEQINFO = f"[Sequence]\nname=x\nframeRate=20\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"

ROW = "0 {} 0.2 0.5 0.2 0.8"


def draw(path: Path, height: int = HEIGHT, width: int = WIDTH) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), len(path.name), np.uint8))
    return path


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def mot_sequence(folder: Path, *truth: str, frames: int = 2, digits: int = 6) -> Path:
    for frame in range(1, frames + 1):
        draw(folder / f"img1/{frame:0{digits}d}.jpg")
    write(folder / "seqinfo.ini", SEQINFO)
    if truth:
        write(folder / "gt/gt.txt", *truth)
    return folder


def crowdhuman(root: Path) -> Path:
    """Two training images in two zips' folders, one that is missing; one validation image."""
    draw(root / "CrowdHuman_train01/Images/273271,1a.jpg")
    draw(root / "CrowdHuman_train02/Images/273271,2b.jpg", 40, 80)
    draw(root / "CrowdHuman_val/Images/284193,9c.jpg")
    person = {"tag": "person", "hbox": [1, 1, 2, 2], "vbox": [0, 0, 9, 9], "head_attr": {"ignore": 1}}
    train = [
        {
            "ID": "273271,1a",
            "gtboxes": [
                {**person, "fbox": [10, 5, 20, 40], "extra": {"box_id": 0, "occ": 0}},
                {**person, "fbox": [-10, 5, 30, 60], "extra": {"box_id": 1, "ignore": 0}},
                {**person, "fbox": [50, 5, 20, 40], "extra": {"box_id": 2, "ignore": 1}},
                {"tag": "mask", "fbox": [60, 5, 20, 40], "extra": {"ignore": 1}},
                {**person, "fbox": [70, 5, 0, 40], "extra": {}},
            ],
        },
        {"ID": "273271,2b", "gtboxes": [{**person, "fbox": [8, 4, 16, 32]}]},
        {"ID": "273271,lost", "gtboxes": [{**person, "fbox": [8, 4, 16, 32]}]},
    ]
    val = [{"ID": "284193,9c", "gtboxes": [{**person, "fbox": [0, 0, 100, 50], "extra": {}}]}]
    write(root / "annotation_train.odgt", *map(json.dumps, train))
    write(root / "annotation_val.odgt", *map(json.dumps, val))
    return root


def visdrone(root: Path) -> Path:
    train, val = root / "VisDrone2019-MOT-train", root / "VisDrone2019-MOT-val"
    for frame in (1, 2):
        draw(train / f"sequences/uav0000013_00000_v/{frame:07d}.jpg")
    rows = (
        "1,4,10,5,20,40,1,1,0,0",  # a pedestrian
        "1,7,50,5,20,40,1,2,0,1",  # a person of the other kind
        "2,4,12,5,20,40,1,1,1,2",  # truncated, occluded: counts
        "2,5,12,5,20,40,0,1,0,0",  # score 0
        "1,0,0,0,30,30,0,0,0,0",  # an ignored region
        "1,9,10,5,20,40,1,4,0,0",  # a car
        "2,8,12,5,20,0,1,1,0,0",  # no area
        "3,4,12,5,20,40,1,1,0,0",  # no image
    )
    write(train / "annotations/uav0000013_00000_v.txt", *rows)
    draw(val / "sequences/uav0000086_00000_v/0000001.jpg")
    write(val / "annotations/uav0000086_00000_v.txt", "1,0,0,0,50,25,1,1,0,0,")
    draw(root / "VisDrone2019-MOT-test-challenge/sequences/uav0000011_00000_s/0000001.jpg")
    return root


def kitti(root: Path) -> Path:
    for frame in (0, 1, 3):
        draw(root / f"training/image_02/0000/{frame:06d}.png")
    draw(root / "testing/image_02/0000/000000.png")
    rest = "-1 -1 -1 -1000 -1000 -1000 -10"
    rows = (
        f"0 2 Pedestrian 0 0 -1.7 10 5 30 45 {rest}",
        f"0 -1 DontCare -1 -1 -10 0 0 20 20 {rest}",
        f"0 1 Car 0 0 -1.7 10 5 30 45 {rest}",
        f"1 5 Person 0 0 -1.7 50.5 5 70.5 45 {rest}",
        f"2 2 Pedestrian 0 0 -1.7 10 5 30 45 {rest}",  # no image
        f"3 2 Pedestrian 1 2 -1.7 -10 5 30 45 {rest}",
    )
    write(root / "training/label_02/0000.txt", *rows)
    return root


def coco(root: Path) -> Path:
    """Two videos and an image of none; file names below root/frames."""
    names = ("a/2.jpg", "a/1.jpg", "b/1.jpg", "single.jpg")
    for name in names:
        draw(root / "images" / name)
    content = {
        "videos": [{"id": 1, "name": "video/a"}, {"id": 2, "name": "b"}],
        "categories": [{"id": 7, "name": "cart"}, {"id": 3, "name": "person"}],
        "images": [
            {"id": 10, "file_name": "a/2.jpg", "video_id": 1, "frame_id": 1, "height": HEIGHT, "width": WIDTH},
            {"id": 11, "file_name": "a/1.jpg", "video_id": 1, "frame_id": 0},
            {"id": 12, "file_name": "b/1.jpg", "video_id": 2, "frame_index": 30},
            {"id": 13, "file_name": "single.jpg"},
            {"id": 14, "file_name": "b/lost.jpg", "video_id": 2, "frame_index": 60},
        ],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 3, "bbox": [10, 5, 20, 40], "instance_id": 5},
            {"id": 2, "image_id": 11, "category_id": 3, "bbox": [0, 5, 20, 40], "instance_id": 5},
            {"id": 3, "image_id": 11, "category_id": 7, "bbox": [50, 5, 20, 40], "track_id": 2},
            {"id": 4, "image_id": 12, "category_id": 3, "bbox": [0, 0, 100, 50], "track_id": 5},
            {"id": 5, "image_id": 13, "category_id": 3, "bbox": [0, 0, 50, 50]},
            {"id": 6, "image_id": 13, "category_id": 3, "bbox": [0, 0, 60, 50], "iscrowd": 1},
            {"id": 7, "image_id": 13, "category_id": 3, "bbox": [0, 0, 0, 50]},
            {"id": 8, "image_id": 14, "category_id": 3, "bbox": [0, 0, 10, 50], "track_id": 5},
        ],
    }
    write(root / "annotations/train.json", json.dumps(content, indent=1))
    return root


def coco_of_images(root: Path) -> Path:
    """Two people in two images without videos, as CVAT writes them: identities are texts among the attributes."""
    names = ("cam\\1.jpg", "cam\\2.jpg")
    for name in names:
        draw(root / "images" / name.replace("\\", "/"))
    boxes = [(1, "left", [10, 5, 20, 40]), (1, "right", [50, 5, 20, 40]), (2, "left", [10, 5, 20, 40])]
    content = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names, start=1)],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": 1, "image_id": image, "category_id": 1, "bbox": box, "attributes": {"track_id": who}}
            for image, who, box in boxes
        ],
    }
    write(root / "annotations/train.json", json.dumps(content, indent=1))
    return root


def yolo(root: Path) -> Path:
    """Two videos that number their ids on their own, and an image of none."""
    for name in ("cam1/f2", "cam1/f10", "cam2/f1", "alone"):
        draw(root / f"images/train/{name}.jpg")
    write(root / "labels/train/cam1/f2.txt", "0 0.5 0.5 0.2 0.4 1", "1 0.25 0.5 0.2 0.4 4")
    write(root / "labels/train/cam1/f10.txt", "0 0.6 0.5 0.2 0.4 1", "")
    write(root / "labels/train/cam2/f1.txt", "0 0.5 0.5 0.2 0.4 1")
    write(root / "labels/train/alone.txt", "1 0.5 0.5 1 1")
    draw(root / "images/val/cam3/f1.jpg")
    write(root / "labels/val/cam3/f1.txt", "0 0.5 0.5 0.2 0.4 9")
    write(root / "data.yaml", "names:", "  0: person", "  1: cart")
    return root


def prepare_config(dataset: str, root: Path, output: Path, **settings: object) -> PrepareConfig:
    kinds = {"labels": BoxIdentity, "format": CustomFormat}
    values = {key: kinds[key](value) if key in kinds else value for key, value in settings.items()}
    return PrepareConfig(dataset, str(root), str(output), **values)  # type: ignore[arg-type]


def run(dataset: str, root: Path, output: Path, **settings: object) -> dict:
    """The manifest; and the promises every preparation keeps."""
    download = snapshot(root)
    config = prepare_config(dataset, root, output, **settings)
    manifest, written = DATA_SETS[dataset](config)
    assert written
    made = snapshot(output)
    assert DATA_SETS[dataset](config) == (manifest, False)
    assert snapshot(output) == made, "the second run changed something"
    assert snapshot(root) == download, "the download was written to"
    lists = {path.name: path.read_text().splitlines() for path in output.iterdir() if path.name in manifest["lists"]}
    assert {name: len(paths) for name, paths in lists.items()} == manifest["lists"]
    assert all((output / path).is_file() for paths in lists.values() for path in paths)
    return manifest


def snapshot(root: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in root.rglob("*")}


def labels(output: Path, name: str) -> dict[str, list[list[float]]]:
    """Label files below a data set's folder `labels_with_ids`, by their path there without ending."""
    top = output / name / "labels_with_ids"
    return {
        path.relative_to(top).with_suffix("").as_posix(): [
            [float(field) for field in line.split()] for line in path.read_text().splitlines()
        ]
        for path in sorted(top.rglob("*.txt"))
    }


def labelled(image: Path, *rows: str) -> Path:
    draw(image)
    label = Path(str(image).replace("/images/", "/labels_with_ids/")).with_suffix(".txt")
    return write(label, *rows)
