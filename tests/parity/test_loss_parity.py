"""Losses and their gradients against the original's."""

import math
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from fairmot.losses.config import LossConfig
from fairmot.losses.fairmot_loss import SCALARS, FairMOTLoss
from fairmot.ops import gather_at
from train.selfcheck.drawn import targets_of

FIXTURES = Path(__file__).parent / "fixtures"
HEADS = ("hm", "wh", "id", "reg")
pytestmark = pytest.mark.parity


class _LossAndGradients(nn.Cell):
    """Scalars, then gradients of the total with respect to the four maps and the loss's own parameters."""

    def __init__(self, loss):
        super().__init__(auto_prefix=False)
        self.loss = loss
        self.differentiate = ops.value_and_grad(
            self.forward, (0, 1, 2, 3), ms.ParameterTuple(loss.trainable_params()), has_aux=True
        )

    def forward(self, hm_map, wh_map, id_map, reg_map, hm, reg_mask, ind, wh, reg, ids):
        outputs = (hm_map, gather_at(wh_map, ind), gather_at(id_map, ind), gather_at(reg_map, ind))
        return self.loss(outputs, hm, reg_mask, wh, reg, ids)

    def construct(self, hm_map, wh_map, id_map, reg_map, hm, reg_mask, ind, wh, reg, ids):
        return self.differentiate(hm_map, wh_map, id_map, reg_map, hm, reg_mask, ind, wh, reg, ids)


def run(fixture, config):
    loss = FairMOTLoss(config, num_identities=57, reid_dim=128, seed=0)
    loss.classifier.weight.set_data(ms.Tensor(fixture["classifier_weight"]))
    loss.classifier.bias.set_data(ms.Tensor(fixture["classifier_bias"]))
    maps = [ms.Tensor(fixture[f"out_{head}"]) for head in HEADS]
    targets = targets_of(fixture, "tgt_")
    (_, scalars), (by_map, by_parameter) = _LossAndGradients(loss)(*maps, *targets)
    gradients = {head: gradient.asnumpy() for head, gradient in zip(HEADS, by_map, strict=True)}
    names = [parameter.name for parameter in loss.trainable_params()]
    gradients |= {name: gradient.asnumpy() for name, gradient in zip(names, by_parameter, strict=True)}
    return dict(zip(SCALARS, scalars.asnumpy().tolist(), strict=True)), gradients, loss


def assert_close_to_maximum(ours, original, tolerance=1e-5):
    assert ours.shape == original.shape
    assert np.abs(ours - original).max() <= tolerance * max(np.abs(original).max(), 1e-12)


@pytest.mark.parametrize("name", ["a", "b"])
def test_losses_and_gradients(name):
    fixture = np.load(FIXTURES / f"losses_{name}.npz")
    scalars, gradients, loss = run(fixture, LossConfig(fp16_classifier=False))
    assert loss.emb_scale == pytest.approx(float(fixture["exp_emb_scale"]), rel=1e-12)
    for key in ("hm_loss", "wh_loss", "off_loss", "id_loss", "det_loss", "loss"):
        assert scalars[key] == pytest.approx(float(fixture[f"exp_{key}"]), rel=2e-5), key
    for key, ours in gradients.items():
        assert_close_to_maximum(ours, fixture[f"exp_grad_{key.replace('.', '_')}"])


def test_without_any_object_the_identity_loss_is_zero():
    fixture = np.load(FIXTURES / "losses_empty.npz")
    scalars, gradients, _ = run(fixture, LossConfig(fp16_classifier=False))
    for key in ("hm_loss", "wh_loss", "off_loss"):
        assert scalars[key] == pytest.approx(float(fixture[f"exp_{key}"]), rel=2e-5), key
    assert scalars["id_loss"] == 0.0
    assert math.isfinite(scalars["loss"])
    for key in ("hm", "wh", "reg", "classifier.weight", "classifier.bias", "id", "s_det"):
        assert_close_to_maximum(gradients[key], fixture[f"exp_grad_{key.replace('.', '_')}"])
    assert gradients["s_id"] == pytest.approx(0.5)  # of 0.5 * s_id; the original has NaN here


def test_fp16_classifier_stays_near_fp32():
    fixture = np.load(FIXTURES / "losses_a.npz")
    scalars, gradients, _ = run(fixture, LossConfig(fp16_classifier=True))
    assert scalars["id_loss"] == pytest.approx(float(fixture["exp_id_loss"]), rel=5e-3)
    assert scalars["hm_loss"] == pytest.approx(float(fixture["exp_hm_loss"]), rel=2e-5)
    assert gradients["classifier.weight"].dtype == np.float32
    assert_close_to_maximum(gradients["classifier.weight"], fixture["exp_grad_classifier_weight"], tolerance=1e-2)
