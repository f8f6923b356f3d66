"""Small tensor operations shared by model and losses."""

import functools

import numpy as np
from mindspore import Tensor, ops
from mindspore.ops import constexpr

_WINDOW_CELLS = 9
_WINDOW_TAPS = Tensor(np.arange(_WINDOW_CELLS, dtype=np.int32))


def gather_at(feature_map: Tensor, indices: Tensor) -> Tensor:
    """Read a map at flat positions.

    Args:
        feature_map: [B, C, H, W].
        indices: [B, K] int32, y * W + x.

    Returns:
        [B, K, C].
    """
    return _gathered(feature_map, indices).transpose(0, 2, 1)


def windows_at(feature_map: Tensor, indices: Tensor) -> Tensor:
    """Read the 3x3 cells about flat positions; what lies outside the map is 0.

    Args:
        feature_map: [B, C, H, W].
        indices: [B, K] int32, y * W + x.

    Returns:
        [B, C, K, 9], a window's cells row by row.
    """
    batch, channels, height, width = feature_map.shape
    slots = indices.shape[1]
    # Looked up: worked out, places and borders are some thirty small operations, each a launch on Ascend.
    cells, inside = _window_tables(height, width)
    taps = (indices.expand_dims(2) * _WINDOW_CELLS + _WINDOW_TAPS).reshape(-1)
    cells = ops.gather_elements(cells, 0, taps).reshape(batch, slots * _WINDOW_CELLS)
    inside = ops.gather_elements(inside, 0, taps).reshape(batch, 1, slots, _WINDOW_CELLS)
    values = _gathered(feature_map, cells).reshape(batch, channels, slots, _WINDOW_CELLS)
    return values * inside.astype(feature_map.dtype)


@constexpr
@functools.cache
def _window_tables(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The 3x3 cells about each cell of a map, both [height * width * 9].

    Returns:
        int32 cells y * width + x, the nearest of the map for those outside; float32 1 where inside, else 0.
    """
    steps = np.arange(-1, 2)
    y = np.arange(height)[:, None, None, None] + steps[:, None]
    x = np.arange(width)[:, None, None] + steps
    cells = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return Tensor(cells.astype(np.int32).reshape(-1)), Tensor(inside.astype(np.float32).reshape(-1))


def _gathered(feature_map: Tensor, indices: Tensor) -> Tensor:
    """[B, C, H, W] at [B, N] cells -> [B, C, N]."""
    # Channels stay in front: transposing a map, a CPU would keep a table of every element's place (docs/speed.md).
    batch, channels, height, width = feature_map.shape
    flat = feature_map.reshape(batch, channels, height * width)
    positions = ops.broadcast_to(indices.expand_dims(1), (batch, channels, indices.shape[1]))
    return ops.gather_elements(flat, 2, positions)


def l2_normalize(vectors: Tensor, epsilon: float = 1e-12) -> Tensor:
    """Divide by the L2 norm over the last axis; a norm below `epsilon` counts as `epsilon` (as PyTorch's normalize).

    Written out because the gradient of MindSpore's own operator takes seconds on CPU.
    """
    squared_norm = (vectors * vectors).sum(-1, keepdims=True)
    return vectors / ops.sqrt(ops.maximum(squared_norm, epsilon * epsilon))
