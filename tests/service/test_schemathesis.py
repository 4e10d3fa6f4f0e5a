"""The service is held against its own OpenAPI document by requests that are made from it."""

import subprocess
import sys
from pathlib import Path

from standalone.stack import Stack
from tests.conftest import Http, children
from tests.service.test_jobs import SMALL

#: Random requests of each operation and body type, beside those at the bounds of its schema.
EXAMPLES = 3
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,negative_data_rejection,"
    "missing_required_header,unsupported_method,allow_header_conformance"
)
#: Most requests are about a job and a model that are there; none deletes these.
CONFIGURATION = """
cache.enabled = false
[dictionaries]
job = {{ values = ["{job}"] }}
model = {{ values = ["{model}"] }}
[[operations]]
exclude-method = "DELETE"
[operations.parameters]
"path.job_id" = {{ dictionary = "job", probability = 0.8 }}
"path.model" = {{ dictionary = "job", probability = 0.8 }}
"path.name" = {{ dictionary = "model", probability = 0.8 }}
"body.job_id" = {{ dictionary = "job", probability = 0.8 }}
"""


def test_every_answer_is_as_the_document_says(stack: Stack, http: Http, tmp_path: Path) -> None:
    job = http.run_job(SMALL)["id"]
    assert http.put("/v1/models/documented", json={"job_id": job}).status_code == 201
    http.await_model("documented")
    trainers = children(stack, "worker")
    for trainer in trainers:
        trainer.suspend()  # many of the jobs would train for hours
    file = tmp_path / "schemathesis.toml"
    file.write_text(CONFIGURATION.format(job=job, model="documented"))
    ran = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", file, "--no-color",
            "run", f"{stack.url}/openapi.json", "--phases=coverage,fuzzing",
            f"--max-examples={EXAMPLES}", "--generation-deterministic", "--warnings=off",
            "--continue-on-failure", f"--checks={CHECKS}",
        ],
        cwd=tmp_path, check=False, capture_output=True, text=True,
    )  # fmt: skip
    while jobs := http.get("/v1/jobs?status=queued&status=running&status=paused").json()["jobs"]:
        for each in jobs:
            http.post(f"/v1/jobs/{each['id']}/cancel")
    for trainer in trainers:
        trainer.resume()
    http.delete("/v1/models/documented")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "No test cases were generated" not in ran.stdout
