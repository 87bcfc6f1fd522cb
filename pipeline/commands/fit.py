"""The verb `fit`: what it takes on the command line, and what a table of runs shows as data and as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.commands.flags import AS_JSON, FILE
from pipeline.commands.questions import VerbAnswer


@click.argument("runs", type=FILE, metavar="RUNS.csv", help="A row for each run, with a header.")
@click.option("--weights", metavar="PREFIX", default="w_", help="How names of weights begin.")
@click.option("--metrics", metavar="PREFIX", default="m_", help="How names of metrics begin.")
@click.option("--holdout", type=FILE, metavar="OTHER.csv", help="Runs to judge by, instead of left-out ones.")
@click.option("--target", metavar="SUM", default="mean", help="What to minimise: `mean`, or a sum such as `a + 0.5*b`.")
@click.option("--least", metavar="NAME=NUMBER", multiple=True, help="Least weight; repeatable.")
@click.option("--most", metavar="NAME=NUMBER", multiple=True, help="Most weight; repeatable.")
@AS_JSON
def fit(
    *,
    runs: Path,
    weights: str,
    metrics: str,
    holdout: Path | None,
    target: str,
    least: Sequence[str],
    most: Sequence[str],
    as_json: bool,
) -> VerbAnswer:
    """Model runs on many mixtures: how far the models can be trusted, and the best weights with an interval."""
    from pipeline.queries.proxies.fit import fit_runs, limits_given, read_runs

    data = fit_runs(
        read_runs(runs, weights=weights, metrics=metrics),
        target=target,
        holdout=read_runs(holdout, weights=weights, metrics=metrics) if holdout is not None else None,
        least=limits_given(least, flag="--least"),
        most=limits_given(most, flag="--most"),
    )
    return VerbAnswer(data, fit_text(data))


def fit_text(data: dict[str, Any]) -> str:
    """Return accuracy, optimum and what to make of both."""
    from pipeline.commands.texts import table

    accuracy, optimum = data["accuracy"], data["optimum"]
    judged = {"target": accuracy["target"]} | (accuracy["by_metric"] if len(accuracy["by_metric"]) > 1 else {})
    rows = [
        [
            name,
            _rounded(item["rank_correlation"]),
            _percent(item["pairs"]),
            _percent(item["pairs_best_quarter"]),
            _percent(item["pairs_best_tenth"]),
            f"{item['regret']:.4g}",
            f"{item['error']:.4g}",
        ]
        for name, item in judged.items()
    ]
    head = ["predicted", "rank correlation", "pairs right", "best quarter", "best tenth", "regret", "error"]
    best = [
        [name, f"{weight:.3f}", f"{optimum['low'][name]:.3f} to {optimum['high'][name]:.3f}"]
        for name, weight in sorted(optimum["weights"].items(), key=lambda item: -item[1])
    ]
    notes = [f"Never run, so left at 0: {', '.join(data['never_run'])}."] if data["never_run"] else []
    if data["never_varied"]:
        fixed = ", ".join(f"{name} {weight:.3f}" for name, weight in data["never_varied"].items())
        notes.append(f"The same in every run, so what they do is unknown and they stay there: {fixed}.")
    if data["process_runs"] < data["runs"]:
        notes.append(
            f"The Gaussian process was fitted to {data['process_runs']} of the {data['runs']:,} runs, drawn blindly: "
            "its time grows with the cube of their number. The other models have all."
        )
    return "\n".join(
        [
            f"{data['runs']} runs, judged by {data['judged_by']}:",
            table(rows, head=head),
            "",
            table(best, head=["dataset", "best weight", "90 % interval"]),
            "",
            f"Predicted there: {optimum['value']:.4f} (sd {optimum['sd']:.4f}); the best run, in line "
            f"{data['best_run']['row']}, has {data['best_run']['value']:.4f}, the mean run {data['mean_run']:.4f}.",
            *notes,
            "Train it beside the best run before you believe it: a prediction is no measurement.",
        ]
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
