"""All parameters as one vector: the same steps, the same checkpoints as one by one, whatever the device."""

import mindspore as ms
import numpy as np
import pytest
from tiny import call, tiny_batch, tiny_parts, values

from train.average import WeightAverage
from train.flat_optimizer import FlatOptimizer, build_optimizer
from train.optimizer import OptimConfig, Optimizer, OptimizerName
from train.packing import Packing, read_arrays, whole_parameters, write_arrays
from train.step import LossScaleConfig, TrainOneStep

SHARES = (0.5, 0.3)


@pytest.fixture(autouse=True)
def graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)


def make_step(make, config, **options):
    """A step on the tiny network whose optimiser `make` makes."""
    network, loss, _, scale = tiny_parts(scale=LossScaleConfig(initial=64.0))
    optimizer = make(config, network.trainable_params() + loss.trainable_params())
    average = WeightAverage(network.trainable_params(), 0.5, flat=make is not Optimizer)
    return TrainOneStep(network, loss, optimizer, scale, average=average, **options)


def flat(config, parameters):
    return FlatOptimizer(config, parameters, SHARES)


def everything(step):
    arrays = read_arrays(step.optimizer.state()) | {
        f"ema.{n}": a for n, a in read_arrays(step.average.averages).items()
    }
    return values(step) | {name: array.copy() for name, array in arrays.items()}


def overflowing(batch):
    batch[0] = ms.Tensor(np.full_like(batch[0].asnumpy(), np.inf))
    return batch


CONFIGS = {
    "adam": OptimConfig(),
    "adam with decay": OptimConfig(weight_decay=0.1, betas=[0.8, 0.99], eps=1e-3),
    "adamw": OptimConfig(name=OptimizerName.adamw, weight_decay=0.1),
    "sgd": OptimConfig(name=OptimizerName.sgd, momentum=0.8, weight_decay=0.1),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_both_ways_make_the_same_steps_and_hold_the_same_state(name):
    """Steps with an overflow first, in the middle and with clipping; accumulation with one of them."""
    options = {"clip_norm": 5.0, "accumulation": 2 if name == "sgd" else 1}
    steps = [make_step(make, CONFIGS[name], **options) for make in (Optimizer, flat)]
    for number in range(5):
        scalars = []
        for step in steps:
            batch = tiny_batch(number)
            if number in (0, 2):
                batch = overflowing(batch)
            if options["accumulation"] == 2:
                call(step, tiny_batch(number + 10), is_update=False)
            scalars.append(call(step, batch, rate=1e-2 / (number + 1)))
        assert scalars[0]["overflow"] == (number in (0, 2))
        for key, value in scalars[0].items():
            np.testing.assert_allclose(scalars[1][key], value, rtol=1e-5, err_msg=key)
    one_by_one, together = map(everything, steps)
    assert together.keys() == one_by_one.keys()
    for key, array in one_by_one.items():
        assert together[key].shape == array.shape, key
        assert together[key].dtype == array.dtype, key
        np.testing.assert_allclose(together[key], array, rtol=2e-5, atol=1e-7, err_msg=key)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_step_with_an_overflow_changes_nothing(name):
    step = make_step(flat, CONFIGS[name])
    call(step, tiny_batch(0))
    before = everything(step)
    assert call(step, overflowing(tiny_batch(1)))["overflow"] == 1
    for key, array in everything(step).items():
        np.testing.assert_array_equal(array, before[key], err_msg=key)


def test_a_state_of_one_way_goes_on_the_other_way_and_back():
    """Checkpoints written on CPUs open on NPUs, and the other way round."""
    steps = [make_step(make, CONFIGS["adam"]) for make in (Optimizer, flat)]
    for number in range(4):
        giver, taker = steps[number % 2], steps[1 - number % 2]
        call(giver, tiny_batch(number))
        weights = {weight.name: weight for weight in taker.optimizer.weights}
        given = read_arrays({weight.name: weight for weight in giver.optimizer.weights})
        write_arrays(weights, given)
        write_arrays(taker.optimizer.state(), read_arrays(giver.optimizer.state()))
        write_arrays(taker.average.averages, read_arrays(giver.average.averages))
        taker.average.updates.set_data(ms.Tensor(giver.average.updates.asnumpy()))
        for key, array in everything(giver).items():
            np.testing.assert_array_equal(everything(taker)[key], array, err_msg=key)
    reference = make_step(Optimizer, CONFIGS["adam"])
    for number in range(4):
        call(reference, tiny_batch(number))
    for key, array in everything(reference).items():
        np.testing.assert_allclose(everything(steps[0])[key], array, rtol=2e-5, atol=1e-7, err_msg=key)


def parameters(*shapes):
    return [ms.Parameter(ms.Tensor(np.full(shape, i, np.float32)), name=f"p{i}") for i, shape in enumerate(shapes)]


def fresh(tensors):
    return tuple(ms.Tensor(tensor.asnumpy()) for tensor in tensors)


def test_tensors_go_into_as_many_vectors_as_there_are_shares_and_a_rest():
    tensors = parameters((4, 2), (3,), (), (5, 1))  # 17 elements
    packing = Packing(tensors, (0.4, 0.5))
    vectors = [vector.asnumpy().tolist() for vector in packing(fresh(tensors))]
    assert vectors == [[0] * 8, [1] * 3 + [2] + [3] * 5]  # 0.9 of all is reached with the last one: nothing is left
    assert [zeros.shape for zeros in packing.zeros()] == [(8,), (9,)]
    assert [vector.shape for vector in Packing(tensors)(fresh(tensors))] == [(17,)]
    assert [vector.shape for vector in Packing(tensors[:1], SHARES)(fresh(tensors[:1]))] == [(8,)]


def test_parts_of_a_vector_are_read_and_written_under_their_names():
    packing = Packing(parameters((2, 2), (), (3,)))
    vector = ms.Parameter(ms.Tensor(np.arange(8, dtype=np.float32)), name="moment1")
    state = {part.name: part for part in packing.parts(vector, "moment1.")}
    assert whole_parameters(state) == [vector]
    arrays = read_arrays(state)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "moment1.p0": [[0, 1], [2, 3]], "moment1.p1": 4, "moment1.p2": [5, 6, 7]
    }  # fmt: skip
    write_arrays(state, {"moment1.p1": np.array(9, np.float32), "another": np.zeros(1, np.float32)})
    assert vector.asnumpy().tolist() == [0, 1, 2, 3, 9, 5, 6, 7]


@pytest.mark.parametrize(("target", "ranks", "vectors"), [("CPU", 1, 10), ("Ascend", 1, 1), ("Ascend", 8, 3)])
def test_the_device_decides(target, ranks, vectors, monkeypatch):
    monkeypatch.setattr("train.flat_optimizer.ms.get_context", lambda name: {"device_target": target}[name])
    optimizer = build_optimizer(OptimConfig(), parameters(*[(10, 10)] * 10), ranks)
    assert isinstance(optimizer, Optimizer if target == "CPU" else FlatOptimizer)
    assert len(optimizer.zeros()) == vectors
