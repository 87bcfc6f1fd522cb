"""Two kinds of arithmetic told as a story: a number of things that changes, and a shopping bill."""

from __future__ import annotations

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import PEOPLE, THINGS, TOWNS, counted, listed

# A number of things that changes -----------------------------------------------------------------------------------

GAIN = (
    "{p} buys {k} more",
    "{friend} gives {p} {k} more",
    "{p} finds {k} more in a drawer",
    "{p} receives {k} in the post",
    "{p} collects another {k}",
    "{p} wins {k} in a raffle",
)
LOSS = (
    "{p} gives {k} to {friend}",
    "{p} sells {k} at the market",
    "{p} loses {k} on the way home",
    "{p} donates {k} to the school",
    "{friend} borrows {k}",
    "{p} lends {k} to {friend}",
)
TIMES = {
    2: ("{p} manages to double the number", "the number doubles"),
    3: ("{p} manages to triple the number", "the number triples"),
}
SHARE = {
    2: "{p} gives half of them to {friend}",
    3: "{p} gives a third of them to {friend}",
    4: "{p} gives a quarter of them to {friend}",
}
WHEN = (
    "On Monday",
    "The next day",
    "In the afternoon",
    "A week later",
    "Before lunch",
    "During the holidays",
    "In the evening",
    "Soon after",
    "At the weekend",
    "A month later",
)


def story(draw: Draw, difficulty: int) -> Task:
    """Return a task about a number of things that grows and shrinks."""
    person, friend = draw.sample(PEOPLE, 2)
    thing = draw.choice(THINGS)
    top = (20, 60, 150, 400, 900)[difficulty - 1]
    start = count = draw.integer(top // 3, top)
    events, steps = [], [f"the count begins at {start}"]
    names = iter((person.he, person.name, *[person.he] * 8))
    for _ in range(difficulty + 1):
        p = next(names)
        kind, amount = draw.below(10), draw.integer(2, max(3, top // 3))
        divisor = draw.choice((2, 3, 4))
        if kind < 4 or (kind < 8 and amount >= count):
            clause, after, sum_ = draw.choice(GAIN), count + amount, f"{count} + {amount}"
            why = "add"
        elif kind < 8:
            clause, after, sum_ = draw.choice(LOSS), count - amount, f"{count} - {amount}"
            why = "take away"
        elif kind == 8 and count % divisor == 0 and count > divisor:
            clause, after = SHARE[divisor], count - count // divisor
            why, amount = "part with", count // divisor
            sum_ = f"{count} - {amount}"
        else:
            factor = draw.choice((2, 3))
            clause, after, sum_, why = draw.choice(TIMES[factor]), count * factor, f"{count} * {factor}", "multiply"
            amount = factor
        events.append(clause.format(p=p, k=amount, friend=friend.name))
        verb = {
            "add": f"add the {amount}",
            "take away": f"take away the {amount}",
            "part with": f"the part given away is {amount}",
        }
        steps.append(f"{verb.get(why, f'multiply by {amount}')}: {sum_} = {after}")
        count = after
    whens = draw.sample(WHEN, len(events))
    told = [f"{when}, {event}." for when, event in zip(whens, events, strict=True)]
    opening = draw.choice(
        (
            f"{person.name} has {counted(start, thing)}.",
            f"At first {person.name} has {counted(start, thing)}.",
            f"{person.name} owns {counted(start, thing)}.",
            f"In a box {person.name} keeps {counted(start, thing)}.",
            f"There are {counted(start, thing)} in {person.name}'s collection."
            if start > 1
            else f"{person.name} has one {thing[1]}.",
        )
    )
    ask = draw.choice(
        (
            "How many {t} does {p} have now?",
            "How many {t} are there in the end?",
            "What is the final number of {t}?",
            "How many {t} does {p} end up with?",
            "Find the number of {t} that {p} has at the end.",
            "After all this, how many {t} are left with {p}?",
            "Work out how many {t} {p} has at the end.",
        )
    ).format(t=thing[0], p=person.name)
    close = draw.choice(
        (
            f"In the end {person.name} has {counted(count, thing)}.",
            f"So {person.name} ends up with {counted(count, thing)}.",
            f"The final number of {thing[0]} is {count}.",
        )
    )
    title = draw.choice((f"Counting {thing[0]}", "A changing collection", "Keeping count", f"How many {thing[0]}?"))
    facts = {"kind": "story", "start": start, "events": events}
    return Task("arithmetic", difficulty, title, (opening, *told), ask, str(count), tuple(steps), close, facts)


# A bill ------------------------------------------------------------------------------------------------------------


def _money(cents: int) -> str:
    return f"${cents // 100}.{cents % 100:02d}"


def bill(draw: Draw, difficulty: int) -> Task:
    """Return a task about a sum of prices, or the change due."""
    person, town = draw.choice(PEOPLE), draw.choice(TOWNS)
    lines = [
        (draw.integer(2, 4 + 2 * difficulty), thing, draw.integer(5, 60 + 40 * difficulty) * 5 + draw.choice((0, 0, 4)))
        for thing in draw.sample(THINGS, 1 + (difficulty + 2) // 2)
    ]
    total = sum(count * price for count, _, price in lines)
    steps = [
        f"{counted(count, thing)} cost {count} * {price / 100:.2f} = {count * price / 100:.2f} dollars"
        for count, thing, price in lines
    ]
    if len(lines) > 1:
        terms = " + ".join(f"{count * price / 100:.2f}" for count, _, price in lines)
        steps.append(f"together that is {terms} = {total / 100:.2f} dollars")
    bought = listed([f"{counted(count, thing)} at {_money(price)} each" for count, thing, price in lines])
    shop = draw.choice(
        ("a market stall", "the corner shop", "a small store", "the museum shop", "a flea market", "the village shop")
    )
    opening = draw.choice(
        (
            f"{person.name} buys {bought}.",
            f"At {shop} in {town}, {person.name} picks out {bought}.",
            f"The receipt from {shop} lists {bought}.",
            f"An order from {town} consists of {bought}.",
            f"{person.name} fills a basket with {bought}.",
            f"For a school event, {person.name} needs {bought}.",
        )
    )
    change = difficulty >= 2 and draw.chance(50)
    if not change:
        ask = draw.choice(
            (
                "What is the total cost?",
                "How much does all of it cost together?",
                "What is the total price?",
                "Find the total.",
                "How much money is needed for everything?",
                "What does the whole purchase come to?",
            )
        )
        close = draw.choice(("The total is {a}.", "Everything together costs {a}.", "The bill comes to {a}."))
        answer = _money(total)
    else:
        paid = next(note for note in (1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000) if note > total)
        note = f"${paid // 100}"
        ask = draw.choice(
            (
                f"How much change is due from {note}?",
                f"The customer pays with {note}. How much change comes back?",
                f"What is the change if {note} is handed over?",
                f"If {note} is paid, how much money is returned?",
            )
        )
        steps.append(f"the change is {paid / 100:.2f} - {total / 100:.2f} = {(paid - total) / 100:.2f} dollars")
        answer = _money(paid - total)
        close = draw.choice(("The change is {a}.", "So {a} comes back.", "The customer gets {a} back."))
    title = draw.choice(
        ("A shopping bill", "Adding up prices", "At the till", "Prices and change" if change else "Total cost")
    )
    facts = {"kind": "bill", "lines": [[count, thing[0], price] for count, thing, price in lines], "change": change}
    return Task("arithmetic", difficulty, title, (opening,), ask, answer, tuple(steps), close.format(a=answer), facts)
