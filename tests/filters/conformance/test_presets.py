from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.catalog import STEPS
from tests.conftest import ROOT

pytest.importorskip("spacy", reason="datatrove's words are spaCy's: pip install -e '.[conformance]'")

from filters.conformance.chains import PRESETS
from filters.conformance.spacy.words import spacy_words
from pipeline.core.step import Step
from pipeline.core.text.batch import Batch
from pipeline.recipe.names import step_class
from tests.filters.conformance.real import chain, sample
from tests.filters.conformance.texts import page_texts
from tests.filters.conformance.theirs import PAIRS, Pair, differences, judged_by_us
from tests.samples import examples, few_and_many, hold

VECTORS = json.loads((ROOT / "tests" / "cases" / "datatrove-0.10.1.json").read_text(encoding="utf-8"))["cases"]
NAMES = [pair.key for pair in PAIRS]


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_verdicts_and_first_reasons_are_those_of_the_golden_vectors(pair: Pair):
    judged = judged_by_us(pair.ours(), Batch.from_texts([case["text"] for case in VECTORS]))

    assert judged.verdicts == [case[pair.key][1] for case in VECTORS]


def test_words_are_those_of_the_golden_vectors():
    batch = Batch.from_texts([case["text"] for case in VECTORS])
    words, data = spacy_words(batch), batch.data.tobytes()

    for row, case in enumerate(VECTORS):
        first, end = words.doc_offsets[row : row + 2]
        tokens = [
            data[words.starts[index] : words.ends[index]].decode() for index in range(first, min(end, first + 40))
        ]
        assert (end - first, tokens) == (case["n_words"], case["words"][:40])


@examples(200, many=2000)
def test_no_verdict_reason_or_text_differs_on_made_text(examples: int):
    def alike(text: str) -> None:
        for pair in PAIRS:
            assert not differences(pair, [text])

    hold(alike, page_texts(), examples=examples)


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_no_verdict_reason_or_text_differs_on_real_text(pair: Pair, docstrings: list[str]):
    """On some; `python -m tests.filters.conformance.real` compares 20,000 documents."""
    for start in range(0, 750, 250):
        assert not differences(pair, docstrings[start : start + 250])


@few_and_many("documents", 60, 400)
def test_the_chain_of_filters_ends_with_the_same_text_on_installed_documentation(documents: int):
    """Each filter sees what the one before wrote; `python -m tests.filters.conformance.real` does it for all."""
    assert not chain(sample(documents, packages=("numpy", "pydantic", "xxhash"))).differences


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        (PAIRS[2], "One two three \u0130 use coo\u212aies here.\n" * 2 + "A b c. D e f. G h i. J k l. M n o."),
        (PAIRS[2], "A sentence stands here. [1] [2]\nAnother one stands there.  [\u0663]\n[1] [2] [3]"),
        (PAIRS[3], "[1] [2] [3]\n" * 5),
        (PAIRS[3], "say {x} now\nlorem ipsum dolor"),
        (PAIRS[3], "lorem ipsum dolor\nsay {x} now"),
        (PAIRS[3], "javascript lorem ipsum dolor {"),
        (PAIRS[3], "one two three.  four five.\u00a0six\x1fseven! eight?"),
        (PAIRS[0], "abc de f g h. " * 3 + "ab cde fgh"),
        (PAIRS[0], "\n\n"),
        (PAIRS[5], "\u3000\n \r\n"),
    ],
)
def test_corners_of_the_definitions_are_kept(pair: Pair, text: str):
    assert not differences(pair, [text])


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(st.tuples(st.sampled_from("a\u00e9\u4e2d\U0001f600\r"), st.integers(0, 260)), max_size=8))
def test_the_third_longest_line_is_counted_in_characters_wherever_its_bytes_stand(lines: list[tuple[str, int]]):
    texts = ["\n".join(character * (size + more) for character, size in lines) for more in range(3)]

    found = PAIRS[4].ours().measure(Batch.from_texts(texts)).signals["third_longest_line"]

    thirds = [sorted((len(line) for line in text.split("\n")), reverse=True)[2:3] for text in texts]
    assert found.tolist() == [third[0] if third else -1 for third in thirds]


def test_thresholds_do_what_theirs_do(docstrings: list[str]):
    from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter

    pairs = (
        Pair(
            "gopher_quality", "",
            lambda: GopherQualityFilter(min_doc_words=5, max_avg_word_length=None, min_stop_words=0),
            {"min_words": 5, "max_mean_word_length": None, "min_stop_words": 0},
        ),
        Pair(
            "c4_quality", "",
            lambda: C4QualityFilter(
                max_word_length=20, min_words_per_line=0, filter_curly_bracket=False, min_num_sentences=-1,
                filter_no_terminal_punct=False, remove_citations=False, filter_policy=False, filter_javascript=False,
            ),
            {
                "max_word_length": 20, "min_words_per_line": 0, "curly_bracket": "keep", "min_sentences": 0,
                "terminal_punctuation": False, "citations": "keep", "policy": "keep", "javascript": "keep",
            },
        ),
        Pair(
            "fineweb_quality", "", lambda: FineWebQualityFilter(line_punct_exclude_zero=True, short_line_length=60),
            {"line_punct_exclude_zero": True, "short_line_length": 60},
        ),
    )  # fmt: skip

    for pair in pairs:
        assert not differences(pair, docstrings[:300])


def test_every_step_of_a_preset_exists_and_takes_its_parameters():
    for steps in PRESETS.values():
        for name, params in steps:
            kind: type[Step] = step_class(name)
            assert kind.name == name and kind.Params.parse(params) is not None
            assert name in STEPS
