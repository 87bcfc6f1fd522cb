"""Paths of a recipe into files: globs, names that stay unique, and content hashes.

Relative paths start at the current directory, as in a shell. A file is named inside ids and identities by its stem,
or, where two stems are equal, by its path below the common folder: never by an absolute path, so that a folder can
move without changing a document's id. An id also begins with the source's name, as files of two sources may be called
alike. Content is hashed with BLAKE3 through a memory map (5 GB/s on one core from memory).
"""

from __future__ import annotations

import copy
import glob
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.stores.inputs import find, origin_of
from pipeline.core.files.stores.places import is_url
from pipeline.core.files.stores.stored import present
from pipeline.core.identity import HashFile, hash_file
from pipeline.core.step import input_names
from pipeline.sources.reader import ColumnParams, Reader, ReaderParams, Slice

NAMES_OF_FILES = ("path", "paths", "prefix", "max_files")  # parameters that say which files, and nothing of their rows
JSONL_SUFFIXES = (".jsonl", ".json", ".ndjson", ".gz", ".zst")


class PathParams(ReaderParams):
    """Which files."""

    path: str | tuple[str, ...] = input_names(
        description="Files to read: a path, URL or glob, or a list of them; paths start at the current directory.",
        min_length=1,
    )


class FileParams(ColumnParams, PathParams):
    """Which files, and which of their columns."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input file and the name by which ids and identities know it; the file of a URL may not be here yet."""

    where: Path
    label: str

    @property
    def path(self) -> Path:
        """Where it can be read: it is fetched first if it has to be."""
        return present(self.where)

    @property
    def size_bytes(self) -> int:
        origin = origin_of(self.where)
        return origin.size if origin is not None else self.where.stat().st_size


class FileReader(Reader):
    """What all readers of local files do alike: their files are found by path and named by content."""

    Params: ClassVar[type[ReaderParams]] = PathParams
    params: PathParams

    def __init__(self, *, params: PathParams, source: str, base: Path) -> None:
        super().__init__(params=params, source=source, base=base)
        self.params = params
        self.only: frozenset[str] | None = None

    def with_only(self, labels: Collection[str]) -> Self:
        """Return a reader of these files alone, each known by the label that it has among all of them."""
        found = copy.copy(self)
        found.only = frozenset(labels)
        return found

    def files(self) -> list[InputFile]:
        """Return the files, in label order; RecipeError for a path that names none."""
        found = find_files(self.params.path, source=self.source, base=self.base)
        return found if self.only is None else [file for file in found if file.label in self.only]

    def check(self) -> None:
        """Raise RecipeError unless the paths name files."""
        self.files()

    def reads(self) -> set[str]:
        return {str(file.where.resolve()) for file in self.files()}

    def inputs(self, hash_file: HashFile = hash_file) -> dict[str, Any]:
        return {"files": name_content(self.files(), hash_file)}

    def files_in(self, piece: Slice) -> tuple[str, ...]:
        return (str(piece.detail[0]),)  # where a slice is a piece of one file, its detail begins with its label

    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files())


def find_files(patterns: str | tuple[str, ...], *, source: str, base: Path) -> list[InputFile]:
    """Return the files that the patterns name, in label order; RecipeError for one that names none."""
    found: dict[str, tuple[Path, Path]] = {}  # what it is called and where it is
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        if is_url(pattern):
            for origin in find(pattern, place=f"sources.{source}.path: "):
                found[origin.url] = origin.named, origin.path
            continue
        named = _matches(pattern, source=source)
        if not named:
            raise RecipeError(_nothing(pattern, source=source, base=base))
        found.update({str(path.resolve()): (path, path) for path in named})
    called = sorted(found.values(), key=lambda pair: pair[0].as_posix())
    labels = _labels([name for name, _ in called])
    files = [InputFile(where, label) for (_, where), label in zip(called, labels, strict=True)]
    return sorted(files, key=lambda file: file.label)


def local_path(name: str, *, place: str = "") -> Path:
    """Return the local path of a file that a recipe names by path or URL; RecipeError for a URL of no one file."""
    if not is_url(name):
        return Path(name)
    found = find(name, place=place)
    if len(found) > 1:
        raise RecipeError(f"{place}{name} names {len(found):,} files; it must be one. Name them in a list.")
    return found[0].path


def input_file(name: str) -> Path:
    """Return a file that a step reads, by path or URL; it is fetched first if it has to be."""
    return present(local_path(name))


def _matches(pattern: str, *, source: str) -> list[Path]:
    expanded = Path(pattern).expanduser()
    if expanded.is_dir():
        raise RecipeError(f"sources.{source}.path: {pattern} is a folder; name its files: {pattern.rstrip('/')}/*.")
    if expanded.is_file():
        return nameable([expanded], f"sources.{source}.path: ")  # a name that holds [ or * is taken as it stands
    return matches(str(expanded), place=f"sources.{source}.path: ")


def matches(pattern: str, *, place: str = "") -> list[Path]:
    """Return the files that a glob names, in no order; RecipeError for a link that is broken or leads in circles."""
    named = [Path(match) for match in _glob(pattern, place)]
    broken = min((path for path in named if path.is_symlink() and not path.exists()), default=None)
    if broken is not None:
        raise RecipeError(
            f"{place}{broken} is a link to {broken.readlink()}, which is not there. "
            "Put the file back, or delete the link to do without it."
        )
    return nameable([path for path in named if path.is_file()], place)


def _glob(pattern: str, place: str) -> list[str]:
    before, deep, _ = pattern.partition("**")
    if deep:
        for folder in _glob(os.path.dirname(before) or os.curdir, place):  # noqa: PTH120 - Path would drop ./
            _refuse_circles(Path(folder), place)
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns


def _refuse_circles(folder: Path, place: str) -> None:
    """Raise RecipeError if a link below a folder leads back up, since `**` would follow it for ever."""
    seen: set[str] = set()
    left: list[tuple[str, tuple[str, ...]]] = [(str(folder), (os.path.realpath(folder),))]
    while left:
        where, above = left.pop()
        for entry in _subfolders(where):
            real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(above[-1], entry.name)  # noqa: PTH118 - paths of a walk, as strings
            if real in above:
                raise RecipeError(
                    f"{place}{entry.path} is a link to {real}, in which it lies, so `**` never ends. "
                    "Delete the link, or name the folders one by one."
                )
            if real not in seen:
                seen.add(real)
                left.append((entry.path, (*above, real)))


def _subfolders(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []  # glob passes over it as well


def nameable(paths: list[Path], place: str) -> list[Path]:
    """Return the paths; RecipeError for one that no card and no message could name."""
    for path in paths:
        try:
            str(path.absolute()).encode()
        except UnicodeEncodeError as error:
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            raise RecipeError(
                f"{place}{shown} has a name that is not UTF-8, or lies in a folder with such a name; names must be. "
                "Rename it, or choose a pattern that leaves it out."
            ) from error
    return paths


def _nothing(pattern: str, *, source: str, base: Path) -> str:
    looked = Path(pattern).expanduser()
    looked = looked if looked.is_absolute() else Path.cwd() / looked
    message = f"sources.{source}.path: no file matches {pattern!r} (looked for {looked}). "
    if not Path(pattern).is_absolute() and _glob(str(base / pattern), f"sources.{source}.path: "):
        return message + f"It matches in the recipe's folder: write {base / pattern}, or run from {base}."
    return message + "Paths start at the current directory; correct the path or run from another folder."


def _labels(paths: list[Path]) -> list[str]:
    stems = [stem_of(path) for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - resolve() would follow symlinks
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    return [(path.relative_to(common).parent / path.name).as_posix() for path in absolute]


def stem_of(path: Path) -> str:
    """Return the file name without the suffixes of its format: `a.jsonl.zst` and `a.parquet` are both `a`."""
    name = path.name
    while name.endswith((*JSONL_SUFFIXES, ".parquet")) and Path(name).stem:
        name = Path(name).stem
    return name


def name_content(files: list[InputFile], hash_file: HashFile) -> list[dict[str, Any]]:
    """Return label, size and BLAKE3 of every file, for the identity."""
    named = []
    for file in files:
        try:
            named.append({"file": file.label, "size": file.size_bytes, "blake3": hash_file(file.where)})
        except OSError as error:
            raise DataError(f"{file.where}: cannot be read ({error.strerror}). Correct it or take it out.") from error
    return named
