"""What Prometheus sees, on the running service with its two API processes."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from shared.job import JobRequest, Status
from shared.observation import Observation, observe
from shared.store import Store
from standalone.stack import Stack
from tests.conftest import Http, eventually, kill_children
from tests.service.test_jobs import LONG, SMALL

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
UNKNOWN = "/v1/jobs/" + "0" * 32
DIVERGES: dict[str, Any] = {
    **SMALL,
    "hyperparameters": {"epochs": 1, "learning_rate": {"schedule": "constant", "rate": 1}},
}


class Metrics:
    """The values of one scrape."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        wanted = labels.items()
        return sum(s.value for s in self.samples if s.name == name and wanted <= s.labels.items())


def scrape(http: Http) -> Metrics:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    return Metrics(answer.text)


#: So many requests on connections of their own meet both processes.
PROBES = 25


def settled(http: Http) -> Metrics:
    """A scrape after which both processes have counted what they answered before.

    Each counts in the order of its answers: when these last requests are counted, all are.
    """

    def probes(seen: Metrics) -> float:
        return seen("neuron_requests_total", route="/v1/jobs", method="OPTIONS")

    before = probes(scrape(http))
    for _ in range(PROBES):
        http.options("/v1/jobs", headers={"Connection": "close"})
    found: Metrics = eventually(
        lambda: probes(seen := scrape(http)) >= before + PROBES and seen, "all are counted"
    )
    return found


def ask(url: str, count: int) -> int:
    """Ask for a job that is not there, each time on a new connection."""
    for _ in range(count):
        with Http(url) as http:
            http.get(UNKNOWN)
    return count


def test_requests_to_both_processes_add_up(http: Http, stack: Stack) -> None:
    labels = {"route": "/v1/jobs/<job_id>", "method": "GET", "status": "4xx"}
    folder = stack.data_dir.parent / "metrics"
    before = settled(http)
    with ThreadPoolExecutor(8) as pool:
        asked = sum(pool.map(ask, [stack.url] * 8, [50] * 8))
    after = settled(http)
    assert (
        after("neuron_requests_total", **labels) - before("neuron_requests_total", **labels)
        == asked
    )
    touched = [path for path in folder.glob("counter_*.db") if b"4xx" in path.read_bytes()]
    assert len(touched) == 2, "both processes answered"


def test_every_request_is_in_the_histogram(http: Http) -> None:
    ask(http.base, 5)
    seen = settled(http)
    labels = {"route": "/v1/jobs/<job_id>", "method": "GET"}
    requests = seen("neuron_requests_total", **labels)
    assert requests == seen("neuron_request_seconds_count", **labels)
    assert requests == seen("neuron_request_seconds_bucket", le="+Inf", **labels)
    assert 0 < seen("neuron_request_seconds_sum", **labels) < requests * 30


def test_labels_are_bounded_whatever_clients_send(http: Http) -> None:
    before = settled(http)
    for i in range(5):
        http.get(f"/nowhere/{i}")
        http.request(f"BREW{i}", "/v1/jobs")
    after = settled(http)
    name = "neuron_requests_total"
    assert after(name, route="unmatched") - before(name, route="unmatched") >= 5
    methods = {sample.labels["method"] for sample in after.families["neuron_requests"].samples}
    routes = {sample.labels["route"] for sample in after.families["neuron_requests"].samples}
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}
    assert not any("nowhere" in route for route in routes)


def test_predictions_and_their_rows_are_counted(http: Http) -> None:
    path = f"/v1/jobs/{http.run_job(SMALL)['id']}/predict"
    before = settled(http)
    http.post(path, json={"inputs": [[1, 2], [3, 4], [5, 6]]})
    http.post(path, json={"inputs": [[1, 2]]})
    http.post(path, json={"inputs": [[1, "2"]]})
    after = settled(http)
    for name, expected in {"neuron_predictions_total": 2, "neuron_predicted_rows_total": 4}.items():
        assert after(name) - before(name) == expected


def test_jobs_are_counted_once_each_with_how_they_ended(http: Http) -> None:
    eventually(lambda: scrape(http)("neuron_jobs_open") == 0, "what others left has ended")
    before = scrape(http)
    assert http.run_job(SMALL)["status"] == "succeeded"
    assert http.run_job(DIVERGES)["error"]["code"] == "diverged"
    job = http.post("/v1/jobs", json=LONG).json()
    epochs = http.post(f"/v1/jobs/{job['id']}/cancel").json()["progress"]["epoch"]
    after = scrape(http)

    def grown(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    assert grown("neuron_jobs_accepted_total") == 3
    assert grown("neuron_epochs_committed_total") == 3 + epochs
    assert grown("neuron_training_steps_total") == 300 + epochs * LONG["dataset"]["training_size"]
    for labels in (
        {"status": "succeeded"}, {"status": "cancelled"}, {"status": "failed", "code": "diverged"}
    ):  # fmt: skip
        assert grown("neuron_jobs_ended_total", **labels) == 1
        assert grown("neuron_jobs", status=labels["status"]) == 1
    assert after("neuron_workers") == 1
    assert after("neuron_redis_up") == 1


def test_a_killed_process_takes_its_streams_along_but_not_its_counts(
    http: Http, stack: Stack
) -> None:
    job = http.post("/v1/jobs", json=LONG).json()
    path = f"/v1/jobs/{job['id']}"
    with http.get(f"{path}/events", headers={"Accept": "text/event-stream"}, stream=True) as live:
        lines = live.iter_lines()  # it would end the stream when nobody holds it
        assert next(lines)
        eventually(lambda: scrape(http)("neuron_open_streams") == 1, "only this one is open")
        before = settled(http)
        api = psutil.Process(stack.process("api").pid)
        killed = set(kill_children(stack, "api"))
        eventually(lambda: is_back(http, api, killed), "new processes")
    after = settled(http)
    assert after("neuron_open_streams") == 0
    eventually(lambda: scrape(http)("neuron_requests_in_flight") == 1, "only the scrape itself")
    for labels in ({"route": "/v1/jobs"}, {"status": "4xx"}):
        name = "neuron_requests_total"
        assert after(name, **labels) >= before(name, **labels) > 0
    http.post(f"{path}/cancel")


def is_back(http: Http, api: psutil.Process, old: set[psutil.Process]) -> bool:
    try:
        children = [child for child in api.children() if child.status() != psutil.STATUS_ZOMBIE]
        return len(children) >= 2 and not set(children) & old and http.get("/readyz").ok
    except (OSError, psutil.NoSuchProcess):
        return False


def test_a_queue_that_nobody_serves_grows_and_ages(lonely: Store) -> None:
    assert observe(lonely) == Observation(
        jobs=dict.fromkeys(observe(lonely).jobs, 0), open_jobs=0, queue=0, oldest_seconds=0.0,
        webhooks=0, workers=0, counters={},
    )  # fmt: skip
    first, _ = lonely.accept(JobRequest())
    eventually(lambda: observe(lonely).oldest_seconds > 0.05, "the job has aged")
    lonely.accept(JobRequest.model_validate({"priority": "high"}, strict=False))
    seen = observe(lonely)
    assert (seen.queue, seen.open_jobs, seen.jobs[Status.QUEUED]) == (2, 2, 2)
    assert 0.05 < seen.oldest_seconds < 60, "the normal one, though the high one is first"
    lonely.pause(first)
    seen = observe(lonely)
    assert (seen.queue, seen.open_jobs) == (1, 2)


def test_a_lost_worker_is_missed_and_its_job_counted_as_recovered(lonely: Store) -> None:
    lonely.accept(JobRequest())
    lonely.announce_worker("host:1", 60)
    assert observe(lonely).workers == 1
    assert lonely.workers("host") == 1
    assert lonely.workers("other") == 0
    assert lonely.claim("attempt")
    eventually(lonely.sweep, "the lease is over")
    seen = observe(lonely)
    assert seen.counters == {"accepted": 1, "claims": 1, "recoveries": 1}
    lonely.announce_worker("host:1", 0.2)
    eventually(lambda: not observe(lonely).workers, "the worker counts as gone")


def test_looking_costs_the_same_whatever_there_is(lonely: Store) -> None:
    for _ in range(300):
        lonely.accept(JobRequest())

    def cost() -> int:
        before = commands(lonely)
        observe(lonely)
        return commands(lonely) - before

    assert min(cost() for _ in range(5)) < 50, "beside the commands of others"


def commands(store: Store) -> int:
    info: Any = store.redis.info("stats")
    return int(info["total_commands_processed"])


def test_operations_lists_every_metric(http: Http) -> None:
    listed = set(re.findall(r"^\| `(neuron_\w+)", OPERATIONS, re.MULTILINE))
    assert listed == offered(scrape(http))


def test_the_dashboard_asks_for_metrics_and_labels_that_exist(http: Http) -> None:
    seen = scrape(http)
    dashboard = json.loads((ROOT / "docs/grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 10
    names = {sample.name for sample in seen.samples}
    labels = {label for sample in seen.samples for label in sample.labels} | {"instance", "job"}
    for query in [*queries, *re.findall(r"^- `([^`]*neuron_[^`]*)`", OPERATIONS, re.MULTILINE)]:
        used = set(re.findall(r"neuron_\w+", query))
        assert used, query
        assert used <= names, query
        groups = re.findall(r"\bby \(([^)]*)\)", query)
        used_labels = {label.strip() for group in groups for label in group.split(",")}
        used_labels |= set(re.findall(r"(\w+)\s*(?:=~|!=|=)\s*\"", query))
        assert used_labels <= labels, query


def offered(seen: Metrics) -> set[str]:
    return {
        f"{name}_total" if family.type == "counter" else name
        for name, family in seen.families.items()
        if name.startswith("neuron_")
    }
