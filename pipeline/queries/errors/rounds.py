"""Two mixtures and settings -> a round of claims about their documents, held once and stored for ever; its findings.

claims/<name>-<hash>/claims.json with a card beside it. The same experiment and settings are the same round, which is
read and asks nobody; a round that was stopped asks only for what its ledger lacks. What is stored is adjusted for its
own claims; whoever reads it gets them adjusted for all rounds of the pair of mixtures, in either order of the two.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from eval.claims.family import together
from eval.claims.record import Claim, Round
from pipeline.core.claude.messages.request import Buyer
from pipeline.core.claude.server.endpoint import foreign_endpoint
from pipeline.core.errors import DataError, RecipeError, TamisError
from pipeline.core.files.card import Card, is_complete, read_card
from pipeline.core.files.names import CARD
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.files.stores.stored import present
from pipeline.core.files.writing.durable import write_text
from pipeline.core.identity import identity_of
from pipeline.queries.errors.judging import MATCHED, match
from pipeline.queries.errors.material import Material, Subject, subject_of, two_arms
from pipeline.queries.errors.members import members_of
from pipeline.queries.errors.round import About, hold_round
from pipeline.queries.errors.settings import Settings
from pipeline.queries.errors.words import propose_words
from pipeline.store.node import Node
from pipeline.store.results import close
from pipeline.store.workspace import Workspace

VERSION = 3  # bump when the same documents would be asked or told otherwise
CLAIMS = "claims.json"
ABOUT = "about.parquet"  # of each finding: documents, and whether they have what is claimed
ABOUT_SCHEMA = pa.schema([("claim", pa.string()), ("domain", pa.string()), ("id", pa.string()), ("has", pa.bool_())])
NO_KEY = "There is no key for Claude, so claims are contrasts of words, and a pattern decides what a document has."
MOST_USELESS = 0.6  # share of answers that say nothing, beyond which no more are bought


def run_round(workspace: Workspace, names: Sequence[str], settings: Settings) -> Round:
    """Return the round of an experiment, held now if it was not held before; the caller holds the workspace's lock."""
    subject = _subject(workspace, names, settings)
    found = _stored(workspace, subject, settings)
    if found is not None:
        return _among_all(workspace, subject, found)
    settings, notes = _resolved(settings)
    started = time.monotonic()
    material, about = subject.load(), About()
    told = _held(workspace, material, settings, about)
    node = _node(workspace, subject, settings)
    told = replace(told, identity=node.identity, notes=(*notes, *told.notes))
    node.folder.mkdir(parents=True, exist_ok=True)
    write_text(node.folder / CLAIMS, json.dumps(asdict(told), indent=1, allow_nan=False) + "\n")
    write_table(node.folder / ABOUT, _documents_of(told, material, about))
    details = {"findings": len(told.findings), "claims": len(told.claims), "void": told.void}
    close(
        node, {CLAIMS: -1, ABOUT: -1}, rows_in=told.documents, rows_out=told.documents, details=details,
        seconds=time.monotonic() - started, cost_usd=told.cost_usd,
    )  # fmt: skip
    return _among_all(workspace, subject, told)


def stored_round(workspace: Workspace, names: Sequence[str], settings: Settings) -> Round | None:
    """Return the round of these settings if it was held before."""
    subject = _subject(workspace, names, settings)
    found = _stored(workspace, subject, settings)
    return None if found is None else _among_all(workspace, subject, found)


def rounds_of(workspace: Workspace, names: Sequence[str]) -> list[Round]:
    """Return every round that was held of two mixtures, the oldest first, their p values adjusted for all of them."""
    first, other = two_arms(workspace, names)
    return _held_of(workspace, (first.card.identity, other.card.identity))


def rounds_around(workspace: Workspace, name: str) -> list[tuple[Path, Round]]:
    """Return every round in which a mixture was held against any other, with its folder, the oldest first.

    P values are adjusted for all rounds of the pair.
    """
    found = workspace.mixture(name)
    if found is None:
        return []
    mine = {found[1].identity}
    cards = [(folder, card) for folder, card in _cards(workspace) if card.payload["claims"] == VERSION]
    orders = {tuple(card.payload["mixtures"]) for _, card in cards if mine & set(card.payload["mixtures"])}
    folders = {card.identity: folder for folder, card in cards}
    told = [each for first, other in sorted(orders) for each in _held_of(workspace, (first, other))]
    around = [(folders[each.identity], each) for each in told]
    return sorted(around, key=lambda each: (each[0] / CARD).stat().st_mtime_ns)


def _held_of(workspace: Workspace, mixtures: tuple[str, str]) -> list[Round]:
    """Return the rounds of two mixtures in this order, adjusted for those of the other order too."""
    pair = sorted(mixtures)
    mine = [
        (folder, card.payload["mixtures"] == list(mixtures))
        for folder, card in _cards(workspace)
        if card.payload["claims"] == VERSION and sorted(card.payload["mixtures"]) == pair
    ]
    mine.sort(key=lambda each: ((each[0] / CARD).stat().st_mtime_ns, each[0].name))
    held = together([read_round(folder) for folder, _ in mine])
    return [told for told, (_, asked) in zip(held, mine, strict=True) if asked]


def _among_all(workspace: Workspace, subject: Subject, told: Round) -> Round:
    """Return a stored round with p values that hold for all rounds of its pair."""
    return next(each for each in _held_of(workspace, subject.mixtures) if each.identity == told.identity)


def findings_of(workspace: Workspace, names: Sequence[str]) -> tuple[Claim, ...]:
    """Return the claims about two mixtures that passed, in no round that is void; of one that passed twice the last."""
    found = {claim.id: claim for told in rounds_of(workspace, names) for claim in told.findings}
    return tuple(found.values())


def read_round(folder: Path) -> Round:
    """Read what is stored of a round, adjusted for itself alone."""
    from pydantic import TypeAdapter, ValidationError

    try:
        found: Round = TypeAdapter(Round).validate_json((folder / CLAIMS).read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(f"{folder / CLAIMS}: cannot be read ({type(error).__name__}). Delete the folder.") from error
    return found


def _cards(workspace: Workspace) -> Iterator[tuple[Path, Card]]:
    for path in sorted((workspace.root / "claims").glob(f"*/{CARD}")):
        try:
            yield path.parent, read_card(path.parent)
        except TamisError:  # not a question's to repair
            continue


def _subject(workspace: Workspace, names: Sequence[str], settings: Settings) -> Subject:
    if not settings.on:
        return subject_of(workspace, names, which=settings.which)
    from pipeline.queries.errors.anew import subject_on

    return subject_on(
        workspace, names, settings.on, which=settings.which, threads=settings.threads, say=settings.say
    )  # fmt: skip


def _stored(workspace: Workspace, subject: Subject, settings: Settings) -> Round | None:
    """Look for the round; where nobody says who is to state claims, Claude's comes first."""
    for by in ("claude", "words") if settings.by == "auto" else (settings.by,):
        if by == "words" and settings.by == "auto" and _has_key():
            break
        node = _node(workspace, subject, replace(settings, by=by))
        if is_complete(node.folder, node.identity):
            return read_round(node.folder)
    return None


def _node(workspace: Workspace, subject: Subject, settings: Settings) -> Node:
    payload: dict[str, Any] = {
        "kind": "claims",
        "claims": VERSION,
        "mixtures": list(subject.mixtures),
        "experiment": subject.experiment,
        "which": settings.which,
        "by": settings.by,
        "documents": settings.documents,
        "seed": settings.seed,
    }
    if settings.by == "claude":
        payload |= {"proposer": settings.proposer, "judge": settings.judge, "endpoint": foreign_endpoint()}
    identity, name = identity_of(payload), f"{subject.label}-{settings.which}"
    folder = workspace.folder("claims", name, identity)
    parents = dict(zip(("first", "other"), subject.mixtures, strict=True))
    return Node("claims", name, identity, payload, parents, folder, is_complete(folder, identity), "")


def _has_key() -> bool:
    from pipeline.core.claude.server.connection import check_credentials

    try:
        check_credentials()
    except RecipeError:
        return False
    return True


def _resolved(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Decide who states claims, and say so where that was left open and there is no key."""
    if settings.by == "words":
        return settings, ()
    if _has_key():
        return replace(settings, by="claude"), ()
    if settings.by == "claude":
        raise RecipeError(
            "--by claude: ANTHROPIC_API_KEY is not set, and neither is ANTHROPIC_BASE_URL; asking Claude needs one of "
            "them. Set it, or take `--by words`, which asks nobody."
        )
    return replace(settings, by="words"), (NO_KEY,)


def _documents_of(told: Round, material: Material, about: About) -> pa.Table:
    """Return of which documents it is known whether they have what the findings of a round claim."""
    rows = [(claim.id, row, has) for claim in told.findings for row, has in sorted(about[claim.id].items())]
    columns = {
        "claim": [claim for claim, _, _ in rows],
        "domain": [str(material.domain[row]) for _, row, _ in rows],
        "id": [material.ids[row] for _, row, _ in rows],
        "has": [bool(has) for _, _, has in rows],
    }
    return pa.table(columns, schema=ABOUT_SCHEMA)


def documents_with(folder: Path, claim: str) -> dict[str, dict[str, bool]]:
    """Return held-out set -> document -> whether it has what a finding claims; none where that was not kept."""
    found: dict[str, dict[str, bool]] = {}
    if present(folder / ABOUT).exists():
        for row in read_table(folder / ABOUT).to_pylist():
            if row["claim"] == claim:
                found.setdefault(row["domain"], {})[row["id"]] = row["has"]
    return found


def _held(workspace: Workspace, material: Material, settings: Settings, about: About) -> Round:
    how: dict[str, Any] = {
        "members": members_of(material, workspace), "documents": settings.documents, "seed": settings.seed,
        "about": about,
    }  # fmt: skip
    if settings.by == "words":
        return hold_round(material, propose=propose_words, judge=match, judge_title=MATCHED, **how)
    from pipeline.core.claude.client import ClaudeClient
    from pipeline.queries.errors.claude import ClaudeJudge, propose_with_claude

    client = ClaudeClient(
        workspace.ledger, max_usd=settings.max_usd, prices=settings.prices, workers=settings.concurrency,
        max_useless=MOST_USELESS, buyer=Buyer(material.other, "errors"), say=settings.say, batches=settings.batches,
        wait=settings.wait,
    )  # fmt: skip
    with closing(client):
        judge = ClaudeJudge(client, model=settings.judge)
        told = hold_round(
            material, propose=partial(propose_with_claude, client=client, model=settings.proposer), judge=judge,
            judge_title=judge.title, words_instead=True, **how,
        )  # fmt: skip
        return replace(told, cost_usd=told.cost_usd + judge.cost_usd)
