"""A dataset on its way: edits applied, dropped documents left out, files for other documents refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError
from pipeline.core.files.parquet.shards import write_table
from pipeline.core.step import Rule
from pipeline.core.text.cut import FEW_DOCUMENTS, RANGES
from pipeline.store.dataset.chain import (
    ERROR,
    KEPT,
    TEXT,
    BasePart,
    Chain,
    ChainReader,
    Link,
    check_ids,
    faults,
    ids_digest,
    passing,
    write_signals,
)


def documents(ids: list[str]) -> pa.Table:
    rows = [
        {"id": name, "text": f"text of {name}", "source": "s", "origin": "human", "lineage": "[]", "metadata": "{}"}
        for name in ids
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.fixture
def base(tmp_path: Path) -> BasePart:
    path = tmp_path / "base.parquet"
    write_table(path, documents(["a", "b", "c", "d"]))
    return BasePart(index=0, path=path, num_rows=4)


def link(folder: Path, columns: dict, *, ids: list[str], rules=(), edits=False, label="step") -> Link:
    folder.mkdir(exist_ok=True)
    made = Link(label=label, folder=folder, rules=tuple(rules), edits=edits)
    errors = columns.pop(ERROR, [None] * len(ids))
    arrays = {name: pa.array(values) for name, values in columns.items()}
    write_signals(made.file(0), {**arrays, ERROR: pa.array(errors, pa.string())}, ids=pa.array(ids))
    return made


IDS = ["a", "b", "c", "d"]


def test_a_document_lives_while_it_passes_every_rule_and_breaks_no_step(tmp_path, base):
    first = link(tmp_path / "1", {"x": [1.0, 0.0, 1.0, 1.0]}, ids=IDS, rules=[Rule("r", "x", ">", 0)])
    second = link(tmp_path / "2", {"y": [1, 1, 1, 1], ERROR: [None, None, "ValueError: no", None]}, ids=IDS)

    reader = ChainReader(base=base, links=(first, second))

    assert reader.alive().tolist() == [True, False, False, True]
    assert reader.load(("id",)).column("id").to_pylist() == ["a", "d"]


def test_who_breaks_a_step_and_who_fails_each_of_its_rules_is_told_apart(tmp_path, base):
    rules = [Rule("r", "x", ">", 0), Rule("s", "y", "<", 3)]
    columns = {"x": [1.0, 0.0, np.nan, 1.0], "y": [1, 5, 1, 3], ERROR: [None, None, "ValueError: no", None]}
    made = link(tmp_path / "1", columns, ids=IDS, rules=rules)

    found = faults(made, base, digest=ids_digest(pa.array(IDS)))

    assert found.tolist() == [[False, False, True, False], [False, True, False, False], [False, True, False, True]]
    assert passing(made, base).tolist() == [True, False, False, False]


def test_what_is_remembered_of_a_step_is_refused_for_other_documents(tmp_path, base):
    made = link(tmp_path / "1", {"x": [1.0, 0.0, 1.0, 1.0]}, ids=IDS, rules=[Rule("r", "x", ">", 0)])
    passing(made, base)

    assert faults(made, base, digest=ids_digest(pa.array(IDS)))[1].tolist() == [False, True, False, False]
    with pytest.raises(DataError, match=r"part-00000\.parquet: belongs to other documents"):
        faults(made, base, digest=ids_digest(pa.array(["a", "b", "d", "c"])))


def test_a_file_that_was_written_anew_is_judged_anew(tmp_path, base):
    rules = [Rule("r", "x", ">", 0)]
    passing(link(tmp_path / "1", {"x": [1.0, 0.0, 1.0, 1.0]}, ids=IDS, rules=rules), base)

    again = link(tmp_path / "1", {"x": [0.0, 1.0, 1.0, 1.0]}, ids=IDS, rules=rules)

    assert passing(again, base).tolist() == [False, True, True, True]


def test_edits_are_applied_in_order_and_untouched_texts_stay(tmp_path, base):
    text = pa.large_string()
    first = link(tmp_path / "1", {TEXT: pa.array([None, "B1", "C1", None], text)}, ids=IDS, edits=True)
    second = link(tmp_path / "2", {TEXT: pa.array([None, None, "C2", "D2"], text)}, ids=IDS, edits=True)

    loaded = ChainReader(base=base, links=(first, second)).load_all(("text", "id"))

    assert loaded.column_names == ["text", "id"]
    assert loaded.column("text").to_pylist() == ["text of a", "B1", "C2", "D2"]


def test_signals_of_earlier_steps_are_read_by_the_name_of_the_step(tmp_path, base):
    made = link(tmp_path / "1", {"x": [4.0, 3.0, 2.0, 1.0]}, ids=IDS, rules=[Rule("r", "x", ">", 2)], label="size")

    assert ChainReader(base=base, links=(made,)).load_signals(["size.x"]).to_pydict() == {"size.x": [4.0, 3.0]}


def test_a_signal_of_no_earlier_step_is_named(tmp_path, base):
    made = link(tmp_path / "1", {"x": [1.0] * 4}, ids=IDS, label="size")

    with pytest.raises(DataError, match=r"no earlier step `quality`.*size"):
        ChainReader(base=base, links=(made,)).load_signals(["quality.score"])


def test_edits_made_for_other_documents_are_refused(tmp_path, base):
    other = link(tmp_path / "1", {TEXT: pa.array(["x"] * 4, pa.large_string())}, ids=["a", "b", "d", "c"], edits=True)

    with pytest.raises(DataError, match=r"part-00000\.parquet: belongs to other documents"):
        ChainReader(base=base, links=(other,)).load_all(("text",))


def test_a_signals_file_without_a_digest_is_refused(tmp_path):
    write_table(tmp_path / "x.parquet", pa.table({"error": pa.nulls(1, pa.string())}))

    with pytest.raises(DataError, match="belongs to other documents"):
        check_ids(tmp_path / "x.parquet", pa.chunked_array([["a"]]))


@given(ids=st.lists(st.text(max_size=4), max_size=8), cut=st.integers(0, 8))
def test_the_digest_of_ids_does_not_depend_on_chunks_or_slices(ids, cut):
    whole = pa.array(ids, pa.string())
    chunked = pa.chunked_array([whole[:cut], whole[cut:]], type=pa.string())
    sliced = pa.array(["before", *ids, "after"], pa.string())[1:-1]

    assert ids_digest(whole) == ids_digest(chunked) == ids_digest(sliced)


@pytest.mark.parametrize("other", [["b", "a"], ["ab"], ["a", "b", ""], ["a"], [], ["a", "B"]])
def test_other_ids_have_another_digest(other):
    assert ids_digest(pa.array(["a", "b"])) != ids_digest(pa.array(other, pa.string()))


def test_a_target_share_is_a_quantile_of_those_alive_before_the_step(tmp_path, base):
    first = link(tmp_path / "1", {"x": [1.0, 0.0, 1.0, 1.0]}, ids=IDS, rules=[Rule("r", "x", ">", 0)])
    score = link(tmp_path / "2", {"score": [0.1, 99.0, 0.2, np.nan]}, ids=IDS)

    quantile = Chain(base=(base,), links=(first,)).quantile_of(score.folder)

    assert quantile("score", 1.0) == 0.2  # not 99, which was dropped before, and not NaN
    assert quantile("score", 0.5) == 0.2


def test_parts_count_only_the_living(tmp_path, base):
    made = link(tmp_path / "1", {"x": [1.0, 0.0, 0.0, 0.0]}, ids=IDS, rules=[Rule("r", "x", ">", 0)])

    (part,) = Chain(base=(base,), links=(made,)).parts()

    assert part.num_rows == 1
    assert part.batch().strings() == ["text of a"]


def test_a_few_rows_are_cut_as_all_rows_are(tmp_path: Path):
    """Few are cut without kernels, which take longer to load than to cut five examples."""
    ids = [f"d{number} \N{SNOWMAN}" for number in range(FEW_DOCUMENTS + 10)]
    path = tmp_path / "base.parquet"
    write_table(path, documents(ids))
    reader = BasePart(index=0, path=path, num_rows=len(ids))
    sizes = [len(f"text of {name}".encode()) for name in ids]
    ranges = [(None, [size], [size, 0, 4, 8, 8 + row % 4])[row % 3] for row, size in enumerate(sizes)]
    chain = ChainReader(
        base=reader, links=(link(tmp_path / "cut", {KEPT: pa.array(ranges, RANGES)}, ids=ids, edits=True),)
    )
    everything = chain.load_all(("id", "text"))

    for few in ([], [3], list(range(FEW_DOCUMENTS)), list(range(5, FEW_DOCUMENTS + 9))):
        assert (
            chain.load_rows(("id", "text"), few).to_pylist() == everything.take(pa.array(few, pa.int64())).to_pylist()
        )
    assert everything.column("text").to_pylist()[:3] == ["text of d0 \N{SNOWMAN}", "", "textd2"]


def test_a_cut_of_another_text_is_an_error_and_reads_no_foreign_memory(tmp_path: Path):
    path = tmp_path / "base.parquet"
    write_table(path, documents(["a", "b"]))
    stale = pa.array([[300, 0, 12], None], RANGES)  # as a helper of an earlier step left it, before it was edited
    links = (link(tmp_path / "cut", {KEPT: stale}, ids=["a", "b"], edits=True),)

    with pytest.raises(DataError, match="Delete the folders of the steps that edit it"):
        ChainReader(base=BasePart(index=0, path=path, num_rows=2), links=links).load_all(("id", "text"))
