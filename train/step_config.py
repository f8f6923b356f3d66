"""What the configuration says of a step: optimiser, batch normalisation, precision, loss scale."""

import math
from dataclasses import dataclass, field
from enum import Enum


class BatchNorm(Enum):
    """Statistics of what batch normalisation divides by.

    rank: of each rank's own batch (the original's data parallel). frozen: the running ones, which stay as they are.
    sync: of all ranks' batches; on Ascend only.
    """

    rank = "rank"
    frozen = "frozen"
    sync = "sync"


class Precision(Enum):
    """Of the network's convolutions and matrix products; the losses are fp32 always.

    fp32: MindSpore's O0. fp16: half precision around fp32 batch normalisation, after its O2; the loss scale keeps small
    gradients. bf16: the same with bfloat16, and fp32 max pooling; on Ascend only.
    """

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


@dataclass
class LossScaleConfig:
    """Loss scaling against underflow of fp16 gradients.

    Attributes:
        initial: the (first) scale.
        dynamic: halve it when gradients overflow, double it after growth_steps good steps; else it stays.
        growth_steps: good steps before it is doubled.
        maximum: largest scale.
    """

    initial: float = 1024.0
    dynamic: bool = True
    growth_steps: int = 2000
    maximum: float = 2.0**24

    def __post_init__(self) -> None:
        if not (math.isfinite(self.initial) and 1 <= self.initial <= self.maximum):
            raise ValueError(
                f"runtime.loss_scale.initial={self.initial}: must lie between 1 and maximum={self.maximum}"
            )
        if self.growth_steps < 1:
            raise ValueError(f"runtime.loss_scale.growth_steps={self.growth_steps}: must be at least 1")


class OptimizerName(Enum):
    """adam: decay is L2 on the gradient. adamw: decoupled decay. sgd: with momentum."""

    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"


class Schedule(Enum):
    """How the learning rate falls after the warm-up."""

    constant = "constant"
    step = "step"
    cosine = "cosine"
    polynomial = "polynomial"


class LrScaling(Enum):
    """How the learning rate grows with the samples of a step: not at all, in proportion, or with their root."""

    none = "none"
    linear = "linear"
    sqrt = "sqrt"


@dataclass
class OptimConfig:
    """Optimiser and learning-rate schedule.

    Attributes:
        name: optimiser.
        lr: learning rate after the warm-up, at a step of lr_reference_batch samples.
        lr_scaling: whether other steps (batch_size_per_rank times ranks times accumulation) scale it: none, linear
            or sqrt.
        lr_reference_batch: the samples of a step for which lr was found; the paper's 12.
        weight_decay: applies to weights of convolutions and linear layers, not to biases, norms, s_det or s_id.
        betas: Adam's decay of the first and second moment.
        eps: Adam's epsilon.
        momentum: of sgd.
        schedule: constant, step (the paper's), cosine or polynomial, over `epochs`.
        lr_step: for step: epochs (counted from 1) after which the rate is multiplied by lr_gamma.
        lr_gamma: for step.
        min_lr: for cosine and polynomial: the rate at the end.
        power: for polynomial.
        warmup_steps: optimiser steps during which the rate climbs linearly from lr * warmup_factor.
        warmup_factor: where the warm-up starts, as a share of lr.
        clip_norm: largest global norm of the gradients; 0 leaves them as they are.
        accumulation: micro-batches whose mean gradient makes one step.
        ema_decay: keep an exponential moving average of the network's weights with this decay, and validate and track
            with it; 0 keeps none.
    """

    name: OptimizerName = OptimizerName.adam
    lr: float = 1e-4
    lr_scaling: LrScaling = LrScaling.none
    lr_reference_batch: int = 12
    weight_decay: float = 0.0
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    eps: float = 1e-8
    momentum: float = 0.9
    schedule: Schedule = Schedule.step
    lr_step: list[int] = field(default_factory=lambda: [20])
    lr_gamma: float = 0.1
    min_lr: float = 0.0
    power: float = 0.9
    warmup_steps: int = 0
    warmup_factor: float = 0.1
    clip_norm: float = 0.0
    accumulation: int = 1
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self.lr > 0 and math.isfinite(self.lr), f"optim.lr={self.lr}: must be above 0")
        _check(self.weight_decay >= 0, f"optim.weight_decay={self.weight_decay}: must be at least 0")
        _check(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            f"optim.betas={self.betas}: give two numbers of at least 0 and below 1",
        )
        _check(self.eps > 0, f"optim.eps={self.eps}: must be above 0")
        _check(0 <= self.momentum < 1, f"optim.momentum={self.momentum}: must be at least 0 and below 1")
        _check(
            self.lr_step == sorted(set(self.lr_step)) and all(epoch > 0 for epoch in self.lr_step),
            f"optim.lr_step={self.lr_step}: give rising epoch numbers from 1 on",
        )
        _check(0 <= self.min_lr <= self.lr, f"optim.min_lr={self.min_lr}: must lie between 0 and optim.lr={self.lr}")
        _check(self.warmup_steps >= 0, f"optim.warmup_steps={self.warmup_steps}: must be at least 0")
        _check(0 <= self.warmup_factor <= 1, f"optim.warmup_factor={self.warmup_factor}: must lie between 0 and 1")
        _check(self.clip_norm >= 0, f"optim.clip_norm={self.clip_norm}: must be at least 0 (0 is off)")
        _check(self.accumulation >= 1, f"optim.accumulation={self.accumulation}: must be at least 1")
        _check(self.lr_reference_batch >= 1, f"optim.lr_reference_batch={self.lr_reference_batch}: must be at least 1")
        _check(0 <= self.ema_decay < 1, f"optim.ema_decay={self.ema_decay}: must be at least 0 (off) and below 1")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
