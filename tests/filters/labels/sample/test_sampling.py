"""Values of signals as strata: few enough that each has documents to give."""

from __future__ import annotations

from filters.labels.sample.sampling import OTHERS, groups_of


def test_a_measure_is_cut_into_quarters_and_what_was_not_measured_stands_apart() -> None:
    values = [None, *(float(n) for n in range(100)), float("nan")]

    groups = groups_of(values)

    assert (groups[0], groups[-1]) == ("", "")
    assert [groups.count(f"quarter {n}") for n in (1, 2, 3, 4)] == [25, 25, 25, 25]


def test_the_commonest_words_are_strata_of_their_own_and_the_others_one_together() -> None:
    values = [None, "en", "en", *(f"rare {n:02}" for n in range(20)), *("de" for _ in range(3))]

    groups = groups_of(values)

    assert (groups[1], groups[-1]) == ("en", "de")
    assert groups.count(OTHERS) == 8  # of 23 values, 15 stand alone; of equally rare ones the first by name
    assert groups_of([3, 3, 1, None]) == ["3", "3", "1", ""]  # numbers of topics are names, not measures
