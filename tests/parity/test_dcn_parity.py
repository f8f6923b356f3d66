"""Deformable convolution, and the paper's network built with it, against outputs of the original."""

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from fairmot.model.config import ModelConfig
from fairmot.model.deform_conv import DeformConv
from fairmot.model.heads import HEADS
from fairmot.model.network import build_network
from train.selfcheck.drawn import fill_by_rule, torch_name

FIXTURES = Path(__file__).parent / "fixtures"
pytestmark = pytest.mark.parity

UNUSED_BY_THE_NETWORK = {f"base.level{level}.project.1.running_{kind}" for level in (3, 4) for kind in ("mean", "var")}
"""The original evaluates these projections and drops their result, so their buffers move; we leave them alone."""

LAYER_PARAMETERS = {
    "weight": "weight",
    "bias": "bias",
    "conv_offset_mask.weight": "offset_mask_weight",
    "conv_offset_mask.bias": "offset_mask_bias",
}


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=before)


class WithGradients(nn.Cell):
    """The layer's output and the gradients of sum(output * upstream)."""

    def __init__(self, layer, upstream):
        super().__init__()
        self.layer = layer
        self.upstream = upstream
        self.both = ops.value_and_grad(self.weighted_sum, 0, ms.ParameterTuple(layer.trainable_params()), has_aux=True)

    def weighted_sum(self, features):
        output = self.layer(features)
        return (output * self.upstream).sum(), output

    def construct(self, features):
        return self.both(features)


def test_one_layer_and_all_its_gradients(mode):
    expected = np.load(FIXTURES / "dcn_unit.npz")
    layer = DeformConv(8, 6)
    parameters = dict(layer.parameters_and_names())
    for name, key in LAYER_PARAMETERS.items():
        parameters[name].set_data(ms.Tensor(expected[key]))
    (_, output), (by_features, by_parameters) = WithGradients(layer, ms.Tensor(expected["grad_out"]))(
        ms.Tensor(expected["x"])
    )
    np.testing.assert_allclose(output.asnumpy(), expected["out"], rtol=0, atol=1e-5)
    gradients = {f"grad_{LAYER_PARAMETERS[name]}": g for name, g in zip(parameters, by_parameters, strict=True)}
    for key, gradient in {"grad_x": by_features, **gradients}.items():
        tolerance = 1e-5 * np.abs(expected[key]).max()
        np.testing.assert_allclose(gradient.asnumpy(), expected[key], rtol=0, atol=tolerance, err_msg=key)


def test_names_and_shapes_are_the_originals():
    original = json.loads((FIXTURES / "dla34_dcn_state_shapes.json").read_text())
    original = {name: shape for name, shape in original.items() if not name.endswith("num_batches_tracked")}
    state = build_network(ModelConfig(name="dla_34"), seed=0).state()
    ours = {torch_name(name): list(parameter.shape) for name, parameter in state.items()}
    assert ours == original
    assert sum(np.prod(shape) for name, shape in ours.items() if "running" not in name) == 19_836_711


@pytest.mark.slow
@pytest.mark.parametrize("mode", [ms.GRAPH_MODE], ids=["graph"], indirect=True)
def test_the_network_in_evaluation_and_training_mode(mode):
    expected = np.load(FIXTURES / "dla34_dcn_io_seed20240101.npz")
    network = build_network(ModelConfig(name="dla_34"), seed=0)
    fill_by_rule(network.state())
    values = np.random.Generator(np.random.PCG64(20240101)).random((2, 3, 96, 160), dtype=np.float32)
    np.testing.assert_array_equal(values.reshape(-1)[:8], expected["input_first8"])
    for kind, tolerance in (("eval", 2e-5), ("train", 2.5e-3)):
        network.set_train(kind == "train")
        for head, output in zip(HEADS, network(ms.Tensor(values)), strict=True):
            np.testing.assert_allclose(output.asnumpy(), expected[f"{kind}_{head}"], rtol=0, atol=tolerance)
    state = {torch_name(name): parameter for name, parameter in network.state().items()}
    buffers = [key.removeprefix("after_train_") for key in expected.files if key.startswith("after_train_")]
    assert len(buffers) == 12
    for name in set(buffers) - UNUSED_BY_THE_NETWORK:
        np.testing.assert_allclose(state[name].asnumpy(), expected[f"after_train_{name}"], rtol=1e-4, atol=1e-4)
