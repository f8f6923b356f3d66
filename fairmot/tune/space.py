"""What is searched: keys of the tracker and the values they may take."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_type_hints

from fairmot.cli.command import suggest
from fairmot.errors import ConfigError
from fairmot.tracking.config import Cost, TrackerConfig

Value = float | int | bool | Enum | None

_SPAN = re.compile(r"(.+)\.\.(.+)")
_FIXED = ("frame_rate", "camera_motion")
"""Not searched: the sequences say the one, and the other needs pictures."""
_DEFAULT = ("conf_thres=0.1..0.7", "match_iou=0.3..0.95", "match_unconfirmed=0.3..0.95", "track_buffer=10..120")
_WITH_EMBEDDINGS = ("match_embedding=0.1..0.9",)
_WITH_BYTE = ("low_thres=0.1..0.4", "match_low=0.2..0.8")


@dataclass(frozen=True)
class Dimension:
    """One key that is searched.

    Attributes:
        key: of `TrackerConfig`.
        low: least value of a number; None where there are choices.
        high: greatest value.
        choices: words of the values to choose from; empty for a number.
        kind: type of the value.
    """

    key: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    kind: type

    def value(self, drawn: float | str) -> Value:
        """What is drawn as the key's value; numbers have three decimals, so that what is printed is what was scored."""
        if not isinstance(drawn, str):
            return int(drawn) if self.kind is int else round(float(drawn), 3)
        return _parsed(self.kind, drawn)

    def drawn(self, value: Value) -> float | str:
        """The inverse of `value`."""
        if not self.choices:
            assert isinstance(value, int | float)
            return value
        return next(word for word in self.choices if _parsed(self.kind, word) == value)

    def contains(self, value: Value) -> bool:
        """Whether the search could come upon this value."""
        if value is None:
            return False
        if self.choices:
            return any(_parsed(self.kind, word) == value for word in self.choices)
        return self.low is not None and self.high is not None and self.low <= value <= self.high  # type: ignore[operator]

    def __str__(self) -> str:
        return f"{self.key}={'/'.join(self.choices) or f'{self.low:g}..{self.high:g}'}"


def parse_space(words: Sequence[str]) -> list[Dimension]:
    """The dimensions that words such as match_iou=0.3..0.9, track_buffer=10..60 and byte=true/false name.

    Raises:
        ConfigError: a key the tracker does not have, or values it cannot take; the message says which.
    """
    kinds = {key: _kind(hint) for key, hint in get_type_hints(TrackerConfig).items()}
    found: dict[str, Dimension] = {}
    for word in words:
        key, equals, values = (part.strip() for part in word.partition("="))
        key = key.removeprefix("tracker.")
        if key not in kinds:
            raise ConfigError(f"space: the tracker has no key '{key}'{suggest(key, list(kinds))}")
        if key in _FIXED:
            raise ConfigError(f"space: {key} cannot be searched; it is as the sequences say, or needs their pictures")
        if key in found:
            raise ConfigError(f"space: {key} is there twice")
        if not equals or not values:
            raise ConfigError(f"space: {word}: write {key}=low..high, or {key}=one/other for a choice")
        found[key] = _dimension(key, values, kinds[key])
    if not found:
        raise ConfigError("space=[]: nothing to search; name a key, such as space=[match_iou=0.3..0.9]")
    return list(found.values())


def default_space(rules: TrackerConfig, *, embeddings: bool, least_score: float) -> list[Dimension]:
    """What is searched where nobody says: thresholds and limits that count under these rules.

    Args:
        rules: of the tracker, with which the search begins.
        embeddings: the detections have some.
        least_score: what scores less was not kept; thresholds begin there.
    """
    by_appearance = embeddings and rules.cost not in (Cost.iou, Cost.iou_embedding)  # else match_embedding is nothing
    words = (
        *_DEFAULT,
        *(_WITH_EMBEDDINGS if by_appearance else ()),
        *(_WITH_BYTE if rules.byte else ()),
    )
    return [
        replace(one, low=max(one.low or 0, least_score)) if one.key in ("conf_thres", "low_thres") else one
        for one in parse_space(words)
    ]


def _kind(hint: Any) -> type:
    """The type of a key's values; of one that may be null, of the others."""
    return next(one for one in (*get_args(hint), hint) if one is not NoneType)


def _dimension(key: str, values: str, kind: type) -> Dimension:
    span = _SPAN.fullmatch(values)
    try:
        if span and kind in (int, float):
            low, high = (_parsed(kind, word) for word in span.groups())
            for end in (low, high):
                replace(TrackerConfig(), **{key: end})  # the tracker's own limits
            if not low < high:
                raise ValueError(f"{low:g} is not below {high:g}")
            return Dimension(key, low, high, (), kind)
        choices = tuple(word.strip() for word in values.split("/"))
        for word in choices:
            replace(TrackerConfig(), **{key: _parsed(kind, word)})
        if len(set(choices)) < 2:
            raise ValueError("one value is no choice")
        return Dimension(key, None, None, choices, kind)
    except ValueError as error:
        wanted = "low..high, or a/b for a choice" if kind in (int, float) else "a/b"
        raise ConfigError(f"space: {key}={values}: {error}; write {key}={wanted}") from error


def _parsed(kind: type, word: str) -> Any:
    """A value as words say it (ValueError where they do not)."""
    if kind is bool:
        if word not in ("true", "false"):
            raise ValueError(f"'{word}' is neither true nor false")
        return word == "true"
    if issubclass(kind, Enum):
        if word not in kind.__members__:
            raise ValueError(f"'{word}' is none of {', '.join(kind.__members__)}")
        return kind[word]
    try:
        return int(word) if kind is int else float(word)
    except ValueError:
        raise ValueError(f"'{word}' is no {'whole ' if kind is int else ''}number") from None
