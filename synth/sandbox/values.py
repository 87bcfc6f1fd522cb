"""What code in a box claims, as bytes -> a typed value of JSON for each call, or the reason why there is none.

Nothing of the code comes along: a value is text, number, truth, nothing, list or mapping, made here from JSON. So
`same` compares what it is and not what an object of the code says of itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Why = Literal[
    "timeout",  # of processor or of wall
    "memory",
    "refused",  # a system call, a file or a limit, by an error that the code did not catch
    "raised",  # any other error
    "start",  # the code does not compile, raises before the first call, or has no such function
    "form",  # the value is none of JSON, or what was said is no answer to what was asked
    "length",  # more was said than the limit allows
    "died",  # without a word: it left, or was ended by a signal
]
DEEPEST = 100  # lists and mappings within each other
SAID_BY_CODE = ("memory", "refused", "raised", "form")


@dataclass(frozen=True, slots=True)
class Value:
    """What a call returned, by the code's own claim."""

    value: Json


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call has no value, and what was told of it, for a person to read."""

    why: Why
    told: str


def same(left: Json, right: Json) -> bool:
    """Say whether two values are equal with all their types: 1, 1.0 and True are three values, as are 0.0 and -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    return left == right and (type(left) is not float or repr(left) == repr(right))


def read_claims(said: bytes, *, num_calls: int) -> list[Value | Failure]:
    """Read a line for each call, at most as many as there were calls; a last line without its end is none.

    More lines than calls, or a line of another form, is a forgery: then no line counts. One failure of `start` stands
    for every call.
    """
    lines = said.split(b"\n")[:-1]
    if len(lines) > num_calls and not (num_calls == 0 and len(lines) == 1):
        return [Failure("form", f"{len(lines)} answers for {num_calls} calls")] * num_calls
    claims = [_claim(line) for line in lines]
    for claim in claims:
        if claim is None or (_is_start(claim) and len(claims) > 1):
            return [Failure("form", "what was said is no answer")] * num_calls
    read = [claim for claim in claims if claim is not None]
    return read * num_calls if read and _is_start(read[0]) else read


def _is_start(claim: Value | Failure | None) -> bool:
    return isinstance(claim, Failure) and claim.why == "start"


def _claim(line: bytes) -> Value | Failure | None:
    try:
        told: Any = json.loads(line, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    if told.keys() == {"value"}:
        return Value(told["value"]) if _is_plain(told["value"]) else Failure("form", "a value out of bounds")
    why, text = told.get("failed"), told.get("told")
    if told.keys() != {"failed", "told"} or why not in (*SAID_BY_CODE, "start") or not isinstance(text, str):
        return None
    return Failure(why, text.encode("ascii", "backslashreplace").decode())


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made


def _is_plain(value: Json, depth: int = 0) -> bool:
    """Say whether a value can be stored: no infinite number, no text that UTF-8 cannot hold, no bottomless list."""
    if isinstance(value, float):
        return value - value == 0.0
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= mark <= "\udfff" for mark in value)
    if isinstance(value, dict):
        return _is_plain(list(value)) and _is_plain(list(value.values()), depth)
    return not isinstance(value, list) or (depth < DEEPEST and all(_is_plain(each, depth + 1) for each in value))
