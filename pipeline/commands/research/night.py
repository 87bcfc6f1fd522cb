"""The verbs `research` and `cards`: a night of cards, the page that tells what came of them, and any of them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.flags import AS_JSON, PLUGINS, RECIPE, WORKSPACE, load_plugins, parse_memory, running
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from pipeline.engine.executors import Local
    from pipeline.recipe.spec import Recipe
    from pipeline.store.workspace import Workspace

STATUSES = ("done", "failed", "refused", "rejected", "waiting", "open")


@click.option("--digest", is_flag=True, help="Try nothing: write the page of what was tried, and tell it in short.")
@click.option(
    "--max-usd",
    type=click.FloatRange(min=0),
    default=None,
    help="Most dollars of all nights together, proposers, cards and claim; lowers research.budget.usd.",
)
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=8.0, help="Hours of this night.")
@running
def research(
    *, recipe: Path, digest: bool, hours: float, max_usd: float | None, workspace: Path, workers: int, device: str,
    memory: str, track: Sequence[str], plugin: Sequence[Path], as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """Search for a better mixture by cards that proxies try, and claim at most one; goes on where it was stopped."""
    from pipeline.recipe.load import load_recipe
    from pipeline.research.search.reading import folder_of
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    whole, place = load_recipe(recipe), Workspace(workspace)
    folder_of(whole, place)  # first of all that it asks for a search
    if not digest:
        _night(whole, place, hours=hours, max_usd=max_usd, workers=workers, device=device, memory=memory)
    return _told(whole, place)


def _night(
    whole: Recipe, place: Workspace, *, hours: float, max_usd: float | None, workers: int, device: str, memory: str
) -> None:
    from pipeline.commands.run.display import Terminal
    from pipeline.commands.run.run_recipe import certificate_of, promote_recipe, run_recipe
    from pipeline.core.process.kernel_cache import notice
    from pipeline.engine.executors import Local
    from pipeline.plan.make import make_plan
    from pipeline.recipe.load import load_recipe
    from pipeline.research.night.claiming import why_unjudged
    from pipeline.research.night.night import Night
    from pipeline.research.proposers.advisers import advisers_of
    from pipeline.research.proposers.said import for_advisers
    from pipeline.research.record.clock import Clock
    from pipeline.research.record.ledger import Ledger
    from pipeline.research.record.lock import one_night
    from pipeline.research.search.bench import Bench
    from pipeline.research.search.reading import folder_of
    from pipeline.research.search.search import Search

    folder, size = folder_of(whole, place), parse_memory(memory)
    with Terminal(notice=notice) as progress, one_night(folder), closing(Local(workers=workers)) as executor:

        @cache
        def opened() -> Local:
            return executor

        def judge(claim: Mapping[str, Any]) -> Mapping[str, Any]:
            outcome = run_recipe(
                claim, workspace=place, workers=workers, progress=progress, device=device, memory_bytes=size
            )
            told = {"outcome": outcome.verdict, "sentence": outcome.sentence, "report": outcome.report}
            return told | _numbers(certificate_of(make_plan(load_recipe(claim), place)))

        def promoter(claim: Mapping[str, Any]) -> Mapping[str, Any]:
            done = promote_recipe(claim, workspace=place, override=None)
            return {"name": done.version.name, "version": done.version.version}

        if warning := why_unjudged(whole):
            progress.say(warning)
        bench = Bench(whole, place, opened, progress, workers=workers, device=device, memory_bytes=size)
        search = Search(whole, bench, Ledger(folder), progress, max_usd, findings=for_advisers(whole, place))
        advisers = advisers_of(search, ledger=place.ledger)
        Night(search, Clock.of(folder), judge, hours, advisers, promoter).go_on()


def _numbers(certificate: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the numbers of a claim's verdict that the ledger keeps: interval, odds, looks, guards."""
    if certificate is None:
        return {}
    verdict = certificate["verdict"]
    kept = ("gain", "low", "high", "odds", "odds_needed", "next_step")
    guards = [
        {key: guard[key] for key in ("domain", "gain", "low", "status", "max_loss")} for guard in verdict["guards"]
    ]
    return {key: verdict[key] for key in kept} | {
        "confidence": certificate["rule"]["confidence"], "look": verdict["looks"]["number"], "guards": guards,
        "certificate": certificate["certificate_id"],
    }  # fmt: skip


def _told(whole: Recipe, place: Workspace) -> VerbAnswer:
    """Write the page, and tell in short what is on it."""
    from pipeline.commands.research.research_texts import digest_text
    from pipeline.report.research.page import write_research
    from pipeline.research.page.digest import digest_of
    from pipeline.research.page.tried import tried_in
    from pipeline.research.proposers.said import for_page

    told = digest_of(whole, place, findings=for_page(whole, place, tried=tried_in(place)))
    path = place.report(f"{whole.name}-research")
    write_research(told, path=path)
    return VerbAnswer(asdict(told) | {"page": str(path)}, f"{digest_text(told)}\n\npage   {path}")


@RECIPE
@click.argument("card", metavar="[CARD]", required=False, help="A card's id, or its first characters.")
@click.option("--about", metavar="WORDS", help="Only cards that speak of all these words: edits, reasons, hypotheses.")
@click.option("--status", type=click.Choice(STATUSES), help="Only cards that this became of.")
@click.option("--proposer", metavar="NAME", help="Only cards of this proposer.")
@WORKSPACE
@PLUGINS
@AS_JSON
def cards(
    *, recipe: Path, card: str | None, about: str | None, status: str | None, proposer: str | None, workspace: Path,
    plugin: Sequence[Path], as_json: bool,
) -> VerbAnswer:  # fmt: skip
    """List what a search tried, refused and learned, or tell one card whole."""
    from pipeline.commands.research.research_texts import card_text, cards_text
    from pipeline.recipe.load import load_recipe
    from pipeline.research.page.cards import card_called, cards_about, proxies_of
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    whole, place = load_recipe(recipe), Workspace(workspace)
    if card is not None:
        told = card_called(whole, place, card)
        proxies = proxies_of(whole, place, told)
        where = [{str(seed): proxies[seed] for seed in each.seeds if seed in proxies} for each in told]
        data = [asdict(each) | {"proxies": own} for each, own in zip(told, where, strict=True)]
        return VerbAnswer(data, card_text(told, proxies))
    found = cards_about(whole, place, about=about or "", status=status or "", proposer=proposer or "")
    return VerbAnswer([asdict(each) for each in found], cards_text(found, recipe=str(recipe)))
