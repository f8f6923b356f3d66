"""The optimisers' formulas over all parameters as one vector: the way on Ascend, where the number of kernels counts."""

from collections.abc import Sequence

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, mint, nn, ops
from mindspore.ops.auto_generate import SplitWithSize

from fairmot.losses.fairmot_loss import FairMOTLoss
from train.optimizer import Optimizer, decay_groups, local_ones
from train.packing import Packing, Part, add_in_place
from train.step_config import OptimConfig, OptimizerName
from train.weight_vector import WeightVector, members_of

_SHARES_OF_RANKS = (0.5, 0.35)
"""Of the gradients that the first two collectives reduce. The network's last layers are ready first; what is reduced
last, when no work is left to hide it behind, is small."""


def build_optimizer(
    config: OptimConfig, network: nn.Cell, loss: FairMOTLoss, ranks: int = 1
) -> "Optimizer | FlatOptimizer":
    """The optimiser for the device in use: kernels of their own cost a CPU nothing, and an NPU's host most of a step.

    Args:
        config: which optimiser.
        network: what trains. Where the optimiser is flat, its layers read their weights from the vector from now on.
        loss: trains with it; its parameters, the identities' classifier above all, stay where they are.
        ranks: how many processes train together.
    """
    parameters = network.trainable_params() + loss.trainable_params()
    if ms.get_context("device_target") == "CPU":
        return Optimizer(config, parameters, loss.shards)
    members = members_of(network)
    of_vector = {id(member) for member in members}
    others = [parameter for parameter in parameters if id(parameter) not in of_vector]
    optimizer = FlatOptimizer(config, members, others, _SHARES_OF_RANKS if ranks > 1 else (), loss.shards)
    optimizer.vector.attach(network)
    return optimizer


class FlatOptimizer(nn.Cell):
    """Updates parameters from a few vectors of gradients, by the formulas of `train.optimizer.Optimizer`.

    Weights and moments are one vector each; a checkpoint holds them under the names and shapes that `Optimizer` gives
    them. A step that is not finite is masked out: at a branch the host would wait for the device, every step.

    Writes are in-place operators (`copy_`, `add_`), since ops.assign and its like have no kernel but CANN's old ones.
    `sub_` is not used: graphs of MindSpore 2.10 lose it, without a word.

    Args:
        config: which optimiser.
        members: trainable parameters that one vector is to hold. Their names, like those of the others, become the
            names of the optimiser's state.
        others: trainable parameters that are written one by one.
        shares: of all gradients, how much each vector but the last takes.
        shards: those of the others of which this rank holds its rows alone; their gradients are vectors of their own.
    """

    def __init__(
        self,
        config: OptimConfig,
        members: list[Parameter],
        others: list[Parameter],
        shares: tuple[float, ...] = (),
        shards: Sequence[Parameter] = (),
    ) -> None:
        super().__init__(auto_prefix=False)
        # Shards come first and last in what follows, so that they cut nothing that is reduced in two.
        of_this_rank = {id(shard) for shard in shards}
        others = sorted(others, key=lambda parameter: id(parameter) in of_this_rank)
        (decayed, plain), (other_decayed, other_plain) = decay_groups(members), decay_groups(others)
        self.vector = WeightVector([*reversed(decayed), *plain])
        # Gradients come in this order: the last layers' first, those of biases and norms throughout.
        self.weights = ParameterTuple((*reversed(other_decayed), *self.vector.members, *other_plain))
        self.pack = Packing(self.weights, shares, local_ones(self.weights, shards))
        self.local = self.pack.local
        self.written = ParameterTuple((*reversed(other_decayed), self.vector.vector, *other_plain))
        self.pack_written = Packing(self.written)
        self.split = SplitWithSize()
        self.sizes = tuple(self.pack_written.sizes)
        decayed_size = sum(int(parameter.size) for parameter in (*decayed, *other_decayed))
        self.halves = decayed_size, self.pack.total - decayed_size
        self.not_decayed = ops.zeros(self.halves[1], ms.float32)
        is_decoupled = config.name is OptimizerName.adamw
        self.coupled_decay = 0.0 if is_decoupled else config.weight_decay
        self.decoupled_decay = config.weight_decay if is_decoupled else 0.0
        self.learning_rate = _parameter("learning_rate", Tensor(config.lr, ms.float32))
        self.global_step = _parameter("global_step", ops.zeros(1, ms.int32))
        self.is_sgd = config.name is OptimizerName.sgd
        moments = ("moments",) if self.is_sgd else ("moment1", "moment2")
        self.moments = ParameterTuple(_parameter(name, ops.zeros(self.pack.total, ms.float32)) for name in moments)
        scalars = {"momentum": config.momentum} if self.is_sgd else {"beta1_power": 1.0, "beta2_power": 1.0}
        self.scalars = ParameterTuple(_parameter(name, Tensor(value, ms.float32)) for name, value in scalars.items())
        self.betas = tuple(config.betas)
        self.eps = config.eps

    def state(self) -> dict[str, Parameter | Part]:
        """Moments and counters by their names in a checkpoint."""
        parts = [part for vector in self.moments for part in self.pack.parts(vector, f"{vector.name}.")]
        return {entry.name: entry for entry in (self.learning_rate, self.global_step, *self.scalars, *parts)}

    def held(self) -> dict[str, Parameter | Part]:
        """Where the values of all trained parameters are, by their names."""
        return {weight.name: weight for weight in self.weights} | self.vector.parts

    def zeros(self) -> list[Tensor]:
        """Gradients of zero, as `pack` gives them."""
        return self.pack.zeros()

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
        gradient = (ops.concat(gradients) if len(gradients) > 1 else gradients[0]) * factor
        gradient = mint.where(finite, gradient, 0.0)
        applied = finite.astype(ms.float32)
        if self.coupled_decay > 0:
            gradient = gradient + self._decay(self.coupled_decay * applied)
        change = self._sgd(gradient, rate, finite) if self.is_sgd else self._adam(gradient, rate, applied, finite)
        if self.decoupled_decay > 0:
            change = change - self._decay(self.decoupled_decay * rate * applied)
        self.learning_rate.copy_(rate)
        self.global_step.add_(finite.astype(ms.int32))
        add_in_place(self.written, self.split(change, self.sizes, 0))
        return finite

    def _decay(self, share: Tensor) -> Tensor:
        """A share of every weight that decays, and 0 for the others: float32 [all elements]."""
        decayed, _ = self.split(self.pack_written(self.written)[0], self.halves, 0)
        return ops.concat((decayed * share, self.not_decayed))

    def _adam(self, gradient: Tensor, rate: Tensor, applied: Tensor, finite: Tensor) -> Tensor:
        """Advance the moments and give the change of all weights; epsilon is added before the bias correction."""
        # Moments are only written: a vector that is read and then written is copied first.
        first, second = self.moments
        power1, power2 = self.scalars
        beta1, beta2 = self.betas
        grown1, grown2 = power1 * beta1, power2 * beta2
        share1, share2 = (1 - beta1) * applied, (1 - beta2) * applied
        mean = first.mul_(1 - share1).add_(gradient * share1)
        square = second.mul_(1 - share2).add_(gradient * gradient * share2)
        size = mint.where(finite, -rate * ops.sqrt(1 - grown2) / (1 - grown1), 0.0)
        change = mean / (ops.sqrt(square) + self.eps) * size
        power1.copy_(mint.where(finite, grown1, power1))
        power2.copy_(mint.where(finite, grown2, power2))
        return change

    def _sgd(self, gradient: Tensor, rate: Tensor, finite: Tensor) -> Tensor:
        velocity = self.moments[0].mul_(mint.where(finite, self.scalars[0], 1.0)).add_(gradient)
        return velocity * mint.where(finite, -rate, 0.0)


def _parameter(name: str, value: Tensor) -> Parameter:
    return Parameter(value, name=name, requires_grad=False)
