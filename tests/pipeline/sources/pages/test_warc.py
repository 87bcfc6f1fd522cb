"""Web archives made here, gzip member by gzip member: pages become documents, and a poisoned page costs only itself."""

from __future__ import annotations

import contextlib
import gzip
import json
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.core.errors import DataError, RecipeError, ServiceError
from pipeline.sources.pages.extractor import PageExtractor
from pipeline.sources.pages.warc import WarcParams, WarcReader, pages
from pipeline.sources.reader import Chunk
from tests.pipeline.house import House

for package in ("fastwarc", "resiliparse", "trafilatura"):
    pytest.importorskip(package, reason="extra [web]")

PROSE = "Rain falls when warm air rises, cools, and can no longer hold the water that it carries. " * 6
# What the extractors really choke on, found by trying.
DEEP = b"<div>" * 300_000 + b"x" * 300  # resiliparse: time grows with the square of the depth
TABLE = b"<table>" + b"<tr><td>a</td><td>b</td></tr>" * 100_000 + b"</table>"  # trafilatura: gigabytes
UNCLOSED = b"<p><b><i>" * 100_000 + b"text"  # trafilatura: many seconds


def page(text: str = PROSE) -> bytes:
    return f"<html><head><title>t</title></head><body><nav>menu</nav><main><p>{text}</p></main></body></html>".encode()


def record(
    body: bytes,
    *,
    kind: str = "response",
    url: str = "http://example.org/a",
    id: str | None = None,
    status: str = "200 OK",
    http: tuple[str, ...] = ("Content-Type: text/html; charset=utf-8",),
) -> bytes:
    """Return one WARC record, written by hand from the standard (ISO 28500)."""
    block = "\r\n".join([f"HTTP/1.1 {status}", *http, "", ""]).encode() + body if kind != "warcinfo" else body
    named = id if id is not None else f"<urn:uuid:{abs(hash((url, body))) % 10**12:012d}>"
    head = [
        "WARC/1.0", f"WARC-Type: {kind}", f"WARC-Target-URI: {url}", "WARC-Date: 2026-01-02T03:04:05Z",
        f"WARC-Record-ID: {named}", "Content-Type: application/http; msgtype=response", f"Content-Length: {len(block)}",
    ]  # fmt: skip
    return "\r\n".join([*head, "", ""]).encode() + block + b"\r\n\r\n"


def archive(folder: Path, *records: bytes, name: str = "crawl.warc.gz") -> Path:
    """Write records as a .warc.gz does, each its own gzip member, or plain."""
    path = folder / name
    path.write_bytes(b"".join(map(gzip.compress, records) if name.endswith(".gz") else records))
    return path


def reader(folder: Path, **params: Any) -> WarcReader:
    return WarcReader(params=WarcParams.parse({"path": str(folder / "*"), **params}), source="crawl", base=folder)


def read(found: WarcReader) -> Chunk:
    """Read all slices, through a pickle as worker processes do, into one chunk."""
    chunks = [chunk for piece in pickle.loads(pickle.dumps(found.slices())) for chunk in found.read(piece)]
    assert all(chunk.rows_in == chunk.table.num_rows + len(chunk.quarantined) for chunk in chunks)
    refused = tuple(row for chunk in chunks for row in chunk.quarantined)
    return Chunk(pa.concat_tables([chunk.table for chunk in chunks]), refused, sum(chunk.rows_in for chunk in chunks))


@pytest.mark.parametrize("name", ["crawl.warc.gz", "crawl.warc"])
@pytest.mark.parametrize("extractor", ["resiliparse", "trafilatura"])
def test_a_page_becomes_its_text_with_where_it_came_from(name: str, extractor: str, tmp_path: Path) -> None:
    archive(tmp_path, record(page(), id="<urn:uuid:7>"), name=name)

    (row,) = read(reader(tmp_path, extractor=extractor)).table.to_pylist()

    assert row["text"].strip() == PROSE.strip()
    assert row["id"] == "urn:uuid:7"
    assert json.loads(row["metadata"]) == {
        "url": "http://example.org/a", "date": "2026-01-02T03:04:05Z", "content_type": "text/html", "status": 200,
    }  # fmt: skip


def test_records_that_are_no_html_pages_are_passed_over(tmp_path: Path) -> None:
    archive(
        tmp_path,
        record(b"software: x\r\n", kind="warcinfo"),
        record(page(), kind="request"),
        record(page(), status="404 Not Found"),
        record(page(), status="301 Moved"),
        record(b"%PDF-1.7", http=("Content-Type: application/pdf",)),
        record(page(), http=()),
        record(page(), http=("Content-Type: application/xhtml+xml",), id="<urn:uuid:8>"),
    )

    found = read(reader(tmp_path))

    assert found.table.column("id").to_pylist() == ["urn:uuid:8"]
    assert found.rows_in == 1


def test_ids_may_be_addresses(tmp_path: Path) -> None:
    archive(
        tmp_path, record(page(), url="http://a.org/1"), record(page(), url="http://a.org/2"), record(page(), url="")
    )

    found = read(reader(tmp_path, id="url"))

    assert found.table.column("id").to_pylist() == ["http://a.org/1", "http://a.org/2"]
    assert [row.reason for row in found.quarantined] == ["null_id"]


def test_bodies_are_decoded_as_the_server_sent_them(tmp_path: Path) -> None:
    text = "Ein Stra\u00dfenf\u00fchrer f\u00fcr B\u00fccher. " * 20
    html = page(text).decode()
    kind = "Content-Type: text/html"
    archive(
        tmp_path,
        record(gzip.compress(html.encode()), http=(f"{kind}; charset=utf-8", "Content-Encoding: gzip"), id="<zipped>"),
        record(html.encode("latin-1"), http=(f"{kind}; charset=iso-8859-1",), id="<latin>"),
        record(html.encode("utf-16"), http=(f"{kind}; charset=utf-16",), id="<wide>"),
        record(html.encode(), http=(f"{kind}; charset=no-such-charset",), id="<unknown>"),
        record(html.encode(), http=(kind,), id="<silent>"),
        record(html.encode(), http=(kind, "Content-Encoding: gzip"), id="<not zipped>"),
    )

    rows = read(reader(tmp_path)).table.to_pylist()

    assert {row["id"]: row["text"].strip() == text.strip() for row in rows} == dict.fromkeys(
        ["zipped", "latin", "wide", "unknown", "silent", "not zipped"], True
    )


def test_pages_without_text_and_pages_too_long_are_quarantined(tmp_path: Path) -> None:
    bomb = gzip.compress(b"a" * 50_000_000)
    kind = "Content-Type: text/html"
    archive(
        tmp_path,
        record(b"<html><body><script>1</script></body></html>"),
        record(bomb, http=(kind, "Content-Encoding: gzip")),
        record(page()),
    )

    found = read(reader(tmp_path, max_page_bytes=1_000_000))

    assert [row.reason for row in found.quarantined] == ["empty_text", "too_large"]
    assert "crawl.warc page 2, http://example.org/a" in found.quarantined[1].place
    assert found.table.num_rows == 1


@pytest.mark.parametrize(
    ("extractor", "poison", "reason"),
    [
        ("resiliparse", DEEP, "extraction_timeout"),
        ("trafilatura", UNCLOSED, "extraction_timeout"),
        ("trafilatura", TABLE, "extraction_failed"),
    ],
    ids=["deep", "unclosed", "table"],
)
def test_a_poisoned_page_costs_only_itself(extractor: str, poison: bytes, reason: str, tmp_path: Path) -> None:
    archive(tmp_path, record(page(), id="<1>"), record(poison, id="<2>"), record(page(), id="<3>"))
    seconds = 2.0 if reason == "extraction_timeout" else 30.0  # a page takes milliseconds

    found = read(reader(tmp_path, extractor=extractor, max_seconds=seconds, max_memory_bytes=150_000_000))

    assert [(row.id, row.reason) for row in found.quarantined] == [("2", reason)]
    assert found.table.column("id").to_pylist() == ["1", "3"]


def test_hostile_markup_is_no_poison(tmp_path: Path) -> None:
    hostile = [
        b"<table><tr><td colspan=9007199254740991 rowspan=9007199254740991>x</td></tr></table>" * 50,
        b"<" * 500_000, b"&" * 500_000, b"<p " + b"a=1 " * 200_000 + b">", b"\t \n" * 300_000, b"\0" * 1000, b"",
        b"<p>&#xD800;&#0;&#x110000;</p>" * 100,
    ]  # fmt: skip
    archive(tmp_path, *(record(b"<html>" + body, id=f"<{number}>") for number, body in enumerate(hostile)))

    for extractor in ("resiliparse", "trafilatura"):
        found = read(reader(tmp_path, extractor=extractor))
        assert found.rows_in == len(hostile)
        assert {row.reason for row in found.quarantined} <= {"empty_text", "nul_character", "lone_surrogate"}


def test_a_child_that_is_killed_from_outside_costs_one_page() -> None:
    with PageExtractor("resiliparse", max_seconds=5, max_memory_bytes=500_000_000) as extractor:
        assert extractor.extract(page(), charset="utf-8").text
        assert extractor.child is not None
        extractor.child.kill()
        extractor.child.wait()

        assert extractor.extract(page(), charset="utf-8").failure == "extraction_failed"
        assert extractor.extract(page(), charset="utf-8").text


def test_no_child_is_left_behind() -> None:
    with PageExtractor("resiliparse", max_seconds=5, max_memory_bytes=500_000_000) as extractor:
        extractor.extract(page(), charset="utf-8")
        child = extractor.child
    assert child is not None
    assert child.returncode == 0


def test_a_child_ends_when_its_parent_is_killed() -> None:
    code = (
        "import os; from pipeline.sources.pages.extractor import PageExtractor;"
        "e = PageExtractor('resiliparse', max_seconds=5, max_memory_bytes=500_000_000);"
        "e.extract(b'<p>x', charset=''); print(e.child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    pid = int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False).stdout)

    deadline = time.monotonic() + 100
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_an_extractor_that_cannot_start_is_nobodys_page() -> None:
    broken = PageExtractor("resiliparse", max_seconds=5, max_memory_bytes=10_000_000)
    broken.extractor = "no_such"

    with broken, pytest.raises(ServiceError, match="did not start"):
        broken.extract(page(), charset="utf-8")


@pytest.mark.parametrize(
    ("damage", "whole"),
    [
        (lambda data: data[:-60], 2),
        (lambda data: data[:-200] + b"\xff" * 200, 2),
        (lambda data: data[: 2 * len(data) // 3 + 6], 2),
        (lambda data: data + b"no member", 3),
        (lambda data: gzip.decompress(data)[:-300], 2),
        (lambda data: gzip.decompress(data) + b"no record\r\n\r\n", 3),
        (lambda data: b"no archive at all", 0),
        (lambda data: b"", 0),
    ],
    ids=["cut", "overwritten", "cut-in-a-header", "appended", "plain-cut", "plain-appended", "text", "empty"],
)
def test_a_damaged_archive_is_named_after_what_was_whole_in_it(
    damage: Callable[[bytes], bytes], whole: int, tmp_path: Path
) -> None:
    path = archive(tmp_path, *(record(page(), id=f"<{number}>") for number in range(3)))
    path.write_bytes(damage(path.read_bytes()))

    found = []
    with pytest.raises(DataError, match=r"crawl\.warc\.gz: is not a complete web archive"):
        for item in pages(path, max_page_bytes=10**6):
            found.append(item.id)

    assert found == [str(number) for number in range(whole)]


def test_an_archive_in_which_anything_is_changed_is_read_or_named(tmp_path: Path) -> None:
    records = [
        record(page("x y " * 9)),
        record(gzip.compress(page()), http=("Content-Type: text/html", "Content-Encoding: gzip")),
        record(b"5\r\n<p>ab\r\n0\r\n\r\n", http=("Content-Type: text/html", "Transfer-Encoding: chunked")),
    ]
    draw = random.Random(5)
    noise = [b"", b"\0", b":", b"-1", b"9" * 20, b"\r\n", b"f" * 16 + b"\r\n"]
    for name in ("a.warc.gz", "a.warc"):
        whole = archive(tmp_path, *records, name=name).read_bytes()
        for _ in range(300):
            at = draw.randrange(len(whole))
            changed = whole[:at] + draw.choice([*noise, draw.randbytes(20)]) + whole[at + draw.randrange(40) :]
            (tmp_path / name).write_bytes(changed)
            with contextlib.suppress(DataError):
                assert all(len(item.body) <= 1001 for item in pages(tmp_path / name, max_page_bytes=1000))


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path, record(page()))
    monkeypatch.setitem(sys.modules, "fastwarc", None)

    with pytest.raises(RecipeError, match=r"fastwarc of the extra \[web\].*pip install -e '\.\[web\]'"):
        reader(tmp_path).check()


def test_another_version_of_the_extractor_is_another_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    archive(tmp_path, record(page()))
    now = reader(tmp_path).inputs()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99")

    assert reader(tmp_path).inputs() != now


def test_a_recipe_reads_archives(tmp_path: Path) -> None:
    house = House(tmp_path)
    for part in range(2):
        archive(tmp_path, *(record(page(), id=f"<{part}{n}>") for n in range(3)), name=f"{part}.warc.gz")
    house.clean(["exact_dedup"], source="{read: warc, path: DIR/*.warc.gz}")

    house.run()

    assert house.ids() == ["00"]
    assert house.card().dropped == {"exact_dedup.exact_duplicate": 5}


def test_the_texts_of_a_wet_file_are_taken_as_they_are_and_a_wat_file_has_none(tmp_path: Path) -> None:
    def made(body: bytes, *, kind: str, type: str, url: str) -> bytes:
        head = (
            f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n"
            f"WARC-Record-ID: <urn:uuid:{url}>\r\nContent-Type: {type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body + b"\r\n\r\n"

    archive(
        tmp_path, record(b"software: x", kind="warcinfo"),
        made("Rain f\u00e4llt.\n<b>as it stands</b>".encode(), kind="conversion", type="text/plain", url="a"),
        made(b"caf\xe9", kind="conversion", type="text/plain", url="b"),
        made(b"{}", kind="metadata", type="application/json", url="c"), name="crawl.wet.gz",
    )  # fmt: skip

    found = read(reader(tmp_path))

    assert found.table["text"].to_pylist() == ["Rain f\u00e4llt.\n<b>as it stands</b>"]
    assert json.loads(found.table["metadata"][0].as_py())["url"] == "a"
    assert [(row.id, row.reason) for row in found.quarantined] == [("urn:uuid:b", "invalid_utf8")]
