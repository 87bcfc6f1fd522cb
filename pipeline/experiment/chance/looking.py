"""A gate or an old certificate -> the look that it is: what it judges, against what and on what, all named by content.

A plan asks before its documents may be there: what is not built yet was looked at by nobody. A workspace that has
certificates and no record of looks is older than the record, or lost it: its looks are read out of the certificates,
as far as what they judged is still there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import TamisError
from pipeline.core.files.card import Card, is_complete, read_card
from pipeline.core.files.names import CARD
from pipeline.core.identity import identity_of
from pipeline.plan.lanes import LaneName
from pipeline.plan.parts import judged_by, parts_of
from pipeline.recipe.sections import MOST_FIRST_SEED
from pipeline.store.names.looks import UNKNOWN, Look, enter, has_record, looks_before, looks_in, standing_of
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from eval.verdict.sequential import Looks
    from pipeline.experiment.work import Work
    from pipeline.plan.graph import Plan
    from pipeline.recipe.sections import MixtureSection
    from pipeline.store.node import Node


def look_of(plan: Plan) -> Look:
    """Return the look that the gate of a plan takes, or will take."""
    gate, proxy, experiment = plan.recipe.gate, plan.recipe.proxy, plan.experiment
    assert gate is not None and proxy is not None and experiment is not None
    arms = (gate.candidate, gate.baseline)
    contents = [_content_of(plan, experiment.sections.get(arm)) for arm in arms]
    if proxy.of:  # one text, trained in two ways: these are what is compared
        contents = [identity_of([text, proxy.tier_of(arm)]) for text, arm in zip(contents, arms, strict=True)]
    names = [LaneName(arm, rate, seed) for arm in arms for rate in proxy.learning_rates for seed in proxy.seed_numbers]
    lanes = [experiment.lanes[lane].identity if lane in experiment.lanes else f"to come: {lane}" for lane in names]
    return Look(
        certificate=experiment.certificate.identity if experiment.certificate is not None else "",
        candidate=contents[0],
        baseline=contents[1],
        held_out=tuple(sorted(_text_of(plan.documents_node(domain)) for domain in gate.on)),
        proxies=tuple(sorted(lanes)),
        judged=_judged(plan),
    )


def _judged(plan: Plan) -> str:
    """Return what a gate judges by: which part of whose text, how much of it, in which groups, at which rate."""
    gate, proxy, parts = plan.recipe.gate, plan.recipe.proxy, parts_of(plan.recipe)
    assert gate is not None and proxy is not None
    domains = [(_text_of(plan.documents_node(name)), parts[part].payload) for name, part in judged_by(gate).items()]
    return identity_of(
        {
            "domains": sorted(domains, key=repr),
            "held_out_bytes": proxy.held_out_bytes,
            "group_by": gate.group_by,
            "learning_rate": proxy.learning_rates[0],
        }
    )


def looks_ahead(plan: Plan) -> Looks:
    """Return where the look of a plan's gate will stand, without taking it."""
    from eval.verdict.sequential import Looks

    return Looks(**asdict(standing_of(look_of(plan), known_looks(plan.workspace))))


def remark_on_incumbent(plan: Plan, known: Sequence[Look]) -> str:
    """Say that the baseline's proxies are those which it was promoted by, and what to do; nothing where they are not.

    How lucky such proxies are: `python -m tests.eval.incumbent`.
    """
    gate, proxy, experiment = plan.recipe.gate, plan.recipe.proxy, plan.experiment
    assert gate is not None and proxy is not None and experiment is not None
    look = look_of(plan)
    own = {node.identity for lane, node in experiment.lanes.items() if lane.mixture == gate.baseline} & {*look.proxies}
    before = [other for other in looks_before(look, known) if other.outcome == "promote"]
    won = {name for other in before if other.candidate == look.baseline for name in other.proxies}
    if not own & won:
        return ""
    first = proxy.first_seed + proxy.seeds
    way_out = f"`proxy.first_seed: {first}`" if first <= MOST_FIRST_SEED else "Another `seed`"
    return (
        f"{len(own & won)} of {len(own)} proxies of {gate.baseline} are those that it was promoted by, and lucky: by "
        "0.3 to 0.5 deviations of one where it gained one (eval/LOG.md). That counts against whoever challenges it. "
        f"{way_out} judges both by fresh ones."
    )


def remark_on_other_parts(plan: Plan) -> str:
    """Say that documents of a sealed part were also scored as something else, by whatever needs no verdict."""
    gate = plan.recipe.gate
    assert gate is not None
    parts = parts_of(plan.recipe)
    seen = []
    for name in sorted(gate.on) if gate.sealed else ():
        own, identity = parts[name].payload, plan.documents_node(name).identity
        for path in sorted((plan.workspace.root / "tokens").glob(f"*/{CARD}")):
            try:
                payload = read_card(path.parent).payload
            except TamisError:
                continue  # `tamis verify` names it
            told = {key: payload[key] for key in ("part", "share", "group_by") if key in payload}
            is_own = told and all(told[key] == own[key] for key in ("share", "group_by"))
            if payload["dataset"] == identity and payload["head_tokens"] is not None and not is_own:
                seen.append(name)
                break
    if not seen:
        return ""
    return (
        f"Documents that are sealed here were also scored whole or as another part, of {' and '.join(seen)}: whoever "
        "chose by such scores (a search, an ablation, a comparison) has seen them. Fresh documents are the way out."
    )


def known_looks(workspace: Workspace) -> list[Look]:
    """Return every look of a workspace, the oldest first, whether or not there is a record of them."""
    return looks_in(workspace) if has_record(workspace) else list(looks_in_certificates(workspace))


@dataclass(frozen=True, slots=True)
class Taken:
    """The look that a gate took, where it stands, and what is to be said of the baseline's proxies."""

    look: Look
    looks: Looks
    remarks: Sequence[str]  # on the baseline's proxies, and on who else saw what is sealed


def take(work: Work) -> Taken:
    """Enter the look of a gate in the workspace's record."""
    from eval.verdict.sequential import Looks

    workspace, known = work.plan.workspace, None
    if not has_record(workspace):
        known = list(looks_in_certificates(workspace))
        gone = sum(look.baseline == UNKNOWN for look in known)
        if known:
            lost = f", of which {gone:,} count against any baseline, as what they judged is gone" if gone else ""
            work.run.progress.say(f"looks.json: there was none; {len(known):,} certificates were entered{lost}.")
    look = look_of(work.plan)
    looks = Looks(**asdict(enter(workspace, look, known=known)))
    remarks = (remark_on_incumbent(work.plan, looks_in(workspace)), remark_on_other_parts(work.plan))
    return Taken(look, looks, [remark for remark in remarks if remark])


def looks_in_certificates(workspace: Workspace) -> Iterator[Look]:
    """Yield a look for every finished certificate, the oldest first."""
    cards = sorted(
        (workspace.root / "certificate").glob(f"*/{CARD}"), key=lambda path: (path.stat().st_mtime_ns, str(path))
    )
    for path in cards:
        try:
            card = read_card(path.parent)
            told = json.loads((path.parent / "certificate.json").read_bytes())
        except (TamisError, OSError, ValueError):
            continue  # `tamis verify` names it
        yield _look_in(workspace, card, told)


def _look_in(workspace: Workspace, card: Card, told: Mapping[str, Any]) -> Look:
    arms = [told["candidate"], told["baseline"]]
    held_out = [_stored_text(workspace, identity) for identity in told["held_out"].values()]
    candidate, baseline = (_stored_mixture(workspace, arm["identity"]) for arm in arms)
    names = {arm["name"] for arm in arms}
    lanes = sorted(lane["identity"] for lane in told["lanes"] if lane["mixture"] in names)
    look = Look(
        certificate=card.identity,
        candidate=candidate or f"gone: {arms[0]['identity']}",
        baseline=baseline or UNKNOWN,
        held_out=tuple(sorted(text for text in held_out if text is not None)),
        proxies=tuple(lanes),
        outcome=told["verdict"]["outcome"],
    )
    return look if all(held_out) else replace(look, held_out=())


def _content_of(plan: Plan, section: MixtureSection | None) -> str:
    """Return what a mixture is, by its text; one that a search has yet to find is like no other."""
    if section is None:
        return "to come"
    total = math.fsum(section.weights.values())
    weights = [(_text_of(plan.documents_node(name)), weight / total) for name, weight in section.weights.items()]
    return _mixture(weights, section.max_epochs, section.max_document_share)


def _mixture(weights: Sequence[tuple[str, float]], max_epochs: float, max_document_share: float) -> str:
    """Return the identity of texts with their shares; of datasets with one text the shares are added."""
    by_text = {text: math.fsum(share for other, share in weights if other == text) for text, _ in weights}
    return identity_of({"weights": by_text, "max_epochs": max_epochs, "max_document_share": max_document_share})


def _text_of(documents: Node) -> str:
    """Return what documents are, whatever made them; what is not built has no content yet."""
    if not is_complete(documents.folder, documents.identity):
        return f"to come: {documents.identity}"
    return _content(read_card(documents.folder))


def _content(card: Card) -> str:
    return identity_of(sorted(file.blake3 for file in card.files if file.file.startswith("part-")))


def _stored_text(workspace: Workspace, identity: str) -> str | None:
    """Return the content of a dataset that a certificate names; None where it is gone."""
    folder = next(
        (found for kind in ("dataset", "made", "source") if (found := workspace.by_identity(kind, identity))), None
    )
    return _content(read_card(folder)) if folder is not None else None


def _stored_mixture(workspace: Workspace, identity: str) -> str | None:
    """Return the content of a mixture that a certificate names; None where it, or a dataset of it, is gone."""
    folder = workspace.by_identity("mixture", identity)
    if folder is None:
        return None
    payload, weights = read_card(folder).payload, list[tuple[str, float]]()
    for tokens, share in payload["weights"].values():
        encoded = workspace.by_identity("tokens", tokens)
        text = _stored_text(workspace, read_card(encoded).payload["dataset"]) if encoded is not None else None
        if text is None:
            return None
        weights.append((text, share))
    return _mixture(weights, payload["max_epochs"], payload["max_document_share"])
