"""What stands for each of MindSpore's operators in ONNX."""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from fairmot.errors import FairMOTError
from fairmot.export.onnx_graph import GraphBuilder, Operator, Result, Value

_WHOLE_AXIS = 2**31 - 1
_COORDINATES = {False: "asymmetric", True: "half_pixel"}

Translation = Callable[[GraphBuilder, Operator], Value]


def _same(kind: str) -> Translation:
    """An operator of the same inputs without settings."""
    return lambda builder, operator: builder.emit(kind, operator.inputs, operator.results[0])


def _first(builder: GraphBuilder, operator: Operator) -> Value:
    return operator.inputs[0]


def _nothing(builder: GraphBuilder, operator: Operator) -> None:
    return None


def _make_tuple(builder: GraphBuilder, operator: Operator) -> tuple[Value, ...]:
    return tuple(operator.inputs)


def _get_item(builder: GraphBuilder, operator: Operator) -> Value:
    several, position = operator.inputs
    return several[position]


def _cast(builder: GraphBuilder, operator: Operator) -> Result:
    return builder.emit("Cast", operator.inputs[:1], operator.results[0], to=operator.results[0][0])


def _conv(kind: str) -> Translation:
    def translate(builder: GraphBuilder, operator: Operator) -> Result:
        settings = operator.attributes
        top, bottom, left, right = settings["pad_list"]
        return builder.emit(
            kind,
            operator.inputs[:2],
            operator.results[0],
            strides=settings["stride"][-2:],
            pads=(top, left, bottom, right),
            dilations=settings["dilation"][-2:],
            group=settings["group"],
        )

    return translate


def _bias_add(builder: GraphBuilder, operator: Operator) -> Result:
    features, bias = operator.inputs[:2]
    column = builder.emit("Unsqueeze", [bias, np.array([1, 2])], (bias.dtype, (*bias.shape, 1, 1)))
    return builder.emit("Add", [features, column], operator.results[0])


def _batch_norm(builder: GraphBuilder, operator: Operator) -> tuple[Result]:
    features_and_entries, epsilon = operator.inputs[:5], operator.inputs[6]
    return (builder.emit("BatchNormalization", features_and_entries, operator.results[0], epsilon=epsilon),)


def _silu(builder: GraphBuilder, operator: Operator) -> Result:
    (features,) = operator.inputs
    gate = builder.emit("Sigmoid", [features], operator.results[0])
    return builder.emit("Mul", [features, gate], operator.results[0])


def _max_pool(builder: GraphBuilder, operator: Operator) -> Result:
    settings = operator.attributes
    window, strides = settings["kernel_size"][2:], settings["strides"][2:]
    same: dict[str, Value] = {"auto_pad": "SAME_UPPER"} if settings["pad_mode"] == "SAME" else {}
    return builder.emit("MaxPool", operator.inputs, operator.results[0], kernel_shape=window, strides=strides, **same)


def _max_pool_3d(builder: GraphBuilder, operator: Operator) -> tuple[Result]:
    """What MindSpore makes of two-dimensional pooling with padding; the places it returns too are not used."""
    settings = operator.attributes
    window, strides, pads = settings["ksize"], settings["strides"], settings["pads"] * 2
    pooled = builder.emit(
        "MaxPool", operator.inputs, operator.results[0], kernel_shape=window, strides=strides, pads=pads
    )
    return (pooled,)


def _resize(mode: str) -> Translation:
    def translate(builder: GraphBuilder, operator: Operator) -> Result:
        features, _, _, half_pixel = operator.inputs
        dtype, shape = operator.results[0]
        scales = np.array([after / before for after, before in zip(shape, features.shape, strict=True)], np.float32)
        return builder.emit(
            "Resize",
            [features, np.zeros(0, np.float32), scales],
            (dtype, shape),
            mode=mode,
            coordinate_transformation_mode=_COORDINATES[bool(half_pixel)],
            nearest_mode="floor",
        )

    return translate


def _reshape(builder: GraphBuilder, operator: Operator) -> Result:
    dtype, shape = operator.results[0]
    # With all other sides given, the first follows from the batch.
    wanted = np.array([-1, *shape[1:]] if builder.any_batch else shape)
    return builder.emit("Reshape", [operator.inputs[0], wanted], (dtype, shape))


def _transpose(builder: GraphBuilder, operator: Operator) -> Result:
    return builder.emit("Transpose", operator.inputs[:1], operator.results[0], perm=operator.inputs[1])


def _on_axes(kind: str, **settings: Value) -> Translation:
    """Operators whose second input is one axis or several."""

    def translate(builder: GraphBuilder, operator: Operator) -> Result:
        axes = np.atleast_1d(np.array(operator.inputs[1]))
        return builder.emit(kind, [operator.inputs[0], axes], operator.results[0], **settings)

    return translate


def _sum(builder: GraphBuilder, operator: Operator) -> Result:
    return _on_axes("ReduceSum", keepdims=int(operator.inputs[2]))(builder, operator)


def _concat(builder: GraphBuilder, operator: Operator) -> Result:
    several, axis = operator.inputs
    return builder.emit("Concat", several, operator.results[0], axis=axis)


def _stack(builder: GraphBuilder, operator: Operator) -> Result:
    (several,), axis = operator.inputs, operator.attributes["axis"]
    dtype, shape = operator.results[0]
    axis %= len(shape)
    slices = [
        builder.emit("Unsqueeze", [one, np.array([axis])], (dtype, (*shape[:axis], 1, *shape[axis + 1 :])))
        for one in several
    ]
    return builder.emit("Concat", slices, (dtype, shape), axis=axis)


def _strided_slice(builder: GraphBuilder, operator: Operator) -> Result:
    features, begin, end, strides, from_begin, to_end, ellipsis, new_axes, dropped = operator.inputs
    if ellipsis or new_axes:
        raise FairMOTError("a slice of this kind has no translation to ONNX; use format=mindir")
    axes = range(len(begin))
    starts = [0 if from_begin >> axis & 1 else begin[axis] for axis in axes]
    ends = [_WHOLE_AXIS if to_end >> axis & 1 else end[axis] for axis in axes]
    ranges = [np.array(numbers) for numbers in (starts, ends, axes, strides)]
    sliced = builder.emit("Slice", [features, *ranges], operator.results[0])
    gone = [axis for axis in axes if dropped >> axis & 1]
    return builder.emit("Squeeze", [sliced, np.array(gone)], operator.results[0]) if gone else sliced


def _floor_divide(builder: GraphBuilder, operator: Operator) -> Result:
    """Of numbers that are not negative, which is where ONNX's division of integers agrees; floats have no use here."""
    return builder.emit("Div", operator.inputs, operator.results[0])


def _broadcast(builder: GraphBuilder, operator: Operator) -> Result:
    dtype, shape = operator.results[0]
    wanted = np.array([1, *shape[1:]] if builder.any_batch else shape)  # ONNX stretches in both directions
    return builder.emit("Expand", [operator.inputs[0], wanted], (dtype, shape))


def _batch_matmul(builder: GraphBuilder, operator: Operator) -> Result:
    left, right, *transposed = operator.inputs
    if any(transposed):
        raise FairMOTError("a product of transposed matrices has no translation to ONNX; use format=mindir")
    return builder.emit("MatMul", [left, right], operator.results[0])


def _matmul(builder: GraphBuilder, operator: Operator) -> Result:
    left, right, left_turned, right_turned = operator.inputs
    return builder.emit("Gemm", [left, right], operator.results[0], transA=int(left_turned), transB=int(right_turned))


def _gather(builder: GraphBuilder, operator: Operator) -> Result:
    table, indices, axis = operator.inputs[:3]
    return builder.emit("Gather", [table, indices], operator.results[0], axis=axis)


def _gather_elements(builder: GraphBuilder, operator: Operator) -> Result:
    values, axis, indices = operator.inputs
    return builder.emit("GatherElements", [values, indices], operator.results[0], axis=axis)


def _top_k(builder: GraphBuilder, operator: Operator) -> tuple[Result, Result]:
    values, count = operator.inputs
    best, (dtype, shape) = operator.results
    found = builder.emit("TopK", [values, np.array([count])], best, more_results=1)
    places = Result(f"{found.name}.1", TensorProto.INT64, shape)
    return found, builder.emit("Cast", [places], (dtype, shape), to=dtype)


TRANSLATIONS: dict[str, Translation] = {
    "Add": _same("Add"),
    "BatchMatMul": _batch_matmul,
    "BatchNorm": _batch_norm,
    "BiasAdd": _bias_add,
    "BroadcastTo": _broadcast,
    "Cast": _cast,
    "ClampScalar": _same("Clip"),
    "Concat": _concat,
    "Conv2D": _conv("Conv"),
    "Conv2DTranspose": _conv("ConvTranspose"),
    "Depend": _first,
    "Div": _same("Div"),
    "Divs": _same("Div"),
    "Equal": _same("Equal"),
    "ExpandDims": _on_axes("Unsqueeze"),
    "Floor": _same("Floor"),
    "FloorDiv": _floor_divide,
    "Gather": _gather,
    "GatherD": _gather_elements,
    "Greater": _same("Greater"),
    "GreaterEqual": _same("GreaterOrEqual"),
    "LessScalar": _same("Less"),
    "Load": _first,
    "LogicalAnd": _same("And"),
    "MakeTuple": _make_tuple,
    "MatMul": _matmul,
    "MatMulExt": _same("MatMul"),
    "MaxPool": _max_pool,
    "MaxPool3DWithArgmax": _max_pool_3d,
    "Maximum": _same("Max"),
    "Mul": _same("Mul"),
    "Muls": _same("Mul"),
    "ReLU": _same("Relu"),
    "RemainderTensorScalar": _same("Mod"),
    "Reshape": _reshape,
    "ResizeBilinearV2": _resize("linear"),
    "ResizeNearestNeighborV2": _resize("nearest"),
    "Select": _same("Where"),
    "SiLU": _silu,
    "Sigmoid": _same("Sigmoid"),
    "Sqrt": _same("Sqrt"),
    "Squeeze": _on_axes("Squeeze"),
    "Stack": _stack,
    "StridedSlice": _strided_slice,
    "Sub": _same("Sub"),
    "SumExt": _sum,
    "TopK": _top_k,
    "Transpose": _transpose,
    "TupleGetItem": _get_item,
    "UpdateState": _nothing,
}
"""MindSpore's operator -> what stands for it in ONNX."""
