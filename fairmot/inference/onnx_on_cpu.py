"""What is changed in an ONNX graph before ONNX Runtime runs it on a CPU. Files stay as they were exported.

* Outputs that nobody asks for go, with all that they alone need: ONNX Runtime computes whatever a graph has.
* Upsampling goes by convolutions, since ONNX Runtime is quick at those and slow at ConvTranspose (docs/speed.md).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

ROWS, INSIDE = 2, 4
"""Axes of a map [B, C, H, W], and one for what comes between its columns."""


def graph_for_cpu(model: ModelProto, outputs: Sequence[str]) -> bytes:
    """The part of a graph that gives some of its outputs, in the form that a CPU computes fastest.

    Args:
        model: the graph, which is used up.
        outputs: names of those that are wanted.

    Returns:
        a model, serialised.
    """
    _upsample_by_convolutions(model.graph)
    _keep_for(model.graph, outputs)
    return model.SerializeToString()


def _keep_for(graph: GraphProto, outputs: Sequence[str]) -> None:
    needed, nodes = set(outputs), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    _replace(graph, "node", nodes[::-1])
    for part in ("output", "initializer"):
        _replace(graph, part, [one for one in getattr(graph, part) if one.name in needed])


def _upsample_by_convolutions(graph: GraphProto) -> None:
    kernels = {one.name: one for one in graph.initializer}
    nodes: list[NodeProto] = []
    for node in graph.node:
        kernel = kernels.get(node.input[1]) if node.op_type == "ConvTranspose" else None
        if kernel is None or not _is_channelwise_upsampling(node, tuple(kernel.dims)):
            nodes.append(node)
        else:
            nodes += _interleaved_convolutions(graph, node, numpy_helper.to_array(kernel))
    _replace(graph, "node", nodes)


def _is_channelwise_upsampling(node: NodeProto, kernel_shape: tuple[int, ...]) -> bool:
    """Whether it is the network's: by an even factor, each channel for itself, with a kernel of twice the factor."""
    settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    channels, factor = kernel_shape[0], kernel_shape[-1] // 2
    wanted = {"group": channels, "strides": [factor] * 2, "pads": [factor // 2] * 4, "dilations": [1, 1]}
    fits = kernel_shape == (channels, 1, 2 * factor, 2 * factor) and settings == wanted
    return fits and factor % 2 == 0 and len(node.input) == 2  # a third would be a bias


def _interleaved_convolutions(graph: GraphProto, node: NodeProto, kernel: np.ndarray) -> Iterator[NodeProto]:
    """Nodes that put out what `node` does.

    Each output pixel sees 2x2 input pixels, through the same four taps of the kernel wherever it stands alike
    between its inputs. So the output is factor x factor maps of 2x2 convolutions, interleaved.
    """
    (features, _), (output,) = node.input, node.output
    factor = kernel.shape[-1] // 2

    def constant(name: str, value: np.ndarray | list[int]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), f"{output}.{name}"))
        return f"{output}.{name}"

    def emit(kind: str, inputs: list[str], name: str, **settings: int | list[int]) -> NodeProto:
        return helper.make_node(kind, inputs, [name], name, **settings)

    inside = constant("inside", [INSIDE])
    joined = constant("joined", [0, 0, 0, 1, -1])  # [B, C, H, W, factor] -> [B, C, H, 1, W * factor]
    rows = []
    for y in range(factor):
        pixels, row = [], f"{output}.{y}"
        above, taps_y = _taps(y, factor)
        for x in range(factor):
            pixel = f"{row}.{x}"
            before, taps_x = _taps(x, factor)
            taps = constant(f"taps.{y}.{x}", kernel[:, :, taps_y][..., taps_x])
            pads = [above, before, 1 - above, 1 - before]
            yield emit("Conv", [features, taps], f"{pixel}.map", group=len(kernel), pads=pads)
            yield emit("Unsqueeze", [f"{pixel}.map", inside], pixel)
            pixels.append(pixel)
        yield emit("Concat", pixels, f"{row}.pixels", axis=INSIDE)
        yield emit("Reshape", [f"{row}.pixels", joined], row)
        rows.append(row)
    yield emit("Concat", rows, f"{output}.rows", axis=ROWS + 1)
    yield emit("Shape", [features], f"{output}.before")
    yield emit("Mul", [f"{output}.before", constant("factors", [1, 1, factor, factor])], f"{output}.after")
    yield emit("Reshape", [f"{output}.rows", f"{output}.after"], output)


def _taps(phase: int, factor: int) -> tuple[int, list[int]]:
    """How one side's output pixels of a phase come about: rows of padding before, and the taps of both input pixels."""
    tap = phase + factor // 2
    return (1, [tap + factor, tap]) if tap < factor else (0, [tap, tap - factor])


def _replace(graph: GraphProto, part: str, values: Sequence[object]) -> None:
    graph.ClearField(part)
    getattr(graph, part).extend(values)
