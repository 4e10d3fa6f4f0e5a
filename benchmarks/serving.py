"""Predictions: small ones beside a bare Flask view on the same server, large ones in one process.

The load is wrk's, from a process of its own; both sides run in turn, and the best of each counts.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import numpy as np
import orjson
import requests

from api.__main__ import OPTIONS
from benchmarks.measure import Result, limited, seconds
from standalone import ports
from standalone.process import Program
from standalone.stack import ROOT, Stack, worker_and_api

ROW = {"inputs": [[2.2, 1.5]]}
OIP_ROW = {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [2.2, 1.5]}]}
CONNECTIONS, SECONDS, ROUNDS = 8, 3, 5
STREAMS = 50
FEW_ROWS, MANY_ROWS = 100_000, 1_000_000


class NoWrkError(Exception):
    """The load generator is not installed."""


def serving() -> Iterator[Result]:
    """Measure single rows with wrk, then many rows a call."""
    if not shutil.which("wrk"):
        raise NoWrkError("wrk is not on the PATH (Debian: apt install wrk)")
    yield from _single()
    yield from _bulk()


def one_process(host: str, port: int) -> Iterable[Program]:
    """List the stack's programs, with one process of the API."""
    worker, api = worker_and_api(host, port)
    return worker, replace(api, command=(*api.command, "--workers", "1"))


def _single() -> Iterator[Result]:
    quiet = {**os.environ, "NEURON_LOG_LEVEL": "warning"}
    with (
        TemporaryDirectory() as folder,
        Stack(environment=quiet) as stack,
        _guarded(Path(folder)) as (guarded, key),
        _bare() as bare,
    ):
        job, model = prepare(stack.url)
        prepare(guarded, **key)
        script = partial(wrk_script, Path(folder))
        named = f"/v1/models/{model}/predict"
        sides = {
            "bare": (f"{bare}/predict", script("row", ROW)),
            "named": (stack.url + named, script("row", ROW)),
            "guarded": (guarded + named, script("guarded", ROW, **key)),
            "job": (f"{stack.url}/v1/jobs/{job}/predict", script("row", ROW)),
            "OIP": (f"{stack.url}/v2/models/{model}/infer", script("oip", OIP_ROW)),
        }
        rounds = [{name: wrk(*side) for name, side in sides.items()} for _ in range(ROUNDS)]
        with _streams(stack.url):
            watched = min(wrk(*sides["named"])[1] for _ in range(ROUNDS))
    best = {name: max(found[name] for found in rounds) for name in sides}
    for name, what in (
        ("named", "one row by name"), ("job", "one row by job"), ("OIP", "one row, OIP"),
    ):  # fmt: skip
        ours, other = best[name][0], best["bare"][0]
        target = 0.85 if name == "named" else None
        yield Result(
            f"{what}, 8 connections, against a bare view",
            f"{ours:,.0f}/s", f"{other:,.0f}/s", f"{ours / other:.2f}",
            f"≥ {target}" if target else "", ours / other >= target if target else None,
        )  # fmt: skip
        yield limited(f"{what}, p99", min(found[name][1] for found in rounds), "ms", 10)
    yield limited(f"one row by name, p99 with {STREAMS} event streams open", watched, "ms", 10)
    ours, other = best["guarded"][0], best["named"][0]
    yield Result(
        "one row by name, with keys, limits, metrics and logs on, against without",
        f"{ours:,.0f}/s", f"{other:,.0f}/s", f"{ours / other:.2f}", "≥ 0.6", ours / other >= 0.6,
    )  # fmt: skip


@contextlib.contextmanager
def _guarded(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run the service with keys, limits and logs; its URL, and the header with a key."""
    file = str(folder / "keys.json")
    scopes = ("--scope", "train", "--scope", "predict")
    command = (sys.executable, "-m", "api.keys", "add", "--owner", "bench", *scopes, file)
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    environment = {
        **os.environ,
        "NEURON_API_KEYS_FILE": file,
        "NEURON_RATE_LIMIT_JOBS": "1000000",
        "NEURON_RATE_LIMIT_PREDICT": "100000000",
    }
    with Stack(environment=environment) as stack:
        yield stack.url, {"X-API-Key": made.stdout.strip()}


@contextlib.contextmanager
def _streams(url: str) -> Iterator[None]:
    """Watch a paused job by many streams; a process that has enough of them sends others away."""
    long = {"hyperparameters": {"epochs": 10_000}}
    events = {"Accept": "text/event-stream"}
    deadline = time.monotonic() + 30
    with contextlib.ExitStack() as opened:
        job = requests.post(f"{url}/v1/jobs", json=long, timeout=5).json()["url"]
        requests.post(f"{job}/pause", timeout=5).raise_for_status()
        count = 0
        while count < STREAMS:
            stream = requests.get(f"{job}/events", headers=events, stream=True, timeout=30)
            opened.callback(stream.close)
            count += stream.ok
            if time.monotonic() > deadline:
                raise TimeoutError(job)
        yield


@contextlib.contextmanager
def _bare() -> Iterator[str]:
    """Run the bare view with the settings of the service's own server."""
    port = ports.free_port("127.0.0.1", 0)
    server = (sys.executable, "-m", "granian", *OPTIONS.split(), "--port", str(port))
    command = (*server, "benchmarks.bare:create_app")
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        url = ports.url_of("127.0.0.1", port)
        try:
            await_answer(f"{url}/predict")
            yield url
        finally:
            process.terminate()


def await_answer(url: str, body: object = ROW) -> None:
    """Wait until the server answers the body well."""
    deadline = time.monotonic() + 30
    while True:
        try:
            if requests.post(url, json=body, timeout=5).ok:
                return
        except requests.RequestException:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(url)
        time.sleep(0.05)


def prepare(url: str, **headers: str) -> tuple[str, str]:
    """Train, and name a model; returns the job's id and the name when both predict."""
    with requests.Session() as http:
        http.headers.update(headers)
        made = http.post(
            f"{url}/v1/jobs", json={}, headers={"Prefer": "wait=20"}, timeout=30
        ).json()
        http.put(
            f"{url}/v1/models/bench", json={"job_id": made["id"]}, timeout=5
        ).raise_for_status()
    time.sleep(1)  # every process serves it now: that is the promise
    return made["id"], "bench"


def wrk_script(folder: Path, name: str, body: object, **headers: str) -> Path:
    """Write what makes wrk post the body."""
    path = folder / f"{name}.lua"
    path.write_text(
        f"wrk.method = 'POST'\nwrk.body = [==[{orjson.dumps(body).decode()}]==]\n"
        + "".join(
            f"wrk.headers['{name}'] = '{value}'\n"
            for name, value in {"Content-Type": "application/json", **headers}.items()
        )
    )
    return path


def wrk(url: str, script: Path) -> tuple[float, float]:
    """Requests a second, and the 99th percentile in ms."""
    command = f"wrk -t 1 -c {CONNECTIONS} -d {SECONDS}s --latency -s {script} {url}"
    said = subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    late = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    if not rate or not late:
        raise RuntimeError(said)
    return float(rate[1]), float(late[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[late[2]]


def _bulk() -> Iterator[Result]:
    rows = np.random.default_rng(1).uniform(0, 100, (MANY_ROWS, 2))
    few = rows[:FEW_ROWS]
    flat = {**OIP_ROW["inputs"][0], "shape": [FEW_ROWS, 2], "data": few.ravel().tolist()}
    wanted = {"outputs": [{"name": "output"}]}
    file = io.BytesIO()
    np.save(file, rows)
    json_type = {"Content-Type": "application/json"}
    with Stack(programs=one_process) as stack:
        _, model = prepare(stack.url)
        infer, predict = f"/v2/models/{model}/infer", f"/v1/models/{model}/predict"
        for what, path, body, headers, count, target in (
            ("JSON, nested rows", predict, orjson.dumps({"inputs": few.tolist()}), json_type,
             FEW_ROWS, None),
            ("JSON, flat, OIP", infer, orjson.dumps({"inputs": [flat], **wanted}), json_type,
             FEW_ROWS, None),
            ("NumPy file", predict, file.getvalue(), {"Content-Type": "application/x-npy"},
             MANY_ROWS, None),
            ("binary, OIP", infer, *_binary(few), FEW_ROWS, 30),
            ("binary, OIP", infer, *_binary(rows), MANY_ROWS, 30),
        ):  # fmt: skip
            rate = count / fastest_post(stack.url + path, body, headers) / 1e6
            met = None if target is None else rate >= target
            yield Result(
                f"{count:,} rows a call, {what}, one process", f"{rate:.1f} M rows/s",
                target="" if target is None else f"≥ {target} M rows/s", met=met,
            )  # fmt: skip


def _binary(rows: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """Body and headers that send the rows, and ask for the sums, as binary tensors."""
    header = orjson.dumps(
        {
            "inputs": [
                {
                    "name": "input", "shape": rows.shape, "datatype": "FP64",
                    "parameters": {"binary_data_size": rows.nbytes},
                }
            ],
            "outputs": [{"name": "output", "parameters": {"binary_data": True}}],
        }
    )  # fmt: skip
    return header + rows.tobytes(), {"Inference-Header-Content-Length": str(len(header))}


def fastest_post(url: str, body: bytes, headers: dict[str, str]) -> float:
    """Seconds from the first byte sent to the last one read, on a connection that is open."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)

    def post() -> None:
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200

    with contextlib.closing(connection):
        return min(seconds(post) for _ in range(100))
