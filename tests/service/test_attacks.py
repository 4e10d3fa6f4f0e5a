"""The table of attacks: what a stranger sends, and the status that answers it.

Slow clients are in `test_slow_clients`. After each attack nothing has changed, and the service goes
on.
"""

import base64
import gzip
import pickle
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from http.client import HTTPMessage, HTTPResponse
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from benchmarks.serving import one_process
from shared.models import REVISION
from shared.queue import TRAIN
from shared.settings import Settings
from shared.store import DUE, JOBS, Store, job_keys
from standalone.stack import Stack
from tests.conftest import eventually, running
from tests.service.test_jobs import SMALL
from tests.service.test_keys import Keys, add

FAILURES = 10


@dataclass(frozen=True)
class Attack:
    """A request, byte for byte, and the status expected.

    `<job>`, `<research>`, … stand for the job's id and for keys, see `Guarded`; `key` names the key
    that comes along. `plain`: the server refuses it before the application. Status 0: the sender
    hangs up, so that nobody is there to be answered.
    """

    name: str
    status: int
    path: str = "/v1/jobs"
    body: bytes = b"{}"
    headers: tuple[str, ...] = ()
    method: str = "POST"
    key: str | None = "research"
    plain: bool = False

    def text(self, names: dict[str, str]) -> bytes:
        """The request, with the names filled in."""

        def fill(part: str) -> str:
            return re.sub("<([A-Za-z]+)>", lambda found: names.get(found[1], found[0]), part)

        body = fill(self.body.decode("latin-1")).encode("latin-1")
        given = {header.partition(":")[0] for header in self.headers}
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: localhost", *self.headers]
        if self.key:
            lines.append(f"X-API-Key: <{self.key}>")
        if "Content-Type" not in given:
            lines.append("Content-Type: application/json")
        if not given & {"Content-Length", "Transfer-Encoding"}:
            lines.append(f"Content-Length: {len(body)}")
        return fill("\r\n".join([*lines, "", ""])).encode("latin-1") + body


class Guarded(Keys):
    """A service with keys, a job and a model, and how it is from inside."""

    def __init__(self, stack: Stack, file: Path, keys: dict[str, str]) -> None:
        super().__init__(stack, file, keys)
        self.store = Store(Settings(redis_url=stack.redis_url))
        with self.of("research") as http:
            self.job = http.run_job(SMALL)["id"]
            assert http.put("/v1/models/sums", json={"job_id": self.job}).status_code == 201
            http.await_model("sums")
        key = keys["research"]
        made_up = {"wrong": f"nk_{0:012}_{0:064}", "short": key[:-1], "loud": key.upper()}
        self.names = {"job": self.job, "JOB": self.job.upper(), **made_up, **keys}

    def state(self) -> Any:
        """All that an attack may have changed."""
        pipeline = self.store.redis.pipeline()
        pipeline.get(f"{JOBS}:sequence")
        pipeline.zcard(JOBS)
        pipeline.zcard(DUE)
        pipeline.llen("neuron")
        pipeline.get(REVISION)
        pipeline.hgetall(job_keys(self.job)[0])
        return pipeline.execute()

    def send(self, attack: Attack, source: str = "127.0.0.1") -> tuple[int, HTTPMessage, bytes]:
        """The answer to the attack, on a connection of its own, from a loopback address."""
        host = urlsplit(self.stack.url)
        address = (host.hostname or "", host.port or 0)
        with socket.create_connection(address, 60, source_address=(source, 0)) as connection:
            with suppress(OSError):  # refused before all of it was sent
                connection.sendall(attack.text(self.names))
            if not attack.status:
                connection.shutdown(socket.SHUT_WR)
                return 0, HTTPMessage(), connection.recv(1000)
            with closing(HTTPResponse(connection)) as response:
                response.begin()
                return response.status, response.headers, response.read()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    keys = {
        "research": add(file, "research", "train", "predict"),
        "other": add(file, "other", "train", "predict"),
    }
    settings = {"NEURON_API_KEYS_FILE": str(file), "NEURON_MAX_KEY_FAILURES": str(FAILURES)}
    with running(settings, programs=one_process) as stack:
        yield Guarded(stack, file, keys)


PREDICT, INFER = "/v1/jobs/<job>/predict", "/v2/models/sums/infer"
NAMED = "/v1/models/sums/predict"
ROWS = b'{"inputs": [[1, 2]]}'
TENSOR = (
    b'{"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}'
)  # fmt: skip

KEYS = [
    Attack("no key", 401, key=None),
    Attack("a key that is none", 401, key="wrong"),
    Attack("a key of another kind", 401, key=None, headers=("Authorization: Bearer secret",)),
    Attack("an empty key", 401, key=None, headers=("X-API-Key:",)),
    Attack("a key that is cut short", 401, key="short"),
    Attack("a key in upper case", 401, key="loud"),
    Attack("two keys", 401, headers=("Authorization: Bearer <other>",)),
    Attack("a key twice in one header", 401, key=None, headers=("X-API-Key: <other>, <other>",)),
    Attack("a right key and NUL", 400, key=None, headers=("X-API-Key: <other>\0",), plain=True),
    Attack("a key in the query", 401, "/v1/jobs?api_key=<other>", key=None),
    Attack("a key in the query and a right one", 401, "/v1/jobs?x=<other>"),
    Attack("a key in the path", 401, "/v1/jobs/<other>", key=None),
    Attack("a key in the body", 401, body=b'{"api_key": "<other>"}', key=None),
    Attack("a key as a cookie", 401, key=None, headers=("Cookie: X-API-Key=<other>",)),
    Attack("a key as a password", 401, key=None, headers=("Authorization: Basic OjxvdGhlcj4=",)),
    Attack("no key for a path that is none", 401, "/nothing", key=None),
    Attack("no key and a wrong method", 401, method="PATCH", key=None),
    Attack("a method that is none", 405, method="BREW"),
    Attack("another owner's job", 404, PREDICT, ROWS, key="other"),
    Attack("another owner's model", 404, NAMED, ROWS, key="other"),
    Attack("a model of another owner's job", 404, "/v1/models/mine", b'{"job_id": "<job>"}',
           method="PUT", key="other"),
    Attack("another owner's name for a model", 404, "/v1/models/sums/rollback", key="other"),
]  # fmt: skip

NOT_STRICT = {
    "empty": b"", "cut short": b"{", "null": b"null", "an array": b"[]", "a number": b"1",
    "a string": b'"x"', "half a pair": b'{"a"}', "something behind it": b"{}x",
    "latin-1": '{"name": "é"}'.encode("latin-1"), "no characters": b"\xff\xfe",
    "UTF-16": "{}".encode("utf-16"), "UTF-32": "{}".encode("utf-32"), "a BOM": b"\xef\xbb\xbf{}",
    "NaN": b'{"name": NaN}', "Infinity": b'{"name": -Infinity}',
    "too large a number": b'{"dataset": {"high": 1e999}}',
    "a number of 5000 digits": b'{"dataset": {"seed": ' + b"9" * 5000 + b"}}",
    "a key twice": b'{"name": "a", "name": "a"}',
    "a key twice inside": b'{"dataset": {"seed": 1, "seed": 1}}',
    "a key twice, once escaped": rb'{"inputs": [[1, 2]], "inp\u0075ts": [[1, 2]]}',
    "a lone surrogate": rb'{"name": "\ud800"}', "a NUL": b'{"name": "a\x00"}',
    "an escaped NUL": rb'{"metadata": {"a\u0000": "b"}}',
    "deep": b'{"name": ' + b"[" * 50_000, "very deep": b'{"name": ' + b"[" * 500_000,
    "deep objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "comments": b"{/**/}", "single quotes": b"{'name': 'a'}", "a trailing comma": b'{"name": "a",}',
}  # fmt: skip
BODIES = [
    Attack(f"{name} for {path}", 400, path, body)
    for (name, body), path in product(NOT_STRICT.items(), ("/v1/jobs", PREDICT, NAMED, INFER))
]

BOMB = gzip.compress(b" " * 70_000_000)
SIZES = [
    Attack("a body that is cut off", 0, headers=("Content-Length: 100",)),
    Attack("a prediction that is cut off", 0, PREDICT, ROWS, ("Content-Length: 100",)),
    Attack("an inference that is cut off", 0, INFER, TENSOR, ("Content-Length: 3000",)),
    Attack("a large body", 413, body=b'{"name": "' + b"x" * 1_000_000 + b'"}'),
    Attack("a petabyte", 413, headers=("Content-Length: 1000000000000000",)),
    Attack("a petabyte to add", 413, PREDICT, headers=("Content-Length: 1000000000000000",)),
    Attack("a negative length", 400, headers=("Content-Length: -1",), plain=True),
    Attack("two lengths", 400, headers=("Content-Length: 2", "Content-Length: 3"), plain=True),
    Attack("chunks", 411, body=b"2\r\n{}\r\n0\r\n\r\n", headers=("Transfer-Encoding: chunked",)),
    Attack("chunks to add", 411, PREDICT, b"2\r\n{}\r\n0\r\n\r\n", ("Transfer-Encoding: chunked",)),
    Attack("chunks to infer", 411, INFER, b"2\r\n{}\r\n0\r\n\r\n", ("Transfer-Encoding: chunked",)),
    Attack("chunks and a length", 411, body=b"2\r\n{}\r\n0\r\n\r\n",
           headers=("Transfer-Encoding: chunked", "Content-Length: 2")),
    Attack("an unknown transfer", 400, headers=("Transfer-Encoding: x",), plain=True),
    Attack("gzip", 415, body=gzip.compress(b"{}"), headers=("Content-Encoding: gzip",)),
    Attack("gzip to add", 415, PREDICT, gzip.compress(ROWS), ("Content-Encoding: gzip",)),
    Attack("a gzip bomb", 413, INFER, BOMB, ("Content-Encoding: gzip",)),
    Attack("a gzip bomb in gzip", 400, INFER, gzip.compress(BOMB), ("Content-Encoding: gzip",)),
    Attack("brotli", 415, INFER, TENSOR, ("Content-Encoding: br",)),
    Attack("no type", 415, headers=("Content-Type:",)),
    Attack("plain text", 415, headers=("Content-Type: text/plain",)),
    Attack("a form", 415, headers=("Content-Type: application/x-www-form-urlencoded",)),
    Attack("another charset", 415, headers=("Content-Type: application/json; charset=latin-1",)),
]  # fmt: skip

EVIL_IDS = {
    "the folder above": "../../etc/passwd", "the same escaped": "..%2f..%2fetc%2fpasswd",
    "dots": "..", "NUL": "%00", "a job and NUL": "<job>%00", "a line": "%0d%0aSet-Cookie:%20a=b",
    "a slash": "%2F", "8000 letters": "x" * 8000, "a brain": "%F0%9F%A7%A0", "no UTF-8": "%ff%fe",
    "a pattern": "*", "a key beside": "<job>:epochs", "upper case": "<JOB>",
    "a space behind": "<job>%20", "the index": "%7Bneuron%7D:due", "a template": "{{7*7}}",
    "nothing": "", "a fraction": "1.0", "a quotation": "%22%27%3B--",
}  # fmt: skip
ID_PATHS = [
    ("GET", "/v1/jobs/{}"), ("GET", "/v1/jobs/{}/events"), ("POST", "/v1/jobs/{}/cancel"),
    ("DELETE", "/v1/jobs/{}"), ("POST", "/v1/jobs/{}/predict"), ("GET", "/v1/models/{}"),
    ("DELETE", "/v1/models/{}"), ("POST", "/v1/models/{}/predict"), ("GET", "/v2/models/{}"),
    ("POST", "/v2/models/{}/infer"), ("POST", "/v2/models/sums/versions/{}/infer"),
]  # fmt: skip
IDS = [
    Attack(f"{name} at {method} {path}", 404, path.format(evil), body, method=method)
    for (name, evil), (method, path) in product(EVIL_IDS.items(), ID_PATHS)
    for body in [TENSOR if path.endswith("infer") else ROWS if path.endswith("predict") else b""]
]

BAD_KEYS = {
    "empty": "", "a space": "a b", "an open quotation": '"a', "256 characters": "x" * 256,
    "another alphabet": "\xe9", "a tab": "a\tb", "a comma list": '"a", "b"',
}  # fmt: skip
HEADERS = [
    *(Attack(f"an idempotency key: {name}", 400, headers=(f"Idempotency-Key: {value}",))
      for name, value in BAD_KEYS.items()),
    *(Attack(f"{name} in {header}", 400, headers=(f"{header}: {value}",), plain=True)
      for (name, value), header in product(
          {"NUL": "a\0b", "CR": "a\rX-Evil: 1", "LF alone in a folded line": "a\r\n\0X-Evil: 1",
           "a folded line": "a\r\n X-Evil: 1"}.items(),
          ("X-Request-Id", "Idempotency-Key", "Last-Event-ID"))),
    Attack("100 kB of headers", 431, headers=tuple(f"X-{i}: {'x' * 1000}" for i in range(1000)),
           plain=True),
    Attack("a path of 100 kB", 414, "/v1/jobs/" + "x" * 100_000, plain=True),
    Attack("a header length of more than the body", 400, INFER, TENSOR,
           ("Inference-Header-Content-Length: 100000",)),
    Attack("a negative header length", 400, INFER, TENSOR,
           ("Inference-Header-Content-Length: -1",)),
    Attack("an event that is none", 400, "/v1/jobs/<job>/events", b"",
           ("Last-Event-ID: $", "Accept: text/event-stream"), "GET"),
]  # fmt: skip

WRONG_ROWS = {
    "no rows": b"[]", "an empty row": b"[[]]", "a short row": b"[[1]]", "a long row": b"[[1,2,3]]",
    "ragged rows": b"[[1,2],[3]]", "rows in rows": b"[[[1,2]]]", "a number": b"1", "flat": b"[1,2]",
    "a text": b'[["1",2]]', "a truth": b"[[true,2]]", "a null": b"[[null,2]]",
    "an object": b'[[{"a":1},2]]', "a sum too large": b"[[1.7e308,1.7e308]]",
    "many short rows": b"[" + b"[1]," * 2000 + b"[1]]", "many and a long one": b"["
    + b"[1,2]," * 2000 + b"[1,2,3]]", "many empty rows": b"[" + b"[]," * 2000 + b"[]]",
}  # fmt: skip
INPUTS = [
    Attack(f"{name} for {path}", status, path, before + rows + after)
    for (name, rows), (path, status, before, after) in product(
        WRONG_ROWS.items(),
        [
            (PREDICT, 422, b'{"inputs":', b"}"),
            (NAMED, 422, b'{"inputs":', b"}"),
            (INFER, 400,
             b'{"inputs":[{"name":"input","datatype":"FP64","shape":[2,2],"data":', b"}]}"),
        ],
    )
]  # fmt: skip

TABLE = [*KEYS, *BODIES, *SIZES, *IDS, *HEADERS, *INPUTS]


@pytest.mark.parametrize("attack", TABLE, ids=lambda attack: attack.name[:60])
def test_an_attack_is_refused_and_changes_nothing(guarded: Guarded, attack: Attack) -> None:
    before = guarded.state()
    check_refused(attack, *guarded.send(attack))
    assert guarded.state() == before
    look = Attack("", 200, "/v1/jobs/<job>", b"", method="GET")
    status, _, body = guarded.send(look)
    assert (status, orjson.loads(body)["status"]) == (200, "succeeded")


def check_refused(attack: Attack, status: int, headers: HTTPMessage, body: bytes) -> None:
    assert status == attack.status, body
    if not status:
        assert body == b"" or body.startswith(b"HTTP/1.1 400 ")
        return
    assert not {"X-Evil", "Set-Cookie"} & set(headers)
    if attack.plain:
        assert b"Traceback" not in body
        return
    assert headers["Content-Type"] == "application/problem+json"
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-Id"])
    problem = orjson.loads(body)
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert b"Traceback" not in body


@pytest.mark.parametrize(
    "value", ["a b", "\xe9", "x" * 129, "a%0d%0aX-Evil: 1", "", '"a"', "a\tb", "<script>"]
)
def test_a_request_id_that_is_none_is_replaced(guarded: Guarded, value: str) -> None:
    attack = Attack("", 200, "/v1/jobs", b"", (f"X-Request-Id: {value}",), "GET")
    status, headers, _ = guarded.send(attack)
    assert status == 200
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-Id"])


def test_trying_keys_is_limited_by_address_and_right_keys_pass(guarded: Guarded) -> None:
    look = Attack("", 200, "/v1/jobs", b"", method="GET")
    wrong = replace(look, key="wrong")
    began = time.monotonic()
    tried = [guarded.send(wrong, "127.0.0.9") for _ in range(FAILURES + 3)]
    forgiven = int((time.monotonic() - began) * FAILURES / 60)
    statuses = [status for status, _, _ in tried]
    assert statuses[:FAILURES] == [401] * FAILURES
    assert statuses.count(429) >= 3 - forgiven
    tried = [one for one in tried if one[0] == 429]
    assert 1 <= int(tried[-1][1]["Retry-After"]) <= 60
    assert guarded.send(look, "127.0.0.9")[0] == 200
    assert guarded.send(replace(look, key=None), "127.0.0.9")[0] == 401
    assert guarded.send(wrong, "127.0.0.10")[0] == 401


# The queue


def message(inside: bytes = b"[[],{},{}]", /, **changes: Any) -> bytes:
    """A message as Celery sends it, with other bytes inside or other parts; None takes one away."""
    headers = {
        "lang": "py", "task": TRAIN, "id": "x", "root_id": "x", "parent_id": None, "retries": 0,
        "argsrepr": "", "kwargsrepr": "", "origin": "x", "ignore_result": True, "eta": None,
        "expires": None, "timelimit": [None, None],
    }  # fmt: skip
    properties = {
        "correlation_id": "x", "reply_to": "x", "delivery_mode": 2, "priority": 0,
        "delivery_info": {"exchange": "", "routing_key": "neuron"}, "body_encoding": "base64",
        "delivery_tag": "x",
    }  # fmt: skip
    whole = {
        "body": base64.b64encode(inside).decode(), "content-encoding": "utf-8",
        "content-type": "application/json", "headers": headers, "properties": properties,
    }  # fmt: skip
    for part in (whole, headers, properties):
        part.update((name, changes[name]) for name in part.keys() & changes.keys())
        for name in [name for name, value in changes.items() if value is None]:
            part.pop(name, None)
    return orjson.dumps(whole)


POISON = {
    "nothing": b"", "no JSON": b"{", "no UTF-8": b"\xff\xfe", "null": b"null", "a list": b"[]",
    "an empty object": b"{}", "deep": b"[" * 100_000, "a pickle": pickle.dumps(print),
    "no body": message(body=None), "no headers": message(headers=None),
    "no properties": message(properties=None), "no tag": message(delivery_tag=None),
    "no delivery": message(delivery_info=None), "an unknown body": message(body_encoding="rot13"),
    "no base64": message(body="%%%"), "another task": message(task="os.system"),
    "no task": message(task=None), "a task that is a list": message(task=["x"]),
    "a pickled body": message(pickle.dumps(print), **{
        "content-type": "application/x-python-serialize", "content-encoding": "binary"}),
    "a type that is none": message(**{"content-type": "application/x-evil"}),
    "a body that is no JSON": message(b"{{{"), "a body of another form": message(b"5"),
    "too many arguments": message(b"[[1,2,3],{},{}]"), "a keyword": message(b'[[],{"a":1},{}]'),
    "tasks to follow": message(b'[["x"],{},{"chain":[{"task":"os.system","args":["id"]}]}]'),
    "20 MB": message(b'[["' + b"x" * 15_000_000 + b'"],{},{}]'), "an ETA": message(eta="soon"),
    "in the year 9999": message(eta="9999-01-01T00:00:00+00:00"),
    "an end": message(expires="never"), "limits": message(timelimit="x"),
    "an id that is a list": message(id=["x"]), "retries": message(retries="x"),
}  # fmt: skip


@pytest.mark.parametrize("name", POISON)
def test_a_poisoned_message_ends_no_worker_and_the_next_job_is_trained(
    guarded: Guarded, name: str
) -> None:
    guarded.store.redis.lpush("neuron", POISON[name])
    job = guarded.of("research").run_job(SMALL)
    assert job["status"] == "succeeded"
    assert guarded.stack.process("worker").deaths == 0


@pytest.mark.parametrize("wrong", [{"timelimit": "x"}, {"eta": "soon"}, {"retries": "x"}])
def test_more_poison_than_the_worker_has_children_leaves_it_all_its_places(
    guarded: Guarded, wrong: dict[str, Any]
) -> None:
    poison = [message(**wrong, delivery_tag=f"tag {number}") for number in range(8)]
    guarded.store.redis.lpush("neuron", *poison)
    assert guarded.of("research").run_job(SMALL)["status"] == "succeeded"


def test_what_others_wrote_around_the_queue_harms_nothing(guarded: Guarded) -> None:
    """Kombu keeps these beside the queue, where all that share the broker can write."""
    redis: Any = guarded.store.redis
    redis.sadd("_kombu.binding.neuron", "garbage", b"\xff\xfe", "a\x06\x16b\x06\x16c\x06\x16d")
    redis.hset("unacked", mapping={"a": "garbage", "b": "[]"})
    redis.zadd("unacked_index", {"a": 1, "b": 2, "c": 3, b"\xff": 4})
    worker = guarded.stack.process("worker")
    assert guarded.of("research").run_job(SMALL)["status"] == "succeeded"
    assert worker.deaths == 0
    worker.send(signal.SIGKILL)  # one that starts looks through what was left behind
    eventually(lambda: worker.deaths == 1, "its death")
    redis.delete("unacked_mutex")  # if it died while it looked, none would look for five minutes
    # A look that fails is repeated after 100 s.
    eventually(lambda: not redis.zcard("unacked_index"), "the garbage is gone", 150)
    assert guarded.of("research").run_job(SMALL)["status"] == "succeeded"
    assert worker.deaths == 1
    redis.delete("_kombu.binding.neuron")
