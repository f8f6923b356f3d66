"""fit(): epochs and steps in plain sight."""

import contextlib
import gc
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mindspore as ms
from mindspore import Tensor

from fairmot.data.loader import TrainLoader
from fairmot.device import Device, device_in_use
from fairmot.errors import FairMOTError
from train.config import BestMetric, TrainConfig
from train.distributed import World
from train.heartbeat import beat
from train.optimizer import batch_factor, learning_rate
from train.profiling import StepProfiler
from train.report.data_sets import DataSet
from train.report.logger import RunLogger
from train.report.system_meter import SystemMeter
from train.saver import Saver
from train.state import Progress, TrainState
from train.step import SCALARS, TrainOneStep
from train.stop import Stopped, StopRequest

if TYPE_CHECKING:
    from train.validate import Validator

_HOPELESS_OVERFLOWS = 50
# Ranks learn of a request to stop from the step's scalars; reading them makes the host wait for an accelerator.
_STEPS_BETWEEN_STOPS = {Device.cpu: 1, Device.ascend: 10}
_SHOWN = {"loss": "loss", "id_loss": "id_loss", "images_per_second": "images/s"}
_IN_EPOCH_MEANS = ("loss", "hm_loss", "wh_loss", "off_loss", "id_loss", "det_loss")

Batch = tuple[Tensor, ...]


@dataclass
class Trainer:
    """What fit() works with.

    Attributes:
        config: the run's settings.
        world: this rank among all.
        step: the compiled training step.
        loader: batches of this rank.
        state: what is trained, and how far.
        saver: writes checkpoints of the state.
        logger: records what is measured.
        profiler: records some steps.
        system: watches the ranks' processors and memory.
        draw: makes a picture of what the network sees after an epoch; None where none is wanted, or not by this rank.
        validator: tracks the validation sequences; None where the configuration has none.
        validated_on: these sequences as a data set, on the lead rank.
    """

    config: TrainConfig
    world: World
    step: TrainOneStep
    loader: TrainLoader
    state: TrainState
    saver: Saver
    logger: RunLogger
    profiler: StepProfiler
    system: SystemMeter
    draw: Callable[[int], Path] | None = None
    validator: "Validator | None" = None
    validated_on: DataSet | None = None

    @property
    def samples_per_step(self) -> int:
        """Samples that all ranks together use for one optimiser step."""
        return self.config.batch_size_per_rank * self.world.size * self.config.optim.accumulation

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of a whole epoch; what does not fill a last one is dropped."""
        return self.loader.steps_per_epoch // self.config.optim.accumulation

    @property
    def total_steps(self) -> int:
        """Optimiser steps at the run's end; those done may have been made by another number of ranks."""
        config, progress = self.config, self.state.progress
        left_in_epoch = self.loader.steps_left(progress.samples_in_epoch) // config.optim.accumulation
        later = max(config.epochs - progress.epoch - 1, 0) * self.steps_per_epoch
        planned = progress.step + (left_in_epoch + later if progress.epoch < config.epochs else 0)
        return min(planned, max(config.max_steps or planned, progress.step))


def fit(trainer: Trainer) -> None:
    """Train until `epochs` or `max_steps`; start from wherever the state is.

    Raises:
        Stopped: asked to by Ctrl-C or SIGTERM; the state is saved.
        FairMOTError: the data cannot be read, a checkpoint cannot be written, or gradients stay non-finite.
    """
    config, progress = trainer.config, trainer.state.progress
    meter = Meter(trainer)
    trainer.step.set_train()
    # A training before this one in the process, as in a sweep, must be gone: MindSpore collects garbage while it
    # compiles, forgets with the old graph what the new one was called with, and compiles it again for the second step.
    gc.collect()
    with StopRequest() as stop, trainer.saver:
        validate_if_due(trainer, stop)
        while progress.epoch < config.epochs and not _is_done(config, progress):
            for batches in meter.waiting_for(micro_batches(trainer.loader, progress, config.optim.accumulation)):
                with trainer.profiler.step(), meter.calling():
                    scalars = run_step(trainer, batches, stop)
                meter.add(scalars)
                progress.step += 1
                progress.samples_in_epoch += trainer.samples_per_step
                beat(progress.step)
                trainer.saver.check()
                if _is_due(config.log_every_steps, progress.step):
                    meter.log()
                trainer.logger.progress(progress.step)
                if _is_due(config.runtime.log_system_every_steps, progress.step):
                    trainer.logger.metrics(progress.step, trainer.system.read())
                if _is_due(config.runtime.check_ranks_every_steps, progress.step):
                    values = (weight.asnumpy() for weight in trainer.state.weights())
                    trainer.world.check_identical(values, f"after step {progress.step}")
                if _is_due(config.save_every_steps, progress.step):
                    meter.read()
                    trainer.saver.save()
                if _is_due(_STEPS_BETWEEN_STOPS[device_in_use()], progress.step) and meter.stop_wanted():
                    trainer.saver.save(wait=True)
                    raise Stopped(f"stopped after step {progress.step}, saved; the same command continues")
                if _is_done(config, progress):
                    break
            else:
                meter.end_epoch()
                if trainer.draw is not None and _is_due(config.log_pictures_every_epochs, progress.epoch):
                    trainer.logger.image(trainer.draw(progress.epoch), "network view", progress.epoch)
                validate_if_due(trainer, stop)
                meter.begin_clock()
        meter.read()
        if config.validate_every_epochs and progress.validated_step != progress.step:
            validate(trainer, stop)
        trainer.saver.save(wait=True)


def validate_if_due(trainer: Trainer, stop: StopRequest) -> None:
    """Validate between two epochs where that is planned and has not been done, as after a stop in the middle of it."""
    progress = trainer.state.progress
    between_epochs = progress.epoch > 0 and progress.samples_in_epoch == 0
    is_new = progress.validated_step != progress.step
    if between_epochs and is_new and _is_due(trainer.config.validate_every_epochs, progress.epoch):
        validate(trainer, stop)


def validate(trainer: Trainer, stop: StopRequest) -> None:
    """Save, track the validation sequences, report the scores, and remember whether this is the best checkpoint.

    Raises:
        FairMOTError: see `Validator.run`; or the checkpoint cannot be written.
    """
    progress, config, average = trainer.state.progress, trainer.config, trainer.state.average
    if trainer.validator is None:
        return
    trainer.saver.save(wait=True)  # tracking takes long: nothing is lost when it is stopped or fails
    # A run that ends within an epoch reports under that epoch's number.
    epoch = progress.epoch + (progress.samples_in_epoch > 0)
    with stop.at_once(), average.in_place_of_weights() if average is not None else contextlib.nullcontext():
        scores = trainer.validator.run(epoch)
    progress.validated_step = progress.step
    if scores is not None:  # only the lead rank knows them
        trainer.logger.epoch_metrics(epoch, {f"validation/{name}": value for name, value in scores.values.items()})
        trainer.logger.image(scores.sheet, "validation", epoch)
        trainer.logger.table(scores.table)
        for path in scores.files:
            trainer.logger.artifact(path, f"validation/{path.parent.name}")
        if progress.is_best(config.best_metric.value, scores.values[config.best_metric.value]):
            best = {metric.value: scores.values[metric.value] for metric in BestMetric}
            trainer.logger.metrics(progress.step, {f"best/{name}": value for name, value in best.items()})
            trainer.logger.tags({f"best_{name}": f"{value:.1f}" for name, value in best.items()})
        trainer.logger.curves()
        trainer.saver.save(wait=True)
        numbers = {name: value for name, value in scores.values.items() if name != "seconds"}
        trainer.saver.report(trainer.logger, numbers, trainer.validated_on)


def micro_batches(loader: TrainLoader, progress: Progress, accumulation: int) -> Iterator[list[Batch]]:
    """The rest of the running epoch, as lists of the `accumulation` batches of one step."""
    batches = loader.epoch(progress.epoch, progress.samples_in_epoch)
    try:
        while len(group := list(itertools.islice(batches, accumulation))) == accumulation:
            yield group
    finally:
        batches.close()  # type: ignore[attr-defined]


def run_step(trainer: Trainer, batches: list[Batch], stop: StopRequest) -> Tensor:
    """One optimiser step from its micro-batches; returns the vector of SCALARS, still on the device."""
    progress, config = trainer.state.progress, trainer.config
    samples_per_epoch = trainer.steps_per_epoch * trainer.samples_per_step
    epochs_done = progress.epoch + progress.samples_in_epoch / samples_per_epoch
    rate = learning_rate(config.optim, progress.step, epochs_done, config.epochs)
    rate *= batch_factor(config.optim, trainer.samples_per_step)
    arguments = Tensor(rate, ms.float32), Tensor(stop.made, ms.float32)
    for batch in batches[:-1]:
        trainer.step(*batch, *arguments, Tensor(False))
    return trainer.step(*batches[-1], *arguments, Tensor(True))


def _is_due(every_steps: int, step: int) -> bool:
    return every_steps > 0 and step % every_steps == 0


def _is_done(config: TrainConfig, progress: Progress) -> bool:
    return config.max_steps is not None and progress.step >= config.max_steps


class Meter:
    """Collects the steps' scalars on the device and reads them only when somebody wants to see them."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._pending: list[Tensor] = []
        self._last: dict[str, float] = {}
        self._overflows_in_a_row = 0
        self._stop_wanted = False
        self._waited_s = self._called_s = 0.0
        self._window_began_at_s: float | None = None
        self._window_steps = 0
        self._epoch_began_at_s = time.perf_counter()

    def waiting_for(self, batches: Iterator[list[Batch]]) -> Iterator[list[Batch]]:
        """The same batches; how long each was waited for is measured."""
        while True:
            began_at_s = time.perf_counter()
            batch = next(batches, None)
            self._waited_s += time.perf_counter() - began_at_s
            if batch is None:
                return
            yield batch

    @contextlib.contextmanager
    def calling(self) -> Iterator[None]:
        """Around the compiled step: all its work on a CPU, an accelerator only takes its orders here."""
        began_at_s = time.perf_counter()
        yield
        self._called_s += time.perf_counter() - began_at_s

    def add(self, scalars: Tensor) -> None:
        """Take notice of one step."""
        self._pending.append(scalars)
        if self._window_began_at_s is None:
            # The first step compiles the graph or waits for the first batch: speed is counted from its end.
            scalars.asnumpy()
            self._window_began_at_s, self._waited_s, self._called_s = time.perf_counter(), 0.0, 0.0
        else:
            self._window_steps += 1

    def read(self) -> None:
        """Wait for the device and add what is pending to the epoch's sums."""
        progress = self._trainer.state.progress
        for tensor in self._pending:
            values = tensor.asnumpy().tolist()
            self._last = dict(zip(SCALARS, values, strict=True))
            self._stop_wanted = self._stop_wanted or self._last["stop"] > 0
            self._overflows_in_a_row = self._overflows_in_a_row + 1 if self._last["overflow"] else 0
            if not self._last["overflow"]:
                progress.epoch_sums = [total + value for total, value in zip(progress.epoch_sums, values, strict=True)]
                progress.epoch_steps += 1
        self._pending.clear()
        if self._overflows_in_a_row >= _HOPELESS_OVERFLOWS:
            raise FairMOTError(
                f"step {progress.step}: the gradients of the last {self._overflows_in_a_row} steps were not finite, "
                f"loss {self._last['loss']}; lower optim.lr, set optim.clip_norm, or check the labels"
            )

    def stop_wanted(self) -> bool:
        """Whether any rank has asked all to stop; the same answer on every rank at the same step."""
        self.read()
        return self._stop_wanted

    def log(self) -> None:
        """Record the newest step and the speed since the last time."""
        self.read()
        trainer, now = self._trainer, time.perf_counter()
        progress = trainer.state.progress
        values = {name: value for name, value in self._last.items() if name not in ("overflow", "stop")}
        values["learning_rate"] = float(trainer.step.optimizer.learning_rate.asnumpy())
        if self._window_steps and self._window_began_at_s is not None:
            elapsed_s = now - self._window_began_at_s
            values["images_per_second"] = self._window_steps * trainer.samples_per_step / elapsed_s
            values["step_ms"] = elapsed_s / self._window_steps * 1e3
            values["data_wait_ms"] = self._waited_s / self._window_steps * 1e3
            values["step_call_ms"] = self._called_s / self._window_steps * 1e3
        trainer.logger.metrics(progress.step, values)
        shown = {label: values[name] for name, label in _SHOWN.items() if name in values}
        trainer.logger.progress(progress.step, shown)
        self._window_began_at_s, self._window_steps, self._waited_s, self._called_s = now, 0, 0.0, 0.0

    def end_epoch(self) -> None:
        """Record the epoch's means and begin the next one."""
        self.read()
        progress = self._trainer.state.progress
        sums = dict(zip(SCALARS, progress.epoch_sums, strict=True))
        means = {name: sums[name] / max(progress.epoch_steps, 1) for name in _IN_EPOCH_MEANS}
        seconds = time.perf_counter() - self._epoch_began_at_s
        progress.begin_epoch()
        self._trainer.logger.epoch_metrics(progress.epoch, {**means, "seconds": seconds})
        self._epoch_began_at_s = time.perf_counter()

    def begin_clock(self) -> None:
        """Leave what happened since the last step out of the epoch's time and of the speed."""
        self._window_began_at_s, self._window_steps = None, 0
        self._epoch_began_at_s = time.perf_counter()
