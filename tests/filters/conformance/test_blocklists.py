"""Lists are read as datatrove reads them, and what is missing is said before any work."""

from __future__ import annotations

import io
import shutil
from importlib.util import find_spec as real_find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tldextract", reason="datatrove's URLFilter needs it: pip install -e '.[conformance]'")
pytest.importorskip("ahocorasick", reason="datatrove's URLFilter needs it: pip install -e '.[conformance]'")
pytest.importorskip("fasteners", reason="datatrove's URLFilter needs it: pip install -e '.[conformance]'")

import ahocorasick
from datatrove.pipeline.filters.url_filter import get_list

from filters.conformance import blocklists
from filters.conformance.blocklist_kernels import find_words, symbol_table
from filters.conformance.blocklists import BANNED, Assets, Trie, assets, listed_in
from filters.lists.word_lists import hashes_of
from pipeline.core.errors import RecipeError

LINES = [
    "a.org",
    "  b.org\t",
    "#c.org",
    " #d.org",
    "",
    "e.org\r",
    "\u00e9.org\u00a0",
    "f.org\x1c",
    "two words",
    "A-B_c 1",
]


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize(
    "lines", [LINES, [line for line in LINES if line.isascii() and "\r" not in line], ["a\rb", "c"]]
)
@pytest.mark.parametrize("block_bytes", [7, 1 << 24])
def test_entries_are_those_that_datatrove_reads(
    lines: list[str], end: str, block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocklists, "BLOCK_BYTES", block_bytes)
    content = ("\n".join(lines) + end).encode()
    (tmp_path / "list").write_bytes(content)
    theirs = get_list(str(tmp_path), "list", set(), do_normalize=False)

    assert listed_in(io.BytesIO(content)).hashes.tolist() == sorted(hashes_of(sorted(theirs)).tolist())


def test_words_are_those_that_datatrove_reads(tmp_path: Path) -> None:
    (tmp_path / BANNED).write_text("\n".join(LINES), encoding="utf-8")

    assert set(Assets(tmp_path, tmp_path).words(BANNED)) == get_list(str(tmp_path), BANNED, set())


WORDS = st.lists(st.text("ab1", min_size=1, max_size=5), min_size=1, max_size=8, unique=True)


@settings(deadline=None)
@given(words=WORDS, text=st.text("ab1AB- \u00e9", max_size=30))
def test_subwords_are_found_where_an_automaton_finds_them(words: list[str], text: str) -> None:
    automaton: Any = ahocorasick.Automaton(ahocorasick.STORE_INTS)
    for word in words:
        automaton.add_word(word)
    automaton.make_automaton()
    joined = "".join(letter for letter in text if letter.isascii() and letter.isalnum()).lower()
    data, offsets = np.frombuffer(text.encode(), np.uint8), np.array([0, len(text.encode())], np.int32)
    inside, ends = Trie.of(words).anywhere(words)
    alone, none = Trie.of([]), np.full(2, -1, np.int32)

    found = find_words(data, offsets, symbol_table(), (alone.flat(), none, none), (inside.flat(), ends))

    assert (found[3, 0] >= 0) == (next(automaton.iter(joined), None) is not None)
    assert found[3, 0] < 0 or words[found[3, 0]] in joined


@settings(deadline=None)
@given(words=st.lists(st.text("ab1", max_size=3), max_size=8, unique=True), text=st.text("ab1A-\u00e9", min_size=1))
def test_words_count_once_where_they_stand_between_other_signs(words: list[str], text: str) -> None:
    data, offsets = np.frombuffer(text.encode(), np.uint8), np.array([0, len(text.encode())], np.int32)
    trie, nowhere = Trie.of(words), Trie.of(["none"]).anywhere([])
    numbers = trie.numbers(words)

    found = find_words(data, offsets, symbol_table(), (trie.flat(), numbers, numbers), (nowhere[0].flat(), nowhere[1]))

    assert found[:2, 0].tolist() == [len(set(blocklists.NO_WORD.split(text)) & set(words))] * 2


def test_what_is_missing_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for missing, told in (("tldextract", r"-e '\.\[conformance\]'"), ("datatrove", "datatrove is not installed")):
        monkeypatch.setattr(
            blocklists, "find_spec", lambda name, missing=missing: None if name == missing else real_find_spec(name)
        )
        with pytest.raises(RecipeError, match=told):
            assets.__wrapped__()
    monkeypatch.setattr(blocklists, "find_spec", real_find_spec)
    monkeypatch.setattr(blocklists, "BANNED", "no_such_words.txt")
    with pytest.raises(RecipeError, match=r"no_such_words\.txt is not there; datatrove 0\.10"):
        assets.__wrapped__()


def test_another_list_is_another_identity(tmp_path: Path) -> None:
    found = assets()
    shutil.copytree(found.folder, tmp_path / "assets")
    same = Assets(tmp_path / "assets", found.snapshot)
    before = same.identity()
    with (tmp_path / "assets" / BANNED).open("a") as file:
        file.write("\nword")

    assert before == found.identity() != same.identity()
