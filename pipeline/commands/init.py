"""The verb `init`: files that a user has -> a recipe to start from, and what was seen of the files on the way."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.commands.flags import AS_JSON, FILE
from pipeline.commands.questions import VerbAnswer


@click.argument(
    "paths", metavar="[PATHS]...", nargs=-1,
    help="Files, folders, quoted globs or URLs of one format; the current folder if left out.",
)  # fmt: skip
@click.option(
    "--to", type=FILE, metavar="RECIPE", default=Path("recipe.yaml"), help="File to write; never overwritten."
)
@click.option("--text-column", metavar="COLUMN", help="Column that holds the text, where it is not told apart.")
@click.option("--id-column", metavar="COLUMN", help="Column that names each document.")
@AS_JSON
def init(
    *, paths: Sequence[str], to: Path, text_column: str | None, id_column: str | None, as_json: bool
) -> VerbAnswer:
    """Write a recipe for your own files: format and columns told from them, thresholds held against a sample."""
    from pipeline.commands.run.display import Terminal
    from pipeline.core.process.kernel_cache import notice
    from pipeline.queries.starter.starter import start_recipe

    with Terminal(notice=notice):
        data = start_recipe(paths, to=to, text_column=text_column, id_column=id_column)
    return VerbAnswer(data, started_text(data))


def started_text(data: dict[str, Any]) -> str:
    """Return what was seen: files, columns, five documents, languages, and what the steps would drop."""
    from pipeline.commands.texts import excerpt
    from pipeline.report.draw import figures

    proposal, columns = data["proposal"], data["columns"]
    files = f"{data['files']:,} file{'' if data['files'] == 1 else 's'}"
    lines = [f"{files} of format {data['read']}, {figures.size(data['size_bytes'])}: {', '.join(data['path'][:5])}"]
    if data["left_out"]:
        lines.append(f"left out: {', '.join(data['left_out'][:5])}{' ...' if len(data['left_out']) > 5 else ''}")
    if columns is not None:
        others = ", ".join(columns["others"]) or "none"
        lines.append(f"text: {columns['text']}   id: {columns['id'] or 'file and row'}   metadata: {others}")
    lines += [f"unreadable: {problem}" for problem in data["unreadable"]]
    for document in data["documents"]:
        lines += ["", document["id"], f"    {excerpt(document['text'], 200)}"]
    shares = [f"{code} {share:.0%}" for code, share in list(proposal["languages"].items())[:6] if share >= 0.005]
    lines += ["", f"{proposal['documents']:,} documents looked at: {', '.join(shares)}"]
    lines += [f"    {share:.1%} dropped by {step}" for step, share in proposal["dropped"].items()]
    lines += [
        f"    {rule['parameter']} {rule['proposed']:g} instead of {rule['published']:g}, which drops "
        f"{rule['drops']:.0%}"
        for rule in proposal["rules"]
        if rule["proposed"] is not None
    ]
    lines.append(f"    {proposal['kept']:.0%} kept by all steps together, before near-duplicates")
    return "\n".join([*lines, f"{data['recipe']}: written; next: tamis plan {shlex.quote(data['recipe'])}"])
