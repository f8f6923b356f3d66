"""The door: python -m train experiment=mot20_finetune."""

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fairmot.cli.command import run_door
from fairmot.data.dataset import Augmentation
from fairmot.data.index import LabelIndex
from fairmot.data.loader import TrainLoader
from fairmot.data.packed import open_index
from fairmot.data.synthetic.generate import generate
from fairmot.errors import ConfigError
from fairmot.inference.network import Detector
from train.config import TrainConfig
from train.distributed import World, connect
from train.loop import Trainer, fit
from train.profiling import StepProfiler
from train.report.logger import RunLogger
from train.report.pictures import NetworkPictures
from train.report.system_meter import SystemMeter
from train.saver import Saver
from train.start import as_yaml, build_dataset, build_state, choose_start, opened_run_dir
from train.step import TrainOneStep
from train.summary import announce, conclude
from train.sweep import job_of_sweep

if TYPE_CHECKING:
    from train.validate import Validator


def train(config: TrainConfig) -> None:
    """Build everything as configured, continue from where the start policy says, and fit.

    Raises:
        Stopped: asked to by Ctrl-C or SIGTERM; the state is saved.
        FairMOTError: bad data, a refused value, a checkpoint of another run, a disk that is full.
    """
    if config.preflight:
        from train.preflight.run import run_preflight  # noqa: PLC0415 - see _build_validator

        sys.exit(0 if run_preflight(config) else 1)
    if config.simulate.chip is not None:
        from train.simulate.run import simulate  # noqa: PLC0415 - see _build_validator

        simulate(config)
        return
    began_at_s = time.perf_counter()
    world = connect(config.device, config.runtime.threads)
    with opened_run_dir(config, world) as run_dir:
        index = _open_data(config, world, run_dir)
        trainer = _build(config, world, run_dir, index)
        start = choose_start(config, run_dir, trainer.state, world)
        world.check_identical(trainer.state.all_parameters(), "at start")
        announce(config, world, run_dir, index, trainer, start)
        if config.runtime.profile_steps and (alone_ms := world.all_reduce_ms(trainer.state.optimizer.weights)):
            trainer.logger.metrics(trainer.state.progress.step, {"all_reduce_ms": alone_ms})
        status = "FAILED"
        try:
            fit(trainer)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            if world.is_lead:
                conclude(config, run_dir, trainer, status, began_at_s)


def train_job(config: TrainConfig) -> None:
    """`train`, or in a sweep one of its jobs."""
    with job_of_sweep(config) as job:
        train(job)


def _open_data(config: TrainConfig, world: World, run_dir: Path) -> LabelIndex:
    """The index of labels; the lead rank makes synthetic data and the index's cache, the others find them."""
    with world.lead_first(run_dir, "index of labels", config.runtime.wait_for_lead_s):
        if config.data.synthetic is not None:
            generate(config.data.root, config.data.synthetic)
        data = config.data
        return open_index(data.packed, data.root, data.train, data.cache_dir, progress=world.is_lead)


def _build(config: TrainConfig, world: World, run_dir: Path, index: LabelIndex) -> Trainer:
    """Loader, network, loss, optimiser and step, in the order in which data walks through them."""
    loader = _build_loader(config, world, index)
    state = build_state(config, index.identities, world)
    step = TrainOneStep(
        state.network,
        state.loss,
        state.optimizer,
        state.loss_scale,
        reduce_gradients=world.gradient_reducer(state.optimizer.weights),
        reduce_scalars=world.vector_reducer(),
        clip_norm=config.optim.clip_norm,
        accumulation=config.optim.accumulation,
        average=state.average,
    )
    height, width = config.data.input_size
    detector = Detector(  # one for validation and pictures: each would compile the network once more
        state.network, (height, width), down_ratio=config.model.down_ratio, num_classes=config.data.num_classes
    )
    validator = _build_validator(config, world, run_dir, detector) if config.validate_every_epochs else None
    saver = Saver(world, run_dir, state, as_yaml(config), config.keep_checkpoints)
    profiler = StepProfiler(config.runtime.profile_steps, run_dir / "profile" / f"rank_{world.rank}", config.device)
    system = SystemMeter(world, config.device)
    trainer = Trainer(
        config, world, step, loader, state, saver, RunLogger.silent(), profiler, system, validator=validator
    )
    if world.is_lead:
        trainer.logger = RunLogger(run_dir, config.mlflow, trainer.total_steps)
        if config.log_pictures_every_epochs:
            plain = build_dataset(config, index, Augmentation.none)
            trainer.draw = NetworkPictures(detector, plain, config.tracker.conf_thres, run_dir / "pictures").draw
    return trainer


def _build_loader(config: TrainConfig, world: World, index: LabelIndex) -> TrainLoader:
    dataset = build_dataset(config, index)
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


def _build_validator(config: TrainConfig, world: World, run_dir: Path, detector: Detector) -> "Validator":
    # Its packages (pandas, matplotlib, SciPy, PyAV) would cost a rank that only trains a second and 120 MB.
    from train.validate import Validator, find_validation_sequences  # noqa: PLC0415

    sequences = find_validation_sequences(config.data)
    folder = run_dir / "validation"
    return Validator(detector, sequences, config.tracker, world, folder, config.validation_video_frames)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_door(train_job, TrainConfig, "train")
