"""Defaults that stand in a file which the command line names."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig


class DefaultsInFile(ABC):
    """A configuration dataclass of which some defaults stand in a file that the command line names."""

    @staticmethod
    @abstractmethod
    def defaults_in_file(composed: DictConfig) -> Mapping[str, Any]:
        """What the file says, to take the place of the dataclass's defaults.

        Args:
            composed: the configuration by the dataclass's own defaults.

        Raises:
            FairMOTError: the file says what cannot be used.
        """
