"""Addresses such as rtsp://camera/1 and https://host/street.mp4; passwords and tokens are for nobody's eyes."""

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

# Whatever may be long has a limit: a text of many addresses, or of one endless word, must not take minutes.
# In a sentence an address ends with a blank, unless it is one of a password: user:a b@host.
_ADDRESS = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{0,30}://(?:[^\s/:@]{0,200}:(?!\d+(?:[/\s:,;.)]|$))[^\s@][^\n@]{0,200}@)?\S*"
)
# A password may hold an @ or, wrongly, a slash; host:5000/a@b holds none, but those of databases have user:1/a@host.
_USER = re.compile(r"://(?:[^/]+|[^/:@]{0,200}:(?!\d+/).{0,500})@", re.DOTALL)
_USER_OF_DATABASE = re.compile(r"://(?:[^/]+|[^/:@]{0,200}:.{0,500})@", re.DOTALL)
_OF_DATABASES = ("postgres", "mysql", "mariadb", "mssql", "oracle")
_SECRET = re.compile(
    r"((?:user|usr|uid|login|pas|pw|token|secret|auth|key|sig|cred|jwt|session)[^=&?/]{0,100}?(?:=|%3D))[^&]*",
    re.IGNORECASE,
)
# What GitHub, GitLab, Hugging Face, Databricks, AWS, Slack and others hand out, and signed tokens (JWT).
_TOKEN = re.compile(
    r"\b(?:gh[opsur]_\w{36,}|github_pat_\w{50,}|glpat-[\w-]{20,}|hf_[A-Za-z]{30,}|dapi[0-9a-f]{32}|(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|xox[abeprs]-[\w-]{10,}|sk-[\w-]{32,}|eyJ[\w-]{10,1000}\.[\w-]{10,}\.[\w-]*)"
)
_OF_FILES = ("http", "https", "ftp", "sftp")


def is_address(text: str) -> bool:
    """Whether a source is named by a protocol, not by a path."""
    return _ADDRESS.match(text) is not None


def may_be_file(address: str) -> bool:
    """Whether its protocol brings files too; what others bring is live."""
    return address.partition("://")[0].lower() in _OF_FILES


def masked(text: str) -> str:
    """A message without the users, passwords and keys of its addresses, and without tokens."""
    return _TOKEN.sub("***", _ADDRESS.sub(lambda found: _without_secrets(found[0]), text))


def masked_address(text: str) -> str:
    """The same of a value that, where it is an address, is one from end to end, with all its blanks."""
    return masked(_without_secrets(text) if is_address(text) else text)


def _without_secrets(address: str) -> str:
    user = _USER_OF_DATABASE if address.lower().startswith(_OF_DATABASES) else _USER
    return _SECRET.sub(r"\1***", user.sub("://***@", address))


def name_of_address(address: str) -> str:
    """A name for files made from what is there: street of https://host/street.mp4, camera_live_1 of rtsp://camera/live/1."""
    parts = urlsplit(masked(address))
    path = PurePosixPath(unquote(parts.path))
    host = parts.netloc.rpartition("@")[2]
    whole = "_".join([host, *(part for part in path.parts if part != "/")])
    return re.sub(r"[^\w.-]+", "_", path.stem if may_be_file(address) and path.stem else whole).strip("._") or "stream"
