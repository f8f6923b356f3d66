"""The one way a command line becomes a checked configuration: Hydra's key=value grammar for every command.

Exit codes: see `fairmot.cli.help.EXIT_CODES`.
"""

import contextlib
import logging
import os
import pkgutil
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fairmot.addresses import masked
from fairmot.cli.defaults import DefaultsInFile
from fairmot.cli.help import group_help, help_text
from fairmot.cli.hydra_globals import set_aside
from fairmot.cli.interpolations import check_interpolations
from fairmot.cli.keys import IGNORED, kinds_of
from fairmot.cli.mistakes import HYDRAS_FLAGS, explain_value, line_to_type, meant, nearest_key
from fairmot.cli.recorded import Recorded, written_with_environment
from fairmot.cli.user_files import look_through_files
from fairmot.cli.words import literal_words
from fairmot.errors import ConfigError, FairMOTError

Config = TypeVar("Config")

_BESIDE_PACKAGE = Path(__file__).resolve().parents[2] / "conf"
_INSIDE_PACKAGE = Path(__file__).resolve().parents[1] / "_conf"
# Where the package is installed, a folder beside it called conf would be somebody else's.
CONF_DIR = _INSIDE_PACKAGE if _INSIDE_PACKAGE.is_dir() else _BESIDE_PACKAGE


def register(config_name: str, schema: type) -> None:
    """Make `schema` (a dataclass) known to Hydra as `<config_name>_schema`, the first default of its YAML."""
    ConfigStore.instance().store(name=f"{config_name}_schema", node=schema)


def to_config(composed: DictConfig, schema: type[Config]) -> Config:
    """Turn a composed configuration into its dataclass; the dataclasses check their own values here.

    Raises:
        ConfigError: a value is missing or refused; the message names the key.
    """
    for key, known in _walk(composed, ""):
        if not known:  # OmegaConf lets a + put it there
            raise ConfigError(f"unknown key '{key}'{suggest(key, list(known_keys(schema)))}")
    if missing := OmegaConf.missing_keys(composed):
        wanted = " and ".join(f"{key}=" for key in known_keys(schema) if key in missing)
        raise ConfigError(f"{wanted} must be given; --help says what every key means")
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error, schema)) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error)) from error
    if not isinstance(config, schema):
        raise ConfigError(f"The configuration is not a {schema.__name__}: does its YAML start from the schema?")
    if isinstance(config, Recorded):
        config.as_written = written_with_environment(composed)
    return config


def _with_defaults_in_file(composed: DictConfig, words: list[str], schema: type, config_name: str) -> DictConfig:
    """Composed anew from a file's defaults where it names such a file, so that all the words say wins over them."""
    check_interpolations(composed)
    defaults = schema.defaults_in_file(composed) if issubclass(schema, DefaultsInFile) else {}
    if not defaults:
        return composed
    node = OmegaConf.merge(OmegaConf.structured(schema), defaults)
    ConfigStore.instance().store(name=f"{config_name}_schema", node=node)
    try:
        return hydra.compose(config_name, words)
    finally:
        register(config_name, schema)


def compose(words: list[str], schema: type[Config], config_name: str) -> Config:
    """What the command of `conf/<config_name>.yaml` would be told by these words, for launchers and notebooks.

    Raises:
        ConfigError: a word is refused, or a value is missing.
    """
    register(config_name, schema)
    words = literal_words(words, schema, CONF_DIR)
    try:
        with set_aside(), hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            composed = hydra.compose(config_name, words)
            return to_config(_with_defaults_in_file(composed, words, schema, config_name), schema)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, schema)) from error


def run_command(
    function: Callable[[Any], Any], schema: type, config_name: str, *, runs_without_words: bool = False
) -> None:
    """Compose `conf/<config_name>.yaml` with the command line, call `function(config)`, leave with the exit code.

    Args:
        function: the work, given an instance of `schema`; what it returns is the value that Hydra's sweepers search by.
        schema: the dataclass that the composed configuration must become.
        config_name: the YAML file's name without its ending.
        runs_without_words: whether the bare command starts, as one that costs seconds may; others then show their help.
    """
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        try:
            groups = [word for word in words if not word.startswith("-") and "=" not in word]
            print(group_help(schema, groups) if groups else help_text(schema, CONF_DIR, config_name))
        except ConfigError as error:
            _leave(str(error), error.exit_code)
        return
    register(config_name, schema)
    if not words and not runs_without_words and not OmegaConf.missing_keys(OmegaConf.structured(schema)):
        print(help_text(schema, CONF_DIR, config_name), flush=True)
        _leave("nothing was asked for; the first of the examples above is a good start", ConfigError.exit_code)
    try:
        refuse_habits(words, schema)
    except ConfigError as error:
        _leave(str(error), error.exit_code)
    look_through_files(CONF_DIR)
    sys.argv[1:] = literal_words(words, schema, CONF_DIR)  # where Hydra, and sweeps, read them
    failures: list[FairMOTError] = []
    command_line, process_id = list(sys.argv), os.getpid()

    @hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)
    def compose_and_call(composed: DictConfig) -> Any:
        elsewhere = os.getpid() != process_id  # a launcher of Hydra's plugins runs the jobs of a sweep in others
        if elsewhere:
            sys.argv[:] = command_line
        try:
            # As they were written: read one by one, each would be worked out.
            words_of_job: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
            config: Any = to_config(_with_defaults_in_file(composed, words_of_job, schema, config_name), schema)
            with contextlib.redirect_stdout(_unmasked(sys.stdout)):
                return function(config)
        except FairMOTError as error:
            if elsewhere:
                raise
            failures.append(error)  # kept from Hydra, which would print a line of its own before ours
            return None

    # While a graph runs MindSpore turns Ctrl-C into SIGTERM; both must leave time to clean up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("hydra").setLevel(logging.WARNING)  # a sweep's jobs are announced by the command itself
    # Hydra would print its own errors and leave with 1; told not to, it raises, and this function explains.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with contextlib.redirect_stdout(_Masking(sys.stdout)):  # for what Hydra prints, as by --cfg job
            compose_and_call()
    except (HydraException, OmegaConfBaseException) as error:
        _leave(explain(error, schema), ConfigError.exit_code)
    except FairMOTError as error:  # of a file that Hydra was to read, or of a job in another process
        _leave(str(error), error.exit_code)
    except KeyboardInterrupt as interruption:
        _leave(str(interruption) or "interrupted", 130)
    if failures:
        _leave("\nerror: ".join(map(str, failures)), failures[0].exit_code)


def refuse_habits(words: list[str], schema: type, before: Sequence[str] = ()) -> None:
    """Answer the habits of other command lines with the line to type.

    Args:
        words: the overrides.
        schema: the command's configuration dataclass.
        before: what stands before them on the line, where the command has words of its own.

    Raises:
        ConfigError: a word is not written key=value although it is plain what is meant, or is an option nobody knows.
    """
    if (mended := meant(words, schema, CONF_DIR)) != words:
        raise ConfigError(f"{' '.join(words)}: keys are written key=value; type {line_to_type([*before, *mended])}")
    for word in words:
        if word.startswith("--") and (flag := word.partition("=")[0]) not in HYDRAS_FLAGS:
            known = [*known_keys(schema), *(folder.name for folder in CONF_DIR.iterdir() if folder.is_dir())]
            raise ConfigError(f"{flag}: no such key or option{suggest(flag[2:].replace('-', '_'), known)}")


def when_called(place: str) -> Callable[..., Any]:
    """A command's function, imported once it is called: help and refused words do not wait for MindSpore.

    Args:
        place: `module:function`.
    """

    def call(*given: Any) -> Any:
        return pkgutil.resolve_name(place)(*given)

    return call


class _Masking:
    """A stream that shows no passwords, as far as each is written at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(masked(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _unmasked(stream: Any) -> Any:
    """What stands behind the masking; a job in another process prints to a stream of its own."""
    return stream._stream if isinstance(stream, _Masking) else stream


def _leave(message: str, exit_code: int) -> None:
    print(f"error: {masked(message)}", file=sys.stderr, flush=True)
    sys.exit(exit_code)


def explain(error: Exception, schema: type) -> str:
    """Say in one sentence what a composition error means, with the nearest known key or option."""
    text = str(error)
    key = re.search(r"Key '([^']+)' (?:is not in struct|not in '\w+')|Could not override '([^']+)'", text)
    option = re.search(r"Could not find '([^/']+)/([^']+)'", text)
    full_key = re.search(r"full_key: (\S+)", text)
    if key:
        return _explain_unknown(full_key.group(1) if full_key else key.group(1) or key.group(2), schema)
    if option:
        group, wanted = option.groups()
        choices = sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
        return f"unknown {group} '{wanted}'{suggest(wanted, choices)}; there are: {', '.join(choices)}"
    if full_key:
        return explain_value(full_key.group(1), text.splitlines()[0])
    if isinstance(error.__cause__, OmegaConfBaseException):  # which of the values was refused, and what is allowed
        return explain(error.__cause__, schema)
    return _explain_grammar(text)


def _explain_unknown(name: str, schema: type) -> str:
    """The same of a key that is not there."""
    known = list(known_keys(schema))
    if name in known:  # a dictionary refuses entries it does not have yet
        return f"{name}: to add an entry put a + before it, such as +{name}.mine=value"
    if name.rpartition(".")[0] in _open_keys(schema):
        return f"{name}: to add an entry put a + before it: +{name}=..."
    return f"unknown key '{name}'{suggest(name, known)}"


def _explain_grammar(text: str) -> str:
    """The same of a word that Hydra cannot take apart."""
    word = re.match(
        r"(?:Error parsing override '|LexerNoViableAltException: )(.*?)'?\n(missing EQUAL)?", text, re.DOTALL
    )
    if word and (word.group(2) or "=" not in word.group(1)):  # a path alone is no word of Hydra's grammar either
        return f"{word.group(1)}: not of the form key=value; --help lists the keys"
    if word:
        name = word.group(1).partition("=")[0]
        return f"{word.group(1)}: the value cannot be read; --help says what {name.lstrip('+~')} takes"
    return text.strip()


def _open_keys(schema: type) -> set[str]:
    """Keys that hold names of the user's own, such as data.train."""
    return {name for name, kind in kinds_of(schema).items() if kind.startswith("{")}


def suggest(name: str, known: list[str]) -> str:
    """What to append to a refusal of an unknown name: the nearest known one, or nothing."""
    found = nearest_key(name, known)
    return f": did you mean '{found}'?" if found else ""


def known_keys(schema: type) -> Iterator[str]:
    """Every dotted key of a configuration dataclass, groups included."""
    return (key for key, _ in _walk(OmegaConf.structured(schema), ""))


def _walk(node: DictConfig, prefix: str) -> Iterator[tuple[str, bool]]:
    """Dotted keys of a dataclass's node, each with whether the dataclass has it."""
    names = {field.name for field in fields(OmegaConf.get_type(node)) if not field.metadata.get(IGNORED)}  # type: ignore[arg-type]
    for name in map(str, node):
        key = f"{prefix}{name}"
        yield key, name in names
        if OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name):
            continue
        child = node[name]
        if isinstance(child, DictConfig) and is_dataclass(OmegaConf.get_type(child)):
            yield from _walk(child, f"{key}.")
