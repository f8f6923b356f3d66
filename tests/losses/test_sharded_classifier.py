"""Rows shared out over ranks: the losses and gradients of the classifier that every rank holds whole."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from fairmot.errors import ConfigError
from fairmot.losses.classifier import Classifier
from fairmot.losses.config import ClassifierRows, IdentityLoss, LossConfig
from fairmot.losses.fairmot_loss import FairMOTLoss
from fairmot.losses.sharded import Ranks, ShardedClassifier

IDENTITIES, DIM, RANKS = 10, 6, 3
MASKS = np.array([[[1, 1, 0, 1]], [[0, 0, 0, 0]], [[1, 1, 1, 1]]], np.int32)  # the second rank has no object
IDS = np.array([[[4, 9, 2, -1]], [[0, 0, 0, 0]], [[0, 3, 3, 8]]], np.int32)
PLACE = 3  # in the deck of rows
COLLECTIVES = {
    "gather": lambda inputs, rank: np.concatenate(inputs),
    "total": lambda inputs, rank: np.sum(inputs, axis=0),
    "largest": lambda inputs, rank: np.max(inputs, axis=0),
    "scatter": lambda inputs, rank: np.split(np.sum(inputs, axis=0), RANKS)[rank],
}


@pytest.fixture(autouse=True)
def pynative():
    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=before)


class Meeting:
    """Ranks that run one after the other, again and again, until each has got what all the others sent."""

    def __init__(self):
        self.sent, self.number = {}, 0

    def ask(self, rank, combine, own):
        self.sent[self.number, rank] = own
        inputs = [self.sent.get((self.number, other), own) for other in range(RANKS)]
        self.number += 1
        return combine(inputs, rank)

    def ranks(self, rank):
        return Ranks(rank, RANKS, **{kind: Asked(self, rank, combine) for kind, combine in COLLECTIVES.items()})

    def run(self, forward, both):
        """Of every rank what `both` returns; only the last two of five exchanges are on the way back."""
        for function, rounds in ((forward, 3), (both, 3)):
            for _ in range(rounds):
                results, numbers = [], set()
                for rank in range(RANKS):
                    self.number = 0
                    results.append(function(rank))
                    numbers.add(self.number)
        assert numbers == {5}  # objects, largest, sums; gradients of the losses, of the embeddings
        return results


class Asked(nn.Cell):
    def __init__(self, meeting, rank, combine):
        super().__init__()
        self.meeting, self.rank, self.combine = meeting, rank, combine

    def construct(self, tensor):
        return ms.Tensor(self.meeting.ask(self.rank, self.combine, tensor.asnumpy()))


def config(half, **options):
    return LossConfig(fp16_classifier=half, classifier=ClassifierRows.sharded, **options)


def embeddings_of(rank):
    return np.random.default_rng(rank).standard_normal((1, 4, DIM)).astype(np.float32)


def mean_loss(loss, rank, embeddings):
    """A rank's scaled mean loss."""
    total, count = loss.identity(embeddings, ms.Tensor(MASKS[rank]), ms.Tensor(IDS[rank]))
    return 8 * total / ms.ops.maximum(count, ms.Tensor(1.0))


def loss_and_gradients(loss, rank):
    """A rank's loss, its gradient by the embeddings and those by the rows."""
    function = ms.value_and_grad(
        lambda embeddings: mean_loss(loss, rank, embeddings), 0, loss.classifier.trainable_params()
    )
    value, (by_embedding, by_rows) = function(ms.Tensor(embeddings_of(rank)))
    return [value.asnumpy(), by_embedding.asnumpy(), *(gradient.asnumpy() for gradient in by_rows)]


def sharded(half, **options):
    """The losses of three ranks, and what each learns."""
    meeting = Meeting()
    shards = [
        FairMOTLoss(config(half, **options), IDENTITIES, DIM, 1, num_ranks=RANKS, ranks=meeting.ranks(rank))
        for rank in range(RANKS)
    ]

    def at_the_same_place(function):
        def call(rank):
            if shards[rank].sampler is not None:
                shards[rank].sampler.place.set_data(ms.Tensor(PLACE, ms.int32))
            return function(rank)

        return call

    return shards, meeting.run(
        at_the_same_place(lambda rank: mean_loss(shards[rank], rank, ms.Tensor(embeddings_of(rank)))),
        at_the_same_place(lambda rank: loss_and_gradients(shards[rank], rank)),
    )


@pytest.mark.parametrize(
    ("half", "slots", "samples", "rtol"), [(False, 3, 0, 1e-5), (True, 0, 0, 5e-3), (False, 3, 99, 1e-5)]
)
def test_three_ranks_learn_what_they_would_with_all_rows_on_each(half, slots, samples, rtol):
    """Ten identities on three ranks: the last one's rows are two of identities and two of nobody.

    Where as many are drawn as there are, the sampled softmax is the exact one.
    """
    _, ours = sharded(half, identity_slots=slots, identity_samples=samples)
    whole = FairMOTLoss(LossConfig(fp16_classifier=half, identity_slots=slots), IDENTITIES, DIM, seed=1)
    theirs = [loss_and_gradients(whole, rank) for rank in range(RANKS)]
    for (value, by_embedding, *_), (wanted, wanted_by_embedding, *_) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=rtol)
        np.testing.assert_allclose(by_embedding, wanted_by_embedding, rtol=rtol, atol=rtol)
    for kind in (2, 3):
        mean = np.mean([result[kind] for result in theirs], axis=0)
        rows = np.concatenate([result[kind] for result in ours])
        np.testing.assert_allclose(rows[:IDENTITIES], mean, rtol=rtol, atol=rtol)
        np.testing.assert_array_equal(rows[IDENTITIES:], 0)


def test_a_sample_of_the_rows_stands_for_all_and_the_others_stay():
    """Two of each rank's four rows, in fp16, beside the same in NumPy; the right row always takes part."""
    shards, ours = sharded(half=True, identity_samples=5)
    drawn = [shard.sampler.deck.asnumpy()[(PLACE + np.arange(2)) % 4] for shard in shards]
    assert len({tuple(shard.sampler.deck.asnumpy()) for shard in shards}) > 1
    assert [int(shard.sampler.place.asnumpy()) for shard in shards] == [1] * RANKS
    chosen = np.concatenate([4 * rank + numbers for rank, numbers in enumerate(drawn)])
    whole = Classifier(DIM, IDENTITIES, half=False, seed=1)
    gradient = np.zeros((12, DIM))
    for rank, (value, *_) in enumerate(ours):
        directions = embeddings_of(rank)[0]
        inputs = shards[0].emb_scale * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        objects = np.flatnonzero((MASKS[rank, 0] > 0) & (IDS[rank, 0] >= 0))
        losses = []
        for i in objects:
            right = IDS[rank, 0, i]
            logits = whole.weight.asnumpy() @ inputs[i] + whole.bias.asnumpy()
            weights = np.where(np.isin(np.arange(IDENTITIES), chosen), 2.0, 0.0)
            weights[right] = 1
            likely = weights * np.exp(logits)
            losses.append(np.log(likely.sum()) - logits[right])
            by_logit = likely / likely.sum() - (np.arange(IDENTITIES) == right)
            gradient[:IDENTITIES] += 8 / len(objects) / RANKS * np.outer(by_logit, inputs[i])
        np.testing.assert_allclose(value, 8 * np.mean(losses or 0), rtol=5e-3)
    found = np.concatenate([by_weight for _, _, by_weight, _ in ours])
    np.testing.assert_allclose(found, gradient, rtol=5e-3, atol=5e-3)
    np.testing.assert_array_equal(found[(gradient == 0).all(1)], 0)
    assert (gradient == 0).all(1)[:IDENTITIES].any()


@pytest.mark.parametrize("identities", [10, 4])
def test_its_rows_start_as_those_of_the_whole_classifier(identities):
    """With four identities the last of three ranks has none."""
    whole = Classifier(DIM, identities, half=False, seed=5)
    shards = [ShardedClassifier(DIM, identities, False, 5, Meeting().ranks(rank)) for rank in range(RANKS)]
    for name in ("weight", "bias"):
        rows = np.concatenate([getattr(shard, name).asnumpy() for shard in shards])
        np.testing.assert_array_equal(rows[:identities], getattr(whole, name).asnumpy())
        np.testing.assert_array_equal(rows[identities:], 0)


def test_one_rank_alone_holds_the_whole_classifier():
    loss = FairMOTLoss(config(False), IDENTITIES, DIM, seed=1)
    assert isinstance(loss.classifier, Classifier)
    assert loss.shards == []


def test_refusals():
    with pytest.raises(ValueError, match="set loss.identity=ce"):
        config(False, identity=IdentityLoss.focal)
    with pytest.raises(ConfigError, match="33554432 identities; it can tell 16777216 apart"):
        ShardedClassifier(DIM, 2**25, False, 5, Meeting().ranks(0))
