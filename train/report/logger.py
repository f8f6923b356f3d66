"""What a training run reports: the local record, MLflow behind it, and the console."""

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from train.report.console import Console
from train.report.mlflow_delivery import MlflowConfig, deliver_command, start_delivery
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
        total_steps: optimiser steps of the whole run, for the progress bar and the time left.
        is_lead: whether this rank reports.

    Raises:
        OSError: the run's folder cannot be written.
    """

    def __init__(self, run_dir: Path, config: MlflowConfig, total_steps: int, *, is_lead: bool = True) -> None:
        self._run_dir = run_dir
        self._config = config
        self._record = RunRecord(run_dir) if is_lead else None
        self._lost_future: dict[tuple[str, int], float] = {}
        self._delivery: subprocess.Popen[str] | None = None
        self._console = Console(total_steps)

    def start(
        self,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        artifacts: Sequence[Path],
        resumed_at_step: int | None,
    ) -> None:
        """Record what the run is made of and begin to deliver.

        Args:
            params: the configuration, nested; keys are joined by dots. MLflow keeps a parameter's first value for good:
                a value changed by a resume is recorded as the tag `resumed_param.<key>`.
            tags: shown beside the run in MLflow.
            artifacts: files or folders to keep with the run.
            resumed_at_step: steps done before this process; None for a fresh start.
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
        self._console.begin(resumed_at_step or 0)
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

    def model(self, name: str, checkpoint: Path, sha256: str) -> None:
        """Register a checkpoint as a version of the model `name`.

        Args:
            name: the registered model.
            checkpoint: its directory; it is not copied.
            sha256: of its network's weights.
        """
        self._append("model", name=name, path=str(checkpoint.absolute()), sha256=sha256)

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
