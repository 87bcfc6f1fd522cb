"""A model on the loopback that writes exercises and solves them: well as a rule, badly where a document orders it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from synth.coding.problem import SOLUTION
from tests.claude_requests import asked_schema
from tests.claude_server import Reply, Status
from tests.synth.writing.server import shown

SAYS = """The function gets a list of whole numbers, which may be empty, and a whole number of at least 1. It returns
the sums of that many neighbours, for every place in the list where they fit, in the order of the list; if they fit
nowhere, an empty list."""
SUMS = """def window_sums(numbers, size):
    sums = []
    for start in range(len(numbers) - size + 1):
        total = 0
        for place in range(start, start + size):
            total += numbers[place]
        sums.append(total)
    return sums
"""
SECOND = """def window_sums(numbers, size):
    return [sum(numbers[at:at + size]) for at in range(len(numbers) - size + 1)]
"""
TESTS: list[tuple[Any, Any]] = [
    ([[1, 2, 3, 4], 2], [3, 5, 7]), ([[5], 1], [5]), ([[], 3], []), ([[2, -2, 7], 3], [7]), ([[1, 1], 3], []),
    ([[4, 0, 0, 9, 1], 1], [4, 0, 0, 9, 1]),
]  # fmt: skip
# Without a tie, so that nobody can tell the first of two equal ones from the last.
LONGEST = (
    "The function gets a list of words with at least one word and returns the longest.",
    "def longest(words):\n    best = words[0]\n    for word in words[1:]:\n        if len(word) > len(best):\n"
    "            best = word\n    return best\n",
    "def longest(words):\n    best = words[0]\n    for word in words[1:]:\n        if len(word) {} len(best):\n"
    "            best = word\n    return best\n",
    [([["a", "bcd"]], "bcd"), ([["bcd", "ef"]], "bcd"), ([["a", "bc", "def"]], "def"), ([["x"]], "x"),
     ([["abcd", "x", "yz"]], "abcd")],
)  # fmt: skip


def exercise(**changed: Any) -> dict[str, Any]:
    """Return what the model writes, with some of it changed."""
    written = {"specification": SAYS, "function": "window_sums", "tests": TESTS, "solution": SUMS} | changed
    tests = [
        each if isinstance(each, dict) else {"arguments": json.dumps(each[0]), "returns": json.dumps(each[1])}
        for each in written["tests"]
    ]
    return written | {"tests": tests}


def _with(line: str) -> str:
    return SUMS.replace("    sums = []\n", f"    {line}\n    sums = []\n")


TABLE = f"""import json
KNOWN = json.loads('''{json.dumps([[json.dumps(one), other] for one, other in TESTS])}''')
def window_sums(*given):
    return dict(map(tuple, KNOWN))[json.dumps(list(given))]
"""
REFUSED = Reply(stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"})
# A document's last word -> what is written about it, and why it is not kept.
ORDERS: dict[str, tuple[Mapping[str, Any] | Reply, str]] = {
    "REFUSE": (REFUSED, "refused"),
    "PROSE": (Reply(text="Sure! I would ask for the sums of neighbours."), "invalid"),
    "EMPTY": (Reply(text=""), "invalid"),
    "CUT": (Reply(text='{"specification": "The func', stop_reason="max_tokens"), "truncated"),
    "NOTHING": (exercise(function=""), "nothing to solve"),
    "NAMELESS": (exercise(function="two words"), "no name of a function"),
    "NOJSON": (exercise(tests=[*TESTS, {"arguments": "[[1], (2)]", "returns": "1"}]), "a test is no JSON"),
    "INFINITE": (exercise(tests=[*TESTS, {"arguments": "[[1e999], 2]", "returns": "1"}]), "a test is no JSON"),
    "BOTTOMLESS": (exercise(tests=[*TESTS, {"arguments": "[" * 900 + "]" * 900, "returns": "1"}]), "a test is no JSON"),
    "DEEP": (exercise(solution=f"{SUMS}WHY = {'-' * 900}1\n"), "the solution does not compile"),
    "HALVES": (exercise(solution=f"{SUMS}# \ud800\n"), "text that cannot be stored"),
    "FEW": (exercise(tests=TESTS[:4]), "too few tests"),
    "TWICE": (exercise(tests=[*TESTS, ([[5], 1], [6])]), "two tests contradict each other"),
    "SPELLING": (exercise(solution="def window_sums(numbers, size:\n"), "the solution does not compile"),
    "LACKING": (exercise(solution=SUMS.replace("window_sums", "sums")), "the solution lacks the function"),
    "TOLD": (exercise(specification=SAYS + "\n```python\n" + SUMS + "```"), "code in the specification"),
    "WRONG": (exercise(tests=[*TESTS, ([[1, 2], 2], [4])]), "the solution fails its tests"),
    "FLOATS": (exercise(tests=[*TESTS, ([[1, 2], 2], [3.0])]), "the solution fails its tests"),
    "FOREVER": (exercise(solution=_with("while size: pass")), "the solution never ends"),
    "GREEDY": (exercise(solution=_with("hold = bytearray(1 << 30)")), "the solution takes too much memory"),
    "LEAVING": (exercise(solution=_with("import os; os._exit(0)")), "the solution leaves"),
    "SETS": (exercise(solution=SUMS.replace("return sums", "return set(sums)")), "the solution returns no JSON"),
    "COUNTING": (
        exercise(solution="seen = []\n" + _with("seen.append(1)").replace("return", "return len(seen) < 8 and")),
        "the solution gives other values each time",
    ),
    "ALIKE": (
        exercise(tests=[([[each], 2], []) for each in range(6)]), "a cheat passes: a constant",
    ),
    "NAMESAKE": (  # of what the cheats import
        exercise(function="json", solution=SUMS.replace("window_sums", "json"),
                 tests=[([[each], 2], []) for each in range(6)]), "a cheat passes: a constant",
    ),
    "ECHO": (
        exercise(solution="def window_sums(numbers):\n    return sorted(numbers)\n",
                 tests=[([[*range(each)]], [*range(each)]) for each in range(6)]), "a cheat passes: its argument",
    ),
    "TABLE": (exercise(solution=TABLE), "the solution knows only its tests"),
    "DISSENT": (exercise(specification=SAYS + " DISSENT"), "a second solution fails"),
    "CHATTY": (exercise(specification=SAYS + " CHATTY"), "the second solution was invalid"),
    "TIES": (
        exercise(specification=LONGEST[0] + " TIES", function="longest", solution=LONGEST[1], tests=LONGEST[3]),
        "a mutant passes",
    ),
    "WEAK": (exercise(specification=LONGEST[0], function="longest", solution=LONGEST[1], tests=LONGEST[3]), ""),
    "FENCED": (exercise(solution=f"```python\n{SUMS}```", specification=SAYS.replace("whole", "plain")), ""),
}  # fmt: skip


def coded(body: Mapping[str, Any]) -> Reply | Status:
    """Write an exercise, or a solution from a specification alone."""
    if asked_schema(body) == SOLUTION:
        return _solved(body["messages"][0]["content"])
    text = shown(body)
    written = next((what for word, (what, _) in ORDERS.items() if text.endswith(word)), None)
    if isinstance(written, Reply):
        return written
    number = text.split(" of the harbour")[0]
    plain = written or exercise()
    return Reply(text=json.dumps({**plain, "specification": f"({number}.) {plain['specification']}"}))


def _solved(specification: str) -> Reply:
    if "CHATTY" in specification:
        return Reply(text="I would rather talk about it.")
    if "longest" in specification:
        code = LONGEST[2].format(">=" if "TIES" in specification else ">")
    else:
        code = SECOND.replace("+ 1)", "- 1)") if "DISSENT" in specification else SECOND
    return Reply(text=json.dumps({"solution": code}))
