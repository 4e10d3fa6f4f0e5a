from __future__ import annotations

import ast
import itertools
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import client
from client import (
    ApiError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    FieldError,
    JobFailed,
    NeuronClient,
    NeuronError,
    NotFound,
    TooManyRequests,
    Unavailable,
    UnexpectedAnswer,
    WaitTimeout,
)
from tests.conftest import eventually
from tests.unit.fake_service import (
    Answer,
    Asked,
    Service,
    epochs_document,
    forecast_document,
    job_document,
    model_document,
    problem,
    running_service,
    step_document,
    steps_document,
)

DROPPED, CUT = Answer(fault="drop"), Answer(body=job_document(), fault="cut")
BUSY = problem(503, "No Redis.")


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as started:
        yield started


@pytest.fixture
def neuron(service: Service) -> Iterator[NeuronClient]:
    with NeuronClient(service.url, timeout=5.0, retries=3) as opened:
        yield opened


@pytest.mark.parametrize(
    ("given", "environment", "sent"),
    [
        ("nk_1_a", None, "Bearer nk_1_a"), ("nk_1_a", "nk_2_b", "Bearer nk_1_a"),
        (None, "nk_2_b", "Bearer nk_2_b"), ("", "nk_2_b", None), (None, None, None),
    ],
)  # fmt: skip
def test_the_api_key_is_sent_with_every_request(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    environment: str | None,
    sent: str | None,
) -> None:
    monkeypatch.delenv("NEURON_API_KEY", raising=False)
    if environment is not None:
        monkeypatch.setenv("NEURON_API_KEY", environment)
    with NeuronClient(service.url, api_key=given) as opened, pytest.raises(client.NotFound):
        opened.get_job("x")
    assert service.headers("Authorization")[-1] == sent


def test_an_api_key_that_no_header_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="API key"):
        NeuronClient(api_key="a\r\nb")


@pytest.mark.parametrize(("status", "kind"), [(401, client.Unauthorized), (403, client.Forbidden)])
def test_a_refused_api_key_is_an_error_of_its_own(
    service: Service, neuron: NeuronClient, status: int, kind: type[Exception]
) -> None:
    service.respond = lambda _: problem(status, "No.")
    with pytest.raises(kind, match="No"):
        neuron.get_job("x")
    assert len(service.asked) == 1


@pytest.mark.parametrize("fault", [DROPPED, CUT, BUSY, problem(429, "Full."), problem(502, "")])
def test_a_create_is_retried_with_the_very_same_key_and_body(
    service: Service, neuron: NeuronClient, fault: Answer
) -> None:
    service.answers(fault, fault, Answer(202, job_document("queued", 0)))
    job = neuron.create_job(name="n", hyperparameters={"epochs": 3}, idempotency_key="mine")
    assert job.status == "queued"
    assert service.headers("Idempotency-Key") == ["mine"] * 3
    assert [asked.body for asked in service.asked] == [
        {"name": "n", "hyperparameters": {"epochs": 3}}
    ] * 3


def test_a_create_without_a_key_makes_one_and_keeps_it_for_its_retries(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(DROPPED, Answer(202, job_document("queued", 0)))
    neuron.create_job()
    neuron.create_job()
    first, retried, other = service.headers("Idempotency-Key")
    assert first == retried != other
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first or "")
    assert service.asked[0].body == {}


@pytest.mark.parametrize("key", ["", "two words", "line\nfeed", "ключ", '"quoted"', "k" * 256])
def test_a_key_that_cannot_be_a_header_is_refused_before_anything_is_sent(
    service: Service, neuron: NeuronClient, key: str
) -> None:
    with pytest.raises(ValueError, match="ASCII"):
        neuron.create_job(idempotency_key=key)
    assert service.asked == []


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda neuron: neuron.get_job("j1"), Answer(200, job_document())),
        (lambda neuron: neuron.list_jobs(), Answer(200, {"jobs": []})),
        (lambda neuron: neuron.cancel("j1"), Answer(200, job_document("cancelled", 1))),
        (lambda neuron: neuron.delete("j1"), Answer(204)),
        (
            lambda neuron: neuron.predict("j1", [[1, 2]]),
            Answer(200, {"job_id": "j1", "epoch": 1, "outputs": [3.0], "error_bounds": [0.1]}),
        ),
        (lambda neuron: neuron.steps("j1"), Answer(200, steps_document(step_document()))),
        (lambda neuron: neuron.forecast(), Answer(200, forecast_document())),
        (lambda neuron: neuron.pause("j1"), Answer(200, job_document("paused", 1))),
        (lambda neuron: neuron.resume("j1"), Answer(200, job_document("queued", 1))),
        (lambda neuron: neuron.retry("j1"), Answer(200, job_document("queued", 1))),
        (lambda neuron: neuron.verify("j1"), Answer(202, job_document("queued", 0))),
        (lambda neuron: neuron.put_model("add", "j1"), Answer(200, model_document())),
        (lambda neuron: neuron.list_models(), Answer(200, {"models": []})),
        (lambda neuron: neuron.get_model("add"), Answer(200, model_document())),
        (lambda neuron: neuron.roll_back_model("add", 1), Answer(200, model_document(1))),
        (lambda neuron: neuron.delete_model("add"), Answer(204)),
    ],
)
def test_every_request_is_retried(
    service: Service, neuron: NeuronClient, call: object, answer: Answer
) -> None:
    service.answers(DROPPED, BUSY, answer)
    call(neuron)  # type: ignore[operator]
    assert len(service.asked) == 3


def test_retries_come_to_an_end_with_the_last_refusal(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(BUSY)
    with pytest.raises(Unavailable, match=r"No Redis\."):
        neuron.get_job("j1")
    assert len(service.asked) == 4


def test_retry_after_is_waited_for(service: Service, neuron: NeuronClient) -> None:
    busy = problem(503, "Later.")
    busy.headers["Retry-After"] = "1"
    service.answers(busy, Answer(200, job_document()))
    neuron.get_job("j1")
    first, second = (asked.at for asked in service.asked)
    assert second - first >= 1.0


def test_a_retry_after_beyond_patience_is_told_and_not_waited_for(
    service: Service, neuron: NeuronClient
) -> None:
    full = problem(429, "Too many open jobs.")
    full.headers["Retry-After"] = "3600"
    service.answers(full)
    with pytest.raises(TooManyRequests) as raised:
        neuron.create_job()
    assert raised.value.retry_after == 3600
    assert len(service.asked) == 1


def test_an_unreadable_retry_after_counts_as_none(service: Service, neuron: NeuronClient) -> None:
    busy = problem(503, "Later.")
    busy.headers["Retry-After"] = "soon"
    service.answers(busy, Answer(200, job_document()))
    assert neuron.get_job("j1").id == "j1"


def test_a_service_that_never_answers_is_given_up_after_the_timeout(service: Service) -> None:
    service.answers(Answer(fault="hang"))
    with (
        NeuronClient(service.url, timeout=(1.0, 0.1), retries=1) as neuron,
        pytest.raises(ConnectionFailed, match="timed out"),
    ):
        neuron.get_job("j1")
    eventually(lambda: len(service.asked) == 2, "the service has seen both")


def test_waiting_for_the_end_in_a_create_lengthens_its_timeout(service: Service) -> None:
    def respond(_: Asked) -> Answer:
        service.released.wait(0.3)
        return Answer(200, job_document())

    service.respond = respond
    with NeuronClient(service.url, timeout=0.1, retries=0) as neuron:
        assert neuron.create_job(wait=5).ended
    assert service.headers("Prefer") == ["wait=5"]


def test_a_service_that_is_not_there_is_told_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with NeuronClient(url, retries=1) as neuron, pytest.raises(ConnectionFailed) as raised:
            neuron.list_jobs()
    assert str(raised.value) == f"No answer from {url}: connection refused."


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://h:99999"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        NeuronClient(url)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (404, NotFound),
        (409, Conflict),
        (413, BadRequest),
        (415, BadRequest),
        (418, ApiError),
        (422, BadRequest),
        (500, ApiError),
    ],
)
def test_a_refusal_becomes_the_error_of_its_status_and_is_not_retried(
    service: Service, neuron: NeuronClient, status: int, kind: type[ApiError]
) -> None:
    errors = [{"detail": "too small", "pointer": "/hyperparameters/epochs"}]
    service.answers(problem(status, "Not so.", errors=errors))
    with pytest.raises(ApiError) as raised:
        neuron.create_job()
    assert type(raised.value) is kind
    assert raised.value.status == status
    assert raised.value.title == "Refused"
    assert raised.value.detail == "Not so."
    assert raised.value.errors == (FieldError("too small", "/hyperparameters/epochs"),)
    assert str(raised.value) == "Not so. (/hyperparameters/epochs: too small)"
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "body", ["<html>hello</html>", "[]", "{}", '{"id": 1, "progress": 2}', "null", '"id"']
)
def test_an_answer_of_another_kind_of_server_is_an_error_of_its_own(
    service: Service, neuron: NeuronClient, body: str
) -> None:
    service.answers(Answer(200, body))
    with pytest.raises(UnexpectedAnswer):
        neuron.get_job("j1")


def test_a_page_of_html_as_a_refusal_still_has_its_status(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(Answer(403, "<html>no</html>"))
    with pytest.raises(ApiError, match="403 Forbidden"):
        neuron.get_job("j1")


def test_a_redirect_is_an_error_that_names_the_new_place(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(Answer(301, {}, {"Location": "https://elsewhere/"}))
    with pytest.raises(ApiError, match="moved to https://elsewhere/"):
        neuron.create_job()


def test_a_retried_delete_that_finds_nothing_has_deleted(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(DROPPED, problem(404, "No such job."))
    neuron.delete("j1")
    with pytest.raises(NotFound):
        neuron.delete("j1")


def test_a_job_is_typed_and_fields_of_newer_services_are_harmless(
    service: Service, neuron: NeuronClient
) -> None:
    document = job_document() | {"colour": "red"}
    document["progress"] |= {"mood": "good"}
    document["specification"]["hyperparameters"]["momentum"] = 0.9
    service.answers(Answer(200, document))
    job = neuron.get_job("j1")
    assert job.specification.hyperparameters.learning_rate.scale == 100000
    assert job.specification.dataset.seed == 2017
    assert job.weights == (1.00009434827799, 1.0000844380202245)
    assert job.demo_after
    assert job.demo_after[0].actual == 3.700334223241915
    assert job.created_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert job.metadata == {"team": "research"}
    assert hash(job.progress) == hash(neuron.get_job("j1").progress)


def test_a_job_id_cannot_leave_its_place_in_the_path(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(Answer(200, job_document()))
    neuron.get_job("a/b?c#d")
    assert service.asked[0].path == "/v1/jobs/a%2Fb%3Fc%23d"


def test_filters_are_sent_as_the_contract_names_them(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(Answer(200, {"jobs": [], "has_more": False, "next": None}))
    neuron.list_jobs(
        status=["running", "queued"], metadata={"team": "a&b"}, limit=5, after="cursor="
    )
    assert service.asked[0].path == (
        "/v1/jobs?status=running&status=queued&limit=5&after=cursor%3D&metadata.team=a%26b"
    )


def test_jobs_are_iterated_over_all_pages_with_the_same_filters(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(
        Answer(200, {"jobs": [job_document(job_id="a")], "has_more": True, "next": "c1"}),
        Answer(200, {"jobs": [job_document(job_id="b")], "has_more": False, "next": None}),
    )
    states = iter(["running"])
    assert [job.id for job in neuron.iter_jobs(status=states)] == ["a", "b"]
    assert [asked.path for asked in service.asked] == [
        "/v1/jobs?status=running",
        "/v1/jobs?status=running&after=c1",
    ]


def test_epochs_are_iterated_over_all_pages(service: Service, neuron: NeuronClient) -> None:
    service.answers(
        Answer(200, epochs_document(first=1, last=4)), Answer(200, epochs_document(first=5))
    )
    found = list(neuron.iter_epochs("j1", limit=4))
    assert [epoch.epoch for epoch in found] == list(range(1, 11))
    assert found[0].accuracy == 0.47488
    assert service.asked[1].path == "/v1/jobs/j1/epochs?after=4&limit=4"


def test_predict_sends_rows_and_the_epoch(service: Service, neuron: NeuronClient) -> None:
    service.answers(
        Answer(200, {"job_id": "j1", "epoch": 3, "outputs": [3.7], "error_bounds": [0.001]})
    )
    prediction = neuron.predict("j1", [(2.2, 1.5)], epoch=3)
    assert (prediction.epoch, prediction.outputs, prediction.error_bounds) == (3, (3.7,), (0.001,))
    assert service.asked[0].body == {"inputs": [[2.2, 1.5]], "epoch": 3}


def test_predict_refuses_numbers_that_json_does_not_have(
    service: Service, neuron: NeuronClient
) -> None:
    with pytest.raises(ValueError, match="JSON"):
        neuron.predict("j1", [[float("nan"), 1.0]])
    assert service.asked == []


def test_a_rollback_to_what_was_before_is_sent_once_because_a_second_would_go_on(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(BUSY, Answer(200, model_document(1)))
    with pytest.raises(Unavailable):
        neuron.roll_back_model("add")
    assert neuron.roll_back_model("add").version == 1
    assert [asked.body for asked in service.asked] == [{}, {}]


def test_a_model_is_typed_and_has_its_history(service: Service, neuron: NeuronClient) -> None:
    service.answers(Answer(201, model_document()))
    model = neuron.put_model("a/b", "j1", epoch=10)
    assert (service.asked[0].method, service.asked[0].path) == ("PUT", "/v1/models/a%2Fb")
    assert service.asked[0].body == {"job_id": "j1", "epoch": 10}
    assert model.weights == (1.00009434827799, 1.0000844380202245)
    assert [version.epoch for version in model.versions] == [5, 10]
    assert model.versions[0].created_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


def test_a_prediction_can_be_explained(service: Service, neuron: NeuronClient) -> None:
    body = {"job_id": "j1", "epoch": 3, "outputs": [3.7], "weighted_inputs": [[2.2, 1.5]]}
    service.answers(Answer(200, body | {"model": "add", "version": 2}))
    prediction = neuron.predict_with_model("add", [(2.2, 1.5)], explain=True)
    assert service.asked[0].path == "/v1/models/add/predict?explain=true"
    assert prediction.weighted_inputs == ((2.2, 1.5),)
    assert (prediction.model, prediction.version) == ("add", 2)


def test_steps_are_typed_and_may_hold_numbers_that_are_not_finite(
    service: Service, neuron: NeuronClient
) -> None:
    exploded = step_document(cost=None, weights_after=[None, None])
    service.answers(Answer(200, steps_document(step_document(), exploded)))
    page = neuron.steps("j1", epoch=3, step=7, count=2, every=10)
    assert service.asked[0].path == "/v1/jobs/j1/steps?epoch=3&step=7&count=2&every=10"
    assert (page.regularization, page.total, page.next) == (-1.0, 100, 8)
    first, last = page.steps
    assert first.weights_after == (1.5, -0.4375)
    assert (last.cost, last.weights_after) == (None, (None, None))


def test_a_forecast_is_asked_for_with_the_fields_of_a_job_and_creates_none(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(Answer(200, forecast_document(diverges=True, settling_weights=None)))
    forecast = neuron.forecast(name="n", hyperparameters={"epochs": 3}, dataset=None)
    assert service.asked[0].path == "/v1/jobs?dry_run=true"
    assert service.asked[0].body == {"name": "n", "hyperparameters": {"epochs": 3}}
    assert service.headers("Idempotency-Key") == [None]
    assert (forecast.diverges, forecast.settling_weights) == (True, None)
    assert forecast.second_moments == ((3333.0, 2500.0), (2500.0, 3333.0))
    assert forecast.specification.dataset.seed == 2017


def test_a_verification_is_created_under_a_key_as_a_job_is(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(DROPPED, Answer(202, job_document("queued", 0) | {"verifies": "j1"}))
    assert neuron.verify("j1", idempotency_key="k", wait=5).verifies == "j1"
    assert service.headers("Idempotency-Key") == ["k", "k"]
    assert service.headers("Prefer") == ["wait=5", "wait=5"]
    assert service.asked[0].path == "/v1/jobs/j1/verify"


def test_wait_polls_with_the_etag_and_tells_only_changes(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(
        Answer(200, job_document("running", 1), {"ETag": '"1"'}),
        Answer(304, headers={"ETag": '"1"'}),
        Answer(200, job_document("succeeded", 10), {"ETag": '"2"'}),
    )
    seen: list[int] = []
    job = neuron.wait("j1", on_progress=lambda job: seen.append(job.progress.epoch))
    assert job.status == "succeeded"
    assert seen == [1, 10]
    assert service.headers("If-None-Match") == [None, '"1"', '"1"']


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_wait_raises_for_a_job_that_does_not_succeed(
    service: Service, neuron: NeuronClient, status: str
) -> None:
    error = {"code": "diverged", "detail": "Not finite.", "epoch": 1, "largest_learning_rate": 0.5}
    service.answers(Answer(200, job_document(status, 1) | {"error": error}))
    with pytest.raises(JobFailed, match=rf"j1 ended as {status}: Not finite\.") as raised:
        neuron.wait("j1")
    assert raised.value.job.error
    assert raised.value.job.error.code == "diverged"
    assert raised.value.job.error.largest_learning_rate == 0.5


def test_wait_gives_up_in_time_and_tells_how_far_the_job_was(
    service: Service, neuron: NeuronClient
) -> None:
    service.answers(Answer(200, job_document("running", 4)))
    started = time.monotonic()
    with pytest.raises(WaitTimeout) as raised:
        neuron.wait("j1", timeout=0.2)
    assert time.monotonic() - started >= 0.2
    assert raised.value.job
    assert raised.value.job.progress.epoch == 4


def test_wait_survives_an_outage_shorter_than_its_retries(
    service: Service, neuron: NeuronClient
) -> None:
    script = itertools.chain(
        [Answer(200, job_document("running", 4)), DROPPED, BUSY],
        itertools.repeat(Answer(200, job_document())),
    )
    service.respond = lambda _: next(script)
    assert neuron.wait("j1").status == "succeeded"


@pytest.mark.parametrize(
    ("answer", "ready"), [(Answer(200, {}), True), (BUSY, False), (DROPPED, False)]
)
def test_ready_is_asked_once(
    service: Service, neuron: NeuronClient, answer: Answer, ready: bool
) -> None:
    service.answers(answer)
    assert neuron.ready() is ready
    assert [asked.path for asked in service.asked] == ["/readyz"]


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    service: Service, neuron: NeuronClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    service.answers(Answer(200, {}))
    assert neuron.ready()


def test_the_error_tree_drawn_is_the_error_tree() -> None:
    drawn = re.findall(r"^\W*([A-Z]\w+) {2}", client.errors.__doc__ or "", re.MULTILINE)

    def below(kind: type[NeuronError]) -> Iterator[str]:
        for child in kind.__subclasses__():
            yield child.__name__
            yield from below(child)

    assert drawn == list(below(NeuronError))


def test_the_client_imports_nothing_of_the_service() -> None:
    for file in Path(client.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            names.append(getattr(node, "module", None) or "")
            tops = {name.partition(".")[0] for name in names}
            assert tops.isdisjoint({"api", "shared", "worker", "standalone"}), file
