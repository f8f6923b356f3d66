"""Initial values: a pure function of (seed, parameter name, shape), the same in every process."""

import math
import zlib
from collections.abc import Collection, Mapping

import mindspore as ms
import numpy as np

HEATMAP_BIAS = -2.19
"""Last bias of the heatmap head: sigmoid(-2.19) = 0.1, so that the focal loss starts small (CornerNet)."""

SMALL_DEVIATION = 0.001
"""Standard deviation of the weights that some backbones start from in place of the uniform ones."""


def initialize(state: Mapping[str, ms.Parameter], seed: int, small_weights: Collection[str] = ()) -> None:
    """Fill `state` (names as `FairMOT.state`) as the original starts its networks.

    Convolutions: uniform within 1 / sqrt(fan_in), PyTorch's default, for weights and for the bias of the heatmap
    head's first layer; the weights named in `small_weights` normal with `SMALL_DEVIATION`. Up-sampling: bilinear.
    Offsets and masks of deformable convolutions: 0. Head biases: 0, the heatmap's last one `HEATMAP_BIAS`. Batch
    normalisation keeps 1, 0, 0, 1.
    """
    for name, parameter in state.items():
        if name in small_weights:
            values = _stream(name, seed).normal(0, SMALL_DEVIATION, parameter.shape)
        else:
            values = _initial_values(name, parameter.shape, seed, state)
        if values is not None:
            parameter.set_data(ms.Tensor(values.astype(np.float32)))


def _initial_values(
    name: str, shape: tuple[int, ...], seed: int, state: Mapping[str, ms.Parameter]
) -> np.ndarray | None:
    owner, kind = name.rsplit(".", 1)
    if owner.endswith(".conv_offset_mask"):
        return np.zeros(shape)
    if kind == "weight":
        values = uniform(name, shape, math.prod(shape[1:]), seed)
        if shape[-1] % 2 == 0:  # only up-sampling has kernels of even size
            values[:, 0] = bilinear_kernel(shape[-1])  # as the original: a dense one's other outputs stay random
        return values
    if kind == "bias":
        is_last_heatmap_layer = name == max(key for key in state if key.startswith("hm.") and key.endswith(".bias"))
        if is_last_heatmap_layer:
            return np.full(shape, HEATMAP_BIAS)
        if name.startswith("hm."):
            return uniform(name, shape, math.prod(state[f"{owner}.weight"].shape[1:]), seed)
        return np.zeros(shape)
    return None


def uniform(name: str, shape: tuple[int, ...], fan_in: int, seed: int) -> np.ndarray:
    """Values in [-1 / sqrt(fan_in), 1 / sqrt(fan_in)) drawn from a stream of this name's own."""
    bound = 1 / math.sqrt(fan_in)
    return _stream(name, seed).uniform(-bound, bound, shape)


def _stream(name: str, seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))


def bilinear_kernel(size: int) -> np.ndarray:
    """[size, size] kernel with which a transposed convolution of stride ceil(size / 2) interpolates bilinearly."""
    factor = math.ceil(size / 2)
    centre = (2 * factor - 1 - factor % 2) / (2 * factor)
    ramp = 1 - np.abs(np.arange(size) / factor - centre)
    return np.outer(ramp, ramp)
