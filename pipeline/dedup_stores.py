"""Dedup stores on disk: what was published before, by name and version; remember, forget, go back.

    <workspace>/dedup/<name>/  v00001.json ...  current.json  pieces/<dataset identity>-<part>/

A version file is written once and never changed; the pointer and its history move in one step. Callers hold the
workspace's lock. Pieces are named by the dataset's identity, so two versions share what they have in common.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import DataError, RecipeError, nearest_names
from pipeline.core.identity import identity_of
from pipeline.core.shards import read_table, write_text
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from filters.dedup_store import Version

POINTER = "current.json"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a change of a store did."""

    store: str
    version: int
    identity: str
    documents: int  # in the store, the forgotten ones too
    forgotten: int
    changed: bool


def store_file(workspace: Workspace, name: str) -> Path:
    """Return the version file that counts; RecipeError if there is no such store."""
    number = _pointer(_home(workspace, name))["version"]
    if number == 0:
        known = sorted(path.parent.name for path in (workspace.root / "dedup").glob(f"*/{POINTER}"))
        way_out = f"Did you mean {nearest_names(name, known)}?" if known else "There is none in this workspace yet."
        raise RecipeError(
            f"against_store: there is no dedup store `{name}`. {way_out} "
            f"`winnow remember DATASET --store {name}` makes it."
        )
    return _file(_home(workspace, name), number)


def remember(workspace: Workspace, dataset: str, *, store: str) -> Remembered:
    """Add a published dataset to a store as a new version; nothing happens if it is in there."""
    from filters.dedup_store import SETTINGS, save_piece
    from pipeline.results import document_paths  # knows the plan, which knows this module

    folder, card = workspace.dataset(dataset)
    home = _home(workspace, store)
    old = _current(home)
    batches = list(old.batches) if old is not None else []
    settings = old.settings if old is not None else SETTINGS
    if any(batch["identity"] == card.identity for batch in batches):
        return _told(home, store, changed=False)
    pieces = []
    for number, path in enumerate(document_paths(folder)):
        name = f"{card.identity[:16]}-{number:05d}"
        table = read_table(path, columns=["id", "text"])
        piece = home / "pieces" / name
        piece.mkdir(parents=True, exist_ok=True)
        if not (piece / "ids.parquet").exists():
            save_piece(piece, table, settings=settings)
        pieces.append([name, table.num_rows])
    batch = {"dataset": card.name, "identity": card.identity, "pieces": pieces}
    forgotten = list(old.forgotten) if old is not None else []
    content = {"settings": dict(settings), "batches": [*batches, batch], "forgotten": forgotten}
    return _add(home, store, content, action=f"remember {card.name}")


def forget(workspace: Workspace, ids: Sequence[str], *, store: str) -> Remembered:
    """Take documents out of a store by id, as a new version; DataError if one is not in it."""
    from filters.dedup_store import read_version

    version = read_version(store_file(workspace, store))
    wanted = set(ids)
    held = {doc_id for piece in version.pieces() for doc_id in piece.ids().to_pylist() if doc_id in wanted}
    missing = sorted(wanted - held)
    if missing:
        raise DataError(f"dedup store {store}: holds no document `{missing[0]}`. Nothing was forgotten; check the ids.")
    content = version.content() | {"forgotten": sorted({*version.forgotten, *ids})}
    return _add(_home(workspace, store), store, content, action=f"forget {len(wanted)}")


def roll_back(workspace: Workspace, *, store: str, to: int) -> Remembered:
    """Let an earlier version count again; nothing is deleted."""
    store_file(workspace, store)
    home = _home(workspace, store)
    if not _file(home, to).exists():
        raise RecipeError(f"dedup store {store}: has no version {to}. It has 1 to {_newest(home)}.")
    _move(home, to=to, action="roll back")
    return _told(home, store, changed=True)


def _home(workspace: Workspace, name: str) -> Path:
    if not (0 < len(name) <= 64 and name.isascii() and name.replace("-", "a").replace("_", "a").isalnum()):
        raise RecipeError(f"dedup store: '{name}' cannot be a name; use up to 64 letters, digits, '-' and '_'.")
    return workspace.root / "dedup" / name


def _file(home: Path, number: int) -> Path:
    return home / f"v{number:05d}.json"


def _newest(home: Path) -> int:
    return max((int(path.stem[1:]) for path in home.glob("v*.json")), default=0)


def _current(home: Path) -> Version | None:
    from filters.dedup_store import read_version

    number = _pointer(home)["version"]
    return read_version(_file(home, number)) if number else None


def _pointer(home: Path) -> dict[str, Any]:
    path = home / POINTER
    if not path.exists():
        return {"version": 0, "history": []}
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        return {"version": int(content["version"]), "history": list(content["history"])}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: is not a pointer ({error}). Restore the file from a backup.") from error


def _add(home: Path, store: str, content: Mapping[str, Any], *, action: str) -> Remembered:
    identity = identity_of(content)
    old = _current(home)
    if old is not None and identity_of(old.content()) == identity:
        return _told(home, store, changed=False)
    number = _newest(home) + 1
    record = {**content, "identity": identity}
    write_text(_file(home, number), json.dumps(record, indent=1, sort_keys=True) + "\n")
    _move(home, to=number, action=action)
    return _told(home, store, changed=True)


def _move(home: Path, *, to: int, action: str) -> None:
    pointer = _pointer(home)
    event = {"action": action, "from": pointer["version"], "to": to, "at": datetime.now(UTC).isoformat("T", "seconds")}
    content = {"version": to, "history": [*pointer["history"], event]}
    write_text(home / POINTER, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _told(home: Path, store: str, *, changed: bool) -> Remembered:
    version = _current(home)
    assert version is not None
    return Remembered(
        store=store,
        version=_pointer(home)["version"],
        identity=identity_of(version.content()),
        documents=sum(piece.num_rows for piece in version.pieces()),
        forgotten=len(version.forgotten),
        changed=changed,
    )


def change(workspace: Workspace, dataset: str | None, *, store: str, ids: Sequence[str], to: int | None) -> Remembered:
    """Do the one thing that `winnow remember` was asked for; RecipeError if it is none or several."""
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
