"""Predictions beside MLServer, which answers the same requests with the same weights.

MLServer gets a virtual environment of its own in `.venv/mlserver`, once. It runs as it is by
default, with a worker process, and with `parallel_workers: 0`, in one process.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson
import requests

from benchmarks.measure import Result
from benchmarks.serving import (
    FEW_ROWS,
    OIP_ROW,
    ROUNDS,
    NoWrkError,
    await_answer,
    fastest_post,
    one_process,
    prepare,
    wrk,
    wrk_script,
)
from standalone import ports
from standalone.stack import ROOT, Stack, worker_and_api

REQUIREMENTS = ROOT / "benchmarks" / "requirements-mlserver.txt"
HOME = ROOT / ".venv" / "mlserver"
JSON = {"Content-Type": "application/json"}
#: Without naming it, the service would send the error bounds too.
ONE_ROW: dict[str, object] = {**OIP_ROW, "outputs": [{"name": "output"}]}
INFER = "/v2/models/bench/infer"
OURS, OURS_ALONE = "two processes", "one process"
PEERS: dict[str, dict[str, object]] = {
    "MLServer in-process": {"parallel_workers": 0},
    "MLServer by default": {},
}
ONE_ROW_TARGETS = dict(zip(PEERS, (4, 10), strict=True))
BULK_TARGET = 2
RUNTIME = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Neuron(MLModel):
    async def load(self):
        self.weights = np.array(self.settings.parameters.extra["weights"])
        return True

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("output", rows @ self.weights)
        return InferenceResponse(model_name=self.name, outputs=[output])
"""


def peers() -> Iterator[Result]:
    """Install MLServer if need be, then race one row and many rows, all sides in turn."""
    if not shutil.which("wrk"):
        raise NoWrkError("wrk is not on the PATH (Debian: apt install wrk)")
    _install()
    quiet = {**os.environ, "NEURON_LOG_LEVEL": "warning"}
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory()))
        sides = {}
        for name, programs in ((OURS, worker_and_api), (OURS_ALONE, one_process)):
            stack = running.enter_context(Stack(programs=programs, environment=quiet))
            prepare(stack.url)
            sides[name] = stack.url + INFER
        weights = requests.get(f"{stack.url}/v1/models/bench", timeout=5).json()["weights"]
        for name, settings in PEERS.items():
            url = running.enter_context(_mlserver(folder / name, settings, weights))
            sides[name] = url + INFER
        yield from _one_row(sides, folder)
        yield from _bulk(sides)


def _install() -> None:
    """Install what is locked: uvloop below 0.22, with which MLServer's worker dies at its start."""
    done = HOME / REQUIREMENTS.name
    if done.exists() and done.read_bytes() == REQUIREMENTS.read_bytes():
        return
    print(f"Installing MLServer into {HOME} (once, about a minute) ...", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
    pip = f"{HOME}/bin/python -m pip install --quiet --disable-pip-version-check"
    subprocess.run([*pip.split(), "--requirement", REQUIREMENTS], check=True)
    shutil.copy(REQUIREMENTS, done)


@contextlib.contextmanager
def _mlserver(folder: Path, settings: dict[str, object], weights: Sequence[float]) -> Iterator[str]:
    """Serve the weights, quietly, until the end; yields the server's URL."""
    folder.mkdir()
    port, *others = (ports.free_port("127.0.0.1", 0) for _ in range(3))
    settings = {
        **settings, "debug": False, "host": "127.0.0.1", "http_port": port,
        **dict(zip(("grpc_port", "metrics_port"), others, strict=True)),
    }  # fmt: skip
    model = {"name": "bench", "implementation": "neuron.Neuron",
             "parameters": {"extra": {"weights": weights}}}  # fmt: skip
    (folder / "neuron.py").write_text(RUNTIME)
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    command = (HOME / "bin" / "mlserver", "start", folder)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        url = ports.url_of("127.0.0.1", port)
        try:
            await_answer(url + INFER, ONE_ROW)
            yield url
        finally:
            process.terminate()


def _one_row(sides: dict[str, str], folder: Path) -> Iterator[Result]:
    _check(sides, orjson.dumps(ONE_ROW))
    race = partial(wrk, script=wrk_script(folder, "one_row", ONE_ROW))
    rounds = [{name: race(url)[0] for name, url in sides.items()} for _ in range(ROUNDS)]
    best = {name: max(found[name] for found in rounds) for name in sides}
    for name, target in ONE_ROW_TARGETS.items():
        for ours, least in ((OURS, target), (OURS_ALONE, None)):
            yield _raced("one row, OIP", ours, name, best, "{:,.0f}/s", least)


def _bulk(sides: dict[str, str]) -> Iterator[Result]:
    rows = np.random.default_rng(1).uniform(0, 100, (FEW_ROWS, 2))
    tensor = {**OIP_ROW["inputs"][0], "shape": [*rows.shape], "data": rows.ravel().tolist()}
    body = orjson.dumps({**ONE_ROW, "inputs": [tensor]})
    _check(sides, body)
    race = partial(fastest_post, body=body, headers=JSON)
    rounds = [{name: race(url) for name, url in sides.items()} for _ in range(ROUNDS)]
    best = {name: FEW_ROWS / min(found[name] for found in rounds) / 1e6 for name in sides}
    what = f"{FEW_ROWS:,} rows, OIP JSON"
    for name in PEERS:
        yield _raced(what, OURS_ALONE, name, best, "{:.2f} M rows/s", BULK_TARGET)


def _check(sides: dict[str, str], body: bytes) -> None:
    """All sides do the same work: their outputs are equal, but for rounding."""
    answers = [requests.post(url, body, headers=JSON, timeout=30) for url in sides.values()]
    outputs = [np.ravel(answer.json()["outputs"][0]["data"]) for answer in answers]
    assert np.allclose(outputs, outputs[0], rtol=1e-14, atol=0)


def _raced(
    what: str, ours: str, other: str, best: dict[str, float], unit: str, least: float | None
) -> Result:
    ratio = best[ours] / best[other]
    return Result(
        f"{what}, {ours}, beside {other}",
        unit.format(best[ours]), unit.format(best[other]), f"{ratio:.2f}",
        f"≥ {least}" if least else "", ratio >= least if least else None,
    )  # fmt: skip
