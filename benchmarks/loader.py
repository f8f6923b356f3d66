"""Samples a second that one core prepares, the memory that takes, and what a second core adds.

    taskset -c 0 python -m benchmarks.loader [frames=<folder of pictures>]... [original=<checkout>] [result.json]
    python -m benchmarks.loader scaling [frames=<folder of pictures>]... [result.json]

Without frames= it draws JPEG pictures of 1920x1080 and 640x480; each picture has 25 boxes. Every case runs in a process
of its own for some seconds. Rates are per second of CPU, so that other work on the machine counts little; `scaling`
shows seconds on the wall with one and two workers and wants two idle cores. The original's chain (ifzhang/FairMOT) is
measured beside ours when the path of a checkout is given; where PyTorch is not installed its ToTensor is NumPy's here.
"""

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import types
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fairmot.data.dataset import Augmentation, DataConfig, JointDataset
from fairmot.data.index import build_index
from fairmot.data.labels import format_labels
from fairmot.data.packed import PackedImages, open_index, write_pack
from fairmot.data.picture import read_content
from fairmot.files import write_atomic

SECONDS = 6.0
WARM_UP = 24
PICTURES = 32
BOXES = 25
BATCH = 4
MINDRECORD_COPIES = 16
SIZES_HW = {"1920x1080": (1080, 1920), "640x480": (480, 640)}
LISTS = {"measured": "measured.train"}
ALONE = ("original", "none", "reference", "fast", "fast, packed", "fast, mosaic", "fast, loader", "fast, data engine")
READING = ("read files", "read pack", "read MindRecord")


def draw(height: int, width: int, seed: int) -> np.ndarray:
    """Noise of all scales: compressed by half about as large as a frame of a surveillance camera."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 120, np.float32)
    for level in range(2, 11):
        cells = rng.standard_normal((2**level, 2**level, 3), np.float32) * (300 / 2**level)
        picture += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_data(root: Path, contents: list[bytes]) -> None:
    rng = np.random.default_rng(0)
    for folder in ("images", "labels_with_ids"):
        (root / folder).mkdir(parents=True)
    for number, content in enumerate(contents):
        (root / f"images/{number:04d}.jpg").write_bytes(content)
        sizes = rng.uniform(0.02, 0.2, (BOXES, 1)) * (0.4, 1)
        rows = np.concatenate([np.zeros((BOXES, 1)), np.arange(BOXES)[:, None], rng.random((BOXES, 2)), sizes], axis=1)
        (root / f"labels_with_ids/{number:04d}.txt").write_text(format_labels(rows))
    (root / LISTS["measured"]).write_text("".join(f"images/{number:04d}.jpg\n" for number in range(len(contents))))
    write_pack(build_index(str(root), LISTS, progress=False), root / "pack", 1 << 30, progress=False)


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


def through_original(root: Path, checkout: Path) -> Iterator[object]:
    """The original's training samples, by its own code at `checkout`."""
    sys.path.insert(0, str(checkout / "src" / "lib"))
    for name in ("torch", "torch.utils", "torch.utils.data", "torchvision", "torchvision.transforms", "cython_bbox"):
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = _Absent(name)
    sys.modules["opts"] = _Absent("opts")
    jde = importlib.import_module("datasets.dataset.jde")
    options = Namespace(K=500, down_ratio=4, ltrb=True, mse_loss=False)
    lists = {"measured": str(root / LISTS["measured"])}
    dataset = jde.JointDataset(options, str(root), lists, (1088, 608), augment=True, transforms=_to_tensor())
    while True:
        yield from (dataset[i] for i in range(dataset.nF))


class _Absent(types.ModuleType):
    """Stands for a module that the original imports and its loader does not need."""

    __path__: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def _to_tensor() -> Callable[[np.ndarray], Any]:
    if isinstance(sys.modules["torchvision"], _Absent):
        return lambda image: np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / 255
    return importlib.import_module("torchvision.transforms").ToTensor()


def reading(root: Path, case: str) -> Iterator[object]:
    """The bytes of the images alone, in a random order."""
    index = build_index(str(root), LISTS, progress=False)
    order = np.random.default_rng(0)
    if case == "read MindRecord":
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
    pack = PackedImages(str(root / "pack"))
    while True:
        i = int(order.integers(len(index)))
        yield pack.read(index.image_paths[i]) if case == "read pack" else read_content(index.image_path(i))


def source_of(case: str, root: Path, original: str, workers: int) -> Iterator[object]:
    if case in READING:
        return reading(root, case)
    if case == "original":
        return through_original(root, Path(original))
    mode, _, way = case.partition(", ")
    dataset = make_dataset(root, Augmentation(mode), packed=way == "packed", mosaic=float(way == "mosaic"))
    if way == "loader":
        return through_loader(dataset, workers)
    return through_data_engine(dataset, workers) if way == "data engine" else endless(dataset)


def peak_mb() -> int:
    """Of this program; getrusage would count what the starting process held before."""
    status = Path("/proc/self/status").read_text()
    return round(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024)


def run_case(case: str, root: Path, original: str, workers: int) -> None:
    """In a process of its own: print one row of results."""
    cv2.setNumThreads(1)
    samples = source_of(case, root, original, workers)
    for _ in range(WARM_UP):
        next(samples)
    taken, began_s, began_cpu_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began_s < SECONDS:
        next(samples)
        taken += 1
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    row = {
        "case": case,
        "workers": workers,
        "samples_per_cpu_s": round(taken / cpu_s, 1),
        "samples_per_s": round(taken / wall_s, 1),
        "peak_mb": peak_mb(),
    }
    print("row", json.dumps(row), flush=True)
    os._exit(0)  # the data engine's threads would be waited for


def measure(root: Path, cases: list[tuple[str, int]], original: str) -> list[dict[str, Any]]:
    rows = []
    for case, workers in cases:
        words = [sys.executable, "-m", "benchmarks.loader", "--case", case, str(root), original, str(workers)]
        result = subprocess.run(words, capture_output=True, text=True, check=False)
        lines = [line for line in result.stdout.splitlines() if line.startswith("row ")]
        if not lines:
            sys.exit(f"{case}: {result.stderr}")
        rows.append(json.loads(lines[0].removeprefix("row ")))
        print("".join(f"{value!s:>20}" for value in rows[-1].values()), flush=True)
    return rows


def pictures_of(folders: list[str]) -> Iterator[tuple[str, list[bytes]]]:
    for folder in folders:
        paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
        yield folder, [paths[k % len(paths)].read_bytes() for k in range(PICTURES)]
    if not folders:
        for name, size_hw in SIZES_HW.items():
            drawn = (draw(*size_hw, seed) for seed in range(PICTURES))
            yield (
                name,
                [cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 90))[1].tobytes() for picture in drawn],
            )


def main(words: list[str]) -> None:
    output = Path(words.pop()) if words and words[-1].endswith(".json") else None
    is_scaling = words[:1] == ["scaling"]
    frames = [word.removeprefix("frames=") for word in words if word.startswith("frames=")]
    original = next((word.removeprefix("original=") for word in words if word.startswith("original=")), "")
    if len(words) != is_scaling + len(frames) + bool(original):
        sys.exit(__doc__)
    cases = [(case, 1) for case in (*ALONE, *READING) if case != "original" or original]
    if is_scaling:
        cases = [(case, workers) for case in ("fast, loader", "fast, data engine") for workers in (1, 2)]
    tables = []
    for name, contents in pictures_of(frames):
        with tempfile.TemporaryDirectory() as folder:
            write_data(Path(folder), contents)
            mean_kb = round(sum(map(len, contents)) / len(contents) / 1e3)
            print(f"{name}: {len(contents)} pictures of {mean_kb} kB, input 608x1088")
            print("".join(f"{column:>20}" for column in ("case", "workers", "samples/CPU s", "samples/s", "peak MB")))
            rows = measure(Path(folder), cases, original)
            tables.append({"pictures": name, "mean_kb": mean_kb, "rows": rows})
    result = json.dumps({"processors": os.cpu_count(), "tables": tables}, indent=2)
    if output is None:
        print(result)
    else:
        write_atomic(output, result + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        run_case(sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    main(sys.argv[1:])
