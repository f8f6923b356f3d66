"""What configuration dataclasses say of their keys: the one source of --help and of docs/configuration.md."""

import functools
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import MISSING

IGNORED = "omegaconf_ignore"
"""The mark in a field's metadata by which OmegaConf takes it for no key."""

_SECTIONS = ("Attributes:", "Args:")
_ENTRY = re.compile(r"^    (\w+): (.*)$")


@dataclass(frozen=True)
class Key:
    """One field of a configuration dataclass.

    Attributes:
        name: dotted, as it is written on the command line.
        kind: its type, or the values to choose from.
        default: as it is written on the command line; None: it must be given.
        meaning: what its dataclass's docstring says.
        group: the dataclass whose keys follow under `<name>.`; None: a value.
    """

    name: str
    kind: str
    default: str | None
    meaning: str
    group: type | None


def keys_of(schema: type, prefix: str = "") -> list[Key]:
    """The fields of a configuration dataclass, in its order; what is below its groups is not among them.

    Args:
        schema: the dataclass.
        prefix: put before every name, such as `optim.`.
    """
    meanings, types = _meanings(schema), get_type_hints(schema)
    keys = []
    for field in fields(schema):
        if field.metadata.get(IGNORED):
            continue
        given = field.default if field.default_factory is NO_DEFAULT else field.default_factory()
        group = next((one for one in _alternatives(types[field.name]) if is_dataclass(one)), None)
        default = None if given == MISSING else "" if is_dataclass(given) else _as_word(given)
        kind = "group" if group else _kind(types[field.name])
        keys.append(Key(prefix + field.name, kind, default, meanings.get(field.name, ""), group))  # type: ignore[arg-type]
    return keys


def all_keys(schema: type, prefix: str = "") -> Iterator[tuple[Key, list[Key]]]:
    """Every group of a schema with the keys that stand directly in it, outermost first; below `prefix`."""
    for key in keys_of(schema, prefix):
        if key.group is not None:
            yield key, keys_of(key.group, f"{key.name}.")
            yield from all_keys(key.group, f"{key.name}.")


@functools.cache
def kinds_of(schema: type) -> dict[str, str]:
    """The kind of every key and group of a schema, by its dotted name."""
    keys = [*keys_of(schema), *(key for _, inside in all_keys(schema) for key in inside)]
    return {key.name: key.kind for key in keys}


def summary_of(schema: type) -> str:
    """The first paragraph of a dataclass's docstring, on one line."""
    return " ".join(inspect.cleandoc(schema.__doc__ or "").split("\n\n")[0].split())


def _meanings(schema: type) -> dict[str, str]:
    """The entries of a Google docstring's section of attributes, by name, each on one line; its bases' first."""
    found: dict[str, str] = {}
    for base in schema.__bases__:
        found |= _meanings(base) if is_dataclass(base) else {}
    lines = inspect.cleandoc(schema.__doc__ or "").splitlines()
    start = next((number for number, line in enumerate(lines) if line in _SECTIONS), len(lines))
    name = ""
    for line in lines[start + 1 :]:
        if entry := _ENTRY.match(line):
            name = entry[1]
            found[name] = entry[2]
        elif line.startswith("        ") and name:
            found[name] += f" {line.strip()}"
        elif line.strip():
            break
    return found


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    return (hint,) if get_origin(hint) in (list, dict, None) else get_args(hint)


def _kind(hint: Any) -> str:
    kinds = []
    for one in _alternatives(hint):
        if one is NoneType:
            kinds.append("null")
        elif isinstance(one, type) and issubclass(one, Enum):
            kinds += [member.name for member in one]
        elif get_origin(one) in (list, dict):
            inside = ": ".join(_kind(argument) for argument in get_args(one))
            kinds.append(f"[{inside}]" if get_origin(one) is list else f"{{{inside}}}")
        else:
            kinds.append(one.__name__)
    return " | ".join(kinds)


def _as_word(value: Any) -> str:
    """A default as the command line takes it."""
    if isinstance(value, Enum):
        return value.name
    return value if isinstance(value, str) else json.dumps(value)
