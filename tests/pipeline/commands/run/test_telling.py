"""What a schedule is told of a run: figures, a log, a page, a command; and that none of them can break one."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.commands.run.telling import Wanted, telling
from pipeline.core.claude.ledger.layout import opened
from pipeline.core.errors import DataError, PendingError
from pipeline.engine.progress import Silent
from tests.pipeline.house import House, texts

Verb = Callable[..., tuple[int, str, str]]
NOTE = "import json, os, sys; json.dump([sys.argv[2:], dict(os.environ)], open(sys.argv[1], 'w'))"


@pytest.fixture
def tamis(house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verb:
    """Run a verb; return its exit code, stdout and stderr."""
    monkeypatch.chdir(house.folder)
    monkeypatch.setattr(cli.signal, "signal", lambda number, handler: None)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tamis", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(str(ended.value.code)), captured.out, captured.err

    house.lines("a.jsonl", [*texts(8), "short"])
    house.clean(["length: {min_length: 10}", "exact_dedup"])
    return run


def figures(path: Path) -> dict[str, float]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    found = [re.fullmatch(r"([a-z_]+\{[^}]*\}) ([-+0-9.e]+)", line) for line in lines]
    assert all(found)
    return {match[1]: float(match[2]) for match in found if match}


def test_figures_a_log_a_page_and_a_command_tell_what_came_out(
    house: House, tamis: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure keeps the time of the last success, and a command is words: what looks like a shell's is none."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Gateway: sk-canary")
    (house.folder / "note.py").write_text(NOTE, encoding="utf-8")
    note = f"{shlex.quote(sys.executable)} note.py told.json '$(touch owned); `touch owned`'"
    flags = [
        "--metrics",
        "m.prom",
        "--log",
        "run.log",
        "--summary",
        "page.md",
        "--on-failure",
        note,
        "--workers",
        "1",
    ]
    begun = time.time()

    code, _, err = tamis("run", "recipe.yaml", *flags)
    assert code == 0, err

    good, of = figures(house.folder / "m.prom"), 'recipe="recipe"'
    assert code == 0 and good[f"tamis_run_exit_code{{{of}}}"] == 0 and not (house.folder / "told.json").exists()
    success = good[f"tamis_run_last_success_timestamp_seconds{{{of}}}"]
    assert begun <= success == good[f"tamis_run_last_end_timestamp_seconds{{{of}}}"]
    assert good[f'tamis_run_rows{{{of},dataset="clean"}}'] == 8
    assert good[f'tamis_run_removed_ratio{{{of},dataset="clean",step="length"}}'] == pytest.approx(1 / 9)
    assert "| length | 11.11% |" in (house.folder / "page.md").read_text(encoding="utf-8")

    house.clean(["length: {min_length: 1000, max_drop_fraction: 0.5}"])
    code, _, _ = tamis("run", "recipe.yaml", *flags)

    bad = figures(house.folder / "m.prom")
    assert code == 1 and bad[f"tamis_run_exit_code{{{of}}}"] == 1
    assert bad[f"tamis_run_last_success_timestamp_seconds{{{of}}}"] == success
    words, environment = json.loads((house.folder / "told.json").read_text(encoding="utf-8"))
    assert words == ["$(touch owned); `touch owned`"] and not (house.folder / "owned").exists()
    assert environment["TAMIS_OUTCOME"] == "failed" and environment["TAMIS_EXIT_CODE"] == "1"
    assert "it may drop 50.0%" in environment["TAMIS_ERROR"] and "sk-canary" not in environment.values()
    assert not [name for name in environment if name.startswith("ANTHROPIC")]
    events = [json.loads(line) for line in (house.folder / "run.log").read_text(encoding="utf-8").splitlines()]
    assert [event["exit_code"] for event in events if event["event"] == "finish"] == [0, 1]
    assert {"start", "begin", "end", "say", "finish"} == {event["event"] for event in events}
    assert not list(house.folder.glob(".*.tmp"))


def test_nothing_that_is_told_of_a_run_can_break_it_or_hold_it_up(house: House, tamis: Verb) -> None:
    os.mkfifo(house.folder / "pipe")  # which nobody reads
    flags = ["--metrics", "gone/m.prom", "--log", "pipe", "--summary", "gone/page.md", "--workers", "1"]
    begun = time.monotonic()

    code, out, err = tamis("run", "recipe.yaml", *flags, "--on-finish", "sleep 7")

    assert code == 0 and "built 4" in out and time.monotonic() - begun < 30
    for told in ("--metrics gone/m.prom", "--log pipe", "--summary gone/page.md", "sleep: takes longer than 5 s"):
        assert told in err
    code, _, err = tamis("run", "recipe.yaml", "--on-finish", "no-such-command --at all")
    assert code == 0 and "no-such-command: cannot be run" in err
    code, _, err = tamis("run", "recipe.yaml", "--on-finish", "an 'open quote")
    assert code == 2 and "Close the quotes" in err


@pytest.mark.parametrize("flag", ["--log", "--metrics", "--summary"])
def test_a_story_that_would_be_written_into_a_source_is_refused_and_leaves_it_alone(
    house: House, tamis: Verb, flag: str
) -> None:
    before = (house.folder / "a.jsonl").read_bytes()

    for name in ("a.jsonl", "new.jsonl"):
        code, _, err = tamis("run", "recipe.yaml", flag, name)
        assert code == 2 and f"{flag} {name}: is a file that sources.docs reads" in err

    assert (house.folder / "a.jsonl").read_bytes() == before and not (house.folder / "new.jsonl").exists()


def test_what_is_pending_is_no_success_and_a_run_that_fails_tells_what_it_spent(house: House) -> None:
    """The ledger knows what a run bought before it failed; the cards of results that were never finished do not."""
    place, recipe = house.folder / "m.prom", Path("recipe.yaml")
    wanted, of = Wanted(metrics=place), '{recipe="recipe"}'
    house.workspace.root.mkdir()
    with pytest.raises(DataError), telling(wanted, Silent(), recipe=recipe, workspace=house.workspace):
        with closing(opened(house.workspace.ledger)) as ledger:
            ledger.execute("INSERT INTO requests VALUES ('r', 'm', 'p', '{}', 'DONE', '', 0)")
            ledger.execute(
                "INSERT INTO attempts(request, sent_in, endpoint, sent_at, reserved_nano) VALUES ('r','single','',0,0)"
            )
            ledger.execute("INSERT INTO answers VALUES ('r', 1, '', '{}', 500000000, '', 0)")
        raise DataError("a step failed")
    assert figures(place)[f"tamis_run_cost_usd{of}"] == 0.5

    with telling(wanted, Silent(), recipe=recipe, workspace=house.workspace):
        pass
    assert figures(place)[f"tamis_run_cost_usd{of}"] == 0  # what an earlier run spent is not this one's
    success = figures(place)[f"tamis_run_last_success_timestamp_seconds{of}"]
    with pytest.raises(PendingError), telling(wanted, Silent(), recipe=recipe, workspace=house.workspace):
        raise PendingError("a batch is on its way")
    told = figures(place)
    assert told[f"tamis_run_last_success_timestamp_seconds{of}"] == success
    assert (told[f"tamis_run_pending{of}"], told[f"tamis_run_exit_code{of}"]) == (1, 0)
