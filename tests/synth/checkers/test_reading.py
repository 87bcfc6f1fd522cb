"""What the checkers share reads expressions, equations and lists as they are meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.checkers.reading import UnreadableError, evaluate, items_of, wrong_equations


@settings(max_examples=60, deadline=None)
@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 50))
def test_the_evaluator_respects_precedence_and_signs(a: int, b: int, c: int) -> None:
    assert evaluate(f"({a}) + ({b}) * {c}") == a + b * c
    assert evaluate(f"({a} - {c}) x {c}") == (a - c) * c
    assert evaluate(f"-{c} - {c} - {c}") == -3 * c
    assert evaluate(f"{c} * 6 / {c}") == 6


@pytest.mark.parametrize("text", ["", "1 +", "(1", "1)", "1 / 0", "1 2"])
def test_what_is_no_expression_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableError):
        evaluate(text)


def test_equations_in_prose_are_found_and_checked() -> None:
    text = "First 3 * 4 = 12. Then 12 + 5 = 18 and (-2) - 3 = -5, so 2.50 + 1.25 = 3.75 dollars; 7 + 8 + 9 = 24."

    assert wrong_equations(text) == ["12 + 5 = 18"]


def test_lists_are_split_at_commas_and_and() -> None:
    assert items_of("pear, fig and plum") == ["pear", "fig", "plum"]
