"""The candidate of a finished plan -> a new version under the name that its recipe gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import RecipeError
from pipeline.core.files.card import read_card
from pipeline.experiment.origins import admit_origins, origins_of
from pipeline.store.names.registry import Promotion, promote

if TYPE_CHECKING:
    from pipeline.plan.graph import Plan


def promote_mixture(plan: Plan, certificate: Mapping[str, Any] | None, *, override: str | None = None) -> Promotion:
    """Promote the candidate of a finished plan under the name that its recipe gives."""
    gate, section = plan.recipe.gate, plan.recipe.promote
    if gate is None or section is None:
        raise RecipeError(f"{plan.recipe.name}: has no `gate:` or no `promote:`; a promotion needs both. Add them.")
    assert plan.experiment is not None
    node = plan.experiment.mixtures.get(gate.candidate)
    if node is None:
        raise RecipeError(f"{plan.recipe.name}: the search has not found `{gate.candidate}` yet; run the recipe first.")
    admit_origins(section, origins_of(plan, node.parents))
    return promote(
        plan.workspace,
        section.as_,
        mixture=gate.candidate,
        mixture_identity=node.identity,
        folder=str(node.folder.relative_to(plan.workspace.root)),
        parents=read_card(node.folder).parents,
        certificate=certificate,
        override=override,
    )
