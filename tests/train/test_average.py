"""Averaged weights, frozen and replaced batch normalisation, scaled learning rates."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from tiny import call, tiny_batch, tiny_parts, values

from fairmot.model.layers import batch_norm
from train.average import WeightAverage
from train.batch_norm import SyncBatchNorm2d, replace_batch_norms, set_batch_norm
from train.optimizer import batch_factor
from train.packing import read_arrays
from train.step import TrainOneStep
from train.step_config import BatchNorm, LrScaling, OptimConfig


@pytest.fixture(autouse=True)
def graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)


def trained_by_name(network):
    return {weight.name: weight for weight in network.trainable_params()}


def copied(average):
    return {name: array.copy() for name, array in read_arrays(average.averages).items()}


@pytest.mark.slow
def test_the_average_follows_the_weights_and_stands_in_for_them():
    parts = tiny_parts()
    average = WeightAverage(trained_by_name(parts[0]), decay=0.2)
    step = TrainOneStep(*parts, average=average)
    expected = {name: weight.asnumpy().copy() for name, weight in average.weights.items()}
    for update in (1, 2, 3):
        call(step, tiny_batch(update))
        decay = min(0.2, (1 + update) / (10 + update))
        for name, weight in average.weights.items():
            expected[name] = decay * expected[name] + (1 - decay) * weight.asnumpy()
    means = copied(average)
    for name, mean in means.items():
        np.testing.assert_allclose(mean, expected[name], rtol=1e-5, atol=1e-7)
    trained = values(step)
    with average.in_place_of_weights():
        for name, weight in average.weights.items():
            np.testing.assert_array_equal(weight.asnumpy(), means[name])
            assert not np.array_equal(weight.asnumpy(), trained[name])
    assert all(np.array_equal(array, trained[name]) for name, array in values(step).items())
    average.reset()
    means = copied(average)
    for name, weight in average.weights.items():
        np.testing.assert_array_equal(weight.asnumpy(), means[name])


def test_a_step_that_overflows_is_not_averaged():
    parts = tiny_parts()
    average = WeightAverage(trained_by_name(parts[0]), decay=0.9)
    before = copied(average)
    batch = tiny_batch(0)
    batch[0] = ms.Tensor(np.full_like(batch[0].asnumpy(), np.inf))
    assert call(TrainOneStep(*parts, average=average), batch)["overflow"] == 1
    assert average.updates.asnumpy() == 0
    for name, mean in copied(average).items():
        np.testing.assert_array_equal(mean, before[name])


class Normalised(nn.Cell):
    def __init__(self):
        super().__init__()
        self.layers = nn.SequentialCell(nn.Conv2d(3, 4, 1), batch_norm(4))
        self.last = batch_norm(4, momentum=0.8, epsilon=1e-3)

    def construct(self, image):
        return self.last(self.layers(image))


def test_frozen_statistics_stay_and_are_used():
    network = Normalised()
    network.set_train()
    image = ms.Tensor(np.random.default_rng(0).random((2, 3, 4, 4)).astype(np.float32) + 5)
    set_batch_norm(network, BatchNorm.frozen)
    before = network.last.moving_mean.asnumpy().copy()
    trained = network(image).asnumpy()
    np.testing.assert_array_equal(network.last.moving_mean.asnumpy(), before)
    network.set_train(False)
    np.testing.assert_array_equal(network(image).asnumpy(), trained)
    unfrozen = Normalised()
    unfrozen.set_train()
    unfrozen(image)
    assert not np.array_equal(unfrozen.last.moving_mean.asnumpy(), before)


def test_a_synchronised_norm_of_one_rank_is_an_ordinary_one(monkeypatch):
    """Its running statistics too, though its operator is no longer marked as one that writes."""
    for name, answer in (("get_rank", 0), ("get_group_size", 1)):
        monkeypatch.setattr(f"mindspore.nn.layer.normalization.{name}", lambda answer=answer: answer)
    ordinary, synchronised = Normalised(), Normalised()
    for ours, theirs in zip(synchronised.get_parameters(), ordinary.get_parameters(), strict=True):
        ours.set_data(theirs)
    set_batch_norm(synchronised, BatchNorm.sync)
    assert isinstance(synchronised.last, SyncBatchNorm2d)
    image = ms.Tensor(np.random.default_rng(0).random((2, 3, 4, 4)).astype(np.float32) + 5)
    for is_training in (True, False):
        found, expected = (network.set_train(is_training)(image).asnumpy() for network in (synchronised, ordinary))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(synchronised.get_parameters(), ordinary.get_parameters(), strict=True):
        np.testing.assert_array_equal(ours.asnumpy(), theirs.asnumpy(), err_msg=theirs.name)
    assert synchronised.last.moving_mean.asnumpy().any()


def test_batch_norms_are_replaced_wherever_they_stand_and_keep_their_parameters():
    """nn.SyncBatchNorm itself runs on Ascend only; another class takes its place here."""

    class Other(nn.BatchNorm2d):
        pass

    network = Normalised()
    names = dict(network.parameters_and_names())
    replace_batch_norms(network, Other)
    assert isinstance(network.last, Other)
    assert isinstance(network.layers[1], Other)
    after = dict(network.parameters_and_names())
    assert after.keys() == names.keys()
    assert all(after[name] is parameter for name, parameter in names.items())
    # What MindSpore keeps as momentum is one less what it is given.
    assert (network.last.momentum, network.last.eps) == pytest.approx((0.2, 1e-3))
    assert network.layers[1].momentum == pytest.approx(0.1)


def test_parameters_keep_their_full_names_when_their_layers_are_replaced():
    """An optimizer refuses parameters of one name."""
    network = nn.CellList([Normalised(), Normalised()])
    names = [parameter.name for parameter in network.get_parameters()]
    assert len(set(names)) == len(names)
    replace_batch_norms(network, nn.BatchNorm2d)
    assert [parameter.name for parameter in network.get_parameters()] == names


@pytest.mark.parametrize(
    ("scaling", "samples", "factor"),
    [(LrScaling.none, 96, 1), (LrScaling.linear, 96, 8), (LrScaling.sqrt, 48, 2), (LrScaling.linear, 6, 0.5)],
)
def test_learning_rates_scale_with_the_samples_of_a_step(scaling, samples, factor):
    assert batch_factor(OptimConfig(lr_scaling=scaling), samples) == pytest.approx(factor)
