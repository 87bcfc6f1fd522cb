"""Dates and clocks: a date some days away, days between dates, weekdays, times of day, and events that repeat."""

from __future__ import annotations

from math import gcd

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import PEOPLE, TOWNS

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
EVENTS = (
    "The library book was borrowed",
    "The lease begins",
    "A parcel is sent",
    "The seeds are sown",
    "The course starts",
    "The exhibition opens",
    "A letter is posted",
    "The work on the bridge begins",
    "The subscription starts",
    "The first payment is made",
)


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty widens the span over months, years and leap days."""
    return draw.choice((_later, _later, _between, _weekday, _clock, _clock, _repeat))(draw, difficulty)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _length(year: int, month: int) -> int:
    return (31, 29 if _leap(year) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _written(date: tuple[int, int, int]) -> str:
    return f"{date[2]} {MONTHS[date[1] - 1]} {date[0]}"


def _date(draw: Draw) -> tuple[int, int, int]:
    year, month = draw.integer(1950, 2049), draw.integer(1, 12)
    return year, month, draw.integer(1, _length(year, month))


def _walk(date: tuple[int, int, int], days: int) -> tuple[tuple[int, int, int], list[str]]:
    """Go forward month by month; return the date reached and a step for every month's end."""
    year, month, day = date
    steps: list[str] = []
    left = days
    while left > _length(year, month) - day:
        rest = _length(year, month) - day
        why = f" ({year} is {'' if _leap(year) else 'not '}a leap year)" if month == 2 else ""
        if steps and day == 0:
            steps.append(f"{MONTHS[month - 1]} has {rest} days{why}: {left} - {rest} = {left - rest} days remain")
        else:
            steps.append(
                f"{rest} days remain in {MONTHS[month - 1]} {year}{why}, "
                f"so {left} - {rest} = {left - rest} days go beyond it"
            )
        left -= rest
        day = 0
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return (year, month, day + left), steps


def _later(draw: Draw, difficulty: int) -> Task:
    start = _date(draw)
    days = draw.integer(5, (25, 60, 120, 240, 400)[difficulty - 1])
    end, steps = _walk(start, days)
    steps.append(
        f"counting {end[2] if steps else days} days "
        f"{'into ' + MONTHS[end[1] - 1] if steps else 'on within the month'} leads to {_written(end)}"
    )
    event, person = draw.choice(EVENTS), draw.choice(PEOPLE).name
    if draw.chance(60):
        opening = f"{event} on {_written(start)}."
        ask = draw.choice(
            (
                f"What is the date {days} days later?",
                f"Exactly {days} days later there is an inspection. On which date is that?",
                f"{person} puts a reminder {days} days later. Which date is it?",
                f"A report is due {days} days later. Find the date.",
            )
        )
    else:
        opening = ""
        ask = draw.choice(
            (
                f"Which date comes {days} days after {_written(start)}?",
                f"Count {days} days forward from {_written(start)}. What date do you reach?",
                f"{person} leaves on {_written(start)} and returns {days} days later. What is the date of the return?",
                f"Find the date that lies {days} days after {_written(start)}.",
            )
        )
    close = draw.choice(("The date is {a}.", "So it is {a}.", "We arrive at {a}.")).format(a=_written(end))
    title = draw.choice(("Counting days", "A date in the future", "How long are the months?", "Working with dates"))
    return _task(
        difficulty, title, opening, ask, _written(end), steps, close, {"kind": "later", "start": start, "days": days}
    )


def _between(draw: Draw, difficulty: int) -> Task:
    start = _date(draw)
    days = draw.integer(5, (28, 70, 150, 260, 420)[difficulty - 1])
    end, _ = _walk(start, days)
    year, month, day = start
    parts: list[int] = []
    steps: list[str] = []
    while (year, month) != end[:2]:
        rest = _length(year, month) - day
        label = (
            f"from {_written(start)} to the end of {MONTHS[month - 1]}" if not parts else f"{MONTHS[month - 1]} {year}"
        )
        steps.append(f"{label}: {rest} days")
        parts.append(rest)
        day = 0
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    if parts:
        parts.append(end[2])
        steps += [
            f"in {MONTHS[month - 1]} {year} up to day {end[2]}: {end[2]} days",
            f"{' + '.join(map(str, parts))} = {days}",
        ]
    else:
        steps = ["both dates lie in the same month", f"{end[2]} - {start[2]} = {days}"]
    person, town = draw.choice(PEOPLE).name, draw.choice(TOWNS)
    a, b = _written(start), _written(end)
    ask = draw.choice(
        (
            f"How many days are there from {a} to {b}, not counting the first day?",
            f"{person} stays in {town} from {a} until {b}. How many nights is that?",
            f"A bridge near {town} was closed on {a} and opened again on {b}. How many days later was that?",
            f"How many days after {a} is {b}?",
            f"Find the number of days that pass between {a} and {b}, if only one of the two days is counted.",
            f"{person} sowed beans on {a} and picked the first on {b}. After how many days was that?",
        )
    )
    unit = "nights" if "nights" in ask else "days"
    answer = f"{days} {unit}"
    close = draw.choice(("The answer is {a}.", "That makes {a}.", "In total: {a}.")).format(a=answer)
    title = draw.choice(("Days between two dates", "From one date to another", "How many days?"))
    return _task(difficulty, title, "", ask, answer, steps, close, {"kind": "between", "start": start, "end": end})


def _weekday(draw: Draw, difficulty: int) -> Task:
    today, days = draw.below(7), draw.integer(8, (40, 100, 300, 900, 5000)[difficulty - 1])
    back = difficulty >= 2 and draw.chance(40)
    there = (today - days if back else today + days) % 7
    word = "before" if back else "after"
    person = draw.choice(PEOPLE).name
    ask = draw.choice(
        (
            (
                f"Today is a {DAYS[today]}. Which day of the week "
                f"{'was it' if back else 'will it be'} {days} days {'ago' if back else 'from now'}?"
            ),
            f"Which day of the week is {days} days {word} a {DAYS[today]}?",
            f"{person} marks a {DAYS[today]} in the calendar. Which weekday lies {days} days {word} it?",
            (
                f"An observation took place on a {DAYS[today]}; another one {days} "
                f"days {word} it. On which day of the week was the other one?"
            ),
            (
                f"If a machine was serviced on a {DAYS[today]}, on what "
                f"day of the week is the date {days} days {word} that?"
            ),
        )
    )
    weeks, rest = divmod(days, 7)
    steps = [
        (
            f"a week has 7 days, and {days} days are {weeks} weeks and {rest} "
            f"{'day' if rest == 1 else 'days'}: {weeks} * 7 + {rest} = {days}"
        ),
        "whole weeks do not change the day of the week",
    ]
    names = [DAYS[(today - step if back else today + step) % 7] for step in range(1, rest + 1)]
    steps.append(
        f"from {DAYS[today]} count {rest} {'back' if back else 'on'}: {', '.join(names)}"
        if rest
        else f"so it is again a {DAYS[today]}"
    )
    close = draw.choice(("It is a {a}.", "So the answer is {a}.", "The day of the week is {a}.")).format(a=DAYS[there])
    title = draw.choice(("Days of the week", "Which weekday is it?", "Counting in sevens"))
    return _task(
        difficulty,
        title,
        "",
        ask,
        DAYS[there],
        steps,
        close,
        {"kind": "weekday", "today": DAYS[today], "days": days, "back": back},
    )


def _time(minutes: int) -> str:
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _span(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} hour{'s' * (hours != 1)}"] if hours else []
    return " and ".join([*parts, f"{rest} minute{'s' * (rest != 1)}"] if rest or not hours else parts)


def _clock(draw: Draw, difficulty: int) -> Task:
    start, lasts = draw.integer(0, 23 * 60 + 59), draw.integer(15, 180 * difficulty)
    end = start + lasts
    person, town = draw.choice(PEOPLE).name, draw.choice(TOWNS)
    subject = draw.choice(("train", "bus", "ferry", "night coach", "freight train", "plane"))
    crossing = f"; {end // 60}:{end % 60:02d} means {_time(end)} on the next day" if end >= 24 * 60 else ""
    if draw.chance(60):
        ask = draw.choice(
            (
                (
                    f"A {subject} leaves {town} at {_time(start)} and travels "
                    f"for {_span(lasts)}. At what time does it arrive?"
                ),
                f"{person} starts the oven at {_time(start)}. It must run for {_span(lasts)}. When is it done?",
                f"A recording begins at {_time(start)} and lasts {_span(lasts)}. At what time does it end?",
                f"What time is it {_span(lasts)} after {_time(start)}?",
                f"A shift begins at {_time(start)} and takes {_span(lasts)}. When does it end?",
            )
        )
        answer = _time(end)
        steps = [
            f"{_time(start)} is {start // 60} * 60 + {start % 60} = {start} minutes after midnight",
            *([f"{_span(lasts)} {'is' if lasts == 60 else 'are'} {lasts} minutes in all"] if lasts >= 60 else []),
            (
                f"{start} + {lasts} = {end} minutes, that is {end // 60} "
                f"hours and {end % 60} minutes after midnight{crossing}"
            ),
        ]
        kind = "clock_end"
    else:
        next_day = " on the next day" if end >= 24 * 60 else ""
        ask = draw.choice(
            (
                (
                    f"A {subject} leaves {town} at {_time(start)} and arrives "
                    f"at {_time(end)}{next_day}. How long is it on its way?"
                ),
                f"A film night lasts from {_time(start)} until {_time(end)}{next_day}. How long is that?",
                (
                    f"{person} falls asleep at {_time(start)} and wakes at "
                    f"{_time(end)}{next_day}. How long does {person} sleep?"
                ),
                f"How much time passes from {_time(start)} to {_time(end)}{next_day}?",
            )
        )
        if lasts >= 24 * 60:
            return _clock(draw, difficulty)
        answer = _span(lasts)
        finish = end % (24 * 60)
        steps = [f"{_time(start)} is minute {start} of the day and {_time(end)} is minute {finish}"]
        steps.append(
            f"the next day adds 1440 minutes: {finish} + 1440 - {start} = {lasts}"
            if next_day
            else f"{finish} - {start} = {lasts}"
        )
        steps.append(f"{lasts} minutes are {_span(lasts)}" if lasts >= 60 else "that is less than an hour")
        kind = "clock_span"
    close = draw.choice(("The answer is {a}.", "So it is {a}.", "Result: {a}.")).format(a=answer)
    title = draw.choice(("Times of day", "Hours and minutes", "A timetable question", "Reading the clock"))
    return _task(difficulty, title, "", ask, answer, steps, close, {"kind": kind, "start": start, "minutes": lasts})


def _repeat(draw: Draw, difficulty: int) -> Task:
    one, two = draw.sample(range(2, 6 + 3 * difficulty), 2)
    thing = draw.choice(("bell", "pump", "lamp", "sprinkler", "alarm", "signal"))
    person, town = draw.choice(PEOPLE).name, draw.choice(TOWNS)
    common, meet = gcd(one, two), one * two // gcd(one, two)
    ask = draw.choice(
        (
            (
                f"In {town} one {thing} goes off every {one} days and another every {two} days. "
                "Today both do. In how many days will both do so again for the first time?"
            ),
            (
                f"{person} waters one plant every {one} days and another every {two} days. "
                "Today both are watered. After how many days does this happen again?"
            ),
            (
                f"Two buses are washed every {one} and every {two} days. Today both are "
                "washed. How many days will pass until both are washed on the same day again?"
            ),
            (
                f"A {thing} in {town} is checked every {one} days by {person} and every {two} "
                "days by the owner. They meet there today. In how many days do they meet again?"
            ),
        )
    )
    answer = f"{meet} days"
    steps = [
        f"we look for the least common multiple of {one} and {two}",
        f"their greatest common divisor is {common}",
        f"{one} * {two} / {common} = {meet}",
        f"check: {meet} / {one} = {meet // one} and {meet} / {two} = {meet // two}",
    ]
    close = draw.choice(("The answer is {a}.", "It takes {a}.", "So {a} pass.")).format(a=answer)
    title = draw.choice(("Events that repeat", "When do they meet again?", "A common multiple"))
    return _task(difficulty, title, "", ask, answer, steps, close, {"kind": "repeat", "every": [one, two]})


def _task(
    difficulty: int,
    title: str,
    opening: str,
    ask: str,
    answer: str,
    steps: list[str],
    close: str,
    facts: dict[str, object],
) -> Task:
    return Task(
        "calendar_dates", difficulty, title, (opening,) if opening else (), ask, answer, tuple(steps), close, facts
    )
