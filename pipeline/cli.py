"""The verbs. The only place that prints: results on stdout (`--json` on each), progress and errors on stderr.

Exit codes: 0 done; 1 a step failed; 2 bad recipe, usage or environment; 3 the gate refused or is undecided;
4 budget reached, run again to go on; 75 the workspace is in use; 130 and 143 stopped by a signal.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pipeline.core.errors import WinnowError

EPILOG = "Exit codes: 0 done, 1 a step failed, 2 bad recipe or usage, 3 not promoted, 4 budget reached, 75 busy."

app = typer.Typer(
    name="winnow",
    help="Curate raw text into promoted training mixtures, with the evidence for every decision.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a YAML file.", show_default=False)]
WorkspacePath = Annotated[Path, typer.Option("--workspace", "-w", help="Folder of results.", envvar="WINNOW_WORKSPACE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
WORKSPACE = Path("workspace")


def main() -> NoReturn:
    """Run the command line and turn every outcome into its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = app(standalone_mode=False)
    except typer.Exit as error:
        code = error.exit_code
    except typer.Abort:
        code = 130
    except WinnowError as error:
        _fail(str(error), *getattr(error, "__notes__", []))
        code = error.exit_code
    except KeyboardInterrupt:
        _fail("stopped; run the same command again to go on.")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own usage errors have one; anything else is our bug
            raise
        _fail(error.format_message())
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _terminate(number: int, frame: object) -> NoReturn:
    os.write(2, b"winnow: stopped by SIGTERM; run the same command again to go on.\n")
    os._exit(143)  # the workers die with us, and every file at a final name is whole


def _fail(*lines: str) -> None:
    for line in lines:
        print(f"winnow: {line}" if "\n" not in line else line, file=sys.stderr)


def _emit(data: Any, as_json: bool, text: str) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=1, default=str) if as_json else text)


@app.command()
def run(
    recipe: RecipePath,
    workspace: WorkspacePath = WORKSPACE,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes; never changes a result.")] = os.cpu_count()
    or 1,
    as_json: AsJson = False,
) -> None:
    """Build everything a recipe names, judge the candidate, promote it if the gate says so, write the report."""
    from dataclasses import asdict

    from pipeline.display import Terminal
    from pipeline.outcome import run_recipe
    from pipeline.tables import outcome_text
    from pipeline.workspace import Workspace

    with Terminal() as progress:
        outcome = run_recipe(recipe, workspace=Workspace(workspace), workers=workers, progress=progress)
    _emit(asdict(outcome), as_json, outcome_text(outcome))
    raise typer.Exit(outcome.exit_code)


@app.command()
def plan(recipe: RecipePath, workspace: WorkspacePath = WORKSPACE, as_json: AsJson = False) -> None:
    """Show what `run` would do and why: each step reuse or build, its rows and its cost. Writes nothing, spends nothing."""
    from pipeline.plan import make_plan
    from pipeline.recipe import load_recipe
    from pipeline.tables import plan_rows, plan_text
    from pipeline.workspace import Workspace

    made = make_plan(load_recipe(recipe), Workspace(workspace))
    _emit(plan_rows(made), as_json, plan_text(made))
