"""`tamis doctor --machine`: everything that a run needs of a machine, tried before the first night fails by it."""

from __future__ import annotations

import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import TamisError
from pipeline.core.files.stores.caches import cache_home
from pipeline.core.files.stores.places import Place, is_url, shown_url
from pipeline.queries.machine.disk import look_at_disk
from pipeline.queries.machine.finding import MachineFinding
from pipeline.queries.machine.processor import (
    look_at_clock,
    look_at_gpu,
    look_at_key,
    look_at_packages,
    look_at_processor,
    look_at_sandbox,
)

ASKED = 5  # times, for the latency of a store
SLOW_SECONDS, MOST_APART_SECONDS = 0.5, 30.0


def examine_machine(workspace: str) -> list[MachineFinding]:
    """Return what is found of this machine and of the workspace, a folder or a URL; nothing stays behind."""
    found = [*look_at_packages(), *look_at_processor(), *look_at_gpu()]
    if not is_url(workspace):
        found += look_at_disk("workspace", Path(workspace))
    found += look_at_disk("caches", cache_home())
    found += look_at_disk("temporary files", Path(tempfile.gettempdir()))
    found += [*look_at_sandbox(), *look_at_key(), *look_at_clock()]
    if is_url(workspace):
        found += look_at_store(workspace)
    return found


def look_at_store(url: str) -> Iterator[MachineFinding]:
    """Yield whether a store creates an object only where none is, how fast it answers, and what its clock says."""
    shown = shown_url(url)
    try:
        place = Place.at(url)
        name = f"probe/{uuid.uuid4().hex}"
        before = time.time()
        place.create(name, b"1")
        after = time.time()
        try:
            again = place.create(name, b"2")
            kept = place.read(name)
            item = place.item(name)
            seconds = [_timed(place, name) for _ in range(ASKED)]
        finally:
            place.delete([name])
    except TamisError as error:
        told, _, way_out = str(error).partition(". ")
        yield MachineFinding("store", "fail", told, way_out or "Look at the URL, the keys and the network.")
        return
    if again or kept != b"1":
        told = f"{shown}: writes over an object that it is told to create only where there is none"
        yield MachineFinding("store", "fail", told, "Use Amazon S3, MinIO or Ceph of 2025, or a folder.")
    else:
        yield MachineFinding("store", "ok", f"{shown}: reads, writes, and creates an object only where none is")
    latency = statistics.median(seconds)
    told = f"{1000 * latency:,.0f} ms to the first answer"
    slow = latency > SLOW_SECONDS
    yield MachineFinding("store latency", "warn" if slow else "ok", told, "Run nearer to the store." if slow else "")
    if item is not None and item.modified:
        apart = max(before - 1 - item.modified, item.modified - after - 1, 0.0)  # stores tell whole seconds
        told = f"{apart:,.0f} s apart from this machine's"
        far = apart > MOST_APART_SECONDS
        way_out = (
            "Set this machine's clock by a time server (NTP): stores refuse requests 15 minutes off." if far else ""
        )
        yield MachineFinding("store clock", "warn" if far else "ok", told, way_out)


def _timed(place: Place, name: str) -> float:
    began = time.monotonic()
    place.item(name)
    return time.monotonic() - began
