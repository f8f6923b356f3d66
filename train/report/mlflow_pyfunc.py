"""FairMOT as a model of MLflow's pyfunc flavour: pictures in, a table of tracked boxes out.

MLflow copies this file beside the `fairmot` package into the registered model and runs it when that is loaded:

    model = mlflow.pyfunc.load_model("models:/fairmot-mine/1")
    table = model.predict(["img1/000001.jpg", "img1/000002.jpg"])
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

COLUMNS = ("frame", "id", "left", "top", "right", "bottom", "score", "class")


class TrackingModel(mlflow.pyfunc.PythonModel):
    """The network of one checkpoint and a tracker with the rules its training validated by."""

    def load_context(self, context: Any) -> None:
        """Load the checkpoint the model was registered with, from where it lies.

        Raises:
            CheckpointError: it is not there any more, damaged, or another one is in its place.
        """
        # MindSpore is started by who uses the model, not by who registers it.
        from fairmot.device import Device  # noqa: PLC0415
        from fairmot.errors import CheckpointError  # noqa: PLC0415
        from fairmot.export.engine import Engine, open_with_engine  # noqa: PLC0415
        from fairmot.inference.trained_rules import read_rules  # noqa: PLC0415
        from fairmot.weights.checkpoint import read_checkpoint  # noqa: PLC0415

        path, wanted = Path(context.model_config["checkpoint"]), context.model_config["network_sha256"]
        checkpoint = read_checkpoint(path)
        if checkpoint.network_sha256 != wanted:
            raise CheckpointError(
                f"{path}: not the checkpoint this model was registered with (sha256 {wanted}); load a newer version of "
                "the model, or put that checkpoint back"
            )
        settings = context.model_config
        self._detector = open_with_engine(path, Engine[settings["engine"]], Device[settings["device"]])
        self._rules = read_rules(path / "config.yaml")

    # MLflow derives what goes in from the hint, and would warn of a result whose columns it has no hint for.
    def predict(self, context: Any, model_input: list[str], params: Any = None):  # type: ignore[no-untyped-def]
        """Track the pictures as the frames of one sequence.

        Args:
            context: MLflow's.
            model_input: in order, paths of pictures; where it is called without MLflow's checks of the type
                (`unwrap_python_model`), also uint8 [H, W, 3] arrays, BGR.
            params: none.

        Returns:
            One row a box: number of the frame from 1, id, corners in the picture's pixels, score, class from 0.

        Raises:
            DataError: a file is no picture.
        """
        from fairmot.inference.tracks import track_frames  # noqa: PLC0415
        from fairmot.media.frame import counted  # noqa: PLC0415
        from fairmot.mot.rows import track_table  # noqa: PLC0415
        from fairmot.tracking.tracker import Tracker, plausible  # noqa: PLC0415

        tables = [np.zeros((0, len(COLUMNS)))]
        for frame in track_frames(self._detector, counted(_pictures(model_input)), Tracker(self._rules)):
            tables.append(track_table(frame.number, plausible(frame.tracks, self._rules)))
        return pd.DataFrame(np.concatenate(tables), columns=COLUMNS).astype({"frame": int, "id": int, "class": int})


def _pictures(images: Iterable[Any]) -> Iterator[np.ndarray]:
    from fairmot.media.picture import read_image  # noqa: PLC0415

    for image in images:
        yield read_image(str(image)) if isinstance(image, str | Path) else np.asarray(image, np.uint8)


mlflow.models.set_model(TrackingModel())
