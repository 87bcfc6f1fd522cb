"""A search's ledger, read by whoever asks: without a lock, without a proxy, and while a night appends to it."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.names import STORE
from pipeline.engine.progress import Silent
from pipeline.recipe.spec import Recipe
from pipeline.research.record.ledger import Ledger
from pipeline.research.search.bench import Bench
from pipeline.research.search.search import Search, changed_rules
from pipeline.store.workspace import Workspace


def folder_of(recipe: Recipe, workspace: Workspace) -> Path:
    """Return where a recipe's search lies; RecipeError where the recipe asks for none, or the workspace is in a store.

    A search's ledger and people's words on it are appended line by line, which no store can do.
    """
    if recipe.research is None:
        raise RecipeError(
            f"{recipe.place}: has no `research:`, so there is nothing to search. Add one, or use `tamis run`."
        )
    if (workspace.root / STORE).exists():
        raise RecipeError(
            f"{recipe.place}: a search keeps its ledger in a folder, and this workspace is in a store. Give -w a "
            "folder; its inputs may be URLs, and what it promotes can be exported to one."
        )
    return workspace.root / "research" / recipe.name


def read_ledger(recipe: Recipe, workspace: Workspace) -> Ledger:
    """Return the ledger as far as it is written; DataError where no night was run."""
    ledger = Ledger(folder_of(recipe, workspace))
    if not ledger.events:
        raise DataError(
            f"{recipe.place}: no night of this search was run in {workspace.root}. Begin one: tamis research "
            f"{recipe.place}"
        )
    return ledger


def read_search(recipe: Recipe, workspace: Workspace) -> Search:
    """Return the search as it stands, to be asked and not to be gone on with."""
    ledger = read_ledger(recipe, workspace)
    search = Search(recipe, Bench(recipe, workspace, _nobody, Silent()), ledger, Silent())
    if changed := changed_rules(recipe, search.standing.rule):
        raise RecipeError(
            f"{ledger.path}: is the ledger of another search: {', '.join(changed)} changed since, so its cards mean "
            f"something else now. Take the change back to read it; `tamis cards {recipe.place}` lists them as they are."
        )
    return search


def _nobody() -> NoReturn:
    raise AssertionError("reading a search trains nothing")
