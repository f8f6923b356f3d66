"""YAML that somebody wrote, looked through before anything is made of it.

An alias (*name) repeats what stands elsewhere, and aliases of aliases repeat it without end: a few lines may stand for
more values than fit into memory.
"""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from fairmot.files import read_bounded

_MOST_BYTES = 128 << 10  # which Hydra takes a second to parse
_DEEPEST = 64
_MOST_VALUES = 100_000

# Of libyaml where PyYAML has it: Python's takes seconds for a line of brackets.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """What a YAML file of one document says.

    Raises:
        OSError: it cannot be read, is no file, or is too large.
        ValueError: it is no YAML, too deep, or stands for too many values; the message says where.
    """
    text = read_bounded(path, _MOST_BYTES).decode("utf-8-sig")
    try:
        _check_depth(text)  # first: the other steps call themselves at every level
        root = yaml.compose(text, _LOADER)
        if root is None:
            return None
        if (count := _values(root, {})) > _MOST_VALUES:
            raise ValueError(f"its aliases stand for {count:.0e} values, and the limit is {_MOST_VALUES}")
        return yaml.load(text, _LOADER)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"line {event.start_mark.line + 1}: more than {_DEEPEST} levels, one in another")


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, aliases written out.

    Args:
        node: of the document.
        known: by the id of the node, what is counted already; -1 while it is being counted.

    Raises:
        ValueError: a node holds itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = -1
        pairs = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in pairs)
    if known[id(node)] < 0:
        raise ValueError(f"line {node.start_mark.line + 1}: an alias to what it stands in")
    return known[id(node)]
