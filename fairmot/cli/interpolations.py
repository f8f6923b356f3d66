"""Interpolations, ${other.key}, counted before any is put in.

OmegaConf works one out anew wherever it is met. Each of thirty values that names the next one twice is a line of YAML,
and the first of them takes days and more memory than there is.
"""

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fairmot.errors import ConfigError

_MOST_VALUES = 10_000
_MOST_CHARACTERS = 10_000_000
_INNERMOST = re.compile(r"\$\{([^${}]*)\}")
_ANY = "*"  # what an interpolation inside the name of another may come to


def check_interpolations(composed: DictConfig) -> None:
    """Refuse a configuration whose interpolations stand for more than can be worked out.

    Raises:
        ConfigError: a value stands for too many others, for too long a text, or for itself; the message names its key.
    """
    texts = dict(_texts(OmegaConf.to_container(composed, resolve=False), ""))
    known: dict[str, tuple[int, int] | None] = {}
    for key, text in texts.items():
        if "${" in text:
            _size(key, texts, known)


def _size(key: str, texts: dict[str, str], known: dict[str, tuple[int, int] | None]) -> tuple[int, int]:
    """How many values and how many characters a text stands for, all it refers to written out.

    Args:
        key: of the text.
        texts: all texts by key.
        known: what is counted already; None while it is being counted.
    """
    if key not in known:
        known[key] = None
        values, characters = 1, len(texts[key])
        for name in _names(key, texts[key]):
            for other in texts:
                is_possible = _ANY in name and other.startswith(name.partition(_ANY)[0])
                if other == name or other.startswith((f"{name}.", f"{name}[")) or is_possible:
                    more = _size(other, texts, known)
                    values, characters = values + more[0], characters + more[1]
        if values > _MOST_VALUES or characters > _MOST_CHARACTERS:
            raise ConfigError(
                f"{key}: its interpolations stand for {values:,} values of {characters:,} characters; the limits are"
                f" {_MOST_VALUES:,} and {_MOST_CHARACTERS:,}. Write the value out"
            )
        known[key] = values, characters
    found = known[key]
    if found is None:
        raise ConfigError(
            f"{key}: its interpolation refers to itself, by way of others or at once; write the value out"
        )
    return found


def _names(key: str, text: str) -> list[str]:
    """The keys that a text's interpolations name; relative ones from the root, resolvers left out."""
    names = []
    while inner := _INNERMOST.search(text):
        name = inner[1].strip()
        text = f"{text[: inner.start()]}{_ANY}{text[inner.end() :]}"
        if ":" in name:
            continue
        if name.startswith("."):
            above = len(name) - len(name.lstrip("."))
            name = ".".join([*key.split(".")[:-above], name.lstrip(".")])
        names.append(name)
    return names


def _texts(value: Any, key: str) -> list[tuple[str, str]]:
    """Every text of nested dictionaries and lists, by its dotted key."""
    if isinstance(value, dict):
        return [pair for name, each in value.items() for pair in _texts(each, f"{key}.{name}" if key else str(name))]
    if isinstance(value, list):
        return [pair for number, each in enumerate(value) for pair in _texts(each, f"{key}[{number}]")]
    return [(key, value)] if isinstance(value, str) else []
