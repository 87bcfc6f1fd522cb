"""What a lane's time went into -> does it wait for text, and is a card used as at this size it can be?"""

from __future__ import annotations

from collections.abc import Iterator

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Finding, Outcome, Unchecked
from eval.doctor.record import LaneRecord

WAIT_SHARE, WAIT_SECONDS = 0.03, 1e-3  # of a lane's time, and of each step
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bfloat16
USUAL_USE = {"t1": 0.08, "t5": 0.15, "t10": 0.20, "t30": 0.30, "t85": 0.36}  # of the peak; our estimate
USE_SHARE = 0.75  # of the usual


def speed_outcomes(lane: LaneRecord) -> Iterator[Outcome]:
    """Yield what a lane's times show."""
    if lane.waited is None:
        yield Unchecked(CHECKS["loader"], (lane.name,), "how long it waited was not kept")
    else:
        each = lane.waited * lane.step_tokens / max(lane.tokens_per_second, 1e-9)
        if lane.waited > WAIT_SHARE and each > WAIT_SECONDS:
            said = f"waited {lane.waited:.0%} of its time for rows, {1000 * each:.1f} ms a step"
            yield Finding(CHECKS["loader"], (lane.name,), lane.waited, WAIT_SHARE, said)
    peak = next((flops for name, flops in PEAK_FLOPS.items() if name in lane.card), None)
    usual = USUAL_USE.get(lane.tier.name)
    if lane.device == "cpu" or peak is None or usual is None:
        yield Unchecked(CHECKS["mfu"], (lane.name,), "the peak of this processor at this size is not known")
        return
    use = lane.tier.flops_per_token * lane.tokens_per_second / peak
    if use < USE_SHARE * usual:
        said = f"used {use:.1%} of the card's peak; {usual:.0%} is usual for {lane.tier.name}"
        yield Finding(CHECKS["mfu"], (lane.name,), use, USE_SHARE * usual, said)
