"""The ledger added up: what was spent, is reserved or in doubt, and what batches and prompt caching saved; by buyer.

Everything comes from the counts of tokens that the service gave and the price that each answer was stamped with, so a
saving is told only where the price file still has that row. A saving is against the same tokens at the full price: one
by one instead of in batches, read anew instead of from the cache. Caching that was never read costs more than it saves,
and is then below zero. An answer that several recipes use stands with the one that bought it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.core.claude.abilities.self_test import PURPOSE
from pipeline.core.claude.batches.lines import NOT_BELIEVED
from pipeline.core.claude.ledger.layout import SAYS_BUYER, layout_of, reading
from pipeline.core.claude.ledger.ledger import PAID
from pipeline.core.claude.prices import NANO, BilledTokens, Price, Prices, cost_nano

# One row for each price: a saving is linear in tokens within it.
ANSWERS = f"""
SELECT {{buyer}}, model, price, coalesce(sent_in != 'single' OR json_extract(usage, '$.service_tier') = 'batch', 0),
    coalesce(json_extract(usage, '$.inference_geo') = 'us', 0), count(*), {PAID},
    total(json_extract(usage, '$.input_tokens')), total(json_extract(usage, '$.output_tokens')),
    total(json_extract(usage, '$.cache_creation_input_tokens')),
    total(json_extract(usage, '$.cache_creation.ephemeral_1h_input_tokens')),
    total(json_extract(usage, '$.cache_read_input_tokens'))
FROM answers JOIN attempts USING (attempt) JOIN requests ON requests.id = answers.request
GROUP BY 1, 2, 3, 4, 5, 6
"""
OTHERS = """
SELECT {buyer}, model, outcome IS NULL, count(*), sum(reserved_nano)
FROM attempts JOIN requests ON requests.id = attempts.request
WHERE outcome IS NULL OR outcome = 'in_doubt' GROUP BY 1, 2, 3, 4
"""
BY_STEP = f"""
SELECT step, {PAID} FROM answers JOIN attempts USING (attempt)
WHERE recipe IN ({{recipes}}) AND step != '' GROUP BY step ORDER BY step
"""
BUYER = (
    f"attempts.recipe, CASE purpose WHEN '{PURPOSE}' THEN purpose ELSE coalesce(nullif(attempts.step, ''), purpose) END"
)
NOBODY_KNOWN = "'', purpose"  # before the ledger said who bought


@dataclass(frozen=True, slots=True)
class BillLine:
    """What one step of a recipe asked of one model. `step` is the purpose of the request where no step was recorded."""

    recipe: str
    step: str
    model: str
    answers: int = 0
    input_tokens: int = 0  # cached ones included
    output_tokens: int = 0
    spent_usd: float = 0.0
    on_its_way: int = 0
    reserved_usd: float = 0.0  # for what is on its way, or was when a run was killed: the next run settles that
    in_doubt: int = 0  # sent without an answer, and may have been billed
    in_doubt_usd: float = 0.0  # at most
    not_believed: int = 0  # answers whose tokens cannot be right: spent is the most, and the tokens are left out
    saved_by_batches_usd: float | None = 0.0  # None: by a price that the file does not have
    saved_by_cache_usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Bill:
    """All lines, and their sum."""

    lines: tuple[BillLine, ...]
    total: BillLine
    unknown_prices: tuple[str, ...]  # stamps by which something was paid and that the price file does not have


def bill_of(path: Path, *, prices: Prices) -> Bill:
    """Add up a ledger, which another process may hold; without one there are no lines."""
    with reading(path) as database:
        if database is None:
            return Bill((), BillLine("", "", ""), ())
        buyer = BUYER if layout_of(database) >= SAYS_BUYER else NOBODY_KNOWN
        bought = database.execute(ANSWERS.format(buyer=buyer)).fetchall()
        others = database.execute(OTHERS.format(buyer=buyer)).fetchall()
    rows = {row.stamp: row for row in prices.rows}
    found = [_bought(row, rows) for row in bought] + [_other(row) for row in others]
    unknown = sorted({row[3] for row in bought if row[3] not in rows and row[3] != NOT_BELIEVED})
    by_buyer: dict[tuple[str, str, str], list[BillLine]] = {}
    for line in found:
        by_buyer.setdefault((line.recipe, line.step, line.model), []).append(line)
    lines = tuple(_summed(by_buyer[key]) for key in sorted(by_buyer))
    return Bill(lines, replace(_summed(lines), recipe="", step="", model=""), tuple(unknown))


def usd_by_step(path: Path, *, recipes: Collection[str]) -> dict[str, float]:
    """Return the dollars of the answers that steps of some recipes bought, as `dataset.step`, finished or not.

    Another process may hold the ledger. One of before it said who bought tells nothing.
    """
    with reading(path) as database:
        if database is None or layout_of(database) < SAYS_BUYER:
            return {}
        marks = ",".join("?" * len(recipes))
        rows = database.execute(BY_STEP.format(recipes=marks), tuple(recipes)).fetchall()
    return {str(step): int(nano) / NANO for step, nano in rows}


def _bought(row: Sequence[object], prices: dict[str, Price]) -> BillLine:
    recipe, step, model, stamp, batch, us_only, count, nano, *counts = row
    if stamp == NOT_BELIEVED:
        number = int(str(count))
        spent = int(str(nano)) / NANO
        return BillLine(str(recipe), str(step), str(model), answers=number, spent_usd=spent, not_believed=number)
    input, output, written, one_hour, read = (round(float(str(value))) for value in counts)
    tokens = BilledTokens(
        input=input, output=output, cache_write_5m=max(written - one_hour, 0), cache_write_1h=one_hour,
        cache_read=read, batch=bool(batch), us_only=bool(us_only),
    )  # fmt: skip
    price = prices.get(str(stamp))
    paid = 0 if price is None else cost_nano(price, tokens)
    one_by_one = 0 if price is None else cost_nano(price, replace(tokens, batch=False))
    unread = replace(tokens, input=tokens.prompt, cache_write_5m=0, cache_write_1h=0, cache_read=0)
    uncached = 0 if price is None else cost_nano(price, unread)
    return BillLine(
        str(recipe), str(step), str(model), answers=int(str(count)), input_tokens=tokens.prompt, output_tokens=output,
        spent_usd=int(str(nano)) / NANO,
        saved_by_batches_usd=None if price is None else (one_by_one - paid) / NANO,
        saved_by_cache_usd=None if price is None else (uncached - paid) / NANO,
    )  # fmt: skip


def _other(row: Sequence[object]) -> BillLine:
    recipe, step, model, is_open, count, nano = row
    usd, number = int(str(nano)) / NANO, int(str(count))
    line = BillLine(str(recipe), str(step), str(model))
    if is_open:
        return replace(line, on_its_way=number, reserved_usd=usd)
    return replace(line, in_doubt=number, in_doubt_usd=usd)


def _summed(lines: Sequence[BillLine]) -> BillLine:
    """Add lines up; the names are those of the first."""
    if not lines:
        return BillLine("", "", "")
    return BillLine(
        lines[0].recipe, lines[0].step, lines[0].model,
        answers=sum(line.answers for line in lines),
        input_tokens=sum(line.input_tokens for line in lines),
        output_tokens=sum(line.output_tokens for line in lines),
        spent_usd=sum(line.spent_usd for line in lines),
        on_its_way=sum(line.on_its_way for line in lines),
        reserved_usd=sum(line.reserved_usd for line in lines),
        in_doubt=sum(line.in_doubt for line in lines),
        in_doubt_usd=sum(line.in_doubt_usd for line in lines),
        not_believed=sum(line.not_believed for line in lines),
        saved_by_batches_usd=_known(line.saved_by_batches_usd for line in lines),
        saved_by_cache_usd=_known(line.saved_by_cache_usd for line in lines),
    )  # fmt: skip


def _known(amounts: Iterable[float | None]) -> float | None:
    """Return the sum of what is known; None where nothing is."""
    found = list(amounts)
    known = [amount for amount in found if amount is not None]
    return sum(known) if known else None
