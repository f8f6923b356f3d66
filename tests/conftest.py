"""What the tests of several folders share."""

import os
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
