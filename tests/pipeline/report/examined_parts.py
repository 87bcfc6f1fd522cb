"""A diagnosis with all that a page can show of one."""

from __future__ import annotations

import numpy as np

from eval.doctor.checks import CHECKS
from eval.doctor.findings import Diagnosis, Finding, Outcome, Series, Unchecked, joined

HOSTILE = "<script>alert(1)</script>"


def losses(*, jump: int | None = None) -> Series:
    bits = 5.5 + 5.5 * np.exp(-np.arange(244) / 20) + 0.1 * np.sin(np.arange(244))
    if jump is not None:
        bits[jump] += 4
    return Series("tokens", "bits per token", tuple(4_096.0 * (step + 1) for step in range(244)), tuple(bits.tolist()))


def diagnosis() -> Diagnosis:
    lanes = tuple(f"{mixture}/seed{seed}/lr1" for mixture in ("candidate", "baseline") for seed in range(5))
    points = tuple(52_000.0 * place for place in range(1, 20))
    update = Series("tokens", "update of mlp down of layer 2, of its size", points, tuple([0.2] * 18 + [None]), (0.1,))
    rates = Series("learning rate", "bits per byte", (0.3, 1.0), (2.31, 2.19))
    outcomes: list[Outcome] = [
        *(
            Finding(CHECKS["spikes"], (lane,), 0.0041, 0.001, f"1 of 244 steps jumped, the first at step {jump}",
                    losses(jump=jump))
            for lane, jump in zip(lanes[:2], (70, 120), strict=True)
        ),
        Finding(CHECKS["leak"], lanes[:5], 0.12, 0.01, f"12.0% of 926 documents of {HOSTILE} are met in candidate"),
        Finding(
            CHECKS["update"], lanes[:1], 0.2, 0.1, "mlp down of layer 2: a step changes it by 0.2 of its size", update
        ),
        Finding(CHECKS["rate_edge"], lanes[:5], 1.0, 1.0, "candidate: best at x1, the highest of 2 rates", rates),
        *(Unchecked(CHECKS["mfu"], (lane,), "the peak of this processor at this size is not known") for lane in lanes),
    ]  # fmt: skip
    return joined("quickstart", lanes=lanes, outcomes=outcomes)
