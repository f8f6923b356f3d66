"""From MindSpore's exported graph (MINDIR) to ONNX, operator by operator.

MindSpore's own ONNX exporter knows neither the decoder's operators nor those of deformable convolution and of padded
max-pooling. Both formats are lists of operators in protobuf, so a table of the operators that our networks are made of
takes its place. Nothing here vouches for the numbers: `fairmot.export` runs both and compares.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto
from onnx import helper

from fairmot.errors import FairMOTError
from fairmot.export.onnx_graph import GraphBuilder, Operator, Result, ResultType, Value
from fairmot.export.onnx_operators import TRANSLATIONS

OPSET = 13
"""Of ONNX; old enough for converters to accelerators."""

_IR_VERSION = 8


def to_onnx(mindir: bytes, input_name: str, output_names: Sequence[str], any_batch: bool) -> onnx.ModelProto:
    """Translate a graph of one input and a tuple of outputs.

    Args:
        mindir: the content of a .mindir file.
        input_name: name for the input.
        output_names: names for the outputs.
        any_batch: leave the first dimension of input and outputs open. The graph must be one for a batch of 1, and
            computes rubbish where this number went into anything but shapes.

    Raises:
        FairMOTError: an operator has no translation.
    """
    model = ModelProto.FromString(mindir)
    builder = GraphBuilder(any_batch)
    (source,) = model.graph.input
    image = Result(input_name, source.tensor[0].data_type, tuple(source.tensor[0].dims))
    values: dict[str, Value] = {source.name: image}
    for parameter in model.graph.parameter:
        values[parameter.name] = builder.keep(_array(parameter), parameter.name.split(":")[-1])
    primitives = {primitive.name: primitive for primitive in model.primitives}
    for node in model.graph.node:
        if node.op_type == "Constant":
            value = _constant(node.attribute[0])
        else:
            primitive = primitives[node.op_type.removeprefix("REF::")]
            value = _translate(builder, node, primitive, [values[name] for name in node.input])
        values[node.output[0]] = value
    results = zip(output_names, values[model.graph.output[0].name], strict=True)
    outputs = [builder.emit("Identity", [one], (one.dtype, one.shape), name) for name, one in results]
    return _model(builder, image, outputs)


def _model(builder: GraphBuilder, image: Result, outputs: list[Result]) -> onnx.ModelProto:
    used = {name for node in builder.nodes for name in node.input}
    constants = [constant for constant in builder.constants if constant.name in used]
    source, *found = [
        helper.make_tensor_value_info(
            one.name, one.dtype, ["batch" if builder.any_batch else one.shape[0], *one.shape[1:]]
        )
        for one in (image, *outputs)
    ]
    graph = helper.make_graph(builder.nodes, "fairmot", [source], found, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="fairmot")
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model)
    return model


def _translate(builder: GraphBuilder, node: Any, primitive: Any, inputs: list[Value]) -> Value:
    if primitive.op_type not in TRANSLATIONS:
        raise FairMOTError(f"the network's operator {primitive.op_type} has no translation to ONNX; use format=mindir")
    settings = {attribute.name: _constant(attribute) for attribute in primitive.attribute}
    shape = next(attribute for attribute in node.attribute if attribute.name == "shape")
    return TRANSLATIONS[primitive.op_type](builder, Operator(inputs, settings, _results(shape)))


def _array(tensor: Any) -> np.ndarray:
    return np.frombuffer(tensor.raw_data, helper.tensor_dtype_to_np_dtype(tensor.data_type)).reshape(tensor.dims)


def _constant(attribute: Any) -> Value:
    """The Python value of an attribute; inside tuples MindSpore puts single numbers into the fields for several."""
    kind = AttributeProto.AttributeType.Name(attribute.type)
    if kind in ("TUPLE", "LIST"):
        return tuple(_constant(value) for value in attribute.values)
    if kind == "TENSORS":
        return _array(attribute.tensors[0])
    if kind in ("FLOAT", "DOUBLE"):
        several, single = (attribute.floats, attribute.f) if kind == "FLOAT" else (attribute.doubles, attribute.d)
        return several[0] if several else single
    if kind == "STRING":
        return attribute.s.decode()
    if kind in ("NONE", "UMONAD"):
        return None
    return attribute.ints[0] if attribute.ints else attribute.i


def _results(attribute: Any) -> list[ResultType]:
    """Type and shape of each result that a node's `shape` attribute tells of."""
    parts = attribute.values or [attribute]
    return [(part.tensors[0].data_type, tuple(part.tensors[0].dims)) for part in parts if part.tensors]
