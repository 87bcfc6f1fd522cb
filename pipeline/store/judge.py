"""Who judged: one hash of the code that makes a verdict and one of the text it judges by, for every certificate.

A certificate says what was found, and these by whom. Code that was edited since judges anew under another hash; that is
told and not refused, as a new version of Tamis may judge as well as the old one. The hash is of source files as they
lie on the disk when the certificate is made, and so shows who changed them before, not what a process had in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.files.card import read_card
from pipeline.core.identity import hash_file, identity_of

HOUSE = Path(__file__).parents[2]
ROOMS = (  # what a verdict, a claim and a promotion go through; steps that make documents are in their identities
    "eval", "pipeline/core", "pipeline/engine", "pipeline/experiment", "pipeline/plan", "pipeline/recipe",
    "pipeline/research", "pipeline/store",
)  # fmt: skip


def judging_code(house: Path = HOUSE) -> str:
    """Return the hash of all source files that a verdict goes through; 10 ms."""
    files = sorted(path for room in ROOMS for path in (house / room).rglob("*.py"))
    return identity_of([[path.relative_to(house).as_posix(), hash_file(path)] for path in files])


def judging_data(held_out: Mapping[str, Path], *, tokenizer: Path) -> str:
    """Return the hash of the bytes judged by: each held-out set's documents and the tokenizer, from their cards."""
    contents = {domain: read_card(folder).content for domain, folder in held_out.items()}
    return identity_of({"held_out": contents, "tokenizer": read_card(tokenizer).content})


def judged_otherwise(certificate: Mapping[str, Any], *, now: str) -> str:
    """Return in a sentence that other code made a certificate than `now` runs; "" where it is the same or not known."""
    code = certificate["judge"]["code"] if "judge" in certificate else now
    if code == now:
        return ""
    return (
        f"Certificate {certificate['certificate_id'][:12]} was made by judging code {code[:12]}, and {now[:12]} runs "
        "here: another version of Tamis, or somebody edited it. The verdict stands; to have it judged by what runs "
        "here, delete the certificate's folder and run the recipe again."
    )
