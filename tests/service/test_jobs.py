"""Jobs over REST, on the running service."""

import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from shared.store import Store
from tests.conftest import Http, eventually
from tests.reference import GOLDEN, PUBLISHED, specification

#: A minute of training, in epochs of some milliseconds; no test waits for its end.
LONG: dict[str, Any] = {
    "dataset": {"training_size": 1_000_000, "generator": "pcg64"},
    "hyperparameters": {"epochs": 10_000},
}
SMALL: dict[str, Any] = {
    "dataset": {"training_size": 100, "test_size": 10},
    "hyperparameters": {"epochs": 3},
}


def is_running(http: Http, job_id: str) -> bool:
    status: str = http.get(f"/v1/jobs/{job_id}").json()["status"]
    return status == "running"


@pytest.fixture
def long_job(http: Http) -> Any:
    """A job that trains for minutes, running; cancelled at the end."""
    job = http.post("/v1/jobs", json=LONG).json()
    path = f"/v1/jobs/{job['id']}"
    eventually(lambda: is_running(http, job["id"]), "running")
    yield path
    http.post(f"{path}/cancel")


@pytest.mark.parametrize("kind", ["published", "none"])
def test_the_published_runs_come_out_digit_for_digit(http: Http, kind: str) -> None:
    name = {"published": "with_regularization", "none": "without_regularization"}[kind]
    expected = PUBLISHED[name]
    body = {} if kind == "published" else {"hyperparameters": {"regularization": {"kind": kind}}}
    job = http.run_job(body)
    assert job["status"] == "succeeded"
    for figure in ("initial_weights", "demo_before", "demo_after"):
        assert job[figure] == expected[figure]
    epochs = http.get(f"/v1/jobs/{job['id']}/epochs").json()["epochs"]
    for epoch, reference in zip(epochs, expected["epochs"], strict=True):
        assert {name: epoch[name] for name in reference} == reference
        assert epoch["accuracy"] == epoch["correct"] / epoch["total"]
    assert job["weights"] == epochs[-1]["weights"]
    assert job["accuracy"] == 1.0


@pytest.mark.parametrize("run", [run for run in GOLDEN["runs"] if run["diverged"]])
def test_exploding_gradients_end_a_job_with_where_and_why(http: Http, run: dict[str, Any]) -> None:
    wanted = specification(run["request"])
    job = http.run_job(wanted.model_dump(exclude={"name", "metadata"}))
    assert job["status"] == "failed"
    error = job["error"]
    assert error["code"] == "diverged"
    assert {name: error[name] for name in ("epoch", "step", "weights")} == run["diverged"]
    calmer = wanted.model_dump()
    calmer["hyperparameters"]["learning_rate"] = {
        "schedule": "constant", "rate": error["largest_learning_rate"],
    }  # fmt: skip
    assert http.run_job(calmer)["status"] == "succeeded"


def test_weights_of_any_finite_size_are_shown(http: Http) -> None:
    sizes = range(74, 80)
    rate = {"schedule": "constant", "rate": 1}
    jobs = [
        http.run_job({"dataset": {"training_size": size},
                      "hyperparameters": {"epochs": 1, "learning_rate": rate}})
        for size in sizes
    ]  # fmt: skip
    overflowed = [job for job in jobs if job["demo_after"] and not job["demo_after"][1]["actual"]]
    assert overflowed
    assert {job["status"] for job in jobs} == {"succeeded", "failed"}
    assert http.get("/v1/jobs").status_code == 200


@pytest.mark.parametrize("rate", [2.2e-4, 1e-3])
def test_epochs_before_a_divergence_stay(http: Http, rate: float) -> None:
    job = http.run_job(
        {
            "dataset": {"training_size": 3, "test_size": 1},
            "hyperparameters": {
                "epochs": 2000,
                "learning_rate": {"schedule": "constant", "rate": rate},
                "regularization": {"kind": "none"},
            },
        }
    )
    assert job["error"]["code"] == "diverged"
    assert job["progress"]["epoch"] == job["error"]["epoch"] - 1
    found = http.get(f"/v1/jobs/{job['id']}/epochs").json()["epochs"]
    assert [epoch["epoch"] for epoch in found] == list(range(1, job["error"]["epoch"]))


def test_create_answers_202_with_the_job_and_where_to_look(http: Http) -> None:
    answer = http.post("/v1/jobs", json={**SMALL, "name": "n", "metadata": {"team": "research"}})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["Location"] == job["url"] == f"{http.base}/v1/jobs/{job['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert (job["name"], job["metadata"]) == ("n", {"team": "research"})
    assert job["specification"]["dataset"]["seed"] == 2017


def test_waiting_answers_when_the_job_has_ended_and_says_so(http: Http) -> None:
    answer = http.post(
        "/v1/jobs", json=SMALL, headers={"Prefer": "respond-async, Wait=99999999999; x=1"}
    )
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=30")


def test_waiting_is_given_up_after_the_seconds_asked_for(http: Http) -> None:
    answer = http.post("/v1/jobs", json=LONG, headers={"Prefer": "wait=1"})
    assert answer.status_code == 202
    assert 0.9 < answer.elapsed.total_seconds() < 20
    http.post(f"/v1/jobs/{answer.json()['id']}/cancel")


def test_more_requests_than_may_wait_are_answered_at_once(http: Http) -> None:
    tag, found = uuid.uuid4().hex, list[int]()
    body = {**LONG, "metadata": {"tag": tag}}

    def create() -> None:
        with Http(http.base) as session:
            answer = session.post("/v1/jobs", json=body, headers={"Prefer": "wait=30"})
        found.append(answer.status_code)

    with ThreadPoolExecutor(24) as pool:
        for _ in range(24):
            pool.submit(create)
        eventually(lambda: len(found) >= 8, "answers for those who cannot wait", 20)
        assert http.get("/healthz").ok
        assert set(found) == {202}
        made = {"metadata.tag": tag}
        eventually(lambda: len(http.get("/v1/jobs", params=made).json()["jobs"]) == 24, "all made")
        for job in http.get("/v1/jobs", params=made).json()["jobs"]:
            http.post(f"/v1/jobs/{job['id']}/cancel")
    assert len(found) == 24
    assert set(found) == {200, 202}, "those who waited saw the end"


def test_the_same_key_and_body_give_the_same_job(http: Http) -> None:
    key = uuid.uuid4().hex
    first = http.post("/v1/jobs", json=SMALL, headers={"Idempotency-Key": key})
    again = http.post("/v1/jobs", json=SMALL, headers={"Idempotency-Key": f'"{key}"'})
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    other = http.post("/v1/jobs", json={}, headers={"Idempotency-Key": key})
    assert other.status_code == 422


def test_a_key_whose_job_was_deleted_is_refused(http: Http) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex, "Prefer": "wait=20"}
    job = http.post("/v1/jobs", json=SMALL, headers=headers).json()
    assert http.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert http.post("/v1/jobs", json=SMALL, headers=headers).status_code == 409


@pytest.mark.parametrize("key", ["", '"', '"open', 'a"b', '""', "a b", "x" * 256, "é"])
def test_a_malformed_key_is_refused(http: Http, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = http.post("/v1/jobs", json=SMALL, headers=headers)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["detail"]


def test_polling_with_the_etag_costs_no_body_until_something_changes(http: Http) -> None:
    job = http.run_job(SMALL)
    first = http.get(f"/v1/jobs/{job['id']}")
    headers = {"If-None-Match": first.headers["ETag"]}
    again = http.get(f"/v1/jobs/{job['id']}", headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    changed = http.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200


def test_a_running_job_shows_progress_inside_its_epochs(http: Http, long_job: str) -> None:
    def progress() -> Any:
        found = http.get(long_job).json()["progress"]
        return found if found["fraction"] > 0 and found["eta_seconds"] is not None else None

    first = eventually(progress, "progress")
    assert first["eta_seconds"] > 0
    eventually(lambda: (now := progress()) and now["fraction"] > first["fraction"], "more of it")


def test_cancelling_stops_a_running_job_within_a_second(http: Http, long_job: str) -> None:
    answer = http.post(f"{long_job}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.json()["ended_at"] is not None
    free = http.post("/v1/jobs", json=SMALL, headers={"Prefer": "wait=20"})
    assert free.status_code == 200
    assert http.get(long_job).json()["status"] == "cancelled"
    assert http.post(f"{long_job}/cancel").status_code == 200


def test_a_cancelled_worker_takes_the_next_job_within_a_second(http: Http) -> None:
    def is_soon() -> bool:
        running = [http.post("/v1/jobs", json=LONG).json()["id"] for _ in range(2)]
        for job_id in running:
            eventually(partial(is_running, http, job_id), "run")
        queued = http.post("/v1/jobs", json=LONG).json()["id"]
        assert http.get(f"/v1/jobs/{queued}").json()["status"] == "queued"
        assert http.post(f"/v1/jobs/{queued}/cancel").json()["status"] == "cancelled"
        for job_id in running:
            http.post(f"/v1/jobs/{job_id}/cancel")
        after_cancel, usual = (
            http.post("/v1/jobs", json=SMALL, headers={"Prefer": "wait=30"}) for _ in range(2)
        )
        return after_cancel.elapsed < usual.elapsed + timedelta(seconds=1)

    eventually(is_soon, "on a machine that does nothing else, within a second")


def test_ended_jobs_are_not_cancelled_and_open_ones_not_deleted(http: Http, long_job: str) -> None:
    job = http.run_job(SMALL)
    assert http.post(f"/v1/jobs/{job['id']}/cancel").status_code == 409
    assert http.delete(long_job).status_code == 409


def test_a_deleted_job_is_gone_from_everywhere(http: Http, store: Store) -> None:
    job = http.run_job(SMALL)
    assert http.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert http.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert http.get(f"/v1/jobs/{job['id']}/epochs").status_code == 404
    assert http.delete(f"/v1/jobs/{job['id']}").status_code == 404
    assert not list(store.redis.scan_iter(f"*{job['id']}*"))


def test_lists_are_filtered_and_paged_newest_first(http: Http) -> None:
    tag = uuid.uuid4().hex
    made = [http.run_job({**SMALL, "metadata": {"tag": tag}})["id"] for _ in range(5)]
    seen: list[str] = []
    query: dict[str, Any] = {"metadata.tag": tag, "status": "succeeded", "limit": 2}
    while True:
        page = http.get("/v1/jobs", params=query).json()
        seen += [job["id"] for job in page["jobs"]]
        if not page["has_more"]:
            break
        query["after"] = page["next"]
    assert seen == made[::-1]
    assert page["next"] is None
    none = http.get("/v1/jobs", params={"metadata.tag": tag, "status": ["failed", "cancelled"]})
    assert none.json()["jobs"] == []


def test_a_cursor_of_other_filters_is_refused(http: Http) -> None:
    for _ in range(2):
        http.run_job(SMALL)
    cursor = http.get("/v1/jobs", params={"limit": 1}).json()["next"]
    answer = http.get("/v1/jobs", params={"limit": 1, "after": cursor, "status": "failed"})
    assert answer.status_code == 400
    assert http.get("/v1/jobs", params={"after": "nonsense"}).status_code == 400


def test_epochs_come_in_pages(http: Http) -> None:
    job = http.run_job(SMALL)
    path = f"/v1/jobs/{job['id']}/epochs"
    first = http.get(path, params={"limit": 2}).json()
    assert [epoch["epoch"] for epoch in first["epochs"]] == [1, 2]
    assert (first["has_more"], first["next"], first["job_id"]) == (True, 2, job["id"])
    last = http.get(path, params={"limit": 2, "after": first["next"]}).json()
    assert [epoch["epoch"] for epoch in last["epochs"]] == [3]
    assert (last["has_more"], last["next"]) == (False, None)


def test_a_job_can_learn_to_add_three_numbers(http: Http) -> None:
    job = http.run_job({"dataset": {"input_size": 3, "training_size": 50_000}})
    path = f"/v1/jobs/{job['id']}/predict"
    found = http.post(path, json={"inputs": [[1, 2, 3]]}).json()
    assert found["outputs"][0] == pytest.approx(6, abs=found["error_bounds"][0] + 1e-12)
    assert job["demo_before"][0]["inputs"] == [2.2, 1.5, 2.2]


@pytest.mark.parametrize("body", [{}, {"hyperparameters": {"regularization": {"kind": "none"}}}])
def test_a_dry_run_forecasts_and_creates_nothing(http: Http, body: dict[str, Any]) -> None:
    before = http.get("/v1/jobs?limit=1").json()
    answer = http.post("/v1/jobs?dry_run=true", json={**body, "metadata": {"dry": "run"}})
    assert answer.status_code == 200
    found = answer.json()
    job = http.run_job(body)
    assert found["specification"] == job["specification"]
    assert found["initial_weights"] == job["initial_weights"]
    assert not found["diverges"]
    assert found["accuracy_low"] <= job["accuracy"] <= found["accuracy_high"]
    assert found["final_weights"] == pytest.approx(job["weights"], abs=5e-5)
    assert http.get("/v1/jobs?metadata.dry=run").json()["jobs"] == []
    assert before["jobs"] == [] or "Location" not in answer.headers


def test_a_dry_run_foresees_an_explosion(http: Http) -> None:
    rate = {"schedule": "constant", "rate": 1e-3}
    body = {"hyperparameters": {"learning_rate": rate}}
    found = http.post("/v1/jobs?dry_run=true", json=body).json()
    error = http.run_job(body)["error"]
    assert found["diverges"]
    assert found["diverges_in_epoch"] == error["epoch"]
    assert found["largest_learning_rate"] == error["largest_learning_rate"]
    assert found["final_weights"] is None


def test_a_scale_that_makes_no_finite_rate_explodes_at_the_largest_one(http: Http) -> None:
    scale = {"schedule": "inverse_epoch", "scale": 5e-324}
    body = {**SMALL, "hyperparameters": {"learning_rate": scale}}
    found = http.post("/v1/jobs?dry_run=true", json=body).json()
    assert found["learning_rates"][0] == sys.float_info.max
    job = http.run_job(body)
    assert (job["error"]["code"], job["error"]["step"]) == ("diverged", 1)
    (step,) = http.get(f"/v1/jobs/{job['id']}/steps").json()["steps"]
    assert step["learning_rate"] == sys.float_info.max


@pytest.mark.parametrize(
    "query", ["dry_run=1", "dry_run=", "dry=true", "dry_run=true&dry_run=true"]
)
def test_a_dry_run_is_asked_for_in_one_way(http: Http, query: str) -> None:
    answer = http.post(f"/v1/jobs?{query}", json={})
    assert answer.status_code == 400
    assert query[:3] in answer.json()["error"]


def test_what_cannot_be_trained_cannot_be_forecast(http: Http) -> None:
    answer = http.post("/v1/jobs?dry_run=true", json={"hyperparameters": {"epochs": 0}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/hyperparameters/epochs"
