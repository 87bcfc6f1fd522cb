"""What each checker notices, and how fast tasks are made and checked, counted anew for synth/README.md.

    python -m tests.synth.figures --write      (two minutes: mutants of every checker, then the speed on two cores)

Without `--write` the figures are printed. `--only mutants` or `--only speed` keeps the others as they are.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from typing import Any

from synth.families import ALL_FAMILIES, FAMILIES, checker
from synth.task_part import Job, Span, accepts, make_part
from tests.conftest import ROOT
from tests.synth.made import SEED, changes_noticed, wrong_tried
from tests.synth.mutants import controls, mutants, survivors

FIGURES = ROOT / "synth" / "families.json"
PAGE = ROOT / "synth" / "README.md"
MARKER = "<!-- families -->"
TASKS = 60  # whose answers are tried on every mutant
PART, PARTS = 5_000, 10  # tasks whose speed is measured
BYTES_PER_TOKEN = 4  # assumption: of such texts a large tokenizer makes a token of 3 to 4 bytes


def of_family(family: str) -> dict[str, Any]:
    """Count what a family's checker refuses, and which mutants of it its controls kill."""
    wrong = wrong_tried(family, TASKS)
    seen, changed = changes_noticed(family, TASKS)
    tried = list(mutants(family))
    left = survivors(tried, controls(family, right=TASKS, wrong=TASKS // 2))
    return {
        "wrong": len(wrong),
        "wrong_refused": sum(not accepts(checker(family), task.prompt, answer) for _, task, answer in wrong),
        "changed": changed,
        "changed_noticed": seen,
        "mutants": len(tried),
        "killed": len(tried) - len(left),
        "survivors": left,
    }


def _timed(job: Job) -> tuple[int, int, float]:
    start = time.process_time()
    made = make_part(job)
    return made.table.num_rows, made.table["text"].nbytes, time.process_time() - start


def speed() -> dict[str, Any]:
    """Measure rows a second on two processes, by the clock and by processor time, and the memory of one process."""
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
    }
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for name, families in (("default", FAMILIES), ("all", ALL_FAMILIES)):
            pool.map(_timed, [Job((Span(families, 0, 500),), 1, 5, 1)] * 4)
            jobs = [Job((Span(families, n * PART, PART),), 1, 5, SEED) for n in range(PARTS)]
            start = time.perf_counter()
            told = pool.map(_timed, jobs, chunksize=1)
            clock = time.perf_counter() - start
            rows, size = sum(row for row, _, _ in told), sum(size for _, size, _ in told)
            found[name] = {
                "rows": rows,
                "rows_per_second": round(rows / clock),
                "rows_per_processor_second": round(rows / sum(seconds for _, _, seconds in told)),
                "best_rows_per_processor_second": round(max(row / seconds for row, _, seconds in told)),
                "bytes_per_row": round(size / rows),
                "minutes_for_100m_tokens": round(100e6 * BYTES_PER_TOKEN / (size / rows) / (rows / clock) / 60, 2),
            }
        found["memory_mb"] = round(max(pool.map(_memory, range(2))))
    return found


def _memory(_: int) -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(figures: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| family | wrong answers refused | changed problems noticed | mutants killed |",
        "| --- | --- | --- | --- |",
    ]
    families = figures["families"]
    for family, found in families.items():
        lines.append(
            f"| `{family}` | {found['wrong_refused']:,} of {found['wrong']:,} | "
            f"{100 * found['changed_noticed'] / found['changed']:.0f} % of {found['changed']} | "
            f"{100 * found['killed'] / found['mutants']:.0f} % of {found['mutants']} |"
        )
    wrong, refused, every, killed = (
        sum(found[key] for found in families.values()) for key in ("wrong", "wrong_refused", "mutants", "killed")
    )
    lines.append(f"| all {len(families)} | {refused:,} of {wrong:,} | | {100 * killed / every:.1f} % of {every:,} |")
    fast = figures["speed"]
    for name, what in (("default", "the ten default families"), ("all", f"all {len(families)}")):
        one = fast[name]
        lines += [
            "",
            f"Of {what}, {one['rows_per_second']:,} checked rows a second by the clock on two processes, "
            f"{one['rows_per_processor_second']:,} a second of processor time (the best part: "
            f"{one['best_rows_per_processor_second']:,}); 100 million tokens (at {BYTES_PER_TOKEN} bytes) in "
            f"{one['minutes_for_100m_tokens']} minutes.",
        ]
    lines += [
        "",
        f"Memory of one process: {fast['memory_mb']} MB. {fast['machine']}; "
        f"before it began, {fast['load']:.1f} processes waited for two cores.",
    ]
    return "\n".join(lines)


def shown_in(page: str, figures: dict[str, Any]) -> str:
    """Return the page with the table between its two markers."""
    before, _, after = page.split(MARKER)
    return f"{before}{MARKER}\n{table(figures)}\n{MARKER}{after}"


def main() -> None:
    """Count, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write synth/families.json and synth/README.md")
    parser.add_argument("--only", choices=["mutants", "speed"], help="count these alone")
    flags = parser.parse_args()
    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    if flags.only != "speed":
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            figures["families"] = dict(zip(ALL_FAMILIES, pool.map(of_family, ALL_FAMILIES, chunksize=1), strict=True))
    if flags.only != "mutants":
        figures["speed"] = speed()
    if flags.write:
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(shown_in(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    else:
        sys.stdout.write(table(figures) + "\n")


if __name__ == "__main__":
    main()
