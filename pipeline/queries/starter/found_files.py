"""Paths that a user names -> files of one format, and the shortest patterns that name just these in a recipe.

A format is told from contents, of up to MOST_LOOKED files of each ending, spread over them. What no reader reads is
left out and named; files of two formats are an error that says which paths to name instead.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import RecipeError
from pipeline.core.files.stores.places import is_url
from pipeline.sources.files import InputFile, find_files, matches
from pipeline.sources.formats import Format, format_of, is_empty

MOST_LOOKED = 20
MOST_LISTED = 50  # files that a recipe names one by one
PLACE = "init"
LIKE_TEXT: tuple[Format, ...] = ("csv", "json", "jsonl", "unknown")  # what a plain text may begin like
EMPTY_TOO: tuple[Format, ...] = ("csv", "json", "jsonl", "text", "html")  # formats of which an empty file is one
SIDECARS = frozenset(("license", "readme", "changelog", "notice", ".gitattributes"))  # beside data, by their stems
SETTINGS = (".yaml", ".yml", ".toml")  # as well


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """Files that one reader reads, in order of their labels."""

    format: Format
    patterns: tuple[str, ...]  # that name them, as `path:` of a source
    files: tuple[InputFile, ...]
    left_out: tuple[str, ...]  # names of files that no reader reads

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def look_for_files(paths: Sequence[str]) -> FoundFiles:
    """Return the files that paths, folders, globs and URLs name; RecipeError for none, or for more than one format."""
    given = list(dict.fromkeys(paths)) or ["."]
    named = {path: _files_of(path) for path in given}
    files = {str(file.where): file for found in named.values() for file in found}
    if not files:
        raise RecipeError(f"{' '.join(given)}: no file is there. Name files, folders, globs or URLs that hold text.")
    formats = _formats(list(files.values()))
    if len(set(formats.values()) - {"unknown"}) > 1:  # pages that come with data are no documents of it
        formats = {key: found for key, found in formats.items() if not _is_sidecar(Path(key))}
    kinds: Counter[Format] = Counter(found for found in formats.values() if found != "unknown")
    if not kinds:
        some = ", ".join(sorted(Path(key).name for key in files)[:3])
        raise RecipeError(
            f"{' '.join(given)}: no file that Tamis reads; there are {len(files):,} of other kinds, such as {some}. "
            "It reads parquet, JSON, CSV, Arrow, text, HTML, PDF and web archives, plain or packed by gzip or zstd."
        )
    if len(kinds) > 1:
        raise RecipeError(_several(given, formats, kinds))
    format = kinds.most_common(1)[0][0]
    chosen = [file for key, file in files.items() if formats.get(key) == format]
    left_out = sorted(Path(key).name for key in files if formats.get(key) != format)
    patterns = tuple(
        dict.fromkeys(p for path in given for p in _patterns(path, named[path], {f.where for f in chosen}))
    )
    return FoundFiles(format, patterns, tuple(find_files(patterns, source=PLACE, base=Path.cwd())), tuple(left_out))


def _files_of(path: str) -> list[InputFile]:
    """Return the files below a folder, or those that a path, glob or URL names."""
    folder = Path(path).expanduser()
    if is_url(path) or not folder.is_dir():
        try:
            return find_files(path, source=PLACE, base=Path.cwd())
        except RecipeError as error:
            raise RecipeError(str(error).replace(f"sources.{PLACE}.path: ", "")) from error
    return [InputFile(file, file.name) for file in _below(folder)]


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in order, without hidden ones and results of Tamis."""
    for where, folders, names in os.walk(folder):
        hollow = "ledger" in folders and {"source", "dataset"} & set(folders)  # a workspace
        folders[:] = [] if hollow else sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names) if not hollow else ():
            if not name.startswith(".") and (Path(where) / name).is_file():
                yield Path(where) / name


def _formats(files: Sequence[InputFile]) -> dict[str, Format]:
    """Return the format of each file: of many with one ending, of those that are looked at."""
    by_ending: dict[str, list[InputFile]] = {}
    for file in files:
        by_ending.setdefault(_ending(file.where), []).append(file)
    formats: dict[str, Format] = {}
    for group in by_ending.values():
        looked = group[:: max(1, -(-len(group) // MOST_LOOKED))]
        told = {str(file.where): format_of(file.path) for file in looked}
        if "text" in told.values():  # so one of them that begins as a table or as JSON does is text as well
            told = {key: "text" if found in LIKE_TEXT else found for key, found in told.items()}
        kinds = Counter(told.values()).most_common()
        usual = next((found for found, _ in kinds if found in EMPTY_TOO), kinds[0][0])
        if usual in EMPTY_TOO:  # an empty shard has no documents, and is one of its kind all the same
            hollow = [file for file in looked if told[str(file.where)] == "unknown" and is_empty(file.path)]
            told |= {str(file.where): usual for file in hollow}
        usual = Counter(told.values()).most_common(1)[0][0]
        formats |= {str(file.where): told.get(str(file.where), usual) for file in group}
    return formats


def _ending(path: Path) -> str:
    """Return `.jsonl.gz` of `a.b.jsonl.gz`; digits belong to a name."""
    parts = path.name.split(".")[1:]
    kept = [part for part in parts[-2:] if part.isalnum() and not part.isdigit() and len(part) <= 8]
    packed = len(kept) == 2 and kept[1].lower() in ("gz", "zst")
    return "." + ".".join(kept if packed else kept[-1:]) if kept else ""


def _is_sidecar(path: Path) -> bool:
    return path.stem.lower() in SIDECARS or path.name.lower() in SIDECARS or path.suffix.lower() in SETTINGS


def _several(given: Sequence[str], formats: dict[str, Format], kinds: Counter[Format]) -> str:
    told = []
    for kind, count in kinds.most_common():
        first = sorted(key for key, found in formats.items() if found == kind)[0]
        told.append(f"{count:,} {kind} ({_shown(Path(first))})")
    most = kinds.most_common(1)[0][0]
    endings = sorted({_ending(Path(key)) for key, found in formats.items() if found == most})
    folder = given[0].rstrip("/") if Path(given[0]).is_dir() else str(Path(given[0]).parent)
    globs = " ".join(f"'{folder}/**/*{ending}'" for ending in endings)
    return (
        f"{' '.join(given)}: files of {len(kinds)} formats: {', '.join(told)}; one source reads one format. "
        f"Name those of one, such as all {most}: tamis init {globs}"
    )


def _shown(path: Path) -> str:
    return path.name if path.is_absolute() and len(str(path)) > 60 else str(path)


def _patterns(path: str, found: Sequence[InputFile], chosen: set[Path]) -> list[str]:
    """Return the patterns that name what is chosen of the files of one path, as few as there can be."""
    wanted = [file.where for file in found if file.where in chosen]
    if is_url(path) or (len(wanted) == len(found) and not Path(path).expanduser().is_dir()):
        return [path] if wanted else []
    patterns, left = list[str](), set(wanted)
    folder = path.rstrip("/") if Path(path).expanduser().is_dir() else str(Path(path).parent)
    start = "" if folder == "." else f"{folder or ''}/"
    for ending in sorted({_ending(file) for file in wanted}):
        mine = {file for file in wanted if _ending(file) == ending}
        for pattern in (f"{start}*{ending}", f"{start}**/*{ending}"):
            if {file.absolute() for file in matches(str(Path(pattern).expanduser()))} == {f.absolute() for f in mine}:
                patterns.append(pattern)
                left -= mine
                break
    if len(left) > MOST_LISTED:
        raise RecipeError(
            f"{path}: {len(left):,} files share their endings with others that are no documents, so no pattern names "
            "just these. Move one kind to a folder of its own, or name a glob."
        )
    return [*patterns, *sorted(str(file) for file in left)]
