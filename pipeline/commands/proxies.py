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
    from pipeline.queries.score import TaskScore

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
    "of copying, induction, arithmetic, retrieval, sorting, with commas between; repeatable.",
)  # fmt: skip
@click.option("--items", type=click.IntRange(min=2), metavar="NUMBER", default=200, help="Of each task that is named.")
@click.option("--seed", type=int, metavar="NUMBER", default=0, help="Of these items.")
@WORKSPACE
@WORKERS
@click.option("--device", default="auto", help="Where proxies run: auto, cpu or cuda.")
@AS_JSON
def score(
    *, lanes: Sequence[str], tasks: Sequence[str], items: int, seed: int, workspace: Path, workers: int, device: str,
    as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Score finished proxies on tasks: bits per byte of the right answer, its probability, accuracy.

    Nothing is trained and nothing stored. Bits per byte fall long before accuracy leaves chance, and are better to
    compare small models by; +- is one standard error over the items.
    """
    from pipeline.commands.display import Terminal
    from pipeline.queries.score import score_proxies
    from pipeline.store.workspace import Workspace

    with Terminal() as progress:
        scores = score_proxies(
            Workspace(workspace), lanes, tasks=tasks, count=items, seed=seed, device=device, threads=workers,
            progress=progress,
        )  # fmt: skip
    return VerbAnswer({"scores": [asdict(found) for found in scores]}, scores_text(scores))


def scores_text(scores: Sequence[TaskScore]) -> str:
    """Return scores as a table, and what to know of the items."""
    from pipeline.commands.texts import table

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
    return "\n".join(lines)
