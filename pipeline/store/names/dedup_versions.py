"""Dedup stores on disk: what was published before, by name and version; remember, forget, go back.

    <workspace>/dedup/<name>/  v00001.json ...  current.json  pieces/<dataset identity>-<part>/  ... piece.json

Versions and their pointer are as `names/versions.py` says; callers hold the workspace's lock. Pieces are named by the
dataset's identity, so two versions share what they have in common, and say which contents their source had read: what a
run reads itself is no earlier document to it, but the same one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import DataError, RecipeError, nearest_names
from pipeline.core.files.card import Card, is_complete, read_card
from pipeline.core.files.parquet.shards import read_table
from pipeline.core.identity import identity_of
from pipeline.store.dataset.stored_dataset import StoredDataset
from pipeline.store.dataset.stored_source import StoredSource
from pipeline.store.names.versions import Versions, homes
from pipeline.store.node import Node
from pipeline.store.results import document_paths, why_empty
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from filters.dedup.remembered import StoreVersion


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a change of a store did."""

    store: str
    version: int
    identity: str
    documents: int  # in the store, the forgotten ones too
    added: int  # of these, by this change
    forgotten: int
    changed: bool
    gone: tuple[str, ...] = ()  # datasets of which nobody can tell any more what was made from what is forgotten


def contents_read(made: Node | Card, *, find: Callable[[Any, str], Node | Card]) -> set[str]:
    """Return the contents that a result's documents were first read from; `find` knows its parents by identity."""
    if made.kind == "dataset":
        return set().union(*(contents_read(find(made, parent), find=find) for parent in made.payload["base"]))
    if made.kind != "source":
        return {made.identity}
    return StoredSource.from_payload(made.payload).contents()


def to_compare(workspace: Workspace, name: str, *, contents: set[str]) -> tuple[tuple[str, ...], str]:
    """Return what a run that reads `contents` gives its step, the version file and the pieces left out; its identity.

    The identity names only what is compared, so remembering a dataset does not make its own step run again.
    """
    from filters.dedup.remembered import PIECES, read_version

    path = store_file(workspace, name)
    version = read_version(path)
    own = version.own(contents)
    return (str(path), *(str(path.parent / PIECES / piece) for piece in own)), identity_of(
        version.without(own).content()
    )


def store_file(workspace: Workspace, name: str) -> Path:
    """Return the version file that counts; RecipeError if there is no such store."""
    store = _versions(workspace, name)
    number = store.pointer().version
    if number == 0:
        known = [other.home.name for other in stores(workspace)]
        way_out = f"Did you mean {nearest_names(name, known)}?" if known else "There is none in this workspace yet."
        raise RecipeError(
            f"there is no dedup store `{name}`. {way_out} `tamis remember DATASET --store {name}` makes it."
        )
    return store.file(number)


def remember(workspace: Workspace, dataset: str, *, store: str) -> Remembered:
    """Add a published dataset to a store as a new version; nothing happens if it is in there."""
    from filters.dedup.remembered import SETTINGS

    folder, card = workspace.dataset(dataset)
    if not card.rows_out:
        raise DataError(f"{why_empty(card)} There is nothing to remember; name a dataset that holds documents.")
    kept = _versions(workspace, store)
    old = current_version(kept)
    batches = list(old.batches) if old is not None else []
    settings = old.settings if old is not None else SETTINGS
    if any(batch["identity"] == card.identity for batch in batches):
        return _told(kept, changed=False)
    batch = _signed(workspace, folder, kept, settings=settings)
    forgotten = list(old.forgotten) if old is not None else []
    content = {"settings": dict(settings), "batches": [*batches, batch], "forgotten": forgotten}
    done = _add(kept, content, action=f"remember {card.name}")
    return replace(done, added=sum(num_rows for _, num_rows, _ in batch["pieces"]))


def remember_just(
    workspace: Workspace, folders: Sequence[Path], *, store: str, settings: Mapping[str, int]
) -> Remembered:
    """Let a store hold these published datasets and no other, as a new version unless it does; makes the store.

    Signatures of what it ever held are there already. What was forgotten stays so.
    """
    kept = _versions(workspace, store)
    old = current_version(kept)
    signed = {batch["identity"]: batch for batch in old.batches} if old is not None and old.settings == settings else {}
    batches = []
    for folder in folders:
        identity = read_card(folder).identity
        batches.append(signed.get(identity) or _signed(workspace, folder, kept, settings=settings))
    forgotten = list(old.forgotten) if old is not None else []
    content = {"settings": dict(settings), "batches": batches, "forgotten": forgotten}
    return _add(kept, content, action="remember what is promoted")


def _signed(workspace: Workspace, folder: Path, kept: Versions, *, settings: Mapping[str, int]) -> dict[str, Any]:
    """Sign what of a published dataset is not signed yet; return what a version says of it."""
    from filters.dedup.remembered import MANIFEST, save_piece

    card, pieces = read_card(folder), []
    paths = document_paths(folder)
    sources = _sources(workspace, card, num_pieces=len(paths))
    for number, (path, source) in enumerate(zip(paths, sources, strict=True)):
        name = f"{card.identity[:16]}-{number:05d}"
        table = read_table(path, columns=["id", "text"])
        piece = kept.home / "pieces" / name
        piece.mkdir(parents=True, exist_ok=True)
        if not (piece / MANIFEST).exists():
            save_piece(piece, table, settings=settings)
        pieces.append([name, table.num_rows, source.identity])
    find = partial(_parent, workspace)
    read = {source.identity: sorted(contents_read(source, find=find)) for source in sources}
    return {"dataset": card.name, "identity": card.identity, "read": read, "pieces": pieces}


def _sources(workspace: Workspace, card: Card, *, num_pieces: int) -> list[Card]:
    """Return the result that each document file of a result was cut from: itself, unless it is a dataset."""
    if card.kind != "dataset":
        return [card] * num_pieces
    folders = [workspace.root / part.folder for part in StoredDataset.from_card(card).base]
    cards = {folder: read_card(folder) for folder in dict.fromkeys(folders)}
    return [cards[folder] for folder in folders]


def _parent(workspace: Workspace, child: Node | Card, identity: str) -> Card:
    """Return the card of a parent; DataError if it was deleted."""
    assert isinstance(child, Card)
    name = next(name for name, found in child.parents.items() if found == identity)
    for kind in ("source", "made", "dataset"):
        folder = workspace.folder(kind, name, identity)
        if is_complete(folder, identity):
            return read_card(folder)
    raise DataError(
        f"{workspace.root}: {name} is not there any more, from which {child.name} comes. Run its recipe again."
    )


def forget(workspace: Workspace, ids: Sequence[str], *, store: str) -> Remembered:
    """Take documents out of a store by id, with all that was made from them, as a new version.

    What was made from them is found in the remembered datasets themselves; `gone` tells which are not there any more.
    DataError if the store holds neither a document nor anything made from it.
    """
    from filters.dedup.remembered import read_version

    version = read_version(store_file(workspace, store))
    wanted = set(ids)
    held = {doc_id for piece in version.pieces() for doc_id in piece.ids().to_pylist() if doc_id in wanted}
    made, gone = _made_from(workspace, version, wanted)
    missing = sorted(wanted - held - set().union(*made.values()))
    if missing:
        raise DataError(
            f"dedup store {store}: holds no document `{missing[0]}`, and none made from it. Nothing was forgotten; "
            "check the ids."
        )
    content = version.content() | {"forgotten": sorted({*version.forgotten, *held, *made})}
    done = _add(_versions(workspace, store), content, action=f"forget {len(held | made.keys())}")
    return replace(done, gone=gone)


def _made_from(
    workspace: Workspace, version: StoreVersion, sources: Collection[str]
) -> tuple[dict[str, set[str]], tuple[str, ...]]:
    """Return id -> those of some documents that it was made from, at any remove, and the datasets that are gone."""
    import pyarrow.compute as pc

    found, gone = dict[str, set[str]](), []
    for batch in version.batches:
        kinds = ("dataset", "made", "source")
        folder = next(filter(None, (workspace.by_identity(kind, batch["identity"]) for kind in kinds)), None)
        if folder is None:
            gone.append(batch["dataset"])
        for path in () if folder is None else document_paths(folder):
            table = read_table(path, columns=["id", "lineage"])
            for row in table.filter(pc.not_equal(table["lineage"], "[]")).to_pylist():
                makers = [maker for maker in json.loads(row["lineage"]) if isinstance(maker, dict)]
                named = {source for maker in makers for source in maker.get("sources", ()) if source in sources}
                if named:
                    found.setdefault(row["id"], set()).update(named)
    return found, tuple(gone)


def roll_back(workspace: Workspace, *, store: str, to: int) -> Remembered:
    """Let an earlier version count again; nothing is deleted."""
    store_file(workspace, store)
    kept = _versions(workspace, store)
    if not kept.file(to).exists():
        raise RecipeError(f"dedup store {store}: has no version {to}. It has 1 to {kept.newest}.")
    kept.move(to=to, action="roll back")
    return _told(kept, changed=True)


def _versions(workspace: Workspace, name: str) -> Versions:
    return Versions.named(_folder(workspace), name, place="dedup store")


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "dedup"


def stores(workspace: Workspace) -> list[Versions]:
    """Return the versions of every store of a workspace."""
    return homes(_folder(workspace))


def current_version(store: Versions) -> StoreVersion | None:
    """Return the version of a store that counts, if there is one; DataError if it is not as it was written."""
    from filters.dedup.remembered import read_version

    number = store.pointer().version
    return read_version(store.file(number)) if number else None


def state_of(store: Versions) -> dict[str, int]:
    """Return a store's version, the documents that it remembers and, of these, how many were forgotten again."""
    version = current_version(store)
    pieces = version.pieces() if version is not None else ()
    forgotten = len(version.forgotten) if version is not None else 0
    return {
        "version": store.pointer().version,
        "documents": sum(piece.num_rows for piece in pieces),
        "forgotten": forgotten,
    }


def _add(store: Versions, content: Mapping[str, Any], *, action: str) -> Remembered:
    identity = identity_of(content)
    old = current_version(store)
    if old is not None and identity_of(old.content()) == identity:
        return _told(store, changed=False)
    text = json.dumps({**content, "identity": identity}, indent=1, sort_keys=True) + "\n"
    store.move(to=store.create(lambda _: text), action=action)
    return _told(store, changed=True)


def _told(store: Versions, *, changed: bool) -> Remembered:
    version = current_version(store)
    assert version is not None
    return Remembered(
        store=store.home.name,
        version=store.pointer().version,
        identity=identity_of(version.content()),
        documents=sum(piece.num_rows for piece in version.pieces()),
        added=0,
        forgotten=len(version.forgotten),
        changed=changed,
    )


def change(workspace: Workspace, dataset: str | None, *, store: str, ids: Sequence[str], to: int | None) -> Remembered:
    """Do the one thing that `tamis remember` was asked for; RecipeError if it is none or several."""
    asked: list[Callable[[], Remembered]] = []
    if dataset is not None:
        asked.append(lambda: remember(workspace, dataset, store=store))
    if ids:
        asked.append(lambda: forget(workspace, ids, store=store))
    if to is not None:
        asked.append(lambda: roll_back(workspace, store=store, to=to))
    if len(asked) != 1:
        raise RecipeError("remember: give one of DATASET, --forget ID and --to VERSION, and --store NAME with it.")
    with workspace.locked():
        return asked[0]()
