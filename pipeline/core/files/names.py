"""Names that files of a result have whatever it is, for modules that look for them and need know nothing else."""

from __future__ import annotations

CARD = "card.json"  # written last: what a result is, and that it is whole
INPUTS = "inputs.json"  # where the user's files lie whose text is not stored once more
STORE = "store.json"  # in a folder that is the cache of a workspace in a store
IN_STORE = ".in-store"  # in a result's folder: the store has it too
