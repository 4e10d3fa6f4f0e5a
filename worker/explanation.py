"""What a forecast means, in sentences."""

from collections.abc import Sequence

import numpy as np

from shared.forecast import Forecast
from shared.job import Specification

#: With fewer rows, the mean of them tells too little about what one after the other does.
FEW_ROWS = 100
#: The part of the largest stable rate from which fluctuations have long tails.
EDGE = 0.8


def explain(specification: Specification, forecast: Forecast) -> list[str]:
    """Short sentences: will it explode, where do weights settle, how fast, how well, how long."""
    found = [
        "This is a forecast: it follows from the second moments of the data, nothing was trained."
    ]
    if specification.hyperparameters.normalize:
        found.append(
            f"Inputs are divided by {specification.dataset.scale:g}, cost and regularization by "
            "its square; moments and learning rates are those of the divided inputs."
        )
    found.append(_stability(specification, forecast))
    if forecast.settling_weights is not None:
        found.append(_settling(specification, forecast, forecast.settling_weights))
    if forecast.final_weights is not None:
        found += _pace(specification, forecast)
    found += _reservations(specification, forecast)
    if not forecast.diverges:
        found.append(_accuracy(specification, forecast))
    found.append(f"Training takes {_duration(forecast.training_seconds)} once a worker has it.")
    return found


def _reservations(specification: Specification, forecast: Forecast) -> list[str]:
    """What this forecast cannot say, or not well."""
    found = []
    largest, away = forecast.largest_learning_rate, forecast.final_weights_deviation
    if forecast.final_weights is None and away:
        rounded = float(f"{away[0]:.0e}")
        found.append(
            "Which weights come out cannot be foretold, because errors grow along a way that the "
            f"order of the rows decides: they will be about {rounded:g} away from 1."
        )
    if forecast.final_weights and largest and forecast.learning_rates[-1] > EDGE * largest:
        found.append(
            "So near the largest stable rate a few rows can throw weights much farther than the "
            "deviation, which is what is usual."
        )
    if specification.dataset.training_size < FEW_ROWS:
        found.append("There are so few rows that their order matters; this forecast is rough.")
    return found


def _stability(specification: Specification, forecast: Forecast) -> str:
    highest, largest = forecast.learning_rates[0], forecast.largest_learning_rate
    c = specification.coefficient
    ends = f"It will diverge in epoch {forecast.diverges_in_epoch}"
    if largest is None and c < 0:
        why = (
            f"regularization drives weights away by {-c:.4g}·weight, more than the data pull them "
            f"back where they vary least, by {2 * _least(forecast):.4g}·error"
        )
        if forecast.diverges:
            return f"{ends}: {why}."
        return f"No learning rate is stable: {why}; these steps are too few or small to explode."
    if largest is None:
        return "It will not diverge: no learning rate is too large for inputs this small."
    if forecast.diverges:
        return (
            f"{ends}: its steps overshoot farther and farther, because these data bear a learning "
            f"rate of at most {largest:g}, and that of epoch 1 is {highest:.4g}."
        )
    if highest <= largest:
        return (
            f"It will not diverge: the highest learning rate is {highest:.4g}, and these data "
            f"bear {largest:g}."
        )
    grows = "grows at first, but stays finite"
    if forecast.final_weights is None:
        grows = "grows, but these steps are too few for it to explode"
    return (
        f"The learning rate begins at {highest:.4g}, and these data bear {largest:g}: the error "
        f"{grows}."
    )


def _settling(specification: Specification, forecast: Forecast, weights: Sequence[float]) -> str:
    c = specification.hyperparameters.regularization.coefficient
    if c == 0 and _least(forecast) <= 0:
        return (
            "Without regularization weights become right in the directions in which the rows "
            "vary; they are too few to show the others."
        )
    if c == 0:
        return "Without regularization weights settle at 1, up to rounding."
    away = float(np.mean(weights)) - 1
    deed = f"subtracts {-c:g}·weight from" if c < 0 else f"adds {c:g}·weight to"
    if set(weights) == {1.0}:
        return f"Regularization {deed} the gradient: too little to keep a weight from 1."
    return (
        f"Regularization {deed} the gradient: weights settle at {_list(weights)}, on average "
        f"{abs(away):.3g} {'above' if away > 0 else 'below'} 1, where the data's pull back to 1 "
        "equals it."
    )


def _pace(specification: Specification, forecast: Forecast) -> list[str]:
    hyperparameters = specification.hyperparameters
    shrinking = 2 * _least(forecast) + specification.coefficient
    rates, size = forecast.learning_rates, specification.dataset.training_size
    largest = forecast.largest_learning_rate
    if shrinking <= 0 or (largest is not None and rates[0] > largest):
        return []
    shrunk = sum(rates) * shrinking * size
    steps = 1 / (rates[0] * shrinking) if rates[0] * shrinking > 0 else float("inf")
    whole = (
        "all epochs" if len(rates) == hyperparameters.epochs else f"the first {len(rates)} epochs"
    )
    return [
        f"An error lasts longest in the direction in which the inputs vary least: there it shrinks "
        f"e times every {steps:.3g} steps at first, and e^{shrunk:.3g} times in {whole}."
    ]


def _accuracy(specification: Specification, forecast: Forecast) -> str:
    hyperparameters = specification.hyperparameters
    between = ""
    if forecast.accuracy_low != forecast.accuracy_high:
        between = (
            f"; likely runs are between {100 * forecast.accuracy_low:.4g} and "
            f"{100 * forecast.accuracy_high:.4g} %"
        )
    return (
        f"After epoch {hyperparameters.epochs} about {100 * forecast.accuracy:.4g} % of the "
        f"test rows will be within {hyperparameters.error_margin_percent:g} %{between}."
    )


def _duration(seconds: float) -> str:
    """As one would say it."""
    if seconds < 0.01:
        return "less than 0.01 s"
    if seconds < 60:
        return f"about {seconds:.2g} s"
    minutes = round(seconds / 60)
    shown = f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    return f"about {shown}"


def _least(forecast: Forecast) -> float:
    """The least eigenvalue of the second moments; 0 where rounding hides it."""
    values = np.linalg.eigvalsh(np.array(forecast.second_moments))
    return float(values[0]) if values[0] > 1e-13 * values[-1] else 0.0


def _list(weights: Sequence[float]) -> str:
    if len(weights) > 3:
        return f"{min(weights):.8g} to {max(weights):.8g}"
    *most, last = (f"{weight:.8g}" for weight in weights)
    return f"{', '.join(most)} and {last}"
