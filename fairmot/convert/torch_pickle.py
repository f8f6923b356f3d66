"""The pickles inside PyTorch's files, without running anything.

A pickle may call whatever it names. Here it can name only what tensors are made of, and each of these names is a
stand-in of ours: nothing that a file asks for is ever looked up or called. Before that its opcodes are looked through,
for the few that build plain data.
"""

import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Literal, NamedTuple

import numpy as np

ByteOrder = Literal["<", ">"]

STORAGE_TYPES = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "u2",
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}
_OPCODES = """
    PROTO FRAME STOP MARK GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID
    PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET
    NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT
    BINSTRING SHORT_BINSTRING BINUNICODE SHORT_BINUNICODE
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS
""".split()  # noqa: SIM905
"""What Python's pickler writes for state dictionaries, in all its protocols."""
BFLOAT16 = "torch.BFloat16Storage"


@dataclass
class Storage:
    """A flat row of elements, which several tensors may share; its bytes are read after the pickle."""

    type_name: str
    count: int
    data: bytes | memoryview = b""

    @property
    def size_bytes(self) -> int:
        """All elements together."""
        return self.count * np.dtype(STORAGE_TYPES[self.type_name]).itemsize


class StoredTensor(NamedTuple):
    """A view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, byte_order: ByteOrder) -> np.ndarray:
        """The elements; bfloat16, which numpy lacks, as float32 of the same values."""
        kind = np.dtype(STORAGE_TYPES[self.storage.type_name]).newbyteorder(byte_order)
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if 0 in self.shape:
            last = self.offset - 1
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or last >= self.storage.count:
            raise ValueError("a tensor reaches beyond its storage")
        elements = np.frombuffer(self.storage.data, kind, self.storage.count)[self.offset :]
        steps = tuple(stride * kind.itemsize for stride in self.strides)
        view = np.lib.stride_tricks.as_strided(elements, self.shape, steps, writeable=False)
        if self.storage.type_name == BFLOAT16:
            return np.asarray(np.left_shift(view, 16, dtype=np.uint32)).view(np.float32)
        return view.astype(kind.newbyteorder("="), copy=False)


def _tensor(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> StoredTensor:
    """_rebuild_tensor and _rebuild_tensor_v2; what follows the strides is of no use without gradients."""
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    return StoredTensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


_MAKERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "torch.Size": tuple,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
}


class RefusedError(Exception):
    """A pickle names something that weights do not need."""


class _StandIn(NamedTuple):
    """What a pickle gets for a name. It cannot be changed, so a pickle cannot turn it into anything else."""

    name: str

    def __call__(self, *arguments: Any) -> Any:
        """What the pickle wants to make by calling the name."""
        return _MAKERS[self.name](*arguments)


class _Unpickler(pickle.Unpickler):
    """Knows the stand-ins and nothing else."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="utf-8")
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> _StandIn:
        """The only place where a pickle's names become objects."""
        return _StandIn(_allowed(f"{module}.{name}"))

    def persistent_load(self, identifier: Any) -> Storage:
        """A reference to a storage: ("storage", type, key, device, elements), in the old format with a view."""
        kind, storage_type, key, _, count, *view = identifier
        if kind != "storage" or any(part is not None for part in view):
            raise ValueError("a reference to something else than a whole storage")
        return self.storages.setdefault(key, Storage(storage_type.name, int(count)))


def _allowed(full_name: str) -> str:
    if full_name not in _MAKERS and full_name not in STORAGE_TYPES:
        raise RefusedError(full_name)
    return full_name


def unpickled(stream: IO[bytes]) -> tuple[Any, dict[str, Storage]]:
    """The next pickle of a stream and the storages it refers to, whose bytes are not there yet."""
    start = stream.tell()
    operations = [(opcode.name, argument) for opcode, argument, _ in pickletools.genops(stream)]
    for opcode, argument in operations:  # first, as a name says more than an opcode
        if opcode in ("GLOBAL", "INST"):
            _allowed(str(argument).replace(" ", "."))
    for number, (opcode, argument) in enumerate(operations):
        if opcode not in _OPCODES:
            raise RefusedError(f"opcode {opcode}")
        if opcode.endswith("PUT") and int(argument or 0) > number:  # Python would reserve room for as many
            raise ValueError(f"it stores its value {number} under the number {argument}")
    stream.seek(start)
    unpickler = _Unpickler(stream)
    return unpickler.load(), unpickler.storages
