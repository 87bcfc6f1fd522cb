"""The mixtures, proxy and gate of a recipe -> the nodes of its experiment, each with what it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from eval.tiers import TIERS
from pipeline.plan.graph import ENGINE_VERSION, Plan

if TYPE_CHECKING:
    from pipeline.recipe.sections import GateSection


EVAL_VERSION = 3  # bump when tokenizer, mixture, proxy, or evaluation would give other bytes
# No tokenizer here packs more than 8 bytes into a token on average, and four lanes find rows of their own: the luck of
# a choice of documents that all lanes share would not show in the interval.
BYTES_PER_TOKEN = 4 * 8


def plan_experiment(plan: Plan) -> None:
    """Add tokenizer, tokens, mixtures, comparison and certificate to a plan."""
    draft = _Draft(plan)
    draft.tokenizer()
    draft.tokens()
    draft.mixtures()
    if plan.recipe.gate is not None:
        draft.comparison(plan.recipe.gate)
        draft.certificate(plan.recipe.gate)


class _Draft:
    """Adds the nodes of an experiment one kind after the other, each from those before it."""

    def __init__(self, plan: Plan) -> None:
        assert plan.recipe.proxy is not None
        self.add, self.recipe, self.proxy = plan.add, plan.recipe, plan.recipe.proxy
        self.nodes = plan.experiment
        self.held_out = plan.recipe.gate.on if plan.recipe.gate is not None else ()
        self.trained_on = sorted({name for mixture in self.recipe.mixtures.values() for name in mixture.weights})
        self.weights = {name: _normalised(mixture.weights) for name, mixture in self.recipe.mixtures.items()}
        self.documents = {name: plan.documents_node(name).identity for name in (*self.trained_on, *self.held_out)}
        self.common = {"engine": ENGINE_VERSION, "eval": EVAL_VERSION, "seed": self.recipe.seed}

    def tokenizer(self) -> None:
        payload = {
            "kind": "tokenizer",
            **self.common,
            "tier": self.proxy.tier,
            "sample": sorted({self.documents[name] for name in self.trained_on}),
            "sentencepiece": version("sentencepiece"),
        }
        parents = {name: self.documents[name] for name in self.trained_on}
        self.nodes["tokenizer"] = self.add("tokenizer", self.recipe.name, payload, parents)

    def tokens(self) -> None:
        tokenizer = self.nodes["tokenizer"].identity
        limits = dict.fromkeys(self.trained_on, self.proxy.tokens * BYTES_PER_TOKEN)
        limits |= dict.fromkeys(self.held_out, self.proxy.held_out_bytes)
        context = TIERS[self.proxy.tier].context
        for name, limit in limits.items():
            dataset = self.documents[name]
            payload = {
                "kind": "tokens",
                **self.common,
                "tokenizer": tokenizer,
                "dataset": dataset,
                "limit_bytes": limit,
                "head_tokens": context if name in self.held_out else None,
            }
            parents = {name: dataset, "tokenizer": tokenizer}
            self.nodes[f"tokens.{name}"] = self.add("tokens", name, payload, parents)

    def mixtures(self) -> None:
        for name, mixture in self.recipe.mixtures.items():
            parts = {dataset: self.nodes[f"tokens.{dataset}"].identity for dataset in mixture.weights}
            payload = {
                "kind": "mixture",
                **self.common,
                "tier": self.proxy.tier,
                "tokens": self.proxy.tokens,
                "max_epochs": mixture.max_epochs,
                "max_document_share": mixture.max_document_share,
                "weights": {dataset: [parts[dataset], share] for dataset, share in self.weights[name].items()},
            }
            self.nodes[f"mixture.{name}"] = self.add("mixture", name, payload, parts)

    def comparison(self, gate: GateSection) -> None:
        mixtures = {name: self.nodes[f"mixture.{name}"].identity for name in self.recipe.mixtures}
        held_out = {name: self.nodes[f"tokens.{name}"].identity for name in gate.on}
        payload = {
            "kind": "comparison",
            **self.common,
            "tier": self.proxy.tier,
            "tokens": self.proxy.tokens,
            "seeds": self.proxy.seeds,
            "learning_rates": list(self.proxy.learning_rates),
            "mixtures": mixtures,
            "held_out": held_out,
            "group_by": gate.group_by,
            "torch": version("torch").partition("+")[0],  # CPU and CUDA builds of one version count as one
        }
        self.nodes["comparison"] = self.add("comparison", self.recipe.name, payload, mixtures | held_out)

    def certificate(self, gate: GateSection) -> None:
        comparison = self.nodes["comparison"].identity
        rule = {
            "min_gain": gate.min_gain,
            "confidence": gate.confidence,
            "guards": dict(gate.guards),
            "metric": gate.metric,
        }
        payload = {
            "kind": "certificate",
            **self.common,
            "comparison": comparison,
            "rule": rule,
            "candidate": gate.candidate,
            "baseline": gate.baseline,
        }
        parents = {"comparison": comparison}
        self.nodes["certificate"] = self.add("certificate", self.recipe.name, payload, parents)


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
