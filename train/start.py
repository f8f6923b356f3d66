"""Where a run begins: the policy that fills its state."""

from pathlib import Path

from fairmot.weights.checkpoint import (
    MANIFEST,
    Checkpoint,
    checkpoint_name,
    read_checkpoint,
    step_of,
    whole_checkpoints,
)
from train.config import TrainConfig
from train.distributed import ALONE, World
from train.shared_storage import is_listed, wait_until
from train.state import TrainState, load_weights


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
    if (newest := _newest(world, run_dir / "checkpoints", patience_s)) is not None:
        state.restore(newest)
        state.saved_step = state.progress.step
        return f"continues this run from {newest.path.name}{_other_world(newest, world)}"
    if config.resume_from is not None:
        named = Path(config.resume_from)
        checkpoint = None if (named / MANIFEST).is_file() else _newest(world, named / "checkpoints", patience_s)
        checkpoint = checkpoint or read_checkpoint(named)
        state.restore(checkpoint)
        return f"resumes from {_as_written(config, 'resume_from', checkpoint.path)}{_other_world(checkpoint, world)}"
    if config.weights is not None:
        report = load_weights(state.parameters("network"), Path(config.weights))
        if state.average is not None:
            state.average.reset()
        return (
            f"weights of {_as_written(config, 'weights', config.weights)}: {report}; the classifier, for "
            f"{state.identities.num_identities} identities, s_det and s_id start anew"
        )
    return "from scratch"


def _as_written(config: TrainConfig, key: str, path: str | Path) -> str:
    """A path for the record, which shows nothing of the environment."""
    return config.as_written.get((key,), str(path))


def _newest(world: World, folder: Path, patience_s: float) -> Checkpoint | None:
    """The checkpoint that is newest to the lead rank, once this rank can see it too."""
    paths = whole_checkpoints(folder)
    step = world.agree(step_of(paths[-1]) + 1 if paths else 0) - 1
    if step < 0:
        return None
    path = folder / checkpoint_name(step)
    wait_until(lambda: is_listed(path / MANIFEST), f"{path} to become visible", patience_s)
    return read_checkpoint(path)


def _other_world(checkpoint: Checkpoint, world: World) -> str:
    before = checkpoint.said("world_size", int)
    return "" if before == world.size else f", saved by {before} rank(s), continued by {world.size}"
