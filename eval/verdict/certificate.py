"""A verdict and all that it rests on as plain JSON that carries its own hash.

An edit shows, but the hash does not protect against forgery.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from eval.verdict.gate import GateRule, Verdict
from eval.verdict.paired import Comparison, check_rates
from pipeline.core.errors import GateError
from pipeline.core.identity import identity_of

FORMAT = 2


def certificate(
    verdict: Verdict,
    *,
    rule: GateRule,
    comparisons: Sequence[Comparison],
    candidate: Mapping[str, Any],
    baseline: Mapping[str, Any],
    tokenizer: str,
    held_out: Mapping[str, str],
    code_version: str,
    proxy: Mapping[str, Any],
    lanes: Sequence[Mapping[str, Any]],
    machine: Mapping[str, str],
    earlier: Sequence[Mapping[str, Any]] = (),
    sealed: float = 0.0,
    judge: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the evidence as plain JSON that carries its own hash.

    `candidate` and `baseline` need the keys `name` and `identity`; `held_out` maps domain to content identity, and
    `sealed` is the share of each that was judged by, 0 for all; `lanes` describes each trained proxy (arm, seed,
    learning rate, health, identity); `machine` names the processors and versions that they were trained and scored
    with, `earlier` the lanes that told how much proxies differ by chance; `judge` holds the hashes of the code
    that judged and of the data that it judged by, which certificates of before 2026-11-30 do not have.
    """
    content = {
        "kind": "certificate",
        "format": FORMAT,
        "rule": rule.model_dump(mode="json"),
        "rule_hash": rule.identity,
        "verdict": asdict(verdict),
        "comparisons": [asdict(comparison) for comparison in comparisons],
        "learning_rates": asdict(check_rates(comparisons)),
        "candidate": dict(candidate),
        "baseline": dict(baseline),
        "tokenizer": tokenizer,
        "held_out": dict(held_out),
        **({"sealed": sealed} if sealed else {}),
        "code_version": code_version,
        **({"judge": dict(judge)} if judge is not None else {}),
        "proxy": dict(proxy),
        "seeds": sorted({seed for comparison in comparisons for seed in comparison.seeds}),
        "lanes": [dict(lane) for lane in lanes],
        "machine": dict(machine),
        "earlier": [dict(item) for item in earlier],
    }
    plain: dict[str, Any] = json.loads(json.dumps(content, allow_nan=False))
    return {**plain, "certificate_id": identity_of(plain)}


def check_certificate(content: Mapping[str, Any]) -> str:
    """Return the certificate's id; raise GateError if it was changed since it was made or is not one."""
    body = {key: value for key, value in content.items() if key != "certificate_id"}
    found = content.get("certificate_id")
    if body.get("kind") != "certificate" or body.get("format") != FORMAT or not isinstance(found, str):
        raise GateError(
            f"certificate: is not one of format {FORMAT}; the gate makes them. Run the recipe's gate again."
        )
    try:
        intact = found == identity_of(body) and body.get("rule_hash") == identity_of(body.get("rule"))
    except TypeError:  # NaN and its like, which the gate never writes
        intact = False
    if not intact:
        raise GateError(
            f"certificate {found[:12]}: its content does not match its hash, so it was changed after the gate wrote "
            "it. Run the recipe's gate again."
        )
    return found
