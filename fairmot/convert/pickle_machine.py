"""Pickles of plain data, read without running anything, within limits.

A pickle is a program for a small stack machine. This one knows the instructions that build plain data and no others,
and what a name in a pickle stands for is the caller's to say: nothing that a file asks for is ever looked up. What it
builds is limited in depth and number, for in a few hundred bytes one tuple may lie in another so often that nobody
could walk through it.
"""

import itertools
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

_DEEPEST = 64
_MOST_MEMBERS = 200_000
_MOST_INSTRUCTIONS = 400_000  # a large network with its optimiser has less than half as many
_MARK = object()

Makers = Mapping[str, Callable[..., Any] | None]
"""What stands for a name: a function of what the pickle calls it with, or None for what is only referred to."""


class RefusedError(Exception):
    """A pickle asks for what is not among the makers, or for an instruction that builds no plain data."""


class LimitError(Exception):
    """A file holds more than may be; the message says what and how many."""


class Name(NamedTuple):
    """What stands in the machine for a name."""

    name: str


class _Extent(NamedTuple):
    """How far a list, tuple or dictionary reaches: its levels, and all members on all of them."""

    owner: Any  # kept, so that no other object gets its id
    depth: int
    members: int


def unpickled(stream: IO[bytes], makers: Makers, reference: Callable[..., Any]) -> Any:
    """What the next pickle of a stream holds.

    Args:
        stream: it stands behind the pickle afterwards.
        makers: the names that a pickle may ask for.
        reference: makes what the pickle refers to outside of itself.

    Raises:
        RefusedError: as names say more than instructions, for the first of the names.
        LimitError: it is too deep or too large.
        Exception: of any kind, from a damaged one.
    """
    instructions = list(_instructions(stream))
    for instruction, argument in instructions:
        if instruction in ("GLOBAL", "INST"):
            _allowed(str(argument).replace(" ", "."), makers)
    machine = _Machine(makers, reference)
    for instruction, argument in instructions:
        machine.run(instruction, argument)
    return machine.result()


def _instructions(stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if number >= _MOST_INSTRUCTIONS:
            raise LimitError(f"a pickle of more than {_MOST_INSTRUCTIONS} instructions")
        yield opcode.name, argument


def _allowed(name: str, makers: Makers) -> Name:
    if name not in makers:
        raise RefusedError(name)
    return Name(name)


class _Machine:
    """Runs the instructions of one pickle: those that Python's pickler writes for plain data, in all its protocols.

    What has become a member of something does not grow any more, as in every pickle that Python writes of data without
    circles; so no extent changes once it is counted, and nothing can hold itself.
    """

    def __init__(self, makers: Makers, reference: Callable[..., Any]) -> None:
        self._makers, self._reference = makers, reference
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._extents: dict[int, _Extent] = {}
        self._members: set[int] = set()
        push, pop = self._stack.append, self._stack.pop
        self._does: dict[str, Callable[[Any], object]] = {
            **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda _: None),
            **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), push),
            **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE"), lambda text: push(_text(text))),
            **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), lambda text: push(text.encode("latin-1").decode())),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda number: push(self._memo[number])),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), self._remember),
            "NONE": lambda _: push(None),
            "NEWTRUE": lambda _: push(True),
            "NEWFALSE": lambda _: push(False),
            "MARK": lambda _: push(_MARK),
            "EMPTY_LIST": lambda _: self._push([], ()),
            "EMPTY_DICT": lambda _: self._push({}, ()),
            "EMPTY_TUPLE": lambda _: self._push_tuple(()),
            "TUPLE1": lambda _: self._push_tuple(self._last(1)),
            "TUPLE2": lambda _: self._push_tuple(self._last(2)),
            "TUPLE3": lambda _: self._push_tuple(self._last(3)),
            "TUPLE": lambda _: self._push_tuple(self._since_mark()),
            "APPEND": lambda _: self._extend(self._last(1)),
            "APPENDS": lambda _: self._extend(self._since_mark()),
            "SETITEM": lambda _: self._set(self._last(2)),
            "SETITEMS": lambda _: self._set(self._since_mark()),
            "GLOBAL": lambda name: push(_allowed(name.replace(" ", "."), makers)),
            "STACK_GLOBAL": lambda _: push(_allowed(".".join(self._last(2)), makers)),
            "REDUCE": lambda _: self._call(*self._last(2)),
            "BINPERSID": lambda _: push(reference(*pop())),
            "BUILD": lambda _: self._without_attributes(),
        }

    def run(self, instruction: str, argument: Any) -> None:
        """One instruction."""
        if instruction not in self._does:
            raise RefusedError(f"opcode {instruction}")
        self._does[instruction](argument)

    def result(self) -> Any:
        """What is left at the end."""
        (content,) = self._stack
        return content

    def _remember(self, number: int | None) -> None:
        self._memo[len(self._memo) if number is None else number] = self._stack[-1]

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ValueError("it takes more than there is")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("an end without a beginning")
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _push_tuple(self, items: Sequence[Any]) -> None:
        self._push(tuple(items), items)

    def _push(self, value: Any, items: Sequence[Any]) -> None:
        """A new list, tuple or dictionary of these members."""
        self._extents[id(value)] = _Extent(value, 1, 0)
        self._count(value, items)
        self._stack.append(value)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise ValueError("elements for what is no list")
        self._count(target, items)
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise ValueError("keys for what is no dictionary")
        self._count(target, items)
        for key in items[::2]:
            check_key(key)
        target.update(zip(items[::2], items[1::2], strict=True))

    def _count(self, value: Any, items: Sequence[Any]) -> None:
        """Add members to the extent of what holds them."""
        _, depth, members = self._extents[id(value)]
        for item in items:
            if item is _MARK:
                raise ValueError("a beginning without an end")
            inner = self._extents.get(id(item))
            members += 1
            if inner is not None:
                self._members.add(id(item))
                depth, members = max(depth, inner.depth + 1), members + inner.members
        if id(value) in self._members and items:
            raise LimitError("a list or dictionary that holds itself, or grows after it became a member")
        if depth > _DEEPEST:
            raise LimitError(f"more than {_DEEPEST} levels of lists, tuples and dictionaries")
        if members > _MOST_MEMBERS:
            raise LimitError(f"a list, tuple or dictionary of more than {_MOST_MEMBERS} members on all its levels")
        self._extents[id(value)] = _Extent(value, depth, members)

    def _call(self, function: Any, arguments: Any) -> None:
        maker = self._makers.get(function.name) if isinstance(function, Name) else None
        if maker is None or not isinstance(arguments, tuple):
            raise ValueError("a call of what cannot be called")
        made = maker(*arguments)
        if type(made) is tuple:
            self._push_tuple(list(made))  # another tuple, even where it is made of one
        elif isinstance(made, OrderedDict):
            self._push(made, list(itertools.chain.from_iterable(made.items())))
        else:
            self._stack.append(made)

    def _without_attributes(self) -> None:
        """Attributes, such as the _metadata of a state dictionary, are of no use here."""
        self._stack.pop()
        if not isinstance(self._stack[-1], OrderedDict):
            raise ValueError("attributes for what has none")


def _text(text: str) -> str:
    text.encode()  # half of a surrogate pair could not be printed: an error
    return text


def check_key(key: Any) -> None:
    """Refuse a key that could be chosen such that a dictionary of many of them has to compare all.

    Raises:
        ValueError: it is one.
    """
    if not isinstance(key, str | int | float | None) or (isinstance(key, int) and not -(2**63) <= key < 2**63):
        raise ValueError(f"a key of a dictionary that is neither text nor a number of 64 bits ({type(key).__name__})")
