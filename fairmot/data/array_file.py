"""Arrays in .npz files, read only where they are what NumPy's savez wrote: not compressed, no larger than the file."""

import os
import zipfile
from typing import BinaryIO

import numpy as np

from fairmot.files import ShortReads


def read_arrays(stream: BinaryIO) -> dict[str, np.ndarray]:
    """All arrays of an open .npz file.

    Raises:
        Exception: of many kinds: it is none, is damaged, or would become larger than it is.
    """
    size_bytes = os.fstat(stream.fileno()).st_size
    loaded = np.load(ShortReads(stream), allow_pickle=False)
    if not isinstance(loaded, np.lib.npyio.NpzFile) or loaded.zip is None:
        raise ValueError("one array, not several with names")
    with loaded:
        entries = loaded.zip.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its arrays are compressed")
        if sum(entry.file_size for entry in entries) > size_bytes:
            raise ValueError("its arrays are larger than the file")
        return dict(loaded)
