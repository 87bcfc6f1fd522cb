"""A workspace -> what is no longer as it was written: every byte of every finished result, compared with its card.

Plans trust a card where they find one, so a bit that flipped on a disk, or a file that somebody edited, would go
unnoticed until its documents are read. This reads all of it, 0.2 s for a gigabyte in memory and 0.4 to 0.7 s for one
that comes from a disk (see `input_hashes.py`). Cards, lists of where inputs lie, the registry's versions and pointers
carry a hash of their own content (`core/record.py`); a dedup store is held against its lists of files. The ledger,
reports and what is unfinished are not checked. That a certificate was made by other code than would judge now
is told, and is no damage. Of a workspace in a store, what is not here yet is fetched to be read, and of all else the
store is asked whether it has it in its size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError
from pipeline.core.files.card import KINDS, Card, StoredFile, content_of, difference, read_card
from pipeline.core.files.names import CARD, IN_STORE, INPUTS
from pipeline.core.files.parquet.in_place import inputs_of
from pipeline.core.files.stores.places import Item, Place
from pipeline.core.files.stores.stored import card_key, key_of, place_of, present
from pipeline.core.identity import hash_file, identity_of
from pipeline.store.dataset.stored_source import StoredSource
from pipeline.store.judge import judged_otherwise, judging_code
from pipeline.store.names.dedup_versions import current_version, stores
from pipeline.store.names.registry import current, versions
from pipeline.store.workspace import LATEST, Workspace


def verify(workspace: Workspace) -> dict[str, Any]:
    """Return how much was checked and everything damaged, in path order; DataError if there is nothing to check."""
    folders = [path.parent for kind in KINDS for path in sorted((workspace.root / kind).glob(f"*/{CARD}"))]
    if not folders and not stores(workspace):
        raise DataError(
            f"{workspace.root}: holds no finished results to verify. Run a recipe, or name its --workspace."
        )
    num_files, size_bytes, damaged, others = 0, 0, list[dict[str, str]](), list[dict[str, str]]()
    place = place_of(workspace.root)
    listing = {} if place is None else place.items()
    for folder in folders:
        try:
            card = read_card(folder)
        except DataError as error:
            damaged.append({"path": str(folder / CARD), "problem": str(error)})
            continue
        way_out = f"Delete {folder} and run the recipe again."
        if identity_of(card.payload) != card.identity or content_of(card.files) != card.content:
            problem = f"{folder / CARD}: holds other values than the hashes in it; a card is never edited. {way_out}"
            damaged.append({"path": str(folder / CARD), "problem": problem})
        elif folder != workspace.folder(card.kind, folder.name.rpartition("-")[0], card.identity):
            problem = f"{folder / CARD}: is the card of another result, {card.kind} {card.name}. {way_out}"
            damaged.append({"path": str(folder / CARD), "problem": problem})
        for file in card.files:
            num_files, size_bytes = num_files + 1, size_bytes + file.size_bytes
            path = folder / file.file
            try:
                if found := difference(path, file):
                    damaged.append({"path": str(path), "problem": f"{path}: {found}. {way_out}"})
                elif place is not None and (folder / IN_STORE).exists():
                    damaged += _in_store(place, folder, file, listing)
            except DataError as error:  # of what was fetched
                damaged.append({"path": str(path), "problem": str(error)})
        try:
            count, size, changed = _inputs(folder, card)
        except DataError as error:
            damaged.append({"path": str(folder / INPUTS), "problem": str(error)})
            continue
        num_files, size_bytes = num_files + count, size_bytes + size
        others += changed
    count, size, in_stores = _stores(workspace)
    num_files, size_bytes = num_files + count, size_bytes + size
    num_versions, wrong = _registry(workspace)
    try:
        workspace.latest()
    except DataError as error:
        wrong.append({"path": str(workspace.root / LATEST), "problem": str(error)})
    return {
        "workspace": str(workspace.root), "results": len(folders), "files": num_files, "size_bytes": size_bytes,
        "stores": len(stores(workspace)), "versions": num_versions, "damaged": [*damaged, *in_stores, *wrong],
        "changed_inputs": others, "judged_otherwise": _judged_otherwise(workspace),
    }  # fmt: skip


def _in_store(place: Place, folder: Path, file: StoredFile, listing: Mapping[str, Item]) -> list[dict[str, str]]:
    """Return what is wrong with the object of a file that is whole here: gone, or of another size."""
    name = key_of(folder, asdict(file))
    item = listing.get(name) or place.item(name)  # a listing may be behind
    if item is not None and item.size == file.size_bytes:
        return []
    there = "is gone" if item is None else f"has {item.size:,} bytes"
    problem = (
        f"{place}/{name}: {there}; {CARD} says {file.size_bytes:,} bytes. The file here is whole: upload "
        f"{folder / file.file} under that name, or delete {place}/{card_key(folder)} and {folder} and run again."
    )
    return [{"path": f"{place}/{name}", "problem": problem}]


def _inputs(folder: Path, card: Card) -> tuple[int, int, list[dict[str, str]]]:
    """Return number and bytes of the user's files that a source's text lies in, and those that have changed since.

    These are not damage: the next run reads them anew, and what was published holds its text.
    """
    count, size_bytes, others = 0, 0, []
    located = inputs_of(folder)
    content = StoredSource.from_payload(card.payload).hashes() if located else {}
    for label, (path, _) in sorted(located.items()):
        count += 1
        try:
            size_bytes += present(Path(path)).stat().st_size
            found, must = hash_file(Path(path)), content.get(label, "")
            problem = "" if found == must else f"has BLAKE3 {found[:12]}; {CARD} says {must[:12]}"
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        if problem:
            meaning = f"Texts of {folder.name} that were dropped can no longer be shown, and its steps not run again."
            others.append({"path": path, "problem": f"{path}: {problem}. {meaning}"})
    return count, size_bytes, others


def _stores(workspace: Workspace) -> tuple[int, int, list[dict[str, str]]]:
    """Return number and bytes of the files that the dedup stores' current versions consist of, and the damaged ones."""
    count, size_bytes, damaged = 0, 0, list[dict[str, str]]()
    known = stores(workspace)
    if not known:
        return count, size_bytes, damaged
    from filters.dedup.remembered import (  # loads the kernels, which the others do without
        MANIFEST,
        damage,
        read_manifest,
    )

    for store in known:
        try:
            version = current_version(store)
        except DataError as error:
            damaged.append({"path": str(store.home), "problem": str(error)})
            continue
        for piece in version.pieces() if version is not None else ():
            try:
                files = read_manifest(piece.folder)
            except DataError as error:
                damaged.append({"path": str(piece.folder / MANIFEST), "problem": str(error)})
                continue
            count, size_bytes = count + len(files), size_bytes + sum(file.size_bytes for file in files)
            found = {file.file: damage(piece.folder, file) for file in files}
            damaged += [{"path": str(piece.folder / name), "problem": told} for name, told in found.items() if told]
    return count, size_bytes, damaged


def _judged_otherwise(workspace: Workspace) -> list[str]:
    """Return a sentence on each certificate that other code made than would judge now."""
    now, told = judging_code(), list[str]()
    for path in sorted((workspace.root / "certificate").glob("*/certificate.json")):
        with suppress(ValueError, TypeError, KeyError):  # damaged, which its card tells
            told.append(judged_otherwise(json.loads(path.read_bytes()), now=now))
    return [sentence for sentence in told if sentence]


def _registry(workspace: Workspace) -> tuple[int, list[dict[str, str]]]:
    """Return the number of whole versions, and the first damaged file of each name, its pointer the last."""
    whole, damaged = 0, []
    for home in sorted(path for path in workspace.registry.glob("*") if path.is_dir()):
        try:
            whole += len(versions(workspace, home.name))
            current(workspace, home.name)
        except DataError as error:
            damaged.append({"path": str(home), "problem": str(error)})
    return whole, damaged
