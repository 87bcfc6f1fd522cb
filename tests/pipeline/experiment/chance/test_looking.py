"""What a gate looked at before: told by a plan, read out of old certificates, and by whose proxies an incumbent won."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.engine.run import Run
from pipeline.experiment.build import build_experiment
from pipeline.experiment.chance.looking import looks_ahead, looks_in_certificates
from pipeline.experiment.chance.power import power_of, power_text
from pipeline.plan.graph import Plan
from pipeline.store.names.looks import looks_in, note_outcome
from tests.pipeline.experiment.conftest import Furnish
from tests.pipeline.experiment.small_experiment import ONE_ORDER, certificate_of, pages
from tests.pipeline.experiment.small_experiment import RECIPE as OF_TWO
from tests.pipeline.house import House

RECIPE = OF_TWO.replace("sources: {", "sources: {three: {read: jsonl, path: DIR/three.jsonl}, ").replace(
    "good: {from: two", "good: {from: three"
)
OTHER = RECIPE + ONE_ORDER.replace("good: 3", "good: 1")


def furnished(folder: Path) -> House:
    house = House(folder)
    for number, name in enumerate(("one", "two", "three")):
        house.lines(f"{name}.jsonl", pages(number + 1))
    house.write(RECIPE + ONE_ORDER)
    return house


@pytest.fixture(scope="module")
def furnish() -> Furnish:
    return furnished


class Noted(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def run_telling(house: House) -> tuple[Plan, list[str]]:
    """Run a recipe; return its plan and what was said."""
    plan, progress = house.plan(), Noted()
    run = Run(plan=plan, executor=Local(workers=1), progress=progress, threads=1)
    run.execute()
    build_experiment(run)
    return plan, progress.lines


def test_a_plan_counts_the_looks_of_its_gate(built: House):
    first = power_of(built.plan())
    built.write(OTHER)
    later = power_of(built.plan())

    assert first is not None and first.odds_needed is None and "looked at before" not in power_text(first)
    assert later is not None and later.odds_needed == pytest.approx(120)
    assert later.visible - later.required > 1.2 * (first.visible - first.required)
    assert "It was looked at before: odds of 120 to 1 too." in power_text(later)
    assert len(looks_in(built.workspace)) == 1  # to plan is not to look


def test_a_plan_of_documents_that_are_not_built_yet_is_a_first_look(tmp_path: Path):
    assert looks_ahead(furnished(tmp_path).plan()).is_first


def test_where_the_record_is_missing_looks_are_read_out_of_certificates(built: House):
    recorded = looks_in(built.workspace)
    (built.workspace.root / "looks.json").unlink()
    built.write(OTHER)

    assert power_of(built.plan()).odds_needed == pytest.approx(120)
    plan, said = run_telling(built)

    read = replace(recorded[0], judged="")  # the certificate does not say by which part
    assert next(iter(looks_in_certificates(built.workspace))) == looks_in(built.workspace)[0] == read
    looks = certificate_of(plan)["verdict"]["looks"]
    assert (looks["candidate_number"], looks["openings"]) == (2, 2)
    assert "looks.json: there was none; 1 certificates were entered." in said


def test_a_certificate_about_text_that_is_gone_counts_as_a_candidate_and_an_opening(built: House):
    (built.workspace.root / "looks.json").unlink()
    for mixture in (built.workspace.root / "mixture").iterdir():
        shutil.rmtree(mixture)
    others = "mixtures: {raw: {weights: {good: 1}}, both: {weights: {raw: 1, good: 9}}}"
    built.write(RECIPE + others + ONE_ORDER.partition("\n")[2].join(["\n", ""]))

    plan, said = run_telling(built)

    looks = certificate_of(plan)["verdict"]["looks"]
    assert (looks["number"], looks["candidate_number"], looks["openings"]) == (1, 2, 2)
    assert any("of which 1 count against any baseline, as what they judged is gone" in line for line in said)


def test_a_run_without_earlier_certificates_says_nothing_of_them(tmp_path: Path):
    _, said = run_telling(furnished(tmp_path))

    assert not any("looks.json" in line for line in said)


def test_whoever_is_judged_against_the_proxies_that_promoted_the_incumbent_is_told_and_fresh_seeds_end_it(built: House):
    (won,) = looks_in(built.workspace)
    note_outcome(built.workspace, won, "promote")
    challenge = RECIPE + ONE_ORDER.replace("raw: {weights: {raw: 1}}", "new: {weights: {good: 1}}").replace(
        "candidate: both, baseline: raw", "candidate: new, baseline: both"
    )
    built.write(challenge)
    assert "3 of 3 proxies of both are those that it was promoted by" in power_text(power_of(built.plan()))
    told = certificate_of(built.run())

    built.write(challenge.replace("seeds: 3", "seeds: 3, first_seed: 3"))
    plan = built.run()
    fresh = certificate_of(plan)

    assert "`proxy.first_seed: 3` judges both by fresh ones." in told["verdict"]["reasons"][-1]
    assert not any("was promoted by" in reason for reason in fresh["verdict"]["reasons"])
    assert fresh["seeds"] == [3, 4, 5] and {lane.seed for lane in plan.experiment.judged} == {3, 4, 5}
    assert not {lane["identity"] for lane in fresh["lanes"]} & set(won.proxies)
    # fresh proxies are an experiment of their own
    assert (fresh["verdict"]["looks"]["number"], fresh["verdict"]["looks"]["candidate_number"]) == (1, 2)


def test_what_is_promoted_later_does_not_change_what_was_said(built: House):
    (first,) = looks_in(built.workspace)
    before = certificate_of(built.plan())
    note_outcome(built.workspace, replace(first, candidate=first.baseline), "promote")
    shutil.rmtree(built.plan().experiment.certificate.folder)

    assert certificate_of(built.run()) == before
