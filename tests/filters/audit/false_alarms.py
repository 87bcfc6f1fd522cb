"""How often an audit alarms of two datasets of the same kind, and how far planted shifts move: figures for eval/LOG.md.

`python -m tests.filters.audit.false_alarms [PAIRS]`. Pairs are drawn from one pool of documents, each document with
labels, signals and columns of its own, so a pair costs its halvings and no measuring.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np

from filters.audit.checks import check
from filters.audit.close import Close, read_closely
from filters.audit.columns import Columns, Labels
from filters.audit.measured import Measured
from pipeline.core.rng import generator
from tests.filters.audit.planted import GERMAN, ILL, STYLED, columns, planted, replaced, texts

MAIL = "Write to jane.miller@firmware.org today."
INSULT = "What an idiot and what a bastard he is."
SEVERAL = "documents with 3 marker words or more"
POOL = 6000
PER_HOST = 20  # documents, where hosts come whole
CLOSE_EVERY = 6  # pairs, of which texts are read closely: it takes most of the time


@dataclass(frozen=True)
class FalseAlarms:
    """Pairs, how many of them had an alarm, how many numbers were held against floors, and which alarmed."""

    pairs: int
    with_alarm: int
    numbers: int
    close_pairs: int
    alarms: dict[str, int]


def pool(size: int = POOL) -> tuple[Columns, list[str]]:
    """Return documents of one kind: some in German, copied, or with addresses, insults, marker words, ill words."""
    given = texts(size, seed=11)
    for number, sentence in enumerate((MAIL, INSULT, STYLED, ILL, "\nAll rights reserved.")):
        given = planted(given, share=0.03, sentence=sentence, seed=number)
    given = replaced(replaced(given, share=0.03, by=GERMAN, seed=8), share=0.02, seed=9)
    draw = generator(0, "pool")
    labels = {
        "source": draw.choice(["web", "books", "code"], size, p=[0.7, 0.2, 0.1]),
        "host": np.char.add("host", (draw.pareto(1.0, size) * 5).astype(int).clip(0, 500).astype(str)),
        "year": draw.choice(["2019", "2020", "2021", "(unknown)"], size),
    }
    signals = {f"signal.{name}": draw.lognormal(0, 1 + name / 10, size) for name in range(12)}
    named = {name: Labels.of(values) for name, values in labels.items()}
    return dataclasses.replace(columns(given), labels=named, signals=signals), given


def pool_of_hosts(size: int = POOL) -> tuple[Columns, list[str]]:
    """Return documents of hosts, each of one kind of its own: a tenth of hosts has a planted sentence in 60 %."""
    hosts = np.repeat(np.arange(size // PER_HOST), PER_HOST)
    draw = generator(0, "hosts")

    def of_host(usual: float, often: float, share: float = 0.1) -> np.ndarray:
        chance = np.where(draw.random(hosts[-1] + 1) < share, often, usual)[hosts]
        return draw.random(size) < chance

    given = texts(size, seed=11)
    for sentence in (MAIL, INSULT, STYLED, ILL, "\nAll rights reserved."):
        given = [f"{text} {sentence}" if hit else text for text, hit in zip(given, of_host(0.02, 0.6), strict=True)]
    given = [GERMAN if hit else text for text, hit in zip(given, of_host(0.01, 0.5, 0.05), strict=True)]
    labels = {
        "source": draw.choice(["web", "books", "code"], hosts[-1] + 1, p=[0.7, 0.2, 0.1])[hosts],
        "host": np.char.add("host", hosts.astype(str)),
        "year": draw.choice(["2019", "2020", "2021", "(unknown)"], hosts[-1] + 1)[hosts],
    }
    signals = {
        f"signal.{name}": draw.normal(0, 1, hosts[-1] + 1)[hosts] + draw.normal(0, 1, size) for name in range(12)
    }
    named = {name: Labels.of(values) for name, values in labels.items()}
    return dataclasses.replace(columns(given), labels=named, signals=signals), given


def chosen(every: Columns, rows: np.ndarray, *, half: int) -> Columns:
    """Return the columns of some documents; the first half are the old ones."""
    measured = every.measured
    ends = np.concatenate([[0], np.cumsum(measured.num_lines)])
    columns = {
        field.name: getattr(measured, field.name)[rows]
        for field in dataclasses.fields(Measured)
        if field.name != "lines"
    }
    lines = np.concatenate([measured.lines[ends[row] : ends[row + 1]] for row in rows.tolist()])
    return Columns(
        Measured(**columns, lines=lines), np.arange(half), np.arange(half, len(rows)),
        {name: Labels.of(values.names[values.codes[rows]]) for name, values in every.labels.items()},
        {name: values[rows] for name, values in every.signals.items()},
    )  # fmt: skip


def false_alarms(*, pairs: int, documents: int, whole_hosts: bool = False) -> FalseAlarms:
    """Draw pairs of datasets of so many documents each, without a document or a host in common, and count alarms."""
    every, given = (pool_of_hosts if whole_hosts else pool)(max(POOL, 4 * documents))
    per = PER_HOST if whole_hosts else 1
    with_alarm = numbers = close_pairs = 0
    named: Counter[str] = Counter()
    for pair in range(pairs):
        rows = generator(pair, "pair").permutation(len(given) // per)[: 2 * documents // per]
        rows = (rows[:, None] * per + np.arange(per)).ravel()
        checked = check(chosen(every, rows, half=documents), seed=pair)
        found = list(checked.numbers)
        if pair % CLOSE_EVERY == 0:
            found += read_closely(Close([given[row] for row in rows], documents, checked.units.codes), seed=pair)[0]
            close_pairs += 1
        known = {"hosts, all together"} if whole_hosts else set()  # two that have none in common truly differ in it
        alarms = [number.name for number in found if number.level == "alarm" and number.name not in known]
        named.update(alarms)
        numbers += len(found)
        with_alarm += bool(alarms)
    return FalseAlarms(pairs, with_alarm, numbers, close_pairs, dict(named))


def planted_shifts(documents: int) -> dict[str, float]:
    """Return, for every planted shift, how many floors its number moved."""
    old, new = texts(documents, seed=1), texts(documents, seed=2)
    longer = [f"{text} {text} {text}" if place % 20 == 0 else text for place, text in enumerate(new)]
    shifts = {
        "1 % with an address": (planted(new, share=0.01, sentence=MAIL), "documents with email"),
        "1 % with an insult": (planted(new, share=0.01, sentence=INSULT), "documents with insults"),
        "1 % in assistants' words": (planted(new, share=0.01, sentence=STYLED), SEVERAL),
        "2 % that speak ill of women": (planted(new, share=0.02, sentence=ILL), "ill words near women"),
        "1 % in German": (replaced(new, share=0.01, by=GERMAN), "languages, all together"),
        "2 % copies": (replaced(new, share=0.02), "the same text as another"),
        "5 % three times as long": (longer, "words, by quantiles"),
    }  # fmt: skip
    found = {}
    for name, (shifted, number) in shifts.items():
        numbers = check(columns(old, shifted), seed=0).numbers
        found[name] = next(each.times or 0.0 for each in numbers if each.name == number)
    return found


if __name__ == "__main__":
    pairs = int((sys.argv[1:] or ["200"])[0])
    for whole_hosts in (False, True):
        sys.stdout.write(f"{false_alarms(pairs=pairs, documents=1000, whole_hosts=whole_hosts)}\n")
    for name, times in planted_shifts(3000).items():
        sys.stdout.write(f"{name}: {times:.1f} floors\n")
