"""A round of claims on documents of which it is known what the worst have in common."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from eval.claims.power import detectable
from eval.claims.record import Round
from pipeline.core.errors import DataError
from pipeline.queries.errors.judging import Judged, match
from pipeline.queries.errors.masked import without_personal
from pipeline.queries.errors.material import cut
from pipeline.queries.errors.members import members_of
from pipeline.queries.errors.proposal import Proposal, Proposed, Shown
from pipeline.queries.errors.round import corrected, hold_round
from pipeline.queries.errors.words import pattern_of, propose_words
from tests.pipeline.queries.errors.planted import BLIND, PLANTED, SENTENCES, material, noisy


def stating(sentences, *, false_quotes=(), more=True):
    """Return a proposer who states one claim for each sentence, with a quote that stands there or does not."""

    def propose(documents, sides):
        shown = [Shown(documents.ids[row], documents.texts[row]) for row in (*sides.worst, *sides.neutral)]
        proposals = []
        for sentence in sentences:
            place = next((k for k, each in enumerate(shown) if sentence in each.text), 0)
            quote = f"{sentence} indeed" if sentence in false_quotes else sentence
            question = f'Does the text hold the words "{sentence}"?'
            proposals.append(Proposal(question, more, ((place, quote),), pattern=pattern_of(sentence)))
        return Proposed("scripted", shown, proposals)

    return propose


def hold(documents, propose, judge=match, *, seed=0, documents_asked=400, **how) -> Round:
    return hold_round(
        documents, members={}, propose=propose, judge=judge, judge_title="judge", documents=documents_asked, seed=seed,
        **how,
    )  # fmt: skip


def sentence_of(claim):
    return claim.question.split('"')[1]


@pytest.fixture(scope="module")
def documents():
    return material()


@pytest.fixture(scope="module")
def rounds(documents) -> dict[str, Round]:
    """A round of all claims by either judge."""
    return {judge.__name__: hold(documents, stating(SENTENCES), judge) for judge in (match, noisy)}


@pytest.mark.parametrize("judge", ["match", "noisy"])
def test_true_claims_are_findings_and_false_ones_are_not(rounds, judge):
    found = rounds[judge]

    assert found.void == ""
    assert found.detectable == detectable(found.pairs["verify"], neutral=0.1, claims=len(SENTENCES) + 5)
    names = {sentence_of(claim) for claim in found.findings}
    assert names <= set(PLANTED) and len(names) >= 4
    assert {sentence_of(claim) for claim in found.claims if claim.status == "not verified"} >= set(BLIND)


@pytest.mark.slow
def test_over_rounds_of_other_documents_nearly_all_true_claims_pass_and_hardly_a_false_one():
    rounds = [hold(material(seed=seed), stating(SENTENCES), noisy, seed=seed) for seed in range(2, 8)]

    told = [[sentence_of(claim) for claim in found.findings] for found in rounds if not found.void]
    assert len(told) >= 5
    assert np.mean([len(set(names) & set(PLANTED)) / len(PLANTED) for names in told]) >= 0.8
    assert sum(bool(set(names) - set(PLANTED)) for names in told) <= 1


def test_a_false_quote_always_makes_a_claim_void(documents):
    false = list(PLANTED)[:3]

    found = hold(documents, stating(SENTENCES, false_quotes=false))

    void = [claim for claim in found.claims if claim.status == "void"]
    assert {sentence_of(claim) for claim in void} == set(false)
    assert {claim.why for claim in void} == {"a quote does not stand in the document that it names"}
    assert all(claim.tested is None and not claim.quotes for claim in void)
    assert {sentence_of(claim) for claim in found.findings} == set(PLANTED) - set(false)


def test_a_claim_in_the_wrong_direction_is_no_finding(documents):
    assert hold(documents, stating(PLANTED, more=False)).findings == ()


def test_what_was_tested_is_measured_on_documents_that_nothing_was_chosen_by(rounds):
    found = rounds["match"]

    for claim in found.findings:
        worst, neutral = PLANTED[sentence_of(claim)]
        assert claim.measured is not None and claim.effect == claim.measured != claim.tested
        assert claim.measured.low <= worst - neutral <= claim.measured.high + 0.05
        assert claim.measured.pairs == found.pairs["report"]
    assert all(claim.measured is None for claim in found.claims if claim.status == "not verified")


def test_a_difference_is_corrected_by_how_far_the_judge_sees(rounds):
    found = rounds["noisy"]

    assert found.judging is not None
    assert found.judging.sensitivity == pytest.approx(0.9, abs=0.04)
    assert found.judging.specificity == pytest.approx(0.95, abs=0.02)
    claim = found.findings[0]
    assert corrected(found, claim.effect) == pytest.approx(claim.effect.difference / 0.85, rel=0.1)


def test_who_was_refused_is_counted_by_side_and_set(rounds):
    found = rounds["noisy"]

    assert found.judging is not None and set(found.judging.unanswered) == {
        "neutral of held: refused", "worst of held: refused",
    }  # fmt: skip
    assert sum(found.judging.unanswered.values()) < 0.1 * 2 * found.pairs["verify"]


def test_a_judge_who_knows_the_worst_and_says_yes_makes_the_round_void(documents):
    worst = {text for text, bad in zip(documents.texts, documents.badness > 0.3, strict=True) if bad}

    def lying(questions, specimens):
        answers = match(questions, specimens).answers
        answers[[each.text in worst for each in specimens]] = 1.0
        return Judged(answers, ["answered"] * len(specimens))

    found = hold(documents, stating(SENTENCES), lying)

    assert found.void.startswith("a question that has nothing to do with the sides passed as a claim would")
    assert found.findings == () and all(claim.measured is None for claim in found.claims)


def test_a_judge_who_does_not_look_makes_the_round_void(documents):
    def dull(questions, specimens):
        return Judged(np.zeros((len(specimens), len(questions))), ["answered"] * len(specimens))

    found = hold(documents, stating(SENTENCES), dull)

    assert found.void.startswith("the planted question, to which yes is right of 80 % and 20 %, did not pass")


def test_a_judge_who_refuses_one_side_makes_the_round_void(documents):
    worst = {text for text, bad in zip(documents.texts, documents.badness > 0.3, strict=True) if bad}

    def squeamish(questions, specimens):
        answers = match(questions, specimens).answers
        refused = [each.text in worst and len(each.text) % 3 == 0 for each in specimens]
        answers[refused] = np.nan
        return Judged(answers, ["refused" if each else "answered" for each in refused])

    found = hold(documents, stating(SENTENCES), squeamish)

    assert re.fullmatch(r"only 6\d % of the worst .* 9\d % of the neutral ones were answered; 80 % .*", found.void)


def test_words_alone_find_what_was_planted(documents):
    found = hold(documents, propose_words)

    told = " | ".join(claim.question for claim in found.findings)
    assert found.proposer == "words" and len(found.claims) <= 10
    assert sum(any(word in told for word in sentence.split()) for sentence in PLANTED) >= 4
    assert all(claim.quotes and claim.pattern for claim in found.findings)


def test_words_find_nothing_where_there_is_nothing():
    documents = material()
    shuffled = replace(documents, bits=np.random.Generator(np.random.PCG64(5)).permutation(documents.bits))

    assert hold(shuffled, propose_words).findings == ()


@pytest.fixture(scope="module")
def mailed(documents):
    texts = [text.replace("all rights reserved by owner", "rights jo.doe@firm.io reserved") for text in documents.texts]
    return replace(documents, texts=texts)


@pytest.mark.parametrize("quote", ["rights jo.doe@firm.io reserved", "hts jo.d", "doe@firm.io re", ".doe@fi"])
def test_personal_data_is_masked_where_a_quote_cuts_it_and_in_all_that_a_claim_says(mailed, quote):
    def propose(documents, sides):
        text = next(documents.texts[row] for row in sides.worst if "jo.doe" in documents.texts[row])
        edit = {"op": "set", "target": "x", "value": "jo.doe@firm.io"}
        stated = Proposal(
            "Does jo.doe@firm.io say so?", True, ((0, quote),), "rights", step="jo.doe@firm.io", edit=edit
        )
        return Proposed("scripted", [Shown("d", text)], [stated])

    (claim,) = hold(mailed, propose).claims

    assert claim.status != "void" and "email@example.com" in claim.quotes[0].text
    assert "jo.d" not in str(claim) and "firm" not in str(claim)


def test_a_claim_that_looks_for_personal_data_is_void_and_does_not_repeat_it(mailed):
    (claim,) = hold(mailed, stating(["rights jo.doe@firm.io reserved"])).claims

    assert (claim.status, claim.why) == ("void", "its pattern holds personal data") and "jo" not in str(claim)


def test_contrasted_words_are_never_of_personal_data(mailed):
    found = hold(mailed, propose_words)

    assert any("rights" in claim.question for claim in found.claims)
    assert not re.search(r"doe|firm", str(found.claims))


def test_what_a_text_cuts_at_its_end_is_seen_whole(mailed):
    read, follows = cut("write to jo.doe@firm.io today", len("write to jo.doe@fi"))

    assert Shown("d", read, whole=read + follows).masked("to jo.doe@fi") == "to email@example.com"
    assert without_personal(read + follows, until=len(read)) == ["write to ", ""]


def test_no_document_is_stated_on_and_tested_on(documents):
    seen: list[set[str]] = []

    def watching(questions, specimens):
        seen.append({each.text for each in specimens})
        return match(questions, specimens)

    stated: set[str] = set()

    def propose(documents, sides):
        proposed = stating(SENTENCES)(documents, sides)
        stated.update(each.text for each in proposed.shown)
        return proposed

    hold(documents, propose, watching)

    tested, measured = seen
    assert stated and not stated & tested and not stated & measured and not tested & measured


def test_keys_and_order_say_nothing_of_claims_and_sides(documents):
    sheets = []

    def watching(questions, specimens):
        sheets.append(([each.words for each in questions], [each.text for each in specimens]))
        return match(questions, specimens)

    hold(documents, stating(SENTENCES), watching)

    words, texts = sheets[0]
    controls = [place for place, each in enumerate(words) if "label" in each or "person" in each]
    assert len(controls) == 6 and controls != list(range(10, 16))
    bad = [documents.badness[documents.texts.index(text)] > 0.3 for text in texts]
    assert 0.3 < np.mean(bad[: len(bad) // 2]) < 0.7


def test_too_few_documents_are_refused_with_how_many_are_needed():
    with pytest.raises(DataError, match=r"200 documents in 180 groups give \d+ pairs to test claims on; 40 are needed"):
        hold(material(count=200), stating(SENTENCES))


def test_a_proposer_without_claims_leaves_them_to_words(documents):
    def prose(documents, sides):
        return Proposed("model", (), (), notes=("model stated no claims: its answer cannot be read (not JSON).",))

    found = hold(documents, prose, noisy, words_instead=True)

    assert found.proposer == "words" and found.findings
    assert found.judging is not None and (found.judging.judge, found.judging.specificity) == ("matching", 1.0)
    assert found.notes[-2:] == (
        "model stated no claims: its answer cannot be read (not JSON).",
        "Claims are contrasts of words instead, and a pattern decides what a document has.",
    )  # fmt: skip


def test_where_no_claim_stands_nobody_is_asked(documents):
    def asked(questions, specimens):
        raise AssertionError

    found = hold(documents, stating(PLANTED, false_quotes=PLANTED), asked)

    assert {claim.status for claim in found.claims} == {"void"} and found.judging is None and found.void == ""


def test_slices_need_nobody_and_name_what_lost(documents):
    code = np.array([">>>" in text for text in documents.texts])
    members = members_of(documents, None) | {"prompts": code}

    found = hold_round(
        documents, members=members, propose=stating(PLANTED), judge=match, judge_title="judge", documents=400, seed=0
    )

    told = {each.name: each for each in found.slices}
    assert told["prompts"].settled and told["prompts"].effect > 0
    assert told["prompts"].documents == code.sum()
    assert {"length: lowest fifth", "length: highest fifth", "in a group with others"} <= told.keys()
