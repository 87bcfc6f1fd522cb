"""A list of files, such as Common Crawl's `warc.paths.gz` -> the files, or as many of them as are wanted.

Which ones are drawn depends on the lines alone: the same on every machine, and more of them hold all of fewer.
"""

from __future__ import annotations

from pathlib import Path

import xxhash

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.reading.lines import iterate_blocks
from pipeline.core.files.stores.places import each, shown_url
from pipeline.sources.files import InputFile, find_files, input_file

MOST_LIST_BYTES = 200_000_000  # of a list, unpacked: a million lines and more


def find_listed(paths: str, *, prefix: str, most: int | None, source: str, base: Path) -> list[InputFile]:
    """Return the files that a list names, at most `most` drawn from it, in label order; RecipeError for a wrong one."""
    place = f"sources.{source}.paths: "
    lines = sorted(set(_lines(paths, place=place)))
    if most is not None and most < len(lines):
        lines = sorted(lines, key=lambda line: xxhash.xxh3_64_intdigest(line.encode()))[:most]
    found: dict[str, list[InputFile]] = {}

    def look_up(line: str) -> None:
        try:
            found[line] = find_files(f"{prefix}{line}", source=source, base=base)
        except RecipeError as error:
            told = str(error).removeprefix(f"sources.{source}.path: ")
            raise RecipeError(f"{place}{shown_url(paths)} lists {line}, and {told}") from error

    each(look_up, lines)  # a request each, several at the same time
    named = {str(file.where): file for line in lines for file in found[line]}
    return _labelled(list(named.values()), prefix=prefix)


def _labelled(files: list[InputFile], *, prefix: str) -> list[InputFile]:
    """Return the files in order of their labels, made unique by their folders where names are alike."""
    labels = [file.label for file in files]
    if len(set(labels)) < len(labels):
        files = [InputFile(file.where, _long_name(file.where, prefix)) for file in files]
    return sorted(files, key=lambda file: file.label)


def _long_name(where: Path, prefix: str) -> str:
    from pipeline.core.files.stores.inputs import origin_of

    origin = origin_of(where)
    name = origin.url if origin is not None else str(where)
    return name.removeprefix(prefix).lstrip("/")


def _lines(paths: str, *, place: str) -> list[str]:
    """Return the lines of a list that name a file."""
    try:
        path = input_file(paths)
        content = bytearray()
        for block in iterate_blocks(path, start=0, end=-1):
            content += block
            if len(content) > MOST_LIST_BYTES:
                raise RecipeError(
                    f"{place}{shown_url(paths)} is too long for a list: {MOST_LIST_BYTES:,} bytes at most."
                )
        lines = content.decode().splitlines()
    except FileNotFoundError as error:
        raise RecipeError(f"{place}{shown_url(paths)}: no such file. Correct the path.") from error
    except (UnicodeDecodeError, DataError) as error:
        raise RecipeError(f"{place}{shown_url(paths)}: cannot be read as a list of paths ({error}).") from error
    found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not found:
        raise RecipeError(f"{place}{shown_url(paths)} lists nothing. Name a file with one path a line.")
    return found
