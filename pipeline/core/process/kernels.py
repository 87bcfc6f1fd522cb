"""`njit` and `intrinsic` as numba's, but numba is imported when a kernel is first compiled, and not to call it again.

Importing numba takes 0.15 s, which neither steps that are only planned need pay nor those whose kernels are stored. So
a kernel is numba's no earlier than that it is called with arguments for which no machine code is stored, or that one
which calls it is compiled.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

from pipeline.core.process.machine_code import keep, kinds_of, load, stamp_of


class Kernel:
    """A function that numba makes native when it is first called, or when another kernel that calls it is compiled."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._function, self._options, self._stamp = function, options, stamp_of(function)
        self._ready: dict[Any, Callable[..., Any]] = {}  # by the kinds of the arguments

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        kinds = kinds_of(arguments)
        ready = self._ready.get(kinds)
        if ready is not None and not named:
            return ready(*arguments)
        if kinds is None or named or not self._options.get("cache"):
            return self.native(*arguments, **named)
        stored = load(self._function, kinds, self._stamp)
        self._ready[kinds] = stored or self.native
        found = self._ready[kinds](*arguments)
        if stored is None:
            keep(self._function, kinds, self._stamp, self.native, arguments)
        return found

    @functools.cached_property
    def native(self) -> Any:
        """Numba's own object, made now; it keeps nothing of code that its file no longer holds."""
        import numba

        stale = {"cache": False} if stamp_of(self._function) != self._stamp else {}
        return numba.njit(**self._options | stale)(self._function)

    @property
    def _numba_type_(self) -> Any:
        """What numba asks for when another kernel names this one."""
        return self.native._numba_type_

    @property
    def targetoptions(self) -> Any:
        """What numba asks for before it compiles a call: whether to inline it."""
        return self.native.targetoptions

    @property
    def py_func(self) -> Any:
        """What numba asks for when it inlines a call."""
        return self._function

    def __reduce__(self) -> str:
        return self._function.__qualname__

    def __deepcopy__(self, memo: Any) -> Kernel:
        return self  # numba copies the statements that name it


class Intrinsic:
    """A function that tells numba what instructions to write, made known to numba when a kernel that calls it is."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @functools.cached_property
    def native(self) -> Any:
        """Numba's own object, made now."""
        from numba.extending import intrinsic

        return intrinsic(self._function)

    @property
    def _numba_type_(self) -> Any:
        from numba.core.registry import cpu_target

        made, context = self.native, cpu_target.typing_context
        context.refresh()  # it looks for new intrinsics only when told to
        return context.resolve_value_type(made)

    def __deepcopy__(self, memo: Any) -> Intrinsic:
        return self


class _Late:
    """A module that is imported when something of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


types: Any = _Late("numba.types")
cgutils: Any = _Late("numba.core.cgutils")


def njit(**options: Any) -> Any:
    """Make a function a kernel, with numba's own options."""
    return functools.partial(Kernel, options=options)


def intrinsic(function: Callable[..., Any]) -> Any:
    """Make a function an intrinsic, for kernels to call."""
    return Intrinsic(function)
