"""A real browser for the tests, whose pages may not complain."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.conftest import required

ARTEFACTS = Path(__file__).parents[2] / ".artefacts"
#: Milliseconds; a busy machine may take a while.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip

_contexts: dict[tuple[Browser, str], BrowserContext] = {}


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
    page = context(browser, **options).new_page()
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert [text for text in complaints if not (expected and re.search(expected, text))] == []


def context(browser: Browser, **options: Any) -> BrowserContext:
    """One for all pages with these options; while one is open, others cost a second less."""
    key = browser, repr(options)
    if key not in _contexts:
        _contexts[key] = browser.new_context(**options)
        _contexts[key].new_page()
    return _contexts[key]


def picture(page: Page, name: str) -> None:
    """Keep what the page looks like, for people who made the folder for it."""
    if ARTEFACTS.is_dir():
        page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)
