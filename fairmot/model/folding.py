"""Batch normalisation folded into the convolutions before it, for a network that is only looked through."""

from collections.abc import Iterator

import numpy as np
from mindspore import Parameter, Tensor, nn

from fairmot.model.deform_conv import DeformConv
from fairmot.model.layers import Identity

_CONVOLUTIONS = (nn.Conv2d, nn.Conv2dTranspose, DeformConv)


def fold_batch_norms(network: nn.Cell) -> None:
    """Give every convolution the weight and bias that spare the batch normalisation after it.

    On Ascend each of these is a launch. What the network says stays the same but for rounding; afterwards it can be
    neither trained nor saved. Every batch normalisation must come after its convolution in the order of children.
    """
    convolution: nn.Cell | None = None
    for parent, name, cell in list(_layers(network)):
        if not isinstance(cell, nn.BatchNorm2d):
            convolution = cell
            if isinstance(cell, DeformConv):
                cell.order_positions()
            continue
        assert convolution is not None
        _fold(convolution, cell)
        if isinstance(parent, nn.SequentialCell):
            parent[int(name)] = Identity()
        else:
            setattr(parent, name, Identity())


def _layers(parent: nn.Cell) -> Iterator[tuple[nn.Cell, str, nn.Cell]]:
    """Convolutions and batch normalisations below `parent` in order, each with what holds it and its name there."""
    for name, cell in parent.name_cells().items():
        if isinstance(cell, (*_CONVOLUTIONS, nn.BatchNorm2d)):
            yield parent, name, cell
        else:
            yield from _layers(cell)


def _fold(convolution: nn.Cell, norm: nn.BatchNorm2d) -> None:
    gamma, beta, mean, variance = (
        parameter.asnumpy().astype(np.float64)
        for parameter in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.eps)
    bias = 0.0 if convolution.bias is None else convolution.bias.asnumpy()
    bias = Tensor(((bias - mean) * scale + beta).astype(np.float32))
    is_transposed = isinstance(convolution, nn.Conv2dTranspose)
    by_output = scale.reshape((1, -1, 1, 1) if is_transposed else (-1, 1, 1, 1))
    convolution.weight.set_data(Tensor((convolution.weight.asnumpy() * by_output).astype(np.float32)))
    if convolution.bias is None:
        convolution.bias = Parameter(bias, name="bias", requires_grad=False)
        convolution.has_bias = True
    else:
        convolution.bias.set_data(bias)
