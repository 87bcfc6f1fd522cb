"""Recipes with one mistake each, refused before any work with their line; and recipes and data that want to be run."""

from __future__ import annotations

import ast
import base64
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import TamisError
from pipeline.plan.make import make_plan
from pipeline.recipe.load import load_recipe
from pipeline.store.workspace import Workspace
from tests.conftest import ROOT, house_files
from tests.pipeline.house import House, texts
from tests.reliability.played import Played, spread

GOOD = """# tamis run recipe.yaml
name: web
seed: 17
sources:
  docs: {read: jsonl, path: DIR/docs.jsonl, id: id}
  other: {read: jsonl, path: DIR/other.jsonl}
datasets:
  held: {from: other, steps: [exact_dedup]}
  clean:
    from: docs
    steps:
      - language: {keep: [en], min_score: 0.65}
      - gopher_quality: {min_words: 50}
      - c4_quality: {terminal_punctuation: false}
      - exact_dedup
      - minhash_dedup: {bands: 14, rows: 8}
      - decontaminate: {against: [held]}
  tasks: {make: {verified_tasks: {documents: 20}}}
mixtures:
  baseline: {weights: {clean: 1.0}}
  candidate: {weights: {clean: 0.8, tasks: 0.2}, max_epochs: 4}
proxy: {tier: t0, tokens: 4k, seeds: 3}
gate: {candidate: candidate, baseline: baseline, on: [held], min_gain: 0.004}
promote: {as: web-en}
"""
TYPOS = (  # what stands there, the slip, the line of it, and what it must be told to have meant
    ("seed:", "sedd:", 3, "seed"), ("sources:", "source:", 4, "sources"), ("datasets:", "dataset:", 7, "datasets"),
    ("mixtures:", "mixture:", 19, "mixtures"), ("proxy:", "proxi:", 22, "proxy"), ("gate:", "gat:", 23, "gate"),
    ("promote:", "promot:", 24, "promote"), ("read: jsonl, path: DIR/docs", "raed: jsonl, path: DIR/docs", 5, "read"),
    ("read: jsonl, path: DIR/docs", "read: jsnl, path: DIR/docs", 5, "jsonl"),
    ("path: DIR/docs", "pth: DIR/docs", 5, "path"), ("from: docs", "form: docs", 10, "from"),
    ("from: docs", "from: dosc", 10, "docs"), ("    steps:\n", "    stpes:\n", 11, "steps"),
    ("language:", "langauge:", 12, "language"), ("min_score:", "min_scor:", 12, "min_score"),
    ("gopher_quality:", "gopher_qualty:", 13, "gopher_quality"), ("min_words:", "min_word:", 13, "min_words"),
    ("terminal_punctuation:", "terminal_puntuation:", 14, "terminal_punctuation"),
    ("- exact_dedup", "- exact_dedupe", 15, "exact_dedup"), ("bands:", "band:", 16, "bands"),
    ("against: [held]", "against: [hled]", 17, "held"), ("verified_tasks:", "verifed_tasks:", 18, "verified_tasks"),
    ("documents: 20", "documnets: 20", 18, "documents"), ("clean: 1.0", "claen: 1.0", 20, "clean"),
    ("weights: {clean: 0.8", "weigths: {clean: 0.8", 21, "weights"), ("max_epochs", "max_epoch", 21, "max_epochs"),
    ("tokens: 4k", "token: 4k", 22, "tokens"), ("tier: t0", "tire: t0", 22, "tier"),
    ("candidate: candidate", "candidate: candidat", 23, "candidate"), ("on: [held]", "on: [hold]", 23, "held"),
    ("min_gain", "mingain", 23, "min_gain"),
)  # fmt: skip
MISTAKES = (  # what stands there, what is written instead, the line that the mistake is told at
    ("seed: 17", "seed: seventeen", 3), ("seed: 17", "seed: 1.5", 3), ("seed: 17", "seed: 17\nseed: 18", 4),
    ("seed: 17", "seed: yes", 3), ("read: jsonl, path: DIR/docs.jsonl", "read: jsonl, path: DIR/none.jsonl", 5),
    ("path: DIR/docs.jsonl, id: id", "id: id", 5), ("id: id}", "id: 3}", 5), ("keep: [en]", "keep: en", 12),
    ("keep: [en]", "keep: [true]", 12), ("min_score: 0.65", "min_score: 65", 12),
    ("min_score: 0.65", "min_score: -1", 12), ("min_score: 0.65", "min_score: '0.65'", 12),
    ("min_words: 50", "min_words: 50, min_words: 60", 13), ("min_words: 50", "min_words: -5", 13),
    ("min_words: 50", "min_words: [50]", 13), ("terminal_punctuation: false", "terminal_punctuation: no", 14),
    ("bands: 14", "bands: 0", 16), ("rows: 8", "rows: 12:30", 16), ("against: [held]", "against: [clean]", 9),
    ("against: [held]", "against: []", 17), ("from: other", "from: clean", 8),
    ("documents: 20", "documents: -20", 18), ("documents: 20", "documents: 20.5", 18), ("clean: 1.0", "clean: 0", 20),
    ("clean: 1.0", "clean: -1.0", 20), ("{clean: 1.0}", "{}", 20), ("max_epochs: 4", "max_epochs: 0", 21),
    ("tier: t0", "tier: t99", 22), ("tokens: 4k", "tokens: 4q", 22), ("seeds: 3", "seeds: 1", 22),
    ("candidate: candidate", "candidate: baseline", 23), ("on: [held]", "on: [clean]", 23),
    ("on: [held]", "on: []", 23), ("as: web-en", "as: ../web", 24), ("as: web-en", "as: ''", 24),
    ("    from: docs", "    from: docs\n\tsteps: 1", 11), ("- exact_dedup", "- exact_dedup: {keep: shortest}", 15),
    ("name: web", "name: [web]", 2), ("- exact_dedup", "- &a [*a]", 15),
)  # fmt: skip
MEANT = (("keep: [en]", "keep: [no]"), ("min_gain: 0.004", "min_gain: 4e-3"), ("max_epochs: 4", "max_epochs: 1e1"))


def mistakes(folder: Path) -> Played:
    """Load recipes with one mistake each, and ask for the line, for what was meant, and that nothing was written."""
    played, seconds = Played(("accepted", "without its line", "not told what was meant", "refused though right")), []
    house = House(folder)
    folder.mkdir(parents=True, exist_ok=True)
    house.lines("docs.jsonl", [{"id": str(n), "text": text} for n, text in enumerate(texts(5))])
    house.lines("other.jsonl", texts(3, start=9))
    before = {path.name for path in folder.iterdir()}
    cases = [*((*typo[:3], typo[3]) for typo in TYPOS), *((*mistake, None) for mistake in MISTAKES)]
    for old, new, line, meant in cases:
        assert old in GOOD, old
        house.write(GOOD.replace(old, new, 1))
        begun = time.monotonic()
        said = _refusal(house)
        seconds.append(time.monotonic() - begun)
        played.times["recipes with a mistake"] += 1
        played.times["typos among them"] += meant is not None
        if said is None:
            played.breach("accepted", new)
        elif f"recipe.yaml:{line}:" not in said:
            played.breach("without its line", f"{new}: {said[:300]}")
        elif meant is not None and not re.search(rf"(Did you mean [^?]*\b|with a key `){meant}\b", said):
            played.breach("not told what was meant", f"{new}: {said[:300]}")
    for old, new in MEANT:
        played.times["recipes that only look wrong"] += 1
        house.write(GOOD.replace(old, new, 1))
        if (said := _refusal(house)) is not None:
            played.breach("refused though right", f"{new}: {said[:300]}")
    assert {path.name for path in folder.iterdir()} - before <= {"recipe.yaml"}
    return _with(played, "seconds until it is refused", seconds)


def _with(played: Played, name: str, seconds: list[float]) -> Played:
    played.measured |= spread(name, seconds)
    return played


def _refusal(house: House) -> str | None:
    try:
        make_plan(load_recipe(house.recipe), Workspace(house.folder / "workspace"))
    except TamisError as error:
        return str(error)
    return None


UNSAFE = {"eval", "exec", "pickle.load", "pickle.loads", "torch.load", "yaml.load", "os.system", "dill.loads",
          "marshal.loads", "__import__", "cloudpickle.loads", "numpy.load", "np.load"}  # fmt: skip


KNOWN = {  # what is run there
    "pipeline/core/process/box_child.py": "code that a model wrote, inside a box and nowhere else",
    "pipeline/core/process/dataclass_code.py": "code that this very version compiled, from the user's own cache",
    "pipeline/core/process/machine_code.py": "kernels that this very version compiled, from the user's own cache",
    "pipeline/recipe/plugins.py": "the file that the user names with --plugin",
}


def unsafe_calls() -> Iterator[str]:
    """Yield every call in the house that could run what it is given; some are safe by what they are given."""
    for path in house_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name, flags = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
            shell = "shell" in flags and ast.unparse(flags["shell"]) != "False"
            pickled = name.endswith(".load") and ast.unparse(flags.get("allow_pickle", ast.Constant(False))) == "True"
            safe = name in ("np.load", "numpy.load") and not pickled
            weights = name == "torch.load" and ast.unparse(flags.get("weights_only", ast.Constant(False))) == "True"
            if shell or "trust_remote_code" in flags or (name in UNSAFE and not safe and not weights):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {name}"


class Touch:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.path}'",)


def executions(folder: Path) -> Played:
    """Run recipes and data that want to be run; a file that appears says that one of them was."""
    played = Played(("executed", "a traceback", "unsafe calls"))
    house, canary = House(folder), folder / "executed"
    folder.mkdir(parents=True, exist_ok=True)
    pickled = pickle.dumps(Touch(canary))
    for suffix in ("jsonl", "parquet", "arrow", "csv", "json", "txt", "jsonl.gz", "npy", "pt"):
        (folder / f"pickled.{suffix}").write_bytes(pickled)
    touch = f"touch {canary}"
    orders = [
        f"$({touch})", f"`{touch}`", f"; {touch} #", f"| {touch}", f"=cmd|{touch}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}", f"{{% import os %}}{{{{ os.system('{touch}') }}}}",
        f"__import__('os').system('{touch}')", base64.b64encode(pickled).decode(), f"${{IFS}}{touch}",
    ]  # fmt: skip
    rows = [{"id": order, "text": f"{order} {text}"} for order, text in zip(orders * 3, texts(30), strict=True)]
    house.lines("docs.jsonl", rows)
    tags = [
        f'!!python/object/apply:os.system ["{touch}"]', f'!!python/object/new:os.system ["{touch}"]',
        "!!python/name:os.system", "!!python/module:os", f'!exec "{touch}"', '!!python/object/apply:eval ["1"]',
    ]  # fmt: skip
    recipes = [GOOD.replace("seed: 17", f"seed: {tag}").replace("DIR", str(folder)) for tag in tags]
    small = (
        "sources:\n  docs: {{read: {read}, path: {path}}}\n"
        "datasets:\n  clean: {{from: docs, steps: [length: {{min_chars: 1}}]}}\n"
    )
    recipes += [small.format(read="jsonl", path=f'"{order}"') for order in orders]
    for read in ("jsonl", "parquet", "arrow", "csv", "json", "text"):
        suffix = {"text": "txt"}.get(read, read)
        recipes.append(small.format(read=read, path=folder / f"pickled.{suffix}"))
    recipes.append(small.format(read="jsonl", path=folder / "pickled.jsonl.gz"))
    recipes.append(small.format(read="jsonl", path=folder / "docs.jsonl"))
    for order in orders[:6]:
        recipes.append(f'name: "{order}"\n' + small.format(read="jsonl", path=folder / "docs.jsonl"))
        recipes.append(
            small.format(read="jsonl", path=folder / "docs.jsonl").replace("length: {min_chars: 1}", f'"{order}"')
        )
    for text in recipes:
        house.recipe.write_text(text, encoding="utf-8")
        played.times["recipes and files that want to be run"] += 1
        try:
            house.run()
        except TamisError:
            played.times["of them refused"] += 1
        except Exception as error:  # noqa: BLE001  # a bug of ours is what is looked for
            played.breach("a traceback", f"{type(error).__name__}: {error}: {text[:200]}")
        if canary.exists():
            played.breach("executed", text[:300])
            canary.unlink()
    command = [
        sys.executable,
        "-m",
        "pipeline.cli",
        "export",
        "clean",
        "--to",
        "out $(touch executed)",
        "--workers",
        "1",
    ]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=100)
    if (folder / "executed").exists():
        played.breach("executed", "export")
    found = [call for call in unsafe_calls() if call.partition(":")[0] not in KNOWN]
    played.times["modules that run what they are given, by design"] = len(KNOWN)
    played.times["modules read for unsafe calls"] = len(house_files())
    for call in found:
        played.breach("unsafe calls", call)
    return played
