"""The microscope and the path of the weights in a real browser, held against the API."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from standalone.stack import Stack
from tests.conftest import Http
from tests.service.browser import picture, quiet_page

PHONE, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
PLAIN = {"kind": "none"}


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    options: dict[str, Any] = {
        "base_url": stack.url,
        "viewport": WIDE,
        "reduced_motion": "reduce",
    }
    with quiet_page(browser, **options) as opened:
        yield opened


@pytest.fixture(scope="module")
def plain(stack: Stack) -> Any:
    """Two epochs without regularization."""
    settings = {"epochs": 2, "regularization": PLAIN}
    with Http(stack.url) as http:
        return http.run_job({"dataset": {"training_size": 20_000}, "hyperparameters": settings})


def look_at(page: Page, job: Any) -> None:
    page.goto(f"/#/jobs/{job['id']}")
    shows(page, 1, 1)


def shows(page: Page, epoch: int, step: int, phase: str = "Forward") -> None:
    """The microscope shows this step, which a screen reader has been told of."""
    told = f"Step {step:,} of epoch {epoch}: output"
    expect(page.locator(".microscope [aria-live]")).to_contain_text(told)
    pressed = page.get_by_role("group", name="phase", exact=True).locator("[aria-pressed=true]")
    expect(pressed).to_have_text(phase)
    expect(page.get_by_role("spinbutton", name="Step")).to_have_value(str(step))


def number(text: str) -> float | None:
    return None if text == "not finite" else float(text)


def shown(page: Page) -> dict[str, list[float | None]]:
    """All numbers of the tables, by the names that the API gives them."""
    rows = page.locator("[data-field]").all()
    return {
        row.get_attribute("data-field") or "": list(
            map(number, row.locator("data").all_text_contents())
        )
        for row in rows
    }


def listed(step: dict[str, Any]) -> dict[str, list[float | None]]:
    return {
        name: value if isinstance(value, list) else [value]
        for name, value in step.items()
        if name != "step"
    }


def steps(http: Http, job: Any, **query: int) -> list[dict[str, Any]]:
    answer = http.get(f"/v1/jobs/{job['id']}/steps", params=query)
    found: list[dict[str, Any]] = answer.json()["steps"]
    return found


def test_every_number_of_a_step_is_on_the_page_to_its_last_digit(
    page: Page, http: Http, published: Any
) -> None:
    look_at(page, published)
    page.get_by_role("spinbutton", name="Epoch").fill("3")
    page.get_by_role("spinbutton", name="Epoch").press("Enter")
    shows(page, 3, 1)
    page.get_by_role("spinbutton", name="Step").fill("1200")
    page.get_by_role("spinbutton", name="Step").press("Enter")
    shows(page, 3, 1200)
    [step] = steps(http, published, epoch=3, step=1200)
    assert shown(page) == listed(step)
    drawn = page.get_by_role("img", name="A neuron")
    expect(drawn).to_contain_text(f"{step['output']:.3f}"[:6])
    picture(page, "microscope-wide-light")


def test_phases_and_steps_are_gone_through_by_button_and_by_key(
    page: Page, http: Http, published: Any
) -> None:
    look_at(page, published)
    page.get_by_role("button", name="Next phase").click()
    shows(page, 1, 1, "Backward")
    page.get_by_role("button", name="Learn").click()
    shows(page, 1, 1, "Learn")
    page.get_by_role("button", name="Next phase").click()
    shows(page, 1, 2)
    page.get_by_role("button", name="100 steps on").click()
    shows(page, 1, 102)
    page.get_by_role("group", name="Microscope").focus()
    for key, epoch, step, phase in [
        ("ArrowRight", 1, 102, "Backward"), ("ArrowLeft", 1, 102, "Forward"),
        ("ArrowLeft", 1, 101, "Learn"), ("Shift+ArrowRight", 1, 102, "Learn"),
        ("PageDown", 1, 202, "Forward"), ("Shift+PageDown", 1, 1202, "Forward"),
        ("End", 1, 500_000, "Learn"), ("ArrowRight", 2, 1, "Forward"),
        ("PageUp", 1, 500_000, "Forward"), ("Home", 1, 1, "Forward"),
    ]:  # fmt: skip
        page.keyboard.press(key)
        shows(page, epoch, step, phase)
    assert shown(page) == listed(steps(http, published, epoch=1)[0])


def test_the_last_step_of_an_epoch_leaves_the_committed_weights(
    page: Page, http: Http, published: Any
) -> None:
    look_at(page, published)
    page.get_by_role("button", name="Last step").click()
    shows(page, 1, 500_000, "Learn")
    committed = http.get(f"/v1/jobs/{published['id']}/epochs").json()["epochs"][0]["weights"]
    assert shown(page)["weights_after"] == committed
    expect(page.get_by_text("those that epoch 1 committed, to the last bit")).to_be_visible()


def test_it_plays_and_stops(browser: Browser, stack: Stack, plain: Any) -> None:
    with quiet_page(browser, base_url=stack.url) as page:
        look_at(page, plain)
        page.get_by_label("speed").select_option("20 steps a second")
        page.get_by_role("button", name="Play").click()
        step = page.get_by_role("spinbutton", name="Step")
        page.wait_for_function("field => Number(field.value) > 20", arg=step.element_handle())
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("[aria-busy]")).to_have_count(0)  # steps that were asked for before
        shows(page, 1, int(step.input_value()), "Learn")


def test_the_step_of_an_explosion_is_shown(page: Page, http: Http) -> None:
    wild = {"learning_rate": {"schedule": "constant", "rate": 1e-3}}
    job = http.run_job({"hyperparameters": wild})
    look_at(page, job)
    page.get_by_role("button", name="The explosion").click()
    shows(page, 1, job["error"]["step"], "Learn")
    assert shown(page)["weights"] == job["error"]["weights"]
    assert None in shown(page)["weights_after"]
    expect(page.get_by_text("after this step a weight is not finite any more")).to_be_visible()
    page.get_by_role("button", name="Distance").click()
    expect(page.locator(".distance-figure .curve")).to_have_count(2)
    picture(page, "microscope-explosion")


def test_the_path_is_zoomed_down_to_the_gap_between_two_doubles(page: Page, plain: Any) -> None:
    look_at(page, plain)
    tools = page.locator(".weights-path")
    expect(tools.get_by_role("img", name="after 40,000 steps")).to_be_visible()
    expect(tools.locator(".path-step").first).to_be_visible()
    tools.get_by_role("group", name="Path of the weights").focus()
    page.keyboard.press("1")
    for _ in range(60):
        page.keyboard.press("+")
    expect(tools.get_by_text("view 8.0e−16 wide")).to_be_visible()
    expect(tools.locator("svg")).to_contain_text("1 + 1.0e−16")
    expect(tools.locator(".double").first).to_be_attached()
    page.keyboard.press("End")
    away = max(abs(weight - 1) for weight in plain["weights"])
    assert 0 < away < 2e-15
    expect(tools.locator(".path-commit").last).to_be_visible()
    expect(tools.locator(".mark-target")).to_be_visible()
    picture(page, "path-doubles")
    page.keyboard.press("Home")
    expect(tools.locator(".mark-start")).to_be_visible()


def pulled_to(page: Page) -> float:
    text = page.locator(".wp-legend .key-settling").text_content() or ""
    one, sign, distance = text.rpartition(":")[2].replace("−", "-").split()
    return float(one) + float(sign + distance)


def test_where_regularization_pulls_the_weights_is_marked(page: Page, published: Any) -> None:
    look_at(page, published)
    moment = 100**2 / 12 + 2 * 50**2
    assert pulled_to(page) - 1 == pytest.approx(1 / (2 * moment - 1), rel=0.005)
    page.get_by_role("button", name="Follow the end").click()
    for mark in (".mark-settling", ".mark-target"):
        expect(page.locator(mark)).to_be_visible()


def test_with_normalized_inputs_the_weights_settle_where_the_path_says(
    page: Page, http: Http
) -> None:
    settings = {
        "normalize": True,
        "learning_rate": {"schedule": "constant", "rate": 0.001},
        "regularization": {"kind": "l2", "strength": 0.1},
        "epochs": 2,
    }
    job = http.run_job({"dataset": {"training_size": 50_000}, "hyperparameters": settings})
    look_at(page, job)
    assert job["weights"] == pytest.approx([pulled_to(page)] * 2, rel=0.005)


def test_more_inputs_have_a_table_of_all_and_a_path_of_distances(page: Page, http: Http) -> None:
    job = http.run_job({
        "dataset": {"input_size": 9, "training_size": 1000, "test_size": 10},
        "hyperparameters": {"epochs": 2, "regularization": PLAIN},
    })  # fmt: skip
    look_at(page, job)
    assert shown(page) == listed(steps(http, job)[0])
    expect(page.get_by_text("with 3 more of its 9 inputs")).to_be_visible()
    formula = page.get_by_role("region", name="formulas").locator("p").first
    expect(formula).to_have_text(re.compile(r"output=.*\+…=.*\+…="))
    expect(page.locator(".distance-figure .curve")).to_have_count(9)
    page.get_by_role("button", name="Plane").click()
    page.get_by_label("weight across").select_option("w₉")
    page.get_by_label("weight up").select_option("w₉")
    expect(page.locator(".plane-figure")).to_contain_text("w₂ →w₉ ↑")
    expect(page.locator(".path-commit").first).to_be_visible()


def test_a_service_that_is_away_is_waited_for(browser: Browser, stack: Stack, plain: Any) -> None:
    away = {"status": 503, "title": "Service Unavailable", "detail": "No worker answers."}
    with quiet_page(browser, "Failed to load resource", base_url=stack.url) as page:
        look_at(page, plain)
        page.route("**/steps?*", lambda route: route.fulfill(
            status=503, json=away, headers={"Retry-After": "1"}))  # fmt: skip
        page.get_by_role("button", name="Last step").click()
        trouble = page.locator(".microscope").get_by_role("status")
        missing = "Step 20,000 of epoch 1 is missing. No worker answers."
        expect(trouble).to_contain_text(missing)
        expect(page.get_by_role("spinbutton", name="Step")).to_have_value("1")
        page.unroute("**/steps?*")
        shows(page, 1, 20_000, "Learn")
        expect(trouble).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Browser, stack: Stack, published: Any, scheme: Any) -> None:
    with quiet_page(browser, base_url=stack.url, viewport=PHONE, color_scheme=scheme) as page:
        look_at(page, published)
        expect(page.locator(".path-commit").first).to_be_attached()
        for phase in ("Forward", "Learn", "Backward"):
            page.get_by_role("button", name=phase).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        picture(page, f"microscope-phone-{scheme}")
