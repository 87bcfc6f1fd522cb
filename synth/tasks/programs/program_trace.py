"""Small programs to trace by hand, in three spellings: Python, pseudocode and braces.

The generator builds a tree of statements and walks it, noting each step; programs that run too long or leave the
whole numbers from -9999 to 99999 are drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from synth.tasks.draw import Draw
from synth.tasks.task import Task
from synth.tasks.words import NAMES

Expression = int | str | tuple["Expression", str, "Expression"]
# ("set", name, e) ("for", name, low, high, body) ("while", cond, body) ("if", cond, yes, no) ("print", e)
Statement = tuple[Any, ...]
MAX_STEPS = 22
VARIABLES = (
    ("a", "b", "c"),
    ("x", "y", "z"),
    ("total", "step", "rest"),
    ("count", "limit", "sum"),
    ("n", "m", "k"),
    ("left", "right", "gap"),
    ("score", "bonus", "turn"),
    ("p", "q", "r"),
    ("width", "height", "area"),
)


class _TooWildError(Exception):
    """The program runs too long or its numbers grow too large."""


@dataclass(slots=True)
class _Run:
    values: dict[str, int] = field(default_factory=dict)
    printed: list[int] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)  # set a second time or more

    def note(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) > MAX_STEPS:
            raise _TooWildError


def generate(draw: Draw, difficulty: int) -> Task:
    """Return one task; difficulty adds loops, conditions and nesting."""
    while True:
        names = draw.choice(VARIABLES)
        program = _program(draw, difficulty, names)
        run = _Run()
        try:
            _execute(program, run)
        except _TooWildError:
            continue
        if difficulty == 1 or len(run.steps) > difficulty + 2:
            return _asked(draw, difficulty, program, run, names)


# Programs ----------------------------------------------------------------------------------------------------------


def _term(draw: Draw, names: tuple[str, ...]) -> Expression:
    return draw.choice(names) if draw.chance(55) else draw.integer(1, 9)


def _sum(draw: Draw, names: tuple[str, ...], target: str) -> Expression:
    """An expression that mentions `target` or another variable."""
    left: Expression = target if draw.chance(65) else draw.choice(names)
    operator = draw.choice("+++--*")
    right: Expression = draw.integer(2, 3) if operator == "*" else _term(draw, names)
    if draw.chance(20):
        return (left, operator, right) if operator == "*" else ((left, "*", draw.integer(2, 3)), operator, right)
    return (left, operator, right)


def _condition(draw: Draw, names: tuple[str, ...]) -> Expression:
    if draw.chance(40):
        return ((draw.choice(names), "%", draw.integer(2, 4)), "==", draw.integer(0, 1))
    return (draw.choice(names), draw.choice(("<", ">", "<=", ">=")), draw.integer(2, 14))


def _program(draw: Draw, difficulty: int, names: tuple[str, ...]) -> list[Statement]:
    a, b, c = names
    body: list[Statement] = [("set", name, draw.integer(1, 12)) for name in (a, b, c)[: 2 if difficulty < 3 else 3]]
    known = (a, b) if difficulty < 3 else names

    def change() -> Statement:
        target = draw.choice(known)
        return ("set", target, _sum(draw, known, target))

    def branch() -> Statement:
        return ("if", _condition(draw, known), [change()], [change()] if draw.chance(60) else [])

    def loop(inner: list[Statement]) -> Statement:
        if draw.chance(60):
            return (
                "for",
                "i",
                1,
                draw.integer(2, 4),
                [*inner, *([("set", a, (a, "+", "i"))] if draw.chance(60) else [])],
            )
        return ("while", (b, "<", draw.integer(12, 30)), [*inner, ("set", b, (b, "+", draw.integer(3, 6)))])

    if difficulty == 1:
        body += [change(), change()]
    elif difficulty == 2:
        body += [change(), branch()] if draw.chance(50) else [loop([change()])]
    elif difficulty == 3:
        body += [loop([branch()])] if draw.chance(50) else [branch(), loop([change()])]
    elif difficulty == 4:
        body += [loop([change(), branch()]), change()]
    else:
        body += (
            [branch(), loop([branch(), change()]), branch()]
            if draw.chance(60)
            else [("for", "j", 1, 2, [loop([change()]), change()])]
        )
    if draw.chance(35):
        spot = body[-1]
        if spot[0] in ("for", "while"):
            spot[-1].append(("print", draw.choice(known)))
        else:
            body.append(("print", draw.choice(known)))
        if draw.chance(50):
            body.append(("print", _sum(draw, known, draw.choice(known))))
    return body


# Walking the tree --------------------------------------------------------------------------------------------------


def _value(node: Expression, values: dict[str, int]) -> int:
    if isinstance(node, tuple):
        left, operator, right = _value(node[0], values), node[1], _value(node[2], values)
        if operator == "%" and left < 0:
            raise _TooWildError  # languages disagree on the remainder of a negative number
        result = {
            "+": left + right,
            "-": left - right,
            "*": left * right,
            "<": left < right,
            ">": left > right,
            "<=": left <= right,
            ">=": left >= right,
            "==": left == right,
            "%": left % right if operator == "%" else 0,
        }[operator]
        if not -9999 <= result <= 99999:
            raise _TooWildError
        return int(result)
    return values[node] if isinstance(node, str) else node


def _execute(program: list[Statement], run: _Run) -> None:
    for statement in program:
        kind = statement[0]
        if kind == "set":
            name, node = str(statement[1]), statement[2]
            value = _value(node, run.values)
            if isinstance(node, tuple):
                run.note(f"`{name}` becomes {_spelled(node, run.values)} = {value}")
            else:
                run.note(f"`{name}` starts at {value}" if name not in run.values else f"`{name}` becomes {value}")
            if name in run.values:
                run.changed.add(name)
            run.values[name] = value
        elif kind == "print":
            value = _value(statement[1], run.values)
            run.printed.append(value)
            run.note(f"the program prints {value}")
        elif kind == "if":
            _branch(statement, run)
        elif kind == "for":
            _, name, low, high, body = statement
            for number in range(low, high + 1):
                run.values[str(name)] = number
                run.note(f"the loop runs with `{name}` equal to {number}")
                _execute(body, run)
        else:
            while True:
                holds = _value(statement[1], run.values)
                shown = _spelled(statement[1], run.values)
                run.note(f"{shown} is true, so the loop goes on" if holds else f"{shown} is false, so the loop ends")
                if not holds:
                    break
                _execute(statement[2], run)


def _branch(statement: Statement, run: _Run) -> None:
    _, condition, yes, no = statement
    holds = _value(condition, run.values)
    shown = _spelled(condition, run.values)
    taken = "so the first branch is taken" if no else "so its body runs"
    other = "so the other branch is taken" if no else "so its body is skipped"
    run.note(f"the condition {shown} is {'true' if holds else 'false'}, {taken if holds else other}")
    _execute(yes if holds else no, run)


def _spelled(node: Expression, values: dict[str, int] | None = None, remainder: str = "%", equal: str = "==") -> str:
    """Write an expression, with the values in place of the names if there are any."""
    if isinstance(node, tuple):
        left, right = _spelled(node[0], values, remainder, equal), _spelled(node[2], values, remainder, equal)
        return f"{left} {remainder if node[1] == '%' else equal if node[1] == '==' else node[1]} {right}"
    if isinstance(node, str) and values is not None:
        value = values[node]
        return f"({value})" if value < 0 else str(value)
    return str(node)


# Three spellings ---------------------------------------------------------------------------------------------------


def _python(program: list[Statement], indent: str = "") -> list[str]:
    lines: list[str] = []
    for s in program:
        if s[0] == "set":
            lines.append(f"{indent}{s[1]} = {_spelled(s[2])}")
        elif s[0] == "print":
            lines.append(f"{indent}print({_spelled(s[1])})")
        elif s[0] == "for":
            lines += [f"{indent}for {s[1]} in range({s[2]}, {s[3] + 1}):", *_python(s[4], indent + "    ")]
        elif s[0] == "while":
            lines += [f"{indent}while {_spelled(s[1])}:", *_python(s[2], indent + "    ")]
        else:
            lines += [f"{indent}if {_spelled(s[1])}:", *_python(s[2], indent + "    ")]
            lines += [f"{indent}else:", *_python(s[3], indent + "    ")] if s[3] else []
    return lines


def _pseudocode(program: list[Statement], indent: str = "") -> list[str]:
    lines: list[str] = []
    for s in program:
        if s[0] == "set":
            lines.append(f"{indent}set {s[1]} to {_spelled(s[2], None, 'mod')}")
        elif s[0] == "print":
            lines.append(f"{indent}output {_spelled(s[1], None, 'mod')}")
        elif s[0] == "for":
            lines += [f"{indent}for {s[1]} from {s[2]} to {s[3]} do", *_pseudocode(s[4], indent + "  "), f"{indent}end"]
        elif s[0] == "while":
            lines += [
                f"{indent}while {_spelled(s[1], None, 'mod', '=')} do",
                *_pseudocode(s[2], indent + "  "),
                f"{indent}end",
            ]
        else:
            lines += [f"{indent}if {_spelled(s[1], None, 'mod', '=')} then", *_pseudocode(s[2], indent + "  ")]
            lines += [f"{indent}otherwise", *_pseudocode(s[3], indent + "  ")] if s[3] else []
            lines.append(f"{indent}end")
    return lines


def _braces(program: list[Statement], indent: str = "", known: set[str] | None = None) -> list[str]:
    lines: list[str] = []
    known = set() if known is None else known
    for s in program:
        if s[0] == "set":
            lines.append(f"{indent}{'' if s[1] in known else 'let '}{s[1]} = {_spelled(s[2])};")
            known.add(str(s[1]))
        elif s[0] == "print":
            lines.append(f"{indent}print({_spelled(s[1])});")
        elif s[0] == "for":
            head = f"{indent}for (let {s[1]} = {s[2]}; {s[1]} <= {s[3]}; {s[1]}++) {{"
            lines += [head, *_braces(s[4], indent + "  ", known), f"{indent}}}"]
        elif s[0] == "while":
            lines += [f"{indent}while ({_spelled(s[1])}) {{", *_braces(s[2], indent + "  ", known), f"{indent}}}"]
        else:
            lines += [f"{indent}if ({_spelled(s[1])}) {{", *_braces(s[2], indent + "  ", known)]
            lines += [f"{indent}}} else {{", *_braces(s[3], indent + "  ", known)] if s[3] else []
            lines.append(f"{indent}}}")
    return lines


SPELLINGS = (("python", _python), ("python", _python), ("pseudocode", _pseudocode), ("braces", _braces))


def _asked(draw: Draw, difficulty: int, program: list[Statement], run: _Run, names: tuple[str, ...]) -> Task:
    spelling, spell = draw.choice(SPELLINGS)
    code = "\n".join(spell(program))
    if draw.chance(50) and spelling != "pseudocode":
        code = f"```{'python' if spelling == 'python' else ''}\n{code}\n```"
    who = draw.choice(NAMES)
    what = {
        "python": ("Python program", "piece of Python code", "program"),
        "pseudocode": ("algorithm", "piece of pseudocode", "program"),
        "braces": ("program", "piece of code", "script"),
    }[spelling]
    noun = draw.choice(what)
    verb = draw.choice(
        (
            "traces",
            "wants to trace",
            "runs",
            "reads",
            "is shown",
            "has written",
            "finds",
            "reviews",
            "copies",
            "explains",
            "is testing",
        )
    )
    which = draw.choice(
        (f"this {noun}", f"the following {noun}", f"the {noun} below", f"a short {noun}", f"a small {noun}")
    )
    intro = draw.choice(
        (
            f"{who} {verb} {which}.",
            f"{who} {verb} {which}.",
            f"In an exam, {who} {verb} {which}.",
            f"During a lesson, {who} {verb} {which}.",
            f"Consider the following {noun}.",
            f"Here is a short {noun}.",
            f"Read this {noun} line by line.",
            f"The {noun} below is run once from top to bottom.",
            f"This {noun} was found in {who}'s notebook.",
            f"Look at {which}.",
            f"Before running it, {who} predicts what this {noun} will do.",
        )
    )
    if run.printed:
        ask = draw.choice(
            (
                "What does it print? Separate several numbers by commas.",
                "Which numbers are printed? List them in order, separated by commas.",
                "Give the output, with commas between the numbers.",
            )
        )
        answer = ", ".join(map(str, run.printed))
        close = draw.choice((f"The output is {answer}.", f"So it prints {answer}."))
    else:
        name = draw.choice([n for n in names if n in (run.changed or run.values)])
        ask = draw.choice(
            (
                "What is the value of {n} at the end?",
                "What value does {n} have when the program stops?",
                "Find the final value of {n}.",
                "Which number is stored in {n} at the end?",
                "Give the value of {n} after the last line.",
                "At the end, what is {n}?",
            )
        ).format(n=name)
        answer = str(run.values[name])
        close = draw.choice(
            (
                f"At the end {name} is {answer}.",
                f"The final value of {name} is {answer}.",
                f"So {name} ends as {answer}.",
            )
        )
    title = draw.choice(
        (
            "Tracing a program",
            "What does this code do?",
            "Following the variables",
            "Reading code line by line",
            "A program by hand",
        )
    )
    steps = run.steps
    if spelling == "pseudocode":
        steps = [step.replace(" % ", " mod ").replace(" == ", " = ") for step in steps]
    facts = {"spelling": spelling, "lines": _python(program)}
    return Task("program_trace", difficulty, title, (intro, code), ask, answer, tuple(steps), close, facts)
