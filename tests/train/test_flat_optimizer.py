"""All parameters as one vector: the same steps, the same checkpoints as one by one, whatever the device."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor
from mindspore.amp import all_finite
from tiny import call, tiny_batch, tiny_parts, tiny_state

from fairmot.weights.checkpoint import EMA, read_checkpoint, save_checkpoint
from train.average import WeightAverage
from train.flat_optimizer import FlatOptimizer, build_optimizer
from train.optimizer import Optimizer
from train.packing import Packing, read_arrays, whole_parameters, write_arrays
from train.step import TrainOneStep
from train.step_config import OptimConfig, OptimizerName

SHARES = (0.5, 0.3)
OF_VECTOR = 4
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
    return FlatOptimizer(config, parameters[:OF_VECTOR], parameters[OF_VECTOR:], SHARES)


def parameters(*shapes):
    generator = np.random.default_rng(0)
    return [
        Parameter(Tensor(generator.standard_normal(shape).astype(np.float32)), name=f"p{i}")
        for i, shape in enumerate(shapes)
    ]


def everything(optimizer):
    return {name: array.copy() for name, array in read_arrays(optimizer.held() | optimizer.state()).items()}


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
        write_arrays(taker.held() | taker.state(), everything(giver))
        for key, array in everything(giver).items():
            np.testing.assert_array_equal(everything(taker)[key], array, err_msg=key)
    assert_close(everything(optimizers[0]), everything(reference))


def flat_state(is_flat):
    """A state with an average."""
    state = tiny_state(flat=is_flat)
    held = state.optimizer.held()
    state.average = WeightAverage({weight.name: held[weight.name] for weight in state.network.trainable_params()}, 0.5)
    return state


def step_of(state, **options):
    """Its step; an NPU's asks for overflows as a device that saturates has to be asked."""
    step = TrainOneStep(
        state.network, state.loss, state.optimizer, state.loss_scale, average=state.average, clip_norm=5.0, **options
    )
    step.all_finite = all_finite if isinstance(state.optimizer, FlatOptimizer) else None
    return step


def make_step(step, number, accumulation):
    """Step `number` of accumulation micro-batches; the second one overflows."""
    for part in range(accumulation):
        batch = tiny_batch(10 * number + part)
        if number == 1:
            batch[0] = Tensor(np.full_like(batch[0].asnumpy(), np.inf))
        scalars = call(step, batch, is_update=part == accumulation - 1)
    return scalars


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys() >= {"network", "loss", "optimizer", EMA}
    for group, arrays in theirs.items():
        assert ours[group].keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(ours[group][name], array, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_run_is_the_one_of_parameters_one_by_one_and_resumes(accumulation, tmp_path):
    one_by_one, together, resumed = map(flat_state, (False, True, True))
    steps = [step_of(state, accumulation=accumulation) for state in (one_by_one, together, resumed)]
    for number in range(3):
        before = together.tensors()
        expected, found = (make_step(step, number, accumulation) for step in steps[:2])
        assert expected["overflow"] == (number == 1)
        assert found == pytest.approx(expected, rel=1e-5, nan_ok=True)
        after = together.tensors()
        stayed = [np.array_equal(array, before["network"][name]) for name, array in after["network"].items()]
        assert stayed == [number == 1] * len(stayed)
    for group, arrays in one_by_one.tensors().items():
        for name, array in arrays.items():
            np.testing.assert_allclose(after[group][name], array, rtol=2e-5, atol=2e-7, err_msg=f"{group} {name}")
    save_checkpoint(tmp_path, 3, after, together.manifest(None, 1), "", keep=1)
    resumed.restore(read_checkpoint(tmp_path))
    assert_equal(resumed.tensors(), after)
    with together.average.in_place_of_weights():
        averaged = together.tensors()
        for name in together.average.averages:
            np.testing.assert_array_equal(averaged["network"][name], after[EMA][name])
    assert make_step(steps[2], 3, accumulation) == make_step(steps[1], 3, accumulation)
    assert_equal(resumed.tensors(), together.tensors())


@pytest.mark.parametrize("was_flat", [False, True])
def test_a_checkpoint_of_one_way_opens_the_other_way(was_flat, tmp_path):
    old, new = flat_state(was_flat), flat_state(not was_flat)
    generator = np.random.default_rng(0)
    for parameter in (whole for group in old.groups for whole in whole_parameters(old.parameters(group))):
        if parameter.dtype == ms.float32:
            parameter.set_data(Tensor(generator.random(parameter.shape, dtype=np.float32)))
    save_checkpoint(tmp_path, 3, old.tensors(), old.manifest(None, 1), "", keep=1)
    new.restore(read_checkpoint(tmp_path))
    assert_equal(new.tensors(), old.tensors())


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


def test_shards_are_vectors_of_their_own_and_train_alike():
    """What one rank alone holds must not be reduced together with what all hold."""
    one_by_one, together = [
        make(CONFIGS["adamw"], weights, shards=[weights[4], weights[6]])
        for weights, make in (
            (parameters(*SHAPES), Optimizer),
            (parameters(*SHAPES), lambda config, weights, shards: FlatOptimizer(
                config, weights[:OF_VECTOR], weights[OF_VECTOR:], SHARES, shards
            )),
        )
    ]  # fmt: skip
    named = zip(one_by_one.weights, one_by_one.local, strict=True)
    assert [weight.name for weight, is_local in named if is_local] == ["p6", "p4"]
    shapes = [zeros.shape for zeros in together.zeros()]
    local = zip(shapes, together.local, strict=True)
    assert [shape for shape, is_local in local if is_local] == [shapes[0], shapes[-1]] == [(7,), (1,)]
    for optimizer in (one_by_one, together):
        update(optimizer, 1, True)
    assert_close(everything(together), everything(one_by_one))


@pytest.mark.parametrize(("target", "ranks", "vectors"), [("CPU", 8, 12), ("Ascend", 1, 1), ("Ascend", 8, 3)])
def test_the_device_decides(target, ranks, vectors, monkeypatch):
    monkeypatch.setattr("train.flat_optimizer.ms.get_context", lambda name: {"device_target": target}[name])
    network, loss, _, _ = tiny_parts()
    names = [weight.name for weight in (*network.trainable_params(), *loss.trainable_params())]
    optimizer = build_optimizer(OptimConfig(), network, loss, ranks)
    assert isinstance(optimizer, Optimizer if target == "CPU" else FlatOptimizer)
    assert sorted(optimizer.held()) == sorted(weight.name for weight in optimizer.weights) == sorted(names)
    assert len(optimizer.zeros()) == vectors
