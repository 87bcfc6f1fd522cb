"""Common Crawl by path list, from a server of our own: some of the archives, the same ones every time."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from pipeline.core.errors import RecipeError
from pipeline.sources.pages.warc import WarcParams, WarcReader
from tests.pipeline.house import House

for package in ("fastwarc", "resiliparse", "aiohttp"):
    pytest.importorskip(package, reason="extra [web], and what reads https")

PROSE = "Rain falls when warm air rises, cools, and can no longer hold the water that it carries. "


class Server(SimpleHTTPRequestHandler):
    """Serves a folder and notes what it was asked for."""

    asked: ClassVar[list[str]] = []

    def log_message(self, format: str, *args: object) -> None:
        self.asked.append(f"{self.command} {self.path}")


def wet(number: int) -> bytes:
    """Return an archive with one text, written by hand from the standard (ISO 28500)."""
    text = f"{PROSE}This is archive {number}.".encode()
    head = (
        f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://a.org/{number}\r\n"
        f"WARC-Date: 2026-01-02T03:04:05Z\r\nWARC-Record-ID: <urn:uuid:{number:012d}>\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + text + b"\r\n\r\n")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    lines = [f"crawl-data/segments/{number // 4}/wet/part-{number % 4}.warc.wet.gz" for number in range(12)]
    for number, line in enumerate(lines):
        (folder / line).parent.mkdir(parents=True, exist_ok=True)
        (folder / line).write_bytes(wet(number))
    (folder / "wet.paths.gz").write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    (folder / "wrong.paths").write_text("crawl-data/none.warc.gz\n", encoding="ascii")
    (folder / "empty.paths").write_text("\n", encoding="ascii")
    serving = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(folder)))
    Thread(target=serving.serve_forever, daemon=True).start()
    Server.asked.clear()
    yield f"http://127.0.0.1:{serving.server_port}/"
    serving.shutdown()
    serving.server_close()


def test_some_archives_of_a_list_are_read_the_same_ones_as_from_a_folder(server: str, house: House) -> None:
    house.clean([], source=f"{{read: warc, paths: {server}wet.paths.gz, prefix: '{server}', max_files: 5}}")
    house.run()
    far = house.documents()
    fetched = {line for line in Server.asked if line.startswith("GET /crawl-data")}
    few = WarcReader(
        params=WarcParams.parse({"paths": f"{server}wet.paths.gz", "prefix": server, "max_files": 3}),
        source="docs", base=house.folder,
    )  # fmt: skip

    assert len(far) == len(fetched) == 5 and all(row["text"].startswith(PROSE) for row in far)
    assert {file.label for file in few.files()} < {row["file"] for row in house.card("docs").payload["inputs"]["files"]}
    house.clean(
        [], source=f"{{read: warc, paths: DIR/served/wet.paths.gz, prefix: '{house.folder}/served/', max_files: 5}}"
    )
    assert house.plan().to_build == []  # the same archives, wherever they lie


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("", "needs `path`, or `paths`"),
        ("path: a.warc, paths: b", "has `path` and `paths`"),
        ("path: a.warc, prefix: b", "prefix: is for a list"),
        ("paths: nowhere.gz", "paths: .*nowhere.gz"),
        ("paths: URLempty.paths", "lists nothing"),
        ("paths: URLwrong.paths, prefix: URL", "lists crawl-data/none.warc.gz, and no file matches"),
    ],
)
def test_a_list_that_cannot_be_read_is_told_with_what_is_wrong(
    server: str, house: House, fields: str, said: str
) -> None:
    house.clean([], source=f"{{read: warc{', ' if fields else ''}{fields.replace('URL', server)}}}")

    with pytest.raises(RecipeError, match=said):
        house.plan()
