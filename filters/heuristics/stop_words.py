"""Lists of stop words: those of 25 languages in `stop_words.toml` beside this file, and those of the user's files.

A file is UTF-8 text, plain or .gz, one word a line; blank lines and lines that begin with # count for nothing.
`stop_word_kernels.py` says what a word is, and counts.
"""

from __future__ import annotations

import gzip
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from pipeline.core.errors import DataError

LISTS = Path(__file__).with_name("stop_words.toml")
MAX_WORDS = 10_000  # of a list; the English ones have 8 to 300


@cache
def packaged() -> dict[str, tuple[str, ...]]:
    """Return the lists that come with the filter, by language."""
    return {language: tuple(words.split()) for language, words in tomllib.loads(LISTS.read_text("utf-8")).items()}


def read_lists(paths: Sequence[Path]) -> list[str]:
    """Return the words of files, each once, without comments; DataError if one holds no word or is no text."""
    found: dict[str, None] = {}
    for path in paths:
        entries = list(_lines(path))
        if not entries:
            raise DataError(f"{path}: holds no stop word. Write one a line, or name another file.")
        found |= dict.fromkeys(entries)
    if len(found) > MAX_WORDS:
        raise DataError(f"stop_word_files: {len(found):,} words; a list has {MAX_WORDS:,} at most. Name shorter files.")
    return list(found)


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as raw, gzip.open(raw) if path.suffix == ".gz" else raw as file:
            text = file.read().decode("utf-8-sig")
    except (UnicodeDecodeError, EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be read as stop words ({error}). Give UTF-8 text, one word a line.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        if not word.isprintable() or not any(map(str.isalnum, word)):
            raise DataError(
                f"{path}:{number}: {word[:40]!r} is no word; a stop word holds a letter or digit and nothing "
                "unprintable. Give UTF-8 text, one word a line."
            )
        yield word
