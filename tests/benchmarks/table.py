"""results.json -> two Markdown tables: every work with its mark, rival and ratio, and the few that the README shows.

`python -m tests.benchmarks.table` prints the long one, with `--write` both are written between the two lines
`<!-- bench -->` of their pages, where a test looks for them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).with_name("README.md")
README = Path(__file__).resolve().parents[2] / "README.md"
MARKER = "<!-- bench -->"
MARKS = {"fused_heuristics": 100.0, "minhash_signatures": 200.0, "quality_scoring": 150.0}  # MB/s per core, at least
RATIO_MARKS = {
    "fused_heuristics": 100,
    "minhash_dedup": 50,
    "minhash_rensa": 4,
    "minhash_rensa_ready": 4,
    "quality_scoring": 5,
}
CONFORMING, CONFORMING_MARK = "conforming_", 20  # prefix of the presets' works; times datatrove's speed, at least
QUIET = 0.9  # share of the core below which a table says that it had to share
MEMORY_MARKS_GB = {1: 0.7, 2: 1.2}  # by workers, all processes together, less than
LABELS_MARK, LABELS_MEMORY_MARK_GB = 60, 0.5  # seconds for 10,000, and all processes but the server, less than
WHAT_IF_MARK = 2.0  # seconds for a million documents, less than
COPY_MARK = 4  # times a plain copy, at most
WORKERS_MARK = 1.8  # times as fast with two workers, at least
START_MARKS = {"three_documents": 0.7, "nothing_to_do": 0.4}  # seconds, less than
STARTS = {"three_documents": "`tamis run` of three documents", "nothing_to_do": "the same again, with nothing to do"}
LANES_MARK = 1.5  # times as fast in one run as one after the other, at least
LANE_ROWS = {  # of each other way: what the row is called, and what stands beside ours
    "one_by_one": ("eight proxies t0 in one run, on two cores", "one after the other, kernels on both cores"),
    "plain": ("the same, beside a plain loop", "modules and AdamW as in nanoGPT, in the same precision"),
    "plain_float32": ("the same, beside that loop in float32", "modules and AdamW as in nanoGPT, float32"),
}
LINEAR_MARK = 1.1  # times as long per byte as the smallest text takes, at most
TITLES = {
    "read": "read ids and texts",
    "copy": "plain parquet copy, the floor",
    "segmentation": "words and lines, shared by all rules",
    "gopher_quality": "`gopher_quality` alone",
    "gopher_repetition": "`gopher_repetition` alone",
    "c4_quality": "`c4_quality` alone",
    "fineweb_quality": "`fineweb_quality` alone",
    "language": "`language` alone",
    "decontaminate": "`decontaminate` alone",
    "fused_heuristics": "those four heuristics in one pass, parquet in, signals out",
    "fused_pass": "the same with `language` and `decontaminate`",
    "exact_dedup": "`exact_dedup`, parquet in, signals out",
    "minhash_signatures": "MinHash signatures, 112 values",
    "minhash_rensa": "the same signatures beside rensa's (Rust)",
    "minhash_rensa_ready": "the same, rensa given its shingles",
    "minhash_dedup": "`minhash_dedup`, parquet in, signals out",
    "substring_dedup": "`substring_dedup`, parquet in, signals and text out",
    "conforming_chain": "the four filters of `fineweb@datatrove-0.10` in one pass, parquet in, signals out",
    "conforming_gopher_repetition": "`gopher_repetition@datatrove-0.10`",
    "conforming_gopher_quality": "`gopher_quality@datatrove-0.10`",
    "conforming_c4_quality": "`c4_quality@datatrove-0.10`",
    "conforming_c4_paragraph": "`c4_paragraph@datatrove-0.10`",
    "conforming_c4_badwords": "`c4_badwords@datatrove-0.10`, 400 words",
    "conforming_fineweb_quality": "`fineweb_quality@datatrove-0.10`",
    "conforming_pii": "`pii@datatrove-0.10`",
    "conforming_minhash": "MinHash signatures of `minhash_dedup@datatrove-0.10`",
    "quality_scoring": "`quality`: scoring by the classifier",
    "tokenizer": "tokenizer",
    "proxy_training": "proxy t0, training",
    "proxy_scoring": "proxy t0, scoring",
}
IN_README = {
    "fused_heuristics": "Gopher's, C4's and FineWeb's filters, parquet in, every signal out",
    "conforming_chain": "the same as datatrove defines them (`fineweb@datatrove-0.10`)",
    "minhash_signatures": "MinHash signatures",
    "minhash_rensa_ready": "MinHash signatures, shingles given",
    "minhash_dedup": "`minhash_dedup`, parquet in, signals out",
}


def short_table(results: dict[str, Any]) -> str:
    """Return the few rows that the README shows, without marks, and where they were measured."""
    rows = [[title, *_row(name, results["works"][name])[1:]] for name, title in IN_README.items()]
    rows += [*_what_if_rows(results.get("what_if")), *_growth_rows(results.get("growth"))[:1]]
    lines = [["work", "Tamis", "beside", "ratio"], ["---"] * 4, *([row[0], row[1], row[3], row[4]] for row in rows)]
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", _notes(results)[0]])


def table(results: dict[str, Any], *others: dict[str, Any]) -> str:
    """Return the Markdown table with a note on how its figures came about; a column for each other machine."""
    rows = [["work", "ours", "mark", "rival", "ratio"], ["---"] * 5, *_rows(results)]
    measured = [{row[0]: row for row in _rows(other)} for other in others]
    titles = {row[0] for row in rows}
    only_there = {title: row[2] for there in measured for title, row in there.items() if title not in titles}
    rows += [[title, "", mark, "", ""] for title, mark in only_there.items()]
    for number, there in enumerate(measured):
        rows[0].append(f"machine {number + 2}")
        rows[1].append("---")
        for row in rows[2:]:
            _, rate, _, _, ratio = there.get(row[0], [""] * 5)
            row.append(" ".join(filter(None, [rate, f"({ratio})" if ratio else ""])))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    notes = [*_notes(results), *(_elsewhere(number, other) for number, other in enumerate(others))]
    return "\n".join([*lines, "", *notes])


def _elsewhere(number: int, other: dict[str, Any]) -> str:
    cpu, date, share = other["machine"]["cpu"], other["date"], _share_of_core(other)
    told = f"Machine {number + 2} is one core of {cpu}, {date}: the rate, and in brackets the ratio measured there."
    return told if share >= QUIET else f"{told} It was busy: a work had {share:.0%} of the core in the median."


def _rows(results: dict[str, Any]) -> list[list[str]]:
    rows = [_row(name, results["works"][name]) for name in TITLES if name in results.get("works", {})]
    rows += _checking_rows(results.get("minhash_check"))
    rows += _lanes_rows(results.get("lanes"))
    rows += _what_if_rows(results.get("what_if"))
    rows += _research_rows(results.get("research"))
    rows += _labelling_rows(results.get("labelling"))
    return rows + _growth_rows(results.get("growth"))


def others() -> list[dict[str, Any]]:
    """Return the figures of other machines: results-NAME.json beside the results."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.parent.glob("results-*.json"))]


def _row(name: str, found: dict[str, Any]) -> list[str]:
    mark = f">= {MARKS[name]:g} MB/s" if name in MARKS else ""
    times = CONFORMING_MARK if name.startswith(CONFORMING) else RATIO_MARKS.get(name)
    mark = ", ".join(filter(None, [mark, f">= {times}x" if times is not None else ""]))
    rival = found.get("rival")
    if rival is None:
        return [TITLES[name], _rate(found), mark, "", ""]
    if "absent" in rival:
        return [TITLES[name], _rate(found), mark, f"absent: {rival['absent']}", ""]
    ratio = rival["ratio"]
    shown = f"{_short(ratio['median'])}x ({_short(ratio['min'])} to {_short(ratio['max'])})"
    shown += f", {rival['differences']} differences" if "differences" in rival else ""
    if "agreements" in rival:
        ours, theirs = rival["agreements"]["ours"], rival["agreements"]["rival"]
        shown += f", Spearman {ours:.3f} against {theirs:.3f}"
    return [TITLES[name], _rate(found), mark, f"{rival['name']}: {_rate(rival)}", shown]


def _rate(found: dict[str, Any]) -> str:
    if "mb_per_second" in found and "tokens_per_second" not in found:
        return f"{_short(found['mb_per_second']['median'])} MB/s"
    tokens = f"{_short(found['tokens_per_second']['median'])} tokens/s"
    return f"{_short(found['mb_per_second']['median'])} MB/s, {tokens}" if "mb_per_second" in found else tokens


def _checking_rows(found: dict[str, Any] | None) -> list[list[str]]:
    if found is None:
        return []
    ratio = found["cpu_ratio"]
    shares = {name: found[name]["precision_at_jaccard"]["0.7"]["share"] for name in ("with", "without")}
    title = "`minhash_dedup` beside itself without the check of candidates (`min_jaccard: 0`)"
    precise = f"{shares['with']:.2f} of dropped pairs 0.7 alike, {shares['without']:.2f} without"
    return [[title, precise, "", "", f"{ratio['median']:.3g}x ({ratio['min']:.3g} to {ratio['max']:.3g}) the time"]]


def _lanes_rows(found: dict[str, Any] | None) -> list[list[str]]:
    if found is None or "absent" in found:
        return []
    rows = []
    for name, (title, rival) in LANE_ROWS.items():
        ratio = found["ratios"][name]
        shown = f"{_short(ratio['median'])}x ({_short(ratio['min'])} to {_short(ratio['max'])})"
        mark = f">= {LANES_MARK:g}x" if name == "one_by_one" else ""
        rows.append([title, _rate(found["ways"]["one_run"]), mark, f"{rival}: {_rate(found['ways'][name])}", shown])
    return rows


def _what_if_rows(found: dict[str, Any] | None) -> list[list[str]]:
    if found is None:
        return []
    slowest = max(found["questions"], key=lambda name: found["questions"][name]["median_seconds"])
    seconds = found["questions"][slowest]["median_seconds"]
    title = f"`tamis what-if`, {found['documents'] / 1e6:g} million documents, the slowest question ({slowest})"
    return [[title, f"{seconds:.2g} s", f"< {WHAT_IF_MARK:g} s", "", ""]]


def _research_rows(found: dict[str, Any] | None) -> list[list[str]]:
    if found is None:
        return []
    title = f"`tamis research`, {found['cards']} thresholds a batch, {found['cores']} cores, proxies of 250k tokens"
    rate = f"{_short(found['experiments_an_hour'])} experiments an hour"
    used, empty = (median(found["seconds"][name]) for name in ("used", "empty"))
    beside = f"datasets of a batch from nothing: {empty:.2g} s, here {used:.2g} s"
    return [[title, rate, "", beside, f"{_short(found['ratio_of_data'])}x"]]


def _labelling_rows(found: dict[str, Any] | None) -> list[list[str]]:
    if found is None or "absent" in found:
        return []
    titles = {"single": "bought one by one", "batches": "bought in Message Batches"}
    return [
        [
            f"{found['documents']:,} labels from a server on the same two cores, {titles[way]}",
            f"{run['seconds']:.3g} s, {run['peak_sum_gb']:.2f} GB",
            f"< {LABELS_MARK:g} s, < {LABELS_MEMORY_MARK_GB:g} GB",
            "",
            "",
        ]
        for way, run in found["ways"].items()
    ]


def _growth_rows(growth: dict[str, Any] | None) -> list[list[str]]:
    """Return what whole runs took: time beside a plain copy, memory, and how both grow with the text."""
    if growth is None or "runs" not in growth:
        return []
    *alone, both = growth["runs"]
    small, large = alone[0], alone[-1]
    rows = _whole_rows(large, both, of="the quickstart's text")
    if "kinds" in growth:
        rows += _whole_rows(*growth["kinds"], of="text of several languages and code")
    for run, grown in zip(alone[1:], growth["growth"], strict=True):
        rows.append(
            [
                f"the same, {grown['text']:.2g}x the text of {small['size_bytes'] / 1e6:.2g} MB",
                f"{grown['time']:.3g}x the time, {grown['memory']:.3g}x the memory",
                f"<= {LINEAR_MARK * grown['text']:.3g}x, flat",
                "",
                f"{run['seconds']:.3g} s against {small['seconds']:.3g} s",
            ]
        )
    starts = growth.get("starts", {})
    rows += [
        [title, f"{starts[name]:.2g} s", f"< {START_MARKS[name]:g} s", "", ""]
        for name, title in STARTS.items()
        if name in starts
    ]
    return rows


def _whole_rows(one: dict[str, Any], both: dict[str, Any], *, of: str) -> list[list[str]]:
    """Return a whole run on one core beside a plain copy, and with two workers beside the one."""
    shown = f"{one['size_bytes'] / 1e9:.2g} GB of {of}"
    rows = [
        [
            f"`tamis run` of a whole cleaning recipe, {shown}, one core, start to report",
            f"{one['size_bytes'] / 1e6 / one['seconds']:.3g} MB/s, {one['peak_sum_gb']:.2f} GB",
            f"<= {COPY_MARK}x the copy's time, < {MEMORY_MARKS_GB[1]:g} GB",
            f"plain copy: {one['size_bytes'] / 1e6 / one['copy_seconds']:.3g} MB/s",
            f"{one['seconds'] / one['copy_seconds']:.3g}x its time",
        ],
        [
            f"the same {shown} with {both['workers']} workers on two cores",
            f"{both['size_bytes'] / 1e6 / both['seconds']:.3g} MB/s, {both['peak_sum_gb']:.2f} GB in all processes",
            f">= {WORKERS_MARK:g}x one worker, < {MEMORY_MARKS_GB[2]:g} GB",
            "",
            f"{one['seconds'] / both['seconds']:.3g}x as fast",
        ],
    ]
    return rows


def _notes(results: dict[str, Any]) -> list[str]:
    machine, versions = results["machine"], results["machine"]["versions"]
    text = results.get("text")
    rival = ", ".join(f"{name} {versions[name]}" for name in ("datatrove", "spacy", "rensa") if name in versions)
    notes = [
        f"Measured {results['date']} on one core of {machine['cpu']}, Python {machine['python']}, "
        f"numba {versions['numba']}, pyarrow {versions['pyarrow']}, torch {versions['torch']}."
    ]
    if text is not None:
        notes.append(
            f"Text: the quickstart's, {text['documents']:,} documents, {text['size_bytes'] / 1e6:.1f} MB of UTF-8 "
            "(1 MB is 10^6 bytes) in one parquet file. "
            f"Medians of {results['repeats']} repeats; compiling, once per machine, is left out."
        )
        notes.append(
            f"A rival ({rival}) works on a seeded sample of the documents (2,000; 8,000 for the whole dedup), ours in "
            "turn with it on the same; the ratio is the median of the pairs, with the smallest and the largest. Ours "
            "keep every signal of every document; the rival's filters stop at the first failed rule. `language` reads "
            "128 B to 4 kB of a document, and MB/s counts all of it; the classifier's MB/s count only the excerpt that "
            "it reads."
        )
    if "growth" in results:
        notes.append(
            "The whole recipe is `language`, the four heuristics, `exact_dedup` and `minhash_dedup`, documents, every "
            "signal and every verdict written and made durable; the copy reads parquet and writes it, zstd, no fsync."
        )
    if any(name.startswith(CONFORMING) for name in results.get("works", {})):
        notes.append(
            "Presets `@datatrove-0.10` begin every repeat with nothing remembered, and their answers are compared with "
            "datatrove's in the same run: verdict, first reason and text of every document of the sample, or signature."
        )
    share = _share_of_core(results)
    if share < QUIET:
        notes.append(f"The machine was busy: a work had {share:.0%} of the core in the median, so rates are low.")
    return notes


def _share_of_core(results: dict[str, Any]) -> float:
    """Return how much of the core a work had in the median; 1 where none was measured."""
    works = results.get("works", {}).values()
    return median([sum(found["cpu_seconds"]) / sum(found["seconds"]) for found in works] or [1.0])


def _short(value: float) -> str:
    """Write a number with two or three significant digits."""
    if value >= 1000:
        return f"{round(value, -len(str(int(value))) + 3):,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.3g}"


def pages(results: dict[str, Any]) -> dict[Path, str]:
    """Return the pages that show figures, each with its table."""
    return {README: short_table(results), PAGE: table(results, *others())}


def shown_in(page: str, shown: str) -> str:
    """Return a page with a table between its two markers."""
    before, _, after = page.split(MARKER)
    return f"{before}{MARKER}\n{shown}\n{MARKER}{after}"


def main(arguments: Sequence[str]) -> None:
    """Print the table, or write both into their pages."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    if "--write" not in arguments:
        print(table(results, *others()))
        return
    for path, shown in pages(results).items():
        path.write_text(shown_in(path.read_text(encoding="utf-8"), shown), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
