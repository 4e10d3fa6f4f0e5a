"""The page to try the API, in a real browser."""

from playwright.sync_api import Browser, expect

from standalone.stack import Stack
from tests.service.browser import quiet_page


def test_a_job_can_be_created_from_the_page(browser: Browser, stack: Stack) -> None:
    with quiet_page(browser) as page:
        page.goto(f"{stack.url}/docs")
        create = page.locator("#operations-jobs-create_job")
        create.locator(".opblock-summary").click()
        create.get_by_role("button", name="Try it out").click()
        create.locator("textarea").fill('{"dataset": {"training_size": 10}}')
        create.get_by_role("button", name="Execute").click()
        expect(create.locator(".live-responses-table")).to_contain_text("queued")
