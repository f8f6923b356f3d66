"""Weights and pictures drawn by a rule, as those of the original PyTorch code's fixtures (see tests/parity/README.md).

Nobody has to store them: every tensor has a stream of random numbers of its own, seeded by its PyTorch name.
"""

import math
import zlib
from collections.abc import Mapping

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor

from train.packing import Part, write_arrays

_TO_TORCH = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def torch_name(name: str) -> str:
    """base.level0.1.gamma -> base.level0.1.weight."""
    owner, kind = name.rsplit(".", 1)
    return f"{owner}.{_TO_TORCH.get(kind, kind)}"


def rule_value(name: str, shape: tuple[int, ...], is_batch_norm: bool) -> np.ndarray:
    """The fixture's value of one entry under its PyTorch name."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    draw = generator.standard_normal(shape, dtype=np.float32)
    kind = name.rsplit(".", 1)[1]
    if kind == "running_var":
        return 1 + np.abs(draw) * np.float32(0.1)
    if kind in ("running_mean", "bias"):
        return draw * np.float32(0.1)
    if is_batch_norm:
        return 1 + draw * np.float32(0.1)
    scale = math.sqrt(2 / math.prod(shape[1:]))
    return draw * np.float32(0.05 * scale if name.endswith("conv_offset_mask.weight") else scale)


def fill_by_rule(state: Mapping[str, Parameter | Part]) -> None:
    """Set every parameter of a network's or loss's `state` to the fixture's value."""
    values = {}
    for name, parameter in state.items():
        is_batch_norm = name.rsplit(".", 1)[1] in ("gamma", "beta", "moving_mean", "moving_variance")
        values[name] = rule_value(torch_name(name), tuple(parameter.shape), is_batch_norm)
    write_arrays(state, values)


def drawn_pictures(seed: int) -> np.ndarray:
    """Two pictures of noise, float32 [2, 3, 96, 160] from 0 to 1."""
    return np.random.Generator(np.random.PCG64(seed)).random((2, 3, 96, 160), dtype=np.float32)


def targets_of(fixture: Mapping[str, np.ndarray], prefix: str) -> list[Tensor]:
    """The six target columns of a fixture as tensors of the loader's types, in the loader's order."""
    kinds: dict[str, type] = {"hm": np.float32, "reg_mask": np.int32, "ind": np.int32}
    kinds |= {"wh": np.float32, "reg": np.float32, "ids": np.int32}
    return [ms.Tensor(fixture[f"{prefix}{name}"].astype(kind)) for name, kind in kinds.items()]
