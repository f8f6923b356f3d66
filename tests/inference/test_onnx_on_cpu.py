"""Graphs changed for ONNX Runtime on a CPU put out what the files do."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fairmot.inference.onnx_on_cpu import graph_for_cpu

CHANNELS = 3


def upsampling(path: Path, factor: int, **changes: object) -> Path:
    """A file whose graph upsamples "image" to "larger", and doubles it for a second output."""
    side = 2 * factor
    shape = changes.pop("kernel_shape", (CHANNELS, 1, side, side))
    kernel = np.random.default_rng(factor).normal(size=shape).astype(np.float32)
    settings = {
        "strides": [factor] * 2,
        "pads": [factor // 2] * 4,
        "dilations": [1, 1],
        "group": CHANNELS,
        **changes,
    }
    nodes = [
        helper.make_node("ConvTranspose", ["image", "kernel"], ["larger"], **settings),
        helper.make_node("Add", ["image", "image"], ["doubled"]),
    ]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", None, None, None])
        for name in ("image", "larger", "doubled")
    }
    constants = [numpy_helper.from_array(kernel, "kernel")]
    graph = helper.make_graph(nodes, "upsampling", [values["image"]], [values["larger"], values["doubled"]], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def run(graph: str | bytes, image: np.ndarray) -> list[np.ndarray]:
    """All that a graph, or the file of this name, puts out."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})


def kinds(graph: bytes) -> set[str]:
    """The operators of a graph."""
    return {node.op_type for node in onnx.load_from_string(graph).graph.node}


@pytest.mark.parametrize("shape", [(1, CHANNELS, 5, 7), (3, CHANNELS, 8, 2), (2, CHANNELS, 1, 1)])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_upsampling_by_convolutions_is_the_transposed_convolution(tmp_path, factor, shape):
    path = upsampling(tmp_path / "net.onnx", factor)
    image = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    graph = graph_for_cpu(onnx.load(path), ["larger"])
    assert "ConvTranspose" not in kinds(graph)
    assert "kernel" not in {one.name for one in onnx.load_from_string(graph).graph.initializer}
    (expected, _), (found,) = run(str(path), image), run(graph, image)
    assert found.shape == expected.shape == (*shape[:2], shape[2] * factor, shape[3] * factor)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"group": 1, "kernel_shape": (CHANNELS, 2, 4, 4)},
        {"pads": [0, 0, 0, 0]},
        {"strides": [1, 1]},
        {"output_padding": [1, 1]},
        {"kernel_shape": (CHANNELS, 1, 6, 4)},
        {"kernel_shape": (CHANNELS, 2, 4, 4)},
    ],
    ids=str,
)
def test_transposed_convolutions_of_another_kind_stay(tmp_path, changes):
    path = upsampling(tmp_path / "net.onnx", 2, **changes)
    image = np.random.default_rng(1).normal(size=(2, CHANNELS, 5, 6)).astype(np.float32)
    graph = graph_for_cpu(onnx.load(path), ["larger"])
    assert "ConvTranspose" in kinds(graph)
    np.testing.assert_array_equal(run(graph, image)[0], run(str(path), image)[0])


def test_only_what_is_asked_for_is_computed(tmp_path):
    path = upsampling(tmp_path / "net.onnx", 2)
    image = np.ones((1, CHANNELS, 2, 2), np.float32)
    graph = graph_for_cpu(onnx.load(path), ["doubled"])
    assert kinds(graph) == {"Add"}
    assert not onnx.load_from_string(graph).graph.initializer
    np.testing.assert_array_equal(run(graph, image)[0], 2 * image)
