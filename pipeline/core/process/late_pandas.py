"""Arrow without pandas, until someone imports pandas: 0.18 s of every process's start, and 40 MB of its memory.

Arrow imports pandas with the first array that it makes of anything, only to ask whether that is a Series. Nothing here
is one. So Arrow is told once that there is no pandas, and told otherwise as soon as a plugin or a library imports it;
what needs pandas, like `to_pandas`, finds it as before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

import pyarrow as pa


def spare_pandas() -> None:
    """Keep Arrow from importing pandas in this process; without effect once anything has."""
    if "pandas" in sys.modules or any(isinstance(finder, _Watch) for finder in sys.meta_path):
        return
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
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self.loader  # what asks for its data files finds them
        self.loader.exec_module(module)
        pa.table({"a": [0]}).to_pandas()
