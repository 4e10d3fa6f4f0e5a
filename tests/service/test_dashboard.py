"""The dashboard, used in a real browser as people use it."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.serving import one_process
from standalone.stack import Stack
from tests.conftest import Http, eventually, running
from tests.service.browser import picture, quiet_page
from tests.service.test_keys import add

ACCESSIBILITY = Path(__file__).with_name("accessibility.js").read_text()
#: Trains for a minute, in many small epochs; no test waits for its end.
LONG = {
    "name": "long",
    "hyperparameters": {"epochs": 10_000},
    "dataset": {"training_size": 1_000_000, "test_size": 1000, "generator": "pcg64"},
}
SMALL = {"name": "small", "dataset": {"training_size": 100, "test_size": 10}}
FAILURES = "Failed to load resource"
PHONE, WIDE = {"width": 360, "height": 740}, {"width": 1440, "height": 900}


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    with quiet_page(browser, base_url=stack.url, viewport=WIDE) as opened:
        yield opened


@pytest.fixture
def refused(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page whose requests may be refused."""
    with quiet_page(browser, FAILURES, base_url=stack.url, viewport=WIDE) as opened:
        yield opened


@pytest.fixture(scope="module")
def exploded(stack: Stack) -> Any:
    wild = {"schedule": "constant", "rate": 1e-3}
    with Http(stack.url) as http:
        return http.run_job({"name": "wild", "hyperparameters": {"learning_rate": wild}})


def badge(page: Page) -> Any:
    return page.locator(".state .badge")


def job_id(page: Page) -> str:
    return page.url.rpartition("/")[2]


def test_the_policy_allows_nothing_from_outside_and_nothing_inline(http: Http) -> None:
    answer = http.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "://" not in answer.text
    for source in re.findall(r'(?:src|href)="(/[^"]+)"', answer.text):
        assert http.get(source).status_code == 200


def test_the_published_run_is_started_from_the_form_and_reaches_100_percent(
    page: Page, http: Http
) -> None:
    page.goto("/")
    page.get_by_role("link", name="New job").last.click()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_label("Published run")).to_be_checked()
    page.get_by_role("button", name="Start training").click()
    expect(badge(page)).to_have_text("succeeded")
    expect(page.locator(".figures")).to_contain_text("Accuracy100 %")
    rows = page.get_by_role("region", name="Table of epochs").locator("tbody tr")
    expect(rows).to_have_count(10)
    epochs = http.get(f"/v1/jobs/{job_id(page)}/epochs").json()["epochs"]
    for row, epoch in zip(rows.all_text_contents(), epochs, strict=True):
        assert f"{epoch['correct']}/{epoch['total']}" in row
        assert ", ".join(map(str, epoch["weights"])) in row
    expect(page.get_by_role("img", name="100 % of the test rows are right")).to_be_visible()
    demo = page.get_by_role("region", name="The article's demonstration")
    expect(demo).to_contain_text("1024 + 204830721969.86380429341723072.2695417020814")


def test_the_neuron_adds_what_is_typed(page: Page, published: Any, http: Http) -> None:
    page.goto(f"/#/jobs/{published['id']}")
    box = page.get_by_role("region", name="Let it add")
    box.get_by_label("Numbers to add").fill("2.2 1.5\n\n-7,1e3")
    box.get_by_role("button", name="Add").click()
    expect(box.locator("tbody tr")).to_have_count(2)
    expect(box.locator("tbody tr").first).to_contain_text("3.700334223241915")
    box.get_by_label("Weights after epoch").select_option("1")
    first = http.post(
        f"/v1/jobs/{published['id']}/predict", json={"inputs": [[2.2, 1.5]], "epoch": 1}
    ).json()["outputs"][0]
    expect(box.locator("tbody tr").first).to_contain_text(str(first))
    box.get_by_label("Numbers to add").fill("1, 2\n1, two")
    box.get_by_role("button", name="Add").click()
    expect(box.get_by_role("alert")).to_contain_text("Line 2, “1, two”, is not 2 numbers.")


def test_an_explosion_is_explained_and_a_rate_that_works_is_offered(page: Page) -> None:
    page.goto("/#/new")
    page.get_by_label("One that explodes").check()
    page.get_by_role("button", name="Start training").click()
    why = page.get_by_role("region", name="The gradients exploded")
    expect(why).to_contain_text("epoch 1, step 352")
    expect(why).to_contain_text("1.42·10⁻⁴")
    picture(page, "exploded")
    why.get_by_role("link", name="half the largest rate").click()
    expect(page.get_by_label("Rate", exact=True)).to_have_value("0.000071")
    page.get_by_role("button", name="Start training").click()
    expect(badge(page)).to_have_text("succeeded")


def newest_job(http: Http) -> list[str]:
    return [job["id"] for job in http.get("/v1/jobs?limit=1").json()["jobs"]]


def test_the_forecast_tells_what_will_happen_before_the_start(refused: Page, http: Http) -> None:
    page, newest = refused, newest_job(http)
    page.goto("/#/new")
    forecast = page.get_by_role("region", name="Forecast")
    expect(forecast.get_by_role("status")).to_have_text("It will learn: 100 % right.")
    expect(forecast).to_contain_text("1.42·10⁻⁴")
    picture(page, "forecast")
    page.get_by_label("One that explodes").check()
    expect(forecast.get_by_role("status")).to_have_text("It will explode in epoch 1.")
    page.get_by_label("Training rows").fill("60")
    page.get_by_label("Epochs", exact=True).fill("1")
    expect(forecast.get_by_role("status")).to_contain_text("It will not learn")
    expect(forecast).to_contain_text("not known: about")
    page.get_by_label("Training rows").fill("0")
    expect(forecast.get_by_role("status")).to_have_text("The service would not take this job.")
    assert newest_job(http) == newest


def start_with_two_mistakes(page: Page) -> None:
    page.goto("/#/new")
    page.get_by_label("Epochs", exact=True).fill("many")
    page.get_by_label("Training rows").fill("0")
    page.get_by_role("button", name="Start training").click()


def test_what_the_service_refuses_is_told_beside_the_field(refused: Page) -> None:
    page = refused
    start_with_two_mistakes(page)
    epochs = page.get_by_label("Epochs", exact=True)
    expect(epochs).to_be_focused()
    expect(epochs).to_have_accessible_description(re.compile("should be a valid integer"))
    expect(page.get_by_label("Training rows")).to_have_accessible_description(
        re.compile("should be greater than or equal to 1")
    )
    expect(page.get_by_role("alert")).to_contain_text("The job was not started.")
    forecast = page.get_by_role("region", name="Forecast")
    expect(forecast).to_contain_text("Epochs: should be a valid integer")


def test_what_was_refused_is_forgotten_where_it_is_put_right(refused: Page) -> None:
    page = refused
    start_with_two_mistakes(page)
    wrong = page.locator("[aria-invalid]")
    expect(wrong).to_have_count(2)
    page.get_by_label("Epochs", exact=True).fill("3")
    expect(wrong).to_have_count(1)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("One that explodes").check()
    expect(wrong).to_have_count(0)


def test_a_long_job_is_seen_live_and_can_be_paused_resumed_and_cancelled(
    page: Page, http: Http
) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    created = http.post("/v1/jobs", json=LONG).json()
    page.goto(f"/#/jobs/{created['id']}")
    expect(badge(page)).to_have_text("running")
    bar = page.get_by_role("progressbar", name="Progress of the training")
    expect(bar).not_to_have_js_property("value", bar.evaluate("bar => bar.value"))
    page.get_by_role("button", name="Pause").click()
    expect(badge(page)).to_have_text("paused")
    page.get_by_role("spinbutton", name="Epoch").fill("5000")
    page.get_by_role("spinbutton", name="Epoch").press("Enter")
    expect(page.get_by_text("Epoch 5,000 has not begun. This is step 1 of epoch")).to_be_visible()
    resume = page.get_by_role("button", name="Resume")
    resume.click()
    expect(resume).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the training").click()
    expect(badge(page)).to_have_text("cancelled")
    expect(page.get_by_role("status").last).to_contain_text("cancelled")
    assert f"{http.base}/v1/jobs/{created['id']}/events" in urls


def test_when_all_streams_are_taken_the_page_polls(refused: Page, http: Http) -> None:
    page = refused
    taken = {"status": 503, "title": "Service Unavailable", "detail": "taken"}
    page.route("**/events", lambda route: route.fulfill(status=503, json=taken))
    created = http.post("/v1/jobs", json=LONG).json()
    page.goto(f"/#/jobs/{created['id']}")
    expect(badge(page)).to_have_text("running")
    expect(page.locator(".state progress")).not_to_have_js_property("value", 0)
    http.post(f"/v1/jobs/{created['id']}/cancel")
    expect(badge(page)).to_have_text("cancelled")


def test_two_jobs_are_compared(page: Page, http: Http, exploded: Any) -> None:
    published = http.run_job({})  # one of the newest, which the first page lists
    page.goto("/")
    for job in (published, exploded):
        page.locator(f'li:has(a[href="#/jobs/{job["id"]}"])').get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare the two").click()
    figures = page.get_by_role("region", name="Final figures")
    expect(figures.locator(".badge")).to_have_text(["succeeded", "failed"])
    different = page.get_by_role("region", name="Differences of the specifications")
    expect(different.locator("tbody tr")).to_have_count(1)
    expect(different.locator("tbody tr")).to_contain_text("0.001, constant")
    picture(page, "compare")


def test_a_step_is_seen_under_the_microscope(page: Page, exploded: Any, http: Http) -> None:
    page.goto(f"/#/jobs/{exploded['id']}")
    page.get_by_role("button", name="Look at its steps").click()
    microscope = page.get_by_role("region", name="Under the microscope")
    expect(microscope).to_be_focused()
    steps = http.get(f"/v1/jobs/{exploded['id']}/steps", params={"count": 2}).json()["steps"]
    for step in steps:
        expect(microscope).to_contain_text(str(step["weights_after"][0]))
        microscope.get_by_role("button", name="Step ›").click()
    path = page.get_by_role("region", name="The path of the weights")
    expect(path.locator("svg").first).to_be_visible()


def test_a_job_can_be_named_verified_and_deleted(refused: Page, http: Http) -> None:
    page = refused  # it may look at the job while that is deleted
    job = http.run_job(SMALL)
    page.goto(f"/#/jobs/{job['id']}")
    page.get_by_role("button", name="Name as model").click()
    page.get_by_label("Name of the model").fill("from-the-page")
    page.get_by_role("dialog").get_by_role("button", name="Serve").click()
    expect(page.locator(".note")).to_contain_text("version 1")
    assert http.get("/v1/models/from-the-page").json()["job_id"] == job["id"]
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"verify {job['id']}")
    expect(badge(page)).to_have_text("succeeded")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")


def test_the_list_is_filtered_and_paged(page: Page, http: Http, exploded: Any) -> None:
    for _ in range(21):
        http.post("/v1/jobs", json=SMALL)
    page.goto("/")
    jobs = page.get_by_role("list", name="Jobs").get_by_role("listitem")
    expect(jobs).to_have_count(20)
    newest = jobs.first.get_by_role("link").get_attribute("href") or ""
    page.get_by_role("button", name="Older").click()
    expect(page.locator(f'.jobs a[href="{newest}"]')).to_have_count(0)
    page.get_by_role("button", name="Newer").click()
    expect(page.locator(f'.jobs a[href="{newest}"]')).to_have_count(1)
    page.get_by_label("Failed").check()
    expect(page.locator(f'.jobs a[href="#/jobs/{exploded["id"]}"]')).to_be_visible()
    expect(page.locator('.jobs .badge:not([data-status="failed"])')).to_have_count(0)


def test_a_failed_job_is_tried_again(page: Page, http: Http) -> None:
    rows = {"training_size": 1000, "test_size": 10}
    wild = {"learning_rate": {"schedule": "constant", "rate": 1e-3}}
    job = http.run_job({"dataset": rows, "hyperparameters": wild})
    page.goto(f"/#/jobs/{job['id']}")
    page.get_by_role("button", name="Retry").click()
    expect(badge(page)).to_have_text("failed")
    events = f"/v1/jobs/{job['id']}/events"
    eventually(lambda: http.get(events).text.count('"failed"') == 2, "it has failed again")


def test_a_service_without_a_worker_says_so_until_there_is_one(refused: Page) -> None:
    page, sentence = refused, "No worker is alive; accepted jobs wait."
    unready = {"status": 503, "title": "Service Unavailable", "detail": sentence}
    page.route("**/readyz", lambda route: route.fulfill(status=503, json=unready))
    page.goto("/")
    expect(page.get_by_role("alert")).to_have_text(sentence)
    expect(page.locator("#sign")).to_have_text("not ready")
    page.unroute("**/readyz")
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator("#sign")).to_have_text("1 worker")


def test_a_job_that_is_not_there_is_said_so(refused: Page) -> None:
    page = refused
    page.goto(f"/#/jobs/{'0' * 32}")
    expect(page.get_by_role("alert")).to_contain_text("There is no such job")
    page.goto("/#/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")


def test_a_key_is_asked_for_and_a_dead_api_is_waited_for(browser: Browser, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    key = add(keys, "research", "train", "predict")
    login = {"username": "me", "password": key}
    expected = f"{FAILURES}|net::ERR"
    with (
        running({"NEURON_API_KEYS_FILE": str(keys)}, programs=one_process) as stack,
        quiet_page(browser, expected, base_url=stack.url, http_credentials=login) as page,
    ):
        page.goto("/")
        page.get_by_label("API key", exact=True).fill(key)
        page.get_by_role("button", name="Use this key").click()
        page.get_by_role("button", name="Start the published run").click()
        expect(badge(page)).to_have_text("succeeded")
        with Http(stack.url) as http:
            http.headers["Authorization"] = f"Bearer {key}"
            page.goto(f"/#/jobs/{http.post('/v1/jobs', json=LONG).json()['id']}")
        expect(badge(page)).to_have_text("running")
        banner = page.get_by_role("alert").filter(has_text="Disconnected, trying again")

        def kill_and_look() -> bool:
            with suppress(ProcessLookupError):  # dead still
                os.killpg(stack.process("api").pid, signal.SIGKILL)
            return banner.is_visible()

        eventually(kill_and_look, "the page tells")
        expect(page.get_by_role("region", name="State")).to_be_visible()
        banner.wait_for(state="hidden")
        expect(page.locator("#sign")).to_have_text("1 worker")
        page.get_by_role("button", name="Pause").click()
        expect(badge(page)).to_have_text("paused")


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("main").get_by_role("link", name="New job")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New job", level=1)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Published run")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Name")).to_have_value("without regularization")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(badge(page)).to_have_text("succeeded")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, WIDE], ids=["phone", "wide"])
def test_every_page_fits_the_screen_and_is_accessible(
    browser: Browser, stack: Stack, published: Any, exploded: Any, size: Any, scheme: Any
) -> None:
    options = {"base_url": stack.url, "viewport": size, "color_scheme": scheme}
    views = {
        "list": "/#/",
        "new": "/#/new",
        "job": f"/#/jobs/{published['id']}",
        "two": f"/#/compare/{published['id']}/{exploded['id']}",
    }
    with quiet_page(browser, **options) as page:
        for name, address in views.items():
            page.goto(address)
            page.locator(".badge, .preset").first.wait_for()
            picture(page, f"{name}-{'phone' if size is PHONE else 'wide'}-{scheme}")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], f"{name} is {width} pixels wide"
            assert page.evaluate(ACCESSIBILITY) == [], name
