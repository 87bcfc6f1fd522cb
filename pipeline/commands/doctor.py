"""The verb `doctor`: what it takes on the command line, and what it says of an experiment's proxies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.flags import AS_JSON, FILE, PLUGINS, WORKSPACE_AS_GIVEN, load_plugins, workspace_of
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from eval.doctor.findings import Diagnosis, Finding, Level
    from pipeline.queries.proxies.causes import Ranking

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
    "experiment", metavar="EXPERIMENT", required=False,
    help="A recipe's name, for the newest comparison that it built; a folder of workspace/comparison; a recipe; a "
    "mixture or a proxy.",
)  # fmt: skip
@click.option("--to", type=FILE, metavar="FILE.html", help="Write a page with plots, too.")
@click.option("--rank", is_flag=True, help="Let Claude rank what may be behind the findings; it adds none.")
@click.option("--max-usd", type=click.FloatRange(min=0), metavar="USD", default=0.5, help="Cap of --rank.")
@click.option("--machine", is_flag=True, help="Examine this machine and the workspace instead; ends with 1 on a fault.")
@WORKSPACE_AS_GIVEN
@PLUGINS
@AS_JSON
def doctor(
    *, experiment: str | None, to: Path | None, rank: bool, max_usd: float, machine: bool, workspace: str,
    plugin: Sequence[Path], as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Examine the proxies of an experiment: losses, invariants, settings, pairs, text and time. Or this machine.

    Each finding has its value, limit and source, what it means and what to do. Nothing is trained, scored or stored.
    """
    from pipeline.core.errors import RecipeError
    from pipeline.queries.proxies.doctor import data_of
    from pipeline.queries.proxies.doctor import doctor as ask
    from pipeline.store.workspace import Workspace

    if machine:
        if experiment is not None or to is not None or rank:
            raise RecipeError("--machine: examines the machine alone. Leave out EXPERIMENT, --to and --rank.")
        return _of_machine(workspace)
    if experiment is None:
        raise RecipeError("doctor: needs an EXPERIMENT to examine, or --machine for this machine.")
    if to is not None and (to.suffix != ".html" or to.is_dir()):
        raise RecipeError(f"--to {to}: must name a file that ends in .html; an earlier page there is replaced.")
    load_plugins(plugin)
    place = Workspace(workspace_of(workspace))
    found = ask(place, experiment)
    data, text = data_of(found), diagnosis_text(found)
    if rank:
        from pipeline.queries.proxies.causes import rank_causes

        ranking = rank_causes(found, place, max_usd=max_usd)
        data, text = data | {"causes": asdict(ranking)}, f"{text}\n\n{causes_text(ranking)}"
    if to is not None:
        from pipeline.report.examined import write_examined

        write_examined(found, path=to)
        data, text = data | {"page": str(to)}, f"{text}\n\npage: {to}"
    return VerbAnswer(data, text)


def _of_machine(workspace: str) -> VerbAnswer:
    """Return what a run would find on this machine; 1 where something must be mended first."""
    from pipeline.queries.machine.examine import examine_machine

    found = examine_machine(workspace)
    counts = {level: sum(one.level == level for one in found) for level in ("ok", "warn", "fail")}
    width = max(len(one.check) for one in found)
    lines = []
    for one in found:
        lines.append(f"{one.level:4}  {one.check:{width}}  {one.found}")
        lines += [f"      {'':{width}}  Do: {one.way_out}"] if one.way_out else []
    lines.append(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} to mend first.")
    data = {"findings": [asdict(one) for one in found], **counts}
    return VerbAnswer(data, "\n".join(lines), exit_code=1 if counts["fail"] else 0)


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


def causes_text(ranking: Ranking) -> str:
    """Return what may be behind the findings, the likeliest first, or why nothing is said of it."""
    from pipeline.core.claude.prices import dollars

    if ranking.why_none:
        return f"Causes are not ranked: {ranking.why_none.rstrip('.')}."
    lines = [f"Causes as {ranking.by} ranks them, of a fixed list; opinions, and no findings:"]
    for place, cause in enumerate(ranking.causes, start=1):
        lines += [f"  {place}. {cause.meaning} ({', '.join(cause.explains)})", f"     {cause.why}"]
    return "\n".join([*lines, f"Cost: {dollars(ranking.cost_usd)}, once for these findings."])


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
