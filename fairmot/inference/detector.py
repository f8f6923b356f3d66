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
    """

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
            batch = np.stack(inputs[start : start + self.batch_size])
            missing = self.batch_size - len(batch)  # another batch size would be compiled anew
            outputs = self.run(np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.uint8)]))
            sizes_hw = image_sizes_hw[start : start + self.batch_size]
            found += [self._detections(outputs, row, size_hw) for row, size_hw in enumerate(sizes_hw)]
        return found

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
