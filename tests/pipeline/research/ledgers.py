"""Ledgers of searches that nobody ran: cards of a planted bowl, with failures, refusals, and cards that wait."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.core.files.record import write_record
from pipeline.core.rng import generator
from pipeline.plan.sweep import FIRST_SEED
from pipeline.recipe.edits import Edit
from pipeline.recipe.load import load_recipe
from pipeline.recipe.spec import Recipe
from pipeline.research.edits.space import EditSpace, space_of
from pipeline.research.record.card import Card, Cost, Kind, Prediction, Result, card_id
from pipeline.research.record.ledger import Ledger
from pipeline.research.search.search import rule_of
from tests.pipeline.house import House
from tests.pipeline.research.small_search import RECIPE, furnished

SECTION = """research:
  incumbent: even
  on: {looked: 3, seen: 1}
  space:
    weights: {least: {markets: 0.05}}
    set: {datasets.rivers.gopher_quality.min_words: {low: 10, high: 60}}
    remove_step: [markets.exact_dedup]
  budget: {experiments: 400, hours: 30, usd: 5}
  batch: 8
  proposers: {gp: 0.4, optuna: 0.2, random: 0.2, claude: 0.2}
gate: {candidate: head, baseline: even, on: [judged], min_gain: 0.004}
"""
SEEN = "  seen: {from: open, steps: [unique_ids]}\n"
TOLD = RECIPE.partition("research:")[0].replace("  rivers: {from", f"{SEEN}  rivers: {{from") + SECTION
SD = 0.006  # of one proxy
BASE = 2.2
BEST = 0.7  # share of rivers that is planted as best
OUTSIDE = Edit("set", "datasets.rivers.gopher_quality.max_words", 500)
HOSTILE = "<script>alert(1)</script> <b>bold</b>"


def told_house(folder: Path, recipe: str = TOLD) -> House:
    """Return a house with a search's recipe and texts, and no ledger yet."""
    return furnished(folder, recipe)


class Writer:
    """Writes the events of a search as its nights would, with planted results."""

    bond = 0.0  # what all switches together bring, in bits per byte

    def __init__(self, house: House, *, seed: int = 0) -> None:
        self.recipe: Recipe = load_recipe(house.recipe)
        self.folder = house.workspace.root / "research" / self.recipe.name
        self.ledger, self.rng = Ledger(self.folder), generator(seed, "ledgers")
        self.space: EditSpace = space_of(self.recipe)
        self.cards: list[Card] = []
        self.batch = 0
        self.ledger.append(
            "began", {"base": "b" * 64, "rule": rule_of(self.recipe), "lane": None, "space": ["min_words"]}
        )

    def goal(self, card: Card) -> dict[str, float]:
        """Return the bits per byte of a card's proxy on both sets, by the planted bowl and chance."""
        point = self.space.point_of(card.edits)
        share = dict(zip(self.space.space.datasets, point.weights or (), strict=True))["rivers"]
        true = (
            BASE + 0.2 * ((share - BEST) ** 2 - (0.5 - BEST) ** 2) + 0.01 * (point.knobs[0] - self.space.base.knobs[0])
        )
        true -= self.bond if len(point.knobs) > 2 and all(point.knobs[1:]) else 0.0
        return {name: float(true + more + SD * self.rng.normal()) for name, more in (("looked", 0.0), ("seen", 0.1))}

    def card(self, edits: tuple[Edit, ...], *, by: str, kind: Kind = "tune", **given: Any) -> Card:
        told = generator(len(self.cards), "prediction")
        middle = float(0.01 * told.normal())
        card = Card(
            id=card_id(f"b{len(self.cards)}" if given.get("needs") else "b", edits, kind), number=len(self.cards),
            kind=kind, edits=edits, parent="incumbent", proposer=by, hypothesis=f"even gains by {by}'s idea {HOSTILE}.",
            mechanism="less noise", falsifier="a loss",
            prediction=None if kind == "control" else Prediction(middle, middle - 0.015, middle + 0.015),
            cost=Cost(redo=("re-decide", "re-gather", "re-train") if len(edits) > 1 else ("re-train",), nodes=3),
            seeds=(FIRST_SEED + sum(other.edits == edits for other in self.cards),), plan="f" * 64,
        )  # fmt: skip
        card = replace(card, **given)
        self.cards.append(card)
        return card

    def fresh(self) -> tuple[Edit, ...]:
        """Return the edits of a point drawn anew."""
        share = float(self.rng.uniform(0.05, 0.95))
        places = [float(self.rng.uniform()) if self.rng.uniform() < 0.4 else place for place in self.space.base.knobs]
        return self.space.edits_of(
            self.space.space.point([1 - share, share], [round(place) if n else place for n, place in enumerate(places)])
        )

    def write_batch(
        self, cards: list[Card], *, refused: dict[int, str] | None = None, remarks: list[dict[str, Any]] | None = None
    ) -> None:
        """Write cards down as the next batch."""
        told = [
            {"number": number, "result": Result(self.cards[number].id, "refused", why=why).told}
            for number, why in (refused or {}).items()
        ]
        body = {"batch": self.batch, "cards": [card.told for card in cards], "refused": told, "remarks": remarks or []}
        self.ledger.append("batch", body)
        self.batch += 1

    def write_results(self, cards: list[Card], *, failed: dict[int, str] | None = None) -> None:
        """Write what became of cards."""
        results = []
        for card in cards:
            if card.number in (failed or {}):
                result = Result(card.id, "failed", why=(failed or {})[card.number])
            else:
                values = {str(seed): self.goal(card) for seed in card.seeds}
                goals = {seed: (3 * each["looked"] + each["seen"]) / 4 for seed, each in values.items()}
                result = Result(card.id, "done", values=values, goals=goals)
            results.append({"number": card.number, "result": result.told})
        self.ledger.append("results", {"results": results, "supply": {}})

    def clock(self, *, nights: int, hours: float) -> None:
        write_record(self.folder / "clock.json", {"nights": nights, "seconds": hours * 3600})


def search_of(
    house: House, *, cards: int, nights: int = 1, lost: int = 2, open_: bool = False, seed: int = 0
) -> Writer:
    """Write a search of so many experiments: controls, fresh points of four proposers, some that were lost.

    The last batch has no results where `open_`.
    """
    writer = Writer(house, seed=seed)
    controls = [writer.card((), by="control", kind="control") for _ in range(3)]
    writer.write_batch(controls)
    writer.write_results(controls)
    names, places = ("gp", "gp", "optuna", "random", "claude"), 0
    while places < cards - 3:
        count = min(8, cards - 3 - places)
        batch = [
            writer.card((), by="control", kind="control")
            if (places + n) % 20 == 19
            else writer.card(writer.fresh(), by=names[(places + n) % len(names)])
            for n in range(count)
        ]
        places += count
        refused: dict[int, str] = {}
        remarks: list[dict[str, Any]] = []
        if lost and writer.batch % 3 == 1:
            bad = writer.card((Edit("set", "gate.min_gain", 0.001 * writer.batch),), by="claude", kind="structural")
            refused[bad.number] = f"{house.recipe}: gate.min_gain judges, and no proposal may touch it."
            batch.append(bad)
            remarks.append(
                {
                    "what": "advice",
                    "batch": writer.batch,
                    "proposer": "claude",
                    "words": "",
                    "unusable": [],
                    "usd": 0.02,
                }
            )
        writer.write_batch(batch, refused=refused, remarks=remarks)
        if open_ and places >= cards - 3:
            break
        tried = [card for card in batch if card.number not in refused]
        failed = (
            {tried[1].number: "its loss is not finite"} if lost and writer.batch % 2 == 0 and tried[1].edits else {}
        )
        writer.write_results(tried, failed=failed)
    writer.clock(nights=nights, hours=0.2 * math.ceil(cards / 8))
    return writer


def with_waiting(writer: Writer, count: int = 2) -> list[Card]:
    """Write down cards that wait for a person."""
    waiting = [
        writer.card(
            (replace(OUTSIDE, value=500 + 100 * number),), by="claude", kind="structural",
            needs=f"{OUTSIDE.words}: lies outside the space",
            cost=Cost(("re-gather", "re-label", "re-train"), 9, 1, 1.25),
        )
        for number in range(count)
    ]  # fmt: skip
    writer.write_batch(waiting)
    return waiting


def with_claim(
    writer: Writer, outcome: str = "promote", *, gain: float = 0.02, attributed: bool = True
) -> tuple[Edit, ...]:
    """Write down a claim of a head of two edits, its verdict, and what its edits are worth."""
    space = writer.space
    head = space.edits_of(space.space.point([1 - BEST, BEST], [0.0, *space.base.knobs[1:]]))
    writer.ledger.append("search_ended", {"why": "budget", "words": "All experiments of the budget were run."})
    writer.ledger.append(
        "claim_opened",
        {
            "head": [edit.told for edit in head], "expected": 0.024, "sd": 0.004, "probability_better": 0.99,
            "lanes": 2, "seeds": 5, "first_seed": 0, "optimism": 0.003, "power": 0.94, "detectable": 0.019,
        },
    )  # fmt: skip
    words = {"promote": "Promote", "reject": "Reject", "undecided": "Undecided"}[outcome]
    writer.ledger.append(
        "claimed",
        {
            "outcome": outcome, "sentence": f"{words}: head needs {gain:.3f} bits per byte less than even.",
            "report": "reports/small-claim.html", "gain": gain, "low": gain - 0.008, "high": gain + 0.008,
            "odds": 1234.5, "odds_needed": 20.0, "next_step": "Ask for 9 seeds.", "confidence": 0.95, "look": 2,
            "guards": [{"domain": "judged", "gain": 0.004, "low": -0.002, "status": "kept", "max_loss": 0.01}],
            "certificate": "c" * 64, "waits": True,
        },
    )  # fmt: skip
    if outcome == "promote" and attributed:
        parts = [head, *(tuple(other for other in head if other != edit) for edit in head)]
        cards = [
            writer.card(
                part, by="attribution", kind="ablation", parent="head", prediction=None, seeds=(1000, 1001, 1002)
            )
            for part in parts
        ]
        writer.write_batch(cards)
        writer.write_results(cards)
        results = {told["number"]: told["result"]["goals"] for told in writer.ledger.events[-1].body["results"]}
        whole, rows = results[cards[0].number], []
        for card, edit in zip(cards[1:], head, strict=True):
            paired = [results[card.number][seed] - whole[seed] for seed in whole]
            worth = sum(paired) / len(paired)
            sd = math.sqrt(sum((each - worth) ** 2 for each in paired) / (len(paired) - 1) / len(paired))
            rows.append(
                {"edit": edit.told, "worth": worth, "sd": sd, "pairs": len(paired), "seeds": [int(s) for s in whole]}
            )
        writer.ledger.append("attributed", {"edits": rows})
    else:
        writer.ledger.append("attributed", {"edits": []})
    writer.ledger.append("ended", {"why": words})
    return head
