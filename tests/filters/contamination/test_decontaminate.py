"""Decontamination: which runs count, what is reported, and what is read as an evaluation set."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest

from filters.contamination.decontaminate import Decontaminate, DecontaminateParams
from filters.contamination.evaluation_items import Item, read_items
from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import write_table
from pipeline.core.text.batch import Batch
from tests.timing import slowness

LONG = "Which of these gases do plants take in from the air when they make sugar with the help of light?"
SHORT = "The mitochondrion is the powerhouse of the cell"  # 8 words
TINY = "What is the capital of France?"


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    path = tmp_path / "quiz.jsonl"
    rows = [{"id": "long", "text": LONG}, {"text": SHORT}, {"id": 3, "text": TINY}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prepared(*paths: Path, **parameters: object) -> Decontaminate:
    against = {"against": [str(path) for path in paths]}
    step = Decontaminate(params=DecontaminateParams.parse({**against, **parameters}))
    step.prepare({"against": list(paths)})
    return step


def measured(step: Decontaminate, texts: list[str]) -> dict[str, list[object]]:
    return {
        name: pa.array(values).to_pylist() for name, values in step.measure(Batch.from_texts(texts)).signals.items()
    }


def test_a_copied_run_is_found_whatever_its_typography(evaluation: Path) -> None:
    copy = "So I asked: WHICH of these *gases* do\nplants take-in from the air, when they make sugar? Nobody knew."

    found = measured(prepared(evaluation), ["nothing to see here", copy, "", "Prefix. " + LONG])

    assert found["overlap"] == [0, 3, 0, 8]
    assert found["item"] == [None, "long", None, "long"]
    assert found["excerpt"][1] == "WHICH of these *gases* do\nplants take-in from the air, when they make sugar"
    assert found["excerpt"][3] == LONG.rstrip("?")
    assert found["overlap_fraction"] == pytest.approx([0, 15 / 20, 0, 20 / 21])


def test_twelve_words_are_not_enough(evaluation: Path) -> None:
    twelve = " ".join(LONG.split()[:12])

    assert measured(prepared(evaluation), [twelve])["overlap"] == [0]
    assert measured(prepared(evaluation, ngram=12), [twelve])["overlap"] == [1]


def test_short_items_count_only_whole_and_tiny_ones_never(evaluation: Path) -> None:
    texts = [f"We learnt that {SHORT.lower()}, and more.", SHORT.replace("cell", "home"), TINY]

    found = measured(prepared(evaluation), texts)

    assert found["overlap"] == [1, 0, 0]
    assert found["item"] == ["quiz.jsonl:2", None, None]
    assert found["excerpt"] == [SHORT.lower(), None, None]
    assert measured(prepared(evaluation, min_item_words=6), texts)["item"][2] == "3"


def test_the_first_run_names_the_item_and_the_fraction_counts_each_word_once(evaluation: Path) -> None:
    found = measured(prepared(evaluation), [f"{SHORT}. {LONG} {LONG}"])

    assert found["overlap"] == [17]
    assert found["item"] == ["quiz.jsonl:2"]
    assert found["overlap_fraction"] == [1.0]


def test_the_first_item_with_a_run_owns_it(tmp_path: Path) -> None:
    path = tmp_path / "twice.txt"
    path.write_text(f"\n{LONG} First.\n{LONG} Second.\n")

    assert measured(prepared(path), [LONG])["item"] == ["twice.txt:2"]


def test_excerpts_are_bounded(evaluation: Path, tmp_path: Path) -> None:
    text = " ".join(f"w\u00f6rd{index}" for index in range(5000))
    path = tmp_path / "book.parquet"
    write_table(path, pa.table({"id": ["book"], "text": [text]}))

    found = measured(prepared(evaluation, path), [text])

    assert found["overlap"] == [4988]
    assert found["excerpt"][0] == text[:300]


def test_max_overlap_only_decides(evaluation: Path) -> None:
    params = DecontaminateParams.parse({"against": [str(evaluation)], "max_overlap": 5})

    (rule,) = Decontaminate(params=params).rules(quantile=lambda signal, fraction: 0.0)

    assert (rule.name, rule.signal, rule.op, rule.threshold) == ("contaminated", "overlap", "<=", 5)
    assert params.of_role("measure") == {}


def test_batches_do_not_show(evaluation: Path) -> None:
    step = prepared(evaluation)
    texts = [SHORT, "", LONG, "plain", f"{TINY} {LONG}"]

    together = measured(step, texts)
    alone = [measured(step, [text]) for text in texts]

    assert all(together[name] == [one[name][0] for one in alone] for name in together)


def test_every_kind_of_file_is_read(tmp_path: Path) -> None:
    questions = {"id": "q1", "question": {"stem": "Why?", "choices": [{"text": "Because"}]}, "answer": "A"}
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(questions).encode() + b"\n\n" + b'{"text": "t"}'))
    (tmp_path / "b.txt").write_text("one\n\nthree\n")
    write_table(tmp_path / "c.parquet", pa.table({"text": ["x", None, "y"]}))

    items = read_items([tmp_path / name for name in ("a.jsonl.gz", "b.txt", "c.parquet")])

    assert items == [
        Item("q1", "Why?\nBecause\nA"), Item("a.jsonl.gz:3", "t"), Item("b.txt:1", "one"), Item("b.txt:3", "three"),
        Item("c.parquet:1", "x"), Item("c.parquet:3", "y"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"a,b", "is not an evaluation set that Tamis reads"),
        ("x.jsonl", b'{"text": "fine"}\n{oops\n', r"x.jsonl:2: is not JSON"),
        ("x.jsonl", b"[1]\n", "x.jsonl:1: is not an object"),
        ("x.txt", b"\xff\xfe", "is not UTF-8 text"),
        ("x.jsonl.gz", b"not gzip", "x.jsonl.gz: cannot be read"),
        ("x.txt", b"too short\n", "holds 1 items, none of 8 words or more"),
    ],
)
def test_unusable_sets_are_explained(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(DataError, match=message):
        prepared(path)


def test_a_parquet_file_without_text_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_table(path, pa.table({"question": ["a"]}))

    with pytest.raises(DataError, match=r"has no column `text` \(it has question\)"):
        prepared(path)


@pytest.mark.parametrize("piece", ["x", "a ", f"{LONG} "])
def test_time_grows_with_the_text_whatever_it_says(evaluation: Path, piece: str) -> None:
    step = prepared(evaluation)

    assert not slowness(lambda size: measured(step, [piece * (size // len(piece))]))
