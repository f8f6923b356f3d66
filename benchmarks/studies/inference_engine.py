"""Seconds a frame of `fairmot.track` by ONNX Runtime and by MindSpore, and what the one export costs.

    python -m benchmarks.studies.inference_engine [model=dla_34] [size=608x1088] [frames=6] [rounds=3]

Random weights and a drawn street of 1080p, read, tracked and written as text. Every run is the real command in a
process of its own, and the engines take turns, so that other load meets both. Seconds a frame are those that the
command says, without loading and compiling; the other columns are of the whole command. Load hardly moves processor
time.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.inference import write_weights
from benchmarks.measuring import options, run, size_hw
from fairmot.data.synthetic.scene import make_scene, render
from fairmot.media.video_writer import VideoWriter

ENGINES = ("mindspore", "onnx")
HEAD = "{:<20}{:>10}{:>16}{:>16}"
ROW = "{:<20}{:>10.3f}{:>16.1f}{:>16.1f}"


def write_video(path: Path, frames: int) -> None:
    scene = make_scene(np.random.default_rng(0), 1080, 1920, walkers=10, duration_s=frames / 25)
    with VideoWriter(path, 25.0, (1080, 1920)) as writer:
        for number in range(frames):
            writer.write(render(scene, 1080, 1920, time_s=number / 25)[0])


def track(folder: Path, engine: str) -> tuple[float, float, float]:
    """Seconds a frame, seconds of the whole command, and processor seconds of it, all threads."""
    words = [f"source={folder / 'street.mp4'}", f"checkpoint={folder / 'weights.safetensors'}", f"engine={engine}"]
    words += [f"output={folder / 'out'}", "video=false", "overwrite=true", "device=cpu"]
    ran = run([sys.executable, "-m", "fairmot.track", *words])
    said = next(line for line in ran.lines if line.startswith("overlapped"))
    return float(said.split()[1]) / 1e3, ran.moments_s[-1], ran.worked_s[-1]


def main() -> None:
    given = options(__doc__, model="dla_34", size="608x1088", frames="6", rounds="3")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_weights(folder / "weights.safetensors", given["model"], size_hw(given["size"]))
        write_video(folder / "street.mp4", int(given["frames"]))
        print(f"{given['model']} at {given['size']}, {given['frames']} frames")
        print(HEAD.format("", "s/frame", "to the end, s", "processor, s"), flush=True)
        print(ROW.format("onnx, exports", *track(folder, "onnx")), flush=True)
        rounds = []
        for number in range(int(given["rounds"])):
            order = ENGINES if number % 2 else ENGINES[::-1]
            taken = {engine: track(folder, engine) for engine in order}
            rounds.append([taken[engine] for engine in ENGINES])
            for engine in ENGINES:
                print(ROW.format(engine, *taken[engine]), flush=True)
    medians = np.median(rounds, axis=0)
    for engine, values in zip(ENGINES, medians, strict=True):
        print(ROW.format(f"{engine}, median", *values))
    ratios = np.median([np.divide(theirs, ours) for theirs, ours in rounds], axis=0)
    print(ROW.format("mindspore / onnx", *ratios))


if __name__ == "__main__":
    main()
