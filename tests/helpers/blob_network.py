"""A stand-in for a trained network: white squares on black are people. Compiles in a moment, runs the real decoder."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from fairmot.ops import gather_at

INPUT_SIZE_HW = (96, 160)
BOX_CELLS = 2.0


class OfMaps(nn.Cell):
    """A network without real heads: its parts read the maps that it makes whole."""

    def features(self, image):
        return self.construct(image)

    def heat(self, maps):
        return maps[0]

    def at(self, maps, cells):
        return gather_at(maps[1], cells), gather_at(maps[2], cells), gather_at(maps[3], cells)

    def embedding_at(self, maps, cells):
        return gather_at(maps[2], cells)

    def embedding_map(self, maps):
        return maps[2]


class BlobNetwork(OfMaps):
    """Heads of fixed meaning: brightness above grey, boxes of 4x4 cells, the neighbourhood's brightness as embedding.

    Args:
        batch_size: any other number of pictures is refused.
    """

    def __init__(self, batch_size: int = 1) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.pool = nn.AvgPool2d(8, stride=4, pad_mode="same")
        self.surround = nn.AvgPool2d(3, stride=1, pad_mode="same")
        self.norm = nn.BatchNorm2d(3)  # its buffers move in training mode

    def construct(self, image):
        height, width = INPUT_SIZE_HW
        image = image.reshape((self.batch_size, height, width, 3))
        image = self.norm(ops.transpose(image, (0, 3, 1, 2)).astype(ms.float32) / 255.0)
        heat = self.pool(image)[:, :1]
        ones = ops.ones_like(heat)
        wh = ops.concat((ones, ones, ones, ones), 1) * BOX_CELLS
        embedding = ops.concat((heat, self.surround(heat), ones), 1)
        return heat * 24.0 - 18.0, wh, embedding, ops.concat((ones, ones), 1) * 0.5


def picture(centres_xy: list[tuple[int, int]], size_hw: tuple[int, int] = INPUT_SIZE_HW, side: int = 8) -> np.ndarray:
    """Black, with a white square around each centre; x and y of 4 n + 2 input pixels lie in the middle of a cell."""
    frame = np.zeros((*size_hw, 3), np.uint8)
    for x, y in centres_xy:
        frame[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = 255
    return frame


def walk(n_frames: int, size_hw: tuple[int, int] = INPUT_SIZE_HW) -> list[np.ndarray]:
    """Two squares that move to the right, in different rows."""
    return [picture([(22 + 4 * t, 22), (42 + 4 * t, 70)], size_hw) for t in range(n_frames)]
