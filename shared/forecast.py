"""What a training run is expected to come to, as the API shows it."""

from pydantic import BaseModel, Field


class Forecast(BaseModel):
    """Derived from the data's second moments; nothing was trained. Null: unknown or not finite."""

    diverges: bool = Field(description="whether weights will leave the finite numbers")
    diverges_in_epoch: int | None = Field(description="when they will, counted from 1")
    learning_rates: list[float] = Field(
        description="of each epoch, at most the first 1000; an automatic one is shown as it comes "
        "out for these data"
    )
    largest_learning_rate: float | None = Field(
        description="the largest constant one that these data bear; null if they bear none"
    )
    second_moments: list[list[float]] = Field(
        description="the mean of x·xᵀ over the training rows x, as the neuron sees them"
    )
    initial_weights: list[float]
    settling_weights: list[float] | None = Field(
        description="where weights settle: the pulls of data and regularization are equal there; "
        "null where they run away"
    )
    final_weights: list[float] | None = Field(
        description="expected after the last epoch; null where errors grow, which `explanation` "
        "tells: which weights they lead to cannot be foretold"
    )
    final_weights_deviation: list[float] | None = Field(
        description="their standard deviation, from the order of the rows and from rounding; where "
        "no weights are foretold, about how far from 1 they will be; null if they diverge"
    )
    accuracy: float = Field(
        description="expected after the last epoch: that of the expected weights; 0 without any"
    )
    accuracy_low: float = Field(description="the least of a hundred likely runs")
    accuracy_high: float = Field(description="the most of them")
    training_seconds: float = Field(
        description="making the data, training and testing, at this worker's speed; without waiting"
    )
    explanation: list[str] = Field(description="what will happen and why, in sentences")
