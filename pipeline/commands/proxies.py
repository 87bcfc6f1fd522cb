"""`export-proxy` and `score`: what they take on the command line, and what they say of finished proxies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.flags import AS_JSON, FILE, WORKERS, WORKSPACE
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from pipeline.queries.proxies.harness import HarnessScore
    from pipeline.queries.proxies.score import TaskScore

NAMED = "MIXTURE/seedN/lrR as a plan calls it, or a folder of workspace/lane."


@click.argument("lane", metavar="LANE", help=f"A finished proxy: {NAMED}")
@click.option("--to", type=FILE, required=True, help="New folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in that folder.")
@WORKSPACE
@AS_JSON
def export_proxy(*, lane: str, to: Path, overwrite: bool, workspace: Path, as_json: bool) -> VerbAnswer:
    """Write one proxy as a folder that needs nothing of Tamis: weights, config, tokenizer, card, and a loader.

    The loader, load_proxy.py, is 60 lines of torch and sentencepiece. README.md says what the proxy was trained on.
    """
    from pipeline.queries.export.proxy import export_proxy as write
    from pipeline.queries.export.proxy import exported_proxy_text
    from pipeline.store.workspace import Workspace

    done = write(Workspace(workspace), lane, to=to, overwrite=overwrite)
    return VerbAnswer(asdict(done), exported_proxy_text(done, to=str(to)))


@click.argument(
    "lanes", metavar="LANE...", nargs=-1, required=True, help=f"Finished proxies: {NAMED} MIXTURE alone is all of its."
)
@click.option(
    "--tasks", metavar="FILE|NAMES", multiple=True, required=True,
    help="JSON lines with `prompt` or `question`, `choices` and `answer`, the number of the right one from 0; or any "
    "of copying, induction, arithmetic, retrieval, sorting, with commas between; or lm_eval:TASK of "
    "lm-evaluation-harness; repeatable.",
)  # fmt: skip
@click.option("--include", type=FILE, metavar="FOLDER", help="Of YAML tasks for lm_eval: in place of its own.")
@click.option("--items", type=click.IntRange(min=2), metavar="NUMBER", default=200, help="Of each task that is named.")
@click.option("--seed", type=int, metavar="NUMBER", default=0, help="Of these items.")
@WORKSPACE
@WORKERS
@click.option("--device", default="auto", help="Where proxies run: auto, cpu or cuda.")
@AS_JSON
def score(
    *, lanes: Sequence[str], tasks: Sequence[str], include: Path | None, items: int, seed: int, workspace: Path,
    workers: int, device: str, as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Score finished proxies on tasks: bits per byte of the right answer, its probability, accuracy.

    Nothing is trained and nothing stored. Bits per byte fall long before accuracy leaves chance, and are better to
    compare small models by; +- is one standard error over the items.
    """
    from pipeline.commands.run.display import Terminal
    from pipeline.core.errors import RecipeError
    from pipeline.queries.proxies.harness import PREFIX, score_by_harness
    from pipeline.queries.proxies.score import curves_of, score_proxies
    from pipeline.store.workspace import Workspace

    ours = [task for task in tasks if not task.startswith(PREFIX)]
    theirs = [task.removeprefix(PREFIX) for task in tasks if task.startswith(PREFIX)]
    if include is not None and not theirs:
        raise RecipeError(f"--include {include}: is of no use without --tasks {PREFIX}TASK. Leave it out.")
    place, data, texts = Workspace(workspace), {}, []
    with Terminal() as progress:
        if ours:
            scores = score_proxies(
                place, lanes, tasks=ours, count=items, seed=seed, device=device, threads=workers, progress=progress
            )
            data["scores"] = [asdict(found) for found in scores]
            data["curves"] = [asdict(found) for found in curves_of(scores)]
            texts.append(scores_text(scores))
        if theirs:
            numbers = score_by_harness(place, lanes, tasks=theirs, include=include, progress=progress)
            data["harness"] = [asdict(number) for number in numbers]
            texts.append(harness_text(numbers))
    return VerbAnswer(data, "\n\n".join(texts))


def harness_text(numbers: Sequence[HarnessScore]) -> str:
    """Return what lm-evaluation-harness said as a table."""
    from pipeline.commands.texts import table

    rows = [[found.lane, found.task, found.items, found.metric, found.value, found.error] for found in numbers]
    return table(rows, head=["lane", "task", "items", "metric", "value", "+-"])


def scores_text(scores: Sequence[TaskScore]) -> str:
    """Return scores as a table, and what to know of the items."""
    from pipeline.commands.texts import table
    from pipeline.queries.proxies.score import curves_of

    rows = [
        [
            found.lane, found.task, found.items, found.bits_per_byte, found.bits_per_byte_error,
            found.probability, found.probability_error, found.accuracy, found.accuracy_error, found.chance,
        ]
        for found in scores
    ]  # fmt: skip
    head = ["lane", "task", "items", "bits per byte", "+-", "P(right)", "+-", "accuracy", "+-", "chance"]
    lines = [table(rows, head=head)]
    for task in dict.fromkeys(found.task for found in scores):
        merged, cut = (
            max(getattr(found, name) for found in scores if found.task == task) for name in ("merged", "cut")
        )
        if merged:
            lines.append(
                f"{task}: {merged} prompts end inside a piece of the tokenizer; their last bytes are scored with every "
                "choice. Begin choices, and not the ends of prompts, with a space."
            )
        if cut:
            lines.append(f"{task}: {cut} prompts are longer than the context and lost their beginning.")
    for curve in curves_of(scores):
        points = ", ".join(f"{point.bits_per_byte:.4g} at {point.num_tokens:,}" for point in curve.points)
        lines.append(f"{curve.task}, bits per byte of {curve.mixture} by tokens: {points}")
    return "\n".join(lines)
