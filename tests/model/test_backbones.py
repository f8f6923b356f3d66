"""The backbones beside DLA: initial values, width, refusals, training (numbers have fixtures in tests/parity)."""

import mindspore as ms
import numpy as np
import pytest
from small_run import compose_config
from tiny import call

from fairmot.errors import ConfigError
from fairmot.losses.config import LossConfig
from fairmot.losses.fairmot_loss import FairMOTLoss
from fairmot.model.config import ModelConfig
from fairmot.model.init import SMALL_DEVIATION, bilinear_kernel
from fairmot.model.network import BACKBONES, build_network
from train.optimizer import Optimizer
from train.step import LossScale, TrainOneStep
from train.step_config import LossScaleConfig, OptimConfig

NAMES = ["yolov5s", "resdcn_34", "resdcn_50", "resfpndcn_34", "hrnet_18", "hrnet_32"]
EXPERIMENTS = {
    "mix_mot17_half_hrnet18": ("hrnet_18", 256, 128),
    "mix_mot17_half_res34": ("resdcn_34", 256, 128),
    "mix_mot17_half_res50": ("resdcn_50", 256, 128),
    "mix_mot17_half_res34fpn": ("resfpndcn_34", 256, 128),
    "all_yolov5s": ("yolov5s", 64, 64),
}
SIDE = 64
IDENTITIES, REID_DIM, SLOTS = 9, 8, 6


@pytest.fixture
def mode():
    """Puts MindSpore's mode back, whatever a test chooses."""
    before = ms.get_context("mode")
    yield
    ms.set_context(mode=before)


def narrow(name, seed=0, **changes):
    return build_network(ModelConfig(name=name, width=0.25, head_conv=16, reid_dim=REID_DIM, **changes), seed)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_experiments_name_networks_there_are(experiment):
    model = compose_config([f"experiment={experiment}"]).model
    assert (model.name, model.head_conv, model.reid_dim) == EXPERIMENTS[experiment]
    assert (model.width, model.down_ratio, model.ltrb) == (1, 4, True)
    assert model.name in BACKBONES


def test_same_seed_same_network():
    first, again, other = (narrow("yolov5s", seed).state() for seed in (1, 1, 2))
    assert all(np.array_equal(first[key].asnumpy(), again[key].asnumpy()) for key in first)
    weights = [key for key in first if key.endswith(".weight")]
    assert all(not np.array_equal(first[key].asnumpy(), other[key].asnumpy()) for key in weights)


def is_small(parameter):
    return parameter.asnumpy().std() == pytest.approx(SMALL_DEVIATION, rel=0.25)


def is_uniform(parameter):
    bound = 1 / np.sqrt(np.prod(parameter.shape[1:]))
    values = parameter.asnumpy()
    return np.abs(values).max() <= bound and values.std() == pytest.approx(bound / np.sqrt(3), rel=0.25)


def test_hrnet_starts_small_before_its_heads():
    state = narrow("hrnet_18").state()
    for name in ("conv1.weight", "layer1.0.downsample.0.weight", "stage4.2.fuse_layers.3.0.2.0.weight"):
        assert is_small(state[name]), name
    for name in ("hm.0.weight", "hm.0.bias", "wh.2.weight", "id.2.weight"):
        assert is_uniform(state[name]) or name == "hm.0.bias", name
    assert state["hm.2.bias"].asnumpy() == pytest.approx(-2.19)
    assert not state["wh.0.bias"].asnumpy().any()


@pytest.mark.parametrize(("name", "up"), [("resdcn_34", "deconv_layers.3"), ("resfpndcn_34", "deconv_layer1.3")])
def test_resnet_starts_its_regressing_heads_small_and_half_interpolating(name, up):
    state = narrow(name).state()
    assert is_small(state["wh.0.weight"])
    assert is_small(state["id.2.weight"])
    assert is_uniform(state["hm.0.weight"])
    assert is_uniform(state["layer3.2.conv2.weight"])
    kernel = state[f"{up}.weight"].asnumpy()
    np.testing.assert_allclose(kernel[:, 0], np.broadcast_to(bilinear_kernel(4), kernel[:, 0].shape))
    assert np.abs(kernel[:, 1:]).max() <= 1 / np.sqrt(np.prod(kernel.shape[1:]))


def test_yolo_starts_small_where_a_layer_has_as_many_outputs_as_its_head():
    config = compose_config(["model=yolov5s"]).model
    state = build_network(config, 0).state()
    for name in ("wh.2.weight", "reg.2.weight", "id.2.weight", "id.0.weight"):
        assert is_small(state[name]), name
    for name in ("wh.0.weight", "hm.0.weight", "hm.2.weight", "backbone.model.9.cv3.conv.weight"):
        assert is_uniform(state[name]), name
    config.reid_dim = 128
    assert is_uniform(build_network(config, 0).state()["id.0.weight"])


def test_another_output_stride_is_refused():
    with pytest.raises(ConfigError, match="model.down_ratio=8: yolov5s has its output at one cell to 4 pixels"):
        narrow("yolov5s", down_ratio=8)


def batch(generator):
    cells = SIDE // 4
    hm = np.zeros((2, 1, cells, cells), np.float32)
    hm[:, 0, 3, 4] = 1
    mask = np.zeros((2, SLOTS), np.int32)
    mask[:, :3] = 1
    arrays = (
        generator.integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8),
        hm,
        mask,
        generator.integers(0, cells * cells, (2, SLOTS)).astype(np.int32),
        generator.random((2, SLOTS, 4), dtype=np.float32) * 3,
        generator.random((2, SLOTS, 2), dtype=np.float32),
        generator.integers(0, IDENTITIES, (2, SLOTS)).astype(np.int32),
    )
    return [ms.Tensor(array) for array in arrays]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES[:2])  # the others take minutes: tests/train/simulate compiles them, for Ascend
def test_trains_and_evaluates_in_graph_mode(name, mode):
    ms.set_context(mode=ms.GRAPH_MODE)
    network = narrow(name)
    loss = FairMOTLoss(LossConfig(fp16_classifier=False), IDENTITIES, REID_DIM, seed=1)
    optimizer = Optimizer(OptimConfig(), network.trainable_params() + loss.trainable_params())
    step = TrainOneStep(network, loss, optimizer, LossScale(LossScaleConfig())).set_train()
    before = {parameter.name: parameter.asnumpy().copy() for parameter in optimizer.weights}
    inputs = batch(np.random.default_rng(0))
    losses = [call(step, inputs, rate=1e-5)["loss"] for _ in range(3)]
    assert losses[2] < losses[1] < losses[0]
    still = [weight.name for weight in optimizer.weights if np.array_equal(before[weight.name], weight.asnumpy())]
    assert still == []
    network.set_train(False)
    compiled = [output.asnumpy() for output in network(inputs[0])]
    ms.set_context(mode=ms.PYNATIVE_MODE)
    for output, plain in zip(compiled, network(inputs[0]), strict=True):
        assert np.isfinite(output).all()
        np.testing.assert_allclose(output, plain.asnumpy(), rtol=0, atol=1e-4 * np.abs(output).max())
