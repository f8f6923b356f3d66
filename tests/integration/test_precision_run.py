"""Training in half precision: what it computes stays near fp32, what it keeps is fp32."""

from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from mindspore import ops
from small_run import compose_config, overrides, write_pictures

from fairmot.data.identities import IdentityTable
from fairmot.device import Device, use_device
from fairmot.model.deform_conv import DeformConv
from fairmot.weights.checkpoint import read_checkpoint
from train.build import build_state
from train.command import train
from train.report.record import read_metrics
from train.step_config import BatchNorm

IDENTITIES = IdentityTable(["small"], [5])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Precision -> the same training in it, three steps."""
    root = tmp_path_factory.mktemp("data")
    write_pictures(root)
    places = {}
    for precision in ("fp32", "fp16"):
        places[precision] = root / precision
        options = {"max_steps": 3, "save_every_steps": 3, "runtime__loss_scale__initial": 4096.0}
        train(compose_config(overrides(root, places[precision], runtime__precision=precision, **options)))
    return places


@pytest.mark.slow
def test_training_in_fp16_follows_fp32(runs):
    fp32, fp16 = (read_metrics(runs[precision]) for precision in ("fp32", "fp16"))
    for name in ("loss", "hm_loss", "wh_loss", "off_loss", "id_loss", "gradient_norm"):
        full, half = (np.array([value for _, value in metrics[name]]) for metrics in (fp32, fp16))
        assert np.isfinite(half).all()
        np.testing.assert_allclose(half, full, rtol=0.02, err_msg=name)
        assert (half != full).any(), f"{name} is that of fp32"
    assert [value for _, value in fp16["loss_scale"]] == [4096.0] * 3
    assert [value for _, value in fp16["overflow_steps"]] == [0.0] * 3


@pytest.mark.slow
def test_a_checkpoint_of_fp16_is_one_of_fp32(runs):
    fp32, fp16 = (read_checkpoint(runs[precision]) for precision in ("fp32", "fp16"))
    for group in fp32.groups:
        full, half = fp32.tensors(group), fp16.tensors(group)
        assert {name: (a.dtype, a.shape) for name, a in half.items()} == {
            name: (a.dtype, a.shape) for name, a in full.items()
        }
    weights = fp16.tensors("network")
    assert all(array.dtype == np.float32 for array in weights.values())
    kept = weights["base.0.weight"]
    assert (kept != kept.astype(np.float16)).any(), "the master weights were rounded to half precision"


@pytest.mark.parametrize("batch_norm", [BatchNorm.rank, BatchNorm.frozen])
def test_head_maps_are_fp32_and_near_those_of_fp32(tmp_path, batch_norm):
    use_device(Device.cpu)
    config = compose_config(overrides(tmp_path, tmp_path))
    config.batch_norm = batch_norm
    image = ms.Tensor(np.random.default_rng(3).integers(0, 256, (2, 64, 96, 3), np.uint8))
    maps = {}
    for precision in (type(config.runtime.precision).fp32, type(config.runtime.precision).fp16):
        config.runtime = replace(config.runtime, precision=precision)
        network = build_state(config, IDENTITIES).network
        network.set_train()
        maps[precision.value] = network(image)
    for full, half in zip(maps["fp32"], maps["fp16"], strict=True):
        assert half.dtype == ms.float32
        scale = np.abs(full.asnumpy()).max()
        np.testing.assert_allclose(half.asnumpy(), full.asnumpy(), atol=0.01 * scale)
        assert (half != full).any()


@pytest.mark.slow
def test_deformable_convolutions_run_in_fp16():
    """Sampling positions stay in fp32: a shift of a fraction of a cell beyond column 256 is still felt."""
    use_device(Device.cpu)
    generator = np.random.default_rng(5)
    weight = generator.standard_normal((4, 4, 3, 3)).astype(np.float32)
    features = ms.Tensor(generator.standard_normal((1, 4, 2, 320)).astype(np.float32))
    shift = np.zeros(27, np.float32)
    shift[1:18:2] = 0.3
    results = {}
    for dtype in (ms.float32, ms.float16):
        layer = DeformConv(4, 4)
        layer.weight.set_data(ms.Tensor(weight))
        layer.conv_offset_mask.weight.set_data(ops.zeros_like(layer.conv_offset_mask.weight))
        layer.conv_offset_mask.bias.set_data(ms.Tensor(shift))
        results[dtype] = layer.to_float(dtype)(features)
    full, half = results[ms.float32].asnumpy(), results[ms.float16].asnumpy()
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, full, atol=0.01 * np.abs(full).max())


def test_what_the_cpu_lacks_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(Exception, match="runtime.precision=bf16: device=cpu .*has no bfloat16 convolution"):
        compose_config(overrides(tmp_path, tmp_path, runtime__precision="bf16"))
    words = overrides(tmp_path, tmp_path, runtime__precision="bf16", device="ascend")
    assert compose_config(words).runtime.precision.value == "bf16"
