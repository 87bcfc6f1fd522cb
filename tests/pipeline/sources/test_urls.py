"""Inputs and exports by URL: the same identities as local files, fetched once, bounded; errors that say what to do."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pyarrow as pa
import pytest

from pipeline.commands.run.run_recipe import run_recipe
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.core.files.stores import inputs
from pipeline.core.files.stores.caches import cache_home
from pipeline.core.files.stores.places import Place
from pipeline.engine.progress import Silent
from pipeline.queries.documents import look
from pipeline.queries.export.export import export_named
from pipeline.queries.export.remote import UNFINISHED, export_to_url
from pipeline.store.input_hashes import InputHashes
from tests.pipeline.house import House, contents, texts
from tests.pipeline.store.far import Far, build, on_machine
from tests.s3_server import each_time


def recipe(house: House, *, start: str) -> None:
    """Write a recipe of two parquet files and one of lines, held against a list, all below `start`."""
    house.write(
        f"sources:\n  docs: {{read: parquet, path: {start}/in/*.parquet}}\n"
        f"  lines: {{read: jsonl, path: [{start}/a.jsonl]}}\n"
        f"datasets:\n  clean:\n    from: [docs, lines]\n    steps:\n"
        f"      - length: {{against: [{start}/list.txt]}}\n      - longest: {{keep_fraction: 0.8}}\n"
    )


@pytest.fixture
def far(house, s3, tmp_path, monkeypatch) -> Far:
    """The same files in a folder and in the store."""
    on_machine(monkeypatch, tmp_path, "one")
    far, place = Far(house.folder), Place.at(f"s3://bucket/{house.folder.name}-files")
    (house.folder / "in").mkdir()
    for number in range(2):
        table = pa.table({"text": texts(40, start=40 * number), "url": [f"u{row}" for row in range(40)]})
        write_table(house.folder / "in" / f"p{number}.parquet", table)
    house.lines("a.jsonl", texts(20, start=80))
    (house.folder / "list.txt").write_text("text3 text85", encoding="utf-8")
    for path in [*(house.folder / "in").iterdir(), house.folder / "a.jsonl", house.folder / "list.txt"]:
        place.upload(path, path.relative_to(house.folder).as_posix())
    far.start = place.url
    return far


def test_files_by_url_are_the_same_files_and_are_fetched_once_by_each_machine(far, house, s3, tmp_path, monkeypatch):
    recipe(house, start=str(house.folder))
    house.run()
    expected, sample = contents(house.workspace.root), look(house.workspace, "clean", dropped=True, rule=None, count=50)

    recipe(far, start=far.start)
    s3.seen.clear()
    workspace = build(far)
    assert contents(workspace.root) == expected
    assert s3.count("GET", inside="-files/in/p0.parquet") == 1
    assert far.plan().to_build == []

    on_machine(monkeypatch, tmp_path, "two")  # which asks the store for the documents, and for the text that stayed
    s3.seen.clear()
    assert look(far.workspace, "clean", dropped=True, rule=None, count=50) == sample
    build(far)
    assert not s3.count("PUT", inside="/dataset/")
    assert s3.count("GET", inside="-files/in/p0.parquet") == 1

    monkeypatch.setattr(inputs, "MOST_BYTES", 1)  # each file makes room for the next
    on_machine(monkeypatch, tmp_path, "three")
    far.clean(["length: {unit: 2}"], source=f"{{read: jsonl, path: ['{far.start}/a.jsonl', '{far.start}/*.jsonl']}}")
    far.run()
    assert far.card().rows_in == 20
    assert sum(path.is_file() for path in (cache_home() / "inputs").rglob("*.jsonl")) == 1


def test_a_file_that_is_replaced_is_another_file_and_one_replaced_on_the_way_is_refused(far, s3):
    place, hashes = Place.at(far.start), InputHashes()
    (before,) = inputs.find(f"{far.start}/list.txt")
    first = hashes.of(before.path)
    place.write("list.txt", b"other text85")
    with pytest.raises(DataError, match=r"list\.txt: was replaced while it was read"):
        before.path.unlink()
        inputs.fetch(before.path, before)
    (after,) = inputs.find(f"{far.start}/list.txt")

    assert hashes.of(after.path) != first
    with s3.failing(each_time("503", method="GET", inside="a.jsonl", times=2)):
        (lines,) = inputs.find(f"{far.start}/a.jsonl")
        hashes.of(lines.path)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("s3://bucket/nothing/*.parquet", r"recipe\.yaml:2: sources\.docs\.path: no file matches s3://bucket/nothing"),
        ("s3://bucket/nothing.parquet", r"recipe\.yaml:2: sources\.docs\.path: no file matches s3://bucket/nothing"),
        ("s3://bucket/FILES/in", r"is a folder; name its files: s3://bucket/\S+/in/\*"),
        ("s3://nowhere/in/*.parquet", r"there is no bucket 'nowhere'"),
        ("ftps://host/in/*.parquet", r"it must begin with s3://, gs://, hf:// or https://"),
    ],
)
def test_a_url_that_names_nothing_is_refused_with_its_line(far, path, told):
    far.clean(["length"], source=f"{{read: parquet, path: {path.replace('FILES', far.start.rpartition('/')[2])}}}")

    with pytest.raises(RecipeError, match=told):
        far.plan()


def test_a_page_of_the_web_is_fetched_once_by_a_command_and_its_secrets_are_not_written(far, tmp_path):
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            body = (far.folder / "a.jsonl").read_bytes() if "key=CANARY" in self.path else b""
            start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            part = body[int(start) : int(end) + 1 if end else None]
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(body)}")
            self.send_header("ETag", 'W/"1"')
            self.end_headers()
            if self.command == "GET":
                asked.append(len(part))
                self.wfile.write(part)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        far.clean(
            ["length"], source=f"{{read: jsonl, path: 'http://127.0.0.1:{server.server_port}/a.jsonl?key=CANARY'}}"
        )
        run_recipe(House(far.folder).recipe, workspace=House(far.folder).workspace, workers=1, progress=Silent())
    finally:
        server.shutdown()
        server.server_close()

    assert House(far.folder).card().rows_in == 20 and len(asked) == 1
    written = [path for root in (cache_home(), far.folder / "workspace") for path in root.rglob("*") if path.is_file()]
    assert written and not [path for path in written if b"CANARY" in path.read_bytes()]


def test_an_export_to_a_url_is_whole_when_its_marker_is_there(far, house, s3):
    house.clean(["length"])
    house.run()
    url = f"{far.start}-export/docs"
    place = Place.at(url)

    def export(folder):
        return export_named(house.workspace, "clean", to=folder)

    with s3.failing(each_time("403", method="PUT", inside="tamis.json")), pytest.raises(RecipeError, match="refuses"):
        export_to_url(url, export)
    assert UNFINISHED in place.items() and "tamis.json" not in place.items()
    done = export_to_url(url, export)
    again = export_to_url(url, export)

    (name,) = [name for name in place.items() if name.endswith(".parquet")]
    place.download(name, far.folder / "back.parquet", size=place.item(name).size)
    assert read_table(far.folder / "back.parquet").num_rows == done.rows == house.card().rows_out
    assert (done.was_there, again.was_there, done.folder) == (False, True, url)
    assert UNFINISHED not in place.items() and json.loads(place.read("tamis.json"))
    house.clean(["length: {min_length: 60}"])
    house.run()
    with pytest.raises(RecipeError, match=r"holds \S+ and \d+ more objects\. Name another place, or give --overwrite"):
        export_to_url(url, export)
    fewer = export_to_url(url, export, overwrite=True)
    assert fewer.rows < done.rows and len([name for name in place.items() if name.endswith(".parquet")]) == 1
