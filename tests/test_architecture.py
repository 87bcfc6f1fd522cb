"""The house stays legible: short modules, one-way imports, libraries that one module each may use, a quick start."""

from __future__ import annotations

import ast
import re
import resource
import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.catalog import READERS, STEPS
from pipeline.core.step import Params, Step
from pipeline.recipe.names import step_class
from tests.conftest import ROOT, house_files, num_lines

MAX_LINES = 400
VAGUE_NAMES = {"utils", "util", "helpers", "common", "misc", "manager", "aliases", "base"}
HEAVY = ("torch", "numba", "pyarrow", "polars", "datasets", "datatrove", "scipy", "anthropic", "sentencepiece")


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    test_files = (ROOT / "tests").rglob("*.py")

    too_long = {str(path.relative_to(ROOT)): num_lines(path) for path in [*house_files(), *test_files]}

    assert {path: lines for path, lines in too_long.items() if lines > MAX_LINES} == {}


def test_tests_of_a_module_lie_in_the_folder_that_mirrors_its_own() -> None:
    """Where a folder has no such module, a test of that name would be looked for in vain beside the others."""
    folders: dict[str, set[Path]] = {}
    for path in house_files():
        folders.setdefault(path.stem, set()).add(path.parent.relative_to(ROOT))

    elsewhere = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if (mirrored := folders.get(path.stem.removeprefix("test_"))) is not None
        and path.parent.relative_to(ROOT / "tests") not in mirrored
    }

    assert elsewhere <= {"tests/pipeline/queries/export/test_mixture.py"}  # of a mixture that is exported


def test_folders_of_tests_mirror_the_house() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}

    assert [str(path) for path in folders if not (ROOT / path).is_dir() and path != Path("benchmarks")] == []


def test_sources_are_ascii() -> None:
    sources = [*house_files(), *(ROOT / "tests").rglob("*.py")]

    assert [str(path.relative_to(ROOT)) for path in sources if not path.read_bytes().isascii()] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(path.relative_to(ROOT)) for path in house_files() if path.stem in VAGUE_NAMES] == []


def test_every_module_says_what_it_is_for() -> None:
    written = [path for path in house_files() if path.name != "__init__.py"]

    silent = [path for path in written if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]

    assert [str(path.relative_to(ROOT)) for path in silent] == []


def test_only_the_card_module_knows_the_name_of_a_card() -> None:
    assert _modules_with_constant("card.json") == ["pipeline/core/files/names.py"]


def _modules_with_constant(value: str) -> list[str]:
    def holds(path: Path) -> bool:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        return any(isinstance(node, ast.Constant) and node.value == value for node in nodes)

    return [str(path.relative_to(ROOT)) for path in house_files() if holds(path)]


@pytest.mark.parametrize(
    ("line", "rule", "allowed"),
    [
        ("import pyarrow.parquet as pq\n\npq.read_table('x')", "TID251", "pipeline/core/files/parquet/shards.py"),
        ("from pyarrow import parquet\n\nparquet.read_table('x')", "TID251", "pipeline/core/files/parquet/shards.py"),
        ("import polars as pl\n\npl.read_parquet('x')", "TID251", "pipeline/core/files/parquet/shards.py"),
        ("import anthropic\n\nanthropic.Anthropic()", "TID251", "pipeline/core/claude/client.py"),
        ("import httpx\n\nhttpx.get('x')", "TID251", "pipeline/core/claude/client.py"),
        ("import urllib.request\n\nurllib.request.urlopen('x')", "TID251", "pipeline/core/claude/client.py"),
        ("import random\n\nrandom.random()", "TID251", None),
        ("import numpy as np\n\nnp.random.default_rng(1)", "TID251", None),
        ("import numpy as np\n\nnp.random.rand(1)", "NPY002", None),
        ("import torch\n\ntorch.manual_seed(1)", "TID251", None),
        ("print('x')", "T201", "pipeline/cli.py"),
        ("try:\n    f()\nexcept Exception:\n    pass", "BLE001", None),
    ],
)
def test_what_one_module_may_use_is_banned_everywhere_else(line: str, rule: str, allowed: str | None) -> None:
    assert rule in _lint(line, file="filters/somewhere.py")
    if allowed is not None:
        assert rule not in _lint(line, file=allowed)


def _lint(source: str, *, file: str) -> str:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--output-format=concise",
        "--stdin-filename",
        file,
        "-",
    ]
    return subprocess.run(command, input=source, capture_output=True, text=True, cwd=ROOT, check=False).stdout


def test_no_ban_is_lifted_with_a_noqa() -> None:
    excuses = ("noqa: TID251", "noqa: T20", "noqa: NPY002", "ruff: noqa")

    assert [str(path) for path in house_files() if any(excuse in path.read_text() for excuse in excuses)] == []


def test_every_check_that_is_silenced_says_why_beside_it() -> None:
    silenced = re.compile(r"# (?:type: ignore|noqa)\b(?!(?:\[[\w-]+\]  # |: [A-Z]+\d+ - )\S)")

    assert [str(path) for path in house_files() if silenced.search(path.read_text())] == []


def test_only_the_pass_and_the_inside_of_a_box_may_catch_anything_since_what_they_run_may_do_anything() -> None:
    catching = [str(path.relative_to(ROOT)) for path in house_files() if "noqa: BLE001" in path.read_text()]

    assert set(catching) <= {"pipeline/engine/measure.py", "pipeline/core/process/box_child.py"}


ORDER = "The pipeline's rooms stand on each other in one order"
FAMILIES = "Filters meet in words; labels stand on the classifier"
CLAUDE = "Requests go from money and answers to the server and its prices"
CORE = "The core imports nothing else of ours"
SCORES = "Scores are taken of proxies; a verdict and a search know neither"
MIND = "The mind of the research loop knows statistics and search, and no proxy"
LABELS = "Labels go from the standard to who grades to the card"
PAGE = "The report's page stands on its sections, and they on its drawings"


@pytest.mark.parametrize(
    ("file", "line", "contracts"),
    [
        ("pipeline/core/bad.py", "import pipeline.catalog", {CORE, ORDER}),
        ("pipeline/core/bad.py", "import filters.words", {CORE}),
        ("pipeline/core/files/writing/bad.py", "import pipeline.core.claude", {"The core has layers of its own"}),
        ("pipeline/core/claude/messages/bad.py", "import pipeline.core.claude.ledger", {CLAUDE}),
        ("pipeline/core/claude/cellar.py", "", {CLAUDE}),
        ("pipeline/store/names/bad.py", "import pipeline.plan", {ORDER}),
        ("pipeline/recipe/bad.py", "def f():\n    from pipeline import store", {ORDER}),
        ("pipeline/queries/bad.py", "import pipeline.report", {ORDER}),
        ("pipeline/cellar.py", "", {ORDER}),
        ("filters/lists/bad.py", "import filters.dedup", {FAMILIES}),
        ("filters/labels/rubrics/bad.py", "import filters.labels.teachers", {LABELS}),
        ("filters/labels/cellar.py", "", {LABELS}),
        ("filters/lists/bad.py", "import synth", {"Rooms do not know each other"}),
        ("eval/search/bad.py", "import filters.words", {"Rooms do not know each other"}),
        ("eval/proxies/bad.py", "import eval.scores", {SCORES}),
        ("eval/loop/bad.py", "import eval.proxies.tiers", {MIND}),
        ("eval/search/bad.py", "import eval.loop", {SCORES}),
        ("eval/cellar.py", "", {SCORES}),
        ("pipeline/report/draw/bad.py", "import pipeline.report.run", {PAGE}),
        ("synth/bad.py", "def f():\n    from pipeline import plan", {"Of the pipeline, rooms know only the core"}),
        ("filters/lists/bad.py", "from pipeline.core import files", set()),
        ("pipeline/cli.py", "import eval", set()),
    ],
)  # fmt: skip
def test_an_import_that_goes_up_or_sideways_breaks_a_contract(
    file: str, line: str, contracts: set[str], tmp_path: Path
) -> None:
    for path in house_files():
        module = tmp_path / path.relative_to(ROOT)
        module.parent.mkdir(parents=True, exist_ok=True)
        module.touch()  # the house as it stands, without what is written in it
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / file).write_text(line + "\n")

    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as f; f()"
    command = [sys.executable, "-P", "-c", code, "--no-cache"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    broken = {row.removesuffix(" BROKEN") for row in ran.stdout.splitlines() if row.endswith(" BROKEN")}
    assert broken == contracts, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_step_of_the_catalog_is_where_the_catalog_says(name: str) -> None:
    step = step_class(name)

    assert issubclass(step, Step)
    assert step.name == name
    assert issubclass(step.Params, Params)
    assert all(field.description for field in step.Params.model_fields.values()), "every parameter says what it is"


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_reader_of_the_catalog_is_where_the_catalog_says(name: str) -> None:
    module, _, attribute = READERS[name].partition(":")

    assert isinstance(getattr(import_module(module), attribute), type)


def test_the_command_line_starts_without_anything_heavy() -> None:
    heavy = (*HEAVY, "pydantic")
    code = f"import sys, pipeline.cli; print(sorted(set({heavy!r}) & set(sys.modules)))"

    assert _run_python("-c", code).strip() == "[]"


def test_steps_that_are_only_planned_import_nothing_that_works() -> None:
    """Numba, which kernels need, takes 0.25 s to import, and Arrow's functions 0.04 s."""
    working = ("numba", "scipy", "pyarrow.compute", "polars", "torch", "jinja2", "anthropic", "datatrove")
    code = (
        "import sys; from pipeline.catalog import STEPS; from pipeline.recipe.names import step_class\n"
        f"for name in STEPS: step_class(name)\nprint(sorted(set({working!r}) & set(sys.modules)))"
    )

    assert _run_python("-c", code).strip() == "[]"


def test_help_costs_little_more_than_what_it_imports() -> None:
    """0.08 s of the processor beside 0.03 s for Python alone, so that it answers in half a second on a busy machine."""
    code = "import sys; from pipeline.cli import main; sys.argv = ['tamis', '--help']; sys.exit(main())"

    assert min(_processor_seconds(code) for _ in range(3)) < 15 * min(_processor_seconds("pass") for _ in range(3))


def _processor_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run_python("-c", code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run_python(*arguments: str) -> str:
    ran = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def pins(*files: str) -> dict[str, tuple[str, list[str]]]:
    """Return version and hashes by the name of each package in lock files."""
    text = "\n".join((ROOT / file).read_text() for file in files).replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pin, *hashes = line.split()
            name, _, version = pin.partition("==")
            found[canonicalize_name(name)] = (version, hashes)
    return found


def test_every_pin_but_torch_carries_hashes() -> None:
    """pip refuses a list in which one has none; a list without any it takes without a word."""
    hashed = pins("requirements.lock", "requirements-pip.lock")

    bare = [name for name, (_, hashes) in hashed.items() if not hashes]

    assert bare == [] and len(hashed) > 100 and set(pins("requirements-torch.lock")) == {"torch"}
    assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", one) for _, hashes in hashed.values() for one in hashes)


def test_every_declared_dependency_is_pinned_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["conformance"], *extras["web"], *extras["ray"]]
    declared = {canonicalize_name(need.name): need.specifier for need in map(Requirement, wanted)}
    pinned = {name: version for name, (version, _) in pins("requirements.lock", "requirements-torch.lock").items()}

    outside = [name for name, bounds in declared.items() if not bounds.contains(pinned.get(name, "0"))]

    assert outside == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    house = grimp.build_graph(
        "pipeline", "filters", "synth", "eval", exclude_type_checking_imports=True, cache_dir=None
    )
    imported = {module: house.find_modules_directly_imported_by(module) for module in house.modules}

    TopologicalSorter(imported).prepare()  # raises CycleError, with the modules of the circle
