"""Paths of a recipe into files: globs, names that stay unique, and content hashes.

Relative paths start at the current directory, as in a shell. A file is named inside ids and identities by its stem,
or, where two stems are equal, by its path below the common folder: never by an absolute path, so that a folder can
move without changing a document's id. An id also begins with the source's name, as files of two sources may be called
alike. Content is hashed with BLAKE3 through a memory map (5 GB/s on one core from memory).
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.identity import HashFile
from pipeline.core.step import input_names
from pipeline.sources import ColumnParams

JSONL_SUFFIXES = (".jsonl", ".json", ".ndjson", ".gz", ".zst")


class FileParams(ColumnParams):
    """Which files, and which of their columns."""

    path: str | tuple[str, ...] = input_names(
        description="Files to read: a path or glob, or a list of them, from the current directory.", min_length=1
    )


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input file and the name by which ids and identities know it."""

    path: Path
    label: str


def find_files(patterns: str | tuple[str, ...], *, source: str, base: Path) -> list[InputFile]:
    """Return the files that the patterns name, in label order; RecipeError for one that names none."""
    found: dict[str, Path] = {}
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        named = _matches(pattern, source=source)
        if not named:
            raise RecipeError(_nothing(pattern, source=source, base=base))
        found.update({str(path.resolve()): path for path in named})
    return _labelled(sorted(found.values(), key=lambda path: path.as_posix()))


def _matches(pattern: str, *, source: str) -> list[Path]:
    if "://" in pattern:
        raise RecipeError(f"sources.{source}.path: {pattern} is a URL; it must be a local path. Copy the files first.")
    expanded = Path(pattern).expanduser()
    if expanded.is_dir():
        raise RecipeError(f"sources.{source}.path: {pattern} is a folder; name its files: {pattern.rstrip('/')}/*.")
    if expanded.is_file():
        return [expanded]  # a name that holds [ or * is taken as it stands
    return matches(str(expanded), place=f"sources.{source}.path: ")


def matches(pattern: str, *, place: str = "") -> list[Path]:
    """Return the files that a glob names, in no order; RecipeError for a broken link, folders are skipped."""
    named = [Path(match) for match in _glob(pattern)]
    broken = min((path for path in named if path.is_symlink() and not path.exists()), default=None)
    if broken is not None:
        raise RecipeError(
            f"{place}{broken} is a link to {broken.readlink()}, which is not there. "
            "Put the file back, or delete the link to do without it."
        )
    return [path for path in named if path.is_file()]


def _glob(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns


def _nothing(pattern: str, *, source: str, base: Path) -> str:
    looked = Path(pattern).expanduser()
    looked = looked if looked.is_absolute() else Path.cwd() / looked
    message = f"sources.{source}.path: no file matches {pattern!r} (looked for {looked}). "
    if not Path(pattern).is_absolute() and _glob(str(base / pattern)):
        return message + f"It matches in the recipe's folder: write {base / pattern}, or run from {base}."
    return message + "Paths start at the current directory; correct the path or run from another folder."


def _labelled(paths: list[Path]) -> list[InputFile]:
    stems = [stem_of(path) for path in paths]
    if len(set(stems)) == len(stems):
        return _in_order(paths, stems)
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - resolve() would follow symlinks
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    return _in_order(paths, [(path.relative_to(common).parent / path.name).as_posix() for path in absolute])


def _in_order(paths: list[Path], labels: list[str]) -> list[InputFile]:
    plain = [label.encode("utf-8", "backslashreplace").decode() for label in labels]
    files = [InputFile(path, label) for path, label in zip(paths, plain, strict=True)]
    return sorted(files, key=lambda file: file.label)


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
            named.append({"file": file.label, "size": file.path.stat().st_size, "blake3": hash_file(file.path)})
        except OSError as error:
            raise DataError(f"{file.path}: cannot be read ({error.strerror}). Correct it or take it out.") from error
    return named
