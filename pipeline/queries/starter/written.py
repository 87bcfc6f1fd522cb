"""What was seen of a user's files -> a recipe as YAML, each line of it with the shares and values that speak for it."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.queries.starter.columns import Columns
from pipeline.queries.starter.found_files import FoundFiles
from pipeline.queries.starter.proposed import LEAST_DOCUMENTS, Proposal, RuleShare, unspaced
from pipeline.queries.starter.reading import SOURCE
from pipeline.recipe.python_recipe import flow_of

if TYPE_CHECKING:
    from pipeline.queries.starter.starter import Sample

WIDTH = 110
TOLD_SHARE = 0.005  # of documents: what rules drop less is not told
PLAIN = {"address": "an address", "date": "a date", "language": "a language", "text": "text", "list": "a list"}


def recipe_text(found: FoundFiles, columns: Columns | None, sample: Sample, proposal: Proposal, *, to: Path) -> str:
    """Return a recipe that reads and cleans these files, named as its file is."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", to.stem).strip("-")[:64] or "recipe"
    written = shlex.quote(str(to))
    head = (
        f"Written by `tamis init` after a look at {proposal.documents:,} documents in {sample.files:,} of "
        f"{_counted(len(found.files), 'file')}. All shares are of these documents, and "
        f"{proposal.kept:.0%} of them would stay: a place to start from. "
        f"{'They are too few to set thresholds by. ' if proposal.documents < LEAST_DOCUMENTS else ''}"
        f"Edit what does not fit; `tamis plan {written}` "
        "shows what a run would do, `tamis look clean --dropped` afterwards what it dropped."
    )
    lines = [*_comment(f"tamis run {written}", "", width=10_000), "#", *_comment(head, ""), f"name: {name}", "sources:"]
    lines += _comment(_about_source(found, columns, sample), "  ")
    lines.append(f"  {SOURCE}: {flow_of(_source(found, columns))}")
    lines += ["datasets:", "  clean:", f"    from: {SOURCE}", "    steps:"]
    indent = "      "
    lines += _comment(_about_languages(proposal), indent)
    if proposal.keep:
        lines.append(f"{indent}- {flow_of({'language': {'keep': list(proposal.keep)}})[1:-1]}")
    for step, params in proposal.steps:
        lines += _comment(_about_step(step, proposal), indent)
        for rule in proposal.rules:
            if rule.step == step and rule.proposed is not None:
                lines += _comment(_about_rule(rule), indent)
        lines.append(f"{indent}- {flow_of({step: params})[1:-1] if params else step}")
    told = f"{proposal.private:,} of {proposal.documents:,} hold e-mail addresses, numbers or keys, which it replaces"
    lines += [*_comment(told, indent), f"{indent}- pii"]
    told = f"{proposal.copies:.1%} are copies of others in the sample; among all documents it will be more"
    lines += [*_comment(told, indent), f"{indent}- exact_dedup", f"{indent}- minhash_dedup"]
    told = "what gives away an evaluation item goes as well, once its file is named here"
    lines += [*_comment(told, indent), f"{indent}# - decontaminate: {{against: [evals/questions.jsonl]}}"]
    return "\n".join(lines) + "\n"


def _source(found: FoundFiles, columns: Columns | None) -> dict[str, Any]:
    path: Any = found.patterns[0] if len(found.patterns) == 1 else list(found.patterns)
    source = {"read": found.format, "path": path}
    if columns is not None:
        source["text"] = columns.text
        source |= {} if columns.id is None else {"id": columns.id}
        if columns.long:
            source["metadata"] = [name for name in columns.others if name not in columns.long]
    return source


def _about_source(found: FoundFiles, columns: Columns | None, sample: Sample) -> str:
    told = f"{_counted(len(found.files), 'file')}, {_size(found.size_bytes)}."
    if found.left_out:
        some = ", ".join(found.left_out[:3]) + (" and others" if len(found.left_out) > 3 else "")
        told += f" Left out, as nothing reads them as {found.format}: {some}."
    if columns is not None:
        told += _about_columns(columns)
    if sample.reasons:
        why = ", ".join(f"{count:,} {reason}" for reason, count in sample.reasons.items())
        told += f" Of {sample.rows_in:,} rows, {sum(sample.reasons.values()):,} are no documents ({why})."
    return told + "".join(f" {problem}" for problem in sample.unreadable[:2])


def _about_columns(columns: Columns) -> str:
    others = [
        f"{name} ({PLAIN[kind]})" if kind in PLAIN else name
        for name, kind in columns.others.items()
        if name not in columns.long
    ]
    told = f" Metadata: {', '.join(others[:12])}{' and others' if len(others) > 12 else ''}." if others else ""
    told += f" Not kept, as they are long: {', '.join(columns.long)}." if columns.long else ""
    rivals = [one for one in columns.candidates if one.name != columns.text and one.mean_characters >= 100]
    if rivals:
        told += f" Other columns with text: {', '.join(one.name for one in rivals[:3])}."
    return told if columns.id is not None else told + " No column names each document: ids are file and row."


def _about_languages(proposal: Proposal) -> str:
    shares = [f"{code} {share:.1%}" for code, share in proposal.languages.items() if share >= TOLD_SHARE][:6]
    told = f"languages seen: {', '.join(shares)}; drops {proposal.other_languages:.1%}"
    if not proposal.keep:
        return "no language was told apart, so none is asked for"
    if set(proposal.keep) != {"en"}:
        told += (
            ". Not all English: min_stop_words of gopher_quality counts English words and is 0 below, and c4_quality "
            "knows notices and policies in English alone"
        )
    if unspaced(proposal.keep):
        told += (
            ". Without spaces between words, gopher_repetition and gopher_quality count characters as words: look "
            "hard at their thresholds, which are those of this sample where the published ones dropped much"
        )
    return told


def _about_step(step: str, proposal: Proposal) -> str:
    mine = [rule for rule in proposal.rules if rule.step == step and rule.then_drops >= TOLD_SHARE]
    told = ", ".join(f"{rule.rule} {rule.then_drops:.1%}" for rule in sorted(mine, key=lambda rule: -rule.then_drops))
    return f"drops {proposal.dropped[step]:.1%}" + (f": {told}" if told else "")


def _about_rule(rule: RuleShare) -> str:
    return (
        f"{rule.parameter}: published {rule.published:g}, which drops {rule.drops:.1%}; {rule.proposed:g} drops "
        f"{rule.then_drops:.1%}"
    )


def _comment(text: str, indent: str, *, width: int = WIDTH) -> list[str]:
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return [f"{indent}# {line}" for line in textwrap.wrap(clean, width - len(indent), break_long_words=False)]


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:,.1f} kB"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
