"""What the processes of the running service write, line by line."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.serving import one_process
from standalone.stack import Stack
from tests.conftest import Http, eventually, running
from tests.service.test_jobs import SMALL

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def lines(stack: Stack, **wanted: Any) -> list[dict[str, Any]]:
    """The JSON lines that have these fields; `process` is whose they are."""
    found = []
    for line in stack.log_path.read_text().splitlines():
        process, _, text = line.partition("|")
        if text.startswith(" {"):
            fields = {"process": process.strip(), **json.loads(text)}
            if wanted.items() <= fields.items():
                found.append(fields)
    return found


def one_line(stack: Stack, **wanted: Any) -> dict[str, Any]:
    line: dict[str, Any] = eventually(lambda: lines(stack, **wanted), str(wanted))[-1]
    return line


def test_a_job_carries_the_ids_of_its_create_to_the_worker(http: Http, stack: Stack) -> None:
    headers = {"X-Request-Id": "order-7", "Prefer": "wait=20", **TRACEPARENT}
    answer = http.post("/v1/jobs", json=SMALL, headers=headers)
    assert answer.headers["X-Request-Id"] == "order-7"
    job_id = answer.json()["id"]
    one_line(stack, process="worker", event="left", job_id=job_id)
    request = one_line(stack, process="api", event="request", job_id=job_id)
    assert (request["method"], request["route"], request["status"]) == ("POST", "/v1/jobs", 200)
    for line in lines(stack, job_id=job_id):
        assert (line["request_id"], line["trace_id"]) == ("order-7", TRACE)
        assert line["level"]
        assert line["timestamp"].endswith("Z")


def test_every_worker_line_about_a_job_has_its_ids(http: Http, stack: Stack) -> None:
    job_id = http.run_job(SMALL)["id"]
    one_line(stack, process="worker", event="left", job_id=job_id)
    about_jobs = [line for line in lines(stack, process="worker") if "job_id" in line]
    assert about_jobs
    assert all(line["request_id"] and line["trace_id"] for line in about_jobs)


def test_each_request_is_one_line_with_its_id(http: Http, stack: Stack) -> None:
    answer = http.get("/v1/jobs/nowhere", headers={"X-Request-Id": "not an id"})
    request_id = answer.headers["X-Request-Id"]
    assert len(request_id) == 32
    line = one_line(stack, event="request", request_id=request_id)
    assert (line["route"], line["status"]) == ("/v1/jobs/<job_id>", 404)
    assert 0 < line["duration_ms"] < 30_000
    assert len(lines(stack, event="request", request_id=request_id)) == 1


def test_no_line_holds_what_may_be_secret(http: Http, stack: Stack) -> None:
    secret = "5ecret" * 4
    headers = {"Authorization": f"Bearer {secret}", "X-Api-Key": secret, "Cookie": f"key={secret}"}
    for path in ("/v1/jobs", f"/{secret}", f"/v1/jobs/{secret}/predict"):
        answer = http.post(f"{path}?key={secret}", headers=headers, json={"name": [secret]})
        one_line(stack, event="request", request_id=answer.headers["X-Request-Id"])
    assert secret not in stack.log_path.read_text()


def test_health_checks_are_not_logged(http: Http, stack: Stack) -> None:
    answer = http.get("/healthz")
    last = http.get("/v1/jobs/nowhere").headers["X-Request-Id"]
    one_line(stack, request_id=last)
    assert not lines(stack, request_id=answer.headers["X-Request-Id"])


class Collector:
    """An OTLP receiver."""

    def __init__(self) -> None:
        spans: list[Any] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.spans = spans
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


def test_request_and_training_are_spans_of_the_clients_trace(collector: Collector) -> None:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with running(settings, programs=one_process) as stack, Http(stack.url) as http:
        headers = {"Prefer": "wait=20", **TRACEPARENT}
        job_id = http.post("/v1/jobs", json=SMALL, headers=headers).json()["id"]

        def find(name: str) -> Any:
            return next((span for span in collector.spans if span.name == name), None)

        request = eventually(lambda: find("POST /v1/jobs"), "the request's span")
        training = eventually(lambda: find("train"), "the worker's span")
        line = one_line(stack, process="worker", event="left", job_id=job_id)
    assert request.trace_id.hex() == training.trace_id.hex() == line["trace_id"] == TRACE
    assert request.parent_span_id.hex() == SPAN
    assert training.parent_span_id == request.span_id
    attributes = {item.key: item.value for item in training.attributes}
    assert attributes["neuron.job_id"].string_value == job_id
