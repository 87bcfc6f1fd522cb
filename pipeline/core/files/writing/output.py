"""A file that a command writes where its user wants it: refused where one lies already, unless this command left it.

Pieces wait in a hidden folder beside the output, `.NAME.<hash of the command>.parts`, which is made first and goes
last. While it is there the command has not ended, whatever was killed when: the same command may begin again, also over
an output that it had renamed already. Any other command needs leave to overwrite.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.errors import RecipeError
from pipeline.core.files.writing.durable import sweep
from pipeline.core.identity import identity_of


def parts_folder(out: Path, command: object) -> Path:
    """Return where the pieces of `out` wait while a command, named by plain values, makes it."""
    return out.with_name(f".{out.name}.{identity_of(command)[:12]}.parts")


def require_free(out: Path, *, parts: Path, overwrite: bool) -> None:
    """RecipeError if `out` may not be written."""
    if out.exists() and not (out.is_file() and (overwrite or parts.is_dir())):
        way_out = "Name another file, or give --overwrite to replace it." if out.is_file() else "Name a file in it."
        raise RecipeError(f"--out {out}: is there already. {way_out}")
    if not out.parent.is_dir():
        raise RecipeError(f"--out {out}: {out.parent} is not a folder. Make it, or write elsewhere.")


@contextmanager
def unfinished(out: Path, *, parts: Path) -> Iterator[None]:
    """Hold an empty folder for pieces until `out` is there; what killed commands left of it goes."""
    sweep(out.parent, begin=out.name)
    for path in out.parent.iterdir():
        if re.fullmatch(rf"\.{re.escape(out.name)}\.[0-9a-f]{{12}}\.parts", path.name) and path != parts:
            shutil.rmtree(path)
    parts.mkdir(exist_ok=True)
    for path in parts.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    try:
        yield
    finally:
        shutil.rmtree(parts, ignore_errors=True)
