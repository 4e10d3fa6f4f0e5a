"""What the README and the OpenAPI document say is what the service does."""

import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from shared.job import Status
from shared.settings import Settings, read_settings
from standalone.stack import Stack
from tests.conftest import Http
from tests.service.test_jobs import SMALL

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Rows of the first table below a heading."""
    section = README.split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in rows.group().splitlines()[2:]]
    return [[cell.strip() for cell in row] for row in cells]


@pytest.fixture(scope="module")
def document(stack: Stack) -> Any:
    with Http(stack.url) as http:
        return http.get("/openapi.json").json()


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_the_readme_lists_every_endpoint(document: Any) -> None:
    offered = {f"{m.upper()} {path}" for path, item in document["paths"].items() for m in item}
    assert {row[0].strip("`") for row in table("## Endpoints")} == offered


def test_the_readme_lists_every_setting_with_its_default() -> None:
    listed = {row[0].strip("`"): row[1].strip("`") for row in table("## Settings")}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    defaults["webhook_secret"] = ""
    assert listed == {f"NEURON_{name.upper()}": str(value) for name, value in defaults.items()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEURON_MAX_JOB_SECONDS", "inf"),
        ("NEURON_REDIS_URL", "localhost:6379"),
        ("NEURON_PORT", "x"),
    ],
)
def test_a_setting_that_cannot_be_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"{name}: "):
        read_settings()


def test_the_readme_lists_every_status() -> None:
    assert {row[0].strip("`") for row in table("### States")} == set(Status)


def test_the_readme_lists_every_command() -> None:
    offered = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert {row[0].strip("`") for row in table("## Commands")} == set(
        re.findall(r"make [\w-]+", offered.stdout)
    )


def test_the_readmes_job_is_the_published_run_and_all_its_fields(http: Http) -> None:
    block = re.search(r"### A job\n\n```json\n(.*?)```", README, re.DOTALL)
    assert block
    answer = http.post(
        "/v1/jobs", data=block.group(1), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 202
    job = answer.json()
    defaults = http.post("/v1/jobs", json={}).json()
    assert job["specification"] == defaults["specification"]


def test_the_readmes_calls_give_the_readmes_answers(stack: Stack, http: Http) -> None:
    calls = re.findall(r"^\$ (curl .*)\n(.*)$", README, re.MULTILINE)
    assert len(calls) == 3
    job_id = http.run_job({})["id"]
    for command, expected in calls:
        ran = subprocess.run(
            ["bash", "-c", command.replace("http://127.0.0.1:8000", stack.url)],
            env={"JOB": job_id, "PATH": "/usr/bin:/bin"},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        shown = expected.replace("http://127.0.0.1:8000", stack.url)
        pattern = ".*?".join(map(re.escape, shown.split("…")))
        assert re.fullmatch(pattern, ran.stdout), ran.stdout


def test_the_readmes_python_runs(stack: Stack) -> None:
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block
    code = block.group(1).replace("http://127.0.0.1:8000", stack.url)
    ran = subprocess.run(
        [str(ROOT / ".venv/bin/python"), "-c", code],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert re.fullmatch(r"[\[(]3\.70\d+,?[\])]\n", ran.stdout)


def test_answers_have_the_shape_that_the_document_promises(http: Http, document: Any) -> None:
    job = http.run_job(SMALL)
    predicted = http.post(f"/v1/jobs/{job['id']}/predict", json={"inputs": [[1, 2]]})
    for name, value in {
        "Job": job,
        "JobList": http.get("/v1/jobs").json(),
        "EpochList": http.get(f"/v1/jobs/{job['id']}/epochs").json(),
        "Prediction": predicted.json(),
        "ProblemDetails": http.get("/v1/jobs/x").json(),
        "Readiness": http.get("/readyz").json(),
    }.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)


def test_the_page_to_try_it_loads_nothing_from_outside(http: Http) -> None:
    page = http.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "http" not in re.sub(r"<!doctype html>", "", page.text)
    for source in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert http.get(source).status_code == 200
