"""The convolution of stride 1 that keeps the size, with gradients that spare a CPU's memory."""

import mindspore as ms
from mindspore import Tensor, nn, ops
from mindspore.ops.operations import _grad_ops

_MOST_KERNELS_TURNED = 128 * 128
_MOST_UNFOLDED = 2_000_000
_STRIPS = 4  # tuples below have as many


def is_same_convolution(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> bool:
    """Whether `SameConvolution` is the better one for such a layer on this device."""
    # Deep layers' maps are small and their kernels many: turning them costs what the buffer would.
    are_few = in_channels * out_channels <= _MOST_KERNELS_TURNED
    return stride == 1 and kernel_size > 1 and are_few and ms.get_context("device_target") == "CPU"


class SameConvolution(nn.Cell):
    """The convolution with both gradients spelled out.

    On CPUs MindSpore's operators for them unfold a map, k * k values for each of its own, into a buffer that every
    layer keeps for itself (docs/speed.md). The gradient of the map is a convolution too: of the output's gradient, with
    the kernels turned round and their two channel axes exchanged. That of the weight sums over all places of the maps,
    so that strips of large ones can stand in the batch and share a smaller buffer.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.halo = halo = kernel_size // 2
        self.forwards = ops.Conv2D(out_channels, kernel_size, pad_mode="pad", pad=halo)
        self.backwards = ops.Conv2D(in_channels, kernel_size, pad_mode="pad", pad=halo)
        self.by_weight = _weight_gradient(out_channels, kernel_size, (halo, halo, halo, halo))
        self.by_weight_of_strips = _weight_gradient(out_channels, kernel_size, (0, 0, halo, halo))
        # Primitives as they are: a tensor's index or method in every layer is megabytes of graph while it is compiled.
        self.transpose, self.reverse, self.zeros = ops.Transpose(), ops.ReverseV2((2, 3)), ops.Zeros()
        self.slice, self.split, self.depend = ops.Slice(), ops.Split(2, _STRIPS), ops.Depend()
        self.concat_batch, self.concat_rows = ops.Concat(0), ops.Concat(2)

    def construct(self, features: Tensor, weight: Tensor) -> Tensor:
        """[B, in, H, W] and [out, in, k, k] -> [B, out, H, W]."""
        return self.forwards(features, weight)

    def bprop(self, features: Tensor, weight: Tensor, out: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of map and weight; `gradient` [B, out, H, W]."""
        by_features = self.backwards(gradient, self.reverse(self.transpose(weight, (1, 0, 2, 3))))
        batch, channels, height, width = features.shape
        rows, unfolded = height // _STRIPS, channels * self.kernel_size * self.kernel_size * height * width
        if unfolded <= _MOST_UNFOLDED or height % _STRIPS or rows < self.halo:
            return by_features, self.by_weight(gradient, features, weight.shape)
        features = self.depend(features, by_features)  # else they are cut in the forward pass and kept until here
        beyond = self.zeros((batch, channels, self.halo, width), features.dtype)
        features = self.strips(self.concat_rows((beyond, features, beyond)), rows)
        gradient = self.concat_batch(self.split(gradient))
        if unfolded > _STRIPS * _MOST_UNFOLDED and rows % _STRIPS == 0 and rows // _STRIPS >= self.halo:
            features = self.strips(features, rows // _STRIPS)
            gradient = self.concat_batch(self.split(gradient))
        return by_features, self.by_weight_of_strips(gradient, features, weight.shape)

    def strips(self, features: Tensor, rows: int) -> Tensor:
        """[B, C, H, W] -> [4 * B, C, rows and a halo above and below, W]: one strip begins every `rows` rows."""
        batch, channels, _, width = features.shape
        size = (batch, channels, rows + 2 * self.halo, width)
        first = self.slice(features, (0, 0, 0, 0), size)
        second = self.slice(features, (0, 0, rows, 0), size)
        third = self.slice(features, (0, 0, 2 * rows, 0), size)
        fourth = self.slice(features, (0, 0, 3 * rows, 0), size)
        return self.concat_batch((first, second, third, fourth))


def _weight_gradient(out_channels: int, kernel_size: int, padding: tuple[int, int, int, int]) -> ops.Primitive:
    return _grad_ops.Conv2DBackpropFilter(out_channels, kernel_size, pad_mode="pad", pad=padding, pad_list=padding)
