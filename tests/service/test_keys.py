"""With a file of API keys: who gets in, what each one sees, and how the file is changed."""

import errno
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from click.testing import CliRunner, Result
from flask import Flask

from api import access, problems
from api.key_ring import KeyRing, changed_keys, new_key
from api.keys import main
from api.problems import Problem
from api.scopes import Scope, needs
from shared.settings import Settings
from shared.store import Store
from standalone import StartError
from standalone.stack import Stack
from tests.conftest import Http, eventually, running
from tests.service.test_bad_input import check_problem
from tests.service.test_events import SSE
from tests.service.test_jobs import LONG, SMALL

ROOT = Path(__file__).parents[2]
FAILURES = 5
#: A connection stays with its process; each new one goes to any.
NEW = {"Connection": "close"}
OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def add(file: Path, owner: str, *scopes: str) -> str:
    made = command("add", "--owner", owner, *(f"--scope={scope}" for scope in scopes), file)
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


class Keys:
    """A service with keys, and those that it started with."""

    def __init__(self, stack: Stack, file: Path, keys: dict[str, str]) -> None:
        self.stack, self.file, self.keys = stack, file, keys

    def session(self, key: str | None) -> Http:
        session = Http(self.stack.url)
        if key is not None:
            session.headers["Authorization"] = f"Bearer {key}"
        return session

    def of(self, name: str) -> Http:
        return self.session(self.keys[name])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    keys = {
        "research": add(file, "research", "train", "predict"),
        "trainer": add(file, "research", "train"),
        "predictor": add(file, "research", "predict"),
        "other": add(file, "other", "train", "predict"),
        "admin": add(file, "operations", "admin"),
    }
    settings = {"NEURON_API_KEYS_FILE": str(file), "NEURON_MAX_KEY_FAILURES": str(FAILURES)}
    with running(settings) as stack:
        yield Keys(stack, file, keys)


@pytest.fixture(scope="module")
def document(service: Keys) -> Any:
    return service.of("predictor").get("/openapi.json").json()


@pytest.fixture(scope="module")
def job(service: Keys) -> Any:
    return service.of("research").run_job(SMALL)


def paths(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method, entry in item.items():
            yield method.upper(), path, entry


def test_every_route_but_health_needs_a_key(service: Keys, document: Any) -> None:
    http = service.session(None)
    pages = ["/", "/docs", "/static/docs.js", "/nothing", "/v1/jobs/", "/v1/jobs/../jobs"]
    tried = [(method, path) for method, path, _ in paths(document)] + [("GET", p) for p in pages]
    for method, path in tried:
        filled = re.sub(r"{\w+}", "0" * 32, path)
        answer = http.request(method, filled, allow_redirects=False)
        if path in OPEN:
            assert answer.status_code == 200
        else:
            check_problem(answer, 401)
            assert answer.headers["WWW-Authenticate"].endswith('realm="neuron"'), path


def test_the_document_names_the_scope_of_every_route(document: Any) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    for method, path, entry in paths(document):
        if path in OPEN:
            assert "security" not in entry
        else:
            scopes = entry["security"][0]["bearer"]
            assert scopes != ["admin"], f"{method} {path} declares no scope"
            assert {"401", "403", "429"} <= entry["responses"].keys()


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer {}"},
        {"Authorization": "bearer   {}"},
        {"X-API-Key": "{}"},
        {"Authorization": "Bearer {}", "X-API-Key": "{}"},
    ],
)
def test_a_key_comes_in_either_header(service: Keys, header: dict[str, str]) -> None:
    given = {name: value.format(service.keys["trainer"]) for name, value in header.items()}
    assert service.session(None).get("/v1/jobs", headers=given).status_code == 200


def test_a_browser_can_bring_the_key_as_a_password_to_pages_only(service: Keys) -> None:
    http = service.session(None)
    http.auth = ("anyone", service.keys["research"])
    for page in ("/", "/docs", "/static/docs.js", "/openapi.json"):
        assert http.get(page).status_code == 200
    for path in ("/v1/jobs", "/v1/jobs/" + "0" * 32):
        check_problem(http.get(path), 401)
    answer = service.session(None).get("/docs")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="neuron"'


def test_wrong_keys_are_limited_and_right_ones_are_not(service: Keys) -> None:
    right, other = service.keys["trainer"], service.keys["other"]
    wrong = [
        right[:-1] + ("0" if right[-1] != "0" else "1"),
        right[:16] + other[16:],
        "nk_" + "0" * 12 + right[15:],
        "",
        f"{right},{right}",
    ]
    for key in wrong:
        answer = service.session(key).get("/v1/jobs")
        check_problem(answer, 401)
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert right[16:] not in answer.text
    limited = [service.session("x" * i).get("/v1/jobs") for i in range(1, 10)]
    for answer in limited:
        check_problem(answer, 429)
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["RateLimit"].startswith('"failures";r=0;t=')
    assert service.session(right).get("/v1/jobs").status_code == 200
    check_problem(service.session(None).get("/v1/jobs"), 401)


@pytest.mark.parametrize("name", ["api_key", "X-API-Key", "key", "access_token", "whatever"])
def test_a_key_in_the_query_is_refused_and_logged_nowhere(service: Keys, name: str) -> None:
    key = service.keys["trainer"]
    for session in (service.session(None), service.of("trainer")):
        problem = check_problem(session.get("/v1/jobs", params={name: key}), 401)
        assert "URL" in problem["detail"]
        assert key not in json.dumps(problem)
    assert key[16:] not in service.stack.log_path.read_text()


TENSOR = {"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}
ROWS, INFER = {"inputs": [[1, 2]]}, {"inputs": [TENSOR]}
JOB, MODEL = "/v1/jobs/{job_id}", "/v1/models/{name}"
OIP, VERSION = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
#: Every route that a key may be too weak for, with what it takes.
ROUTES: list[tuple[str, str, str, Any]] = [
    ("POST", "/v1/jobs", "train", SMALL), ("GET", "/v1/jobs", "train", None),
    ("GET", JOB, "train", None), ("GET", f"{JOB}/epochs", "train", None),
    ("GET", f"{JOB}/events", "train", None), ("POST", f"{JOB}/cancel", "train", None),
    ("POST", f"{JOB}/pause", "train", None), ("POST", f"{JOB}/resume", "train", None),
    ("POST", f"{JOB}/retry", "train", None), ("POST", f"{JOB}/verify", "train", None),
    ("GET", f"{JOB}/steps", "train", None), ("DELETE", JOB, "train", None),
    ("POST", f"{JOB}/predict", "predict", ROWS),
    ("PUT", MODEL, "train", {"job_id": "{job_id}"}), ("GET", "/v1/models", "predict", None),
    ("GET", MODEL, "predict", None), ("POST", f"{MODEL}/rollback", "train", {"version": 1}),
    ("DELETE", MODEL, "train", None), ("POST", f"{MODEL}/predict", "predict", ROWS),
    ("GET", "/v2", "predict", None), ("GET", "/v2/models/stats", "predict", None),
    ("POST", "/v2/repository/index", "predict", None),
    *(("GET", f"{path}{what}", "predict", None)
      for path in (OIP, VERSION) for what in ("", "/ready", "/config", "/stats")),
    ("POST", f"{OIP}/infer", "predict", INFER), ("POST", f"{VERSION}/infer", "predict", INFER),
]  # fmt: skip
SCOPES = {"predictor": "predict", "trainer": "train"}


def test_the_table_has_every_route_that_a_key_may_be_too_weak_for(document: Any) -> None:
    found = {
        (method, path, entry["security"][0]["bearer"][0])
        for method, path, entry in paths(document)
        if entry.get("security", [{"bearer": []}])[0]["bearer"]
    }
    assert found == {route[:3] for route in ROUTES}


@pytest.mark.parametrize(
    ("method", "path", "scope", "body"), ROUTES, ids=lambda value: str(value)[:40]
)
def test_a_route_lets_in_its_scope_and_its_owner_only(
    service: Keys, job: Any, method: str, path: str, scope: str, body: Any
) -> None:
    research = service.of("research")
    job_id = research.run_job(SMALL)["id"] if method == "DELETE" else job["id"]
    assert research.put("/v1/models/guarded", json={"job_id": job_id}).ok
    research.await_model("guarded")
    for model in (job_id, "guarded") if "{model}" in path else ("guarded",):
        there = {"job_id": job_id, "name": "guarded", "model": model}
        gone = {job_id: "0" * 32, "guarded": "missing"}
        missing = {name: gone[there[name]] for name in there}

        def ask(name: str, ids: dict[str, str]) -> requests.Response:
            text = json.dumps(body).replace("{job_id}", ids["job_id"])
            headers = {"Content-Type": "application/json"}
            return service.of(name).request(
                method, path.format(version="1", **ids), headers=headers,
                data=text if body is not None else None,
            )  # fmt: skip

        for name, own in SCOPES.items():
            if own != scope:
                refused = ask(name, there)
                assert repr(scope) in check_problem(refused, 403)["detail"]
                challenge = f'error="insufficient_scope", scope="{scope}"'
                assert challenge in refused.headers["WWW-Authenticate"]
        if "{" in path.replace("{version}", ""):
            details = [check_problem(ask("other", ids), 404)["detail"] for ids in (there, missing)]
            assert details[0].replace(job_id, "0" * 32).replace("guarded", "missing") == details[1]
        elif (method, path) != ("POST", "/v1/jobs"):
            assert not {"guarded", job_id} & set(re.findall(r"\w+", ask("other", there).text))
        passing = [name for name, own in SCOPES.items() if own == scope]
        for name in passing if method == "DELETE" else [*passing, "research", "admin"]:
            assert ask(name, there).status_code in (200, 201, 202, 204, 409), name


def test_lists_show_ones_own_jobs_and_admins_all(service: Keys, job: Any) -> None:
    mine, theirs = service.of("research"), service.of("other")
    foreign = theirs.run_job(SMALL)["id"]
    for _ in range(3):
        last = mine.run_job(SMALL)["id"]
    seen: list[str] = []
    after = cursor = None
    while True:
        page = mine.get("/v1/jobs", params={"limit": 2, "after": after}).json()
        assert len(page["jobs"]) <= 2
        seen += [each["id"] for each in page["jobs"]]
        cursor, after = after, page["next"]
        if not page["has_more"]:
            break
    assert job["id"] in seen
    assert last in seen
    assert foreign not in seen
    assert [each["id"] for each in theirs.get("/v1/jobs").json()["jobs"]] == [foreign]
    check_problem(theirs.get("/v1/jobs", params={"after": cursor}), 400)
    open_ones = {"status": ["queued", "running"]}
    eventually(lambda: mine.get("/v1/jobs", params=open_ones).json()["jobs"] == [], "all ended")
    everything = {each["id"] for each in service.of("admin").get("/v1/jobs").json()["jobs"]}
    assert {foreign, *seen} <= everything
    assert theirs.delete(f"/v1/jobs/{foreign}").status_code == 204
    assert theirs.get("/v1/jobs").json()["jobs"] == []


def test_a_model_shows_only_versions_of_ones_own_jobs(service: Keys, job: Any) -> None:
    mine, theirs, admin = map(service.of, ("research", "other", "admin"))
    foreign = theirs.run_job(SMALL)["id"]
    path = "/v1/models/handed-over"
    assert mine.put(path, json={"job_id": job["id"]}).ok
    assert admin.put(path, json={"job_id": foreign}).ok
    check_problem(mine.get(path), 404)
    assert [each["version"] for each in theirs.get(path).json()["versions"]] == [2]
    for body in ({}, {"version": 1}):
        check_problem(theirs.post(f"{path}/rollback", json=body), 404)
    assert len(admin.post(f"{path}/rollback", json={}).json()["versions"]) == 2
    assert mine.get(path).json()["version"] == 1
    check_problem(theirs.put(path, json={"job_id": foreign}), 409)


def test_an_idempotency_key_is_each_owners_own(service: Keys) -> None:
    headers = {"Idempotency-Key": "same"}
    made = {
        name: service.of(name).post("/v1/jobs", json=SMALL, headers=headers).json()["id"]
        for name in ("research", "trainer", "other")
    }
    assert made["research"] == made["trainer"] != made["other"]


def test_keys_are_made_and_revoked_while_the_service_runs(service: Keys) -> None:
    before = service.file.read_text()
    assert service.file.stat().st_mode & 0o777 == 0o600
    key = add(service.file, "late", "train")
    assert key[16:] not in service.file.read_text()
    http = service.session(key)
    eventually(lambda: http.get("/v1/jobs").status_code == 200, "the key is known")
    key_id = key.split("_")[1]
    assert key_id in command("list", service.file).stdout
    assert command("revoke", key_id, service.file).exit_code == 0
    assert command("revoke", key_id, service.file).exit_code == 1
    assert service.file.read_text() == before

    def gone() -> bool:
        return all(http.get("/v1/jobs", headers=NEW).status_code in (401, 429) for _ in range(20))

    eventually(gone, "the key is gone in every process")


@pytest.mark.parametrize("change", ["revoked", "without its scope", "of another owner"])
def test_an_open_stream_ends_soon_after_its_key_is(service: Keys, change: str) -> None:
    before = service.file.read_text()
    key = add(service.file, "research", "train")
    key_id = key.split("_")[1]
    http = service.session(key)
    eventually(lambda: known_everywhere(http), "the key is known in every process")
    path = f"/v1/jobs/{http.post('/v1/jobs', json=LONG).json()['id']}"
    assert http.post(f"{path}/pause").status_code == 200
    with http.get(f"{path}/events", headers=SSE, stream=True) as stream:
        told = stream.iter_content(None)
        assert b"queued" in next(told) + next(told)
        if change == "revoked":
            assert command("revoke", key_id, service.file).exit_code == 0
        else:
            file = json.loads(service.file.read_text())
            file["keys"][-1] |= {"scopes": ["predict"]} if "scope" in change else {"owner": "other"}
            service.file.write_text(json.dumps(file))
        changed = time.monotonic()
        list(told)
        assert time.monotonic() - changed < 20
    refused = {"revoked": (401, 429), "without its scope": (403,), "of another owner": (404,)}
    eventually(
        lambda: http.get(f"{path}/events", headers=SSE).status_code in refused[change], "refused"
    )
    service.of("research").post(f"{path}/cancel")
    service.file.write_text(before)


def known_everywhere(http: Http) -> bool:
    return all(http.get("/v1/jobs", headers=NEW).status_code == 200 for _ in range(20))


def test_a_key_that_was_revoked_while_no_file_could_be_opened_counts_no_more_once_one_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.key_ring.LOOK_SECONDS", 0)
    secret, key = new_key("research", frozenset({Scope.TRAIN}))
    file = tmp_path / "keys.json"
    with changed_keys(file) as keys:
        keys[key.id] = key
    ring = KeyRing(file)
    with changed_keys(file) as keys:
        keys.clear()
    with monkeypatch.context() as full:
        full.setattr(Path, "read_bytes", Mock(side_effect=OSError(errno.EMFILE, "too many files")))
        assert ring.find(secret) == key
    assert ring.find(secret) is None


def test_a_file_that_has_become_unusable_changes_nothing(service: Keys) -> None:
    good, http = service.file.read_text(), service.of("trainer")
    try:
        service.file.write_text(good[:-10])
        log = service.stack.log_path
        eventually(
            lambda: http.get("/v1/jobs").status_code == 200
            and "the old ones stay" in log.read_text(),
            "the log tells",
        )  # fmt: skip
        assert http.get("/v1/jobs").status_code == 200
    finally:
        service.file.write_text(good)


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (None, 0, "cannot be read"),
        ("", 0o600, "is empty"),
        ('{"keys": []}', 0o600, "has no key"),
        ("{", 0o600, "malformed"),
        ('{"keys": [{"id": "1"}]}', 0o600, "malformed at keys/0"),
        ('{"keys": []}', 0o666, "chmod go-w"),
    ],
)
def test_without_a_usable_file_the_api_does_not_start(
    tmp_path: Path, content: str | None, mode: int, reason: str
) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    checked = command("check", file)
    assert checked.exit_code == 1
    assert reason in checked.stderr
    with pytest.raises(SystemExit, match=reason):
        access.register(Flask("x"), Settings(api_keys_file=str(file)), Store(Settings()))


def test_the_command_works_from_a_shell(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "api.keys", "add", "--owner=a", "--scope=train", tmp_path / "k"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert re.fullmatch("nk_[0-9a-f]{12}_[0-9a-f]{64}\n", made.stdout)
    assert made.stderr == ""


def test_the_stack_tells_why_the_api_does_not_start(tmp_path: Path) -> None:
    environment = {**os.environ, "NEURON_API_KEYS_FILE": str(tmp_path / "missing.json")}
    with pytest.raises(StartError, match=r"missing\.json, cannot be read"):
        Stack(environment=environment).start()


def test_the_command_refuses_what_makes_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    for arguments in (
        ("--owner", "a b", "--scope", "train"), ("--owner", "", "--scope", "train"),
        ("--owner", "a"), ("--scope", "train"), ("--owner", "a", "--scope", "root"),
    ):  # fmt: skip
        assert command("add", *arguments, file).exit_code == 2
    assert not file.exists()
    assert command("list", file).exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == []


# Without keys


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_without_keys_foreign_web_pages_change_nothing(http: Http, headers: dict[str, str]) -> None:
    for path in ("/v1/jobs", "/v1/jobs/" + "0" * 32 + "/cancel"):
        check_problem(http.post(path, headers=headers), 403)


def test_without_keys_the_services_own_pages_may_act(http: Http) -> None:
    headers = {"Origin": http.base, "Sec-Fetch-Site": "same-origin"}
    assert http.post("/v1/jobs", json=SMALL, headers=headers).status_code == 202


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil", "10.0.0.1", "[", ":80"]
)
def test_without_keys_a_foreign_host_name_is_refused(http: Http, host: str) -> None:
    check_problem(http.get("/v1/jobs", headers={"Host": host}), 403)
    assert http.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "LOCALHOST.", "[::1]:80", "127.1.2.3"]
)
def test_without_keys_loopback_names_are_the_services(http: Http, host: str) -> None:
    assert http.get("/v1/jobs", headers={"Host": host}).status_code == 200


def test_a_client_that_names_no_host_gets_paths(http: Http) -> None:
    job = http.post("/v1/jobs", json=SMALL, headers={"Host": ""}).json()
    assert job["url"] == f"/v1/jobs/{job['id']}"


def test_without_keys_the_service_does_not_listen_to_other_machines() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "NEURON_API_KEYS_FILE"}
    for host in ("0.0.0.0", "::", "10.1.2.3"):
        with pytest.raises(StartError, match="NEURON_API_KEYS_FILE"):
            Stack(host=host, environment=environment).start()


@pytest.mark.parametrize(
    ("settings", "environ", "allowed"),
    [
        ({}, {"REMOTE_ADDR": "127.0.0.1"}, True),
        ({}, {"REMOTE_ADDR": "::ffff:127.0.0.1"}, True),
        ({}, {"REMOTE_ADDR": ""}, True),
        ({}, {"REMOTE_ADDR": "172.17.0.1", "HTTP_HOST": "localhost"}, False),
        ({"loopback_only": False}, {"REMOTE_ADDR": "172.17.0.1", "HTTP_HOST": "localhost"}, True),
        ({"loopback_only": False}, {"REMOTE_ADDR": "172.17.0.1", "HTTP_HOST": "api"}, False),
        ({"trusted_hosts": "x, Api"}, {"REMOTE_ADDR": "::1", "HTTP_HOST": "api:80"}, True),
    ],
)
def test_without_keys_only_this_machine_is_answered(
    settings: dict[str, Any], environ: dict[str, str], allowed: bool
) -> None:
    gate = access.Access(Settings(**settings), Store(Settings()))
    request = {"REQUEST_METHOD": "GET", **environ}
    if allowed:
        assert gate.admit(request, Scope.TRAIN).sees_all
    else:
        with pytest.raises(Problem) as refused:
            gate.admit(request, Scope.TRAIN)
        assert refused.value.status == 403


# Limits


@pytest.fixture(scope="module")
def limited() -> Iterator[str]:
    with running({"NEURON_RATE_LIMIT_JOBS": "20", "NEURON_RATE_LIMIT_PREDICT": "200"}) as stack:
        yield stack.url


def test_requests_over_the_limit_are_429_in_all_processes_together(limited: str) -> None:
    with Http(limited) as http:
        assert http.get("/healthz").headers.get("RateLimit") is None
        began = time.monotonic()
        answers = [requests.get(f"{limited}/v1/jobs", timeout=60) for _ in range(40)]
        refilled = (time.monotonic() - began) * 20 / 60
        passed = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert 20 <= len(passed) <= 20 + refilled
        assert passed[0].headers["RateLimit-Policy"] == '"jobs";q=20;w=60'
        assert passed[0].headers["RateLimit"].startswith('"jobs";r=19;')
        for answer in refused:
            check_problem(answer, 429)
            assert 1 <= int(answer.headers["Retry-After"]) <= 3
        assert http.get("/healthz").status_code == 200
        predictions = http.post("/v1/jobs/" + "0" * 32 + "/predict", json={"inputs": [[1, 2]]})
        assert predictions.status_code == 404


def test_predictions_have_a_limit_of_their_own(limited: str) -> None:
    """Each process took up to 2 tokens before; of those taken now, it may lose 1 a second."""
    began = time.monotonic()
    with Http(limited) as http:
        predict = "/v1/jobs/" + "0" * 32 + "/predict"
        passed = 0
        while http.post(predict, json={}).status_code != 429:
            passed += 1
    seconds = time.monotonic() - began
    assert 196 - seconds <= passed <= 200 + seconds * 200 / 60


def test_without_redis_limited_requests_are_503_and_wrong_keys_still_401(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = add(file, "research", "train")
    settings = Settings(
        redis_url="redis://127.0.0.1:1/0", api_keys_file=str(file), rate_limit_jobs=5
    )
    app = Flask("limited")
    problems.register(app)
    access.register(app, settings, Store(settings))
    app.get("/here")(needs("train")(lambda: "here"))
    client = app.test_client()
    for given, status in ((key, 503), ("nk_wrong", 401)):
        answer = client.get("/here", headers={"X-API-Key": given})
        assert (answer.status_code, answer.content_type) == (status, "application/problem+json")


def test_a_route_that_declares_no_scope_is_for_admins(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = {scope: add(file, "research", scope) for scope in ("train", "predict", "admin")}
    settings = Settings(api_keys_file=str(file))
    app = Flask("undeclared")
    problems.register(app)
    access.register(app, settings, Store(settings))
    app.get("/here")(lambda: "here")
    answers = {
        scope: app.test_client().get("/here", headers={"X-API-Key": key}).status_code
        for scope, key in keys.items()
    }
    assert answers == {"train": 403, "predict": 403, "admin": 200}
