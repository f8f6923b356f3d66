"""What a frame costs the original's demo, from the video to annotated pictures, network and all, on the CPU.

    <python with torch, OpenCV, SciPy, matplotlib and lap> benchmarks/original/pipeline.py original=<its repository>
        video=<file> weights=<.pth> folder=<for the results> [frames=12] [size=608x1088] [threads=2]

It is what its src/demo.py calls: `eval_seq` over `LoadVideo`, with its own tracker and drawing, which writes a JPEG a
frame. The ffmpeg that joins them to a video afterwards is left out, which favours it. Prints one line of JSON: the
times from the third frame's reading on. What is absent or not needed (DCNv2, motmetrics, torchvision) is replaced by
empty modules, cython_bbox by NumPy.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

sys.path[0] = str(Path(__file__).parents[2])  # in place of this folder, whose tracker.py would hide the original's
from benchmarks.original.step import DOWN_RATIO, load  # noqa: E402
from benchmarks.original.tracker import Absent, overlaps  # noqa: E402

WARM_UP = 2


def prepare_imports() -> None:
    np.float = float  # type: ignore[attr-defined]  # the alias that NumPy dropped
    for name in ("cython_bbox", "motmetrics", "opts", "torchvision", "torchvision.transforms", "torchvision.ops"):
        sys.modules[name] = Absent(name)
    sys.modules["cython_bbox"].bbox_overlaps = overlaps  # type: ignore[attr-defined]
    sys.modules["models.model"] = Absent("models.model")
    sys.modules["_init_paths"] = Absent("_init_paths")


def track(given: dict[str, str]) -> dict[str, float | int]:
    network = load(Path(given["original"]))
    prepare_imports()
    sys.path.insert(0, str(Path(given["original"]) / "src"))
    model = sys.modules["models.model"]
    model.create_model = lambda *_: network  # type: ignore[attr-defined]
    model.load_model = _loaded  # type: ignore[attr-defined]
    from datasets.dataset.jde import LoadVideo  # noqa: PLC0415
    from track import eval_seq  # noqa: PLC0415

    height, width = map(int, given["size"].split("x"))
    video = LoadVideo(given["video"], (width, height))
    options = SimpleNamespace(
        gpus=[-1], arch="", heads={}, head_conv=256, load_model=given["weights"], conf_thres=0.4, track_buffer=30,
        K=500, mean=[0.408, 0.447, 0.470], std=[0.289, 0.274, 0.278], reg_offset=True, ltrb=True,
        down_ratio=DOWN_RATIO, num_classes=1, min_box_area=100,
    )  # fmt: skip
    began: list[float] = []

    def frames() -> Iterator[Any]:
        for number, frame in enumerate(itertools.islice(video, int(given["frames"]))):
            yield frame
            if number == WARM_UP - 1:  # it is tracked and drawn by now
                began.extend((time.perf_counter(), time.process_time()))

    folder = Path(given["folder"])
    text = folder / "original.txt"
    count, _, _ = eval_seq(
        options, frames(), "mot", str(text), save_dir=str(folder / "original"), show_image=False,
        frame_rate=video.frame_rate, use_cuda=False,
    )  # fmt: skip
    wall_s, worked_s = time.perf_counter() - began[0], time.process_time() - began[1]
    rows = len(text.read_text().splitlines())
    measured = count - WARM_UP
    return {"frame_s": wall_s / measured, "processor_s": worked_s / measured, "boxes": rows / count}


def _loaded(network: torch.nn.Module, path: str) -> torch.nn.Module:
    network.load_state_dict(torch.load(path, map_location="cpu")["state_dict"])
    return network


def main() -> None:
    defaults = {"frames": "12", "size": "608x1088", "threads": "2"}
    given = defaults | dict(word.split("=", 1) for word in sys.argv[1:])
    torch.set_num_threads(int(given["threads"]))
    print(json.dumps(track(given)))


if __name__ == "__main__":
    main()
