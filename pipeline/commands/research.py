"""The verb `research`: a night of cards, or the page that tells what came of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.flags import load_plugins, parse_memory, running
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from pipeline.engine.executors import Local
    from pipeline.research.fold import Standing


@click.option(
    "--max-usd",
    type=click.FloatRange(min=0),
    default=None,
    help="Most dollars for proposers in all nights together; lowers research.budget.usd.",
)
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=8.0, help="Hours of this night.")
@running
def research(
    *, recipe: Path, hours: float, max_usd: float | None, workspace: Path, workers: int, device: str, memory: str,
    track: Sequence[str], plugin: Sequence[Path], as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Search for a better mixture by cards that proxies try, and claim at most one; goes on where it was stopped."""
    from pipeline.commands.display import Terminal
    from pipeline.commands.run_recipe import promote_recipe, run_recipe
    from pipeline.core.errors import RecipeError
    from pipeline.core.process.kernel_cache import notice
    from pipeline.engine.executors import Local
    from pipeline.recipe.load import load_recipe
    from pipeline.research.advisers import advisers_of
    from pipeline.research.bench import Bench
    from pipeline.research.clock import Clock
    from pipeline.research.ledger import Ledger
    from pipeline.research.lock import one_night
    from pipeline.research.night import Night
    from pipeline.research.search import Search
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    whole, place = load_recipe(recipe), Workspace(workspace)
    if whole.research is None:
        raise RecipeError(f"{recipe}: has no `research:`, so there is nothing to search. Add one, or use `tamis run`.")
    folder, size = place.root / "research" / whole.name, parse_memory(memory)
    with Terminal(notice=notice) as progress, one_night(folder), closing(Local(workers=workers)) as executor:

        @cache
        def opened() -> Local:
            return executor

        def judge(claim: Mapping[str, Any]) -> Mapping[str, Any]:
            outcome = run_recipe(
                claim, workspace=place, workers=workers, progress=progress, device=device, memory_bytes=size
            )
            return {"outcome": outcome.verdict, "sentence": outcome.sentence, "report": outcome.report}

        def promoter(claim: Mapping[str, Any]) -> Mapping[str, Any]:
            done = promote_recipe(claim, workspace=place, override=None)
            return {"name": done.version.name, "version": done.version.version}

        bench = Bench(whole, place, opened, progress, workers=workers, device=device, memory_bytes=size)
        search = Search(whole, bench, Ledger(folder), progress)
        advisers = advisers_of(search, ledger=place.ledger, max_usd=max_usd)
        finished = Night(search, Clock.of(folder), judge, hours, advisers, promoter).go_on()
    data = told_of(search.standing, finished=finished)
    return VerbAnswer(data, json.dumps(data, indent=1))


def told_of(standing: Standing, *, finished: bool) -> dict[str, Any]:
    """Return how a search stands as plain data."""
    return {
        "finished": finished,
        "experiments": standing.tried,
        "usd": standing.usd,
        "cards": len(standing.cards),
        "claim": standing.claim,
        "verdict": standing.verdict,
        "attribution": standing.attribution,
        "waiting": [card.id for card in standing.waiting],
    }
