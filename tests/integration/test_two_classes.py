"""A narrow network learns to tell people from carts."""

import cv2
import numpy as np
import pytest
from small_run import compose_config

from fairmot.inference.network import NetworkDetector
from fairmot.mot.rows import read_ground_truth
from train.command import train

WORDS = {
    "data": "synthetic",
    "model": "dlaconv_34_narrow",
    "data.num_classes": 2,
    "data.synthetic.classes": 2,
    "data.synthetic.train_sequences": 1,
    "data.synthetic.val_sequences": 0,
    "data.synthetic.frames_per_sequence": 40,
    "data.synthetic.height": 96,
    "data.synthetic.width": 160,
    "data.synthetic.walkers": 4,
    "data.input_size": "[96, 160]",
    "data.max_objects": 8,
    "data.augmentation": "none",
    "model.head_conv": 32,
    "model.reid_dim": 16,
    "batch_size_per_rank": 8,
    "epochs": 14,
    "save_every_steps": 1000,
    "optim.lr": 2.0e-3,
    "optim.schedule": "cosine",
    "optim.clip_norm": 10,
    "loss.fp16_classifier": "false",
    "mlflow.enabled": "false",
}


@pytest.mark.slow
def test_a_trained_network_tells_the_classes_apart(tmp_path):
    """On the frames it was trained on: nearly all that stand free are found, under the right class."""
    words = WORDS | {"data.root": tmp_path, "run_dir": tmp_path / "run"}
    train(compose_config([f"{key}={value}" for key, value in words.items()]))
    detector = NetworkDetector.from_checkpoint(tmp_path / "run")
    assert detector.num_classes == 2
    (sequence,) = tmp_path.glob("synthetic-*/images/train/*")
    truth = read_ground_truth(sequence / "gt" / "gt.txt")
    right, wrong, objects = np.zeros(2, int), np.zeros(2, int), np.zeros(2, int)
    for number in range(1, 41, 3):
        (found,) = detector.detect([cv2.imread(str(sequence / "img1" / f"{number:06d}.jpg"))])
        found = found.select(found.scores > 0.2)
        centres = (found.boxes_xyxy[:, :2] + found.boxes_xyxy[:, 2:]) / 2
        here = truth.select((truth.frames == number) & (truth.visibility > 0.7))
        for box_xywh, class_id in zip(here.boxes_xywh, here.classes - 1, strict=True):
            objects[class_id] += 1
            # By place, not by overlap: the sizes of boxes of two or three cells are learned last.
            off = np.abs(centres - box_xywh[:2] - box_xywh[2:] / 2) / box_xywh[2:]
            if len(found) and off.max(axis=1).min() < 0.25:
                (right if found.classes[off.max(axis=1).argmin()] == class_id else wrong)[class_id] += 1
    assert (objects > 8).all()
    assert (right > 0.8 * objects).all()
    assert (wrong <= 0.1 * objects).all()
