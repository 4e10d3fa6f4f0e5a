"""Named models: put, history, rollback, deletion, and what every process serves within a second."""

import io
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from shared.neuron import Neuron
from tests.conftest import Http, eventually
from tests.service.test_bad_input import check_problem
from tests.service.test_jobs import LONG, SMALL

ROW = [2.2, 1.5]


@pytest.fixture(scope="module")
def job(stack: Any) -> Any:
    with Http(stack.url) as http:
        body = {**SMALL, "hyperparameters": {"epochs": 4}}
        job = http.run_job(body)
        return {**job, "epochs": http.get(f"/v1/jobs/{job['id']}/epochs").json()["epochs"]}


@pytest.fixture
def name(http: Http) -> Iterator[str]:
    chosen = f"add-{uuid4().hex[:8]}"
    yield chosen
    http.delete(f"/v1/models/{chosen}")


def put(http: Http, name: str, job: Any, epoch: int | None = None, status: int = 200) -> Any:
    body = {"job_id": job["id"], **({"epoch": epoch} if epoch else {})}
    answer = http.put(f"/v1/models/{name}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def predict(http: Http, name: str) -> Any:
    return http.post(f"/v1/models/{name}/predict", json={"inputs": [ROW]})


def test_a_name_predicts_with_the_bits_of_its_epoch(http: Http, name: str, job: Any) -> None:
    model = put(http, name, job, 2, status=201)
    assert (model["name"], model["version"], model["epoch"]) == (name, 1, 2)
    epoch = job["epochs"][1]
    answer = eventually(lambda: (a := predict(http, name)).ok and a, "the model is served")
    found = answer.json()
    assert found["outputs"] == [Neuron(epoch["weights"]).forward(ROW)]
    assert found["digest"] == model["digest"] == epoch["digest"]
    assert (found["model"], found["version"], found["job_id"], found["epoch"]) == (
        name, 1, job["id"], 2,
    )  # fmt: skip


def test_versions_are_counted_kept_and_rolled_back(http: Http, name: str, job: Any) -> None:
    put(http, name, job, 1, status=201)
    put(http, name, job, 2)
    assert put(http, name, job, 2)["version"] == 2, "the same again changes nothing"
    roll = f"/v1/models/{name}/rollback"
    assert http.post(roll, json={}).json()["version"] == 1
    check_problem(http.post(roll, json={}), 409)
    assert put(http, name, job)["version"] == 3
    assert http.post(roll, json={}).json()["version"] == 1, "what was served before"
    assert http.post(roll, json={"version": 2}).json()["epoch"] == 2
    check_problem(http.post(roll, json={"version": 9}), 404)
    versions = http.get(f"/v1/models/{name}").json()["versions"]
    assert [(v["version"], v["epoch"]) for v in versions] == [(1, 1), (2, 2), (3, 4)]
    assert versions[2]["weights"] == job["weights"]
    listed = http.get("/v1/models").json()["models"]
    assert [m["version"] for m in listed if m["name"] == name] == [2]


def test_a_model_outlives_its_job(http: Http, name: str) -> None:
    job = http.run_job(SMALL)
    put(http, name, job, status=201)
    assert http.delete(f"/v1/jobs/{job['id']}").status_code == 204
    answer = eventually(lambda: (a := predict(http, name)).ok and a, "the model is served")
    assert answer.json()["outputs"] == [Neuron(job["weights"]).forward(ROW)]
    assert http.get(f"/v1/models/{name}").json()["job_id"] == job["id"]


@pytest.mark.parametrize(
    ("chosen", "status"),
    [("0" * 32, 422), ("stats", 422), ("x" * 65, 422), ("a b", 422), ("é", 422),
     ("a%2Fb", 404), ("..%2Fx", 404)],
)  # fmt: skip
def test_a_name_that_is_none_is_refused(http: Http, job: Any, chosen: str, status: int) -> None:
    check_problem(http.put(f"/v1/models/{chosen}", json={"job_id": job["id"]}), status)


def test_a_name_points_only_at_weights_that_are_there(http: Http, name: str, job: Any) -> None:
    path = f"/v1/models/{name}"
    check_problem(http.put(path, json={"job_id": "0" * 32}), 404)
    check_problem(http.put(path, json={"job_id": "../x"}), 404)
    check_problem(http.put(path, json={"job_id": job["id"], "epoch": 9}), 409)
    check_problem(http.put(path, json={"job_id": job["id"], "epoch": 0}), 422)
    check_problem(http.put(path, json={"job_id": job["id"], "epoch": "1"}), 422)
    check_problem(http.put(path, json={"job_id": job["id"], "x": 1}), 422)
    check_problem(http.put(path, json={}), 422)
    waiting = http.post("/v1/jobs", json=LONG).json()
    http.post(f"/v1/jobs/{waiting['id']}/cancel")
    check_problem(http.put(path, json={"job_id": waiting["id"]}), 409)
    check_problem(http.get(path), 404)


def test_an_unknown_model_is_404(http: Http) -> None:
    for method, path in (
        ("GET", "/v1/models/none"), ("DELETE", "/v1/models/none"),
        ("POST", "/v1/models/none/predict"), ("POST", "/v1/models/none/rollback"),
    ):  # fmt: skip
        check_problem(
            http.request(method, path, json={"inputs": [ROW]} if "pre" in path else {}), 404
        )


def test_every_answer_under_load_is_of_a_version_current_within_the_last_second(
    stack: Any, http: Http, name: str, job: Any
) -> None:
    """Versions are put, rolled back and deleted while threads predict, each on its connection."""
    #: What was made current, and when: between two moments.
    current: list[tuple[float, float, int | None]] = [(0.0, 0.0, None)]
    answers: list[tuple[float, float, int | None]] = []
    done = threading.Event()

    def ask() -> None:
        with Http(stack.url) as own:
            while not done.is_set():
                asked = time.monotonic()
                answer = predict(own, name)
                epoch = answer.json()["epoch"] if answer.ok else None
                assert answer.status_code in (200, 404, 503), "503: not known for a second"
                if answer.status_code != 503:
                    answers.append((asked, time.monotonic(), epoch))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for epoch in (1, 2, 3, -2, None, 4, 1):  # -2: back to the second
            began = time.monotonic()
            if epoch is None:
                http.delete(f"/v1/models/{name}")
            elif epoch < 0:
                rolled_back = http.post(f"/v1/models/{name}/rollback", json={}).json()
                assert rolled_back["epoch"] == -epoch
            else:
                put(http, name, job, epoch, status=201 if current[-1][2] is None else 200)
            served = epoch and abs(epoch)
            current.append((began, time.monotonic(), served))
            eventually(lambda: answers and answers[-1][2] == served, f"{served} is served")  # noqa: B023
    finally:
        done.set()
        for thread in threads:
            thread.join()
    ends = [changed for _, changed, _ in current[1:]] + [float("inf")]
    for asked, answered, epoch in answers:
        allowed = {
            served
            for (began, _, served), end in zip(current, ends, strict=True)
            if end > asked - 1 and began <= answered
        }
        assert epoch in allowed, (asked, epoch, current)
    assert {epoch for _, _, epoch in answers} == {1, 2, 3, 4, None}


def test_explanations_add_up_from_left_to_right(http: Http, job: Any) -> None:
    path = f"/v1/jobs/{job['id']}/predict"
    rows = [ROW, [-1e3, 0.1]]
    found = http.post(f"{path}?explain=true", json={"inputs": rows}).json()
    weights = job["weights"]
    assert found["weighted_inputs"] == [
        [x * w for x, w in zip(row, weights, strict=True)] for row in rows
    ]
    assert found["outputs"] == [0.0 + a + b for a, b in found["weighted_inputs"]]
    assert "weighted_inputs" not in http.post(path, json={"inputs": rows}).json()
    check_problem(http.post(f"{path}?explain=perhaps", json={"inputs": rows}), 400)
    check_problem(http.post(f"{path}?x=1", json={"inputs": rows}), 400)


def test_a_hundred_thousand_rows_in_json(http: Http, job: Any) -> None:
    rows = np.random.default_rng(1).uniform(0, 100, (100_000, 2))
    found = http.post(f"/v1/jobs/{job['id']}/predict", json={"inputs": rows.tolist()}).json()
    w = job["weights"]
    assert found["outputs"] == (rows[:, 0] * w[0] + rows[:, 1] * w[1]).tolist()
    assert len(found["error_bounds"]) == 100_000


NPY = {"Content-Type": "application/x-npy"}


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_a_million_rows_as_a_numpy_file(http: Http, name: str, job: Any) -> None:
    put(http, name, job, status=201)
    eventually(lambda: predict(http, name).ok, "the model is served")
    rows = np.random.default_rng(1).uniform(0, 100, (1_000_000, 2))
    for path in (f"/v1/models/{name}/predict", f"/v1/jobs/{job['id']}/predict"):
        answer = http.post(path, data=npy(rows), headers=NPY)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/x-npy"
        assert answer.headers["Neuron-Job-Id"] == job["id"]
        assert answer.headers["Neuron-Digest"] == job["digest"]
        outputs, bounds = np.load(io.BytesIO(answer.content))
        w = job["weights"]
        assert np.array_equal(outputs, rows[:, 0] * w[0] + rows[:, 1] * w[1])
        assert (np.abs(outputs - rows.sum(axis=1)) <= bounds + 1e-12).all()


def test_a_numpy_file_can_be_answered_in_json_and_name_an_epoch(http: Http, job: Any) -> None:
    path = f"/v1/jobs/{job['id']}/predict?epoch=2"
    answer = http.post(path, data=npy([ROW]), headers={**NPY, "Accept": "application/json"})
    assert answer.json()["outputs"] == [Neuron(job["epochs"][1]["weights"]).forward(ROW)]
    assert answer.json()["epoch"] == 2
    twice = http.post(path, json={"inputs": [ROW], "epoch": 1})
    assert "query" in check_problem(twice, 400)["detail"]


def test_a_numpy_file_is_answered_to_whom_accepts_it_and_explained(http: Http, job: Any) -> None:
    path, accepting = f"/v1/jobs/{job['id']}/predict", {"Accept": "application/x-npy"}
    answers = [
        http.post(path, json={"inputs": [ROW] * rows}, headers=accepting).content
        for rows in (1, 1_000)
    ]
    answers.append(http.post(f"{path}?explain=true", data=npy([ROW]), headers=NPY).content)
    small, large, explained = (np.load(io.BytesIO(answer)) for answer in answers)
    assert np.array_equal(large, np.repeat(small, 1_000, axis=1))
    weighted = [x * w for x, w in zip(ROW, job["weights"], strict=True)]
    assert explained[:, 0].tolist() == [*small[:, 0], *weighted]


def test_too_many_rows_are_413(http: Http, job: Any) -> None:
    path = f"/v1/jobs/{job['id']}/predict"
    problem = check_problem(http.post(path, json={"inputs": [ROW] * 100_001}), 413)
    assert "100000 rows in JSON" in problem["error"]
    rows = np.zeros((1_000_001, 2))
    assert "1000000" in check_problem(http.post(path, data=npy(rows), headers=NPY), 413)["error"]
    huge = b'{"inputs":[' + b"[1,2]," * 11_000_000
    body = {"Content-Type": "application/json", "Content-Length": str(len(huge))}
    assert "64000000 bytes" in check_problem(http.post(path, data=huge, headers=body), 413)["error"]


def test_a_large_body_that_is_wrong_is_refused_cheaply(http: Http, job: Any) -> None:
    path = f"/v1/jobs/{job['id']}/predict"
    json_type = {"Content-Type": "application/json"}
    huge = b'{"inputs":[' + b"[1]," * 8_000_000 + b"[1,2]]}"
    problem = check_problem(http.post(path, data=huge, headers=json_type), 413)
    assert "6400000 numbers" in problem["detail"]
    words = b'{"inputs":[' + b'["a"],' * 90_000 + b"[1]]}"
    problem = check_problem(http.post(path, data=words, headers=json_type), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["/inputs/0/0"]
    rows = b'{"inputs":[' + b"[1,2]," * 90_000 + b"[1]]}"
    problem = check_problem(http.post(path, data=rows, headers=json_type), 422)
    assert problem["errors"][0]["pointer"] == "/inputs/90000"


def test_rows_of_another_width_are_refused_in_every_form(http: Http, job: Any) -> None:
    path = f"/v1/jobs/{job['id']}/predict"
    check_problem(http.post(path, data=npy(np.zeros((3, 4))), headers=NPY), 422)
    check_problem(http.post(path, json={"inputs": [[1, 2, 3]] * 2_000}), 422)
    check_problem(http.post(path, data=npy(np.full((2, 2), np.nan)), headers=NPY), 422)
