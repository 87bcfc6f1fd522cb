"""Planted faults are found in real small trainings, and sound ones are not accused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from eval.doctor.examine import examine
from eval.doctor.findings import Diagnosis
from eval.doctor.record import LaneRecord
from tests.eval.doctor.planted import FAULTS, MILDER, SEEDS, Fault, Planting, World, sound_text
from tests.samples import proof

HEALTHY_LANES, SEEDS_AT_ONCE = proof(20, whole=50), 5  # what is published, of fifty: make test-whole


@dataclass(frozen=True)
class Sound:
    """A sound experiment, its baseline kept for those with a planted candidate."""

    world: World
    baseline: Sequence[LaneRecord]
    found: Diagnosis


@pytest.fixture(scope="module")
def sound() -> Sound:
    world = World(sound_text())
    baseline = world.lanes("baseline", Planting())
    found = examine(world.experiment([*baseline, *world.lanes("candidate", Planting())]))
    return Sound(world, baseline, found)


def with_fault(sound: Sound, fault: Fault) -> Diagnosis:
    text = fault.text(sound.world.text)
    is_same = text == sound.world.text and fault.seeds == SEEDS
    world = sound.world if is_same else World(text, seeds=fault.seeds)
    return examine(world.experiment([*sound.baseline, *world.lanes("candidate", fault.planting)]))


def test_a_sound_experiment_is_sound_and_what_cannot_be_checked_is_said(sound: Sound) -> None:
    assert (sound.found.health, sound.found.alarms) == ("sound", ())
    assert {one.check.id for one in sound.found.unchecked} == {"outlier", "rate_edge", "mfu"}


def test_a_finding_names_its_lanes_its_limit_and_what_to_do(sound: Sound) -> None:
    fault = next(fault for fault in FAULTS if fault.name == "learning rate times ten")

    found = with_fault(sound, fault)

    (rate, _) = (one for one in found.findings if one.id == "rate")
    assert rate.lanes == ("candidate/seed0/lr1",) and rate.value == pytest.approx(10, rel=0.02)
    assert rate.sentence == "its first update was 10 times what its learning rate makes it"
    assert rate.check.remedy and rate.check.source and rate.evidence is not None
    assert len(rate.evidence.x) == len(rate.evidence.y) > 10
    assert found.health == "void"


@pytest.mark.slow
def test_nine_in_ten_planted_faults_are_found_by_a_check_that_names_them(sound: Sound) -> None:
    found = {fault.name: {one.id for one in with_fault(sound, fault).alarms} for fault in FAULTS}

    missed = [fault.name for fault in FAULTS if not found[fault.name] & fault.found_by]
    assert len(FAULTS) == 15 and len(missed) <= 1, (missed, found)


@pytest.mark.slow
def test_of_faults_half_as_strong_four_in_five_are_found(sound: Sound) -> None:
    found = {fault.name: {one.id for one in with_fault(sound, fault).alarms} for fault in MILDER}

    missed = {fault.name: found[fault.name] for fault in MILDER if not found[fault.name] & fault.found_by}
    assert len(MILDER) == len(FAULTS)
    assert len(missed) <= 3, missed


@pytest.mark.slow
def test_at_most_one_of_fifty_healthy_runs_is_accused() -> None:
    accused: list[str] = []
    for seed in range(1, 1 + HEALTHY_LANES // (2 * SEEDS_AT_ONCE)):
        world = World(sound_text(seed), seed=seed, seeds=range(SEEDS_AT_ONCE))
        lanes = [lane for mixture in ("baseline", "candidate") for lane in world.lanes(mixture, Planting())]
        alarms = examine(world.experiment(lanes)).alarms
        accused += [f"{seed}: {one.id} {lane}: {one.sentence}" for one in alarms for lane in one.lanes]

    assert len({each.split(":")[0] + each.split()[2] for each in accused}) <= 1, accused
