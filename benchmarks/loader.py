"""Samples a second that one core prepares, the memory that takes, and what a second core adds.

    taskset -c 0 python -m benchmarks.loader [frames=<folder of pictures>,...] [cases=all] [workers=1] [seconds=6]
                                             [pictures=32] [original=<the original's repository>] [output=loader.json]
    python -m benchmarks.loader cases=fast-loader,fast-engine workers=1,2

Without frames= it draws JPEG pictures of 1920x1080 and 640x480; each picture has 25 boxes. Every case runs in a process
of its own for some seconds. Rates are per second of CPU, so that other work on the machine counts little; rates per
second on the wall, which count with several workers and want idle cores, and peak memory are among the details. The
original's chain (ifzhang/FairMOT) is measured beside ours when the path of a checkout is given; where PyTorch is not
installed its ToTensor is NumPy's here. About 2 minutes, all cases 5.
"""

import importlib
import json
import os
import re
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.drawn_data import LISTS, draw, write_data
from benchmarks.measuring import options, run_again
from benchmarks.original.tracker import Absent
from benchmarks.report import Part, Row, progress, publish
from fairmot.data.dataset import Augmentation, DataConfig, JointDataset
from fairmot.data.index import build_index
from fairmot.data.pack_writer import write_pack
from fairmot.data.packed import open_images, open_index
from fairmot.media.picture import read_content

WARM_UP = 24
BOXES = 25
BATCH = 4
MINDRECORD_COPIES = 16
SIZES_HW = {"1920x1080": (1080, 1920), "640x480": (480, 640)}
CASES = ("original", "none", "reference", "fast", "fast-loader")
MORE_CASES = (
    "fast-packed", "fast-mosaic", "fast-engine", "fast-handed", "read-files", "read-pack", "read-mindrecord",
)  # fmt: skip
"""fast-packed: from a pack; fast-mosaic: every sample is one; fast-loader: batches, as training takes them;
fast-engine: the data engine puts samples together to batches; fast-handed: one batch, made beforehand, handed over by
the engine again and again, which is what the engine by itself costs; read-*: the bytes of the images alone."""


def make_dataset(root: Path, augmentation: Augmentation, packed: bool = False, mosaic: float = 0.0) -> JointDataset:
    config = DataConfig(root=str(root), train=LISTS, augmentation=augmentation, max_objects=500)
    config.packed = str(root / "pack") if packed else None
    config.transforms.mosaic_probability = mosaic
    index = open_index(config.packed, config.root, config.train, None, progress=False)
    return JointDataset(index, config, seed=1, ltrb=True, down_ratio=4, msra=False)


def endless(dataset: JointDataset) -> Iterator[object]:
    epoch = 0
    while True:
        view = dataset.at_epoch(epoch)
        yield from (view[i] for i in range(len(view)))
        epoch += 1


def through_loader(dataset: JointDataset, workers: int) -> Iterator[object]:
    from fairmot.data.loader import TrainLoader  # noqa: PLC0415

    loader = TrainLoader(dataset, batch_size=BATCH, rank=0, world_size=1, seed=1, workers=workers)
    epoch = 0
    while True:
        for batch in loader.epoch(epoch):
            yield from (batch for _ in range(BATCH))
        epoch += 1


def through_data_engine(dataset: JointDataset, workers: int) -> Iterator[object]:
    """The same samples with rows of one sample, which the data engine puts together."""
    import mindspore.dataset as ds  # noqa: PLC0415

    from fairmot.data.dataset import COLUMNS  # noqa: PLC0415

    ds.config.set_prefetch_size(BATCH)
    epoch = 0
    while True:
        source = ds.GeneratorDataset(
            dataset.at_epoch(epoch), list(COLUMNS), num_parallel_workers=workers, python_multiprocessing=False
        )
        for batch in source.batch(BATCH, drop_remainder=True).create_tuple_iterator(num_epochs=1):
            yield from (batch for _ in range(BATCH))
        epoch += 1


def handed_over(dataset: JointDataset) -> Iterator[object]:
    """One and the same batch, as the loader gives its batches to the engine."""
    import mindspore.dataset as ds  # noqa: PLC0415

    from fairmot.data.dataset import COLUMNS  # noqa: PLC0415

    columns = dataset.empty_columns(BATCH)
    for row in range(BATCH):
        dataset.write(row, columns, row)
    for batch in ds.GeneratorDataset(lambda: repeat(columns), list(COLUMNS)).create_tuple_iterator(num_epochs=1):
        yield from (batch for _ in range(BATCH))


def through_original(root: Path, checkout: Path) -> Iterator[object]:
    """The original's training samples, by its own code at `checkout`."""
    sys.path.insert(0, str(checkout / "src" / "lib"))
    for name in ("torch", "torch.utils", "torch.utils.data", "torchvision", "torchvision.transforms", "cython_bbox"):
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = Absent(name)
    sys.modules["opts"] = Absent("opts")
    jde = importlib.import_module("datasets.dataset.jde")
    options = Namespace(K=500, down_ratio=4, ltrb=True, mse_loss=False)
    lists = {"measured": str(root / LISTS["measured"])}
    dataset = jde.JointDataset(options, str(root), lists, (1088, 608), augment=True, transforms=_to_tensor())
    while True:
        yield from (dataset[i] for i in range(dataset.nF))


def _to_tensor() -> Callable[[np.ndarray], Any]:
    if isinstance(sys.modules["torchvision"], Absent):
        return lambda image: np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / 255
    return importlib.import_module("torchvision.transforms").ToTensor()


def reading(root: Path, case: str) -> Iterator[object]:
    """The bytes of the images alone, in a random order."""
    index = build_index(str(root), LISTS, progress=False)
    order = np.random.default_rng(0)
    if case == "read-mindrecord":
        import mindspore.dataset as ds  # noqa: PLC0415
        from mindspore.mindrecord import FileWriter  # noqa: PLC0415

        path = str(root / "images.mindrecord")
        writer = FileWriter(path, 1, overwrite=True)
        writer.add_schema({"data": {"type": "bytes"}}, "images")
        for _ in range(MINDRECORD_COPIES):  # a new order costs a new iterator, which small data would be dominated by
            writer.write_raw_data([{"data": read_content(index.image_path(i))} for i in range(len(index))])
        writer.commit()
        while True:
            chosen = order.permutation(len(index) * MINDRECORD_COPIES).tolist()
            records = ds.MindDataset(path, ["data"], num_parallel_workers=1, sampler=ds.SubsetSampler(chosen))
            yield from records.create_tuple_iterator(num_epochs=1, output_numpy=True)
    pack = open_images(str(root / "pack"))
    while True:
        i = int(order.integers(len(index)))
        yield pack.read(i) if case == "read-pack" else read_content(index.image_path(i))


def source_of(case: str, root: Path, original: str, workers: int) -> Iterator[object]:
    if case.startswith("read-"):
        return reading(root, case)
    if case == "original":
        return through_original(root, Path(original))
    mode, _, way = case.partition("-")
    dataset = make_dataset(root, Augmentation(mode), packed=way == "packed", mosaic=float(way == "mosaic"))
    if way == "loader":
        return through_loader(dataset, workers)
    if way == "handed":
        return handed_over(dataset)
    return through_data_engine(dataset, workers) if way == "engine" else endless(dataset)


def peak_mb() -> int:
    """Of this program; getrusage would count what the starting process held before."""
    status = Path("/proc/self/status").read_text()
    return round(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024)


def run_case(case: str, root: Path, original: str, workers: int, seconds: float) -> None:
    """In a process of its own: print one row of results."""
    cv2.setNumThreads(1)
    samples = source_of(case, root, original, workers)
    for _ in range(WARM_UP):
        next(samples)
    taken, began_s, began_cpu_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began_s < seconds:
        next(samples)
        taken += 1
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    row = {
        "case": case,
        "workers": workers,
        "samples_per_cpu_s": taken / cpu_s,
        "samples_per_s": taken / wall_s,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(row), flush=True)
    os._exit(0)  # the data engine's threads would be waited for


def pictures_of(folders: list[str], count: int) -> Iterator[tuple[str, list[bytes]]]:
    for folder in folders:
        paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
        yield folder, [paths[k % len(paths)].read_bytes() for k in range(count)]
    if not folders:
        for name, size_hw in SIZES_HW.items():
            yield name, [draw(*size_hw, seed) for seed in range(count)]


def rows_of(name: str, found: list[dict[str, Any]]) -> list[Row]:
    """The rate of each case, beside the original's where that was measured and does the same work."""
    original = next((row["samples_per_cpu_s"] for row in found if row["case"] == "original"), None)
    rows = []
    for row in found:
        what = f"samples a CPU second, {name}, {row['case']}" + f", {row['workers']} workers" * (row["workers"] > 1)
        reference = ("the original's chain", original)
        if original is None or row["case"] == "original" or row["case"].startswith("read-"):
            reference = ("", None)
        rows.append(Row(what, row["samples_per_cpu_s"], "1/s", *reference))
    return rows


def main() -> None:
    given = options(
        __doc__, frames="", cases=",".join(CASES), workers="1", seconds="6", pictures="32", original="", output="",
        case="", root="",
    )  # fmt: skip
    if given["case"]:
        run_case(given["case"], Path(given["root"]), given["original"], int(given["workers"]), float(given["seconds"]))
    cases = [*CASES, *MORE_CASES] if given["cases"] == "all" else given["cases"].split(",")
    rows, details = [], {}
    for name, contents in pictures_of(list(filter(None, given["frames"].split(","))), int(given["pictures"])):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write_data(root, contents, BOXES, BOXES)
            write_pack(build_index(folder, LISTS, progress=False), root / "pack", 1 << 30, progress=False)
            mean_kb = round(sum(map(len, contents)) / len(contents) / 1e3)
            progress(f"{name}: {len(contents)} pictures of {mean_kb} kB, input 608x1088")
            found = []
            for case in cases if given["original"] else [case for case in cases if case != "original"]:
                for workers in given["workers"].split(","):
                    keys = {"case": case, "root": root, "workers": workers, "seconds": given["seconds"]}
                    found.append(run_again("loader", original=given["original"], **keys).answer())
                    progress(str(found[-1]))
        rows += rows_of(name, found)
        details[name] = {"mean_kb": mean_kb, "rows": found}
    publish(Part(rows, details=details), given["output"])


if __name__ == "__main__":
    main()
