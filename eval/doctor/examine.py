"""An experiment's record -> its diagnosis: every check of every lane, of all lanes together, and of the text."""

from __future__ import annotations

from collections.abc import Iterator

from eval.doctor.across import across_outcomes
from eval.doctor.checks import CHECKS
from eval.doctor.curves import curve_outcomes
from eval.doctor.data import data_outcomes
from eval.doctor.findings import Diagnosis, Finding, Outcome, joined
from eval.doctor.invariants import invariant_outcomes
from eval.doctor.record import ExperimentRecord, LaneRecord
from eval.doctor.settings import setting_outcomes
from eval.doctor.speed import speed_outcomes


def examine(experiment: ExperimentRecord) -> Diagnosis:
    """Return what is wrong with an experiment, the worst first, and what could not be checked."""
    outcomes = [*across_outcomes(experiment), *data_outcomes(experiment)]
    for lane in experiment.lanes:
        outcomes += _of_lane(lane)
    return joined(experiment.name, lanes=[lane.name for lane in experiment.lanes], outcomes=outcomes)


def _of_lane(lane: LaneRecord) -> list[Outcome]:
    found = [*curve_outcomes(lane), *invariant_outcomes(lane), *setting_outcomes(lane), *speed_outcomes(lane)]
    return [*found, *_said(lane, found)]


def _said(lane: LaneRecord, found: list[Outcome]) -> Iterator[Outcome]:
    """Tell what was wrong when a lane was trained, where no check here tells it."""
    if lane.said and not any(isinstance(one, Finding) and one.level == "fault" for one in found):
        yield Finding(CHECKS["said"], (lane.name,), float(len(lane.said)), 0, "; ".join(lane.said))
