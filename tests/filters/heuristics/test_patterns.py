"""Expressions of the user's own: what counts, which are refused, what replaces, and that time is linear."""

from __future__ import annotations

import pickle
from importlib.metadata import version

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.heuristics.patterns import (
    MAX_FAILED_WORK,
    MAX_MATCH_BYTES,
    MAX_MATCHES,
    MAX_SIZE,
    Patterns,
    compiled,
    matches,
)
from pipeline.core.errors import RecipeError
from pipeline.recipe.load import load_recipe
from tests.filters.conftest import measured_rows
from tests.filters.text_strategies import BATCHES
from tests.pipeline.house import House, write_lines
from tests.timing import MEGABYTE, slowness

SAMPLES = [
    "a+b?", "a.{0,3}b|a", r"\bab", r"ab\b", "^a", "(?m)^a", "b$", "(?m)b$", "[^a]b", "\u00e9+", "(?i)AB|x", r"\b",
    "a*?b", r"\w+\s", "(?s).b",
]  # fmt: skip


def prepared(patterns: dict[str, str], **params: object) -> Patterns:
    step = Patterns(params=Patterns.Params.parse({"patterns": patterns, **params}))
    step.prepare({})
    return step


def spans_of(expression: str, text: str) -> list[tuple[int, int]]:
    return list(matches(compiled(expression), memoryview(text.encode())))


@given(
    expression=st.sampled_from(SAMPLES),
    text=st.lists(st.sampled_from([*"ab \n.\u00e9X", "ab", "\u4f60"]), max_size=40).map("".join),
    before=st.integers(MAX_MATCH_BYTES - 20, MAX_MATCH_BYTES + 1050),
)
@settings(max_examples=300, deadline=None)
def test_matches_are_re2s_wherever_a_window_ends(expression: str, text: str, before: int) -> None:
    whole = "-" * before + text + "-" * before + text

    found = [match.span() for match in compiled(expression).finditer(whole.encode()) if match.group()]

    assert spans_of(expression, whole) == [span for span in found if span[1] - span[0] <= MAX_MATCH_BYTES]


def test_an_expression_sees_so_far_and_no_further() -> None:
    fits, does_not = "<" + "x" * (MAX_MATCH_BYTES - 2) + ">", "<" + "x" * (MAX_MATCH_BYTES - 1) + ">"

    assert spans_of("<x*>", f"{does_not} {fits}") == [(len(does_not) + 1, len(does_not) + 1 + len(fits))]
    assert spans_of("x+", "x" * 10_000) == [(0, 4096), (4096, 8192), (8192, 10_000)]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("(?=x)", r"invalid perl operator: \(\?=; RE2 has no look-around"),
        ("(?<!x)y", "invalid perl operator"),
        (r"(a)\1", r"invalid escape sequence: \\1; RE2 has no look-around, no back references"),
        ("(", r"missing \)"),
        ("x*", "matches nothing at all"),
        (r"a\C", "cuts characters in two"),
        ("((a{100}){100}){100}", "RE2 takes"),
        ("(?s)a.{900}.{900}.{900}.{900}.{600}", "20,000 instructions at most, and RE2 makes 29,405 of it"),
        ("x" * 1001, "1,000 characters at most, and it has 1,001"),
    ],
)
def test_expressions_that_cannot_be_used_are_refused_with_re2s_words(
    expression: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValidationError, match=message):
        Patterns.Params.parse({"patterns": {"name": expression}})

    assert capfd.readouterr().err == ""


ORDINARY = [
    r"\b(?:\d{1,3}\.){3}\d{1,3}\b", r"(?:[A-Za-z0-9+/]{4}){10,}={0,2}", r"[A-Za-z0-9+/=]{40,200}", r"\p{L}+",
    r"\p{Lu}{3,20}", r"(?i)[\p{L}\p{N}]+(?:[ '-][\p{L}\p{N}]+){3,8}", "(?s)<script.{0,1000}</script>",
    "<a [^>]{0,1000}href[^>]{0,1000}title",
]  # fmt: skip


@pytest.mark.parametrize("expression", ORDINARY)
def test_ordinary_expressions_are_small_enough(expression: str) -> None:
    assert compiled(expression).programsize <= MAX_SIZE


def test_matches_that_are_too_long_are_tried_so_often_and_no_more() -> None:
    """Each of the first 904 places of a piece begins a match of more than MAX_MATCH_BYTES, and none that is shorter."""
    expression = "(?s)a.{50}.*c"
    size, failing = compiled(expression).programsize, 5000 - MAX_MATCH_BYTES

    spans = spans_of(expression, ("a" * 4999 + "c") * 10)

    assert spans == [
        (5000 * piece + failing, 5000 * (piece + 1)) for piece in range(MAX_FAILED_WORK // size // failing)
    ]


def test_a_recipe_says_where_and_why_before_any_work(tmp_path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": "x"}])
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"sources: {{s: {{read: jsonl, path: {tmp_path}/a.jsonl}}}}\n"
        "datasets:\n  clean:\n    from: s\n    steps:\n"
        "      - patterns:\n          patterns: {twice: '(a)\\1'}\n          max_matches: {thrice: 1}\n"
    )

    with pytest.raises(RecipeError) as caught:
        load_recipe(path)

    assert 'patterns.patterns.twice is "(a)\\\\1"; it must be a regular expression that RE2 takes' in str(caught.value)


@pytest.mark.parametrize("key", ["replace", "max_matches", "min_matches", "max_per_1000_words"])
def test_a_limit_for_an_unknown_pattern_is_refused(key: str) -> None:
    value = "x" if key == "replace" else 1

    with pytest.raises(ValidationError, match="`b` must be one of `patterns`: a"):
        Patterns.Params.parse({"patterns": {"a": "x"}, key: {"b": value}})


@pytest.mark.parametrize("name", ["A", "1a", "a-b", "", "a" * 41])
def test_a_name_must_be_one_that_a_column_may_have(name: str) -> None:
    with pytest.raises(ValidationError, match="a name must be of 1 to 40"):
        Patterns.Params.parse({"patterns": {name: "x"}})


def test_limits_only_decide_and_their_order_changes_nothing() -> None:
    limits = {"max_matches": {"b": 1, "a": 2}, "min_matches": {"a": 1}, "max_per_1000_words": {"b": 3.5}}
    one, other = prepared({"b": "x", "a": "y"}, **limits), prepared({"a": "y", "b": "x"})

    assert one.params.of_role("measure") == other.params.of_role("measure")
    assert one.signals == other.signals
    assert [(rule.name, rule.signal, rule.op, rule.threshold, rule.parameter) for rule in one.rules(quantile=max)] == [
        ("too_few_a", "num_a", ">=", 1, "min_matches.a"),
        ("too_many_a", "num_a", "<=", 2, "max_matches.a"),
        ("too_many_b", "num_b", "<=", 1, "max_matches.b"),
        ("too_often_b", "per_1000_words_b", "<=", 3.5, "max_per_1000_words.b"),
    ]


def test_without_replacements_no_text_is_written() -> None:
    plain, editing = prepared({"a": "x"}), prepared({"a": "x"}, replace={"a": ""})

    assert (plain.edits, editing.edits) == (False, True)
    assert measured_rows(plain, ["axb"]) == [{"num_a": 1, "per_1000_words_a": 1000.0}]
    assert measured_rows(editing, ["axb", "", "x"]) == [
        {"num_a": 1, "per_1000_words_a": 1000.0, "text": "ab"},
        {"num_a": 0, "per_1000_words_a": None, "text": None},
        {"num_a": 1, "per_1000_words_a": 1000.0, "text": ""},
    ]


def test_every_pattern_looks_at_the_text_as_it_came_and_overlaps_go_to_the_first() -> None:
    step = prepared({"one": "ab", "two": "bcd", "three": "abc"}, replace={"one": "1", "two": "2", "three": "3"})

    (row,) = measured_rows(step, ["abcd bcd"])

    assert (row["num_one"], row["num_two"], row["num_three"], row["text"]) == (1, 2, 1, "3d 2")


@given(BATCHES)
@settings(max_examples=100, deadline=None)
def test_batches_do_not_show(texts: list[str]) -> None:
    step = prepared({"word": r"\w+", "ends": "(?m)[.!?]$", "other": r"[^\x00-\x7f]"}, replace={"other": "?"})

    assert measured_rows(step, texts) == [measured_rows(step, [text])[0] for text in texts]


def test_the_version_of_re2_is_part_of_what_was_measured() -> None:
    assert prepared({"a": "x"}).identity_extras() == {"google-re2": version("google-re2")}


def test_what_is_compiled_stays_in_its_process() -> None:
    step = Patterns(params=Patterns.Params.parse({"patterns": {"a": "x"}}))

    assert pickle.loads(pickle.dumps(step)).params == step.params


@pytest.mark.parametrize(
    ("expression", "piece"),
    [(r"\d+(?:[\d,]*\.\d+)?", "1,"), ("(?s)a.*b|a", "a"), ("x", "x"), (r"\b", "a "), ("(a+)+b", "a"), ("z", "a")],
)
def test_time_is_linear_whatever_the_expression(expression: str, piece: str) -> None:
    """RE2 alone takes 5 minutes for the first: its time is linear for one match, not for all of them."""
    step, found = prepared({"a": expression}), {}

    def count(size: int) -> None:
        found[size] = measured_rows(step, [piece * (size // len(piece))])[0]["num_a"]

    assert not slowness(count, size=MEGABYTE)  # some take half a second for any text, and no more for a longer one
    count(10)
    assert found[MEGABYTE] == min(found[10] * 100_000, MAX_MATCHES) or expression.startswith("(a+)")


def test_thresholds_are_answered_from_stored_matches(tmp_path) -> None:
    from pipeline.queries.what_if import what_if

    house = House(tmp_path)
    write_lines(tmp_path / "a.jsonl", [{"text": "x " * count + "words"} for count in range(1, 6)])
    house.clean(["patterns: {patterns: {a: x}, max_matches: {a: 2}}"])
    house.run()

    (answer,) = what_if(house.workspace, house.recipe, settings={"datasets.clean.patterns.max_matches.a": 4})[
        "datasets"
    ]

    assert (answer["kept_before"], answer["kept_after"]) == (2, 4)
