"""Python code that dataclasses are made of, compiled once per machine and not once per process.

Python writes the methods of each dataclass as text and compiles them when its module is imported, and keeps nothing of
that in the module's bytecode: for 138 classes, pydantic's and ours, that was a quarter of the time of a run with
nothing to do. So what `dataclasses` compiled is kept beside the kernels, text and code, and found by the very text.
"""

from __future__ import annotations

import atexit
import builtins
import dataclasses
import marshal
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from xxhash import xxh3_128_digest

from pipeline.core.process.kernel_cache import own_folder

SUM_BYTES = 16  # of the sum before what is stored
NAME = f"dataclasses-{sys.implementation.cache_tag}-{sys.hexversion:x}.code"


def reuse_compiled_dataclasses() -> None:
    """Let `dataclasses` find what an earlier process compiled, and keep what this one compiles, at its end."""
    folder = own_folder()
    if folder is None or "exec" in vars(dataclasses):
        return
    path = folder / NAME
    known, new = _read(path), dict[str, bytes]()

    def execute(source: str, *names: Any) -> None:
        code = known.get(source)
        if code is None:
            compiled = compile(source, "<string>", "exec", dont_inherit=True)
            code = new[source] = known[source] = marshal.dumps(compiled)
        builtins.exec(marshal.loads(code), *names)

    dataclasses.exec = execute  # type: ignore[attr-defined]  # found there before the built-in one
    atexit.register(_write, path, new)


def _read(path: Path) -> dict[str, bytes]:
    try:
        stored = path.read_bytes()
    except OSError:
        return {}
    body = memoryview(stored)[SUM_BYTES:]
    return marshal.loads(body) if xxh3_128_digest(body) == stored[:SUM_BYTES] else {}


def _write(path: Path, new: dict[str, bytes]) -> None:
    if new and path.parent.exists():
        body = marshal.dumps(_read(path) | new)  # others may have written meanwhile
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with suppress(OSError):  # no room for what is only faster
            temporary.write_bytes(xxh3_128_digest(body) + body)
            os.replace(temporary, path)
