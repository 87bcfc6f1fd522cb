"""Cards -> proxies -> bits per byte: one recipe for a batch, so that all of its proxies train as one stack.

The tokenizer is the incumbent's and stays it, so a score of tonight and one of last month are of the same pieces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.claude.accounting.bill import usd_by_step
from pipeline.core.errors import CapError, PendingError, ServiceError, TamisError
from pipeline.core.files.card import read_card
from pipeline.core.files.names import CARD
from pipeline.core.identity import identity_of
from pipeline.engine.progress import Progress
from pipeline.plan.graph import Plan
from pipeline.plan.lanes import LaneName
from pipeline.plan.make import make_plan
from pipeline.queries.proxies.lanes import stored_lane
from pipeline.recipe.edits import Edit
from pipeline.recipe.load import load_recipe
from pipeline.recipe.spec import Recipe
from pipeline.research.edits.settings import is_of_settings, settings_section
from pipeline.research.edits.variants import Variant, plain_data, variant_of
from pipeline.research.record.card import Cost
from pipeline.research.search.health import health_of
from pipeline.store.garbage import keep
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.engine.executors import Executor

CLASSES = {  # of what a card forces to be done again, the dearest last
    "dataset": "re-decide",
    "measured": "re-measure",
    "gathered": "re-gather",
    "paid": "re-label",
    "made": "re-generate",
    "lane": "re-train",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A mixture to try: the edits that make it, and the seeds of its proxies."""

    name: str
    edits: tuple[Edit, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What the proxies of one mixture said: bits per byte by seed and held-out set, or why there is nothing."""

    values: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    why: str = ""
    health: tuple[str, ...] = ()
    supply: Mapping[str, float] = field(default_factory=dict)  # dataset -> most weight that its text allows


@dataclass(slots=True)
class Bench:
    """Where cards are tried. `workers`, `device` and `memory_bytes` change no result."""

    recipe: Recipe
    workspace: Workspace
    executor: Callable[[], Executor]
    progress: Progress
    workers: int = 1
    device: str = "auto"
    memory_bytes: int = 2 << 30
    data: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.data = plain_data(self.recipe)

    def variant(self, edits: tuple[Edit, ...], *, tag: str) -> Variant:
        """Return what edits come to; RecipeError where they meet nothing."""
        return variant_of(self.recipe, self.data, edits, tag=tag)

    def trial_recipe(self, asked: Sequence[Asked]) -> dict[str, Any]:
        """Return the recipe by which a batch is tried."""
        research, gate, proxy = self.recipe.research, self.recipe.gate, self.recipe.proxy
        assert research is not None and gate is not None and proxy is not None
        datasets, mixtures = dict(self.data["datasets"]), dict[str, Any]()
        section = self.proxy_section(seeds=3, rates=proxy.learning_rates[:1])
        if is_of_settings(self.recipe):  # one stream serves all, called after the incumbent
            mixtures[research.incumbent] = self.data["mixtures"][research.incumbent]
            section = settings_section(self.recipe, {each.name: each.edits for each in asked}, section)
        for each in asked:
            variant = self.variant(each.edits, tag=each.name)
            datasets |= variant.datasets
            mixtures[each.name] = variant.mixture
        sealed = {"sealed": gate.sealed, "group_by": gate.group_by} if set(research.on) & set(gate.on) else {}
        return {
            "name": self.recipe.name,
            "seed": self.recipe.seed,
            "sources": self.data.get("sources"),
            "datasets": datasets,
            "mixtures": mixtures,
            "proxy": section,
            "trials": {
                "on": sorted(research.on),
                "seeds": {each.name: list(each.seeds) for each in asked},
                **{key: value for key, value in sealed.items() if value},
            },
        }

    def proxy_section(self, *, seeds: int, rates: Sequence[float], first_seed: int = 0) -> dict[str, Any]:
        """Return the recipe's proxies with other seeds and rates, and the incumbent's tokenizer."""
        assert self.recipe.research is not None
        incumbent = self.recipe.mixtures[self.recipe.research.incumbent]
        given = {**self.data["proxy"], "seeds": seeds, "first_seed": first_seed, "learning_rates": list(rates)}
        return {"tokenizer_on": sorted(incumbent.weights), **given}

    def price(self, edits: tuple[Edit, ...], *, name: str, seeds: Sequence[int]) -> tuple[Cost, str]:
        """Return what edits force to be done again and the hash of that plan; RecipeError where they fit no recipe."""
        plan = make_plan(load_recipe(self.trial_recipe([Asked(name, edits, tuple(seeds))])), self.workspace)
        return self.cost_of(plan), plan_hash(plan)

    def cost_of(self, plan: Plan) -> Cost:
        """Return what a plan has yet to build, and what of it is paid for."""
        todo = plan.to_build
        kinds = {_class(node.kind, node.cost_usd) for node in todo} - {None}
        steps = {
            step.node.folder: f"{name}.{step.spec.label}"
            for name, planned in plan.datasets.items()
            for step in (*planned.steps, *([] if planned.made is None else [planned.made]))
        }
        buyers = {self._place(node.folder): steps.get(node.folder, "") for node in todo if node.cost_usd}
        return Cost(
            redo=tuple(name for name in CLASSES.values() if name in kinds),
            nodes=len(todo),
            lanes=sum(1 for node in todo if node.kind == "lane"),
            usd=math.fsum(node.cost_usd for node in todo),
            paid=tuple(sorted(buyers)),
            buyers=tuple(buyers[place] for place in sorted(buyers)),
        )

    def run(self, asked: Sequence[Asked]) -> dict[str, Tried]:
        """Try some mixtures together; where something of one fails, each is tried by itself and only it is lost.

        What is no mixture's fault ends the night: a service, the disk, an account without money, and where the
        incumbent itself meets a cap or a fault of ours.
        """
        try:
            return self._run(asked)
        except (CapError, RuntimeError, MemoryError) as error:
            if len(asked) == 1 and not asked[0].edits:
                raise
            why = str(error) if isinstance(error, CapError) else f"{type(error).__name__}: {error}"
        except (PendingError, ServiceError):
            raise
        except TamisError as error:
            why = str(error)
        if len(asked) == 1:
            return {asked[0].name: Tried(why=why)}
        return {each.name: self.run([each])[each.name] for each in asked}

    def scores_of(self, asked: Asked) -> dict[int, dict[str, Path]]:
        """Return where the bits of a mixture's proxies lie, by seed and held-out set; only those that are there."""
        plan = make_plan(load_recipe(self.trial_recipe([asked])), self.workspace)
        experiment, proxy, trials = plan.experiment, plan.recipe.proxy, plan.recipe.trials
        assert experiment is not None and proxy is not None and trials is not None
        found: dict[int, dict[str, Path]] = {}
        for seed in asked.seeds:
            lane = LaneName(asked.name, proxy.learning_rates[0], seed)
            folders = {name: experiment.scores[lane, name].folder for name in trials.on}
            if all((folder / CARD).exists() for folder in folders.values()):
                found[seed] = folders
        return found

    def documents_of(self, name: str) -> Path:
        """Return the folder of the documents of a set that cards are scored on."""
        assert self.recipe.research is not None
        asked = Asked(self.recipe.research.incumbent, (), (0,))
        return make_plan(load_recipe(self.trial_recipe([asked])), self.workspace).documents_node(name).folder

    def paid(self, buyers: Mapping[str, Collection[str]]) -> dict[str, float]:
        """Return what results cost, by their folders in the workspace; `buyers` are the steps that buy for each.

        Of one that is there its card tells; of one that was never finished, the answers that its steps bought, if any.
        """
        folders = {place: self.workspace.root / place for place in buyers}
        there = {place: read_card(folder).cost_usd for place, folder in folders.items() if (folder / CARD).exists()}
        missing = {place: {*steps} - {""} for place, steps in buyers.items() if place not in there}
        bought = self.bought() if any(missing.values()) else {}
        parts = {place: math.fsum(bought.get(step, 0.0) for step in steps) for place, steps in missing.items()}
        return there | {place: usd for place, usd in parts.items() if usd}

    def bought(self) -> dict[str, float]:
        """Return the dollars of answers that steps of this search's recipes bought, as `dataset.step`."""
        name = self.recipe.name
        recipes = (name, *(f"{name}-claim{size}" for size in ("", "-larger")))
        return usd_by_step(self.workspace.ledger, recipes=recipes)

    def _place(self, folder: Path) -> str:
        return folder.relative_to(self.workspace.root).as_posix()

    def _run(self, asked: Sequence[Asked]) -> dict[str, Tried]:
        recipe = load_recipe(self.trial_recipe(asked))
        with self.workspace.locked():
            plan = make_plan(recipe, self.workspace)
            plan.hashes.save()
            keep(self.workspace, plan_hash(plan), [node.folder for node in plan.nodes])
            if plan.to_build:
                from pipeline.engine.run import Run
                from pipeline.experiment.build import build_experiment

                run = Run(
                    plan=plan, executor=self.executor(), progress=self.progress, device=self.device,
                    threads=self.workers, memory_bytes=self.memory_bytes, workers=self.workers,
                )  # fmt: skip
                run.execute()
                build_experiment(run)
            return {each.name: _read(plan, each) for each in asked}


def _read(plan: Plan, asked: Asked) -> Tried:
    experiment, proxy, trials = plan.experiment, plan.recipe.proxy, plan.recipe.trials
    assert experiment is not None and proxy is not None and trials is not None
    values: dict[int, dict[str, float]] = {}
    health: list[str] = []
    lanes = {seed: LaneName(asked.name, proxy.learning_rates[0], seed) for seed in asked.seeds}
    stored = {seed: stored_lane(str(lane), experiment.lanes[lane].folder) for seed, lane in lanes.items()}
    found = health_of(plan.workspace, stored)
    for seed, lane in lanes.items():
        details = read_card(experiment.lanes[lane].folder).details
        health += [f"seed {seed}: {finding}" for finding in details["findings"]]
        scored = {name: read_card(experiment.scores[lane, name].folder).details["bits_per_byte"] for name in trials.on}
        if not details["healthy"] or seed in found.void:
            continue
        if any(value is None for value in scored.values()):
            health.append(f"seed {seed}: its bits per byte are not finite")
            continue
        values[seed] = scored
    health += found.told
    shares = read_card(experiment.mixtures[asked.name].folder).details["shares"]
    section = plan.recipe.mixtures[asked.name]
    supply = {
        str(share["dataset"]): section.max_epochs * share["realised"] / share["epochs"]
        for share in shares
        if share["epochs"] > 0
    }
    return Tried(values, "" if values else "; ".join(health), tuple(health), supply)


def _class(kind: str, cost_usd: float) -> str | None:
    return CLASSES.get("paid" if kind == "gathered" and cost_usd > 0 else kind)


def plan_hash(plan: Plan) -> str:
    """Return the hash of what a plan comes to, whatever of it is there already."""
    return identity_of(sorted({node.identity for node in plan.nodes}))
