"""Configurations that are recorded, beside results and in MLflow, where many eyes see them.

Two things never get there. What a value took from the environment, as ${oc.env:TOKEN} does, stays the words that were
written. What looks like a credential is masked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.resolvers import oc

from fairmot.addresses import masked_address
from fairmot.cli.keys import IGNORED

Place = tuple[str | int, ...]
"""The way to a value: its keys, and its number in a list."""


@dataclass
class Recorded:
    """A configuration that remembers which of its values the environment gave.

    Attributes:
        as_written: the words of these values; no key of the configuration.
    """

    as_written: dict[Place, str] = field(
        default_factory=dict, repr=False, compare=False, kw_only=True, metadata={IGNORED: True}
    )


def recorded(config: Recorded) -> dict[str, Any]:
    """The configuration as it may be seen: nested dictionaries, enums by name."""
    values: Any = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    for place, words in config.as_written.items():
        inside = values
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = words
    return _masked(values)


def written_with_environment(composed: DictConfig) -> dict[Place, str]:
    """The interpolations that ask the environment, itself or by the values they refer to.

    Args:
        composed: a configuration whose interpolations can all be resolved.
    """
    asked: list[str] = []

    def ask(name: str, *default: Any) -> str | None:
        asked.append(name)
        return oc.env(name, *default)

    found = {}
    OmegaConf.register_new_resolver("oc.env", ask, replace=True)
    try:
        for place, words, inside in _interpolations(composed, ()):
            asked.clear()
            value = inside[place[-1]]
            if OmegaConf.is_config(value):
                OmegaConf.to_container(value, resolve=True)
            if asked:
                found[place] = words
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
    return found


def _interpolations(node: DictConfig | ListConfig, place: Place) -> Iterator[tuple[Place, str, Any]]:
    """Every interpolation: where it stands, its words, and the node it stands in."""
    written: Any = OmegaConf.to_container(node, resolve=False)
    for key in range(len(node)) if isinstance(node, ListConfig) else list(node):
        if OmegaConf.is_interpolation(node, key):
            yield (*place, key), written[key], node
        elif not OmegaConf.is_missing(node, key) and OmegaConf.is_config(node[key]):
            yield from _interpolations(node[key], (*place, key))


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each) for each in value]
    return masked_address(value) if isinstance(value, str) else value
