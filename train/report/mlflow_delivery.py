"""Carries a run's local record to MLflow, from a process of its own, so that training never waits for a server.

A process and not a thread: importing MLflow and setting up its SQLite store is seconds of Python that a thread would
take from the training loop, and data workers forked during that import could inherit locks nobody will ever release.
Here the training process only appends lines to a file (`train.report.record`) and this one reads behind it. It ends
after the record's "end" line, or soon after the training process is gone; then the run is closed as KILLED.
"""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from fairmot.addresses import masked_address
from fairmot.errors import FairMOTError
from train.output import print_unfailingly
from train.report.config import MlflowConfig
from train.report.mlflow_run import MlflowRun, first_line, say
from train.report.record import SPOOL_NAME, is_gone, only_deliverer

_POLL_S = 0.5
_LONGEST_PAUSE_S = 5.0


def resolve_tracking_uri(config: MlflowConfig) -> str:
    """The store in use: the config's, else the environment's, else `mlflow.db` in the working folder."""
    default = f"sqlite:///{Path('mlflow.db').absolute()}"
    return config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default


def deliver_command(run_dir: Path, config: MlflowConfig) -> str:
    """The command line that delivers what is left in `run_dir`."""
    overrides, uri = {"run_dir": str(run_dir.absolute())}, resolve_tracking_uri(config)
    if masked_address(uri) == uri:  # one with a password is the environment's, where the command finds it too
        overrides["mlflow.tracking_uri"] = uri
    if config.experiment_name != MlflowConfig.experiment_name:
        overrides["mlflow.experiment_name"] = config.experiment_name
    if config.run_name is not None:
        overrides["mlflow.run_name"] = config.run_name
    return "python -m train.deliver " + " ".join(shlex.quote(f"{key}={value}") for key, value in overrides.items())


def start_delivery(run_dir: Path, config: MlflowConfig) -> "subprocess.Popen[str]":
    """Start the delivering process for the record in `run_dir`; it ends by itself, with 0 if all was delivered.

    Raises:
        OSError: the system refuses another process.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "train.report.mlflow_delivery"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the training process, whose last values must still be sent
    )
    orders = {"run_dir": str(run_dir.absolute()), "parent_pid": os.getpid(), "config": asdict(config)}
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:  # type: ignore[union-attr]
        json.dump(orders, stdin)
    return process


def follow(run_dir: Path, config: MlflowConfig, parent_pid: int | None) -> None:
    """Deliver the record until it ends; without a living parent, until nothing is left or `flush_timeout_s` is over.

    The run of a record that is removed meanwhile has failed.

    Args:
        run_dir: the folder of the record.
        config: where to deliver.
        parent_pid: the training process that is still writing; None: nobody is.

    Raises:
        FairMOTError: not everything could be delivered; the message says why.
    """
    run = MlflowRun(run_dir, resolve_tracking_uri(config), config.experiment_name, config.run_name)
    place = masked_address(resolve_tracking_uri(config))
    give_up_at_s = None
    failure, pause_s = "", _POLL_S
    while True:
        writing = parent_pid is not None and os.getppid() == parent_pid
        if not writing and give_up_at_s is None:
            give_up_at_s = time.monotonic() + config.flush_timeout_s
        try:
            run.send_pending()
            if is_gone(run_dir / SPOOL_NAME):  # no more lines will come: training too ends as soon as it notices
                run.close_as("FAILED")
                return
            if not writing:
                run.close_as("KILLED")
            if failure:
                say(f"info: MLflow at {place} answers again; what was kept has been delivered")
            failure, pause_s = "", _POLL_S
            if run.ended or not writing:
                return
        except FairMOTError:
            raise
        except Exception as error:  # MLflow raises what its transport and its database raise
            if not failure:
                say(f"warning: MLflow at {place} takes no values; they are kept and sent later: {first_line(error)}")
            failure, pause_s = first_line(error), min(2 * pause_s, _LONGEST_PAUSE_S)
        if give_up_at_s is not None and time.monotonic() > give_up_at_s:
            raise FairMOTError(f"MLflow at {place} did not take the values: {failure}")
        time.sleep(pause_s)


def _main() -> None:
    print_unfailingly()  # a warning that finds no room must not end the delivery
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a stopped job's last values are sent; this process ends by itself
    orders = json.load(sys.stdin)
    run_dir, config = Path(orders["run_dir"]), MlflowConfig(**orders["config"])
    try:
        with only_deliverer(run_dir, wait=True):
            follow(run_dir, config, orders["parent_pid"])
    except FairMOTError as error:
        say(f"warning: {error}")
        sys.exit(1)


if __name__ == "__main__":
    _main()
