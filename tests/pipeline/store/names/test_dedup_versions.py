"""Dedup across dumps: every duplicate of an earlier document goes, and says which; versions, forgetting, going back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.commands.texts import status_text
from pipeline.core.errors import DataError, RecipeError
from pipeline.queries.status import status_of
from pipeline.queries.verify import verify
from pipeline.store.names.dedup_versions import change, forget, remember, roll_back, store_file
from tests.claude_server import claude_server
from tests.pipeline.house import House, contents, texts
from tests.synth.writing.room import room
from tests.synth.writing.server import document, written

LONG = [text * 3 for text in texts(40, start=100)]


def named(stem: str, rows: list[str]) -> list[dict[str, str]]:
    return [{"id": f"{stem}:{number}", "text": row} for number, row in enumerate(rows)]


@pytest.fixture
def first(house: House) -> House:
    """A house whose first dump is published and remembered as version 1 of the store `news`."""
    house.lines("a.jsonl", named("a", LONG[:10]))
    house.clean(["minhash_dedup"], source="{read: jsonl, path: DIR/a.jsonl, id: id}")
    house.run()
    remember(house.workspace, "clean", store="news")
    return house


def second_dump(house: House, rows: list[str], *, parameters: str = "against_store: news") -> list[dict]:
    house.lines("b.jsonl", named("b", rows))
    house.clean([f"minhash_dedup: {{{parameters}}}"], source="{read: jsonl, path: DIR/b.jsonl, id: id}")
    house.run()
    return house.signals("minhash_dedup")


def test_status_tells_what_a_store_remembers(first: House) -> None:
    forget(first.workspace, ["a:3"], store="news")

    data = status_of(first.workspace)

    size = data["stores"][0].pop("size_bytes")
    assert data["stores"] == [{"name": "news", "version": 2, "documents": 10, "forgotten": 1}]
    assert 0 < size < data["disk_bytes"]
    assert "dedup store news: version 2, 10 documents" in status_text(data)


def test_three_new_copies_of_one_old_document_all_go(first: House) -> None:
    """datatrove 0.10 drops the first of the three and keeps two."""
    label = f"clean/{first.card().identity[:8]}"

    rows = second_dump(first, [LONG[3], LONG[20], LONG[3], LONG[3]])

    assert first.ids() == ["b:1"]
    assert [row["is_duplicate"] for row in rows] == [1, 0, 1, 1]
    assert [row["duplicate_of"] for row in rows] == ["a:3", None, "a:3", "a:3"]
    assert [row["earlier"] for row in rows] == [label, None, label, label]
    assert [row["jaccard_estimate"] for row in rows] == [1, None, 1, 1]


def test_a_document_that_meets_an_old_one_only_through_a_duplicate_goes_too(first: House) -> None:
    words = LONG[5].split()
    near, further = " ".join([*words[:-3], "x"]), " ".join([*words[:-6], "y"])

    rows = second_dump(first, [further, near, LONG[30], LONG[30] + " more"])

    assert [row["duplicate_of"] for row in rows] == ["a:5", "a:5", "b:3", None]
    assert [row["earlier"] is None for row in rows] == [False, False, True, True]
    assert 0.5 < rows[0]["jaccard_estimate"] < rows[1]["jaccard_estimate"] < 1


def test_a_document_that_is_alike_to_no_earlier_one_but_only_to_its_duplicate_stays(first: House) -> None:
    words = [f"word{number}" for number in range(250)]
    first.lines("a.jsonl", named("a", [" ".join(words[:200])]))
    first.run()
    remember(first.workspace, "clean", store="long")
    near, far = " ".join(words[22:222]), " ".join(words[44:244])  # 0.80 and 0.63 alike to the old one, 0.80 to another

    rows = second_dump(first, [near, far], parameters="against_store: long")
    strict = second_dump(first, [near, far], parameters="against_store: long, min_jaccard: 0.9")

    assert [row["duplicate_of"] for row in rows] == ["a:0", None]
    assert [row["cluster_size"] for row in rows] == [1, 1]
    assert [row["duplicate_of"] for row in strict] == [None, None]


def test_the_card_tells_what_was_met_and_where(first: House) -> None:
    second_dump(first, [LONG[3], LONG[20]])

    node = first.plan().datasets["clean"].steps[-1].node
    from pipeline.core.files.card import read_card

    assert read_card(node.folder).details["store"] == {"name": "news", "version": "v00001", "documents_met": 1}


def test_a_store_that_moved_on_is_another_input(first: House) -> None:
    second_dump(first, [LONG[3], LONG[20]])
    assert first.plan().to_build == []
    forget(first.workspace, ["a:3"], store="news")

    assert [node.name for node in first.plan().to_build] == ["minhash_dedup", "clean"]
    rows = second_dump(first, [LONG[3], LONG[20]])
    assert [row["duplicate_of"] for row in rows] == [None, None]

    roll_back(first.workspace, store="news", to=1)
    assert first.plan().to_build == []


def test_a_remembered_dump_is_no_duplicate_of_itself_and_is_not_built_again(first: House) -> None:
    second_dump(first, [LONG[3], LONG[20], LONG[21], LONG[20]])
    before = contents(first.workspace.root)

    done = remember(first.workspace, "clean", store="news")

    assert (done.documents, done.added) == (12, 2)
    assert first.plan().to_build == []
    forget(first.workspace, ["a:9"], store="news")
    second_dump(first, [LONG[3], LONG[20], LONG[21], LONG[20]])
    assert first.ids() == ["b:1", "b:2"]
    assert before.items() <= contents(first.workspace.root).items()


def test_nor_under_other_parameters_another_name_or_when_its_folder_has_grown(first: House) -> None:
    second_dump(first, LONG[18:22])
    remember(first.workspace, "clean", store="news")
    first.lines("b2.jsonl", [{"id": "new", "text": LONG[30]}, {"id": "copy", "text": LONG[19]}])
    first.write(
        "sources:\n  docs: {read: jsonl, path: DIR/b*.jsonl, id: id}\n"
        "datasets:\n  all: {from: docs, steps: [length]}\n"
        "  clean: {from: all, steps: [minhash_dedup: {against_store: news, audit_pairs: 3}]}\n"
    )

    first.run()

    assert first.ids() == ["b:0", "b:1", "b:2", "b:3", "new"]


def test_the_same_page_in_a_later_dump_goes_also_under_the_same_id(first: House) -> None:
    """Whether it was crawled again or stands in a dump that was edited: what is read is another file."""
    second_dump(first, LONG[18:20])
    remember(first.workspace, "clean", store="news")

    second_dump(first, LONG[18:21])

    assert first.ids() == ["b:2"]


def test_beside_its_own_documents_a_run_meets_those_that_were_remembered_with_them(first: House) -> None:
    first.lines("b.jsonl", named("b", LONG[10:13]))
    both = (
        "sources:\n  docs: {read: jsonl, path: DIR/a.jsonl, id: id}\n  more: {read: jsonl, path: DIR/b.jsonl, id: id}\n"
    )
    first.write(both + "datasets:\n  clean: {from: [docs, more]}\n")
    first.run()
    remember(first.workspace, "clean", store="both")
    first.lines("c.jsonl", named("c", [LONG[2], LONG[11], LONG[30]]))
    third = "  third: {read: jsonl, path: DIR/c.jsonl, id: id}\n"
    first.write(
        both + third + "datasets:\n  clean: {from: [more, third], steps: [minhash_dedup: {against_store: both}]}\n"
    )

    first.run()

    assert first.ids() == ["b:0", "b:1", "b:2", "c:2"]


def test_a_forgotten_document_is_met_no_more_but_its_copies_are(house: House) -> None:
    house.lines("a.jsonl", named("a", [LONG[0], LONG[1], LONG[0]]))
    house.clean([], source="{read: jsonl, path: DIR/a.jsonl, id: id}")
    house.run()
    remember(house.workspace, "clean", store="news")
    forget(house.workspace, ["a:0", "a:1"], store="news")

    rows = second_dump(house, LONG[:3])

    assert [row["duplicate_of"] for row in rows] == ["a:2", None, None]


def test_what_was_made_from_a_forgotten_document_is_forgotten_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claude_server(default=written) as server:
        house = room(tmp_path, server, monkeypatch, [document(1), document(2)], documents=2, styles=["plain"])
        house.run()
    made_of = {row["id"]: json.loads(row["lineage"])[-1]["sources"] for row in house.documents("new")}
    remember(house.workspace, "new", store="news")
    with pytest.raises(DataError, match="holds no document `d2`, and none made from it"):
        forget(house.workspace, ["d0", "d2"], store="news")

    one = forget(house.workspace, ["d0"], store="news")
    (made,) = json.loads(store_file(house.workspace, "news").read_text())["forgotten"]
    shutil.rmtree(house.workspace.dataset("new")[0])
    gone = forget(house.workspace, [made], store="news")

    assert made_of[made] == ["d0"] and len(made_of) == 2
    assert (one.forgotten, one.gone) == (1, ()) and (gone.forgotten, gone.gone) == (1, ("new",))


def test_remembering_twice_changes_nothing(first: House) -> None:
    before = store_file(first.workspace, "news").read_bytes()

    again = remember(first.workspace, "clean", store="news")

    assert (again.version, again.changed, again.documents) == (1, False, 10)
    assert store_file(first.workspace, "news").read_bytes() == before


def test_no_version_is_ever_changed(first: House) -> None:
    one = store_file(first.workspace, "news")
    kept = one.read_bytes()
    forget(first.workspace, ["a:1"], store="news")
    back = roll_back(first.workspace, store="news", to=1)
    third = forget(first.workspace, ["a:2"], store="news")

    assert one.read_bytes() == kept
    assert (back.version, back.forgotten) == (1, 0)
    assert (third.version, third.forgotten) == (3, 1)


def test_old_parts_and_new_parts_do_not_show(first: House) -> None:
    rows = [*LONG[5:15], *LONG[5:8], *LONG[12:20]]
    whole = second_dump(first, rows)
    for number in range(4):
        first.lines(f"c{number}.jsonl", [{"id": f"c{i}", "text": rows[i]} for i in range(number, len(rows), 4)])
    first.clean(["minhash_dedup: {against_store: news}"], source="{read: jsonl, path: DIR/c*.jsonl, id: id}")
    first.run()

    split = [row["duplicate_of"] for row in first.signals("minhash_dedup")]

    assert sum(row["earlier"] is not None for row in whole) == 8
    assert sum(name is not None for name in split) == sum(row["duplicate_of"] is not None for row in whole)
    assert contents(first.workspace.root)


def test_what_cannot_be_is_said(first: House) -> None:
    unknown = r"recipe\.yaml:7: datasets\.clean\.minhash_dedup\.against_store: there is no dedup store `old`"
    with pytest.raises(RecipeError, match=unknown):
        second_dump(first, LONG[:2], parameters="against_store: old")
    with pytest.raises(RecipeError, match=r"holds signatures of .*'bands': 14.*the step has .*'bands': 20"):
        second_dump(first, LONG[:2], parameters="against_store: news, bands: 20")
    with pytest.raises(DataError, match="holds no document `z:9`"):
        forget(first.workspace, ["a:1", "z:9"], store="news")
    with pytest.raises(RecipeError, match=r"^there is no dedup store `old`\. Did you mean news"):
        forget(first.workspace, ["a:1"], store="old")
    with pytest.raises(RecipeError, match="has no version 7"):
        roll_back(first.workspace, store="news", to=7)
    with pytest.raises(RecipeError, match="give one of"):
        change(first.workspace, "clean", store="news", ids=["a:1"], to=None)


def test_a_dataset_without_documents_is_not_remembered(house: House) -> None:
    house.lines("a.jsonl", texts(3))
    house.clean(["length: {min_length: 5000}"])
    house.run()

    with pytest.raises(
        DataError, match=r"clean holds no documents: of 3 documents none .* 3 went by length\.too_short"
    ):
        remember(house.workspace, "clean", store="news")

    assert not (house.workspace.root / "dedup" / "news").exists()


def test_a_damaged_version_is_noticed(first: House) -> None:
    path = store_file(first.workspace, "news")
    path.write_text(path.read_text().replace('"forgotten": []', '"forgotten": ["a:1"]'))

    with pytest.raises(DataError, match="does not match its hash"):
        forget(first.workspace, ["a:2"], store="news")


KINDS = ["values", "keys", "docs", "forest", "bands", "sizes"]


def piece_of(house: House, *, store: str = "news") -> Path:
    (found,) = (house.workspace.root / "dedup" / store / "pieces").iterdir()
    return found


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", [*(f"{kind}-00000.npy" for kind in KINDS), "ids.parquet"])
def test_a_flipped_bit_of_a_piece_stops_the_run_and_is_listed(first: House, name: str) -> None:
    path = piece_of(first) / name
    flip(path)
    told = (
        rf"{path}: has BLAKE3 \w{{12}}; piece\.json says [\d,]+ bytes, BLAKE3 \w{{12}}\. Delete {path.parents[2]} and "
    )

    with pytest.raises(DataError, match=told + "`tamis remember` the datasets again, or restore it from a backup"):
        second_dump(first, [LONG[3], LONG[20]])

    (row,) = verify(first.workspace)["damaged"]
    assert row["path"] == str(path) and "piece.json says" in row["problem"]


def test_a_cut_and_a_missing_file_are_named(first: House) -> None:
    piece = piece_of(first)
    whole = (piece / "keys-00000.npy").read_bytes()
    (piece / "keys-00000.npy").write_bytes(whole[:-8])
    with pytest.raises(
        DataError, match=rf"keys-00000\.npy: has {len(whole) - 8:,} bytes; piece\.json says {len(whole):,}"
    ):
        second_dump(first, [LONG[3], LONG[20]])
    (piece / "keys-00000.npy").write_bytes(whole)
    (piece / "bands-00000.npy").unlink()

    with pytest.raises(DataError, match=r"bands-00000\.npy: cannot be read \(No such file or directory\); piece\.json"):
        second_dump(first, [LONG[3], LONG[20]])


def test_a_piece_without_a_manifest_is_not_trusted_and_made_again_as_told(first: House) -> None:
    folder, _ = first.workspace.dataset("clean")
    (piece_of(first) / "piece.json").unlink()

    with pytest.raises(DataError, match=r"has no piece\.json, .* an early Tamis wrote none\. Delete .*/news and"):
        second_dump(first, [LONG[3], LONG[20]])

    assert len(verify(first.workspace)["damaged"]) == 1
    shutil.rmtree(first.workspace.root / "dedup" / "news")
    remember(first.workspace, folder.name, store="news")  # the name means what the last run was to build
    second_dump(first, [LONG[3], LONG[20]])
    assert first.ids() == ["b:1"] and verify(first.workspace)["damaged"] == []


@pytest.mark.parametrize("text", ["", "[]", "{}", "drop"])
def test_a_damaged_manifest_is_noticed(first: House, text: str) -> None:
    path = piece_of(first) / "piece.json"
    record = json.loads(path.read_text())
    path.write_text(text if text != "drop" else json.dumps(record | {"files": record["files"][1:]}))

    with pytest.raises(DataError, match=r"piece\.json: is not the list of a piece's files .* Delete .*/news and"):
        second_dump(first, [LONG[3], LONG[20]])

    assert [row["path"] for row in verify(first.workspace)["damaged"]] == [str(path)]


def test_a_piece_that_a_killed_process_left_is_signed_again(first: House) -> None:
    piece = piece_of(first)
    whole = {path.name: path.read_bytes() for path in piece.iterdir()}
    home = first.workspace.root / "dedup" / "news"
    for path in (home / "current.json", home / "v00001.json", piece / "piece.json"):
        path.unlink()
    flip(piece / "keys-00000.npy")

    remember(first.workspace, "clean", store="news")

    assert {path.name: path.read_bytes() for path in piece.iterdir()} == whole


def test_pieces_that_a_run_leaves_out_are_not_read(first: House) -> None:
    second_dump(first, [LONG[3], LONG[20]])
    remember(first.workspace, "clean", store="other")
    flip(piece_of(first, store="other") / "keys-00000.npy")

    second_dump(first, [LONG[3], LONG[20]], parameters="against_store: other")

    assert len(first.ids()) == 2
