"""The presets @datatrove-0.10 beside the filters that they stand for, and where the two differ on the same documents.

A preset works on text in memory, and the chain of four from parquet to stored signals. Every repeat starts cold: no
word found before is kept, and nothing that spaCy ever answered. Ours measures every rule of every document. datatrove's
filters run as its pipeline runs them, and stop at the first rule that fails. Answers are compared in the same run:
verdict, first reason and text of every document, or its signature; there must be no difference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipeline.engine.measure import StepRef, measure_batch, prepared
from tests.benchmarks import curation, rivals
from tests.benchmarks.clock import Work
from tests.benchmarks.corpus import Text
from tests.benchmarks.curation import Place

Maker = Callable[[Text, Place], Work]
LISTED_WORDS = 400  # as many as LDNOOBW has for English
FEWEST_TO_KNOW = 2000  # documents that the words of the list are taken from


@dataclass(frozen=True, slots=True)
class Preset:
    """One row: our work, datatrove's, and a count of the differences between what they answer."""

    name: str
    ours: Maker
    rival: Maker
    differences: Callable[[Text, Place], int]


def presets() -> list[Preset]:
    """Return every preset that is measured, the chain first."""
    chain = curation.fused("conforming_chain", *curation.PRESETS)
    return [
        Preset("conforming_chain", cold(chain), rivals.rival_pass, partial(differences, "chain of four filters")),
        _filter("gopher_repetition", "gopher_repetition", rivals.rival_filter("GopherRepetitionFilter")),
        _filter("gopher_quality", "gopher_quality", rivals.rival_filter("GopherQualityFilter")),
        _filter("c4_quality", "c4_fineweb", rivals.rival_filter("C4QualityFilter", filter_no_terminal_punct=False)),
        _filter("c4_paragraph", "c4_paragraph", rivals.rival_filter("C4ParagraphFilter")),
        Preset("conforming_c4_badwords", listed_words, rival_listed_words, listed_words_differences),
        _filter("fineweb_quality", "fineweb", rivals.rival_filter("FineWebQualityFilter")),
        _filter("pii", "pii", rivals.rival_filter("PIIFormatter")),
        Preset(
            "conforming_minhash", cold(signatures), rivals.rival_signatures_alone,
            partial(differences, "minhash signatures (sha1)"),
        ),
    ]  # fmt: skip


def _filter(name: str, key: str, rival: Maker) -> Preset:
    ours = cold(curation.rule_set(f"{name}@datatrove-0.10"))
    return Preset(f"conforming_{name}", ours, rival, partial(differences, key))


def cold(maker: Maker) -> Maker:
    """Return the maker of work that begins without any word or answer of spaCy's from before."""

    def make(text: Text, place: Place) -> Work:
        work = maker(text, place)

        def before() -> None:
            from filters.conformance.spacy.words import LATEST, MEMORY

            LATEST.words = None
            MEMORY.answers.clear()
            work.before()

        return replace(work, before=before)

    return make


def differences(key: str, text: Text, place: Place) -> int:
    """Count the documents whose answers differ in one of the comparisons of tests/filters/conformance/real.py."""
    from tests.filters.conformance.real import comparisons

    return len(comparisons()[key](text.strings()).differences)


def signatures(text: Text, place: Place) -> Work:
    """Compute datatrove's MinHash signatures of text in memory."""
    from filters.conformance.minhash import MinHashParams, signatures_of

    def run() -> None:
        for batch in text.batches():
            signatures_of(batch, params=MinHashParams(hash="sha1"))

    return _work("conforming_minhash", run, text)


def listed_words(text: Text, place: Place) -> Work:
    """Look for the words of a list."""
    step = _listed_words(_list_of_words(text, place))

    def run() -> None:
        for batch in text.batches():
            measure_batch(step, batch)

    return _work("conforming_c4_badwords", run, text)


def rival_listed_words(text: Text, place: Place) -> Work:
    """Let datatrove look for them; it would download a list, and is given ours."""
    work = rivals.rival_filter("C4BadWordsFilter")(text, place)
    return replace(work, run=lambda: _with_our_list(_list_of_words(text, place), work.run))


def listed_words_differences(text: Text, place: Place) -> int:
    """Count the documents whose verdict or reason differs."""
    from pipeline.core.text.batch import Batch
    from tests.filters.conformance.theirs import compare, judged_by_them, judged_by_us

    path, strings = _list_of_words(text, place), text.strings()
    ours = judged_by_us(_listed_words(path), Batch.from_texts(strings))
    their_filter = import_module("datatrove.pipeline.filters").C4BadWordsFilter()
    theirs = _with_our_list(path, lambda: judged_by_them(their_filter, strings))
    return len(compare("c4_badwords", strings, ours=ours, theirs=theirs))


def _listed_words(path: Path) -> Any:
    inputs = (("words", (str(path),)),)
    ref = StepRef(name="c4_badwords@datatrove-0.10", params='{"words": ["words"]}', inputs=inputs, identity="words")
    return prepared(ref)


def _list_of_words(text: Text, place: Place) -> Path:
    """Write, once, words of the text that are rare in it, as such words are on the web."""
    path = place.folder / "words.txt"
    if not path.exists():
        found = Counter(re.findall(r"[a-z]{4,12}", " ".join(text.strings()[:FEWEST_TO_KNOW]).lower()))
        rare = sorted(word for word, count in found.items() if count == 1)
        path.write_text("\n".join(rare[:: max(1, len(rare) // LISTED_WORDS)][:LISTED_WORDS]) + "\n", encoding="utf-8")
    return path


def _with_our_list(path: Path, run: Callable[[], Any]) -> Any:
    place = "datatrove.pipeline.filters.c4_filters.cached_asset_path_or_download"
    with patch(place, lambda *where, **how: str(path)):
        return run()


def _work(name: str, run: Callable[[], object], text: Text) -> Work:
    return Work(name=name, run=run, num_documents=text.num_documents, size_bytes=text.size_bytes)
