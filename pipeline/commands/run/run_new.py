"""`tamis run --new-only` as one function: what is new is cleaned, the mixture that it adds to judged and promoted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.plan.graph import Plan
from pipeline.plan.make import make_plan
from pipeline.plan.only_new import Night, can_wait, tonight
from pipeline.plan.pinned import drift_of
from pipeline.recipe.spec import Recipe
from pipeline.store.input_hashes import MEMO, InputHashes
from pipeline.store.node import Node
from pipeline.store.sizes import kept_bytes_of
from pipeline.store.workspace import Workspace

MOST_BYTES_PER_TOKEN = 8  # on average: no tokenizer here packs more of a text into one


@dataclass(frozen=True, slots=True)
class NothingNew:
    """Why a night adds nothing to what was promoted, and what was built to find that out."""

    sentence: str
    built: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class NewPlan:
    """What judges the grown mixture, and what was built for it before."""

    plan: Plan
    built: tuple[Node, ...] = ()


def plan_new(
    recipe: Recipe, workspace: Workspace, *, build: Callable[[Plan], None], say: Callable[[str], None]
) -> NewPlan | NothingNew:
    """Return the plan that judges the grown mixture, its new documents built by `build`, or why there is none.

    Before the first promotion it is the plan of the recipe as it stands. The workspace is locked by the caller.
    """
    hashes = InputHashes(workspace.root / MEMO)
    night = tonight(recipe, workspace, hashes=hashes)
    hashes.save()
    if night is None:
        say("nothing was promoted yet: this night reads all")
        return NewPlan(make_plan(recipe, workspace))
    version = f"{night.incumbent.name} version {night.incumbent.version}"
    if not night.growing:
        return NothingNew(f"Nothing new: {version} was read from every file of {' and '.join(night.new)}.")
    say(f"{_told(night)} since {version}")
    _remember(night, workspace)
    cleaning = make_plan(night.cleaning(), workspace)
    todo = tuple(cleaning.to_build)
    build(cleaning)
    rung = [name for name in night.pinned if _rings(night, cleaning, name, say=say)]
    if rung:
        night = replace(night, pinned={name: pin for name, pin in night.pinned.items() if name not in rung})
        cleaning = make_plan(night.cleaning(), workspace)
        todo = (*todo, *cleaning.to_build)
        build(cleaning)
    folders = {name: cleaning.datasets[name].node.folder for name in night.growing}
    sizes = {name: kept_bytes_of(workspace, folder) for name, folder in folders.items()}
    kept = {name: folder for name, folder in folders.items() if sizes[name] >= _least_bytes(recipe)}
    if not kept:
        left = sum(sizes.values())
        told = "" if not left else f": {left:,} bytes of text, which wait for more"
        return NothingNew(f"Of {_told(night)} {'nothing' if not left else 'too little'} is left to judge{told}.", todo)
    for name in folders.keys() - kept.keys():
        if sizes[name] and can_wait(recipe, name):
            say(f"{name}: {sizes[name]:,} bytes of text are too few to judge; their files are read again when it grows")
        elif sizes[name]:
            say(
                f"warning: {name}: {sizes[name]:,} bytes of text are too few to judge and are left out; a promotion "
                "tonight would leave them out for good where other datasets read the same files, since it is made of "
                f"datasets that pay for grades or texts. Let {name} read its sources itself"
            )
    return NewPlan(make_plan(night.judging(workspace, tonight=kept), workspace), todo)


def _rings(night: Night, cleaning: Plan, name: str, *, say: Callable[[str], None]) -> bool:
    """Say whether a classifier that was trained before drops another share of tonight's documents than it used to."""
    told = drift_of(night.recipe.datasets[name], cleaning.datasets[name].node.folder, earlier=night.grown[name])
    if told:
        say(f"{name}: {told}; it is trained anew")
    return bool(told)


def _remember(night: Night, workspace: Workspace) -> None:
    """Let the store for near-duplicates hold what is promoted now, whatever was promoted or rolled back before."""
    settings = night.dedup_settings()
    if settings is not None:
        from pipeline.store.names.dedup_versions import remember_just

        remember_just(workspace, night.promoted, store=night.store, settings=settings)


def _least_bytes(recipe: Recipe) -> int:
    """Return how much text of a dataset surely fills the two rows of tokens that a mixture needs of each."""
    from eval.proxies.tiers import TIERS

    assert recipe.proxy is not None
    return 2 * MOST_BYTES_PER_TOKEN * TIERS[recipe.proxy.tier].context


def _told(night: Night) -> str:
    counts = [f"{len(labels):,} new file{'' if len(labels) == 1 else 's'} of {name}"
              for name, labels in night.new.items() if labels]  # fmt: skip
    return " and ".join(counts)
