"""Embeddings of boxes that somebody else found, learned in seconds from other frames, without a network.

    python -m benchmarks.studies.box_embeddings data=<MOT15>/train,<MOT17>/train learn=<parts> embed=<parts>
           output=<folder> [score_range=0,100]

Parts are a list such as ETH-Bahnhof:1-500,TUD-Campus:1-71. A box is cut out and described by the colours and edges of
its stripes and blocks (after LOMO: Liao et al., CVPR 2015); linear discriminant analysis on the ground truth of the
parts to learn from makes of that 32 numbers in which people differ most. The boxes of the det.txt files of the parts to
embed, with these numbers, are written as stored detections, one file a sequence. It stands in for the identity branch
of a network: it says what a tracker makes of middling embeddings, nothing of FairMOT's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.linalg import eigh

from benchmarks.measuring import options
from fairmot.boxes import xywh_to_cxcywh
from fairmot.detections.file import ENDING, write_detections
from fairmot.detections.find import find_detections, open_detections
from fairmot.detections.recorder import DetectionRecorder
from fairmot.evaluation.sequences import GroundTruthSequence, find_ground_truth
from fairmot.mot.numbering import number_pictures

CUT_HW = (64, 32)
STRIPES, BLOCKS_HW = 8, (8, 4)
BINS = 12
LENGTH = 32
RIDGE = 0.3
"""Of the mean variance within people, added to all: what keeps the projection from learning these people by heart."""
JITTER = 0.06
"""How far boxes are moved and scaled to learn, as a share of their height: a detector's are not as exact."""
COPIES = 3


class Part(NamedTuple):
    """Frames of a sequence."""

    truth: GroundTruthSequence
    first: int
    last: int

    def pictures(self) -> Iterator[tuple[int, np.ndarray]]:
        """Number and picture of every frame."""
        assert self.truth.folder is not None
        numbered = number_pictures(self.truth.folder)
        for frame, path in zip(numbered.frames.tolist(), numbered.paths, strict=True):
            if self.first <= frame <= self.last:
                yield frame, cv2.imread(str(path))


def describe(picture: np.ndarray, box_cxcywh: np.ndarray) -> np.ndarray:
    """Colours of stripes and directions of edges in blocks, square roots of shares: float64 [D]."""
    height, width = CUT_HW
    scale = height / box_cxcywh[3]  # half as wide as high, whatever the box's width
    shift = np.array([width, height]) / 2 - scale * box_cxcywh[:2]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    cut = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    hue, saturation, value = np.moveaxis(cv2.cvtColor(cut, cv2.COLOR_BGR2HSV).astype(np.float64), 2, 0)
    towards_middle = np.exp(-(((np.arange(width) + 0.5) / width - 0.5) ** 2) / 0.08)
    weights = np.tile(towards_middle, (height, 1))
    stripe = np.repeat(np.arange(STRIPES), height // STRIPES)[:, None] + np.zeros((1, width), int)
    kinds = ((hue / 180, weights * saturation / 255), (saturation / 256, weights), (value / 256, weights))
    parts = [_shares(stripe, STRIPES, values, masses) for values, masses in kinds]
    grey = value.astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1)
    columns = np.repeat(np.arange(BLOCKS_HW[1]), width // BLOCKS_HW[1])
    block = np.repeat(np.arange(BLOCKS_HW[0]), height // BLOCKS_HW[0])[:, None] * BLOCKS_HW[1] + columns
    directions = (np.arctan2(down, across) / np.pi) % 1
    parts.append(0.5 * _shares(block, BLOCKS_HW[0] * BLOCKS_HW[1], directions, np.hypot(across, down)))
    return np.concatenate(parts)


def _shares(place: np.ndarray, places: int, values: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Histograms of values from 0 to 1, one a place, as square roots of shares."""
    bins = place * BINS + np.minimum((values * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins.ravel(), masses.ravel(), places * BINS).reshape(places, BINS)
    return np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)).ravel()


def learn(parts: list[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and projection [D, LENGTH] that set the people of these parts furthest apart (Fisher, 1936)."""
    rng, described, people = np.random.default_rng(0), [], []
    for part in parts:
        truth = part.truth.counted()
        for frame, picture in part.pictures():
            here = truth.select(truth.frames == frame)
            for identity, box in zip(here.ids.tolist(), xywh_to_cxcywh(here.boxes_xywh), strict=True):
                for _ in range(COPIES):
                    moved = box.copy()
                    moved[:2] += JITTER * box[3] * rng.uniform(-1, 1, 2)
                    moved[3] *= 1 + 2 * JITTER * rng.uniform(-1, 1)
                    described.append(describe(picture, moved))
                    people.append(f"{part.truth.name} {identity}")
    rows, (names, person) = np.array(described), np.unique(people, return_inverse=True)
    counts = np.bincount(person)
    means = np.zeros((len(names), rows.shape[1]))
    np.add.at(means, person, rows)
    means /= counts[:, None]
    within = np.cov((rows - means[person]).T)
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    _, directions = eigh(np.cov(means.T), within)
    print(f"learned from {len(names)} people, {len(rows) // COPIES} boxes")
    return means.mean(axis=0), directions[:, ::-1][:, :LENGTH]


def main() -> None:
    given = options(__doc__, data="", learn="", embed="", output="", score_range="0,100")
    roots, folder = given["data"].split(","), Path(given["output"])
    known = {one.name: (root, one) for root in roots for one in find_ground_truth(Path(root))[0]}

    def parts_of(words: str) -> list[Part]:
        cut = (word.rsplit(":", 1) for word in words.split(","))
        return [Part(known[name][1], *map(int, span.split("-"))) for name, span in cut]

    mean, projection = learn(parts_of(given["learn"]))
    low, high = map(float, given["score_range"].split(","))
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts_of(given["embed"]):
        name = part.truth.name
        found, recorder = open_detections(find_detections(known[name][0], name), (low, high)), DetectionRecorder(0.0)
        for frame, picture in part.pictures():
            here = found.at(frame)
            sides = here.boxes_xyxy[:, 2:] - here.boxes_xyxy[:, :2]
            boxes = np.concatenate([here.boxes_xyxy[:, :2] + sides / 2, sides], axis=1)
            described = np.array([describe(picture, box) for box in boxes]).reshape(len(boxes), len(mean))
            here.embeddings = ((described - mean) @ projection).astype(np.float32)
            recorder.add(frame, None, here)
        write_detections(folder / f"{name}{ENDING}", recorder.finished(name, picture.shape[:2], None, 1))


if __name__ == "__main__":
    main()
