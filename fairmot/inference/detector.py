"""From pictures to detections, whatever runs the network: what comes before and after it exists once, here."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import cv2
import numpy as np

from fairmot.data.transforms import letterbox
from fairmot.errors import FairMOTError
from fairmot.model.decode import to_image_boxes
from fairmot.structures import Detections


class Detector(ABC):
    """Finds the objects of pictures of any size by something that takes batches of one size.

    Attributes:
        input_size_hw: height and width of the network's input, pixels.
        batch_size: pictures that go through the network together.
        num_classes: how many classes the network tells apart.
        gives_embeddings: whether it also says them at places of our choice (`embeddings_at`).
    """

    gives_embeddings = False

    def __init__(self, input_size_hw: tuple[int, int], down_ratio: int, batch_size: int, num_classes: int) -> None:
        """Say what goes in and out.

        Args:
            input_size_hw: height and width of the network's input, pixels.
            down_ratio: input pixels to a cell of its maps.
            batch_size: pictures that go through the network together.
            num_classes: channels of its heatmap.
        """
        self.input_size_hw = input_size_hw
        self.batch_size = batch_size
        self.num_classes = num_classes
        self._output_size_hw = (input_size_hw[0] // down_ratio, input_size_hw[1] // down_ratio)

    @abstractmethod
    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """Network and decoder: uint8 [batch_size, H, W, 3] RGB -> what `fairmot.model.decode.Decode` returns."""

    def run_at_cells(self, batch: np.ndarray, cells: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The embeddings that the network says at given places; only where `gives_embeddings`.

        Args:
            batch: uint8 [batch_size, H, W, 3] RGB.
            cells: int32 [N], y * w + x, for each picture.

        Returns:
            float32 [N, D] of length 1, for each picture.
        """
        raise NotImplementedError

    def prepare(self, frame_bgr: np.ndarray) -> np.ndarray:
        """A picture uint8 [H, W, 3] as the network sees it: letterboxed as in training, RGB. Any thread may call it."""
        return cv2.cvtColor(letterbox(frame_bgr, self.input_size_hw)[0], cv2.COLOR_BGR2RGB)

    def detect(self, frames_bgr: Sequence[np.ndarray]) -> list[Detections]:
        """Detections of pictures uint8 [H, W, 3], BGR, of any sizes and number, in pixels of each."""
        inputs = [self.prepare(frame) for frame in frames_bgr]
        return self.infer(inputs, [frame.shape[:2] for frame in frames_bgr])

    def infer(self, inputs: Sequence[np.ndarray], image_sizes_hw: Sequence[tuple[int, ...]]) -> list[Detections]:
        """`detect` for pictures that went through `prepare`.

        Args:
            inputs: uint8 [height, width, 3] each, RGB.
            image_sizes_hw: height and width of the original pictures, pixels.

        Returns:
            For each picture up to max_objects detections in descending order of score, weak ones included.

        Raises:
            FairMOTError: the network's output is not finite.
        """
        found: list[Detections] = []
        for start in range(0, len(inputs), self.batch_size):
            outputs = self.run(self._whole_batch(inputs[start : start + self.batch_size]))
            sizes_hw = image_sizes_hw[start : start + self.batch_size]
            found += [self._detections(outputs, row, size_hw) for row, size_hw in enumerate(sizes_hw)]
        return found

    def embeddings_at(self, frames_bgr: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Embeddings at the centres of known objects, as the losses read them in training.

        Args:
            frames_bgr: pictures uint8 [H, W, 3], BGR, of any sizes and number.
            boxes_xyxy: [N, 4] for each, its pixels; a centre outside the picture counts as the nearest place inside.

        Returns:
            float32 [N, D] of length 1, for each picture.
        """
        found: list[np.ndarray] = []
        for start in range(0, len(frames_bgr), self.batch_size):
            some = slice(start, start + self.batch_size)
            batch = self._whole_batch([self.prepare(frame) for frame in frames_bgr[some]])
            cells = [self._cells(*pair) for pair in zip(frames_bgr[some], boxes_xyxy[some], strict=True)]
            missing = self.batch_size - len(cells)
            found += self.run_at_cells(batch, [*cells, *[np.zeros(0, np.int32)] * missing])[: len(cells)]
        return found

    def _whole_batch(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Up to `batch_size` pictures, and black ones: another batch size would be compiled anew."""
        missing = self.batch_size - len(inputs)
        return np.stack([*inputs, *[np.zeros_like(inputs[0])] * missing])

    def _cells(self, frame_bgr: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Where the centres of boxes [N, 4] in a picture's pixels are on the maps: int32 [N], y * w + x."""
        height, width = self._output_size_hw
        image_hw = np.array(frame_bgr.shape[:2])
        pixels_per_cell = max(image_hw / self._output_size_hw)
        centres_xy = (np.asarray(boxes_xyxy)[:, :2] + np.asarray(boxes_xyxy)[:, 2:]) / 2
        places = (centres_xy - image_hw[::-1] / 2) / pixels_per_cell + (width / 2, height / 2)
        columns, rows = np.clip(places, 0, (width - 1, height - 1)).astype(np.int32).T
        return rows * width + columns

    def _detections(self, outputs: list[np.ndarray], row: int, image_size_hw: tuple[int, ...]) -> Detections:
        boxes_xyxy, scores, classes, embeddings, cells = (output[row] for output in outputs)
        if not all(np.isfinite(values).all() for values in (boxes_xyxy, scores, embeddings)):
            raise FairMOTError(
                "the network's output is not finite: its weights are of a diverged run, choose an older checkpoint"
            )
        order = np.lexsort((cells, classes, -scores))  # devices differ in the order of equal scores
        order = order[scores[order] > 0]
        pixels_xyxy = to_image_boxes(boxes_xyxy, (image_size_hw[0], image_size_hw[1]), self._output_size_hw)
        return Detections(pixels_xyxy, scores, embeddings, classes).select(order)
