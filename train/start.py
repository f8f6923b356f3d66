"""Where a run begins: the policy that fills its state."""

from pathlib import Path

from fairmot.errors import CheckpointError
from fairmot.weights.checkpoint import (
    MANIFEST,
    Checkpoint,
    checkpoint_name,
    read_checkpoint,
    step_of,
    whole_checkpoints,
)
from fairmot.weights.named import located
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
        checkpoint = read_checkpoint(_chosen(world, Path(config.resume_from), patience_s))
        state.restore(checkpoint)
        said = f"{_as_written(config, 'resume_from', checkpoint.path)}{_step(config.resume_from, checkpoint.path)}"
        return f"resumes from {said}{_other_world(checkpoint, world)}"
    if config.weights is not None:
        path = _chosen(world, Path(config.weights), patience_s)
        report = load_weights(state.parameters("network"), path)
        if state.average is not None:
            state.average.reset()
        said = f"{_as_written(config, 'weights', path)}{_step(config.weights, path)}"
        return (
            f"weights of {said}: {report}; the classifier, for "
            f"{state.identities.num_identities} identities, s_det and s_id start anew"
        )
    return "from scratch"


def _as_written(config: TrainConfig, key: str, path: str | Path) -> str:
    """A path for the record, which shows nothing of the environment."""
    return config.as_written.get((key,), str(path))


def _step(written: str, path: Path) -> str:
    """Which step was taken, where what was written leaves it open."""
    return "" if path == Path(written).expanduser() else f" (step {step_of(path)})"


def _chosen(world: World, named: Path, patience_s: float) -> Path:
    """The checkpoint that the lead rank takes `named` for, once this rank sees it too; a path of its own as it is.

    Raises:
        CheckpointError: there is no such checkpoint.
        FairMOTError: this rank cannot see the lead's choice.
    """
    found = _meant(named)
    step = world.agree(step_of(found) + 1 if found else 0) - 1
    if step < 0:
        return located(named)
    wait_until(lambda: _meant(named) is not None, f"{named} to become visible", patience_s)
    path = located(named).parent / checkpoint_name(step)
    wait_until(lambda: is_listed(path / MANIFEST), f"{path} to become visible", patience_s)
    return path


def _meant(named: Path) -> Path | None:
    """The checkpoint in a run that `named` means, as far as this rank sees one; None for a path of its own."""
    try:
        found = located(named)
    except CheckpointError:
        return None
    return None if found == named.expanduser() else found


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
