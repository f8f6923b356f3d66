"""The convolution of many channels, whose weight's gradient spares a CPU's memory."""

import mindspore as ms
from mindspore import Tensor, nn, ops
from mindspore.ops.operations import _grad_ops, nn_ops
from mindspore.ops.operations.array_ops import Im2Col

_LEAST_KERNELS = 128 * 128


def is_deep_convolution(in_channels: int, out_channels: int, kernel_size: int) -> bool:
    """Whether `DeepConvolution` is the better one for such a layer on this device."""
    has_many = in_channels * out_channels > _LEAST_KERNELS  # those of fewer have large maps: same_convolution.py
    return kernel_size > 1 and has_many and ms.get_context("device_target") == "CPU"


class DeepConvolution(nn.Cell):
    """The convolution with both gradients spelled out.

    MindSpore's operator for the gradient of the weight keeps, in each layer, an unfolded map and a gradient for each
    of its threads. Here the map is unfolded into memory that all layers share, and one product makes the gradient
    (docs/speed.md).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        settings = {"pad_mode": "pad", "pad": padding, "stride": stride}
        sides = (padding,) * 4
        self.out_channels = out_channels
        self.stride = stride
        self.rows_between = -(-padding // stride)  # of the output; the map has `stride` times as many
        self.forwards = ops.Conv2D(out_channels, kernel_size, **settings)
        self.by_features = nn_ops.Conv2DBackpropInput(out_channels, kernel_size, pad_list=sides, **settings)
        self.by_weight = _grad_ops.Conv2DBackpropFilter(out_channels, kernel_size, pad_list=sides, **settings)
        self.unfold = Im2Col([kernel_size] * 2, [stride] * 2, [1, 1], [padding] * 2)
        self.product = ops.MatMul(transpose_b=True)
        # Primitives as they are, for the compiler's memory: see same_convolution.py.
        self.slice, self.zeros, self.join, self.depend = ops.Slice(), ops.Zeros(), ops.Concat(2), ops.Depend()
        self.reshape = ops.Reshape()

    def construct(self, features: Tensor, weight: Tensor) -> Tensor:
        """[B, in, H, W] and [out, in, k, k] -> [B, out, H / stride, W / stride]."""
        return self.forwards(features, weight)

    def bprop(self, features: Tensor, weight: Tensor, out: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of map and weight; `gradient` [B, out, H / stride, W / stride]."""
        by_features = self.by_features(gradient, weight, features.shape)
        features = self.depend(features, by_features)  # else it is unfolded in the forward pass and kept until here
        if features.shape[2] % self.stride:  # the windows of a picture below would begin elsewhere
            return by_features, self.by_weight(gradient, features, weight.shape)
        gradient = self.one_below_the_other(gradient, self.rows_between)
        features = self.one_below_the_other(features, self.rows_between * self.stride)
        places = gradient.shape[2] * gradient.shape[3]
        unfolded = self.reshape(self.unfold(features), (-1, places))
        by_weight = self.product(self.reshape(gradient, (self.out_channels, places)), unfolded)
        return by_features, self.reshape(by_weight, weight.shape)

    def one_below_the_other(self, maps: Tensor, rows_between: int) -> Tensor:
        """[B, C, H, W] -> [1, C, B * (H + rows_between) - rows_between, W] with zeros between, which add nothing."""
        batch, channels, height, width = maps.shape
        joined: tuple[Tensor, ...] = (self.slice(maps, (0, 0, 0, 0), (1, channels, height, width)),)
        between = self.zeros((1, channels, rows_between, width), maps.dtype)
        for number in range(1, batch):
            joined += (between, self.slice(maps, (number, 0, 0, 0), (1, channels, height, width)))
        return self.join(joined)
