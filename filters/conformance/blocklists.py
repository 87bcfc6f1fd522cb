"""The installed datatrove's blocklists and the installed tldextract's public suffixes -> tables for kernels.

Nothing of either is copied into this house: they are read where they are installed, and their bytes are part of a
result's identity. Lines are read as datatrove reads them: all but those that begin with `#`, words without what is no
ASCII letter or digit and in lower case, domains and addresses stripped of white space, empty entries kept. The 4.56
million domains become 36 MB of hashes in about 2 s, most of it unpacking.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from filters.lists.word_lists import HashedList, hashes_of, sorted_once
from pipeline.core.errors import RecipeError
from pipeline.core.identity import hash_file, identity_of

ARCHIVE = "url_filterblacklistsv0_3_0.tar.gz"
BANNED, SUBWORDS, SOFT = "banned_words.txt", "banned_subwords.txt", "soft_banned_words.txt"
SNAPSHOT = ".tld_set_snapshot"  # tldextract's own copy of the public suffix list
BLOCK_BYTES = 16 << 20
NO_WORD = re.compile(r"[^a-zA-Z0-9]+")


@dataclass(frozen=True, slots=True)
class Assets:
    """Where the lists are installed."""

    folder: Path
    snapshot: Path

    def identity(self) -> dict[str, str]:
        """Return what stands for the content: hashes of the lists and of the suffixes."""
        hashes = [hash_file(self.folder / name) for name in (ARCHIVE, BANNED, SUBWORDS, SOFT)]
        return {"blocklists": identity_of(hashes), "public_suffixes": hash_file(self.snapshot)}

    def addresses(self, member: str, *, shared: Path | None, version: int) -> HashedList:
        """Return the list `domains` or `urls` of the archive, as this version of the step reads it."""
        path = self.folder / ARCHIVE
        return HashedList.once(
            shared, kind=f"datatrove-{member}", version=version, paths=[path], build=lambda: _unpacked(path, member)
        )

    def words(self, name: str) -> list[str]:
        """Return a list of words, sorted."""
        with (self.folder / name).open(encoding="utf-8") as lines:
            return sorted({NO_WORD.sub("", line).lower() for line in lines if line[0] != "#"})


@cache
def assets() -> Assets:
    """Find the lists; RecipeError says what is missing and how to get it."""
    package, suffixes = find_spec("datatrove"), find_spec("tldextract")
    if package is None or not package.submodule_search_locations:
        raise RecipeError("url@datatrove-0.10: datatrove is not installed. Install it: pip install 'datatrove>=0.10'")
    if suffixes is None or not suffixes.submodule_search_locations:
        raise RecipeError(
            "url@datatrove-0.10: tldextract is not installed, and only it says which domain an address belongs to. "
            "Install it: pip install -e '.[conformance]'"
        )
    found = Assets(
        folder=Path(package.submodule_search_locations[0]) / "assets",
        snapshot=Path(suffixes.submodule_search_locations[0]) / SNAPSHOT,
    )
    for path in (*(found.folder / name for name in (ARCHIVE, BANNED, SUBWORDS, SOFT)), found.snapshot):
        if not path.is_file():
            raise RecipeError(
                f"url@datatrove-0.10: {path} is not there; datatrove {version('datatrove')} and tldextract "
                f"{version('tldextract')} are installed. Install them again, or take the step out."
            )
    return found


def _unpacked(archive: Path, member: str) -> HashedList:
    with tarfile.open(archive, "r:gz") as files:
        stream = files.extractfile(member)
        assert stream is not None
        return listed_in(stream)


def listed_in(stream: IO[bytes]) -> HashedList:
    """Return the entries of a list of domains or addresses, some MB of it in memory at a time."""
    pieces, held = [np.zeros(0, np.uint64)], b""
    while block := stream.read(BLOCK_BYTES):
        whole, newline, held = (held + block).rpartition(b"\n")
        pieces.append(_hash_block(whole + newline))
    pieces.append(_hash_block(held))
    return HashedList.of_hashes(sorted_once(np.concatenate(pieces)))


def _hash_block(block: bytes) -> np.ndarray:
    from filters.lists.list_kernels import hash_lines

    if not block.isascii() or b"\r" in block:  # Python knows every line end and white space
        lines = io.StringIO(block.decode(), newline=None)
        return hashes_of([line.strip() for line in lines if line[0] != "#"])
    hashes = np.empty(block.count(b"\n") + 1, np.uint64)
    found: np.ndarray = hashes[: hash_lines(np.frombuffer(block, np.uint8), hashes)]
    return found


@dataclass(frozen=True, slots=True)
class Trie:
    """Words as a table of moves: int64[nodes, NUM_SYMBOLS]. Node 0 is the root, from node 1 no word goes on."""

    moves: np.ndarray
    nodes: dict[str, int]  # the node of each word

    @staticmethod
    def of(words: Sequence[str]) -> Trie:
        from filters.conformance.blocklist_kernels import NUM_SYMBOLS, symbol_table

        symbols = symbol_table()
        rows: list[dict[int, int]] = [{}, {}]
        nodes = {}
        for word in words:
            node = 0
            for byte in word.encode():
                if symbols[byte] not in rows[node]:
                    rows[node][symbols[byte]] = len(rows)
                    rows.append({})
                node = rows[node][symbols[byte]]
            nodes[word] = node
        moves = np.ones((len(rows), NUM_SYMBOLS), np.int64)
        for node, row in enumerate(rows):
            moves[node, list(row)] = list(row.values())
        return Trie(moves=moves, nodes=nodes)

    def flat(self) -> np.ndarray:
        """Return the moves as kernels take them: a node is the place of its row in one long array."""
        return (self.moves * self.moves.shape[1]).astype(np.uint32).ravel()

    def numbers(self, words: Sequence[str]) -> np.ndarray:
        """Return int32[nodes]: the number of the word of `words` that ends at a node, or -1."""
        numbers = np.full(len(self.moves), -1, np.int32)
        numbers[[self.nodes[word] for word in words]] = np.arange(len(words))
        return numbers

    def anywhere(self, words: Sequence[str]) -> tuple[Trie, np.ndarray]:
        """Return moves and numbers that find words inside other text (Aho and Corasick): every node goes on."""
        moves, numbers = self.moves.copy(), self.numbers(words)
        fallback = np.zeros(len(moves), np.int64)
        order = [0]
        for node in order:
            for symbol in range(moves.shape[1]):
                following, instead = moves[node, symbol], moves[fallback[node], symbol] if node else 0
                if following == 1:
                    moves[node, symbol] = instead
                    continue
                order.append(int(following))
                fallback[following] = instead
                if numbers[following] < 0:
                    numbers[following] = numbers[instead]
        return Trie(moves=moves, nodes=self.nodes), numbers


def suffix_extractor() -> Any:
    """Return a tldextract that knows its bundled suffixes and asks no network; datatrove's own would."""
    from tldextract import TLDExtract

    return TLDExtract(cache_dir=None, suffix_list_urls=())


def suffix_table(suffixes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return every ASCII tail of labels in a list of public suffixes, as `find_suffix` looks it up."""
    from filters.conformance.blocklist_kernels import HAS_WILDCARD, IS_END, hash_reversed, node_table

    bits: dict[str, int] = {}
    for suffix in suffixes:
        tail = suffix
        bits[tail] = bits.get(tail, 0) | IS_END
        while tail:
            first, _, tail = tail.partition(".")
            if tail:
                bits[tail] = bits.get(tail, 0) | (HAS_WILDCARD if first == "*" else 0)
    tails = [tail for tail in bits if tail.isascii()]
    strings = pa.array(tails, pa.large_string())
    _, offsets, data = strings.buffers()
    hashes = hash_reversed(np.frombuffer(data, np.uint8), np.frombuffer(offsets, np.int64))
    table: tuple[np.ndarray, np.ndarray] = node_table(hashes, np.array([bits[tail] for tail in tails], np.uint8))
    return table
