"""The smallest training: eleven random pictures, input 64x96, a network of one convolution."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from fairmot.cli.command import compose
from fairmot.data.labels import format_labels
from train.config import TrainConfig
from train.report.record import read_metrics

LOSSES = ("loss", "hm_loss", "wh_loss", "off_loss", "id_loss", "det_loss", "s_det", "s_id")


def write_pictures(root: Path, count: int = 11, name: str = "small") -> None:
    """Pictures of one to three bright boxes on noise, with labels; list file <name>.train."""
    generator = np.random.default_rng(count)
    images, labels = root / name / "images", root / name / "labels_with_ids"
    images.mkdir(parents=True)
    labels.mkdir()
    for number in range(count):
        picture = generator.integers(0, 90, (72, 108, 3), dtype=np.uint8)
        rows = []
        for identity in generator.permutation(5)[: generator.integers(1, 4)]:
            x, y = generator.uniform(0.2, 0.8, 2)
            rows.append([0, identity, x, y, 0.15, 0.4])
            corner = (int((x - 0.075) * 108), int((y - 0.2) * 72))
            opposite = (int((x + 0.075) * 108), int((y + 0.2) * 72))
            cv2.rectangle(picture, corner, opposite, (40 * int(identity) + 60, 255 - 40 * int(identity), 200), -1)
        cv2.imwrite(str(images / f"{number:03d}.jpg"), picture)
        (labels / f"{number:03d}.txt").write_text(format_labels(np.array(rows, np.float32)))
    (root / f"{name}.train").write_text("".join(f"{name}/images/{number:03d}.jpg\n" for number in range(count)))


def overrides(root: Path, run_dir: Path, **changes: object) -> list[str]:
    """Words of a command line; a keyword `optim__lr` stands for the key optim.lr, `model` for another network."""
    words = {
        "data": "custom",
        "data.root": root,
        "+data.train.small": "small.train",
        "data.input_size": "[64, 96]",
        "data.max_objects": 8,
        "model.name": "one_convolution",
        "model.head_conv": 16,
        "model.reid_dim": 16,
        "batch_size_per_rank": 2,
        "epochs": 2,
        "log_every_steps": 1,
        "save_every_steps": 2,
        "run_dir": run_dir,
        "mlflow.enabled": "false",
    }
    words |= {key.replace("__", "."): value for key, value in changes.items()}
    if "model" in words:
        del words["model.name"]
    return [f"{key}={value}" for key, value in words.items()]


def compose_config(words: list[str]) -> TrainConfig:
    """What `python -m train <words>` would be configured as."""
    return compose(words, TrainConfig, "train")


def command_environment() -> dict[str, str]:
    """Of a command that finds this project, and the network of one convolution (helpers/commands/sitecustomize.py)."""
    helpers = Path(__file__).resolve().parent
    folders = [str(helpers / "commands"), str(helpers), *filter(None, sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def start_training(words: list[str], **options: object) -> subprocess.Popen:
    """`python -m train <words>` as a process of its own."""
    command = [sys.executable, "-m", "train", *words]
    return subprocess.Popen(
        command, env=command_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def run_training(words: list[str], **options: object) -> tuple[int, str]:
    """Exit code and output of `python -m train <words>`."""
    process = start_training(words, **options)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def curves(run_dir: Path) -> dict[str, dict[int, float]]:
    """Loss curves as recorded, without timings."""
    metrics = read_metrics(run_dir)
    return {
        name: dict(metrics[name]) for name in (*LOSSES, *(f"epoch/{loss}" for loss in LOSSES[:6])) if name in metrics
    }
