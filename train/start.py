"""Where a run begins: its directory, its state as configured, and the policy that fills it."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from omegaconf import OmegaConf

from fairmot.data.dataset import Augmentation, JointDataset
from fairmot.data.identities import IdentityTable
from fairmot.data.index import LabelIndex
from fairmot.errors import FairMOTError
from fairmot.files import write_atomic
from fairmot.losses.fairmot_loss import FairMOTLoss, HeatmapLoss
from fairmot.model.network import build_network
from fairmot.weights.checkpoint import (
    MANIFEST,
    Checkpoint,
    checkpoint_name,
    clean_up,
    read_checkpoint,
    whole_checkpoints,
)
from train.average import WeightAverage
from train.batch_norm import set_batch_norm
from train.config import TrainConfig, make_run_dir
from train.distributed import World
from train.optimizer import Optimizer
from train.precision import set_precision
from train.shared_storage import is_listed, lock_run_dir, wait_until
from train.state import TrainState, load_weights
from train.step import LossScale

ALONE = World()


@contextlib.contextmanager
def opened_run_dir(config: TrainConfig, world: World) -> Iterator[Path]:
    """The run directory; within the body the lead rank is its only writer.

    Raises:
        ConfigError: several ranks and no common directory named.
        FairMOTError: it cannot be written, or another training writes there.
    """
    with contextlib.ExitStack() as stack:
        try:
            run_dir = make_run_dir(config, world.size, world.is_lead)
            if world.is_lead:
                stack.enter_context(lock_run_dir(run_dir))
                clean_up(run_dir / "checkpoints")
                world.clean_up(run_dir)
                write_atomic(run_dir / "config.yaml", as_yaml(config))
        except OSError as error:
            raise FairMOTError(
                f"run_dir={config.run_dir or 'runs'}: cannot be written ({error.strerror}: {error.filename}); "
                "choose another"
            ) from error
        yield run_dir


def as_yaml(config: TrainConfig) -> str:
    """The composed configuration, as runs and checkpoints keep it."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


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
    )
    decay = config.optim.ema_decay
    return TrainState(
        network,
        loss,
        Optimizer(config.optim, network.trainable_params() + loss.trainable_params()),
        LossScale(config.runtime.loss_scale),
        identities=identities,
        model=config.model,
        input_size=config.data.input_size,
        num_classes=config.data.num_classes,
        seed=config.seed,
        average=WeightAverage(network.trainable_params(), decay) if decay > 0 else None,
    )


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


def choose_start(config: TrainConfig, run_dir: Path, state: TrainState, world: World = ALONE) -> str:
    """Fill `state` from this run's own newest checkpoint, else from resume_from, else from weights, else leave it.

    The lead rank chooses the checkpoint; on shared storage the others may see it later.

    Returns:
        Where it starts from, in words.

    Raises:
        CheckpointError: what is named is not there, not whole, or does not fit.
        FairMOTError: this rank cannot see the lead's choice.
    """
    patience_s = config.runtime.wait_for_lead_s
    if (own := _newest(world, run_dir / "checkpoints", patience_s)) is not None:
        state.restore(own)
        state.saved_step = state.progress.step
        return f"continues this run from {own.path.name}{_other_world(own, world)}"
    if config.resume_from is not None:
        named = Path(config.resume_from)
        checkpoint = None if (named / MANIFEST).is_file() else _newest(world, named / "checkpoints", patience_s)
        checkpoint = checkpoint or read_checkpoint(named)
        state.restore(checkpoint)
        return f"resumes from {checkpoint.path}{_other_world(checkpoint, world)}"
    if config.weights is not None:
        report = load_weights(state.network, Path(config.weights))
        if state.average is not None:
            state.average.reset()
        return (
            f"weights of {config.weights}: {report}; the classifier, for {state.identities.num_identities} identities, "
            "s_det and s_id start anew"
        )
    return "from scratch"


def _newest(world: World, folder: Path, patience_s: float) -> Checkpoint | None:
    """The checkpoint that is newest to the lead rank, once this rank can see it too."""
    found = whole_checkpoints(folder)
    step = world.agree(int(found[-1].name.removeprefix("step_")) + 1 if found else 0) - 1
    if step < 0:
        return None
    path = folder / checkpoint_name(step)
    wait_until(lambda: is_listed(path / MANIFEST), f"{path} to become visible", patience_s)
    return read_checkpoint(path)


def _other_world(checkpoint: Checkpoint, world: World) -> str:
    before = checkpoint.manifest["world_size"]
    return "" if before == world.size else f", saved by {before} rank(s), continued by {world.size}"
