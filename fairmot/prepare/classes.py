"""Which classes of your own data count, and what number each gets in the labels."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairmot.errors import ConfigError, DataError
from fairmot.prepare.text_rows import integer, read_lines

_MOST_CLASSES = 10_000
ClassOf = Callable[[str, Any], int | None]
"""From an object's place in the annotations and its class there to its class in the labels; None: it does not count."""


def number_classes(
    names: Mapping[int, str] | None, chosen: Sequence[str], first: int
) -> tuple[ClassOf, list[str] | None]:
    """How the annotations' classes become those of the labels, which count from 0.

    Args:
        names: class in the annotations -> name; None: nobody says, numbers do for names.
        chosen: the names that count, in the labels' order; empty: all, in order of their numbers.
        first: the least number a class has in these annotations.

    Returns:
        The rule, which raises DataError for what is no class, and the names in the labels' order, None where they are
        the numbers that are found, from `first` on.

    Raises:
        ConfigError: a chosen name is not there.
    """
    if names is None and not chosen:
        return lambda place, value: _numbered(place, value, first), None
    known = {int(name): name for name in chosen if name.isdigit()} if names is None else dict(names)
    wanted = list(chosen) or [known[number] for number in sorted(known)]
    unknown = [name for name in wanted if name not in known.values()]
    if unknown:
        known_names = ", ".join(known.values()) if names else f"numbers from {first} on, for nobody names them"
        raise ConfigError(f"classes: unknown {', '.join(unknown)}; there are: {known_names}")

    def class_of(place: str, value: Any) -> int | None:
        number = integer(place, "class", value, first)
        if names is not None and number not in names:
            raise DataError(f"{place}: class {number} has no name; there are: {', '.join(names.values())}")
        return wanted.index(known[number]) if known.get(number) in wanted else None

    return class_of, wanted


def _numbered(place: str, value: Any, first: int) -> int:
    number = integer(place, "class", value, first)
    if number >= first + _MOST_CLASSES:
        raise DataError(f"{place}: class {number} is more than {_MOST_CLASSES} classes could need")
    return number - first


def read_names(path: Path, first: int) -> dict[int, str]:
    """The class names of a text file, one a line, counted from `first`.

    Raises:
        DataError: it cannot be read, or a name is there twice.
    """
    names: dict[str, None] = {}
    for place, line in read_lines(path):
        if line in names:
            raise DataError(f"{place}: class {line} is there twice")
        names[line] = None
    return dict(enumerate(names, start=first))
