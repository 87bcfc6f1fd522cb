"""What a workspace could do without: results that nothing refers to, scratch of dead runs, leftovers in a store.

Something refers to a result if the record of a run does, any other record (the registry, `latest.json`, a search's
ledger and its trials), a certificate, comparison, search or claim, or the card of a result that is referred to; a
reference is any identity or folder in their text, so nothing is missed. Those four kinds of evidence always stay.
What an unfinished result holds would be gone on with, and so would a finished one that was made since the last run
ended, by one that was killed: both count only where `everything` is asked for. The caller holds the workspace, so no
run is alive. What is listed has a code, and removing asks for it: nothing goes unseen.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pipeline.core.errors import RecipeError
from pipeline.core.files.card import KINDS, read_card
from pipeline.core.files.names import CARD, IN_STORE
from pipeline.core.files.record import write_record
from pipeline.core.files.stores.places import MissingError, Place
from pipeline.core.files.stores.stored import card_key, inputs_key, key_of, place_of
from pipeline.core.identity import identity_of
from pipeline.store.remote.cached import held_lease
from pipeline.store.remote.records import local_records
from pipeline.store.workspace import Workspace

EVIDENCE = ("search", "comparison", "certificate", "claims")
KEPT = "kept"  # lists of folders, by who wants them kept
TOLD_APART = ("runs", "reports", "dedup")  # of the records; a dedup store holds all that it needs
IDENTITY = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
FOLDER = re.compile(rf"(?:{'|'.join(KINDS)})/[A-Za-z0-9_.-]+-[0-9a-f]{{12}}(?![0-9a-f])")
What = Literal["result", "unfinished", "scratch", "prepared", "object", "upload"]


@dataclass(frozen=True, slots=True)
class Garbage:
    """One thing to remove. `name` is a folder of the workspace, an object of the store, or an upload and its id."""

    what: What
    name: str
    size_bytes: int  # of an upload in parts: unknown, 0
    why: str


def keep(workspace: Workspace, name: str, folders: Iterable[Path]) -> None:
    """Have results kept that no record of a run names, such as a search's trials."""
    path = workspace.root / KEPT / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_record(path, {"folders": sorted(f"{folder.parent.name}/{folder.name}" for folder in folders)})


def code_of(found: Sequence[Garbage]) -> str:
    """Return what names this very list."""
    return identity_of([[one.what, one.name] for one in found])[:8]


def find_garbage(
    workspace: Workspace, *, keep_runs: int | None = None, everything: bool = False, ledger: str = ""
) -> list[Garbage]:
    """Return what could go, in a fixed order; of each recipe's run records only the newest `keep_runs` count.

    `ledger` is the name of the store's ledger that counts, from the lease that the caller holds.
    """
    used, ended = _used(workspace, keep_runs=keep_runs), _last_end(workspace)
    found = []
    for kind in KINDS:
        for folder in sorted((workspace.root / kind).glob("*-*")):
            name, size = f"{kind}/{folder.name}", folder_bytes(folder)
            if not (folder / CARD).exists():
                why = "unfinished: the next run of its recipe would go on with it"
                found += [Garbage("unfinished", name, size, why)] if everything else []
            elif name not in used and (folder / CARD).stat().st_mtime <= ended:
                found.append(Garbage("result", name, size, "no version, run, record or card refers to it"))
            elif name not in used:
                why = "made since the last run ended: one that was killed would go on with it"
                found += [Garbage("result", name, size, why)] if everything else []
            elif (folder / "scratch").exists():
                left = folder / "scratch"
                found.append(Garbage("scratch", f"{name}/scratch", folder_bytes(left), "left by a run that was killed"))
    if everything and workspace.prepared.exists():
        size = folder_bytes(workspace.prepared)
        found.append(Garbage("prepared", "prepared", size, "made again when it is needed"))
    place = place_of(workspace.root)
    return found if place is None else [*found, *_leftovers(workspace.root, place, ledger=ledger)]


def remove(workspace: Workspace, found: Sequence[Garbage]) -> None:
    """Remove what was found; a card goes before what it speaks of, so a kill leaves nothing that seems whole.

    ServiceError where the lease of a store is lost meanwhile, since what was found may be in use by now.
    """
    place, lease = place_of(workspace.root), held_lease(workspace.root)
    for one in found:
        if lease is not None:
            lease.require_lately()
        path = workspace.root / one.name
        if one.what == "object" and place is not None:
            place.delete([one.name])
        elif one.what == "upload" and place is not None:
            name, _, upload = one.name.rpartition(" ")
            place.abort(name, upload)
        elif one.what == "result":
            if place is not None:
                under = f"{path.parent.name}/{path.name}"
                place.delete([card_key(path)])
                place.delete(sorted(place.items(under)))
            (path / CARD).unlink(missing_ok=True)
            shutil.rmtree(path)
        elif one.what in ("unfinished", "scratch", "prepared"):
            shutil.rmtree(path)


def folder_bytes(folder: Path) -> int:
    """Return what the files of a folder take; those that vanish meanwhile count nothing."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(where) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def _used(workspace: Workspace, *, keep_runs: int | None) -> set[str]:
    """Return `kind/name-hash` of every result that something refers to, directly or through cards."""
    cards = {
        f"{kind}/{path.parent.name}": read_card(path.parent)
        for kind in KINDS
        for path in sorted((workspace.root / kind).glob(f"*/{CARD}"))
    }
    by_identity = {card.identity: name for name, card in cards.items()}
    waiting = [name for name in cards if name.partition("/")[0] in EVIDENCE] if keep_runs is None else []
    for path in local_records(workspace.root):
        if path.suffix in (".json", ".jsonl") and path.relative_to(workspace.root).parts[0] not in TOLD_APART:
            waiting += _mentioned(path.read_text(encoding="utf-8", errors="replace"), by_identity)
    for folder in sorted((workspace.root / "runs").glob("*/")):
        records = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
        for record in records if keep_runs is None else records[-keep_runs:]:
            # an early record says only which documents there were: then everything may be of that run
            waiting += record.get("folders") or list(cards)
    used = {name for name in cards if name.partition("/")[0] in EVIDENCE}
    while waiting:
        name = waiting.pop()
        if name in cards and (name not in used or name.partition("/")[0] in EVIDENCE):
            used.add(name)
            card = cards.pop(name)
            waiting += _mentioned(json.dumps([card.parents, card.payload, card.details]), by_identity)
    return used


def _last_end(workspace: Workspace) -> float:
    """Return when the last run ended that left a record, in seconds since 1970; long ago where none did."""
    ends = [json.loads(path.read_bytes()).get("at", "") for path in (workspace.root / "runs").glob("*/*.json")]
    return datetime.fromisoformat(max(ends)).timestamp() + 1 if any(ends) else -math.inf  # it counts whole seconds


def _mentioned(text: str, by_identity: Mapping[str, str]) -> set[str]:
    """Return the results that a text speaks of, by identity or by folder."""
    return {by_identity.get(identity, "") for identity in IDENTITY.findall(text)} | set(FOLDER.findall(text))


def _leftovers(root: Path, place: Place, *, ledger: str) -> Iterator[Garbage]:
    """Yield what no card of a store speaks of: of killed uploads, of gone results, and what later ones replaced.

    Leases stay, 350 bytes each: without the earlier ones a listing that is behind could hide the one that counts. And
    so could one have hidden a card when the cache was brought up to date: the store is asked for it.
    """
    listing, known = place.items(), set[str]()
    folders = {root.joinpath(*name.split("/")[:2]) for name in listing if name.partition("/")[0] in KINDS}
    for folder in folders:
        with suppress(MissingError):
            here = (folder / IN_STORE).exists() and (folder / CARD).exists()
            files = json.loads((folder / CARD).read_bytes() if here else place.read(card_key(folder)))["files"]
            known |= {card_key(folder), inputs_key(folder), *(key_of(folder, file) for file in files)}
    for name, item in sorted(listing.items()):
        top = name.partition("/")[0]
        if top in KINDS and name not in known:
            yield Garbage("object", name, item.size, "no card speaks of it: its upload was killed")
        elif top == "ledger" and name < ledger:
            yield Garbage("object", name, item.size, "a later ledger has all of it")
        elif top in ("probe", "clock"):
            yield Garbage("object", name, item.size, "left by a start that was killed")
    for name, upload in place.uploads():
        yield Garbage("upload", f"{name} {upload}", 0, "an upload in parts that was never ended")


def refuse_other(found: Sequence[Garbage], code: str) -> None:
    """Raise RecipeError unless the code names this very list."""
    if code != code_of(found):
        raise RecipeError(
            f"--delete {code}: is not the code of what would go now; it must be the one that `tamis gc` shows with its "
            "list. Look at the list again."
        )
