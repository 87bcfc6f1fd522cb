"""What an adviser may see of a search: plain JSON of the open numbers, and nothing that judges.

What is shown is chosen, not what is hidden: datasets that the incumbent or an open held-out set is made of, of each
step the parameters that a proposal may set, of each card what it measured on the open sets. So no name of a set that
only the claim opens, no document, no verdict, no file and no key can be in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.core.step import Params
from pipeline.recipe.edits import OPEN_ROLES
from pipeline.recipe.names import step_class
from pipeline.research.edits.space import EditSpace
from pipeline.research.record.card import Card
from pipeline.research.record.fold import gain_of
from pipeline.research.search.search import Search

if TYPE_CHECKING:
    from eval.loop.state import State

MOST_CARDS = 60  # the best and the worst of them
MOST_REFUSED = 20
MOST_OWN = 6
MOST_WHY = 300  # characters
OF_A_CLAIM = "head"  # parent of cards that take a claimed head apart
LEAST_KNOWN, MOST_DECIMALS = 4, 6  # decimals while chance is not known, and at most
PATH = re.compile(r"\S*[/\\]\S*")  # in what errors say


def view_of(search: Search, space: EditSpace, state: State, *, adviser: str) -> dict[str, Any]:
    """Return the view: recipe without its gate, space with ranges, head, chance, what cards and own ideas showed.

    Held-out sets are named as what the search looks at; what the claim is judged by is in no view.
    """
    from eval.loop.state import head

    research, chance = search.research, state.lane_sd()
    best, decimals = head(state), decimals_of(chance)
    return {
        "batch": search.standing.batches,
        "incumbent": research.incumbent,
        "mixture": search.bench.data["mixtures"][research.incumbent],
        "datasets": dict(_datasets(search, space)),
        "looked_at": sorted(research.on),
        "space": _space(space),
        "most_edits": research.most_edits,
        "goal": "fewer bits per byte on what is looked at; gains are over the incumbent, positive is better",
        "one_proxy_differs_by_chance": None if chance is None else round(chance, decimals),
        "head": {
            "edits": [edit.told for edit in space.edits_of(best.point)],
            "gain": round(best.gain, decimals), "sd": round(best.sd, decimals),
        },
        "cards": _cards(search, decimals),
        "yours": _own(search, adviser, decimals),
        "refused": _refused(search, adviser),
        "findings": [_finding(search, told, decimals) for told in search.findings],
        "experiments_left": max(0, research.budget.experiments - search.standing.tried),
    }  # fmt: skip


def decimals_of(chance: float | None) -> int:
    """Return how many decimals of bits per byte say anything: to a hundredth of what a proxy differs by, at least.

    What stands behind them is noise, and each digit of a number costs whoever is shown it.
    """
    if chance is None or not chance > 0:
        return LEAST_KNOWN
    return min(max(1 - math.floor(math.log10(chance)), 1), MOST_DECIMALS)


def _finding(search: Search, told: Mapping[str, Any], decimals: int) -> dict[str, Any]:
    """Return a finding with what came of acting on it."""
    weighed = search.standing.weighed.get(told.get("id", ""))
    if weighed is None:
        return dict(told)
    known = {key: round(weighed[key], decimals) for key in ("gain", "low", "high") if key in weighed}
    return {**told, "tried_by": weighed["card"], "verdict": weighed["verdict"], **known}


def _datasets(search: Search, space: EditSpace) -> Iterator[tuple[str, Any]]:
    """Yield what the incumbent and the open held-out sets are made of and what may move, in the recipe's order."""
    recipe, closed = search.recipe, _closed(search)
    moving = {
        name for name in recipe.datasets for axis in space.axes if f"{axis.place}.".startswith(f"datasets.{name}.")
    }
    waiting = [*recipe.mixtures[search.research.incumbent].weights, *search.research.on, *moving]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in recipe.datasets and name not in found | closed:
            found.add(name)
            waiting += recipe.datasets[name].inputs
    for name, body in search.bench.data["datasets"].items():
        if name in found:
            yield name, _dataset(body)


def _closed(search: Search) -> set[str]:
    """Return the held-out sets that only the claim opens."""
    return set(search.gate.on) - set(search.research.on)


def _dataset(body: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: body[key] for key in ("from", "by_topic") if key in body}
    if "make" in body:
        shown["make"] = _step(body["make"])
    return shown | {"steps": [_step(entry) for entry in body.get("steps") or ()]}


def _step(entry: Any) -> Any:
    """Return a step with the parameters that a proposal may set: none that names files or datasets, guards or paces."""
    if not isinstance(entry, Mapping):
        return entry
    ((name, given),) = entry.items()
    if not isinstance(given, Mapping):
        return entry
    params: type[Params] = step_class(name).Params
    shown = {key: value for key, value in given.items() if _is_open(params, key, value)}
    return {name: shown} if shown else name


def _is_open(params: type[Params], key: str, value: Any) -> bool:
    return key in params.model_fields and params.role_of(key) in OPEN_ROLES and not PATH.search(str(value))


def _space(space: EditSpace) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if space.space.limits is not None and space.base.weights is not None:
        limits = space.space.limits
        found.append(
            {
                "op": "weight", "place": f"mixtures.{space.incumbent}", "all_sum_to": 1,
                "least": dict(zip(limits.names, limits.low_D.round(4).tolist(), strict=True)),
                "most": dict(zip(limits.names, limits.high_D.round(4).tolist(), strict=True)),
            }
        )  # fmt: skip
    for axis in space.axes:
        told: dict[str, Any] = {"op": axis.op, "place": axis.place}
        if axis.flags:
            found += [
                {"op": edit.op, "place": edit.place} | ({"value": edit.value} if edit.value is not None else {})
                for edit in axis.flags
            ]
        elif axis.knob.is_ordered:
            found.append(told | {"low": axis.knob.low, "high": axis.knob.high, "now": axis.own})
        else:
            found.append(told | {"one_of": list(axis.knob.values), "now": axis.own})
    return found


def _cards(search: Search, decimals: int) -> list[dict[str, Any]]:
    """Return what cards showed, the best and the worst first where there are too many.

    Those that take a head apart are left out: that there are any tells that its claim held.
    """
    standing, rows = search.standing, list[dict[str, Any]]()
    for number, card in standing.cards.items():
        gain = gain_of(standing, number)
        if gain is not None and card.edits and card.parent != OF_A_CLAIM:
            rows.append(
                {"card": card.id, "edits": card.words, "gain": round(gain, decimals), "proposer": card.proposer}
            )
    rows.sort(key=lambda row: -row["gain"])
    half = MOST_CARDS // 2
    return rows if len(rows) <= MOST_CARDS else rows[:half] + rows[-half:]


def _own(search: Search, adviser: str, decimals: int) -> list[dict[str, Any]]:
    """Return what became of an adviser's last ideas, the newest last, beside what it predicted."""
    standing, rows = search.standing, list[dict[str, Any]]()
    for number, card in standing.cards.items():
        if card.proposer == adviser and card.edits:
            gain, result = gain_of(standing, number), standing.results.get(number)
            row: dict[str, Any] = {
                "kind": kind_of(card),
                "edits": card.words,
                "status": result.status if result else "waiting",
            }
            row |= {} if gain is None else {"gain": round(gain, decimals)}
            row |= {} if card.prediction is None else {"predicted": round(card.prediction.median, decimals)}
            rows.append(row)
    return rows[-MOST_OWN:]


def kind_of(idea: Card | Any) -> str:
    """Return of what kind edits are, for an eye on variety: the operations among them."""
    return "+".join(sorted({edit.op for edit in idea.edits}))


def _refused(search: Search, adviser: str) -> list[dict[str, str]]:
    """Return what was rejected or failed, not to be proposed again, and once what this adviser was refused."""
    standing, found = search.standing, list[dict[str, str]]()
    asked = max((mark["batch"] for mark in standing.remarks if _is_advice(mark, adviser)), default=-1)
    closed = _closed(search)
    for number, result in standing.results.items():
        card = standing.cards[number]
        if card.parent == OF_A_CLAIM:
            continue
        again = result.status == "refused" and (card.proposer, standing.batch_of[number]) == (adviser, asked)
        if again or result.status in ("rejected", "failed"):
            found.append({"edits": card.words, "why": _plain(result.why, closed)[:MOST_WHY]})
    return found[-MOST_REFUSED:]


def _is_advice(remark: Mapping[str, Any], adviser: str) -> bool:
    return remark["what"] == "advice" and remark["proposer"] == adviser


def _plain(why: str, closed: set[str]) -> str:
    """Return why something failed without paths, which name a machine, and without sets that only a claim opens."""
    shown = PATH.sub("(a path)", why)
    for name in sorted(closed):
        shown = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "(a held-out set)", shown)
    return shown
