"""One training step as one compiled graph: forward, gradients, loss scale, all-reduce, overflow, clip, update."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.amp import all_finite
from mindspore.ops.auto_generate import SplitWithSize

from fairmot.device import return_unused_memory
from fairmot.losses.fairmot_loss import SCALARS as LOSS_SCALARS
from train.average import WeightAverage
from train.flat_optimizer import FlatOptimizer
from train.optimizer import Optimizer
from train.step_config import LossScaleConfig

SCALARS = (*LOSS_SCALARS, "stop", "gradient_norm", "loss_scale", "overflow_steps", "overflow")
"""What a step returns, in this order: loss scalars, the share of ranks that ask to stop, the norm before clipping, the
scale used, skipped steps so far, and whether this step was skipped."""


class LossScale(nn.Cell):
    """The scale and its counters, as parameters so that a checkpoint holds them."""

    def __init__(self, config: LossScaleConfig) -> None:
        super().__init__()
        self.dynamic = config.dynamic
        self.growth_steps = config.growth_steps
        self.maximum = config.maximum
        self.value = Parameter(Tensor(config.initial, ms.float32), name="loss_scale.value", requires_grad=False)
        self.good_steps = Parameter(Tensor(0, ms.int32), name="loss_scale.good_steps", requires_grad=False)
        self.overflow_steps = Parameter(Tensor(0, ms.int32), name="loss_scale.overflow_steps", requires_grad=False)

    def construct(self, finite: Tensor) -> Tensor:
        """Take notice of one step (bool scalar: were its gradients finite?); returns the overflows so far."""
        if self.dynamic:
            good = self.good_steps + 1
            grow = ops.logical_and(finite, good >= self.growth_steps)
            kept = ops.select(grow, ops.minimum(self.value * 2.0, self.maximum), self.value * 1.0)
            lowered = ops.maximum(self.value * 0.5, 1.0)
            good = ops.select(ops.logical_or(grow, ops.logical_not(finite)), ops.zeros_like(good), good)
            self.value.copy_(ops.select(finite, kept, lowered))
            self.good_steps.copy_(good)
        return self.overflow_steps.add_(ops.logical_not(finite).astype(ms.int32))


class TrainOneStep(nn.Cell):
    """The custom training cell. Runs in graph mode on CPU and Ascend.

    Args:
        network: images and the objects' cells -> heatmap, and the other heads' values at those cells.
        loss: these and targets -> (loss, vector of the loss scalars).
        optimizer: over the parameters of both.
        loss_scale: scale and counters.
        reduce_gradients: mean of gradients over ranks; None at world size 1, where no all-reduce exists.
        reduce_scalars: mean of a vector over ranks; None at world size 1.
        clip_norm: largest global norm of the gradients; 0 leaves them alone.
        accumulation: calls whose mean gradient makes one update.
        average: of the weights, taken after every update; None: none is kept.
        ranks: how many train together.
    """

    def __init__(
        self,
        network: nn.Cell,
        loss: nn.Cell,
        optimizer: Optimizer | FlatOptimizer,
        loss_scale: LossScale,
        reduce_gradients: nn.Cell | None = None,
        reduce_scalars: nn.Cell | None = None,
        clip_norm: float = 0.0,
        accumulation: int = 1,
        average: WeightAverage | None = None,
        ranks: int = 1,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.is_compiled = False
        self.average = average
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.loss_scale = loss_scale
        self.reduce_gradients = reduce_gradients
        self.reduce_scalars = reduce_scalars
        self.clip_norm = clip_norm
        self.accumulation = accumulation
        self.differentiate = ops.value_and_grad(self.forward, None, optimizer.weights, has_aux=True)
        self.split = SplitWithSize()
        self.ranks = ranks
        self.local = tuple(number for number, is_local in enumerate(optimizer.local) if is_local)
        self.shared = Tensor([float(not is_local) for is_local in optimizer.local], ms.float32) if self.local else None
        # On CPUs it costs a tenth of a step. A device that saturates has to be asked, elsewhere the norm knows.
        self.all_finite = None if ms.get_context("device_target") == "CPU" else all_finite
        if accumulation > 1:
            self.accumulated = tuple(
                Parameter(zeros, name=f"accumulated.{i}", requires_grad=False)
                for i, zeros in enumerate(optimizer.zeros())
            )
            self.accumulated_scalars = Parameter(
                ops.zeros(len(LOSS_SCALARS), ms.float32), name="accumulated_scalars", requires_grad=False
            )

    def compile(self, *args: Tensor, **kwargs: Tensor) -> None:
        """Build the graph, which every call begins with; the first time, return what that leaves of memory."""
        super().compile(*args, **kwargs)
        if not self.is_compiled:
            self.is_compiled = True
            return_unused_memory()

    def forward(
        self,
        scale: Tensor,
        image: Tensor,
        hm: Tensor,
        reg_mask: Tensor,
        ind: Tensor,
        wh: Tensor,
        reg: Tensor,
        ids: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The scaled loss and the vector of unscaled loss scalars."""
        loss, scalars = self.loss(self.network(image, ind), hm, reg_mask, wh, reg, ids)
        return loss * scale, scalars

    def construct(
        self,
        image: Tensor,
        hm: Tensor,
        reg_mask: Tensor,
        ind: Tensor,
        wh: Tensor,
        reg: Tensor,
        ids: Tensor,
        rate: Tensor,
        stop: Tensor,
        is_update: Tensor,
    ) -> Tensor:
        """One micro-batch; the last of `accumulation` calls changes the parameters.

        Args:
            image: uint8 [B, H, W, 3] or float32 [B, 3, H, W].
            hm: target heatmap, like the following ones as `FairMOTLoss` describes it.
            reg_mask: see hm.
            ind: [B, K] y * w + x of each centre; any cell where reg_mask is 0.
            wh: see hm.
            reg: see hm.
            ids: see hm.
            rate: scalar learning rate.
            stop: scalar, 1 where this rank asks all ranks to stop; it travels with the losses, so all learn of it at
                the same step.
            is_update: bool scalar, true at the last micro-batch; without accumulation it has no effect.

        Returns:
            Vector of SCALARS; at an update the loss scalars are means over the micro-batches and ranks.
        """
        scale = self.loss_scale.value * 1.0
        (_, scalars), gradients = self.differentiate(scale, image, hm, reg_mask, ind, wh, reg, ids)
        gradients = self.optimizer.pack(gradients)
        if self.accumulation == 1:
            return self.update(gradients, scalars, scale, rate, stop)
        for total, gradient in zip(self.accumulated, gradients):
            total.add_(gradient / self.accumulation)
        self.accumulated_scalars.add_(scalars / self.accumulation)
        result = ops.zeros(len(SCALARS), ms.float32)
        if is_update:
            result = self.update(self.accumulated, self.accumulated_scalars * 1.0, scale, rate, stop)
            for total in self.accumulated:
                total.copy_(ops.zeros_like(total))
            self.accumulated_scalars.copy_(ops.zeros_like(self.accumulated_scalars))
        return result

    def update(
        self, gradients: tuple[Tensor, ...], scalars: Tensor, scale: Tensor, rate: Tensor, stop: Tensor
    ) -> Tensor:
        """Reduce, unscale, test, clip and apply scaled gradients; a step with an overflow changes nothing."""
        scalars = ops.concat((scalars, stop.reshape(1)))
        rank_is_finite = None if self.all_finite is None else self.all_finite(gradients)
        squares = self._squares_of_shards(gradients) if self.local else None
        if self.reduce_gradients is not None and self.reduce_scalars is not None:
            gradients = self.reduce_gradients(gradients)
            sent: tuple[Tensor, ...] = (scalars,)
            if rank_is_finite is not None:
                # A saturating device hides another rank's overflow inside the reduced values: ask every rank.
                sent += (rank_is_finite.astype(ms.float32).reshape(1),)
            if squares is not None:
                sent += (squares.reshape(1),)
            if len(sent) == 1:
                scalars = self.reduce_scalars(scalars)
            else:
                sizes = (len(LOSS_SCALARS) + 1, 1, 1)[: len(sent)]
                means = self.split(self.reduce_scalars(ops.concat(sent)), sizes, 0)
                scalars = means[0]
                if rank_is_finite is not None:
                    rank_is_finite = means[1].squeeze(0) > 0.999
                if squares is not None:
                    squares = means[-1].squeeze(0) * self.ranks
        norm = _global_norm(gradients) if squares is None else self._norm_with_shards(gradients, squares)
        finite = ops.isfinite(norm)
        if rank_is_finite is not None:
            finite = ops.logical_and(finite, rank_is_finite)
        norm = norm / scale
        factor = 1.0 / scale
        if self.clip_norm > 0:
            factor = factor * ops.minimum(self.clip_norm / (norm + 1e-6), 1.0)
        self.optimizer(gradients, factor, rate, finite)
        if self.average is not None:
            self.average(finite)
        overflows = self.loss_scale(finite)
        rest = ops.stack((norm, scale, overflows.astype(ms.float32), ops.logical_not(finite).astype(ms.float32)))
        return ops.concat((scalars, rest))

    def _squares_of_shards(self, gradients: tuple[Tensor, ...]) -> Tensor:
        """Sum of squares of what this rank alone holds."""
        total = ops.zeros((), ms.float32)
        for number in self.local:
            total = total + _squared_sum_of_tensor(gradients[number])
        return total

    def _norm_with_shards(self, gradients: tuple[Tensor, ...], squares: Tensor) -> Tensor:
        """The global norm: of what all ranks hold, once, and of all ranks' shards."""
        return ops.sqrt((ops.stack(_map(_squared_sum, gradients)) * self.shared).sum() + squares)


_map = ops.HyperMap()
_squared_sum = ops.MultitypeFuncGraph("squared_sum")


@_squared_sum.register("Tensor")
def _squared_sum_of_tensor(gradient: Tensor) -> Tensor:
    return (gradient * gradient).reshape(-1).sum()  # one axis: several take a CPU six times as long


def _global_norm(gradients: tuple[Tensor, ...]) -> Tensor:
    return ops.sqrt(ops.stack(_map(_squared_sum, gradients)).sum())
