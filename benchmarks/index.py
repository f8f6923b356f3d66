"""How long the labels of 60,000 images take to open: the first time, every later time, and without an index.

    python -m benchmarks.index [folder=<where to draw>] [share=1] [output=index.json]

Draws the label files (in sequences of 1000 and two folders of 15,000, like a mix of videos and single pictures), then
opens them with `build_index`: without its cache, with it, and with it after one edit. Against that stands what the
original does at every start: `numpy.loadtxt` of every file. The operating system has all files in memory in every
case, so only the program's own work and its system calls are compared; on shared storage every file costs a round
trip more, which only the warm start avoids. With `folder` the files are drawn there (to measure a file system) and
stay; otherwise in a temporary folder. `share` draws only that part of them. About a minute.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measuring import options
from benchmarks.report import Part, Row, publish
from fairmot.data.index import LabelIndex, build_index
from fairmot.data.labels import format_labels, label_path_for

FOLDERS = {f"video/images/train/{number:02d}/img1": 1000 for number in range(30)} | {
    "pictures/images/train": 15_000,
    "pictures/images/more": 15_000,
}
BOXES_A_FILE, WARM_STARTS = 20, 5
LOADTXT = "numpy.loadtxt of every file"
LISTS = {"video": "video.train", "pictures": "pictures.train"}


def draw_labels(root: Path, share: float) -> list[str]:
    """Label files, an image of one byte beside each, and the lists; returns the label files."""
    rng = np.random.default_rng(0)
    lists: dict[str, list[str]] = {name: [] for name in LISTS}
    for folder, whole in FOLDERS.items():
        count = max(1, round(share * whole))
        name = folder.split("/")[0]
        images = [f"{folder}/{number:06d}.jpg" for number in range(1, count + 1)]
        lists[name] += images
        (root / folder).mkdir(parents=True)
        (root / label_path_for(f"{folder}/x.jpg")).parent.mkdir(parents=True)
        for image, boxes in zip(images, rng.poisson(BOXES_A_FILE, count), strict=True):
            (root / image).write_bytes(b"x")
            columns = [np.zeros(boxes), rng.integers(0, 5000, boxes), *rng.uniform(0.1, 0.9, (2, boxes))]
            columns += [*rng.uniform(0.01, 0.1, (2, boxes))]
            (root / label_path_for(image)).write_text(format_labels(np.stack(columns, axis=1)))
    for name, images in lists.items():
        (root / LISTS[name]).write_text("".join(f"{image}\n" for image in images))
    return [str(root / label_path_for(image)) for images in lists.values() for image in images]


def timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(root: Path, label_files: list[str]) -> dict[str, float]:
    def start() -> LabelIndex:
        return build_index(str(root), LISTS, str(root / "cache"), progress=False)

    cold_s, cold = timed(start)
    warm = [timed(start) for _ in range(WARM_STARTS)]
    with open(label_files[-1], "a") as stream:
        stream.write("0 1 0.5 0.5 0.1 0.1\n")
    edited_s, edited = timed(start)
    loadtxt_s, by_loadtxt = timed(lambda: [np.loadtxt(path, np.float32).reshape(-1, 6) for path in label_files])
    assert isinstance(cold, LabelIndex) and isinstance(edited, LabelIndex)
    assert all(isinstance(index, LabelIndex) and index.digest == cold.digest for _, index in warm)
    assert len(edited.rows) == len(cold.rows) + 1
    assert np.array_equal(np.concatenate(by_loadtxt), edited.rows), "loadtxt reads something else"  # type: ignore[arg-type]
    return {
        "cold": cold_s,
        "warm, median": statistics.median(seconds for seconds, _ in warm),
        "warm, slowest": max(seconds for seconds, _ in warm),
        "warm, one file edited": edited_s,
        LOADTXT: loadtxt_s,
    }


def main() -> None:
    given = options(__doc__, folder="", share="1", output="")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(given["folder"] or temporary) / "index-benchmark"
        label_files = draw_labels(root, float(given["share"]))
        os.sync()
        time.sleep(3)  # files of the last two seconds are not trusted to stay as they are
        seconds = measure(root, label_files)
        size_mb = sum(file.stat().st_size for file in (root / "cache").glob("*.npz")) / 1e6
    loadtxt = seconds.pop(LOADTXT)
    rows = [
        Row(f"index of {len(label_files):,} label files, {case}", value, "s", LOADTXT, loadtxt)
        for case, value in seconds.items()
    ]
    publish(
        Part([*rows, Row("cache of the index", size_mb, "MB")], details=seconds | {LOADTXT: loadtxt}), given["output"]
    )


if __name__ == "__main__":
    main()
