"""One round: claims stated on one part of the documents, tested on a second, measured on a third, and all of it noted.

    material -> slices (nobody is asked)
             -> claims, void ones apart -> answers on documents that nobody has seen -> Holm -> findings

Questions with known answers go among the claims (`eval/claims/known_answers.py`); where one that must fail passes, or
the one that must pass fails, nothing of the round counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.claims.associations import LEVEL, Association, associations_of, holm
from eval.claims.known_answers import (
    MUST_FAIL,
    PLANTED,
    Accuracy,
    Control,
    accuracy_of,
    controls_of,
    labels_for,
    truths_of,
)
from eval.claims.power import BESIDE, LEAST_PAIRS, detectable, documents_needed
from eval.claims.record import Claim, ControlResult, Effect, Judging, Quote, Round
from eval.claims.sides import SPLITS, WORST, Sides, Split, choose_sides, split_by_group
from eval.claims.slices import LEAST_DOCUMENTS, slice_effects
from pipeline.core.errors import DataError
from pipeline.core.identity import identity_of
from pipeline.core.rng import generator
from pipeline.queries.errors.judging import MATCHED, Judge, Judged, Question, Specimen, match
from pipeline.queries.errors.masked import mask
from pipeline.queries.errors.material import Material
from pipeline.queries.errors.proposal import MOST_CLAIMS, MOST_STEP, MOST_VALUE, Proposal, Proposed, checked
from pipeline.queries.errors.words import propose_words

Propose = Callable[[Material, Sides], Proposed]
About = dict[str, dict[int, bool]]  # claim -> row of a document of which it is known -> whether it has what is claimed

LEAST_MEASURED = 25  # documents a side, from which an effect is measured anew
LEAST_ANSWERED = 0.8  # share of the documents of a side; with fewer, who is missing may be the finding
DIGITS, SIGNIFICANT = 6, 6


def sides_of(material: Material, *, documents: int, seed: int) -> dict[Split, Sides]:
    """Return both sides of every split; DataError where there is too little to test anything on."""
    badness, strata = material.badness, material.strata
    found = {
        name: choose_sides(badness, strata, rows, most=documents, seed=seed, name=name)
        for name, rows in split_by_group(material.keys, material.cluster).items()
    }
    if len(found["verify"]) < LEAST_PAIRS or len(found["propose"]) < LEAST_PAIRS // 3:
        groups = len(np.unique(material.cluster))
        needed = round(LEAST_PAIRS / WORST / SPLITS["verify"])
        show = round(documents_needed(0.3, BESIDE, claims=MOST_CLAIMS + MUST_FAIL) / WORST / SPLITS["verify"])
        raise DataError(
            f"errors: {len(material.ids):,} documents in {groups:,} groups give {len(found['verify'])} pairs to test "
            f"claims on; {LEAST_PAIRS} are needed, so about {needed:,} groups, and about {show:,} to find what 30 % of "
            "the worst and 10 % of the others have. Hold out more documents, or raise proxy.held_out_bytes, and run "
            "the recipe again."
        )
    return found


def hold_round(
    material: Material, *, members: Mapping[str, np.ndarray], propose: Propose, judge: Judge, judge_title: str,
    documents: int, seed: int, words_instead: bool = False, about: About | None = None,
) -> Round:  # fmt: skip
    """Hold a round; where `propose` says why it states nothing, words may be contrasted instead, asking nobody.

    `about` takes in which documents have what is claimed.
    """
    sides = sides_of(material, documents=documents, seed=seed)
    slices = slice_effects(
        members, bits_D=material.bits, bytes_D=material.num_bytes, cluster_D=material.cluster, seed=seed
    )
    proposed = propose(material, sides["propose"])
    notes, cost = [*material.notes, *proposed.notes], proposed.cost_usd
    if not proposed.proposals and proposed.notes and words_instead:
        proposed, judge, judge_title = propose_words(material, sides["propose"]), match, MATCHED
        notes.append("Claims are contrasts of words instead, and a pattern decides what a document has.")
    proposals = checked(proposed)
    standing = [proposal for proposal in proposals if not proposal.why]
    told = Round(
        experiment=material.experiment, identity="", first=material.first, other=material.other, which=material.which,
        on=material.on, documents=len(material.ids), groups=len(np.unique(material.cluster)),
        pairs={name: len(each) for name, each in sides.items()},
        slices=tuple(slices), proposer=proposed.by,
        claims=tuple(_claim(each, material, proposed) for each in proposals), notes=tuple(notes), cost_usd=cost,
        detectable=detectable(len(sides["verify"]), neutral=BESIDE, claims=max(len(standing), 1) + MUST_FAIL),
    )  # fmt: skip
    if not standing:
        return told
    return _judged(told, material, sides, judge, title=judge_title, seed=seed, about={} if about is None else about)


def _judged(
    told: Round, material: Material, sides: Mapping[Split, Sides], judge: Judge, *, title: str, seed: int, about: About
) -> Round:
    """Return the round with its claims tested, and those that pass measured where nothing was chosen by."""
    claims = [claim for claim in told.claims if claim.status != "void"]
    controls = controls_of(seed)
    asked = _ask(material, sides["verify"], judge, claims, controls, seed=seed)
    directions = [1 if claim.more else -1 for claim in claims] + [1] * len(controls)
    found = associations_of(asked.worst, asked.neutral, directions=directions)
    p_values = [float(f"{each.p_value:.{SIGNIFICANT}g}") for each in found]
    adjusted = [round(value, DIGITS) for value in holm(p_values)]
    results = tuple(
        ControlResult(control.question, control.must_pass, raw, p, passed=p <= LEVEL)
        for control, raw, p in zip(controls, p_values[len(claims) :], adjusted[len(claims) :], strict=True)
    )
    accuracy = accuracy_of(
        np.concatenate([asked.worst, asked.neutral])[:, len(claims) :], truths_of(controls, asked.labels)
    )
    tested = [
        replace(
            claim, tested=_effect(each), p_value=raw, adjusted=p,
            status="associated" if p <= LEVEL else "not verified",
        )
        for claim, each, raw, p in zip(claims, found, p_values, adjusted, strict=False)
    ]  # fmt: skip
    void = _why_void(results, asked)
    _take_in(about, claims, asked)
    if not void:
        tested = _measured(tested, material, sides["report"], judge, seed=seed, about=about)
    if judge is match:  # asks nobody, so it is asked about all documents
        texts = [Specimen(text, ()) for text in material.texts]
        answers = match([Question(claim.id, claim.question, pattern=claim.pattern) for claim in claims], texts).answers
        about |= {claim.id: dict(enumerate(answers[:, place] == 1)) for place, claim in enumerate(claims)}
    by_id = {claim.id: claim for claim in tested}
    judged = asked.judged
    return replace(
        told, void=void, controls=results,
        claims=tuple(claim if claim.status == "void" else by_id[claim.id] for claim in told.claims),
        judging=Judging(
            title, round(accuracy.sensitivity, DIGITS), round(accuracy.specificity, DIGITS),
            None if judged.agreement is None else round(judged.agreement, DIGITS), judged.reread,
            _unanswered(asked, material),
        ),
    )  # fmt: skip


def _why_void(results: Sequence[ControlResult], asked: Asked) -> str:
    """Return why nothing of a round counts; empty where it does."""
    said = np.array([outcome == "answered" for outcome in asked.judged.outcomes])
    shares = [float(said[asked.is_worst == side].mean()) for side in (True, False)]
    if min(shares) < LEAST_ANSWERED:
        return (
            f"only {100 * shares[0]:.0f} % of the worst documents and {100 * shares[1]:.0f} % of the neutral ones were "
            f"answered; {100 * LEAST_ANSWERED:.0f} % of both are needed"
        )
    for result in results:
        if result.passed and not result.must_pass:
            return f"a question that has nothing to do with the sides passed as a claim would ({result.question})"
        if result.must_pass and not result.passed:
            told = " and ".join(f"{100 * share:.0f} %" for share in PLANTED)
            return f"the planted question, to which yes is right of {told}, did not pass ({result.question})"
    return ""


def _take_in(about: About, claims: Sequence[Claim], asked: Asked) -> None:
    """Take in what was answered about the documents of both sides."""
    rows = asked.sides.worst.tolist() + asked.sides.neutral.tolist()
    for place, claim in enumerate(claims):
        answers = np.concatenate([asked.worst[:, place], asked.neutral[:, place]]).tolist()
        known = {row: answer == 1 for row, answer in zip(rows, answers, strict=True) if answer == answer}
        about.setdefault(claim.id, {}).update(known)


def _measured(
    claims: Sequence[Claim], material: Material, sides: Sides, judge: Judge, *, seed: int, about: About
) -> list[Claim]:
    """Measure the claims that passed on documents that neither stated nor tested them, where there are enough."""
    passed = [claim for claim in claims if claim.status == "associated"]
    if not passed or len(sides) < LEAST_MEASURED:
        return list(claims)
    asked = _ask(material, sides, judge, passed, (), seed=seed)
    _take_in(about, passed, asked)
    found = associations_of(asked.worst, asked.neutral, directions=[1] * len(passed))
    effects = {
        claim.id: _effect(each) for claim, each in zip(passed, found, strict=True) if each.pairs >= LEAST_MEASURED
    }
    return [replace(claim, measured=effects.get(claim.id)) for claim in claims]


@dataclass(frozen=True, slots=True)
class Asked:
    """Answers of pairs to claims and then controls, and what is known of the documents, in the order of asking."""

    worst: np.ndarray  # float64[N, Q]
    neutral: np.ndarray  # float64[N, Q]
    labels: np.ndarray  # bool[2 N, LABELS], of the worst first
    judged: Judged
    sides: Sides
    rows: np.ndarray  # int64[2 N], in the order of asking
    is_worst: np.ndarray  # bool[2 N], in the order of asking


def _ask(
    material: Material, sides: Sides, judge: Judge, claims: Sequence[Claim], controls: Sequence[Control], *, seed: int
) -> Asked:
    """Ask everything of both sides, in orders of questions and documents that say nothing of either."""
    questions = [(claim.question, claim.pattern, False) for claim in claims]
    questions += [(control.question, control.pattern, control.label is not None) for control in controls]
    mixed = generator(seed, "claims", "sheet", len(questions)).permutation(len(questions))
    sheet = [
        Question(f"q{place:02d}", questions[number][0], pattern=questions[number][1], of_labels=questions[number][2])
        for place, number in enumerate(mixed.tolist(), 1)
    ]
    rows, is_worst = np.concatenate([sides.worst, sides.neutral]), np.repeat([True, False], len(sides))
    labels = labels_for(is_worst, seed=seed)
    order = generator(seed, "claims", "order", len(rows)).permutation(len(rows))
    specimens = [Specimen(material.texts[rows[place]], labels[place].tolist()) for place in order.tolist()]
    judged = judge(sheet, specimens)
    answers = judged.answers[np.ix_(np.argsort(order), np.argsort(mixed))]
    return Asked(answers[: len(sides)], answers[len(sides) :], labels, judged, sides, rows[order], is_worst[order])


def _unanswered(asked: Asked, material: Material) -> dict[str, int]:
    """Count documents without an answer by side, set and reason; a set of few documents is not named."""
    sizes = Counter(material.domain.tolist())
    found: Counter[str] = Counter()
    for outcome, row, worst in zip(asked.judged.outcomes, asked.rows.tolist(), asked.is_worst.tolist(), strict=True):
        if outcome != "answered":
            domain = str(material.domain[row])
            place = f" of {domain}" if sizes[domain] >= LEAST_DOCUMENTS else ""
            found[f"{'worst' if worst else 'neutral'}{place}: {outcome}"] += 1
    return dict(sorted(found.items()))


def _effect(found: Association) -> Effect | None:
    if not found.pairs:
        return None
    worst, neutral, low, high = (round(value, DIGITS) for value in (found.worst, found.neutral, found.low, found.high))
    return Effect(worst=worst, neutral=neutral, low=low, high=high, pairs=found.pairs)


def _claim(proposal: Proposal, material: Material, proposed: Proposed) -> Claim:
    """Return the claim of a checked proposal, personal data in its words masked before they are cut."""
    shown = proposed.shown
    quotes = [] if proposal.why else [Quote(shown[k].doc_id, shown[k].masked(text)) for k, text in proposal.quotes[:3]]
    asked = {"experiment": material.experiment, "which": material.which, "question": proposal.question}
    return Claim(
        id=f"c_{identity_of(asked | {'more': proposal.more})[:12]}",
        question=proposal.question,
        more=proposal.more,
        by=proposed.by,
        status="void" if proposal.why else "not verified",
        why=proposal.why,
        pattern="" if proposal.why else proposal.pattern,
        predicted=proposal.predicted,
        step=mask(proposal.step)[:MOST_STEP],
        edit={key: mask(str(value))[:MOST_VALUE] for key, value in proposal.edit.items()},
        quotes=tuple(quotes),
    )


def corrected(round_: Round, effect: Effect) -> float | None:
    """Return the difference that a perfect judge would have found, by how this one answered what is known."""
    judging = round_.judging
    if judging is None:
        return None
    return Accuracy(judging.sensitivity, judging.specificity).corrected(effect.difference)
