"""Arguments and options that several verbs share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.core.process.start import USUAL_WORKSPACE, cores

FILE = click.Path(path_type=Path)


class _Workspace(click.Path):
    """A folder, or a URL, which becomes the folder of its cache, brought up to date."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value) and not (ctx is not None and ctx.resilient_parsing):  # a shell asks what may follow
            from pipeline.store.remote.cached import workspace_path

            return workspace_path(value)
        return super().convert(value, param, ctx)


RECIPE = click.argument("recipe", type=FILE, metavar="RECIPE", help="The recipe, a YAML file.")
WORKSPACE = click.option(
    "--workspace", "-w", type=_Workspace(path_type=Path), default=USUAL_WORKSPACE, envvar="TAMIS_WORKSPACE",
    show_envvar=True, help="Folder of results, or s3://BUCKET/PREFIX.",
)  # fmt: skip
WORKSPACE_AS_GIVEN = click.option(
    "--workspace", "-w", default=str(USUAL_WORKSPACE), envvar="TAMIS_WORKSPACE", show_envvar=True,
    help="Folder of results, or s3://BUCKET/PREFIX.",
)  # fmt: skip
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
WORKERS = click.option(
    "--workers", type=click.IntRange(min=1), metavar="NUMBER", default=cores(),
    help="Worker processes; never changes a result.",
)  # fmt: skip
MEMORY = click.option(
    "--memory", metavar="SIZE", default="2G", help="Most memory of a step, as 500M or 4G; never changes a result."
)
PLUGINS = click.option(
    "--plugin", type=FILE, metavar="FILE", multiple=True, help="Python file with steps of your own; repeatable."
)

RAY = click.option(
    "--ray", metavar="[ADDRESS]", is_flag=False, flag_value="", default=None, show_default=False, envvar="TAMIS_RAY",
    help="Run on a Ray cluster: the one at ADDRESS, else the one of RAY_ADDRESS or this machine; never changes a "
    "result.",
)  # fmt: skip

TRACK = click.option(
    "--track", metavar="NAME[:FOLDER]", multiple=True,
    help="Write curves and verdicts for tensorboard, trackio or wandb, by default to WORKSPACE/tracked/NAME; never "
    "changes a result; repeatable.",
)  # fmt: skip


def running(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb everything that a run takes, in the order in which the help tells it."""
    device = click.option("--device", default="auto", help="Where proxies train: auto, cpu or cuda.")
    for option in (AS_JSON, PLUGINS, TRACK, MEMORY, device, WORKERS, WORKSPACE, RECIPE):
        function = option(function)
    return function


def workspace_of(given: str) -> Path:
    """Return the folder of a workspace that a verb was given by WORKSPACE_AS_GIVEN."""
    folder = _Workspace(path_type=Path).convert(given, None, None)
    assert isinstance(folder, Path)
    return folder


def load_plugins(paths: Sequence[Path]) -> None:
    """Make the steps of every `--plugin FILE` known."""
    if paths:
        from pipeline.recipe.plugins import add_plugin

        for path in paths:
            add_plugin(path)


def parse_memory(text: str) -> int:
    """Return the bytes that a size such as `500M` or `4G` names, in steps of 1024."""
    from pipeline.core.errors import RecipeError

    found = re.fullmatch(r"([0-9]{1,6})([KMGT])i?B?", text.strip(), re.IGNORECASE)
    if found is None or int(found[1]) == 0:
        raise RecipeError(f"--memory {text}: it must be a whole number with K, M, G or T, such as 500M or 4G.")
    return int(found[1]) << {"K": 10, "M": 20, "G": 30, "T": 40}[found[2].upper()]


def parse_count(text: str | None, *, flag: str) -> int | None:
    """Return the number that `20M` stands for, as in a recipe; None for no text."""
    from pipeline.core.amounts import count_of
    from pipeline.core.errors import RecipeError

    if text is None:
        return None
    found = count_of(text.strip())
    number = found if isinstance(found, int) else int(found) if found.isdecimal() and len(found) < 19 else 0
    if number < 1:
        raise RecipeError(f"{flag} {text}: it must be a whole number above 0, such as 300000, 300k, 20M or 1.5B.")
    return number


def parse_settings(
    pairs: Sequence[str], *, such_as: str = "datasets.clean.gopher_quality.min_words=40"
) -> dict[str, Any]:
    """Return `--set PATH=VALUE` pairs as values, read as a recipe's are."""
    from pipeline.core.errors import RecipeError
    from pipeline.recipe.settings import parse_value

    found: dict[str, Any] = {}
    for pair in pairs:
        place, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise RecipeError(f"--set {pair}: it must be PATH=VALUE, such as {such_as}.")
        found[place] = parse_value(value, place=place)
    return found
