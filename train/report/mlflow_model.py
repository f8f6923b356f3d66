"""Checkpoints as models in MLflow. Weights stay where they are: a model knows path and digest.

Each kept checkpoint is a model of its run's experiment, with its step and the scores of its validation. The best one
can be registered besides: then its model holds the program too, and `mlflow.pyfunc.load_model` loads it.
"""

import json
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import fairmot
from fairmot.weights.checkpoint import checkpoint_name, step_of

_SCRIPT = Path(__file__).with_name("mlflow_pyfunc.py")
_PATH_TAG, _DIGEST_TAG = "checkpoint", "network_sha256"
_VERSIONS_TAG, _EXTERNAL_TAG = "mlflow.modelVersions", "mlflow.model.isExternal"
_SOURCE = {"mlflow.source.name": "python -m train", "mlflow.source.type": "LOCAL"}  # MLflow would name this process
_BEST = "best"
# What detecting and tracking import; found out by MLflow itself it would cost a start of MindSpore.
_REQUIREMENTS = (
    *("mlflow", "mindspore", "numpy", "scipy", "lap", "safetensors", "omegaconf", "tqdm", "onnx", "onnxruntime"),
    *("opencv-python-headless", "simplejpeg", "pydantic"),
)


class RunModels:
    """The models of one run.

    Args:
        client: MLflow's, of the server in use.
        run_id: the run.
    """

    def __init__(self, client: Any, run_id: str) -> None:
        import mlflow  # noqa: PLC0415 (seconds of import)

        self._client, self._run_id = client, run_id
        mlflow.set_tracking_uri(client.tracking_uri)  # some of MLflow's functions make clients of their own
        self._experiment_id: str = client.get_run(run_id).info.experiment_id

    def add(self, record: dict[str, Any]) -> list[Any]:
        """Make a checkpoint a model, unless it is one already.

        Args:
            record: a line of the kind "checkpoint".

        Returns:
            Its scores as MLflow's metrics, which link model, run and data set.

        Raises:
            Exception: whatever MLflow raises.
        """
        from mlflow.entities import Metric  # noqa: PLC0415 (seconds of import)

        step = record["step"]
        model = self._of_step(step, record["path"], record["sha256"])
        return [
            Metric(name, value, record["time_ms"], step, model.model_id, record["data"], record["digest"], self._run_id)
            for name, value in record["values"].items()
        ]

    def keep(self, steps: set[int]) -> None:
        """Take out the models of checkpoints that are gone, but for registered ones.

        Args:
            steps: of the checkpoints that are there; models of later ones are not known yet to a line sent again.

        Raises:
            Exception: whatever MLflow raises.
        """
        for model in (each for each in self._search() if _VERSIONS_TAG not in each.tags):
            step = step_of(Path(model.name))
            if step not in steps and step < max(steps):
                self._client.delete_logged_model(model.model_id)

    def register(self, record: dict[str, Any]) -> None:
        """Make a version of the registered model, unless these weights of this run are one.

        The alias `best` moves to it, unless it points to a version whose validation, by the same metric on the same
        data, was better.

        Args:
            record: a line of the kind "model".

        Raises:
            Exception: whatever MLflow raises.
        """
        name, sha256, best = record["name"], record["sha256"], record["values"] or {}
        model = self._of_step(step_of(Path(record["path"])), record["path"], sha256)
        # Not by the run or a tag in the filter: SQL stores match them version by version, and slowly.
        versions = self._client.search_model_versions(f"name = '{name}'")
        mine = (each for each in versions if each.run_id == self._run_id and each.tags.get(_DIGEST_TAG) == sha256)
        version = next(mine, None) or self._make_version(model, record)
        self._link(model.model_id, name, int(version.version))
        aliased = self._client.get_registered_model(name).aliases.get(_BEST)  # a found version does not say its own
        before = next((each for each in versions if str(each.version) == str(aliased)), None)
        is_newer = before is None or int(before.version) < int(version.version)
        if is_newer and not (before and _is_better(before.tags, best)):
            self._client.set_registered_model_alias(name, _BEST, version.version)

    def _make_version(self, model: Any, record: dict[str, Any]) -> Any:
        """Give a checkpoint's model the program, and register it."""
        name = record["name"]
        with tempfile.TemporaryDirectory() as folder:
            _write_program(Path(folder, "model"), model, record)
            self._client.log_model_artifacts(model.model_id, str(Path(folder, "model")))
        if _EXTERNAL_TAG in model.tags:
            self._client.delete_logged_model_tag(model.model_id, _EXTERNAL_TAG)
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name)
        return self._client.create_model_version(
            name,
            f"models:/{model.model_id}",
            self._run_id,
            tags={_DIGEST_TAG: record["sha256"], _PATH_TAG: record["path"], **(record["values"] or {})},
            description=_described(record),
            model_id=model.model_id,
        )

    def _link(self, model_id: str, name: str, version: int) -> None:
        """Name the version at the model, as newer servers do themselves."""
        known = json.loads(self._client.get_logged_model(model_id).tags.get(_VERSIONS_TAG, "[]"))
        if not any(each["name"] == name and int(each["version"]) == version for each in known):
            known.append({"name": name, "version": version})
            self._client.set_logged_model_tags(model_id, {_VERSIONS_TAG: json.dumps(known)})

    def _search(self, condition: str = "") -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = self._client.search_logged_models(
                [self._experiment_id], f"source_run_id = '{self._run_id}'{condition}", page_token=token
            )
            found += page
            if not (token := page.token):
                return found

    def _of_step(self, step: int, path: str, sha256: str) -> Any:
        """The model of a checkpoint, found or made, READY and an output of the run."""
        import mlflow  # noqa: PLC0415 (seconds of import)
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus  # noqa: PLC0415

        name, tags = checkpoint_name(step), {_PATH_TAG: path, _DIGEST_TAG: sha256}
        found = self._search(f" AND name = '{name}'")
        if found:
            model = found[0]
            if model.status != LoggedModelStatus.READY:  # its making was killed
                model = self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
            if {key: model.tags.get(key) for key in tags} != tags:
                self._client.set_logged_model_tags(model.model_id, tags)
        else:
            model = mlflow.create_external_model(
                name, self._run_id, tags | _SOURCE, model_type="FairMOT", experiment_id=self._experiment_id
            )
        outputs = self._client.get_run(self._run_id).outputs
        if model.model_id not in {each.model_id for each in (outputs.model_outputs if outputs else [])}:
            self._client.log_outputs(self._run_id, [LoggedModelOutput(model.model_id, step)])
        return model


def _write_program(folder: Path, model: Any, record: dict[str, Any]) -> None:
    """What MLflow loads: script, package, where the checkpoint is, and what goes in and comes out."""
    import mlflow  # noqa: PLC0415 (seconds of import)
    from mlflow.models import Model, ModelSignature  # noqa: PLC0415
    from mlflow.types.schema import ColSpec, DataType, Schema  # noqa: PLC0415

    described = Model(run_id=model.source_run_id, model_uuid=model.model_id, model_id=model.model_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mlflow.pyfunc.save_model(
            folder,
            mlflow_model=described,
            python_model=str(_SCRIPT),
            code_paths=[str(Path(fairmot.__file__).parent)],
            model_config={
                "checkpoint": record["path"],
                "network_sha256": record["sha256"],
                "device": "cpu",
                "engine": "auto",
            },
            pip_requirements=[_as_installed(package) for package in _REQUIREMENTS],
        )
    # What goes in is derived from the script's type hint; there is no hint for the columns of a table.
    whole, real = DataType.long, DataType.double
    columns = {"frame": whole, "id": whole, **dict.fromkeys(("left", "top", "right", "bottom", "score"), real)}
    outputs = Schema([ColSpec(kind, name) for name, kind in {**columns, "class": whole}.items()])
    described.signature = ModelSignature(inputs=described.signature.inputs, outputs=outputs)
    described.save(str(folder / "MLmodel"))
    for cache in folder.rglob("__pycache__"):
        for file in cache.iterdir():
            file.unlink()
        cache.rmdir()


def _described(record: dict[str, Any]) -> str:
    best, path = record["values"], record["path"]
    scored = f", {best['best_metric']} {best['best_value']} on its validation" if best else ", not validated"
    return f"The checkpoint after step {step_of(Path(path))}{scored}. Its weights are at {path}."


def _is_better(earlier: dict[str, str], best: dict[str, str]) -> bool:
    """Whether an earlier version's tags say a better score than the new one's, of the same metric on the same data."""
    same = all(earlier.get(key) == best.get(key) for key in ("best_metric", "validation"))
    return same and "best_value" in best and float(earlier["best_value"]) > float(best["best_value"])


def _as_installed(package: str) -> str:
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:  # OpenCV may be there under another name
        return package
