"""Arrays in .npz files, where they are what NumPy's savez wrote: not compressed, no larger than the file.

They are not read but mapped: all processes of a host that open the same file share the system's one copy of it.
"""

import io
import math
import mmap
import struct
import zipfile
import zlib
from typing import BinaryIO

import numpy as np

from fairmot.files import ShortReads

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., lengths of the name and of the extra field
_SIGNATURE = b"PK\x03\x04"
_LONGEST_ARRAY_HEADER = 4096
_BLOCK_BYTES = 4 << 20
_SUFFIX = ".npy"


def map_arrays(stream: BinaryIO, *, compare_checksums: bool) -> dict[str, np.ndarray]:
    """All arrays of an open .npz file, read-only; the file may be closed, and must not be changed in place.

    Args:
        stream: the file.
        compare_checksums: read everything and compare the CRC-32 of each array. A digest of the file that somebody has
            compared already does instead.

    Raises:
        Exception: of many kinds: it is none, or is damaged.
    """
    with zipfile.ZipFile(ShortReads(stream)) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("its arrays are compressed")
    if not entries or any(not entry.filename.endswith(_SUFFIX) for entry in entries):
        raise ValueError("its parts are not arrays")
    content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    arrays = {}
    for entry in entries:
        start, end = _extent(content, entry)
        if compare_checksums and _crc32(content, start, end) != entry.CRC:
            raise ValueError(f"{entry.filename}: damaged, its checksum does not fit")
        arrays[entry.filename.removesuffix(_SUFFIX)] = _array(content, start, end)
    return arrays


def _extent(content: mmap.mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the bytes of an entry begin and end."""
    signature, name_length, extra_length = _LOCAL_HEADER.unpack_from(content, entry.header_offset)
    start = entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    end = start + entry.file_size
    if signature != _SIGNATURE or entry.file_size != entry.compress_size or end > len(content):
        raise ValueError(f"{entry.filename}: its arrays are larger than the file")
    return start, end


def _array(content: mmap.mmap, start: int, end: int) -> np.ndarray:
    """The array whose .npy file lies there. Its numbers need not begin at a multiple of their size."""
    header = io.BytesIO(content[start : min(end, start + _LONGEST_ARRAY_HEADER)])
    if np.lib.format.read_magic(header) != (1, 0):
        raise ValueError("an array of another version than savez writes")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(header)
    if dtype.hasobject or fortran_order:
        raise ValueError("an array of objects, or stored by columns")
    start += header.tell()
    if min(shape, default=0) < 0 or start + math.prod(shape) * dtype.itemsize != end:
        raise ValueError(f"an array of {shape} numbers in {end - start} bytes")
    return np.ndarray(shape, dtype, content, start)


def _crc32(content: mmap.mmap, start: int, end: int) -> int:
    crc32 = 0
    with memoryview(content) as view:
        for begin in range(start, end, _BLOCK_BYTES):
            crc32 = zlib.crc32(view[begin : min(begin + _BLOCK_BYTES, end)], crc32)
    return crc32
