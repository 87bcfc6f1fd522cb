"""Details of a labelling step's card -> what the report says of the labels' quality: the label card.

Expected in `details`, each where it was measured: `valid` and `good` (shares with intervals), `two_readings`, `people`
and `drift` (agreement by question, shift of the grade), `twins` (shift by style), `outcomes_by_source` and
`outcomes_by` (signal -> value -> outcomes), `usd_per_1000_valid`, `rounds`, and of each file `wrong_rows`; `canaries`
(flip_rate, raised, by_family), `injections`, `unsupported`, `answers` and `more_grades` by name, and `languages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.report.draw import figures
from pipeline.report.draw.charts import Axis
from pipeline.report.draw.forest import Estimate, Forest, forest_of

MOST_GROUPS = 12  # in which documents were not graded, those with most of them first
NOT_MEASURED = {
    "two_readings": "no document was read twice",
    "people": "no people's grades were brought (people: FILE)",
    "drift": "no earlier grades of these documents were brought (known or earlier: FILE)",
    "twins": "no document was sent in another style",
    "canaries": "no document was sent with an order to the grader in it (canaries)",
}


@dataclass(frozen=True, slots=True)
class AgreementShown:
    """How far one rater agrees with another: what was judged, kappa and its interval."""

    name: str
    documents: int
    rows: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class ShiftShown:
    """By how many grades one reading is above another of the same documents."""

    name: str
    shift: str
    interval: str
    changed: int
    documents: int


@dataclass(frozen=True, slots=True)
class DriftShown:
    """How far grades moved since each earlier set, the oldest first."""

    plot: Forest
    looks: int


@dataclass(frozen=True, slots=True)
class GroupShown:
    """Documents with one value of a signal, and how many of them got no grade."""

    name: str
    value: str
    asked: int
    outcomes: str  # those without a grade, by why
    share: str


@dataclass(frozen=True, slots=True)
class RoundShown:
    """A round of labelling after the sample: what was there, what it promised, what was asked."""

    graded: int
    spearman: str
    gain: str
    interval: str
    usd: str
    asked: int
    why: str


@dataclass(frozen=True, slots=True)
class OrderShown:
    """One kind of orders to a model: how many documents have one, and how often one that was put in changed a grade."""

    kind: str
    documents: int
    canaries: int
    flipped: int


@dataclass(frozen=True, slots=True)
class LabelCard:
    """What is known of a label set's quality, and what is not."""

    facts: tuple[tuple[str, str], ...]
    agreements: tuple[AgreementShown, ...]
    shifts: tuple[ShiftShown, ...]
    drift: DriftShown | None
    groups: tuple[GroupShown, ...]
    num_groups: int
    rounds: tuple[RoundShown, ...]
    orders: tuple[OrderShown, ...]
    answers: tuple[tuple[str, str], ...]  # question or further grade, and how it was answered how often
    wrong: tuple[str, ...]  # rows of files that were left out
    unknown: tuple[str, ...]  # what was not measured, and why


def label_card_of(details: Mapping[str, Any]) -> LabelCard | None:
    """Return the label card of a step's details; None of a card that was written before there were any."""
    if "good" not in details:
        return None
    groups = sorted(_groups(details), key=lambda group: -_ungraded(group[1]))
    return LabelCard(
        facts=tuple(_facts(details)),
        agreements=tuple(_agreements(details)),
        shifts=tuple(_shifts(details)),
        drift=_drift(details),
        groups=tuple(_group(where, outcomes) for where, outcomes in groups[:MOST_GROUPS]),
        num_groups=len(groups),
        rounds=tuple(_rounds(details)),
        orders=tuple(_orders(details)),
        answers=tuple(_answers(details)),
        wrong=tuple(_wrong(details)),
        unknown=tuple(why for key, why in NOT_MEASURED.items() if not details.get(key)),
    )


def _facts(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    good = details["good"]
    valid = details.get("valid", {}).get("graded", {"documents": details.get("asked", 0), "share": 0.0})
    yield "valid answers", _share(valid)
    among = f", among {good['among']}" if "among" in good else ""
    yield f"grade {figures.number(good['from_grade'])} or more, by the teacher{among}", _share(good["by_teacher"])
    if "with_known" in good:
        yield "among all documents, known grades as they are", _share(good["with_known"])
    if "corrected" in good:
        yield f"the same{among}, corrected by people's grades", _share(good["corrected"])
        if "corrected_with_known" in good:
            yield "the same among all documents, known grades as they are", _share(good["corrected_with_known"])
        yield "good documents that the teacher calls good", _share(good["sensitivity"])
        yield "other documents that it calls other", _share(good["specificity"])
    if "usd_per_1000_valid" in details:
        yield "per 1,000 valid labels", figures.dollars(details["usd_per_1000_valid"])
    if "canaries" in details:
        yield "grades that an order in the document changed", _share(details["canaries"]["flip_rate"])
        yield "grades below the highest that it raised", _share(details["canaries"]["raised"])
    if "injections" in details:
        yield "documents with an order to a model", _of(details["injections"]["documents"], details["injections"]["of"])
    if "unsupported" in details:
        yield (
            "answers whose quote is not in the document",
            _of(details["unsupported"]["answers"], details["unsupported"]["of"]),
        )
    if "languages" in details:
        found = details["languages"]
        yield f"documents that read as {found['works_for']}", _of(found["english"], found["english"] + found["other"])


def _of(count: int, total: int) -> str:
    return f"{figures.count(count)} of {figures.count(total)}"


def _orders(details: Mapping[str, Any]) -> Iterator[OrderShown]:
    """Yield every kind of orders that stands in a document, or that a canary was made of."""
    there = details.get("injections", {}).get("by_family", {})
    put_in = details.get("canaries", {}).get("by_family", {})
    for family in sorted({*there, *put_in}):
        one = put_in.get(family, {"documents": 0, "flipped": 0})
        yield OrderShown(family.replace("_", " "), there.get(family, 0), int(one["documents"]), int(one["flipped"]))


def _answers(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, found in {**details.get("answers", {}), **details.get("more_grades", {})}.items():
        counts = ", ".join(f"{answer}: {figures.count(count)}" for answer, count in found.items() if count)
        yield name.replace("_", " "), counts or figures.NONE


def _share(found: Mapping[str, Any]) -> str:
    if found.get("share") is None:
        return "cannot be told"
    text = f"{100 * found['share']:.1f} %"
    return f"{text} ({100 * found['low']:.1f} to {100 * found['high']:.1f})" if "low" in found else text


def _agreements(details: Mapping[str, Any]) -> Iterator[AgreementShown]:
    named = {"two readings": details.get("two_readings"), "people": _agreement_in(details.get("people"))}
    sets = _sets(details)
    newest = [key for key, _ in sets if key != "known"][-1:]  # of several earlier sets; the plot has all of them
    named |= {_before(key, one): _agreement_in(one) for key, one in sets if key in ("known", *newest)}
    for name, found in named.items():
        if found:
            yield AgreementShown(name, int(found["documents"]), tuple(_kappas(found)))


def _agreement_in(found: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {} if found is None else found.get("agreement", {})


def _before(key: str, one: Mapping[str, Any]) -> str:
    number = key.removeprefix("earlier").removeprefix("_") or "1"
    return f"{'anchors, graded before' if key == 'known' else f'earlier set {number}'} ({one['file']})"


def _kappas(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, value in sorted(found.items(), key=lambda item: item[0] != "grade"):  # the grade, then its questions
        if isinstance(value, Mapping):
            kappa, low, high = (
                None if value.get(key) is None else figures.number(value[key], 2) for key in ("kappa", "low", "high")
            )
            yield name.replace("_", " "), kappa or "cannot be told", _interval(low, high) if kappa else figures.NONE


def _interval(low: str | None, high: str | None) -> str:
    return "too few to tell" if low is None or high is None else f"{low} to {high}"


def _shifts(details: Mapping[str, Any]) -> Iterator[ShiftShown]:
    twins = {"padded": "padded with words that say nothing", "stripped": "stripped of Markdown"}
    for key, found in details.get("twins", {}).items():
        if found.get("documents"):
            low, high = (None if found[end] is None else _signed(found[end]) for end in ("low", "high"))
            yield ShiftShown(
                twins.get(key, key),
                _signed(found["shift"]),
                _interval(low, high),
                int(found["changed"]),
                int(found["documents"]),
            )


def _sets(details: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the earlier grades by their name in the card, the oldest first."""
    return sorted(details.get("drift", {}).items(), key=lambda item: item[1].get("place", 0))


def _drift(details: Mapping[str, Any]) -> DriftShown | None:
    """Draw the shift since each earlier set; a card of before the sets were counted had one or two."""
    sets = _sets(details)
    if not sets:
        return None
    ends = [float(one[end]) for _, one in sets for end in ("shift", "low", "high") if one[end] is not None]
    reach = 1.1 * max(0.25, *map(abs, ends))
    estimates = [_since(key, one) for key, one in sets]
    zero = [(0.0, "zero")]
    plot = forest_of(estimates, axis=Axis(-reach, reach), text=lambda value: _signed(value), marks=zero)
    return DriftShown(plot, max(one.get("looks", len(sets)) for _, one in sets))


def _since(key: str, one: Mapping[str, Any]) -> Estimate:
    moved, says = bool(one.get("moved")), ""
    under = f"{figures.count(one['changed'])} of {figures.counted(one['documents'], 'document')} changed"
    if one.get("sure_low") is not None:
        under += f"; widened {_signed(one['sure_low'], 3)} to {_signed(one['sure_high'], 3)}"
        says = "moved" if moved else "may be chance"
    return Estimate(_before(key, one), under, one["shift"], one["low"], one["high"], says, strong=moved)


def _signed(value: float, decimals: int = 2) -> str:
    return figures.signed(value, decimals) if round(value, decimals) else figures.fixed(0, decimals)


def _groups(details: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Mapping[str, int]]]:
    """Yield every group in which a document got no grade, as ((what groups them, its value), outcomes)."""
    by = {"source": details.get("outcomes_by_source", {}), **details.get("outcomes_by", {})}
    for name, groups in by.items():
        for value, outcomes in groups.items():
            if _ungraded(outcomes):
                yield (name, value), outcomes


def _ungraded(outcomes: Mapping[str, int]) -> int:
    return sum(count for status, count in outcomes.items() if status != "graded")


def _group(where: tuple[str, str], outcomes: Mapping[str, int]) -> GroupShown:
    asked = sum(outcomes.values())
    why = ", ".join(f"{figures.count(count)} {status}" for status, count in outcomes.items() if status != "graded")
    share = figures.share(_ungraded(outcomes), asked)
    return GroupShown(where[0].replace("_", " "), figures.excerpt(where[1] or "(none)", 60), asked, why, share)


def _rounds(details: Mapping[str, Any]) -> Iterator[RoundShown]:
    for each in details.get("rounds", ()):
        yield RoundShown(
            graded=each["graded_before"],
            spearman=figures.number(each["spearman"], 3),
            gain=_signed(each["expected_gain"], 4),
            interval=_interval(*(figures.fixed(each[f"expected_gain_{end}"], 4) for end in ("low", "high"))),
            usd=figures.dollars(each["expected_usd"]),
            asked=each["asked"],
            why=each["why"],
        )


def _wrong(details: Mapping[str, Any]) -> Iterator[str]:
    files = [details.get("file"), details.get("known"), details.get("people"), *details.get("drift", {}).values()]
    told = set[str]()
    for file in files:
        if isinstance(file, Mapping) and file.get("wrong_rows"):
            counts = ", ".join(f"{figures.count(count)} {kind}" for kind, count in sorted(file["wrong_rows"].items()))
            name = file.get("name", file.get("file", ""))
            told.add(f"{name}: {counts}, such as {'; '.join(file['wrong_examples'])}")
    yield from sorted(told)
