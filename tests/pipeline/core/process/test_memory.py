"""Arrow takes its memory from the C library that was told to keep what is freed, unless the user chose another."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from pipeline.core.process.memory import ARROWS_CHOICE

CODE = (
    "import pyarrow as pa\n"
    "from pipeline.core.process.memory import keep_freed_memory as keep; table = pa.table({'a': [1]})\n"
    "keep(); print(pa.default_memory_pool().backend_name, pa.array(['x']).to_pylist(), table.to_pylist())"
)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc alone is told")
@pytest.mark.parametrize(("chosen", "used"), [(None, "system"), ("mimalloc", "mimalloc")])
def test_arrow_uses_the_memory_that_is_kept_unless_told_otherwise(chosen: str | None, used: str) -> None:
    others = {name: value for name, value in os.environ.items() if name != ARROWS_CHOICE}
    environment = others | ({ARROWS_CHOICE: chosen} if chosen else {})

    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout.split()[0] == used
