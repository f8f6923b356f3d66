"""What a frame costs from video to tracked and annotated video: ours, the original's demo and ultralytics' `track`.

    python -m benchmarks.studies.pipeline [source=<video>] [frames=12] [small_frames=60] [rounds=2] [batch=1]
        [checkpoint=<of the full network>] [original=<its repository> original_python=<a python with torch>]
        [ultralytics=<a python that has it>] [yolo=yolo11n.yaml] [cases=<some of them>]

DLA-34 with the plain neck at 608x1088 by MindSpore, by ONNX Runtime and by the original, the same weights: random ones,
whose heatmap is shifted so that the video's first frame has 20 boxes of a person's size; and the small network of
fairmot.demo by both engines beside ultralytics' smallest. Every program runs in a process of its own, and they take
turns. A video that is too short is played back and forth; without one a street of 1080p is drawn. A frame's time on the
wall is that of stages which overlap, and their milliseconds are not a sum; processor time is of all threads. Starting,
compiling and exporting are not counted. On a busy machine run it under `taskset -c 0`: threads that wait for one
another count as working (OpenMP's, ONNX Runtime's and MindSpore's look again and again whether there is work), and on
one core there are few.
"""

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from itertools import chain, cycle, islice
from pathlib import Path

import numpy as np

from benchmarks.measuring import options, run, run_again, run_torch
from benchmarks.report import markdown, progress

INPUT_SIZE_HW = (608, 1088)
SIZE = "608x1088"
BOXES = 20
OURS = ("ours, MindSpore", "ours, ONNX Runtime")
CASES = (*OURS, "the original", *(f"small, {case}" for case in OURS), "small, ultralytics")
HALF_BOX_CELLS = (4.0, 10.0, 4.0, 10.0)  # to the left, up, right and down: 32x80 pixels of the input


def write_weights(path: Path, picture: np.ndarray) -> None:
    """Those of a new network that finds BOXES people in the picture, wherever its noise is strongest."""
    from benchmarks.inference import build  # noqa: PLC0415
    from fairmot.cli.command import compose  # noqa: PLC0415
    from fairmot.inference.network import NetworkDetector  # noqa: PLC0415
    from fairmot.weights.weights_file import weights_file  # noqa: PLC0415
    from train.config import TrainConfig  # noqa: PLC0415

    network = build("dlaconv_34")
    state = network.state()
    state["wh.2.bias"].set_data(np_tensor(HALF_BOX_CELLS))
    kernel = np.random.default_rng(0).normal(0, 0.3, state["hm.2.weight"].shape)
    state["hm.2.weight"].set_data(np_tensor(kernel))
    state["hm.2.bias"].set_data(np_tensor([0.0]))
    (found,) = NetworkDetector(network, INPUT_SIZE_HW).detect([picture])
    weakest = float(found.scores[BOXES])
    state["hm.2.bias"].set_data(np_tensor([np.log(0.4 / 0.6) - np.log(weakest / (1 - weakest))]))
    config = asdict(compose(["model=dlaconv_34"], TrainConfig, "train").model)
    manifest = {"model": config, "num_classes": 1, "input_size": list(INPUT_SIZE_HW)}
    path.write_bytes(weights_file({name: one.asnumpy() for name, one in state.items()}, manifest))


def np_tensor(values: object) -> object:
    from mindspore import Tensor  # noqa: PLC0415

    return Tensor(np.asarray(values, np.float32))


def prepare(folder: Path, source: str, checkpoint: str, frames: int) -> None:
    """In a process of its own: video.mp4, full.safetensors and full.pth, small.safetensors."""
    from benchmarks.studies.inference_engine import write_video  # noqa: PLC0415
    from fairmot.convert.command import convert  # noqa: PLC0415
    from fairmot.convert.config import ConvertConfig  # noqa: PLC0415
    from fairmot.demo import CHECKPOINT  # noqa: PLC0415
    from fairmot.media.video import open_source  # noqa: PLC0415
    from fairmot.media.video_writer import VideoWriter  # noqa: PLC0415

    video = folder / "video.mp4"
    if source:
        pictures = [frame.picture for frame in islice(open_source(source).read(), frames)]
        there_and_back = chain(pictures, pictures[-2:0:-1])
        with VideoWriter(video, 25.0, pictures[0].shape[:2]) as writer:
            for picture in islice(cycle(there_and_back), frames):
                writer.write(picture)
    else:
        write_video(video, frames)
    full = folder / "full.safetensors"
    if checkpoint:
        convert(ConvertConfig(source=checkpoint, output=str(full), input_size=list(INPUT_SIZE_HW)))
    else:
        write_weights(full, next(iter(open_source(str(video)).read())).picture)
    convert(ConvertConfig(source=str(full), output=str(folder / "full.pth")))
    shutil.copy(CHECKPOINT, folder / "small.safetensors")  # what is exported is kept beside it


def track_ours(folder: Path, case: str, frames: int, batch: int) -> dict[str, float]:
    """In a process of its own: seconds a frame, processor seconds a frame, boxes a frame, milliseconds of stages."""
    from fairmot.device import Device  # noqa: PLC0415
    from fairmot.inference.config import Engine  # noqa: PLC0415
    from fairmot.track.command import STAGES, track  # noqa: PLC0415
    from fairmot.track.config import TrackConfig  # noqa: PLC0415

    engine = Engine.mindspore if case.endswith(OURS[0]) else Engine.onnx
    checkpoint = folder / ("small.safetensors" if case.startswith("small") else "full.safetensors")
    config = TrackConfig(
        source=str(folder / "video.mp4"), checkpoint=str(checkpoint), output=str(folder / "ours"), overwrite=True,
        max_frames=frames, batch_size=batch, device=Device.cpu, engine=engine,
    )  # fmt: skip
    report = track(config)
    n_frames = report.n_frames
    found = {"frame_s": report.elapsed_s / n_frames, "processor_s": report.processor_s / n_frames}
    found["boxes"] = report.n_boxes / n_frames
    return found | {f"{stage}_ms": report.stage_s[stage] * 1e3 / n_frames for stage in STAGES}


def measure(case: str, folder: Path, given: dict[str, str]) -> dict[str, float] | None:
    """One run of one program; None: it is not there."""
    frames = given["small_frames" if case.startswith("small") else "frames"]
    video, threads = folder / "video.mp4", len(os.sched_getaffinity(0))
    if case == "the original":
        if not given["original"]:
            return None
        keys = {"video": video, "weights": folder / "full.pth", "folder": folder, "frames": frames, "size": SIZE}
        python, keys["threads"] = given["original_python"], threads
        return run_torch(python, "pipeline", original=given["original"], **keys).answer()
    if case == "small, ultralytics":
        if not given["ultralytics"]:
            return None
        script = str(Path(__file__).with_name("pipeline_ultralytics.py"))
        words = [f"model={given['yolo']}", f"video={video}", f"folder={folder}", f"frames={frames}"]
        return run([given["ultralytics"], script, *words, f"threads={threads}"]).answer()
    return run_again("studies.pipeline", case=case, folder=folder, frames=frames, batch=given["batch"]).answer()


def main() -> None:
    given = options(
        __doc__, source="", frames="12", small_frames="60", rounds="2", batch="1", checkpoint="", original="",
        original_python="", ultralytics="", yolo="yolo11n.yaml", cases=";".join(CASES), case="", folder="",
    )  # fmt: skip
    frames, small_frames = int(given["frames"]), int(given["small_frames"])
    if given["case"]:
        print(json.dumps(track_ours(Path(given["folder"]), given["case"], frames, int(given["batch"]))))
        return
    if given["folder"]:
        prepare(Path(given["folder"]), given["source"], given["checkpoint"], max(frames, small_frames))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = {key: given[key] for key in ("source", "checkpoint", "frames", "small_frames")}
        run_again("studies.pipeline", folder=folder, **words)
        found: dict[str, list[dict[str, float]]] = {}
        for _ in range(int(given["rounds"])):
            for case in given["cases"].split(";"):
                if (taken := measure(case, folder, given)) is not None:
                    found.setdefault(case, []).append(taken)
                    progress(f"{case}: {taken}")
    print(markdown(*table(found)))


def table(found: dict[str, list[dict[str, float]]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Medians over the rounds."""
    stages = ("read_ms", "network_ms", "tracker_ms", "write_ms")
    rows = []
    for case, several in found.items():
        medians = {key: float(np.median([one[key] for one in several])) for key in several[0]}
        shown = [f"{medians['boxes']:.1f}", f"{1 / medians['frame_s']:.2f}", f"{medians['processor_s']:.3f}"]
        rows.append((case, *shown, *(f"{medians[stage]:.1f}" if stage in medians else "" for stage in stages)))
    return ("", "boxes a frame", "frames/s", "processor s a frame", *stages), rows


if __name__ == "__main__":
    main()
