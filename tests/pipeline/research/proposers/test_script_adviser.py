"""A script as one who proposes: what it sees, what of its answer is taken, and what it cannot break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import RecipeError
from pipeline.core.process.confined import Limits
from pipeline.recipe.edits import Edit
from pipeline.research.proposers.advisers import advisers_of
from pipeline.research.proposers.ideas import Advice
from pipeline.research.proposers.script_adviser import ScriptAdviser
from tests.pipeline.research.small_search import RECIPE, furnished, night_of

GOOD = """
def propose(view, count, seed):
    place = "datasets.rivers.gopher_quality.min_words"
    return [
        {"edits": [{"op": "set", "place": place, "value": view["batch"] + number}], "hypothesis": "Better.",
         "mechanism": f"{count} of {seed}"}
        for number in range(count)
    ]
"""


def advice_of(folder: Path, text: str, *, seconds: float = 20.0) -> Advice:
    script = folder / "mine.py"
    script.write_text(text)
    limits = Limits(wall_seconds=seconds, cpu_seconds=10, answer_bytes=10_000)
    view: dict[str, Any] = {"batch": 20}
    return ScriptAdviser(script, hidden=[folder / "workspace"], limits=limits).ideas(view, 2, 7)


def test_what_a_script_returns_are_ideas(tmp_path: Path) -> None:
    advice = advice_of(tmp_path, GOOD)

    assert [idea.edits for idea in advice.ideas] == [
        (Edit("set", "datasets.rivers.gopher_quality.min_words", value),) for value in (20, 21)
    ]
    assert advice.ideas[0].mechanism == "2 of 7" and (advice.why_none, advice.usd) == ("", 0)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise ValueError('no luck')", "mine.py: ValueError: no luck."),
        ("import time; time.sleep(60)", "mine.py: gave no answer within 3 s."),
        ("return 'x' * 100_000", "mine.py: wrote more than the 10,000 bytes that an answer may have."),
        ("return 'try more text'", "mine.py: propose() returned str; it must be a list of ideas."),
        ("return [1, {'edits': []}]", "mine.py: none of what it proposed is an idea: an idea must be a mapping"),
        ("return []", "mine.py: it had no ideas."),
        ("import os; os._exit(3)", "mine.py: ended without an answer that can be read (exit 3)."),
        ("return open(__file__.replace('mine.py', 'key.txt')).read()", "mine.py: PermissionError"),
    ],
)
def test_whatever_a_script_does_is_said_and_raises_nothing(body: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("secret")

    advice = advice_of(tmp_path, f"def propose(view, count, seed):\n    {body}\n", seconds=3.0)

    assert not advice.ideas and advice.why_none.startswith(why)


def test_a_file_without_the_function_is_said(tmp_path: Path) -> None:
    assert "has no attribute 'propose'" in advice_of(tmp_path, "x = 1\n").why_none


def test_a_script_that_is_not_there_is_refused_before_the_night(tmp_path: Path) -> None:
    recipe = RECIPE.replace("  batch: 4", "  batch: 4\n  proposers: {random: 0.5, script: 0.5}\n  script: nowhere.py")
    night = night_of(furnished(tmp_path, recipe))

    with pytest.raises(RecipeError, match=r"research\.script is nowhere\.py, and there is no such file"):
        advisers_of(night.search, ledger=night.search.bench.workspace.ledger)
