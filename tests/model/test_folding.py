"""A network whose batch normalisations are folded into its convolutions says what it said before."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from fairmot.model.config import ModelConfig
from fairmot.model.folding import fold_batch_norms
from fairmot.model.network import build_network


@pytest.mark.parametrize("name", ["dla_34", "hrnet_18", "resdcn_50", "resfpndcn_34", "yolov5s"])
@pytest.mark.slow
def test_a_folded_network_says_the_same(name):
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    generator = np.random.default_rng(6)
    network = build_network(ModelConfig(name=name, width=0.25, head_conv=8, reid_dim=4), seed=3).set_train(False)
    for parameter in network.get_parameters():
        kind = parameter.name.rsplit(".", 1)[1]
        if kind in ("gamma", "moving_variance"):
            parameter.set_data(ms.Tensor(generator.uniform(0.5, 1.5, parameter.shape).astype(np.float32)))
        elif kind in ("beta", "moving_mean"):
            parameter.set_data(ms.Tensor(generator.normal(0, 0.1, parameter.shape).astype(np.float32)))
    image = ms.Tensor(generator.integers(0, 256, (1, 64, 96, 3), dtype=np.uint8))
    before = [output.asnumpy() for output in network(image)]
    fold_batch_norms(network)
    assert not any(isinstance(cell, nn.BatchNorm2d) for _, cell in network.cells_and_names())
    for folded, expected in zip(network(image), before, strict=True):
        np.testing.assert_allclose(folded.asnumpy(), expected, rtol=0, atol=2e-5 * max(1, np.abs(expected).max()))
    ms.set_context(mode=mode)
