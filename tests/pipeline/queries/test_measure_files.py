"""`measure`: what a run of a recipe would say of every document, without one, in the order of the input."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files.parquet.shards import read_table, write_table
from pipeline.engine.executors import Local
from pipeline.engine.progress import Silent
from pipeline.queries.measure_files import measure
from pipeline.store.evidence import evidence_of
from tests.conftest import need_conformance
from tests.pipeline.house import House, texts
from tests.pipeline.sources.pages.test_warc import archive, page, record
from tests.pipeline.steps import POISON

STEPS = ["length", "poisoned", "shout", "gopher_quality"]
SETTINGS = {"length.min_length": 30, "gopher_quality.min_words": 10}
ROWS = [*texts(30), "ab", f"{POISON} in a text that is long enough to be kept", "so loud " * 12, ""]


def measured(house: House, files: list[Path], steps: list[str], **options: Any) -> tuple[dict[str, Any], pa.Table]:
    given: dict[str, Any] = {"settings": {}, "text": False, "columns": {}, "workers": 1, "overwrite": True, **options}
    executor = Local(workers=given.pop("workers"))
    out = house.folder / "out.parquet"
    try:
        told = measure(files, steps=steps, out=out, executor=executor, progress=Silent(), **given)
    finally:
        executor.close()
    return told, read_table(out)


def test_every_row_says_what_a_run_would_say_of_it(house: House):
    file = house.lines("a.jsonl", ROWS)
    house.clean(["length: {min_length: 30}", "poisoned", "shout", "gopher_quality: {min_words: 10}"])
    house.run()
    evidence = evidence_of(house.workspace, "clean")
    verdicts = evidence.verdicts(evidence.chain.base[0]).to_pylist()

    told, table = measured(house, [file], STEPS, settings=SETTINGS)

    rows = table.to_pylist()
    assert [row["id"].partition("/")[2] for row in rows] == [row["id"].partition("/")[2] for row in verdicts]
    assert [row["kept"] for row in rows] == [row["kept"] for row in verdicts]
    assert [row["reason"] for row in rows] == [row["reason"] or row["quarantined"] for row in verdicts]
    for step in STEPS:
        stored = [{k: v for k, v in row.items() if k not in ("text", "error")} for row in house.signals(step)]
        assert [{name: row[f"{step}.{name}"] for name in stored[0]} for row in rows] == stored
    assert told["kept"] == house.card().rows_out
    assert told["dropped"] == {**house.card().dropped, **house.card().quarantined}


def test_a_dropped_document_has_the_text_that_the_step_which_dropped_it_read(house: House):
    file = house.lines("a.jsonl", ["Home\nThis is LONGER here.", "Home\nThis is loud.", "Menu\nIt is."])
    settings = {"c4_quality.min_sentences": 1, "length.min_length": 18}

    _, table = measured(house, [file], ["c4_quality", "shout", "length"], settings=settings, text=True)

    assert table.select(["text", "reason"]).to_pylist() == [
        {"text": "This is LONGER here.", "reason": None},
        {"text": "THIS IS LOUD.!", "reason": "length.too_short"},
        {"text": "Menu\nIt is.", "reason": "c4_quality.too_few_sentences"},
    ]


def test_text_of_pinned_steps_is_what_datatrove_leaves_of_kept_and_dropped_documents(house: House):
    need_conformance()
    from datatrove.pipeline.filters import C4QualityFilter, GopherQualityFilter

    from tests.filters.conformance.theirs import documents_of, judged, run_theirs

    line = "  This is another sentence [0] with several longer words that somebody numbered {}.  "
    rows = ["\n".join(["Menu", *(line.format(number) for _ in range(number))]) for number in range(12)]
    rows += [f"{row}\nThe {{ of it is seen." for row in rows[4:8]]
    theirs = documents_of(rows)
    run_theirs([C4QualityFilter(), GopherQualityFilter(min_doc_words=90)], theirs)

    steps = ["c4_quality@datatrove-0.10", "gopher_quality@datatrove-0.10"]
    file = house.lines("a.jsonl", rows)
    _, table = measured(house, [file], steps, settings={"gopher_quality.min_words": 90}, text=True)

    assert table.column("text").to_pylist() == judged(theirs).texts
    reasons = [reason and reason.partition(".")[2] for reason in table.column("reason").to_pylist()]
    assert reasons == judged(theirs).verdicts
    assert {None, "too_few_sentences", "curly_bracket", "gopher_short_doc"} == set(reasons)


def test_the_text_is_as_the_steps_left_it_for_dropped_documents_too(house: House):
    file = house.lines("a.jsonl", ["loud and long enough", "loud", "calm"])

    _, table = measured(house, [file], ["shout", "length"], settings={"length.min_length": 6}, text=True)

    assert table.select(["text", "length.length", "kept"]).to_pylist() == [
        {"text": "LOUD AND LONG ENOUGH!", "length.length": 21.0, "kept": True},
        {"text": "LOUD!", "length.length": 5.0, "kept": False},
        {"text": "calm", "length.length": 4.0, "kept": False},
    ]


def test_files_of_every_kind_stand_in_the_order_in_which_they_were_named(house: House):
    plain = house.lines("z.jsonl", texts(3))
    packed = house.folder / "m.jsonl.gz"
    packed.write_bytes(gzip.compress("".join(json.dumps({"text": text}) + "\n" for text in texts(2)).encode()))
    table = house.folder / "a.parquet"
    write_table(table, pa.table({"text": texts(2)}))

    _, rows = measured(house, [plain, table, packed], ["length"])

    assert rows.column("id").to_pylist() == [
        "files/z:0",
        "files/z:1",
        "files/z:2",
        "files/a:0",
        "files/a:1",
        "files/m:0",
        "files/m:1",
    ]


def test_rows_that_are_no_documents_are_counted_and_lie_beside_the_output(house: House):
    file = house.lines("a.jsonl", ["a text", "", {"words": "no text"}, "another"])

    told, table = measured(house, [file], ["length"])

    assert (told["rows_in"], told["quarantined"]) == (4, {"empty_text": 1, "missing_text": 1})
    assert table.column("id").to_pylist() == ["files/a:0", "files/a:3"]
    refused = read_table(Path(told["quarantined_rows"])).to_pylist()
    assert [row["reason"] for row in refused] == ["empty_text", "missing_text"]


def test_a_document_that_breaks_a_step_costs_itself_and_says_why(house: House):
    file = house.lines("a.jsonl", ["fine text", f"{POISON} here"])

    _, table = measured(house, [file], ["poisoned", "length"])

    broken = table.to_pylist()[1]
    assert (broken["kept"], broken["reason"], broken["poisoned.length"]) == (False, "poisoned", None)
    assert broken["error"] == "ValueError: cannot stand 'POISON here'"
    assert broken["length.length"] == len(f"{POISON} here")


def test_the_number_of_workers_and_of_slices_does_not_show(house: House, monkeypatch: pytest.MonkeyPatch):
    files = [house.lines(f"{name}.jsonl", texts(20, start=20 * index)) for index, name in enumerate("ab")]
    _, alone = measured(house, files, ["gopher_quality", "fineweb_quality"])
    monkeypatch.setattr("pipeline.sources.texts.jsonl.SLICE_BYTES", 500)

    _, many = measured(house, files, ["gopher_quality", "fineweb_quality"], workers=2)

    assert many.equals(alone)


def test_nothing_but_the_output_stays(house: House):
    file = house.lines("a.jsonl", texts(3))
    before = set(house.folder.iterdir())

    measured(house, [file], ["length"])

    assert set(house.folder.iterdir()) - before == {house.folder / "out.parquet"}


def test_a_file_that_breaks_off_leaves_no_output(house: House):
    packed = house.folder / "m.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps({"text": "long " * 999}).encode())[:-20])

    with pytest.raises(DataError, match=r"m\.jsonl\.gz"):
        measured(house, [packed], ["length"])

    assert list(house.folder.iterdir()) == [packed]


def test_a_repeated_step_gets_a_number(house: House):
    file = house.lines("a.jsonl", texts(2))

    _, table = measured(house, [file], ["length", "length"], settings={"length_2.unit": 2})

    row = table.to_pylist()[0]
    assert row["length.length"] == 2 * row["length_2.length"]


def test_files_that_a_step_reads_are_named_by_set(house: House):
    file = house.lines("a.jsonl", ["some words that nobody said", "all new"])
    against = house.folder / "known.txt"
    against.write_text("nobody said")

    _, table = measured(house, [file], ["length"], settings={"length.against": [str(against)]})

    assert table.column("length.shared").to_pylist() == [2, 0]


def test_other_columns_may_hold_text_and_id(house: House):
    file = house.folder / "a.parquet"
    write_table(file, pa.table({"url": ["x", "y"], "body": texts(2)}))

    _, table = measured(house, [file], ["length"], columns={"text": "body", "id": "url"})

    assert table.column("id").to_pylist() == ["x", "y"]
    with pytest.raises(RecipeError, match=r"no column 'text'.*--text-column"):
        measured(house, [file], ["length"])


def test_the_pages_of_web_archives_are_measured_as_rows_are(house: House):
    archives = [archive(house.folder, record(page()), record(page("Short.")), name=f"{name}.warc.gz") for name in "ab"]
    (house.folder / "bad.txt").write_text("example.org\n")
    lists = {"url.domains": [str(house.folder / "bad.txt")]}

    _, table = measured(house, archives, ["url", "length"], settings=lists)

    assert table.column("url.url").to_pylist() == ["http://example.org/a"] * 4
    assert table.column("reason").to_pylist() == ["url.blocked_domain"] * 4
    with pytest.raises(RecipeError, match="a web archive has no columns"):
        measured(house, archives, ["length"], columns={"text": "body", "id": None})


def test_a_preset_stands_for_its_measuring_steps_and_says_what_is_left_out(house: House):
    need_conformance()
    file = house.lines("a.jsonl", texts(5))

    told, table = measured(
        house, [file], ["fineweb@datatrove-0.10", "length"], settings={"gopher_quality.min_words": 5}
    )

    assert told["left_out"] == ["minhash_dedup@datatrove-0.10"]
    steps = list(dict.fromkeys(name.partition(".")[0] for name in table.column_names if "." in name))
    assert steps == ["url", "gopher_repetition", "gopher_quality", "c4_quality", "fineweb_quality", "pii", "length"]


def test_a_step_that_looks_at_metadata_gets_it(house: House):
    file = house.lines("a.jsonl", [{"text": "one", "url": "http://a.bad.org/"}, {"text": "two", "url": "good.org"}])
    (house.folder / "bad.txt").write_text("bad.org\n")

    _, table = measured(house, [file], ["url"], settings={"url.domains": [str(house.folder / "bad.txt")]})

    assert table.column("reason").to_pylist() == ["url.blocked_domain", None]


def test_a_pinned_step_and_ours_stand_side_by_side(house: House):
    need_conformance()
    file = house.lines("a.jsonl", texts(5))

    _, table = measured(house, [file], ["gopher_quality@datatrove-0.10", "gopher_quality"])

    assert {"gopher_quality.num_words", "gopher_quality_2.num_words"} <= set(table.column_names)


WRONG = {
    "a gathering step, pinned": (["minhash_dedup@datatrove-0.10"], {}, "needs a whole dataset"),
    "an unknown preset": (["finweb@datatrove-0.10"], {}, "unknown preset"),
    "a gathering step": (["exact_dedup"], {}, r"`exact_dedup` needs a whole dataset.*steps: \[exact_dedup\]"),
    "a making step": (["write"], {}, "`write` needs a whole dataset"),
    "an unknown step": (["gopher_qualty"], {}, "gopher_quality"),
    "no step": ([], {}, "no steps are given"),
    "a setting of another step": (["length"], {"gopher_quality.min_words": 3}, "must begin with one of the steps"),
    "an unknown key": (["length"], {"length.min_len": 3}, "min_length"),
    "a wrong type": (["length"], {"length.min_length": "x"}, r"measure: length\.min_length is"),
    "a file that is not there": (["length"], {"length.against": ["no.txt"]}, r"`no\.txt` is not a file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_measured_is_said_before_any_work(house: House, case: str):
    steps, settings, told = WRONG[case]
    file = house.lines("a.jsonl", texts(2))

    with pytest.raises(RecipeError, match=told):
        measured(house, [file], steps, settings=settings)

    assert list(house.folder.iterdir()) == [file]


def test_a_wrong_column_is_said_with_the_keys_that_there_are(house: House):
    file = house.lines("a.jsonl", [{"content": text} for text in texts(5)])

    with pytest.raises(
        DataError, match=r"a\.jsonl: every one of 5 rows .*5 missing_text.* keys content\. Give --text-"
    ):
        measured(house, [file], ["length"])

    assert list(house.folder.iterdir()) == [file]
    assert measured(house, [file], ["length"], columns={"text": "content"})[0]["rows_in"] == 5


def test_a_quoted_glob_names_its_files_in_order(house: House):
    for name in ("b", "a"):
        house.lines(f"{name}.jsonl", texts(2))

    _, table = measured(house, [house.folder / "*.jsonl"], ["length"])

    assert table.column("id").to_pylist() == ["files/a:0", "files/a:1", "files/b:0", "files/b:1"]


def test_a_folder_is_refused_with_the_way_to_name_its_files(house: House):
    (house.folder / "docs").mkdir()

    with pytest.raises(RecipeError, match=r"docs: is a folder; name its files, such as .*docs/\*\.jsonl"):
        measured(house, [house.folder / "docs"], ["length"])


def test_an_earlier_output_is_replaced_only_if_asked(house: House):
    file = house.lines("a.jsonl", texts(2))
    measured(house, [file], ["length"], overwrite=False)
    before = (house.folder / "out.parquet").read_bytes()

    with pytest.raises(RecipeError, match=r"out\.parquet: is there already\. .*--overwrite"):
        measured(house, [file], ["shout"], overwrite=False)

    assert (house.folder / "out.parquet").read_bytes() == before


def test_an_input_is_never_overwritten(house: House):
    file = house.lines("out.parquet", texts(2))

    with pytest.raises(RecipeError, match="is also an input"):
        measured(house, [file], ["length"])


def measured_until(house: House, files: list[Path], operation: int) -> int:
    """Measure in a child process that dies before some operation on files; return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = operation

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **named)

        return call

    for name in ("mkdir", "replace", "unlink", "rmdir", "fsync"):
        setattr(os, name, dying(getattr(os, name)))
    code = 1
    try:
        measured(house, files, ["length"], overwrite=False)
        code = 0
    finally:
        os._exit(code)


def test_the_same_command_ends_with_the_same_bytes_whenever_it_was_killed(house: House):
    files = [house.lines("a.jsonl", [*texts(6), {"none": 1}]), house.lines("b.jsonl", texts(3, start=6))]
    measured(house, files, ["length"], overwrite=False)
    outputs = [house.folder / "out.parquet", house.folder / "out.parquet.quarantined.parquet"]
    whole, names = [path.read_bytes() for path in outputs], sorted(house.folder.iterdir())
    operation, code = 0, -1

    while code != 0:
        for path in outputs:
            path.unlink()
        operation += 1
        code = measured_until(house, files, operation)
        assert code in (0, -signal.SIGKILL)
        if code != 0:
            measured(house, files, ["length"], overwrite=False)
        assert [path.read_bytes() for path in outputs] == whole
        assert sorted(house.folder.iterdir()) == names, operation

    assert operation > 20


def test_another_command_does_not_go_on_over_an_output_that_a_killed_one_left(house: House):
    files = [house.lines("a.jsonl", texts(6))]
    operation = 1
    while measured_until(house, files, operation) != 0 and not (house.folder / "out.parquet").exists():
        operation += 1

    with pytest.raises(RecipeError, match=r"out\.parquet: is there already\. .*--overwrite"):
        measured(house, files, ["length", "shout"], overwrite=False)
    measured(house, files, ["length", "shout"], overwrite=True)
    assert {path.name for path in house.folder.iterdir()} == {"a.jsonl", "out.parquet"}
