"""Files of the kinds that people have: what they hold is told from their bytes, and each has a reader."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.core.document import SCHEMA
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.reading.json_items import iterate_items
from pipeline.core.identity import hash_file
from pipeline.recipe.names import reader_class
from pipeline.sources.formats import Format, advice, format_of
from pipeline.sources.reader import Chunk, Reader
from tests.pipeline.house import House

PAGE = (
    b"<!DOCTYPE html><html><body><main><p>" + b"Rain falls when warm air rises and cools. " * 20 + b"</p></main></html>"
)


def pdf(text: str) -> bytes:
    """Return a PDF of one page, written by hand from the standard (ISO 32000)."""
    drawn = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
    ]  # fmt: skip
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return body + b"xref\n0 5\n0000000000 65535 f \n%strailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        table, len(body),
    )  # fmt: skip


def read(reader: Reader) -> Chunk:
    chunks = [chunk for piece in reader.slices() for chunk in reader.read(piece)]
    assert all(chunk.rows_in == chunk.table.num_rows + len(chunk.quarantined) for chunk in chunks)
    refused = tuple(row for chunk in chunks for row in chunk.quarantined)
    tables = [SCHEMA.empty_table(), *(chunk.table for chunk in chunks)]
    return Chunk(pa.concat_tables(tables), refused, sum(chunk.rows_in for chunk in chunks))


def reader(name: str, folder: Path, pattern: str, **params: Any) -> Reader:
    kind = reader_class(name)
    return kind(params=kind.Params.parse({"path": str(folder / pattern), **params}), source="mine", base=folder)


def arrow(table: pa.Table, *, stream: bool) -> bytes:
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


TABLE = pa.table({"text": ["one", "two"], "id": ["a", "b"], "n": [1, 2]})
KINDS: list[tuple[str, bytes, Format]] = [
    ("a.json", b'[{"text": "one"},\n {"text": "two"}]\n', "json"),
    ("a.json", b'{\n "text": "one"\n}\n', "json"),
    ("a.json", b'{"text": "one"}\n{"text": "two"}\n', "jsonl"),
    ("a.data", gzip.compress(b'\xef\xbb\xbf{"text": "one"}\n', mtime=0), "jsonl"),
    ("a.csv", b"text\none\n", "csv"),
    ("a.data", b"text\tid\none\t1\n", "csv"),
    ("a.txt", b"A story.\n\nIt ends.\n", "text"),
    ("a.data", b"PAR1\x15\nPAR1", "parquet"),
    ("a.data", arrow(TABLE, stream=False), "arrow"),
    ("a.data", arrow(TABLE, stream=True), "arrow"),
    ("a.htm", PAGE, "html"),
    ("a.data", pdf("Rain"), "pdf"),
    ("a.data", b"WARC/1.0\r\n", "warc"),
    ("a.bin", b"\x7fELF\x00\x01", "unknown"),
    ("a.txt", b"", "unknown"),
]


@pytest.mark.parametrize(("name", "content", "told"), KINDS)
def test_what_a_file_holds_is_told_from_its_bytes(tmp_path: Path, name: str, content: bytes, told: Format) -> None:
    (tmp_path / name).write_bytes(content)
    assert format_of(tmp_path / name) == told
    said = advice(tmp_path / name, reader="hf")
    assert f"`read: {told}`" in said if told != "unknown" else not said
    assert not advice(tmp_path / name, reader=told)


def test_an_array_and_objects_over_many_lines_give_their_objects(house: House) -> None:
    rows = [{"text": 'Rain "falls", [then] {stops}. \\', "id": "a", "n": [1, {"x": 2}]}, {"text": "Snow", "id": "b"}]
    (house.folder / "array.json").write_text(json.dumps([*rows, 7], indent=2))
    (house.folder / "loose.json.gz").write_bytes(
        gzip.compress("\n".join(json.dumps({**row, "id": row["id"] + "2"}, indent=1) for row in rows).encode())
    )
    house.clean([], source="{read: json, path: DIR/*.json*, id: id}")

    house.run()

    assert [(row["id"], row["text"]) for row in house.documents()] == [
        ("a", rows[0]["text"]), ("b", "Snow"), ("a2", rows[0]["text"]), ("b2", "Snow"),
    ]  # fmt: skip
    assert json.loads(house.documents()[0]["metadata"]) == {"n": [1, {"x": 2}]}


def test_items_are_found_wherever_blocks_end_and_a_long_one_costs_itself(tmp_path: Path, monkeypatch: Any) -> None:
    draw = random.Random(3)
    items = ["".join(draw.choice('a"\\[]{},\n\u00e9') for _ in range(draw.randint(0, 40))) for _ in range(200)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": text} for text in items], indent=draw.choice([None, 1]), ensure_ascii=False))
    for size in (1, 7, 64, 1 << 20):
        monkeypatch.setattr("pipeline.core.files.reading.lines.BLOCK_BYTES", size)
        found = list(iterate_items(path, cap=10_000))
        assert [json.loads(item.data)["text"] for item in found] == items
        assert [item.number for item in found] == list(range(200)) and not any(item.cut for item in found)
    short = list(iterate_items(path, cap=30))
    assert len(short) == 200 and any(item.cut for item in short)


@pytest.mark.parametrize("content", [b'[{"text": "one"}, {"te', b'{"text": "one"} {"text": "tw', b'[{"text": "o]'])
def test_json_that_is_cut_off_is_named_after_what_was_whole(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    found = []
    with pytest.raises(DataError, match=r"a\.json: ends inside item [12]"):
        found.extend(iterate_items(tmp_path / "a.json", cap=1000))
    assert [item.data for item in found] == ([b'{"text": "one"}'] if b"one" in content else [])


def test_a_table_of_text_keeps_its_values_as_they_stand(house: House) -> None:
    (house.folder / "a.csv").write_bytes(
        b'\xef\xbb\xbftext,id,n\n"Rain\nfalls, ""hard""",007,1\ncaf\xe9,8,2\nshort,9\n,10,4\nSnow,11,05\n'
    )
    (house.folder / "b.tsv.gz").write_bytes(gzip.compress(b"text\tid\tn\nHail, too\t12\t6\n"))
    house.clean([], source="{read: csv, path: [DIR/a.csv, DIR/b.tsv.gz], id: id}")

    house.run()

    assert [(row["id"], row["text"], json.loads(row["metadata"])) for row in house.documents()] == [
        ("007", 'Rain\nfalls, "hard"', {"n": "1"}), ("11", "Snow", {"n": "05"}), ("12", "Hail, too", {"n": "6"}),
    ]  # fmt: skip
    card = json.loads((house.plan().sources["docs"].folder / "card.json").read_text())
    assert card["quarantined"] == {"empty_text": 1, "invalid_utf8": 1, "unparsable": 1}


def test_tables_without_names_and_with_wrong_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Rain|1\nSnow|2\n")
    found = read(reader("csv", tmp_path, "a.csv", delimiter="|", columns=["text", "n"]))
    assert found.table["text"].to_pylist() == ["Rain", "Snow"]
    with pytest.raises(RecipeError, match=r"has no column 'text'\. Its columns: Rain, 1"):
        reader("csv", tmp_path, "a.csv").check()
    (tmp_path / "b.csv").write_text('text,n\nRain,1\n"Snow,2\nHail,3\n')
    (tmp_path / "c.json").write_text('[{"text": "one"}]')
    with pytest.raises(RecipeError, match=r"c\.json holds JSON over many lines: use `read: json`"):
        reader("csv", tmp_path, "c.json").check()
    assert "unparsable" in {row.reason for row in read(reader("csv", tmp_path, "b.csv")).quarantined}


@pytest.mark.parametrize("stream", [False, True])
def test_arrow_files_and_streams_are_read_and_damage_is_told(tmp_path: Path, stream: bool) -> None:
    content = arrow(TABLE, stream=stream)
    (tmp_path / "a.arrow").write_bytes(content)
    found = read(reader("arrow", tmp_path, "a.arrow", id="id"))
    assert found.table["text"].to_pylist() == ["one", "two"] and found.table["id"].to_pylist() == ["a", "b"]
    assert [json.loads(row) for row in found.table["metadata"].to_pylist()] == [{"n": 1}, {"n": 2}]
    for cut in range(8, len(content) - 8, 16):
        (tmp_path / "a.arrow").write_bytes(content[:cut])
        try:
            rows = read(reader("arrow", tmp_path, "a.arrow", id="id")).table.num_rows
        except DataError as error:
            assert "a.arrow" in str(error)
        except pa.ArrowInvalid:
            pytest.fail("an error that does not name the file")
        else:
            assert stream and rows in (0, 2)


def test_pages_and_pdf_files_become_their_text_and_a_broken_one_costs_itself(tmp_path: Path) -> None:
    pytest.importorskip("resiliparse", reason="extra [web]")
    pytest.importorskip("pypdfium2", reason="extra [pdf]")
    (tmp_path / "a.html").write_bytes(PAGE)
    (tmp_path / "b.html").write_bytes(b"<html></html>")
    found = read(reader("html", tmp_path, "*.html"))
    assert found.table["id"].to_pylist() == ["mine/a.html"]
    assert found.table["text"][0].as_py().startswith("Rain falls")
    assert [row.reason for row in found.quarantined] == ["empty_text"]
    (tmp_path / "a.pdf").write_bytes(pdf("Rain falls on the sea."))
    (tmp_path / "b.pdf").write_bytes(pdf("Rain")[:200])
    (tmp_path / "c.pdf").write_bytes(pdf("Snow falls."))
    found = read(reader("pdf", tmp_path, "*.pdf"))
    assert found.table["text"].to_pylist() == ["Rain falls on the sea.", "Snow falls."]
    assert [(row.id, row.reason) for row in found.quarantined] == [("mine/b.pdf", "extraction_failed")]
    assert reader("pdf", tmp_path, "*.pdf").inputs(hash_file)["extractor"].startswith("pypdfium2 ")


def test_a_sample_is_the_same_rows_every_time_and_a_larger_one_holds_it(house: House) -> None:
    house.lines("a.jsonl", [f"document {number} " * 5 for number in range(400)])
    ids: list[set[str]] = []
    for share in (0.1, 0.5):
        house.clean([], source=f"{{read: jsonl, path: DIR/a.jsonl, sample: {share}}}")
        house.run()
        ids.append({row["id"] for row in house.documents()})
    assert ids[0] < ids[1] and 20 <= len(ids[0]) <= 65 and 160 <= len(ids[1]) <= 240
    house.clean([], source="{read: jsonl, path: DIR/a.jsonl, sample: 0.5, limit: 200}")
    house.run()
    assert {row["id"] for row in house.documents()} == {id for id in ids[1] if int(id.rpartition(":")[2]) < 200}
