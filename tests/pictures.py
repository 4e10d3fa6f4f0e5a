"""`python -m tests.pictures`: takes the pictures of docs/how-it-learns.md from the dashboard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Browser, Locator, Page, expect

from standalone.stack import Stack
from tests.service.browser import chromium

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
SIZE = {"width": 700, "height": 800}
#: The three jobs of the page.
JOBS: dict[str, dict[str, Any]] = {
    "published": {"name": "published run"},
    "plain": {
        "name": "without regularization",
        "hyperparameters": {"regularization": {"kind": "none"}},
    },
    "exploded": {
        "name": "one that explodes",
        "hyperparameters": {"learning_rate": {"schedule": "constant", "rate": 1e-3}},
    },
}


def _microscope(page: Page, job: str, phase: str) -> Locator:
    page.goto(f"/#/jobs/{job}")
    page.get_by_role("button", name=phase, exact=True).click()
    return page.locator(".microscope .ms-figures")


def forward(page: Page, jobs: dict[str, str]) -> Locator:
    """The neuron at the first step."""
    return _microscope(page, jobs["published"], "Forward").locator(".ms-figure").first


def cost(page: Page, jobs: dict[str, str]) -> Locator:
    """The parabola of the cost at that step, and its derivative."""
    return _microscope(page, jobs["published"], "Backward").locator(".ms-figure").last


def backward(page: Page, jobs: dict[str, str]) -> Locator:
    """The gradients of that step."""
    return _microscope(page, jobs["published"], "Backward").locator(".ms-figure").first


def exploded(page: Page, jobs: dict[str, str]) -> Locator:
    """The step that leaves the finite numbers."""
    page.goto(f"/#/jobs/{jobs['exploded']}")
    page.get_by_role("button", name="explosion").click()
    expect(page.locator(".microscope .ms-spoken")).to_contain_text("Step 352")
    return page.locator(".microscope .ms-figure").first


def path(page: Page, jobs: dict[str, str]) -> Locator:
    """The weights on their way over the contours of the cost."""
    page.goto(f"/#/jobs/{jobs['published']}")
    plot = page.locator(".weights-path .wp-plot")
    expect(plot.locator("svg")).to_be_visible()
    return plot


def last_bits(page: Page, jobs: dict[str, str]) -> Locator:
    """The end of that way without regularization, at the size of single bits."""
    page.goto(f"/#/jobs/{jobs['plain']}")
    page.get_by_role("button", name="Follow the end").click()
    plot = page.locator(".weights-path .wp-plot")
    plot.focus()
    return plot


def compare(page: Page, jobs: dict[str, str]) -> Locator:
    """Accuracy by epoch, with and without regularization."""
    page.goto(f"/#/compare/{jobs['published']}/{jobs['plain']}")
    return page.locator("figure.chart").first


PICTURES: dict[str, Callable[[Page, dict[str, str]], Locator]] = {
    "forward": forward,
    "cost": cost,
    "backward": backward,
    "path": path,
    "compare": compare,
    "last-bits": last_bits,
    "exploded": exploded,
}


def take(browser: Browser, url: str, folder: Path) -> None:
    """Take all pictures into the folder."""
    jobs = {name: _run_job(url, body) for name, body in JOBS.items()}
    options: dict[str, Any] = {"viewport": SIZE, "device_scale_factor": 2}
    with browser.new_context(base_url=url, reduced_motion="reduce", **options) as context:
        for name, find in PICTURES.items():
            page = context.new_page()
            found = find(page, jobs)
            page.wait_for_load_state("networkidle")
            found.screenshot(path=folder / f"{name}.png")


def _run_job(url: str, body: dict[str, Any]) -> str:
    answer = requests.post(f"{url}/v1/jobs", json=body, headers={"Prefer": "wait=30"}, timeout=60)
    answer.raise_for_status()
    job_id: str = answer.json()["id"]
    return job_id


if __name__ == "__main__":
    with Stack() as stack, chromium() as running:
        take(running, stack.url, FOLDER)
