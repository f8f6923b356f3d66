"""MindSpore's .ckpt files: a protocol buffer of names, types, shapes and bytes.

MindSpore's own load_checkpoint takes a shape at its word, however few bytes there are for it.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from mindspore.train.checkpoint_pb2 import Checkpoint

from fairmot.errors import CheckpointError, excerpt
from fairmot.files import read_bounded

_MOST_BYTES = 2 << 30  # a protocol buffer has no more
_MOST_PARTS, _MOST_DIMENSIONS = 20_000, 32
_BFLOAT16, _TEXT = "BFloat16", "str"
_KINDS = {
    **{f"Int{bits}": f"i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": f"u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"Float{bits}": f"f{bits // 8}" for bits in (16, 32, 64)},
    _BFLOAT16: "u2",
    "Bool": "?",
}
_CHECKSUM, _CHECKSUM_BYTES = b"crc_num", 10  # may stand at the end


def read_ckpt_file(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The tensors of a file by name, bfloat16, which NumPy lacks, as float32; and the names of what is none.

    Raises:
        CheckpointError: it cannot be read, is damaged, or a tensor's bytes are not as many as its shape wants.
    """
    try:
        content = read_bounded(path, _MOST_BYTES)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    if content[-len(_CHECKSUM) - _CHECKSUM_BYTES : -_CHECKSUM_BYTES] == _CHECKSUM:
        content = content[: -len(_CHECKSUM) - _CHECKSUM_BYTES]
    try:
        read = dict(_entries(content))
    except Exception as error:  # protobuf's own have no base that could be named
        raise CheckpointError(f"{path}: not a checkpoint of MindSpore, cut off or damaged ({error})") from error
    tensors = {name: array for name, array in read.items() if array is not None}
    return tensors, [name for name, array in read.items() if array is None]


def _entries(content: bytes) -> Iterator[tuple[str, np.ndarray | None]]:
    """Name and array of each tensor; None for what is none."""
    values = Checkpoint.FromString(content).value
    if len(values) > _MOST_PARTS:
        raise ValueError(f"{len(values)} tensors or parts of them, and the limit is {_MOST_PARTS}")
    for name, parts in groupby(values, lambda value: value.tag):  # a large tensor comes in several parts
        whole = [part.tensor for part in parts if part.HasField("tensor")]
        if not whole or whole[-1].tensor_type == _TEXT:
            yield name, None
            continue
        data = b"".join(part.tensor_content for part in whole)
        yield name, _array(excerpt(name), data, whole[-1].tensor_type, whole[-1].dims)


def _array(name: str, data: bytes, type_name: str, dims: Sequence[int]) -> np.ndarray:
    if type_name not in _KINDS:
        raise ValueError(f"{name}: a tensor of type {excerpt(type_name)!r}")
    kind = np.dtype(_KINDS[type_name])
    shape = () if list(dims) == [0] else tuple(dims)  # so MindSpore writes a number
    if len(shape) > _MOST_DIMENSIONS or min(shape, default=1) < 1 or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"{name}: {len(data)} bytes for a {type_name} tensor of shape {excerpt(str(list(shape)))}")
    array = np.frombuffer(data, kind).reshape(shape)
    if type_name == _BFLOAT16:
        return np.asarray(np.left_shift(array, 16, dtype=np.uint32)).view(np.float32)
    return array
