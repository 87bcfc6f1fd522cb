"""Held-out sets that somebody reads -> those of which a gate judges by the same documents.

To choose by what a gate judges by is a look that nobody counts. A part that is sealed for a gate keeps it for the gate,
but not where the whole set is read, as a recipe that seals nothing scores it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.core.errors import TamisError
from pipeline.core.files.card import Card, read_card
from pipeline.core.files.names import CARD
from pipeline.store.workspace import Workspace

Payload = Mapping[str, Any]  # of a held-out set's tokens: its documents, and which part of them


def judged_too(workspace: Workspace, read: Mapping[str, Payload], *, judged: Iterable[Payload] = ()) -> tuple[str, ...]:
    """Return the names of what is read that a certificate of the workspace rests on too, or some more of `judged`."""
    every = [*judged, *_judged_in(workspace)]
    return tuple(sorted(name for name, mine in read.items() if any(_overlap(mine, theirs) for theirs in every)))


def uncounted(names: Sequence[str]) -> str:
    """Say what it means to have read what a gate judges by."""
    return (
        f"It read documents that a gate judges by ({', '.join(names)}), and no look was counted: who chooses by it "
        "makes that gate's verdict too kind. A recipe with `gate: {sealed: 0.5}` keeps half of them for the gate."
    )


def _overlap(read: Payload, judged: Payload) -> bool:
    if read["dataset"] != judged["dataset"]:
        return False
    parted = (read.get("part"), judged.get("part")) == ("open", "sealed") and read["group_by"] == judged["group_by"]
    return not (parted and read["share"] >= judged["share"])


def _judged_in(workspace: Workspace) -> Iterator[Payload]:
    judged = {card.payload["comparison"] for card in _cards(workspace, "certificate")}
    held_out = {
        identity
        for card in _cards(workspace, "comparison")
        if card.identity in judged
        for identity in card.payload["held_out"].values()
    }
    yield from (card.payload for card in _cards(workspace, "tokens") if card.identity in held_out)


def _cards(workspace: Workspace, kind: str) -> Iterator[Card]:
    for path in sorted((workspace.root / kind).glob(f"*/{CARD}")):
        try:
            yield read_card(path.parent)
        except TamisError:  # not a question's to repair
            continue
