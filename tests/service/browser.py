"""A real browser for the tests, whose pages may not complain."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import required

ARTEFACTS = Path(__file__).parents[2] / ".artefacts"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium; skips the test on a machine without, and fails it in CI."""
    path = required("chromium", "chromium-browser")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=OPTIONS)


@contextmanager
def quiet_page(browser: Browser, expected: str | None = None, **options: Any) -> Iterator[Page]:
    """A page of its own; what its console says must match `expected`, which is usually nothing."""
    complaints: list[str] = []
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [text for text in complaints if not (expected and re.search(expected, text))] == []


def picture(page: Page, name: str) -> None:
    """Keep what the page looks like, for people."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)
