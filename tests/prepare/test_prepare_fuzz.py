"""Damaged annotations: each is taken for what it is or refused with one error that says where; nothing else happens."""

import json
import math
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_downloads as tiny
from fuzzing import mutated
from tiny_downloads import labels, prepare_config

from fairmot.data.labels import read_labels
from fairmot.errors import DataError
from fairmot.prepare.command import DATA_SETS

TIMES = 20
# fmt: off
TOKENS = (
    "", "nan", "-inf", "1e400", "-1", "0", "1_0", "99999999999999999999", "0x10", "1.5", "٣", "null", "[]", "{}",
    "true", '"7"', "1e30", "\0", "-0.0", "é",
)
# fmt: on


def mot(root: Path) -> Path:
    tiny.mot_sequence(
        root / "train/MOT17-02-FRCNN", "1,1,10,5,20,40,1,1,1", "2,3,50,5,20,40,1,1,0.5", "2,4,0,0,9,9,0,8,1"
    )
    return root


def mix(root: Path) -> Path:
    for name in ("a", "b"):
        tiny.draw(root / f"images/{name}.jpg")
        tiny.write(root / f"labels_with_ids/{name}.txt", "0 5 0.5 0.5 0.2 0.4", "0 -1 0.25 0.5 0.2 0.4")
    tiny.write(root / "prw.train", "PRW/images/a.jpg", "PRW/images/b.jpg")
    return root


def columns(count: int | tuple[int, ...], separator: str | None) -> Callable[[bytes], bool]:
    """Whether every row has so many fields, all of them finite numbers; a word may be the third."""

    def is_right(content: bytes) -> bool:
        counts = (count,) if isinstance(count, int) else count
        rows = [line.strip() for line in content.decode("utf-8-sig").split("\n")]
        fields = [row.rstrip("," if separator else " ").split(separator) for row in rows if row]
        numbers = [field for row in fields for field in row if not field.isalpha() and field != "Person_sitting"]
        return all(len(row) in counts for row in fields) and all(math.isfinite(float(field)) for field in numbers)

    return is_right


def json_lines(content: bytes) -> bool:
    images = [json.loads(line) for line in content.decode("utf-8-sig").split("\n") if line.strip()]
    return all(isinstance(image["ID"], str) and isinstance(image["gtboxes"], list) for image in images)


def anything(content: bytes) -> bool:
    return content is not None


CASES = {
    "gt": (mot, "mot17", {}, "train/MOT17-02-FRCNN/gt/gt.txt", columns(9, ",")),
    "seqinfo": (mot, "mot17", {}, "train/MOT17-02-FRCNN/seqinfo.ini", anything),
    "odgt": (tiny.crowdhuman, "crowdhuman", {}, "annotation_train.odgt", json_lines),
    "visdrone": (
        tiny.visdrone,
        "visdrone",
        {},
        "VisDrone2019-MOT-train/annotations/uav0000013_00000_v.txt",
        columns(10, ","),
    ),
    "kitti": (tiny.kitti, "kitti", {}, "training/label_02/0000.txt", columns(17, None)),
    "coco": (
        tiny.coco,
        "custom",
        {"name": "mine", "format": "coco_video"},
        "annotations/train.json",
        lambda content: isinstance(json.loads(content)["images"], list),
    ),
    "coco_images": (
        tiny.coco_of_images,
        "custom",
        {"name": "mine", "format": "coco_video"},
        "annotations/train.json",
        lambda content: isinstance(json.loads(content)["images"], list),
    ),
    "yolo": (
        tiny.yolo,
        "custom",
        {"name": "mine", "format": "yolo"},
        "labels/train/cam1/f2.txt",
        columns((5, 6), None),
    ),
    "names": (tiny.yolo, "custom", {"name": "mine", "format": "yolo"}, "data.yaml", anything),
    "mix": (mix, "prw", {}, "labels_with_ids/a.txt", columns(6, None)),
    "list": (mix, "prw", {}, "prw.train", anything),
}


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Another number or word, a byte changed, a piece cut out, a line doubled, the end cut off, or bytes put in."""

    def end_or_bytes(kind, at, length):
        return content[:at] if kind == 6 else content[:at] + rng.bytes(length) + content[at:]

    return mutated(content, rng, rb'"[^"]*"|[-\w.]+', TOKENS, end_or_bytes)


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing the whole machine's disks takes longer than all the rest."""
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.mark.parametrize("case", CASES)
def test_damaged_annotations_are_taken_rightly_or_refused_with_their_place(case: str, tmp_path: Path) -> None:
    build, dataset, settings, file, is_right = CASES[case]
    path = build(tmp_path / "download") / file
    content = path.read_bytes()
    rng = np.random.default_rng([*case.encode(), 2])
    accepted = 0
    for time in range(TIMES):
        damaged = mutate(content, rng)
        path.write_bytes(damaged)
        output = tmp_path / "out"
        try:
            manifest, _ = DATA_SETS[dataset](prepare_config(dataset, tmp_path / "download", output, **settings))
        except DataError as error:
            place = re.escape(path.name) + (
                r":\d+: " if case in ("gt", "odgt", "visdrone", "kitti", "yolo", "mix") else ""
            )
            cross = rf"none of its \d+ images|as {re.escape(path.name)}|class 1 has no name|class 0 has no name"
            assert re.search(f"{place}|{cross}", str(error)), (time, damaged, str(error))
            assert (
                not [left for left in output.iterdir() if not left.name.endswith(".lock")] if output.exists() else True
            )
        else:
            accepted += 1
            assert is_right(damaged), (time, damaged)
            name = manifest["dataset"]
            rows = labels(output, name)
            assert sum(map(len, rows.values())) == manifest["totals"]["boxes"]
            for label in rows:
                read_labels(str(output / name / "labels_with_ids" / f"{label}.txt"))
        shutil.rmtree(output, ignore_errors=True)
    assert 0 < accepted < TIMES, "every kind of damage had the same end: the mutations prove nothing"
