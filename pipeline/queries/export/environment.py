"""Tasks -> a folder that a reinforcement-learning library imports: problems, answers, checkers, reward.

    NAME/README.md pyproject.toml tamis.json    NAME/NAME/__init__.py judging.py tasks.jsonl checkers/*.py

It needs nothing of Tamis: the checkers are copied, since they import only Python; that of code alone imports `tamis`,
which runs it in a box. It appears whole or not at all
(`folder.py`), and every byte depends on the tasks and the version of Tamis alone.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from pipeline import __version__
from pipeline.core.errors import DataError, RecipeError, ServiceError, nearest_names, write_advice
from pipeline.core.files.card import describe_files
from pipeline.core.files.writing.durable import write_atomically, write_text
from pipeline.core.identity import identity_of
from pipeline.queries.export.folder import MARKER, Site, held, refuse_occupied, site_of
from pipeline.queries.export.history import plain, table
from pipeline.queries.tables import open_stored
from pipeline.store.workspace import Workspace

if TYPE_CHECKING:
    from synth.environments.tasks import Chosen, EnvironmentTask

Form = Literal["jsonl", "verifiers", "gymnasium"]
FORMS: tuple[Form, ...] = ("jsonl", "verifiers", "gymnasium")
HOUSE = Path(__file__).resolve().parents[3]
TASKS = "tasks.jsonl"
NEEDS: dict[Form, str] = {"jsonl": "", "verifiers": '"verifiers>=0.4"', "gymnasium": '"gymnasium>=1"'}
START: dict[Form, str] = {"jsonl": "judging", "verifiers": "for_verifiers", "gymnasium": "for_gymnasium"}
# Imports of ours in what is copied: each becomes one of its neighbour.
OURS = re.compile(r"^from (?:synth\.checkers|pipeline\.core\.claude\.messages)\.(\w+) import", re.MULTILINE)
SHORT = {
    "short_answers": HOUSE / "synth/writing/agreement.py",
    "code_tests": HOUSE / "synth/environments/code_tests.py",
    "visible": HOUSE / "pipeline/core/claude/messages/visible.py",
}
USE: dict[Form, str] = {
    "jsonl": """In this folder, or with it on PYTHONPATH:

```python
from {name} import load_tasks, message, reward

task = load_tasks()[0]
print(message(task))
print(reward(task, "Reasons. Answer: " + task["answer"]))  # 1.0
```

Or in this folder without the package: `datasets.load_dataset("json", data_files="{name}/tasks.jsonl")`.
""",
    "verifiers": """In the folder that holds this one:

```sh
pip install verifiers ./{name}    # 0.4 or later; or put the folder on PYTHONPATH
vf-validate {name} --runtime.type subprocess    # every right answer is worth 1, none is worth 0
vf-eval {name} --env.agent.harness.id null -m MODEL -n 20
```
""",
    "gymnasium": """In this folder, or with it on PYTHONPATH:

```python
import gymnasium  # pip install gymnasium

env = gymnasium.make("{name}:{name}/Tasks-v0")
problem, about = env.reset(seed=1)  # or options={{"task": 0}}
_, reward, _, _, _ = env.step("Reasons. Answer: 12")
```
""",
}
PYPROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "0.1.0"
description = "Tasks with checkers, exported by Tamis {version}."
requires-python = ">=3.11"
dependencies = [{needs}]

[tool.setuptools]
packages = ["{name}", "{name}.checkers"]

[tool.setuptools.package-data]
{name} = ["tasks.jsonl"]
"""


@dataclass(frozen=True, slots=True)
class ExportedTasks:
    """What lies in the folder now."""

    folder: str
    form: Form
    tasks: int
    by_family: Mapping[str, int]
    left_out: Mapping[str, int]  # reason -> rows or tasks that are not in it
    short: bool  # whether fewer came out than were asked for


def export_tasks(
    workspace: Workspace, name: str | None, *, families: Sequence[str] = (), count: int | None = None, seed: int = 0,
    min_difficulty: int = 1, max_difficulty: int = 5, form: Form, to: Path, overwrite: bool = False,
) -> ExportedTasks:  # fmt: skip
    """Write the tasks of a dataset, or of families, as an environment to the folder `to`.

    At most `count` of them; of families 1,000 if it is left out. RecipeError for a name that means nothing, or if `to`
    holds what may not be replaced or has no name for a package; DataError where there is no task.
    """
    from synth.environments.tasks import Chosen

    chosen = Chosen()
    package = package_name(to)
    if families:
        wanted = 1_000 if count is None else count
        told = {"families": list(families), "seed": seed, "difficulty": [min_difficulty, max_difficulty]}
        tasks = chosen.of_families(
            families, count=wanted, seed=seed, min_difficulty=min_difficulty, max_difficulty=max_difficulty
        )
    else:
        assert name is not None
        stored = open_stored(workspace, name)
        wanted = stored.card.rows_out if count is None else min(count, stored.card.rows_out)
        told = {"dataset": stored.card.identity}
        columns = ("id", "text", "lineage", "metadata")
        tasks = chosen.of_rows(row for part in stored.batches(columns) for row in part.to_pylist())
    site = site_of(to)
    key = identity_of(told | {"count": wanted, "form": form, "package": package, "tamis": __version__})
    try:
        with held(site):
            refuse_occupied(site.to, overwrite=overwrite)
            site.begin("")  # nothing of a killed export is of use: another version of a family may have begun it
            counts = _write(site, _first(tasks, wanted), chosen, source=name, package=package, form=form, key=key)
            site.finish()
            site.put_in_place()
    except DataError:
        site.clear()
        raise
    except OSError as error:
        raise ServiceError(f"{to}: cannot be written ({error.strerror or error}). {write_advice(error)}") from error
    return ExportedTasks(
        folder=str(site.to), form=form, tasks=counts.total(), by_family=dict(sorted(counts.items())),
        left_out=dict(sorted(chosen.left_out.items())), short=counts.total() < wanted,
    )  # fmt: skip


def check_families(names: Sequence[str]) -> tuple[str, ...]:
    """Return the families that flags name, with commas or one by one, or `all`; RecipeError for an unknown one."""
    from synth.families import ALL_FAMILIES

    found = [name.strip() for given in names for name in given.split(",")]
    if found == ["all"]:
        return ALL_FAMILIES
    for name in found:
        if name not in ALL_FAMILIES:
            raise RecipeError(f"--family {name}: is no family; did you mean {nearest_names(name, ALL_FAMILIES)}?")
    return tuple(dict.fromkeys(found))


def package_name(to: Path) -> str:
    """Return the name under which a folder's package is imported; RecipeError where it can have none."""
    name = site_of(to).to.name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise RecipeError(
            f"--to {to}: `{name}` is the name of the package that is written, so it must be small letters, digits and "
            "_, a letter first. Name another folder, such as number_tasks."
        )
    if name in sys.stdlib_module_names or name in FORMS:
        raise RecipeError(f"--to {to}: a package `{name}` would hide another of this name. Name another folder.")
    return name


def _first(tasks: Iterator[EnvironmentTask], count: int) -> Iterator[EnvironmentTask]:
    return (task for _, task in zip(range(count), tasks, strict=False))


def _write(
    site: Site, tasks: Iterator[EnvironmentTask], chosen: Chosen, *, source: str | None, package: str, form: Form,
    key: str,
) -> Counter[str]:  # fmt: skip
    """Write every file into the folder to be, the marker last; return how many tasks each family has."""
    inside = site.out / package
    (inside / "checkers").mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    difficulties: dict[str, Counter[int]] = {}  # 0 where a family has none
    used: set[str] = set()

    def lines(file: BinaryIO) -> None:
        for task in tasks:
            counts[task.family] += 1
            difficulties.setdefault(task.family, Counter())[task.difficulty or 0] += 1
            used.add(task.checker)
            file.write((json.dumps(task.plain(), ensure_ascii=False) + "\n").encode())

    write_atomically(inside / TASKS, lines)
    if not counts:
        left = ", ".join(f"{reason} {count:,}" for reason, count in chosen.left_out.items())
        raise DataError(
            f"{source}: holds no task that can be exported ({left or 'it is empty'}). Tasks come from "
            "verified_tasks, document_tasks and code_tasks; or give --family."
        )
    written = {f"{package}/judging.py": _copy("synth/environments/judging.py"), **_checkers(used, package)}
    written[f"{package}/__init__.py"] = _start(form, package)
    written["pyproject.toml"] = PYPROJECT.format(name=package, version=__version__, needs=NEEDS[form])
    written["README.md"] = _readme(package, form, difficulties, chosen)
    for name, text in written.items():
        write_text(site.out / name, text)
    files = describe_files(site.out, dict.fromkeys([*written, f"{package}/{TASKS}"], -1))
    marker = {"tamis": __version__, "key": key, "files": [asdict(file) for file in files]}
    write_text(site.out / MARKER, json.dumps(marker, indent=1, sort_keys=True) + "\n")
    return counts


def _checkers(used: set[str], package: str) -> dict[str, str]:
    """Return what lies in `checkers`: those that are used, and what they import of their neighbours."""
    from synth.families import ALL_FAMILIES, room_of

    found, left = {"__init__": ""}, set(used)
    while left:
        name = left.pop()
        room = f"{room_of(name)}/" if name in ALL_FAMILIES else ""
        text = (SHORT.get(name) or HOUSE / f"synth/checkers/{room}{name}.py").read_text(encoding="utf-8")
        found[name] = OURS.sub(r"from .\1 import", text)
        left |= {each for each in OURS.findall(text) if each not in found}
    return {f"{package}/checkers/{name}.py": text for name, text in sorted(found.items())}


def _start(form: Form, package: str) -> str:
    """Return the package's first file."""
    if form == "jsonl":
        return (
            f'"""{package}: tasks with answers and checkers."""\n\n'
            "from .judging import load_tasks, message, reward\n\n"
            '__all__ = ["load_tasks", "message", "reward"]\n'
        )
    return _copy(f"synth/environments/{START[form]}.py").replace("PACKAGE", package)


def _copy(path: str) -> str:
    return (HOUSE / path).read_text(encoding="utf-8")


def _readme(
    package: str, form: Form, difficulties: Mapping[str, Mapping[int, int]], chosen: Chosen
) -> str:  # fmt: skip
    rows = [
        (
            family,
            str(sum(levels.values())),
            ", ".join(f"{level or '-'}: {count}" for level, count in sorted(levels.items())),
        )
        for family, levels in sorted(difficulties.items())
    ]
    left_out = "; ".join(f"{reason}: {count}" for reason, count in sorted(chosen.left_out.items()))
    sections = [
        f"# {package}\n",
        f"{sum(int(row[1]) for row in rows):,} tasks with answers and checkers, exported by Tamis {__version__}. Each "
        "checker accepted the answer and refused every planted wrong one before the task was written.\n",
        table(("family", "tasks", "of each difficulty"), rows),
        f"Left out: {plain(left_out)}.\n" if left_out else "",
        "Code is judged in a box: that needs Tamis on the path, and Linux.\n" if "code_tasks" in difficulties else "",
        "## Use\n",
        USE[form].format(name=package),
        "An answer is worth 1 if its checker accepts it, else 0. Read is what follows the last `Answer:`, or the whole "
        "text where there is none; of code the last block. A task has `prompt`, `answer`, `family`, `difficulty` (1 to "
        "5), `checker` (a file in `checkers`), `seed` and `index`. For tasks to test with, export with another "
        "`--seed`: no two tasks of an export are the same, and those of two seeds hardly ever.\n",
    ]
    return "\n".join(section for section in sections if section)


def exported_tasks_text(done: ExportedTasks, *, to: str) -> str:
    """Return what was written in a few lines."""
    families = "family" if len(done.by_family) == 1 else "families"
    lines = [f"{to}: {done.tasks:,} tasks of {len(done.by_family)} {families}, for {done.form}"]
    if done.left_out:
        lines.append("left out: " + ", ".join(f"{reason} {count:,}" for reason, count in done.left_out.items()))
    if done.short:
        lines.append("fewer than were asked for: there are no more tasks that are new.")
    return "\n".join(lines)
