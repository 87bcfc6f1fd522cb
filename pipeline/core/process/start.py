"""How a process that reads documents begins: its memory and its imports, set once, by every verb and every worker.

Memory: glibc returns large freed blocks to the system at once and the next batch's arrays of the same size are then
mapped and zeroed anew: 15,000 page faults and a tenth of the time of a pass over 25 MB of text. So it is told to keep
them; held back are at most KEPT_BYTES at the end of the heap, and the peak stays what it was. Arrow is told to use the
same memory: its own allocator asks for huge pages, which the system first has to clear room for (1.2 ms each), and
gives them back between two parts: 1.9 s of system time in a run over 118 MB of text, against 0.4 s. Other C libraries
are left alone.

Imports: Arrow imports pandas (0.18 s and 40 MB) with the first array that it makes of anything, and with the first that
it hands to numpy, only to ask whether that is a Series. Nothing here is one. So Arrow is told once that there is no
pandas, and told otherwise as soon as a plugin or a library imports it; what needs pandas, like `to_pandas`, finds it as
before. Pydantic reads what every installed distribution offers before it makes its first model, to find plugins of its
own (10 ms); nothing here is one.

Garbage: a start makes 100,000 objects that all stay, and Python looks for circles among them 147 times by its own
numbers, 50 ms in all. So it is told to look less often.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from pipeline.core.process.dataclass_code import reuse_compiled_dataclasses
from pipeline.core.process.kernel_cache import use_own_cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
USUAL_WORKSPACE = Path("workspace")  # the folder of results of commands that name none
KEPT_BYTES = 256 << 20
LARGEST_BYTES = 32 << 20  # a larger array still comes from and goes back to the system; glibc's own upper bound
OBJECTS_BETWEEN_LOOKS = 20_000  # more of them than were freed, between two looks for circles; Python: 700
ARROWS_CHOICE = "ARROW_DEFAULT_MEMORY_POOL"  # Arrow's own variable; whoever sets it has chosen


@cache
def start() -> None:
    """Prepare this process, once: its own kernel cache, freed memory kept, Arrow without pandas, one thread of BLAS.

    Work is spread over processes and lanes. BLAS with a thread for each core would round as the number of cores has it,
    and on the small matrices here its threads wait for each other: modelling 64 runs took 15 CPU seconds and takes 8.
    """
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported, which is below
    use_own_cache()
    reuse_compiled_dataclasses()
    _keep_freed_memory()
    _spare_pandas()


def cores() -> int:
    """Return how many cores this process may use: a container or `taskset` may give it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _keep_freed_memory() -> None:
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is None:
        return
    import pyarrow as pa  # here and below: the command line, which imports this, also answers without Arrow

    tell(MMAP_THRESHOLD, LARGEST_BYTES)
    tell(TRIM_THRESHOLD, KEPT_BYTES)
    if ARROWS_CHOICE not in os.environ:
        pa.set_memory_pool(pa.system_memory_pool())


def _spare_pandas() -> None:
    """Keep Arrow from importing pandas; without effect once anything has."""
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    watch = _Watch()
    sys.meta_path.insert(0, watch)
    pa.array([0])  # Arrow looks now, and never again by itself
    watch.hides = False


class _Watch(MetaPathFinder):
    """Hides pandas while Arrow looks for it, then notices that it is imported after all."""

    hides = True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self.hides and fullname == "pandas":
            raise ModuleNotFoundError("hidden from Arrow", name=fullname)
        spec = PathFinder.find_spec(fullname, path, target) if fullname == "pandas" else None
        if spec is not None and spec.loader is not None:
            spec.loader = _TellingArrow(spec.loader)
        return spec


class _TellingArrow(Loader):
    """Loads pandas as its own loader does, then lets Arrow know."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        import pyarrow as pa

        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self.loader  # what asks for its data files finds them
        self.loader.exec_module(module)
        pa.table({"a": [0]}).to_pandas()
