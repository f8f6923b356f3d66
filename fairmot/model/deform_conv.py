"""Modulated deformable convolution (DCNv2: Zhu et al., CVPR 2019), from operators every device has."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from fairmot.model.ascend_deform_conv import MovedConvolution
from fairmot.model.layers import conv, on_ascend
from fairmot.model.reading import own

_TAPS = 9
"""Samples a 3x3 kernel takes for each cell."""


class DeformConv(nn.Cell):
    """3x3 convolution, stride 1, whose nine samples are moved and weighted as the map itself says.

    A convolution of its own gives every cell an offset (y, x) and a mask logit for each tap. It starts at zero (see
    `fairmot.model.init`): taps in their places, each weighing half. Parameters are named as in the original's
    state_dict.
    """

    read_weight = staticmethod(own)
    read_bias = staticmethod(own)

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = Parameter(ops.zeros((out_channels, in_channels, 3, 3), ms.float32))
        self.bias = Parameter(ops.zeros(out_channels, ms.float32))
        self.conv_offset_mask = conv(in_channels, 3 * _TAPS, 3, has_bias=True)
        self.sampled_sum = _SampledSum()
        self.moved_convolution = MovedConvolution() if on_ascend() else None

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]; what lies outside the map counts 0."""
        return self.convolve(features, self.conv_offset_mask(features))

    def order_positions(self) -> None:
        """Let offsets and masks come in the order of Ascend's operator; afterwards the layer must not be saved."""
        if self.moved_convolution is not None:
            layer, order = self.conv_offset_mask, self.moved_convolution.arrange.take_ordered()
            for parameter in (layer.weight, layer.bias):
                parameter.set_data(Tensor(parameter.asnumpy()[order]))

    def convolve(self, features: Tensor, offset_mask: Tensor) -> Tensor:
        """Convolve at given positions.

        Sampling and convolution are both linear, so their order is turned round: each tap's 1x1 convolution of the
        whole map comes first, and a cell's 9 taps x 4 corners are then one weighted sum of rows of what it gave. Rows
        have the output's channels, which are the fewer, and a cell needs one matrix product instead of nine.

        Args:
            features: [B, in, H, W].
            offset_mask: [B, 27, H, W]; the offset (y, x) in cells of tap 0, of tap 1 ... of tap 8, then nine mask
                logits. Taps are numbered row by row.

        Returns:
            [B, out, H, W].
        """
        if self.moved_convolution is not None:
            weight = self.read_weight(self.weight, features.dtype)
            bias = self.read_bias(self.bias, features.dtype)
            return self.moved_convolution(features, offset_mask, weight, bias)
        batch, channels, height, width = features.shape
        out_channels = self.weight.shape[0]
        rows = features.transpose(0, 2, 3, 1).reshape(-1, channels)
        taps = self.weight.reshape(out_channels, channels, _TAPS).transpose(1, 2, 0).reshape(channels, -1)
        # In half precision a position beyond 256 has no fraction left.
        indices, shares = _corners(offset_mask.transpose(0, 2, 3, 1).astype(ms.float32))
        out = self.sampled_sum(rows, taps, indices, shares.astype(rows.dtype)) + self.bias
        return out.reshape(batch, height, width, out_channels).transpose(0, 3, 1, 2)


class _SampledSum(nn.Cell):
    """Weighted sums of rows of a product, whose gradient computes the product and reads the rows a second time.

    What is read is 36 times the output, too much to keep from the forward pass (see docs/experiments.md).
    """

    def __init__(self) -> None:
        super().__init__()
        self.times_transposed = ops.BatchMatMul(transpose_b=True)

    def construct(self, rows: Tensor, taps: Tensor, indices: Tensor, shares: Tensor) -> Tensor:
        """Sum over s of shares[n, s] * table[indices[n, s]], where table is rows @ taps, one row for cell and tap.

        Args:
            rows: [cells, in].
            taps: [in, 9 * out].
            indices: int32 [cells, 36], into the table [cells * 9, out].
            shares: [cells, 36].

        Returns:
            [cells, out].
        """
        read = ops.gather(_table(rows, taps), indices, 0)
        return ops.bmm(shares.expand_dims(1), read).squeeze(1)

    def bprop(
        self, rows: Tensor, taps: Tensor, indices: Tensor, shares: Tensor, out: Tensor, gradient: Tensor
    ) -> tuple[Tensor, ...]:
        """Gradients of the four inputs; `gradient` [cells, out]."""
        # Without the dependence the compiler would find the product computed already, and keep it after all.
        table = _table(ops.depend(rows, gradient), taps)
        gradient = gradient.expand_dims(1)
        shares_gradient = self.times_transposed(gradient, ops.gather(table, indices, 0)).squeeze(1)
        spread = ops.bmm(shares.expand_dims(2), gradient)
        table_gradient = ops.unsorted_segment_sum(spread, indices, table.shape[0]).reshape(rows.shape[0], -1)
        rows_gradient = ops.matmul(table_gradient, taps.transpose(1, 0))
        taps_gradient = ops.matmul(rows.transpose(1, 0), table_gradient)
        return rows_gradient, taps_gradient, ops.zeros_like(indices), shares_gradient


def _table(rows: Tensor, taps: Tensor) -> Tensor:
    """[cells, in] and [in, 9 * out] -> [cells * 9, out]."""
    return ops.matmul(rows, taps).reshape(rows.shape[0] * _TAPS, -1)


def _corners(offset_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where the taps read: rows of the table [cells * 9] and their weights, both [cells, 36].

    Args:
        offset_mask: [B, H, W, 27], see `DeformConv.convolve`.
    """
    batch, height, width, _ = offset_mask.shape
    offsets = offset_mask[..., : 2 * _TAPS].reshape(batch, height, width, _TAPS, 2)
    mask = ops.sigmoid(offset_mask[..., 2 * _TAPS :])
    taps = ops.arange(_TAPS).astype(ms.int32)
    grid_y = ops.arange(height).reshape(height, 1, 1) + taps // 3 - 1
    grid_x = ops.arange(width).reshape(width, 1) + taps % 3 - 1
    top, bottom, top_share, bottom_share = _neighbours(offsets[..., 0] + grid_y.astype(ms.float32), height)
    left, right, left_share, right_share = _neighbours(offsets[..., 1] + grid_x.astype(ms.float32), width)
    picture = ops.arange(batch).astype(ms.int32).reshape(batch, 1, 1, 1) * height
    top, bottom = (picture + top) * (width * _TAPS), (picture + bottom) * (width * _TAPS)
    left, right = left * _TAPS + taps, right * _TAPS + taps
    top_share, bottom_share = top_share * mask, bottom_share * mask
    indices = ops.stack((top + left, top + right, bottom + left, bottom + right), 3)
    shares = ops.stack(
        (top_share * left_share, top_share * right_share, bottom_share * left_share, bottom_share * right_share), 3
    )
    return indices.reshape(-1, 4 * _TAPS), shares.reshape(-1, 4 * _TAPS)


def _neighbours(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The two cells around a position along one axis and the share of each; a cell outside the map has share 0.

    A position of exactly -1 is outside, for its gradient too: fresh layers put the border's taps there.
    """
    low = ops.stop_gradient(ops.floor(position))
    fraction = position - low
    low_inside = ops.logical_and(low >= 0, low < size).astype(ms.float32)
    high_inside = ops.logical_and(position > -1, low < size - 1).astype(ms.float32)
    # After the cast, so that even a diverged network's NaN reads inside the table.
    cell = low.astype(ms.int32)
    return (
        ops.clamp(cell, 0, size - 1),
        ops.clamp(cell + 1, 0, size - 1),
        (1 - fraction) * low_inside,
        fraction * high_inside,
    )
