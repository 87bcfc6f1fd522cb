"""Anybody's table of training runs -> how well their weights predict their metrics, and the best weights by that.

One row for each run, one column for each weight and metric, told apart by the beginnings of their names. The models are
those of a recipe's search, so a table from elsewhere and a search of ours are judged alike.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.errors import DataError, RecipeError, listed_names

if TYPE_CHECKING:
    import polars as pl

    from eval.search.study import Study

SAME = 1e-9  # by which weights may differ and be the same
SUM_ABOUT = 0.02  # how far weights may sum from one, by rounding; they are divided by their sum


@dataclass(frozen=True, slots=True)
class Runs:
    """A table of N runs. Shapes: D datasets."""

    path: str
    datasets: tuple[str, ...]
    metrics: tuple[str, ...]
    weights_ND: np.ndarray
    values: Mapping[str, np.ndarray]  # nan where a cell is no number


def read_runs(path: Path, *, weights: str, metrics: str) -> Runs:
    """Read a CSV file with a header; columns are known by what their names begin with.

    Raises DataError for a file that cannot be read, a missing column, weights that are no numbers or do not sum to one.
    """
    import polars as pl
    from polars.exceptions import PolarsError

    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            header = next(csv.reader(file), [])
        table = pl.read_csv(path, infer_schema=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Name a CSV file.") from error
    except (PolarsError, csv.Error) as error:
        raise DataError(f"{path}: is not a CSV table ({str(error).splitlines()[0]}). Write one row per run.") from error
    for name in filter(None, header):
        if header.count(name) > 1:
            raise DataError(
                f"{path}:1: column `{name}` stands there more than once. Give each column a name of its own."
            )
    found = {}
    for key, prefix in (("--weights", weights), ("--metrics", metrics)):
        names = [name for name in table.columns if name.startswith(prefix)]
        if key == "--metrics":
            names = [name for name in names if not name.startswith(weights)] if weights.startswith(prefix) else names
        if not names:
            asked = " Is it separated by semicolons?" if len(header) == 1 and ";" in header[0] else ""
            raise DataError(
                f"{path}: no column begins with `{prefix}`; it has {listed_names(table.columns)}. Name what they begin "
                f"with by {key}.{asked}"
            )
        found[key] = names
    weight_columns, metric_columns = found["--weights"], found["--metrics"]
    weights_ND = _numbers(table, weight_columns, path)
    sums_N = weights_ND.sum(axis=1)
    for row in np.flatnonzero((np.abs(sums_N - 1) > SUM_ABOUT) | (weights_ND < 0).any(axis=1)):
        raise DataError(
            f"{path}:{row + 2}: the weights sum to {sums_N[row]:.4g}, the least is {weights_ND[row].min():.4g}; they "
            "must sum to 1 and none be negative. Divide each row by its sum."
        )
    values_NM = _cells(table, metric_columns)
    return Runs(
        path=str(path),
        datasets=tuple(name.removeprefix(weights) for name in weight_columns),
        metrics=tuple(name.removeprefix(metrics) for name in metric_columns),
        weights_ND=weights_ND / sums_N[:, None],
        values={name.removeprefix(metrics): values_NM[:, index] for index, name in enumerate(metric_columns)},
    )


def _numbers(table: pl.DataFrame, columns: Sequence[str], path: Path) -> np.ndarray:
    """Return float64[rows, columns]; a cell that is no finite number is named."""
    found = _cells(table, columns)
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        row, column = bad[0]
        cell = table[columns[column]][int(row)]
        told = "is empty" if cell is None else f"is `{cell}`"
        raise DataError(
            f"{path}:{row + 2}: {columns[column]} {told}; it must be a number. Take that run out, or fill it in."
        )
    return found


def _cells(table: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return float64[rows, columns], nan where a cell is no number."""
    import polars as pl

    found = table.select([pl.col(name).str.strip_chars().cast(pl.Float64, strict=False) for name in columns]).to_numpy()
    return found.astype(np.float64)


def fit_runs(
    runs: Runs,
    *,
    target: str = "mean",
    holdout: Runs | None = None,
    least: Mapping[str, float] | None = None,
    most: Mapping[str, float] | None = None,
    pull: float = 0.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Fit every metric of a target and find its best weights; return all that is known as plain data.

    A weight is looked for between the least and most that the runs have of it, unless limits are given: beyond what was
    run, models guess. Raises DataError where there are too few runs, a metric of the target is not there for all of
    them, or weights or a metric are the same in all of them.
    """
    from eval.search.optimum import Goal, factors_of
    from eval.search.simplex import Limits
    from eval.search.study import study_runs
    from eval.search.surrogates import MOST_FOR_PROCESS

    goal = Goal(factors_of(target, runs.metrics), pull=pull)
    if holdout is not None:
        holdout = _alike(holdout, runs, metrics=list(goal.factors))
    for table in (runs, *([] if holdout is None else [holdout])):
        _require_values(table, list(goal.factors), of=len(runs.metrics))
    _require_differences(runs, list(goal.factors))
    seen = {name: float(low) for name, low in zip(runs.datasets, runs.weights_ND.min(axis=0), strict=True)}
    top = {name: float(high) for name, high in zip(runs.datasets, runs.weights_ND.max(axis=0), strict=True)}
    limits = Limits.of(runs.datasets, least=seen | dict(least or {}), most=top | dict(most or {}))
    prior_D = runs.weights_ND.mean(axis=0)
    found = study_runs(runs.weights_ND, runs.values, goal=goal, limits=limits, prior_D=prior_D, seed=seed)
    best = int(np.argmin(found.measured_N))
    return {
        "runs": len(runs.weights_ND),
        "target": goal.factors,
        "judged_by": f"{len(holdout.weights_ND)} runs of {holdout.path}" if holdout is not None else "runs left out",
        "accuracy": _accuracies(found, goal, runs if holdout is None else holdout, unseen=holdout is None),
        "models": {
            metric: {"says": dict(model.says), "errors": dict(model.errors)} for metric, model in found.models.items()
        },
        "optimum": {
            "weights": dict(zip(runs.datasets, found.chosen_D.tolist(), strict=True)),
            "low": dict(zip(runs.datasets, found.optimum.low_D.tolist(), strict=True)),
            "high": dict(zip(runs.datasets, found.optimum.high_D.tolist(), strict=True)),
            "value": found.of_chosen[0],
            "sd": found.of_chosen[1],
            "by_metric": dict(found.optimum.by_metric),
        },
        "best_run": {"row": best + 2, "value": float(found.measured_N[best])},
        "mean_run": float(found.measured_N.mean()),
        "never_run": [name for name, high in top.items() if high == 0],
        "never_varied": {name: seen[name] for name, high in top.items() if high > 0 and high - seen[name] <= SAME},
        "process_runs": min(len(runs.weights_ND), MOST_FOR_PROCESS),
    }


def _require_values(runs: Runs, metrics: Sequence[str], *, of: int) -> None:
    """Raise DataError for a metric of the target that some runs lack, and say what to do."""
    rest = "leave it out of --target" if of > 1 else "name another column by --metrics"
    for metric in metrics:
        lacking_N = np.flatnonzero(~np.isfinite(runs.values[metric]))
        if len(lacking_N) == len(runs.weights_ND):
            raise DataError(f"{runs.path}: {metric} is a number in no run; {rest}.")
        if len(lacking_N):
            lines = listed_names([str(row + 2) for row in lacking_N[:5].tolist()])
            raise DataError(
                f"{runs.path}: {metric} is no finite number in {len(lacking_N)} of {len(runs.weights_ND)} runs (lines "
                f"{lines}{', ...' if len(lacking_N) > 5 else ''}). Take those runs out, fill them in, or {rest}."
            )


def _require_differences(runs: Runs, metrics: Sequence[str]) -> None:
    """Raise DataError where all runs have the same weights, or the same value of a metric."""
    if len(runs.weights_ND) > 1 and np.ptp(runs.weights_ND, axis=0).max() <= SAME:
        raise DataError(
            f"{runs.path}: every run has the same weights, so their metrics show chance and nothing about weights. Run "
            "other mixtures."
        )
    for metric in metrics:
        if np.ptp(runs.values[metric]) == 0:
            raise DataError(
                f"{runs.path}: {metric} is {runs.values[metric][0]:.6g} in every run; nothing follows from it. Leave "
                "it out of --target."
            )


def _alike(holdout: Runs, runs: Runs, *, metrics: Sequence[str]) -> Runs:
    """Return the held-out runs with their weights in the order of the others."""
    lacking = [name for name in runs.datasets if name not in holdout.datasets]
    lacking += [name for name in metrics if name not in holdout.metrics]
    beside = [name for name in holdout.datasets if name not in runs.datasets]
    if lacking or beside:
        told = f"lacks {listed_names(lacking)}" if lacking else f"has {listed_names(beside)} beside"
        raise DataError(f"{holdout.path}: {told} the columns of {runs.path}. Give it the same weights and metrics.")
    order = [holdout.datasets.index(name) for name in runs.datasets]
    return replace(holdout, datasets=runs.datasets, weights_ND=holdout.weights_ND[:, order])


def _accuracies(found: Study, goal: Any, judged: Runs, *, unseen: bool) -> dict[str, Any]:
    """Return how well unseen runs were predicted, by metric and for the target."""
    from eval.search.accuracy import accuracy_of

    if unseen:
        by_metric = {metric: asdict(accuracy) for metric, accuracy in found.by_metric.items()}
        return {"target": asdict(found.accuracy), "by_metric": by_metric}
    predicted = {metric: model.predict(judged.weights_ND)[0] for metric, model in found.models.items()}
    return {
        "target": asdict(accuracy_of(goal.of(predicted), goal.of(judged.values))),
        "by_metric": {name: asdict(accuracy_of(values, judged.values[name])) for name, values in predicted.items()},
    }


def limits_given(given: Sequence[str], *, flag: str) -> dict[str, float]:
    """Return `NAME=NUMBER` entries as a mapping; RecipeError for one that is not so written."""
    found = {}
    for entry in given:
        name, _, number = entry.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise RecipeError(f"{flag} {entry}: is not NAME=NUMBER. Write it as {flag} web=0.2.") from None
    return found
