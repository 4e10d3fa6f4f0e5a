"""A tiny HTTP server that answers as a test tells it, and jobs made of the published figures."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "reference" / "published-run.json").read_text("utf-8")
)
WITH, WITHOUT = "with_regularization", "without_regularization"


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float


@dataclass
class Answer:
    """``fault``: "drop" closes without a word, "cut" in mid-body, "hang" never answers."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""


Respond = Callable[[Asked], Answer]


class Service:
    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.respond: Respond = lambda _: Answer(404, {"title": "Not Found", "detail": "Nothing."})
        self.released = threading.Event()
        self.url = ""

    def answers(self, *script: Answer) -> None:
        """Give these answers in turn, the last one for ever."""
        self.respond = lambda _: script[min(len(self.asked), len(script)) - 1]

    def headers(self, name: str) -> list[str | None]:
        return [asked.headers.get(name.lower()) for asked in self.asked]


@contextmanager
def running_service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(raw) if raw else None
            asked = Asked(self.command, self.path, headers, body, time.monotonic())
            service.asked.append(asked)
            self.give(service.respond(asked))

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

        def give(self, answer: Answer) -> None:
            if answer.fault == "hang":
                service.released.wait(30)
            if answer.fault in ("drop", "hang"):
                self.close_connection = True
                return
            is_text = isinstance(answer.body, str)
            text = answer.body if is_text else json.dumps(answer.body)
            raw = b"" if answer.status in (204, 304) else text.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status not in (204, 304):
                self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            if answer.fault == "cut":
                raw, self.close_connection = raw[: len(raw) // 2], True
            with suppress(ConnectionError):
                self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def epoch_document(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        **figures,
        "total": 50000,
        "accuracy": figures["correct"] / 50000,
        "cost": 0.5,
        "digest": "0123",
        "duration_seconds": 0.004,
    }


def job_document(
    status: str = "succeeded", epoch: int = 10, experiment: str = WITH, job_id: str = "j1"
) -> dict[str, Any]:
    """A job as the service tells it, after ``epoch`` epochs of a published experiment."""
    published = PUBLISHED[experiment]
    last = published["epochs"][epoch - 1] if epoch else None
    return {
        "id": job_id,
        "url": f"http://127.0.0.1:8000/v1/jobs/{job_id}",
        "name": "published run",
        "metadata": {"team": "research"},
        "status": status,
        "progress": {
            "epoch": epoch,
            "epochs": 10,
            "step": 0,
            "steps": 500000,
            "fraction": epoch / 10,
            "eta_seconds": None,
        },
        "specification": {
            "dataset": {
                "input_size": 2,
                "training_size": 500000,
                "test_size": 50000,
                "low": 0,
                "high": 100,
                "generator": "seedrandom",
                "seed": 2017,
            },
            "hyperparameters": {
                "epochs": 10,
                "learning_rate": {"schedule": "inverse_epoch", "scale": 100000},
                "regularization": {"kind": published["request"]["regularization"], "strength": 1},
                "weight_low": 0,
                "weight_high": 2,
                "error_margin_percent": 0.01,
            },
        },
        "initial_weights": published["initial_weights"],
        "weights": last and last["weights"],
        "accuracy": last and last["correct"] / 50000,
        "demo_before": published["demo_before"],
        "demo_after": published["demo_after"] if status == "succeeded" else None,
        "error": None,
        "created_at": "2026-01-02T03:04:05.678Z",
        "started_at": "2026-01-02T03:04:06Z",
        "ended_at": None,
    }


def epochs_document(experiment: str = WITH, first: int = 1, last: int = 10) -> dict[str, Any]:
    """Epochs ``first`` … ``last`` as a page; it says that there are more unless 10 is in it."""
    epochs = PUBLISHED[experiment]["epochs"][first - 1 : last]
    more = last < 10
    return {
        "job_id": "j1",
        "epochs": [epoch_document(each) for each in epochs],
        "has_more": more,
        "next": last if more else None,
    }


def step_document(**changed: Any) -> dict[str, Any]:
    """A step whose numbers people can check in their heads."""
    return {
        "step": 7,
        "inputs": [3.0, 4.0],
        "weights": [2.0, 0.5],
        "weighted_inputs": [6.0, 2.0],
        "aggregate": 8.0,
        "output": 8.0,
        "label": 7.0,
        "cost": 1.0,
        "cost_derivative": 2.0,
        "aggregate_gradient": 2.0,
        "weight_gradients": [6.0, 8.0],
        "input_gradients": [4.0, 1.0],
        "regularized_gradients": [4.0, 7.5],
        "learning_rate": 0.125,
        "changes": [0.5, 0.9375],
        "weights_after": [1.5, -0.4375],
    } | changed


def steps_document(*steps: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "job_id": "j1",
        "epoch": 3,
        "learning_rate": 0.125,
        "regularization": -1.0,
        "total": 100,
        "steps": list(steps),
        "has_more": True,
        "next": 8,
    } | changed


def forecast_document(**changed: Any) -> dict[str, Any]:
    return {
        "specification": job_document()["specification"],
        "diverges": False,
        "diverges_in_epoch": None,
        "learning_rates": [5e-06, 2.5e-06, 1.25e-06],
        "largest_learning_rate": 6.2e-05,
        "second_moments": [[3333.0, 2500.0], [2500.0, 3333.0]],
        "initial_weights": [0.6314978354563747, 0.6460986429619577],
        "settling_weights": [1.0000857, 1.0000857],
        "final_weights": [1.00008, 1.00009],
        "final_weights_deviation": [1.25e-05, 2.5e-05],
        "accuracy": 0.99,
        "accuracy_low": 0.95,
        "accuracy_high": 1.0,
        "training_seconds": 0.05,
        "queue_seconds": 1.5,
        "explanation": ["Regularization moves the weights.", "Nothing explodes."],
    } | changed


def model_document(version: int = 2, name: str = "add") -> dict[str, Any]:
    """A model with two versions: the fifth and the last epoch of the published run."""
    versions = [
        {
            "version": number,
            "job_id": "j1",
            "epoch": 5 * number,
            "digest": f"d{number}",
            "weights": PUBLISHED[WITH]["epochs"][5 * number - 1]["weights"],
            "created_at": "2026-01-02T03:04:05.678Z",
        }
        for number in (1, 2)
    ]
    return {"name": name, **versions[version - 1], "versions": versions}


def problem(status: int, detail: str, **more: Any) -> Answer:
    body = {"type": "about:blank", "title": "Refused", "status": status, "detail": detail, **more}
    return Answer(status, body, {"Content-Type": "application/problem+json"})
