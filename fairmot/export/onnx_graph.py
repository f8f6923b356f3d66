"""An ONNX graph while it grows, operator by operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Result:
    """An operator's result in the ONNX graph. Types are numbered alike in both formats."""

    name: str
    dtype: int
    shape: tuple[int, ...]


ResultType = tuple[int, tuple[int, ...]]
"""Type and shape of a result."""

Value = Any
"""A Result, a constant (array, number, string, None), or a tuple of such."""


@dataclass(frozen=True)
class Operator:
    """One operator of MindSpore's graph, its inputs translated.

    Attributes:
        inputs: what goes in.
        attributes: its settings by name.
        results: type and shape of what comes out.
    """

    inputs: list[Value]
    attributes: dict[str, Value]
    results: list[ResultType]


class GraphBuilder:
    """Collects operators and constants.

    Attributes:
        any_batch: the first dimension of input and outputs is left open; sizes of results then hold for a batch of 1.
        nodes: the operators.
        constants: weights and other constant arrays.
    """

    def __init__(self, any_batch: bool) -> None:
        self.any_batch = any_batch
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []

    def keep(self, array: np.ndarray, name: str = "") -> Result:
        """Make an array one of the graph's constants."""
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return Result(name, self.constants[-1].data_type, array.shape)

    def emit(
        self,
        kind: str,
        inputs: Sequence[Value],
        result: ResultType,
        name: str = "",
        *,
        more_results: int = 0,
        **settings: Value,
    ) -> Result:
        """Add an ONNX operator and return its first result.

        Args:
            kind: ONNX's name of it.
            inputs: results, arrays, or numbers, which take the type of the first of the others.
            result: type and shape of what comes out.
            name: of the result.
            more_results: how many come out beside the first; the names of these end in .1, .2, ...
            settings: the operator's attributes.
        """
        name = name or f"{kind}_{len(self.nodes)}"
        types = (
            helper.tensor_dtype_to_np_dtype(one.dtype) if isinstance(one, Result) else one.dtype
            for one in inputs
            if isinstance(one, Result | np.ndarray)
        )
        like = next(types, None)
        names = []
        for one in inputs:
            if isinstance(one, int | float):
                names.append(self.keep(np.array(one, like)).name)
            else:
                names.append(one.name if isinstance(one, Result) else self.keep(one).name)
        results = [name, *(f"{name}.{i + 1}" for i in range(more_results))]
        self.nodes.append(helper.make_node(kind, names, results, name, **settings))
        return Result(name, *result)
