"""Which files are pictures: one list of endings for every command that looks into folders, and their order by name."""

import os
import re

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
FOREIGN_FOLDERS = frozenset({"@eaDir", "__MACOSX"})
"""What network storage and archives leave beside pictures: thumbnails and attributes under the pictures' names."""


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture; hidden ones, such as a Mac's ._000001.jpg, are not."""
    return name[0] != "." and os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122


def is_foreign_folder(name: str) -> bool:
    """Whether a folder of this name holds no data: hidden, or made by storage and archives for themselves."""
    return name.startswith(".") or name in FOREIGN_FOLDERS


def natural_order(name: str) -> list[tuple[bool, int, str]]:
    """A sort key by which frame2 stands before frame10."""
    parts = [part for part in re.split(r"([0-9]+)", name) if part]
    return [(False, int(part), "") if part.isdigit() else (True, 0, part) for part in parts]
