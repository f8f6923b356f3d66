"""Shapes, initial values and refusals of the network (numbers have fixtures in tests/parity)."""

import mindspore as ms
import numpy as np
import pytest

from fairmot.errors import ConfigError
from fairmot.model.config import ModelConfig
from fairmot.model.init import bilinear_kernel
from fairmot.model.network import build_network

NARROW = {"width": 0.25, "head_conv": 16, "reid_dim": 12}


@pytest.mark.parametrize("down_ratio", [2, 4, 8, 16])
def test_output_shapes_at_every_down_ratio(down_ratio):
    network = build_network(ModelConfig(down_ratio=down_ratio, ltrb=down_ratio != 8, **NARROW), seed=1)
    network.set_train(False)
    outputs = network(ms.Tensor(np.zeros((1, 3, 64, 96), np.float32)))
    height, width = 64 // down_ratio, 96 // down_ratio
    channels = [1, 2 if down_ratio == 8 else 4, 12, 2]
    assert [output.shape for output in outputs] == [(1, count, height, width) for count in channels]


def test_several_classes_and_heads_without_hidden_layer():
    network = build_network(ModelConfig(width=0.25, head_conv=0, reid_dim=8), seed=1, num_classes=3)
    network.set_train(False)
    assert network(ms.Tensor(np.zeros((1, 3, 32, 32), np.float32)))[0].shape == (1, 3, 8, 8)
    assert network.state()["hm.0.bias"].asnumpy() == pytest.approx(-2.19)


def test_initial_values():
    state = build_network(ModelConfig(), seed=4).state()
    assert state["hm.2.bias"].asnumpy() == pytest.approx(-2.19)
    for name in ("wh.0.bias", "wh.2.bias", "id.0.bias", "reg.2.bias"):
        assert not state[name].asnumpy().any(), name
    weight = state["base.level5.tree1.conv2.weight"].asnumpy()
    bound = 1 / np.sqrt(512 * 9)
    assert np.abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.01)
    up = state["ida_up.up_2.weight"].asnumpy()
    np.testing.assert_allclose(up, np.broadcast_to(bilinear_kernel(8), up.shape))


def test_bilinear_kernel_interpolates():
    np.testing.assert_allclose(bilinear_kernel(4)[1], np.array([0.25, 0.75, 0.75, 0.25]) * 0.75)
    for size in (4, 8):  # every output pixel gets weights that sum to 1
        kernel, factor = bilinear_kernel(size), size // 2
        sums = [kernel[i::factor, j::factor].sum() for i in range(factor) for j in range(factor)]
        np.testing.assert_allclose(sums, 1)


def test_same_seed_same_network():
    first, again, other = (build_network(ModelConfig(**NARROW), seed).state() for seed in (1, 1, 2))
    assert all(np.array_equal(first[name].asnumpy(), again[name].asnumpy()) for name in first)
    assert any(not np.array_equal(first[name].asnumpy(), other[name].asnumpy()) for name in first)


def test_a_network_whose_weights_are_read_from_a_file_takes_no_memory_before():
    state, made = (build_network(ModelConfig(**NARROW), seed).state() for seed in (None, 1))
    assert all(parameter.has_init for parameter in state.values())
    assert {name: (value.shape, value.dtype) for name, value in state.items()} == {
        name: (value.shape, value.dtype) for name, value in made.items()
    }


def test_projections_the_original_never_uses_are_not_trained():
    network = build_network(ModelConfig(**NARROW), seed=1)
    trained = {parameter.name for parameter in network.trainable_params()}
    unused = {name for name in network.state() if name.startswith(("base.level3.project", "base.level4.project"))}
    assert len(unused) == 10
    assert not trained & unused
    assert "base.level2.project.0.weight" in trained


def test_unknown_network_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"model.name=dla_60 .* there are: dlaconv_34"):
        build_network(ModelConfig(name="dla_60"), seed=0)


@pytest.mark.parametrize(("key", "value"), [("down_ratio", 3), ("width", 0.0), ("head_conv", -1), ("reid_dim", 0)])
def test_refused_value_names_its_key(key, value):
    with pytest.raises(ValueError, match=f"model.{key}={value}"):
        ModelConfig(**{key: value})
