"""The client and the service agree, as people use them together."""

from collections.abc import Iterator

import pytest

from client import Conflict, JobFailed, JobFields, NeuronClient, NotFound, StatusEvent
from standalone.stack import Stack
from tests.conftest import eventually
from tests.service.test_jobs import LONG, SMALL

ROW = [[2.2, 1.5]]


@pytest.fixture
def neuron(stack: Stack) -> Iterator[NeuronClient]:
    with NeuronClient(stack.url) as opened:
        yield opened


def test_a_named_model_serves_what_it_points_at_until_it_is_deleted(neuron: NeuronClient) -> None:
    job = neuron.create_job(**SMALL, wait=30)
    neuron.put_model("client", job.id, epoch=1)
    model = neuron.put_model("client", job.id)
    assert (model.version, model.weights, model.digest) == (2, job.weights, job.digest)
    assert neuron.get_model("client") == model
    assert "client" in [each.name for each in neuron.list_models()]

    back = neuron.roll_back_model("client")
    assert (back.version, back.epoch, len(back.versions)) == (1, 1, 2)
    with pytest.raises(Conflict, match="Nothing was served before"):
        neuron.roll_back_model("client")
    eventually(
        lambda: neuron.predict_with_model("client", ROW).version == 1, "the earlier version answers"
    )
    by_name = neuron.predict_with_model("client", ROW, explain=True)
    by_job = neuron.predict(job.id, ROW, epoch=1)
    assert (by_name.outputs, by_name.digest) == (by_job.outputs, by_job.digest)
    assert by_name.weighted_inputs
    assert sum(by_name.weighted_inputs[0]) == by_name.outputs[0]

    neuron.delete_model("client")
    with pytest.raises(NotFound):
        neuron.get_model("client")


def test_a_job_is_paused_resumed_and_cancelled(neuron: NeuronClient) -> None:
    job = neuron.create_job(**LONG, priority="high", time_limit_seconds=60)
    assert (job.priority, job.time_limit_seconds) == ("high", 60)
    assert neuron.pause(job.id).status == "paused"
    assert neuron.resume(job.id).status in ("queued", "running")
    eventually(lambda: neuron.get_job(job.id).progress.epoch, "an epoch is committed")
    assert neuron.cancel(job.id).status == "cancelled"
    with pytest.raises(Conflict):
        neuron.retry(job.id)


def test_a_verification_names_its_job_and_succeeds(neuron: NeuronClient) -> None:
    job = neuron.create_job(**SMALL, wait=30)
    verified = neuron.verify(job.id, wait=30)
    assert (verified.verifies, verified.status) == (job.id, "succeeded")


def test_a_failed_job_can_be_retried(neuron: NeuronClient) -> None:
    job = neuron.create_job(**LONG, time_limit_seconds=0.01)
    with pytest.raises(JobFailed):
        neuron.wait(job.id, timeout=60)
    neuron.retry(job.id)
    with pytest.raises(JobFailed):
        neuron.wait(job.id, timeout=60)
    told = [event.status for event in neuron.watch(job.id) if isinstance(event, StatusEvent)]
    assert told.count("failed") == 2


def test_the_last_step_of_an_epoch_gives_its_weights(neuron: NeuronClient) -> None:
    job = neuron.create_job(**SMALL, wait=30)
    page = neuron.steps(job.id, epoch=2, step=91, count=20)
    assert [step.step for step in page.steps] == [*range(91, 101)]
    assert (page.total, page.has_more, page.next) == (100, False, None)
    assert page.steps[-1].weights_after == neuron.epochs(job.id, after=1, limit=1).epochs[0].weights


def test_a_forecast_creates_no_job_and_the_job_then_learns_as_forecast(
    neuron: NeuronClient,
) -> None:
    wanted: JobFields = {
        "metadata": {"test": "forecast"},
        "dataset": {"training_size": 10_000, "test_size": 1_000, "seed": 36},
        "hyperparameters": {"learning_rate": {"schedule": "auto"}, "epochs": 2},
    }
    forecast = neuron.forecast(**wanted)
    assert forecast.specification.dataset.seed == 36
    assert neuron.list_jobs(metadata={"test": "forecast"}).jobs == ()
    job = neuron.create_job(**wanted, wait=30)
    rates = [epoch.learning_rate for epoch in neuron.iter_epochs(job.id)]
    assert (forecast.diverges, list(forecast.learning_rates)) == (False, rates)
    assert forecast.initial_weights == job.initial_weights
