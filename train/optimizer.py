"""One optimiser over network and loss parameters, and learning rates as a pure function of progress."""

import math
from collections.abc import Iterable

from mindspore import Parameter, Tensor, nn, ops

from train.packing import Part
from train.step_config import LrScaling, OptimConfig, OptimizerName, Schedule


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
