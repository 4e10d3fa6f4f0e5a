"""The microscope, held against the committed epochs and against the formulas of the article."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings, strategies

from api import create_app
from shared import questions
from shared.dataset import make_data
from shared.job import Auto, Constant, Dataset, Hyperparameters, JobRequest, Specification
from shared.settings import Settings
from shared.store import PREFIX, Store
from standalone.stack import Stack
from tests.conftest import Http, eventually
from tests.reference import GOLDEN, PUBLISHED, specification
from tests.service.test_jobs import LONG, SMALL
from tests.unit.test_training import run_all
from worker.replay import replay


@pytest.fixture(scope="module")
def published(stack: Stack) -> Any:
    with Http(stack.url) as http:
        yield http.run_job({})


def steps(http: Http, job_id: str, **query: int) -> dict[str, Any]:
    answer = http.get(f"/v1/jobs/{job_id}/steps", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def check_formulas(step: dict[str, Any], rate: float, coefficient: float) -> None:
    """Every quantity from the ones before it, written out for two inputs."""
    (x0, x1), (w0, w1) = step["inputs"], step["weights"]
    assert step["weighted_inputs"] == [x0 * w0, x1 * w1]
    assert step["aggregate"] == step["output"] == x0 * w0 + x1 * w1
    assert step["label"] == x0 + x1
    error = step["label"] - step["output"]
    assert step["cost"] == error * error
    gradient = -2 * error
    assert step["cost_derivative"] == step["aggregate_gradient"] == gradient
    assert step["weight_gradients"] == [x0 * gradient, x1 * gradient]
    assert step["input_gradients"] == [w0 * gradient, w1 * gradient]
    regularized = [x0 * gradient + coefficient * w0, x1 * gradient + coefficient * w1]
    assert step["regularized_gradients"] == regularized
    assert step["learning_rate"] == rate
    assert step["changes"] == [grad * rate for grad in regularized]
    assert step["weights_after"] == [w0 - regularized[0] * rate, w1 - regularized[1] * rate]


def test_the_first_step_begins_with_the_published_row_and_weights(
    http: Http, published: dict[str, Any]
) -> None:
    page = steps(http, published["id"])
    expected = PUBLISHED["with_regularization"]
    (first,) = page["steps"]
    row = {"inputs": first["inputs"], "label": first["label"]}
    assert row == expected["first_training_row"]
    assert first["weights"] == expected["initial_weights"]
    assert (page["total"], page["has_more"], page["next"]) == (500_000, True, 2)


@pytest.mark.parametrize("epoch", [1, 4, 10])
def test_the_last_step_of_an_epoch_gives_its_committed_weights(
    http: Http, published: dict[str, Any], epoch: int
) -> None:
    page = steps(http, published["id"], epoch=epoch, step=499_981, count=1000)
    committed = PUBLISHED["with_regularization"]["epochs"][epoch - 1]
    assert len(page["steps"]) == 20
    assert page["steps"][-1]["weights_after"] == committed["weights"]
    assert (page["has_more"], page["next"]) == (False, None)


def test_each_step_follows_from_the_one_before(http: Http, published: dict[str, Any]) -> None:
    page = steps(http, published["id"], epoch=3, step=1200, count=20)
    assert [step["step"] for step in page["steps"]] == [*range(1200, 1220)]
    assert page["next"] == 1220
    for step, following in zip(page["steps"], page["steps"][1:], strict=False):
        assert step["weights_after"] == following["weights"]
    for step in page["steps"]:
        check_formulas(step, page["learning_rate"], page["regularization"])


def test_steps_can_be_shown_at_a_distance(http: Http, published: dict[str, Any]) -> None:
    apart = steps(http, published["id"], step=7, count=4, every=1000)
    assert [step["step"] for step in apart["steps"]] == [7, 1007, 2007, 3007]
    assert apart["next"] == 4007
    (alone,) = steps(http, published["id"], step=3007)["steps"]
    assert apart["steps"][-1] == alone


@pytest.mark.parametrize("run", [run for run in GOLDEN["runs"] if run["diverged"]])
def test_the_step_at_which_gradients_explode_can_be_seen(http: Http, run: dict[str, Any]) -> None:
    wanted = specification(run["request"])
    job = http.run_job(wanted.model_dump(exclude={"name", "metadata"}))
    where = {"epoch": job["error"]["epoch"]}
    page = steps(http, job["id"], **where, step=job["error"]["step"], count=5)
    (last,) = page["steps"]
    assert last["weights"] == job["error"]["weights"]
    assert None in last["weights_after"]
    assert not page["has_more"]
    first = job["error"]["step"] - 1
    if first >= 1:
        before = steps(http, job["id"], **where, step=first, every=2)
        assert (before["has_more"], before["next"]) == (False, None)
    beyond = job["error"]["step"] + 1
    answer = http.get(f"/v1/jobs/{job['id']}/steps", params={**where, "step": beyond})
    assert answer.status_code == (409 if beyond <= page["total"] else 400)


def test_a_job_that_waits_for_a_worker_can_be_looked_into(http: Http) -> None:
    long = [http.post("/v1/jobs", json=LONG).json()["id"] for _ in range(3)]
    try:
        eventually(
            lambda: len(http.get("/v1/jobs", params={"status": "running"}).json()["jobs"]) >= 2,
            "both worker processes are busy",
        )
        (first,) = steps(http, long[-1])["steps"]
        assert first["step"] == 1
    finally:
        for job_id in long:
            http.post(f"/v1/jobs/{job_id}/cancel")


@pytest.mark.parametrize(
    ("query", "status", "rule"),
    [
        ("step=0", 400, "step"), ("step=101", 400, "step must be at most 100"),
        ("epoch=0", 400, "epoch"), ("epoch=4", 400, "epoch must be at most 3"),
        ("count=0", 400, "count"), ("count=1001", 400, "count"), ("every=0", 400, "every"),
        ("step=1.5", 400, "step"), ("step=-1", 400, "step"), ("steps=1", 400, "steps"),
        ("step=1&step=2", 400, "step"), ("every=9007199254740992", 400, "every"),
    ],
)  # fmt: skip
def test_a_query_that_does_not_fit_is_explained(
    http: Http, query: str, status: int, rule: str
) -> None:
    job = http.run_job(SMALL)
    answer = http.get(f"/v1/jobs/{job['id']}/steps?{query}")
    assert answer.status_code == status
    assert rule in answer.json()["error"]


def test_a_stride_beyond_the_epoch_shows_one_step(http: Http) -> None:
    job = http.run_job(SMALL)
    page = steps(http, job["id"], step=100, count=1000, every=2**53 - 1)
    assert [step["step"] for step in page["steps"]] == [100]


def test_an_epoch_that_has_not_begun_is_409(http: Http) -> None:
    job = http.post("/v1/jobs", json=LONG).json()
    try:
        answer = http.get(f"/v1/jobs/{job['id']}/steps?epoch=9000")
        assert answer.status_code == 409
        assert "has not begun" in answer.json()["detail"]
    finally:
        http.post(f"/v1/jobs/{job['id']}/cancel")


@pytest.fixture
def without_worker(stack: Stack) -> Iterator[tuple[FlaskClient, Store, str]]:
    """The API on a database that no worker serves, and a job that waits there."""
    configured = Settings(redis_url=f"{stack.redis_url}?db=3")
    client = create_app(configured).test_client()
    store = Store(configured)
    job_id, _ = store.accept(JobRequest())
    yield client, store, f"/v1/jobs/{job_id}/steps"
    store.redis.flushdb()
    store.redis.close()


def test_without_a_worker_the_answer_is_503(
    without_worker: tuple[FlaskClient, Store, str],
) -> None:
    client, store, path = without_worker
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "none is alive" in answer.json["detail"]  # type: ignore[index]
    assert not store.redis.exists(questions.QUESTIONS)


def test_questions_that_find_too_many_waiting_get_503(
    without_worker: tuple[FlaskClient, Store, str],
) -> None:
    client, store, path = without_worker
    store.announce_worker("of the test", 60)
    store.redis.rpush(questions.QUESTIONS, *range(questions.MOST_WAITING))
    answer = client.get(path)
    assert answer.status_code == 503
    assert "wait for one already" in answer.json["detail"]  # type: ignore[index]
    assert store.redis.llen(questions.QUESTIONS) == questions.MOST_WAITING


def test_a_question_that_is_none_is_answered_with_an_error_and_the_next_one_rightly(
    http: Http, store: Store, published: dict[str, Any]
) -> None:
    store.redis.set(f"{PREFIX}:question:broken", "{}")
    store.redis.rpush(questions.QUESTIONS, "broken")
    answer = eventually(lambda: store.redis.lpop(f"{PREFIX}:answer:broken"), "an answer")
    assert answer == questions.FAILED
    assert len(steps(http, published["id"])["steps"]) == 1


def test_a_question_that_nobody_waits_for_any_more_is_dropped(
    without_worker: tuple[FlaskClient, Store, str],
) -> None:
    _, store, _ = without_worker
    store.redis.rpush(questions.QUESTIONS, "expired")
    assert questions.take(store.redis) is None
    assert not store.redis.exists(questions.QUESTIONS)


@settings(max_examples=settings().max_examples // 2)
@given(
    seed=strategies.integers(0, 2**31),
    inputs=strategies.integers(2, 5),
    rate=strategies.just(Auto()) | strategies.builds(Constant, rate=strategies.floats(1e-9, 1e-3)),
    normalize=strategies.booleans(),
    place=strategies.integers(1, 300),
    every=strategies.integers(1, 50),
)
def test_a_replay_has_the_bits_of_the_training(
    seed: int, inputs: int, rate: Auto | Constant, normalize: bool, place: int, every: int
) -> None:
    wanted = Specification(
        dataset=Dataset(
            seed=seed, input_size=inputs, training_size=300, test_size=1, generator="pcg64"
        ),
        hyperparameters=Hyperparameters(epochs=2, learning_rate=rate, normalize=normalize),
    )
    _, epochs, diverged = run_all(wanted)
    if diverged or len(epochs) < 2:
        return
    data = make_data(wanted.dataset, normalize=normalize)
    before = epochs[0].weights
    found = replay(wanted, data, before, epoch=2, step=place, count=1000, every=every)
    whole = replay(wanted, data, before, epoch=2, step=1, count=300)
    assert [whole[step["step"] - 1] for step in found] == found
    assert whole[-1]["weights_after"] == epochs[-1].weights
