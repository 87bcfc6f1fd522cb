"""Places of knobs and their values in, places that Optuna's TPE asks for out; needs the extra `research`.

Nothing of a study is kept: it is made from the trials each time, so a night that was killed is asked the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.loop.space import Knob
from pipeline.core.rng import derive


def asked(
    knobs: Sequence[Knob],
    places: Sequence[Sequence[float]],
    values_N: np.ndarray,
    *,
    failed: Sequence[Sequence[float]],
    count: int,
    least: int,
    seed: int,
) -> list[tuple[float, ...]]:
    """Return `count` places. Of fewer than `least` values they are random; `failed` are known to be tried."""
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    room: dict[str, BaseDistribution] = {}
    for knob in knobs:
        levels = [knob.to_unit(value) for value in knob.values]
        room[knob.name] = FloatDistribution(0.0, 1.0) if knob.is_ordered else CategoricalDistribution(levels)
    sampler = optuna.samplers.TPESampler(n_startup_trials=least, seed=derive(seed, "tpe") % 2**32)
    study = optuna.create_study(sampler=sampler)
    names = [knob.name for knob in knobs]
    for given, value in zip(places, values_N, strict=True):
        params = dict(zip(names, given, strict=True))
        study.add_trial(optuna.trial.create_trial(value=float(value), params=params, distributions=room))
    for given in failed:
        params = dict(zip(names, given, strict=True))
        state = optuna.trial.TrialState.FAIL
        study.add_trial(optuna.trial.create_trial(state=state, params=params, distributions=room))
    trials = [study.ask(room) for _ in range(count)]
    return [tuple(knob.snapped(trial.params[knob.name]) for knob in knobs) for trial in trials]
