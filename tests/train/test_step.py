"""The custom training cell: updates, overflow, loss scale, clipping, accumulation."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops
from mindspore.amp import all_finite
from tiny import call, tiny_batch, tiny_step, values

from fairmot.losses.config import LossConfig
from train.step_config import LossScaleConfig, OptimConfig, OptimizerName


@pytest.fixture(autouse=True)
def graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)


def overflowing(batch):
    """The batch with one infinite pixel."""
    image = batch[0].asnumpy().copy()
    image[0, 0, 0, 0] = np.inf
    return [ms.Tensor(image), *batch[1:]]


def test_every_trainable_parameter_moves_and_the_loss_falls():
    step = tiny_step()
    before = values(step)
    losses = [call(step, tiny_batch(0))["loss"] for _ in range(15)]
    after = values(step)
    assert {"classifier.weight", "classifier.bias", "s_det", "s_id", "id.weight"} <= set(after)
    assert all(not np.array_equal(before[name], after[name]) for name in after)
    assert losses[-1] < losses[0]


def test_overflow_changes_nothing_but_halves_the_scale_and_is_counted():
    step = tiny_step(scale=LossScaleConfig(initial=64.0))
    call(step, tiny_batch(0))
    before = values(step) | {p.name: p.asnumpy().copy() for p in step.optimizer.get_parameters()}
    scalars = call(step, overflowing(tiny_batch(1)))
    assert scalars["overflow"] == 1
    assert scalars["overflow_steps"] == 1
    assert scalars["loss_scale"] == 64
    for parameter in step.optimizer.get_parameters():
        if parameter.name != "learning_rate":
            np.testing.assert_array_equal(parameter.asnumpy(), before[parameter.name], err_msg=parameter.name)
    scalars = call(step, tiny_batch(2))
    assert scalars["loss_scale"] == 32
    assert scalars["overflow"] == 0
    assert scalars["overflow_steps"] == 1


@pytest.mark.slow
def test_an_overflow_of_scaled_fp16_gradients_is_found():
    step = tiny_step(scale=LossScaleConfig(initial=2.0**24), loss=LossConfig(fp16_classifier=True))
    first = call(step, tiny_batch(0))
    assert np.isfinite(first["loss"])
    assert first["overflow"] == 1
    for _ in range(20):
        last = call(step, tiny_batch(0))
    assert last["overflow"] == 0
    assert last["loss_scale"] < 2.0**24


@pytest.mark.slow
def test_scale_grows_after_good_steps_up_to_its_maximum():
    step = tiny_step(scale=LossScaleConfig(initial=4.0, growth_steps=2, maximum=16.0))
    scales = [call(step, tiny_batch(i))["loss_scale"] for i in range(8)]
    assert scales == [4, 4, 8, 8, 16, 16, 16, 16]


@pytest.mark.slow
def test_static_scale_stays_but_still_skips():
    step = tiny_step(scale=LossScaleConfig(initial=8.0, dynamic=False))
    before = values(step)
    assert call(step, overflowing(tiny_batch(0)))["overflow_steps"] == 1
    assert all(np.array_equal(before[name], value) for name, value in values(step).items())
    assert call(step, tiny_batch(0))["loss_scale"] == 8


@pytest.mark.slow
def test_power_of_two_scales_train_bit_identically():
    results = []
    for initial in (1.0, 1024.0):
        step = tiny_step(scale=LossScaleConfig(initial=initial))
        for i in range(3):
            call(step, tiny_batch(i))
        results.append(values(step))
    for name, value in results[0].items():
        np.testing.assert_array_equal(value, results[1][name], err_msg=name)


def sgd(**options):
    return OptimConfig(name=OptimizerName.sgd, lr=1.0, momentum=0.0, **options)


def test_clipping_bounds_the_global_norm_of_what_is_applied():
    free, clipped = tiny_step(optim=sgd()), tiny_step(optim=sgd(), clip_norm=0.5)
    before = values(free)
    norm = call(free, tiny_batch(0), rate=1.0)["gradient_norm"]
    assert norm > 0.5
    assert call(clipped, tiny_batch(0), rate=1.0)["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    for step, wanted in ((free, norm), (clipped, 0.5)):
        moved = np.sqrt(sum(((values(step)[name] - before[name]) ** 2).sum() for name in before))
        assert moved == pytest.approx(wanted, rel=1e-3)


def test_accumulation_is_the_mean_of_its_micro_batches():
    whole, parts = tiny_step(optim=sgd()), tiny_step(optim=sgd(), accumulation=2)
    before = values(parts)
    first, second = tiny_batch(0), tiny_batch(1)
    call(parts, first, rate=0.1, is_update=False)
    assert all(np.array_equal(before[name], value) for name, value in values(parts).items())
    scalars = call(parts, second, rate=0.1)
    # every micro-batch has as many objects and positives as the other, so means of means are means
    together = [ms.Tensor(np.concatenate([a.asnumpy(), b.asnumpy()])) for a, b in zip(first, second, strict=True)]
    reference = call(whole, together, rate=0.1)
    for key in ("loss", "hm_loss", "wh_loss", "off_loss", "id_loss", "det_loss", "gradient_norm"):
        assert scalars[key] == pytest.approx(reference[key], rel=1e-4), key
    for name, value in values(whole).items():
        np.testing.assert_allclose(values(parts)[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_accumulation_starts_anew_after_an_update_and_after_an_overflow():
    step = tiny_step(optim=sgd(), accumulation=2)
    before = values(step)
    call(step, overflowing(tiny_batch(0)), is_update=False)
    assert call(step, tiny_batch(1))["overflow"] == 1
    assert all(np.array_equal(before[name], value) for name, value in values(step).items())
    call(step, tiny_batch(0), is_update=False)
    assert call(step, tiny_batch(1))["overflow"] == 0
    fresh = tiny_step(optim=sgd(), accumulation=2)
    call(fresh, tiny_batch(0), is_update=False)
    call(fresh, tiny_batch(1))
    for name, value in values(fresh).items():
        np.testing.assert_allclose(values(step)[name], value, rtol=1e-5, atol=1e-7, err_msg=name)


class OtherRank(nn.Cell):
    """Means over this rank and one that has the same values, but for the last one of a vector."""

    def __init__(self):
        super().__init__()
        self.last = ms.Parameter(ms.Tensor(1.0), name="last_of_the_other_rank", requires_grad=False)

    def construct(self, vector):
        return ops.concat((vector[:-1], (vector[-1:] + self.last) / 2))


class SameGradients(nn.Cell):
    def construct(self, gradients):
        return gradients


@pytest.mark.slow
def test_another_ranks_overflow_is_asked_for_where_devices_saturate():
    other = OtherRank()
    step = tiny_step(reduce_gradients=SameGradients(), reduce_scalars=other)
    step.all_finite = all_finite  # as on an NPU, which may hide an overflow in values that look finite
    assert call(step, tiny_batch(0))["overflow"] == 0
    before = values(step)
    other.last.set_data(ms.Tensor(0.0))
    scalars = call(step, tiny_batch(1))
    assert (scalars["overflow"], scalars["overflow_steps"]) == (1, 1)
    assert np.isfinite(scalars["gradient_norm"])
    assert all(np.array_equal(before[name], value) for name, value in values(step).items())


@pytest.mark.slow
def test_two_runs_are_bit_identical():
    results = []
    for _ in range(2):
        step = tiny_step(loss=LossConfig(fp16_classifier=True))
        results.append(([call(step, tiny_batch(i)) for i in range(4)], values(step)))
    assert results[0][0] == results[1][0]
    assert all(np.array_equal(results[0][1][name], results[1][1][name]) for name in results[0][1])


@pytest.mark.parametrize("options", [{"initial": 0.5}, {"initial": float("inf")}, {"growth_steps": 0}])
def test_refused_scale_names_its_key(options):
    with pytest.raises(ValueError, match=f"runtime.loss_scale.{next(iter(options))}"):
        LossScaleConfig(**options)
