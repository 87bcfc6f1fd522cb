"""Nothing enters without evidence, nothing entered is lost, and a reader sees old or new, whatever is killed when."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.verdict.certificate import certificate
from eval.verdict.gate import GateRule, decide
from eval.verdict.paired import compare
from pipeline.core.errors import DataError, GateError, RecipeError
from pipeline.store.names.registry import Promotion, current, promote, rollback, versions
from pipeline.store.names.versions import Versions
from pipeline.store.workspace import Workspace

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "work space")


def evidence(identity: str, *, gain: float = 0.1) -> dict[str, Any]:
    """A certificate from a made-up experiment of forty documents with the given gain."""
    num_bytes = np.full(40, 1000)
    baseline = np.full((3, 40), 1500.0) + np.arange(3)[:, None]
    comparison = compare(
        bits_candidate=baseline - gain * num_bytes - np.arange(40) / 4 - np.arange(3)[:, None],
        bits_baseline=baseline,
        num_bytes=num_bytes,
        domain=["web"] * 40,
        cluster=np.arange(40),
        replicates=0,
    )
    rule = GateRule(min_gain=0.004)
    return certificate(
        decide([comparison], rule=rule),
        rule=rule,
        comparisons=[comparison],
        candidate={"name": "candidate", "identity": identity},
        baseline={"name": "baseline", "identity": "b" * 64},
        tokenizer="t" * 64,
        held_out={"web": "w" * 64},
        code_version="0",
        proxy={"tier": "t1"},
        lanes=[],
        machine={},
    )


def enter(
    workspace: Workspace, identity: str, *, gain: float = 0.1, override: str | None = None, given: Any = ...
) -> Promotion:
    """Promote the mixture with this identity under `web-en`."""
    return promote(
        workspace,
        "web-en",
        mixture="candidate",
        mixture_identity=identity,
        folder=f"mixture/candidate-{identity[:12]}",
        parents={"clean": "p" * 64},
        certificate=evidence(identity, gain=gain) if given is ... else given,
        override=override,
    )


def moves_of(workspace: Workspace) -> Sequence[Mapping[str, Any]]:
    return Versions(workspace.registry / "web-en").pointer().history


def test_a_promoted_mixture_is_the_current_version_and_keeps_its_certificate(workspace: Workspace) -> None:
    promotion = enter(workspace, "a" * 64)

    now = current(workspace, "web-en")
    assert promotion.created
    assert promotion.is_current
    assert now == promotion.version == versions(workspace, "web-en")[0]
    assert now is not None
    assert (now.version, now.verdict, now.overridden) == (1, "promote", False)
    assert now.certificate == evidence("a" * 64)
    assert now.reason.startswith("Promote: ")


def test_before_the_first_promotion_there_is_nothing(workspace: Workspace) -> None:
    assert current(workspace, "web-en") is None
    assert versions(workspace, "web-en") == []


def test_promoting_the_same_evidence_again_makes_no_new_version(workspace: Workspace) -> None:
    enter(workspace, "a" * 64)
    before = (workspace.registry / "web-en" / "current.json").read_bytes()

    again = enter(workspace, "a" * 64)

    assert not again.created
    assert again.is_current
    assert len(versions(workspace, "web-en")) == 1
    assert (workspace.registry / "web-en" / "current.json").read_bytes() == before


def _tampered() -> dict[str, Any]:
    content = evidence("a" * 64, gain=-0.1)
    return {**content, "verdict": {**content["verdict"], "outcome": "promote"}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "has no certificate"),
        (evidence("a" * 64, gain=-0.1), "did not promote 'candidate'. Reject: "),
        (evidence("c" * 64), "is about mixture 'candidate' cccccccccccc"),
        (_tampered(), "changed after the gate wrote it"),
    ],
)
def test_without_evidence_for_this_very_mixture_nothing_enters(workspace: Workspace, given: Any, message: str) -> None:
    with pytest.raises(GateError, match=message):
        enter(workspace, "a" * 64, given=given)

    assert current(workspace, "web-en") is None


@pytest.mark.parametrize(("given", "verdict"), [(None, "none"), (evidence("a" * 64, gain=-0.1), "reject")])
def test_an_override_is_recorded_with_its_reason_user_and_verdict(
    workspace: Workspace, given: Any, verdict: str
) -> None:
    version = enter(workspace, "a" * 64, given=given, override="launch is on Monday").version

    assert (version.overridden, version.reason, version.verdict) == (True, "launch is on Monday", verdict)
    assert version.user
    assert version.certificate == given


@pytest.mark.parametrize("given", [_tampered(), evidence("c" * 64)])
def test_no_override_admits_false_evidence(workspace: Workspace, given: Any) -> None:
    with pytest.raises(GateError):
        enter(workspace, "a" * 64, given=given, override="please")


def test_an_override_without_a_reason_is_refused(workspace: Workspace) -> None:
    with pytest.raises(RecipeError, match="Give a reason"):
        enter(workspace, "a" * 64, given=None, override=" ")


def test_rollback_goes_back_one_version_at_a_time_and_deletes_nothing(workspace: Workspace) -> None:
    for letter in "abc":
        enter(workspace, letter * 64)

    assert rollback(workspace, "web-en").version == 2
    assert rollback(workspace, "web-en", reason="too slow").version == 1

    now = current(workspace, "web-en")
    assert now is not None
    assert now.version == 1
    assert [version.version for version in versions(workspace, "web-en")] == [1, 2, 3]
    history = moves_of(workspace)
    moves = [(move["action"], move["from"], move["to"]) for move in history]
    assert moves == [("promote", 0, 1), ("promote", 1, 2), ("promote", 2, 3), ("rollback", 3, 2), ("rollback", 2, 1)]
    assert history[-1]["reason"] == "too slow"
    with pytest.raises(RecipeError, match="no earlier one was current"):
        rollback(workspace, "web-en")


def test_promoting_again_does_not_undo_a_rollback_but_new_evidence_does(workspace: Workspace) -> None:
    enter(workspace, "a" * 64)
    enter(workspace, "b" * 64)
    rollback(workspace, "web-en")

    again = enter(workspace, "b" * 64)
    assert (again.created, again.is_current) == (False, False)

    assert enter(workspace, "c" * 64).is_current
    assert rollback(workspace, "web-en", to=2).version == 2


@pytest.mark.parametrize(
    ("name", "to", "message"), [("web-em", None, "Did you mean web-en"), ("web-en", 7, "has no version 7; it has 1")]
)
def test_rolling_back_to_what_does_not_exist_is_refused(
    workspace: Workspace, name: str, to: int | None, message: str
) -> None:
    enter(workspace, "a" * 64)

    with pytest.raises(RecipeError, match=message):
        rollback(workspace, name, to=to)


@pytest.mark.parametrize("name", ["../up", "", "a/b", ".hidden"])
def test_a_name_that_could_leave_the_registry_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(RecipeError, match="cannot be a name"):
        current(workspace, name)


def test_an_edited_version_is_found_when_it_is_read(workspace: Workspace) -> None:
    enter(workspace, "a" * 64)
    path = workspace.registry / "web-en" / "v00001.json"
    path.write_text(path.read_text().replace('"user": "', '"user": "not '))

    with pytest.raises(DataError, match=r"v00001\.json: is not a version"):
        current(workspace, "web-en")


def dying_at(step: int, action: Callable[[], object]) -> bool:
    """Say whether `action` lived in a child that dies, without cleaning up, before its file operation number `step`."""

    def child() -> None:
        left = step

        def deadly(operation: Callable[..., Any]) -> Callable[..., Any]:
            def run(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                if left == 0:
                    os._exit(9)
                left -= 1
                return operation(*args, **kwargs)

            return run

        for name in ("link", "replace", "unlink", "fsync", "mkdir", "open"):
            setattr(os, name, deadly(getattr(os, name)))
        action()
        os._exit(0)

    process = FORK.Process(target=child)
    process.start()
    process.join()
    return process.exitcode == 0


def test_a_promotion_killed_before_any_file_operation_is_all_or_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    steps = 0
    lived = False
    while not lived:
        workspace = Workspace(tmp_path / str(steps))
        enter(workspace, "a" * 64)

        lived = dying_at(steps, lambda workspace=workspace: enter(workspace, "b" * 64))

        seen = current(workspace, "web-en")
        assert seen is not None
        assert seen.version in (1, 2)
        enter(workspace, "b" * 64)
        assert [version.mixture_identity[0] for version in versions(workspace, "web-en")] == ["a", "b"]
        now = current(workspace, "web-en")
        assert now is not None
        assert now.version == 2
        rollback(workspace, "web-en")
        left = {path.name for path in (workspace.registry / "web-en").iterdir()} - {".lock"}
        assert left == {"v00001.json", "v00002.json", "current.json"}
        steps += 1

    assert steps > 8


def test_a_rollback_killed_before_any_file_operation_leaves_old_or_new(tmp_path: Path) -> None:
    steps = 0
    lived = False
    while not lived:
        workspace = Workspace(tmp_path / str(steps))
        enter(workspace, "a" * 64)
        enter(workspace, "b" * 64)

        lived = dying_at(steps, lambda workspace=workspace: rollback(workspace, "web-en"))

        seen = current(workspace, "web-en")
        assert seen is not None
        assert seen.version == 3 - len(moves_of(workspace)) + 1
        steps += 1

    assert steps > 3


def test_of_eight_racing_promoters_none_is_lost_and_a_reader_sees_only_whole_versions(
    workspace: Workspace, record_property: Any
) -> None:
    letters = "01234567"
    processes = [
        FORK.Process(target=lambda letter=letter: [enter(workspace, letter * 64), enter(workspace, "f" * 64)])
        for letter in letters
    ]

    for process in processes:
        process.start()
    newest = reads = 0
    while any(process.is_alive() for process in processes):
        seen = current(workspace, "web-en")
        number, reads = seen.version if seen is not None else 0, reads + 1
        assert number >= newest
        newest = number
    for process in processes:
        process.join()

    record_property("times", reads)
    assert [process.exitcode for process in processes] == [0] * 8
    found = versions(workspace, "web-en")
    assert [version.version for version in found] == list(range(1, 10))
    assert sorted(version.mixture_identity[0] for version in found) == [*letters, "f"]
    now = current(workspace, "web-en")
    assert now is not None
    assert now.version == 9


def test_a_record_is_plain_json_with_its_own_hash(workspace: Workspace) -> None:
    enter(workspace, "a" * 64)

    stored = json.loads((workspace.registry / "web-en" / "v00001.json").read_text())

    assert stored["certificate"]["verdict"]["outcome"] == "promote"
    assert len(stored["record_id"]) == 64
