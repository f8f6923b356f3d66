"""Addresses such as rtsp://camera/1 and https://host/street.mp4; the passwords in them are for nobody's eyes."""

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
# A password may hold an @ or, wrongly, a slash; host:5000/a@b holds none.
_USER = re.compile(r"://(?:[^/]+|[^/:@]+:(?!\d+/)\S*)@")
_SECRET = re.compile(r"((?:user|usr|login|pas|pwd|token|secret|auth|key|sig)[^=&?/]*=)[^&]*", re.IGNORECASE)
_OF_FILES = ("http", "https", "ftp", "sftp")


def is_address(text: str) -> bool:
    """Whether a source is named by a protocol, not by a path."""
    return _ADDRESS.match(text) is not None


def may_be_file(address: str) -> bool:
    """Whether its protocol brings files too; what others bring is live."""
    return address.partition("://")[0].lower() in _OF_FILES


def masked(text: str) -> str:
    """An address, or a message with addresses, without users, passwords and keys."""
    return _ADDRESS.sub(lambda found: _SECRET.sub(r"\1***", _USER.sub("://***@", found[0])), text)


def name_of_address(address: str) -> str:
    """A name for files made from what is there: street of https://host/street.mp4, camera_live_1 of rtsp://camera/live/1."""
    parts = urlsplit(masked(address))
    path = PurePosixPath(unquote(parts.path))
    host = parts.netloc.rpartition("@")[2]
    whole = "_".join([host, *(part for part in path.parts if part != "/")])
    return re.sub(r"[^\w.-]+", "_", path.stem if may_be_file(address) and path.stem else whole).strip("._") or "stream"
