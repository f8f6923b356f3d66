"""A folder in a store that is far away, such as https://host/pack or s3://bucket/pack, read through fsspec.

Every request has a time-out and is repeated while the store is busy, slow or out of reach; what no repetition mends,
such as a file that is not there, is said at once.
"""

import logging
import os
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from fairmot.addresses import masked, masked_address
from fairmot.errors import LONGEST_REASON, ConfigError, DataError, excerpt

_REQUEST_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_PASSING_STATUS = (408, 425, 429)
"""Of HTTP, among those that say that the request is at fault."""
_OBS_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class FarStore:
    """Reads parts of files below an address; any number of threads may."""

    def __init__(self, address: str, patience_s: float) -> None:
        """Find fsspec's file system for the address; nothing is asked of the store.

        Args:
            address: of a folder.
            patience_s: seconds for which a request that fails is repeated.

        Raises:
            ConfigError: no file system of that name is known or installed, or OBS has no endpoint.
        """
        self._address = address.rstrip("/")
        self._patience_s = patience_s
        protocol, mark, rest = self._address.partition("://")
        if protocol == "obs":
            _check_obs(address)
            protocol = "s3"  # OBS answers to it
        self._asked = protocol + mark + rest
        self._files = _file_system(protocol, address)

    def name(self, file: str = "") -> str:
        """What messages call the folder or one of its files, without passwords."""
        return masked_address(_joined(self._address, file) if file else self._address)

    def read(self, file: str, start: int, end: int) -> bytes:
        """Bytes `start` to `end` (exclusive) of a file, or fewer where it ends before.

        Raises:
            DataError: they cannot be had.
        """
        content: bytes = self._persist(file, lambda: self._call("cat_file", file, start=start, end=end))
        if len(content) > end - start:
            raise DataError(
                f"{self.name(file)}: the server sends whole files where a part is asked for; serve packs by one that "
                "answers range requests, such as nginx, Apache or an object store"
            )
        return content

    def read_exactly(self, file: str, start: int, end: int) -> bytes:
        """`read`, where the file is known to be long enough.

        Raises:
            DataError: they cannot be had, or the file is shorter.
        """
        content = self.read(file, start, end)
        if len(content) < end - start:
            raise DataError(f"{self.name(file)}: ends at byte {start + len(content)} and is cut short; copy it again")
        return content

    def size(self, file: str) -> int:
        """A file's size in bytes.

        Raises:
            DataError: it cannot be had.
        """
        # fsspec's HTTP calls a file whose size it cannot get "not found", whatever the reason; this request tells.
        self.read(file, 0, 1)

        def ask() -> int:
            try:
                size = self._call("info", file)["size"]
            except FileNotFoundError:
                size = None
            if size is None:
                raise ConnectionError("the store does not say how large it is")
            return int(size)

        return self._persist(file, ask)

    def _call(self, method: str, file: str, **arguments: Any) -> Any:
        path = self._files._strip_protocol(_joined(self._asked, file))
        if self._files.async_impl:  # fsspec's time-out of a whole call; what lies in this machine's memory has none
            arguments["timeout"] = _REQUEST_S
        return getattr(self._files, method)(path, **arguments)

    def _persist(self, file: str, call: Callable[[], Answer]) -> Answer:
        began_at_s, pause_s, attempts = time.monotonic(), _FIRST_PAUSE_S, 0
        while True:
            attempts += 1
            try:
                return call()
            except Exception as error:  # the libraries below have no base of their own
                if (cause := _lasting_cause(error)) is not None:
                    raise DataError(f"{self.name(file)}: {cause}") from error
                reason = excerpt(masked(str(error)) or type(error).__name__, LONGEST_REASON)
                waited_s = time.monotonic() - began_at_s
                if waited_s + pause_s > self._patience_s:
                    raise DataError(
                        f"{self.name(file)}: cannot be read ({reason}), tried {attempts} times in {waited_s:.0f} s; "
                        "look after the store and the network, then start again; data.pack_cache.patience_s= says how "
                        "long to try"
                    ) from error
                _logger.warning("%s: %s; trying again in %.1f s", self.name(file), reason, pause_s)
            # Ranks that failed together should not come back together. Python's own generator is left as it is.
            time.sleep(pause_s * random.Random(time.monotonic_ns()).uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _lasting_cause(error: Exception) -> str | None:
    """Why asking again would not help, and what would; None where it may."""
    status = getattr(error, "status", None)
    if isinstance(error, PermissionError) or type(error).__name__ == "NoCredentialsError" or status in (401, 403):
        return "the store refuses access; give credentials by fsspec's configuration, the environment or the address"
    if isinstance(error, FileNotFoundError):
        return "is not there; check data.packed=, or copy the pack there again, manifest.json last"
    if isinstance(status, int) and 400 <= status < 500 and status not in _PASSING_STATUS:
        return f"the server refuses the request with {status}; check data.packed=, or copy the pack there again"
    return None


def _joined(address: str, file: str) -> str:
    """The address of a file in a folder; what stands behind a ? of HTTP, such as a signature, stays behind."""
    base, mark, query = address.partition("?") if address.startswith("http") else (address, "", "")
    return f"{base.rstrip('/')}/{file}{mark}{query}"


def _check_obs(address: str) -> None:
    """Refuse OBS without an endpoint: Amazon would be asked for somebody else's bucket."""
    import fsspec  # noqa: PLC0415  (see _file_system)

    settings = fsspec.config.conf.get("s3", {})
    named = settings.get("endpoint_url") or settings.get("client_kwargs", {}).get("endpoint_url")
    if not named and not any(map(os.environ.get, _OBS_ENDPOINTS)):
        raise ConfigError(
            f"data.packed={masked_address(address)}: OBS is asked as S3, and nothing says where; export "
            f"{_OBS_ENDPOINTS[0]}=https://obs.<region>.myhuaweicloud.com"
        )


def _file_system(protocol: str, address: str) -> Any:
    import fsspec  # noqa: PLC0415  (takes a tenth of a second, which packs in a folder need not pay)

    try:
        return fsspec.filesystem(protocol)
    except (ImportError, ValueError) as error:
        extra = "; the extra s3 brings it: pip install -e '.[s3]'" if protocol == "s3" else ""
        raise ConfigError(f"data.packed={masked_address(address)}: {masked(str(error))}{extra}") from error
