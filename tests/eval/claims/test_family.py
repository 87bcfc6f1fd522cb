"""Rounds of one pair of mixtures stand on the same documents, so what passes must pass among all that was asked."""

from __future__ import annotations

from eval.claims.associations import LEVEL, holm
from eval.claims.family import together
from eval.claims.record import Claim, ControlResult, Round
from pipeline.core.rng import generator

KNOWN = ([0.4, 0.5, 0.6, 0.7, 0.8], 1e-9)


def held(*p_values, void=""):
    fail, planted = KNOWN
    every = [*p_values, *fail, planted]
    adjusted = [round(p, 6) for p in holm(every)]
    claims = tuple(
        Claim(
            f"c_{place}",
            "Is it?",
            True,
            "words",
            "associated" if p <= LEVEL else "not verified",
            p_value=raw,
            adjusted=p,
        )
        for place, (raw, p) in enumerate(zip(p_values, adjusted, strict=False))
    )
    controls = tuple(
        ControlResult("Is it amber?", place == 5, raw, p, p <= LEVEL)
        for place, (raw, p) in enumerate(zip(every[len(p_values) :], adjusted[len(p_values) :], strict=True))
    )
    return Round(
        "e", "i", "first", "other", "lost", ("held",), 1_000, 1_000, {"verify": 200}, (), "words", claims, void=void,
        controls=controls,
    )  # fmt: skip


def test_a_round_alone_keeps_what_it_found():
    alone = held(0.0001, 0.004, 0.3)

    (found,) = together([alone])

    assert found.claims == alone.claims and len(found.findings) == 2 and (found.number, found.held) == (1, 1)


def test_what_passes_narrowly_in_one_round_fails_among_many_and_what_is_sure_stays():
    first, *others = together([held(0.0001, 0.004), *(held(0.3, 0.6) for _ in range(4))])

    assert [claim.id for claim in first.findings] == ["c_0"] and (first.number, first.held) == (1, 5)
    assert first.detectable > together([held(0.0001, 0.004)])[0].detectable
    assert all(not each.findings for each in others)


def test_a_void_round_counts_as_asked_and_lends_no_other_its_small_p_values():
    alone, (beside, void) = together([held(0.004)])[0], together([held(0.004), held(1e-9, 1e-9, void="it lies")])

    assert beside.claims[0].adjusted > alone.claims[0].adjusted and void.findings == ()


def test_twenty_rounds_of_nothing_find_something_in_five_of_a_hundred_cases():
    found = 0
    for number in range(100):
        draw = generator(number, "family").random((20, 10))
        found += any(told.findings for told in together([held(*p_values.tolist()) for p_values in draw]))

    assert found <= 10
