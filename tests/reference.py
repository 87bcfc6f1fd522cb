"""The models of recipes, readers and steps -> recipes/README.md, the reference of everything that a recipe may say.

`python -m tests.reference --write` writes it, without `--write` it is printed; a test compares. Nothing in it is kept
twice: types, bounds, defaults, descriptions, signals and rules are read from the classes that check a recipe.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from eval.proxies.tiers import TIERS
from pipeline.catalog import READERS, STEPS
from pipeline.core.step import GatheringStep, MakingStep, MeasuringStep, Params, Rule, Step
from pipeline.recipe.load import KEYS
from pipeline.recipe.names import reader_class, step_class
from pipeline.recipe.proxy_settings import SettingsSection
from pipeline.recipe.schema import MEANINGS
from pipeline.recipe.sections import GateSection, MixtureSection, PromoteSection, ProxySection, SweepSection
from pipeline.sources.reader import ColumnParams, ReaderParams
from tests.conftest import ROOT
from tests.filters.conftest import verdict_of

REFERENCE = ROOT / "recipes" / "README.md"
# What steps that do not stand without parameters are shown with.
GIVEN: dict[str, dict[str, Any]] = {
    "c4_badwords@datatrove-0.10": {"words": ["x"]},
    "decontaminate": {"against": ["x"]},
    "paraphrases": {"against": ["x"]},
    "datatrove": {"step": "GopherQualityFilter"},
    "patterns": {"patterns": {"name": "x"}},
    "quality": {"keep_fraction": 0.3},
    "terms": {"terms": ["x"]},
    "toxicity": {"terms": ["x"]},
    "transformer": {"model": "x"},
    "perplexity": {"model": "x"},
    "fasttext": {"model": "x", "label": "x"},
    "per_language": {"languages": ["de"]},
    "vote": {"of": ["quality"], "keep": {"share": 0.3}},
    "url": {"domains": ["x"], "urls": ["x"], "words": ["x"]},
}
ROLES = {
    "measure": "measures",
    "decide": "decides",
    "input": "input",
    "store": "input",
    "alarm": "run only",
    "how": "run only",
}
HEAD = """\
# Recipes: every key, reader, step and parameter

Written by `python -m tests.reference --write` from the classes that check a recipe. Do not edit it; a test compares.

A recipe is one YAML file and one experiment. Unknown keys, wrong types and duplicate keys are errors, all reported at
once with their lines. YAML 1.2: `no` is a word, `3e-4` a number. Relative paths start at the current directory.

Editors that know JSON Schema (VS Code with the YAML extension, and others that use yaml-language-server) complete keys
and step names, show what they mean and mark mistakes. Write the schema once, with `--plugin FILE` if you have steps of
your own, and name it in the recipe's first lines:

    tamis schema > recipe.schema.json
    # yaml-language-server: $schema=recipe.schema.json

In Python a recipe may be a mapping with the same keys; `tamis.run({...})` gives the same results.
"""
LEGEND = """\
The last column of each table says what a parameter does to a result:

- *measures*: it changes what is measured, so editing it measures again.
- *decides*: a threshold over stored signals. Editing it measures nothing, and `tamis what-if` answers for it at once.
- *input*: it names datasets or files. They count by their content, not by their names.
- *run only*: it can stop or pace a run, never change a result.

Every step takes:
"""


LIMITS = """\
### What a file may decode to

A few kB can decode to gigabytes, so what is decoded is bounded before it is, and what goes beyond is quarantined:

- A parquet row group of which one row, with the pages that it stands in, takes more than 512 MiB and
  `max_document_bytes` to decode is not read: its rows are `decodes_too_large`. Others are read so many rows at a time
  that these take 256 MiB at most, 64 where that is possible.
- Of a slice of parquet, at most 4 GiB and 5,000 times the file's size become documents; the rows behind are
  `decodes_too_large`. A compressed file of lines that decodes to more stops the run.
- A parquet file has at most 100,000 rows and 8 for each of its bytes; a row group that ends beyond is one entry,
  `too_many_rows`.
"""
ODD = """\
### Odd text

Sources keep what is not text away from the steps: text that is empty or white space alone, not UTF-8, with a lone
surrogate or NUL, or longer than `max_document_bytes` is quarantined with that reason. A step that edits may still leave
a document without text. Every step measures whatever is left, in time that grows with the text. Words are what white
space of any script separates, so zero-width characters, marks and direction marks belong to words. CRLF is one line
end; CR alone, VT, FF, U+0085, U+2028 and U+2029 end lines too. A count of nothing is 0, a share of nothing null or 0,
and null passes a rule. By default the steps that need no lists say:
"""
ODD_TEXTS = {
    "without words": "\n \u2028\r\n",
    "a word of 1 MB": "x" * 1_000_000,
    "a sentence, 1 MB": "The quick brown fox jumps over the lazy dog. " * 22_222,
    "`.`, 1 MB": "." * 1_000_000,
    "right to left, 200 words": "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd\u05df " * 100,
}


def main() -> None:
    """Print the reference, or write it."""
    parser = argparse.ArgumentParser(description="The reference of recipes, from the models that check them.")
    parser.add_argument("--write", action="store_true", help="write recipes/README.md instead of printing")
    if parser.parse_args().write:
        REFERENCE.write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())


def reference() -> str:
    """Return the whole page."""
    blocks = [HEAD, *_recipes(), *_sections(), *_readers(), "## Steps\n", LEGEND, _parameters(Params), *_odd()]
    for kind, title in (
        (MeasuringStep, "Measuring steps: one document at a time"),
        (GatheringStep, "Gathering steps: a whole dataset at once"),
        (MakingStep, "Making steps: new documents"),
    ):
        blocks.append(f"## {title}\n")
        blocks += [block for name in STEPS if issubclass(step_class(name), kind) for block in _step(step_class(name))]
    return "\n".join(blocks)


def _recipes() -> Iterator[str]:
    yield "## The recipes of this folder\n"
    for path in sorted((ROOT / "recipes").glob("*.yaml")):
        about = [line.removeprefix("#").strip() for line in _first_comment(path)]
        text = " ".join(about[1:]).strip()
        yield f"- [`{path.name}`]({path.name}): {text}"
    yield ""


def _first_comment(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines[: next(index for index, line in enumerate(lines) if not line.startswith("#"))]


def _sections() -> Iterator[str]:
    yield "## The keys of a recipe\n"
    yield _table(("key", "meaning"), _meanings(*KEYS))
    yield "## Datasets\n"
    yield "`datasets: {NAME: {...}}`. A dataset needs `from` or `make`.\n"
    yield _table(("key", "meaning"), _meanings("from", "make", "steps", "by_topic"))
    for title, usage, model in (
        ("Mixtures", "`mixtures: {NAME: {...}}`. Weights are normalised to one.", MixtureSection),
        ("Proxy", "`proxy: {...}`. Numbers of tokens and bytes may be written `300k`, `20M`, `1.5B`.", ProxySection),
        (
            "Settings of proxies",
            "`proxy: {settings: {...}, of: {MIXTURE: {...}}}`. What is not given is as the tier has it.",
            SettingsSection,
        ),
        ("Sweep", "`sweep: {...}`. How it works: [eval/README.md](../eval/README.md#searching-weights).", SweepSection),
        ("Gate", "`gate: {...}`.", GateSection),
        ("Promote", "`promote: {as: NAME}`.", PromoteSection),
    ):
        yield f"## {title}\n"
        yield usage + "\n"
        yield _parameters(model)
        if model is ProxySection:
            yield _tiers()


def _meanings(*keys: str) -> list[list[str]]:
    return [[f"`{key}`", MEANINGS[key]] for key in keys]


def _tiers() -> str:
    rows = [
        [
            f"`{t.name}`",
            f"{t.num_parameters:,}",
            t.num_layers,
            t.width,
            f"{t.vocab_size:,}",
            t.context,
            f"{t.num_tokens:,}",
        ]
        for t in TIERS.values()
    ]
    head = ("tier", "parameters", "layers", "width", "vocabulary", "context, tokens", "tokens by design")
    return _table(head, rows)


def _readers() -> Iterator[str]:
    yield "## Readers\n"
    yield "`sources: {NAME: {read: READER, ...}}`.\n"
    yield "Every reader takes:\n"
    yield _parameters(ReaderParams)
    yield "`parquet`, `jsonl` and `hf` also take:\n"
    yield _parameters(ColumnParams, without=ReaderParams)
    for name in READERS:
        reader = reader_class(name)
        yield f"### `read: {name}`\n"
        yield _about(reader) + "\n"
        shared = ColumnParams if issubclass(reader.Params, ColumnParams) else ReaderParams
        yield _parameters(reader.Params, without=shared)
    yield LIMITS


def _odd() -> Iterator[str]:
    """Yield what the steps that stand without parameters say of text that no step was written for."""
    yield ODD
    kinds = [step_class(name) for name in STEPS if "@" not in name and name not in GIVEN]
    rows = []
    for kind in kinds:
        if issubclass(kind, MeasuringStep):
            step = kind(params=kind.Params())
            step.prepare({})
            rows.append([f"`{kind.name}`", *(verdict_of(step, text) for text in ODD_TEXTS.values())])
    yield _table(("step", *ODD_TEXTS), rows)


def _step(step: type[Step]) -> Iterator[str]:
    yield f"### `{step.name}`\n"
    yield _about(step) + "\n"
    yield _parameters(step.Params, without=Params)
    if signals := _shown(step).signals:
        rows = [[f"`{s.name}`", _sentence(s.meaning), s.unit or "-"] for s in signals]
        yield "Signals, stored for every document:\n"
        yield _table(("signal", "meaning", "unit"), rows)
    rules = _rules(step)
    if rules:
        yield "Kept if, with the defaults: " + ", ".join(rules) + "."
        yield ""


def _shown(step: type[Step]) -> Step:
    """Return a step as it stands without parameters; one that needs some gets them."""
    return step(params=step.Params.parse(GIVEN.get(step.name, {})))


def _rules(step: type[Step]) -> list[str]:
    rules: tuple[Rule, ...] = _shown(step).rules(quantile=lambda signal, fraction: fraction)
    if step.name == "quality":
        return ["`score` is in the top `keep_fraction` of the documents, or at least `min_score`, or as `keep` says"]
    if step.name == "per_language":
        return ["of each language: the rules of the filters in `of` that depend on it, by `limits` or as published"]
    if step.name == "vote":
        return ["`score` is as high as `keep` asks for; of a group, as `keep_by` does"]
    return [f"`{rule.signal}` {rule.op} {rule.threshold:g}" for rule in rules]


def _about(kind: type[Any]) -> str:
    """Return what a module or class says it does: the first paragraph of the module's docstring."""
    module = inspect.getmodule(kind)
    assert module is not None
    documented = inspect.getdoc(kind) if _shared_module(kind) else inspect.getdoc(module)
    paragraph = (documented or "").split("\n\n")[0]
    return re.sub(r"^`\w+`: (.)", lambda match: match[1].upper(), " ".join(paragraph.split()))


def _shared_module(kind: type[Any]) -> bool:
    """Say whether several steps live in the module of this one, so that only the class speaks for itself."""
    table = {**STEPS, **READERS}
    return sum(place.startswith(kind.__module__ + ":") for place in table.values()) > 1


def _parameters(model: type[BaseModel], *, without: type[BaseModel] | None = None) -> str:
    known = set(without.model_fields) if without is not None else set()
    roles = model.role_of if issubclass(model, Params) else None  # only a step's parameters have some
    rows = []
    for name, field in model.model_fields.items():
        if name in known:
            continue
        row = [f"`{field.alias or name}`", _type(field), _default(field), _cell(field.description or "")]
        rows.append([*row, ROLES[roles(name)]] if roles else row)
    head = ("parameter", "type", "default", "meaning", "effect") if roles else ("key", "type", "default", "meaning")
    return _table(head, rows) if rows else "No parameters of its own.\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    value = value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
    return f"`{json.dumps(value, default=list)}`" if not isinstance(value, str) else f"`{value}`"


def _type(field: FieldInfo) -> str:
    return _cell(", ".join([_words(field.annotation), *_bounds(field.metadata)]))


def _words(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is typing.Annotated:
        metadata = [part for item in arguments[1:] for part in getattr(item, "metadata", [item])]
        return ", ".join([_words(arguments[0]), *_bounds(metadata)])
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_words(argument) for argument in arguments)
    if origin is tuple:
        return f"list of {_words(arguments[0])}"
    if origin is dict:
        return f"mapping of name to {_words(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "settings"
    return {
        int: "whole number",
        float: "number",
        bool: "true or false",
        str: "text",
        JsonValue: "value",
        type(None): "null",
    }[kind]


def _bounds(metadata: list[Any]) -> list[str]:
    """Return what pydantic was told about a number's range, in words."""
    found = {name: getattr(item, name) for item in metadata for name in ("ge", "gt", "le", "lt") if hasattr(item, name)}
    if "ge" in found and "le" in found:
        return [f"{found['ge']:,} to {found['le']:,}"]
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return [f"{words[name]} {value:,}" for name, value in found.items()]


def _sentence(text: str) -> str:
    return _cell(text[:1].upper() + text[1:])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: tuple[str, ...], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
