"""The Open Inference Protocol, as the official client of model servers speaks it."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from shared.neuron import Neuron
from tests.conftest import Http, eventually
from tests.service.test_bad_input import check_problem
from tests.service.test_jobs import LONG, SMALL

ROWS = [[2.2, 1.5], [1024.0, 2048.0], [-0.0, -0.0]]


@pytest.fixture(scope="module")
def job(stack: Any) -> Any:
    with Http(stack.url) as http:
        job = http.run_job({**SMALL, "hyperparameters": {"epochs": 3}})
        epochs = http.get(f"/v1/jobs/{job['id']}/epochs").json()["epochs"]
        return {**job, "epochs": epochs}


@pytest.fixture(scope="module")
def model(stack: Any, job: Any) -> str:
    name = f"oip.{uuid4().hex[:8]}"
    with Http(stack.url) as http:
        assert http.put(f"/v1/models/{name}", json={"job_id": job["id"], "epoch": 2}).ok
        http.await_model(name)
    return name


@pytest.fixture
def client(stack: Any, model: str) -> Iterator[Any]:
    with triton.InferenceServerClient(stack.url.removeprefix("http://")) as client:
        eventually(lambda: client.is_model_ready(model), "the model is served")
        yield client


def tensor(rows: Any, *, kind: str = "FP64", binary: bool = True) -> Any:
    array = np.array(rows, dtype={"FP64": "f8", "FP32": "f4", "INT64": "i8", "UINT8": "u1"}[kind])
    made = triton.InferInput("input", list(array.shape), kind)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def outputs(*, binary: bool) -> list[Any]:
    return [
        triton.InferRequestedOutput(name, binary_data=binary) for name in ("output", "error_bound")
    ]


def expected(job: Any, epoch: int, rows: Any) -> list[float]:
    weights = job["epochs"][epoch - 1]["weights"]
    return [Neuron(weights).forward([float(x) for x in row]) for row in rows]


def test_the_server_and_its_models_describe_themselves(client: Any, job: Any, model: str) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    for name in (job["id"], model):
        described = client.get_model_metadata(name)
        assert described["name"] == name
        assert described["versions"] == ["1", "2", "3"]
        assert described["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 2]}]
        assert [output["name"] for output in described["outputs"]] == ["output", "error_bound"]
        assert client.get_model_metadata(name, "2")["versions"] == ["2"]
        assert client.is_model_ready(name)
        assert client.is_model_ready(name, "3")
        assert not client.is_model_ready(name, "4")
        assert client.get_model_config(name)["input"][0]["dims"] == [-1, 2]
    assert {"name": model, "version": "2", "state": "READY", "reason": ""} in (
        client.get_model_repository_index()
    )
    assert not client.is_model_ready("unknown")


def test_statistics_count_rows(client: Any, job: Any) -> None:
    client.infer(job["id"], [tensor(ROWS)], model_version="1")

    def counted() -> bool:
        stats = client.get_inference_statistics(job["id"], "1")["model_stats"][0]
        return bool(stats["inference_count"] >= 3 <= 3 * stats["execution_count"])

    eventually(counted, "the process that counted answers")
    assert "model_stats" in client.get_inference_statistics()


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_the_sync_client_infers(
    client: Any, job: Any, model: str, compression: Any, binary_in: bool, binary_out: bool | None
) -> None:
    for name, version, epoch in ((job["id"], "1", 1), (job["id"], "", 3), (model, "", 2)):
        result = client.infer(
            name, [tensor(ROWS, binary=binary_in)], model_version=version, request_id="é 7",
            outputs=None if binary_out is None else outputs(binary=binary_out),
            request_compression_algorithm=compression, response_compression_algorithm=compression,
        )  # fmt: skip
        assert result.as_numpy("output").tolist() == expected(job, epoch, ROWS)
        answer = result.get_response()
        assert (answer["model_name"], answer["model_version"]) == (name, str(epoch))
        assert answer["id"] == "é 7"
        assert answer["parameters"]["job_id"] == job["id"]
        assert answer["parameters"]["digest"] == job["epochs"][epoch - 1]["digest"]
        errors = abs(result.as_numpy("output") - np.sum(ROWS, axis=1))
        assert (errors <= result.as_numpy("error_bound")).all()


def test_every_epoch_is_a_version_of_a_named_model_too(client: Any, job: Any, model: str) -> None:
    for epoch in (1, 2, 3):
        result = client.infer(model, [tensor(ROWS)], model_version=str(epoch))
        assert result.as_numpy("output").tolist() == expected(job, epoch, ROWS)


@pytest.mark.parametrize("kind", ["FP32", "INT64", "UINT8"])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("count", [3, 3000])
def test_other_datatypes_become_float64(
    client: Any, job: Any, kind: str, binary: bool, count: int
) -> None:
    sent = tensor([[0.1, 3], [200, 7], [1, 2]] * (count // 3), kind=kind, binary=binary)
    result = client.infer(job["id"], [sent])
    rows = np.array([[0.1, 3], [200, 7], [1, 2]], dtype={"FP32": "f4"}.get(kind, "i8")).tolist()
    assert result.as_numpy("output").tolist()[:3] == expected(job, 3, rows)
    assert result.as_numpy("output").shape == (count,)


def test_the_async_and_the_asyncio_client_infer(stack: Any, client: Any, job: Any) -> None:
    found = client.async_infer(job["id"], [tensor(ROWS)]).get_result()
    assert found.as_numpy("output").tolist() == expected(job, 3, ROWS)

    async def infer() -> None:
        async with triton_aio.InferenceServerClient(stack.url.removeprefix("http://")) as own:
            assert await own.is_model_ready(job["id"])
            for compression in (None, "gzip", "deflate"):
                for binary in (True, False):
                    result = await own.infer(
                        job["id"], [tensor(ROWS, binary=binary)], outputs=outputs(binary=binary),
                        request_compression_algorithm=compression,
                        response_compression_algorithm=compression,
                    )  # fmt: skip
                    assert result.as_numpy("output").tolist() == expected(job, 3, ROWS)

    asyncio.run(infer())


def test_many_rows_in_json_and_binary(client: Any, http: Http, job: Any) -> None:
    rows = np.random.default_rng(3).uniform(0, 100, (1_000_000, 2))
    w = job["weights"]
    wanted = rows[:, 0] * w[0] + rows[:, 1] * w[1]
    result = client.infer(job["id"], [tensor(rows)], outputs=outputs(binary=True))
    assert np.array_equal(result.as_numpy("output"), wanted)
    few = rows[:100_000]
    result = client.infer(job["id"], [tensor(few, binary=False)], outputs=outputs(binary=False)[:1])
    assert np.array_equal(result.as_numpy("output"), wanted[:100_000])
    body = request(few.tolist(), [100_000, 2])
    found = http.post(f"/v2/models/{job['id']}/infer", json=body).json()
    assert found["outputs"][0]["data"] == wanted[:100_000].tolist()


def test_an_error_reaches_the_client_as_a_sentence(client: Any, job: Any) -> None:
    with pytest.raises(InferenceServerException, match="version 9"):
        client.infer(job["id"], [tensor(ROWS)], model_version="9")
    with pytest.raises(InferenceServerException, match="shape must be"):
        client.infer(job["id"], [tensor([[1, 2, 3]])])


def request(data: Any = (1, 2), shape: Any = (1, 2), **more: Any) -> dict[str, Any]:
    made = {"name": "input", "shape": shape, "datatype": "FP64", "data": data, **more}
    return {"inputs": [{key: value for key, value in made.items() if value is not ...}]}


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4.0]]])
def test_data_is_flat_or_nested(http: Http, job: Any, data: Any) -> None:
    answer = http.post(f"/v2/models/{job['id']}/infer", json=request(data, [2, 2]))
    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["data"] == expected(job, 3, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "body",
    [
        {}, {"inputs": []}, {"inputs": 1}, {"inputs": [1]}, {"inputs": request()["inputs"] * 2},
        {**request(), "extra": 1}, {**request(), "id": 5}, {**request(), "parameters": []},
        {**request(), "outputs": [{"name": "other"}]}, {**request(), "outputs": ["output"]},
        {**request(), "outputs": [{"name": "output"}, {"name": "output"}]},
        {**request(), "outputs": [{"name": "output", "parameters": {"binary_data": 1}}]},
        {**request(), "outputs": [{"name": "output", "parameters": {"classification": 1}}]},
        {**request(), "parameters": {"binary_data_output": "yes"}},
        request(name="x"), request(name=...), request(datatype="BYTES"), request(datatype=...),
        request(datatype=["FP64"]), request(shape=[2]), request(shape=[1, 3]), request(shape=...),
        request(shape=[-1, 2]), request(shape=[1.0, 2]), request(shape=[True, 2]),
        request(shape=[10**15, 2]), request(shape=[0, 2], data=[]), request([1]),
        request([1, 2, 3]),
        request([[1], [2]]), request([[1, 2]], [2, 2]), request([[[1, 2]]]), request(["1", 2]),
        request([True, 2]), request([None, 2]), request(1), request(...), request(x=1),
        request([1.5, 2], datatype="INT32"), request([300, 2], datatype="UINT8"),
        request([2**53 + 1, 2], datatype="INT64"), request([1e39, 2], datatype="FP32"),
        request([1.7e308, 1.7e308]), request(parameters={"binary_data_size": 16}),
        request(..., parameters={"binary_data_size": 16}),
        request(..., parameters={"binary_data_size": "16"}),
        request([1.5] * 4000, [2000, 2], datatype="INT32"), request([1] * 3999, [2000, 2]),
        request([[1] * 4] * 1000, [2000, 2]), request([1] * 3999 + [None], [2000, 2]),
        request([300] * 4000, [2000, 2], datatype="UINT8"), request([1e308] * 4000, [2000, 2]),
    ],
)  # fmt: skip
def test_a_wrong_request_is_400(http: Http, job: Any, body: Any) -> None:
    check_problem(http.post(f"/v2/models/{job['id']}/infer", json=body), 400)


GOOD = json.dumps(request()).encode()
LARGE = json.dumps(request([1] * 4000, [2000, 2])).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", GOOD + b"x", GOOD[:-1] + b',"inputs":[]}',
        GOOD.replace(b"1, 2]", b"1,NaN]"),
        GOOD.replace(b'"data"', b'"data":[3,4],"data"'), GOOD.replace(b"[1, 2]}", b"[1,1e999]}"),
        GOOD.replace(b'"input"', b'"\\ud800"'), GOOD.decode().encode("utf-16"),
        LARGE + b"x", LARGE.replace(b"1, 1]", b"1, NaN]"), LARGE.replace(b"1, 1]", b"1, 1e999]"),
        LARGE.replace(b'"data"', b'"data":[3,4],"data"'), LARGE.replace(b"1, 1]", b"1, 1]]"),
        LARGE.replace(b'"data"', b'"parameters":{"data":[1]},"x"'),
        LARGE.replace(b"1, 1]", b"1, [1"), b'{"inputs":' + b"[" * 100_000,
        b'{"inputs":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
    ],
    ids=lambda body: repr(body[-20:]),
)  # fmt: skip
def test_what_is_no_strict_json_is_400(http: Http, job: Any, body: bytes) -> None:
    check_problem(http.post(f"/v2/models/{job['id']}/infer", data=body), 400)


BINARY = json.dumps(request(..., parameters={"binary_data_size": 16})).encode()


@pytest.mark.parametrize(
    ("tail", "length"),
    [
        (b"\0" * 15, len(BINARY)), (b"\0" * 17, len(BINARY)), (b"", len(BINARY)),
        (b"\0" * 16, len(BINARY) + 17), (b"\0" * 16, -1), (b"\0" * 16, "x"), (b"\0" * 16, ""),
        (b"\0" * 16, len(BINARY) - 1), (b"\0" * 16, "9" * 30), (b"\xff" * 16, len(BINARY)),
    ],
)  # fmt: skip
def test_a_wrong_binary_request_is_400(http: Http, job: Any, tail: bytes, length: Any) -> None:
    header = {"Inference-Header-Content-Length": str(length)}
    check_problem(
        http.post(f"/v2/models/{job['id']}/infer", data=BINARY + tail, headers=header), 400
    )


def test_compressed_bodies_are_bounded_and_whole(http: Http, job: Any) -> None:
    path = f"/v2/models/{job['id']}/infer"

    def post(body: bytes, encoding: str) -> Any:
        return http.post(path, data=body, headers={"Content-Encoding": encoding})

    assert post(gzip.compress(GOOD), "gzip").status_code == 200
    assert post(zlib.compress(GOOD), "deflate").status_code == 200
    check_problem(post(gzip.compress(b" " * 70_000_000), "gzip"), 413)
    for body in (
        GOOD,
        b"",
        gzip.compress(GOOD)[:-1],
        gzip.compress(GOOD) + b"x",
        zlib.compress(GOOD),
    ):
        check_problem(post(body, "gzip"), 400)
    for encoding in ("br", "zstd", "gzip, gzip", "x-gzip"):
        check_problem(post(gzip.compress(GOOD), encoding), 415)


def test_answers_are_compressed_only_when_asked(http: Http, job: Any) -> None:
    path = f"/v2/models/{job['id']}/infer"
    for asked, given in (
        ("gzip", "gzip"), ("deflate", "deflate"), ("gzip;q=0", None), ("br", None),
        ("identity", None), ("*", None), ("gzip;q=0.5, deflate", "deflate"),
    ):  # fmt: skip
        answer = http.post(path, data=GOOD, headers={"Accept-Encoding": asked})
        assert answer.headers.get("Content-Encoding") == given
        assert answer.json()["outputs"][0]["data"] == expected(job, 3, [[1, 2]])


def test_unknown_models_and_versions_are_404(http: Http, job: Any, model: str) -> None:
    for path in (
        "models/unknown", f"models/{'0' * 32}", f"models/{job['id']}/versions/4",
        f"models/{job['id']}/versions/0", f"models/{job['id']}/versions/01",
        f"models/{model}/versions/x", f"models/{model}/versions/{'9' * 40}",
    ):  # fmt: skip
        check_problem(http.post(f"/v2/{path}/infer", data=GOOD), 404)
        for suffix in ("", "/ready", "/config", "/stats"):
            check_problem(http.get(f"/v2/{path}{suffix}"), 404)
    check_problem(http.get(f"/v2/models/{job['id']}/infer"), 405)


def test_a_job_without_weights_is_not_ready(http: Http) -> None:
    waiting = http.post("/v1/jobs", json=LONG).json()
    http.post(f"/v1/jobs/{waiting['id']}/cancel")
    check_problem(http.get(f"/v2/models/{waiting['id']}/ready"), 503)
    check_problem(http.post(f"/v2/models/{waiting['id']}/infer", data=GOOD), 503)


def test_both_spellings_of_the_root_answer(http: Http) -> None:
    for path in ("/v2", "/v2/"):
        answer = http.get(path, allow_redirects=False)
        assert answer.status_code == 200
        assert answer.json()["name"] == "neuron-training-service"


def test_a_long_body_that_asks_for_the_index_is_413(http: Http) -> None:
    check_problem(http.post("/v2/repository/index", data=b" " * 1_000_001), 413)


def test_too_many_rows_are_413(http: Http, job: Any) -> None:
    body = request([1] * 200_002, [100_001, 2])
    check_problem(http.post(f"/v2/models/{job['id']}/infer", json=body), 413)
