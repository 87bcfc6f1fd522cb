"""The verbs. The only place that prints: results on stdout (`--json` on each), progress and errors on stderr.

Exit codes: 0 done; 1 a step failed; 2 bad recipe or usage; 3 not promoted; 4 budget reached; 75 busy; 99 nothing
new (with --skip-code); 130, 143 signals.
"""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from pipeline import __version__
from pipeline.commands import (
    ablate,
    audit,
    bill,
    cancel,
    compare,
    diversity,
    doctor,
    errors,
    export,
    export_tasks,
    fit,
    gc,
    init,
    proxies,
    questions,
    slurm,
    versions,
)
from pipeline.commands.flags import RAY, load_plugins, parse_memory, running
from pipeline.commands.research import approve, night
from pipeline.commands.run.telling import Wanted, stopped, telling, told
from pipeline.core.errors import PendingError, RecipeError, TamisError
from pipeline.core.process.start import start
from pipeline.core.shown import escaped, shown

EPILOG = (
    "Exit codes: 0 done, 1 a step failed, 2 bad recipe or usage, 3 not promoted, 4 budget reached, 75 busy, 99 nothing "
    "new (with --skip-code)."
)
NOTHING_NEW = 99
COMPLETE = "_TAMIS_COMPLETE"  # by which a shell asks what may follow
SHELLS = ("bash", "fish", "zsh")

FULL_OR_BROKEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}  # wherever it strikes


def main() -> NoReturn:
    """Run the command line and turn every outcome into its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = _run(sys.argv[1:])
    except click.exceptions.Exit as error:
        code = error.exit_code
    except TamisError as error:
        _fail(str(error), *getattr(error, "__notes__", []))
        code = error.exit_code
    except KeyboardInterrupt:
        _fail("stopped; run the same command again to go on.")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if error.errno not in FULL_OR_BROKEN:
            raise
        _fail(f"{error.filename or 'a file'}: {error.strerror}. Free or repair the disk and run again.")
        code = 1
    except click.ClickException as error:  # wrong usage; anything else is our bug
        _fail(error.format_message())
        code = 2
    sys.exit(code)


def _run(words: list[str]) -> int:
    """Do what the command line says; tell a shell that asks what may follow."""
    asked = os.environ.get(COMPLETE)
    if asked is not None:
        from click.shell_completion import shell_complete

        return shell_complete(app, {}, "tamis", COMPLETE, asked)
    with app.make_context("tamis", words) as context:
        app.invoke(context)
    return 0


def _leave(code: int) -> NoReturn:
    """End the process where it stands, in ten seconds at most, and tell of it whom the run was to tell."""
    import threading

    late = threading.Timer(10.0, os._exit, [code])
    late.daemon = True
    late.start()
    stopped(code)
    os._exit(code)  # the workers die with us, and every file at a final name is whole


def _stop_after(seconds: float) -> None:
    """End the process with 4 after so long, by a clock that nobody sets."""
    import threading

    def stop() -> None:
        os.write(2, b"tamis: stopped by --max-hours; run the same command again to go on.\n")
        _leave(4)

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()


def _terminate(number: int, frame: object) -> NoReturn:
    os.write(2, b"tamis: stopped by SIGTERM; run the same command again to go on.\n")
    _leave(143)  # the workers die with us, and every file at a final name is whole


def _fail(*lines: str) -> None:
    for line in lines:
        print(shown(f"tamis: {line}" if "\n" not in line else line), file=sys.stderr)


def _emit(data: Any, as_json: bool, text: str) -> None:
    print(
        escaped(json.dumps(_strict(data), ensure_ascii=False, indent=1, default=str, allow_nan=False))
        if as_json
        else shown(text)
    )


def _strict(data: Any) -> Any:
    """Return data with null for the numbers that JSON cannot hold."""
    if isinstance(data, dict):
        return {key: _strict(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_strict(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _tell_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        print(f"tamis {__version__}")
        context.exit()


def _tell_completion(context: click.Context, parameter: click.Parameter, shell: str | None) -> None:
    if shell is not None:
        from click.shell_completion import get_completion_class

        kind = get_completion_class(shell)
        assert kind is not None
        print(kind(app, {}, "tamis", COMPLETE).source())
        context.exit()


class _InOrder(click.Group):
    """Lists the verbs as they stand below, what one does first before what one may do later."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_tell_version,
    help="Show the version and exit.",
)  # fmt: skip
@click.option(
    "--show-completion", metavar="SHELL", type=click.Choice(SHELLS), is_eager=True, expose_value=False,
    callback=_tell_completion, help=f"Show what lets {', '.join(SHELLS[:-1])} or {SHELLS[-1]} complete commands.",
)  # fmt: skip
def app() -> None:
    """Curate raw text into promoted training mixtures, with the evidence for every decision."""


def _verb(**about: Any) -> Callable[[Callable[..., None]], None]:
    """Make a function a verb, which prepares the process before it imports anything."""

    def named(function: Callable[..., None]) -> None:
        @functools.wraps(function)
        def begun(**given: Any) -> None:
            start()
            function(**given)

        app.command(**about)(begun)

    return named


def _build_all(
    *, recipe: Path, workspace: Path, workers: int, device: str, memory: str, track: Sequence[str],
    plugin: Sequence[Path], as_json: bool, wait: bool = True, test_endpoint: bool = False, ray: str | None = None,
    new_only: bool = False, skip_code: bool = False, wanted: Wanted | None = None,
) -> NoReturn:  # fmt: skip
    from dataclasses import asdict

    from pipeline.commands.run.display import Terminal
    from pipeline.commands.run.run_recipe import run_recipe
    from pipeline.commands.run.tracking import tracking
    from pipeline.commands.texts import outcome_text
    from pipeline.core.process.kernel_cache import notice
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    place = Workspace(workspace)
    with (
        Terminal(notice=notice) as progress,
        telling(wanted or Wanted(), progress, recipe=recipe, workspace=place) as story,
        tracking(recipe, wanted=track, workspace=place, progress=progress),
    ):
        story.outcome = outcome = run_recipe(
            recipe, workspace=place, workers=workers, progress=story.progress, device=device,
            memory_bytes=parse_memory(memory), wait=wait, test_endpoint=test_endpoint, ray=ray, new_only=new_only,
        )  # fmt: skip
        code = NOTHING_NEW if outcome.nothing_new and skip_code else outcome.exit_code
        _emit(asdict(outcome), as_json, outcome_text(outcome))
        raise click.exceptions.Exit(code)


@_verb(short_help="Build, judge, promote and report what a recipe names.")
@running
@RAY
@told
@click.option("--no-wait", is_flag=True, help="Leave batches that are on their way to the next run, and end with 0.")
@click.option("--new-only", is_flag=True, help="Add to what was promoted last, from files that it was not read from.")
@click.option(
    "--skip-code", is_flag=True, help="With --new-only: end with 99 where nothing is new, which skips a task."
)
@click.option("--max-hours", type=click.FloatRange(min=0, min_open=True), metavar="HOURS",
              help="End with 4 after so long; the next run goes on.")  # fmt: skip
@click.option("--test-endpoint", is_flag=True, help="Test anew what the server at ANTHROPIC_BASE_URL can do.")
def run(
    *, no_wait: bool, as_json: bool, max_hours: float | None, log: Path | None, metrics: Path | None,
    summary: Path | None, on_finish: str, on_failure: str, **given: Any,
) -> None:  # fmt: skip
    """Build everything a recipe names, judge the candidate, promote it if the gate says so, write the report."""
    if given["skip_code"] and not given["new_only"]:
        raise RecipeError("--skip-code: says that nothing is new, which only --new-only finds out. Add --new-only.")
    if max_hours is not None:
        _stop_after(3600 * max_hours)
    try:
        wanted = Wanted(log, metrics, summary, on_finish, on_failure)
        _build_all(wait=not no_wait, as_json=as_json, wanted=wanted, **given)
    except PendingError as pending:
        _emit({"pending": str(pending)}, as_json, str(pending))


@_verb(short_help="Search the weights of a mixture.")
@running
def sweep(*, recipe: Path, plugin: Sequence[Path], **given: Any) -> None:
    """Run a recipe that has a `sweep:`; prints the weights that were found, and where a recipe with them is."""
    from pipeline.recipe.load import load_recipe

    load_plugins(plugin)
    if load_recipe(recipe).sweep is None:
        raise RecipeError(f"{recipe}: has no `sweep:`, so there is nothing to search. Add one, or use `tamis run`.")
    _build_all(recipe=recipe, plugin=(), **given)


def _asked(question: Callable[..., questions.VerbAnswer], *, help: str, name: str | None = None) -> None:
    """Make a question a verb, whose answer is printed."""

    @functools.wraps(question)
    def verb(*, as_json: bool, **given: Any) -> None:
        answer = question(as_json=as_json, **given)
        _emit(answer.data, as_json, answer.text)
        if answer.note:
            print(shown(f"tamis: {answer.note}"), file=sys.stderr)
        if answer.exit_code:
            raise click.exceptions.Exit(answer.exit_code)

    _verb(name=name, short_help=help)(verb)


_asked(init.init, help="Write a recipe to start from, for your own files.")
_asked(questions.plan, help="Show what `run` would do, and why.")
_asked(questions.status, help="List what the workspace holds.")
_asked(questions.why, help="Tell why one document was kept or dropped.")
_asked(questions.look, help="Show documents of a dataset, kept or dropped.")
_asked(questions.report, help="Write the HTML report again.")
_asked(versions.promote, help="Register the candidate as a new version.")
_asked(versions.remember, help="Keep a dataset's signatures for deduplicating later ones.")
_asked(versions.rollback, help="Point a name at an earlier version.")
_asked(versions.registry, help="List promoted versions.")
_asked(export.export, help="Write a dataset or a mixture as documents.")
_asked(export_tasks.export_tasks, help="Write tasks as an environment for reinforcement learning.", name="export-tasks")
_asked(ablate.ablate, help="Leave out each step of a recipe in turn.")
_asked(night.research, help="Search for a better mixture overnight.")
_asked(night.cards, help="List what a search tried, refused and learned.")
_asked(approve.approve, help="Say yes to what waits for a person.")
_asked(approve.reject, help="Say no to what waits for a person.")
_asked(audit.audit, help="Tell what of a dataset's distributions moved beyond its noise floor.")
_asked(compare.compare, help="Hold trained mixtures against each other.")
_asked(diversity.diversity, help="Tell how diverse a dataset is, beside a band of real text.")
_asked(doctor.doctor, help="Examine the proxies of an experiment.")
_asked(errors.errors, help="Tell what the worst documents of an experiment have in common.")
_asked(bill.bill, help="Tell what paid requests cost and saved.")
_asked(cancel.cancel, help="Stop Message Batches that are on their way.")
_asked(gc.gc, help="List, and remove, what nothing refers to.")
_asked(proxies.export_proxy, help="Write a trained proxy as a folder of its own.", name="export-proxy")
_asked(proxies.score, help="Score finished proxies on tasks.")
_asked(slurm.slurm, help="Run recipes on the machines of a Slurm cluster.")
_asked(fit.fit, help="Model a table of training runs: accuracy and the best weights.")
_asked(questions.what_if, help="Tell what other thresholds would keep and drop.", name="what-if")
_asked(questions.diff, help="Tell what one dataset keeps and another does not.")
_asked(questions.stats, help="Tell how stored signals are distributed.")
_asked(questions.measure, help="Measure files without a recipe.")
_asked(questions.verify, help="Check every stored file against its card.")
_asked(questions.schema, help="Print the JSON Schema of recipes, for editors.")
_asked(questions.plugins, help="List the steps that come from outside.")


if __name__ == "__main__":
    main()
