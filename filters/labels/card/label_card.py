"""Grades and readings -> the label card: what is known of a label set's quality, as plain JSON for a step's card.

`valid` shares of answers by outcome; `two_readings`, `people` and `drift` agreement with other readings of the same
documents; `good` the share of good documents, as the teacher sees it and corrected by people's grades; `twins` the
shift of the grade when only the style changes; `outcomes_by` who was not graded; `usd_per_1000_valid` what it cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from filters.labels.asking.questions import SECOND
from filters.labels.asking.twins import TWINS
from filters.labels.card.drift import drift_of, drift_warnings, of_file
from filters.labels.sample.brought import Here
from filters.labels.sample.sampling import Survey, groups_of
from filters.labels.teachers.agreement import GOOD_GRADE, Pair, agreement, corrected_share, share, share_with, shift
from filters.labels.teachers.grading import Grading


def outcomes(survey: Survey, said: Mapping[int, Grading], *, signals: Sequence[str]) -> dict[str, Any]:
    """Return outcomes of what was asked: in all with intervals, by source, and by the values of signals."""
    positions = list(said)
    statuses = [said[position].status for position in positions]
    counts = dict(sorted(Counter(statuses).items()))
    by = {name: _by(survey.marks[positions, column].tolist(), statuses) for column, name in enumerate(signals)}
    return {
        "asked": len(positions),
        "outcomes": counts,
        "valid": {status: share(count, len(positions)) for status, count in counts.items()},
        "outcomes_by_source": _by(survey.sources[positions].tolist(), statuses, as_they_are=True),
    } | ({"outcomes_by": by} if by else {})


def _by(values: Sequence[Any], statuses: Sequence[str], *, as_they_are: bool = False) -> dict[str, dict[str, int]]:
    """Count outcomes by value; many values of a signal are joined as in sampling."""
    found: dict[str, Counter[str]] = {}
    for value, status in zip(values if as_they_are else groups_of(values), statuses, strict=True):
        found.setdefault(value, Counter())[status] += 1
    return {value: dict(sorted(found[value].items())) for value in sorted(found)}


def quality(
    sample: Sequence[Grading], *, now: Mapping[int, Grading], pairs: Mapping[str, Sequence[Pair]],
    people: Here | None, earlier: Mapping[str, Here], seed: int,
    among: str, known: Mapping[int, Grading], num_rest: int,
) -> dict[str, Any]:  # fmt: skip
    """Return what other readings of the same documents say of the grades.

    `sample` is a part whose shares hold for the documents named by `among`, all but the `known`, `num_rest` of them;
    `now` is all that this teacher graded, by position.
    """
    graded = [grading.grade for grading in sample if grading.grade is not None]
    good = sum(grade >= GOOD_GRADE for grade in graded)
    by_teacher = share(good, len(graded))
    found: dict[str, Any] = {"good": {"from_grade": GOOD_GRADE, "among": among, "by_teacher": by_teacher}}
    num_good = sum(each.grade is not None and each.grade >= GOOD_GRADE for each in known.values())
    if known:
        found["good"]["with_known"] = share_with(by_teacher, num_rest, good=num_good, known=len(known))
    second = agreement(pairs.get(SECOND, ()), seed=seed)
    found |= {"two_readings": second} if second else {}
    if people is not None:
        both = people.pairs(now)
        found["good"] |= corrected_share(good, len(graded), both)
        if known:
            corrected = found["good"]["corrected"]
            found["good"]["corrected_with_known"] = share_with(corrected, num_rest, good=num_good, known=len(known))
        found["people"] = of_file(people, both, seed=seed)
    drift = drift_of(earlier, now, seed=seed)
    found |= {"drift": drift} if drift else {}
    found |= {"warnings": warnings} if (warnings := drift_warnings(drift)) else {}
    twins = {name: shift(pairs[name]) for name in TWINS if pairs.get(name)}
    return found | ({"twins": twins} if twins else {})
