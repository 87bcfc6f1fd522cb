"""What `minhash_dedup` gains by comparing candidates before it joins them, and what that costs.

The same text goes through the step as it is and with `min_jaccard: 0`, which trusts the bands, in turn. Both measure
themselves: recall by planted near-duplicates, precision by dropped documents and the ones that they were dropped for.
"""

from __future__ import annotations

from typing import Any

from tests.benchmarks.clock import interleaved, spread
from tests.benchmarks.corpus import Text
from tests.benchmarks.curation import Place, gathering

PAIRS = 2000  # planted and compared


def measure_checking(text: Text, place: Place, *, repeats: int) -> dict[str, Any]:
    """Return times with the check over times without, and of both the documents dropped, recall and precision."""
    from filters.dedup.minhash import MinHashDedup

    found: dict[str, dict[str, Any]] = {"with": {}, "without": {}}
    settings: dict[str, dict[str, Any]] = {"with": {}, "without": {"min_jaccard": 0}}
    works = [
        gathering(MinHashDedup(params=MinHashDedup.Params.parse(settings[name])), text, place, details=found[name])
        for name in found
    ]
    timed = interleaved(works, repeats=repeats)
    ratios = [own / other for own, other in zip(timed[0].cpu_seconds, timed[1].cpu_seconds, strict=True)]
    for name in found:  # once more, with enough pairs to tell two shares apart
        params = MinHashDedup.Params.parse({**settings[name], "audit_pairs": PAIRS})
        work = gathering(MinHashDedup(params=params), text, place, details=found[name])
        work.before()
        work.run()
    return {"cpu_ratio": spread(ratios), **{name: _account(details) for name, details in found.items()}}


def _account(details: dict[str, Any]) -> dict[str, Any]:
    audit = details["audit"]
    return {
        "duplicates": details["duplicates"],
        "recall_bins": audit["recall_bins"],
        "precision_at_jaccard": audit["kept_twins"]["precision_at_jaccard"],
    }
