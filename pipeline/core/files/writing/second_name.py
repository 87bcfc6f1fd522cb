"""A finished file -> the same file under a second name: by hard link, by copy where the file system has none.

Files of results are never written to after they have their name, only replaced or removed, so two results may share
one: it takes no time and no space, and removing either result leaves the other whole.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pipeline.core.files.writing.durable import explained, sync_file


def take(path: Path, *, to: Path, size_bytes: int) -> bool:
    """Let `to` name the file at `path` too, in one step; False, and nothing done, unless it is there in that size."""
    try:
        if path.stat().st_size != size_bytes:
            return False
        if to.exists() and to.samefile(path):
            return True
    except OSError:
        return False
    temporary = to.with_name(f".{to.name}.{os.getpid()}.tmp")
    with explained(to, temporary):
        temporary.unlink(missing_ok=True)
        try:
            os.link(path, temporary)
        except OSError:  # another file system, one without links, or as many links as a file may have
            shutil.copyfile(path, temporary)
            sync_file(temporary)
        os.replace(temporary, to)
    return True
