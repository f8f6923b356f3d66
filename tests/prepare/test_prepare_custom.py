"""Your own data in each format, on miniatures; expectations are written by hand."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_downloads as tiny
from tiny_downloads import draw, labels, mot_sequence, prepare_config, run, write

from fairmot.data.index import build_index
from fairmot.errors import ConfigError, DataError
from fairmot.evaluation.sequences import find_ground_truth
from fairmot.prepare.command import DATA_SETS, summary

SHARED = Path(os.environ.get("FAIRMOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
A_BOX = [0.2, 0.5, 0.2, 0.8]  # 10,5,20,40 in an image of 100x50
ANOTHER = [0.6, 0.5, 0.2, 0.8]


def test_mot_with_named_classes_keeps_the_class_column(tmp_path: Path) -> None:
    folder = mot_sequence(tmp_path / "mine/train/gate", "1,1,10,5,20,40,1,2,1", "1,2,50,5,20,40,1,1,1", frames=1)
    write(folder / "gt/labels.txt", "person", "cart", "dog")
    manifest = run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="mot")
    assert manifest["classes"] == ["person", "cart", "dog"]
    assert labels(tmp_path / "out", "mine") == {"train/gate/img1/000001": [[1, 0, *A_BOX], [0, 1, *ANOTHER]]}
    assert "classes (3): person, cart, dog" in summary(manifest)
    manifest = run("custom", tmp_path / "mine", tmp_path / "out2", name="mine", format="mot", classes=["cart"])
    assert manifest["classes"] == ["cart"]
    assert labels(tmp_path / "out2", "mine") == {"train/gate/img1/000001": [[0, 0, *A_BOX]]}
    truth = (tmp_path / "out2/mine/images/train/gate/gt/gt.txt").read_text()
    assert truth == "1,2,10.00,5.00,20.00,40.00,1,1,1\n"
    with pytest.raises(ConfigError, match="classes: unknown cat; there are: person, cart, dog"):
        run("custom", tmp_path / "mine", tmp_path / "out3", name="mine", format="mot", classes=["cat"])


def test_mot_without_names_calls_classes_by_their_numbers(tmp_path: Path) -> None:
    mot_sequence(tmp_path / "mine/gate", "1,1,10,5,20,40,1,3,1", "1,2,50,5,20,40,1,1,1", frames=1)
    manifest = run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="mot")
    assert manifest["classes"] == ["1", "2", "3"]
    assert labels(tmp_path / "out", "mine") == {"train/gate/img1/000001": [[2, 0, *A_BOX], [0, 1, *ANOTHER]]}
    manifest = run("custom", tmp_path / "mine", tmp_path / "out2", name="mine", format="mot", classes=["3"])
    assert labels(tmp_path / "out2", "mine") == {"train/gate/img1/000001": [[0, 0, *A_BOX]]}


def test_mot_of_other_columns_is_refused(tmp_path: Path) -> None:
    mot_sequence(tmp_path / "mine/gate", "1,1,10,5,20,40", frames=1)
    with pytest.raises(DataError, match=r"gt.txt:1: 6 columns, expected 9 or 10: frame,id"):
        run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="mot")


def test_mot_of_ten_columns_has_one_class(tmp_path: Path) -> None:
    mot_sequence(tmp_path / "mine/train/gate", "1,1,10,5,20,40,1,-1,-1,-1", frames=1)
    mot_sequence(tmp_path / "mine/val/door", "1,8,10,5,20,40,1,-1,-1,-1", frames=1)
    manifest = run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="mot")
    assert manifest["lists"] == {"mine.val": 1, "mine.train": 1}
    assert manifest["classes"] == ["1"]
    assert labels(tmp_path / "out", "mine") == {
        "train/gate/img1/000001": [[0, 0, *A_BOX]],
        "val/door/img1/000001": [[0, 0, *A_BOX]],
    }


def test_coco_video_orders_frames_and_numbers_classes_by_category_id(tmp_path: Path) -> None:
    root = tiny.coco(tmp_path / "mine")
    manifest = run("custom", root, tmp_path / "out", name="mine", format="coco_video")
    assert manifest["classes"] == ["person", "cart"]
    assert labels(tmp_path / "out", "mine") == {
        "train/video_a/img1/000001": [[1, 0, *ANOTHER], [0, 1, 0.1, 0.5, 0.2, 0.8]],
        "train/video_a/img1/000002": [[0, 1, *A_BOX]],
        "train/b/img1/000001": [[0, 2, 0.5, 0.5, 1, 1]],
        "train/single": [[0, -1, 0.25, 0.5, 0.5, 1]],
    }
    text = summary(manifest)
    assert "b: 1 of 2 images are missing, the first: b/lost.jpg" in text
    assert "b: 1 ground truth rows left out" in text
    assert "train: 1 boxes without area left out, the first: " in text
    assert "annotations[6]" in text
    sequences, skipped = find_ground_truth(tmp_path / "out/mine/images/train")
    assert [(one.name, len(one.counted())) for one in sequences] == [("b", 1), ("video_a", 3)]
    assert not skipped
    index = build_index(str(tmp_path / "out"), {"mine": "mine.train"}, progress=False)
    assert (len(index), index.identities.counts) == (4, [3])


def test_coco_video_takes_chosen_sequences_classes_and_files(tmp_path: Path) -> None:
    root = tiny.coco(tmp_path / "mine")
    (root / "annotations/train.json").rename(root / "annotations/instances.json")
    settings = {"name": "mine", "format": "coco_video", "sequences": ["video_a"], "classes": ["cart"]}
    with pytest.raises(
        DataError, match=r"is it annotations/instances.json\? Then say \+annotations.train=annotations/"
    ):
        run("custom", root, tmp_path / "out", **settings)
    manifest = run("custom", root, tmp_path / "out", **settings, annotations={"fit": "annotations/instances.json"})
    assert manifest["lists"] == {"mine.fit": 2}
    assert labels(tmp_path / "out", "mine") == {
        "fit/video_a/img1/000001": [[0, 0, *ANOTHER]],
        "fit/video_a/img1/000002": [],
    }
    with pytest.raises(ConfigError, match="unknown c; there are: b, video_a|unknown c; there are: video_a, b"):
        run(
            "custom",
            root,
            tmp_path / "o",
            **settings | {"sequences": ["c"]},
            annotations={"fit": "annotations/instances.json"},
        )


def change(key: str, position: int, **values: object) -> Callable[[dict], None]:
    return lambda content: content[key][position].update(values)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            change("annotations", 0, bbox=[1, 2, 3]),
            r"train.json: annotations\[0\]: bbox must be \[x, y, width, height\]",
        ),
        (change("annotations", 0, bbox=[1, 2, None, 3]), r"annotations\[0\]: w 'None' is not a number"),
        (change("annotations", 1, image_id=99), r"annotations\[1\]: image_id 99 is not among the images"),
        (change("annotations", 1, category_id=99), r"annotations\[1\]: category_id 99 is not among the categories"),
        (change("annotations", 0, instance_id=1.5), r"annotations\[0\]: instance_id 1.5 must be an integer"),
        (change("images", 0, id=11), r"images\[1\]: image id 11 is there twice"),
        (change("images", 0, video_id=9), r"images\[0\]: video_id 9 is not among the videos"),
        (change("images", 0, file_name="../a.jpg"), r"images\[0\]: file_name '../a.jpg' must be a path below"),
        (
            change("images", 0, height=99),
            r"images\[0\]: says \(99, 100\) for height and width, but the image is 100x50",
        ),
        (change("videos", 1, name="video_a"), r"videos\[1\]: video 2, 'video_a', is there twice"),
        (change("categories", 1, name="cart"), r"categories: an id or a name is there twice"),
        (lambda content: content.pop("images"), r"train.json: key 'images' is missing"),
    ],
)
def test_faults_of_coco_video_say_where(spoil: Callable[[dict], None], message: str, tmp_path: Path) -> None:
    path = tiny.coco(tmp_path / "mine") / "annotations/train.json"
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="coco_video")


def test_broken_json_names_its_line(tmp_path: Path) -> None:
    write(tiny.coco(tmp_path / "mine") / "annotations/train.json", "{", '  "images": [', "  oops")
    with pytest.raises(DataError, match=r"train.json:3: not JSON"):
        run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="coco_video")


def test_yolo_ids_belong_to_their_video(tmp_path: Path) -> None:
    manifest = run("custom", tiny.yolo(tmp_path / "mine"), tmp_path / "out", name="mine", format="yolo")
    assert manifest["classes"] == ["person", "cart"]
    assert labels(tmp_path / "out", "mine") == {
        "train/alone": [[1, -1, 0.5, 0.5, 1, 1]],
        "train/cam1/img1/000001": [[0, 0, 0.5, 0.5, 0.2, 0.4], [1, 1, 0.25, 0.5, 0.2, 0.4]],
        "train/cam1/img1/000002": [[0, 0, 0.6, 0.5, 0.2, 0.4]],
        "train/cam2/img1/000001": [[0, 2, 0.5, 0.5, 0.2, 0.4]],
        "val/cam3/img1/000001": [[0, 0, 0.5, 0.5, 0.2, 0.4]],
    }
    assert manifest["lists"] == {"mine.train": 4, "mine.val": 1}
    gt = (tmp_path / "out/mine/images/train/cam1/gt/gt.txt").read_text().splitlines()
    assert gt == [
        "1,2,40.00,15.00,20.00,20.00,1,1,1",
        "1,5,15.00,15.00,20.00,20.00,1,2,1",
        "2,2,50.00,15.00,20.00,20.00,1,1,1",
    ]


def test_yolo_with_labels_with_ids_stays_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    draw(root / "train/images/a/img1/1.jpg")
    draw(root / "train/images/b/img1/1.jpg", 40, 40)
    write(root / "train/labels_with_ids/a/img1/1.txt", "0 6 0.5 0.5 0.2 0.4")
    write(root / "train/labels_with_ids/b/img1/1.txt", "2 6 0.5 0.5 0.2 0.4")
    manifest = run("custom", root, tmp_path / "out", name="mine", format="yolo")
    assert manifest["classes"] == ["0", "1", "2"]
    assert labels(tmp_path / "out", "mine") == {
        "train/a/img1/1": [[0, 6, 0.5, 0.5, 0.2, 0.4]],
        "train/b/img1/1": [[2, 6, 0.5, 0.5, 0.2, 0.4]],
    }
    manifest = run("custom", root, tmp_path / "out2", name="mine", format="yolo", classes=["2"])
    assert labels(tmp_path / "out2", "mine")["train/b/img1/1"] == [[0, 6, 0.5, 0.5, 0.2, 0.4]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2", r"f1.txt:2: 4 columns, expected class x_center"),
        ("0 0.5 0.5 0.2 0.4 0.9 3", r"f1.txt:2: 7 columns, expected class x_center"),
        ("0 50 25 20 40 1", r"f1.txt:2: .*looks like pixels"),
        ("x 0.5 0.5 0.2 0.4", r"f1.txt:2: 'x' is not a number"),
        ("0 0.5 0.5 0.2 0.4 1.5", r"f1.txt:2: id 1.5 must be an integer"),
        ("2 0.5 0.5 0.2 0.4 1", r"f1.txt:2: class 2 has no name; there are: person, cart"),
    ],
)
def test_faults_of_yolo_files_name_file_and_line(line: str, message: str, tmp_path: Path) -> None:
    root = tiny.yolo(tmp_path / "mine")
    write(root / "labels/train/cam2/f1.txt", "0 0.5 0.5 0.2 0.4 1", line)
    with pytest.raises(DataError, match=message):
        run("custom", root, tmp_path / "out", name="mine", format="yolo")


def test_yolo_names_images_without_labels(tmp_path: Path) -> None:
    root = tiny.yolo(tmp_path / "mine")
    (root / "labels/train/cam1/f10.txt").unlink()
    manifest = run("custom", root, tmp_path / "out", name="mine", format="yolo")
    assert "cam1: 1 of 2 images have no label file and count as empty: " in summary(manifest)
    (root / "data.yaml").write_text("names: [person, person]")
    with pytest.raises(DataError, match=r"data.yaml: names: a class is there twice"):
        run("custom", root, tmp_path / "out2", name="mine", format="yolo")


def test_two_images_of_one_name_and_folders_called_images_are_refused(tmp_path: Path) -> None:
    root = tiny.yolo(tmp_path / "mine")
    draw(root / "images/train/alone.png")
    with pytest.raises(DataError, match=r"alone.png: would get the same name as .*alone.jpg; rename one"):
        run("custom", root, tmp_path / "out", name="mine", format="yolo")
    mot_sequence(tmp_path / "other/images", "1,1,10,5,20,40,1,1,1")
    with pytest.raises(DataError, match="call it something else"):
        run("custom", tmp_path / "other", tmp_path / "out", name="other", format="mot")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "mine"}, "format is missing: .*format=mot, coco_video, yolo"),
        ({"name": "a/b", "format": "mot"}, "name=a/b: call the data set something of letters"),
        ({"format": "mot"}, "name=: call the data set"),
        ({"name": "a", "format": "mot", "annotations": {"train": "x"}}, "annotations is for format=coco_video"),
        ({"name": "a", "format": "mot", "classes": ["x", "x"]}, "classes=.*twice"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        prepare_config("custom", tmp_path, tmp_path, **settings)


def test_the_documented_command_prepares_coco_video(tmp_path: Path) -> None:
    root = tiny.coco(tmp_path / "annotated")
    (root / "annotations/train.json").rename(root / "annotations/instances_train.json")
    words = ("dataset=custom", "format=coco_video", "name=mine", "root=annotated", "output=data")
    words += ("+annotations.train=annotations/instances_train.json", "classes=[person]")
    command = [sys.executable, "-m", "fairmot.prepare", *words]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mine.train: 4 images" in done.stdout
    assert json.loads((tmp_path / "data/mine.manifest.json").read_text())["classes"] == ["person"]


@pytest.mark.parity
@pytest.mark.parametrize(
    ("folder", "settings", "totals"),
    [
        ("MOT15", {"sequences": ["TUD-Campus", "TUD-Stadtmitte"]}, {"images": 250, "boxes": 1515, "identities": 18}),
        ("MOT17-mini", {"classes": ["1"]}, {"images": 39, "boxes": 814, "identities": 137}),
    ],
)
def test_real_sequences_as_data_of_ones_own(
    folder: str, settings: dict[str, object], totals: dict[str, int], tmp_path: Path
) -> None:
    root = SHARED / "data" / folder
    if not root.is_dir():
        pytest.skip(f"not there: {root}; see FAIRMOT_SHARED")
    config = prepare_config("custom", root, tmp_path, name="mine", format="mot", link=False, **settings)
    assert DATA_SETS["custom"](config)[0]["totals"] == totals


def test_ids_may_be_of_any_size_and_classes_may_not(tmp_path: Path) -> None:
    row = "1,{},10,5,20,40,1,{},1"
    mot_sequence(tmp_path / "mine/gate", row.format(2**30, 1), frames=1)
    run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="mot")
    assert labels(tmp_path / "out", "mine") == {"train/gate/img1/000001": [[0, 0, *A_BOX]]}
    write(tmp_path / "mine/gate/gt/gt.txt", row.format(1, 2**30))
    with pytest.raises(DataError, match=r"gt.txt:1: class 1073741824 is more than 10000 classes could need"):
        run("custom", tmp_path / "mine", tmp_path / "out2", name="mine", format="mot")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("0 0.5 0.5 0.2 0.4 1", "0 0.2 0.5 0.2 0.4 1"), r"f1.txt:2: id 1 appears twice in this image; .*confidence"),
        (("0 0.5 0.5 0.2 0.4 1.000000",), r"f1.txt:1: id 1.000000, as of all boxes; .*confidence"),
        (("0 0.5 0.5 0.2 0.4 0.93",), r"f1.txt:1: id 0.93 must be an integer.*confidence"),
    ],
)
def test_confidences_of_yolo_are_no_ids(rows: tuple[str, ...], message: str, tmp_path: Path) -> None:
    draw(tmp_path / "mine/images/train/cam/f1.jpg")
    write(tmp_path / "mine/labels/train/cam/f1.txt", *rows)
    with pytest.raises(DataError, match=message):
        run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="yolo")


def test_folders_that_yolo_leaves_out_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tiny.yolo(tmp_path / "mine")
    draw(root / "frames/day/1.jpg")
    draw(root / ".cache/1.jpg")
    run("custom", root, tmp_path / "out", name="mine", format="yolo")
    assert {message.partition(": images")[0] for message in caplog.messages} == {f"left out: {root / 'frames/day'}"}


def test_ids_of_yolo_may_be_written_with_decimals(tmp_path: Path) -> None:
    draw(tmp_path / "mine/images/train/cam/f1.jpg")
    write(tmp_path / "mine/labels/train/cam/f1.txt", "0 0.5 0.5 0.2 0.4 1.0", "0 0.2 0.5 0.2 0.4 2.0")
    run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="yolo")
    assert [row[1] for row in labels(tmp_path / "out", "mine")["train/cam/img1/000001"]] == [0, 1]


def test_coco_with_backslashes_and_texts_for_ids_among_the_attributes(tmp_path: Path) -> None:
    run("custom", tiny.coco_of_images(tmp_path / "mine"), tmp_path / "out", name="mine", format="coco_video")
    assert labels(tmp_path / "out", "mine") == {
        "train/cam/1": [[0, 0, *A_BOX], [0, 1, *ANOTHER]],
        "train/cam/2": [[0, 0, *A_BOX]],
    }


def test_coco_whose_images_are_called_by_texts(tmp_path: Path) -> None:
    root = tiny.coco_of_images(tmp_path / "mine")
    path = root / "annotations/train.json"
    content = json.loads(path.read_text())
    content["images"][1]["id"] = content["annotations"][2]["image_id"] = "b"
    path.write_text(json.dumps(content))
    run("custom", root, tmp_path / "out", name="mine", format="coco_video")
    assert len(labels(tmp_path / "out", "mine")["train/cam/2"]) == 1


def test_an_identity_twice_in_an_image_is_refused(tmp_path: Path) -> None:
    root = tiny.coco_of_images(tmp_path / "mine")
    path = root / "annotations/train.json"
    path.write_text(path.read_text().replace("right", "left"))
    with pytest.raises(DataError, match=r"annotations\[1\]: id .* appears twice in one image, first at .*\[0\]"):
        run("custom", root, tmp_path / "out", name="mine", format="coco_video")


def test_mot_truth_of_others(tmp_path: Path) -> None:
    """Class -1 is no class, id -1 no identity; a byte order mark, tabs and a header are no harm; flags 0 are named."""
    rows = (
        "\ufeffframe\tid\tx\ty\tw\th\tflag\tclass\tvis",
        "1\t7\t10\t5\t20\t40\t1\t-1\t1",
        "1\t-1\t50\t5\t20\t40\t1\t-1\t1",
    )
    mot_sequence(tmp_path / "mine/train/gate", *rows, frames=1)
    mot_sequence(tmp_path / "mine/train/door", "1,1,10,5,20,40,0,1,1", frames=1)
    manifest = run("custom", tmp_path / "mine", tmp_path / "out", name="mine", format="mot")
    assert labels(tmp_path / "out", "mine") == {
        "train/door/img1/000001": [],
        "train/gate/img1/000001": [[0, -1, *ANOTHER], [0, 0, *A_BOX]],
    }
    text = summary(manifest)
    assert "door: not one of the 1 rows of gt.txt counts (1 have flag 0): nothing is trained on" in text
    assert "gate: 1 boxes have no identity (id -1): they train detection alone" in text
    sequences, _ = find_ground_truth(tmp_path / "out/mine/images/train")
    assert {one.name: len(one.counted()) for one in sequences} == {"door": 0, "gate": 1}
    assert (tmp_path / "out/mine/images/train/gate/gt/gt.txt").read_text().startswith("1,7,10,5,20,40,1,-1,-1,-1\n")
    write(tmp_path / "mine/labels.txt", "person", "cart")
    with pytest.raises(DataError, match="gate/gt/gt.txt: no row says its class, but 2 classes are named"):
        run("custom", tmp_path / "mine", tmp_path / "out2", name="mine", format="mot")


def test_one_sequence_as_cvat_zips_it(tmp_path: Path) -> None:
    for frame in range(2):
        draw(tmp_path / f"gate/img1/frame_{frame:06d}.PNG")
    write(tmp_path / "gate/gt/gt.txt", "1,1,10,5,20,40,1,1,1.0", "2,1,50,5,20,40,1,1,1.0")
    write(tmp_path / "gate/gt/labels.txt", "person")
    manifest = run("custom", tmp_path / "gate", tmp_path / "out", name="mine", format="mot")
    assert labels(tmp_path / "out", "mine") == {
        "train/gate/img1/000001": [[0, 0, *A_BOX]],
        "train/gate/img1/000002": [[0, 0, *ANOTHER]],
    }
    assert "gate: frame_000000.PNG to frame_000001.PNG are frames 1 to 2" in summary(manifest)
