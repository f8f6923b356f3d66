"""The door: python -m train experiment=mot20_finetune."""

import dataclasses
import logging
import subprocess
import time
from functools import partial
from pathlib import Path

from omegaconf import OmegaConf

from fairmot.checkpoint import read_checkpoint, whole_checkpoints
from fairmot.data.dataset import JointDataset
from fairmot.data.index import LabelIndex, build_index
from fairmot.data.loader import TrainLoader
from fairmot.data.synthetic import generate
from fairmot.door import run_door
from fairmot.errors import ConfigError, FairMOTError
from fairmot.files import write_atomic
from fairmot.inference import Detector
from fairmot.losses.fairmot_loss import FairMOTLoss, HeatmapLoss
from fairmot.model.fairmot import FairMOT, build_network
from train.checkpoint import checkpoint_name, clean_up, save_checkpoint
from train.config import TrainConfig, make_run_dir
from train.curves import draw_curves
from train.distributed import World, connect
from train.loop import Trainer, fit
from train.mlflow_delivery import MlflowConfig, resolve_tracking_uri
from train.mlflow_run import RUN_ID_NAME, masked
from train.optimizer import Optimizer
from train.run_logger import RunLogger, print_summary
from train.state import Progress, TrainState, load_weights
from train.step import LossScale, TrainOneStep
from train.validate import Validator, find_validation_sequences

_log = logging.getLogger("train")


def train(config: TrainConfig) -> None:
    """Build everything as configured, continue from where the start policy says, and fit.

    Raises:
        FairMOTError: bad data, a refused value, a checkpoint of another run, a disk that is full.
    """
    began_at_s = time.perf_counter()
    world = connect(config.device, config.runtime.threads)
    run_dir = _open_run_dir(config, world)
    index = _open_data(config, world)
    trainer = _build(config, world, run_dir, index)
    start = _choose_start(config, run_dir, trainer.state)
    world.check_identical(trainer.state.all_parameters(), "at start")
    _announce(config, world, run_dir, index, trainer, start)
    status = "FAILED"
    try:
        fit(trainer)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        if world.is_lead:
            _conclude(config, run_dir, trainer, status, began_at_s)


def _open_run_dir(config: TrainConfig, world: World) -> Path:
    try:
        run_dir = make_run_dir(config, world.size, world.is_lead)
        if world.is_lead:
            clean_up(run_dir / "checkpoints")
            write_atomic(run_dir / "config.yaml", _as_yaml(config))
    except OSError as error:
        raise FairMOTError(
            f"run_dir={config.run_dir or 'runs'}: cannot be written ({error.strerror}: {error.filename}); "
            "choose another"
        ) from error
    return run_dir


def _as_yaml(config: TrainConfig) -> str:
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _open_data(config: TrainConfig, world: World) -> LabelIndex:
    """The index of labels; the lead rank makes synthetic data and the index's cache, the others find them."""
    for turn in (True, False):
        if world.is_lead is turn:
            if config.data.synthetic is not None:
                generate(config.data.root, config.data.synthetic)
            index = build_index(config.data.root, config.data.train, config.data.cache_dir, progress=world.is_lead)
        world.barrier()
    return index


def _build(config: TrainConfig, world: World, run_dir: Path, index: LabelIndex) -> Trainer:
    """Loader, network, loss, optimiser and step, in the order in which data walks through them."""
    loader = _build_loader(config, world, index)
    network = build_network(config.model, config.seed, config.data.num_classes)
    loss = FairMOTLoss(config.loss, index.identities.num_identities, config.model.reid_dim, config.seed)
    optimizer = Optimizer(config.optim, network.trainable_params() + loss.trainable_params())
    loss_scale = LossScale(config.runtime.loss_scale)
    step = TrainOneStep(
        network,
        loss,
        optimizer,
        loss_scale,
        reduce_gradients=world.gradient_reducer(optimizer.weights),
        reduce_scalars=world.vector_reducer(),
        clip_norm=config.optim.clip_norm,
        accumulation=config.optim.accumulation,
    )
    state = TrainState(
        network,
        loss,
        optimizer,
        loss_scale,
        identities=index.identities,
        model=config.model,
        input_size=config.data.input_size,
        num_classes=config.data.num_classes,
        seed=config.seed,
    )
    validator = _build_validator(config, world, run_dir, network) if config.validate_every_epochs else None
    save = partial(_save, config, world, run_dir, state)
    trainer = Trainer(config, world, step, loader, state, save, RunLogger.silent(), validator)
    if world.is_lead:
        trainer.logger = RunLogger(run_dir, config.mlflow, trainer.total_steps)
    return trainer


def _build_loader(config: TrainConfig, world: World, index: LabelIndex) -> TrainLoader:
    dataset = JointDataset(
        index,
        config.data,
        seed=config.seed,
        ltrb=config.model.ltrb,
        down_ratio=config.model.down_ratio,
        msra=config.loss.heatmap is HeatmapLoss.mse,
    )
    try:
        loader = TrainLoader(
            dataset,
            batch_size=config.batch_size_per_rank,
            rank=world.rank,
            world_size=world.size,
            seed=config.seed,
            workers=config.data.workers,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if loader.steps_per_epoch < config.optim.accumulation:
        raise ConfigError(
            f"optim.accumulation={config.optim.accumulation}: an epoch has only {loader.steps_per_epoch} batches a rank"
        )
    return loader


def _save(config: TrainConfig, world: World, run_dir: Path, state: TrainState) -> None:
    """Save the state on the lead rank and say which checkpoint is the best so far."""
    if not world.is_lead:
        return
    folder, best = run_dir / "checkpoints", checkpoint_name(state.progress.best_step)
    save_checkpoint(
        folder,
        state.progress.step,
        state.tensors(),
        state.manifest(_mlflow_run_id(run_dir), world.size),
        _as_yaml(config),
        config.keep_checkpoints,
        protect=frozenset({best}),
    )
    if state.progress.best and (folder / best).is_dir():
        write_atomic(folder / "best", best + "\n")


def _build_validator(config: TrainConfig, world: World, run_dir: Path, network: FairMOT) -> Validator:
    height, width = config.data.input_size
    detector = Detector(network, (height, width), down_ratio=config.model.down_ratio)
    return Validator(detector, find_validation_sequences(config.data), config.tracker, world, run_dir / "validation")


def _choose_start(config: TrainConfig, run_dir: Path, state: TrainState) -> str:
    """The start policy: this run's own newest checkpoint, else resume_from, else weights, else scratch."""
    if whole_checkpoints(run_dir / "checkpoints"):
        checkpoint = read_checkpoint(run_dir)
        state.restore(checkpoint)
        return f"continues this run from {checkpoint.path.name}"
    if config.resume_from is not None:
        checkpoint = read_checkpoint(Path(config.resume_from))
        state.restore(checkpoint)
        return f"resumes from {checkpoint.path}"
    if config.weights is not None:
        return f"weights of {config.weights}: {load_weights(state.network, Path(config.weights))}"
    return "from scratch"


def _announce(
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
        ("device", f"{config.device.value}, {world.size} rank(s)"),
        ("batch", f"{trainer.samples_per_step} a step, {trainer.steps_per_epoch} steps an epoch"),
        ("steps", f"{progress.step} done, {trainer.total_steps} planned"),
        ("start", start),
        ("run", str(run_dir)),
        ("MLflow", _mlflow_page(config.mlflow)),
    ]
    print_summary(rows)
    tags = {
        "git_commit": _git_commit(),
        "world_size": str(world.size),
        "device": config.device.value,
        "data_index_digest": index.digest,
        "start": start,
        "run_dir": str(run_dir.absolute()),
    }
    summary_path = run_dir / "data_summary.yaml"
    write_atomic(summary_path, OmegaConf.to_yaml(OmegaConf.create(index.summary())))
    trainer.logger.start(
        dataclasses.asdict(config),
        tags,
        [run_dir / "config.yaml", summary_path],
        resumed_at_step=progress.step if progress.step else None,
    )


def _mlflow_run_id(run_dir: Path) -> str | None:
    path = run_dir / RUN_ID_NAME
    return path.read_text().strip() if path.is_file() else None


def _mlflow_page(config: MlflowConfig) -> str:
    """Where to look at the runs: the server's address, or the command that serves a local store."""
    if not config.enabled:
        return "off"
    uri = masked(resolve_tracking_uri(config))
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"


def _git_commit() -> str:
    """The commit of the program, with a + behind it when files were changed; "unknown" outside a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit.stdout.strip()


def _conclude(config: TrainConfig, run_dir: Path, trainer: Trainer, status: str, began_at_s: float) -> None:
    """Draw the curves, end the run and say where everything is."""
    curves = draw_curves(run_dir)
    if curves is not None:
        trainer.logger.artifact(curves)
    trainer.logger.close(status)
    checkpoints = whole_checkpoints(run_dir / "checkpoints")
    rows = [
        (status.lower(), f"{trainer.state.progress.step} steps, {time.perf_counter() - began_at_s:.0f} s"),
        ("checkpoint", str(checkpoints[-1]) if checkpoints else "none"),
        *_best_row(run_dir, trainer.state.progress),
        ("curves", str(curves) if curves else "none"),
        ("MLflow", _mlflow_page(config.mlflow)),
    ]
    print_summary(rows)


def _best_row(run_dir: Path, progress: Progress) -> list[tuple[str, str]]:
    """Nothing where nothing was validated."""
    values = "  ".join(f"{name} {value:.1f}" for name, value in progress.best.items())
    return [("best", f"{run_dir / 'checkpoints' / checkpoint_name(progress.best_step)}  {values}")] if values else []


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_door(train, TrainConfig, "train")
