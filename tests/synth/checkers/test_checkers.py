"""Checkers read what they claim to read, on problems written here by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.checkers.algebra import sequences
from synth.checkers.numbers import arithmetic
from synth.checkers.programs import program_trace
from synth.checkers.reading import UnreadableError
from synth.checkers.strings import string_edits
from synth.checkers.tables import table_questions
from synth.checkers.times import calendar_dates


def test_a_story_is_undone_from_its_end() -> None:
    prompt = (
        "Ada has 10 figs. On Monday, she buys 5 more. The next day, she gives a third of them to Bo. How many are left?"
    )

    assert arithmetic.check(prompt, "10")
    assert not arithmetic.check(prompt, "15")


def test_dates_cross_a_leap_day() -> None:
    assert calendar_dates.check("Which date comes 2 days after 28 February 2024?", "1 March 2024")
    assert not calendar_dates.check("Which date comes 2 days after 28 February 2024?", "2 March 2024")
    assert calendar_dates.check("Which date comes 2 days after 28 February 1900?", "2 March 1900")


def test_an_ambiguous_sequence_is_refused() -> None:
    """1, 2, 4 could double or grow by one more each time; both rules fit, so no answer is the answer."""
    assert not sequences.check("The sequence begins 1, 2, 4, 7, 11. What is the next number?", "15")
    assert sequences.check("The sequence begins 1, 2, 4, 7, 11. What is the next number?", "16")
    with pytest.raises(UnreadableError):
        sequences.check("The sequence begins 3, 1, 4, 1, 5, 9. What is the next number?", "2")


@settings(max_examples=60, deadline=None)
@given(st.text("abcdeiou", min_size=3, max_size=12))
def test_string_edits_are_followed_in_order(word: str) -> None:
    prompt = f'Start with "{word}". Reverse the string. Remove the last 2 characters. What is the result?'

    assert string_edits.check(prompt, word[::-1][:-2])
    assert not string_edits.check(prompt, word)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 6), st.integers(2, 9))
def test_the_machine_runs_loops_in_three_spellings(start: int, turns: int, step: int) -> None:
    even, odd = f"x + {step}", "x + i"
    python = f"""\
x = {start}
for i in range(1, {turns + 1}):
    if i % 2 == 0:
        x = {even}
    else:
        x = {odd}"""
    words = f"""\
set x to {start}
for i from 1 to {turns} do
  if i mod 2 = 0 then
    set x to {even}
  otherwise
    set x to {odd}
  end
end"""
    braces = f"""\
let x = {start};
for (let i = 1; i <= {turns}; i++) {{
  if (i % 2 == 0) {{
    x = {even};
  }} else {{
    x = {odd};
  }}
}}"""
    wanted = start + sum(step if i % 2 == 0 else i for i in range(1, turns + 1))

    for code in (python, words, braces):
        assert program_trace.check(f"Read this.\n\n{code}\n\nWhat is the value of x at the end?", str(wanted))
        assert not program_trace.check(f"Read this.\n\n{code}\n\nWhat is the value of x at the end?", str(wanted + 1))


def test_a_program_that_never_stops_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="does not stop"):
        program_trace.check("Read.\n\nx = 1\nwhile x > 0:\n    x = x + 1\n\nWhat is the value of x at the end?", "1")


@pytest.mark.parametrize(
    "table",
    [
        "| Town | Parks | Schools |\n| --- | --- | --- |\n| Ashford | 3 | 7 |\n| Denby | 12 | 4 |\n| Upton | 5 | 9 |",
        "Town,Parks,Schools\nAshford,3,7\nDenby,12,4\nUpton,5,9",
        "Town     Parks  Schools\nAshford      3        7\nDenby       12        4\nUpton        5        9",
        "- Ashford: Parks 3, Schools 7\n- Denby: Parks 12, Schools 4\n- Upton: Parks 5, Schools 9",
    ],
)
def test_a_table_is_read_in_every_form(table: str) -> None:
    def ask(question: str, answer: str) -> bool:
        return table_questions.check(f"Look at the table.\n\n{table}\n\n{question}", answer)

    assert ask("Which town has the highest value of Parks?", "Denby")
    assert ask("What is the sum of Schools over the towns for which Parks is at least 5?", "13")
    assert ask("List the towns for which Schools is more than 4, in the order of the table.", "Ashford, Upton")
    assert not ask("List the towns for which Schools is more than 4, in the order of the table.", "Upton, Ashford")
