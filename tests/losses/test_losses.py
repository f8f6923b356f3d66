"""Loss variants against formulas written in NumPy (the paper's variants have fixtures in tests/parity)."""

import math

import mindspore as ms
import numpy as np
import pytest

from fairmot.losses.config import HeatmapLoss, IdentityLoss, LossConfig, MultiLoss, Normalizers, RegressionLoss
from fairmot.losses.fairmot_loss import SCALARS, FairMOTLoss
from fairmot.losses.focal import heatmap_focal_loss, heatmap_mse_loss
from fairmot.losses.identity import identity_cross_entropy, identity_focal_loss
from fairmot.losses.regression import masked_l1_loss, masked_smooth_l1_loss

RNG = np.random.default_rng(5)


def number(tensor):
    return float(tensor.asnumpy())


def numbers(pair):
    return tuple(map(number, pair))


def tensors(*arrays):
    return [ms.Tensor(np.asarray(array)) for array in arrays]


def f32(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def test_l1_counts_elements_and_smooth_l1_counts_objects():
    prediction, target = f32(2, 5, 4) * 2, f32(2, 5, 4)
    mask = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], np.int32)
    distance = np.abs(prediction - target)[mask == 1].astype(np.float64)
    smooth = np.where(distance < 1, distance**2 / 2, distance - 0.5)
    arguments = tensors(prediction, mask, target)
    assert numbers(masked_l1_loss(*arguments)) == pytest.approx((distance.sum(), 3 * 4), rel=1e-5)
    assert numbers(masked_smooth_l1_loss(*arguments)) == pytest.approx((smooth.sum(), 3), rel=1e-5)


@pytest.mark.parametrize("loss", [masked_l1_loss, masked_smooth_l1_loss])
def test_regression_without_objects_is_zero(loss):
    assert numbers(loss(*tensors(f32(1, 3, 2), np.zeros((1, 3), np.int32), f32(1, 3, 2)))) == (0, 0)


def test_mse_is_on_the_raw_map():
    values, target = f32(2, 1, 3, 4), f32(2, 1, 3, 4)
    total = ((values - target) ** 2).sum()
    assert numbers(heatmap_mse_loss(*tensors(values, target))) == pytest.approx((total, 24), rel=1e-5)


def test_heatmap_loss_survives_saturated_logits():
    logits = np.array([[[[200.0, -200.0]]]], np.float32)
    target = np.array([[[[0.0, 1.0]]]], np.float32)
    wrong = -2 * math.log(1e-4) * (1 - 1e-4) ** 2
    assert numbers(heatmap_focal_loss(*tensors(logits, target))) == pytest.approx((wrong, 1), rel=1e-3)


def test_identity_losses_ignore_slots_without_identity():
    logits = f32(6, 9) * 3
    identities = np.array([4, -1, 0, 8, 7, 2], np.int32)
    valid = np.array([1, 0, 1, 1, 0, 0], np.float32)
    kept = valid == 1
    x, y = logits[kept].astype(np.float64), identities[kept]
    cross_entropy = np.log(np.exp(x).sum(1)) - x[np.arange(3), y]
    p, t = 1 / (1 + np.exp(-x)), np.eye(9)[y]
    focal = -(0.25 * t * (1 - p) ** 2 * np.log(p) + 0.75 * (1 - t) * p**2 * np.log(1 - p))
    arguments = tensors(logits, identities, valid)
    assert numbers(identity_cross_entropy(*arguments)) == pytest.approx((cross_entropy.sum(), 3), rel=1e-5)
    assert numbers(identity_focal_loss(*arguments)) == pytest.approx((focal.sum(), 3), rel=1e-5)
    changed = logits.copy()
    changed[~kept] += 50
    for loss in (identity_cross_entropy, identity_focal_loss):
        assert numbers(loss(*tensors(changed, identities, valid))) == numbers(loss(*arguments))


@pytest.mark.parametrize("loss", [identity_cross_entropy, identity_focal_loss])
def test_identity_losses_stay_finite_for_large_logits_and_are_zero_without_identities(loss):
    logits = f32(4, 5) * 1e4
    identities = np.array([0, 1, 2, 3], np.int32)
    assert math.isfinite(numbers(loss(*tensors(logits, identities, np.ones(4, np.float32))))[0])
    assert numbers(loss(*tensors(logits, identities - 4, np.zeros(4, np.float32)))) == (0, 0)


def some_batch(ltrb_channels=4):
    outputs = (f32(2, 1, 6, 8), f32(2, 3, ltrb_channels), f32(2, 3, 16), f32(2, 3, 2))
    hm = np.zeros((2, 1, 6, 8), np.float32)
    hm[:, 0, 2, 3] = 1
    mask = np.array([[1, 1, 0], [1, 0, 0]], np.int32)
    ids = np.array([[3, -1, 0], [1, 0, 0]], np.int32)
    targets = (hm, mask, f32(2, 3, ltrb_channels), RNG.random((2, 3, 2)).astype(np.float32), ids)
    return tuple(tensors(*outputs)), tensors(*targets)


def scalars_of(config, channels=4):
    loss = FairMOTLoss(config, num_identities=11, reid_dim=16, seed=3)
    outputs, targets = some_batch(channels)
    total, vector = loss(outputs, *targets)
    scalars = dict(zip(SCALARS, vector.asnumpy().tolist(), strict=True))
    assert scalars["loss"] == number(total)
    return loss, scalars


def test_fixed_weighting_trains_no_uncertainties():
    loss, scalars = scalars_of(LossConfig(multi_loss=MultiLoss.fix, wh_weight=0.5))
    det = scalars["hm_loss"] + 0.5 * scalars["wh_loss"] + scalars["off_loss"]
    assert scalars["det_loss"] == pytest.approx(det, rel=1e-6)
    assert scalars["loss"] == pytest.approx(det + 0.1 * scalars["id_loss"], rel=1e-6)
    assert {parameter.name for parameter in loss.trainable_params()} == {"classifier.weight", "classifier.bias"}


def test_uncertainty_weighting_trains_four_parameters():
    loss, scalars = scalars_of(LossConfig())
    weighted = math.exp(1.85) * scalars["det_loss"] + math.exp(1.05) * scalars["id_loss"] - 1.85 - 1.05
    assert scalars["loss"] == pytest.approx(weighted / 2, rel=1e-5)
    assert len(loss.trainable_params()) == 4


@pytest.mark.parametrize(
    ("config", "channels"),
    [
        (LossConfig(heatmap=HeatmapLoss.mse), 4),
        (LossConfig(regression=RegressionLoss.sl1), 4),
        (LossConfig(identity=IdentityLoss.focal), 4),
        (LossConfig(), 2),
    ],
)
def test_every_variant_gives_finite_losses(config, channels):
    _, scalars = scalars_of(config, channels)
    assert all(math.isfinite(value) for value in scalars.values())


def test_focal_classifier_starts_from_its_prior():
    loss = FairMOTLoss(LossConfig(identity=IdentityLoss.focal), 100, 64, seed=0)
    assert loss.classifier.bias.asnumpy() == pytest.approx(-math.log(99))
    assert loss.classifier.weight.asnumpy().std() == pytest.approx(0.01, rel=0.05)


def test_classifier_starts_the_same_from_the_same_seed():
    weights = [FairMOTLoss(LossConfig(), 7, 8, seed).classifier.weight.asnumpy() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize("num_identities", [1, 2])
def test_data_without_or_with_one_identity_trains(num_identities):
    loss = FairMOTLoss(LossConfig(), num_identities, 16, seed=0)
    outputs, targets = some_batch()
    targets[-1] = ms.Tensor(np.full((2, 3), num_identities - 2, np.int32))
    assert math.isfinite(number(loss(outputs, *targets)[0]))


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_refused_weight_names_its_key(value):
    with pytest.raises(ValueError, match="loss.wh_weight"):
        LossConfig(wh_weight=value)


class MeanWith(ms.nn.Cell):
    """The mean over two ranks, of which the other one holds `other`."""

    def __init__(self, other):
        super().__init__()
        self.other = ms.Tensor(np.asarray(other, np.float32))

    def construct(self, vector):
        return (vector + self.other) / 2


def test_world_normalizers_divide_by_the_counts_of_all_ranks():
    """Two ranks' losses, each over the common counts, have the loss of one rank with both batches as their mean."""
    outputs, targets = some_batch()
    config = LossConfig(normalizers=Normalizers.world, fp16_classifier=False)
    alone = FairMOTLoss(LossConfig(fp16_classifier=False), num_identities=11, reid_dim=16, seed=3)
    halves, counts = [], []
    for image in (0, 1):
        half = (tuple(m[image : image + 1] for m in outputs), [t[image : image + 1] for t in targets])
        halves.append(half)
        mask, ids = half[1][1].asnumpy(), half[1][4].asnumpy()
        counts.append((1, mask.sum() * 4, mask.sum() * 2, (mask * (ids >= 0)).sum()))
    shares = []
    for (half_outputs, half_targets), other in zip(halves, reversed(counts), strict=True):
        loss = FairMOTLoss(config, 11, 16, seed=3, mean_over_ranks=MeanWith(other), num_ranks=2)
        shares.append(loss(half_outputs, *half_targets)[1].asnumpy())
    np.testing.assert_allclose(np.mean(shares, 0), alone(outputs, *targets)[1].asnumpy(), rtol=2e-6)


@pytest.mark.parametrize("slots", [3, 4, 100])
def test_classifying_the_filled_slots_alone_changes_no_loss_and_no_gradient(slots):
    """Three of eight slots hold an identity, the last one among them."""
    generator = np.random.default_rng(11)
    embeddings = ms.Tensor(generator.standard_normal((2, 4, 6)).astype(np.float32))
    mask = ms.Tensor(np.array([[1, 0, 1, 1], [0, 0, 0, 1]], np.int32))
    ids = ms.Tensor(np.array([[4, 3, -1, 0], [2, 2, 2, 6]], np.int32))

    def mean_and_gradients(limit):
        loss = FairMOTLoss(LossConfig(fp16_classifier=False, identity_slots=limit), 8, 6, seed=1)

        def mean(embeddings):
            total, count = loss.identity(embeddings, mask, ids)
            return total / count, count

        function = ms.value_and_grad(mean, 0, loss.classifier.trainable_params(), has_aux=True)
        (value, count), (by_embedding, by_parameter) = function(embeddings)
        assert count == 3
        return [value.asnumpy(), by_embedding.asnumpy(), *(gradient.asnumpy() for gradient in by_parameter)]

    for ours, reference in zip(mean_and_gradients(slots), mean_and_gradients(0), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-7)


def test_identities_beyond_the_limit_are_left_out_of_sum_and_count():
    loss = FairMOTLoss(LossConfig(fp16_classifier=False, identity_slots=2), 8, 6, seed=1)
    embeddings = ms.Tensor(np.random.default_rng(1).standard_normal((1, 4, 6)).astype(np.float32))
    _, count = loss.identity(embeddings, ms.Tensor(np.ones((1, 4), np.int32)), ms.Tensor(np.arange(4)[None]))
    assert count == 2
    with pytest.raises(ValueError, match=r"loss.identity_slots=-1"):
        LossConfig(identity_slots=-1)
