"""What an adviser may see of a search: plain JSON of the open numbers, and nothing that judges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.research.bench import plain_data
from pipeline.research.fold import gain_of
from pipeline.research.search import Search
from pipeline.research.space import EditSpace

if TYPE_CHECKING:
    from eval.loop.state import State

MOST_CARDS = 60  # the best, the worst and the newest of them


def view_of(search: Search, space: EditSpace, state: State) -> dict[str, Any]:
    """Return the view: recipe without its gate, space with ranges, head, chance, and what cards showed.

    Held-out sets are named as what the search looks at; what the claim is judged by is in no view.
    """
    from eval.loop.state import head

    data = plain_data(search.recipe)
    research = search.research
    best = head(state)
    on = set(research.on)
    closed = {name for name in (*search.gate.on,) if name not in on}
    datasets = {name: body for name, body in data["datasets"].items() if name not in closed}
    return {
        "incumbent": research.incumbent,
        "mixture": data["mixtures"][research.incumbent],
        "datasets": datasets,
        "looked_at": sorted(on),
        "space": _space(space),
        "most_edits": research.most_edits,
        "goal": "fewer bits per byte on what is looked at; gains are over the incumbent, positive is better",
        "one_proxy_differs_by_chance": state.lane_sd(),
        "head": {"edits": [edit.told for edit in space.edits_of(best.point)], "gain": best.gain, "sd": best.sd},
        "cards": _cards(search),
        "refused": _refused(search),
        "experiments_left": max(0, research.budget.experiments - search.standing.tried),
    }


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
        if axis.flag is not None:
            found.append(told | ({"value": axis.flag.value} if axis.flag.value is not None else {}))
        elif axis.knob.is_ordered:
            found.append(told | {"low": axis.knob.low, "high": axis.knob.high, "now": axis.own})
        else:
            found.append(told | {"one_of": list(axis.knob.values), "now": axis.own})
    return found


def _cards(search: Search) -> list[dict[str, Any]]:
    """Return what cards showed, the best and the worst first where there are too many."""
    standing, rows = search.standing, list[dict[str, Any]]()
    for number, card in standing.cards.items():
        gain = gain_of(standing, number)
        if gain is not None and card.edits:
            rows.append({"card": card.id, "edits": card.words, "gain": round(gain, 5), "proposer": card.proposer})
    rows.sort(key=lambda row: -row["gain"])
    half = MOST_CARDS // 2
    return rows if len(rows) <= MOST_CARDS else rows[:half] + rows[-half:]


def _refused(search: Search) -> list[dict[str, str]]:
    """Return what was refused, rejected or failed, with the reason: not to be proposed again."""
    standing = search.standing
    found = [
        {"edits": standing.cards[number].words, "why": result.why[:300]}
        for number, result in standing.results.items()
        if result.status in ("refused", "rejected", "failed")
    ]
    return found[-20:]
