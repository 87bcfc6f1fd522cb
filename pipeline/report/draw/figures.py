"""Numbers and texts as a tired reader wants them: few digits, a unit, one line. Pure functions, strings out.

`12,345`, `3.1 %`, `2 min 5 s`, `$0.42`. A share that is not zero is never printed as `0.0 %`, and one that is not all
is never printed as `100.0 %`: rounding must not turn a few documents into none.
"""

from __future__ import annotations

import math
import re

from markupsafe import Markup, escape

from pipeline.core.claude.prices import dollars as dollars
from pipeline.core.claude.prices import dollars_between as dollars_between
from pipeline.core.shown import one_line, shown

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
NONE = "\N{EN DASH}"  # in place of a number that is not there
SIGNS = {"<=": "\N{LESS-THAN OR EQUAL TO}", ">=": "\N{GREATER-THAN OR EQUAL TO}", "!=": "\N{NOT EQUAL TO}", "==": "="}
_MINUS = re.compile(r"(?<![\w.,/)\]-])-(?=\.?[0-9])")
_SIGN = re.compile("[<>!=]=")
_CODE = re.compile("`([^`]+)`")


def counted(value: float, noun: str) -> str:
    """Return `1 document`, `12,345 documents`."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def sign(op: str) -> str:
    """Return an operator of a rule as it is printed."""
    return SIGNS.get(op, op)


def said(text: str) -> Markup:
    """Return a stored sentence as the page prints it: real signs, and as code what stood between backticks."""
    signed = _SIGN.sub(lambda found: SIGNS[found[0]], _MINUS.sub(MINUS, shown(text)))
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(signed))))


def count(value: float | None) -> str:
    """Return `12,345`."""
    return NONE if value is None else f"{value:,.0f}".replace("-", MINUS)


def share(part: float, whole: float) -> str:
    """Return `part` of `whole` in percent."""
    if whole == 0:
        return NONE
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %"


def number(value: float | None, digits: int = 4) -> str:
    """Return a measurement with `digits` significant digits, thousands separated, no exponent between 1e-4 and 1e9."""
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "no limit"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -5 < size < 9:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    if float(value).is_integer():
        return count(value)
    text = f"{value:,.{max(digits - 1 - size, 0)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS)


def beside(value: float, threshold: float) -> str:
    """Return a measurement with as many digits as tell it from the threshold that it was held against."""
    texts = (number(value, digits) for digits in range(4, 10))
    return next((text for text in texts if value == threshold or text != number(threshold, 9)), f"{value!r}")


def fixed(value: float, decimals: int) -> str:
    """Return a number with a fixed number of decimals, for columns that are compared."""
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def signed(value: float, decimals: int) -> str:
    """Return a difference with its sign and a fixed number of decimals."""
    return f"{value:+.{decimals}f}".replace("-", MINUS)


def seconds(value: float | None) -> str:
    """Return a duration: `0.4 s`, `31 s`, `2 min 5 s`, `1 h 20 min`."""
    if value is None:
        return NONE
    if 0 < value < 0.05:
        return "< 0.1 s"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def excerpt(text: str, length: int, *, lines: int = 1) -> str:
    """Return the start of a text: at most `length` characters and `lines` lines, blank ones left out of the count.

    Spaces of every kind stay what they are on a page of many lines; controls become a visible mark.
    """
    rows = [row.rstrip() for row in text[: 2 * length].splitlines()]
    filled = [row for row, before in zip(rows, ["", *rows], strict=False) if row or before]
    start = one_line(" ".join(filled)) if lines == 1 else "\n".join(filled).strip("\n")
    rows = start[:length].split("\n")[:lines]
    cut = "\n".join(rows).rstrip()
    if len(cut) < len(start) or len(text) > 2 * length:
        cut += " \N{HORIZONTAL ELLIPSIS}"
    return shown(cut)


def size(num_bytes: float) -> str:
    """Return `812 bytes`, `20.1 MB`: decimal units, three digits."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(num_bytes) >= 0.9995 * unit:
            scaled = num_bytes / unit
            digits = 0 if abs(scaled) >= 99.95 else 1 if abs(scaled) >= 9.995 else 2
            return f"{scaled:,.{digits}f} {name}".replace("-", MINUS)
    return f"{num_bytes:,.0f} byte{'' if abs(num_bytes) == 1 else 's'}".replace("-", MINUS)


def short(identity: str) -> str:
    """Return the start of a hash, enough to name a folder."""
    return identity[:12]
