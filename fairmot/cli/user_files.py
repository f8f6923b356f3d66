"""Configuration files of users, --config-dir and the like: looked through before Hydra reads them."""

from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult

from fairmot.errors import ConfigError
from fairmot.yaml_files import read_yaml


def look_through_files(ours: Path) -> None:
    """Let Hydra refuse files that cannot be read, or that stand for more than can be; OmegaConf writes aliases out.

    Args:
        ours: the folder of this project's own, which need not be looked at.
    """

    class LookedThrough(FileConfigSource):
        def load_config(self, config_path: str) -> ConfigResult:
            """See FileConfigSource.

            Raises:
                ConfigError: see `read_yaml`; the message names the file.
            """
            path = Path(self.path, self._normalize_file_name(config_path)).resolve()
            if path.is_file() and not path.is_relative_to(ours):
                try:
                    read_yaml(path)
                except (OSError, ValueError) as error:
                    reason = getattr(error, "strerror", None) or error
                    raise ConfigError(f"{path}: cannot be read as YAML: {reason}") from error
            return super().load_config(config_path)

    # Hydra compares names: where a job runs in another process this one is there before Hydra's own.
    LookedThrough.__name__ = FileConfigSource.__name__
    Plugins.instance()  # registers Hydra's own, which Hydra would not replace
    SourcesRegistry.instance().types[LookedThrough.scheme()] = LookedThrough
