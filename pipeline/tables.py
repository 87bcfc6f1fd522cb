"""Results as plain text for a terminal: short, exact, with the next step. Returns strings; `cli.py` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.outcome import Outcome
    from pipeline.plan import Plan


def table(rows: Sequence[Sequence[object]], *, head: Sequence[str]) -> str:
    """Return rows as aligned columns; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(head[i]), *(len(row[i]) for row in cells)) if cells else len(head[i]) for i in range(len(head))]
    right = [all(isinstance(row[i], (int, float)) or row[i] is None for row in rows) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()

    return "\n".join([line(head), *(line(row) for row in cells)])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return str(value)


def plan_rows(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data."""
    from pipeline.core.card import read_card

    nodes = [
        {
            "kind": node.kind, "name": node.name, "action": "reuse" if node.complete else "build", "reason": node.reason,
            "rows": read_card(node.folder).rows_out if node.complete else None, "max_cost_usd": node.cost_usd, "identity": node.identity,
        }
        for node in plan.nodes
    ]  # fmt: skip
    return {
        "recipe": plan.recipe.name,
        "nodes": nodes,
        "to_build": len(plan.to_build),
        "max_cost_usd": sum(node.cost_usd for node in plan.nodes),
    }


def plan_text(plan: Plan) -> str:
    """Return a plan as a table and one closing line."""
    data = plan_rows(plan)
    rows = [[n["action"], n["kind"], n["name"], n["rows"], n["reason"]] for n in data["nodes"]]
    body = table(rows, head=["action", "kind", "name", "rows", "reason"])
    cost = f"at most ${data['max_cost_usd']:.2f}" if data["max_cost_usd"] else "no paid requests"
    todo = f"{data['to_build']} of {len(rows)} to build, {cost}." if data["to_build"] else "Nothing to do."
    return f"{body}\n\n{todo}"


def outcome_text(outcome: Outcome) -> str:
    """Return the end of a run in a few lines."""
    did = (
        f"built {len(outcome.built)}, reused {outcome.reused}"
        if outcome.built
        else "nothing to do, all results are there"
    )
    cost = f", ${outcome.cost_usd:.2f}" if outcome.cost_usd else ""
    lines = [f"{outcome.recipe}: {did} ({outcome.seconds:.1f} s{cost})", outcome.sentence]
    if outcome.promoted:
        lines.append(f"registry: {outcome.promoted}")
    return "\n".join([*lines, f"report: {outcome.report}"])
