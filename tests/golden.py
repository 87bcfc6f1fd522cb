"""What every step answers on fixed texts, kept in tests/cases/golden/<step>.json, so that no output changes unnoticed.

A step's version is part of the identity of its results, so an output that changes without it would be mixed with old
ones. When a golden test fails and the change is meant: bump `version` in the step's class, then

    python -m tests.golden --write              # all steps, or only those named after --write

and commit the two together. A new step needs its file too; one with parameters that have no default stands in NEEDS.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from blake3 import blake3

from pipeline.catalog import STEPS
from pipeline.core.step import MakingStep
from pipeline.recipe.names import label_of, step_class
from tests.filters.classifier.test_fasttext import write_model
from tests.filters.classifier.test_perplexity import ARPA
from tests.filters.classifier.test_transformer import write_classifier
from tests.pipeline.house import House, texts, write_lines

FOLDER = Path(__file__).parent / "cases" / "golden"
TEXTS = FOLDER / "texts.jsonl"
SHOWN = 40  # rows of signals in a file
DIGITS = 6  # of a float: machines may differ in the last ones
TOLERANCE = 2e-5  # of a float, relative: the last of its digits
TRAINED = {"quality": 1e-2}  # an optimiser ends a little elsewhere on another processor

# Steps that say nothing on their own: what stands before them, and their parameters.
NEEDS: dict[str, tuple[list[str], str]] = {
    "c4_badwords@datatrove-0.10": ([], "{words: [DIR/terms.txt]}"),
    "decontaminate": ([], "{against: [DIR/held.jsonl]}"),
    "datatrove": ([], "{step: GopherQualityFilter}"),
    "paraphrases": ([], "{against: [DIR/held.jsonl], background: 100}"),
    "patterns": (
        [],
        r"{patterns: {digits: '\d+', shout: '\b[A-Z]{3,}\b'}, replace: {digits: '0'}, "
        "max_matches: {shout: 2}, max_per_1000_words: {digits: 200}}",
    ),
    "quality": (["label: {documents: 120}"], "{keep_fraction: 0.5, min_spearman: -1}"),
    "substring_dedup": ([], "{min_tokens: 8}"),
    "terms": ([], "{terms: [DIR/terms.txt]}"),
    "toxicity": ([], "{terms: [DIR/terms.txt]}"),
    "topics": ([], "{count: 4, keep: [1, 2]}"),
    "perplexity": ([], "{model: DIR/model.arpa, max_perplexity: 40}"),
    "transformer": ([], "{model: DIR/classifier, scale: [-9, 9], max_tokens: 64, min_score: 0}"),
    "fasttext": ([], "{model: DIR/model.bin, label: __label__good, min_score: 0.4}"),
    "per_language": (
        [
            "language: {min_score: 0}",
            "gopher_quality: {max_mean_word_length: 15, min_mean_word_length: 0, "
            "min_stop_words: 0, min_alpha_words: 0.7}",
        ],
        "{languages: [de, fr], of: [gopher_quality], limits: {rest: {gopher_quality: {min_stop_words: 1}}}}",
    ),
    "vote": (
        ["language: {min_score: 0}"],
        "{of: [language, language.agreement], by: language, groups: [en, de], keep: {share: 0.7}, "
        "keep_by: {rest: {score: 0.9}}}",
    ),
    "url": ([], "{domains: [DIR/domains.txt], urls: [DIR/urls.txt], words: [DIR/words.txt]}"),
    "verified_tasks": ([], "{documents: 60}"),
}


# Their rows are a model's words; what is asked and what is kept of it: tests/synth/test_rephrase.py and beside it.
WRITTEN_BY_A_MODEL = ("rephrase", "document_tasks", "code_tasks")


def path_of(step: str) -> Path:
    """Return where a step's golden output lies."""
    return FOLDER / f"{step}.json"


def answer_of(step: str, house: House) -> dict[str, Any]:
    """Run one step in a house that `furnish` has filled; return its version and what it answered."""
    before, params = NEEDS.get(step, ([], "{}"))
    making = issubclass(step_class(step), MakingStep)
    if making:
        house.write(f"seed: 3\ndatasets:\n  clean: {{make: {{{step}: {params}}}}}\n")
    else:
        house.clean([*before, f"{step}: {params}"])
    plan = house.run()
    rows = house.documents() if making else house.signals(label_of(step), plan=plan)
    kind = step_class(step)
    spec = plan.datasets["clean"].made or plan.datasets["clean"].steps[-1]
    rules = spec.spec.step.rules(quantile=lambda signal, fraction: fraction)
    fields = {name: field.get_default() for name, field in kind.Params.model_fields.items() if not field.is_required()}
    return {
        "step": step,
        "version": kind.version,
        "defaults": json.loads(json.dumps(fields)),
        "rules": [[rule.name, rule.signal, rule.op, rule.threshold, rule.parameter] for rule in rules],
        "rows": len(rows),
        "columns": _columns(rows),
    }


def furnish(folder: Path) -> House:
    """Make a house whose source holds the fixed texts: 39 hard cases and 150 plain ones, some of them twice."""
    house = House(folder)
    cases = [json.loads(line) for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    plain = texts(120) + texts(30)
    every = [case["text"] for case in cases] + plain
    rows = [
        {"text": text, "url": f"http://s{number % 7}.x{number % 3}.org/a/{number}"} for number, text in enumerate(every)
    ]
    write_lines(folder / "texts.jsonl", rows)
    lists = {
        "domains": "x1.org\ns5.x0.org\n",
        "urls": "s2.x2.org/a/2/\n",
        "words": "7\ns3\n",
        "terms": "lorem\nof the\nhave\n",
    }
    for name, entries in lists.items():
        (folder / f"{name}.txt").write_text(entries)
    write_model(folder / "model.bin", minn=2, maxn=3)
    (folder / "model.arpa").write_text(ARPA, encoding="utf-8")
    if find_spec("transformers") is not None:
        write_classifier(folder / "classifier")
    write_lines(folder / "held.jsonl", [{"text": texts(1, start=30)[0]}, {"text": cases[20]["text"]}])
    return house


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the first values of every column, long ones as hashes, and one hash of all that is no float."""
    columns: dict[str, Any] = {}
    for name in rows[0] if rows else ():
        values = [_value(row[name]) for row in rows]
        exact = [value for value in values if not isinstance(value, float)]
        columns[name] = {"first": values[:SHOWN], "hash": blake3(json.dumps(exact).encode()).hexdigest()[:16]}
    return columns


def _value(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, str) and len(value) <= 40):
        return value
    return "blake3:" + blake3(json.dumps(value).encode()).hexdigest()[:16]


def differences(stored: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Say where two answers differ, the first place of each column."""
    told = [f"{key}: {stored[key]} became {found[key]}" for key in ("defaults", "rules") if stored[key] != found[key]]
    if stored["rows"] != found["rows"]:
        return [*told, f"{stored['rows']} rows became {found['rows']}"]
    tolerance = TRAINED.get(stored["step"], TOLERANCE)
    for name in sorted({*stored["columns"], *found["columns"]}):
        was, now = stored["columns"].get(name), found["columns"].get(name)
        if was is None or now is None:
            told.append(f"column {name} is {'new' if was is None else 'gone'}")
            continue
        pairs = enumerate(zip(was["first"], now["first"], strict=True))
        place = next((row for row, (old, new) in pairs if not _same(old, new, tolerance)), None)
        if place is not None:
            told.append(f"{name} of row {place} was {was['first'][place]!r} and is {now['first'][place]!r}")
        elif was["hash"] != now["hash"]:
            told.append(f"{name} changed after row {SHOWN}")
    return told


def _same(old: Any, new: Any, tolerance: float) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=tolerance, abs_tol=tolerance / 10)
    return type(old) is type(new) and bool(old == new)


def _pretty(found: dict[str, Any]) -> str:
    """Return JSON with one line for every key and every column, so that a diff shows what changed."""
    columns = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in found["columns"].items()]
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in found.items() if key != "columns"]
    return "{\n" + ",\n".join(lines) + ',\n "columns": {\n' + ",\n".join(columns) + "\n }\n}\n"


def main() -> None:
    """Write golden files: `python -m tests.golden --write [STEP ...]`."""
    if sys.argv[1:2] != ["--write"]:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        house = furnish(Path(folder))
        for step in sys.argv[2:] or STEPS:
            found = answer_of(step, house)
            path_of(step).write_text(_pretty(found), encoding="utf-8")


if __name__ == "__main__":
    main()
