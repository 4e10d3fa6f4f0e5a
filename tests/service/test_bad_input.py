"""Nonsense over REST: a clear 4xx problem that names the field and the rule, never a traceback.

What is wrong with a request as such is in `test_attacks`."""

from typing import Any

import pytest

from tests.conftest import Http

JSON = {"Content-Type": "application/json"}


def check_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert isinstance(problem["error"], str)
    assert "Traceback" not in answer.text
    return problem


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"epochs": 3}, "/epochs"),
        ({"name": 5}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"metadata": {"a": 1}}, "/metadata/a"),
        ({"metadata": {f"{i}": "" for i in range(17)}}, "/metadata"),
        ({"dataset": None}, "/dataset"),
        ({"dataset": []}, "/dataset"),
        ({"dataset": {"input_size": 1}}, "/dataset/input_size"),
        ({"dataset": {"input_size": 65}}, "/dataset/input_size"),
        ({"dataset": {"input_size": True}}, "/dataset/input_size"),
        ({"dataset": {"training_size": 0}}, "/dataset/training_size"),
        ({"dataset": {"training_size": 1.5}}, "/dataset/training_size"),
        ({"dataset": {"training_size": "5"}}, "/dataset/training_size"),
        ({"dataset": {"training_size": 10**30}}, "/dataset/training_size"),
        ({"dataset": {"training_size": 10_000_001}}, "/dataset/training_size"),
        ({"dataset": {"test_size": 1_000_001}}, "/dataset/test_size"),
        ({"dataset": {"training_size": 5_000_000, "input_size": 8}}, "/dataset"),
        ({"dataset": {"low": 5, "high": 5}}, "/dataset/high"),
        ({"dataset": {"low": 200}}, "/dataset/high"),
        ({"dataset": {"low": "0"}}, "/dataset/low"),
        ({"dataset": {"high": 1e101}}, "/dataset/high"),
        ({"dataset": {"high": 10**300}}, "/dataset/high"),
        ({"dataset": {"generator": "mt19937"}}, "/dataset/generator"),
        ({"dataset": {"seed": 1.5}}, "/dataset/seed"),
        ({"dataset": {"seed": 2**53}}, "/dataset/seed"),
        ({"dataset": {"seed": "x" * 257}}, "/dataset/seed"),
        ({"dataset": {"seed": "🧠" * 129}}, "/dataset/seed"),
        ({"hyperparameters": {"epochs": 0}}, "/hyperparameters/epochs"),
        ({"hyperparameters": {"epochs": 10_001}}, "/hyperparameters/epochs"),
        ({"hyperparameters": {"learning_rate": 0.1}}, "/hyperparameters/learning_rate"),
        ({"hyperparameters": {"learning_rate": {"schedule": "cosine"}}},
         "/hyperparameters/learning_rate"),
        ({"hyperparameters": {"learning_rate": {"schedule": "constant"}}},
         "/hyperparameters/learning_rate/rate"),
        ({"hyperparameters": {"learning_rate": {"schedule": "constant", "rate": 0}}},
         "/hyperparameters/learning_rate/rate"),
        ({"hyperparameters": {"learning_rate": {"scale": -1}}},
         "/hyperparameters/learning_rate/scale"),
        ({"hyperparameters": {"learning_rate": {"rate": 1}}},
         "/hyperparameters/learning_rate/rate"),
        ({"hyperparameters": {"regularization": {"kind": "l1"}}},
         "/hyperparameters/regularization/kind"),
        ({"hyperparameters": {"regularization": {"strength": -1}}},
         "/hyperparameters/regularization/strength"),
        ({"hyperparameters": {"weight_low": 3}}, "/hyperparameters/weight_high"),
        ({"hyperparameters": {"error_margin_percent": -0.1}},
         "/hyperparameters/error_margin_percent"),
        ({"hyperparameters": {"a/b~c": 1}}, "/hyperparameters/a~1b~0c"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_bad_field_is_named_by_its_pointer_with_the_rule(
    http: Http, body: dict[str, Any], pointer: str
) -> None:
    problem = check_problem(http.post("/v1/jobs", json=body), 422)
    assert [error["pointer"] for error in problem["errors"]] == list(
        dict.fromkeys(error["pointer"] for error in problem["errors"])
    )
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert all(error["detail"] for error in problem["errors"])


def test_all_bad_fields_are_named_at_once(http: Http) -> None:
    body = {"dataset": {"low": "x", "rows": 1}, "hyperparameters": {"epochs": -1}}
    problem = check_problem(http.post("/v1/jobs", json=body), 422)
    pointers = {error["pointer"] for error in problem["errors"]}
    assert pointers == {"/dataset/low", "/dataset/rows", "/hyperparameters/epochs"}


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=", "limit=1&limit=2", "status=done", "page=2",
     "limit=%2B1", "limit=1.0", "limit=1_0", "after=%00", "after=%ff", "after=LTUuYQ",
     "status=running&status=nope"],
)  # fmt: skip
def test_a_bad_query_is_400_and_names_the_parameter(http: Http, query: str) -> None:
    problem = check_problem(http.get(f"/v1/jobs?{query}"), 400)
    assert query.partition("=")[0] in problem["error"]


@pytest.mark.parametrize("query", ["limit=0", "after=-1", "after=x", "epoch=3"])
def test_a_bad_query_of_epochs_is_400(http: Http, query: str) -> None:
    check_problem(http.get("/v1/jobs/" + "0" * 32 + f"/epochs?{query}"), 400)


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/v1", "/v1//jobs", "/v1/jobs//epochs", "/v1/jobs/1", "/v1/jobs/" + "0" * 32,
     "/static/../api/__init__.py", "/v1/jobs/" + "0" * 32 + "/epochs",
     "/v1/jobs/" + "0" * 32 + "/nothing"],
)  # fmt: skip
def test_what_is_not_there_is_404(http: Http, path: str) -> None:
    check_problem(http.get(path), 404)


def test_a_job_s_other_keys_are_not_jobs(http: Http) -> None:
    job = http.run_job({"dataset": {"training_size": 10}})
    for suffix in (":epochs", ":events"):
        check_problem(http.get(f"/v1/jobs/{job['id']}{suffix}"), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", {"GET", "POST", "HEAD", "OPTIONS"}),
        ("PATCH", "/v1/jobs/x", {"GET", "DELETE", "HEAD", "OPTIONS"}),
        ("GET", "/v1/jobs/x/cancel", {"POST", "OPTIONS"}),
        ("POST", "/healthz", {"GET", "HEAD", "OPTIONS"}),
        ("BREW", "/v1/jobs", {"GET", "POST", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_405_and_says_which_are_right(
    http: Http, method: str, path: str, allowed: set[str]
) -> None:
    answer = http.request(method, path)
    check_problem(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_duplicate_keys_and_many_errors_are_cheap(http: Http) -> None:
    keys = [f'"{i:x}":1' for i in range(60_000)]
    twice = "{" + ",".join([*keys, '"ea5f":1']) + "}"
    check_problem(http.post("/v1/jobs", data=twice, headers=JSON, timeout=5), 400)
    many = http.post("/v1/jobs", data="{" + ",".join(keys) + "}", headers=JSON, timeout=5)
    assert "1000 members" in check_problem(many, 400)["detail"]
    unknown = http.post("/v1/jobs", json=dict.fromkeys(keys[:1_000]))
    check_problem(unknown, 422)
    assert len(unknown.content) < 20_000


def test_utf_8_may_be_named(http: Http) -> None:
    utf_8 = {"Content-Type": "application/json; charset=UTF-8"}
    assert http.post("/v1/jobs", data=b'{"dataset":{"training_size":1}}', headers=utf_8).ok
