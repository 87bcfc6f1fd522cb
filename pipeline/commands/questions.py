"""Verbs that answer and change no result: what each takes on the command line, and its answer as data and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pipeline.commands import completion
from pipeline.commands.flags import (
    AS_JSON,
    FILE,
    PLUGINS,
    RECIPE,
    WORKERS,
    WORKSPACE,
    load_plugins,
    parse_settings,
)

MOST_MISSING = 5  # results that `report` names


@dataclass(frozen=True, slots=True)
class VerbAnswer:
    """What a verb found: plain data for `--json`, and the same for a reader."""

    data: Any
    text: str
    exit_code: int = 0
    note: str = ""  # for stderr: what the answer lacks


@RECIPE
@WORKSPACE
@PLUGINS
@AS_JSON
def plan(*, recipe: Path, workspace: Path, plugin: Sequence[Path], as_json: bool) -> VerbAnswer:
    """Show what `run` would do and why: reuse or build, rows, cost. Writes nothing, spends nothing."""
    from pipeline.commands.texts import plan_rows, plan_text
    from pipeline.experiment.origins import foretold_refusal
    from pipeline.plan.make import make_plan
    from pipeline.recipe.load import load_recipe
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    made = make_plan(load_recipe(recipe), Workspace(workspace))
    refusal = foretold_refusal(made.recipe)
    data = plan_rows(made) | ({"refusal": refusal} if refusal else {})
    warnings = [warning for warning in (refusal, _no_key() if data["max_cost_usd"] else "") if warning]
    return VerbAnswer(data, "\n\n".join([plan_text(made), *(f"warning: {warning}" for warning in warnings)]))


def _no_key() -> str:
    """Return what a run that pays would say of a missing key; an empty text where there is one."""
    from pipeline.core.claude.server.connection import check_credentials
    from pipeline.core.errors import RecipeError

    try:
        check_credentials()
    except RecipeError as error:
        return str(error)
    return ""


@WORKSPACE
@AS_JSON
def status(*, workspace: Path, as_json: bool) -> VerbAnswer:
    """List what the workspace holds: datasets, mixtures, verdicts, money spent, and what is unfinished."""
    from pipeline.commands.texts import status_text
    from pipeline.queries.status import status_of
    from pipeline.store.workspace import Workspace

    data = status_of(Workspace(workspace))
    return VerbAnswer(data, status_text(data))


@click.argument("doc_id", metavar="DOC_ID", help="The document's id, as `look` shows it.")
@WORKSPACE
@AS_JSON
def why(*, doc_id: str, workspace: Path, as_json: bool) -> VerbAnswer:
    """Tell one document's story: every step's signals, rule, threshold, verdict and margin."""
    from pipeline.commands.texts import why_text
    from pipeline.queries.documents import why as ask
    from pipeline.store.workspace import Workspace

    data = ask(Workspace(workspace), doc_id)
    return VerbAnswer(data, why_text(data))


@click.argument(
    "dataset", metavar="DATASET", help="A dataset's name, as in the recipe.", shell_complete=completion.datasets
)
@click.option("--dropped", is_flag=True, help="Show dropped documents instead of kept ones.")
@click.option("--rule", help="Only those dropped by this rule or step.")
@click.option("-n", "count", type=click.IntRange(min=1), metavar="NUMBER", default=20, help="How many.")
@WORKSPACE
@AS_JSON
def look(*, dataset: str, dropped: bool, rule: str | None, count: int, workspace: Path, as_json: bool) -> VerbAnswer:
    """Show a seeded sample of a dataset's documents, kept or dropped."""
    from pipeline.commands.texts import look_text
    from pipeline.queries.documents import look as sample
    from pipeline.store.workspace import Workspace

    data = sample(Workspace(workspace), dataset, dropped=dropped, rule=rule, count=count)
    return VerbAnswer(data, look_text(data))


@RECIPE
@WORKSPACE
@PLUGINS
@AS_JSON
def report(*, recipe: Path, workspace: Path, plugin: Sequence[Path], as_json: bool) -> VerbAnswer:
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
    missing = [node for node in made.nodes if not node.complete]
    told = [f"{node.kind} {node.name}: {node.reason}" for node in missing[:MOST_MISSING]]
    told += (
        [f"and {len(missing) - MOST_MISSING} more; tamis plan {recipe} lists them"] if missing[MOST_MISSING:] else []
    )
    note = "\n  ".join(["not built, so not on the page:", *told]) if missing else ""
    return VerbAnswer({"report": str(path), "missing": len(missing)}, str(path), note=note)


@RECIPE
@click.option(
    "--set", "settings", metavar="PATH=VALUE", multiple=True, required=True,
    help="datasets.NAME.STEP.KEY=VALUE; repeatable.",
)  # fmt: skip
@WORKSPACE
@PLUGINS
@AS_JSON
def what_if(
    *, recipe: Path, settings: Sequence[str], workspace: Path, plugin: Sequence[Path], as_json: bool
) -> VerbAnswer:
    """Answer from stored signals what other thresholds would keep and drop; measures nothing, writes nothing."""
    from pipeline.commands.texts import what_if_text
    from pipeline.queries.what_if import what_if as ask
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    data = ask(Workspace(workspace), recipe, settings=parse_settings(settings))
    return VerbAnswer(data, what_if_text(data))


@click.argument(
    "files", type=FILE, metavar="FILES...", nargs=-1, required=True,
    help="Parquet, JSON lines (.gz, .zst) or web archives (.warc, .warc.gz).",
)  # fmt: skip
@click.option(
    "--steps", required=True, help="Measuring steps, in order, with commas between.", shell_complete=completion.steps
)
@click.option("--out", type=FILE, required=True, help="Parquet file to write.")
@click.option("--set", "settings", metavar="STEP.KEY=VALUE", multiple=True, help="A step's parameter; repeatable.")
@click.option(
    "--text", is_flag=True,
    help="Write each text too, as the steps left it; a dropped one as the step that dropped it read it.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier output.")
@click.option("--text-column", default="text", help="Column that holds the text.")
@click.option("--id-column", help="Column that holds the id; else <file>:<row>.")
@WORKERS
@PLUGINS
@AS_JSON
def measure(
    *,
    files: Sequence[Path],
    steps: str,
    out: Path,
    settings: Sequence[str],
    text: bool,
    overwrite: bool,
    text_column: str,
    id_column: str | None,
    workers: int,
    plugin: Sequence[Path],
    as_json: bool,
) -> VerbAnswer:
    """Write every document's signals, verdict and first reason to one parquet file; rows keep their order."""
    from pipeline.commands.run.display import Terminal
    from pipeline.commands.texts import measure_text
    from pipeline.core.process.kernel_cache import notice
    from pipeline.engine.executors import Local
    from pipeline.queries.measure_files import measure as ask

    load_plugins(plugin)
    names = [name.strip() for name in steps.split(",") if name.strip()]
    columns = {"text": text_column, "id": id_column}
    executor = Local(workers=workers)
    try:
        with Terminal(notice=notice) as progress:
            data = ask(
                list(files),
                steps=names,
                out=out,
                settings=parse_settings(settings, such_as="gopher_quality.min_words=40"),
                text=text,
                overwrite=overwrite,
                columns=columns,
                executor=executor,
                progress=progress,
            )
    finally:
        executor.close()
    return VerbAnswer(data, measure_text(data))


@click.argument(
    "dataset", metavar="DATASET", help="A dataset's name, as in the recipe.", shell_complete=completion.datasets
)
@click.option("--signal", help="Only this one, as step.signal.")
@click.option("--by", help="Group by source, origin, a text signal, or a key of the metadata.")
@click.option("--kept", is_flag=True, help="Only documents that were kept.")
@click.option("--dropped", is_flag=True, help="Only documents that were dropped.")
@WORKSPACE
@AS_JSON
def stats(
    *, dataset: str, signal: str | None, by: str | None, kept: bool, dropped: bool, workspace: Path, as_json: bool
) -> VerbAnswer:
    """Tell how a dataset's stored signals are distributed: counts and quantiles, over all documents that reached it."""
    from pipeline.commands.texts import stats_text
    from pipeline.core.errors import RecipeError
    from pipeline.queries.stats import Fate
    from pipeline.queries.stats import stats as ask
    from pipeline.store.workspace import Workspace

    if kept and dropped:
        raise RecipeError("--kept and --dropped leave no document. Take one of them out.")
    fate: Fate = "kept" if kept else "dropped" if dropped else "all"
    data = ask(Workspace(workspace), dataset, signal=signal, by=by, fate=fate)
    return VerbAnswer(data, stats_text(data))


@click.argument(
    "a",
    metavar="A",
    help="A dataset: its name, or its folder as `status` shows it.",
    shell_complete=completion.datasets,
)
@click.argument("b", metavar="B", help="The one to compare with it.", shell_complete=completion.datasets)
@WORKSPACE
@AS_JSON
def diff(*, a: str, b: str, workspace: Path, as_json: bool) -> VerbAnswer:
    """List what dataset B gained and lost beside A, by the rule of the other side that is responsible."""
    from pipeline.commands.texts import diff_text
    from pipeline.queries.diff import diff as ask
    from pipeline.store.workspace import Workspace

    data = ask(Workspace(workspace), a, b)
    return VerbAnswer(data, diff_text(data))


@WORKSPACE
@AS_JSON
def verify(*, workspace: Path, as_json: bool) -> VerbAnswer:
    """Read every byte of every finished result and hold it against its card; ends with 1 if anything differs."""
    from pipeline.commands.texts import verify_text
    from pipeline.queries.verify import verify as ask
    from pipeline.research.record.ledger import damaged_ledgers
    from pipeline.store.workspace import Workspace

    place = Workspace(workspace)
    data = ask(place)
    data["damaged"] += damaged_ledgers(place.root / "research")
    return VerbAnswer(data, verify_text(data), exit_code=1 if data["damaged"] else 0)


@PLUGINS
@AS_JSON
def schema(*, plugin: Sequence[Path], as_json: bool) -> VerbAnswer:
    """Print the JSON Schema of recipes, by which editors complete and check them; steps of every --plugin FILE too."""
    import json

    from pipeline.recipe.schema import recipe_schema

    load_plugins(plugin)
    data = recipe_schema()
    return VerbAnswer(data, json.dumps(data, indent=1))


@PLUGINS
@AS_JSON
def plugins(*, plugin: Sequence[Path], as_json: bool) -> VerbAnswer:
    """List the steps of installed packages (entry points `tamis.steps`) and of every --plugin FILE."""
    from pipeline.commands.texts import plugins_text
    from pipeline.recipe.plugins import list_plugins

    load_plugins(plugin)
    data = {"plugins": list_plugins()}
    return VerbAnswer(data, plugins_text(data))
