"""The page of a round of claims: what was found with its quotes, what did not hold, and nothing that can act."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from eval.claims.record import Claim, ControlResult, Effect, Judging, Quote, Round
from eval.claims.slices import Slice
from pipeline.commands.errors import errors_text
from pipeline.report.errors import write_errors

HOSTILE = "<script>alert(1)</script>\u202e"


def claim(number: int, status: str, **about) -> Claim:
    found = Claim(
        id=f"c_{number:012d}", question=f"Does it hold {HOSTILE} {number}?", more=True, by="claude-opus-5-5",
        status=status, predicted=(0.4, 0.1), step="c4_quality",
        edit={"op": "add_step", "target": "clean", "value": HOSTILE, "why": "x"},
        quotes=(Quote(f"doc-{number}", f"quoted {HOSTILE} {number}"),), tested=Effect(0.41, 0.12, 0.2, 0.38, 300),
        measured=Effect(0.37, 0.13, 0.15, 0.33, 120), p_value=0.00001, adjusted=0.0002,
    )  # fmt: skip
    return replace(found, **about)


VOID = claim(3, "void", why="a quote does not stand in the document that it names", tested=None, measured=None)
ROUND = Round(
    experiment="e" * 64, identity="f" * 64, first="raw", other="clean", which="lost", on=("web", "code"),
    documents=2_000, groups=1_900, pairs={"propose": 120, "verify": 300, "report": 120},
    slices=(Slice("set code", 500, 480, 0.02, 0.01, 0.03), Slice(f"topic {HOSTILE}", 40, 40, 0.001, -0.01, 0.012)),
    proposer="claude-opus-5-5",
    claims=(
        claim(1, "associated"),
        claim(2, "not verified", tested=Effect(0.2, 0.19, -0.05, 0.07, 300), measured=None, adjusted=1.0),
        VOID,
    ),
    controls=(ControlResult("Is label 1 of the document amber?", False, 0.5, 0.9, False),
              ControlResult("Is label 4 of the document amber?", True, 0.0, 0.0, True)),
    judging=Judging("claude-haiku-5-5", 0.98, 0.97, 0.96, 60, {"worst of web: refused": 4}),
    notes=("There is something to know.",), cost_usd=0.31, detectable=0.2,
)  # fmt: skip


@pytest.fixture
def page(tmp_path: Path):
    def write(found: Round) -> str:
        write_errors(found, path=tmp_path / "page" / "errors.html")
        return (tmp_path / "page" / "errors.html").read_text()

    return write


def test_a_finding_stands_there_with_its_numbers_and_quotes(page) -> None:
    text = " ".join(page(ROUND).split())

    assert "1 finding<" in text
    assert "Yes of 37 % of the worst documents and 13 % of those like them; foretold were 40 % and 10 %" in text
    assert "Measured on 120 pairs; p below 0.001 for all claims together." in text
    assert "quoted &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "20 % and 19 %" in text and "a quote does not stand in the document that it names" in text
    assert "worst of web: refused 4" in text and "$0.31" in text and "There is something to know." in text


def test_nothing_of_strangers_acts_on_the_page_or_the_terminal(page) -> None:
    text = page(ROUND)

    assert "<script" not in text and "\u202e" not in text
    assert not re.search(r"\s(?:on\w+|src|href)=\"(?!#|data:,)", text)
    assert "default-src 'none'" in text
    told = errors_text(ROUND)
    assert len(told.splitlines()) < 40 and "c_000000000001" in told


def test_a_void_round_shows_no_finding(page) -> None:
    void = replace(ROUND, void="the planted question did not pass (Is label 4 of the document amber?)")

    text = " ".join(page(void).split())

    assert "Nothing of this round counts" in text and "The planted question did not pass" in text
    assert 'id="quotes"' not in text and void.findings == ()
    assert errors_text(void).split("\n\n")[1].startswith("Nothing of this round counts: the planted question")


def test_a_round_that_finds_nothing_says_what_it_could_have_shown(page) -> None:
    nothing = replace(ROUND, claims=ROUND.claims[1:2])

    assert "So many documents show what 20 % of the worst and 10 % of the others have." in page(nothing)
    assert "No claim passed its test; so many pairs show what 20 % have beside 10 %." in errors_text(nothing)


def test_where_too_few_were_left_to_measure_it_says_that_the_difference_looks_larger(page) -> None:
    chosen = replace(ROUND, claims=(claim(1, "associated", measured=None),))

    assert "so the difference looks larger than it is" in page(chosen)
    assert "measured where it was tested, so rather too large" in errors_text(chosen)
