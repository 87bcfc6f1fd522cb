"""Presets that stand for several steps: name -> (step, its parameters), in order; the recipe loader writes them out.

`fineweb@datatrove-0.10` is the chain of datatrove's examples/fineweb.py: its URL lists, and its filters of extracted
text. What stands between the two there is not in it: Trafilatura, and the language filter, whose model we do not have.
The URL lists say nothing of a document without an address. Words are spaCy's, as datatrove's are since 0.4; FineWeb
itself was made with NLTK's, so this is today's datatrove and not the data set of 2024.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "fineweb@datatrove-0.10": (
        ("url@datatrove-0.10", {}),
        ("gopher_repetition@datatrove-0.10", {}),
        ("gopher_quality@datatrove-0.10", {}),
        ("c4_quality@datatrove-0.10", {"terminal_punctuation": False}),
        ("fineweb_quality@datatrove-0.10", {}),
        ("minhash_dedup@datatrove-0.10", {"hash": "sha1"}),
        ("pii@datatrove-0.10", {}),
    ),
}
