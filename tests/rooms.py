"""The first sentence of every module's docstring -> the lists of files in the rooms' README.md.

`python -m tests.rooms --write` writes each list between the two lines `<!-- files -->` of its page, without `--write`
the lists are printed; a test compares. So a page names every file of its room, and nothing is kept twice.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.conftest import HOUSE, ROOT, house_files

MARKER = "<!-- files -->"


def main() -> None:
    """Print the lists, or write them."""
    parser = argparse.ArgumentParser(description="The files of every room, from the docstrings of its modules.")
    parser.add_argument("--write", action="store_true", help="write the rooms' README.md instead of printing")
    write = parser.parse_args().write
    for room in HOUSE:
        page = ROOT / room / "README.md"
        if write:
            page.write_text(shown_in(page.read_text(encoding="utf-8"), room=room), encoding="utf-8")
        else:
            sys.stdout.write(file_list(room) + "\n\n")


def shown_in(page: str, *, room: str) -> str:
    """Return a room's page with the list of its files between the two markers."""
    before, _, after = page.split(MARKER)
    return f"{before}{MARKER}\n{file_list(room)}\n{MARKER}{after}"


def file_list(room: str) -> str:
    """Return the files of a room as Markdown, one folder after the other."""
    said = [path for path in house_files() if path.relative_to(ROOT).parts[0] == room and first_sentence(path)]
    blocks = []
    for folder, files in groupby(sorted(said, key=lambda path: (path.parent, path.name)), key=lambda path: path.parent):
        blocks.append("\n".join([f"**{folder.relative_to(ROOT)}/**\n", *_lines(files, room=ROOT / room)]))
    return "\n\n".join(blocks)


def _lines(files: Iterator[Path], *, room: Path) -> Iterator[str]:
    for path in files:
        yield f"- [`{path.name}`]({path.relative_to(room)}): {first_sentence(path)}"


def first_sentence(path: Path) -> str:
    """Return the first paragraph of a module's docstring as one line, or "" where there is none."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split())


if __name__ == "__main__":
    main()
