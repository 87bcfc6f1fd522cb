"""What a shell may complete behind a verb: names that a workspace knows, from one small file and one folder listing.

Whatever is amiss, nothing is completed: a key press must not end in an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from pipeline.core.process.start import USUAL_WORKSPACE

Complete = Callable[[click.Context, click.Parameter, str], list[str]]
MIXTURE = "mixture/"  # how the names of mixtures begin in latest.json


def _root(context: click.Context) -> Path:
    return Path(str(context.params.get("workspace") or USUAL_WORKSPACE))


def _latest(context: click.Context) -> list[str]:
    """Return the names that the last runs gave, mixtures with `mixture/` before them."""
    try:
        return sorted(json.loads((_root(context) / "latest.json").read_bytes())["folders"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _registered(context: click.Context) -> list[str]:
    try:
        return sorted(path.name for path in (_root(context) / "registry").iterdir() if path.is_dir())
    except OSError:
        return []


def datasets(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the datasets whose names go on like this."""
    return [name for name in _latest(context) if name.startswith(begun) and not name.startswith(MIXTURE)]


def everything(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return datasets, mixtures and promoted names that go on like this."""
    known = {name.removeprefix(MIXTURE) for name in _latest(context)} | {*_registered(context)}
    return sorted(name for name in known if name.startswith(begun))


def promoted(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the names of the registry that go on like this."""
    return [name for name in _registered(context) if name.startswith(begun)]


def steps(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return steps behind the last comma, such as the `--steps` of `measure`."""
    from pipeline.catalog import STEPS

    before, comma, last = begun.rpartition(",")
    return [f"{before}{comma}{name}" for name in STEPS if name.startswith(last)]
