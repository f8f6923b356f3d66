"""A network in training by ONNX Runtime: its newest weights count, and nothing costs the training."""

import dataclasses

import numpy as np
import onnxruntime
import pytest
from drawn_weights import drawn_weights
from mindspore import Tensor
from one_convolution import one_convolution  # noqa: F401

from fairmot.export import live as live_module
from fairmot.export.live import LiveExport
from fairmot.export.onnx_operators import TRANSLATIONS
from fairmot.inference.exported import ExportedDetector
from fairmot.inference.network import NetworkDetector, TrainedNetwork
from fairmot.model.config import ModelConfig
from fairmot.model.network import build_network

INPUT_SIZE = (64, 96)
BEST = 20
MODEL = ModelConfig(name="one_convolution", head_conv=4, reid_dim=6)


def draw(network, seed):
    for name, weight in drawn_weights(network, seed).items():
        network.state()[name].set_data(Tensor(weight))


@pytest.fixture
def network():
    made = build_network(MODEL, seed=2, num_classes=1)
    draw(made, 4)
    return made.set_train(True)


@pytest.fixture
def by_mindspore(network):
    return NetworkDetector(network, INPUT_SIZE)


@pytest.fixture
def live(network, by_mindspore):
    return LiveExport(TrainedNetwork(network, MODEL, INPUT_SIZE, 1), by_mindspore)


def found_by(detector):
    frame = np.random.default_rng(1).integers(0, 256, (128, 192, 3)).astype(np.uint8)
    return detector.detect([frame])[0]


def assert_same(found, expected):
    assert min(len(found), len(expected)) > BEST  # rounding decides which of the weak ones are peaks
    for field in dataclasses.fields(expected):
        ours, theirs = (getattr(one, field.name)[:BEST] for one in (found, expected))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def test_the_newest_weights_count_and_one_export_serves_all(network, by_mindspore, live, monkeypatch, capfd):
    exports = []
    monkeypatch.setattr(
        live_module, "onnx_graph", lambda *args, make=live_module.onnx_graph: exports.append(0) or make(*args)
    )
    first = found_by(live.open())
    assert_same(first, found_by(by_mindspore))
    draw(network, 5)
    before = {name: parameter.asnumpy().copy() for name, parameter in network.state().items()}
    detector = live.open()
    assert isinstance(detector, ExportedDetector)
    assert_same(found_by(detector), found_by(by_mindspore))
    assert not np.allclose(found_by(detector).scores[:BEST], first.scores[:BEST], atol=1e-3)
    assert len(exports) == 1
    assert network.training
    for name, parameter in network.state().items():
        np.testing.assert_array_equal(parameter.asnumpy(), before[name], err_msg=name)
    assert capfd.readouterr().err.count("ONNX Runtime") == 1


def test_every_weight_of_the_graph_is_replaced(network, live):
    """One that is not would be an old one, for ever."""
    live.open()
    assert live._graph is not None
    kept = {constant.name: constant for constant in live._graph.graph.initializer}
    names = {parameter.name for parameter in network.get_parameters()}
    assert names <= kept.keys()
    assert all(not kept[name].raw_data for name in names)


@pytest.mark.parametrize("fault", ["an operator without translation", "old weights"])
def test_where_it_fails_the_networks_own_detector_goes_on(network, by_mindspore, live, monkeypatch, capfd, fault):
    if fault == "old weights":
        assert live.open() is not by_mindspore
        capfd.readouterr()
        draw(network, 5)
        for constant in live._graph.graph.initializer:
            if not constant.raw_data:
                old = np.random.default_rng(0).standard_normal(tuple(constant.dims)).astype(np.float32)
                constant.raw_data = old.tobytes()
        monkeypatch.setattr(live, "_weights_of", lambda graph: [])
    else:
        monkeypatch.delitem(TRANSLATIONS, "Sqrt")
    assert live.open() is by_mindspore
    said = capfd.readouterr().err
    assert "validation goes on by MindSpore, since ONNX Runtime cannot take its place: " in said
    assert {"old weights": "differ from the checkpoint's"}.get(fault, "Sqrt") in said
    assert live.open() is by_mindspore
    assert capfd.readouterr().err == ""


def test_a_rank_among_several_takes_no_more_threads_than_it_was_given(network, by_mindspore, monkeypatch):
    given = []

    def session(graph, options, *, make=onnxruntime.InferenceSession, **settings):
        given.append(options.intra_op_num_threads)
        return make(graph, options, **settings)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    LiveExport(TrainedNetwork(network, MODEL, INPUT_SIZE, 1), by_mindspore, threads=1).open()
    assert given == [1]
