"""The verb `doctor`: what it takes on the command line, and what it says of an experiment's proxies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.flags import AS_JSON, FILE, PLUGINS, WORKSPACE, load_plugins
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from eval.doctor.findings import Diagnosis, Finding, Level

NAMED = 4  # lanes of a finding
HEADS = {
    "fault": "Faults: what is compared is not what it seems",
    "doubt": "Doubts: look before you believe it",
    "advice": "Advice: it could be better",
}
HEALTH = {
    "void": "void: it has faults, so its verdict says nothing",
    "doubtful": "doubtful: no fault, but something to look at",
    "sound": "sound: nothing speaks against it",
}


@click.argument(
    "experiment", metavar="EXPERIMENT",
    help="A recipe's name, for the newest comparison that it built; a folder of workspace/comparison; a recipe; a "
    "mixture or a proxy.",
)  # fmt: skip
@click.option("--to", type=FILE, metavar="FILE.html", help="Write a page with plots, too.")
@WORKSPACE
@PLUGINS
@AS_JSON
def doctor(*, experiment: str, to: Path | None, workspace: Path, plugin: Sequence[Path], as_json: bool) -> VerbAnswer:
    """Examine the proxies of an experiment: losses, invariants, settings, pairs, text and time.

    Each finding has its value, limit and source, what it means and what to do. Nothing is trained, scored or stored.
    """
    from pipeline.core.errors import RecipeError
    from pipeline.queries.doctor import data_of
    from pipeline.queries.doctor import doctor as ask
    from pipeline.store.workspace import Workspace

    if to is not None and (to.suffix != ".html" or to.is_dir()):
        raise RecipeError(f"--to {to}: must name a file that ends in .html; an earlier page there is replaced.")
    load_plugins(plugin)
    found = ask(Workspace(workspace), experiment)
    data, text = data_of(found), diagnosis_text(found)
    if to is not None:
        from pipeline.report.examined import write_examined

        write_examined(found, path=to)
        data, text = data | {"page": str(to)}, f"{text}\n\npage: {to}"
    return VerbAnswer(data, text)


def diagnosis_text(found: Diagnosis) -> str:
    """Return what was found, the worst first, and what could not be looked for."""
    head = f"{found.name}: {len(found.lanes)} {'proxy is' if len(found.lanes) == 1 else 'proxies are'} examined. "
    parts = [f"{head}The experiment is {HEALTH[found.health]}."]
    for level, mine in groupby(found.findings, key=lambda one: one.level):
        parts.append(_level(level, list(mine)))
    if found.unchecked:
        reasons: dict[str, list[str]] = {}
        for one in found.unchecked:
            reasons.setdefault(one.why, []).append(one.check.id)
        lines = [f"  {', '.join(dict.fromkeys(ids))}: {why}" for why, ids in reasons.items()]
        parts.append("\n".join(["Not checked everywhere:", *lines]))
    return "\n\n".join(parts)


def _level(level: Level, findings: Sequence[Finding]) -> str:
    """Return findings of one weight; one check is explained once."""
    lines = [HEADS[level]]
    for _, same in groupby(findings, key=lambda one: one.id):
        group = list(same)
        check = group[0].check
        lines += [f"  {check.id}  {_said(one)}" for one in group]
        lines += [f"    {check.meaning}", f"    Do: {check.remedy}", f"    Limit: {check.source}."]
    return "\n".join(lines)


def _said(found: Finding) -> str:
    names = list(found.lanes)
    if not names or any(name in found.sentence for name in names):
        return found.sentence
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}: {found.sentence}"
