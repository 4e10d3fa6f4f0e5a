"""Predictions over REST."""

from typing import Any

import pytest

from shared.neuron import Neuron
from tests.conftest import Http
from tests.reference import PUBLISHED
from tests.service.test_jobs import LONG

ROWS: list[list[float]] = [[2.2, 1.5], [1024, 2048], [-3.5, 0], [1e-300, 1e100]]


@pytest.fixture(scope="module")
def path(stack: Any) -> str:
    with Http(stack.url) as http:
        return f"/v1/jobs/{http.run_job({})['id']}/predict"


def test_predictions_have_the_bits_of_the_neuron(http: Http, path: str) -> None:
    weights = PUBLISHED["with_regularization"]["epochs"][-1]["weights"]
    found = http.post(path, json={"inputs": ROWS}).json()
    assert found["outputs"] == [Neuron(weights).forward(row) for row in ROWS]
    assert found["epoch"] == 10
    assert found["outputs"][0] == PUBLISHED["with_regularization"]["demo_after"][0]["actual"]


def test_every_committed_epoch_predicts(http: Http, path: str) -> None:
    for epoch in PUBLISHED["with_regularization"]["epochs"]:
        found = http.post(path, json={"inputs": ROWS[:1], "epoch": epoch["epoch"]}).json()
        assert found["outputs"] == [Neuron(epoch["weights"]).forward(ROWS[0])]


def test_outputs_lie_within_their_error_bounds(http: Http, path: str) -> None:
    found = http.post(path, json={"inputs": ROWS}).json()
    for row, output, bound in zip(ROWS, found["outputs"], found["error_bounds"], strict=True):
        assert abs(output - sum(row)) <= bound * (1 + 1e-12) + 1e-12 * abs(output)


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({}, 422, "/inputs"),
        ({"inputs": []}, 422, "/inputs"),
        ({"inputs": [[]]}, 422, "/inputs/0"),
        ({"inputs": [[1, 2], [1]]}, 422, "/inputs/1"),
        ({"inputs": [[1, 2, 3]]}, 422, "/inputs/0"),
        ({"inputs": [1, 2]}, 422, "/inputs/0"),
        ({"inputs": [[1, "2"]]}, 422, "/inputs/0/1"),
        ({"inputs": [[1, True]]}, 422, "/inputs/0/1"),
        ({"inputs": [[1, None]]}, 422, "/inputs/0/1"),
        ({"inputs": [[1, 2]], "epoch": 0}, 422, "/epoch"),
        ({"inputs": [[1, 2]], "epoch": 1.0}, 422, "/epoch"),
        ({"inputs": [[1, 2]], "epoch": 11}, 409, None),
        ({"inputs": [[1, 2]], "rows": 1}, 422, "/rows"),
        ({"inputs": [[1.79e308, 1.79e308]]}, 422, "/inputs/0"),
        ({"inputs": [[1, 2]] * 100_001}, 413, None),
    ],
)
def test_bad_rows_are_refused_by_field(
    http: Http, path: str, body: Any, status: int, where: str | None
) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == status
    problem = answer.json()
    assert problem["status"] == status
    assert where is None or where in [error.get("pointer") for error in problem["errors"]]


def test_a_job_without_weights_is_a_conflict(http: Http) -> None:
    job = http.post("/v1/jobs", json=LONG).json()
    http.post(f"/v1/jobs/{job['id']}/cancel")
    answer = http.post(f"/v1/jobs/{job['id']}/predict", json={"inputs": [[1, 2]]})
    assert answer.status_code == 409


def test_an_unknown_job_predicts_nothing(http: Http) -> None:
    answer = http.post("/v1/jobs/" + "0" * 32 + "/predict", json={"inputs": [[1, 2]]})
    assert answer.status_code == 404
