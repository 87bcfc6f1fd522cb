"""Message Batches on the wire: create, list, look up, cancel, and results as raw lines.

What a server says is read with care and never believed to be whole: other servers than Anthropic's speak this protocol
too. Every failure is raised as WireError, which carries the setback and the HTTP status. Nothing is tried again
here, because creating a batch twice is paying twice; see `buyer`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipeline.core.claude.server.connection import setback_of
from pipeline.core.claude.server.setbacks import Setback, connection_setback
from pipeline.core.process.keys import Mask

if TYPE_CHECKING:
    from anthropic import Anthropic

PAGE = 100  # batches in one page of the list
NO_BATCHES = (404, 405, 501)  # statuses of a server that has none
COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


class WireError(Exception):
    """What went wrong on the wire: the setback and the HTTP status, if there was one. Never leaves the client."""

    @property
    def setback(self) -> Setback:
        found: Setback = self.args[0]
        return found

    @property
    def status(self) -> int | None:
        found: int | None = self.args[1]
        return found


@dataclass(frozen=True, slots=True)
class ServerBatch:
    """A batch as the server describes it."""

    id: str
    ended: bool
    created_at: float | None  # seconds since 1970; None where it cannot be read
    size: int | None  # requests in it
    archived: bool  # its results are gone
    has_results: bool
    succeeded: int
    canceled: int


class BatchWire:
    """The calls, through the SDK's client, with keys masked in all that comes back."""

    def __init__(self, sdk: Anthropic, *, mask: Mask) -> None:
        self._batches, self._mask = sdk.messages.batches, mask

    def create(self, requests: Sequence[Mapping[str, Any]]) -> ServerBatch:
        """Send a batch once."""
        with self._sorted():
            response = self._batches.with_raw_response.create(requests=requests)  # type: ignore[arg-type]  # TypedDicts of the SDK
            body = response.read()
        self._mask.learn(response.http_request.headers)
        return self._batch(body)

    def look_up(self, id: str) -> ServerBatch:
        """Return a batch as it is now."""
        with self._sorted():
            return self._batch(self._batches.with_raw_response.retrieve(id).read())

    def cancel(self, id: str) -> ServerBatch:
        """Ask the server to stop a batch."""
        with self._sorted():
            return self._batch(self._batches.with_raw_response.cancel(id).read())

    def listed(self, *, since: float) -> Iterator[ServerBatch]:
        """Yield the workspace's batches created since then, newest first, page by page."""
        after: dict[str, Any] = {}
        while True:
            with self._sorted():
                body = self._batches.with_raw_response.list(limit=PAGE, **after).read()
            page = _object(body)
            if not isinstance(page.get("data"), list):  # some servers answer whatever is asked with a page of theirs
                raise WireError(Setback("lost", "HTTP 200 without a list of batches"), 200)
            found = [batch for item in page["data"] if (batch := _read_batch(item)) is not None]
            old = [batch.created_at is not None and batch.created_at < since for batch in found]
            yield from (batch for batch, is_old in zip(found, old, strict=True) if not is_old)
            if not found or old[-1] or not page.get("has_more") or after.get("after_id") == found[-1].id:
                return
            after = {"after_id": found[-1].id}

    def lacking(self) -> str:
        """Return how a server says that it has no batches; empty where it has. Asks for one of the list, which is free.

        WireError where that cannot be told now.
        """
        try:
            next(self.listed(since=time.time()), None)
        except WireError as trouble:
            if trouble.status in (None, 401, 429, 500, 502, 503, 504, 529):
                raise
            return trouble.setback.reason if trouble.status == 200 else f"HTTP {trouble.status}"
        return ""

    def lines(self, id: str) -> Iterator[bytes]:
        """Yield the lines of a batch's results with the keys masked, as they arrive; WireError at a cut."""
        with self._sorted(), self._batches.with_streaming_response.results(id) as response:
            left = b""
            for piece in response.iter_bytes():
                *whole, left = (left + piece).split(b"\n")
                yield from (self._mask.body(line) for line in whole if line.strip())
            if left.strip():  # without a newline: the last line, or one that was cut
                if not _object(left):
                    raise WireError(Setback("lost", "results cut in the middle of a line"), None)
                yield self._mask.body(left)

    @contextmanager
    def _sorted(self) -> Iterator[None]:
        """Raise the SDK's errors, and those of a stream that it does not wrap, as WireError."""
        from anthropic import AnthropicError, APIStatusError
        from httpx2 import HTTPError

        try:
            yield
        except AnthropicError as error:
            status = error.status_code if isinstance(error, APIStatusError) else None
            raise WireError(setback_of(error, mask=self._mask), status) from None
        except HTTPError as error:
            raise WireError(connection_setback(type(error).__name__), None) from None

    def _batch(self, body: bytes) -> ServerBatch:
        found = _read_batch(_object(self._mask.body(body)))
        if found is None:
            raise WireError(Setback("lost", "HTTP 200 without a batch"), 200)
        return found


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read_batch(item: object) -> ServerBatch | None:
    """Read a batch object; None if it has no id. What it does not say is unknown, not zero."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str) or not item["id"]:
        return None
    counts = item.get("request_counts")
    counted = [counts.get(key) for key in COUNTS] if isinstance(counts, dict) else []
    numbers = [count for count in counted if isinstance(count, int)]
    created_at: float | None
    try:
        created_at = datetime.fromisoformat(str(item.get("created_at"))).timestamp()
    except (ValueError, OverflowError):
        created_at = None
    return ServerBatch(
        id=item["id"],
        ended=item.get("processing_status") == "ended",
        created_at=created_at,
        size=sum(numbers) if numbers else None,
        archived=item.get("archived_at") is not None,
        has_results=bool(item.get("results_url")),
        succeeded=_count(counts, "succeeded"),
        canceled=_count(counts, "canceled"),
    )


def _count(counts: object, key: str) -> int:
    found = counts.get(key) if isinstance(counts, dict) else 0
    return found if isinstance(found, int) else 0
