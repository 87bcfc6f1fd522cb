"""datatrove's own filters and MinHash, and rensa's signatures, on the same documents in this process.

No worker, no executor, no log. datatrove's filters get documents that are already Python objects; its pass and its
MinHash read parquet themselves and write what they keep, as ours do. Its MinHash hashes with sha1, as in FineWeb's own
pipeline: xxhash, its default, refuses strings since version 4 (datatrove 0.10.1, `utils/hashes/xxhash.py`). A rival
that is not installed is absent, and nothing is said of its speed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

from tests.benchmarks.clock import Work
from tests.benchmarks.corpus import Text
from tests.benchmarks.curation import Place
from tests.benchmarks.machine import installed

DATATROVE = ("datatrove", "spacy", "regex", "tokenizers")  # what the extra [conformance] brings
RENSA = ("rensa",)  # of the extra [dev]
BUCKETS = 14
SHINGLE_WORDS = 5


def missing(packages: Sequence[str]) -> str:
    """Return why the rival is absent, or nothing."""
    lacking = [name for name in packages if installed(name) is None]
    way = "pip install fasttext-wheel" if "fasttext-wheel" in lacking else "extras [conformance] and [dev]"
    return f"{', '.join(lacking)} not installed ({way})" if lacking else ""


def rival_filter(name: str, **settings: Any) -> Callable[[Text, Place], Work]:
    """Return the maker of one filter's, or formatter's, work."""

    def make(text: Text, place: Place) -> Work:
        step = _filter(name, **settings)
        documents: list[Any] = []

        def before() -> None:  # C4 rewrites a document in place
            documents[:] = _documents(text)

        return _work(f"datatrove {name}", lambda: _exhaust(step.run(iter(documents), 0, 1)), text, before=before)

    return make


def rival_pass(text: Text, place: Place) -> Work:
    """Chain FineWeb's four filters, parquet in, kept documents out as parquet."""
    writers = import_module("datatrove.pipeline.writers")
    filters = [
        _filter("GopherRepetitionFilter"),
        _filter("GopherQualityFilter"),
        _filter("C4QualityFilter", filter_no_terminal_punct=False),
        _filter("FineWebQualityFilter"),
    ]
    output = place.folder / "rival_pass"

    def run() -> None:
        documents = _reader(text).run(None, 0, 1)
        for step in filters:
            documents = step.run(documents, 0, 1)
        _exhaust(writers.ParquetWriter(str(output), compression="zstd").run(documents, 0, 1))

    return _work("datatrove: its four FineWeb filters", run, text, before=lambda: place.fresh("rival_pass"))


def rival_signatures(text: Text, place: Place) -> Work:
    """Run stage 1 of MinHash: signatures of all documents, sorted and written."""
    stages = _stages()
    output = place.folder / "rival_signatures"

    def run() -> None:
        stages.MinhashDedupSignature(str(output), config=_config(stages)).run(_reader(text).run(None, 0, 1), 0, 1)

    return _work("datatrove: MinHash stage 1", run, text, before=lambda: place.fresh("rival_signatures"))


def rival_signatures_alone(text: Text, place: Place) -> Work:
    """Compute signatures of text in memory, nothing sorted and nothing written."""
    stages = _stages()
    stage = stages.MinhashDedupSignature(str(place.folder / "rival_signatures"), config=_config(stages))
    strings = text.strings()

    def run() -> None:
        for string in strings:
            shingles = stage.get_shingles(string)
            if shingles.size:
                stage.get_signature(shingles)

    return _work("datatrove: MinHash signatures", run, text, before=lambda: None)


def rensa_signatures(text: Text, place: Place) -> Work:
    """Sign text in memory with rensa, which wants lists of tokens: shingles made in Python, as its users must."""
    strings = text.strings()
    return _work("rensa, shingles made in Python", lambda: _rensa(_shingles(strings)), text, before=lambda: None)


def rensa_ready(text: Text, place: Place) -> Work:
    """Sign with rensa shingles that were made before the clock started."""
    shingles = _shingles(text.strings())
    return _work("rensa, shingles ready made", lambda: _rensa(shingles), text, before=lambda: None)


def _shingles(strings: Sequence[str]) -> list[list[str]]:
    words = [string.lower().split() for string in strings]
    return [
        [" ".join(found[at : at + SHINGLE_WORDS]) for at in range(max(len(found) - SHINGLE_WORDS + 1, 1))]
        for found in words
    ]


def _rensa(shingles: list[list[str]]) -> None:
    import_module("rensa").RMinHash.digest_matrix_from_token_sets(shingles, BUCKETS * 8, 1)


def rival_minhash(text: Text, place: Place) -> Work:
    """Run all four stages of MinHash, kept documents written as parquet."""
    stages, writers = _stages(), import_module("datatrove.pipeline.writers")
    folder = place.folder / "rival_minhash"
    signed, paired, removed, kept = (str(folder / name) for name in ("signed", "paired", "removed", "kept"))

    def run() -> None:
        config = _config(stages)
        stages.MinhashDedupSignature(signed, config=config).run(_reader(text).run(None, 0, 1), 0, 1)
        for bucket in range(BUCKETS):
            stages.MinhashDedupBuckets(signed, paired, config=config).run(None, bucket, BUCKETS)
        stages.MinhashDedupCluster(paired, removed, config=config).run(None, 0, 1)
        documents = stages.MinhashDedupFilter(removed).run(_reader(text).run(None, 0, 1), 0, 1)
        _exhaust(writers.ParquetWriter(kept, compression="zstd").run(documents, 0, 1))

    return _work("datatrove: MinHash stages 1 to 4", run, text, before=lambda: place.fresh("rival_minhash"))


def _filter(name: str, **settings: Any) -> Any:
    _silence()
    module = "formatters" if name.endswith("Formatter") else "filters"
    return getattr(import_module(f"datatrove.pipeline.{module}"), name)(**settings)


def _stages() -> Any:
    _silence()
    return import_module("datatrove.pipeline.dedup.minhash")


def _config(stages: Any) -> Any:
    hashing = import_module("datatrove.utils.hashing").HashConfig(precision=64, hash_fc="sha1")
    return stages.MinhashConfig(hash_config=hashing, n_grams=SHINGLE_WORDS, num_buckets=BUCKETS, hashes_per_bucket=8)


def _reader(text: Text) -> Any:
    # without metadata: its parquet writer refuses documents whose metadata differ in keys
    readers = import_module("datatrove.pipeline.readers")
    return readers.ParquetReader(str(text.part.path.parent), glob_pattern="*.parquet", read_metadata=False)


def _documents(text: Text) -> list[Any]:
    kind = import_module("datatrove.data").Document
    return [
        kind(text=string, id=id)
        for ids, texts in text.pieces
        for id, string in zip(ids.to_pylist(), texts.to_pylist(), strict=True)
    ]


def _exhaust(documents: Iterable[Any]) -> None:
    for _ in documents:
        pass


def _silence() -> None:
    warnings.filterwarnings("ignore")
    import_module("loguru").logger.disable("datatrove")


def _work(name: str, run: Callable[[], object], text: Text, *, before: Callable[[], object]) -> Work:
    return Work(name=name, run=run, num_documents=text.num_documents, size_bytes=text.size_bytes, before=before)
