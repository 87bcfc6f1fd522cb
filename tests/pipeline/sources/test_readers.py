"""One bad document costs one document, one bad file costs one file; what is good arrives whole and in order."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pydantic import ValidationError

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.identity import identity_of
from pipeline.sources.files import FileParams
from pipeline.sources.reader import Chunk, Reader
from pipeline.sources.tables.hub import HubParams, HubReader
from pipeline.sources.tables.parquet import ParquetParams, ParquetReader
from pipeline.sources.texts.jsonl import JsonlReader

ROOT = Path(__file__).resolve().parents[3]
PARAGRAPH = "The quick brown fox. "


def jsonl(tmp_path: Path, **params: Any) -> JsonlReader:
    return JsonlReader(params=FileParams.parse({"path": str(tmp_path / "*"), **params}), source="crawl", base=tmp_path)


def parquet(tmp_path: Path, **params: Any) -> ParquetReader:
    settings = {"path": str(tmp_path / "*.parquet"), "in_place": False, **params}
    return ParquetReader(params=ParquetParams.parse(settings), source="crawl", base=tmp_path)


def read(reader: Reader) -> Chunk:
    """Read all slices, through a pickle as worker processes do, into one chunk; no row may be lost on the way."""
    chunks = [chunk for piece in pickle.loads(pickle.dumps(reader.slices())) for chunk in reader.read(piece)]
    assert all(chunk.rows_in == chunk.table.num_rows + len(chunk.quarantined) for chunk in chunks)
    for chunk in chunks:
        chunk.table.validate(full=True)
    quarantined = tuple(row for chunk in chunks for row in chunk.quarantined)
    return Chunk(
        pa.concat_tables([chunk.table for chunk in chunks]), quarantined, sum(chunk.rows_in for chunk in chunks)
    )


POISONS: list[tuple[str, Callable[[int], bytes]]] = [
    ("invalid_utf8", lambda n: b'{"id": "p%d", "text": "caf\xe9 %d"}' % (n, n)),
    ("lone_surrogate", lambda n: b'{"id": "p%d", "text": "half \\ud83d"}' % n),
    ("nul_character", lambda n: b'{"id": "p%d", "text": "nul \\u0000 inside"}' % n),
    ("not_json", lambda n: b'{"id": "p%d", "text": "raw \x00 nul"}' % n),
    ("empty_text", lambda n: b'{"id": "p%d", "text": " \\n\\u00a0"}' % n),
    ("null_text", lambda n: b'{"id": "p%d", "text": null}' % n),
    ("missing_text", lambda n: b'{"id": "p%d", "txet": "typo"}' % n),
    ("wrong_type", lambda n: b'{"id": "p%d", "text": 17}' % n),
    ("null_id", lambda n: b'{"id": null, "text": "nobody"}'),
    ("wrong_type", lambda n: b'{"id": [%d], "text": "a list for a name"}' % n),
    ("long_id", lambda n: b'{"id": "%s", "text": "long name"}' % (b"x" * 5000)),
    ("not_object", lambda n: b'["a", "list"]'),
    ("not_json", lambda n: b'{"id": "p%d", "text": "cut off' % n),
    ("duplicate_key", lambda n: b'{"id": "p%d", "text": "one", "text": "two"}' % n),
    ("too_deep", lambda n: b'{"id": "p%d", "text": "deep", "x": %s%s}' % (n, b"[" * 200_000, b"]" * 200_000)),
    ("not_json", lambda n: b'{"id": %s, "text": "huge number"}' % (b"9" * 5000)),
    ("lone_surrogate", lambda n: b'{"id": "p%d", "text": "fine", "by": "\\udc00"}' % n),
]


def write_hostile(path: Path, *, good: int, poisons: int) -> Counter[str]:
    """Write good rows with poisons among them, one of them a line of 50 MB; return the expected reasons."""
    expected: Counter[str] = Counter(too_large=1)
    every = good // poisons
    with path.open("wb") as file:
        for number in range(good):
            file.write(json.dumps({"id": f"g{number}", "text": f"{PARAGRAPH}{number} \u00e9"}).encode() + b"\n")
            if number % every == 0 and number // every < poisons - 1:
                reason, make = POISONS[(number // every) % len(POISONS)]
                file.write(make(number) + b"\n")
                expected[reason] += 1
            if number == good // 2:
                file.write(b'{"id": "huge", "text": "')
                for _ in range(50):
                    file.write(b"a" * 1_000_000)
                file.write(b'"}\n')
    return expected


def test_a_hundred_poisons_cost_a_hundred_documents(tmp_path: Path) -> None:
    expected = write_hostile(tmp_path / "crawl.jsonl", good=2000, poisons=100)

    whole = read(jsonl(tmp_path, id="id"))

    assert whole.table["id"].to_pylist() == [f"g{number}" for number in range(2000)]
    assert Counter(row.reason for row in whole.quarantined) == expected
    assert sum(expected.values()) == 100
    assert all(len(row.excerpt) <= 200 and row.place.startswith("crawl line ") for row in whole.quarantined)


def test_slices_of_a_plain_file_meet_at_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.core.files.reading.lines.BLOCK_BYTES", 1000)
    monkeypatch.setattr("pipeline.sources.texts.jsonl.SLICE_BYTES", 3000)
    rows = [json.dumps({"text": f"{number} " + "x" * (number * 7 % 2500)}) for number in range(200)]
    (tmp_path / "a.jsonl").write_text("\ufeff" + "\r\n".join(rows[:100]) + "\n\n" + "\n".join(rows[100:]))

    reader = jsonl(tmp_path)
    whole = read(reader)

    assert len(reader.slices()) > 20
    assert [text.split()[0] for text in whole.table["text"].to_pylist()] == [str(number) for number in range(200)]
    assert whole.table["id"].to_pylist()[98:102] == ["crawl/a:98", "crawl/a:99", "crawl/a:101", "crawl/a:102"]
    assert not whole.quarantined


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files_read_like_plain_ones(tmp_path: Path, suffix: str) -> None:
    compress = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor().compress
    lines = b"".join(b'{"text": "row %d", "lang": "en", "a": {"z": NaN, "b": 1}}\n' % number for number in range(1000))
    (tmp_path / f"a.jsonl{suffix}").write_bytes(compress(lines[:20_000]) + compress(lines[20_000:]))

    whole = read(jsonl(tmp_path))

    assert whole.table["text"].to_pylist() == [f"row {number}" for number in range(1000)]
    assert whole.table["id"][999].as_py() == "crawl/a:999"
    assert whole.table["metadata"][0].as_py() == '{"a":{"b":1,"z":null},"lang":"en"}'


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("harm", ["truncated", "empty", "flipped"])
def test_a_damaged_stream_names_its_file(tmp_path: Path, suffix: str, harm: str) -> None:
    whole = b"".join(b'{"text": "row %d"}\n' % number for number in range(50_000))
    level = zstandard.ZstdCompressor(write_checksum=True)
    blob = gzip.compress(whole) if suffix == ".gz" else level.compress(whole)
    middle = len(blob) // 2
    flipped = blob[:middle] + bytes([blob[middle] ^ 255]) + blob[middle + 1 :]
    (tmp_path / f"a.jsonl{suffix}").write_bytes({"truncated": blob[:-20], "empty": b"", "flipped": flipped}[harm])

    with pytest.raises(DataError, match=rf"a\.jsonl\{suffix}"):
        read(jsonl(tmp_path))


def test_a_bomb_costs_its_line_and_little_memory(tmp_path: Path) -> None:
    """400 MB in 40 kB of Zstandard, in a process that may hold 700 MB of addresses beyond what it starts with."""
    press = zstandard.ZstdCompressor().compressobj()
    blob = press.compress(b'{"text": "before"}\n{"text": "')
    blob += b"".join(press.compress(b"a" * 2**20) for _ in range(400)) + press.compress(b'"}\n{"text": "after"}\n')
    (tmp_path / "bomb.jsonl.zst").write_bytes(blob + press.flush())

    told = in_small_process("tell(jsonl(Path(sys.argv[1])))", tmp_path)

    assert told == {"texts": ["before", "after"], "reasons": ["too_large"]}


def test_a_frame_that_grows_beyond_all_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.core.files.reading.lines.FREE_BYTES", 1000)
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(b'{"text": "a"}\n' * 100_000))
    monkeypatch.setattr("pipeline.core.files.reading.lines.MAX_EXPANSION", 100)

    with pytest.raises(DataError, match="grows more than"):
        read(jsonl(tmp_path))


def in_small_process(code: str, *arguments: object) -> Any:
    """Run code with this module's names in a process of its own and return the JSON that it prints."""
    command = [sys.executable, "-c", f"from tests.pipeline.sources.test_readers import *; {code}", *map(str, arguments)]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}  # each thread's stack counts as address space
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def tell(reader: Reader) -> None:
    """Read under a limit of 700 MB above what is mapped now, and print texts and reasons."""
    limit_memory()
    whole = read(reader)
    sys.stdout.write(
        json.dumps({"texts": whole.table["text"].to_pylist(), "reasons": [row.reason for row in whole.quarantined]})
    )


def limit_memory() -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + 700 * 2**20, resource.RLIM_INFINITY))


def test_parquet_columns_become_documents(tmp_path: Path) -> None:
    table = pa.table(
        {
            "url": pa.array([f"http://x/{number}" for number in range(500)]).dictionary_encode(),
            "body": pa.array([f"{PARAGRAPH}{number}" for number in range(500)], pa.string()),
            "score": pa.array([float("nan") if number == 0 else number / 4 for number in range(500)]),
            "tags": pa.array([["a", "\u00e9"]] * 500),
            "raw": pa.array([b"\xff"] * 500),  # bytes are not JSON and stay out of `all`
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=70)

    whole = read(parquet(tmp_path, text="body", id="url"))

    assert whole.table["id"].to_pylist() == table["url"].to_pylist()
    assert whole.table["text"].to_pylist() == table["body"].to_pylist()
    assert whole.table["metadata"].to_pylist()[:2] == [
        '{"score":null,"tags":["a","\u00e9"]}',
        '{"score":0.25,"tags":["a","\u00e9"]}',
    ]
    assert set(whole.table["source"].to_pylist()) == {"crawl"}


def test_rows_of_parquet_that_are_no_documents_are_quarantined_one_by_one(tmp_path: Path) -> None:
    texts = [b"good", None, b"", b" \n ", b"caf\xe9", b"a\0b", b"x" * 101, b"good", b"good", b"y" * 100]
    ids = ["a", "b", "c", "d", "e", "f", "g", None, "", "j"]
    broken = pa.array(texts, pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": broken, "id": ids, "by": ["x"] * 10}), tmp_path / "a.parquet")

    whole = read(parquet(tmp_path, id="id", max_document_bytes=100))

    assert whole.table["id"].to_pylist() == ["a", "j"]
    assert [(row.id, row.reason) for row in whole.quarantined] == [
        ("b", "null_text"), ("c", "empty_text"), ("d", "empty_text"), ("e", "invalid_utf8"), ("f", "nul_character"),
        ("g", "too_large"), ("", "null_id"), ("", "null_id"),
    ]  # fmt: skip
    assert whole.quarantined[3].excerpt == "caf\\xe9"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()])
def test_every_arrow_type_of_text_is_text(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"text": pa.array(["\u00e4", "b"]).cast(kind), "n": [1, 2]}), tmp_path / "a.parquet")

    whole = read(parquet(tmp_path, id="n"))

    assert whole.table["text"].to_pylist() == ["\u00e4", "b"]
    assert whole.table["id"].to_pylist() == ["1", "2"]


def test_large_row_groups_come_in_chunks_and_small_ones_share_a_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.tables.chunker.CHUNK_BYTES", 20_000)
    monkeypatch.setattr("pipeline.sources.tables.parquet.SLICE_BYTES", 30_000)
    texts = [f"{number} " + "word " * 100 for number in range(1000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "b.parquet", row_group_size=1000, use_dictionary=False)
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=20, use_dictionary=False)

    reader = parquet(tmp_path)
    whole = read(reader)

    assert 17 < len(reader.slices()) < 30  # about 2 of a.parquet's 50 row groups each, and b.parquet whole
    assert reader.slices()[0].label == "a.parquet rows 0-39"
    assert len(list(reader.read(reader.slices()[-1]))) > 15
    expected = [f"crawl/{stem}:{number}" for stem in "ab" for number in range(1000)]
    assert whole.table["id"].to_pylist() == expected
    assert whole.table["text"].to_pylist() == texts * 2


def test_two_hundred_flipped_bytes_never_crash_the_reader(tmp_path: Path) -> None:
    """Bits of a parquet file are flipped at 200 places; each time it is read, or refused as DataError."""
    texts = [f"{PARAGRAPH * 3}{number}" for number in range(400)]
    good = tmp_path / "good.parquet"
    pq.write_table(pa.table({"text": texts, "k": list(range(400)), "s": texts}), good, row_group_size=100)

    told = in_small_process("flip(Path(sys.argv[1]))", good)

    assert sum(told.values()) == 200
    assert set(told) <= {"read", "DataError"} and told["DataError"] > 20


def flip(good: Path) -> None:
    read(parquet(good.parent))  # so that what reading imports is mapped before the limit
    limit_memory()
    blob = good.read_bytes()
    counted: Counter[str] = Counter()
    folder = good.parent / "flipped"
    folder.mkdir()
    for number in range(200):
        place = number * 7919 % len(blob) if number % 2 else len(blob) - 1 - number * 7 % 1500
        broken = bytearray(blob)
        broken[place] ^= 1 << number % 8 if number % 3 else 255
        (folder / "a.parquet").write_bytes(broken)
        try:
            read(parquet(folder))
            counted["read"] += 1
        except DataError as error:
            assert "a.parquet" in str(error)
            counted["DataError"] += 1
    sys.stdout.write(json.dumps(counted))


def test_an_unreadable_shard_leaves_the_others_usable(tmp_path: Path) -> None:
    for name in "abc":
        pq.write_table(pa.table({"text": [name]}), tmp_path / f"{name}.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 this is not parquet PAR1")

    reader = parquet(tmp_path)
    first, second, third = reader.slices()

    assert [chunk.table["text"].to_pylist() for piece in (first, third) for chunk in reader.read(piece)] == [
        ["a"],
        ["c"],
    ]
    with pytest.raises(DataError, match=r"b\.parquet"):
        list(reader.read(second))


def test_equal_stems_in_two_folders_keep_their_ids_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table({"text": [folder]}), tmp_path / folder / "a.parquet")

    whole = read(parquet(tmp_path, path=str(tmp_path / "*" / "a.parquet")))

    assert whole.table["id"].to_pylist() == ["crawl/x/a.parquet:0", "crawl/y/a.parquet:0"]


def test_a_source_is_named_by_content_and_not_by_place(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jsonl").write_text('{"text": "one"}\n')

    before = [identity_of(jsonl(tmp_path / folder).inputs()) for folder in ("here", "there")]
    (tmp_path / "there" / "a.jsonl").write_text('{"text": "two"}\n')

    assert before[0] == before[1]
    assert identity_of(jsonl(tmp_path / "there").inputs()) != before[0]


@pytest.mark.parametrize(
    "wrong", [{}, {"path": ""}, {"path": []}, {"path": "a", "metadata": "url"}, {"path": "a", "txt": "b"}]
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FileParams.parse(wrong)


def test_a_wrong_column_is_answered_with_the_nearest_and_with_all(tmp_path: Path) -> None:
    pq.write_table(pa.table({"content": ["a"], "url": ["b"], "score": [0.5], "n": [1]}), tmp_path / "a.parquet")

    with pytest.raises(RecipeError, match=r"'contents'\. Did you mean content\? Its columns: content, url, score, n\."):
        parquet(tmp_path, text="contents").check()
    with pytest.raises(RecipeError, match=r"has no column 'body'\. Its columns: content, url, score, n\."):
        parquet(tmp_path, text="body").check()
    with pytest.raises(
        RecipeError, match=r"has double in column 'score'; it must be text\. Text columns: content, url\."
    ):
        parquet(tmp_path, text="score").check()
    with pytest.raises(RecipeError, match="id column 'score'"):
        parquet(tmp_path, text="content", id="score").check()


def test_of_many_columns_twenty_are_told_and_the_others_counted(tmp_path: Path) -> None:
    pq.write_table(pa.table({f"c{number:02d}": ["a"] for number in range(25)}), tmp_path / "a.parquet")

    with pytest.raises(RecipeError, match=r"Its columns: c00, c01, .*, c18, c19 and 5 more\."):
        parquet(tmp_path, text="body").check()


def test_a_hub_dataset_needs_its_commit(tmp_path: Path) -> None:
    def hub(**params: str) -> HubReader:
        return HubReader(params=HubParams.parse(params), source="web", base=tmp_path)

    with pytest.raises(RecipeError, match="must name its commit"):
        hub(path="owner/name").check()
    with pytest.raises(RecipeError, match="neither a folder"):
        hub(path="./nowhere").check()
    with pytest.raises(ValidationError):
        hub(path="owner/name", revision="main")
    pinned = hub(path="owner/name", revision="0" * 40)
    pinned.check()
    assert pinned.inputs() == {"hub": "owner/name", "revision": "0" * 40}


def test_a_hub_dataset_that_cannot_be_reached_is_a_data_error(tmp_path: Path) -> None:
    params = HubParams.parse({"path": "owner/name", "revision": "0" * 40})

    with pytest.raises(DataError, match="owner/name: cannot be read"):
        HubReader(params=params, source="web", base=tmp_path).slices()
