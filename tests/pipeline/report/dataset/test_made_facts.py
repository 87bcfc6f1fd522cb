"""What the section of a made dataset begins with: plain words with units, and nothing twice."""

from __future__ import annotations

from pipeline.report.dataset.made_facts import made_facts
from pipeline.report.dataset.teaching import GroupMade, folded

WRITTEN = {
    "asked": 168, "kept": 150, "requests": 168, "model": "m", "solver": "m", "cost_usd": 0.02859, "from_ledger": 0,
    "paid_now_usd": 0.02859, "usd_per_1000_accepted": 0.09597, "passed_over": {"too short to write from": 136},
    "answers_by_outcome": {"parsed": 165, "truncated": 3},
    "diversity": {"groups": {"all": {"all": {"novel_mean": 0.5}}}},
}  # fmt: skip


def test_money_has_its_unit_and_what_says_the_same_is_left_out() -> None:
    assert list(made_facts(WRITTEN)) == [
        ("kept", "150 of 168 answers"), ("written by", "m"), ("answers cut off", "3"), ("cost", "$0.029"),
        ("cost of 1,000 kept", "$0.096"), ("cost of 1,000 kept and new", "$0.192"),
        ("documents passed over, too short to write from", "136"),
    ]  # fmt: skip
    again = dict(made_facts(WRITTEN | {"from_ledger": 160, "paid_now_usd": 0.001, "solver": "n", "requests": 170}))
    assert again["of it paid in this run"] == "$0.00100" and again["answers bought by earlier runs"] == "160"
    assert again["answered again by"] == "n" and again["requests"] == "170"


def test_a_table_that_says_the_same_in_every_row_is_one_line() -> None:
    whole = [GroupMade("sorting", 17, 17, ""), GroupMade("trees", 18, 18, "")]

    assert folded("family", whole) == "2 families, each 100 % kept, 17 to 18 of each"
    assert folded("style", [*whole, GroupMade("plain", 18, 17, "too long 1")]) == folded("style", whole[:1]) == ""
