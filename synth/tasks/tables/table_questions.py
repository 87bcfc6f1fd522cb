"""Questions about a small table: look-ups, extremes, sums, means, counts and filters, in four ways to write a table."""

from __future__ import annotations

from dataclasses import dataclass

from synth.tasks.draw import Draw
from synth.tasks.tables.table_forms import FORMS, THEMES, Table, Theme
from synth.tasks.task import Task
from synth.tasks.words import NAMES, TOWNS, listed


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty sets the size of the table and what is combined."""
    theme = draw.choice(THEMES)
    picked = draw.sample(theme.columns, min(len(theme.columns), 2 + difficulty // 2))
    names = draw.sample(theme.names, 3 + difficulty + draw.below(2))
    rows = [(name, [draw.integer(low, high) for _, low, high in picked]) for name in names]
    table = Table(theme, [head for head, _, _ in picked], rows)
    kinds = EASY if difficulty == 1 else (*EASY, *HARD) if difficulty < 4 else HARD
    while True:
        asked = draw.choice(kinds)(draw, table)
        if asked is not None:
            break
    form, text = draw.choice(FORMS)
    intro = _intro(draw, theme, len(rows))
    title = draw.choice(
        (
            f"Reading a table of {theme.rows}",
            "A question about a table",
            f"{listed(table.heads)} of some {theme.rows}",
            "Data in rows and columns",
        )
    )
    close = draw.choice(("The answer is {a}.", "So the answer is {a}.", "Hence: {a}.", "This gives {a}.")).format(
        a=asked.answer
    )
    facts = {"form": form, "heads": table.heads, "rows": [[name, *values] for name, values in rows], "kind": asked.kind}
    statement = (intro, text(table))
    return Task(
        "table_questions", difficulty, title, statement, asked.question, asked.answer, asked.steps, close, facts
    )


def _intro(draw: Draw, theme: Theme, count: int) -> str:
    if draw.chance(30):
        return draw.choice((*theme.intros, "Look at the table.", f"This table has one row for each {theme.about}."))
    name, town = draw.choice(NAMES), draw.choice(TOWNS)
    verb = draw.choice(
        (
            "prepares",
            "copies",
            "prints",
            "is reading",
            "has written down",
            "finds",
            "receives",
            "checks",
            "works with",
            "draws up",
        )
    )
    what = draw.choice(("this table", "the following table", "a table", "the table below", "a short table"))
    return draw.choice(
        (
            f"{name} {verb} {what} of {count} {theme.rows}.",
            f"In {town}, {name} {verb} {what} of {theme.rows}.",
            f"For a report, {name} {verb} {what} of {count} {theme.rows}.",
            f"At a meeting in {town}, {name} {verb} {what} of {theme.rows}.",
        )
    )


# What is asked -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    kind: str
    question: str
    answer: str
    steps: tuple[str, ...]


def _lookup(draw: Draw, table: Table) -> _Asked | None:
    head, (name, values) = draw.choice(table.heads), draw.choice(table.rows)
    value = values[table.heads.index(head)]
    ask = draw.choice(
        (
            f"What is the value of {head} for {name}?",
            f"Look up {head} for {name}.",
            f"Which number stands under {head} for {name}?",
        )
    )
    return _Asked(
        "lookup", ask, str(value), (f"go to the row of {name}", f"read the entry under {head}, which is {value}")
    )


def _extreme(draw: Draw, table: Table) -> _Asked | None:
    head = draw.choice(table.heads)
    most = draw.chance(50)
    pairs = sorted(table.column(head), key=lambda pair: -pair[1] if most else pair[1])
    if pairs[0][1] == pairs[1][1]:
        return None
    word = "highest" if most else "lowest"
    ask = draw.choice(
        (
            f"Which {table.theme.about} has the {word} value of {head}?",
            f"Name the {table.theme.about} with the {word} value of {head}.",
            f"Where is {head} {word}? Give the name of the {table.theme.about}.",
        )
    )
    values = ", ".join(str(value) for _, value in table.column(head))
    return _Asked(
        "extreme",
        ask,
        pairs[0][0],
        (f"the values of {head} are {values}", f"the {word} of them is {pairs[0][1]}, in the row of {pairs[0][0]}"),
    )


def _second(draw: Draw, table: Table) -> _Asked | None:
    head = draw.choice(table.heads)
    pairs = sorted(table.column(head), key=lambda pair: -pair[1])
    if len({value for _, value in pairs[:3]}) < 3:
        return None
    ask = draw.choice(
        (
            f"Which {table.theme.about} has the second highest value of {head}?",
            f"Name the {table.theme.about} that comes second when ordered by {head}, highest first.",
        )
    )
    steps = (
        f"the highest value of {head} is {pairs[0][1]} ({pairs[0][0]})",
        f"without that row the highest is {pairs[1][1]} ({pairs[1][0]})",
    )
    return _Asked("second", ask, pairs[1][0], steps)


def _total(draw: Draw, table: Table) -> _Asked | None:
    head = draw.choice([h for h in table.heads if h not in ("Year", "Age")])
    values = [value for _, value in table.column(head)]
    ask = draw.choice(
        (
            f"What is the sum of {head} over all {table.theme.rows}?",
            f"Add up the column {head}.",
            f"Find the total of {head}.",
        )
    )
    running, steps = values[0], []
    if len(values) > 5 and draw.chance(50):
        for value in values[1:]:
            steps.append(f"{running} + {value} = {running + value}")
            running += value
    else:
        steps = [f"{' + '.join(map(str, values))} = {sum(values)}"]
    return _Asked("sum", ask, str(sum(values)), (f"the column {head} holds {', '.join(map(str, values))}", *steps))


def _mean(draw: Draw, table: Table) -> _Asked | None:
    heads = [h for h in table.heads if sum(v for _, v in table.column(h)) * 10 % len(table.rows) == 0]
    if not heads:
        return None
    head = draw.choice(heads)
    values = [value for _, value in table.column(head)]
    tenths = sum(values) * 10 // len(values)
    answer = str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"
    ask = draw.choice(
        (
            f"What is the mean of {head}?",
            f"Find the average of {head} over all {table.theme.rows}.",
            f"Calculate the mean value of the column {head}.",
        )
    )
    return _Asked(
        "mean",
        ask,
        answer,
        (
            f"the sum is {' + '.join(map(str, values))} = {sum(values)}",
            f"there are {len(values)} rows",
            f"{sum(values)} / {len(values)} = {answer}",
        ),
    )


def _limit(draw: Draw, table: Table, head: str) -> tuple[str, int, list[str]]:
    """A condition on a column, worded; its limit; the names that meet it."""
    values = sorted(value for _, value in table.column(head))
    limit = max(draw.choice(values[1:-1]) + draw.integer(-1, 1), 1)
    word, holds = draw.choice(
        (("more than", int.__gt__), ("less than", int.__lt__), ("at least", int.__ge__), ("at most", int.__le__))
    )
    return word, limit, [name for name, value in table.column(head) if holds(value, limit)]


def _count(draw: Draw, table: Table) -> _Asked | None:
    head = draw.choice(table.heads)
    word, limit, names = _limit(draw, table, head)
    ask = draw.choice(
        (
            f"How many {table.theme.rows} have a value of {head} of {word} {limit}?",
            f"Count the {table.theme.rows} for which {head} is {word} {limit}.",
            f"For how many {table.theme.rows} is {head} {word} {limit}?",
        )
    )
    found = f"the condition holds for {listed(names)}" if names else "no row meets the condition"
    return _Asked(
        "count",
        ask,
        str(len(names)),
        (f"compare each value of {head} with {limit}", found, f"that is a count of {len(names)}"),
    )


def _filter(draw: Draw, table: Table) -> _Asked | None:
    head = draw.choice(table.heads)
    word, limit, names = _limit(draw, table, head)
    if not names:
        return None
    ask = draw.choice(
        (
            f"List the {table.theme.rows} for which {head} is {word} {limit}, in the order of the table.",
            f"Which {table.theme.rows} have a value of {head} of {word} {limit}? Keep the order of the table.",
        )
    )
    steps = tuple(
        f"{name} has {value}, which {'meets' if name in names else 'does not meet'} the condition"
        for name, value in table.column(head)
    )
    return _Asked("filter", ask, ", ".join(names), steps)


def _difference(draw: Draw, table: Table) -> _Asked | None:
    head = draw.choice(table.heads)
    (one, a), (two, b) = draw.sample(table.column(head), 2)
    if a == b:
        return None
    ask = draw.choice(
        (
            f"By how much do {one} and {two} differ in {head}?",
            f"What is the difference in {head} between {one} and {two}?",
            f"How far apart are {one} and {two} in {head}?",
        )
    )
    return _Asked(
        "difference",
        ask,
        str(abs(a - b)),
        (f"{one} has {a} and {two} has {b}", f"{max(a, b)} - {min(a, b)} = {abs(a - b)}"),
    )


def _filtered_sum(draw: Draw, table: Table) -> _Asked | None:
    if len(table.heads) < 2:
        return None
    by, head = draw.sample(table.heads, 2)
    word, limit, names = _limit(draw, table, by)
    values = [value for name, value in table.column(head) if name in names]
    if head in ("Year", "Age") or len(values) < 2:
        return None
    ask = draw.choice(
        (
            f"What is the sum of {head} over the {table.theme.rows} for which {by} is {word} {limit}?",
            f"Consider only the {table.theme.rows} for which {by} is {word} {limit}. What is their total of {head}?",
        )
    )
    return _Asked(
        "filtered_sum",
        ask,
        str(sum(values)),
        (f"the condition on {by} leaves {listed(names)}", f"{' + '.join(map(str, values))} = {sum(values)}"),
    )


def _best_of_filtered(draw: Draw, table: Table) -> _Asked | None:
    by, head = draw.sample(table.heads, 2)
    word, limit, names = _limit(draw, table, by)
    pairs = sorted(((name, value) for name, value in table.column(head) if name in names), key=lambda pair: -pair[1])
    if len(pairs) < 2 or pairs[0][1] == pairs[1][1]:
        return None
    ask = draw.choice(
        (
            (
                f"Among the {table.theme.rows} for which {by} is {word} "
                f"{limit}, which one has the highest value of {head}?"
            ),
            (
                f"Take only the {table.theme.rows} for which {by} is {word} "
                f"{limit}. Which of them has the highest value of {head}?"
            ),
        )
    )
    left = ", ".join(f"{name} ({value})" for name, value in pairs)
    return _Asked(
        "best_of_filtered",
        ask,
        pairs[0][0],
        (
            f"the condition on {by} leaves, with their {head}: {left}",
            f"the highest is {pairs[0][1]}, which belongs to {pairs[0][0]}",
        ),
    )


EASY = (_lookup, _extreme, _total, _difference)
HARD = (_second, _mean, _mean, _count, _filter, _filtered_sum, _filtered_sum, _best_of_filtered, _total)
