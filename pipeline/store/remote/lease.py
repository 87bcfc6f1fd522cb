"""One writer at a time in a store: numbered objects, each made by exclusive create; whose number is highest writes.

    <store>/lease/00000017.json   owner, since when, for how many seconds, released or not

The owner alone writes its own object again, every third of its time, and the store's clock (the object's time of
change) says when that was; no clock of a machine is compared with another's. Whoever finds the highest one given back,
or older than its own seconds, creates the next number, and of several exactly one succeeds. The old owner sees the
higher number before it writes anything that could be overwritten, and stops. Results need no such care: their objects
are named by content, and their cards are created once.

A dead machine may have bought answers that are only in its own ledger. A lease says when its owner spends (`paying`);
whoever takes over such a lease from another cache may not spend until somebody says what is to become of that.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import BusyError, DataError, ServiceError, TamisError
from pipeline.core.files.stores.places import Item, MissingError, Place

SECONDS = 120.0  # without a word from its owner, after which a lease may be taken over
SECONDS_NAME = "TAMIS_LEASE_SECONDS"  # of the environment; tests and patient stores
FOLDER = "lease"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a lease's object says."""

    number: int
    owner: str
    cache_id: str  # of the folder that has the owner's ledger
    host: str
    pid: int
    cache: str
    since: str  # UTC, for people
    seconds: float
    ledger: str = ""  # the newest in the store, which no listing is trusted to show
    released: bool = False
    paying: bool = False
    doubt: str = ""  # what an earlier owner may have bought unseen; "" for nothing
    doubt_cache_id: str = ""  # of the cache that has the ledger of that


class Lease:
    """The right to write in a store, held by this process until `release`."""

    def __init__(self, place: Place, terms: Terms) -> None:
        self.place, self.terms = place, terms
        self._mutex = threading.Lock()
        self._ended = threading.Event()
        self._lost = ""
        self._renewed = _now()
        self._thread = threading.Thread(target=self._keep, name="tamis-lease", daemon=True)
        self._thread.start()

    @property
    def number(self) -> int:
        return self.terms.number

    def require(self) -> None:
        """Raise ServiceError if this process may not write any more; asks the store."""
        with self._mutex:
            self._look()
        self._refuse_lost()

    def require_paying(self) -> None:
        """Raise ServiceError unless money may be spent now; the store learns first that it is."""
        if self.terms.doubt:
            raise ServiceError(
                f"{self.place}: {self.terms.doubt} What was bought there would be bought again. Run the recipe on that "
                "machine, which brings its ledger to the store, or accept the loss: tamis gc --accept-loss."
            )
        if not self.terms.paying:
            self._rewrite(paying=True)
        self.require_lately()

    def require_lately(self) -> None:
        """Raise ServiceError if this process may not write any more; asks the store once another may have followed."""
        if _now() - self._renewed > self.terms.seconds / 2:
            with self._mutex:
                self._look()
        self._refuse_lost()

    def settled(self, *, ledger: str) -> None:
        """Say in the store that nothing bought is only here, and which ledger has it; ServiceError if it was lost."""
        if self.terms.paying or self.terms.ledger != ledger:
            self._rewrite(paying=False, ledger=ledger)
        self._refuse_lost()

    def forgive(self) -> None:
        """Let money be spent though an earlier owner may have bought the same."""
        self._rewrite(doubt="", doubt_cache_id="")

    def release(self) -> None:
        """Give the lease back, unless somebody else has it by now."""
        self._ended.set()
        self._thread.join()
        if not self._lost:
            self._rewrite(released=True)

    def _refuse_lost(self) -> None:
        if self._lost:
            raise ServiceError(
                f"{self.place}: this process lost its lease to {self._lost}, since it was not heard of for "
                f"{self.terms.seconds:g} s. Nothing more was written; run again when the other is done."
            )

    def _keep(self) -> None:
        while not self._ended.wait(self.terms.seconds / 3):
            try:
                self._rewrite()
            except TamisError:  # the store is away, or refuses, for a while: the next turn tries again, `require` tells
                continue

    def _rewrite(self, **changes: Any) -> None:
        with self._mutex:
            self._look()
            if self._lost:
                return
            now, terms = _now(), replace(self.terms, **changes)
            self.place.write(_name(self.number), _text(terms))
            self.terms, self._renewed = terms, now

    def _look(self) -> None:
        if not self._lost and self.place.item(_name(self.number + 1)) is not None:
            self._lost = _told(_read(self.place, self.number + 1))


def acquire(place: Place, *, cache: Path, cache_id: str) -> Lease:
    """Take the lease of a store; BusyError names who has it, DataError says that an object of it is damaged.

    The caller holds the lock of the cache, so an earlier owner with the same cache on this machine is dead.
    """
    owner = uuid.uuid4().hex
    while True:
        newest = newest_of(place)
        if newest is not None:
            item, terms = newest
            if not (terms.released or _is_our_dead(terms, cache_id) or is_expired(place, item, terms)):
                raise BusyError(
                    f"{place}: in use by {_told(terms)}. Wait for it, or give --workspace another place; if that "
                    f"process is dead, its lease ends {terms.seconds:g} s after its last word."
                )
        number = 1 if newest is None else newest[1].number + 1
        doubt, doubt_cache_id = ("", "") if newest is None else _doubt(newest[1], cache_id)
        mine = Terms(
            number=number, owner=owner, cache_id=cache_id, host=socket.gethostname(), pid=os.getpid(), cache=str(cache),
            since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            seconds=float(os.environ.get(SECONDS_NAME, SECONDS)), doubt=doubt, doubt_cache_id=doubt_cache_id,
            ledger="" if newest is None else newest[1].ledger,
            paying=newest is not None and _is_unseen(newest[1], cache_id),  # until this cache has brought its ledger
        )  # fmt: skip
        if place.create(_name(number), _text(mine)) or _read(place, number).owner == owner:
            return Lease(place, mine)


def newest_of(place: Place) -> tuple[Item, Terms] | None:
    """Return the lease with the highest number; None where nobody ever had one. No stale listing hides a later one."""
    names = sorted(name for name in place.items(FOLDER) if name.startswith(f"{FOLDER}/0"))
    number = int(Path(names[-1]).stem) if names else 0
    while (item := place.item(_name(number + 1))) is not None:
        number += 1
    item = place.item(_name(number)) if number else None
    return None if item is None else (item, _read(place, number))


def _now() -> float:
    """Return seconds that go on while a machine sleeps, and that nobody sets back."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def is_expired(place: Place, item: Item, terms: Terms) -> bool:
    """Say whether a lease's owner has been silent for longer than its seconds, by the store's own clock."""
    clock = f"clock/{uuid.uuid4().hex}"
    place.write(clock, b"")
    now = place.item(clock)
    place.delete([clock])
    return now is not None and now.modified - item.modified > terms.seconds + 1  # its clock counts whole seconds


def _is_our_dead(terms: Terms, cache_id: str) -> bool:
    return terms.cache_id == cache_id and terms.host == socket.gethostname()


def _is_unseen(before: Terms, cache_id: str) -> bool:
    """Say whether this cache's ledger may hold what the store has not."""
    return (before.paying and before.cache_id == cache_id) or before.doubt_cache_id == cache_id


def _doubt(before: Terms, cache_id: str) -> tuple[str, str]:
    """Return what is in doubt when this cache follows an owner, and which cache would settle it."""
    if before.paying and before.cache_id != cache_id:
        told = (
            f"{_told(before)} stopped while it bought answers, and its ledger, in {before.cache}, is not in the store."
        )
        return told, before.cache_id
    return ("", "") if before.doubt_cache_id == cache_id else (before.doubt, before.doubt_cache_id)


def _told(terms: Terms) -> str:
    return f"process {terms.pid} on {terms.host} (lease {terms.number}, since {terms.since})"


def _name(number: int) -> str:
    return f"{FOLDER}/{number:08d}.json"


def _text(terms: Terms) -> bytes:
    return json.dumps(asdict(terms), indent=1).encode()


def _read(place: Place, number: int) -> Terms:
    try:
        plain: Mapping[str, Any] = json.loads(place.read(_name(number)))
        return Terms(**plain)
    except MissingError:
        raise
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{place}/{_name(number)}: is not a lease as it was written ({error}). Delete it when nothing writes there."
        ) from error
