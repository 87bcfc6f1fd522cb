"""Who of a recipe's proposers has ideas in edits: made ready before a night begins, with what that is going to cost."""

from __future__ import annotations

import math
import os
from pathlib import Path

from pipeline.core.claude.server.connection import check_credentials
from pipeline.core.claude.server.endpoint import VARIABLE
from pipeline.core.errors import RecipeError
from pipeline.research.proposers.claude_adviser import NAME as CLAUDE
from pipeline.research.proposers.claude_adviser import ClaudeAdviser, bill_ahead
from pipeline.research.proposers.ideas import Adviser
from pipeline.research.proposers.script_adviser import NAME as SCRIPT
from pipeline.research.proposers.script_adviser import ScriptAdviser
from pipeline.research.search.search import Search

KEY = "ANTHROPIC_API_KEY"


def advisers_of(search: Search, *, ledger: Path) -> list[Adviser]:
    """Return the advisers that can be asked this night; say who cannot and why, and what Claude will probably cost.

    RecipeError for a model without a price or a script that is not there.
    """
    research, found = search.research, list[Adviser]()
    if CLAUDE in research.proposers:
        cap = max(0.0, _usd_for_claude(search))
        why = _why_not(cap)
        if why:
            search.progress.say(f"claude: is not asked this night, as {why}. The others go on.")
        else:
            search.progress.say(_bill_ahead(search, cap))
            found.append(
                ClaudeAdviser(
                    search.recipe.name, research.model, ledger, cap, left=lambda: _usd_for_claude(search)
                )
            )  # fmt: skip
    if SCRIPT in research.proposers:
        assert research.script is not None
        path = Path(research.script)
        if not path.is_file():
            raise RecipeError(
                f"{search.recipe.place}: research.script is {path}, and there is no such file. Correct it."
            )
        hidden = [ledger.parent, *([search.recipe.path] if search.recipe.path is not None else [])]
        found.append(ScriptAdviser(path, hidden))
    return found


def _usd_for_claude(search: Search) -> float:
    """Return what of the budget cards and claims leave for Claude in all nights; less, once a card paid in this one."""
    standing = search.standing
    on_its_way = math.fsum(card.cost.usd for card in standing.open_cards)
    return search.usd - math.fsum(standing.paid.values()) - on_its_way


def _why_not(cap: float) -> str:
    """Return why Claude cannot be asked, nothing where it can."""
    if cap <= 0:
        return "there is no money for it (research.budget.usd or --max-usd is 0)"
    try:
        check_credentials()
    except RecipeError as error:
        neither = not os.environ.get(KEY) and not os.environ.get(VARIABLE)
        return f"neither {KEY} nor {VARIABLE} is set" if neither else str(error).removesuffix(".")
    return ""


def _bill_ahead(search: Search, cap: float) -> str:
    research, standing = search.research, search.standing
    bought = [
        float(mark["usd"])
        for mark in standing.remarks
        if mark["what"] == "advice" and mark["proposer"] == CLAUDE and mark["usd"]
    ]
    batches = math.ceil((research.budget.experiments - standing.tried) / research.batch)
    return bill_ahead(
        recipe_bytes=len(search.recipe.text), model=research.model, requests=batches, bought=bought, max_usd=cap
    )
