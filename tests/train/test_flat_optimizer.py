"""All parameters as one vector: the same steps, the same checkpoints as one by one, whatever the device."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor
from mindspore.amp import all_finite
from tiny import call, tiny_batch, tiny_parts, tiny_state, values

from fairmot.weights.checkpoint import EMA, read_checkpoint, save_checkpoint
from train.average import WeightAverage
from train.flat_optimizer import FlatOptimizer, build_optimizer
from train.optimizer import OptimConfig, Optimizer, OptimizerName
from train.packing import Packing, read_arrays, whole_parameters, write_arrays
from train.step import LossScaleConfig, TrainOneStep

SHARES = (0.5, 0.3)
SHAPES = ((4, 3, 1, 1), (4,), (2, 4, 3, 3), (2,), (), (6, 2), (7, 1))
CONFIGS = {
    "adam": OptimConfig(),
    "adam with decay": OptimConfig(weight_decay=0.1, betas=[0.8, 0.99], eps=1e-3),
    "adamw": OptimConfig(name=OptimizerName.adamw, weight_decay=0.1),
    "sgd": OptimConfig(name=OptimizerName.sgd, momentum=0.8, weight_decay=0.1),
}


@pytest.fixture(autouse=True)
def graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)


def flat(config, parameters):
    return FlatOptimizer(config, parameters, SHARES)


def parameters(*shapes):
    generator = np.random.default_rng(0)
    return [
        Parameter(Tensor(generator.standard_normal(shape).astype(np.float32)), name=f"p{i}")
        for i, shape in enumerate(shapes)
    ]


def everything(optimizer):
    weights = {weight.name: weight for weight in optimizer.weights}
    return {name: array.copy() for name, array in read_arrays(weights | optimizer.state()).items()}


def assert_close(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert (ours[name].shape, ours[name].dtype) == (array.shape, array.dtype), name
        np.testing.assert_allclose(ours[name], array, rtol=2e-5, atol=1e-7, err_msg=name)


def update(optimizer, number, finite):
    generator = np.random.default_rng(number)
    drawn = {weight.name: generator.standard_normal(weight.shape).astype(np.float32) for weight in parameters(*SHAPES)}
    if not finite:
        drawn["p0"][0], drawn["p5"][:] = np.inf, np.nan
    gradients = optimizer.pack(
        tuple(Tensor(np.array(drawn[weight.name] * 8, np.float32)) for weight in optimizer.weights)
    )
    optimizer(gradients, Tensor(1 / 8, ms.float32), Tensor(0.1 / (number + 1), ms.float32), Tensor(finite))


@pytest.mark.parametrize(
    "name", [name if name == "adam" else pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS]
)
def test_both_ways_make_the_same_updates_and_hold_the_same_state(name):
    optimizers = [make(CONFIGS[name], parameters(*SHAPES)) for make in (Optimizer, flat)]
    for number, finite in enumerate((False, True, False, True, True)):
        before = everything(optimizers[1])
        for optimizer in optimizers:
            update(optimizer, number, finite)
        if not finite:
            after = everything(optimizers[1])
            for key in before.keys() - {"learning_rate"}:
                np.testing.assert_array_equal(after[key], before[key], err_msg=key)
    one_by_one, together = map(everything, optimizers)
    assert together.pop("learning_rate") == one_by_one.pop("learning_rate")
    assert_close(together, one_by_one)


@pytest.mark.slow
def test_a_state_of_one_way_goes_on_the_other_way():
    reference = Optimizer(CONFIGS["adam"], parameters(*SHAPES))
    optimizers = [make(CONFIGS["adam"], parameters(*SHAPES)) for make in (Optimizer, flat)]
    for number in range(4):
        update(reference, number, True)
        giver, taker = optimizers[number % 2], optimizers[1 - number % 2]
        update(giver, number, True)
        write_arrays({weight.name: weight for weight in taker.weights} | taker.state(), everything(giver))
        for key, array in everything(giver).items():
            np.testing.assert_array_equal(everything(taker)[key], array, err_msg=key)
    assert_close(everything(optimizers[0]), everything(reference))


def flat_state(is_flat):
    """A state with an average; everything that training changes has values of its own."""
    state = tiny_state()
    state.average = WeightAverage(state.network.trainable_params(), 0.5, flat=is_flat)
    if is_flat:
        state.optimizer = flat(OptimConfig(), state.network.trainable_params() + state.loss.trainable_params())
    return state


@pytest.mark.parametrize("was_flat", [False, True])
def test_a_checkpoint_of_one_way_opens_the_other_way(was_flat, tmp_path):
    old, new = flat_state(was_flat), flat_state(not was_flat)
    generator = np.random.default_rng(0)
    for parameter in old.all_parameters():
        if parameter.dtype == ms.float32:
            parameter.set_data(Tensor(generator.random(parameter.shape, dtype=np.float32)))
    save_checkpoint(tmp_path, 3, old.tensors(), old.manifest(None, 1), "", keep=1)
    new.restore(read_checkpoint(tmp_path))
    saved, restored = old.tensors(), new.tensors()
    assert saved.keys() == restored.keys() >= {"network", "loss", "optimizer", EMA}
    for group, arrays in saved.items():
        assert arrays.keys() == restored[group].keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(restored[group][name], array, err_msg=name)


def overflowing(batch):
    batch[0] = Tensor(np.full_like(batch[0].asnumpy(), np.inf))
    return batch


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
def test_both_ways_make_the_same_steps(accumulation):
    """One of them with an overflow; the second way asks as a device that saturates has to be asked."""
    steps = []
    for make in (Optimizer, flat):
        network, loss, _, scale = tiny_parts(scale=LossScaleConfig(initial=64.0))
        optimizer = make(OptimConfig(), network.trainable_params() + loss.trainable_params())
        step = TrainOneStep(network, loss, optimizer, scale, clip_norm=5.0, accumulation=accumulation)
        step.all_finite = None if make is Optimizer else all_finite
        steps.append(step)
    for number in range(4):
        scalars = []
        for step in steps:
            if accumulation == 2:
                call(step, tiny_batch(number + 10), is_update=False)
            batch = tiny_batch(number)
            scalars.append(call(step, overflowing(batch) if number == 1 else batch))
        assert scalars[0]["overflow"] == (number == 1)
        assert scalars[1] == pytest.approx(scalars[0], rel=1e-5, nan_ok=True)
    assert_close(values(steps[1]), values(steps[0]))


def test_tensors_go_into_as_many_vectors_as_there_are_shares_and_a_rest():
    shapes = ((4, 2), (3,), (), (5, 1))  # 17 elements
    tensors = [Tensor(np.full(shape, i, np.float32)) for i, shape in enumerate(shapes)]
    packing = Packing(parameters(*shapes), (0.4, 0.5))
    vectors = [vector.asnumpy().tolist() for vector in packing(tuple(tensors))]
    assert vectors == [[0] * 8, [1] * 3 + [2] + [3] * 5]  # 0.9 of all is reached with the last one: nothing is left
    assert [zeros.shape for zeros in packing.zeros()] == [(8,), (9,)]
    assert [zeros.shape for zeros in Packing(parameters(*shapes)).zeros()] == [(17,)]
    assert [zeros.shape for zeros in Packing(parameters((4, 2)), SHARES).zeros()] == [(8,)]


def test_parts_of_a_vector_are_read_and_written_under_their_names():
    packing = Packing(parameters((2, 2), (), (3,)))
    vector = Parameter(Tensor(np.arange(8, dtype=np.float32)), name="moment1")
    state = {part.name: part for part in packing.parts(vector, "moment1.")}
    assert [id(whole) for whole in whole_parameters(state)] == [id(vector)]
    assert {name: array.tolist() for name, array in read_arrays(state).items()} == {
        "moment1.p0": [[0, 1], [2, 3]], "moment1.p1": 4, "moment1.p2": [5, 6, 7]
    }  # fmt: skip
    write_arrays(state, {"moment1.p1": np.array(9, np.float32), "another": np.zeros(1, np.float32)})
    assert vector.asnumpy().tolist() == [0, 1, 2, 3, 9, 5, 6, 7]


@pytest.mark.parametrize(("target", "ranks", "vectors"), [("CPU", 8, 10), ("Ascend", 1, 1), ("Ascend", 8, 3)])
def test_the_device_decides(target, ranks, vectors, monkeypatch):
    monkeypatch.setattr("train.flat_optimizer.ms.get_context", lambda name: {"device_target": target}[name])
    optimizer = build_optimizer(OptimConfig(), parameters(*[(10, 10)] * 10), ranks)
    assert isinstance(optimizer, Optimizer if target == "CPU" else FlatOptimizer)
    assert len(optimizer.zeros()) == vectors
