"""The verbs `approve` and `reject`: a person's word on a card that waits, given at a terminal."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.flags import AS_JSON, WORKSPACE
from pipeline.commands.questions import VerbAnswer
from pipeline.core.errors import RecipeError, listed_names

if TYPE_CHECKING:
    from pipeline.research.people.approvals import How, Waiting

CARD = click.argument("card", metavar="CARD", help="Id of a card that waits, its first characters, or `head`.")
SEARCH = click.option(
    "--search", metavar="NAME", help="Name of the search's recipe, where the workspace holds several."
)


@CARD
@click.option(
    "--yes-i-am-a-person", "typed", metavar="HASH",
    help="First 8 characters of the plan's hash, where there is no terminal to type them at.",
)  # fmt: skip
@SEARCH
@WORKSPACE
@AS_JSON
def approve(*, card: str, typed: str | None, search: str | None, workspace: Path, as_json: bool) -> VerbAnswer:
    """Say yes to what waits for a person; counts for the plan that is shown and for no other."""
    from pipeline.core.shown import shown
    from pipeline.research.people.approvals import LEAST, say

    folder, asked = _asked(card, search=search, workspace=workspace)
    how: How = "flag"
    if typed is None:
        if not sys.stdin.isatty():
            raise RecipeError(
                f"{asked.id}: nobody is at a terminal to type the hash of its plan, {asked.plan[:LEAST]}. A person "
                f"gives it by --yes-i-am-a-person {asked.plan[:LEAST]}. Nothing was approved."
            )
        click.echo(shown("\n".join([*asked.lines, f"plan {asked.plan}"])), err=True)
        typed, how = click.prompt(f"Type {asked.plan[:LEAST]} to approve it", default="", err=True), "terminal"
    word = say(folder, asked, "approved", why="", how=how, typed=typed.strip())
    return VerbAnswer(asdict(word), f"{asked.id} is approved, for plan {asked.plan[:LEAST]} and no other.")


@CARD
@click.option("--why", required=True, metavar="REASON", help="What proposers are told.")
@SEARCH
@WORKSPACE
@AS_JSON
def reject(*, card: str, why: str, search: str | None, workspace: Path, as_json: bool) -> VerbAnswer:
    """Say no to what waits for a person; the reason is kept and shown to proposers."""
    from pipeline.research.people.approvals import say

    folder, asked = _asked(card, search=search, workspace=workspace)
    how: How = "terminal" if sys.stdin.isatty() else "flag"
    word = say(folder, asked, "rejected", why=why, how=how)
    return VerbAnswer(asdict(word), f"{asked.id} is rejected: {word.why}")


def _asked(card: str, *, search: str | None, workspace: Path) -> tuple[Path, Waiting]:
    """Return the search and what is meant in it."""
    from pipeline.research.people.approvals import asked_about, waiting_in
    from pipeline.research.record.fold import folded
    from pipeline.research.record.ledger import FILE, Ledger

    folders = {path.parent.name: path.parent for path in sorted((workspace / "research").glob(f"*/{FILE}"))}
    if search is not None:
        folders = {name: folder for name, folder in folders.items() if name == search}
    if len(folders) != 1:
        found = f"holds the searches {listed_names(list(folders))}" if folders else "holds no such search"
        raise RecipeError(f"{workspace}: {found}. Name one with --search, or another --workspace.")
    (folder,) = folders.values()
    return folder, asked_about(waiting_in(folded(Ledger(folder))), card)
