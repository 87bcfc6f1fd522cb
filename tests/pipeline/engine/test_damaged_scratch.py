"""A killed run whose files a disk damaged meanwhile: the next one ends with the bytes of a run without either.

A state is the workspace as a kill would leave it at the instant before a card gets its name: the folder then holds all
that a resumed run might trust. A flip is told from others by its place; nothing else may differ.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.files.writing import durable
from tests.pipeline.house import WORDS, House, files_of, texts

RECIPE = """
name: small
sources:
  docs: {read: jsonl, path: INPUTS/*.jsonl}
datasets:
  clean:
    from: docs
    steps:
      - c4_quality: {terminal_punctuation: false, min_sentences: 0}
      - length
      - exact_dedup
      - line_dedup: {min_documents: 4}
      - paragraph_dedup: {min_words: 3}
      - substring_dedup: {min_tokens: 10}
      - minhash_dedup: {bands: 4, rows: 3, min_jaccard: 0.3, audit_pairs: 20}
      - minhash_dedup@datatrove-0.10
"""


def flip(place: float) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        changed = bytearray(content)
        if changed:
            changed[int(place * (len(changed) - 1))] ^= 8
        return bytes(changed)

    return change


DAMAGE = [*(flip(place) for place in (0.0, 0.02, 0.3, 0.6, 0.9, 1.0)), lambda content: content[: len(content) // 2],
          lambda content: b""]  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    shared = [" ".join(WORDS[k : k + 12]) + "." for k in (0, 5, 9)]
    rows = [f"{text}.\n{shared[number % 3]}\n\n{text.upper()}." for number, text in enumerate(texts(60))]
    house = House(folder)
    house.lines("a.jsonl", [*rows[:40], *rows[:5], *(f"{row} And more words." for row in rows[5:15])])
    house.lines("b.jsonl", [*rows[30:], ""])
    return folder


def house_in(folder: Path, inputs: Path) -> House:
    folder.mkdir()
    house = House(folder)
    house.write(RECIPE.replace("INPUTS", str(inputs)))
    return house


@pytest.fixture(scope="module")
def states(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[Path]]:
    """Files of an undisturbed run, and a copy of the workspace before each card."""
    folder = tmp_path_factory.mktemp("states")
    house = house_in(folder / "whole", inputs)
    copies: list[Path] = []
    replace = os.replace

    def watched(source: Path, to: Path) -> None:
        if Path(to).name == "card.json":
            copies.append(folder / f"{len(copies)}-{Path(to).parent.name}")
            shutil.copytree(house.workspace.root, copies[-1])
        replace(source, to)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(durable.os, "replace", watched)
        house.run()
    return files_of(house.workspace.root), copies


def trusted(workspace: Path) -> list[Path]:
    """Return every file of folders without a card."""
    folders = [path for path in workspace.glob("*/*-*") if path.is_dir() and not (path / "card.json").exists()]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def test_every_kind_of_file_that_a_run_goes_on_from_is_damaged(states):
    _, copies = states
    names = {path.name.rstrip("0123456789.") for copy in copies for path in trusted(copy)}

    kinds = ("part-", "verdicts-", "slice-", "sketch-", "distinct-", "members-1-", "ids-1-", "names-1-", "counts-",
             "merged-", "repeated-", "edited-", "reaches-", "words-", "windows-", "repeats-", "cut-",
             "values-", "wholes-", "keys-", "docs-", "forest-", "bands-", "sizes-", "copies-20-keys-",
             "copies-20-values-", "copies-20-facts-", "edges-")  # fmt: skip
    assert [kind for kind in kinds if not any(name.startswith(kind) for name in names)] == []


@pytest.mark.parametrize("turn", range(0, len(DAMAGE), 3))
def test_a_run_that_finds_damaged_files_ends_with_the_same_bytes(states, inputs: Path, tmp_path: Path, turn: int):
    """All files are damaged at once, neighbours in different ways; in another turn each in another way."""
    whole, copies = states

    for number, copy in enumerate(copies):
        house = house_in(tmp_path / str(number), inputs)
        shutil.copytree(copy, house.workspace.root)
        for place, path in enumerate(trusted(house.workspace.root)):
            path.write_bytes(DAMAGE[(place + turn) % len(DAMAGE)](path.read_bytes()))

        house.run()

        assert files_of(house.workspace.root) == whole, copy.name
        assert not list(house.workspace.root.rglob("scratch"))
