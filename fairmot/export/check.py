"""Does an exported graph say what the network it was made of says?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fairmot.data.synthetic.scene import make_scene, render
from fairmot.device import Device
from fairmot.errors import FairMOTError
from fairmot.inference.detector import Detector
from fairmot.inference.exported import open_exported
from fairmot.inference.exported_file import Description
from fairmot.inference.network import NetworkDetector
from fairmot.model.network import FairMOT

TOLERANCE = 1e-4
"""Largest difference of a number, where all numbers of its kind are below 1, else relative to the largest of them."""

_PICTURES = 4
_WALKERS = 6

_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)


@dataclass
class _Objects:
    """What one side finds in one picture, without what the decoder fills up with.

    Attributes:
        numbers: scores [N], boxes_xyxy [N, 4] in cells, embeddings [N, D].
        places: class * cells + cell of each [N].
        is_full: as many as the decoder gives; there may be more.
    """

    numbers: dict[str, np.ndarray]
    places: np.ndarray
    is_full: bool

    @classmethod
    def of(cls, outputs: list[np.ndarray], row: int, cells_of_map: int) -> "_Objects":
        """Those of one picture in a batch's outputs."""
        boxes_xyxy, scores, classes, embeddings, cells = (output[row] for output in outputs)
        real = scores > 0
        numbers = {"score": scores[real], "box": boxes_xyxy[real], "embedding": embeddings[real]}
        return cls(numbers, (classes.astype(np.int64) * cells_of_map + cells)[real], bool(real.all()))


def check_file(path: Path, description: Description, network: FairMOT) -> str:
    """`check` for an exported file and the network that it was made of.

    Raises:
        CheckpointError: the file cannot be loaded.
        FairMOTError: see `check`.
    """

    def open_file(batch_size: int) -> Detector:
        return open_exported(path, Device.cpu, max_objects=description.max_objects, batch_size=batch_size)

    detector = NetworkDetector(
        network,
        description.input_size_hw,
        down_ratio=description.down_ratio,
        max_objects=description.max_objects,
        batch_size=description.batch_size or 1,
        num_classes=description.num_classes,
    )
    return check(open_file, description, detector)


def check(open_detector: Callable[[int], Detector], description: Description, network: NetworkDetector) -> str:
    """Run an exported graph and the network on noise and on drawn street scenes and compare what they find.

    Objects are compared by their cell. One that a side alone finds is excused where the two are bound to disagree: a
    neighbouring cell scores the same within the tolerance, so that rounding decides which of them is a peak, or it
    scores no more than the weakest that the other side has room for.

    Args:
        open_detector: batch size -> a detector by the exported graph.
        description: of the graph.
        network: what it was made of, of the same batch size (1 where the graph takes any) and number of objects.

    Returns:
        What was compared, and the largest differences.

    Raises:
        FairMOTError: they differ by more than TOLERANCE, have nothing in common to compare, or the network's output is
            not finite.
    """
    batch_size = network.batch_size
    pictures = _pictures(description.input_size_hw, batch_size * -(-_PICTURES // batch_size))
    batches = np.split(pictures, len(pictures) // batch_size)
    expected = _joined([network.run_with_heat(batch) for batch in batches])
    *expected, heat = expected
    if not all(np.isfinite(values).all() for values in expected):
        raise FairMOTError("the network's output is not finite: its weights are of a diverged run; nothing is exported")
    largest: dict[str, float] = {}
    compared, excused = 0, 0
    for size in (1, len(pictures)) if description.batch_size is None else (batch_size,):
        detector = open_detector(size)
        found = _joined([detector.run(batch) for batch in np.split(pictures, len(pictures) // size)])
        if description.embedding_map:
            largest["embedding at a place"] = _difference_at_places(detector, pictures[:size], expected)
        for row, scores in enumerate(heat):
            expected_objects = _Objects.of(expected, row, scores[0].size)
            found_objects = _Objects.of(found, row, scores[0].size)
            common = len(np.intersect1d(found_objects.places, expected_objects.places))
            compared += common
            excused += len(found_objects.places) + len(expected_objects.places) - 2 * common
            for kind, difference in _differences(found_objects, expected_objects, scores).items():
                largest[kind] = max(largest.get(kind, 0.0), difference)
    if not compared:
        raise FairMOTError("nothing to compare: no object is found by both, the network scores every place the same")
    listed = ", ".join(f"{kind} {difference:.1e}" for kind, difference in largest.items())
    if max(largest.values()) > TOLERANCE:
        raise FairMOTError(f"the file's outputs differ from the checkpoint's: {listed}; {TOLERANCE:g} are allowed")
    ties = f" ({excused} more, found by one side alone, are ties)" if excused else ""
    return f"checked on {len(pictures)} pictures, {compared} objects{ties}; largest differences: {listed}"


def _difference_at_places(detector: Detector, batch: np.ndarray, expected: list[np.ndarray]) -> float:
    """The largest difference between embeddings read from the file's map and those of the network's own objects.

    Args:
        detector: of the file.
        batch: the first pictures.
        expected: the network's outputs for them and more.
    """
    embeddings, cells = (output[: len(batch)] for output in expected[3:5])
    return float(np.abs(np.stack(detector.run_at_cells(batch, list(cells))) - embeddings).max())


def _pictures(size_hw: tuple[int, int], count: int) -> np.ndarray:
    """Noise and street scenes in turn, uint8 [count, H, W, 3] RGB."""
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(count):
        if number % 2:
            scene = make_scene(rng, *size_hw, walkers=_WALKERS, duration_s=1.0)
            pictures.append(cv2.cvtColor(render(scene, *size_hw, time_s=0.5)[0], cv2.COLOR_BGR2RGB))
        else:
            pictures.append(rng.integers(0, 256, (*size_hw, 3)).astype(np.uint8))
    return np.stack(pictures)


def _joined(batches: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate(outputs) for outputs in zip(*batches, strict=True)]


def _differences(found: _Objects, expected: _Objects, heat: np.ndarray) -> dict[str, float]:
    """The largest difference of each kind of number, as TOLERANCE measures it.

    Args:
        found: the file's objects.
        expected: the network's.
        heat: its scores [classes, h, w].

    Raises:
        FairMOTError: one side finds what the other should have found too.
    """
    _, in_found, in_expected = np.intersect1d(found.places, expected.places, return_indices=True)
    neighbours = np.stack([cv2.dilate(one, _NEIGHBOURS) for one in heat])
    for one, other in ((found, expected), (expected, found)):
        alone = np.setdiff1d(one.places, other.places)
        scores = heat.ravel()[alone]
        weakest = other.numbers["score"].min(initial=1.0) if other.is_full else 0.0
        excused = (np.abs(neighbours.ravel()[alone] - scores) <= TOLERANCE) | (scores <= weakest + TOLERANCE)
        if not excused.all():
            who = "the file" if one is found else "the checkpoint"
            raise FairMOTError(
                f"the file's outputs differ from the checkpoint's: {who} alone finds {np.count_nonzero(~excused)} of "
                f"{len(one.places)} objects, with scores up to {scores[~excused].max():.3f}"
            )
    differences = {}
    for kind, wanted in expected.numbers.items():
        gaps = np.abs(found.numbers[kind][in_found].astype(np.float64) - wanted[in_expected])
        differences[kind] = float(gaps.max(initial=0) / max(1.0, np.abs(wanted).max(initial=0)))
    return differences
