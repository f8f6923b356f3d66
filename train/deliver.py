"""The door that brings to MLflow what a training run could not deliver: `python -m train.deliver run_dir=...`."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from fairmot.door import run_door
from train.mlflow_delivery import MlflowConfig, follow, only_deliverer, resolve_tracking_uri
from train.mlflow_run import masked, undelivered_lines


@dataclass
class DeliverConfig:
    """Which run goes where.

    Args:
        run_dir: the training run's folder.
        mlflow: MLflow's address; `flush_timeout_s` is how long to try a server that does not answer.
    """

    run_dir: str = MISSING
    mlflow: MlflowConfig = field(default_factory=MlflowConfig)


def deliver(config: DeliverConfig) -> None:
    """Send every line of the run's record that MLflow lacks.

    Raises:
        FairMOTError: there is no record, it is being delivered already, or MLflow does not take it.
    """
    run_dir = Path(config.run_dir)
    with only_deliverer(run_dir, wait=False):
        left = undelivered_lines(run_dir)
        follow(run_dir, config.mlflow, parent_pid=None)
    print(f"delivered {left} lines of {run_dir} to {masked(resolve_tracking_uri(config.mlflow))}")


if __name__ == "__main__":
    run_door(deliver, DeliverConfig, "deliver")
