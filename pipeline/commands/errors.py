"""The verb `errors`: what it takes on the command line, and what the worst documents have in common, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.flags import AS_JSON, FILE, PLUGINS, WORKSPACE, load_plugins
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from eval.claims.record import Claim, Effect, Round, Which
    from pipeline.queries.errors.settings import By

MOST_SLICES = 8  # told in words; the page and --json have all
WHICH = {
    "lost": "that {other} predicts worse than {first}",
    "gained": "that {other} predicts better than {first}",
    "hard": "that {other} predicts worst",
}


@click.argument(
    "experiment", metavar="EXPERIMENT...", nargs=-1, required=True,
    help="A recipe, for the baseline and the candidate of its gate, or two mixtures by the names that `compare` takes.",
)  # fmt: skip
@click.option(
    "--which", type=click.Choice(["lost", "gained", "hard"]), default="lost",
    help="Documents that the second mixture made worse or better, or that it predicts worst.",
)  # fmt: skip
@click.option(
    "--on", metavar="DATASET", multiple=True,
    help="Documents of a dataset, such as one to train on, scored anew; else the held-out sets; repeatable.",
)  # fmt: skip
@click.option(
    "--by", type=click.Choice(["auto", "claude", "words"]), default="auto",
    help="Who states claims; auto is Claude where there is a key, else contrasts of words.",
)  # fmt: skip
@click.option("-n", "documents", type=click.IntRange(min=40), metavar="NUMBER", default=400,
              help="Most pairs of documents to test claims on.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), metavar="NUMBER", default=0, help="Of another round.")
@click.option("--max-usd", type=click.FloatRange(min=0), metavar="USD", default=2.0, help="Cap, over all runs.")
@click.option("--batches", is_flag=True, help="Ask Claude by Message Batches: half the price, answers within a day.")
@click.option("--no-wait", is_flag=True, help="Send batches and end; the same command collects later.")
@click.option("--to", type=FILE, metavar="FILE.html", help="Write a page with plots and quotes, too.")
@WORKSPACE
@PLUGINS
@AS_JSON
def errors(
    *, experiment: Sequence[str], which: Which, on: Sequence[str], by: By, documents: int, seed: int, max_usd: float,
    batches: bool, no_wait: bool, to: Path | None, workspace: Path, plugin: Sequence[Path], as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Tell what the worst documents of an experiment have in common: claims that were tested on others, with quotes.

    Reads stored scores, trains nothing. The same question is answered from what was stored, and asks nobody again.
    """
    from pipeline.commands.run.display import Terminal
    from pipeline.core.errors import PendingError, RecipeError
    from pipeline.core.process.start import cores
    from pipeline.queries.errors.rounds import run_round, stored_round
    from pipeline.queries.errors.settings import Settings
    from pipeline.research.page.tried import tried_in
    from pipeline.store.workspace import Workspace

    if to is not None and (to.suffix != ".html" or to.is_dir()):
        raise RecipeError(f"--to {to}: must name a file that ends in .html; an earlier page there is replaced.")
    load_plugins(plugin)
    place = Workspace(workspace)
    with Terminal() as progress:
        settings = Settings(
            which=which, on=tuple(on), by=by, documents=documents, seed=seed, max_usd=max_usd, threads=cores(),
            say=progress.say, batches=batches, wait=not no_wait,
        )  # fmt: skip
        found = stored_round(place, experiment, settings)
        if found is None:
            try:
                with place.locked():
                    found = run_round(place, experiment, settings)
            except PendingError as pending:  # what was sent is collected by the same command
                return VerbAnswer({"pending": str(pending)}, str(pending))
    tried = tried_in(place)
    data, text = data_of(found, tried=tried), errors_text(found, tried=tried)
    if to is not None:
        from pipeline.report.errors import write_errors

        write_errors(found, path=to)
        data, text = data | {"page": str(to)}, f"{text}\npage: {to}"
    return VerbAnswer(data, text)


def data_of(found: Round, *, tried: Mapping[str, str]) -> dict[str, Any]:
    """Return a round as plain data; `tried` says what searches that acted on claims found."""
    ids = [claim.id for claim in found.findings]
    return asdict(found) | {"findings": ids, "tried": {claim: tried[claim] for claim in ids if claim in tried}}


def errors_text(found: Round, *, tried: Mapping[str, str] | None = None) -> str:
    """Return findings, slices, what did not hold, and what all that rests on."""
    parts = [_head(found), _findings(found, tried or {}), _slices(found), _others(found), _basis(found)]
    return "\n\n".join(part for part in parts if part)


def _head(found: Round) -> str:
    told = WHICH[found.which].format(first=found.first, other=found.other)
    return (
        f"Documents {told}, of {found.documents:,} in {found.groups:,} groups ({', '.join(found.on)}); claims are "
        f"tested on {found.pairs['verify']:,} of the worst, each beside one like it in set and length."
    )


def _findings(found: Round, tried: Mapping[str, str]) -> str:
    if found.void:
        return f"Nothing of this round counts: {found.void}."
    if not found.findings:
        least = f"; so many pairs show what {100 * found.detectable:.0f} % have beside 10 %" if found.detectable else ""
        return f"No claim passed its test{least}."
    many = len(found.findings)
    lines = [f"{many} finding{'s' if many > 1 else ''}, each an association and not yet a cause:"]
    for claim in sorted(found.findings, key=lambda each: each.adjusted or 0):
        lines += _finding(found, claim)
        if claim.id in tried:
            lines.append(f"    acted on: {tried[claim.id]}")
    return "\n".join(lines)


def _finding(found: Round, claim: Claim) -> list[str]:
    from pipeline.core.shown import one_line

    assert claim.effect is not None and claim.adjusted is not None
    lines = [
        f"  {claim.id}  {one_line(claim.question)}",
        f"    {_effect(claim.effect)}, p {_p(claim.adjusted)}{_corrected(found, claim)}",
    ]
    if claim.measured is None:
        lines[-1] += "; measured where it was tested, so rather too large"
    lines += [f'    "{one_line(quote.text)}" ({one_line(quote.doc_id)})' for quote in claim.quotes]
    if claim.edit:
        edit = claim.edit
        lines.append(one_line(f"    would justify: {edit.get('op')} {edit.get('target')} {edit.get('value')}"))
    return lines


def _corrected(found: Round, claim: Claim) -> str:
    """Say what a judge who errs would have to be corrected to."""
    from eval.claims.known_answers import Accuracy

    if found.judging is None or claim.effect is None:
        return ""
    accuracy = Accuracy(found.judging.sensitivity, found.judging.specificity)
    difference = accuracy.corrected(claim.effect.difference)
    return "" if difference is None or accuracy.seeing == 1 else f"; {100 * difference:+.0f} points if no answer erred"


def _effect(effect: Effect) -> str:
    low, high = 100 * effect.low, 100 * effect.high
    return (
        f"yes of {100 * effect.worst:.0f} % of the worst and {100 * effect.neutral:.0f} % of the others "
        f"({low:+.0f} to {high:+.0f} points)"
    )


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _slices(found: Round) -> str:
    from pipeline.commands.texts import table

    settled = [each for each in found.slices if each.settled]
    if not settled:
        return f"None of {len(found.slices)} slices differs from the other documents beyond chance."
    rows = [
        [each.name, f"{each.documents:,}", f"{each.effect:+.4f}", f"{each.low:+.4f} to {each.high:+.4f}"]
        for each in settled[:MOST_SLICES]
    ]
    more = f" ({len(settled)} of {len(found.slices)} settled)" if len(settled) > MOST_SLICES else ""
    head = f"Slices beside all other documents, bits per byte, all {len(found.slices)} intervals at once{more}:"
    return f"{head}\n{table(rows, head=['slice', 'documents', 'effect', 'interval'])}"


def _others(found: Round) -> str:
    from pipeline.core.shown import one_line

    lines = []
    for claim in found.claims:
        if claim.status == "void":
            lines.append(f"  void: {one_line(claim.question)}  ({one_line(claim.why)})")
        elif claim.status == "not verified" or found.void:
            effect, adjusted = claim.tested, claim.adjusted
            told = "not tested" if effect is None or adjusted is None else f"{_effect(effect)}, p {_p(adjusted)}"
            lines.append(f"  {one_line(claim.question)}  ({told})")
    return "\n".join(["Claims that count for nothing:", *lines]) if lines else ""


def _basis(found: Round) -> str:
    """Say what the answers rest on, and what they cost."""
    from pipeline.core.claude.prices import dollars

    lines = [f"Claims by {found.proposer}, {len(found.claims)} in all."] if found.claims else []
    judging = found.judging
    if judging is not None:
        passed = sum(result.passed == result.must_pass for result in found.controls)
        known = f"{passed} of {len(found.controls)} questions with a known outcome came out so"
        lines.append(
            f"Answers by {judging.judge}: {known}; it sees {100 * judging.sensitivity:.0f} % of what is there and "
            f"denies {100 * judging.specificity:.0f} % of what is not."
        )
        if judging.agreement is not None:
            lines.append(f"Two readings of {judging.reread} documents agree in {100 * judging.agreement:.1f} %.")
        if judging.unanswered:
            missing = "; ".join(f"{place} {count}" for place, count in judging.unanswered.items())
            lines.append(f"Not answered: {missing}.")
    if found.held > 1:
        lines.append(f"Round {found.number} of {found.held} of this pair; p values hold for all claims of all of them.")
    lines += found.notes
    if found.cost_usd:
        lines.append(f"Cost: {dollars(found.cost_usd)}, in all runs of this round together.")
    return "\n".join(lines)
