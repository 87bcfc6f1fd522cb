"""Running a plan: alarms before publishing, broken steps named, nothing built twice, made datasets, resume."""

from __future__ import annotations

import pytest

from pipeline.core.errors import DataError
from pipeline.core.files.card import read_card
from pipeline.core.files.parquet.shards import read_table
from pipeline.store.dataset.chain import part_name
from tests.pipeline.house import House, files_of, texts
from tests.pipeline.steps import POISON, Count


def test_rows_are_conserved_in_every_card_of_a_run(house: House):
    house.lines("a.jsonl", [*texts(30), "", POISON, "loud " * 4, *texts(3)])
    house.lines("b.jsonl", texts(9, start=30))
    house.clean(["length: {min_length: 30}", "poisoned", "shout", "exact_dedup", "count: {min_rank: 4}"])

    house.run()

    cards = [read_card(path.parent) for path in (house.folder / "workspace").glob("*/*/card.json")]
    assert len(cards) == 7
    for card in cards:
        assert card.rows_in == card.rows_out + sum(card.dropped.values()) + sum(card.quarantined.values())
    clean = house.card()
    assert clean.rows_out == len(house.documents()) > 0
    assert set(clean.dropped) == {"length.too_short", "exact_dedup.exact_duplicate", "count.low_rank"}


def test_a_step_that_drops_more_than_it_may_stops_the_run_before_anything_is_published(house: House):
    house.lines("a.jsonl", texts(10))
    house.clean(["length", "poisoned: {min_length: 90, max_drop_fraction: 0.2}"])

    with pytest.raises(DataError) as caught:
        house.run()

    message = str(caught.value)
    assert "clean: poisoned dropped" in message and "of 10 documents" in message and "it may drop 20.0%" in message
    assert "poisoned.too_short, such as docs/a:" in message
    assert not list((house.folder / "workspace").glob("dataset/*/*.parquet"))
    house.clean(["length", "poisoned: {min_length: 90, max_drop_fraction: 0.95}"])
    assert {node.kind for node in house.plan().to_build} == {"dataset"}
    house.run()


def test_an_alarm_sounds_before_a_gathering_step_is_paid_for(house: House):
    house.lines("a.jsonl", texts(10))
    house.clean(["length: {min_length: 90, max_drop_fraction: 0.2}", "count"])

    with pytest.raises(DataError, match="may drop"):
        house.run()

    assert not list((house.folder / "workspace").glob("gathered/*/part-*"))


def test_documents_that_break_a_step_count_as_its_losses(house: House):
    house.lines("a.jsonl", [POISON + str(number) for number in range(6)] + texts(4))
    house.clean(["poisoned: {max_drop_fraction: 0.5}"])

    with pytest.raises(DataError, match=r"poisoned dropped 6 of 10 .* most by poisoned, such as docs/a:0"):
        house.run()


def test_a_share_counts_only_documents_that_reached_the_step(house: House):
    house.lines("a.jsonl", [*["tiny"] * 8, "long enough", "loud and long enough"])
    house.clean(["length", "poisoned: {max_length: 12, max_drop_fraction: 0.49}"])

    with pytest.raises(DataError, match="poisoned dropped 1 of 2 documents"):
        house.run()


def test_a_step_that_breaks_on_every_document_is_named_and_its_answers_are_forgotten(house: House, monkeypatch):
    from tests.pipeline import steps

    house.lines("a.jsonl", texts(5))
    house.clean(["length", "broken"])

    with pytest.raises(DataError, match=r"step broken broke on every one of 5 documents \(ImportError: no module"):
        house.run()

    assert not list((house.folder / "workspace").glob("measured/broken-*/*"))
    monkeypatch.setattr(steps.Broken, "measure", steps.Length.measure)  # mended, without a new version
    house.run()
    assert house.card().rows_out == 5


def test_a_gathering_step_that_forgets_a_part_is_a_bug_and_not_a_result(house: House):
    house.lines("a.jsonl", texts(3))
    house.lines("b.jsonl", texts(3))
    house.clean(["forgetful"])

    with pytest.raises(DataError, match="forgetful wrote no signals for part 1"):
        house.run()

    assert not list((house.folder / "workspace").glob("gathered/*/card.json"))


def test_a_gathering_step_sees_the_living_and_its_signals_lie_row_for_row_with_all(house: House):
    house.lines("a.jsonl", ["ab", *texts(3), "cd"])
    house.clean(["length: {min_length: 5}", "count"])

    house.run()

    assert [row["rank"] for row in house.signals("count")] == [None, 0.0, 1.0, 2.0, None]


def test_a_shared_gathering_step_runs_once_for_two_datasets(house: House, monkeypatch):
    runs = []
    gather = Count.gather
    monkeypatch.setattr(Count, "gather", lambda self, work: (runs.append(1), gather(self, work))[1])
    house.lines("a.jsonl", texts(4))
    house.write(
        "sources: {docs: {read: jsonl, path: DIR/a.jsonl}}\ndatasets:\n"
        "  one: {from: docs, steps: [count]}\n  two: {from: docs, steps: [count, length]}\n"
    )

    house.run()

    assert len(runs) == 1


def test_a_made_dataset_is_left_as_it_was_made(house: House):
    """It was once published over itself, and a kill in between left other bytes than a run without one."""
    house.write("datasets:\n  tasks: {make: {write: {documents: 5}}}\n")

    house.run()

    folder, card = house.workspace.dataset("tasks")
    assert card.kind == "made" and card.details["made"] == 5
    assert [path.name for path in sorted(folder.iterdir())] == ["card.json", part_name(0)]


def test_steps_may_follow_what_is_made(house: House):
    house.write(
        "datasets:\n  tasks:\n    make: {write: {documents: 6}}\n    steps: [{count: {min_rank: 4}}, length]\n"
        "  both: {from: tasks, make: {write: {documents: 2}}}\n"
    )

    house.run()

    assert house.ids("tasks") == ["made-4", "made-5"]
    assert house.card("tasks").dropped == {"count.low_rank": 4}
    assert house.card("both").rows_out == 2


def test_a_making_step_that_stops_half_way_is_not_complete(house: House):
    house.write("datasets:\n  tasks: {make: refusing}\n")

    for _ in range(2):
        with pytest.raises(DataError, match="half of it is missing"):
            house.run()

    assert [node.complete for node in house.plan().nodes] == [False]


def test_a_dataset_from_several_holds_all_of_them_in_order(house: House):
    house.lines("a.jsonl", texts(3))
    house.lines("b.jsonl", texts(2, start=3))
    house.write(
        "sources:\n  one: {read: jsonl, path: DIR/a.jsonl}\n  two: {read: jsonl, path: DIR/b.jsonl}\n"
        "datasets:\n  all: {from: [two, one], steps: [count]}\n"
    )

    house.run()

    assert house.ids("all") == ["two/b:0", "two/b:1", "one/a:0", "one/a:1", "one/a:2"]


STEPS = ["length: {min_length: 20}", "poisoned", "shout", "exact_dedup", "count: {min_rank: 2}", "minhash_dedup"]


def corpus(house: House) -> None:
    for name in ("a", "b", "c"):
        house.lines(f"{name}.jsonl", [*texts(12), POISON, f"loud and clear {name}", *texts(4, start=ord(name))])
    house.clean(STEPS)


class StoppedError(Exception):
    pass


def test_a_run_stopped_before_any_of_its_writes_goes_on_to_the_same_bytes(house: House, monkeypatch):
    """Every write of the run is the last one once; what follows is a plain second run."""
    from pipeline.core.files.writing import durable

    corpus(house)
    house.run()
    whole = files_of(house.folder / "workspace")
    write, left = durable.os.replace, [0]

    def replace(old, new):
        if left[0] == 0:
            raise StoppedError
        left[0] -= 1
        write(old, new)

    stopped = 0
    for point in range(0, 60, 5):
        (house.folder / "workspace").rename(house.folder / f"before-{point}")
        monkeypatch.setattr(durable.os, "replace", replace)
        left[0] = point
        try:
            house.run()
        except StoppedError:
            stopped += 1
        finally:
            monkeypatch.setattr(durable.os, "replace", write)
        for path in (house.folder / "workspace").glob("*/*/card.json"):
            assert read_card(path.parent)
        house.run()
        assert files_of(house.folder / "workspace") == whole
    assert stopped >= 6


def test_scratch_that_a_kill_left_beside_a_card_is_swept_by_the_next_run(house: House):
    house.lines("a.jsonl", texts(3))
    house.clean(["exact_dedup"])
    folder = house.run().datasets["clean"].steps[0].node.folder
    (folder / "scratch").mkdir()
    (folder / "scratch" / "hashes.npy").write_bytes(b"left")

    house.run()

    assert not (folder / "scratch").exists()


def test_a_damaged_stored_file_is_named(house: House):
    house.lines("a.jsonl", texts(8))
    house.clean(["length"])
    plan = house.run()
    path = next(plan.sources["docs"].folder.glob("slice-*.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    house.clean(["length", "poisoned"])

    with pytest.raises(DataError, match=path.name):
        house.run()


def test_a_flipped_byte_in_stored_text_never_becomes_other_text(house: House):
    """Row 28: every page carries a checksum, so a normal read notices."""
    house.lines("a.jsonl", texts(40))
    house.clean(["length"])
    plan = house.run()
    path = next(plan.sources["docs"].folder.glob("slice-*.parquet"))
    good, table = path.read_bytes(), read_table(path)

    silent = 0
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    for place in range(4, footer, 3):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x20]) + good[place + 1 :])
        try:
            silent += read_table(path) != table
        except DataError as error:
            assert path.name in str(error)

    assert silent == 0


def test_a_damaged_card_is_named(house: House):
    house.lines("a.jsonl", texts(3))
    house.clean(["length"])
    plan = house.run()
    card = plan.datasets["clean"].node.folder / "card.json"
    card.write_text(card.read_text(encoding="utf-8")[:100], encoding="utf-8")

    with pytest.raises(DataError, match=r"card\.json: is not a card"):
        house.plan()


def test_an_alarm_set_after_a_dataset_was_built_still_sounds():
    from collections import Counter

    from pipeline.core.step import Params
    from pipeline.engine.alarms import Losses, _sound

    losses = Losses(documents=100, dropped=Counter({"length.too_short": 60}))

    _sound(losses, {"length": Params(max_drop_fraction=0.6)}, {}, place="clean")
    with pytest.raises(DataError, match=r"clean: length dropped 60 of 100 documents \(60\.0%\)"):
        _sound(losses, {"length": Params(max_drop_fraction=0.5)}, {}, place="clean")
