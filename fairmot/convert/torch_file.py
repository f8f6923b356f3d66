"""PyTorch's .pth files without PyTorch: read as numpy arrays, and written so that torch.load takes them.

Two formats are read: the zip archive that torch.save writes since version 1.6, and the row of pickles before it, which
most of FairMOT's published weights have. The layouts are those of torch.serialization.
"""

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fairmot.convert.pickle_machine import LimitError, RefusedError
from fairmot.convert.torch_pickle import (
    BFLOAT16,
    MOST_PICKLE_BYTES,
    STORAGE_TYPES,
    ByteOrder,
    StoredTensor,
    unpickled_tensors,
)
from fairmot.errors import CheckpointError
from fairmot.files import ShortReads, open_bounded

MOST_BYTES = 16 << 30
"""Of a file of weights."""
_MOST_REPETITION, _FREE_BYTES = 8, 16 << 20
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickled _LEGACY_MAGIC."""
_ZIP_START = b"PK\x03\x04"
_COUNT_BYTES = 8
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_TYPE_OF_WRITTEN = {np.dtype(kind): name for name, kind in STORAGE_TYPES.items() if name != BFLOAT16}


def is_torch_file(start: bytes) -> bool:
    """Whether a file that begins like this (16 bytes are enough) is one of torch.save's."""
    return start.startswith((_ZIP_START, _LEGACY_START))


def read_torch_file(path: Path) -> Any:
    """The content of a file of torch.save.

    Returns:
        Dictionaries, lists, tuples, numbers and strings as they were saved; numpy arrays (not writeable) for tensors.

    Raises:
        CheckpointError: the file cannot be read, is cut off or damaged, its pickle names something that weights do not
            need, which is not run, or it holds far more than weights do.
    """
    try:
        with open_bounded(path, MOST_BYTES) as stream:
            is_zip = stream.read(len(_ZIP_START)) == _ZIP_START
            stream.seek(0)
            return _read_zip(stream) if is_zip else _read_legacy(stream)
    except (LimitError, ShortReads.TooLongError) as error:
        raise CheckpointError(
            f"{path}: {error}; no weights need that, so the rest is not read. Save the network's state_dict() alone"
        ) from None
    except RefusedError as error:
        raise CheckpointError(
            f"{path}: its pickle asks for {error}, which weights do not need; refused, nothing of it was run. If you "
            "trust the file, open it with PyTorch where it was made and save its state_dict() alone"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise CheckpointError(
            f"{path}: cut off or damaged ({type(error).__name__}: {error}); compare its size with the original's and "
            "download it again"
        ) from error


def _read_zip(stream: BinaryIO) -> Any:
    file_bytes = stream.seek(0, io.SEEK_END)
    file = ShortReads(stream)
    with zipfile.ZipFile(file) as archive:
        file.most_bytes = None  # what follows is asked for by its size
        entries = {entry.filename: entry for entry in archive.infolist()}
        folders = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
        if len(folders) != 1:
            raise ValueError("a zip archive, but not one of torch.save")
        (folder,) = folders

        def read(name: str, most_bytes: int) -> bytes:
            """An entry; as torch.save compresses none, all of them together are no larger than the file."""
            entry = entries[f"{folder}{name}"]
            if entry.compress_type != zipfile.ZIP_STORED:
                raise LimitError(f"a compressed entry, {name}, of {entry.file_size} bytes when it is not")
            if entry.file_size > most_bytes:
                raise LimitError(f"an entry, {name}, of {entry.file_size} bytes where the limit is {most_bytes}")
            return archive.read(entry)

        content, storages = unpickled_tensors(io.BytesIO(read("data.pkl", MOST_PICKLE_BYTES)))
        left = file_bytes
        for key, storage in storages.items():
            storage.data = read(f"data/{key}", left)
            left -= len(storage.data)
        big = f"{folder}byteorder" in entries and read("byteorder", len(b"little")) == b"big"
    return _with_arrays(content, ">" if big else "<", file_bytes)


def _read_legacy(stream: BinaryIO) -> Any:
    file_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = io.BytesIO(stream.read(MOST_PICKLE_BYTES))
    try:
        (magic, _), _, (system, _) = (unpickled_tensors(head) for _ in range(3))
        if magic != _LEGACY_MAGIC:
            raise ValueError("not a file of torch.save")
        content, storages = unpickled_tensors(head)
        keys, _ = unpickled_tensors(head)
    except ValueError as error:
        if head.tell() == MOST_PICKLE_BYTES:
            raise LimitError(f"pickles of more than {MOST_PICKLE_BYTES} bytes") from error
        raise
    stream.seek(head.tell())
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
        if storage.size_bytes > file_bytes - stream.tell():
            raise EOFError("it ends within its tensors")
        if count != storage.count:
            raise ValueError("a tensor's storage has another size than its pickle says")
        storage.data = stream.read(storage.size_bytes)
    return _with_arrays(content, "<" if system["little_endian"] else ">", file_bytes)


def _with_arrays(content: Any, byte_order: ByteOrder, file_bytes: int) -> Any:
    """The same with arrays in the tensors' places.

    A tensor may repeat one row of its storage, and tensors may share one, so that together they can be larger than
    the file: by how much is limited, since they are written one by one.
    """
    room = file_bytes * _MOST_REPETITION + _FREE_BYTES
    left = room

    def replaced(value: Any) -> Any:
        nonlocal left
        if isinstance(value, StoredTensor):
            left -= value.size_bytes
            if left < 0:
                raise LimitError(f"tensors of more than {room} bytes in a file of {file_bytes}")
            return value.array(byte_order)
        if isinstance(value, dict):
            return {key: replaced(item) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(replaced(item) for item in value)
        return value

    return replaced(content)


def torch_file(content: Mapping[str, Any]) -> bytes:
    """What torch.save would write, for torch.load of version 1.6 and later, also with weights_only=True.

    Args:
        content: dictionaries with strings as keys; in them strings, int64 numbers, dictionaries and arrays. Equal
            content gives equal bytes.
    """
    pickler = _Pickler()
    pickler.add(content)
    entries = {
        "data.pkl": b"\x80\x02" + bytes(pickler.written) + pickle.STOP,
        "byteorder": b"little",
        **{f"data/{key}": data for key, data in enumerate(pickler.storages)},
        "version": b"3\n",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", _FIXED_TIME), data)
    return packed.getvalue()


class _Pickler:
    """Writes the few opcodes a state dictionary needs; Python's own would have to import torch for its names."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.storages: list[bytes] = []

    def add(self, value: Any) -> None:
        """Append one value."""
        if isinstance(value, np.ndarray):
            self._tensor(value)
        elif isinstance(value, Mapping):
            self.written += pickle.EMPTY_DICT + pickle.MARK
            for key, item in value.items():
                self.add(key)
                self.add(item)
            self.written += pickle.SETITEMS
        elif isinstance(value, str):
            encoded = value.encode()
            self.written += pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded
        elif isinstance(value, int):
            self.written += pickle.LONG1 + b"\x08" + struct.pack("<q", value)
        else:
            raise TypeError(f"{type(value).__name__} has no place in a file of weights")

    def _tensor(self, array: np.ndarray) -> None:
        type_name = _TYPE_OF_WRITTEN[array.dtype]
        key = str(len(self.storages))
        self.storages.append(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        self._name("torch._utils._rebuild_tensor_v2")
        self.written += pickle.MARK + pickle.MARK
        self.add("storage")
        self._name(type_name)
        for part in (key, "cpu", array.size):
            self.add(part)
        self.written += pickle.TUPLE + pickle.BINPERSID
        self.add(0)
        for numbers in (array.shape, [math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]):
            self.written += pickle.MARK
            for number in numbers:
                self.add(number)
            self.written += pickle.TUPLE
        self.written += pickle.NEWFALSE
        self._name("collections.OrderedDict")
        self.written += pickle.EMPTY_TUPLE + pickle.REDUCE + pickle.TUPLE + pickle.REDUCE

    def _name(self, full_name: str) -> None:
        module, _, name = full_name.rpartition(".")
        self.written += pickle.GLOBAL + f"{module}\n{name}\n".encode()
