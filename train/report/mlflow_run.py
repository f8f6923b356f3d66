"""One run in MLflow, fed from one run folder's record.

Nothing is recorded twice however often it is sent: MLflow's stores recognise a metric by name, step, value and
timestamp, and the timestamp comes from the record.

A run whose folder lies in a folder with a record of its own, that of a sweep, becomes the child of that record's run.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from fairmot.addresses import masked
from fairmot.files import write_atomic
from train.report.mlflow_items import send_data_set, send_image, send_table
from train.report.mlflow_model import RunModels
from train.report.mlflow_store import connect, one_at_a_time
from train.report.record import SPOOL_NAME, identity, is_gone, is_line_end, only_deliverer, read_records

RUN_ID_NAME = "mlflow_run_id"
DELIVERED_NAME = "mlflow_delivered_bytes"

_LINES_PER_PASS = 80
_MOST_AT_ONCE = {"params": 100, "tags": 100, "metrics": 1000}  # in one request, MLflow's own limits
_LONGEST_PARAM, _LONGEST_TAG = 6000, 8000  # characters, MLflow's own limits
_PARENT_TAG = "mlflow.parentRunId"
_BEST = "best/"
_ITEMS = {"image": send_image, "table": send_table, "input": send_data_set}
_UNLIKE_NUMBERS = ("artifact", "checkpoint", "kept", "model", *_ITEMS)


def read_run_id(run_dir: Path) -> str | None:
    """The MLflow run that a run folder's values go to; None before there is one, and where it cannot be read."""
    try:
        return (run_dir / RUN_ID_NAME).read_text(errors="replace").strip() or None
    except OSError:
        return None


class MlflowRun:
    """Sends one run folder's record to its MLflow run, from where it stopped last time.

    Args:
        run_dir: the folder of the record; `mlflow_run_id` and the delivered length are kept beside it.
        tracking_uri: MLflow's server or store.
        experiment_name: the experiment of a new run; made if absent.
        run_name: the name of a new run; None: the folder's name.
    """

    def __init__(self, run_dir: Path, tracking_uri: str, experiment_name: str, run_name: str | None) -> None:
        self.ended = False  # the last line delivered was the record's "end"
        self._run_dir = run_dir
        self._tracking_uri = tracking_uri
        self._experiment_name = experiment_name
        self._run_name = run_name or run_dir.resolve().name
        self._client: Any = None
        self._run_id = ""
        self._sweep: MlflowRun | None = None
        self._refused_names: set[str] = set()
        self._delivered_bytes: int | None = None  # read from its file before the first delivery
        self._forgetful = False

    def send_pending(self) -> None:
        """Deliver every whole line not delivered yet; no line, no contact.

        Raises:
            FairMOTError: the tracking URI can never work, or the record is damaged.
            Exception: whatever MLflow raises while its server cannot take the lines; call again later.
        """
        if self._delivered_bytes is None:
            self._delivered_bytes = _confirmed_bytes(self._run_dir)
        while lines := list(islice(read_records(self._run_dir, self._delivered_bytes), _LINES_PER_PASS)):
            if not self._run_id:
                self._open_run()
                continue  # a new run begins at the record's first line
            try:
                self._send([record for record, _ in lines])
            except Exception:
                self._run_id = ""  # the run may be gone: look for it again before the next attempt
                raise
            self._delivered_bytes = lines[-1][1]
            self._remember(DELIVERED_NAME, f"{self._delivered_bytes}")

    def close_as(self, status: str) -> None:
        """Give the run that was being delivered a status unless the record said how it ended."""
        if self._run_id and not self.ended:
            self._terminate(status)

    def _remember(self, name: str, text: str) -> bool:
        """Write one of the two files beside the record; returns whether the disk took it.

        Without them everything is sent again by whoever delivers next, which MLflow recognises. A folder that is gone
        is not made anew.
        """
        if is_gone(self._run_dir):
            return False
        try:
            write_atomic(self._run_dir / name, f"{text}\n", sync=False)
        except OSError as error:
            if not self._forgetful:
                say(
                    f"warning: {self._run_dir / name} cannot be written ({error.strerror or error}); values are sent on"
                )
            self._forgetful = True
            return False
        return True

    def _open_run(self) -> None:
        self._client = self._client or connect(self._tracking_uri, say)
        self._sweep = self._opened_sweep()
        known_id = read_run_id(self._run_dir)
        if not known_id or not self._is_active(known_id):
            with one_at_a_time(self._tracking_uri, say):  # the experiment may be new
                run_id = self._find_or_create_run()
            if known_id:
                say(f"warning: MLflow run {known_id} is unknown or deleted there: run {run_id} takes the whole record")
            self._delivered_bytes = 0
            if self._remember(DELIVERED_NAME, "0"):  # before the id: a kill between them only repeats this
                self._remember(RUN_ID_NAME, run_id)
            known_id = run_id
        self._client.update_run(known_id, status="RUNNING")
        self._run_id = known_id

    def _opened_sweep(self) -> "MlflowRun | None":
        """The run of the sweep this one belongs to, made by whichever of its runs comes first."""
        folder = self._run_dir.absolute().parent
        if not (folder / SPOOL_NAME).is_file():
            return None
        sweep = MlflowRun(folder, self._tracking_uri, self._experiment_name, None)
        with only_deliverer(folder, wait=True):
            sweep._open_run()
            sweep.send_pending()
        return sweep

    def _terminate(self, status: str, end_time_ms: int | None = None) -> None:
        self._client.set_terminated(self._run_id, status, end_time=end_time_ms)
        if self._sweep is not None:
            self._sweep._settle()

    def _settle(self) -> None:
        """A sweep shows its best run's scores and ends with the last of its runs; a failed one gives it its status."""
        experiment_id = self._client.get_run(self._run_id).info.experiment_id
        runs = self._client.search_runs([experiment_id], f"tags.`{_PARENT_TAG}` = '{self._run_id}'")
        self._show_best(runs)
        statuses = {run.info.status for run in runs}
        if "RUNNING" not in statuses:
            worst = next((status for status in ("FAILED", "KILLED") if status in statuses), "FINISHED")
            ended_at_ms = max((run.info.end_time for run in runs if run.info.end_time), default=None)
            self._client.set_terminated(self._run_id, worst, end_time=ended_at_ms)

    def _show_best(self, runs: list[Any]) -> None:
        """The scores of the run that is best by its own metric, as metrics of the sweep, and its name as a tag."""
        scored = [(run.data.metrics.get(f"{_BEST}{run.data.params.get('best_metric')}"), run) for run in runs]
        known = [(value, run) for value, run in scored if value is not None]
        if not known:
            return
        _, best = max(known, key=lambda pair: pair[0])
        before = self._client.get_run(self._run_id).data.metrics
        for name, value in best.data.metrics.items():
            if name.startswith(_BEST) and before.get(name) != value:
                self._client.log_metric(self._run_id, name, value)
        self._client.set_tag(self._run_id, "best_run", best.info.run_name)

    def _is_active(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 (seconds of import)

        try:
            return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return False
            raise

    def _find_or_create_run(self) -> str:
        # A creation whose answer got lost must not leave a second, empty run: the record's id finds the first.
        first, _ = next(read_records(self._run_dir))
        record_id = identity(first)
        name, tag = self._experiment_name, "fairmot.record_id"
        experiment = self._client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(name)
        found = self._client.search_runs([experiment_id], f"tags.`{tag}` = '{record_id}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        tags = {tag: record_id} | ({_PARENT_TAG: self._sweep._run_id} if self._sweep is not None else {})
        run = self._client.create_run(experiment_id, first["time_ms"], tags, run_name=self._run_name)
        return str(run.info.run_id)

    def _send(self, records: list[dict[str, Any]]) -> None:
        from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 (seconds of import)

        def items(kind: str) -> Iterator[tuple[dict[str, Any], str, Any]]:
            chosen = (record for record in records if record["kind"] == kind)
            return ((record, name, value) for record in chosen for name, value in record["values"].items())

        self._log("params", [Param(name, _shortened(value, _LONGEST_PARAM)) for _, name, value in items("params")])
        tags = {name: RunTag(name, _shortened(value, _LONGEST_TAG)) for _, name, value in items("tags")}
        self._log("tags", list(tags.values()))
        metrics = [Metric(name, value, record["time_ms"], record["step"]) for record, name, value in items("metrics")]
        self._log("metrics", metrics)
        for record in records:
            if record["kind"] in _UNLIKE_NUMBERS:
                self._send_item(record)
        last = records[-1]
        self.ended = last["kind"] == "end"
        if self.ended:
            self._terminate(last["status"], last["time_ms"])

    def _log(self, kind: str, entities: list[Any]) -> None:
        """What MLflow refuses for good is found by halving, reported and left out from then on."""
        entities = [entity for entity in entities if entity.key not in self._refused_names]
        for start in range(0, len(entities), _MOST_AT_ONCE[kind]):
            self._log_at_once(kind, entities[start : start + _MOST_AT_ONCE[kind]])

    def _log_at_once(self, kind: str, entities: list[Any]) -> None:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 (seconds of import)

        try:
            self._client.log_batch(self._run_id, **{kind: entities})
        except MlflowException as error:
            if error.error_code not in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST"):
                raise
            if not self._is_active(self._run_id):
                raise
            if len(entities) > 1:
                self._log(kind, entities[: len(entities) // 2])
                self._log(kind, entities[len(entities) // 2 :])
            else:
                self._refused_names.add(entities[0].key)
                say(f"warning: MLflow refuses {kind} '{entities[0].key}', kept locally only: {first_line(error)}")

    def _send_item(self, record: dict[str, Any]) -> None:
        """What MLflow refuses is said and left out: not every server knows models, and a file may be gone."""
        kind = record["kind"]
        try:
            if kind == "artifact":
                self._client.log_artifact(self._run_id, record["path"], record.get("folder"))
            elif kind in _ITEMS:
                _ITEMS[kind](self._client, self._run_id, record)
            else:
                self._send_model(kind, record)
        except Exception as error:  # each artifact store raises its own
            self._client.get_run(self._run_id)  # no answer here either: the server is away, all is tried again
            what = " ".join(filter(None, (kind, record.get("name"), record.get("path"))))
            say(f"warning: {what} could not be stored: {first_line(error)}")

    def _send_model(self, kind: str, record: dict[str, Any]) -> None:
        models = RunModels(self._client, self._run_id)
        if kind == "checkpoint":
            self._log("metrics", models.add(record))
        elif kind == "kept":
            models.keep(set(map(int, record["values"])))
        else:
            models.register(record)


def undelivered_lines(run_dir: Path) -> int:
    """How many lines of the record MLflow has not confirmed."""
    return sum(1 for _ in read_records(run_dir, _confirmed_bytes(run_dir)))


def say(message: str) -> None:
    """One line on stderr, over a progress bar if there is one."""
    bar_eraser = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{bar_eraser}mlflow: {message}", file=sys.stderr, flush=True)


def first_line(error: Exception) -> str:
    """What an exception says, on one line."""
    words = str(error).strip()
    return f"{type(error).__name__}: {masked(words.splitlines()[0]) if words else 'no message'}"


def _confirmed_bytes(run_dir: Path) -> int:
    """How much of the record MLflow has confirmed: what is remembered, if it is the end of a line, else nothing.

    A file that a full disk left empty or torn, or a record that somebody has edited, only costs sending again.
    """
    try:
        offset = int((run_dir / DELIVERED_NAME).read_bytes())
    except (OSError, ValueError):
        return 0
    return offset if is_line_end(run_dir, offset) else 0


def _shortened(value: str, longest: int) -> str:
    return value if len(value) <= longest else value[: longest - 1] + "…"
