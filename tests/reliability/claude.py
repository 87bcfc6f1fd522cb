"""The matrix of paid requests, played as a whole: its counts as JSON, and the short table of the labels' page.

python -m tests.reliability.claude             # play it and print the table, in about a minute and a half
python -m tests.reliability.claude --write     # write claude.json and the page too
python -m tests.reliability.claude --table     # the page again from claude.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.reliability.matrix import BREACHES, FATES, Played, play
from tests.reliability.modes import BATCH_MODES, SINGLE_MODES

COUNTS = Path(__file__).with_name("claude.json")
PAGE = ROOT / "filters" / "labels" / "README.md"
MARKER = "<!-- reliability -->"
KEPT = ("runs", "killed", "requests", *FATES, *BREACHES)
SHOWN = ("runs", "killed", "requests", *FATES, "lost", "bought twice", "above the cap")
MODES = {"single": SINGLE_MODES, "batches": BATCH_MODES}
KINDS = {"single": "single requests", "batches": "Message Batches"}


def as_data(played: Played) -> dict[str, dict[str, int]]:
    """Return the counts of every mode, zeros included."""
    return {mode: {key: counts[key] for key in KEPT} for mode, counts in played.counts.items()}


def table(data: dict[str, dict[str, dict[str, int]]]) -> str:
    """Return a row for each way to send, summed over all modes of the server."""
    head = ["", "ways of the server", *SHOWN]
    rows = [
        [title, str(len(data[kind])), *(f"{sum(counts[key] for counts in data[kind].values()):,}" for key in SHOWN)]
        for kind, title in KINDS.items()
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def page_with(text: str, data: dict[str, Any]) -> str:
    """Return a page with the table between its two markers."""
    before, _, after = text.split(MARKER)
    return f"{before}{MARKER}\n{table(data)}\n{MARKER}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", help="names of modes, with commas between")
    options = parser.parse_args()
    known = json.loads(COUNTS.read_text(encoding="utf-8")) if options.only is not None and COUNTS.exists() else {}
    data = {}
    for kind, modes in MODES.items():
        chosen = {name: mode for name, mode in modes.items() if options.only is None or name in options.only.split(",")}
        with tempfile.TemporaryDirectory() as folder:
            played = play(Path(folder), batches=kind == "batches", modes=chosen) if chosen else Played()
        counts = known.get(kind, {}) | as_data(played)
        data[kind] = {mode: counts[mode] for mode in modes if mode in counts}
        print(*played.broken, sep="\n")
    print(table(data))
    if options.write:
        COUNTS.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), data), encoding="utf-8")


if __name__ == "__main__":
    main()
