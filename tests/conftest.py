"""What the tests of several folders share."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import fairmot  # noqa: F401  (sets the CPU kernels' limit before anything imports mindspore)

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--renew-golden", action="store_true", help="write the table of kernels anew (test_golden_kernels.py)"
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with material that must not be committed (real sequences, fixtures made from them)."""
    folder = Path(os.environ.get("FAIRMOT_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no {folder}: real sequences under a non-commercial licence are not part of the project")
    return folder


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Commands called in this process let Hydra set up logging; later tests do not see its level and handlers."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in list(root.handlers):
        # Those of pytest come and go with a test's phases.
        if handler not in handlers and not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)
