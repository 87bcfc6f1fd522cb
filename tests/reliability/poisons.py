"""Documents, names and files that are meant to break something, among good ones: these stay, nothing escapes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.files.parquet.shards import read_table
from pipeline.store.workspace import Workspace
from tests.conftest import ROOT
from tests.pipeline.house import House, texts
from tests.reliability.played import Played

MEMORY_BYTES = 4 << 30  # of addresses, for each process of a run; what the libraries map is a third of it
STEPS = (
    "language: {min_score: 0}", "gopher_quality: {min_words: 1, max_words: 10000000}", "gopher_repetition",
    "c4_quality: {terminal_punctuation: false, min_sentences: 1}", "fineweb_quality", "pii", "line_dedup",
    "exact_dedup", "minhash_dedup",
)  # fmt: skip
# Lines that are no documents: each must be in quarantine with a reason.
REFUSED: Mapping[str, Callable[[int], bytes]] = {
    "not JSON": lambda n: b'{"id": "p%d", "text": "never ends' % n,
    "not UTF-8": lambda n: b'{"id": "p%d", "text": "caf\xe9 \xff\xfe"}' % n,
    "half a character": lambda n: b'{"id": "p%d", "text": "one \\ud800 half"}' % n,
    "NUL": lambda n: b'{"id": "p%d", "text": "a \\u0000 b"}' % n,
    "no text": lambda n: b'{"id": "p%d", "text": null}' % n,
    "a number": lambda n: b'{"id": "p%d", "text": 7}' % n,
    "nothing but space": lambda n: b'{"id": "p%d", "text": " \\u2003\\n "}' % n,
    "no object": lambda n: b"[[[[[%d]]]]]" % n,
    "deep": lambda n: b"[" * 20_000 + b"]" * 20_000,
    "a line of 48 MB": lambda n: b'{"id": "p%d", "text": "' % n + b"x" * (48 << 20) + b'"}',
}
# Documents that are hard to measure: each must be measured or named, whatever becomes of it.
HARD: Mapping[str, Callable[[int], str]] = {
    "a word of 3 MB": lambda n: f"{n}" + "x" * 3_000_000,
    "slow for expressions": lambda n: f"{n} " + "a" * 40_000 + "!" + "<a" * 20_000 + "@." * 20_000,
    "a million full stops": lambda n: f"{n} " + "." * 1_000_000,
    "a hundred thousand lines": lambda n: f"{n}\n" + "x\n" * 100_000,
    "marks upon marks": lambda n: f"{n} e" + "\u0301" * 50_000,
    "right to left and back": lambda n: f"{n} " + "\u202e\u202d" * 20_000,
}


def documents(folder: Path, *, good: int, each: int) -> Played:
    """Run a recipe over good documents and `each` poisons of every kind, in processes that may not take much memory."""
    played = Played(("good documents lost", "poisons not accounted for", "not finished"))
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"id": f"d{n}", "text": text}).encode() for n, text in enumerate(texts(good))]
    for number in range(each):
        for index, made in enumerate(REFUSED.values()):
            if "48 MB" not in list(REFUSED)[index] or number < 3:  # a few of these are enough
                lines.insert((number * 97 + index * 13) % len(lines), made(number))
                played.times["no documents among them"] += 1
        for index, hard in enumerate(HARD.values()):
            row = {"id": f"h{index}-{number}", "text": hard(number)}
            lines.insert((number * 89 + index * 7) % len(lines), json.dumps(row).encode())
            played.times["hard documents among them"] += 1
    (folder / "docs.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    played.times["documents"] = len(lines)
    house = House(folder)
    house.clean(list(STEPS), source="{read: jsonl, path: DIR/docs.jsonl, id: id}")
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))\n"
        "from pipeline.cli import main\nif __name__ == '__main__': main()"
    )
    command = [sys.executable, "-c", code, "run", "recipe.yaml", "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=550)
    if done.returncode != 0:
        played.breach("not finished", done.stderr[-400:])
        return played
    source, card = house.workspace.dataset("docs")[1], house.card()
    seen = {row["id"]: row for path in sorted(house.workspace.root.glob("dataset/clean-*/verdicts-*.parquet"))
            for row in read_table(path).to_pylist()}  # fmt: skip
    lost = [f"d{n}" for n in range(good) if f"d{n}" not in seen]
    for name in lost:
        played.breach("good documents lost", name)
    accounted = sum(source.quarantined.values()) + len(seen)
    if accounted != len(lines) or card.rows_in != source.rows_out:
        played.breach("poisons not accounted for", f"{accounted} of {len(lines)}: {dict(source.quarantined)}")
    missed = sum(name.startswith("p") for name in seen)
    if missed:
        played.breach("poisons not accounted for", f"{missed} were read as documents")
    return played


NAMES = (
    "../../escape", "/tmp/escape", "..", ".", "CON", "NUL", "a/../../b", "-rf", "--help", "$(touch escape)",
    "`touch escape`", "new\nline", "tab\tthere", "x" * 200, "\u202etxt.exe", "caf\u00e9", "cafe\u0301", " leading",
    "trailing ", "a:b", "a|b", "*?[x]", "%2e%2e%2f", "~", "~root", "'quoted'", '"quoted"', "back\\slash",
    "\ufeffbom", "e\u0000nd",
)  # fmt: skip


def names(folder: Path) -> Played:
    """Use hostile names as ids, files, metadata, datasets, exports and registry names; list what lies outside."""
    played = Played(("files outside", "not finished", "documents lost", "a traceback"))
    here = folder / "in here"
    here.mkdir(parents=True)
    (folder / "bystander").write_text("as it was", encoding="utf-8")
    (here / "texts").mkdir()
    written = 0
    for number, name in enumerate(NAMES):
        try:
            (here / "texts" / f"{name.replace('/', '_')}.txt").write_text(f"text {number} of a file", encoding="utf-8")
            written += 1
        except (OSError, ValueError):
            continue
    (here / "texts" / "link.txt").symlink_to(folder / "bystander")
    rows = [{"id": name, "text": f"text {n} here", "lang": name, name or "x": n} for n, name in enumerate(NAMES)]
    (here / "docs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = (
        "sources:\n  docs: {read: jsonl, path: docs.jsonl, id: id}\n  files: {read: text, path: 'texts/*.txt'}\n"
        "datasets:\n  clean: {from: docs, steps: [exact_dedup]}\n  texts: {from: files, steps: [exact_dedup]}\n"
    )
    (here / "recipe.yaml").write_text(recipe, encoding="utf-8")
    _tamis(here, played, "run", "recipe.yaml", "--workers", "1", must=(0,))
    for name in ("clean", "texts"):
        _tamis(here, played, "export", name, "--to", f"out-{name}", "--workers", "1", must=(0,))
    for name in [*NAMES[:12], "n" * 300]:
        played.times["names"] += 1
        _tamis(here, played, "why", "--dataset=clean", "--", name, must=(0, 1, 2))
        _tamis(here, played, "look", "--", name, must=(0, 1, 2))
        edited = recipe.replace("clean:", json.dumps(name) + ":")
        (here / "hostile.yaml").write_text(edited, encoding="utf-8")
        _tamis(here, played, "run", "hostile.yaml", "--workers", "1", must=(0, 1, 2))
    found = len({row["id"] for path in Workspace(here / "workspace").dataset("clean")[0].glob("part-*.parquet")
                 for row in read_table(path).to_pylist()})  # fmt: skip
    played.times["ids and columns"], played.times["names of files"] = len(NAMES), written
    if found < len(NAMES) - 1:  # NUL is quarantined
        played.breach("documents lost", f"{found} of {len(NAMES)}")
    outside = {path.name for path in folder.iterdir()} - {"in here", "bystander"}
    allowed = {"texts", "docs.jsonl", "recipe.yaml", "hostile.yaml", "workspace", "out-clean", "out-texts"}
    outside |= {path.name for path in here.iterdir()} - allowed
    outside |= {path for path in ("/tmp/escape",) if Path(path).exists()}
    if outside or (folder / "bystander").read_text(encoding="utf-8") != "as it was":
        played.breach("files outside", str(sorted(outside)))
    return played


def _tamis(here: Path, played: Played, *arguments: str, must: tuple[int, ...]) -> Any:
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=200)
    played.times["commands"] += 1
    if done.returncode not in must:
        played.breach("not finished", f"{arguments}: {done.returncode}: {done.stderr[-300:]}")
    if "Traceback" in done.stderr:
        played.breach("a traceback", f"{arguments}: {done.stderr[-300:]}")
    return done
