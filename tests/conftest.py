"""What the tests of several folders share."""

import logging
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import fairmot  # noqa: F401  (sets the CPU kernels' limit before anything imports mindspore)

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--renew-golden", action="store_true", help="write the table of kernels anew (test_golden_kernels.py)"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, of these such with few: tests of minutes stand nearly alone in their files."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: slow.get(item.path, math.inf))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with material that must not be committed (real sequences, fixtures made from them)."""
    folder = Path(os.environ.get("FAIRMOT_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no {folder}: real sequences under a non-commercial licence are not part of the project")
    return folder


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command called in this process lets Hydra set up logging: that shall not reach the tests after it."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in list(root.handlers):
        # Those of pytest come and go with a test's phases.
        if handler not in handlers and not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)
