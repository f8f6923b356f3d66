"""Optimisers against NumPy, schedules against their definitions."""

import itertools

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from train.optimizer import Optimizer, learning_rate
from train.step_config import OptimConfig, OptimizerName, Schedule

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3) - 2
BIAS = np.array([0.5, -0.5], np.float32)


def optimise(config, steps=4, rate=0.1):
    """Weight and bias after a few steps whose gradient is 0.3 * value + 0.1."""
    weight, bias = Parameter(Tensor(WEIGHT), name="w"), Parameter(Tensor(BIAS), name="b")
    optimizer = Optimizer(config, [bias, weight])
    for _ in range(steps):
        gradients = tuple(Tensor(0.3 * parameter.asnumpy() + 0.1) for parameter in optimizer.weights)
        optimizer(optimizer.pack(gradients), Tensor(1.0), Tensor(rate, ms.float32), Tensor(True))
    return weight.asnumpy(), bias.asnumpy()


def adam(value, decay_in_gradient, decoupled, steps=4, rate=0.1):
    value, first, second = value.astype(np.float64), 0.0, 0.0
    for t in range(1, steps + 1):
        gradient = 0.3 * value + 0.1 + decay_in_gradient * value
        value = value * (1 - rate * decoupled)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        value = value - rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * first / (np.sqrt(second) + 1e-8)
    return value


@pytest.fixture(autouse=True)
def graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.mark.parametrize(("name", "in_gradient", "decoupled"), [("adam", 0.2, 0.0), ("adamw", 0.0, 0.2)])
def test_adam_and_adamw_decay_weights_only(name, in_gradient, decoupled):
    weight, bias = optimise(OptimConfig(name=OptimizerName[name], weight_decay=0.2))
    np.testing.assert_allclose(weight, adam(WEIGHT, in_gradient, decoupled), rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(bias, adam(BIAS, 0.0, 0.0), rtol=2e-4, atol=1e-5)


def test_sgd_with_momentum():
    weight, _ = optimise(OptimConfig(name=OptimizerName.sgd, momentum=0.5, weight_decay=0.2))
    value, velocity = WEIGHT.astype(np.float64), 0.0
    for _ in range(4):
        velocity = 0.5 * velocity + (0.3 * value + 0.1 + 0.2 * value)
        value = value - 0.1 * velocity
    np.testing.assert_allclose(weight, value, rtol=1e-5)


@pytest.mark.parametrize("name", list(OptimizerName))
def test_the_rate_handed_in_is_the_rate_used(name):
    moved = [np.abs(optimise(OptimConfig(name=name), steps=1, rate=rate)[0] - WEIGHT).sum() for rate in (0.1, 0.01)]
    assert moved[0] == pytest.approx(10 * moved[1], rel=1e-3)


def rate(config, epoch_progress, step=10_000, epochs=30):
    return learning_rate(config, step, epoch_progress, epochs)


def test_step_schedule_falls_after_the_named_epochs():
    config = OptimConfig(lr=1e-4, lr_step=[20, 27])
    expected = {0: 1e-4, 19.999: 1e-4, 20: 1e-5, 26.9: 1e-5, 27: 1e-6, 30: 1e-6}
    for progress, wanted in expected.items():
        assert rate(config, progress) == pytest.approx(wanted), progress


def test_cosine_and_polynomial_run_from_lr_to_min_lr():
    for schedule in (Schedule.cosine, Schedule.polynomial):
        config = OptimConfig(lr=1e-3, min_lr=1e-5, schedule=schedule)
        rates = [rate(config, progress) for progress in np.linspace(0, 30, 50)]
        assert rates[0] == pytest.approx(1e-3)
        assert rates[-1] == pytest.approx(1e-5)
        assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert rate(OptimConfig(lr=1e-3, schedule=Schedule.cosine), 15) == pytest.approx(5e-4)


def test_warm_up_climbs_to_the_schedule():
    config = OptimConfig(lr=1.0, schedule=Schedule.constant, warmup_steps=10, warmup_factor=0.2)
    assert [rate(config, 0, step) for step in (0, 5, 10, 11)] == pytest.approx([0.2, 0.6, 1.0, 1.0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", 0.0),
        ("lr", float("nan")),
        ("weight_decay", -1.0),
        ("betas", [0.9]),
        ("betas", [0.9, 1.0]),
        ("lr_step", [20, 10]),
        ("min_lr", 1.0),
        ("warmup_steps", -1),
        ("warmup_factor", 2.0),
        ("clip_norm", -0.1),
        ("accumulation", 0),
        ("momentum", 1.0),
        ("eps", 0.0),
    ],
)
def test_refused_value_names_its_key(key, value):
    with pytest.raises(ValueError, match=f"optim.{key}="):
        OptimConfig(**{key: value})
