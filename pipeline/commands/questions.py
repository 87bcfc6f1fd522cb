"""Verbs that answer and change no result: what each takes on the command line, and its answer as data and as text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands.flags import (
    CORES,
    WORKSPACE,
    AsJson,
    Plugins,
    RecipePath,
    Workers,
    WorkspacePath,
    load_plugins,
    parse_settings,
)


@dataclass(frozen=True, slots=True)
class VerbAnswer:
    """What a verb found: plain data for `--json`, and the same for a reader."""

    data: Any
    text: str
    exit_code: int = 0


def what_if(
    recipe: RecipePath,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="PATH=VALUE", help="datasets.NAME.STEP.KEY=VALUE; repeatable.")
    ],
    workspace: WorkspacePath = WORKSPACE,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> VerbAnswer:
    """Answer from stored signals what other thresholds would keep and drop; measures nothing, writes nothing."""
    from pipeline.commands.texts import what_if_text
    from pipeline.queries.what_if import what_if as ask
    from pipeline.store.workspace import Workspace

    load_plugins(plugin)
    data = ask(Workspace(workspace), recipe, settings=parse_settings(settings))
    return VerbAnswer(data, what_if_text(data))


def measure(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES...", help="Parquet, JSON lines (.gz, .zst) or web archives (.warc, .warc.gz)."),
    ],
    steps: Annotated[str, typer.Option("--steps", help="Measuring steps, in order, with commas between.")],
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="STEP.KEY=VALUE", help="A step's parameter; repeatable.")
    ] = None,
    text: Annotated[
        bool,
        typer.Option(
            "--text",
            help="Write each text too, as the steps left it; a dropped one as the step that dropped it read it.",
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier output.")] = False,
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    id_column: Annotated[str | None, typer.Option(help="Column that holds the id; else <file>:<row>.")] = None,
    workers: Workers = CORES,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> VerbAnswer:
    """Write every document's signals, verdict and first reason to one parquet file; rows keep their order."""
    from pipeline.commands.display import Terminal
    from pipeline.commands.texts import measure_text
    from pipeline.core.process.kernel_cache import notice
    from pipeline.engine.executors import Local
    from pipeline.queries.measure_files import measure as ask

    load_plugins(plugin)
    names = [name.strip() for name in steps.split(",") if name.strip()]
    columns = {"text": text_column, "id": id_column}
    executor = Local(workers=workers)
    try:
        with Terminal(notice=notice()) as progress:
            data = ask(
                files,
                steps=names,
                out=out,
                settings=parse_settings(settings or [], such_as="gopher_quality.min_words=40"),
                text=text,
                overwrite=overwrite,
                columns=columns,
                executor=executor,
                progress=progress,
            )
    finally:
        executor.close()
    return VerbAnswer(data, measure_text(data))


def stats(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A dataset's name, as in the recipe.")],
    signal: Annotated[str | None, typer.Option("--signal", help="Only this one, as step.signal.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Group by source, origin, a text signal, or a key of the metadata.")
    ] = None,
    kept: Annotated[bool, typer.Option("--kept", help="Only documents that were kept.")] = False,
    dropped: Annotated[bool, typer.Option("--dropped", help="Only documents that were dropped.")] = False,
    workspace: WorkspacePath = WORKSPACE,
    as_json: AsJson = False,
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


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A dataset: its name, or its folder as `status` shows it.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The one to compare with it.")],
    workspace: WorkspacePath = WORKSPACE,
    as_json: AsJson = False,
) -> VerbAnswer:
    """List what dataset B gained and lost beside A, by the rule of the other side that is responsible."""
    from pipeline.commands.texts import diff_text
    from pipeline.queries.diff import diff as ask
    from pipeline.store.workspace import Workspace

    data = ask(Workspace(workspace), a, b)
    return VerbAnswer(data, diff_text(data))


def verify(workspace: WorkspacePath = WORKSPACE, as_json: AsJson = False) -> VerbAnswer:
    """Read every byte of every finished result and hold it against its card; ends with 1 if anything differs."""
    from pipeline.commands.texts import verify_text
    from pipeline.queries.verify import verify as ask
    from pipeline.store.workspace import Workspace

    data = ask(Workspace(workspace))
    return VerbAnswer(data, verify_text(data), exit_code=1 if data["damaged"] else 0)


def schema(plugin: Plugins = None, as_json: AsJson = False) -> VerbAnswer:
    """Print the JSON Schema of recipes, by which editors complete and check them; steps of every --plugin FILE too."""
    import json

    from pipeline.recipe.schema import recipe_schema

    load_plugins(plugin)
    data = recipe_schema()
    return VerbAnswer(data, json.dumps(data, indent=1))


def plugins(plugin: Plugins = None, as_json: AsJson = False) -> VerbAnswer:
    """List the steps of installed packages (entry points `tamis.steps`) and of every --plugin FILE."""
    from pipeline.commands.texts import plugins_text
    from pipeline.recipe.plugins import list_plugins

    load_plugins(plugin)
    data = {"plugins": list_plugins()}
    return VerbAnswer(data, plugins_text(data))
