"""The page to try the API, in a real browser."""

import os
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from standalone.stack import Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip


def test_a_job_can_be_created_from_the_page(stack: Stack) -> None:
    if not CHROMIUM:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing")
        pytest.skip("chromium is not installed")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{stack.url}/docs")
        create = page.locator("#operations-jobs-create_job")
        create.locator(".opblock-summary").click()
        create.get_by_role("button", name="Try it out").click()
        create.locator("textarea").fill('{"dataset": {"training_size": 10}}')
        create.get_by_role("button", name="Execute").click()
        expect(create.locator(".live-responses-table")).to_contain_text("queued")
        browser.close()
    assert complaints == []
