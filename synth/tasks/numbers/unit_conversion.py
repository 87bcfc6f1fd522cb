"""Conversions of units through exact factors: lengths, masses, volumes, times, data, speeds, temperatures."""

from __future__ import annotations

from fractions import Fraction

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import PEOPLE, TOWNS

# unit -> (how many of the next smaller unit, that unit); exact by definition (international yard and pound, 1959)
LADDERS: dict[str, tuple[tuple[str, int], ...]] = {
    "metric length": (("km", 1000), ("m", 100), ("cm", 10), ("mm", 1)),
    "imperial length": (("miles", 1760), ("yards", 3), ("feet", 12), ("inches", 1)),
    "metric mass": (("tonnes", 1000), ("kg", 1000), ("g", 1000), ("mg", 1)),
    "imperial mass": (("stone", 14), ("pounds", 16), ("ounces", 1)),
    "metric volume": (("hL", 100), ("L", 10), ("dL", 10), ("cL", 10), ("mL", 1)),
    "US volume": (("gallons", 4), ("quarts", 2), ("pints", 2), ("cups", 1)),
    "time": (("weeks", 7), ("days", 24), ("hours", 60), ("minutes", 60), ("seconds", 1)),
    "data": (("TB", 1000), ("GB", 1000), ("MB", 1000), ("kB", 1000), ("bytes", 1)),
    "metric area": (("km2", 100), ("hectares", 10000), ("m2", 10000), ("cm2", 1)),
}
# bridges between systems: exact factor and the sentence that states it
BRIDGES = (
    ("inches", "cm", Fraction(254, 100), "1 inch is exactly 2.54 cm"),
    ("feet", "m", Fraction(3048, 10000), "1 foot is exactly 0.3048 m"),
    ("miles", "km", Fraction(1609344, 1000000), "1 mile is exactly 1.609344 km"),
    ("pounds", "kg", Fraction(45359237, 100000000), "1 pound is exactly 0.45359237 kg"),
    ("yards", "m", Fraction(9144, 10000), "1 yard is exactly 0.9144 m"),
)
SCENES: dict[str, tuple[str, ...]] = {
    "length": (
        "A fence near {town} is {v} long.",
        "{p} measures a path and finds {v}.",
        "The plan of a house shows a wall of {v}.",
        "A rope of {v} lies in the workshop.",
        "The distance from {p}'s door to the bridge is {v}.",
        "A survey of {town} lists a ditch of {v}.",
    ),
    "mass": (
        "A parcel for {p} weighs {v}.",
        "{p} puts a load of {v} on the scale.",
        "The label on a sack says {v}.",
        "A recipe book from {town} asks for {v} of flour.",
        "The sample in the laboratory has a mass of {v}.",
    ),
    "volume": (
        "A tank in {town} holds {v}.",
        "{p} needs {v} of water.",
        "The soup kitchen in {town} cooks {v} of stock.",
        "A barrel contains {v}.",
        "{p} pours {v} into a vat.",
    ),
    "time": (
        "The trip takes {v}.",
        "{p} has practised for {v} altogether.",
        "A machine in {town} ran for {v} without a stop.",
        "The film archive lists a recording of {v}.",
        "Baking, cooling and packing take {v}.",
    ),
    "data": (
        "A backup takes up {v}.",
        "{p} downloads {v}.",
        "The archive of the town hall in {town} has a size of {v}.",
        "A memory card still has {v} free.",
    ),
    "area": ("A field near {town} covers {v}.", "{p} paints a surface of {v}.", "The park in {town} measures {v}."),
}
ASKS = (
    "How much is that in {u}?",
    "Convert this to {u}.",
    "Express the value in {u}.",
    "What is the same amount in {u}?",
    "Write it in {u}.",
    "What is its equivalent in {u}?",
    "Give the amount in {u}.",
    "State it in {u}.",
    "What does this come to in {u}?",
)
BARE = (
    "Convert {v} to {u}.",
    "How many {u} are there in {v}?",
    "Express {v} in {u}.",
    "What is {v} in {u}?",
    "Write {v} in {u}.",
    "Change {v} into {u}.",
    "{p} needs to know what {v} is in {u}. Find it.",
    "Find the number of {u} in {v}.",
)
CLOSES = ("So {v} = {a}.", "Therefore {v} is {a}.", "The result is {a}.", "Hence {v} equals {a}.", "That is {a}.")


ONE = {"feet": "foot", "inches": "inch", "stone": "stone"}


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds rungs, decimals, mixed units and the other system of units."""
    if difficulty >= 2 and draw.chance(18):
        return _mixed(draw, difficulty)
    if difficulty >= 3 and draw.chance(30):
        return _bridged(draw, difficulty)
    if difficulty >= 2 and draw.chance(22):
        return draw.choice((_speed, _temperature))(draw, difficulty)
    return _ladder(draw, difficulty)


def decimal(value: Fraction) -> str | None:
    """Return the finite decimal that `value` is, without trailing zeros, or None when it has more than 11 places."""
    for places in range(12):
        scaled = value * 10**places
        if scaled.denominator == 1:
            digits = str(abs(scaled.numerator)).rjust(places + 1, "0")
            sign = "-" if value < 0 else ""
            return sign + (digits if places == 0 else f"{digits[:-places]}.{digits[-places:]}")
    return None


def rounded(value: Fraction, places: int) -> str:
    """Return `value` with exactly `places` decimals, halves away from zero."""
    scaled = abs(value) * 10**places
    units = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    digits = str(units).rjust(places + 1, "0")
    return ("-" if value < 0 and units else "") + (digits if places == 0 else f"{digits[:-places]}.{digits[-places:]}")


def _one(unit: str) -> str:
    """Return the name of a single unit: `yards` -> `yard`, `km` -> `km`."""
    return ONE.get(unit, unit[:-1] if unit.endswith("s") else unit)


def _number(draw: Draw, difficulty: int) -> Fraction:
    places = draw.below(min(difficulty, 3) + 1)
    return Fraction(draw.integer(2, 90 * difficulty), 10**places)


def _task(
    draw: Draw, difficulty: int, quantity: str, amount: str, unit: str, answer: str, steps: list[str], **facts: object
) -> Task:
    person, town = draw.choice(PEOPLE).name, draw.choice(TOWNS)
    note = str(facts.get("note", ""))
    kind = quantity.split()[-1]
    statement: tuple[str, ...]
    if kind in SCENES and draw.chance(55):
        statement = (draw.choice(SCENES[kind]).format(v=amount, p=person, town=town),)
        ask = draw.choice(ASKS).format(u=unit)
    else:
        statement, ask = (), draw.choice(BARE).format(v=amount, u=unit, p=person)
    close = draw.choice(CLOSES).format(v=amount, a=answer)
    if note:
        close = f"{note.split(' ')[0]}ed as asked, the result is {answer}."
    title = draw.choice(
        (
            f"Converting {quantity}",
            f"From one unit to another: {kind}",
            "Units and factors",
            "A conversion of units",
            f"{amount} in {unit}",
        )
    )
    question = f"{ask} {note}" if note else ask
    return Task("unit_conversion", difficulty, title, statement, question, answer, tuple(steps), close, facts)


def _ladder(draw: Draw, difficulty: int) -> Task:
    quantity = draw.choice(tuple(LADDERS))
    rungs = LADDERS[quantity]
    span = min(len(rungs) - 1, 1 + draw.below(1 + difficulty // 2))
    top = draw.below(len(rungs) - span)
    source, target = top, top + span
    value = _number(draw, difficulty)
    factors = [rungs[i][1] for i in range(top, top + span)]
    if draw.chance(45):  # upwards: start from the smaller unit, with a number that stays a finite decimal
        product = 1
        for factor in factors:
            product *= factor
        start = value * product
        if decimal(start) is None or len(str(decimal(start))) > 12:
            start = Fraction(draw.integer(1, 40)) * product
        rows = [(rungs[i][0], rungs[i + 1][0], rungs[i][1]) for i in range(target - 1, source - 1, -1)]
        steps, amount = [], start
        for upper, lower, factor in rows:
            steps.append(
                f"{factor} {lower} make 1 {_one(upper)}, so divide: "
                f"{decimal(amount)} / {factor} = {decimal(amount / factor)} {upper}"
            )
            amount /= factor
        given, unit, answer = f"{decimal(start)} {rungs[target][0]}", rungs[source][0], amount
    else:
        steps, amount = [], value
        for i in range(source, target):
            upper, lower, factor = rungs[i][0], rungs[i + 1][0], rungs[i][1]
            steps.append(
                f"going from {upper} to {lower} means multiplying by {factor}: "
                f"{decimal(amount)} * {factor} = {decimal(amount * factor)} {lower}"
            )
            amount *= factor
        given, unit, answer = f"{decimal(value)} {rungs[source][0]}", rungs[target][0], amount
    return _task(
        draw, difficulty, quantity, given, unit, f"{decimal(answer)} {unit}", steps, kind="ladder", given=given
    )


def _bridged(draw: Draw, difficulty: int) -> Task:
    left, right, factor, fact = draw.choice(BRIDGES)
    value = Fraction(draw.integer(3, 60 * difficulty), draw.choice((1, 1, 2)))
    places = draw.choice((1, 2)) if difficulty < 5 else draw.choice((2, 3))
    kind = "mass" if right == "kg" else "length"
    if draw.chance(50):
        source, target, exact = left, right, value * factor
        steps = [fact, f"multiply by that factor: {decimal(value)} * {decimal(factor)} = {decimal(exact)}"]
        shown = decimal(exact)
    else:
        source, target, exact = right, left, value / factor
        shown = rounded(exact, places + 3)
        steps = [fact, f"divide by that factor: {decimal(value)} / {decimal(factor)} is about {shown}"]
    words = "one decimal place" if places == 1 else f"{('two', 'three')[places - 2]} decimal places"
    answer = f"{rounded(exact, places)} {target}"
    steps.append(f"to {words}, this is {answer}")
    return _task(
        draw,
        difficulty,
        kind,
        f"{decimal(value)} {source}",
        target,
        answer,
        steps,
        kind="bridged",
        factor=str(factor),
        note=f"Round to {words}.",
    )


def _mixed(draw: Draw, difficulty: int) -> Task:
    """`3 hours 25 minutes` to minutes, or back."""
    big, small, factor, quantity = draw.choice(
        (
            ("hours", "minutes", 60, "time"),
            ("minutes", "seconds", 60, "time"),
            ("days", "hours", 24, "time"),
            ("weeks", "days", 7, "time"),
            ("feet", "inches", 12, "length"),
            ("pounds", "ounces", 16, "mass"),
            ("stone", "pounds", 14, "mass"),
            ("kg", "g", 1000, "mass"),
            ("m", "cm", 100, "length"),
            ("km", "m", 1000, "length"),
        )
    )
    wholes, rest = draw.integer(2, 6 + 6 * difficulty), draw.integer(2, factor - 1)
    total = wholes * factor + rest
    pair = f"{wholes} {big} {rest} {small}"
    if draw.chance(50):
        steps = [
            f"{wholes} {big} are {wholes} * {factor} = {wholes * factor} {small}",
            f"add the rest: {wholes * factor} + {rest} = {total} {small}",
        ]
        return _task(draw, difficulty, quantity, pair, small, f"{total} {small}", steps, kind="mixed", total=total)
    steps = [
        f"{factor} {small} make 1 {_one(big)}",
        (
            f"{total} divided by {factor} is {wholes} with remainder {rest}, because {wholes} "
            f"* {factor} = {wholes * factor} and {total} - {wholes * factor} = {rest}"
        ),
    ]
    return _task(
        draw, difficulty, quantity, f"{total} {small}", f"{big} and {small}", pair, steps, kind="split", total=total
    )


def _speed(draw: Draw, difficulty: int) -> Task:
    metres = Fraction(draw.integer(2, 40 * difficulty), draw.choice((1, 2)))
    per_hour = metres * Fraction(36, 10)
    town = draw.choice(TOWNS)
    given, unit, steps = (
        f"{decimal(metres)} m/s",
        "km/h",
        [
            "one hour has 3600 seconds and one kilometre has 1000 metres, so the factor is 3600 / 1000 = 3.6",
            f"multiply: {decimal(metres)} * 3.6 = {decimal(per_hour)}",
        ],
    )
    answer = f"{decimal(per_hour)} km/h"
    if draw.chance(50):
        given, unit, answer = answer, "m/s", given
        steps[1] = f"from km/h to m/s we divide: {decimal(per_hour)} / 3.6 = {decimal(metres)}"
    scene = draw.choice(
        (
            "",
            f"The wind over {town} blows at {given}.",
            f"A train near {town} moves at {given}.",
            f"A drone flies at {given}.",
        )
    )
    ask = draw.choice(ASKS[1:5] if scene else BARE[2:6]).format(v=given, u=unit, p="")
    close = draw.choice(CLOSES).format(v=given, a=answer)
    title = draw.choice(("Speeds in m/s and km/h", "Converting speed", "How fast is that?"))
    return Task(
        "unit_conversion",
        difficulty,
        title,
        (scene,) if scene else (),
        ask.replace("amount", "speed"),
        answer,
        tuple(steps),
        close,
        {"kind": "speed", "given": given},
    )


def _temperature(draw: Draw, difficulty: int) -> Task:
    warm = draw.chance(40)
    celsius = draw.integer(60, 100 + 30 * difficulty) if warm else draw.integer(-6 * difficulty, 25 + 3 * difficulty)
    fahrenheit = decimal(Fraction(celsius * 9, 5) + 32)
    town, person = draw.choice(TOWNS), draw.choice(PEOPLE).name
    if draw.chance(50):
        given, answer, unit = f"{celsius} degrees Celsius", f"{fahrenheit} degrees Fahrenheit", "degrees Fahrenheit"
        product = decimal(Fraction(celsius * 9, 5))
        steps = [
            f"multiply by 9 and divide by 5: {celsius} * 9 / 5 = {product}",
            f"add 32: {product} + 32 = {fahrenheit}",
        ]
    else:
        given, answer, unit = f"{fahrenheit} degrees Fahrenheit", f"{celsius} degrees Celsius", "degrees Celsius"
        less = decimal(Fraction(celsius * 9, 5))
        steps = [
            f"subtract 32: {fahrenheit} - 32 = {less}",
            f"multiply by 5 and divide by 9: {less} * 5 / 9 = {celsius}",
        ]
    scene = draw.choice(
        (
            "",
            f"The oven in {person}'s kitchen is set to {given}.",
            f"{person} heats a sample to {given}.",
            f"The kiln in {town} has cooled to {given}.",
        )
        if warm
        else (
            "",
            f"The thermometer in {town} reads {given}.",
            f"{person} notes a temperature of {given}.",
            f"The forecast for {town} says {given}.",
        )
    )
    ask = draw.choice(ASKS[1:5] if scene else BARE[2:6]).format(v=given, u=unit, p="").replace("amount", "temperature")
    close = draw.choice(CLOSES).format(v=given, a=answer).replace(" = ", " is ")
    title = draw.choice(("Celsius and Fahrenheit", "Converting a temperature", "How warm is that?"))
    return Task(
        "unit_conversion",
        difficulty,
        title,
        (scene,) if scene else (),
        ask,
        answer,
        tuple(steps),
        close,
        {"kind": "temperature", "celsius": celsius},
    )
