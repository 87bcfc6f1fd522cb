"""A name -> finished proxies of a workspace, each with its mixture, its tokenizer and its scores.

`candidate/seed0/lr1` is one proxy, as a plan calls it; `candidate/seed0` and `candidate` are all that it stands for, of
the mixture that the last run meant by that name; `even/seed1000/lr1/to0.5` is one where a search stopped it, half
trained, and without `/to` only proxies that trained to their end are meant. `t0-seed0-lr1-87c9a83f55f2` is a folder of
`workspace/lane`, as `status --json` lists it, with or without the path to it; a proxy of an earlier recipe is named so.
Only proxies with a card count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import DataError, RecipeError, TamisError, listed_names, nearest_names
from pipeline.core.files.card import Card, is_complete, read_card, verify_files
from pipeline.core.files.names import CARD
from pipeline.core.identity import folder_name
from pipeline.experiment.lanes import LaneFacts
from pipeline.experiment.scores import ScoreFacts
from pipeline.plan.lanes import LaneName
from pipeline.plan.parts import is_sealed
from pipeline.store.workspace import Workspace

PARTS = re.compile(r"(?P<mixture>.+?)(/seed(?P<seed>[0-9]+))?(/lr(?P<rate>[0-9.e+-]+))?(/to(?P<until>[0-9.e-]+))?")


@dataclass(frozen=True, slots=True)
class StoredLane:
    """One finished proxy."""

    name: str
    folder: Path
    card: Card
    facts: LaneFacts


@dataclass(frozen=True, slots=True)
class LaneOnTask:
    """A proxy and a task: what every way to score adds its numbers to."""

    lane: str
    folder: str
    tier: str
    num_tokens: int  # that it was trained on
    task: str
    items: int


@dataclass(frozen=True, slots=True)
class StoredScore:
    """How well a proxy predicts one held-out set; no number where one of its bits is not finite."""

    held_out: str
    documents: int
    bits_per_byte: float | None


def find_lanes(workspace: Workspace, wanted: str) -> list[StoredLane]:
    """Return what a name stands for, by learning rate and seed; RecipeError if it means nothing."""
    folder = _folder(workspace, wanted)
    if folder is not None:
        return [_stored(folder, read_card(folder))]
    every = list(_every_lane(workspace))
    if not every:
        raise DataError(f"{workspace.root}: holds no finished proxies. Run a recipe that has a gate first.")
    parts = PARTS.fullmatch(wanted)
    mixture = workspace.mixture(parts["mixture"]) if parts is not None else None
    if parts is None or mixture is None:
        raise _unknown(workspace, wanted, every)
    of_mixture = [lane for lane in every if lane.card.payload["mixture"] == mixture[1].identity]
    found = [
        StoredLane(_name(lane, parts["mixture"]), lane.folder, lane.card, lane.facts)
        for lane in of_mixture
        if (parts["seed"] is None or lane.facts.seed == int(parts["seed"]))
        and (parts["rate"] is None or f"{lane.facts.learning_rate:g}" == parts["rate"])
        and f"{lane.facts.until:g}" == (parts["until"] or "1")
    ]
    if not found:
        raise _none_of(workspace, wanted, parts, of_mixture)
    return sorted(found, key=lambda lane: (lane.facts.learning_rate, lane.facts.seed, lane.folder.name))


def find_lane(workspace: Workspace, wanted: str) -> StoredLane:
    """Return the one proxy that a name stands for; RecipeError if there are several."""
    found = find_lanes(workspace, wanted)
    if len(found) > 1:
        names = [lane.name for lane in found]
        names = names if len(set(names)) == len(names) else [f"lane/{lane.folder.name}" for lane in found]
        raise RecipeError(f"`{wanted}` stands for {len(found)} proxies; it must be one. Name {listed_names(names)}.")
    return found[0]


def mixture_of_lane(workspace: Workspace, lane: StoredLane) -> Card:
    """Return the card of the mixture that a proxy was trained on."""
    return read_card(folder_of(workspace, "mixture", lane.card.payload["mixture"], of=lane.name))


def tokenizer_of_lane(workspace: Workspace, lane: StoredLane) -> Path:
    """Return the file of the tokenizer that a proxy reads, checked against its card."""
    (tokens, _), *_ = mixture_of_lane(workspace, lane).payload["weights"].values()
    encoded = read_card(folder_of(workspace, "tokens", tokens, of=lane.name))
    folder = folder_of(workspace, "tokenizer", encoded.payload["tokenizer"], of=lane.name)
    verify_files(folder, read_card(folder))
    return folder / "tokenizer.model"


def scores_of_lane(workspace: Workspace, lane: StoredLane) -> list[StoredScore]:
    """Return a proxy's stored scores by the name of the held-out set."""
    found = [
        StoredScore(name_of_held_out(card), card.rows_out, ScoreFacts(**card.details).bits_per_byte)
        for _, card in finished_scores(workspace)
        if card.payload["lane"] == lane.card.identity
    ]
    return sorted(found, key=lambda score: score.held_out)


def finished_scores(workspace: Workspace) -> Iterator[tuple[Path, Card]]:
    """Yield every finished score of a proxy on a held-out set, but for what is sealed: only a verdict looks there."""
    for folder in _folders(workspace, "score"):
        card = _card(folder)
        if card is not None and not is_sealed(name_of_held_out(card)):
            yield folder, card


def name_of_held_out(score: Card) -> str:
    """Return what the held-out set of a score was called when it was scored."""
    (name,) = score.parents.keys() - {"lane"}
    return name


def folder_of(workspace: Workspace, kind: str, identity: str, *, of: str) -> Path:
    """Return the finished result that `of` rests on, whatever it is called; DataError if it is gone."""
    for folder in sorted((workspace.root / kind).glob(folder_name("*", identity))):
        if is_complete(folder, identity):
            return folder
    raise DataError(
        f"{workspace.root / kind}: {kind} {identity[:12]}, which {of} rests on, is gone. Run its recipe again."
    )


def _folder(workspace: Workspace, wanted: str) -> Path | None:
    """Return the folder of `workspace/lane` that is meant, if one is."""
    place = Path(wanted)
    folder = workspace.root / "lane" / place.name
    said = place.parent in (Path(), Path("lane")) or place.parent.resolve() == folder.parent.resolve()
    if not said or not folder.is_dir():
        return None
    if not (folder / CARD).exists():
        raise DataError(
            f"{folder}: this proxy is not finished: it has no {CARD}. Run its recipe again; the run goes on with it."
        )
    return folder


def _folders(workspace: Workspace, kind: str) -> list[Path]:
    return sorted(path for path in (workspace.root / kind).glob("*-*") if path.is_dir())


def _card(folder: Path) -> Card | None:
    """Return a card, None where there is none that can be read: not a question's to repair."""
    try:
        return read_card(folder)
    except TamisError:
        return None


def finished_lanes(workspace: Workspace) -> Iterator[StoredLane]:
    """Yield every proxy that trained to its end, under the name that its mixture had when it was trained."""
    yield from (lane for lane in _every_lane(workspace) if lane.facts.until == 1)


def _every_lane(workspace: Workspace) -> Iterator[StoredLane]:
    """Yield every finished proxy, and every one as it was where a search stopped it."""
    for folder in _folders(workspace, "lane"):
        card = _card(folder)
        if card is not None:
            yield _stored(folder, card)


def stored_lane(name: str, folder: Path) -> StoredLane:
    """Return the finished proxy of a folder under a name that a plan gave it."""
    card = read_card(folder)
    return StoredLane(name, folder, card, LaneFacts(**card.details))


def _stored(folder: Path, card: Card) -> StoredLane:
    lane = StoredLane("", folder, card, LaneFacts(**card.details))
    return StoredLane(_name(lane, next(iter(card.parents))), folder, card, lane.facts)


def _name(lane: StoredLane, mixture: str) -> str:
    facts = lane.facts
    return str(LaneName(mixture=mixture, learning_rate=facts.learning_rate, seed=facts.seed, until=facts.until))


def _unknown(workspace: Workspace, wanted: str, every: Sequence[StoredLane]) -> RecipeError:
    names = {lane.name for lane in every} | {lane.name.partition("/")[0] for lane in every}
    names |= {lane.folder.name for lane in every}
    return RecipeError(f"`{wanted}` is not a proxy in {workspace.root}. Did you mean {nearest_names(wanted, names)}?")


def _none_of(workspace: Workspace, wanted: str, parts: re.Match[str], of_mixture: Sequence[StoredLane]) -> TamisError:
    names = sorted({_name(lane, parts["mixture"]) for lane in of_mixture})
    stopped = [name for name in names if parts["until"] is None and name.startswith(f"{wanted}/") and "/to" in name]
    if stopped:
        return RecipeError(
            f"`{wanted}`: no such proxy trained to its end; a search stopped it on its way. Name "
            f"{listed_names(stopped)}."
        )
    until = f"to{parts['until']}-" if parts["until"] else ""
    begun = f"*-seed{parts['seed'] or '*'}-lr{parts['rate'] or '*'}-{until}*"
    unfinished = [
        folder.name
        for folder in sorted((workspace.root / "lane").glob(begun))
        if not (folder / CARD).exists() and (until or "-to" not in folder.name)
    ]
    if unfinished:
        return DataError(
            f"`{wanted}` is not finished: {listed_names(unfinished)} in {workspace.root / 'lane'} has no {CARD}. Run "
            "its recipe again; the run goes on with it."
        )
    if not names:
        return DataError(
            f"`{wanted}`: no proxy of mixture {parts['mixture']} is finished in {workspace.root}. Run its recipe with "
            "a gate."
        )
    return RecipeError(f"`{wanted}` is not a proxy in {workspace.root}. Did you mean {nearest_names(wanted, names)}?")
