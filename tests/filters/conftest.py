"""Case files: blocks of text with the verdict that a step's default rules give.

=== name of the case
text, as it stands; \\r, \\t, \\0 and \\uXXXX are escapes; `@ 60` at a line's start repeats the rest 60 times
--- keep                 (or: --- drop: reason of the first rule that fails,
                          or: --- becomes: the new text of an editing step, a line end written \\n)

What stands before the first case, JSON, is the step's parameters; without it they are the defaults.
"""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.step import MeasuringStep, as_column
from pipeline.core.text.batch import Batch

CASES = Path(__file__).parent.parent / "cases"
COMPARE = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    verdict: str  # "keep" or "drop: reason"


def read_cases(stem: str) -> list[Case]:
    """Read tests/cases/<stem>.txt."""
    cases = []
    for block in (CASES / f"{stem}.txt").read_text().split("=== ")[1:]:
        name, rest = block.split("\n", 1)
        body, verdict = f"\n{rest}".rsplit("\n--- ", 1)
        body = re.sub(r"^@ (\d+) (.*)$", lambda match: match[2] * int(match[1]), body, flags=re.M)
        body = re.sub(
            r"\\(u[0-9a-f]{4}|[rt0])", lambda match: ESCAPES.get(match[1]) or chr(int(match[1][1:], 16)), body
        )
        cases.append(Case(name.strip(), body[1:], verdict.strip()))
    return cases


def read_params(stem: str) -> dict[str, object]:
    """Read the parameters that the cases of tests/cases/<stem>.txt are for."""
    return dict(json.loads((CASES / f"{stem}.txt").read_text().partition("=== ")[0] or "{}"))


ESCAPES = {"r": "\r", "t": "\t", "0": "\0"}


def verdict_of(step: MeasuringStep, text: str) -> str:
    """Return `keep` or `drop: reason` of the first rule that fails."""
    signals = step.measure(Batch.from_texts([text])).signals
    columns = {signal.name: as_column(signals[signal.name], signal=signal) for signal in step.signals}
    for rule in step.rules(quantile=lambda signal, fraction: 0.0):
        value = columns[rule.signal][0].as_py()
        if value is not None and not COMPARE[rule.op](value, rule.threshold):
            return f"drop: {rule.name}"
    return "keep"


def measured_rows(step: MeasuringStep, texts: list[str]) -> list[dict[str, Any]]:
    """Return each text's signals as plain values, with `text` where the step edits; every signal must be there."""
    measured = step.measure(Batch.from_texts(texts))
    assert set(measured.signals) == {signal.name for signal in step.signals}
    columns = {
        signal.name: as_column(measured.signals[signal.name], signal=signal).to_pylist() for signal in step.signals
    }
    if measured.text is not None:
        measured.text.validate(full=True)
        columns["text"] = measured.text.to_pylist()
    return [{name: values[row] for name, values in columns.items()} for row in range(len(texts))]


@pytest.fixture(scope="session")
def docstrings() -> list[str]:
    """Docstrings of a few modules of the standard library: real prose, lists, code and broken markup."""
    import ast
    import sysconfig

    texts = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                text = ast.get_docstring(node, clean=False)
                if text:
                    texts.append(text)
        if len(texts) > 2500:
            break
    return texts
