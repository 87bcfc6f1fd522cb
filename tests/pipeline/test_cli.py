"""The verbs as processes of their own see them: exit codes that tell the truth, one JSON document, loud failures.

Verbs run inside this process through `main`, as the command does; signals, locks and full disks in test_cli_faults.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pipeline import __version__, cli
from pipeline.core.errors import BudgetError, BusyError, DataError, GateError, RecipeError, ServiceError
from pipeline.core.shown import shown
from tests.pipeline.house import House, texts
from tests.pipeline.steps import POISON, Length


@pytest.fixture
def tamis(house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a verb; return its exit code, stdout and stderr."""
    monkeypatch.chdir(house.folder)
    monkeypatch.setattr(cli.signal, "signal", lambda number, handler: None)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tamis", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(str(ended.value.code)), captured.out, captured.err

    return run


@pytest.fixture
def built(house: House, tamis) -> House:
    house.lines("a.jsonl", ["ab", *texts(12), POISON + " inside of a rather long text", ""])
    house.clean(["length: {min_length: 30}", "poisoned", "exact_dedup"])
    code, _, _ = tamis("run", "recipe.yaml", "--workers", "1")
    assert code == 0
    return house


VERBS = {
    "run": ["run", "recipe.yaml", "--workers", "1"],
    "init": ["init", "a.jsonl", "--to", "new.yaml"],
    "plan": ["plan", "recipe.yaml"],
    "status": ["status"],
    "why": ["why", "docs/a:0"],
    "look": ["look", "clean", "-n", "3"],
    "look dropped": ["look", "clean", "--dropped", "--rule", "too_short"],
    "what-if": ["what-if", "recipe.yaml", "--set", "datasets.clean.length.min_length=60"],
    "measure": ["measure", "a.jsonl", "--steps", "length, gopher_quality", "--out", "out.parquet", "--workers", "1"],
    "stats": ["stats", "clean", "--by", "source"],
    "diff": ["diff", "docs", "clean"],
    "plugins": ["plugins"],
    "verify": ["verify"],
    "schema": ["schema"],
    "remember": ["remember", "clean", "--store", "news"],
    "report": ["report", "recipe.yaml"],
    "registry": ["registry"],
    "export": ["export", "clean", "--to", "exported"],
    "export-tasks": ["export-tasks", "--family", "fractions", "--tasks", "3", "--to", "sums"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_json_is_one_document_on_stdout_and_nothing_else(built: House, tamis, verb: str):
    code, out, _ = tamis(*VERBS[verb], "--json")

    assert code == 0
    assert isinstance(json.loads(out, parse_constant=_refuse), dict)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize("verb", VERBS)
def test_text_says_something_and_keeps_stderr_for_progress(built: House, tamis, verb: str):
    code, out, told = tamis(*VERBS[verb])

    assert code == 0 and out.strip()
    assert "Traceback" not in told and out.lstrip().startswith("{") == (verb == "schema")  # whose text is for editors


def test_every_verb_of_the_help_is_tried_here():
    promoting = {"promote", "rollback"}  # tests/pipeline/store/names/test_registry.py
    training = {"sweep", "ablate", "research"}  # tests/pipeline/experiment/test_search.py, tests/pipeline/research
    asking = {
        "fit",
        "score",
        "export-proxy",
        "compare",
        "doctor",
        "audit",
        "diversity",
        "errors",
    }  # tests/pipeline/queries/proxies/test_fit.py, test_score.py
    deciding = {"approve", "reject", "cards"}  # tests/pipeline/research/people/test_approvals.py, test_cards.py
    submitting = {"slurm"}  # tests/pipeline/engine/test_slurm.py
    paying = {"cancel", "bill"}  # tests/pipeline/commands/test_cancel.py, test_bill.py
    tidying = {"gc"}  # tests/pipeline/store/test_garbage.py

    elsewhere = promoting | training | asking | deciding | submitting | paying | tidying
    assert set(cli.app.commands) == {verb.split()[0] for verb in VERBS} | elsewhere


def test_progress_goes_to_stderr_only(house: House, tamis):
    house.lines("a.jsonl", texts(4))
    house.clean(["length"])

    _, out, told = tamis("run", "recipe.yaml", "--json")

    assert json.loads(out)["built"] == ["source docs", "measured length", "dataset clean"]
    assert "read docs and measure: 4 documents" in told and "length: 4 documents" in told


def test_a_second_run_says_that_there_was_nothing_to_do(built: House, tamis):
    code, out, told = tamis("run", "recipe.yaml")

    assert code == 0 and "nothing to do" in out and told == ""


def test_plan_writes_nothing_and_tells_reuse_build_and_why(built: House, tamis):
    built.clean(["length: {min_length: 31}", "poisoned", "exact_dedup"])
    before = sorted(str(path) for path in built.folder.rglob("*"))

    _, out, _ = tamis("plan", "recipe.yaml", "--json")

    told = {(node["kind"], node["name"]): node for node in json.loads(out)["nodes"]}
    assert told["measured", "length"]["action"] == "reuse"
    assert told["dataset", "clean"]["action"] == "build"
    assert "min_length 30.0 -> 31.0" in told["dataset", "clean"]["reason"]
    assert sorted(str(path) for path in built.folder.rglob("*")) == before


BAD_RECIPE = """
sources:
  docs: {read: jsonl, path: nowhere.jsonl}
datasets:
  clean: {from: dosc, steps: [{gopher_qualty: {}}, {exact_dedup: {keeep: first}}, {length: {min_length: "x"}}]}
  a: {from: b}
  b: {from: a}
"""


def test_a_bad_recipe_lists_every_mistake_with_its_line_before_any_work(house: House, tamis):
    house.write(BAD_RECIPE)

    code, out, told = tamis("run", "recipe.yaml")

    assert (code, out) == (2, "")
    for part in ("nowhere.jsonl", "dosc", "gopher_quality", "keeep", "min_length", "needs itself"):
        assert part in told
    assert told.count("recipe.yaml:") >= 6
    assert not (house.folder / "workspace").exists()


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_flipped_byte_ends_verify_with_1_and_the_file(built: House, tamis, flags: list[str]):
    path = next((built.folder / "workspace" / "measured").rglob("*.parquet"))
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])

    code, out, _ = tamis("verify", *flags)

    assert code == 1 and str(path.relative_to(built.folder)) in out


USAGE = {
    "no such verb": ["lok"],
    "no such recipe": ["run", "nowhere.yaml"],
    "no recipe": ["plan"],
    "an unknown flag": ["status", "--jsn"],
    "a flag of the wrong type": ["run", "recipe.yaml", "--workers", "many"],
    "a folder for a recipe": ["plan", "."],
    "a setting without a value": ["what-if", "recipe.yaml", "--set", "datasets.clean"],
    "a setting that is nowhere": ["what-if", "recipe.yaml", "--set", "datasets.claen.length.min_length=3"],
    "a setting of the wrong type": ["what-if", "recipe.yaml", "--set", "datasets.clean.length.min_length=x"],
    "a step that cannot measure": ["measure", "a.jsonl", "--steps", "exact_dedup", "--out", "out.parquet"],
    "a plugin that is not there": ["plan", "recipe.yaml", "--plugin", "nowhere.py"],
    "an unknown dataset": ["look", "claen"],
    "an unknown rule": ["look", "clean", "--rule", "too_shrt"],
    "decisions about a source": ["export", "nothing", "--to", "x"],
    "a name that was never promoted": ["rollback", "web"],
    "a name that nobody registered": ["registry", "web"],
    "a file for a workspace": ["run", "recipe.yaml", "-w", "recipe.yaml"],
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_ends_with_2_and_one_explained_error(built: House, tamis, case: str):
    code, out, told = tamis(*USAGE[case])

    assert (code, out) == (2, "")
    assert told.startswith(("tamis: ", "Usage")) and "Traceback" not in told


FAILED = {
    "an id that nobody saw": (["why", "nobody"], "none of the latest results in"),
    "an empty workspace": (["look", "clean", "-w", "empty"], "holds no datasets yet"),
}


@pytest.mark.parametrize("case", FAILED)
def test_data_that_cannot_answer_ends_with_1(built: House, tamis, case: str):
    arguments, part = FAILED[case]

    code, out, told = tamis(*arguments)

    assert (code, out) == (1, "") and part in told


ERRORS = [
    (RecipeError, 2), (DataError, 1), (ServiceError, 1), (BudgetError, 4), (BusyError, 75), (GateError, 3),
]  # fmt: skip


@pytest.mark.parametrize(("error", "expected"), ERRORS)
def test_each_error_of_a_step_has_its_exit_code_and_its_notes(house: House, tamis, monkeypatch, error, expected):
    def prepare(self, inputs):
        failure = error("somewhere: 3 is wrong; it must be 4. Write 4.")
        failure.add_note("shard 00017")
        raise failure

    house.lines("a.jsonl", texts(3))
    house.clean(["length"])
    monkeypatch.setattr(Length, "prepare", prepare)

    code, out, told = tamis("run", "recipe.yaml", "--workers", "1", "--json")

    assert (code, out) == (expected, "")
    assert "tamis: somewhere: 3 is wrong; it must be 4. Write 4.\ntamis: shard 00017\n" in told


def test_a_report_says_on_stderr_what_it_lacks_and_a_plan_that_there_is_no_key(built: House, tamis, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    told = "  told: {from: clean, make: {rephrase: {documents: 5}}}\n"
    built.recipe.write_text(built.recipe.read_text() + told, encoding="utf-8")

    code, out, missing = tamis("report", "recipe.yaml")
    _, plan, _ = tamis("plan", "recipe.yaml")

    assert code == 0 and len(out.splitlines()) == 1
    assert "not built, so not on the page:" in missing and "made told: new" in missing
    assert "warning: ANTHROPIC_API_KEY is not set" in plan


def test_our_own_bugs_show_their_traceback(house: House, tamis, monkeypatch):
    def prepare(self, inputs):
        raise KeyError("a bug")

    house.lines("a.jsonl", texts(3))
    house.clean(["length"])
    monkeypatch.setattr(Length, "prepare", prepare)
    monkeypatch.setattr(sys, "argv", ["tamis", "run", "recipe.yaml", "--workers", "1"])

    with pytest.raises(KeyError, match="a bug"):
        cli.main()


@pytest.mark.parametrize(("outcome", "expected"), [("promote", 0), ("reject", 3), ("undecided", 3), (None, 0)])
def test_only_a_verdict_of_promote_or_no_gate_ends_with_0(outcome, expected):
    from pipeline.commands.run.run_recipe import Outcome

    ended = Outcome("r", (), 0, 0.0, 0.0, outcome, "", "", None)

    assert ended.exit_code == expected


def test_the_version_is_told(tamis):
    assert tamis("--version") == (0, f"tamis {__version__}\n", "")


@pytest.mark.parametrize("verb", [[], ["plan"], ["what-if"]])
def test_help_has_a_short_flag(tamis, verb: list[str]):
    code, out, told = tamis(*verb, "-h")

    assert (code, told) == (0, "") and out == tamis(*verb, "--help")[1]


def test_a_registry_says_which_names_there_are(built: House, tamis):
    assert (
        "nothing was promoted as `web` in workspace/registry. Nothing was promoted yet." in tamis("registry", "web")[2]
    )
    (built.folder / "workspace" / "registry" / "web-en").mkdir(parents=True)
    assert "It holds web-en." in tamis("registry", "web")[2]


def test_a_rule_of_a_dataset_without_rules_is_told_without_a_guess(house: House, tamis):
    house.lines("a.jsonl", texts(3))
    house.clean([])
    tamis("run", "recipe.yaml", "--workers", "1")

    _, _, told = tamis("look", "clean", "--rule", "x")

    assert told == "tamis: --rule x: no step of `clean` has a rule. Leave out --rule.\n"


def test_help_lists_the_exit_codes(tamis):
    code, out, _ = tamis("--help")

    assert code == 0 and "0 done, 1 a step failed, 2 bad recipe" in out


def test_a_poison_document_does_not_change_the_exit_code(built: House):
    assert built.card().quarantined == {"poisoned": 1}
    assert Path("workspace/reports/recipe.html").exists()


def test_an_id_that_steers_a_terminal_is_shown_and_not_obeyed(house: House, tamis):
    steering = "a\x1b]0;owned\x07"
    house.lines("a.jsonl", [{"id": steering, "text": "ab"}])
    house.clean(["length: {min_length: 30}"], source="{read: jsonl, path: DIR/a.jsonl, id: id}")
    tamis("run", "recipe.yaml", "--workers", "1")

    told = [tamis("look", "clean", "--dropped")[1], tamis("why", steering)[1], tamis("why", "\x1b[2J")[2]]

    assert all(set(text) - {"\n"} and shown(text) == text for text in told)
    assert "a\N{REPLACEMENT CHARACTER}]0;owned" in told[0]


def test_text_of_other_scripts_is_shown_as_it_is(house: House, tamis):
    text = "\u5168\u89d2\u3000\u7a7a\u767d, 1\u00a0000 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    house.lines("a.jsonl", [text])
    house.clean(["length"])
    tamis("run", "recipe.yaml", "--workers", "1")

    assert text in tamis("look", "clean")[1] and text in tamis("look", "clean", "--json")[1]
