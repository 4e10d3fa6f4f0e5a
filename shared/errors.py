"""The errors that the parts of the service raise; only the API turns them into HTTP.

NeuronServiceError
├── JobNotFound            no job of that id
├── StateConflict          the job's state does not allow what was asked
├── NoWeights              nothing has been committed that could predict
├── IdempotencyMismatch    the key was used with another body
├── IdempotencyKeySpent    the job that the key created has been deleted
├── TooManyOpenJobs        the limit of jobs that have not ended is reached
├── ModelNotFound          no model of that name
├── ModelVersionNotFound   the model has no such version
├── ModelChanged           another version is current than was expected
├── NameTaken              the name is another owner's
├── TooManyModels          the limit of names is reached
├── StaleModels            which versions are current could not be read in the last second
├── NoAnswer               no worker answered a question
├── LeaseLost              a worker no longer owns the job that it trains
└── UnsafeRedis            this Redis may throw job records away
"""


class NeuronServiceError(Exception):
    """Base of all errors of the service."""


class JobNotFound(NeuronServiceError):
    """No job of that id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id!r}.")


class StateConflict(NeuronServiceError):
    """The job's state does not allow what was asked."""

    def __init__(self, job_id: str, status: str, action: str) -> None:
        super().__init__(f"Job {job_id} is {status}; it cannot be {action}.")


class NoWeights(NeuronServiceError):
    """Nothing has been committed that could predict."""

    def __init__(self, job_id: str, epoch: int | None = None) -> None:
        what = "no weights" if epoch is None else f"no weights of epoch {epoch}"
        super().__init__(f"Job {job_id} has committed {what} yet.")


class IdempotencyMismatch(NeuronServiceError):
    """The key was used with another body."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with another body.")


class IdempotencyKeySpent(NeuronServiceError):
    """The job that the key created has been deleted."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job {job_id}, which this Idempotency-Key created, has been deleted.")


class TooManyOpenJobs(NeuronServiceError):
    """The limit of jobs that have not ended is reached."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} jobs are open, which is the limit; try again when some ended.")


class ModelNotFound(NeuronServiceError):
    """No model of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no model {name[:80]!r}.")


class ModelVersionNotFound(NeuronServiceError):
    """The model has no such version."""

    def __init__(self, name: str, version: int | str) -> None:
        super().__init__(f"Model {name} has no version {version}.")


class ModelChanged(NeuronServiceError):
    """Another version is current than was expected."""

    def __init__(self, name: str, version: int | None = None) -> None:
        now = "" if version is None else f": its version is {version}"
        super().__init__(f"Model {name} has been changed in the meantime{now}.")


class NameTaken(NeuronServiceError):
    """The name is another owner's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The name {name} is taken; choose another one.")


class TooManyModels(NeuronServiceError):
    """The limit of names is reached."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"There are {limit} models, which is the limit; delete one first.")


class StaleModels(NeuronServiceError):
    """Which versions are current could not be read in the last second."""

    def __init__(self) -> None:
        super().__init__("The model store does not answer; nothing is lost, try again.")


class NoAnswer(NeuronServiceError):
    """No worker answered a question."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"This needs a worker, but {reason}; try again.")


class LeaseLost(NeuronServiceError):
    """A worker no longer owns the job that it trains: it was cancelled, or another one took it."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"The lease of job {job_id} is lost.")


class UnsafeRedis(NeuronServiceError):
    """This Redis may throw job records away."""

    def __init__(self, policy: str) -> None:
        super().__init__(
            f"Redis has maxmemory-policy {policy!r} and may evict jobs; set it to 'noeviction'."
        )
