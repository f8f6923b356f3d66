"""Pictures of what a run trains on and of what its network sees. Rank 0 alone draws them."""

import dataclasses
import logging
from pathlib import Path

import cv2
import numpy as np

from fairmot.boxes import cxcywh_to_xyxy
from fairmot.data.dataset import COLUMNS, JointDataset
from fairmot.files import write_atomic
from fairmot.inference.network import NetworkDetector
from fairmot.media.drawing import Painter, overlay_heat, sheet
from fairmot.structures import Tracks

_SAMPLES, _SAMPLE_COLUMNS = 9, 3
_LOOKS, _LOOK_COLUMNS = 4, 2
_MOST_BOXES = 100
_SMALLEST_WIDTH_PX = 800
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]
_WHITE = (255, 255, 255)

_log = logging.getLogger(__name__)


def draw_samples(dataset: JointDataset, path: Path) -> Path:
    """A sheet of samples as training gets them: target heatmap over the augmented picture, boxes with identities.

    The boxes are read back from the targets, so that a fault anywhere between label file and loss shows here.

    Raises:
        DataError: an image cannot be read.
    """
    pictures = []
    for i in _spread(len(dataset), _SAMPLES):
        image, heat, objects = _described(dataset[i])
        canvas, objects = _enlarged(overlay_heat(image, heat), objects)
        pictures.append(Painter(trail_frames=0).draw(canvas, objects, caption=f"sample {i}"))
    return _write(path, sheet(pictures, _SAMPLE_COLUMNS))


class NetworkPictures:
    """What a network in training sees in a few images, always the same: its heatmap and boxes, labels in white.

    Args:
        detector: around the network in training, as validation uses it: a graph of its own would be compiled anew.
        dataset: samples without augmentation.
        conf_thres: boxes that score more are drawn.
        folder: receives `epoch_<epoch>.jpg`.
    """

    def __init__(self, detector: NetworkDetector, dataset: JointDataset, conf_thres: float, folder: Path) -> None:
        self._detector, self._dataset, self._conf_thres, self._folder = detector, dataset, conf_thres, folder

    def draw(self, epoch: int) -> Path:
        """Draw them as they are after this epoch.

        Raises:
            DataError: an image cannot be read.
        """
        pictures = []
        for i in _spread(len(self._dataset), _LOOKS):
            image, _, labelled = _described(self._dataset[i])
            heat, found = self._seen(image)
            canvas, found = _enlarged(overlay_heat(image, heat), found)
            _, labelled = _enlarged(image, labelled)
            for left, top, right, bottom in np.round(labelled.boxes_xyxy).astype(int).tolist():
                cv2.rectangle(canvas, (left, top), (right, bottom), _WHITE, 1)
            caption = f"image {i}, epoch {epoch}, highest {heat.max():.2f}"
            pictures.append(Painter(trail_frames=0, scores=True).draw(canvas, found, caption))
        return _write(self._folder / f"epoch_{epoch:03d}.jpg", sheet(pictures, _LOOK_COLUMNS))

    def _seen(self, image_bgr: np.ndarray) -> tuple[np.ndarray, Tracks]:
        """Heatmap [h, w], the highest of all classes, and boxes in pixels of the input, numbered by score."""
        outputs = self._detector.run_with_heat(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)[None])
        boxes_xyxy, scores, classes, _, _, heat = (output[0] for output in outputs)
        pixels_per_cell = image_bgr.shape[0] / heat.shape[1]
        strong = np.flatnonzero((scores > self._conf_thres) & np.isfinite(boxes_xyxy).all(1))[:_MOST_BOXES]
        ids = 1 + np.arange(len(strong))
        return heat.max(0), Tracks(ids, boxes_xyxy[strong] * pixels_per_cell, scores[strong], classes[strong])


def _described(sample: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray, Tracks]:
    """Image uint8 [H, W, 3] BGR, heatmap [h, w] and objects in its pixels, of a sample in the order of COLUMNS."""
    columns = dict(zip(COLUMNS, sample, strict=True))
    heat = columns["hm"].max(0)
    pixels_per_cell = columns["image"].shape[0] / heat.shape[0]
    is_object = columns["reg_mask"] > 0
    cells, wh = columns["ind"][is_object], columns["wh"][is_object]
    centres = np.stack([cells % heat.shape[1], cells // heat.shape[1]], 1) + columns["reg"][is_object]
    if wh.shape[1] == 4:
        boxes_xyxy = np.concatenate([centres - wh[:, :2], centres + wh[:, 2:]], 1)
    else:
        boxes_xyxy = cxcywh_to_xyxy(np.concatenate([centres, wh], 1))
    objects = Tracks(
        columns["ids"][is_object], boxes_xyxy * pixels_per_cell, np.ones(len(cells)), np.zeros(len(cells), int)
    )
    return cv2.cvtColor(columns["image"], cv2.COLOR_RGB2BGR), heat, objects


def _enlarged(image: np.ndarray, objects: Tracks) -> tuple[np.ndarray, Tracks]:
    """Small inputs magnified, so that boxes and words on them do not cover everything."""
    times = -(-_SMALLEST_WIDTH_PX // image.shape[1])
    canvas = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
    return canvas, dataclasses.replace(objects, boxes_xyxy=objects.boxes_xyxy * times)


def _spread(count: int, wanted: int) -> list[int]:
    """Up to `wanted` indices, evenly over all of them."""
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(int)).tolist()


def _write(path: Path, picture: np.ndarray) -> Path:
    try:
        write_atomic(path, cv2.imencode(path.suffix, picture, _JPEG)[1].tobytes(), sync=False)
    except OSError as error:  # a picture is not worth a training run
        _log.warning("%s cannot be written: %s", path, error)
    return path
