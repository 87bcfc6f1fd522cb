"""`make bench`: speed and memory on the quickstart's text, one core, ours and the rivals' in the same run.

    python -m tests.benchmarks.bench                 # everything, about a quarter of an hour; writes results.json
    python -m tests.benchmarks.bench --quick         # 4 MB of text, two repeats: does it run, what is far off
    python -m tests.benchmarks.bench --only minhash  # works whose name holds the word; also `lanes`, `labelling`

The full run writes tests/benchmarks/results.json; a part of it writes only where `--out` says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.process.start import start
from tests.benchmarks.machine import hold_libraries_to_one_thread, hold_to_one_core, load, machine
from tests.benchmarks.rivals import DATATROVE, missing
from tests.benchmarks.table import TITLES, table

RESULTS = Path(__file__).with_name("results.json")
QUICK_BYTES = 4_000_000
SAMPLE_DOCUMENTS = 2_000  # for a rival: a few seconds of its work
DEDUP_SAMPLE_DOCUMENTS = 8_000  # so that the twenty-odd durable files of a dedup do not decide


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row: our work on all the text, and a rival's on the sample beside ours on the same sample."""

    name: str
    ours: Callable[..., Any]
    rival: Callable[..., Any] | None = None
    sample_documents: int = SAMPLE_DOCUMENTS
    differences: Callable[..., int] | None = None  # between what both answer on the sample
    agreements: Callable[..., dict[str, Any]] | None = None  # of both with a teacher, on all the text
    needs: tuple[str, ...] = DATATROVE  # packages of the rival


def comparisons() -> list[Comparison]:
    """Return everything that is measured, in the order of the table."""
    from tests.benchmarks import curation as c
    from tests.benchmarks import modelling as m
    from tests.benchmarks import rivals as r
    from tests.benchmarks import students as s
    from tests.benchmarks.conforming import presets

    heuristics = tuple(c.HEURISTICS)
    return [
        Comparison("read", c.reading),
        Comparison("copy", c.copying),
        Comparison("segmentation", c.segmenting),
        Comparison("gopher_quality", c.rule_set("gopher_quality"), r.rival_filter("GopherQualityFilter")),
        Comparison("gopher_repetition", c.rule_set("gopher_repetition"), r.rival_filter("GopherRepetitionFilter")),
        Comparison(
            "c4_quality", c.rule_set("c4_quality"), r.rival_filter("C4QualityFilter", filter_no_terminal_punct=False)
        ),
        Comparison("fineweb_quality", c.rule_set("fineweb_quality"), r.rival_filter("FineWebQualityFilter")),
        Comparison("language", c.rule_set("language")),
        Comparison("decontaminate", c.rule_set("decontaminate")),
        Comparison("fused_heuristics", c.fused("fused_heuristics", *heuristics), r.rival_pass),
        Comparison("fused_pass", c.fused("fused_pass", "language", *heuristics, "decontaminate")),
        Comparison("exact_dedup", c.exact),
        Comparison("minhash_signatures", c.signatures, r.rival_signatures),
        Comparison("minhash_rensa", c.signatures, r.rensa_signatures, DEDUP_SAMPLE_DOCUMENTS, needs=r.RENSA),
        Comparison("minhash_rensa_ready", c.signatures, r.rensa_ready, DEDUP_SAMPLE_DOCUMENTS, needs=r.RENSA),
        Comparison("minhash_dedup", c.minhash, r.rival_minhash, DEDUP_SAMPLE_DOCUMENTS),
        Comparison("substring_dedup", c.substrings),
        *(Comparison(row.name, row.ours, row.rival, differences=row.differences) for row in presets()),
        Comparison("quality_scoring", c.classifying, s.fasttext_scoring, needs=s.FASTTEXT, agreements=s.agreements),
        Comparison("tokenizer", m.tokenizing),
        Comparison("proxy_training", m.training),
        Comparison("proxy_scoring", m.scoring),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the figures."""
    parser = _parser()
    options = parser.parse_args(arguments)
    names = [*TITLES, "minhash_check", "lanes", "what_if", "research", "labelling", "growth", "ray"]
    if unknown := [word for word in options.only if not any(word in name for name in names)]:
        parser.error(f"--only {unknown[0]}: no work's name holds it; they are {', '.join(names)}")
    os.environ["TQDM_DISABLE"] = "1"
    start()  # as every command does, for all that is measured
    with tempfile.TemporaryDirectory(prefix="tamis-bench-") as folder:
        if not options.quick:  # so that what compiling costs is measured, not what an earlier run left
            os.environ["NUMBA_CACHE_DIR"] = f"{folder}/kernels"
        cores = hold_to_one_core()
        results: dict[str, Any] = {
            "date": datetime.now(UTC).date().isoformat(),
            "load_at_start": load(),
            "machine": machine(),
            "quick": options.quick,
        }
        _speed(Path(folder), options, results)
        _write(results, options)
        if _wanted("minhash_check", options):
            results["minhash_check"] = _checking(Path(folder), options)
            _write(results, options)
        if _wanted("lanes", options):
            from tests.benchmarks.lanes import measure_lanes

            results["lanes"] = measure_lanes(cores, repeats=2 if options.quick else 5)
            _write(results, options)
        if _wanted("what_if", options) and not options.quick:
            from tests.benchmarks.deciding import measure_what_if

            results["what_if"] = measure_what_if(Path(folder))
            _write(results, options)
        if _wanted("research", options) and not options.quick:
            from tests.benchmarks.searching import measure_research

            results["research"] = measure_research(Path(folder), cores=cores)
            _write(results, options)
        if _wanted("labelling", options) and not options.quick:
            from tests.benchmarks.labelling import measure_labelling

            results["labelling"] = measure_labelling(Path(folder), cores=cores)
            _write(results, options)
        if "ray" in options.only:  # alone: a machine with little memory has no room for it beside the others
            from tests.benchmarks.spreading import measure_ray

            results["ray"] = measure_ray(Path(folder), cores=cores)
            _write(results, options)
        if _wanted("growth", options) and not options.quick:
            from tests.benchmarks.growth import measure_growth

            results["growth"] = measure_growth(Path(folder), cores=cores)
            _write(results, options)
    print(json.dumps(results["ray"], indent=1) if "ray" in results else table(results))
    return 0


def _speed(folder: Path, options: argparse.Namespace, results: dict[str, Any]) -> None:
    """Add the rows on speed to the results, written after each, so that a fault in a late one costs no other."""
    works = results["works"] = {}
    chosen = [comparison for comparison in comparisons() if _wanted(comparison.name, options)]
    if missing(DATATROVE):  # a preset needs what its rival needs
        chosen = [comparison for comparison in chosen if comparison.differences is None]
    if not chosen:
        return
    from tests.benchmarks.corpus import held_out_file, quickstart_text, sample
    from tests.benchmarks.curation import Place

    hold_libraries_to_one_thread()
    repeats = 2 if options.quick else 5
    _say("reading the text")
    text = quickstart_text(folder / "text", max_bytes=QUICK_BYTES if options.quick else None)
    place = Place(folder=folder, held_out=held_out_file(folder / "held_out.parquet"))
    results["repeats"] = repeats
    results["text"] = {"documents": text.num_documents, "size_bytes": text.size_bytes}
    for comparison in chosen:
        wanted = comparison.sample_documents // (10 if options.quick else 1)
        few = sample(text, folder / f"sample-{wanted}", num_documents=wanted)
        works[comparison.name] = measured(comparison, text=text, few=few, place=place, repeats=repeats)
        _write(results, options)
    results["load_at_end"] = load()


def _checking(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from tests.benchmarks.checking import measure_checking
    from tests.benchmarks.corpus import quickstart_text
    from tests.benchmarks.curation import Place

    text = quickstart_text(folder / "checked", max_bytes=QUICK_BYTES if options.quick else None)
    return measure_checking(text, Place(folder=folder, held_out=folder), repeats=2 if options.quick else 5)


def measured(comparison: Comparison, *, text: Any, few: Any, place: Any, repeats: int) -> dict[str, Any]:
    """Return one row's figures: ours, and the rival's repeats each beside one of ours on the same documents."""
    from tests.benchmarks.clock import interleaved, spread

    reason = missing(comparison.needs)
    works = [comparison.ours(text, place)]
    if comparison.rival is not None and not reason:
        works += [comparison.ours(few, place), comparison.rival(few, place)]
    timings = interleaved(works, repeats=repeats)
    found = timings[0].as_plain()
    if len(timings) == 3:
        _, ours, rival = timings
        pairs = [theirs / own for own, theirs in zip(ours.seconds, rival.seconds, strict=True)]
        found["rival"] = {"name": rival.work.name, "ours": ours.as_plain(), "ratio": spread(pairs), **rival.as_plain()}
        if comparison.differences is not None:
            found["rival"]["differences"] = comparison.differences(few, place)
        if comparison.agreements is not None:
            found["rival"]["agreements"] = comparison.agreements(text, place)
    elif comparison.rival is not None:
        found["rival"] = {"absent": reason}
    _say(f"{comparison.name}: {_summary(found)}")
    return found


def _summary(found: dict[str, Any]) -> str:
    rate = found.get("mb_per_second") or found["tokens_per_second"]
    unit = "MB/s" if "mb_per_second" in found else "tokens/s"
    had = sum(found["cpu_seconds"]) / max(sum(found["seconds"]), 1e-9)
    rival = found.get("rival", {})
    ratio = f", {rival['ratio']['median']:g}x of {rival['name']}" if "ratio" in rival else ""
    ratio += f", {rival['differences']} differences" if "differences" in rival else ""
    return f"{rate['median']:,g} {unit} ({rate['min']:,g} to {rate['max']:,g}), {had:.0%} of the core{ratio}"


def _wanted(name: str, options: argparse.Namespace) -> bool:
    return not options.only or any(word in name for word in options.only)


def _write(results: dict[str, Any], options: argparse.Namespace) -> None:
    out = options.out or (None if options.quick or options.only else RESULTS)
    if out is not None:
        out.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench", description=str(__doc__).split("\n")[0])
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="measure works whose name holds this; repeatable"
    )
    parser.add_argument(
        "--quick", action="store_true", help="little text, two repeats, neither what_if, research, labelling nor growth"
    )
    parser.add_argument("--out", type=Path, help="where the figures go")
    return parser


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
