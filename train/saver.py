"""Saving a run's state beside its training."""

import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fairmot.errors import CheckpointError
from fairmot.files import write_atomic
from fairmot.weights.checkpoint import (
    Tensors,
    amend_checkpoint,
    checkpoint_name,
    read_checkpoint,
    save_checkpoint,
    whole_checkpoints,
)
from train.distributed import World
from train.report.data_sets import DataSet
from train.report.logger import RunLogger
from train.report.mlflow_run import read_run_id
from train.report.record import folder_is_gone, is_gone
from train.state import TrainState

_NICER = 10


class Saver:
    """Writes checkpoints of the state on the lead rank; the others give it their shares of what none has whole.

    Between two steps training waits for a copy of the tensors alone; the disk is given the time until the next save.
    Leaving its context waits for what is still being written.

    Args:
        world: this rank among all.
        run_dir: the run's directory.
        state: what is saved.
        config_yaml: the composed configuration.
        keep: how many of the newest checkpoints stay, besides the best one.
    """

    def __init__(self, world: World, run_dir: Path, state: TrainState, config_yaml: str, keep: int) -> None:
        self._world, self._run_dir, self._state = world, run_dir, state
        self._config_yaml, self._keep = config_yaml, keep
        self._folder = run_dir / "checkpoints"
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint", initializer=_give_way)
        self._writing: Future[None] | None = None
        self._copies: dict[str, Tensors] = {}

    def save(self, wait: bool = False) -> None:
        """Begin to save the state, once a step, and say which checkpoint is the best so far.

        Args:
            wait: until the checkpoint is whole; that spares the copy, which takes as much memory as the checkpoint.

        Raises:
            CheckpointError: this checkpoint or the one before could not be written.
            FairMOTError: the run's folder is gone; it is not made anew.
        """
        state, step = self._state, self._state.progress.step
        if not self._world.is_lead:
            if state.saved_step != step:
                for _ in state.whole_shards():
                    pass  # the lead rank keeps them
            state.saved_step = step
            return
        self.finish()
        if is_gone(self._run_dir):
            raise folder_is_gone(self._run_dir)
        best = checkpoint_name(state.progress.best_step) if state.progress.best else None
        manifest = state.manifest(read_run_id(self._run_dir), self._world.size)
        if state.saved_step == step:  # only the progress has changed: an epoch has ended, or its validation
            amend_checkpoint(self._folder, step, manifest)
            self._point_at(best)
        elif wait:
            self._write(step, state.whole_tensors(copy=False), manifest, best)
        else:
            self._writing = self._writer.submit(self._write, step, self._copied_tensors(), manifest, best)
        state.saved_step = step

    def report(self, logger: RunLogger, scores: Mapping[str, float], validated_on: DataSet | None) -> None:
        """Tell MLflow of the checkpoint just saved, and which ones are still there.

        Args:
            logger: the run's.
            scores: of the checkpoint's validation.
            validated_on: the data they are of.

        Raises:
            CheckpointError: its manifest cannot be read.
        """
        step = self._state.progress.step
        logger.checkpoint(read_checkpoint(self._folder / checkpoint_name(step)), scores, validated_on)
        logger.kept(whole_checkpoints(self._folder))

    def check(self) -> None:
        """Say, without waiting, whether the newest save has failed.

        Raises:
            CheckpointError: it could not be written.
        """
        if self._writing is not None and self._writing.done():
            self.finish()

    def finish(self) -> None:
        """Wait until the newest checkpoint is whole.

        Raises:
            CheckpointError: it could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _copied_tensors(self) -> dict[str, Tensors]:
        """The state's arrays in memory kept from save to save: fresh pages cost training five times the copying."""
        if not self._copies:
            self._copies = self._state.whole_tensors()
        else:
            for group, tensors in self._state.whole_tensors(copy=False).items():
                for name, array in tensors.items():
                    np.copyto(self._copies[group][name], array)
        return self._copies

    def _write(self, step: int, tensors: dict[str, Tensors], manifest: dict[str, Any], best: str | None) -> None:
        protected = frozenset() if best is None else frozenset({best})
        save_checkpoint(self._folder, step, tensors, manifest, self._config_yaml, self._keep, protected)
        self._point_at(best)

    def _point_at(self, best: str | None) -> None:
        if best is None or not (self._folder / best).is_dir():
            return
        try:
            write_atomic(self._folder / "best", best + "\n")
        except OSError as error:
            raise CheckpointError(f"{self._folder / 'best'}: cannot be written ({error.strerror or error})") from error

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self.finish()
        except CheckpointError as failure:
            if error is None:
                raise
            print(f"warning: {failure}", file=sys.stderr, flush=True)  # what ends the training is said last
        finally:
            self._writer.shutdown()


def _give_way() -> None:
    # Digests and the disk want a second of processor time, which the steps on a CPU would miss.
    if sys.platform == "linux":  # where a thread has a priority of its own
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICER)
