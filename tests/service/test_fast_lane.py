"""Small predictions get the same answer on the short way as on Flask's."""

from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Http
from tests.service.test_inference import request
from tests.service.test_jobs import SMALL

#: What sends a request around the lane, without a meaning of its own.
AROUND = {"Content-Encoding": "identity", "Accept-Encoding": "identity"}
HEADERS = ("Content-Type", "X-Content-Type-Options", "Content-Security-Policy", "Cache-Control",
           "Retry-After", "Content-Length")  # fmt: skip


@pytest.fixture(scope="module")
def paths(stack: Any) -> dict[str, str]:
    name = f"lane-{uuid4().hex[:8]}"
    with Http(stack.url) as http:
        job = http.run_job(SMALL)["id"]
        assert http.put(f"/v1/models/{name}", json={"job_id": job}).ok
        paths = {
            "job": f"/v1/jobs/{job}/predict", "model": f"/v1/models/{name}/predict",
            "infer": f"/v2/models/{name}/infer", "version": f"/v2/models/{job}/versions/1/infer",
            "no job": f"/v1/jobs/{'0' * 32}/predict", "no model": "/v1/models/none/predict",
            "no infer": "/v2/models/none/infer",
            "no version": f"/v2/models/{job}/versions/99/infer",
        }  # fmt: skip
        http.await_model(name)
    return paths


@pytest.mark.parametrize("path", ["job", "model", "infer", "version", "no job", "no model",
                                  "no infer", "no version"])  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [[2.2, 1.5]]}, {"inputs": [[1, 2], [3, 4]], "epoch": 1}, {"inputs": [[1, 2, 3]]},
        {"inputs": [[1.7e308, 1.7e308]]}, {"inputs": []}, {"inputs": [[True, 1]]}, {},
        {"inputs": [[1, 2]], "epoch": 77}, request(), request([1, 2, 3]), request(name="other"),
        request([1.7e308, 1.7e308]), {**request(), "id": "x", "outputs": [{"name": "output"}]},
    ],
)  # fmt: skip
def test_both_ways_give_the_same_answer(
    http: Http, paths: dict[str, str], path: str, body: Any
) -> None:
    short = http.post(paths[path], json=body, headers={"Accept-Encoding": "identity"})
    around = http.post(paths[path], json=body, headers=AROUND)
    assert short.status_code == around.status_code
    assert short.content == around.content
    for name in HEADERS:
        assert short.headers.get(name) == around.headers.get(name), name
    assert "X-Request-Id" in short.headers
