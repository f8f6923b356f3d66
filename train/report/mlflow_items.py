"""What a run has in MLflow besides numbers and files: pictures over epochs, tables, data sets.

Each is stored under a name of its own that is a function of the record, so that what is sent again replaces itself.
"""

import json
import re
import tempfile
import uuid
from pathlib import Path
from typing import Any

import cv2

from fairmot.errors import DataError
from fairmot.media.picture import read_image

_FULL_QUALITY, _SMALL_QUALITY = 90, 75
_SMALL_PX = 256
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_\-. ]")


def send_image(client: Any, run_id: str, record: dict[str, Any]) -> None:
    """Store a picture where MLflow's image grid finds it, which has a slider over steps and compares runs.

    The names are those of MLflow's own `log_image`; that puts chance and the clock into them, so that a picture sent
    twice would be shown twice. WebP takes a third to a thirteenth of the room of PNG.

    Args:
        client: MLflow's, of the server in use.
        run_id: the run.
        record: a line of the kind "image".

    Raises:
        DataError: it is no picture.
        Exception: whatever MLflow raises.
    """
    picture = read_image(record["path"])
    key = _NOT_IN_NAMES.sub("_", record["name"])
    step, begun_ms = record["step"], client.get_run(run_id).info.start_time
    own = uuid.uuid5(uuid.NAMESPACE_URL, f"{run_id}/{key}/{step}")
    name = f"{key}+step+{step}+timestamp+{begun_ms}+{own}"
    shrink = min(1.0, _SMALL_PX / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    files = ((f"{name}.webp", picture, _FULL_QUALITY), (f"{name}+compressed.webp", small, _SMALL_QUALITY))
    with tempfile.TemporaryDirectory() as folder:
        for file_name, pixels, quality in files:
            path = Path(folder, file_name)
            encoded, data = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality])
            if not encoded:
                raise DataError(f"{record['path']}: cannot be written as WebP")
            path.write_bytes(data.tobytes())
            client.log_artifact(run_id, str(path), "images")
    client.set_tag(run_id, "mlflow.loggedImages", "True")


def send_table(client: Any, run_id: str, record: dict[str, Any]) -> None:
    """Store a table under its file's name; the newest replaces the one before.

    Args:
        client: MLflow's, of the server in use.
        run_id: the run.
        record: a line of the kind "table".

    Raises:
        Exception: whatever MLflow raises.
    """
    client.log_artifact(run_id, record["path"])
    known = json.loads(client.get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]"))
    table = {"path": Path(record["path"]).name, "type": "table"}
    if table not in known:
        client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps([*known, table]))


def send_data_set(client: Any, run_id: str, record: dict[str, Any]) -> None:
    """Name a data set as an input of the run; MLflow knows it again by name and digest.

    Args:
        client: MLflow's, of the server in use.
        run_id: the run.
        record: a line of the kind "input".

    Raises:
        Exception: whatever MLflow raises.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 (seconds of import)

    says = record["values"]
    data = Dataset(
        name=record["name"],
        digest=says["digest"],
        source_type="local",
        source=json.dumps({"uri": says["source"]}),
        profile=says["counts"],
    )
    client.log_inputs(run_id, datasets=[DatasetInput(data, [InputTag("mlflow.data.context", says["context"])])])
