"""The verb `gc`: shows what a workspace could do without, and removes just what was shown."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.flags import AS_JSON, WORKSPACE
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from pipeline.store.garbage import Garbage


@click.option("--delete", metavar="CODE", help="Remove the list that was shown with this code.")
@click.option(
    "--keep-runs", type=click.IntRange(min=1), metavar="NUMBER",
    help="Of each recipe, count what its newest runs made, so many of them; all, if left out. Evidence stays.",
)  # fmt: skip
@click.option("--everything", is_flag=True, help="Also what an unfinished run would go on with, and prepared lists.")
@click.option(
    "--accept-loss", is_flag=True,
    help="In a store: let answers be bought again that a dead machine may have bought.",
)  # fmt: skip
@WORKSPACE
@AS_JSON
def gc(
    *, delete: str | None, keep_runs: int | None, everything: bool, accept_loss: bool, workspace: Path, as_json: bool
) -> VerbAnswer:
    """List what nothing refers to, with sizes and a code; `--delete CODE` removes that list, if it is still the same.

    Referred to is what a promoted version, a run, a record or the card of something referred to names.
    """
    from pipeline.store.garbage import code_of, find_garbage, refuse_other, remove
    from pipeline.store.remote.cached import held_lease
    from pipeline.store.workspace import Workspace

    place = Workspace(workspace)
    with place.locked():
        lease = held_lease(place.root)
        if accept_loss and lease is not None:
            lease.forgive()
        ledger = "" if lease is None else lease.terms.ledger
        found = find_garbage(place, keep_runs=keep_runs, everything=everything, ledger=ledger)
        if delete is not None:
            refuse_other(found, delete)
            remove(place, found)
    data: dict[str, Any] = {
        "code": code_of(found),
        "deleted": delete is not None,
        "size_bytes": sum(one.size_bytes for one in found),
        "garbage": [asdict(one) for one in found],
    }
    return VerbAnswer(data, _text(found, data))


def _text(found: list[Garbage], data: dict[str, Any]) -> str:
    from pipeline.report.draw import figures
    from pipeline.report.draw.figures import size

    if not found:
        return "Nothing to remove: something refers to everything that is there."
    lines = [f"{size(one.size_bytes):>9}  {one.what} {one.name}: {one.why}" for one in found]
    told = f"{figures.counted(len(found), 'thing')}, {size(data['size_bytes'])}"
    end = f"Removed {told}." if data["deleted"] else f"{told}. To remove them: tamis gc --delete {data['code']}"
    return "\n".join([*lines, end])
