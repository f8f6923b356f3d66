"""The layers as Ascend computes them: MindSpore's mint operators, which CPUs do not have.

Each is one kernel forwards and one backwards of CANN's present interface (aclnn); the operators of `mindspore.nn` take
two to four of the old one, compiled online at the first step. Parameters and numbers are those of the layers that stand
beside each class in `fairmot.model.layers`, which builds these where the device is an NPU.
"""

import mindspore as ms
from mindspore import Tensor, nn
from mindspore.mint.nn import functional

from fairmot.model.reading import own


class AscendConv2d(nn.Conv2d):
    """MindSpore's Conv2d of pad_mode "pad", its bias added in the same kernel."""

    read_weight = staticmethod(own)
    read_bias = staticmethod(own)

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H', W']."""
        # Unlike MindSpore's own layers, a function is not given its parameters in the cell's precision.
        weight = self.read_weight(self.weight, features.dtype)
        bias = self.read_bias(self.bias, features.dtype) if self.has_bias else None
        return functional.conv2d(features, weight, bias, self.stride, self.padding, self.dilation, self.group)


class AscendConv2dTranspose(nn.Conv2dTranspose):
    """MindSpore's Conv2dTranspose of pad_mode "pad", its bias added in the same kernel."""

    read_weight = staticmethod(own)
    read_bias = staticmethod(own)

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H', W']."""
        weight = self.read_weight(self.weight, features.dtype)
        bias = self.read_bias(self.bias, features.dtype) if self.has_bias else None
        return functional.conv_transpose2d(
            features, weight, bias, self.stride, self.padding, self.output_padding, self.group, self.dilation
        )


class AscendBatchNorm2d(nn.BatchNorm2d):
    """MindSpore's BatchNorm2d; the operator weighs a new batch by momentum, as the layer's attribute does.

    It takes maps in half precision beside fp32 parameters and works its statistics out in fp32.
    """

    read_gamma = staticmethod(own)
    read_beta = staticmethod(own)

    def construct(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape, by the batch's statistics while training unless they are frozen."""
        of_batch = self.training if self.use_batch_statistics is None else self.use_batch_statistics
        return functional.batch_norm(
            features,
            self.moving_mean,
            self.moving_variance,
            self.read_gamma(self.gamma, ms.float32),
            self.read_beta(self.beta, ms.float32),
            of_batch,
            self.momentum,
            self.eps,
        )


class AscendMaxPool2d(nn.MaxPool2d):
    """MindSpore's MaxPool2d; outside the map is below every number.

    Args:
        window: height and width, cells; odd where the map keeps its size.
        stride: cells between windows.
        padding: cells around the map.
    """

    def __init__(self, window: int, stride: int, padding: int) -> None:
        super().__init__(window, stride, pad_mode="pad", padding=padding)
        self.window, self.step, self.halo = window, stride, padding

    def construct(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H', W']."""
        return functional.max_pool2d(features, self.window, self.step, self.halo)
