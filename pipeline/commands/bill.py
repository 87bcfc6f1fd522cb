"""The verb `bill`: what paid requests cost, for whom, and what was saved; or the same money by other prices."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.flags import AS_JSON, FILE, WORKSPACE
from pipeline.commands.questions import VerbAnswer

if TYPE_CHECKING:
    from pipeline.core.claude.accounting.bill import Bill, BillLine
    from pipeline.core.claude.accounting.recost import Recost

HEAD = (
    "recipe", "step", "model", "answers", "spent", "reserved", "in doubt", "saved by batches", "saved by cache",
)  # fmt: skip


@click.option("--recost", "anew", is_flag=True, help="Cost all answers anew by --prices, and store that.")
@click.option("--prices", type=FILE, help="A price file of your own; else pipeline/core/claude/prices.toml.")
@WORKSPACE
@AS_JSON
def bill(*, anew: bool, prices: Path | None, workspace: Path, as_json: bool) -> VerbAnswer:
    """Tell what paid requests cost: spent, reserved, in doubt and saved, by recipe, step and model."""
    from pipeline.core.claude.accounting.bill import bill_of
    from pipeline.core.claude.accounting.recost import recost
    from pipeline.core.claude.prices import load_prices
    from pipeline.store.workspace import Workspace

    ledger, rows = Workspace(workspace).ledger, load_prices(prices)
    if anew:
        changed = recost(ledger, prices=rows)
        return VerbAnswer(asdict(changed), recost_text(changed, place=rows.path))
    found = bill_of(ledger, prices=rows)
    return VerbAnswer(asdict(found), bill_text(found, place=rows.path))


def bill_text(found: Bill, *, place: Path) -> str:
    """Return the lines of a bill as a table, and what has to be known of them."""
    from pipeline.commands.texts import table

    if not found.lines:
        return "Nothing was ever paid."
    rows = [_row(line) for line in found.lines]
    rows += [["all", *_row(found.total)[1:]]] if len(rows) > 1 else []
    lines = [table(rows, head=HEAD)]
    if found.total.on_its_way:
        lines.append(f"Reserved: the most that {found.total.on_its_way:,} requests on their way can cost.")
    if found.total.in_doubt:
        lines.append(f"In doubt: {found.total.in_doubt:,} requests without an answer may have been billed, at most so.")
    if found.total.not_believed:
        lines.append(
            f"{found.total.not_believed:,} answers came with counts of tokens that cannot be right: they count at the "
            "most that each could cost, and nothing is told of savings by them."
        )
    if (found.total.saved_by_cache_usd or 0) < 0:
        lines.append("Prompt caching cost more than it saved: less was read from the cache than was written to it.")
    if found.unknown_prices:
        missing = "; ".join(found.unknown_prices)
        lines.append(f"Savings (-) of what was paid by prices that {place} does not have are not known: {missing}.")
    return "\n".join(lines)


def _row(line: BillLine) -> list[object]:
    from pipeline.core.claude.prices import dollars

    saved = (line.saved_by_batches_usd, line.saved_by_cache_usd)
    return [
        line.recipe or "-", line.step, line.model, line.answers, dollars(line.spent_usd),
        dollars(line.reserved_usd, up=True), dollars(line.in_doubt_usd, up=True),
        *("-" if usd is None else f"lost {dollars(-usd)}" if usd < 0 else dollars(usd) for usd in saved),
    ]  # fmt: skip


def recost_text(done: Recost, *, place: Path) -> str:
    """Return what other prices made of the costs in the ledger."""
    from pipeline.core.claude.prices import dollars

    lines = []
    for one in done.models:
        told = f"{one.model}: {one.changed:,} of {one.answers:,} answers have another cost"
        told += f", {dollars(one.before_usd)} -> {dollars(one.after_usd)}" if one.changed else ""
        if one.bounds_before_usd != one.bounds_after_usd:
            before, after = dollars(one.bounds_before_usd, up=True), dollars(one.bounds_after_usd, up=True)
            told += f"; in doubt or on their way {before} -> {after}"
        lines.append(f"{told}.")
    lines += [f"{model}: {place} has no price of its days; its costs stay." for model in done.unpriced]
    if any(one.changed for one in done.models):
        lines.append(
            "The ledger has the new costs, and caps count by them. Cards of finished results keep what they say."
        )
    return "\n".join(lines) or "Nothing was ever paid."
