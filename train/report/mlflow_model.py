"""A checkpoint as a model in MLflow's registry. The weights stay where they are: the model knows path and digest."""

import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import fairmot

_SCRIPT = Path(__file__).with_name("mlflow_pyfunc.py")
_DIGEST_TAG = "network_sha256"
# What detecting and tracking import; found out by MLflow itself it would cost a start of MindSpore.
_REQUIREMENTS = (
    *("mlflow", "mindspore", "numpy", "scipy", "lap", "safetensors", "omegaconf", "tqdm"),
    *("opencv-python-headless", "simplejpeg", "pydantic"),
)


def register_model(client: Any, run_id: str, name: str, checkpoint: Path, sha256: str) -> None:
    """Make a version of the model `name`, unless this run has registered these weights before.

    Args:
        client: MLflow's, of the server in use.
        run_id: the run the checkpoint belongs to.
        name: the registered model; made if absent.
        checkpoint: the directory; it is named in the model, not copied.
        sha256: of its network's weights.

    Raises:
        Exception: whatever MLflow raises.
    """
    import mlflow  # noqa: PLC0415 (seconds of import)

    earlier = client.search_model_versions(f"name = '{name}'")
    if any(found.run_id == run_id and found.tags.get(_DIGEST_TAG) == sha256 for found in earlier):
        return
    mlflow.set_tracking_uri(client.tracking_uri)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # wants type hints, of which it has none for pictures
        logged = mlflow.models.Model.log(
            artifact_path=None,
            name="model",
            flavor=mlflow.pyfunc,
            run_id=run_id,
            registered_model_name=name,
            python_model=str(_SCRIPT),
            code_paths=[str(Path(fairmot.__file__).parent)],
            model_config={"checkpoint": str(checkpoint), "network_sha256": sha256, "device": "cpu"},
            pip_requirements=[_as_installed(package) for package in _REQUIREMENTS],
        )
    client.set_model_version_tag(name, logged.registered_model_version, _DIGEST_TAG, sha256)


def _as_installed(package: str) -> str:
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:  # OpenCV may be there under another name
        return package
