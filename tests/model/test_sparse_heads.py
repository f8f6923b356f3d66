"""Heads read at the centres alone give what whole maps give there, and the same gradients."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from fairmot.inference.network import DetectionGraph
from fairmot.model.config import ModelConfig
from fairmot.model.decode import Decode
from fairmot.model.heads import HEADS, Heads, head_channels
from fairmot.model.network import build_network
from fairmot.ops import gather_at, windows_at

CHANNELS, HEIGHT, WIDTH = 6, 5, 7
CORNERS = [0, WIDTH - 1, (HEIGHT - 1) * WIDTH, HEIGHT * WIDTH - 1]
CELLS = np.array([[*CORNERS, 3, WIDTH, 17, 17, 0], [2 * WIDTH - 1, 31, 8, 9, 10, 16, 18, 24, 0]], np.int32)
"""All corners and borders, neighbours whose windows overlap, one cell twice, and slots without object at 0."""


@pytest.fixture(autouse=True)
def graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)


def make_heads(hidden, activation=nn.ReLU, classes=1):
    generator = np.random.default_rng(3)
    heads = Heads(CHANNELS, hidden, head_channels(classes, True, 8), activation)
    for parameter in heads.get_parameters():
        parameter.set_data(ms.Tensor(generator.standard_normal(parameter.shape).astype(np.float32) * 0.3))
    return heads


class ValuesAndGradients(nn.Cell):
    """What the heads give at the cells, and the gradients of a weighted sum of it and of the heatmap."""

    def __init__(self, heads, sparse):
        super().__init__()
        self.heads, self.sparse = heads, sparse
        self.differentiate = ops.value_and_grad(self.forward, 0, ms.ParameterTuple(heads.get_parameters()), True)

    def forward(self, features, cells, weights):
        if self.sparse:
            hm, wh, embedding, reg = self.heads(features, cells)
        else:
            hm, wh, embedding, reg = self.heads(features)
            wh, embedding, reg = gather_at(wh, cells), gather_at(embedding, cells), gather_at(reg, cells)
        values = ops.concat((wh, embedding, reg), 2)
        return (values * weights).sum() + (hm * hm).sum(), values

    def construct(self, features, cells, weights):
        return self.differentiate(features, cells, weights)


@pytest.mark.parametrize(
    ("hidden", "activation", "classes"), [(16, nn.ReLU, 1), (16, nn.SiLU, 2), (0, nn.ReLU, 1)], ids=str
)
def test_values_and_gradients_are_those_of_whole_maps(hidden, activation, classes):
    generator = np.random.default_rng(4)
    features = ms.Tensor(generator.standard_normal((2, CHANNELS, HEIGHT, WIDTH)).astype(np.float32))
    weights = generator.standard_normal((2, CELLS.shape[1], 4 + 8 + 2)).astype(np.float32)
    weights[:, -1] = 0
    heads = make_heads(hidden, activation, classes)
    results = []
    for sparse in (False, True):
        (_, values), (by_features, by_parameter) = ValuesAndGradients(heads, sparse)(
            features, ms.Tensor(CELLS), ms.Tensor(weights)
        )
        results.append([values, by_features, *by_parameter])
    names = ["values", "features", *(parameter.name for parameter in heads.get_parameters())]
    for name, dense, sparse in zip(names, *results, strict=True):
        assert np.abs((sparse - dense).asnumpy()).max() <= 1e-5 * np.abs(dense.asnumpy()).max(), name


def test_windows_hold_zeros_outside_the_map():
    picture = np.arange(1, 1 + 2 * HEIGHT * WIDTH, dtype=np.float32).reshape(2, 1, HEIGHT, WIDTH)
    windows = windows_at(ms.Tensor(picture), ms.Tensor(CELLS)).asnumpy()
    padded = np.pad(picture, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for image, cells in enumerate(CELLS):
        for slot, cell in enumerate(cells):
            y, x = divmod(int(cell), WIDTH)
            np.testing.assert_array_equal(windows[image, 0, slot], padded[image, 0, y : y + 3, x : x + 3].ravel())


@pytest.mark.parametrize("name", ["dlaconv_34", "dla_34", "yolov5s"])
@pytest.mark.slow
def test_networks_read_at_centres_what_their_maps_hold(name):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network = build_network(ModelConfig(name=name, width=0.25, head_conv=8, reid_dim=12), seed=2).set_train(False)
    generator = np.random.default_rng(5)
    image = ms.Tensor(generator.integers(0, 256, (1, 64, 96, 3), dtype=np.uint8))
    cells = ms.Tensor(generator.integers(0, 16 * 24, (1, 6)).astype(np.int32))
    maps, read = network(image), network(image, cells)
    np.testing.assert_allclose(read[0].asnumpy(), maps[0].asnumpy(), atol=1e-6)
    for head, whole, values in zip(HEADS[1:], maps[1:], read[1:], strict=True):
        expected = gather_at(whole, cells).asnumpy()
        assert np.abs(values.asnumpy() - expected).max() <= 1e-5 * np.abs(expected).max(), head


class OnWholeMaps(nn.Cell):
    """Network and decoder, all heads everywhere."""

    def __init__(self, network, max_objects):
        super().__init__(auto_prefix=False)
        self.network, self.decode = network, Decode(max_objects)

    def construct(self, image):
        hm, wh, embedding, reg = self.network(image)
        return (*self.decode(hm, wh, embedding, reg), embedding)


@pytest.mark.parametrize("head_conv", [8, 0])
def test_objects_are_those_of_whole_maps(head_conv):
    config = ModelConfig(name="dlaconv_34", width=0.125, head_conv=head_conv, reid_dim=12)
    network = build_network(config, seed=2, num_classes=2).set_train(False)
    generator = np.random.default_rng(5)
    for parameter in network.heads.get_parameters():
        parameter.set_data(ms.Tensor(generator.standard_normal(parameter.shape).astype(np.float32)))
    image = ms.Tensor(generator.integers(0, 256, (2, 64, 96, 3), dtype=np.uint8))
    every_cell = 2 * 16 * 24  # of both classes: borders and corners too
    expected = [output.asnumpy() for output in OnWholeMaps(network, every_cell)(image)]
    found = [output.asnumpy() for output in DetectionGraph(network, every_cell, with_embedding_map=True)(image)]
    for name, one, other in zip(
        ("boxes", "scores", "classes", "embeddings", "cells", "map"), found, expected, strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max(), rtol=0, err_msg=name)
    assert np.ptp(expected[0]) > 1, "boxes that differ"
