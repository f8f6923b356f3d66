"""The command that brings to MLflow what training could not deliver: `python -m train.deliver run_dir=...`."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from fairmot.addresses import masked_address
from fairmot.cli.command import run_command
from fairmot.errors import FairMOTError
from train.report.config import MlflowConfig
from train.report.mlflow_delivery import follow, resolve_tracking_uri
from train.report.mlflow_run import undelivered_lines
from train.report.record import SPOOL_NAME, only_deliverer, read_records


@dataclass
class DeliverConfig:
    """Which runs go where.

    Args:
        run_dir: a training run's folder, or one that holds several, such as a sweep's.
        mlflow: MLflow's address; `flush_timeout_s` is how long to try a server that does not answer.
    """

    run_dir: str = MISSING
    mlflow: MlflowConfig = field(default_factory=MlflowConfig)


def deliver(config: DeliverConfig) -> None:
    """Send every line of the runs' records that MLflow lacks.

    Raises:
        FairMOTError: there is no record, one is being delivered already, or MLflow does not take it.
    """
    run_dirs = _begun_runs(Path(config.run_dir))
    if not run_dirs:
        raise FairMOTError(f"run_dir={config.run_dir}: no training has left {SPOOL_NAME} there or in a folder below")
    for run_dir in run_dirs:
        with only_deliverer(run_dir, wait=False):
            left = undelivered_lines(run_dir)
            follow(run_dir, config.mlflow, parent_pid=None)
        print(f"delivered {left} lines of {run_dir} to {masked_address(resolve_tracking_uri(config.mlflow))}")


def _begun_runs(folder: Path) -> list[Path]:
    """The folder, or those of the runs in it. Each brings that of its sweep along, which begins no run itself."""
    candidates = [folder, *sorted(path.parent for path in folder.glob(f"*/{SPOOL_NAME}"))]
    return [each for each in candidates if any(record["kind"] == "start" for record, _ in read_records(each))]


if __name__ == "__main__":
    run_command(deliver, DeliverConfig, "deliver")
