"""Steps of the user's own: from a file (`--plugin FILE`) or an installed package (entry points `tamis.steps`).

A file's source is in the identity of its steps, so that an edit builds anew what they measured; an installed package
counts by its name and version. A file is executed once per process, in a module whose name holds the source's hash. Its
source travels to the workers, so none of them sees another one if the file is edited meanwhile.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from blake3 import blake3
from pydantic import ValidationError

from pipeline.core.errors import RecipeError, listed_names
from pipeline.core.step import ENGINE_COLUMNS, GatheringStep, MakingStep, MeasuringStep, Params, Signal, Step

GROUP = "tamis.steps"
KINDS = (MeasuringStep, GatheringStep, MakingStep)


@dataclass(frozen=True, slots=True)
class PluginFile:
    """A file of steps as it was when it was read. Unpickling one loads it, so a worker knows what the parent knew."""

    path: str
    source: str

    @property
    def hash(self) -> str:
        return blake3(self.source.encode()).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self.path, self.source)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A step from outside: its class, where it comes from, and what stands for its code in identities."""

    kind: type[Step]
    origin: str
    identity: str
    file: PluginFile | None = None


@dataclass(frozen=True, slots=True)
class InPlugin:
    """A function for `executor.map`. Its pickle names the file first, so a worker has loaded it before the function."""

    file: PluginFile
    function: Callable[[Any], Any]

    def __call__(self, item: Any) -> Any:
        return self.function(item)

    def __reduce__(self) -> tuple[Any, ...]:
        return InPlugin, (self.file, self.function)


_from_files: dict[str, Plugin] = {}  # by step name; what --plugin named in this process


def add_plugin(path: Path) -> None:
    """Make the steps of a file known under their names; RecipeError if it is broken."""
    try:
        file = PluginFile(path=str(path), source=path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"--plugin {path}: cannot be read ({error}). Name a Python file.") from error
    for plugin in _steps_of(file):
        known = _from_files.get(plugin.kind.name)
        if known is not None and known.file is not None and known.file.path != file.path:
            raise RecipeError(f"--plugin {path}: {known.origin} has a step `{plugin.kind.name}` too. Rename one.")
        _from_files[plugin.kind.name] = plugin


def _arrived(path: str, source: str) -> PluginFile:
    file = PluginFile(path=path, source=source)
    _from_files.update({plugin.kind.name: plugin for plugin in _steps_of(file)})
    return file


def plugin_of(name: str) -> Plugin | None:
    """Return the plugin that defines a step, from a file or else from an installed package."""
    return _from_files.get(name) or _installed(name)


def plugin_names() -> list[str]:
    """Return the names under which steps of plugins can be used; loads nothing."""
    return sorted({*_from_files, *(point.name for point in entry_points(group=GROUP))})


@lru_cache(maxsize=16)
def _steps_of(file: PluginFile) -> tuple[Plugin, ...]:
    """Execute a file and return its steps, checked."""
    module = ModuleType(f"tamis_plugin_{Path(file.path).stem}_{file.hash[:12]}")
    module.__file__ = file.path
    sys.modules[module.__name__] = module  # dataclasses and pickles look there
    try:
        exec(compile(file.source, file.path, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise RecipeError(f"{_place(error, file.path)}: {_told(error)}. Fix the plugin.") from error
    kinds = [value for value in vars(module).values() if _is_step(value) and value.__module__ == module.__name__]
    if not kinds:
        raise RecipeError(
            f"--plugin {file.path}: defines no step; a step is a class that inherits MeasuringStep and has a name. "
            "See `A filter of your own` in README.md."
        )
    for kind in kinds:
        _check(kind, place=file.path)
    return tuple(Plugin(kind=kind, origin=file.path, identity=file.hash, file=file) for kind in kinds)


def _is_step(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, KINDS) and value not in KINDS


def _place(error: BaseException, path: str) -> str:
    """Return `path:line` of the last line of the plugin that an error passed through."""
    if isinstance(error, SyntaxError):
        return f"{path}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"{path}:{lines[-1]}" if lines else path


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".rstrip(".: ")


def _installed(name: str) -> Plugin | None:
    points = list(entry_points(group=GROUP, name=name))
    if len(points) > 1:
        raise RecipeError(f"step `{name}`: comes from {' and '.join(map(_distribution, points))}. Uninstall one.")
    return _loaded(points[0]) if points else None


def _loaded(point: EntryPoint) -> Plugin:
    place = f"step `{point.name}` of {_distribution(point)}"
    try:
        kind = point.load()
    except Exception as error:
        raise RecipeError(f"{place}: {point.value} cannot be loaded ({_told(error)}). Fix the package.") from error
    if not _is_step(kind) or kind.name != point.name:
        raise RecipeError(f"{place}: {point.value} is not a step called `{point.name}`. Fix its entry point.")
    _check(kind, place=place)
    return Plugin(kind=kind, origin=_distribution(point), identity=_distribution(point))


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _check(kind: type[Step], *, place: str) -> None:
    """Raise RecipeError for what would otherwise fail in the middle of a run."""
    for wrong in _mistakes(kind, place):
        raise RecipeError(f"{place}: {kind.__name__} {wrong}")


def _mistakes(kind: Any, place: str) -> Iterator[str]:
    from pipeline.catalog import STEPS

    name = getattr(kind, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        yield f'has the name {name!r}; it must be a word of letters, digits and _. Give it `name = "..."`.'
    if name in STEPS:
        yield f"is called `{name}` like a step of Tamis's own. Choose another name."
    if not (isinstance(kind.Params, type) and issubclass(kind.Params, Params)):
        yield "has Params that do not inherit tamis.Params."
    if not all(isinstance(signal, Signal) for signal in kind.signals):
        yield "has signals that are not all Signal(name, type, unit, meaning). Mind the comma of a tuple of one."
    signals = [signal.name for signal in kind.signals]
    if len({*signals, *ENGINE_COLUMNS}) < len(signals) + len(ENGINE_COLUMNS):
        theirs = listed_names(sorted(ENGINE_COLUMNS))
        yield f"has signals {', '.join(signals)}; they must differ, and none may be {theirs}, the engine's own columns."
    try:
        rules = kind(params=kind.Params()).rules(quantile=lambda signal, fraction: fraction)
    except ValidationError:
        return  # a parameter that must be given: the rules show when it is
    except Exception as error:
        raise RecipeError(f"{place}: {kind.__name__}.rules broke ({_told(error)}). Fix the plugin.") from error
    for rule in rules:
        if rule.signal not in signals:
            yield f"has a rule on `{rule.signal}`, which is not one of its signals: {', '.join(signals) or 'none'}."
        if rule.op not in (">=", ">", "<=", "<", "==", "!="):
            yield f"has a rule with {rule.op!r}; it must be one of >=, >, <=, <, == and !=."


def list_plugins() -> list[dict[str, Any]]:
    """Return every step from outside with its origin; one that is broken tells its problem instead."""
    rows = [_row(name, plugin) for name, plugin in sorted(_from_files.items())]
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, _distribution(point))):
        try:
            rows.append(_row(point.name, _loaded(point)))
        except RecipeError as error:
            nothing = dict.fromkeys(("kind", "version", "about"))
            rows.append({"step": point.name, **nothing, "origin": _distribution(point), "problem": str(error)})
    return rows


def _row(name: str, plugin: Plugin) -> dict[str, Any]:
    kind = next(base.__name__.removesuffix("Step").lower() for base in KINDS if issubclass(plugin.kind, base))
    about = (plugin.kind.__doc__ or "").strip().partition("\n")[0]
    told = {"kind": kind, "version": plugin.kind.version, "about": about, "origin": plugin.origin}
    return {"step": name, **told, "problem": None}
