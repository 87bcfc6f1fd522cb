"""Who and what the tasks are about: people, things, towns, and small helpers for English sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Person(NamedTuple):
    """A first name with its pronouns."""

    name: str
    he: str
    his: str


_SHE = (
    "Maya Aisha Clara Elena Freya Greta Hannah Ingrid Jasmine Keiko Leila Miriam Nadia Olga Priya Rosa Sofia Tara Uma "
    "Vera Wanda Yara Zoe Amara Beatriz Chloe Daniela Esther Fatima Helen Irene Julia Lucia Mei Naomi Petra Ruth Selma"
)
_HE = (
    "Adam Boris Carlos Dmitri Emil Felix Goran Hassan Ivan Jonas Kofi Liam Marco Nikhil Oscar Pablo Quentin Rafael "
    "Samuel Tomas Umar Victor Walter Yusuf Zain Andrei Bruno Cedric Daniel Erik Farid Gustav Hugo Jamal Kenji Leon"
)
PEOPLE = tuple([Person(n, "she", "her") for n in _SHE.split()] + [Person(n, "he", "his") for n in _HE.split()])
NAMES = tuple(person.name for person in PEOPLE)

TOWNS = [
    "Ashford",
    "Brookdale",
    "Carlow",
    "Denby",
    "Elmstead",
    "Fairview",
    "Glenmore",
    "Harwick",
    "Ironbridge",
    "Juniper",
    "Kingsley",
    "Larkspur",
    "Milton",
    "Norwood",
    "Oakham",
    "Penrith",
    "Quarry",
    "Redhill",
    "Selby",
    "Thornton",
    "Upton",
    "Verona",
    "Westbrook",
    "Yarrow",
    "Zelten",
    "Avalon",
    "Bergen",
    "Cadiz",
    "Delft",
    "Everton",
]

# Things a person can own, buy, sell and count, plural first.
THINGS = (
    ("apples", "apple"),
    ("books", "book"),
    ("candles", "candle"),
    ("coins", "coin"),
    ("marbles", "marble"),
    ("notebooks", "notebook"),
    ("pencils", "pencil"),
    ("postcards", "postcard"),
    ("seashells", "seashell"),
    ("stamps", "stamp"),
    ("stickers", "sticker"),
    ("tickets", "ticket"),
    ("tulips", "tulip"),
    ("walnuts", "walnut"),
    ("buttons", "button"),
    ("lemons", "lemon"),
    ("beads", "bead"),
    ("bottles", "bottle"),
    ("bricks", "brick"),
    ("cups", "cup"),
    ("eggs", "egg"),
    ("envelopes", "envelope"),
    ("figs", "fig"),
    ("keys", "key"),
    ("lamps", "lamp"),
    ("mugs", "mug"),
    ("oranges", "orange"),
    ("plates", "plate"),
    ("ribbons", "ribbon"),
    ("spoons", "spoon"),
    ("tiles", "tile"),
    ("towels", "towel"),
)

WORDS = [
    "anchor",
    "basket",
    "candle",
    "dragon",
    "engine",
    "forest",
    "garden",
    "hammer",
    "island",
    "jacket",
    "kettle",
    "ladder",
    "marble",
    "needle",
    "orange",
    "pencil",
    "rabbit",
    "silver",
    "temple",
    "velvet",
    "window",
    "yellow",
    "zipper",
    "bridge",
    "castle",
    "desert",
    "falcon",
    "guitar",
    "harbor",
    "jungle",
    "lantern",
    "meadow",
    "napkin",
    "oyster",
    "planet",
    "quartz",
    "ribbon",
    "saddle",
    "tunnel",
    "urchin",
    "violet",
    "walnut",
    "copper",
    "feather",
    "granite",
    "helmet",
    "lemon",
    "mirror",
    "nectar",
    "pepper",
    "river",
    "shadow",
    "timber",
    "valley",
    "whistle",
    "acorn",
    "beacon",
    "cactus",
    "dolphin",
    "emerald",
    "fountain",
    "glacier",
    "hollow",
    "ivory",
    "juniper",
    "kernel",
    "linen",
    "magnet",
    "nutmeg",
    "olive",
    "pebble",
    "quilt",
    "raven",
    "saffron",
    "thistle",
    "umbrella",
    "vessel",
    "willow",
    "apricot",
    "barley",
    "cinnamon",
    "ember",
    "flint",
]


def counted(count: int, thing: Sequence[str]) -> str:
    """Return `1 apple` or `3 apples`; `thing` is (plural, singular)."""
    return f"{count} {thing[1] if count == 1 else thing[0]}"


def listed(items: Sequence[str], *, last: str = "and") -> str:
    """Return `a`, `a and b` or `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def capital(text: str) -> str:
    """Return `text` with its first letter in upper case."""
    return text[:1].upper() + text[1:]


ORDINALS = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
)


def ordinal(position: int) -> str:
    """Return `third` for 3 up to `twelfth`, then `13th`."""
    if position <= len(ORDINALS):
        return ORDINALS[position - 1]
    ending = "th" if 10 <= position % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(position % 10, "th")
    return f"{position}{ending}"
