"""An export to a URL: made whole on this machine, then uploaded, `tamis.json` last; until that is there it is none.

`tamis-unfinished.json`, which is written first and goes last, names the export under way, so the same command goes on
after a kill; what lies there already is refused as in a folder. Whoever reads while an export is replaced may meet
files of both, and no `tamis.json`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from blake3 import blake3

from pipeline.core.errors import RecipeError
from pipeline.core.files.stores.caches import cache_home
from pipeline.core.files.stores.places import MissingError, Place, each
from pipeline.queries.export.card import Exported
from pipeline.queries.export.folder import MARKER, files_in

UNFINISHED = "tamis-unfinished.json"


def export_to_url(url: str, export: Callable[[Path], Exported], *, overwrite: bool = False) -> Exported:
    """Export to a URL what `export(folder)` exports to a folder; RecipeError if other things lie there."""
    place = Place.at(url)
    if place.url.partition("://")[0] in ("http", "https"):
        raise RecipeError(f"--to {place}: cannot be written to. Name a folder, s3://, gs:// or hf://.")
    stage = cache_home() / "exports" / blake3(place.url.encode()).hexdigest()[:12]
    stage.mkdir(parents=True, exist_ok=True)
    done = export(stage / place.url.rpartition("/")[2])
    folder = Path(done.folder)
    was_there = _put(folder, place, overwrite=overwrite)
    shutil.rmtree(stage)
    return replace(done, folder=str(place), was_there=was_there)


def _put(folder: Path, place: Place, *, overwrite: bool) -> bool:
    """Upload an export, unless it is there already; return whether it is."""
    marker = (folder / MARKER).read_bytes()
    named = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    there, ours = place.items(), blake3(marker).hexdigest()
    if MARKER in there and place.read(MARKER) == marker and UNFINISHED not in there and named.keys() <= there.keys():
        return True
    going_on = False
    with suppress(MissingError):
        going_on = json.loads(place.read(UNFINISHED))["export"] == ours
    old = {MARKER, UNFINISHED, *named} if going_on else set()
    if MARKER in there and overwrite:
        old |= {MARKER, *(file.file for file in files_in(json.loads(place.read(MARKER))))}
    foreign = min(there.keys() - old, default=None)
    if foreign is not None:
        way_out = "Name another place, or give --overwrite to replace an export."
        raise RecipeError(f"--to {place}: holds {foreign} and {len(there) - 1:,} more objects. {way_out}")
    place.write(UNFINISHED, json.dumps({"export": ours}).encode())
    place.delete([MARKER])
    each(lambda name: place.upload(named[name], name), sorted(named.keys() - {MARKER}))
    place.delete(sorted(old & there.keys() - named.keys() - {UNFINISHED}))
    place.write(MARKER, marker)
    place.delete([UNFINISHED])
    return False
