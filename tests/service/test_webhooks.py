"""Webhooks of ended jobs: what is sent, how often, in what order of failures, and to whom."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api import create_app
from api.webhooks import JobEnded
from benchmarks.serving import one_process
from shared.job import JobError, JobRequest, WebhookState
from shared.outbox import WEBHOOKS, Message, Outbox, Outcome
from shared.settings import Settings
from shared.store import Store
from standalone.stack import Stack
from tests.conftest import Http, eventually, running
from tests.receiver import SECRET, Answer, Received, Receiver, in_turn, status
from tests.service.test_jobs import SMALL
from worker.webhooks import MOST_PER_RECEIVER, deliver_due, deliver_forever

OWN_SECRET = "whsec_" + "QUJD" * 8
TIMEOUT = 5.0
WAITS = "0.05,0.1,0.2,0.4"
ATTEMPTS = 5


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A service whose webhooks may go to loopback, and do not wait for hours."""
    settings = {
        "NEURON_WEBHOOK_ALLOW_PRIVATE": "true",
        "NEURON_WEBHOOK_SECRET": SECRET,
        "NEURON_WEBHOOK_RETRY_SECONDS": WAITS,
        "NEURON_WEBHOOK_TIMEOUT_SECONDS": str(TIMEOUT),
    }
    with running(settings, programs=one_process) as stack:
        yield stack


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


Deliver = Callable[..., Any]


@pytest.fixture
def announced(http: Http, receiver: Receiver) -> Deliver:
    """Runs a job whose webhook is answered so; returns its path when that is settled."""

    def run(answer: Answer | None = None, body: dict[str, Any] = SMALL, **webhook: str) -> str:
        url = receiver.url("/hook", answer)
        job = http.run_job(body | {"webhook": {"url": url, **webhook}})
        path = f"/v1/jobs/{job['id']}"
        eventually(lambda: state(http, path)["status"] != "pending", "a final state")
        return path

    return run


def state(http: Http, path: str) -> dict[str, Any]:
    webhook: dict[str, Any] = http.get(path).json()["webhook"]
    return webhook


# What is sent


def test_the_end_of_a_job_is_announced_with_its_results(
    http: Http, receiver: Receiver, announced: Deliver
) -> None:
    path = announced(body=SMALL | {"name": "größer", "metadata": {"team": "research"}})
    job = http.get(path).json()
    [post] = receiver.on("/hook")
    said = post.verified()
    JobEnded.model_validate_json(post.body)
    assert said == {
        "type": "job.succeeded",
        "timestamp": job["ended_at"],
        "data": {
            "job_id": job["id"],
            "epoch": 3,
            **{name: job[name] for name in ("status", "name", "metadata", "accuracy", "weights",
                                            "digest", "error", "ended_at")},
        },
    }  # fmt: skip
    assert post.headers["content-type"] == "application/json"
    assert post.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "." not in post.id
    assert abs(int(post.headers["webhook-timestamp"]) - time.time()) < 30
    url = f"http://127.0.0.1:{receiver.port}/hook"
    assert job["webhook"] == {"url": url, "status": "delivered", "attempts": 1, "error": None,
                              "next_attempt_at": None}  # fmt: skip


def test_a_jobs_own_secret_signs_and_is_never_shown(
    http: Http, stack: Stack, receiver: Receiver, announced: Deliver
) -> None:
    path = announced(secret=OWN_SECRET)
    receiver.on("/hook")[0].verified(OWN_SECRET)
    epochs, events = (http.get(f"{path}/{part}").text for part in ("epochs", "events"))
    shown = [http.get(path).text, http.get("/v1/jobs").text, epochs, events]
    shown += [stack.log_path.read_text(), receiver.on("/hook")[0].body.decode()]
    assert not any(OWN_SECRET in text or SECRET in text for text in shown)


def test_a_failed_job_says_why_and_its_next_end_is_another_message(
    http: Http, receiver: Receiver, announced: Deliver
) -> None:
    rate = {"learning_rate": {"schedule": "constant", "rate": 1e6}}
    path = announced(body={"dataset": SMALL["dataset"], "hyperparameters": rate})
    assert http.post(f"{path}/retry").status_code == 200
    first, second = eventually(
        lambda: len(receiver.on("/hook")) == 2 and receiver.on("/hook"), "two messages"
    )
    assert first.id != second.id
    for post in (first, second):
        said = post.verified()
        assert said["type"] == "job.failed"
        assert said["data"]["error"] == http.get(path).json()["error"]
    eventually(lambda: state(http, path)["status"] == "delivered", "delivered again")


def test_a_cancelled_job_is_announced(http: Http, receiver: Receiver) -> None:
    long = {"dataset": {"training_size": 10_000_000}, "hyperparameters": {"epochs": 1000}}
    job = http.post("/v1/jobs", json=long | {"webhook": {"url": receiver.url("/hook")}}).json()
    assert job["webhook"]["status"] == "pending"
    assert job["webhook"]["next_attempt_at"] is None
    http.post(f"/v1/jobs/{job['id']}/cancel")
    [post] = eventually(lambda: receiver.on("/hook"), "a message")
    said = post.verified()
    assert said["type"] == "job.cancelled"
    assert said["data"]["weights"] is None


def test_a_job_without_a_webhook_has_none(http: Http) -> None:
    assert http.run_job(SMALL)["webhook"] is None


# How often


def test_it_is_sent_again_under_the_same_id_until_it_is_taken(
    http: Http, receiver: Receiver, announced: Deliver
) -> None:
    path = announced(in_turn(status(500), status(503, Retry_After="0"), status(404), status(204)))
    posts = receiver.on("/hook")
    assert len(posts) == 4
    assert len({(post.id, post.body) for post in posts}) == 1
    assert all(post.verified() for post in posts)
    assert state(http, path) | {"url": ""} == {
        "url": "", "status": "delivered", "attempts": 4, "error": None, "next_attempt_at": None
    }  # fmt: skip


def test_the_etag_changes_with_the_state(http: Http, receiver: Receiver) -> None:
    looked = Event()

    def busy(handler: BaseHTTPRequestHandler, before: int) -> None:
        assert looked.wait(TIMEOUT)
        status(503, Retry_After="60")(handler, before)

    job = http.run_job(SMALL | {"webhook": {"url": receiver.url("/hook", busy)}})
    path = f"/v1/jobs/{job['id']}"
    before = http.get(path)
    assert http.get(path, headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    looked.set()
    after = eventually(
        lambda: (now := http.get(path)).json()["webhook"]["attempts"] and now, "an attempt"
    )
    webhook = after.json()["webhook"]
    assert (webhook["status"], webhook["error"]) == ("pending", "HTTP status 503")
    assert webhook["next_attempt_at"] > after.json()["ended_at"]
    assert before.json()["webhook"]["attempts"] == 0
    assert before.headers["ETag"] != after.headers["ETag"]


def test_it_fails_when_the_attempts_are_used_up(
    http: Http, receiver: Receiver, announced: Deliver
) -> None:
    path = announced(status(500))
    webhook = state(http, path)
    assert (webhook["status"], webhook["attempts"]) == ("failed", ATTEMPTS)
    assert webhook["error"] == "HTTP status 500"
    assert len(receiver.on("/hook")) == ATTEMPTS


def test_410_ends_it(http: Http, receiver: Receiver, announced: Deliver) -> None:
    assert state(http, announced(status(410)))["status"] == "disabled"
    assert len(receiver.on("/hook")) == 1


def test_redirects_are_not_followed(http: Http, receiver: Receiver, announced: Deliver) -> None:
    elsewhere = receiver.url("/elsewhere")
    path = announced(status(307, Location=elsewhere))
    assert state(http, path)["error"] == "HTTP status 307"
    assert not receiver.on("/elsewhere")


def test_nobody_listening_is_a_failed_attempt(http: Http) -> None:
    with Receiver() as gone:
        url = gone.url("/hook")
    job = http.run_job(SMALL | {"webhook": {"url": url}})
    path = f"/v1/jobs/{job['id']}"
    eventually(lambda: state(http, path)["status"] == "failed", "failed")
    assert state(http, path)["error"] == "connection refused"


def test_a_slow_receiver_holds_up_no_other(http: Http, receiver: Receiver) -> None:
    release = Event()
    with Receiver() as slow:
        url = slow.url("/hook", lambda *_: (release.wait(20), None)[1])
        for _ in range(3 * MOST_PER_RECEIVER):
            http.post("/v1/jobs", json=SMALL | {"webhook": {"url": url}})
        eventually(lambda: slow.on("/hook"), "the slow one is busy")
        http.run_job(SMALL | {"webhook": {"url": receiver.url("/hook")}})
        eventually(lambda: receiver.on("/hook"), "the other one got its message", TIMEOUT)
        release.set()


# Who dies


def test_a_sender_killed_before_it_could_record_sends_again_under_the_same_id(
    http: Http, stack: Stack, receiver: Receiver
) -> None:
    def kill_sender(handler: BaseHTTPRequestHandler, before: int) -> None:
        if before == 0:
            stack.process("worker").send(signal.SIGKILL)
        status(200)(handler, before)

    job = http.run_job(SMALL | {"webhook": {"url": receiver.url("/hook", kill_sender)}})
    path = f"/v1/jobs/{job['id']}"
    eventually(lambda: state(http, path)["status"] == "delivered", "delivered")
    first, second = receiver.on("/hook")
    assert (first.id, first.body) == (second.id, second.body)


def test_a_message_outlives_redis_being_away(http: Http, stack: Stack, receiver: Receiver) -> None:
    def kill_redis(handler: BaseHTTPRequestHandler, before: int) -> None:
        if before == 0:
            stack.process("redis").send(signal.SIGKILL)
        status(500 if before == 0 else 200)(handler, before)

    url = receiver.url("/hook", kill_redis)
    job = http.post("/v1/jobs", json=SMALL | {"webhook": {"url": url}}).json()
    path = f"/v1/jobs/{job['id']}"

    def delivered() -> bool:
        answer = http.get(path)
        return answer.status_code == 200 and answer.json()["webhook"]["status"] == "delivered"

    eventually(delivered, "delivered")
    assert len({post.id for post in receiver.on("/hook")}) == 1
    eventually(lambda: http.get("/readyz").status_code == 200, "ready again")


# The queue, without the service's own senders


@pytest.fixture
def quiet(stack: Stack) -> Iterator[Store]:
    """A store in the same Redis that no worker looks at."""
    settings = Settings(
        redis_url=f"{stack.redis_url}?db=1",
        webhook_allow_private=True,
        webhook_secret=SECRET,
        webhook_retry_seconds="0.05,0.05",
        webhook_timeout_seconds=10,
    )
    store = Store(settings)
    store.redis.flushdb()
    yield store
    store.redis.close()


def end_job(store: Store, url: str) -> str:
    """A job that has been cancelled, with a message to be sent."""
    wanted = JobRequest.model_validate(SMALL | {"webhook": {"url": url}})
    job_id, _ = store.accept(wanted)
    store.cancel(job_id)
    return job_id


def webhook_of(store: Store, job_id: str) -> WebhookState:
    webhook = store.get(job_id).webhook
    assert webhook
    return webhook


def again(store: Store, post: Callable[[], list[Received]], count: int) -> list[Received]:
    """What came when it has been so many messages."""
    return eventually(lambda: deliver_due(store) >= 0 and len(post()) >= count and post(), "posts")  # type: ignore[no-any-return]


def test_many_senders_send_each_message_once(quiet: Store, receiver: Receiver) -> None:
    url = receiver.url("/hook")
    jobs = {end_job(quiet, url) for _ in range(40)}
    with ThreadPoolExecutor(4) as pool:
        sent = sum(pool.map(lambda _: deliver_due(quiet), range(4)))
    assert sent == len(receiver.on("/hook")) == 40
    assert {post.verified()["data"]["job_id"] for post in receiver.on("/hook")} == jobs
    assert quiet.redis.zcard(WEBHOOKS) == 0


def test_a_message_whose_sender_vanished_goes_out_when_the_lease_is_over(
    quiet: Store, receiver: Receiver
) -> None:
    message = Message(end_job(quiet, receiver.url("/hook")), 1)
    assert Outbox(quiet).take(message, 60)
    assert Outbox(quiet).take(message, 60) is None
    assert deliver_due(quiet) == 0
    member = f"{message.job_id}:{message.number}"
    assert quiet.redis.zincrby(WEBHOOKS, -60_000, member)  # as if it had passed
    [post] = again(quiet, lambda: receiver.on("/hook"), 1)
    assert post.id == message.id


def test_who_lost_the_lease_may_only_say_that_it_was_delivered(
    quiet: Store, receiver: Receiver
) -> None:
    outbox = Outbox(quiet)
    message = Message(end_job(quiet, receiver.url("/hook")), 1)
    late = outbox.take(message, 0.01)
    current = eventually(lambda: outbox.take(message, 60), "the lease is over")
    assert late
    assert not outbox.settle(late, Outcome("failed", "late"))
    assert webhook_of(quiet, message.job_id).status == "pending"
    assert outbox.settle(late, Outcome("delivered"))
    assert not outbox.settle(current, Outcome("failed", "too late"))
    assert webhook_of(quiet, message.job_id).status == "delivered"


def test_a_record_of_an_attempt_that_is_sent_twice_counts_once(
    quiet: Store, receiver: Receiver
) -> None:
    outbox = Outbox(quiet)
    message = Message(end_job(quiet, receiver.url("/hook")), 1)
    delivery = outbox.take(message, 10)
    assert delivery
    assert outbox.settle(delivery, Outcome("pending", "x", 60))
    assert not outbox.settle(delivery, Outcome("pending", "x", 60))
    assert webhook_of(quiet, message.job_id).attempts == 1


def test_a_message_that_waits_still_tells_of_its_own_end_after_a_retry(
    quiet: Store, receiver: Receiver
) -> None:
    url = receiver.url("/hook")
    job_id, _ = quiet.accept(JobRequest.model_validate(SMALL | {"webhook": {"url": url}}))
    claim = quiet.claim("test")
    assert claim
    quiet.fail(claim, JobError(code="internal", detail="broken"))
    quiet.retry(job_id)
    quiet.cancel(job_id)
    assert deliver_due(quiet) == 2
    said = {post.id: post.verified() for post in receiver.on("/hook")}
    assert said[f"msg_{job_id}_1"]["type"] == "job.failed"
    assert said[f"msg_{job_id}_1"]["data"]["error"]["detail"] == "broken"
    assert said[f"msg_{job_id}_2"]["type"] == "job.cancelled"
    assert said[f"msg_{job_id}_2"]["data"]["error"] is None


def test_deleting_a_job_drops_its_message(quiet: Store, receiver: Receiver) -> None:
    job_id = end_job(quiet, receiver.url("/hook"))
    quiet.delete(job_id)
    assert deliver_due(quiet) == 0
    assert quiet.redis.zcard(WEBHOOKS) == 0
    assert not receiver.received


def test_a_job_deleted_while_its_message_is_under_way_stays_deleted(
    quiet: Store, receiver: Receiver
) -> None:
    def delete(handler: BaseHTTPRequestHandler, before: int) -> None:
        quiet.delete(job_id)
        status(500)(handler, before)

    job_id = end_job(quiet, receiver.url("/hook", delete))
    assert deliver_due(quiet) == 1
    assert quiet.redis.zcard(WEBHOOKS) == 0
    assert not quiet.redis.keys(f"*{job_id}*")


def test_a_name_that_leads_to_a_private_address_is_not_called(
    quiet: Store, receiver: Receiver
) -> None:
    job_id = end_job(quiet, receiver.url("/hook").replace("127.0.0.1", "localhost"))
    strict = Store(quiet.settings.model_copy(update={"webhook_allow_private": False}))
    assert deliver_due(strict) == 1
    strict.redis.close()
    assert webhook_of(quiet, job_id).error == "the host's address is not public"
    assert not receiver.received


def test_a_worker_without_a_secret_waits_for_one(quiet: Store, receiver: Receiver) -> None:
    job_id = end_job(quiet, receiver.url("/hook"))
    without = Store(Settings(redis_url=quiet.settings.redis_url))
    deliver_due(without)
    without.redis.close()
    webhook = webhook_of(quiet, job_id)
    assert webhook.status == "pending"
    assert "NEURON_WEBHOOK_SECRET" in (webhook.error or "")


def test_a_message_that_cannot_be_read_holds_up_no_other(quiet: Store, receiver: Receiver) -> None:
    said = {"status": "of a newer version", "ended_at": "1", "epoch": "0"}
    unread, read = (end_job(quiet, receiver.url("/hook")) for _ in range(2))
    quiet.redis.hset(f"{{neuron}}:job:{unread}", "webhook:1", json.dumps(said))
    stopping = Event()
    thread = Thread(target=deliver_forever, args=[quiet, stopping])
    thread.start()
    eventually(lambda: webhook_of(quiet, read).status == "delivered", "the other one")
    stopping.set()
    thread.join(5)


def test_the_sender_stops_when_it_is_told_to(quiet: Store) -> None:
    stopping = Event()
    thread = Thread(target=deliver_forever, args=[quiet, stopping])
    thread.start()
    stopping.set()
    thread.join(60)
    assert not thread.is_alive()


# What is refused at once


@pytest.fixture
def strict(stack: Stack) -> Iterator[FlaskClient]:
    """The API with the settings that it has if nobody sets any."""
    app = create_app(Settings(redis_url=f"{stack.redis_url}?db=1", log_level="warning"))
    yield app.test_client()
    app.extensions["neuron"].store.redis.close()


def errors(answer: TestResponse) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (answer.json or {})["errors"]
    return found


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "2130706433"]
)
def test_a_private_address_is_422(strict: FlaskClient, host: str) -> None:
    webhook = {"url": f"http://{host}/hook", "secret": SECRET}
    answer = strict.post("/v1/jobs", json={"webhook": webhook})
    assert answer.status_code == 422
    assert [error["pointer"] for error in errors(answer)] == ["/webhook/url"]
    assert SECRET not in answer.text


def test_a_webhook_that_nothing_would_sign_is_422(strict: FlaskClient) -> None:
    answer = strict.post("/v1/jobs", json={"webhook": {"url": "https://example.com/hook"}})
    assert answer.status_code == 422
    [error] = errors(answer)
    assert error["pointer"] == "/webhook/secret"
    assert "NEURON_WEBHOOK_SECRET" in error["detail"]


@pytest.mark.parametrize(
    ("webhook", "pointer"),
    [
        ({}, "/webhook/url"),
        ({"url": "ftp://example.com/"}, "/webhook/url"),
        ({"url": "https://user:pass@example.com/"}, "/webhook/url"),
        ({"url": f"https://example.com/{'x' * 2000}"}, "/webhook/url"),
        ({"url": "https://example.com/", "secret": "hunter2"}, "/webhook/secret"),
        ({"url": "https://example.com/", "secret": 7}, "/webhook/secret"),
        ({"url": "https://example.com/", "events": []}, "/webhook/events"),
        ("https://example.com/", "/webhook"),
    ],
)
def test_a_malformed_webhook_is_422(strict: FlaskClient, webhook: Any, pointer: str) -> None:
    answer = strict.post("/v1/jobs", json={"webhook": webhook})
    assert answer.status_code == 422
    assert [error["pointer"] for error in errors(answer)] == [pointer]
    assert "hunter2" not in answer.text


def test_the_webhook_is_no_part_of_the_specification(http: Http, receiver: Receiver) -> None:
    with_webhook = http.run_job(SMALL | {"webhook": {"url": receiver.url("/hook")}})
    without = http.run_job(SMALL)
    for field in ("specification", "specification_digest", "digest"):
        assert with_webhook[field] == without[field]


def test_the_document_describes_the_message(http: Http) -> None:
    document = http.get("/openapi.json").json()
    described = document["webhooks"]["jobEnded"]["post"]["requestBody"]["content"]
    assert described["application/json"]["schema"] == {"$ref": "#/components/schemas/JobEnded"}
    secret = document["components"]["schemas"]["Webhook"]["properties"]["secret"]
    assert "writeOnly" in str(secret)
