"""The run directory: which one it is, who makes it, and who may write there."""

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from fairmot.addresses import is_address
from fairmot.errors import ConfigError, FairMOTError
from fairmot.files import write_atomic
from fairmot.weights.checkpoint import clean_up
from train.config import TrainConfig, as_yaml, far_run_dir
from train.distributed import World
from train.shared_storage import lock_run_dir

RUN_DIR_VARIABLE = "FAIRMOT_RUN_DIR"
"""A launcher exports one run directory for all ranks under this name."""


def named_run_dir(config: TrainConfig, sharers: int = 1, what: str = "ranks") -> str | None:
    """The run directory that the configuration or a launcher names; None where the time is going to name it.

    Args:
        config: of the run.
        sharers: how many write to it: of them several cannot each name one by the time.
        what: they are, ranks or hosts, for the message.

    Raises:
        ConfigError: it has several sharers and no name, or is no folder but an address.
    """
    named = config.run_dir or os.environ.get(RUN_DIR_VARIABLE)
    if named and is_address(named):
        raise ConfigError(far_run_dir(named))
    if not named and sharers > 1:
        raise ConfigError(
            f"{sharers} {what} need one run directory, on storage that they share: give run_dir= or export "
            f"{RUN_DIR_VARIABLE}"
        )
    return named or None


def parent_run_dir(config: TrainConfig) -> Path:
    """The folder in which run directories are named by the time."""
    return Path("runs") / config.name


def make_run_dir(config: TrainConfig, world: World) -> Path:
    """The run directory; the lead rank makes it.

    Raises:
        ConfigError: several ranks and no common directory named.
        FairMOTError: it cannot be made or written.
    """
    named = named_run_dir(config, world.size)
    with _refusals_explained(config):
        run_dir = Path(named) if named else _fresh_run_dir(parent_run_dir(config))
        if world.is_lead:
            run_dir.mkdir(parents=True, exist_ok=True)
            probe = run_dir / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
    return run_dir


def make_logs_dir(config: TrainConfig, run_dir: Path) -> Path:
    """The folder of the launched ranks' logs.

    Raises:
        FairMOTError: it cannot be made.
    """
    folder = run_dir / "logs"
    with _refusals_explained(config):
        folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def opened_run_dir(config: TrainConfig, world: World) -> Iterator[Path]:
    """The run directory; within the body the lead rank is its only writer.

    Raises:
        ConfigError: several ranks and no common directory named.
        FairMOTError: it cannot be written, or another training writes there; or the body meets a full disk or the like.
    """
    run_dir = make_run_dir(config, world)
    with contextlib.ExitStack() as stack:
        if world.is_lead:
            with _refusals_explained(config):
                stack.enter_context(lock_run_dir(run_dir))
                clean_up(run_dir / "checkpoints")
                world.clean_up(run_dir)
        try:
            yield run_dir
        except OSError as error:
            raise FairMOTError(f"{error.filename or run_dir}: {error.strerror or error}") from error


def record_config(config: TrainConfig, world: World, run_dir: Path) -> None:
    """Keep the composed configuration with the run, once nothing of it is refused; the lead rank writes it.

    Raises:
        FairMOTError: it cannot be written.
    """
    if world.is_lead:
        with _refusals_explained(config):
            write_atomic(run_dir / "config.yaml", as_yaml(config))


@contextlib.contextmanager
def _refusals_explained(config: TrainConfig) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FairMOTError(
            f"run_dir={named_run_dir(config) or 'runs'}: cannot be written ({error.strerror}: {error.filename}); "
            "choose another"
        ) from error


def _fresh_run_dir(parent: Path) -> Path:
    """A directory named by the time, with a number behind it where two runs start in the same second."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    parent.mkdir(parents=True, exist_ok=True)
    attempt = 0
    while True:
        candidate = parent / (stamp if attempt == 0 else f"{stamp}_{attempt}")
        try:
            candidate.mkdir()
        except FileExistsError:
            attempt += 1
        else:
            return candidate
