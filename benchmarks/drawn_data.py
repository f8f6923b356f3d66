"""Training data of noise for the benchmarks: any size of picture, any number of boxes and identities."""

from pathlib import Path

import cv2
import numpy as np

from fairmot.data.labels import format_labels

LISTS = {"measured": "measured.train"}


def draw(height: int, width: int, seed: int) -> bytes:
    """A JPEG of noise of all scales: compressed about as large as a frame of a surveillance camera."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 120, np.float32)
    for level in range(2, 11):
        cells = rng.standard_normal((2**level, 2**level, 3), np.float32) * (300 / 2**level)
        picture += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, 90))[1].tobytes()


def write_data(root: Path, contents: list[bytes], boxes: int, identities: int) -> None:
    """Images, labels and a list of them below `root`.

    Args:
        root: new or empty.
        contents: JPEG files.
        boxes: in every picture.
        identities: the largest one is in the first picture, the others are drawn.
    """
    rng = np.random.default_rng(0)
    for folder in ("images", "labels_with_ids"):
        (root / folder).mkdir(parents=True)
    for number, content in enumerate(contents):
        (root / f"images/{number:04d}.jpg").write_bytes(content)
        ids = rng.choice(identities, boxes, replace=boxes > identities)
        ids[0] = ids[0] if number else identities - 1
        sizes = rng.uniform(0.02, 0.2, (boxes, 1)) * (0.4, 1)
        rows = np.concatenate([np.zeros((boxes, 1)), ids[:, None], rng.random((boxes, 2)), sizes], axis=1)
        (root / f"labels_with_ids/{number:04d}.txt").write_text(format_labels(rows))
    (root / LISTS["measured"]).write_text("".join(f"images/{number:04d}.jpg\n" for number in range(len(contents))))
