"""Where a run's metrics go."""

import re
from dataclasses import dataclass

from fairmot.addresses import masked_address

_HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/.*)?")


@dataclass
class MlflowConfig:
    """Where the metrics go.

    Args:
        tracking_uri: MLflow server or store; None: the environment's MLFLOW_TRACKING_URI, else `mlflow.db` in the
            working folder.
        experiment_name: the experiment the run belongs to; made if absent.
        run_name: the run's name in MLflow; None: the run folder's name.
        flush_timeout_s: how long the end of training waits for what is not delivered yet.
        enabled: False keeps the local record only.
        register_model: at the end register the best checkpoint, or the newest where none was validated, as the model
            fairmot-<name>, which `mlflow.pyfunc.load_model` loads from where the checkpoint lies.
    """

    tracking_uri: str | None = None
    experiment_name: str = "fairmot"
    run_name: str | None = None
    flush_timeout_s: float = 20.0
    enabled: bool = True
    register_model: bool = False

    def __post_init__(self) -> None:
        for key in ("tracking_uri", "experiment_name", "run_name"):
            if getattr(self, key) == "":
                raise ValueError(f"mlflow.{key} is empty: give a value or leave the key out")
        if not self.flush_timeout_s >= 0:
            raise ValueError(f"mlflow.flush_timeout_s must be 0 or more seconds, not {self.flush_timeout_s}")
        if self.tracking_uri is not None and _HOST_AND_PORT.fullmatch(self.tracking_uri):
            raise ValueError(f"mlflow.tracking_uri={self.tracking_uri}: write http://{self.tracking_uri}")
        if self.tracking_uri is not None and masked_address(self.tracking_uri) != self.tracking_uri:
            raise ValueError(
                "mlflow.tracking_uri holds a user's name, a password or a key, and the configuration is recorded: take "
                "them out and export MLFLOW_TRACKING_USERNAME= and MLFLOW_TRACKING_PASSWORD=, or the whole address as "
                "MLFLOW_TRACKING_URI="
            )
