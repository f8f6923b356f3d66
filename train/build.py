"""Everything a run consists of, built as configured, in the order in which data walks through it."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairmot.cli.recorded import recorded
from fairmot.data.dataset import Augmentation, DataConfig, JointDataset, ValidationFrames
from fairmot.data.identities import IdentityTable
from fairmot.data.index import LabelIndex
from fairmot.data.loader import TrainLoader
from fairmot.data.packed import open_index
from fairmot.data.shared_index import share_index
from fairmot.data.synthetic.generate import generate
from fairmot.data.targets import Targets, empty_targets
from fairmot.device import Device, device_in_use
from fairmot.errors import ConfigError, DataError
from fairmot.export.live import WORTH_VALIDATED, LiveExport
from fairmot.export.write import require_onnx
from fairmot.inference.config import Engine
from fairmot.inference.detector import Detector
from fairmot.inference.network import NetworkDetector, TrainedNetwork
from fairmot.losses.config import HeatmapLoss
from fairmot.losses.fairmot_loss import FairMOTLoss
from fairmot.model.network import FairMOT, build_network
from train.average import WeightAverage
from train.batch_norm import set_batch_norm
from train.config import TrainConfig, as_yaml
from train.distributed import ALONE, World
from train.flat_optimizer import build_optimizer
from train.loop import Trainer
from train.precision import set_precision
from train.profiling import StepProfiler
from train.report.data_sets import DataSet, validation_set
from train.report.logger import RunLogger
from train.report.pictures import NetworkPictures
from train.report.system_meter import SystemMeter
from train.saver import Saver
from train.shards import RowShards
from train.state import TrainState
from train.step import LossScale, TrainOneStep
from train.step_config import Precision

if TYPE_CHECKING:
    from train.validate import ValidationSequence, Validator


def open_data(config: TrainConfig, world: World, run_dir: Path) -> LabelIndex:
    """The index of labels; the lead rank makes synthetic data and the index's cache, the others find them.

    Raises:
        DataError: labels are missing or at fault, or ranks found different ones.
        FairMOTError: the lead rank failed, or took too long.
    """
    data = config.data
    with world.lead_first(run_dir, "index of labels", config.runtime.wait_for_lead_s):
        if data.synthetic is not None:
            generate(data.root, data.synthetic)
        index = _open_index(data, world)
    if others := world.differing_ranks(index.fingerprint):
        raise DataError(
            f"rank {world.rank}: labels differ: ranks {others} do not read what rank 0 reads. Give every host the same "
            f"{'pack (data.packed)' if data.packed else 'lists and label files (data.root, data.train)'}"
        )
    return index


def _open_index(data: DataConfig, world: World) -> LabelIndex:
    """The labels. A host's ranks share a pack's as they are, those of loose files through the launcher's folder."""

    def read() -> LabelIndex:
        return open_index(
            data.packed, data.root, data.train, data.cache_dir, progress=world.is_lead, pack_cache=data.pack_cache
        )

    folder = os.environ.get("FAIRMOT_LAUNCH_FOLDER")
    if data.packed or not folder:
        return read()
    return share_index(Path(folder), data.root, data.train, read)


def build_dataset(config: TrainConfig, index: LabelIndex, augmentation: Augmentation | None = None) -> JointDataset:
    """The training samples, augmented as configured unless told otherwise.

    Raises:
        DataError: a label does not fit the configuration.
    """
    data = config.data if augmentation is None else dataclasses.replace(config.data, augmentation=augmentation)
    return JointDataset(
        index,
        data,
        seed=config.seed,
        ltrb=config.model.ltrb,
        down_ratio=config.model.down_ratio,
        msra=config.loss.heatmap is HeatmapLoss.mse,
    )


def build_loader(config: TrainConfig, world: World, index: LabelIndex) -> TrainLoader:
    """The batches of this rank.

    Raises:
        ConfigError: the data are too few for one batch a rank, or for one step.
        DataError: a label does not fit the configuration.
    """
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


def build_state(config: TrainConfig, identities: IdentityTable, world: World = ALONE) -> TrainState:
    """Network, loss, optimiser, loss scale and average with their initial values.

    Raises:
        ConfigError: there is no such network.
    """
    network = build_network(config.model, config.seed, config.data.num_classes)
    set_batch_norm(network, config.batch_norm)
    set_precision(network, config.runtime.precision)
    loss = FairMOTLoss(
        config.loss,
        identities.num_identities,
        config.model.reid_dim,
        config.seed,
        mean_over_ranks=world.vector_reducer(),
        num_ranks=world.size,
        ranks=world.row_ranks(),
    )
    optimizer = build_optimizer(config.optim, network, loss, world.size)
    decay = config.optim.ema_decay
    held = optimizer.held()
    averaged = {parameter.name: held[parameter.name] for parameter in network.trainable_params()}
    return TrainState(
        network,
        loss,
        optimizer,
        LossScale(config.runtime.loss_scale),
        identities=identities,
        model=config.model,
        input_size=config.data.input_size,
        num_classes=config.data.num_classes,
        seed=config.seed,
        average=WeightAverage(averaged, decay) if decay > 0 else None,
        shards=RowShards.of(loss.shards, identities.num_identities, world),
    )


def build_trainer(config: TrainConfig, world: World, run_dir: Path, index: LabelIndex) -> Trainer:
    """Loader, network, loss, optimiser and step, and what watches and records them.

    Raises:
        ConfigError: the data are too few for the batch, or there is no such network.
        DataError: a label does not fit the configuration, or a validation sequence cannot be tracked and scored.
        OSError: the run directory cannot be written.
    """
    loader = build_loader(config, world, index)
    state = build_state(config, index.identities, world)
    detector = build_detector(config, state)  # one for validation and pictures: each would compile the network again
    validator = _build_validator(config, world, run_dir, state.network, detector)
    draw = _build_draw(config, run_dir, index, detector) if world.is_lead else None
    return Trainer(
        config,
        world,
        build_step(config, state, world),
        loader,
        state,
        Saver(world, run_dir, state, as_yaml(config), config.keep_checkpoints),
        RunLogger(run_dir, config.mlflow, is_lead=world.is_lead),
        StepProfiler(config.runtime.profile_steps, run_dir / "profile" / f"rank_{world.rank}", device_in_use()),
        SystemMeter(world, device_in_use()),
        draw=draw,
        validator=validator,
        validated_on=_validation_data(config, validator.sequences) if validator and world.is_lead else None,
    )


def build_step(config: TrainConfig, state: TrainState, world: World) -> TrainOneStep:
    """The training step, with the collectives of this world."""
    return TrainOneStep(
        state.network,
        state.loss,
        state.optimizer,
        state.loss_scale,
        reduce_gradients=world.gradient_reducer(state.optimizer.local),
        reduce_scalars=world.vector_reducer(),
        clip_norm=config.optim.clip_norm,
        accumulation=config.optim.accumulation,
        average=state.average,
        ranks=world.size,
    )


def build_detector(config: TrainConfig, state: TrainState) -> NetworkDetector:
    """Finds objects by the network in training."""
    height, width = config.data.input_size
    return NetworkDetector(
        state.network, (height, width), down_ratio=config.model.down_ratio, num_classes=config.data.num_classes
    )


def _build_draw(
    config: TrainConfig, run_dir: Path, index: LabelIndex, detector: NetworkDetector
) -> Callable[[int], Path] | None:
    if not config.log_pictures_every_epochs:
        return None
    plain = build_dataset(config, index, Augmentation.none)
    return NetworkPictures(detector, plain, config.tracker.conf_thres, run_dir / "pictures").draw


def find_sequences(config: TrainConfig) -> "list[ValidationSequence]":
    """The sequences to validate on, opened and checked.

    Raises:
        DataError: see `train.validate.find_validation_sequences`.
    """
    # Its packages (matplotlib, SciPy, PyAV) would cost a rank that only trains most of a second and 57 MB.
    from train.validate import find_validation_sequences  # noqa: PLC0415

    return find_validation_sequences(config.data)


def _build_validator(
    config: TrainConfig, world: World, run_dir: Path, network: FairMOT, detector: NetworkDetector
) -> "Validator | None":
    if not config.validate_every_epochs:
        return None
    from train.validate import Validator  # noqa: PLC0415 (see find_sequences)

    sequences = find_sequences(config)
    return Validator(
        _validation_detector(config, network, detector, sequences),
        sequences,
        config.tracker,
        world,
        folder=run_dir / "validation",
        video_frames=config.validation_video_frames,
        rules=config.validation_rules,
    )


def _validation_detector(
    config: TrainConfig, network: FairMOT, detector: NetworkDetector, sequences: "list[ValidationSequence]"
) -> Callable[[], Detector]:
    """What opens a detector for a validation.

    By the configuration and the data alone, so that a resumed run validates as it did before.
    """
    frames = sum(each.frame_count - each.skip_frames for each in sequences)
    on_cpu_in_fp32 = device_in_use() is Device.cpu and config.runtime.precision is Precision.fp32
    pays = on_cpu_in_fp32 and frames >= WORTH_VALIDATED
    if config.validation_engine is Engine.mindspore or (config.validation_engine is Engine.auto and not pays):
        return lambda: detector
    if config.validation_engine is Engine.onnx:
        require_onnx("validation_engine=onnx")
    height, width = config.data.input_size
    trained = TrainedNetwork(network, config.model, (height, width), config.data.num_classes)
    return LiveExport(trained, detector, config.runtime.threads).open


def _validation_data(config: TrainConfig, sequences: "list[ValidationSequence]") -> DataSet:
    """The validation sequences under the configuration's own words."""
    seen = recorded(config)["data"]
    half = " (second half)" if config.data.validation_frames is ValidationFrames.second_half else ""
    name = f"{', '.join(seen['validation'])}{half}"
    return validation_set([each.sequence for each in sequences], name, seen["root"])


def empty_batch(config: TrainConfig, slots: int) -> tuple[np.ndarray, Targets]:
    """One micro-batch of a rank, of the shapes and types that the loader gives, all zeros.

    Args:
        config: sizes, classes and kind of boxes.
        slots: K, objects that a sample has room for.

    Returns:
        uint8 pictures [B, H, W, 3] and their targets.
    """
    (height, width), size = config.data.input_size, config.batch_size_per_rank
    output_hw = height // config.model.down_ratio, width // config.model.down_ratio
    targets = empty_targets(size, output_hw, slots, ltrb=config.model.ltrb, num_classes=config.data.num_classes)
    return np.zeros((size, height, width, 3), np.uint8), Targets(*map(np.zeros_like, targets))
