"""Mixtures that were trained and scored -> what each needs less than the first, by which interval, and where.

Nothing is trained, judged or stored: bits are read from the scores, groups of documents from the comparison that a gate
built of them, and gains are estimated as the gate estimates them, what earlier proxies say of chance included. So of a
gate's own two mixtures the interval is the certificate's. Of several mixtures all intervals hold at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.files.parquet.shards import read_table
from pipeline.experiment.chance.earlier import VERSIONS, earlier_lanes
from pipeline.experiment.findings.changed import Changed, changed_on
from pipeline.experiment.findings.judged import judged_too
from pipeline.experiment.findings.side_by_side import Beside, Made, Part, SideBySide, says
from pipeline.experiment.scores import BITS
from pipeline.plan.lanes import LaneName
from pipeline.queries.proxies.arms import Arm, ScoredLane, find_arms
from pipeline.queries.proxies.comparable import (
    LEAST_PAIRS,
    HeldOutDocuments,
    Lanes,
    StoredComparison,
    built_by_gates,
    held_out_documents,
    lanes_alike,
    not_compared,
    pairs_of,
    refuse_unlike,
    shared_by,
)
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.verdict.paired import Comparison

PLAIN = (
    "first", "confidence", "confidence_of_each", "tier", "parameters", "tokens_per_proxy", "learning_rate",
    "not_compared", "judged_too",
)  # fmt: skip


def compare(workspace: Workspace, wanted: Sequence[str], *, per_side: int = 3, confidence: float = 0.95) -> SideBySide:
    """Compare what names mean with what the first one means; `per_side` documents are quoted each way."""
    from eval.verdict.interval import confidence_of_each

    arms = find_arms(workspace, wanted)
    refuse_unlike(arms)
    lanes = lanes_alike(arms)
    stored = built_by_gates(workspace, arms)
    rate, held_out = shared_by(arms, lanes, stored)
    documents = held_out_documents(workspace, arms[0], lanes[0], held_out, stored)
    each = confidence_of_each(confidence, number=len(arms) - 1)
    others = [
        _beside(
            workspace, (arms[0], other), (lanes[0], mine), documents, stored, rate=rate, each=each, per_side=per_side
        )
        for other, mine in zip(arms[1:], lanes[1:], strict=True)
    ]
    others = sorted(others, key=lambda other: -other.overall.gain)
    by_name = {arm.name: (arm, mine) for arm, mine in zip(arms, lanes, strict=True)}
    order = [arms[0].name, *(other.name for other in others)]
    facts = next(iter(lanes[0].values())).lane.facts
    seeds = {other.name: other.seeds for other in others}
    seeds[arms[0].name] = tuple(sorted({seed for other in others for seed in other.seeds}))
    return SideBySide(
        first=arms[0].name,
        made=_made([by_name[name][0] for name in order]),
        others=tuple(others),
        confidence=confidence,
        confidence_of_each=each,
        tier=facts.tier,
        parameters=facts.parameters,
        tokens_per_proxy=facts.num_tokens,
        learning_rate=rate,
        held_out=documents.held_out,
        not_compared=not_compared(arms, lanes, documents),
        judged_too=judged_too(
            workspace,
            documents.payloads,
            judged=[node.payload for arm in arms if arm.recipe is not None for node in arm.recipe.judged],
        ),
        lanes={
            LaneName(name, rate, seed): by_name[name][1][rate, seed].lane.folder
            for name in order
            for seed in seeds[name]
        },
    )


def _beside(
    workspace: Workspace, arms: tuple[Arm, Arm], lanes: tuple[Lanes, Lanes], documents: HeldOutDocuments,
    stored: Sequence[StoredComparison], *, rate: float, each: float, per_side: int,
) -> Beside:  # fmt: skip
    """Compare one mixture with the first at every learning rate that both have; the first of these is told."""
    from eval.proxies.tiers import tier_called
    from eval.verdict.gate import MIXED, GateRule, too_little
    from eval.verdict.paired import check_rates, seeds_to_resolve

    wanted = frozenset(documents.held_out.values())
    rates = dict.fromkeys([rate, *sorted({at for at, _ in lanes[0]}, reverse=True)])
    seeds = {at: found for at in rates if len(found := pairs_of(*lanes, at, wanted)) >= LEAST_PAIRS}
    used = [mine[at, seed] for mine in lanes for at, found in seeds.items() for seed in found]
    known = _earlier(workspace, used, documents, stored)
    bits = {at: _bits(lanes, at, found, documents) for at, found in seeds.items()}
    comparisons = [_comparison(bits[at], at, seeds[at], documents, known, each) for at in seeds]
    first, some = comparisons[0], used[0].lane.facts
    rule = GateRule(min_gain=0.0, min_tokens=tier_called(some.tier).least_tokens)
    settled = says(first.overall) != "not settled"
    saved = bits[rate][0].mean(axis=0) - bits[rate][1].mean(axis=0)
    trained_on = sorted({f"{found.lane.facts.device}, {found.lane.facts.precision}" for found in used})
    return Beside(
        name=arms[1].name,
        overall=first.overall,
        domains=first.domains,
        seeds=first.seeds,
        left_out=tuple(
            (str(LaneName(arm.name, facts.learning_rate, facts.seed)), facts.findings[0])
            for arm in arms
            for facts in (found.lane.facts for found in arm.lanes)
            if not facts.healthy
        ),
        rates=check_rates(comparisons).sentence,
        more_seeds=0 if settled else seeds_to_resolve(first.overall, threshold=0.0, level=(1 + each) / 2),
        thin=tuple(too_little(comparisons, rule=rule, num_tokens=some.num_tokens)),
        mixed=MIXED.format(" and ".join(trained_on)) if len(trained_on) > 1 else "",
        changed=tuple(
            changed_on(
                name, folder=documents.folders[name], ids=[documents.ids[row] for row in rows],
                num_bytes=documents.num_bytes[rows], saved=saved[rows], per_side=per_side,
            )
            for name in documents.held_out
            for rows in [np.flatnonzero(documents.domain == name)]
        ),
    )  # fmt: skip


def _bits(
    lanes: tuple[Lanes, Lanes], rate: float, seeds: Sequence[int], documents: HeldOutDocuments
) -> list[np.ndarray]:
    """Return float64[S, D] of both mixtures."""

    def of_lane(found: ScoredLane) -> np.ndarray:
        tables = [
            read_table(found.scores[held].folder / BITS, columns=["bits"]) for held in documents.held_out.values()
        ]
        return np.concatenate([table.column("bits").to_numpy() for table in tables])

    return [np.stack([of_lane(mine[rate, seed]) for seed in seeds]) for mine in lanes]


def _earlier(
    workspace: Workspace, used: Sequence[ScoredLane], documents: HeldOutDocuments, stored: Sequence[StoredComparison]
) -> list[dict[str, Any]]:
    """Return what earlier proxies say of chance: as the gate knew it that compared these, or as one would know now."""
    identities = {found.lane.card.identity for found in used}
    names = {identity: name for name, identity in documents.held_out.items()}
    for item in stored:
        if item.held_out.keys() == names.keys() and identities <= item.lanes:
            ours = {theirs: names[identity] for identity, theirs in item.held_out.items()}
            return [
                {**known, "deviations": {ours.get(name, name): one for name, one in known["deviations"].items()}}
                for known in item.card.details["earlier"]
            ]
    some = used[0]
    (held_out_bytes,) = {some.scores[held].card.details["held_out_bytes"] for held in names}
    return earlier_lanes(
        workspace,
        [found.lane.facts for found in used],
        documents=documents.documents,
        held_out_bytes=held_out_bytes,
        versions=dict(zip(VERSIONS, some.versions, strict=True)),
    )


def _comparison(
    bits: Sequence[np.ndarray], rate: float, seeds: Sequence[int], documents: HeldOutDocuments,
    earlier: Sequence[Mapping[str, Any]], confidence: float,
) -> Comparison:  # fmt: skip
    from eval.verdict.deviation import Deviation
    from eval.verdict.paired import compare as compare_arms

    known = {item["learning_rate"]: item["deviations"] for item in earlier}.get(rate, {})
    return compare_arms(
        bits_candidate=bits[1],
        bits_baseline=bits[0],
        num_bytes=documents.num_bytes,
        domain=documents.domain,
        cluster=documents.cluster,
        learning_rate=rate,
        seeds=seeds,
        confidence=confidence,
        replicates=0,
        earlier={name: Deviation(**found) for name, found in known.items()},
    )


def _made(arms: Sequence[Arm]) -> tuple[Made, ...]:
    """Return what mixtures are made of; a name that means two datasets carries the start of each one's identity."""
    meanings: dict[str, set[str]] = {}
    for arm in arms:
        for dataset, identity in arm.documents.items():
            meanings.setdefault(dataset, set()).add(identity)
    return tuple(
        Made(
            name=arm.name,
            said=arm.said,
            folder=arm.folder.name,
            identity=arm.card.identity,
            num_tokens=arm.card.details["num_tokens"],
            max_epochs=arm.card.payload["max_epochs"],
            parts=tuple(
                Part(
                    dataset=name if len(meanings[name]) == 1 else f"{name} ({arm.documents[name][:6]})",
                    asked=share["nominal"], realised=share["realised"], tokens=share["tokens"], epochs=share["epochs"],
                )
                for share in sorted(arm.card.details["shares"], key=lambda share: -share["nominal"])
                for name in [share["dataset"]]
            ),
        )
        for arm in arms
    )  # fmt: skip


def data_of(found: SideBySide) -> dict[str, Any]:
    """Return a comparison as plain data."""
    plain = {name: getattr(found, name) for name in PLAIN}
    return plain | {
        "held_out": dict(found.held_out),
        "made": [asdict(made) for made in found.made],
        "others": [
            {
                "name": other.name,
                "says": says(other.overall),
                "seeds": list(other.seeds),
                "left_out": [{"lane": lane, "why": why} for lane, why in other.left_out],
                "rates": other.rates,
                "more_seeds": other.more_seeds,
                "thin": list(other.thin),
                "mixed": other.mixed,
                "overall": asdict(other.overall),
                "domains": [asdict(gain) | {"says": says(gain)} for gain in other.domains],
                "documents": [
                    {
                        "domain": changed.domain,
                        "documents": changed.num_documents,
                        "better": changed.num_better,
                        "gained": [_document(document) for document in changed.gained],
                        "lost": [_document(document) for document in changed.lost],
                    }
                    for changed in other.changed
                ],
            }
            for other in found.others
        ],
    }


def _document(document: Changed) -> dict[str, Any]:
    return {
        "id": document.doc_id, "saved_bits": document.saved, "saved_per_byte": document.rate,
        "bytes": document.num_bytes, "text": document.text,
    }  # fmt: skip
