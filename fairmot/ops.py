"""Small tensor operations shared by model and losses."""

import mindspore as ms
from mindspore import Tensor, ops


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
        [B, K, C, 9], a window's cells row by row.
    """
    batch, channels, height, width = feature_map.shape
    slots = indices.shape[1]
    taps = ops.arange(9).astype(ms.int32)
    y = (indices // width).expand_dims(2) + (taps // 3 - 1)
    x = (indices % width).expand_dims(2) + (taps % 3 - 1)
    inside = ops.logical_and(
        ops.logical_and(y >= 0, y < height),
        ops.logical_and(x >= 0, x < width),
    )
    cells = ops.clamp(y, 0, height - 1) * width + ops.clamp(x, 0, width - 1)
    values = _gathered(feature_map, cells.reshape(batch, slots * 9)).reshape(batch, channels, slots, 9)
    return values.transpose(0, 2, 1, 3) * inside.expand_dims(2).astype(feature_map.dtype)


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
