"""What a training run reports: the local record, MLflow behind it, and the console."""

import contextlib
import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from fairmot.weights.checkpoint import Checkpoint, step_of
from train.report.config import MlflowConfig
from train.report.console import Console
from train.report.curves import draw_curves
from train.report.data_sets import DataSet
from train.report.mlflow_delivery import deliver_command, start_delivery
from train.report.mlflow_run import say, undelivered_lines
from train.report.record import SPOOL_NAME, RunRecord, read_records

EPOCH_PREFIX = "epoch/"


class RunLogger:
    """A rank's reports. Every call appends to the local record and returns; MLflow is fed by a process of its own.

    Only the lead rank's logger has a record and a console; the others' take everything and report nothing, so that
    the loop need not ask who it is. What records something raises FairMOTError once the run's folder is gone.

    Args:
        run_dir: the run's folder.
        config: where MLflow is.
        is_lead: whether this rank reports.

    Raises:
        OSError: the run's folder cannot be written.
    """

    def __init__(self, run_dir: Path, config: MlflowConfig, *, is_lead: bool = True) -> None:
        self._run_dir = run_dir
        self._config = config
        self._record = RunRecord(run_dir) if is_lead else None
        self._lost_future: dict[tuple[str, int], float] = {}
        self._recorded: list[dict[str, Any]] = []  # checkpoints, as their lines say
        self._delivery: subprocess.Popen[str] | None = None
        self._console = Console()

    def start(
        self,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        artifacts: Sequence[Path],
        resumed_at_step: int | None,
        total_steps: int,
    ) -> None:
        """Record what the run is made of and begin to deliver.

        Args:
            params: the configuration, nested; keys are joined by dots. MLflow keeps a parameter's first value for good:
                a value changed by a resume is recorded as the tag `resumed_param.<key>`.
            tags: shown beside the run in MLflow.
            artifacts: files or folders to keep with the run.
            resumed_at_step: steps done before this process; None for a fresh start.
            total_steps: optimiser steps of the whole run, for the progress bar and the time left.
        """
        if self._record is None:
            return
        first_params = self._read_back(resumed_at_step)
        self._append("start", resumed_at_step=resumed_at_step)
        new, changed = {}, {}
        for key, value in flatten(params).items():
            if key not in first_params:
                new[key] = value
            elif first_params[key] != value:
                changed[f"resumed_param.{key}"] = value
        self._append("params", values=new)
        self._append("tags", values={**changed, **tags})
        for path in artifacts:
            self.artifact(path)
        self._console.begin(resumed_at_step or 0, total_steps)
        if self._config.enabled:
            try:
                self._delivery = start_delivery(self._run_dir, self._config)
            except OSError as error:
                say(
                    f"warning: its process cannot be started ({error}); values are kept in {self._run_dir / SPOOL_NAME}"
                )

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Record scalars of one optimiser step; what this run already recorded with the same value is not repeated."""
        fresh = {}
        for name, value in values.items():
            number = float(value)
            before = self._lost_future.get((name, step))
            if before is None or not (before == number or (math.isnan(before) and math.isnan(number))):
                fresh[name] = number
        if fresh:
            self._append("metrics", step=step, values=fresh)

    def epoch_metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record scalars of a whole epoch as `epoch/<name>`, over epochs instead of steps."""
        self.metrics(epoch, {f"{EPOCH_PREFIX}{name}": value for name, value in values.items()})

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a file with the run; it must stay in place until it is delivered.

        Args:
            path: the file.
            folder: of the run's artifacts, where it is to be found; None: beside the configuration.
        """
        self._append("artifact", path=str(path.absolute()), folder=folder)

    def tags(self, values: Mapping[str, str]) -> None:
        """Show these beside the run; a tag's newest value counts."""
        self._append("tags", values=dict(values))

    def image(self, path: Path, name: str, epoch: int) -> None:
        """Show a picture among those of the same name, over epochs; it must stay in place until it is delivered.

        The console says where the first of a name is.
        """
        self._append("image", path=str(path.absolute()), name=name, step=epoch)
        if self._record is not None:
            self._console.announce(name, path)

    def curves(self) -> None:
        """Draw the curves so far; what cannot be drawn, as on a full disk, is left for the next time."""
        if self._record is None:
            return
        with contextlib.suppress(OSError):
            path = draw_curves(self._run_dir)
            if path is not None:
                self._console.announce("curves", path)

    def table(self, path: Path) -> None:
        """Show a JSON file of columns and data as a table, which MLflow compares over runs by the file's name."""
        self._append("table", path=str(path.absolute()))

    def data_set(self, data: DataSet) -> None:
        """Name a data set that the run uses."""
        self._append("input", name=data.name, values=data.as_texts())

    def checkpoint(self, checkpoint: Checkpoint, scores: Mapping[str, float], validated_on: DataSet | None) -> None:
        """Make a checkpoint a model of the run; what this run already recorded of it is not repeated.

        Args:
            checkpoint: it is not copied.
            scores: of its validation, by name; none where it was not validated.
            validated_on: the data they are of.
        """
        says = {
            "step": step_of(checkpoint.path),
            "path": str(checkpoint.path.absolute()),
            "sha256": checkpoint.network_sha256,
            "values": {name: float(value) for name, value in scores.items()},
            "data": validated_on.name if validated_on and scores else None,
            "digest": validated_on.digest if validated_on and scores else None,
        }
        same = [each for each in self._recorded if (each["step"], each["sha256"]) == (says["step"], says["sha256"])]
        if not same or (scores and says["values"] not in [each["values"] for each in same]):
            self._append("checkpoint", **says)
            self._recorded.append(says)

    def kept(self, checkpoints: Sequence[Path]) -> None:
        """Say which checkpoints are there: the models of others are taken out of MLflow."""
        self._append("kept", values={str(step_of(path)): str(path.absolute()) for path in checkpoints})

    def model(self, name: str, checkpoint: Checkpoint, best: Mapping[str, str]) -> None:
        """Register a checkpoint as a version of the model `name`.

        Args:
            name: the registered model.
            checkpoint: it is not copied.
            best: `best_metric`, `best_value` and the digest of the `validation`; nothing where none was validated.
        """
        says = {"name": name, "path": str(checkpoint.path.absolute()), "sha256": checkpoint.network_sha256}
        self._append("model", **says, values=dict(best))

    def progress(self, step: int, values: Mapping[str, float] | None = None) -> None:
        """Show where training is: a bar on a terminal, elsewhere one line each time there are values.

        Args:
            step: steps done.
            values: what to show beside it; None only moves the bar.
        """
        if self._record is not None:
            self._console.show(step, values)

    def close(self, status: str) -> None:
        """End the run and wait, at most `mlflow.flush_timeout_s`, until MLflow has everything.

        Args:
            status: FINISHED, FAILED or KILLED.

        Raises:
            FairMOTError: the run's folder is gone.
        """
        if self._record is None:
            return
        self._console.end()
        try:
            self._append("end", status=status)
        finally:
            self._record.close()
            self._finish_delivery()

    def _finish_delivery(self) -> None:
        if self._delivery is None:
            return
        try:
            self._delivery.wait(self._config.flush_timeout_s)
        except subprocess.TimeoutExpired:
            self._delivery.kill()
            self._delivery.wait()
        if left := undelivered_lines(self._run_dir):
            command = deliver_command(self._run_dir, self._config)
            spool = self._run_dir / SPOOL_NAME
            say(f"warning: {left} lines are not delivered; they are kept in {spool}. To deliver: {command}")

    def _append(self, kind: str, **values: Any) -> None:
        if self._record is not None:
            self._record.append(kind, **values)

    def _read_back(self, resumed_at_step: int | None) -> dict[str, str]:
        """Remember the values a resumed run will log again; return the parameters' first values."""
        first_params: dict[str, str] = {}
        after_step = -1 if resumed_at_step is None else resumed_at_step
        for record, _ in read_records(self._run_dir):
            if record["kind"] == "params":
                first_params = {**record["values"], **first_params}
            elif record["kind"] == "checkpoint":
                self._recorded.append(record)
            elif record["kind"] == "metrics":
                for name, value in record["values"].items():
                    if record["step"] > after_step or name.startswith(EPOCH_PREFIX):
                        self._lost_future[name, record["step"]] = value
        return first_params


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as text under dotted keys: `{"optim": {"lr": 0.1}}` becomes `{"optim.lr": "0.1"}`."""
    flat: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        elif isinstance(value, Enum):
            flat[f"{prefix}{key}"] = value.name
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat
