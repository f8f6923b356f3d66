"""What a command says for --help: its purpose, its keys with their meaning, examples, exit codes."""

import shutil
import textwrap
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fairmot.cli.keys import Key, all_keys, keys_of, summary_of
from fairmot.errors import ConfigError

EXIT_CODES = {
    0: "done",
    1: "failed, with one clear error on stderr",
    2: "refused arguments or configuration; nothing was started",
    130: "interrupted by Ctrl-C or SIGTERM; training has saved a checkpoint",
}
_WIDEST = 110
_COLUMN = 26


def help_text(schema: type, conf_dir: Path, config_name: str) -> str:
    """The text for --help, wrapped to the terminal's width.

    Args:
        schema: the command's configuration dataclass; the keys' meanings are those of its docstring.
        conf_dir: folder of the YAML files.
        config_name: the command's own; its `hydra.help.header` and `footer` say the purpose and give examples.
    """
    composed = OmegaConf.load(conf_dir / f"{config_name}.yaml")
    assert isinstance(composed, DictConfig)
    purpose = OmegaConf.select(composed, "hydra.help.header", default=summary_of(schema))
    examples = OmegaConf.select(composed, "hydra.help.footer", default="")
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    keys = keys_of(schema)
    values = [key for key in keys if not key.group]
    parts = [
        textwrap.fill(" ".join(purpose.split()), width),
        "Keys, written key=value:\n" + "\n".join(_entry(_word(key), key.meaning, width) for key in values),
    ]
    if groups := _groups(keys, composed, conf_dir, width):
        parts.append(f"Groups, written group.key=value, or group=file to take a file of conf/group/:\n{groups}")
    if examples:
        parts.append(f"Examples:\n{textwrap.indent(examples.rstrip(), '  ')}")
    codes = "\n".join(_entry(str(code), meaning, width) for code, meaning in EXIT_CODES.items())
    parts.append(f"Exit codes:\n{codes}")
    more = "--help GROUP lists a group's keys; " if groups else ""
    parts.append(f"{more}--cfg job prints the composed configuration; docs/configuration.md lists every key.")
    return "\n\n".join(parts)


def group_help(schema: type, names: list[str]) -> str:
    """Every key of some groups, those below them included, for `--help optim`.

    Raises:
        ConfigError: a name is none of a group.
    """
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    groups = {key.name: keys for key, keys in all_keys(schema)}
    if unknown := [name for name in names if name not in groups]:
        raise ConfigError(f"--help {unknown[0]}: no group; there are: {', '.join(groups)}")
    wanted = [group for group in groups if any(f"{group}.".startswith(f"{name}.") for name in names)]
    values = [key for group in wanted for key in groups[group] if not key.group]
    return "\n".join(_entry(_word(key), f"{key.meaning} ({key.kind})", width) for key in values)


def _word(key: Key) -> str:
    return f"{key.name}= (required)" if key.default is None else f"{key.name}={key.default}"


def _groups(keys: list[Key], composed: DictConfig, conf_dir: Path, width_columns: int) -> str:
    """An entry a group: its meaning and the files that may be chosen for it."""
    groups = {key.name: key.meaning for key in keys if key.group}
    with_files = [str(name) for entry in composed.defaults if isinstance(entry, DictConfig) for name in entry]
    overlays = [name for name in with_files if name not in groups and (conf_dir / name).is_dir()]
    entries = []
    for name in [*groups, *overlays]:
        text = groups.get(name, "values for several groups at once.")
        if name in with_files:
            text += f" Files: {', '.join(sorted(path.stem for path in (conf_dir / name).glob('*.yaml')))}."
        entries.append(_entry(f"{name}=" if name in overlays else f"{name}.*", text, width_columns))
    return "\n".join(entries)


def _entry(word: str, meaning: str, width_columns: int) -> str:
    """Two columns; a long word has its line to itself."""
    indent = " " * (_COLUMN + 2)
    body = textwrap.fill(meaning, width_columns, initial_indent=indent, subsequent_indent=indent)
    if len(word) < _COLUMN:
        return f"  {word:<{_COLUMN}}{body[len(indent) :]}".rstrip()
    return f"  {word}\n{body}".rstrip()
