"""Bait where nobody has reason to look, and the judge's hash -> whether somebody looked, or changed the judge.

    <search>/sealed-<token>/documents.jsonl   one document of words that no language has, which no step ever reads

No proposer is told of it, and a confined one cannot read it. So an idea that holds the token or a word of the document
comes from somebody who went where results and sealed text lie; whatever else it saw, its numbers are no evidence any
more, and the search makes no claim. An idea in disguise (its letters turned round, say) goes unseen: this shows a hole
and closes none. Token and words are drawn from the system and from no seed, since the recipe, which proposers see,
holds the seed.

The code that judges and what a confined process is held to are events of the ledger: one when a search begins, one more
whenever a night finds them changed, be it between two nights or while one was under way.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import DataError
from pipeline.core.files.writing.durable import write_text
from pipeline.core.process.confined import confinement
from pipeline.research.proposers.ideas import Advice, Adviser, View
from pipeline.store.judge import judging_code

if TYPE_CHECKING:
    from pipeline.research.search.search import Search

FOLDER, FILE = "sealed-", "documents.jsonl"
TOKEN_BYTES = 16
SYLLABLES, WORDS = 6, 12  # of a word: 1 in 10**12 is met by chance
CONFINED = frozenset({"script"})  # proposers whose code is not ours
CONSONANTS, VOWELS = "bdfghjklmnprstvwz", "aeiou"


@dataclass(frozen=True, slots=True)
class Canary:
    """What gives a reader away."""

    token: str
    words: tuple[str, ...]

    def found_in(self, told: Any) -> str:
        """Return the first piece of bait that plain JSON holds, keys and any spelling in capitals included; else ""."""
        for text in _texts(told):
            plain = re.sub(r"[^a-z0-9]", "", text.casefold())
            for bait in (self.token, *self.words):
                if bait in plain:
                    return bait
        return ""


def planted(folder: Path) -> Canary:
    """Return a search's canary, which is planted when it is first asked for."""
    known = sorted(folder.glob(f"{FOLDER}*/{FILE}"))
    if not known:
        place = folder / f"{FOLDER}{os.urandom(TOKEN_BYTES).hex()}"
        place.mkdir(parents=True)
        text = " ".join(_word() for _ in range(WORDS))
        write_text(place / FILE, json.dumps({"id": "sealed/0", "text": text}) + "\n")
        known = [place / FILE]
    try:
        words = tuple(json.loads(known[0].read_bytes())["text"].split())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{known[0]}: is not as it was planted ({error}). Delete its folder; another is made."
        ) from error
    return Canary(known[0].parent.name.removeprefix(FOLDER), words)


@dataclass(slots=True)
class Watched:
    """Somebody with ideas, whose ideas are looked through for bait before anybody else sees them."""

    name: str
    adviser: Adviser
    search: Search

    def ideas(self, view: View, count: int, seed: int) -> Advice:
        """Return the ideas; none, and an event of the ledger, where they hold bait."""
        advice = self.adviser.ideas(view, count, seed)
        if not planted(self.search.ledger.path.parent).found_in(asdict(advice)):
            return advice
        words = (  # not which bait, as proposers may come to see it
            f"{self.name} gave ideas that hold what lies only where results and sealed text do. It saw what it "
            "must not see, so this search claims nothing. Find out how, and begin anew under another `name:`."
        )
        if not self.search.standing.tripped:
            self.search.write("tripped", proposer=self.name, words=words)
        return Advice(why_none=words, usd=advice.usd)


def watched(search: Search, advisers: Sequence[Adviser]) -> list[Adviser]:
    """Return advisers whose ideas are looked through for bait."""
    return [Watched(adviser.name, adviser, search) for adviser in advisers]


def note_judge(search: Search) -> None:
    """Write down which code judges and what proposers are held to, unless the ledger says so; tell of a change."""
    held = confinement() if CONFINED & search.research.proposers.keys() else None
    code, before = judging_code(), search.standing.judge
    now = {"code": code, "confinement": None if held is None else asdict(held)}
    if now == before:
        return
    if before is not None and before["code"] != code:
        search.progress.say(
            f"the code that judges is another than this search was begun with: {code[:12]}, before "
            f"{before['code'][:12]}. What is claimed is judged by what runs now, and the certificate says so."
        )
    if held is not None:
        search.progress.say(held.sentence)
    search.write("judge", **now)


def _word() -> str:
    drawn = os.urandom(2 * SYLLABLES)
    pairs = zip(drawn[::2], drawn[1::2], strict=True)
    return "".join(CONSONANTS[one % len(CONSONANTS)] + VOWELS[other % len(VOWELS)] for one, other in pairs)


def _texts(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, Mapping):
        for key, value in told.items():
            yield str(key)
            yield from _texts(value)
    elif isinstance(told, (list, tuple)):
        for value in told:
            yield from _texts(value)
