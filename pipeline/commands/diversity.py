"""The verb `diversity`: what it takes on the command line, and what it found, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.commands import completion
from pipeline.commands.flags import AS_JSON, WORKSPACE
from pipeline.commands.questions import VerbAnswer

MOST_LEFT = 3  # numbers out of their band, told of each group
REACHES = "Reaches: how far a number lies from real text; 1 is the end of the band, and beyond it the number is OUT."


@click.argument(
    "dataset",
    metavar="DATASET",
    help="A dataset's name, as in the recipe, or a folder of one.",
    shell_complete=completion.datasets,
)
@click.option(
    "--against", metavar="OTHER",
    help="A dataset of real text of the same kind, or `previous`; without it, half of its own documents.",
)  # fmt: skip
@click.option(
    "--by", metavar="KEY", multiple=True,
    help="Tell groups apart: source, origin, model, step, prompt, or a key of the metadata such as family or style; "
    "repeatable.",
)  # fmt: skip
@click.option("--sample", type=click.IntRange(min=1), metavar="NUMBER", default=20_000,
              help="Most documents to read, of each.")  # fmt: skip
@click.option("--words", type=click.IntRange(min=10, max=10_000), metavar="NUMBER",
              help="Cut every document after so many words; else after what three quarters have.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), metavar="NUMBER", default=0, help="Of the sample and the halves.")
@WORKSPACE
@AS_JSON
def diversity(
    *, dataset: str, against: str | None, by: Sequence[str], sample: int, words: int | None, seed: int, workspace: Path,
    as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Tell how diverse a dataset is, in groups, beside a band of real text: repetition, templates, tails, topics, loss.

    Every number is taken of windows of equally many documents and words, and held against windows of the other
    dataset. A group out of its band again and again weighs less, then nothing: what a governor does while texts are
    made. Reads a blind sample of open documents; nothing is changed.
    """
    from pipeline.queries.diversity import diversity as ask
    from pipeline.store.workspace import Workspace

    found = ask(Workspace(workspace), dataset, against=against, by=by, count=sample, words=words, seed=seed)
    return VerbAnswer(found, diversity_text(found))


def diversity_text(found: Mapping[str, Any]) -> str:
    """Return the numbers of all documents beside their bands, then every group with what left its band."""
    parts = [
        _head(found),
        _numbers(found),
        REACHES,
        *(_groups(found, axis) for axis in found["groups"] if axis != "all"),
    ]
    if found["stop"]:
        parts.append(f"Making more would have ended: {found['stop']}.")
    return "\n\n".join([*parts, *found["notes"]])


def _head(found: Mapping[str, Any]) -> str:
    band = f"{found['real_documents']:,} of its other documents" if found["against"] is None else found["against"]
    size, everything = found["window"], found["groups"]["all"]["all"]
    return (
        f"{found['folder']}: {found['read']:,} of {found['documents']:,} documents, cut after {found['most_words']} "
        f"words; {everything['windows']:,} windows of {size['documents']} documents and {size['words']:,} words. "
        f"The band is where windows of {band} lie."
    )


def _numbers(found: Mapping[str, Any]) -> str:
    from pipeline.commands.texts import table

    all_ = found["groups"]["all"]["all"]
    rows = [
        (name, number["title"], _band(number), _value(all_["mean"][name]),
         _reaches(all_["stray"][name]))
        for name, number in found["numbers"].items()
    ]  # fmt: skip
    return table(rows, head=["number", "what it is", "band", "found", "reaches"])


def _groups(found: Mapping[str, Any], axis: str) -> str:
    from pipeline.commands.texts import table

    groups: Mapping[str, Any] = found["groups"][axis]
    measured = [name for name in groups if groups[name]["windows"]]
    order = sorted(measured, key=lambda name: (groups[name]["weight"], -groups[name]["rows"], name))
    rows = [
        (name, groups[name]["rows"], groups[name]["windows"], groups[name]["weight"], _share(groups[name]),
         _left(groups[name]))
        for name in order
    ]  # fmt: skip
    head = [axis, "documents", "windows", "weight", "new at its end", "out of its band, in reaches"]
    few = _too_few(found, axis, len(groups) - len(measured))
    return "\n".join([*([table(rows, head=head)] if rows else []), *([few] if few else [])])


def _too_few(found: Mapping[str, Any], axis: str, few: int) -> str:
    """Say of how many groups no window could be filled, and what one takes."""
    size = found["window"]
    needed = f"{size['documents']} documents with {size['words']:,} words are needed"
    return (
        f"{few:,} of {len(found['groups'][axis]):,} by {axis}: too few documents for a window; {needed}." if few else ""
    )


def _left(group: Mapping[str, Any]) -> str:
    out = sorted(((stray, name) for name, stray in group["stray"].items() if stray > 1), reverse=True)
    more = f" and {len(out) - MOST_LEFT} more" if len(out) > MOST_LEFT else ""
    return ", ".join(f"{name} {stray:.1f}" for stray, name in out[:MOST_LEFT]) + more or "nothing"


def _share(group: Mapping[str, Any]) -> str:
    return f"{100 * group['novel']:.0f} %"


def _reaches(stray: float) -> str:
    return f"{stray:.1f} OUT" if stray > 1 else f"{stray:.1f}"


def _band(number: Mapping[str, Any]) -> str:
    if number["bad"] == "both":
        return f"{_value(number['low'])} to {_value(number['high'])}"
    low = number["bad"] == "low"
    return f"at least {_value(max(number['low'], 0.0))}" if low else f"at most {_value(number['high'])}"


def _value(value: float) -> str:
    return f"{value:.3g}"
