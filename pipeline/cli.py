"""The verbs. The only place that prints: results on stdout (`--json` on each), progress and errors on stderr.

Exit codes: 0 done; 1 a step failed; 2 bad recipe, usage or environment; 3 the gate refused or is undecided;
4 budget reached, run again to go on; 75 the workspace is in use; 130 and 143 stopped by a signal.
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
from pipeline.commands import ablate as ablate_verb
from pipeline.commands import bill as bill_verb
from pipeline.commands import cancel as cancel_verb
from pipeline.commands import compare as compare_verb
from pipeline.commands import export as export_verb
from pipeline.commands import fit as fit_verb
from pipeline.commands import proxies, questions
from pipeline.commands.flags import AS_JSON, PLUGINS, RECIPE, WORKSPACE, load_plugins, parse_memory, running
from pipeline.core.errors import PendingError, RecipeError, TamisError
from pipeline.core.process.start import start
from pipeline.core.shown import escaped, shown

EPILOG = "Exit codes: 0 done, 1 a step failed, 2 bad recipe or usage, 3 not promoted, 4 budget reached, 75 busy."
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


def _terminate(number: int, frame: object) -> NoReturn:
    os.write(2, b"tamis: stopped by SIGTERM; run the same command again to go on.\n")
    os._exit(143)  # the workers die with us, and every file at a final name is whole


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
    plugin: Sequence[Path], as_json: bool, wait: bool = True,
) -> NoReturn:  # fmt: skip
    from dataclasses import asdict

    from pipeline.commands.display import Terminal
    from pipeline.commands.run_recipe import run_recipe
    from pipeline.commands.texts import outcome_text
    from pipeline.commands.tracking import tracking
    from pipeline.core.process.kernel_cache import notice
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    place = Workspace(workspace)
    with Terminal(notice=notice) as progress, tracking(recipe, wanted=track, workspace=place, progress=progress):
        outcome = run_recipe(
            recipe, workspace=place, workers=workers, progress=progress, device=device,
            memory_bytes=parse_memory(memory), wait=wait,
        )  # fmt: skip
    _emit(asdict(outcome), as_json, outcome_text(outcome))
    raise click.exceptions.Exit(outcome.exit_code)


@_verb(short_help="Build, judge, promote and report what a recipe names.")
@running
@click.option("--no-wait", is_flag=True, help="Leave batches that are on their way to the next run, and end with 0.")
def run(*, no_wait: bool, as_json: bool, **given: Any) -> None:
    """Build everything a recipe names, judge the candidate, promote it if the gate says so, write the report."""
    try:
        _build_all(wait=not no_wait, as_json=as_json, **given)
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


@_verb(short_help="Show what `run` would do, and why.")
@RECIPE
@WORKSPACE
@PLUGINS
@AS_JSON
def plan(*, recipe: Path, workspace: Path, plugin: Sequence[Path], as_json: bool) -> None:
    """Show what `run` would do and why: reuse or build, rows, cost. Writes nothing, spends nothing."""
    from pipeline.commands.texts import plan_rows, plan_text
    from pipeline.plan.make import make_plan
    from pipeline.recipe.load import load_recipe
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    made = make_plan(load_recipe(recipe), Workspace(workspace))
    _emit(plan_rows(made), as_json, plan_text(made))


@_verb(short_help="List what the workspace holds.")
@WORKSPACE
@AS_JSON
def status(*, workspace: Path, as_json: bool) -> None:
    """List what the workspace holds: datasets, mixtures, verdicts, money spent, and what is unfinished."""
    from pipeline.commands.texts import status_text
    from pipeline.queries.status import status_of
    from pipeline.store.workspace import Workspace

    data = status_of(Workspace(workspace))
    _emit(data, as_json, status_text(data))


@_verb(short_help="Tell why one document was kept or dropped.")
@click.argument("doc_id", metavar="DOC_ID", help="The document's id, as `look` shows it.")
@WORKSPACE
@AS_JSON
def why(*, doc_id: str, workspace: Path, as_json: bool) -> None:
    """Tell one document's story: every step's signals, rule, threshold, verdict and margin."""
    from pipeline.commands.texts import why_text
    from pipeline.queries.documents import why as ask
    from pipeline.store.workspace import Workspace

    data = ask(Workspace(workspace), doc_id)
    _emit(data, as_json, why_text(data))


@_verb(short_help="Show documents of a dataset, kept or dropped.")
@click.argument("dataset", metavar="DATASET", help="A dataset's name, as in the recipe.")
@click.option("--dropped", is_flag=True, help="Show dropped documents instead of kept ones.")
@click.option("--rule", help="Only those dropped by this rule or step.")
@click.option("-n", "count", type=click.IntRange(min=1), metavar="NUMBER", default=20, help="How many.")
@WORKSPACE
@AS_JSON
def look(*, dataset: str, dropped: bool, rule: str | None, count: int, workspace: Path, as_json: bool) -> None:
    """Show a seeded sample of a dataset's documents, kept or dropped."""
    from pipeline.commands.texts import look_text
    from pipeline.queries.documents import look as sample
    from pipeline.store.workspace import Workspace

    data = sample(Workspace(workspace), dataset, dropped=dropped, rule=rule, count=count)
    _emit(data, as_json, look_text(data))


@_verb(short_help="Write the HTML report again.")
@RECIPE
@WORKSPACE
@PLUGINS
@AS_JSON
def report(*, recipe: Path, workspace: Path, plugin: Sequence[Path], as_json: bool) -> None:
    """Write the recipe's HTML report again from what is on disk; prints where it is."""
    from pipeline.plan.make import make_plan
    from pipeline.recipe.load import load_recipe
    from pipeline.report.page import write_report
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    place = Workspace(workspace)
    made = make_plan(load_recipe(recipe), place)
    path = place.report(made.recipe.name)
    write_report(made, path=path)
    _emit({"report": str(path)}, as_json, str(path))


@_verb(short_help="Register the candidate as a new version.")
@RECIPE
@click.option("--override", help="Promote without a certificate that says so; the reason is recorded.")
@WORKSPACE
@PLUGINS
@AS_JSON
def promote(*, recipe: Path, override: str | None, workspace: Path, plugin: Sequence[Path], as_json: bool) -> None:
    """Register the recipe's candidate as a new version; refuses without a certificate that says promote."""
    from dataclasses import asdict

    from pipeline.commands.run_recipe import promote_recipe
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    done = promote_recipe(recipe, workspace=Workspace(workspace), override=override)
    _emit(
        asdict(done),
        as_json,
        f"{done.version.name} is {'now' if done.created else 'already'} version {done.version.version}.",
    )


@_verb(short_help="Keep a dataset's signatures for deduplicating later ones.")
@click.argument("dataset", metavar="[DATASET]", required=False, help="A dataset's name.")
@click.option("--store", metavar="NAME", default="main", help="The dedup store.")
@click.option("--forget", metavar="ID", multiple=True, help="Take this document out; repeatable.")
@click.option("--to", type=click.IntRange(min=1), metavar="NUMBER", help="Go back to this version of the store.")
@WORKSPACE
@AS_JSON
def remember(
    *, dataset: str | None, store: str, forget: Sequence[str], to: int | None, workspace: Path, as_json: bool
) -> None:
    """Add a dataset to a dedup store, take documents out, or go back; every change is a new version."""
    from dataclasses import asdict

    from pipeline.store.dedup_versions import change
    from pipeline.store.workspace import Workspace

    done = change(Workspace(workspace), dataset, store=store, ids=forget, to=to)
    state = "is at" if done.changed else "had it already; it stays at"
    text = f"{store} {state} version {done.version}: {done.documents:,} documents remembered, "
    text += f"{done.added:,} of them new, {done.forgotten:,} forgotten."
    _emit(asdict(done), as_json, text)


@_verb(short_help="Point a name at an earlier version.")
@click.argument("name", metavar="NAME", help="A name in the registry.")
@click.option(
    "--to", type=click.IntRange(min=1), metavar="NUMBER", help="Version to go back to; the one before, if left out."
)
@WORKSPACE
@AS_JSON
def rollback(*, name: str, to: int | None, workspace: Path, as_json: bool) -> None:
    """Point a registered name at an earlier version; nothing is deleted."""
    from dataclasses import asdict

    from pipeline.store.registry import rollback as move
    from pipeline.store.workspace import Workspace

    with Workspace(workspace).locked():
        record = move(Workspace(workspace), name, to=to)
    _emit(asdict(record), as_json, f"{name} is back at version {record.version}.")


@_verb(short_help="List promoted versions.")
@click.argument("name", metavar="[NAME]", required=False, help="Only this name.")
@WORKSPACE
@AS_JSON
def registry(*, name: str | None, workspace: Path, as_json: bool) -> None:
    """List promoted versions, the current one marked."""
    from pipeline.commands.texts import registry_text
    from pipeline.queries.status import registry_of
    from pipeline.store.workspace import Workspace

    data = registry_of(Workspace(workspace), name)
    _emit(data, as_json, registry_text(data))


def _printed(question: Callable[..., questions.VerbAnswer]) -> Callable[..., None]:
    """Return a question as a verb: what it answers is printed."""

    @functools.wraps(question)
    def verb(*, as_json: bool, **given: Any) -> None:
        answer = question(as_json=as_json, **given)
        _emit(answer.data, as_json, answer.text)
        if answer.exit_code:
            raise click.exceptions.Exit(answer.exit_code)

    return verb


_verb(short_help="Write a dataset or a mixture as documents.")(_printed(export_verb.export))
_verb(short_help="Leave out each step of a recipe in turn.")(_printed(ablate_verb.ablate))
_verb(short_help="Hold trained mixtures against each other.")(_printed(compare_verb.compare))
_verb(short_help="Tell what paid requests cost and saved.")(_printed(bill_verb.bill))
_verb(short_help="Stop Message Batches that are on their way.")(_printed(cancel_verb.cancel))
_verb(name="export-proxy", short_help="Write a trained proxy as a folder of its own.")(_printed(proxies.export_proxy))
_verb(short_help="Score finished proxies on tasks.")(_printed(proxies.score))
_verb(short_help="Model a table of training runs: accuracy and the best weights.")(_printed(fit_verb.fit))
_verb(name="what-if", short_help="Tell what other thresholds would keep and drop.")(_printed(questions.what_if))
_verb(short_help="Tell what one dataset keeps and another does not.")(_printed(questions.diff))
_verb(short_help="Tell how stored signals are distributed.")(_printed(questions.stats))
_verb(short_help="Measure files without a recipe.")(_printed(questions.measure))
_verb(short_help="Check every stored file against its card.")(_printed(questions.verify))
_verb(short_help="Print the JSON Schema of recipes, for editors.")(_printed(questions.schema))
_verb(short_help="List the steps that come from outside.")(_printed(questions.plugins))


if __name__ == "__main__":
    main()
