"""What the device computes, beside stored values of the original: layer, losses, decoding, networks, five steps."""

import dataclasses

import mindspore as ms
import numpy as np
from mindspore import ParameterTuple, Tensor, nn, ops

from fairmot.data.identities import IdentityTable
from fairmot.losses.config import LossConfig
from fairmot.losses.fairmot_loss import SCALARS as LOSS_SCALARS
from fairmot.losses.fairmot_loss import FairMOTLoss
from fairmot.model.config import ModelConfig
from fairmot.model.decode import Decode
from fairmot.model.deform_conv import DeformConv
from fairmot.model.heads import HEADS
from fairmot.ops import gather_at
from train.build import build_state, build_step
from train.distributed import ALONE
from train.selfcheck.check import Measurement, Session, largest_difference, worst_of
from train.selfcheck.config import SelfcheckConfig
from train.selfcheck.drawn import drawn_pictures, fill_by_rule, targets_of, torch_name
from train.selfcheck.expected import Tolerance, load, rows
from train.state import TrainState
from train.step import SCALARS
from train.step_config import BatchNorm, LossScaleConfig, OptimConfig

_IDENTITIES = 57
_PICTURES = 20240101
_FIRST_STEP = 3000
_RATE = 1e-4
_LOSSES = ("loss", "hm_loss", "wh_loss", "off_loss", "id_loss", "det_loss")
_LAYER_PARAMETERS = {
    "weight": "weight",
    "bias": "bias",
    "conv_offset_mask.weight": "offset_mask_weight",
    "conv_offset_mask.bias": "offset_mask_bias",
}

LAYER = Tolerance(cpu=1e-5, fp16=1e-2)
LOSSES = Tolerance(cpu=2e-5, fp16=1e-2)
EVAL = Tolerance(cpu=2e-5, fp16=2e-2)
TRAIN = Tolerance(cpu=5e-4, fp16=3e-1)
"""Wide at half precision: the deepest level of two small pictures has 30 cells, whose few values batch normalisation
divides by."""
FIRST = Tolerance(cpu=1e-4, fp16=5e-2)
LATER_STEPS = (5e-3, 3e-2, 3e-2, 3e-2)
LATER_OFFSETS = (2e-2, 1.5e-1, 1.5e-1, 1.5e-1)
"""Of the later steps' losses: rounding alone moves them by a third of this, for Adam's first steps take the sign of
gradients that are nearly zero."""
DECODED_CELLS = 1e-3


def measure_layer(session: Session) -> Measurement:
    """One deformable convolution: output and all gradients."""
    expected = load("deform_layer")
    layer = DeformConv(8, 6)
    parameters = dict(layer.parameters_and_names())
    for name, key in _LAYER_PARAMETERS.items():
        parameters[name].set_data(Tensor(expected[key]))
    cell = _LayerAndGradients(layer, Tensor(expected["grad_out"]))
    (_, output), (of_x, of_parameters) = cell(Tensor(expected["x"]))
    ours = {"out": output.asnumpy(), "grad_x": of_x.asnumpy()}
    for name, gradient in zip(parameters, of_parameters, strict=True):
        ours[f"grad_{_LAYER_PARAMETERS[name]}"] = gradient.asnumpy()
    return _compared(ours, {key: expected[key] for key in ours}, LAYER.in_fp32(session))


class _LayerAndGradients(nn.Cell):
    """A layer's output and the gradients of sum(output * upstream)."""

    def __init__(self, layer: nn.Cell, upstream: Tensor) -> None:
        super().__init__(auto_prefix=False)
        self.layer = layer
        self.upstream = upstream
        weights = ParameterTuple(layer.trainable_params())
        self.both = ops.value_and_grad(self.weighted_sum, 0, weights, has_aux=True)

    def weighted_sum(self, features: Tensor) -> tuple[Tensor, Tensor]:
        output = self.layer(features)
        return (output * self.upstream).sum(), output

    def construct(self, features: Tensor) -> tuple:
        return self.both(features)


def measure_losses(session: Session) -> Measurement:
    """The four losses, and the gradients of their sum."""
    fixture = load("losses")
    images, _, height, width = fixture["out_hm"].shape
    image, cell = fixture["cells"].T
    loss = FairMOTLoss(LossConfig(fp16_classifier=False), _IDENTITIES, fixture["out_id"].shape[1], seed=0)
    fill_by_rule({f"classifier.{name}": getattr(loss.classifier, name) for name in ("weight", "bias")})
    embedding = np.zeros((images, height * width, fixture["out_id"].shape[1]), np.float32)
    embedding[image, cell] = fixture["out_id"]
    embedding = embedding.swapaxes(1, 2).reshape(images, -1, height, width)
    maps = [Tensor(embedding if head == "id" else fixture[f"out_{head}"]) for head in HEADS]
    (_, scalars), (by_map, by_parameter) = _LossAndGradients(loss)(*maps, *targets_of(fixture, "tgt_"))
    ours = dict(zip(LOSS_SCALARS, scalars.asnumpy(), strict=True))
    ours = {name: np.asarray(ours[name]) for name in _LOSSES}
    ours |= {f"grad_{head}": gradient.asnumpy() for head, gradient in zip(HEADS, by_map, strict=True)}
    columns = ours["grad_id"].reshape(images, -1, height * width).swapaxes(1, 2)
    ours["grad_id"] = columns[image, cell]
    for parameter, gradient in zip(loss.trainable_params(), by_parameter, strict=True):
        ours[f"grad_{parameter.name.replace('.', '_')}"] = gradient.asnumpy()
    expected = rows(fixture, "exp_")
    return _compared(ours, {name: expected[name] for name in ours}, LOSSES.in_fp32(session))


class _LossAndGradients(nn.Cell):
    """Scalars, then gradients of the total with respect to the four maps and the loss's own parameters."""

    def __init__(self, loss: FairMOTLoss) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss
        weights = ParameterTuple(loss.trainable_params())
        self.differentiate = ops.value_and_grad(self.forward, (0, 1, 2, 3), weights, has_aux=True)

    def forward(self, hm_map, wh_map, id_map, reg_map, hm, reg_mask, ind, wh, reg, ids):  # type: ignore[no-untyped-def]
        outputs = (hm_map, gather_at(wh_map, ind), gather_at(id_map, ind), gather_at(reg_map, ind))
        return self.loss(outputs, hm, reg_mask, wh, reg, ids)

    def construct(self, hm_map, wh_map, id_map, reg_map, hm, reg_mask, ind, wh, reg, ids):  # type: ignore[no-untyped-def]
        return self.differentiate(hm_map, wh_map, id_map, reg_map, hm, reg_mask, ind, wh, reg, ids)


def measure_decode(session: Session) -> Measurement:
    """Forty objects of a heatmap: the same cells in the same order, and their boxes."""
    fixture = load("decode")
    height, width = fixture["map_hw"].tolist()
    maps = {"hm": np.full((1, height * width), 1e-13), "id": np.zeros((2, height * width))}
    maps["hm"][0, fixture["cells"]] = fixture["hm"]
    maps["hm"] = np.log(maps["hm"] / (1 - maps["hm"]))
    for head in ("wh", "reg"):
        maps[head] = np.zeros((len(fixture[head]), height * width))
        maps[head][:, fixture["exp_inds"]] = fixture[head]
    inputs = [Tensor(maps[head].reshape(1, -1, height, width).astype(np.float32)) for head in HEADS]
    boxes_xyxy, scores, _, _, cells = Decode(max_objects=len(fixture["exp_inds"]))(*inputs)
    elsewhere = int((cells.asnumpy()[0] != fixture["exp_inds"]).sum())
    difference = {
        "objects in another cell": float(elsewhere),
        "boxes": float(np.abs(boxes_xyxy.asnumpy()[0] - fixture["exp_dets_fm"][:, :4]).max()),
        "scores": float(np.abs(scores.asnumpy()[0] - fixture["exp_dets_fm"][:, 4]).max()),
    }
    _, worst = worst_of(difference)
    return Measurement(worst, DECODED_CELLS, "cells", f"{elsewhere} of {cells.shape[1]} objects elsewhere", difference)


def measure_plain_network(session: Session) -> Measurement:
    """DLA-34 with the plain neck, evaluation and training mode."""
    return _measure_network(session, "dlaconv_34", "plain_network")


def measure_deformable_network(session: Session) -> Measurement:
    """DLA-34 with the deformable neck, evaluation and training mode."""
    return _measure_network(session, "dla_34", "deformable_network")


def _measure_network(session: Session, name: str, file: str) -> Measurement:
    """Difference as a share of the tolerance of its mode, so that one limit serves both."""
    expected = load(file)
    network = _parity_state(session.config, name).network
    tolerances = {"eval_": EVAL.of(session), "train_": TRAIN.of(session)}
    found: dict[str, float] = {}
    for mode, tolerance in tolerances.items():
        network.set_train(mode == "train_")
        heads = zip(HEADS, network(Tensor(drawn_pictures(_PICTURES))), strict=True)
        ours = {mode + head: output.asnumpy()[:, : _stored_channels(expected), ::2, ::2] for head, output in heads}
        found |= {key: each / tolerance for key, each in largest_difference(ours, _like(expected, ours))[2].items()}
    state = {f"after_train_{torch_name(key)}": parameter for key, parameter in network.state().items()}
    buffers = {key: state[key].asnumpy() for key in expected if key in state}
    shares = largest_difference(buffers, _like(expected, buffers))[2]
    found |= {key: each / tolerances["train_"] for key, each in shares.items()}
    worst, value = worst_of(found)
    shown = ", ".join(f"{mode.rstrip('_')} {tolerance:.0e}" for mode, tolerance in tolerances.items())
    return Measurement(value, 1.0, "of the tolerance", f"{worst}; of the largest value: {shown}", found)


def _stored_channels(expected: dict[str, np.ndarray]) -> int:
    return int(expected["eval_id"].shape[1])


def _like(expected: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: expected[key] for key in ours}


def measure_five_steps(session: Session) -> Measurement:
    """Five steps of the plain network: the losses that come back, as shares of their tolerances."""
    fixture = load("five_steps")
    state = _parity_state(session.config, "dlaconv_34")
    step = build_step(_parity_config(session.config, "dlaconv_34"), state, ALONE)
    step.set_train()
    first, found = FIRST.of(session), {}
    for t in range(len(LATER_STEPS) + 1):
        inputs = [Tensor(drawn_pictures(_FIRST_STEP + t)), *targets_of(fixture, f"step{t}_")]
        vector = step(*inputs, Tensor(_RATE, ms.float32), Tensor(0.0, ms.float32), Tensor(True))
        scalars = dict(zip(SCALARS, vector.asnumpy().tolist(), strict=True))
        if scalars["overflow"]:
            raise ValueError(f"step {t}: the gradients overflowed at a loss scale of {scalars['loss_scale']:g}")
        for name in _LOSSES:
            later = LATER_OFFSETS if name == "off_loss" else LATER_STEPS
            tolerance = max(first, later[t - 1]) if t else first
            wanted = float(fixture[f"exp_{name}"][t])
            found[f"step {t} {name}"] = abs(scalars[name] - wanted) / abs(wanted) / tolerance
    worst, value = worst_of(found)
    return Measurement(value, 1.0, "of the tolerance", f"{worst}; step 0 may differ by {first:.0e}", found)


def _parity_config(config: SelfcheckConfig, name: str) -> SelfcheckConfig:
    """The original's options at the configured precision and executor."""
    return dataclasses.replace(
        config,
        model=ModelConfig(name=name),
        loss=LossConfig(fp16_classifier=False),
        optim=OptimConfig(lr=_RATE),
        data=dataclasses.replace(config.data, num_classes=1),
        batch_norm=BatchNorm.rank,
        # Drawn weights make gradients that a larger scale would drive out of half precision.
        runtime=dataclasses.replace(config.runtime, loss_scale=LossScaleConfig(initial=1.0)),
    )


def _parity_state(config: SelfcheckConfig, name: str) -> TrainState:
    """Network, losses and optimiser with drawn weights, of one rank that trains alone."""
    state = build_state(_parity_config(config, name), IdentityTable(["drawn"], [_IDENTITIES - 1]), ALONE)
    fill_by_rule(state.parameters("network"))
    classifier = state.parameters("loss")
    fill_by_rule({key: classifier[key] for key in ("classifier.weight", "classifier.bias")})
    return state


def _compared(ours: dict[str, np.ndarray], expected: dict[str, np.ndarray], limit: float) -> Measurement:
    worst, name, found = largest_difference(ours, expected)
    return Measurement(worst, limit, "of the largest value", name, found)
