"""The mixtures, proxy and gate of a recipe -> the nodes of its experiment, each with what it comes from.

A mixture is the stream that its proxies read: a pool of rows, the same for every seed, from which a lane draws its own
when it is trained. A drawn stream for each seed would store again what a seed and the pool say in milliseconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from eval.proxies.tiers import TIERS, tier_called
from pipeline.core.files.card import read_card
from pipeline.core.identity import identity_of
from pipeline.plan.graph import ENGINE_VERSION, Experiment, Plan, SearchRound
from pipeline.plan.lanes import LaneName, lane_label, lanes_of, trial_lanes
from pipeline.plan.parts import judged_by, parts_of
from pipeline.plan.sweep import FIRST_SEED, first_round, going_on, is_found, next_round, proposed

if TYPE_CHECKING:
    from pipeline.recipe.sections import GateSection, MixtureSection, ProxySection, SweepSection
    from pipeline.store.node import Node


SEARCH_VERSION = 5  # bump when models or choice of mixtures would give other weights
EVAL_VERSION = 4  # bump when tokenizer, mixture, proxy, or evaluation would give other bytes
# No tokenizer here packs more than 8 bytes into a token on average, and four lanes find rows of their own: the luck of
# a choice of documents that all lanes share would not show in the interval.
BYTES_PER_TOKEN = 4 * 8


def plan_experiment(plan: Plan) -> None:
    """Add tokenizer, tokens and mixtures to a plan, and where there is a gate all that is judged by it."""
    draft = _Draft(plan)
    tokenizer = draft.tokenizer()
    tokens = draft.tokens(tokenizer)
    sections = dict(plan.recipe.mixtures)
    mixtures = draft.mixtures(sections, tokens)
    rounds, cuts, to_come = draft.rounds(sections, mixtures, tokens)
    lanes = {lane: node for found in (*cuts, *rounds) for lane, node in found.lanes.items()}
    scores = {name: node for found in (*cuts, *rounds) for name, node in found.scores.items()}
    if plan.recipe.trials is not None:
        tried = draft.lanes(trial_lanes(plan.recipe), mixtures)
        lanes |= tried
        scores |= draft.scores(tried, tokens, plan.recipe.trials.on)
    gate, judged, comparison, certificate = plan.recipe.gate, list[LaneName](), None, None
    if gate is not None and {gate.candidate, gate.baseline} <= mixtures.keys():  # a search may have to find one first
        judged = lanes_of(plan.recipe, sections)
        lanes |= draft.lanes(judged, mixtures)
        of_gate = draft.scores({lane: lanes[lane] for lane in judged}, tokens, judged_by(gate).values())
        scores |= of_gate
        scores |= draft.scores({lane: lanes[lane] for lane in judged}, tokens, judged_by(gate))  # for readers
        comparison = draft.comparison(mixtures, tokens, of_gate, gate)
        certificate = draft.certificate(comparison, gate) if gate.verdict else None
    plan.experiment = Experiment(
        tokenizer, tokens, mixtures, lanes, scores, comparison, certificate,
        sections=sections, judged=tuple(judged), rounds=tuple(each.planned for each in rounds),
        rounds_to_come=to_come, cuts=tuple(each.planned for each in cuts),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Stage:
    """The nodes of one round of a search, or of a stop within it."""

    lanes: Mapping[LaneName, Node]
    scores: Mapping[tuple[LaneName, str], Node]
    planned: SearchRound


class _Draft:
    """Adds the nodes of an experiment one kind after the other, each from those before it."""

    def __init__(self, plan: Plan) -> None:
        assert plan.recipe.proxy is not None
        self.add, self.stored, self.recipe, self.proxy = plan.add, plan.stored, plan.recipe, plan.recipe.proxy
        self.workspace = plan.workspace
        self.called = {
            name: plan.documents_node(name).name for name in plan.recipe.datasets if name in plan.recipe.stored
        }
        self.held_out = parts_of(plan.recipe)
        self.trained_on = sorted({name for mixture in self.recipe.mixtures.values() for name in mixture.weights})
        self.sampled = self.proxy.tokenizer_on or self.trained_on
        self.documents = {name: plan.documents_node(name).identity for name in (*self.trained_on, *self.sampled)}
        self.documents |= {name: plan.documents_node(part.dataset).identity for name, part in self.held_out.items()}
        self.common = {"engine": ENGINE_VERSION, "eval": EVAL_VERSION, "seed": self.recipe.seed}
        self.torch = version("torch").partition("+")[0]  # CPU and CUDA builds of one version count as one

    def tokenizer(self) -> Node:
        parents = {name: self.documents[name] for name in self.sampled}
        payload = {
            "kind": "tokenizer",
            **self.common,
            "tier": self.proxy.tier,
            "sample": sorted(set(parents.values())),
            "sentencepiece": version("sentencepiece"),
        }
        return self.add("tokenizer", self.recipe.name, payload, parents)

    def tokens(self, tokenizer: Node) -> dict[str, Node]:
        limits = dict.fromkeys(self.trained_on, (self.proxy.stream or self.proxy.tokens) * BYTES_PER_TOKEN)
        limits |= {name: part.limit_of(self.proxy.held_out_bytes) for name, part in self.held_out.items()}
        context = TIERS[self.proxy.tier].context
        found = {}
        for name, limit in limits.items():
            dataset = self.documents[name]
            payload = {
                "kind": "tokens",
                **self.common,
                "tokenizer": tokenizer.identity,
                "dataset": dataset,
                "limit_bytes": limit,
                "head_tokens": context if name in self.held_out else None,
                **(self.held_out[name].payload if name in self.held_out else {}),
            }
            parents = {name: dataset, "tokenizer": tokenizer.identity}
            found[name] = self.add("tokens", self.called.get(name, name), payload, parents)
        return found

    def mixtures(self, sections: Mapping[str, MixtureSection], tokens: Mapping[str, Node]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for name, mixture in sections.items():
            if self.proxy.of and found:  # all are one text: one stream serves them
                found[name] = next(iter(found.values()))
                continue
            if f"mixture/{name}" in self.recipe.stored and self._stands(f"mixture/{name}", tokens):
                found[name] = self.stored(f"mixture/{name}")
                continue
            parts = {dataset: tokens[dataset].identity for dataset in mixture.weights}
            payload = {
                "kind": "mixture",
                **self.common,
                **self._stream,
                "max_epochs": mixture.max_epochs,
                "max_document_share": mixture.max_document_share,
                "weights": {
                    dataset: [parts[dataset], share] for dataset, share in _normalised(mixture.weights).items()
                },
            }
            found[name] = self.add("mixture", name, payload, parts)
        return found

    def _stands(self, name: str, tokens: Mapping[str, Node]) -> bool:
        """Say whether a stored mixture is of the tokens and the proxy of this plan, and need not be mixed anew."""
        payload = read_card(self.workspace.root / self.recipe.stored[name]).payload
        asked = {"rows": None, **self._stream, "eval": EVAL_VERSION, "seed": self.recipe.seed}
        known = {node.identity for node in tokens.values()}
        return {key: payload.get(key) for key in asked} == asked and all(
            part in known for part, _ in payload["weights"].values()
        )

    @property
    def _stream(self) -> dict[str, str | int]:
        """Return by what the rows of a mixture are drawn; of one that serves several tiers, by none of them alone."""
        if self.proxy.stream is None:
            return {"tier": self.proxy.tier_of(), "tokens": self.proxy.tokens}
        return {"tier": self.proxy.tier, "tokens": self.proxy.stream, "rows": rows_of(self.proxy)}

    def rounds(
        self, sections: dict[str, MixtureSection], mixtures: dict[str, Node], tokens: Mapping[str, Node]
    ) -> tuple[list[_Stage], list[_Stage], int]:
        """Return the rounds and stops of the recipe's search that are known, and how many rounds follow."""
        sweep, found, cuts = self.recipe.sweep, list[_Stage](), list[_Stage]()
        if sweep is None:
            return found, cuts, 0
        around, seed = sections[sweep.around], self.recipe.seed
        tried = first_round(sweep, around, proxy=self.proxy, seed=seed)
        scores: dict[tuple[LaneName, str], Node] = {}
        seen: Counter[str] = Counter()
        for number in range(1, sweep.rounds + 1):
            sections |= tried.sections
            mixtures |= self.mixtures(tried.sections, tokens)
            going = _seeded(tried.lanes, mixtures, seen)
            for until in sweep.stops:
                early = tuple(replace(lane, until=until) for lane in going)
                lanes, new = self.trained(early, mixtures, tokens, sweep)
                scores |= new
                node = self.search(sweep, number, mixtures, tokens, scores, until=until)
                cuts.append(_Stage(lanes, new, SearchRound(number, early, node, until)))
                if not is_found(node):
                    return found, cuts, sweep.rounds - number + 1
                going = going_on(node, going)
            lanes, new = self.trained(going, mixtures, tokens, sweep)
            scores |= new
            node = self.search(sweep, number, mixtures, tokens, scores)
            found.append(_Stage(lanes, new, SearchRound(number, going, node)))
            if not is_found(node):
                return found, cuts, sweep.rounds - number
            if number < sweep.rounds:
                tried = next_round(node, sweep, around, proxy=self.proxy, number=number + 1)
        named = {sweep.as_: proposed(node, around)}
        sections |= named
        mixtures |= self.mixtures(named, tokens)
        return found, cuts, 0

    def trained(
        self,
        names: Iterable[LaneName],
        mixtures: Mapping[str, Node],
        tokens: Mapping[str, Node],
        sweep: SweepSection,
    ) -> tuple[dict[LaneName, Node], dict[tuple[LaneName, str], Node]]:
        """Add some of the search's lanes, and their scores on what it looks at."""
        lanes = self.lanes(names, mixtures)
        return lanes, self.scores(lanes, tokens, sorted(sweep.on))

    def search(
        self,
        sweep: SweepSection,
        number: int,
        mixtures: Mapping[str, Node],
        tokens: Mapping[str, Node],
        scores: Mapping[tuple[LaneName, str], Node],
        until: float = 1.0,
    ) -> Node:
        """Add what all proxies so far show. What is searched and how counts, and not what the result is called."""
        held_out = {name: tokens[name].identity for name in sweep.on}
        around = mixtures[sweep.around].identity
        aside = {"around", "on", "as_"} | (set() if sweep.stops else {"stops", "keep"})
        payload = {
            "kind": "search",
            **self.common,
            "search": SEARCH_VERSION,
            "round": number,
            "scores": identity_of(sorted(node.identity for node in scores.values())),
            "around": around,
            "held_out": sorted([held_out[name], factor] for name, factor in sweep.on.items()),
            "rule": sweep.model_dump(mode="json", exclude=aside),
            "numpy": version("numpy"),
            "scipy": version("scipy"),
        }
        name = f"{self.recipe.name}-round{number}"
        if until < 1:
            payload["until"] = until
            name += f"-to{until:g}"
        parents = {sweep.around: around} | held_out
        return self.add("search", name, payload, parents)

    def lanes(self, names: Iterable[LaneName], mixtures: Mapping[str, Node]) -> dict[LaneName, Node]:
        """Add one node for each proxy, or for where it stops."""
        found = {}
        for lane in names:
            mixture = mixtures[lane.mixture]
            payload = {
                "kind": "lane",
                **self.common,
                "mixture": mixture.identity,
                "tier": self.proxy.tier_of(lane.mixture),
                "tokens": self.proxy.tokens_of(lane.mixture),
                "lane_seed": lane.seed,
                "learning_rate": lane.learning_rate,
                "torch": self.torch,
            }
            if lane.until < 1:
                payload["until"] = lane.until
            name = lane_label(lane, tier=self.proxy.tier_of(lane.mixture))
            found[lane] = self.add("lane", name, payload, {lane.mixture: mixture.identity})
        return found

    def scores(
        self, lanes: Mapping[LaneName, Node], tokens: Mapping[str, Node], domains: Iterable[str]
    ) -> dict[tuple[LaneName, str], Node]:
        found = {}
        for domain in domains:
            for lane, node in lanes.items():
                held_out = tokens[domain].identity
                payload = {
                    "kind": "score",
                    "engine": ENGINE_VERSION,
                    "eval": EVAL_VERSION,
                    "lane": node.identity,
                    "held_out": held_out,
                    "torch": self.torch,
                }
                parents = {"lane": node.identity, domain: held_out}
                found[lane, domain] = self.add("score", f"{domain}-{node.name}", payload, parents)
        return found

    def comparison(
        self,
        mixtures: Mapping[str, Node],
        tokens: Mapping[str, Node],
        scores: Mapping[tuple[LaneName, str], Node],
        gate: GateSection,
    ) -> Node:
        """Add what gathers the scores. Their hash decides; what it is of is spelled out, for a plan's reasons."""
        arms = {name: mixtures[name].identity for name in {lane.mixture: lane for lane, _ in scores}}
        held_out = {name: tokens[part].identity for name, part in judged_by(gate).items()}
        by_name = {f"{lane} on {domain}": node.identity for (lane, domain), node in scores.items()}
        payload = {
            "kind": "comparison",
            **self.common,
            "tier": self.proxy.tier_of(),
            "tokens": self.proxy.tokens,
            **({"of": {name: self.proxy.tier_of(name) for name in sorted(arms)}} if self.proxy.of else {}),
            "seeds": self.proxy.seeds,
            **({"first_seed": self.proxy.first_seed} if self.proxy.first_seed else {}),
            "learning_rates": list(self.proxy.learning_rates),
            "mixtures": arms,
            "held_out": held_out,
            "group_by": gate.group_by,
            "torch": self.torch,
            "scores": identity_of(by_name),
        }
        return self.add("comparison", self.recipe.name, payload, arms | held_out)

    def certificate(self, comparison: Node, gate: GateSection) -> Node:
        rule = {
            "min_gain": gate.min_gain,
            "confidence": gate.confidence,
            "guards": dict(gate.guards),
            "metric": gate.metric,
            "min_tokens": tier_called(self.proxy.tier_of()).least_tokens,
        }
        payload = {
            "kind": "certificate",
            **self.common,
            "comparison": comparison.identity,
            "rule": rule,
            "candidate": gate.candidate,
            "baseline": gate.baseline,
        }
        return self.add("certificate", self.recipe.name, payload, {"comparison": comparison.identity})


def _seeded(lanes: Iterable[LaneName], mixtures: Mapping[str, Node], seen: Counter[str]) -> tuple[LaneName, ...]:
    """Return the lanes, each with the next seed of its mixture: one that is tried again is trained again."""
    found = []
    for lane in lanes:
        mixture = mixtures[lane.mixture].identity
        found.append(replace(lane, seed=FIRST_SEED + seen[mixture]))
        seen[mixture] += 1
    return tuple(found)


def rows_of(proxy: ProxySection) -> int:
    """Return how many rows a mixture is drawn for: whole steps, or all of a stream that serves steps of any size."""
    tier = tier_called(proxy.tier_of())
    if proxy.stream is not None:
        return max(1, proxy.stream // tier.context)
    return max(1, proxy.tokens // (tier.batch_rows * tier.context)) * tier.batch_rows


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
