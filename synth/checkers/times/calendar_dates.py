"""Checks dates by the standard library's day numbers, weekdays by counting, clocks by the length of a day."""

from __future__ import annotations

import datetime
import re

from synth.checkers.reading import UnreadableError

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DATE = re.compile(rf"\b(\d{{1,2}}) ({'|'.join(_MONTHS)}) (\d{{4}})\b", re.IGNORECASE)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CLOCK = re.compile(r"\b(\d\d):(\d\d)\b")
_SPAN = re.compile(r"(?:(\d+) hours?)?(?: and )?(?:(\d+) minutes?)?")


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` is the date, the number of days, the weekday, the time or the duration asked for."""
    dates = [_day_number(*found) for found in _DATE.findall(prompt_text)]
    if len(dates) == 2:
        unit = "nights" if "nights" in prompt_text else "days"
        return answer_text == f"{dates[1] - dates[0]} {unit}"
    if len(dates) == 1:
        days = re.search(r"(\d+) days (?:later|after|forward)", prompt_text)
        found = _DATE.fullmatch(answer_text)
        if days is None:
            raise UnreadableError(prompt_text)
        tidy = found is not None and found.group(2)[0].isupper() and not answer_text.startswith("0")
        return tidy and found is not None and _day_number(*found.groups()) - dates[0] == int(days.group(1))
    if _CLOCK.search(prompt_text):
        return _clock(prompt_text, answer_text)
    rhythm = re.findall(r"every (\d+)\b", prompt_text)
    if len(rhythm) == 2:
        return answer_text == f"{_meeting(int(rhythm[0]), int(rhythm[1]))} days"
    return answer_text == _weekday(prompt_text)


def _day_number(day: str, month: str, year: str) -> int:
    try:
        return datetime.date(int(year), _MONTHS.index(month.lower()) + 1, int(day)).toordinal()
    except ValueError:
        return -(10**9)  # a day that does not exist is no answer


def _meeting(one: int, two: int) -> int:
    day = one
    while day % two:
        day += one
    return day


def _weekday(prompt: str) -> str:
    start = re.search("|".join(_DAYS), prompt)
    days = re.search(r"(\d+) days (ago|from now|before|after)", prompt)
    if start is None or days is None:
        raise UnreadableError(prompt)
    # a known Monday: 3 January 2000
    monday = datetime.date(2000, 1, 3).toordinal() + _DAYS.index(start.group())
    there = monday + int(days.group(1)) * (-1 if days.group(2) in ("ago", "before") else 1)
    return _DAYS[datetime.date.fromordinal(there).weekday()]


def _clock(prompt: str, answer: str) -> bool:
    times = [int(hours) * 60 + int(minutes) for hours, minutes in _CLOCK.findall(prompt)]
    if len(times) == 2:
        span = _minutes(answer)
        passed = (times[1] - times[0]) % 1440
        return span is not None and span == passed and _tidy_span(answer)
    lasts = [match.group() for match in re.finditer(r"\d+ hours?(?: and \d+ minutes?)?|\d+ minutes?", prompt)]
    given = _CLOCK.fullmatch(answer)
    span = _minutes(lasts[0]) if lasts else None
    if span is None or len(times) != 1:
        raise UnreadableError(prompt)
    if given is None or int(given.group(1)) > 23 or int(given.group(2)) > 59:
        return False
    return (int(given.group(1)) * 60 + int(given.group(2)) - times[0] - span) % 1440 == 0


def _minutes(text: str) -> int | None:
    match = _SPAN.fullmatch(text)
    if match is None or not text:
        return None
    return int(match.group(1) or "0") * 60 + int(match.group(2) or "0")


def _tidy_span(text: str) -> bool:
    """`1 hour and 5 minutes`, never `65 minutes`, `0 hours` or `1 hours`."""
    parts = re.findall(r"(\d+) (hour|minute)(s?)", text)
    return all((number == "1") != bool(plural) and number != "0" for number, _, plural in parts) and all(
        int(number) < 60 for number, unit, _ in parts if unit == "minute"
    )
