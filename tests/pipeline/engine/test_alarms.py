"""The drift alarm: a share outside the band of earlier runs stops the run before anything is published."""

from __future__ import annotations

import pytest

from pipeline.core.errors import DataError
from tests.pipeline.house import House, texts
from tests.pipeline.steps import POISON

SHORT, LONG = "ab", "a text that is long enough"


def write(house: House, *, short: int, long: int) -> None:
    """Write data of which `length` drops the short ones."""
    house.lines("a.jsonl", [f"{SHORT}{n}"[:4] for n in range(short)] + [f"{LONG} {n}" for n in range(long)])


def watched(house: House, alarms: str = "max_drift: 0.05", more: str = "") -> None:
    house.clean([f"length: {{min_length: 10, {alarms}{more}}}"])


@pytest.fixture
def ran(house: House) -> House:
    """Two earlier runs, in which 10 % and 20 % were dropped."""
    watched(house, "max_drift: 0.5")
    for short in (2, 4):
        write(house, short=short, long=20 - short)
        house.run()
    watched(house)
    return house


def published(house: House) -> int:
    return len(list((house.folder / "workspace").glob("dataset/*/card.json")))


@pytest.mark.parametrize("short", [1, 2, 3, 4, 5])
def test_a_share_inside_of_the_band_and_its_margin_passes(ran: House, short: int):
    write(ran, short=short, long=20 - short)

    ran.run()

    assert ran.card().dropped.get("length.too_short") == short


@pytest.mark.parametrize(("short", "told"), [(6, "30.0%"), (0, "0.0%")])
def test_a_share_outside_stops_the_run_with_share_band_and_ids(ran: House, short: int, told: str):
    before = published(ran)
    write(ran, short=short, long=20 - short)

    with pytest.raises(DataError) as caught:
        ran.run()

    message = str(caught.value)
    assert f"clean: length dropped {short} of 20 documents ({told})" in message
    assert "in 2 earlier runs it dropped 10.0% to 20.0%, and it may leave that by 5.0%" in message
    assert ("most by length.too_short, such as docs/a:0, docs/a:1, docs/a:2;" in message) == (short > 0)
    assert published(ran) == before
    assert not list((ran.folder / "workspace").glob("dataset/*/.*.tmp"))


def test_raising_the_margin_lets_the_run_through_and_measures_nothing_again(ran: House):
    write(ran, short=8, long=12)
    with pytest.raises(DataError, match="max_drift"):
        ran.run()

    watched(ran, "max_drift: 0.25")
    assert {node.kind for node in ran.plan().to_build} == {"dataset"}
    ran.run()

    assert ran.card().dropped["length.too_short"] == 8


def test_an_edited_threshold_is_no_drift(ran: House):
    ran.clean(["length: {min_length: 999, max_drift: 0.05}"])

    ran.run()

    assert ran.card().rows_out == 0


def test_an_edited_alarm_forgets_no_earlier_run(ran: House):
    watched(ran, "max_drift: 0.01, max_drop_fraction: 0.9")
    write(ran, short=5, long=15)

    with pytest.raises(DataError, match="in 2 earlier runs"):
        ran.run()


def test_the_first_run_has_nothing_to_drift_from(house: House):
    write(house, short=19, long=1)
    watched(house, "max_drift: 0.0")

    house.run()

    assert house.card().rows_out == 1


def test_only_what_reaches_the_step_counts_in_earlier_runs_too(house: House):
    steps = ["length: {min_length: 10}", "poisoned: {max_drift: 0.05}"]
    house.clean(steps)
    house.lines("a.jsonl", [SHORT, SHORT + "c", *[f"{LONG} {n}" for n in range(9)], f"{POISON} and long"])
    house.run()
    house.lines("a.jsonl", [SHORT, *[f"{LONG} {n}" for n in range(9)], f"{POISON} and long"])
    house.run()
    house.lines("a.jsonl", [*[f"{SHORT}{n}" for n in range(9)], *texts(1), f"{POISON} and longer"])

    with pytest.raises(DataError, match=r"poisoned dropped 1 of \d .* in 2 earlier runs it dropped 10\.0% to 10\.0%"):
        house.run()


def test_drift_stops_the_run_before_a_gathering_step_is_paid_for(ran: House):
    ran.clean(["length: {min_length: 10, max_drift: 0.05}", "count"])
    write(ran, short=15, long=5)

    with pytest.raises(DataError, match="earlier runs"):
        ran.run()

    assert not list((ran.folder / "workspace").glob("gathered/*/part-*"))
