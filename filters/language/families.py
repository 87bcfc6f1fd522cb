"""Languages that stand for several of the model's: macro-languages of ISO 639-3, and what a user asks for as one.

`zh` is Mandarin, Wu and Cantonese: the model gives a third of Traditional Chinese to Cantonese, alone it kept 67 of 100
such manual pages at the default threshold, together 99.8. Malay and Indonesian stay two, though ISO has both in `ms`:
one would flood the other (see DECISIONS). A family counts as its first language until a member has nearly all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A language and its members in the model
FAMILIES = {
    "ar": ("ary", "arz"),
    "ku": ("sdh",),
    "lv": ("ltg",),
    "no": ("nn",),
    "uz": ("uzs",),
    "zh": ("wuu", "yue"),
}
TOGETHER = {"sh": ("bs", "hr", "sr")}  # no language of the model: Serbo-Croatian
NAMED_AT = {"zh": 0.9}  # share of its family above which a member is the label; Cantonese as it is spoken has 0.995
NAMED_ELSE = 0.5
MOST_RELATIVES = 3


@dataclass(frozen=True, slots=True)
class Families:
    """Families as columns of the model, for filters.language.kernels."""

    twins: np.ndarray  # int64[num_twins, 2]: two columns of one language, one per script
    members: np.ndarray  # int64[num_members, 2]: column of a family and of its member
    named: np.ndarray  # float32[num_members]: share of the family above which the member is the label
    heads: np.ndarray  # int64[width]: the column of a twin's or member's family; its own for all others
    relatives: np.ndarray  # int64[width, MOST_RELATIVES]: columns that are no other language; its own where fewer
    special: tuple[int, int]  # the columns of English and of text without language


def families_of(codes: Sequence[str], *, twins: np.ndarray, width: int) -> Families:
    """Find the families among the model's columns."""
    members = [(codes.index(family), codes.index(code)) for family, inner in FAMILIES.items() for code in inner]
    heads = np.arange(width)
    for head, other in (*twins.tolist(), *members):
        heads[other] = head
    relatives = np.repeat(np.arange(width)[:, None], MOST_RELATIVES, axis=1)
    groups = [np.flatnonzero(heads == head).tolist() for head in range(len(codes))]
    for inner in TOGETHER.values():
        groups.append([column for column, code in enumerate(codes) if code in inner])
    for group in groups:
        for column in group:
            others = [other for other in group if other != column]
            relatives[column, : len(others)] = others
    return Families(
        twins=twins,
        members=np.array(members, np.int64),
        named=np.array([NAMED_AT.get(codes[head], NAMED_ELSE) for head, _ in members], np.float32),
        heads=heads,
        relatives=relatives,
        special=(codes.index("en"), codes.index("zxx")),
    )


def columns_of(keep: Sequence[str], codes: Sequence[str]) -> np.ndarray:
    """Return the columns of the languages kept, none of them inside another."""
    wanted = {code for name in keep for code in TOGETHER.get(name, (name,))}
    inside = {code for family in wanted for code in FAMILIES.get(family, ())}
    return np.array(sorted(codes.index(code) for code in wanted - inside), np.int64)
