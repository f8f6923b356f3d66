"""From head maps to objects: peaks of the heatmap with their boxes and embeddings, then pixels of the picture."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from fairmot.model.layers import max_pool
from fairmot.ops import gather_at, l2_normalize

_PEAK_WINDOW_CELLS = 3
_CENTRE_OF_CELL = 0.5


class Decode(nn.Cell):
    """The strongest local maxima of the heatmap and what the other heads say there. Nothing in it is learned.

    A cell counts when no neighbour in its 3x3 window is higher (Zhou et al., Objects as Points, 2019). The order of
    equal scores is the device's.

    Args:
        max_objects: K, objects taken from a picture; a map with fewer cells gives as many as it has.
    """

    def __init__(self, max_objects: int) -> None:
        super().__init__()
        self.max_objects = max_objects
        self.window_maximum = max_pool(_PEAK_WINDOW_CELLS, 1, pad_mode="same")

    def construct(
        self, hm: Tensor, wh: Tensor, embedding: Tensor, reg: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Head maps, as the networks return them, to objects in descending order of score.

        Args:
            hm: logits [B, classes, h, w].
            wh: cells; distances to left, top, right, bottom [B, 4, h, w], or width and height [B, 2, h, w].
            embedding: [B, D, h, w].
            reg: the centres' fraction of a cell [B, 2, h, w]; None puts them in the middle of their cells.

        Returns:
            boxes_xyxy [B, K, 4] in cells, scores [B, K], classes int32 [B, K], embeddings [B, K, D] of length 1, and
            the peaks' cells int32 [B, K], y * w + x. Where a map has fewer than K peaks the rest scores 0.
        """
        scores, classes, cells = self.peaks(hm)
        reg_at_cells = None if reg is None else gather_at(reg, cells)
        values = gather_at(wh, cells), gather_at(embedding, cells), reg_at_cells
        return self.objects(scores, classes, cells, hm.shape[3], *values)

    def peaks(self, hm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [B, classes, h, w] to scores, classes and cells as above."""
        batch, num_classes, height, width = hm.shape
        # fp16 would round neighbours to equal heights and make peaks of them all.
        heat = ops.sigmoid(hm.astype(ms.float32))
        peaks = ops.select(self.window_maximum(heat) == heat, heat, ops.zeros_like(heat))
        count = min(self.max_objects, num_classes * height * width)
        scores, positions = ops.topk(peaks.reshape(batch, num_classes * height * width), count)
        return scores, positions // (height * width), positions % (height * width)

    def objects(
        self,
        scores: Tensor,
        classes: Tensor,
        cells: Tensor,
        width: int,
        wh: Tensor,
        embedding: Tensor,
        reg: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What `peaks` found and the other heads say there, each [B, K, channels], to objects as above.

        Args:
            scores: see `construct`.
            classes: see `construct`.
            cells: see `construct`.
            width: w, of the map.
            wh: sizes, in cells.
            embedding: of any length.
            reg: fractions of a cell; None puts centres in the middle of their cells.
        """
        centres = ops.stack((cells % width, cells // width), -1).astype(ms.float32)
        centres = centres + (_CENTRE_OF_CELL if reg is None else reg.astype(ms.float32))
        sizes = wh.astype(ms.float32)
        if wh.shape[2] == 4:
            boxes_xyxy = ops.concat((centres - sizes[..., :2], centres + sizes[..., 2:]), -1)
        else:
            boxes_xyxy = ops.concat((centres - sizes / 2, centres + sizes / 2), -1)
        return boxes_xyxy, scores, classes, l2_normalize(embedding.astype(ms.float32)), cells


def to_image_boxes(
    boxes_xyxy: np.ndarray, image_size_hw: tuple[int, int], output_size_hw: tuple[int, int]
) -> np.ndarray:
    """Boxes from cells of the output map to pixels of the picture it came from.

    One magnification about the two centres, as in the original: the rounding of the letterboxed picture to whole
    pixels is left out. Boxes are not cut at the picture's border.

    Args:
        boxes_xyxy: [..., 4], cells.
        image_size_hw: of the picture before the letterbox, pixels.
        output_size_hw: of the output map, cells.

    Returns:
        float64 [..., 4], xyxy.
    """
    (image_height, image_width), (height, width) = image_size_hw, output_size_hw
    pixels_per_cell = max(image_height / height, image_width / width)
    cells_centre = np.array([width, height] * 2) / 2
    image_centre = np.array([image_width, image_height] * 2) / 2
    return (np.asarray(boxes_xyxy, np.float64) - cells_centre) * pixels_per_cell + image_centre
