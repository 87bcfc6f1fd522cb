"""What must not show in a result, and what must show in an identity.

One recipe in many worlds: workers, memory, hash seeds, time zones, languages, folders, order of what the recipe lists.
Every parameter of every step edited: its identity changes, unless the parameter says that it only paces or stops a run.
Random recipes over random texts: every document is kept, or dropped by a rule, or quarantined, and nothing else.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.catalog import STEPS
from pipeline.core.errors import TamisError
from pipeline.core.files.card import read_card
from pipeline.core.step import MakingStep
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.recipe.names import label_of, step_class
from pipeline.store.workspace import Workspace
from tests.conftest import ROOT
from tests.golden import NEEDS, furnish
from tests.pipeline.house import House, contents, texts
from tests.reliability.played import Played

SOURCES = ("  docs: {read: jsonl, path: [a.jsonl, b.jsonl, c.jsonl]}\n", "  held: {read: jsonl, path: held.jsonl}\n")
DATASETS = (
    "  seen: {from: held, steps: [exact_dedup]}\n",
    "  clean: {from: docs, steps: [gopher_quality: {min_words: 5}, c4_quality: {terminal_punctuation: false}, "
    "exact_dedup, minhash_dedup, decontaminate: {against: [seen]}]}\n",
    "  tasks: {make: {verified_tasks: {documents: 300, part_documents: 50}}}\n",
)
BASES: dict[str, tuple[list[str], str]] = {
    "label": ([], "{teacher: claude, max_usd: 1}")
}  # beside those of golden.NEEDS
FITTING: dict[str, Any] = {  # another value of parameters that few words or numbers fit
    "exact_dedup.keep": "longest", "minhash_dedup.keep": "longest", "label.rubric": "code_quality",
    "label.excerpt_chars": 3000, "patterns.max_matches": {"shout": 3}, "patterns.min_matches": {"shout": 1},
    "patterns.replace": {"digits": "1"}, "patterns.max_per_1000_words": {"digits": 100}, "vote.keep": {"share": 0.6},
    "patterns.patterns": {"digits": "[0-9]", "shout": "[A-Z]"}, "vote.keep_by": {"rest": {"score": 0.8}},
    "vote.of": ["language"], "label.model": "claude-haiku-4-5", "datatrove.step": "FineWebQualityFilter",
    "verified_tasks.families": ["arithmetic"], "decontaminate.containment": {"share": 0.5, "ngram": 5},
}  # fmt: skip
ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati")
LANGUAGES = ("C", "C.UTF-8", "tr_TR.UTF-8")


def worlds(folder: Path, *, times: int, seed: int = 1) -> Played:
    """Run one recipe in so many worlds, as a process of its own in each."""
    played, draw = Played(("other hashes", "not finished", "ids lost or twice")), random.Random(seed)
    found: dict[str, str] | None = None
    for number in range(times):
        here = folder / f"world {number}"
        here.mkdir(parents=True)
        rows = [{"id": f"d{n}", "text": text} for n, text in enumerate([*texts(400), *texts(60)])]
        for name, part in zip("cab", (rows[300:], rows[:150], rows[150:300]), strict=True):
            House(here).lines(f"{name}.jsonl", part)
        House(here).lines("held.jsonl", texts(5, start=40))
        turned = draw.random() < 0.5
        recipe = "seed: 3\n" + "sources:\n" + "".join(SOURCES[::-1] if turned else SOURCES)
        (here / "recipe.yaml").write_text(recipe + "datasets:\n" + "".join(DATASETS), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TZ": draw.choice(ZONES), "LANG": draw.choice(LANGUAGES)}
        environment["PYTHONHASHSEED"] = str(draw.randrange(1, 1000))
        flags = ["--workers", str((1, 2, 3, 7)[number % 4])]
        if draw.random() < 0.5:
            flags += ["--memory", "1G"]
        command = [sys.executable, "-m", "pipeline.cli", "run", "recipe.yaml", *flags]
        done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=200)
        played.times["worlds"] += 1
        if done.returncode != 0:
            played.breach("not finished", done.stderr[-300:])
            continue
        now = contents(here / "workspace")
        if found is not None and now != found:
            played.breach(
                "other hashes", f"{environment['TZ']} {flags} {sorted(set(now.items()) ^ set(found.items()))}"
            )
        found = found or now
        played.times["datasets"] += sum(name.startswith(("dataset/", "made/")) for name in now)
        if len(set(ids := House(here).ids())) != len(ids):
            played.breach("ids lost or twice", str(flags))
    return played


def others(value: Any, meant: Any) -> Iterator[Any]:
    """Yield values near a parameter's own, of the type that it is meant to have; not all of them need be allowed."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value - 1, value * 2, value / 2, value * 0.9, value + 0.01, value - 0.01, 1, 0.5)
    elif isinstance(value, Mapping) and value:
        first = next(iter(value))
        yield from ({**value, first: other} for other in others(value[first], Any))
        yield dict(list(value.items())[1:])
    elif isinstance(value, list | tuple) and value:
        yield from (list(value[1:]), [*value[1:], *list(others(value[0], Any))[:1]])
    for choice in typing.get_args(meant):
        if typing.get_origin(meant) is typing.Literal and choice != value:
            yield choice
        elif typing.get_origin(meant) in (types.UnionType, typing.Union, typing.Annotated):
            yield from others(None, choice)
    yield from ("x", "word", "fr", ["x"], ["fr"], ["docs"], ["DIR/held.jsonl"], ["DIR/words.txt"], {"x": 0.5}, 3, 0.25)
    yield from ({"x": "[a-z]"}, {"text": 0.5}, [2, 3], "DIR/words.txt", True, "2024-01-01", [1.0, 2.0], {"fr": 0.5})


def leaves(folder: Path, *, seed: int = 1) -> Played:
    """Edit every parameter of every step and reader; hold the identities of all results against those before."""
    played = Played(("not reflected", "run only, yet reflected"))
    folder.mkdir(parents=True, exist_ok=True)
    house = furnish(folder)
    untouched: list[str] = []
    for step in STEPS:
        kind = step_class(step)
        before, params = BASES.get(step) or NEEDS.get(step, ([], "{}"))
        if issubclass(kind, MakingStep):
            house.write(f"seed: 3\ndatasets:\n  clean: {{make: {{{step}: {params}}}}}\n")
        else:
            house.clean([*before, f"{step}: {params}"])
        place = f"datasets.clean{'.make' if issubclass(kind, MakingStep) else ''}.{label_of(step)}"
        try:
            base, spec = _identities(house, {}), load_recipe(house.recipe).datasets["clean"]
        except TamisError as error:
            untouched.append(f"{step}: {error}")
            continue
        made_or_last = spec.make if spec.make is not None else spec.steps[-1]
        written = made_or_last.step.params
        for key, field in kind.Params.model_fields.items():
            now = getattr(written, key)
            fitting = FITTING.get(f"{step.partition('@')[0]}.{key}")
            changed = _edited(house, f"{place}.{key}", now, field.annotation, base, fitting)
            if changed is None:
                untouched.append(f"{step}.{key}")
                continue
            must = kind.Params.role_of(key) not in ("alarm", "how")
            played.times["parameters" if must else "parameters that only pace or stop"] += 1
            if must and not changed:
                played.breach("not reflected", f"{step}.{key}")
            if not must and changed:
                played.breach("run only, yet reflected", f"{step}.{key}")
    played.times["parameters with no other value here"] = len(untouched)
    played.told += [f"not tried: {name}" for name in untouched] if os.environ.get("TELL") else []
    return played


def _edited(house: House, place: str, now: Any, meant: Any, base: set[str], fitting: Any) -> bool | None:
    """Say whether another value of a parameter changes an identity; None where no other value was allowed."""
    same = None
    for other in [fitting, *others(now, meant)]:
        if other is None or other == now:
            continue
        text = str(house.folder)
        other = _placed(other, text)
        try:
            if _identities(house, {place: other}) != base:
                return True
            same = False
        except (TamisError, TypeError, ValueError):
            continue
    return same


def _placed(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        return value.replace("DIR", folder)
    return [_placed(each, folder) for each in value] if isinstance(value, list) else value


def _identities(house: House, settings: Mapping[str, Any]) -> set[str]:
    plan = make_plan(load_recipe(house.recipe, settings=settings), Workspace(house.folder / "workspace"))
    return {node.identity for node in plan.nodes}


def conserved(folder: Path, *, recipes: int, seed: int = 1) -> Played:
    """Run random recipes over random texts; account for every document of every result, and of every file of it."""
    played, draw = Played(("documents lost or invented", "ids lost or twice")), random.Random(seed)
    for number in range(recipes):
        house = House(folder / str(number))
        house.folder.mkdir(parents=True)
        rows: list[Any] = [{"id": f"d{n}", "text": t} for n, t in enumerate(texts(draw.randrange(20, 90)))]
        rows += [{"id": f"e{n}", "text": draw.choice(rows)["text"]} for n in range(draw.randrange(20))]
        rows += draw.choices([{"text": ""}, {"text": None}, {"id": "d0", "text": "again"}, {"no": 1}, 7], k=8)
        draw.shuffle(rows)
        middle = draw.randrange(len(rows))
        house.lines("a.jsonl", rows[:middle])
        house.lines("b.jsonl", rows[middle:])
        steps = [
            f"gopher_quality: {{min_words: {draw.randrange(3, 30)}}}", f"length: {{min_chars: {draw.randrange(90)}}}",
            "exact_dedup", "minhash_dedup", f"gopher_repetition: {{max_drop_fraction: {draw.uniform(0.99, 1)}}}",
            "c4_quality: {terminal_punctuation: false}", "line_dedup", "pii", "fineweb_quality",
        ]  # fmt: skip
        house.clean(draw.sample(steps, draw.randrange(1, 6)))
        house.run()
        played.times["recipes"] += 1
        source = house.workspace.dataset("docs")[1]
        for path in sorted(house.workspace.root.glob("*/*/card.json")):
            card = read_card(path.parent)
            played.times["results"] += 1
            played.times["files"] += len(card.files)
            try:
                card.conserve()
            except TamisError as error:
                played.breach("documents lost or invented", str(error))
        played.times["documents"] += len(rows)
        if source.rows_in != len(rows):
            played.breach("documents lost or invented", f"{source.rows_in} of {len(rows)} were read")
        ids = house.ids()
        if len(set(ids)) != len(ids) or house.card().rows_in != source.rows_out:
            played.breach("ids lost or twice", str(number))
    return played
