from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from pipeline.core.errors import DataError
from pipeline.store.names.looks import FILE, UNKNOWN, Look, Standing, enter, looks_in, note_outcome, standing_of
from pipeline.store.workspace import Workspace


def look(candidate: str, proxies: str, *, baseline: str = "base", held_out: str = "news", name: str = "") -> Look:
    """A look at proxies named by letters."""
    return Look(name or candidate + proxies, candidate, baseline, (held_out,), tuple(proxies), judged=held_out)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def test_more_seeds_are_a_further_look_and_other_proxies_a_further_candidate(workspace):
    standings = [
        enter(workspace, look("first", "abc")),
        enter(workspace, look("first", "abcde")),
        enter(workspace, look("second", "xyz")),
        enter(workspace, look("first", "fgh")),
        enter(workspace, look("first", "abcdefgh")),
    ]

    assert standings == [
        Standing(number=1, candidate_number=1, promoted=0, openings=1),
        Standing(number=2, candidate_number=1, promoted=0, openings=2),
        Standing(number=1, candidate_number=2, promoted=0, openings=3),
        Standing(number=1, candidate_number=3, promoted=0, openings=4),
        Standing(number=4, candidate_number=1, promoted=0, openings=5),
    ]


def test_another_baseline_or_held_out_set_is_counted_by_itself(workspace):
    enter(workspace, look("first", "abc"))

    other = enter(workspace, look("first", "abc", baseline="other"))
    elsewhere = enter(workspace, look("first", "abc", held_out="code"))

    assert other == Standing(number=1, candidate_number=1, promoted=0, openings=2)
    assert (elsewhere.number, elsewhere.candidate_number, elsewhere.openings) == (1, 2, 1)


def test_the_same_proxies_are_the_same_look_whatever_their_certificate_is_called(workspace):
    first = enter(workspace, look("first", "abc"))
    enter(workspace, look("second", "xyz"))

    assert enter(workspace, look("first", "abc", name="other")) == first
    assert len(looks_in(workspace)) == 2


def test_a_look_at_what_is_gone_counts_against_every_baseline_and_every_held_out_set(workspace):
    gone = Look("old", "gone: x", UNKNOWN, (), ("a",), "reject")

    standing = enter(workspace, look("first", "abc"), known=[gone])

    assert standing == Standing(number=1, candidate_number=2, promoted=0, openings=2)
    assert looks_in(workspace) == [gone, look("first", "abc")]


def test_where_a_look_will_stand_is_told_without_taking_it(workspace):
    enter(workspace, look("first", "abc"))

    ahead = standing_of(look("second", "xyz"), looks_in(workspace))

    assert (ahead.candidate_number, len(looks_in(workspace))) == (2, 1)
    assert enter(workspace, look("second", "xyz")) == ahead


def test_what_was_promoted_before_is_counted_for_others(workspace):
    taken = look("first", "abc")
    enter(workspace, taken)
    note_outcome(workspace, taken, "promote")

    assert enter(workspace, look("second", "xyz")).promoted == 1
    assert enter(workspace, look("first", "abcd")).promoted == 0


def test_a_record_that_was_edited_is_refused(workspace):
    enter(workspace, look("first", "abc"))
    path = workspace.root / FILE
    content = json.loads(path.read_text())
    content["looks"] = []
    path.write_text(json.dumps(content))

    with pytest.raises(DataError, match=r"looks\.json: cannot be read .*Take it from a backup"):
        enter(workspace, look("second", "xyz"))


def test_the_same_proxies_judged_by_another_part_or_rate_are_an_experiment_of_their_own(workspace):
    taken = look("first", "abc")
    enter(workspace, taken)

    again = enter(workspace, replace(taken, judged="the other half", certificate="other"))

    assert (again.number, again.candidate_number, again.openings) == (1, 2, 2)
    assert len(looks_in(workspace)) == 2


@pytest.mark.parametrize("seed", range(20))
def test_no_two_experiments_against_one_baseline_share_a_number(workspace, seed):
    """So the parts of the error that they get sum to no more than all of it."""
    draw, seen, experiments = random.Random(seed), {}, {}
    for _ in range(25):
        candidate = draw.choice("ABCD")
        known = experiments.setdefault(candidate, [])
        if known and draw.random() < 0.4:
            own = draw.choice(known)
            own.append(f"{own[0]} and {len(own)} more")
        else:
            own = [f"{candidate}{len(known)}"]
            known.append(own)
        standing = enter(workspace, Look(own[-1], candidate, "base", ("news",), tuple(own), judged="news"))
        assert seen.setdefault(own[0], standing.candidate_number) == standing.candidate_number

    assert sorted(seen.values()) == [*range(1, len(seen) + 1)]


def test_a_look_of_which_it_is_not_known_what_it_judged_is_the_same_by_its_certificate(workspace):
    old = replace(look("first", "abc"), judged="")

    standing = enter(workspace, look("first", "abc"), known=[old])
    later = enter(workspace, replace(look("first", "abc"), certificate="other"))

    assert (standing.number, later.number) == (1, 2)
