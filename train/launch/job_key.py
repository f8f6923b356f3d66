"""The key of a job: by it the launchers of its hosts know each other, and nobody else.

It lies in the run directory, which all hosts of a job share and every other job has for itself. The lead makes it once
and it never changes, so it does no harm if another host sees it late.
"""

import hashlib
import hmac
import json
import re
import secrets
from pathlib import Path
from typing import Any

from fairmot.errors import FairMOTError
from fairmot.files import write_atomic
from train.shared_storage import is_listed

_NAME = ".launch_key"
_BYTES = 32


def make_key(run_dir: Path) -> bytes:
    """The key of this run directory, made where there is none.

    Raises:
        FairMOTError: there is something else, or it cannot be written.
    """
    key = read_key(run_dir)
    if key is None:
        key = secrets.token_bytes(_BYTES)
        try:
            write_atomic(run_dir / _NAME, key.hex() + "\n", private=True)
        except OSError as error:
            raise FairMOTError(f"{run_dir / _NAME}: cannot be written ({error.strerror})") from error
    return key


def read_key(run_dir: Path) -> bytes | None:
    """The key of this run directory; None where it is not to be seen yet.

    Raises:
        FairMOTError: it is no key, or not for this user's eyes.
    """
    path = run_dir / _NAME
    if not is_listed(path):
        return None
    try:
        with path.open("rb") as stream:
            text = stream.read(2 * _BYTES + 2)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FairMOTError(
            f"{path}: cannot be read ({error.strerror}); the launchers of a job must be started by the same user"
        ) from error
    if not re.fullmatch(rb"[0-9a-f]{%d}\n" % (2 * _BYTES), text):
        raise FairMOTError(f"{path}: is no launchers' key: delete it and start the job again")
    return bytes.fromhex(text.decode())


def proof(key: bytes, *said: Any) -> str:
    """What only those who have the key can add to what they say; `said` is what JSON can hold."""
    return hmac.new(key, json.dumps(said, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def proves(shown: Any, key: bytes, *said: Any) -> bool:
    """Whether `shown`, whatever a stranger has sent, is the proof of `said`."""
    return isinstance(shown, str) and hmac.compare_digest(shown.encode(errors="replace"), proof(key, *said).encode())
