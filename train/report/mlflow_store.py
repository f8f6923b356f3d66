"""First contact with MLflow's server or store.

A store that is a file on this machine is made by whoever comes first. MLflow makes its tables one by one and without a
lock: two processes at once, or one that is killed meanwhile, would leave a file that no MLflow opens again. Here the
processes wait for each other, and the file gets its name once it is whole.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fairmot.addresses import masked_address
from fairmot.errors import FairMOTError
from fairmot.locks import lock_within

_PATIENCE_S = 600.0

# MLflow alone would wait 120 s and retry 7 times before this module hears of a failure. What the user has set stays.
_MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def connect(tracking_uri: str, say: Callable[[str], None]) -> Any:
    """MLflow's client for a server or store; an SQLite file that is not there is made.

    Args:
        tracking_uri: where it is.
        say: told of a long wait for other processes.

    Raises:
        FairMOTError: MLflow knows no such address.
        Exception: whatever MLflow raises where the store cannot be opened.
    """
    for name, value in _MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient  # noqa: PLC0415 (seconds of import)
    from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException  # noqa: PLC0415

    try:
        with one_at_a_time(tracking_uri, say):
            file = _file_of(tracking_uri)
            if file is not None and not file.exists():
                _make_whole(file, MlflowClient)
            return MlflowClient(tracking_uri)
    except UnsupportedModelRegistryStoreURIException as error:
        raise FairMOTError(
            f"mlflow.tracking_uri '{masked_address(tracking_uri)}' cannot be used: values are kept locally only; "
            "use http(s)://host:port, sqlite:///file.db or another address MLflow knows"
        ) from error


@contextlib.contextmanager
def one_at_a_time(tracking_uri: str, say: Callable[[str], None]) -> Iterator[None]:
    """Within the body no other process of this program makes something new in the same SQLite file.

    Servers see to that themselves. Where the folder takes no file, or its file system has no locks, nobody waits.

    Raises:
        BlockingIOError: another process holds it for ten minutes.
    """
    with contextlib.ExitStack() as stack:
        file = _file_of(tracking_uri)
        if file is not None:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)  # as MLflow would
                stream = stack.enter_context(file.with_name(f".{file.name}.lock").open("a"))
                lock_within(stream, _PATIENCE_S, lambda s: say(f"waiting for who makes {file} ({s:.0f} s)"))
            except BlockingIOError:
                raise
            except OSError:
                pass
        yield


def _file_of(tracking_uri: str) -> Path | None:
    """The SQLite file of an address; None: a server's, or in memory."""
    scheme, _, rest = tracking_uri.partition(":///")
    name = rest.partition("?")[0]
    if scheme.partition("+")[0] != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)


def _make_whole(file: Path, client: Callable[[str], Any]) -> None:
    """Make an empty store beside `file`, then give it that name."""
    for left in file.parent.glob(f".{file.name}.*.new*"):  # of a process that was killed
        left.unlink(missing_ok=True)
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}.new")
    try:
        client(f"sqlite:///{beside}")
        beside.rename(file)
    finally:
        beside.unlink(missing_ok=True)
