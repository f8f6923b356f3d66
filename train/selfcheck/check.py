"""What a check is, and what it measured."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from fairmot.data.identities import IdentityTable
from fairmot.device import Device, device_in_use
from train.build import build_state, build_step
from train.distributed import World
from train.packing import whole_arrays
from train.selfcheck.batch import drawn_batch
from train.selfcheck.config import SelfcheckConfig
from train.state import TrainState
from train.step import SCALARS, TrainOneStep


class Verdict(Enum):
    """Outcome of a check.

    error: it broke off. measured: there is nothing to judge it by. skipped: it does not apply here.
    """

    passed = "passed"
    failed = "FAILED"
    error = "ERROR"
    measured = "measured"
    skipped = "not applicable"


@dataclass(frozen=True)
class Measurement:
    """What one check found on one rank.

    Attributes:
        value: the worst number, which is compared with the limit; None: the check does not apply.
        limit: the largest value that passes; None: there is none.
        unit: of both.
        detail: where the value comes from, or why there is none.
        values: every number by its name.
    """

    value: float | None
    limit: float | None
    unit: str
    detail: str
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """NaN passes no limit."""
        if self.value is None:
            return Verdict.skipped
        if self.limit is None:
            return Verdict.measured
        return Verdict.passed if self.value <= self.limit else Verdict.failed


def not_applicable(why: str) -> Measurement:
    """There is nothing to measure here."""
    return Measurement(None, None, "", why)


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: of the check.
        meaning: what a failure means and what to try, one or two sentences.
        measure: makes it; whatever it raises is reported.
    """

    name: str
    meaning: str
    measure: "Callable[[Session], Measurement]"


class Session:
    """What the checks share.

    Args:
        config: of the step that is measured; its device is in use.
        world: this rank among all.
        planned: the dry run's report of that step; None: none was given.
    """

    def __init__(self, config: SelfcheckConfig, world: World, planned: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.world = world
        self.planned = planned
        self.on_ascend = device_in_use() is Device.ascend

    @cached_property
    def trained(self) -> "Trained":
        """The configured network with its step; built, and compiled, once for all checks."""
        return Trained.build(self.config, self.world, self.planned)


@dataclass
class Trained:
    """The configured training step, its state, and a batch for it.

    Attributes:
        state: what the step changes.
        step: the compiled step.
        batch: one micro-batch of this rank, drawn.
        rate: the learning rate.
        micro_batches: calls of the step that make one update.
    """

    state: TrainState
    step: TrainOneStep
    batch: list[np.ndarray]
    rate: float
    micro_batches: int = 1

    @classmethod
    def build(cls, config: SelfcheckConfig, world: World, planned: Mapping[str, Any] | None) -> "Trained":
        """What training would build.

        Args:
            config: of the run.
            world: this rank among all.
            planned: says how many identities and objects there are; None: simulate.identities and
                simulate.objects do.
        """
        classes = planned["identities"] if planned else config.simulate.identities + 1
        slots = planned["objects"] if planned else config.data.max_objects or config.simulate.objects
        # An identity table counts one class more than there are identities, as the original does.
        state = build_state(config, IdentityTable(["assumed"], [classes - 1]), world)
        step = build_step(config, state, world)
        step.set_train()
        batch = drawn_batch(config, slots, seed=world.rank)
        return cls(state, step, batch, config.optim.lr, config.optim.accumulation)

    def call(self, batch: list[np.ndarray]) -> Tensor:
        """One optimiser step of as many micro-batches as the configuration wants; the vector of SCALARS."""
        rate, stop = Tensor(self.rate, ms.float32), Tensor(0.0, ms.float32)
        for number in range(1, self.micro_batches + 1):
            vector = self.step(*map(Tensor, batch), rate, stop, Tensor(number == self.micro_batches))
        return vector

    def tensors(self) -> dict[str, np.ndarray]:
        """Copies of all that a checkpoint would hold, by group and name."""
        found = self.state.tensors()
        return {f"{group}/{name}": array for group, arrays in found.items() for name, array in arrays.items()}

    def set_tensors(self, tensors: Mapping[str, np.ndarray]) -> None:
        """The inverse of `tensors`."""
        for group in self.state.groups:
            state = self.state.parameters(group)
            for parameter, array in whole_arrays(state, {name: tensors[f"{group}/{name}"] for name in state}):
                # In place: a compiled graph goes on with the optimiser's counters of its own, whatever `set_data` says.
                ops.assign(parameter, Tensor(array))

    def make_step(self, batch: list[np.ndarray] | None = None) -> dict[str, float]:
        """One optimiser step on `batch` or the drawn one; its SCALARS by name, read from the device."""
        values = self.call(self.batch if batch is None else batch).asnumpy().tolist()
        return dict(zip(SCALARS, values, strict=True))


def worst_of(values: Mapping[str, float]) -> tuple[str, float]:
    """The largest of some values with its name; NaN is worse than any number."""
    known = {name: math.inf if math.isnan(value) else value for name, value in values.items()}
    name = max(known, key=lambda each: known[each])
    return name, known[name]


def largest_difference(
    ours: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> tuple[float, str, dict[str, float]]:
    """How far arrays are from what is expected, each by its own largest value.

    Returns:
        The largest difference as a share of the largest value expected there, which array has it, and that of every
        array. It is infinite where there is a NaN.

    Raises:
        ValueError: an array is missing, or has another shape.
    """
    found = {}
    for name, wanted in expected.items():
        if name not in ours or ours[name].shape != wanted.shape:
            shape = ours[name].shape if name in ours else "missing"
            raise ValueError(f"{name}: {shape}, expected {wanted.shape}")
        difference = np.abs(ours[name].astype(np.float64) - wanted).max()
        largest = max(float(np.abs(wanted).max()), np.finfo(np.float32).tiny)
        found[name] = float(difference / largest)
    worst, value = worst_of(found)
    return value, worst, found
