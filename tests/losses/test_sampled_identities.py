"""Softmax over drawn identities: exact when all are drawn, right on average when not, and repeatable."""

import mindspore as ms
import numpy as np
import pytest

from fairmot.losses.config import IdentityLoss, LossConfig
from fairmot.losses.fairmot_loss import FairMOTLoss
from fairmot.losses.sampled import IdentitySampler, sampled_cross_entropy

IDENTITIES, DIM = 12, 6
MASK = ms.Tensor(np.array([[1, 1, 1, 0], [1, 0, 1, 1]], np.int32))
IDS = ms.Tensor(np.array([[4, 3, -1, 0], [2, 2, 11, 4]], np.int32))


@pytest.fixture(autouse=True, params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=before)


def embeddings():
    return ms.Tensor(np.random.default_rng(0).standard_normal((2, 4, DIM)).astype(np.float32))


def loss_and_gradients(samples):
    loss = FairMOTLoss(LossConfig(fp16_classifier=False, identity_samples=samples), IDENTITIES, DIM, seed=1)

    def mean(embeddings):
        total, count = loss.identity(embeddings, MASK, IDS)
        return total / count, count

    function = ms.value_and_grad(mean, 0, loss.classifier.trainable_params(), has_aux=True)
    (value, count), (by_embedding, by_parameter) = function(embeddings())
    assert count == 5
    return [value.asnumpy(), by_embedding.asnumpy(), *(gradient.asnumpy() for gradient in by_parameter)]


@pytest.mark.parametrize("samples", [IDENTITIES, IDENTITIES + 5])
def test_with_all_drawn_it_is_the_exact_softmax_with_the_same_gradients(samples):
    for ours, reference in zip(loss_and_gradients(samples), loss_and_gradients(0), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-6)


def test_every_batch_draws_anew():
    loss = FairMOTLoss(LossConfig(fp16_classifier=False, identity_samples=5), IDENTITIES, DIM, seed=1)

    def total(embeddings):
        return loss.identity(embeddings, MASK, IDS)[0]

    function = ms.value_and_grad(total, 0)
    values = [float(function(embeddings())[0]) for _ in range(2)]
    assert int(loss.sampler.place.asnumpy()) == 10
    assert values[0] != values[1]


def test_the_normaliser_is_right_on_average():
    """Over all places of the deck every identity is drawn equally often."""
    generator = np.random.default_rng(2)
    logits = generator.standard_normal((3, IDENTITIES)).astype(np.float32)
    ids, count = np.array([1, 7, 11], np.int32), 5
    rows = np.arange(3)
    normalisers = []
    for shift in range(IDENTITIES):
        drawn = (shift + np.arange(count, dtype=np.int32)) % IDENTITIES
        for row in rows:
            total, _ = sampled_cross_entropy(
                ms.Tensor(logits[row : row + 1, ids[row]]),
                ms.Tensor(logits[row : row + 1, drawn]),
                ms.Tensor(drawn),
                ms.Tensor(ids[row : row + 1]),
                ms.Tensor(np.ones(1, np.float32)),
                IDENTITIES,
            )
            normalisers.append(np.exp(float(total) + logits[row, ids[row]]))
    np.testing.assert_allclose(
        np.mean(np.reshape(normalisers, (IDENTITIES, 3)), axis=0), np.exp(logits).sum(1), rtol=1e-4
    )


def test_a_deck_deals_all_equally_often_and_none_twice_at_once():
    sampler = IdentitySampler(IDENTITIES, 5, seed=3)
    hands = [sampler().asnumpy() for _ in range(IDENTITIES)]
    assert all(len(set(hand)) == 5 for hand in hands)
    assert (np.bincount(np.concatenate(hands), minlength=IDENTITIES) == 5).all()
    assert (np.concatenate(hands[:2]) != np.arange(10)).any()


def test_its_place_is_saved_with_the_loss():
    config = LossConfig(fp16_classifier=False, identity_samples=5)
    first, second = (FairMOTLoss(config, IDENTITIES, DIM, seed=1) for _ in range(2))
    first.sampler()
    saved = dict(first.parameters_and_names())
    for name, parameter in second.parameters_and_names():
        parameter.set_data(ms.Tensor(saved[name].asnumpy()))
    assert "sampler.place" in saved
    assert not np.array_equal(first.sampler().asnumpy(), IdentitySampler(IDENTITIES, 5, seed=1)().asnumpy())
    np.testing.assert_array_equal(first.sampler().asnumpy(), (second.sampler(), second.sampler())[1].asnumpy())


def test_refusals():
    with pytest.raises(ValueError, match="loss.identity_samples=-1"):
        LossConfig(identity_samples=-1)
    with pytest.raises(ValueError, match="no softmax in loss.identity=focal"):
        LossConfig(identity_samples=8, identity=IdentityLoss.focal)
