"""What Tamis offers to Python: steps of one's own, recipes run from scripts and notebooks, results as tables.

    import tamis

    tamis.run("recipes/quickstart.yaml")
    clean = tamis.open_dataset("clean").to_polars()

This module is the only one that users import; everything else in the distribution is internal and may move. It loads
nothing before it is asked for: `import tamis` takes a hundredth of a second. No function prints; `progress=True` tells
on stderr how far the work is. What a function cannot do it says in a `TamisError`. The command is `python -m tamis`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pipeline.commands.run.run_recipe import FinalDataset, Outcome
    from pipeline.core.document import SCHEMA as DOCUMENT_SCHEMA
    from pipeline.core.errors import (
        BudgetError,
        BusyError,
        DataError,
        GateError,
        RecipeError,
        ServiceError,
        TamisError,
    )
    from pipeline.core.rng import generator
    from pipeline.core.step import (
        EditingStep,
        Gathering,
        GatheringStep,
        Making,
        MakingStep,
        Measured,
        MeasuringStep,
        Params,
        Part,
        Quantile,
        Rule,
        Signal,
        Step,
        decides,
        how,
        input_names,
    )
    from pipeline.core.text.batch import Batch
    from pipeline.datatrove_bridge import tamis_step
    from pipeline.engine.progress import Progress
    from pipeline.plan.summary import PlannedResult, PlanSummary
    from pipeline.queries.tables import Dataset, MeasuredFiles
    from pipeline.store.names.registry import Promotion

    Recipe = str | Path | Mapping[str, Any]

__all__ = [
    "DOCUMENT_SCHEMA",
    "Batch",
    "BudgetError",
    "BusyError",
    "DataError",
    "Dataset",
    "EditingStep",
    "FinalDataset",
    "GateError",
    "Gathering",
    "GatheringStep",
    "Making",
    "MakingStep",
    "Measured",
    "MeasuredFiles",
    "MeasuringStep",
    "Outcome",
    "Params",
    "Part",
    "PlanSummary",
    "PlannedResult",
    "Progress",
    "Promotion",
    "Quantile",
    "RecipeError",
    "Rule",
    "ServiceError",
    "Signal",
    "Step",
    "TamisError",
    "__version__",
    "decides",
    "generator",
    "how",
    "input_names",
    "measure",
    "open_dataset",
    "passes_tests",
    "plan",
    "promote",
    "run",
    "tamis_step",
]

_ERRORS = ("BudgetError", "BusyError", "DataError", "GateError", "RecipeError", "ServiceError", "TamisError")
_STEPS = (
    "EditingStep", "Gathering", "GatheringStep", "Making", "MakingStep", "Measured", "MeasuringStep", "Params", "Part",
    "Quantile", "Rule", "Signal", "Step", "decides", "how", "input_names",
)  # fmt: skip
_PLACES = {
    **dict.fromkeys(_ERRORS, "pipeline.core.errors"),
    **dict.fromkeys(_STEPS, "pipeline.core.step"),
    "Batch": "pipeline.core.text.batch",
    "DOCUMENT_SCHEMA": "pipeline.core.document:SCHEMA",
    "Dataset": "pipeline.queries.tables",
    "FinalDataset": "pipeline.commands.run.run_recipe",
    "MeasuredFiles": "pipeline.queries.tables",
    "Outcome": "pipeline.commands.run.run_recipe",
    "PlanSummary": "pipeline.plan.summary",
    "PlannedResult": "pipeline.plan.summary",
    "Progress": "pipeline.engine.progress",
    "Promotion": "pipeline.store.names.registry",
    "generator": "pipeline.core.rng",
    "tamis_step": "pipeline.datatrove_bridge",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module `tamis` has no attribute `{name}`")
    from importlib import import_module

    module, _, attribute = _PLACES[name].partition(":")
    found = globals()[name] = getattr(import_module(module), attribute or name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)


def run(
    recipe: Recipe,
    *,
    workspace: str | Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    memory: str = "2G",
    plugins: Sequence[str | Path] = (),
    progress: bool | Progress = False,
    test_endpoint: bool = False,
) -> Outcome:
    """Build everything a recipe names, judge the candidate, promote it if the gate says so, write the report.

    `recipe` is a file, or the same as a mapping: `{"sources": {...}, "datasets": {...}}`. What is there already is
    reused, as by `tamis run`; the results are the same bytes. `workspace` is the folder of results: $TAMIS_WORKSPACE
    or else `workspace`. `workers` are processes, one per core if left out; `device` is where proxies train (`auto`,
    `cpu` or `cuda`); `plugins` are Python files with steps of your own. `test_endpoint` tests anew what the server at
    ANTHROPIC_BASE_URL can do. An undecided or rejecting gate is an outcome; evidence that is missing is a GateError.
    """
    from pipeline.commands.flags import parse_memory
    from pipeline.commands.run.run_recipe import run_recipe

    _begin(plugins)
    with _shown(progress) as told:
        return run_recipe(
            _recipe(recipe), workspace=_workspace(workspace), workers=_workers(workers), progress=told, device=device,
            memory_bytes=parse_memory(memory), test_endpoint=test_endpoint,
        )  # fmt: skip


def plan(recipe: Recipe, *, workspace: str | Path | None = None, plugins: Sequence[str | Path] = ()) -> PlanSummary:
    """Return what `run` would do and why: each result reused or built, its rows, what it costs at most.

    Writes nothing and spends nothing. Arguments as of `run`.
    """
    from pipeline.plan.make import make_plan
    from pipeline.plan.summary import summary_of
    from pipeline.recipe.load import load_recipe

    _begin(plugins)
    return summary_of(make_plan(load_recipe(_recipe(recipe)), _workspace(workspace)))


def measure(
    files: str | Path | Sequence[str | Path],
    *,
    steps: Sequence[str | Mapping[str, Any]],
    out: str | Path | None = None,
    text: bool = False,
    text_column: str = "text",
    id_column: str | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    plugins: Sequence[str | Path] = (),
    progress: bool | Progress = False,
) -> MeasuredFiles:
    """Measure the documents of files without a recipe: a row for each with its signals, verdict and first reason.

    `files` are parquet, JSON lines (.gz, .zst) or web archives (.warc, .warc.gz), globs too. A step is its name, a
    preset's, or one name with its parameters, as in a recipe: `["language", {"gopher_quality": {"min_words": 10}}]`.
    With `text` each row has its text as the steps left it. With `out` the rows stay in that parquet file, and those
    that are no documents in one beside it. The rows are in memory in the end; `tamis measure` holds a slice at a time.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from pipeline.core.files.parquet.shards import read_table
    from pipeline.engine.executors import Local
    from pipeline.queries.measure_files import measure as ask
    from pipeline.queries.tables import MeasuredFiles

    _begin(plugins)
    given = [Path(file) for file in ([files] if isinstance(files, (str, Path)) else files)]
    executor = Local(workers=_workers(workers))
    try:
        with TemporaryDirectory(prefix="tamis-") as folder, _shown(progress) as told:
            place = Path(folder) / "measured.parquet" if out is None else Path(out)
            found = ask(
                given, steps=steps, out=place, settings={}, text=text, overwrite=overwrite,
                columns={"text": text_column, "id": id_column}, executor=executor, progress=told,
            )  # fmt: skip
            table = read_table(place, columns=found["columns"])
    finally:
        executor.close()
    return MeasuredFiles(
        table=table, rows_in=found["rows_in"], kept=found["kept"], dropped=found["dropped"],
        quarantined=found["quarantined"], left_out=tuple(found["left_out"]),
    )  # fmt: skip


def open_dataset(name: str, *, workspace: str | Path | None = None) -> Dataset:
    """Return a dataset that a run built: its documents, signals and verdicts as tables, and its card.

    `name` is as in the recipe, of a dataset, a maker or a source, and means what the last run built or reused; or it
    is a folder of results as `tamis status` shows it, such as `clean-0123456789ab`.
    """
    from pipeline.queries.tables import open_stored

    return open_stored(_workspace(workspace), name)


def passes_tests(code: str, *, function: str, tests: Sequence[Any]) -> bool:
    """Say whether code that nobody trusts gives the value of every test, `[arguments, value]`, as typed JSON.

    It runs in a box without network, files or environment, which stays warm in this process, at most 1 s of processor
    in all; RecipeError where no box can be built. This is the reward of exported `code_tasks`.
    """
    from synth.coding.judge import passes_tests as ask

    return ask(code, function=function, tests=tests)


def promote(
    recipe: Recipe,
    *,
    workspace: str | Path | None = None,
    override: str | None = None,
    plugins: Sequence[str | Path] = (),
) -> Promotion:
    """Register a recipe's candidate as a new version; GateError without a certificate that says promote.

    With `override`, a reason that is recorded, it is promoted whatever the certificate says.
    """
    from pipeline.commands.run.run_recipe import promote_recipe

    _begin(plugins)
    return promote_recipe(_recipe(recipe), workspace=_workspace(workspace), override=override)


def _begin(plugins: Sequence[str | Path]) -> None:
    from pathlib import Path

    from pipeline.core.process.kernel_cache import use_own_cache
    from pipeline.recipe.plugins import add_plugin

    use_own_cache()  # and no more of what a command begins with: memory and imports are the caller's here
    for path in plugins:
        add_plugin(Path(path))


def _recipe(given: Recipe) -> Path | Mapping[str, Any]:
    from pathlib import Path

    return Path(given) if isinstance(given, str) else given


def _workspace(given: str | Path | None) -> Any:
    import os
    from pathlib import Path

    from pipeline.store.remote.cached import workspace_path
    from pipeline.store.workspace import Workspace

    place = os.environ.get("TAMIS_WORKSPACE", "workspace") if given is None else given
    return Workspace(workspace_path(place) if "://" in str(place) else Path(place))


def _workers(given: int | None) -> int:
    from pipeline.core.errors import RecipeError
    from pipeline.core.process.start import cores

    if given is not None and given < 1:
        raise RecipeError(f"workers is {given}; it must be at least 1. Leave it out to use every core.")
    return given or cores()


def _shown(progress: bool | Progress) -> AbstractContextManager[Progress]:
    """Return what tells how far the work is: nobody, a line or bar on stderr, or what the caller gave."""
    from contextlib import nullcontext

    from pipeline.engine.progress import Silent

    if isinstance(progress, bool) and progress:
        from pipeline.commands.run.display import Terminal
        from pipeline.core.process.kernel_cache import notice

        return Terminal(notice=notice)
    return nullcontext(Silent() if isinstance(progress, bool) else progress)


if __name__ == "__main__":
    from pipeline.__main__ import main

    main()
