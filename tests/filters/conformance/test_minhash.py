from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import xxhash

from tests.conftest import ROOT

pytest.importorskip("spacy", reason="datatrove's words are spaCy's: pip install -e '.[conformance]'")
pytest.importorskip("tokenizers", reason="datatrove's dedup module imports it: pip install -e '.[conformance]'")

import itertools

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import simplify_text

from filters.conformance.minhash import MinHashDedup, MinHashParams, hash_family, signatures_of
from filters.conformance.normalise import MAX_GROWTH, normalised, simplify, table
from filters.conformance.shingle_kernels import sha1, xxh64
from pipeline.core import rng
from pipeline.core.text.batch import Batch
from tests.filters.conformance.texts import page_texts
from tests.filters.gathering import gather, parts_of
from tests.samples import examples, hold

VECTORS = json.loads((ROOT / "tests" / "cases" / "datatrove-0.10.1.json").read_text(encoding="utf-8"))["cases"]
CONFIG = MinhashConfig(hash_config=HashConfig(hash_fc="sha1"))  # its own xxhash call breaks with xxhash 4
SHA1 = MinHashParams(hash="sha1")


def their_signature(step: MinhashDedupSignature, text: str) -> list[int] | None:
    shingles = step.get_shingles(text)
    return [value for band in step.get_signature(shingles) for value in band] if shingles.size else None


def our_signatures(texts: list[str], params: MinHashParams) -> list[list[int] | None]:
    values, counts = signatures_of(Batch.from_texts(texts), params=params)
    return [row.tolist() if count else None for row, count in zip(values, counts, strict=True)]


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> MinhashDedupSignature:
    return MinhashDedupSignature(output_folder=str(tmp_path_factory.mktemp("signatures")), config=CONFIG)


def test_signatures_by_xxhash_are_those_of_the_golden_vectors():
    ours = our_signatures([case["text"] for case in VECTORS], MinHashParams())

    for case, found in zip(VECTORS, ours, strict=True):
        bands = case["minhash_buckets"]
        assert found == (None if bands is None else [value for band in bands for value in band]), case["name"]


def test_the_hash_family_is_datatroves():
    factors, addends = hash_family(MinHashParams())

    assert factors[:3].tolist() == [775169054918279404, 1758426461858698313, 2109959069025162]
    assert addends[:3].tolist() == [1062448801025099917, 1324811268927594100, 1217488311597731462]


def test_both_hashes_are_the_published_functions_at_every_length():
    data = np.frombuffer(bytes(range(256)) * 2, np.uint8)
    schedule = np.empty(80, np.uint32)

    for size in range(200):
        text = bytes(data[3 : 3 + size])
        assert xxh64(data, 3, 3 + size) == xxhash.xxh64_intdigest(text)
        assert sha1(data, 3, 3 + size, schedule) == int.from_bytes(hashlib.sha1(text).digest()[:8], "little")


def test_every_character_is_simplified_as_datatrove_does_it():
    codes = [*range(1, 0xD800), *range(0xE000, 0x32000), *range(0xE0000, 0xE0200)]
    pieces = [f"x{chr(code)}1{chr(code)}" for code in codes]
    texts = ["".join(pieces[first : first + 16]) for first in range(0, len(pieces), 16)]
    batch = Batch.from_texts(texts)

    data, offsets = normalised(batch.data, batch.offsets)

    for row, text in enumerate(texts):
        assert bytes(data[offsets[row] : offsets[row + 1]]).decode().strip() == simplify_text(text) == simplify(text)
    sizes = np.array([len(chr(code).encode()) for code in codes])
    assert (np.diff(table().starts)[codes] <= MAX_GROWTH * sizes).all()


@examples(100, many=500)
def test_made_text_has_the_signature_that_datatrove_gives_it(examples: int, signing: MinhashDedupSignature):
    def alike(text: str) -> None:
        assert our_signatures([text], SHA1) == [their_signature(signing, text)]

    hold(alike, page_texts(), examples=examples)


def test_real_text_has_the_signature_that_datatrove_gives_it(docstrings: list[str], signing: MinhashDedupSignature):
    texts = docstrings[:400]

    assert our_signatures(texts, SHA1) == [their_signature(signing, text) for text in texts]


def test_the_same_documents_survive_as_after_datatroves_four_steps(docstrings: list[str], tmp_path: Path):
    texts = _with_near_copies(docstrings[:150])
    bounds = [0, len(texts) // 3, len(texts) // 2, len(texts)]
    ranks = [texts[first:end] for first, end in itertools.pairwise(bounds)]
    theirs = _survivors(ranks, tmp_path)

    for num_parts in (1, 4):
        scratch = tmp_path / f"scratch{num_parts}"
        found = gather(MinHashDedup(params=SHA1), parts_of(texts, num_parts=num_parts), scratch=scratch)
        ours = [row for row, gone in enumerate(found.column("is_duplicate")) if not gone]
        assert [texts[row] for row in ours] == theirs
        assert len(theirs) < len(texts)


def _with_near_copies(texts: list[str]) -> list[str]:
    draw = rng.generator(5, "near copies")
    copies = []
    for text in texts:
        for _ in range(int(draw.integers(0, 4))):
            words = text.split(" ")
            for place in draw.integers(0, len(words), len(words) // 25):
                words[int(place)] = "changed"
            copies.append(" ".join(words))
    mixed = [*texts, *copies, "a b c", "x"]
    return [mixed[place] for place in draw.permutation(len(mixed))]


def _survivors(ranks: list[list[str]], folder: Path) -> list[str]:
    """Run datatrove's four steps, one rank for each list of texts."""

    def documents(rank: int) -> list[Document]:
        return [Document(text=text, id=str(index)) for index, text in enumerate(ranks[rank])]

    signatures, buckets, clusters = (str(folder / name) for name in ("signatures", "buckets", "clusters"))
    for rank in range(len(ranks)):
        step = MinhashDedupSignature(output_folder=signatures, config=CONFIG)
        step.run(documents(rank), rank=rank, world_size=len(ranks))
    for bucket in range(CONFIG.num_buckets):
        step = MinhashDedupBuckets(input_folder=signatures, output_folder=buckets, config=CONFIG)
        step.run(None, rank=bucket, world_size=CONFIG.num_buckets)
    MinhashDedupCluster(input_folder=buckets, output_folder=clusters, config=CONFIG).run(None, 0, 1)
    kept = MinhashDedupFilter(input_folder=clusters)
    return [document.text for rank in range(len(ranks)) for document in kept.run(documents(rank), rank=rank)]
