"""The deformable convolution as Ascend computes it: two kernels of its own in place of about fifty each way.

DeformableOffsets reads each cell's nine moved and weighted samples into a map three times as high and wide, over which
an ordinary convolution then steps. It has no aclnn interface in MindSpore: it and its gradient take CANN's old one.
"""

import functools

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.mint import index_select
from mindspore.mint.nn import functional
from mindspore.ops import constexpr
from mindspore.ops.operations import _grad_ops, nn_ops

_OFFSETS = 18
_CHANNELS = 27
_NUDGE_CELLS = 2.0**-20
# The original's channels hold the taps' (y, x), (y, x) ... and masks; the operator wants all x, all y, all masks.
_ORDER = np.array([*range(1, _OFFSETS, 2), *range(0, _OFFSETS, 2), *range(_OFFSETS, _CHANNELS)], np.int32)


class MovedConvolution(nn.Cell):
    """3x3 convolution whose samples are moved and weighted; its gradient reads the samples a second time.

    They are nine times the map, too much to keep from the forward pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.arrange = _Arranged()
        self.sample = nn_ops.DeformableOffsets((1, 1, 1, 1), (1, 1, 1, 1), (3, 3))
        self.gradients = ops.GradOperation(get_all=True, sens_param=True)

    def construct(self, features: Tensor, offset_mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Convolve at given positions; see `fairmot.model.deform_conv.DeformConv.convolve`.

        Args:
            features: [B, in, H, W].
            offset_mask: [B, 27, H, W].
            weight: [out, in, 3, 3].
            bias: [out].

        Returns:
            [B, out, H, W].
        """
        return self.forwards(features, offset_mask, weight, bias)

    def forwards(self, features: Tensor, offset_mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """As `construct`."""
        # In half precision a position beyond 256 has no fraction left.
        positions = self.arrange(offset_mask.astype(ms.float32))
        samples = self.sample(features.astype(ms.float32), positions).astype(features.dtype)
        return functional.conv2d(samples, weight, bias, 3)

    def bprop(
        self, features: Tensor, offset_mask: Tensor, weight: Tensor, bias: Tensor, out: Tensor, gradient: Tensor
    ) -> tuple[Tensor, ...]:
        """Gradients of the four inputs; `gradient` [B, out, H, W]."""
        # Without the dependence the compiler would find the samples read already, and keep them after all.
        features = ops.depend(features, gradient)
        return self.gradients(self.forwards)(features, offset_mask, weight, bias, gradient)


class _Arranged(nn.Cell):
    """Offsets and mask logits of the original's channels as DeformableOffsets takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.order, self.inverse = Tensor(_ORDER), Tensor(np.argsort(_ORDER).astype(np.int32))
        self.is_mask = Tensor((np.arange(_CHANNELS) >= _OFFSETS).reshape(1, _CHANNELS, 1, 1))
        self.sigmoid_gradient = _grad_ops.SigmoidGrad()
        self.is_ordered = False

    def take_ordered(self) -> np.ndarray:
        """Expect channels in the operator's order from now on, without training; which of the original's they are."""
        self.is_ordered = True
        return _ORDER

    def construct(self, offset_mask: Tensor) -> Tensor:
        """[B, 27, H, W] -> the same shape: nine offsets x, nine offsets y, nine masks."""
        ordered = offset_mask if self.is_ordered else index_select(offset_mask, 1, self.order)
        masks, offsets = ops.sigmoid(ordered), ordered
        if self.training:
            height, width = offset_mask.shape[2:]
            offsets = ordered + _nudges(height, width)
        return ops.select(self.is_mask, masks, offsets)

    def bprop(self, offset_mask: Tensor, out: Tensor, gradient: Tensor) -> tuple[Tensor]:
        """Gradient of the input, [B, 27, H, W]."""
        by_ordered = ops.select(self.is_mask, self.sigmoid_gradient(out, gradient), gradient)
        return (index_select(by_ordered, 1, self.inverse),)


@constexpr
@functools.cache
def _nudges(height: int, width: int) -> Tensor:
    """What moves the taps that lie exactly at -1 in a fresh layer clearly outside, float32 [1, 27, H, W].

    There the original gives no gradient, where operators differ: MindSpore's on CPUs gives the one of inside.
    """
    nudges = np.zeros((1, _CHANNELS, height, width), np.float32)
    nudges[:, [0, 3, 6], :, 0] = nudges[:, [9, 10, 11], 0] = -_NUDGE_CELLS
    return Tensor(nudges)
