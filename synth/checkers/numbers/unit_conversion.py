"""Checks conversions by weighing both sides in a base unit (metres, grams, litres, seconds, bytes, kelvin fifths)."""

from __future__ import annotations

import re
from fractions import Fraction

from synth.checkers.reading import UnreadableError

_BASE: dict[str, tuple[str, str]] = {
    "km": ("length", "1000"),
    "m": ("length", "1"),
    "cm": ("length", "0.01"),
    "mm": ("length", "0.001"),
    "miles": ("length", "1609.344"),
    "yards": ("length", "0.9144"),
    "feet": ("length", "0.3048"),
    "inches": ("length", "0.0254"),
    "tonnes": ("mass", "1000000"),
    "kg": ("mass", "1000"),
    "g": ("mass", "1"),
    "mg": ("mass", "0.001"),
    "stone": ("mass", "6350.29318"),
    "pounds": ("mass", "453.59237"),
    "ounces": ("mass", "28.349523125"),
    "hL": ("volume", "100"),
    "L": ("volume", "1"),
    "dL": ("volume", "0.1"),
    "cL": ("volume", "0.01"),
    "mL": ("volume", "0.001"),
    "gallons": ("us volume", "16"),
    "quarts": ("us volume", "4"),
    "pints": ("us volume", "2"),
    "cups": ("us volume", "1"),
    "weeks": ("time", "604800"),
    "days": ("time", "86400"),
    "hours": ("time", "3600"),
    "minutes": ("time", "60"),
    "seconds": ("time", "1"),
    "TB": ("data", "1000000000000"),
    "GB": ("data", "1000000000"),
    "MB": ("data", "1000000"),
    "kB": ("data", "1000"),
    "bytes": ("data", "1"),
    "km2": ("area", "1000000"),
    "hectares": ("area", "10000"),
    "m2": ("area", "1"),
    "cm2": ("area", "0.0001"),
    "km/h": ("speed", "5/18"),
    "m/s": ("speed", "1"),
}
_NAMES = "|".join(sorted((re.escape(name) for name in _BASE), key=len, reverse=True))
_AMOUNT = re.compile(rf"(-?\d+(?:\.\d+)?) (degrees Celsius|degrees Fahrenheit|{_NAMES})(?![\w/])")
_UNIT = re.compile(rf"(?<![\w/])(degrees Celsius|degrees Fahrenheit|{_NAMES})(?![\w/])")
_CANONICAL = re.compile(r"(?!-[0.]+$)-?(?:0|[1-9]\d*)(?:\.\d+)?")
_PLACES = {"one": 1, "two": 2, "three": 3}


def check(prompt_text: str, answer_text: str) -> bool:
    """Say whether `answer_text` answers `prompt_text`: same quantity, wanted unit, wanted precision."""
    given = _AMOUNT.findall(prompt_text)
    named = _UNIT.findall(_AMOUNT.sub(" ", prompt_text))
    if not given or not named:
        raise UnreadableError(prompt_text)
    answer = _AMOUNT.findall(answer_text)
    if " ".join(f"{number} {unit}" for number, unit in answer) != answer_text or [unit for _, unit in answer] != named:
        return False
    if {_BASE[unit][0] for _, unit in given + answer if unit in _BASE} - {_BASE.get(given[0][1], ("", ""))[0]}:
        return False
    if any(not _CANONICAL.fullmatch(number) for number, _ in answer):
        return False
    if "degrees" in named[0]:
        return _kelvin_fifths(*given[0]) == _kelvin_fifths(*answer[0]) and not answer[0][0].endswith(".0")
    places = re.search(r"Round to (\w+) decimal places?", prompt_text)
    wanted, found = _weigh(given), _weigh(answer)
    if places is None:
        tidy = all("." not in number or not number.endswith("0") for number, _ in answer)
        return tidy and wanted == found and _within(answer)
    decimals = answer[0][0].partition(".")[2]
    half = Fraction(1, 2 * 10 ** _PLACES[places.group(1)]) * _size(named[0])
    return len(decimals) == _PLACES[places.group(1)] and wanted - half < found <= wanted + half


def _size(unit: str) -> Fraction:
    return Fraction(_BASE[unit][1])


def _weigh(amounts: list[tuple[str, str]]) -> Fraction:
    kinds = {_BASE[unit][0] for _, unit in amounts}
    if len(kinds) != 1:
        raise UnreadableError(str(amounts))
    return sum((Fraction(number) * _size(unit) for number, unit in amounts), Fraction(0))


def _within(amounts: list[tuple[str, str]]) -> bool:
    """In `3 hours 25 minutes` the smaller part must be whole and less than one of the larger unit."""
    if len(amounts) == 1:
        return True
    (_, big), (number, small) = amounts
    return "." not in number and Fraction(number) * _size(small) < _size(big)


def _kelvin_fifths(number: str, unit: str) -> Fraction:
    """Return the temperature above absolute zero, in steps of one ninth of a fifth of a kelvin."""
    if unit.endswith("Celsius"):
        return (Fraction(number) + Fraction("273.15")) * 9
    return (Fraction(number) + Fraction("459.67")) * 5
