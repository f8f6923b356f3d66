"""Convolutions whose gradients are our own, because MindSpore's cost a CPU too much memory."""

import functools
from collections.abc import Callable

from mindspore import Tensor, nn

from fairmot.model.deep_convolution import DeepConvolution, is_deep_convolution
from fairmot.model.same_convolution import SameConvolution, is_same_convolution

_Convolution = Callable[[Tensor, Tensor], Tensor]
"""Map and weight -> map."""


def own_convolution(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> _Convolution | None:
    """What takes the place of MindSpore's convolution for such a layer on this device; None: nothing."""
    if is_same_convolution(in_channels, out_channels, kernel_size, stride):
        return _shared(SameConvolution, in_channels, out_channels, kernel_size)
    if is_deep_convolution(in_channels, out_channels, kernel_size):
        return _shared(DeepConvolution, in_channels, out_channels, kernel_size, stride)
    return None


@functools.cache
def _shared(kind: Callable[..., nn.Cell], *sizes: int) -> _Convolution:
    # Layers alike share one, which has no parameters: the compiler reads it once, and works out its shapes once for all
    # maps of a size. A function, because a cell would become every layer's child and take each network's precision.
    cell = kind(*sizes)

    def convolution(features: Tensor, weight: Tensor) -> Tensor:
        return cell(features, weight)

    return convolution


class CpuConv2d(nn.Conv2d):
    """MindSpore's Conv2d around `own_convolution`.

    Args:
        convolution: for a layer of these sizes.
        in_channels: of the map.
        out_channels: of the result.
        kernel_size: odd.
        stride: cells between windows.
        has_bias: whether a bias is added.
    """

    def __init__(
        self,
        convolution: _Convolution,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        has_bias: bool,
    ) -> None:
        padding = kernel_size // 2
        super().__init__(
            in_channels, out_channels, kernel_size, stride, pad_mode="pad", padding=padding, has_bias=has_bias
        )
        self.convolution = convolution

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H / stride, W / stride]."""
        # Cast out here, where the cast has a gradient.
        output = self.convolution(features, self.weight.astype(features.dtype))
        return self.bias_add(output, self.bias) if self.has_bias else output
