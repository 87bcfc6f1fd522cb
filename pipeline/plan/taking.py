"""A node that is to be built -> the finished results whose parts are its own as well: what a run need not do again.

A source that differs from an earlier one in its list of files alone gives, of every file that is in both, the same
parts. A measuring step gives the same signals of the same part, whatever other parts lie beside it. Identities name the
whole, so both are other results; but which earlier ones would have the same parts can be told from identities alone: a
step's is the hash of its payload, in which only the text is another.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.files.card import is_complete, read_card
from pipeline.core.files.names import CARD
from pipeline.core.identity import identity_of
from pipeline.core.step import MeasuringStep
from pipeline.store.dataset.stored_source import SLICES, StoredSource
from pipeline.store.node import Node
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.plan.graph import PlannedStep

MOST_EARLIER = 8  # results of a name that are looked at, the newest
MOST_CHOICES = 128  # of what a dataset with several inputs may have started from


@dataclass(frozen=True, slots=True)
class EarlierBase:
    """Folders of what a dataset started from before, in order, and what their text is called in identities."""

    folders: tuple[Path, ...]
    text: str


@dataclass(frozen=True, slots=True)
class EarlierSignals:
    """A finished result of the same step on other documents."""

    folder: Path
    base: tuple[Path, ...]  # what its parts belong to, part by part


def text_of(identities: Sequence[str]) -> str:
    """Return what the text of these results, one after the other, is called in the payloads of steps."""
    return identity_of(["text", *identities])


def edited(text: str, identity: str) -> str:
    """Return what a text is called after the step with this identity edited it."""
    return identity_of(["text", text, identity])


def sources_before(workspace: Workspace, name: str, payload: Mapping[str, Any]) -> list[Path]:
    """Return the finished sources that differ from one in their files alone, the newest first."""
    wanted = _without_files(payload)
    found = []
    for folder in reversed(workspace.complete("source", name)):
        card = read_card(folder)
        if card.details.get(SLICES) and _without_files(card.payload) == wanted:
            found.append(folder)
        if len(found) == MOST_EARLIER:
            break
    return found


def _without_files(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {**payload, "inputs": {key: value for key, value in payload["inputs"].items() if key != "files"}}


def bases_before(workspace: Workspace, base: Sequence[Node]) -> list[EarlierBase]:
    """Return what a dataset may have started from before, each input being as it is now or as it was, newest first."""
    most = {1: MOST_EARLIER, 2: MOST_EARLIER, 3: 3}.get(len(base), 1)
    choices = []
    for node in base:
        others = [folder for folder in reversed(workspace.complete(node.kind, node.name)) if folder != node.folder]
        known = [(folder, read_card(folder).identity) for folder in others[:most]]
        choices.append([*([(node.folder, node.identity)] if (node.folder / CARD).exists() else []), *known])
    now, found = tuple(node.folder for node in base), []
    for chosen in itertools.islice(itertools.product(*choices), MOST_CHOICES):
        folders = tuple(folder for folder, _ in chosen)
        if folders != now:
            found.append(EarlierBase(folders, text_of([identity for _, identity in chosen])))
    return found


def signals_before(
    workspace: Workspace, base: Sequence[EarlierBase], *, before: Sequence[PlannedStep], payload: Mapping[str, Any]
) -> list[EarlierSignals]:
    """Return the finished results of a measuring step with this payload that read one of these texts.

    `before` are the steps of the dataset before it. A text that a gathering step edited depends on all documents, so
    there is none of it.
    """
    editing = [step for step in before if step.spec.step.edits]
    if payload["kind"] != "measured" or any(not isinstance(step.spec.step, MeasuringStep) for step in editing):
        return []
    found = []
    for earlier in base:
        text = earlier.text
        for step in editing:
            text = edited(text, identity_of({**step.node.payload, "text": text}))
        identity = identity_of({**payload, "text": text})
        folder = workspace.folder("measured", str(payload["step"]), identity)
        if is_complete(folder, identity):
            found.append(EarlierSignals(folder, earlier.folders))
    return found


def files_told(workspace: Workspace, name: str, payload: Mapping[str, Any]) -> str:
    """Say of how many of its files a source is going to take over what an earlier one read; "" for none."""
    files = set(StoredSource.from_payload(payload).files)
    there = set[Any]()
    for folder in sources_before(workspace, name, payload):
        there |= files & set(StoredSource.from_payload(read_card(folder).payload).files)
    return f"takes over {len(there):,} of {len(files):,} files" if there else ""
