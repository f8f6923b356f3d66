"""The network against outputs of the original: names, shapes, evaluation and training mode."""

import hashlib
import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from fairmot.model.config import ModelConfig
from fairmot.model.heads import HEADS
from fairmot.model.network import build_network
from train.selfcheck.drawn import fill_by_rule, torch_name

FIXTURES = Path(__file__).parent / "fixtures"
pytestmark = pytest.mark.parity

UNUSED_BY_THE_NETWORK = {f"base.level{level}.project.1.running_{kind}" for level in (3, 4) for kind in ("mean", "var")}
"""The original evaluates these projections and drops their result, so their buffers move; we leave them alone."""


@pytest.fixture(scope="module")
def expected():
    return np.load(FIXTURES / "dla34_conv_io_seed20240101.npz")


@pytest.fixture
def network():
    network = build_network(ModelConfig(), seed=0)
    fill_by_rule(network.state())
    return network


def image(expected):
    values = np.random.Generator(np.random.PCG64(20240101)).random((2, 3, 96, 160), dtype=np.float32)
    np.testing.assert_array_equal(values.reshape(-1)[:8], expected["input_first8"])
    return ms.Tensor(values)


def test_names_and_shapes_are_the_originals(network):
    original = json.loads((FIXTURES / "dla34_conv_state_shapes.json").read_text())
    original = {name: shape for name, shape in original.items() if not name.endswith("num_batches_tracked")}
    ours = {torch_name(name): list(parameter.shape) for name, parameter in network.state().items()}
    assert ours == original
    assert sum(np.prod(shape) for name, shape in ours.items() if "running" not in name) == 19_196_983


def test_weights_rule_draws_the_fixtures_bytes(network):
    check = json.loads((FIXTURES / "weights_rule_check.json").read_text())["conv"]
    state = {torch_name(name): parameter for name, parameter in network.state().items()}
    compared = 0
    for name, entry in check.items():
        if name in state:
            assert hashlib.sha256(state[name].asnumpy().tobytes()).hexdigest() == entry["sha256"], name
            compared += 1
    assert compared >= 9


def test_eval_mode(network, expected):
    network.set_train(False)
    for head, output in zip(HEADS, network(image(expected)), strict=True):
        np.testing.assert_allclose(output.asnumpy(), expected[f"eval_{head}"], rtol=0, atol=2e-4)


def test_train_mode_and_its_buffers(network, expected):
    network.set_train(True)
    for head, output in zip(HEADS, network(image(expected)), strict=True):
        np.testing.assert_allclose(output.asnumpy(), expected[f"train_{head}"], rtol=0, atol=2e-3)
    state = {torch_name(name): parameter for name, parameter in network.state().items()}
    buffers = [key.removeprefix("after_train_") for key in expected.files if key.startswith("after_train_")]
    assert len(buffers) == 12
    for name in set(buffers) - UNUSED_BY_THE_NETWORK:
        np.testing.assert_allclose(state[name].asnumpy(), expected[f"after_train_{name}"], rtol=1e-4, atol=1e-4)


def test_uint8_pictures_are_scaled_in_the_network(network):
    network.set_train(False)
    pixels = np.random.default_rng(1).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    scaled = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32) / 255
    for from_pixels, from_floats in zip(network(ms.Tensor(pixels)), network(ms.Tensor(scaled)), strict=True):
        np.testing.assert_allclose(from_pixels.asnumpy(), from_floats.asnumpy(), rtol=0, atol=1e-6)
