"""A search in MLflow: one run, and each trial a child of it."""

import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from fairmot.addresses import masked_address
from fairmot.errors import LONGEST_REASON, DataError, excerpt
from fairmot.tracking.config import TrackerConfig
from fairmot.tune.report import as_word
from fairmot.tune.search import Search, Trial
from fairmot.tune.space import Dimension


def log_search(
    tracking_uri: str, experiment: str, done: Search, space: Sequence[Dimension], objective: str, folder: Path
) -> None:
    """Give a finished search to MLflow.

    Args:
        tracking_uri: server or store.
        experiment: its name; made if absent.
        done: the search.
        space: what was searched.
        objective: the figure that was raised.
        folder: of the files that go with it.

    Raises:
        DataError: MLflow does not take it; the message says why.
    """
    # Here, since importing MLflow takes seconds.
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    try:
        client = MlflowClient(tracking_uri)
        known = client.get_experiment_by_name(experiment)
        experiment_id = known.experiment_id if known else client.create_experiment(experiment)
        searched = {f"space.{one.key}": str(one).partition("=")[2] for one in space}
        about = {"objective": objective, "trials": str(len(done.trials)), **searched}
        best = done.best(objective)
        parent = _log(client, experiment_id, f"tune-{folder.resolve().name}", best, about, {})
        for path in sorted(path for path in folder.glob("trials.*")):
            client.log_artifact(parent, str(path))
        client.log_artifact(parent, str(folder / "tracker" / "tuned.yaml"))
        for trial in done.trials:
            name = f"trial {trial.number}" if trial.number else "start"
            _log(client, experiment_id, name, trial, {}, {"mlflow.parentRunId": parent})
    except (MlflowException, OSError) as error:
        reason = excerpt(str(error).splitlines()[0], LONGEST_REASON)
        raise DataError(f"MLflow at {masked_address(tracking_uri)} does not take the search: {reason}") from error


def _log(client: Any, experiment_id: str, name: str, trial: Trial, about: dict[str, str], tags: dict[str, str]) -> str:
    """One run with the rules and figures of a trial; returns its id."""
    from mlflow.entities import Metric, Param  # noqa: PLC0415

    run_id = client.create_run(experiment_id, run_name=name, tags=tags).info.run_id
    rules = {f"tracker.{field.name}": as_word(getattr(trial.rules, field.name)) for field in fields(TrackerConfig)}
    now_ms = int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(key, float(value), now_ms, 0) for key, value in trial.figures.items()],
        params=[Param(key, value) for key, value in {**about, **rules}.items()],
    )
    client.set_terminated(run_id)
    return run_id
