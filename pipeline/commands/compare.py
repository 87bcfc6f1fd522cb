"""The verb `compare`: what it takes on the command line, and what mixtures show beside the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.flags import AS_JSON, FILE, PLUGINS, WORKSPACE, load_plugins
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from eval.verdict.paired import Gain
    from pipeline.experiment.findings.changed import Changed, ChangedOn
    from pipeline.experiment.findings.side_by_side import Beside, SideBySide

QUOTED = 100  # characters of a document in a line
NO_VERDICT = (
    "A question, not a verdict: nothing was trained, no look was taken, and nothing can be promoted by it. That is for "
    "a gate, by the rule of its recipe."
)


@click.argument(
    "names", metavar="A B...", nargs=-1, required=True,
    help="A mixture of the last run; a promoted name, or a version of it: docs-en@2; a recipe, for its candidate, or "
    "RECIPE:MIXTURE. A recipe alone is all of its mixtures.",
)  # fmt: skip
@click.option("--to", type=FILE, metavar="FILE.html", help="Write a page with plots and the documents, too.")
@click.option("-n", "count", type=click.IntRange(min=0), metavar="NUMBER", default=3, help="Documents each way.")
@WORKSPACE
@PLUGINS
@AS_JSON
def compare(
    *, names: Sequence[str], to: Path | None, count: int, workspace: Path, plugin: Sequence[Path], as_json: bool
) -> VerbAnswer:
    """Hold mixtures against the first: gains with intervals, what they are made of, which documents changed most.

    Answers from stored scores: nothing is trained or judged, no look is taken, and nothing can be promoted by it.
    """
    from pipeline.core.errors import RecipeError
    from pipeline.queries.proxies.compare import compare as ask
    from pipeline.queries.proxies.compare import data_of
    from pipeline.store.workspace import Workspace

    if to is not None and (to.suffix != ".html" or to.is_dir()):
        raise RecipeError(f"--to {to}: must name a file that ends in .html; an earlier page there is replaced.")
    load_plugins(plugin)
    found = ask(Workspace(workspace), names, per_side=count)
    data, text = data_of(found), compared_text(found)
    if to is not None:
        from pipeline.report.compared import write_compared

        write_compared(found, path=to)
        data, text = data | {"page": str(to)}, f"{text}\npage: {to}"
    return VerbAnswer(data, text)


def compared_text(found: SideBySide) -> str:
    """Return gains, what mixtures are made of, the documents that changed most, and how far all that goes."""
    parts = [_head(found), _gains(found), _made(found), *(_documents(found, other) for other in found.others)]
    return "\n\n".join(part for part in [*parts, _notes(found)] if part)


def _head(found: SideBySide) -> str:
    names = ", ".join(other.name for other in found.others)
    return (
        f"{names} beside {found.first}: proxies of {found.tier}, {found.tokens_per_proxy:,} tokens each, learning rate "
        f"x{found.learning_rate:g}, on {found.num_documents:,} held-out documents.\n"
        f"Gain: how many bits per byte less than {found.first}; more is better."
    )


def _gains(found: SideBySide) -> str:
    from pipeline.commands.texts import table

    many = len(found.others) > 1
    rows = [
        [*([other.name] if many else ()), *_row(gain), len(other.seeds)]
        for other in found.others
        for gain in other.gains
    ]
    head = ["held-out set", found.first, "other" if many else found.others[0].name, "gain", "interval", "", "pairs"]
    return table(rows, head=["mixture", *head] if many else head)


def _row(gain: Gain) -> list[object]:
    from pipeline.experiment.findings.side_by_side import says

    low, high = f"{gain.low:+.4f}", f"{gain.high:+.4f}"
    return [
        gain.domain,
        f"{gain.baseline:.4f}",
        f"{gain.candidate:.4f}",
        f"{gain.gain:+.4f}",
        f"{low} to {high}",
        says(gain),
    ]


def _made(found: SideBySide) -> str:
    """Return shares by dataset, in percent of a mixture's tokens, and how they differ from the first's."""
    from pipeline.commands.texts import table
    from pipeline.experiment.findings.side_by_side import shares_by_dataset

    first, *others = found.made
    rows: list[list[object]] = []
    for dataset, (mine, *theirs) in shares_by_dataset(found.made).items():
        told = [_share(share) + (f" ({100 * (share - mine):+.1f})" if share or mine else "") for share in theirs]
        rows.append([dataset, _share(mine), *told])
    rows.append(["tokens", *(f"{made.num_tokens:,}" for made in found.made)])
    if len({made.max_epochs for made in found.made}) > 1:
        rows.append(["most epochs", *(f"{made.max_epochs:g}" for made in found.made)])
    return table(rows, head=["made of", first.name, *(f"{made.name} (points more)" for made in others)])


def _share(share: float) -> str:
    return f"{100 * share:.1f} %" if share else "-"


def _documents(found: SideBySide, other: Beside) -> str:
    sets = [changed for changed in other.changed if changed.gained or changed.lost]
    head = f"Documents that {other.name} predicts better and worse than {found.first}, by bits:"
    return "\n".join([head, *(line for changed in sets for line in _ends(changed))]) if sets else ""


def _ends(changed: ChangedOn) -> list[str]:
    better = f"{changed.domain}: {changed.num_better:,} of {changed.num_documents:,} documents better"
    return [better, *(_line(document) for document in (*changed.gained, *changed.lost))]


def _line(document: Changed) -> str:
    from pipeline.core.shown import one_line

    text = one_line(document.text)
    cut = text if len(text) <= QUOTED else f"{text[: QUOTED - 3]}..."
    decimals = 0 if abs(document.saved) >= 10 else 1
    return f"  {document.saved:+,.{decimals}f} bits  {one_line(document.doc_id)}: {cut}"


def _notes(found: SideBySide) -> str:
    """Say what the numbers rest on, and what they are not."""
    notes = [f"Not compared: {'; '.join(found.not_compared)}."] if found.not_compared else []
    told: dict[str, list[str]] = {}
    for other in found.others:
        for sentence in other.notes:
            told.setdefault(sentence, []).append(other.name)
    for sentence, names in told.items():
        notes.append(sentence if len(names) == len(found.others) else f"{', '.join(names)}: {sentence}")
    return "\n".join([*notes, found.promise, *([found.unsealed] if found.unsealed else []), NO_VERDICT])
