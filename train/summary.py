"""What a run says of itself before and after training, on the console and in MLflow."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

import fairmot
from fairmot.addresses import masked_address
from fairmot.cli.recorded import recorded
from fairmot.data.index import LabelIndex
from fairmot.device import Device, device_in_use, find_device
from fairmot.errors import FairMOTError
from fairmot.files import write_atomic, write_json_atomic
from fairmot.weights.checkpoint import checkpoint_name, read_checkpoint, whole_checkpoints
from train.config import TrainConfig
from train.distributed import World
from train.loop import Trainer
from train.optimizer import batch_factor
from train.report.config import MlflowConfig
from train.report.console import print_summary
from train.report.curves import draw_curves
from train.report.data_sets import DataSet, training_sets
from train.report.mlflow_delivery import resolve_tracking_uri
from train.report.mlflow_run import first_line
from train.report.origin import git_commit, origin
from train.report.pictures import draw_samples
from train.state import Progress


def summarize_start(
    config: TrainConfig, world: World, run_dir: Path, index: LabelIndex, trainer: Trainer, start: str
) -> None:
    """Say on the console and in MLflow what is about to happen."""
    if not world.is_lead:
        return
    progress = trainer.state.progress
    parameters = sum(parameter.size for parameter in trainer.state.network.trainable_params())
    height, width = config.data.input_size
    rows = [("experiment", config.name)]
    for row in index.summary():
        rows.append((f"data {row['name']}", f"{row['images']} images, {row['boxes']} boxes, {row['identities']} ids"))
    rows += [
        ("identities", f"nID {index.identities.num_identities}, up to {index.max_objects_per_image} objects an image"),
        ("network", f"{config.model.name}, {parameters / 1e6:.2f} M parameters, input {height}x{width}"),
        ("device", _device(config, world)),
        ("batch", f"{trainer.samples_per_step} a step, {trainer.steps_per_epoch} steps an epoch"),
        ("learning rate", f"{config.optim.lr * batch_factor(config.optim, trainer.samples_per_step):.4g}"),
        ("steps", f"{progress.step} done, {trainer.total_steps} planned"),
        ("start", start),
        ("run", str(run_dir)),
        ("MLflow", _mlflow_page(config.mlflow)),
    ]
    print_summary(rows)
    seen = recorded(config)
    tags = {
        "experiment": seen["name"],
        "backbone": config.model.name,
        "data": ", ".join(index.names),
        "version": fairmot.__version__,
        "git_commit": git_commit(),
        "world_size": str(world.size),
        "global_batch": str(trainer.samples_per_step),
        "device": device_in_use().value,
        "data_index_digest": index.digest,
        "start": start,
        "run_dir": str(run_dir.absolute()),
        **origin(),
        "mlflow.note.content": _description(config, rows, trainer),
    }
    summary_path = run_dir / "data_summary.yaml"
    write_atomic(summary_path, OmegaConf.to_yaml(OmegaConf.create(index.summary())))
    trainer.logger.start(
        {key: value for key, value in seen.items() if key != "run_dir"},  # a tag: no two agree
        tags,
        [run_dir / "config.yaml", summary_path],
        resumed_at_step=progress.step if progress.step else None,
        total_steps=trainer.total_steps,
    )
    for data in _data_sets(seen, index, trainer):
        trainer.logger.data_set(data)
    samples = trainer.loader.dataset.at_epoch(progress.epoch)
    picture = draw_samples(samples, run_dir / "pictures" / "training_samples.jpg")
    trainer.logger.image(picture, "training samples", progress.epoch)
    print_summary([("compiling", "the first step compiles the network, which takes a while and prints nothing")])


def _data_sets(seen: dict[str, Any], index: LabelIndex, trainer: Trainer) -> list[DataSet]:
    """What the run trains and validates on."""
    sets = training_sets(index, seen["data"]["root"])
    return sets if trainer.validated_on is None else [*sets, trainer.validated_on]


def _description(config: TrainConfig, rows: list[tuple[str, str]], trainer: Trainer) -> str:
    """What the run is, as Markdown: the summary of its start, how long it trains and what is validated."""
    shown = [row for row in rows if row[0] not in ("run", "MLflow", "steps")]
    shown.append(("length", f"{config.epochs} epochs, {trainer.total_steps} steps"))
    if trainer.validated_on is not None:
        on = f"{trainer.validated_on.name}, every {config.validate_every_epochs} epochs"
        shown.append(("validation", f"{on}; the best checkpoint by {config.best_metric.value}"))
    return "\n".join(f"- **{label}**: {text}" for label, text in shown)


def summarize_end(config: TrainConfig, run_dir: Path, trainer: Trainer, status: str, began_at_s: float) -> None:
    """Draw the curves, end the run and say where everything is.

    What cannot be drawn or listed, as on a full disk, is a row of the summary: it must bury no other error.

    Raises:
        FairMOTError: the run's folder is gone, which a run that has failed need not be told.
    """
    curves: Path | None = None
    failures: list[tuple[str, str]] = []
    with _noted(failures, "losses.png"):
        curves = draw_curves(run_dir)
        if curves is not None:
            trainer.logger.artifact(curves)
    with _noted(failures, "checkpoints.json"):
        _record_checkpoints(config, run_dir, trainer, register=config.mlflow.register_model and status == "FINISHED")
    try:
        trainer.logger.close(status)
    except FairMOTError:
        if status != "FAILED":
            raise
    checkpoints = whole_checkpoints(run_dir / "checkpoints")
    rows = [
        (status.lower(), f"{trainer.state.progress.step} steps, {time.perf_counter() - began_at_s:.0f} s"),
        ("checkpoint", str(checkpoints[-1]) if checkpoints else "none"),
        *_best_row(run_dir, trainer.state.progress),
        ("curves", str(curves) if curves else "none"),
        *failures,
        ("MLflow", _mlflow_page(config.mlflow)),
    ]
    print_summary(rows)


@contextlib.contextmanager
def _noted(failures: list[tuple[str, str]], what: str) -> Iterator[None]:
    """Whatever goes wrong in the body becomes a row."""
    try:
        yield
    except Exception as error:
        failures.append(("not written", f"{what}: {first_line(error)}"))


def _record_checkpoints(config: TrainConfig, run_dir: Path, trainer: Trainer, register: bool) -> None:
    """Say in MLflow where the checkpoints are and by which digest they are known; weights are never copied there.

    The best one's scores were recorded with its validation.
    """
    folder = run_dir / "checkpoints"
    checkpoints = [read_checkpoint(path) for path in whole_checkpoints(folder)]
    if not checkpoints:
        return
    best_path = folder / checkpoint_name(trainer.state.progress.best_step)
    best = next((each for each in checkpoints if each.path == best_path), checkpoints[-1])
    listed = [
        {"path": str(each.path.absolute()), "best": each is best, "files": each.manifest["files"]}
        for each in checkpoints
    ]
    write_json_atomic(run_dir / "checkpoints.json", listed, sync=False)
    trainer.logger.artifact(run_dir / "checkpoints.json")
    tags = {"best_checkpoint": str(best.path.absolute()), "best_checkpoint_sha256": best.network_sha256}
    trainer.logger.tags(tags)
    for checkpoint in checkpoints:
        trainer.logger.checkpoint(checkpoint, {}, None)
    trainer.logger.kept([each.path for each in checkpoints])
    if register:
        scored = [(metric, f"{value:.2f}") for metric, value in trainer.state.progress.best.items()]
        on = trainer.validated_on.digest if trainer.validated_on is not None else ""
        values = {"best_metric": scored[0][0], "best_value": scored[0][1], "validation": on} if scored else {}
        trainer.logger.model(f"fairmot-{config.name}", best, values)


def _best_row(run_dir: Path, progress: Progress) -> list[tuple[str, str]]:
    """Nothing where nothing was validated."""
    values = "  ".join(f"{name} {value:.1f}" for name, value in progress.best.items())
    return [("best", f"{run_dir / 'checkpoints' / checkpoint_name(progress.best_step)}  {values}")] if values else []


def _device(config: TrainConfig, world: World) -> str:
    """Where the run is, and why, if that was left to the program."""
    why = f" (device=auto: {find_device(config.device).reason})" if config.device is Device.auto else ""
    return f"{device_in_use().value}, {world.size} rank(s){why}"


def _mlflow_page(config: MlflowConfig) -> str:
    """Where to look at the runs: the server's address, or the command that serves a local store."""
    if not config.enabled:
        return "off"
    uri = masked_address(resolve_tracking_uri(config))
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"
