from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import client
from client.command_line import main
from tests.unit.fake_service import (
    WITH,
    WITHOUT,
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
from tests.unit.test_client_article import FIRST_BLOCK, SECOND_BLOCK

ROOT = Path(client.__file__).parents[1]
Run = Callable[..., Result]


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as started:
        yield started


@pytest.fixture
def run(service: Service) -> Run:
    def run(*arguments: str, stdin: str | None = None) -> Result:
        environment = {"NEURON_URL": service.url}
        return CliRunner().invoke(main, arguments, input=stdin, env=environment)

    return run


def trains(service: Service, experiment: str = WITH, end: str = "succeeded", **more: Any) -> None:
    """The service trains a job: queued, running at epoch 4, then the end."""
    polls = iter([job_document("running", 4, experiment)])
    last = job_document(end, 10, experiment) | more

    def respond(asked: Asked) -> Answer:
        if asked.method == "POST":
            return Answer(202, job_document("queued", 0, experiment))
        if "/epochs" in asked.path:
            after = int(asked.path.partition("after=")[2] or 0)
            return Answer(200, epochs_document(experiment, first=after + 1))
        return Answer(200, next(polls, last))

    service.respond = respond


@pytest.mark.parametrize(
    ("flags", "experiment", "block"),
    [([], WITH, FIRST_BLOCK), (["--without-regularization"], WITHOUT, SECOND_BLOCK)],
)
def test_demo_prints_the_article_on_stdout_and_a_line_per_epoch_on_stderr(
    service: Service, run: Run, flags: list[str], experiment: str, block: str
) -> None:
    trains(service, experiment)
    result = run("demo", *flags)
    assert result.exit_code == 0
    assert result.stdout == block + "\n"
    lines = [line for line in result.stderr.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == [f"{epoch}/10" for epoch in range(1, 11)]


def test_demo_asks_for_the_published_run_and_the_second_one_only_drops_regularization(
    service: Service, run: Run
) -> None:
    trains(service)
    run("demo")
    run("demo", "--without-regularization")
    first, second = (asked.body for asked in service.asked if asked.method == "POST")
    assert first == {"name": "published run"}
    assert second["hyperparameters"] == {"regularization": {"kind": "none"}}
    assert set(second) == {"name", "hyperparameters"}


def test_every_field_of_a_job_has_an_option(service: Service, run: Run) -> None:
    trains(service)
    options = (
        "--epochs 3 --training-size 100 --test-size 10 --input-size 3 --low -5 --high 5 "
        "--generator pcg64 --seed 7 --learning-rate-scale 1000 --regularization l2 --strength 0.5 "
        "--weight-low -1 --weight-high 1 --error-margin-percent 1 --normalize --name n "
        "--metadata team=a=b --metadata x= --priority high --time-limit 60 "
        "--webhook https://example.com/hook --webhook-secret whsec_x --idempotency-key k1"
    )
    assert run("train", *options.split()).exit_code == 0
    assert service.asked[0].body == {
        "name": "n",
        "metadata": {"team": "a=b", "x": ""},
        "dataset": {
            "input_size": 3,
            "training_size": 100,
            "test_size": 10,
            "low": -5,
            "high": 5,
            "generator": "pcg64",
            "seed": 7,
        },
        "hyperparameters": {
            "epochs": 3,
            "learning_rate": {"schedule": "inverse_epoch", "scale": 1000},
            "regularization": {"kind": "l2", "strength": 0.5},
            "weight_low": -1,
            "weight_high": 1,
            "error_margin_percent": 1,
            "normalize": True,
        },
        "priority": "high",
        "time_limit_seconds": 60,
        "webhook": {"url": "https://example.com/hook", "secret": "whsec_x"},
    }
    assert service.headers("Idempotency-Key")[0] == "k1"


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ([], {}),
        (["--seed", "-12"], {"dataset": {"seed": -12}}),
        (["--seed", "12", "--text-seed"], {"dataset": {"seed": "12"}}),
        (["--seed", "1.5"], {"dataset": {"seed": "1.5"}}),
        (["--seed", ""], {"dataset": {"seed": ""}}),
        (
            ["--learning-rate", "5e-6"],
            {"hyperparameters": {"learning_rate": {"schedule": "constant", "rate": 5e-6}}},
        ),
        (
            ["--learning-rate", "auto"],
            {"hyperparameters": {"learning_rate": {"schedule": "auto"}}},
        ),
        (
            ["--strength", "0"],
            {"hyperparameters": {"regularization": {"kind": "published", "strength": 0}}},
        ),
    ],
)
def test_only_what_is_given_is_sent(
    service: Service, run: Run, options: list[str], body: dict[str, Any]
) -> None:
    trains(service)
    assert run("train", "--detach", *options).exit_code == 0
    assert service.asked[0].body == body


def test_train_shows_plain_progress_on_stderr_when_not_on_a_terminal(
    service: Service, run: Run
) -> None:
    trains(service)
    result = run("train")
    assert "epoch 4/10  accuracy 85.14%\n" in result.stderr
    assert "1.00009434827799 1.0000844380202245" in result.stdout
    assert "epoch 4/10" not in result.stdout


def test_train_shows_a_bar_with_epoch_accuracy_and_time_left_on_a_terminal(
    service: Service,
) -> None:
    running = job_document("running", 4)
    running["progress"]["eta_seconds"] = 12.3
    service.answers(Answer(202, running), Answer(200, running), Answer(200, job_document()))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "client", "--url", service.url, "train", "--json"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b"".join(read_until_closed(ours))
        assert process.stdout
        document = json.load(process.stdout)
    os.close(ours)
    assert "epoch 4/10  accuracy 85.14%  12 s left" in shown.decode()
    assert document["status"] == "succeeded"


def read_until_closed(terminal: int) -> Iterator[bytes]:
    with suppress(OSError):
        while piece := os.read(terminal, 4096):
            yield piece


def test_train_detached_prints_only_the_id(service: Service, run: Run) -> None:
    trains(service)
    assert run("train", "--detach").stdout == "j1\n"
    assert len(service.asked) == 1


@pytest.mark.parametrize("command", ["train", "demo"])
@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_job_that_does_not_succeed_exits_with_1(
    service: Service, run: Run, command: str, end: str
) -> None:
    trains(service, end=end, error={"code": "diverged", "detail": "Weights exploded."})
    result = run(command)
    assert result.exit_code == 1
    assert f"Error: Job j1 ended as {end}: Weights exploded." in result.stderr
    assert result.stdout == ""
    failure = json.loads(run(command, "--json").stdout)["error"]
    assert failure["job"]["status"] == end


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--learning-rate", "1", "--learning-rate-scale", "1"],
        ["train", "--learning-rate", "auto", "--learning-rate-scale", "1"],
        ["train", "--learning-rate", "nan"],
        ["train", "--webhook-secret", "whsec_x"],
        ["train", "--text-seed"],
        ["train", "--metadata", "nothing"],
        ["train", "--metadata", "=x"],
        ["train", "--idempotency-key", "two words"],
        ["train", "--epochs", "many"],
        ["jobs", "--status", "asleep"],
        ["predict", "j1", "2.2", "--epohc", "3"],
        ["predict", "j1", "inf", "1"],
        ["predict", "j1", "--row", "1,x"],
        ["predict", "j1", "--row", ","],
        ["predict", "j1"],
        ["show"],
        ["models", "put", "add"],
        ["models", "predict", "add"],
        ["nonsense"],
        ["--url", "nonsense", "show", "j1"],
    ],
)
def test_a_wrong_command_line_exits_with_2_and_asks_nothing(
    service: Service, run: Run, arguments: list[str]
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert service.asked == []


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_refusal_exits_with_3_and_one_sentence(service: Service, run: Run, status: int) -> None:
    service.answers(problem(status, "No such job."))
    result = run("show", "j1")
    assert result.exit_code == 3
    assert result.stderr == "Error: No such job.\n"
    assert result.stdout == ""


def test_a_refusal_cannot_steer_the_terminal(service: Service, run: Run) -> None:
    service.answers(problem(404, "red \x1b[31m\nand more"))
    assert run("show", "j1").stderr == "Error: red ?[31m?and more\n"


def test_a_refusal_for_machines_is_a_document_too(service: Service, run: Run) -> None:
    errors = [{"detail": "too small", "pointer": "/epochs"}]
    service.answers(problem(422, "Not so.", errors=errors))
    result = run("train", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout) == {
        "error": {"status": 422, "title": "Refused", "detail": "Not so.", "errors": errors}
    }


def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.transport.Retry.get_backoff_time", lambda _: 0)


def test_an_unavailable_service_exits_with_4(
    service: Service, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_pauses(monkeypatch)
    service.answers(problem(503, "Redis is away."))
    result = run("jobs")
    assert (result.exit_code, result.stderr) == (4, "Error: Redis is away.\n")


def test_an_unreachable_service_exits_with_4(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    no_pauses(monkeypatch)
    result = run("jobs", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 4
    assert result.stderr == "Error: No answer from http://127.0.0.1:1: connection refused.\n"


def test_the_nearest_url_wins(service: Service, run: Run) -> None:
    service.answers(Answer(200, job_document()))
    assert run("--url", "http://127.0.0.1:1", "show", "j1", "--url", service.url).exit_code == 0
    assert run("--url", service.url, "show", "j1").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["demo", "--json"], {"job", "epochs"}),
        (["--json", "demo"], {"job", "epochs"}),
        (["train", "--json"], {"id", "status", "specification"}),
        (["train", "--detach", "--json"], {"id", "status", "specification"}),
        (["show", "j1", "--json"], {"id", "status", "created_at"}),
        (["epochs", "j1", "--json"], {"job_id", "epochs"}),
    ],
)
def test_for_machines_stdout_is_one_document(
    service: Service, run: Run, arguments: list[str], keys: set[str]
) -> None:
    trains(service)
    document = json.loads(run(*arguments).stdout)
    assert keys <= set(document)


def test_jobs_for_machines_tell_the_cursor(service: Service, run: Run) -> None:
    service.answers(Answer(200, {"jobs": [job_document()], "has_more": True, "next": "c1"}))
    document = json.loads(run("jobs", "--json").stdout)
    assert (len(document["jobs"]), document["has_more"], document["next"]) == (1, True, "c1")


def test_jobs_are_a_table_that_keeps_ids_whole_in_a_pipe(service: Service, run: Run) -> None:
    job = job_document(job_id="x" * 90) | {"name": "[red]bold[/red]"}
    service.answers(Answer(200, {"jobs": [job], "has_more": False, "next": None}))
    result = run("jobs", "--status", "succeeded", "--metadata", "team=research", "--limit", "7")
    assert "x" * 90 in result.stdout
    assert "[red]bold[/red]" in result.stdout
    assert service.asked[0].path == "/v1/jobs?status=succeeded&limit=7&metadata.team=research"


def test_all_jobs_are_fetched_page_by_page(service: Service, run: Run) -> None:
    service.answers(
        Answer(200, {"jobs": [job_document(job_id="a")], "has_more": True, "next": "c1"}),
        Answer(200, {"jobs": [job_document(job_id="b")], "has_more": False, "next": None}),
    )
    document = json.loads(run("jobs", "--all", "--json").stdout)
    assert [job["id"] for job in document["jobs"]] == ["a", "b"]


def test_show_tells_why_a_job_failed(service: Service, run: Run) -> None:
    error = {"code": "diverged", "detail": "Exploded.", "largest_learning_rate": 6.2e-5}
    service.answers(Answer(200, job_document("failed", 0) | {"error": error}))
    shown = run("show", "j1").stdout
    assert "Exploded." in shown
    assert "0.000062" in shown


def test_epochs_are_a_table(service: Service, run: Run) -> None:
    service.answers(Answer(200, epochs_document()))
    shown = run("epochs", "j1").stdout.splitlines()
    assert len(shown) == 11
    assert "23744/50000" in shown[1]


STEP_PAGE = """\
job j1, epoch 3, step 7 of 100

Feedforward
  input                       x₁                   3
                              x₂                   4
  weight                      w₁                   2
                              w₂                   0.5
  weighted input              x₁·w₁                6
                              x₂·w₂                2
  aggregate                   z = Σ xᵢ·wᵢ          8
  output (activation)         y = 1·z              8

Cost
  label                       t = Σ xᵢ             7
  cost                        C = (t - y)²         1
  its derivative              ∂C/∂y = -2·(t - y)   2

Backpropagation
  gradient before activation  ∂C/∂z = 1·∂C/∂y      2
  weight gradient             ∂C/∂w₁ = x₁·∂C/∂z    6
                              ∂C/∂w₂ = x₂·∂C/∂z    8
  input gradient              ∂C/∂x₁ = w₁·∂C/∂z    4
                              ∂C/∂x₂ = w₂·∂C/∂z    1

Learning
  regularized gradient        g₁ = ∂C/∂w₁ - w₁     4
                              g₂ = ∂C/∂w₂ - w₂     7.5
  learning rate               r                    0.125
  change                      g₁·r                 0.5
                              g₂·r                 0.9375
  weight after                w₁ - g₁·r            1.5
                              w₂ - g₂·r           -0.4375
"""


def test_a_step_is_a_page_with_every_number_below_the_one_it_is_made_of(
    service: Service, run: Run
) -> None:
    service.answers(Answer(200, steps_document(step_document())))
    result = run("steps", "j1", "--epoch", "3", "--step", "7")
    assert result.stdout == STEP_PAGE
    assert result.stderr == "There are more: --step 8.\n"
    assert service.asked[0].path == "/v1/jobs/j1/steps?epoch=3&step=7&count=1&every=1"


def test_steps_are_pages_below_each_other_or_one_document(service: Service, run: Run) -> None:
    page = steps_document(step_document(), step_document(step=8), has_more=False, next=None)
    service.answers(Answer(200, page))
    result = run("steps", "j1", "--count", "2")
    assert result.stdout == STEP_PAGE + "\n" + STEP_PAGE.replace("step 7", "step 8")
    assert result.stderr == ""
    assert json.loads(run("steps", "j1", "--json").stdout) == page


@pytest.mark.parametrize(
    ("coefficient", "formula"),
    [(0.0, "g₁ = ∂C/∂w₁ "), (1.0, "g₁ = ∂C/∂w₁ + w₁ "), (-0.5, "g₁ = ∂C/∂w₁ - 0.5·w₁ ")],
)
def test_a_step_says_what_regularization_adds_and_what_is_not_finite(
    service: Service, run: Run, coefficient: float, formula: str
) -> None:
    step = step_document(weights_after=[None, 1.0])
    service.answers(Answer(200, steps_document(step, regularization=coefficient)))
    shown = run("steps", "j1").stdout
    assert formula + " " in shown
    assert "w₁ - g₁·r" in shown
    assert "not finite" in shown


def test_a_forecast_tells_what_to_expect_and_why(service: Service, run: Run) -> None:
    service.answers(Answer(200, forecast_document()))
    result = run("forecast", "--epochs", "3", "--learning-rate", "auto", "--normalize")
    assert service.asked[0].path == "/v1/jobs?dry_run=true"
    assert service.asked[0].body == {
        "hyperparameters": {"epochs": 3, "learning_rate": {"schedule": "auto"}, "normalize": True}
    }
    told = [line.rstrip() for line in result.stdout.splitlines()]
    assert told[0] == "forecast             learns"
    for line in (
        "rates                0.000005 … 0.00000125",
        "largest stable rate  0.000062",
        "weights settle at    1.0000857 1.0000857",
        "weights at the end   1.00008 1.00009",
        "give or take         1.25e-05 2.5e-05",
        "accuracy             99% (95% to 100%)",
        "time                 0.05 s, after 1.5 s in the queue",
        "Regularization moves the weights.",
        "Nothing explodes.",
    ):
        assert line in told
    assert json.loads(run("forecast", "--json").stdout)["largest_learning_rate"] == 6.2e-05


def test_a_forecast_of_an_explosion_says_when(service: Service, run: Run) -> None:
    nothing = dict.fromkeys(
        ("settling_weights", "final_weights", "final_weights_deviation", "accuracy",
         "accuracy_low", "accuracy_high"),
    )  # fmt: skip
    exploding = forecast_document(diverges=True, diverges_in_epoch=2, **nothing)
    service.answers(Answer(200, exploding))
    told = [line.rstrip() for line in run("forecast").stdout.splitlines()]
    assert told[0] == "forecast             diverges in epoch 2"
    assert "weights settle at    nowhere" in told
    assert not any(line.startswith(("accuracy", "weights at the end")) for line in told)


def test_a_forecast_of_errors_that_only_grow_does_not_say_that_it_learns(
    service: Service, run: Run
) -> None:
    service.answers(Answer(200, forecast_document(final_weights=None)))
    told = run("forecast").stdout.splitlines()
    assert told[0].rstrip() == "forecast             does not learn, and does not explode yet"


def test_a_rate_that_is_neither_a_number_nor_auto_is_told_both(run: Run) -> None:
    assert "'fast' is not a number or auto." in run("train", "--learning-rate", "fast").stderr


def adds(service: Service) -> None:
    def respond(asked: Asked) -> Answer:
        inputs = asked.body["inputs"]
        body = {"job_id": "j1", "epoch": asked.body.get("epoch", 10)}
        body |= {"outputs": list(map(sum, inputs)), "error_bounds": [0.001] * len(inputs)}
        return Answer(200, body)

    service.respond = respond


@pytest.mark.parametrize(
    ("arguments", "stdin", "inputs"),
    [
        (["2.2", "1.5"], None, [[2.2, 1.5]]),
        (["-2.2", "1.5", "-1e-3"], None, [[-2.2, 1.5, -0.001]]),
        (["--", "-2.2", "-.5"], None, [[-2.2, -0.5]]),
        (["--row", "-2.2,1.5", "--row", "1 2"], None, [[-2.2, 1.5], [1, 2]]),
        (["3", "4", "--row", "1,2"], None, [[3, 4], [1, 2]]),
        ([], "2.2 1.5\n\n-1,\t2\r\n", [[2.2, 1.5], [-1, 2]]),
    ],
)
def test_predict_takes_rows_from_everywhere(
    service: Service, run: Run, arguments: list[str], stdin: str | None, inputs: list[list[float]]
) -> None:
    adds(service)
    result = run("predict", "j1", *arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    assert service.asked[0].body == {"inputs": inputs}
    assert len(result.stdout.splitlines()) == len(inputs)


def test_predict_prints_the_sum_with_its_error_bound(service: Service, run: Run) -> None:
    adds(service)
    assert run("predict", "j1", "2.2", "1.5").stdout == "2.2 + 1.5 = 3.7 (-/+0.001)\n"


def test_predict_can_use_an_earlier_epoch(service: Service, run: Run) -> None:
    adds(service)
    document = json.loads(run("predict", "j1", "1", "2", "--epoch", "3", "--json").stdout)
    assert document["epoch"] == 3
    assert document["outputs"] == [3.0]


def test_predict_shows_the_weighted_inputs_on_request(service: Service, run: Run) -> None:
    answer = {"job_id": "j1", "epoch": 10, "outputs": [3.75], "error_bounds": [0.05]}
    service.answers(Answer(200, answer | {"weighted_inputs": [[2.25, 1.5]]}))
    shown = run("predict", "j1", "2.2", "1.5", "--explain").stdout
    assert shown == "2.2 + 1.5 = 2.25 + 1.5 = 3.75 (-/+0.05)\n"


@pytest.mark.parametrize(
    ("command", "status"),
    [("pause", "paused"), ("resume", "queued"), ("retry", "queued"), ("cancel", "cancelled")],
)
def test_a_change_of_a_job_tells_how_it_stands(
    service: Service, run: Run, command: str, status: str
) -> None:
    service.answers(Answer(200, job_document(status, 1)))
    assert run(command, "j1").stdout == f"job j1 is {status}\n"
    assert service.asked[0].path == f"/v1/jobs/j1/{command}"


@pytest.mark.parametrize(("end", "code"), [("succeeded", 0), ("failed", 1)])
def test_verify_follows_the_job_that_compares_and_tells_its_result(
    service: Service, run: Run, end: str, code: int
) -> None:
    trains(service, end=end, error={"code": "mismatch", "detail": "Epoch 3 differs."})
    result = run("verify", "j1")
    assert result.exit_code == code
    told = "all 10 epochs of job j1 are the same, to the bit\n"
    assert result.stdout == ("" if code else told)
    assert ("Epoch 3 differs." in result.stderr) is bool(code)


@pytest.mark.parametrize(
    ("arguments", "method", "path", "body"),
    [
        (["put", "add", "j1"], "PUT", "/v1/models/add", {"job_id": "j1"}),
        (["put", "add", "j1", "--epoch", "5"], "PUT", "/v1/models/add",
         {"job_id": "j1", "epoch": 5}),
        (["show", "add"], "GET", "/v1/models/add", None),
        (["rollback", "add"], "POST", "/v1/models/add/rollback", {}),
        (["rollback", "add", "--version", "1"], "POST", "/v1/models/add/rollback",
         {"version": 1}),
    ],
)  # fmt: skip
def test_a_model_is_shown_with_its_versions_and_a_mark_at_the_current_one(
    service: Service, run: Run, arguments: list[str], method: str, path: str, body: object
) -> None:
    service.answers(Answer(200, model_document(version=1)))
    result = run("models", *arguments)
    assert [(asked.method, asked.path, asked.body) for asked in service.asked] == [
        (method, path, body)
    ]
    title, first, second = result.stdout.splitlines()
    assert title.startswith("add ")
    assert first.startswith("current")
    assert "1.00009434827799 1.0000844380202245" in second
    assert json.loads(run("models", *arguments, "--json").stdout)["version"] == 1


def test_models_are_listed_predict_and_are_deleted(service: Service, run: Run) -> None:
    models = [model_document(name="add"), model_document(name="sum")]
    service.answers(Answer(200, {"models": models}))
    assert [line.split()[0] for line in run("models").stdout.splitlines()] == [
        "model", "add", "sum",
    ]  # fmt: skip
    assert len(json.loads(run("models", "--json").stdout)["models"]) == 2
    adds(service)
    assert (
        run("models", "predict", "add", "2.2", "-1").stdout
        == "2.2 + -1 = 1.2000000000000002 (-/+0.001)\n"
    )
    assert service.asked[-1].path == "/v1/models/add/predict"
    service.respond = lambda _: Answer(204)
    assert run("models", "delete", "add").stdout == "model add is deleted\n"


def test_cancel_and_delete_tell_what_they_did(service: Service, run: Run) -> None:
    service.answers(Answer(200, job_document("cancelled", 1)), Answer(204))
    assert run("cancel", "j1").stdout == "job j1 is cancelled\n"
    assert json.loads(run("delete", "j1", "--json").stdout) == {"id": "j1", "deleted": True}
    assert [asked.method for asked in service.asked] == ["POST", "DELETE"]


def test_the_exit_codes_are_in_the_help(run: Run) -> None:
    shown = run("--help").stdout
    for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "130 "):
        assert f"\n    {code}" in shown


def test_ctrl_c_leaves_the_job_running_and_says_how_to_cancel_it(service: Service) -> None:
    service.answers(Answer(202, job_document("running", 1)))
    command = [sys.executable, "-m", "client", "--url", service.url, "train"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr
        try:
            while "epoch 1/10" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            process.wait()
        finally:
            process.kill()
    assert process.returncode == 130
    assert said == (
        f"Error: Interrupted; job j1 goes on: "
        f"'python -m client --url {service.url} cancel j1' stops it.\n"
    )
    assert {asked.path for asked in service.asked} == {"/v1/jobs", "/v1/jobs/j1"}


def watched(*told: tuple[str, object]) -> Answer:
    messages = [
        f"id: {1735689600000 + i}-0\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
        for i, (kind, data) in enumerate(told)
    ]
    return Answer(200, "".join(messages), {"Content-Type": "text/event-stream"})


@pytest.mark.parametrize(("end", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 1)])
def test_watch_shows_a_line_per_event_and_how_the_job_ended(
    service: Service, run: Run, end: str, code: int
) -> None:
    epoch = epochs_document(last=1)["epochs"][0]
    service.answers(
        watched(("status", {"status": "running"}), ("epoch", epoch), ("status", {"status": end})),
        Answer(204),
    )
    result = run("watch", "j1")
    assert result.exit_code == code
    assert result.stdout.splitlines() == [
        "2025-01-01 00:00:00+00:00  running",
        "2025-01-01 00:00:00+00:00  epoch 1  accuracy 47.49%",
        f"2025-01-01 00:00:00+00:00  {end}",
    ]


def test_watch_for_machines_is_a_json_document_a_line(service: Service, run: Run) -> None:
    epoch = epochs_document(last=1)["epochs"][0]
    service.answers(watched(("status", {"status": "running"}), ("epoch", epoch)), Answer(204))
    result = run("watch", "j1", "--after", "1-0", "--json")
    status, second = map(json.loads, result.stdout.splitlines())
    assert service.headers("Last-Event-ID")[0] == "1-0"
    assert status == {
        "id": "1735689600000-0",
        "time": "2025-01-01T00:00:00+00:00",
        "status": "running",
    }
    assert second["epoch"] == epoch
