"""The tracker's rules that a checkpoint was validated by, which stand in the configuration it holds."""

import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from fairmot.cli.defaults import DefaultsInFile
from fairmot.errors import LONGEST_REASON, CheckpointError, ConfigError, excerpt
from fairmot.tracking.config import TrackerConfig
from fairmot.weights.checkpoint import read_checkpoint
from fairmot.weights.named import located, say_which

_CONFIG = "config.yaml"


class TrackerOfCheckpoint(DefaultsInFile):
    """A configuration with `checkpoint` and `tracker`: what is not said of the tracker is as in the checkpoint."""

    @staticmethod
    def defaults_in_file(composed: DictConfig) -> dict[str, Any]:
        """The rules of the checkpoint, if it holds any."""
        if OmegaConf.is_missing(composed, "checkpoint") or composed.checkpoint is None:
            return {}
        file = _config_of(Path(composed.checkpoint).expanduser())
        if file is None:
            return {}
        return {"tracker": read_rules(file)}


def say_whose_rules(checkpoint: Path) -> None:
    """Which checkpoint and whose rules are used, where the words do not say it; called once nothing is refused."""
    say_which(checkpoint)
    file = _config_of(checkpoint.expanduser())
    if file is not None:
        print(f"tracker: the rules in {file}; tracker.<rule>=<value> replaces one", file=sys.stderr)


def _config_of(checkpoint: Path) -> Path | None:
    """The configuration of a checkpoint (see `located`); None where there is none, as beside weights alone."""
    try:
        found = located(checkpoint)
        if not found.is_dir():
            return None
        file = read_checkpoint(found).path / _CONFIG
    except CheckpointError:  # who opens it for its weights says what is wrong
        return None
    return file if file.is_file() else None


def read_rules(file: Path) -> TrackerConfig:
    """The tracker's rules in a run's or checkpoint's config.yaml; what it does not say is the default.

    Raises:
        ConfigError: it cannot be read, or its rules are none of this program's.
    """
    try:
        said = OmegaConf.select(OmegaConf.load(file), "tracker", default={})
        rules: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TrackerConfig), said))
    except (OSError, YAMLError, OmegaConfBaseException, ValueError, TypeError) as error:
        reason = excerpt(str(error).splitlines()[0], LONGEST_REASON)
        raise ConfigError(f"{file}: its rules for the tracker cannot be used: {reason}") from error
    return rules
