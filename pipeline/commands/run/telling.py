"""What a schedule wants to know of a run: a log of JSON lines, figures for Prometheus, one page, a command at its end.

None of it can break a run or hold it up: what cannot be written is a warning, and a command that takes longer than
MOST_SECONDS goes on by itself. Commands are lists of words and never go through a shell; what came out is in their
environment, without the key.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.core.errors import PendingError, RecipeError, TamisError
from pipeline.core.process import keys
from pipeline.engine.progress import Progress

if TYPE_CHECKING:
    from pipeline.commands.run.run_recipe import Outcome
    from pipeline.store.workspace import Workspace

MOST_SECONDS = 5.0  # that a run waits for a command at its end
SUCCESSES = (0, 99)
WORDS = {0: "done", 1: "failed", 2: "bad recipe or usage", 3: "not promoted", 4: "budget reached", 75: "busy",
         99: "nothing new", 130: "interrupted", 143: "terminated"}  # fmt: skip
PENDING = "pending"  # the word for a run that left paid requests on their way
LAST_SUCCESS = "tamis_run_last_success_timestamp_seconds"
STOPPED: list[Callable[[int], None]] = []  # what is to be told if a signal ends the process, by its exit code


@dataclass(slots=True)
class Wanted:
    """Where a run's story goes, as the flags say."""

    log: Path | None = None
    metrics: Path | None = None
    summary: Path | None = None
    on_finish: str = ""
    on_failure: str = ""

    def commands(self) -> list[tuple[str, list[str]]]:
        """Return the commands as words; RecipeError for one that has none, before any work."""
        found = []
        for flag, text in (("--on-finish", self.on_finish), ("--on-failure", self.on_failure)):
            try:
                words = shlex.split(text)
            except ValueError as error:
                raise RecipeError(f"{flag} {text}: cannot be read as words ({error}). Close the quotes.") from error
            if text and not words:
                raise RecipeError(f"{flag} '{text}': names no command. Give one, or leave the flag out.")
            found += [(flag, words)] if words else []
        return found


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the flags by which a schedule follows it."""
    place = click.Path(path_type=Path, dir_okay=False)
    for option in (
        click.option("--on-failure", metavar="COMMAND", default="",
                     help="Run this at the end unless it is 0 or 99; no shell, TAMIS_* variables say what came out."),
        click.option("--on-finish", metavar="COMMAND", default="", help="Run this at the end, whatever came out."),
        click.option("--summary", type=place, metavar="FILE.md", help="Write what came out on one page."),
        click.option("--metrics", type=place, metavar="FILE.prom", help="Write figures for Prometheus (textfile)."),
        click.option("--log", type=place, metavar="FILE", help="Append what happens as lines of JSON."),
    ):  # fmt: skip
        function = option(function)
    return function


class Logged:
    """A Progress that also appends lines of JSON to a file, while it can."""

    def __init__(self, progress: Progress, path: Path | None, *, recipe: str) -> None:
        self.progress, self.recipe, self.path = progress, recipe, path
        self.handle: int | None = None
        if path is not None:
            try:  # a pipe that nobody reads would hold the run up
                self.handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o644)
            except OSError as error:
                progress.say(f"warning: --log {path}: {error.strerror}; the run goes on without it")

    def write(self, event: str, **fields: Any) -> None:
        """Append one event, in one piece."""
        if self.handle is None:
            return
        line = {"at": _now(), "recipe": self.recipe, "event": event, **fields}
        try:
            os.write(self.handle, (json.dumps(line, ensure_ascii=True, default=str) + "\n").encode())
        except OSError as error:
            self.handle = None
            self.progress.say(f"warning: --log {self.path}: {error.strerror}; the run goes on without it")

    def begin(self, label: str, *, total: int, unit: str) -> None:
        self.write("begin", label=label, total=total, unit=unit)
        self.progress.begin(label, total=total, unit=unit)

    def advance(self, amount: int, *, documents: int = 0) -> None:
        self.progress.advance(amount, documents=documents)

    def end(self, counted: str = "") -> None:
        self.write("end", counted=counted)
        self.progress.end(counted)

    def say(self, line: str) -> None:
        self.write("say", line=line)
        self.progress.say(line)


@dataclass(slots=True)
class Telling:
    """One run that is being told of; `outcome` is filled in where it comes to one."""

    progress: Logged
    wanted: Wanted
    recipe: str
    workspace: Workspace
    started: float = field(default_factory=time.monotonic)
    outcome: Outcome | None = None
    error: str = ""
    pending: str = ""  # what the run left on its way, with --no-wait
    spent_before: float = 0.0  # dollars in the ledger when it began

    def finish(self, code: int) -> None:
        """Write everything that is wanted and run the commands; never raises, takes MOST_SECONDS at most."""
        word = self._word(code)
        self.progress.write("finish", exit_code=code, outcome=word, seconds=self._seconds(), error=self.error,
                            verdict=self._of("verdict"), promoted=self._of("promoted"))  # fmt: skip
        for flag, path, text in (("--metrics", self.wanted.metrics, self._metrics), ("--summary", self.wanted.summary,
                                                                                     self._summary)):  # fmt: skip
            if path is not None:
                try:
                    _replace(path, text(code))
                except (OSError, TamisError, ValueError, KeyError) as error:
                    self.progress.say(f"warning: {flag} {path}: cannot be written ({error})")
        until = time.monotonic() + MOST_SECONDS
        for flag, words in self.wanted.commands():
            if flag == "--on-finish" or code not in SUCCESSES:  # what is pending has not failed
                self._command(flag, words, code=code, word=word, until=until)

    def _command(self, flag: str, words: list[str], *, code: int, word: str, until: float) -> None:
        given = {
            "TAMIS_OUTCOME": word, "TAMIS_EXIT_CODE": str(code), "TAMIS_RECIPE": self.recipe,
            "TAMIS_SECONDS": str(self._seconds()), "TAMIS_ERROR": self.error, "TAMIS_VERDICT": self._of("verdict"),
            "TAMIS_SENTENCE": self._of("sentence"), "TAMIS_PROMOTED": self._of("promoted"),
            "TAMIS_REPORT": self._of("report"), "TAMIS_COST_USD": str(self._cost_usd()),
        }  # fmt: skip
        clean = {key: value.replace("\0", "") for key, value in given.items()}
        try:
            process = subprocess.Popen(
                words, env=keys.environment() | clean, stdin=subprocess.DEVNULL, stdout=2, start_new_session=True
            )
            failed = process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.progress.say(f"{flag} {words[0]}: takes longer than {MOST_SECONDS:g} s and goes on by itself")
        except (OSError, ValueError) as error:
            self.progress.say(f"warning: {flag} {words[0]}: cannot be run ({error})")
        else:
            if failed:
                self.progress.say(f"warning: {flag} {words[0]}: ended with {failed}")

    def _of(self, name: str) -> str:
        value = getattr(self.outcome, name, None)
        return "" if value is None else str(value)

    def _word(self, code: int) -> str:
        return PENDING if self.pending else WORDS.get(code, "failed")

    def _cost_usd(self) -> float:
        """Return what the results that were built cost; of a run that came to none, what it added to the ledger."""
        if self.outcome is not None:
            return self.outcome.cost_usd
        return max(0.0, _spent(self.workspace) - self.spent_before)

    def _seconds(self) -> float:
        return round(time.monotonic() - self.started, 1)

    def _metrics(self, code: int) -> str:
        """Return the figures of the run; the time of the last success is kept where this one is none."""
        now = time.time()
        label = f'recipe="{_escaped(self.recipe)}"'
        succeeded = code in SUCCESSES and not self.pending
        success = now if succeeded else _last_success(self.wanted.metrics, label)
        lines = []

        def gauge(name: str, help: str, values: list[tuple[str, float]]) -> None:
            if values:
                lines.extend([f"# HELP {name} {help}", f"# TYPE {name} gauge"])
                lines.extend(f"{name}{{{labels}}} {value:.15g}" for labels, value in values)

        gauge("tamis_run_last_end_timestamp_seconds", "When the last run ended.", [(label, now)])
        gauge(
            LAST_SUCCESS,
            "When a run last ended with 0 or 99, and nothing left on its way.",
            [] if success is None else [(label, success)],
        )
        gauge("tamis_run_exit_code", "Exit code of the last run.", [(label, code)])
        gauge("tamis_run_seconds", "How long the last run took.", [(label, self._seconds())])
        gauge("tamis_run_cost_usd", "Dollars that the last run cost.", [(label, self._cost_usd())])
        gauge(
            "tamis_run_pending", "Whether the last run left paid requests on their way.", [(label, bool(self.pending))]
        )
        rows: list[tuple[str, float]] = []
        ratios: list[tuple[str, float]] = []
        for name, documents, shares in self._datasets():
            of = f'{label},dataset="{_escaped(name)}"'
            rows.append((of, documents))
            ratios += [(f'{of},step="{_escaped(step)}"', share) for step, share in shares]
        gauge("tamis_run_rows", "Documents of a dataset that the last run built or reused.", rows)
        gauge("tamis_run_removed_ratio", "Share of the documents that reached a step and were removed by it.", ratios)
        return "\n".join(lines) + "\n"

    def _datasets(self) -> Iterator[tuple[str, int, list[tuple[str, float]]]]:
        """Yield the datasets that the run was for: documents, and what each step removed of those that reached it."""
        from pipeline.store.results import removed_by_step

        for made in self.outcome.made if self.outcome is not None else ():
            _, card = self.workspace.dataset(made.dataset)
            yield made.dataset, card.rows_out, [(step, lost / reached) for step, lost, reached in removed_by_step(card)]

    def _summary(self, code: int) -> str:
        from pipeline.commands.texts import outcome_text

        lines = [f"# {self.recipe}: {self._word(code)}", "", f"Ended {_now()} with exit code {code} after "
                 f"{self._seconds():g} s.", ""]  # fmt: skip
        lines += [self.pending or self.error, ""] if self.pending or self.error else []
        if self.outcome is not None:
            lines += ["```text", outcome_text(self.outcome), "```", ""]
        for name, documents, shares in self._datasets():
            lines += [f"## {name}: {documents:,} documents", "", "| step | removed |", "| --- | --- |"]
            lines += [f"| {step} | {share:.2%} |" for step, share in shares] + [""]
        return "\n".join(lines)


@contextmanager
def telling(wanted: Wanted, progress: Progress, *, recipe: Path, workspace: Workspace) -> Iterator[Telling]:
    """Tell of a run, whatever ends it: its code is the one that the process will end with."""
    wanted.commands()
    _refuse_inputs(wanted, recipe)
    logged = Logged(progress, wanted.log, recipe=recipe.stem)
    story = Telling(logged, wanted, recipe=recipe.stem, workspace=workspace, spent_before=_spent(workspace))
    logged.write("start", pid=os.getpid())
    STOPPED.append(story.finish)
    code = 1
    try:
        yield story
        code = 0
    except PendingError as error:
        code, story.pending = error.exit_code, str(error)
        raise
    except BaseException as error:
        code = _code_of(error)
        story.error = "" if isinstance(error, click.exceptions.Exit) else f"{error}" or type(error).__name__
        raise
    finally:
        STOPPED.remove(story.finish)
        story.finish(code)


def _refuse_inputs(wanted: Wanted, recipe: Path) -> None:
    """Raise RecipeError if the run would write its story into a file that it reads; all else the run itself tells."""
    flags = {"--log": wanted.log, "--metrics": wanted.metrics, "--summary": wanted.summary}
    given = {flag: path for flag, path in flags.items() if path is not None}
    if not given:
        return
    from pipeline.recipe.load import load_recipe

    made = []
    try:
        for path in given.values():
            if not path.exists() and path.parent.is_dir():
                path.touch()  # a pattern names what is there
                made.append(path)
        read = {name: source.reader.reads() for name, source in load_recipe(recipe).sources.items()}
    except (TamisError, OSError):
        return
    finally:
        for path in made:
            path.unlink(missing_ok=True)
    for flag, path in given.items():
        for name, files in read.items():
            if str(path.resolve()) in files:
                raise RecipeError(
                    f"{flag} {path}: is a file that sources.{name} reads, and would change under the run. Write it to "
                    f"another folder, or give sources.{name}.path a pattern that leaves it out."
                )


def _spent(workspace: Workspace) -> float:
    """Return the dollars that the ledger of a workspace has; 0 where there is none, or none that can be read."""
    from pipeline.core.claude.ledger.ledger import total_usd

    try:
        return total_usd(workspace.ledger) if workspace.ledger.exists() else 0.0
    except (TamisError, OSError):
        return 0.0


def stopped(code: int) -> None:
    """Tell of what is under way that a signal or a limit of time ends the process now."""
    for finish in [*STOPPED]:
        with suppress(Exception):  # the process ends whatever becomes of this
            finish(code)


def _code_of(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, (click.exceptions.Exit, TamisError, click.ClickException)):
        return int(error.exit_code)
    return 1


def _last_success(path: Path | None, label: str) -> float | None:
    """Return the time that an earlier run of the recipe wrote, if there is one."""
    try:
        text = path.read_text(encoding="utf-8") if path is not None else ""
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(rf"^{LAST_SUCCESS}\{{{re.escape(label)}\}} ([0-9.e+]+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all; a power cut may lose it, as nothing rests on it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
