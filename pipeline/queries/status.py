"""`status` and `registry`: what a workspace holds and where, read from its cards and its ledger."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.core.claude.ledger.ledger import total_usd
from pipeline.core.errors import RecipeError, listed_names
from pipeline.core.files.card import KINDS, read_card
from pipeline.core.files.names import CARD
from pipeline.store.garbage import folder_bytes
from pipeline.store.workspace import Workspace


def status_of(workspace: Workspace) -> dict[str, Any]:
    """Return finished results by kind, unfinished folders, verdicts and dollars."""
    results, unfinished = [], []
    for kind in KINDS:
        for folder in sorted((workspace.root / kind).glob("*-*")):
            if not (folder / CARD).exists():
                unfinished.append(f"{kind}/{folder.name}")
                continue
            card = read_card(folder)
            results.append(
                {
                    "kind": kind,
                    "name": card.name,
                    "folder": folder.name,
                    "rows_in": card.rows_in,
                    "rows_out": card.rows_out,
                    "dropped": sum(card.dropped.values()),
                    "quarantined": sum(card.quarantined.values()),
                    "size_bytes": sum(file.size_bytes for file in card.files),
                    "seconds": card.seconds,
                    "cost_usd": card.cost_usd,
                }
            )
    verdicts = [_verdict(path) for path in sorted((workspace.root / "certificate").glob("*/certificate.json"))]
    return {
        "workspace": str(workspace.root),
        "results": results,
        "unfinished": unfinished,
        "unfinished_bytes": sum(folder_bytes(workspace.root / folder) for folder in unfinished),
        "disk_bytes": folder_bytes(workspace.root),
        "store": store_of(workspace),
        "verdicts": verdicts,
        "cost_usd": total_usd(workspace.ledger),  # what unfinished steps paid too, and what two steps share once
        "stores": _stores(workspace),
        "registry": registry_of(workspace, None)["names"],
    }


def _verdict(path: Path) -> dict[str, Any]:
    verdict = json.loads(path.read_text(encoding="utf-8"))["verdict"]
    return {"certificate": path.parent.name} | {key: verdict[key] for key in ("outcome", "sentence", "next_step")}


def _stores(workspace: Workspace) -> list[dict[str, Any]]:
    from pipeline.store.names.dedup_versions import state_of, stores

    return [
        {"name": store.home.name, **state_of(store), "size_bytes": folder_bytes(store.home)}
        for store in stores(workspace)
    ]


def store_of(workspace: Workspace) -> dict[str, Any] | None:
    """Return where the results of a cache really are, who may write there, and what is on this machine alone."""
    from pipeline.core.files.stores.stored import place_of

    place = place_of(workspace.root)
    if place is None:
        return None
    from pipeline.store.remote.lease import newest_of
    from pipeline.store.remote.records import LOCAL

    newest = newest_of(place)
    held = newest is not None and not newest[1].released
    return {
        "url": str(place),
        "cache": str(workspace.root),
        "size_bytes": sum(item.size for item in place.items().values()),
        "writer": f"process {newest[1].pid} on {newest[1].host}, since {newest[1].since}" if newest and held else None,
        "doubt": "" if newest is None else newest[1].doubt,
        "open_uploads": len(place.uploads()),
        "only_here": sorted(name for name in LOCAL - set(KINDS) if (workspace.root / name).exists()),
    }


def registry_of(workspace: Workspace, name: str | None) -> dict[str, Any]:
    """Return the registered names with their versions, the current one marked."""
    from pipeline.store.names.registry import current, versions

    names = sorted(path.name for path in workspace.registry.glob("*") if path.is_dir())
    if name is not None and (name not in names or not versions(workspace, name)):
        known = f"It holds {listed_names(names)}." if names else "Nothing was promoted yet."
        raise RecipeError(f"registry: nothing was promoted as `{name}` in {workspace.registry}. {known}")
    names = names if name is None else [name]
    listed = []
    for each in names:
        now = current(workspace, each)
        rows = [asdict(version) for version in versions(workspace, each)]
        listed.append({"name": each, "current": now.version if now else None, "versions": rows})
    return {"names": listed}
