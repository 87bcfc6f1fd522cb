"""Histograms put each document on its side of the line; numbers are short and round to nothing that is false."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pipeline.report.draw import figures
from pipeline.report.draw.bins import bin_values
from pipeline.report.draw.charts import Axis, histogram, round_values, share_bar, tick_texts


def test_every_document_is_in_the_picture_or_counted_outside() -> None:
    values = np.concatenate([np.linspace(0, 1, 990), [7.0] * 4, [-3.0] * 3, [np.nan] * 9])

    bins = bin_values(values, values > 0.9, [0.9])

    assert bins is not None
    inside = int(bins.kept.sum() + bins.dropped.sum())
    assert inside + bins.below + bins.above == 997
    assert (bins.below, bins.above) == (3, 4)


def test_no_bin_of_fractions_straddles_the_threshold() -> None:
    values = np.linspace(0.03, 0.97, 5000)

    bins = bin_values(values, values < 0.65, [0.65])

    assert bins is not None
    assert not ((bins.kept > 0) & (bins.dropped > 0)).any()


def test_whole_numbers_are_divided_between_two_numbers() -> None:
    values = np.arange(0, 10).repeat(3).astype(float)

    bins = bin_values(values, values < 2, [2.0])

    assert bins is not None and bins.whole
    assert bins.place(">=", 2.0) == 1.5
    assert bins.kept.tolist() == [0, 0, 3, 3, 3, 3, 3, 3, 3, 3]


def test_a_long_tail_gets_a_logarithmic_scale() -> None:
    bins = bin_values(np.geomspace(10, 100_000, 500), np.zeros(500, bool), [50.0])

    assert bins is not None and bins.log


def test_a_threshold_far_off_is_named_and_not_drawn() -> None:
    values = np.linspace(10, 60, 500)

    bins = bin_values(values, np.zeros(500, bool), [100_000.0])
    assert bins is not None
    picture = histogram(bins, [("<=", 100_000.0)], title="words")

    assert bins.edges[-1] < 100
    assert 'class="threshold"' not in picture
    assert "\N{LESS-THAN OR EQUAL TO} 100,000 \N{RIGHTWARDS ARROW}" in picture


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 1.0, 1.0], [np.nan, np.nan]])
def test_two_values_need_no_histogram(values: list[float]) -> None:
    assert bin_values(np.array(values), np.zeros(len(values), bool), [0.5]) is None


def test_a_picture_escapes_its_words() -> None:
    picture = share_bar([(0.5, "kept")], title="</title><script>alert(1)</script>")

    assert "<script>" not in picture


def test_ticks_are_round_and_inside() -> None:
    assert round_values(0.0, 1.0, 5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Axis(3.0, 70_000.0, log=True).ticks(4) == [10.0, 100.0, 1000.0, 10_000.0]


def test_a_scale_by_square_roots_is_stretched_near_its_lowest_value() -> None:
    axis = Axis(2.117, 2.274, root=True)

    assert axis.percent(2.117) == 0 and axis.percent(2.274) == 100 and axis.percent(2.0) == 0
    assert axis.percent(2.117 + 0.157 / 4) == pytest.approx(50)
    assert all(2.117 < tick <= 2.274 for tick in axis.ticks(4)) and len(axis.ticks(4)) >= 3


def test_a_tick_is_never_rounded_onto_another_value() -> None:
    assert tick_texts([2.12, 2.125, 2.13]) == ["2.12", "2.125", "2.13"]
    assert tick_texts([0.0, 0.5, 1.0]) == ["0", "0.5", "1"] and tick_texts([1000.0, 2000.0]) == ["1k", "2k"]


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0.0 %"), (1, 100_000, "< 0.1 %"), (99_999, 100_000, "> 99.9 %"), (1, 1, "100.0 %"), (0, 0, figures.NONE)],
)
def test_a_few_are_never_rounded_to_none(part: int, whole: int, text: str) -> None:
    assert figures.share(part, whole) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234567.0, "1,234,567"),
        (0.65, "0.65"),
        (1.5321, "1.532"),
        (-0.004, "\N{MINUS SIGN}0.004"),
        (None, figures.NONE),
    ],
)
def test_numbers_have_four_digits_that_mean_something(value: float | None, text: str) -> None:
    assert figures.number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.64999, "0.64999"), (0.65, "0.65"), (0.51234567, "0.5123")])
def test_a_value_is_never_rounded_onto_its_threshold(value: float, text: str) -> None:
    assert figures.beside(value, 0.65) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0 s"),
        (0.01, "< 0.1 s"),
        (9.94, "9.9 s"),
        (59.7, "1 min 0 s"),
        (125.0, "2 min 5 s"),
        (4800.0, "1 h 20 min"),
    ],
)
def test_durations_are_spelled_for_people(value: float, text: str) -> None:
    assert figures.seconds(value) == text


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.00 kB"), (999_600, "1.00 MB"),
        (20_073_976, "20.1 MB"), (506_068, "506 kB"), (99_960_000, "100 MB"), (4.2e12, "4.20 TB"),
    ],
)  # fmt: skip
def test_sizes_have_three_digits_and_a_unit(num_bytes: float, text: str) -> None:
    assert figures.size(num_bytes) == text


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (
            "gain -0.309 (-.1 to 2), part-2 of 2026-11",
            "gain \N{MINUS SIGN}0.309 (\N{MINUS SIGN}.1 to 2), part-2 of 2026-11",
        ),
        ("needs >= 10 and <b>", "needs \N{GREATER-THAN OR EQUAL TO} 10 and &lt;b&gt;"),
        ("set `min_jaccard`, or `<b>`", "set <code>min_jaccard</code>, or <code>&lt;b&gt;</code>"),
        ("a ` alone", "a ` alone"),
    ],
)
def test_a_stored_sentence_is_printed_with_real_signs(stored: str, text: str) -> None:
    assert figures.said(stored) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 rules"), (1, "1 rule"), (1234, "1,234 rules")])
def test_one_is_singular(number: int, text: str) -> None:
    assert figures.counted(number, "rule") == text


def test_an_excerpt_is_short_and_shows_what_is_hidden() -> None:
    assert figures.excerpt("one\r\n\r\n\r\n\r\ntwo\x00", 100, lines=9) == "one\n\ntwo\N{REPLACEMENT CHARACTER}"
    assert figures.excerpt("a  b\nc", 100) == "a b c"
    assert figures.excerpt("10\u00a0% of\u3000it\u202e", 100) == "10\u00a0% of\u3000it\N{REPLACEMENT CHARACTER}"
    assert len(figures.excerpt("x" * 10_000, 400, lines=9)) == 402
    assert re.fullmatch(r"1\n2\n3 \N{HORIZONTAL ELLIPSIS}", figures.excerpt("1\n2\n3\n4", 100, lines=3))
