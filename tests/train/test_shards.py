"""Rows on ranks and whole in checkpoints, and the norm that counts every rank's rows."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from mindspore.amp import all_finite
from tiny import call, tiny_batch, tiny_parts

from train.distributed import World
from train.flat_optimizer import FlatOptimizer
from train.optimizer import OptimConfig, Optimizer
from train.packing import read_arrays
from train.shards import NO_SHARDS, RowShards
from train.step import TrainOneStep

RANKS = 3
NAMES = ("classifier.weight", "classifier.bias")


class Gathered(World):
    """A rank whose others have sent already."""

    def __init__(self, rank, sent):
        super().__init__(rank, RANKS)
        object.__setattr__(self, "sent", sent)

    def gather(self, numbers):
        np.testing.assert_array_equal(numbers, self.sent[self.rank])
        return np.stack(self.sent)


@pytest.mark.parametrize("rows", [10, 4])
@pytest.mark.parametrize(("name", "shape"), [("classifier.bias", ()), ("moment1.classifier.weight", (2,))])
def test_ranks_take_their_rows_and_give_them_back(name, shape, rows):
    """With four rows the last of three ranks has none."""
    whole = np.random.default_rng(0).random((rows, *shape), dtype=np.float32)
    shares = [RowShards(World(rank, RANKS), NAMES, rows).own(name, whole) for rank in range(RANKS)]
    assert len({share.shape for share in shares}) == 1
    for rank, share in enumerate(shares):
        shards = RowShards(Gathered(rank, [each.ravel() for each in shares]), NAMES, rows)
        assert shards.whole_shape(name, share.shape) == whole.shape
        np.testing.assert_array_equal(shards.whole(share), whole)


def test_other_tensors_stay_as_they_are():
    array = np.zeros((4, 2), np.float32)
    for shards, name in ((RowShards(World(1, RANKS), NAMES, 4), "head.weight"), (NO_SHARDS, "classifier.weight")):
        assert shards.own(name, array) is array
        assert shards.whole_shape(name, array.shape) == array.shape


class Same(nn.Cell):
    """What a mean over equal ranks is."""

    def construct(self, values):
        return values


@pytest.mark.parametrize("is_flat", [False, True])
def test_the_norm_counts_what_all_hold_once_and_the_rows_of_every_rank(is_flat):
    """Two equal ranks; a device that saturates is asked for overflows besides."""
    ms.set_context(mode=ms.GRAPH_MODE)
    network, loss, _, scale = tiny_parts()
    shards, config, weights = loss.classifier.trainable_params(), OptimConfig(), network.trainable_params()
    if is_flat:
        optimizer = FlatOptimizer(config, weights, loss.trainable_params(), (0.5, 0.3), shards)
        optimizer.vector.attach(network)
    else:
        optimizer = Optimizer(config, weights + loss.trainable_params(), shards)
    step = TrainOneStep(network, loss, optimizer, scale, reduce_gradients=Same(), reduce_scalars=Same(), ranks=2)
    step.all_finite = all_finite if is_flat else None
    scalars = call(step, tiny_batch(0))
    moments = {name: array for name, array in read_arrays(optimizer.state()).items() if name.startswith("moment1.")}
    squares = {name: np.square(array * 10).sum() for name, array in moments.items()}  # of gradients: beta is 0.9
    rows = sum(value for name, value in squares.items() if "classifier" in name)
    assert rows > 0
    assert scalars["gradient_norm"] == pytest.approx(np.sqrt(sum(squares.values()) + rows), rel=1e-5)
    assert scalars["overflow"] == 0
