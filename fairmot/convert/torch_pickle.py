"""The pickles inside PyTorch's files.

The few names that tensors are made of stand for functions of ours; `fairmot.convert.pickle_machine` knows no others.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from fairmot.convert.pickle_machine import LimitError, Name, check_key, unpickled

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
BFLOAT16 = "torch.BFloat16Storage"
MOST_PICKLE_BYTES = 16 << 20
"""Of all pickles in a file, which hold names and shapes; a network with its optimiser has less than one megabyte."""

_MOST_DIMENSIONS = 32


@dataclass(eq=False)
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

    @property
    def size_bytes(self) -> int:
        """Its elements, of which those of one row with stride 0 are the same element of the storage."""
        return math.prod(self.shape) * np.dtype(STORAGE_TYPES[self.storage.type_name]).itemsize

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
    if len(shape) > _MOST_DIMENSIONS:
        raise LimitError(f"a tensor of {len(shape)} dimensions, and the limit is {_MOST_DIMENSIONS}")
    return StoredTensor(storage, _integer(offset), tuple(map(_integer, shape)), tuple(map(_integer, strides)))


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a tensor whose place, shape or strides are not integers")
    return value


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    """Python 2 gives an OrderedDict its content as a list of pairs."""
    content = [tuple(pair) for pair in pairs]
    for key, _ in content:
        check_key(key)
    return OrderedDict(content)


_MAKERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "torch.Size": lambda items=(): tuple(items),
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
}


_NAMES = {**_MAKERS, **dict.fromkeys(STORAGE_TYPES)}


def unpickled_tensors(stream: IO[bytes]) -> tuple[Any, dict[str, Storage]]:
    """The next pickle of a stream and the storages it refers to, whose bytes are not there yet.

    Raises:
        RefusedError: it asks for what weights do not need.
        LimitError: it is too deep or too large.
        Exception: of any kind, from a damaged one.
    """
    storages: dict[str, Storage] = {}

    def storage(kind: Any, storage_type: Any, key: Any, _: Any, count: Any, *view: Any) -> Storage:
        """A reference to a storage: ("storage", type, key, device, elements), in the old format with a view."""
        if kind != "storage" or any(part is not None for part in view):
            raise ValueError("a reference to something else than a whole storage")
        if not isinstance(storage_type, Name) or storage_type.name not in STORAGE_TYPES or not isinstance(key, str):
            raise ValueError("a storage of no known type")
        return storages.setdefault(key, Storage(storage_type.name, _integer(count)))

    return unpickled(stream, _NAMES, storage), storages
