"""The system's Chromium, for tests that look at pages as people see them.

FAIRMOT_SCREENSHOTS=<folder> keeps a picture of each page that was looked at.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE_MS = 60_000


@contextmanager
def open_browser() -> "Iterator[Page]":
    """An empty page; skips the test where playwright or a Chromium is missing."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[browser]'"
    )
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium in the PATH: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        sync_api.expect.set_options(timeout=PATIENCE_MS)
        yield page
        browser.close()


def keep_picture(page: "Page", name: str) -> None:
    """Write <name>.png where FAIRMOT_SCREENSHOTS says, if it does."""
    if folder := os.environ.get("FAIRMOT_SCREENSHOTS"):
        page.wait_for_timeout(1500)  # animations
        page.screenshot(path=f"{folder}/{name}.png")
