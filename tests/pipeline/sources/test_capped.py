"""`max_documents` and `max_bytes` on a source: the first documents up to the cap, each source with its own."""

from __future__ import annotations

import json
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.sources.texts.jsonl import JsonlReader
from tests.pipeline.house import House, texts


def test_each_source_of_a_dataset_ends_at_its_own_cap_and_its_card_tells(house: House) -> None:
    rows = "".join(json.dumps({"text": said}) + "\n" for said in texts(30))
    (house.folder / "a.jsonl").write_text("no json\n" + rows + 9 * "nor this\n", encoding="utf-8")
    for number in range(2):
        said: list[str | None] = [*texts(20, start=100 + 20 * number), *([None] * 4 if number else [])]
        pq.write_table(pa.table({"text": said}), house.folder / f"p{number}.parquet", row_group_size=25)
    expected = texts(40, start=100)
    sizes = list(accumulate(len(said.encode()) for said in expected))
    house.write(
        "sources:\n  lines: {read: jsonl, path: DIR/a.jsonl, max_documents: 0.007k}\n"
        f"  rows: {{read: parquet, path: 'DIR/p*.parquet', max_bytes: {sizes[24]}}}\n"
        "  drawn: {read: parquet, path: 'DIR/p*.parquet', max_bytes: 1kB, sample: 0.5}\n"
        "datasets:\n  both: {from: [lines, rows]}\n  less: {from: drawn}\n".replace("DIR", str(house.folder))
    )
    house.run()

    assert [row["text"] for row in house.documents("both")] == texts(7) + expected[:25]
    assert house.card("lines").rows_in == 8 and house.card("lines").quarantined == {"not_json": 1}
    assert house.card("rows").details["notes"] == [
        f"Holds the first 25 documents, {sizes[24]:,} bytes of text (max_bytes: {sizes[24]:,})."
    ]
    drawn = [row["text"] for row in house.documents("less")]
    assert 0 < sum(len(said.encode()) for said in drawn) <= 1000 and set(drawn) < set(expected)
    assert drawn == [said for said in expected if said in drawn]
    assert house.card("drawn").payload["params"] == {"max_bytes": 1000, "sample": 0.5}
    assert house.card("rows").quarantined == {} and house.card("rows").rows_in == 25
    assert not house.plan().to_build


def test_a_cap_below_the_first_document_is_told_as_such(house: House) -> None:
    house.lines("a.jsonl", texts(3))
    house.clean([], source="{read: jsonl, path: DIR/a.jsonl, max_bytes: 1}")

    with pytest.raises(DataError, match=r"no document fits into max_bytes: 1; the first one must. Raise it"):
        house.run()


@pytest.mark.parametrize("cap", ["max_bytes: 2G", "max_bytes: 0", "max_documents: 1.5", "max_bytes: 2.5"])
def test_a_cap_that_is_no_number_of_documents_or_bytes_is_refused(house: House, cap: str) -> None:
    (house.folder / "a.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=rf"sources.docs.{cap.partition(':')[0]} is"):
        house.clean([], source=f"{{read: jsonl, path: DIR/a.jsonl, {cap}}}")
        house.plan()


def test_a_source_without_a_cap_keeps_its_identity() -> None:
    params = JsonlReader.Params.parse({"path": "a.jsonl"})
    assert params.model_dump(exclude_defaults=True) == {"path": "a.jsonl"} and params.takes_all
    assert JsonlReader.Params.parse({"path": "a", "max_bytes": "1.5GB"}).max_bytes == 1_500_000_000
