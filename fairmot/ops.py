"""Small tensor operations shared by model and losses."""

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


def l2_normalize(vectors: Tensor, epsilon: float = 1e-12) -> Tensor:
    """Divide by the L2 norm over the last axis; a norm below `epsilon` counts as `epsilon` (as PyTorch's normalize).

    Written out because the gradient of MindSpore's own operator takes seconds on CPU.
    """
    squared_norm = (vectors * vectors).sum(-1, keepdims=True)
    return vectors / ops.sqrt(ops.maximum(squared_norm, epsilon * epsilon))
