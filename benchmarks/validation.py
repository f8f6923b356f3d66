"""What there is to look at during a training costs beside what is done anyway, and what ONNX Runtime saves of that.

    python -m benchmarks.validation [frames=10] [quick=true] [output=validation.json]

DLA-34 with the plain neck at 608x1088, random weights, fp32, on one drawn sequence of 1920x1080. The pictures of four
training images are drawn by the graph that the validation has compiled and by a new one, as where nobody validates;
each twice in turn, the shorter time counts. About 3 minutes on two cores.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import FULL, QUICK, options
from benchmarks.report import Part, Row, publish
from fairmot.cli.command import compose
from fairmot.data.dataset import Augmentation
from fairmot.data.index import build_index
from fairmot.data.synthetic.generate import generate
from fairmot.export.live import LiveExport
from fairmot.inference.network import NetworkDetector, TrainedNetwork
from fairmot.inference.scoring import frames_of
from fairmot.model.network import build_network
from train.build import build_dataset
from train.config import TrainConfig
from train.distributed import World
from train.report.pictures import NetworkPictures
from train.validate import Validator, find_validation_sequences
from train.validation_video import ValidationVideo


def timed(work: Callable[[], Any]) -> float:
    """Seconds."""
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def configured(folder: str, frames: int, quick: bool) -> TrainConfig:
    """A training on synthetic data that validates on one sequence."""
    size, model = ("64,96", QUICK["model"]) if quick else ("608,1088", FULL["model"])
    drawn = {"train_sequences": 1, "frames_per_sequence": frames, "height": 1080, "width": 1920, "walkers": 20}
    words = [f"data.synthetic.{key}={value}" for key, value in drawn.items()]
    words += [f"data.root={folder}", f"data.input_size=[{size}]", f"model={model}", "tracker.conf_thres=0.3"]
    return compose([*words, "data=synthetic"], TrainConfig, "train")


def measure(config: TrainConfig, folder: Path) -> dict[str, float]:
    """Seconds of each thing."""
    assert config.data.synthetic is not None
    generate(config.data.root, config.data.synthetic)
    network = build_network(config.model, seed=0)
    height, width = config.data.input_size
    samples = build_dataset(config, build_index(config.data.root, config.data.train, None), Augmentation.none)
    sequences = find_validation_sequences(config.data)
    shared = NetworkDetector(network, (height, width))
    validator = Validator(lambda: shared, sequences, config.tracker, World(), folder)
    found = {"first_validation": timed(lambda: validator.run(1)), "validation": timed(lambda: validator.run(2))}
    frames = list(frames_of(sequences[0].sequence))
    live = LiveExport(TrainedNetwork(network, config.model, (height, width), config.data.num_classes), shared)
    found["export"], found["new_weights"] = timed(live.open), timed(live.open)
    by_onnx = Validator(live.open, sequences, config.tracker, World(), folder)
    found["validation_by_onnx"] = timed(lambda: by_onnx.run(3)) - found["new_weights"]
    found["video"] = min(timed(lambda: film(frames, folder / "video.mp4")) for _ in range(2))
    for name in ("own", "shared") * 2:
        detector = shared if name == "shared" else NetworkDetector(network, (height, width))
        pictures = NetworkPictures(detector, samples, config.tracker.conf_thres, folder)
        found[name] = min(found.get(name, float("inf")), timed(lambda: pictures.draw(1)))  # noqa: B023 (called at once)
    return found


def film(frames: list[np.ndarray], path: Path) -> None:
    """All of them into one video."""
    with ValidationVideo(path, 30, len(frames)) as video:
        for frame in frames:
            video.add(frame)


def main() -> None:
    given = options(__doc__, frames="10", quick="", output="")
    frames = int(given["frames"])
    with tempfile.TemporaryDirectory() as folder:
        found = measure(configured(f"{folder}/data", frames, given["quick"] == "true"), Path(folder) / "validation")
    video_ms, frame_ms, by_onnx_ms = (
        found[name] / frames * 1e3 for name in ("video", "validation", "validation_by_onnx")
    )
    rows = [
        Row("a frame by ONNX Runtime", by_onnx_ms, "ms", "by MindSpore", frame_ms),
        Row("exporting the network, once", found["export"], "s", "a frame by MindSpore", frame_ms / 1e3),
        Row("its new weights, each time", found["new_weights"], "s", "a frame by MindSpore", frame_ms / 1e3),
        Row("a frame into the video", video_ms, "ms", "validating it", frame_ms, most_ratio=0.05),
        Row("pictures of the network after a validation", found["shared"], "s", "before any", found["own"]),
    ]
    publish(Part(rows, details=found), given["output"])


if __name__ == "__main__":
    main()
