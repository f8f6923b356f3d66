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
    batch, channels, height, width = feature_map.shape
    slots = indices.shape[1]
    flat = feature_map.reshape(batch, channels, height * width)
    positions = ops.broadcast_to(indices.expand_dims(1), (batch, channels, slots))
    return ops.gather_elements(flat, 2, positions).transpose(0, 2, 1)


def windows_at(feature_map: Tensor, indices: Tensor) -> Tensor:
    """Read the 3x3 cells about flat positions; what lies outside the map is 0.

    Args:
        feature_map: [B, C, H, W].
        indices: [B, K] int32, y * W + x.

    Returns:
        [B, K, 9, C], a window's cells row by row.
    """
    batch, channels, height, width = feature_map.shape
    taps = ops.arange(9).astype(ms.int32)
    y = (indices // width).expand_dims(2) + (taps // 3 - 1)
    x = (indices % width).expand_dims(2) + (taps % 3 - 1)
    inside = ops.logical_and(
        ops.logical_and(y >= 0, y < height),
        ops.logical_and(x >= 0, x < width),
    )
    picture = ops.arange(batch).astype(ms.int32).reshape(batch, 1, 1) * (height * width)
    cells = picture + ops.clamp(y, 0, height - 1) * width + ops.clamp(x, 0, width - 1)
    rows = feature_map.transpose(0, 2, 3, 1).reshape(-1, channels)
    return ops.gather(rows, cells, 0) * inside.expand_dims(3).astype(feature_map.dtype)


def l2_normalize(vectors: Tensor, epsilon: float = 1e-12) -> Tensor:
    """Divide by the L2 norm over the last axis; a norm below `epsilon` counts as `epsilon` (as PyTorch's normalize).

    Written out because the gradient of MindSpore's own operator takes seconds on CPU.
    """
    squared_norm = (vectors * vectors).sum(-1, keepdims=True)
    return vectors / ops.sqrt(ops.maximum(squared_norm, epsilon * epsilon))
