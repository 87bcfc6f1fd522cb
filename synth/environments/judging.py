"""Tasks of an environment, and what an answer to one is worth: 1 if its checker accepts it, else 0.

An export carries this file, its tasks and their checkers, so it needs nothing but Python. A model reads what `message`
returns; `reward` reads what stands behind the last `Answer:` of what it wrote, or all of it where there is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

Task = Mapping[str, Any]
FILE = "tasks.jsonl"
ASK = "Reason first. Then write `Answer:` and behind it the answer, nothing else."
LONGEST = 200, 10  # characters of an answer, and so many more for each of the right one; what is longer is none
ASK_FOR_CODE = "Reason first. Then write the code in one block that begins with ```python and ends with ```."
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"\banswer[\s*]*:[\s*]*", re.IGNORECASE)


def load_tasks() -> list[dict[str, Any]]:
    """Return every task, with `id`, `prompt`, `answer`, `family`, `difficulty`, `checker`, `seed` and `index`."""
    with Path(__file__).with_name(FILE).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def message(task: Task) -> str:
    """Return what a model reads: the problem, and how to give the answer."""
    return f"{task['prompt']}\n\n{ASK_FOR_CODE if 'tests' in task else ASK}"


def answer_in(text: str, *, code: bool = False) -> str:
    """Return the answer that a text gives: the last block of code, what follows the last `Answer:`, else all of it."""
    blocks = BLOCK.findall(text) if code else ()
    if blocks:
        return str(blocks[-1])
    *_, last = [0, *(found.end() for found in MARK.finditer(text))]
    return text[last:].strip()


def reward(task: Task, text: str) -> float:
    """Return 1.0 if the checker accepts the answer, as it stands or without emphasis and final stop; else 0.0."""
    answer = answer_in(text, code="tests" in task)
    if not answer or len(answer) > LONGEST[0] + LONGEST[1] * len(task["answer"]):
        return 0.0
    bare = answer.strip("*`").removesuffix(".").strip("*`")
    return float(any(accepts(task, each) for each in dict.fromkeys((answer, bare))))


def accepts(task: Task, answer: str) -> bool:
    """Say whether the task's checker accepts an answer; one that breaks the checker is refused."""
    checker = import_module(f".checkers.{task['checker']}", __package__)
    try:
        if hasattr(checker, "passes"):
            return bool(checker.passes(answer, task))
        if hasattr(checker, "agree"):
            return bool(checker.agree(answer, task["answer"]))
        return bool(checker.check(task["prompt"], answer))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return False
