"""One optimiser over network and loss parameters, and learning rates as a pure function of progress."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from mindspore import Parameter, Tensor, nn, ops

from train.packing import Part


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


def batch_factor(config: OptimConfig, samples_per_step: int) -> float:
    """What `lr_scaling` multiplies every learning rate by (Goyal et al. 2017 for linear, Krizhevsky 2014 for sqrt)."""
    growth = samples_per_step / config.lr_reference_batch
    return {LrScaling.none: 1.0, LrScaling.linear: growth, LrScaling.sqrt: math.sqrt(growth)}[config.lr_scaling]


def learning_rate(config: OptimConfig, step: int, epoch_progress: float, epochs: int) -> float:
    """The rate for one optimiser step, before `batch_factor`.

    Args:
        config: schedule and its numbers.
        step: optimiser steps made so far.
        epoch_progress: epochs done, with the running one as a fraction (2.5 is the middle of the third).
        epochs: planned epochs.
    """
    rate = config.lr * _decay(config, epoch_progress, epochs)
    if step < config.warmup_steps:
        start = config.warmup_factor
        rate *= start + (1 - start) * step / config.warmup_steps
    return rate


def _decay(config: OptimConfig, epoch_progress: float, epochs: int) -> float:
    done = min(epoch_progress / epochs, 1.0)
    floor = config.min_lr / config.lr
    if config.schedule is Schedule.step:
        return config.lr_gamma ** sum(epoch_progress >= epoch for epoch in config.lr_step)
    if config.schedule is Schedule.cosine:
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
    if config.schedule is Schedule.polynomial:
        return floor + (1 - floor) * (1 - done) ** config.power
    return 1.0


class Optimizer(nn.Cell):
    """Updates parameters one by one, by MindSpore's own kernels: the way on CPUs.

    Its interface is that of `train.flat_optimizer.FlatOptimizer`.

    Args:
        config: which optimiser.
        parameters: all trainable parameters; their names become the names of the optimiser's state.
        shards: those of them of which this rank holds its rows alone.
    """

    def __init__(self, config: OptimConfig, parameters: list[Parameter], shards: Iterable[Parameter] = ()) -> None:
        super().__init__(auto_prefix=False)
        decayed, plain = decay_groups(parameters)
        coupled = 0.0 if config.name is OptimizerName.adamw else config.weight_decay
        groups = [
            {"params": members, "weight_decay": decay}
            for members, decay in ((decayed, coupled), (plain, 0.0))
            if members
        ]
        if config.name is OptimizerName.sgd:
            self.update = nn.Momentum(groups, config.lr, config.momentum)
        else:
            beta1, beta2 = config.betas
            self.update = nn.Adam(groups, config.lr, beta1, beta2, config.eps)
        self.decayed = tuple(decayed)
        self.decoupled_decay = config.weight_decay if config.name is OptimizerName.adamw else 0.0
        self.learning_rate = self.update.learning_rate
        self.local = local_ones(self.weights, shards)

    @property
    def weights(self) -> tuple[Parameter, ...]:
        """The parameters in the order in which their gradients are wanted."""
        return tuple(self.update.parameters)

    def state(self) -> dict[str, Parameter | Part]:
        """Moments and counters by their names in a checkpoint."""
        trained = {id(weight) for weight in self.weights}
        return {entry.name: entry for entry in self.get_parameters() if id(entry) not in trained}

    def held(self) -> dict[str, Parameter | Part]:
        """Where the values of all trained parameters are, by their names."""
        return {weight.name: weight for weight in self.weights}

    def zeros(self) -> list[Tensor]:
        """Gradients of zero, as `pack` gives them."""
        return [ops.zeros_like(weight) for weight in self.weights]

    def pack(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Gradients of `weights` as `construct` wants them: as they are."""
        return gradients

    def construct(self, gradients: tuple[Tensor, ...], factor: Tensor, rate: Tensor, finite: Tensor) -> Tensor:
        """Change the parameters, or nothing.

        Args:
            gradients: from `pack`.
            factor: scalar that they are multiplied by.
            rate: scalar learning rate.
            finite: bool scalar; false: they are not, and nothing changes.

        Returns:
            Whether anything changed.
        """
        if finite:
            ops.assign(self.learning_rate, rate)
            if self.decoupled_decay > 0:
                for parameter in self.decayed:
                    ops.assign_sub(parameter, rate * self.decoupled_decay * parameter)
            self.update(_multiply(gradients, factor))
        return finite


def local_ones(parameters: Iterable[Parameter], shards: Iterable[Parameter]) -> tuple[bool, ...]:
    """Of every parameter, whether it is among the shards; empty where there are none."""
    of_this_rank = {id(shard) for shard in shards}
    return tuple(id(parameter) in of_this_rank for parameter in parameters) if of_this_rank else ()


def decay_groups(parameters: Iterable[Parameter]) -> tuple[list[Parameter], list[Parameter]]:
    """The parameters that weight decay applies to, and the others: biases, norms, s_det and s_id."""
    parameters = list(parameters)
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    return decayed, [parameter for parameter in parameters if parameter.ndim <= 1]


_map = ops.HyperMap()
_scaled = ops.MultitypeFuncGraph("scaled")


@_scaled.register("Tensor", "Tensor")
def _scaled_tensor(factor: Tensor, gradient: Tensor) -> Tensor:
    return gradient * factor


def _multiply(gradients: tuple[Tensor, ...], factor: Tensor) -> tuple[Tensor, ...]:
    return _map(ops.partial(_scaled, factor), gradients)
