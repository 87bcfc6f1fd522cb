"""Message Batches of the loopback server: create, list, look up, cancel and results, with a bill and ways to misbehave.

    with claude_server() as server:
        server.batches.creations = [Creation("reset after"), Status(413)]
        server.batches.item = lambda body, custom_id: Item("expired")

`creations` says how the first creations go, `item` what becomes of each request, `results` how results are delivered. A
request is billed (in `server.bill`, by a hash of its body) when its batch ends and it succeeded. Time is the server's
own: `forward(seconds)` moves it, and a batch that is not over after a day expires.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from tests.claude_requests import fingerprint

DAY = 86_400.0
ROUTE = "/v1/messages/batches"


@dataclass(frozen=True)
class Creation:
    """How one creation goes: taken or not, answered or not."""

    way: Literal["ok", "reset before", "reset after", "slow after", "500 after", "garbage after"] = "ok"
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class Refusal:
    """A creation that the server answers with an HTTP error and does not take."""

    code: int
    type: str = "api_error"
    error_code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """What becomes of one request of a batch. `{key}` in a text stands for the key that the client sent."""

    kind: Literal["succeeded", "errored", "canceled", "expired", "missing"] = "succeeded"
    error: str = "invalid_request_error"
    twice: bool = False
    text: str | None = None


@dataclass
class Results:
    """How results are delivered."""

    shuffled: bool = False
    cut_at: list[float] = field(default_factory=list)  # shares of the body after which the next downloads are cut
    unknown: int = 0  # lines for requests that nobody sent
    garbage: int = 0  # lines that are none
    held: threading.Event | None = None


@dataclass
class Batch:
    """One batch as the server keeps it."""

    id: str
    requests: list[dict[str, Any]]
    created_at: float
    ends_at: float
    outcomes: list[Item] | None = None  # once it has ended
    canceled: bool = False
    archived: bool = False
    lines: list[bytes] = field(default_factory=list)


class BatchHouse:
    """All batches of a server."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._mutex = threading.RLock()
        self._ahead = 0.0
        self.batches: list[Batch] = []
        self.creations: list[Creation | Refusal] = []
        self.default: Creation | Refusal = Creation()
        self.item: Callable[[Mapping[str, Any], str], Item] = lambda body, custom_id: Item()
        self.results = Results()
        self.takes_seconds = 0.0
        self.archives = 0  # batches that are archived as soon as they end
        self.missing_routes: set[str] = set()  # of create, list
        self.passes_a_day = False  # when somebody looks: what is not over then expires, later batches end at once
        self.hits = 1.0  # share of requests in batches that read what is kept
        self.calls: list[str] = []
        self.canceled = 0

    def now(self) -> float:
        """Return the server's time."""
        return time.time() + self._ahead

    def forward(self, seconds: float) -> None:
        """Move the server's clock."""
        with self._mutex:
            self._ahead += seconds
            for batch in self.batches:
                self._advance(batch)

    def pass_a_day(self) -> None:
        """Let a day pass for the batches that are here."""
        self.forward(DAY)
        self._ahead -= DAY

    def add(self, requests: list[dict[str, Any]], *, created_at: float | None = None) -> Batch:
        """Take a batch, as somebody else of the same workspace would."""
        with self._mutex:
            now = self.now() if created_at is None else created_at
            batch = Batch(f"msgbatch_{len(self.batches):04d}", requests, now, ends_at=now + self.takes_seconds)
            self.batches.append(batch)
            self._advance(batch)
            return batch

    def _advance(self, batch: Batch) -> None:
        """End a batch whose time has come, or a day after its creation; bill what succeeded."""
        with self._mutex:
            if batch.outcomes is not None:
                return
            expired = self.now() >= batch.created_at + DAY and batch.ends_at > batch.created_at + DAY
            if not (batch.canceled or expired or self.now() >= batch.ends_at):
                return
            batch.outcomes = []
            kept = [self._server.is_kept(request["params"], among="batches") for request in batch.requests]
            for request, is_kept in zip(batch.requests, kept, strict=True):  # all of a batch begin at once
                item = self.item(request["params"], request["custom_id"])
                over = Item("canceled") if batch.canceled else Item("expired")
                item = over if batch.canceled or expired else item
                batch.outcomes.append(item)
                line = json.dumps(
                    {"custom_id": request["custom_id"], "result": self._result(request["params"], item, is_kept)}
                )
                if item.kind != "missing":
                    batch.lines += [line.encode()] * (2 if item.twice else 1)
            for number in range(self.results.unknown):
                stranger = {"custom_id": f"r_{number:040x}", "result": {"type": "canceled"}}
                batch.lines.append(json.dumps(stranger).encode())
            batch.lines += [b"<html>"] * self.results.garbage
            batch.archived, self.archives = self.archives > 0, max(self.archives - 1, 0)
            if self.results.shuffled:
                batch.lines.sort(key=lambda line: hash(line[20:40]))

    def _result(self, body: Mapping[str, Any], item: Item, is_kept: bool) -> dict[str, Any]:
        from tests.claude_server import Reply, message

        if item.kind in ("succeeded", "missing"):
            self._server.bill[fingerprint(body)] += 1
            lucky = is_kept and int(fingerprint(body)[:4], 16) < self.hits * 0x10000
            usage = self._server.usage(body, output_tokens=60, is_kept=lucky, among="batches") | {
                "service_tier": "batch"
            }
            return {
                "type": "succeeded",
                "message": message(body, Reply(text=item.text), usage=usage, server=self._server),
            }
        if item.kind == "errored":
            error = {"type": item.error, "message": "as the test ordered"}
            return {"type": "errored", "error": {"type": "error", "error": error, "request_id": "req_loopback"}}
        return {"type": item.kind}

    def described(self, batch: Batch) -> dict[str, Any]:
        """Return a batch as the API describes it."""
        self._advance(batch)
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        for item in batch.outcomes or ():
            counts["succeeded" if item.kind == "missing" else item.kind] += 1
        counts["processing"] = len(batch.requests) - sum(counts.values())
        ended = batch.outcomes is not None
        return {
            "id": batch.id, "type": "message_batch", "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts, "created_at": _rfc3339(batch.created_at),
            "expires_at": _rfc3339(batch.created_at + DAY), "ended_at": _rfc3339(self.now()) if ended else None,
            "cancel_initiated_at": _rfc3339(self.now()) if batch.canceled else None,
            "archived_at": _rfc3339(self.now()) if batch.archived else None,
            "results_url": f"{self._server.base_url}{ROUTE}/{batch.id}/results"
            if ended and not batch.archived else None,
        }  # fmt: skip

    def page(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """Return one page of the list, newest first."""
        newest = sorted(self.batches, key=lambda batch: -batch.created_at)
        after = query.get("after_id", [""])[0]
        start = next((n + 1 for n, batch in enumerate(newest) if batch.id == after), 0)
        limit = int(query.get("limit", ["20"])[0])
        shown = newest[start : start + limit]
        return {
            "data": [self.described(batch) for batch in shown], "has_more": len(newest) > start + limit,
            "first_id": shown[0].id if shown else None, "last_id": shown[-1].id if shown else None,
        }  # fmt: skip

    def answer(self, handler: BaseHTTPRequestHandler, body: Mapping[str, Any]) -> None:
        """Answer one call."""
        parts = urlsplit(handler.path)
        call = parts.path.removeprefix(ROUTE).strip("/")
        verb = f"{handler.command} {call}".strip()
        self.calls.append(verb)
        if self.passes_a_day and self.batches and handler.command == "GET":
            self.passes_a_day, self.takes_seconds = False, 0.0
            self.pass_a_day()
        named = {batch.id: batch for batch in self.batches}
        id, _, action = call.partition("/")
        if not call:
            name = "create" if handler.command == "POST" else "list"
            if name in self.missing_routes:
                return _error(handler, 404, "not_found_error")
            if name == "create":
                return self._create(handler, body)
            return _send(handler, 200, json.dumps(self.page(parse_qs(parts.query))).encode())
        if id not in named:
            return _error(handler, 404, "not_found_error")
        batch = named[id]
        if action == "cancel":
            self._advance(batch)
            batch.canceled = batch.outcomes is None or batch.canceled
            self.canceled += 1
        if action == "results":
            return self._deliver(handler, batch)
        _send(handler, 200, json.dumps(self.described(batch)).encode())

    def _create(self, handler: BaseHTTPRequestHandler, body: Mapping[str, Any]) -> None:
        way = self.creations.pop(0) if self.creations else self.default
        if isinstance(way, Refusal):
            return _error(handler, way.code, way.type, way.headers, error_code=way.error_code)
        if way.way == "reset before":
            return reset(handler)
        batch = self.add(list(body["requests"]))
        time.sleep(way.delay_seconds)
        if way.way == "reset after":
            return reset(handler)
        if way.way == "500 after":
            return _error(handler, 500, "api_error")
        if way.way == "garbage after":
            return _send(handler, 200, b"<html>welcome to the hotel network</html>")
        _send(handler, 200, json.dumps(self.described(batch)).encode())

    def _deliver(self, handler: BaseHTTPRequestHandler, batch: Batch) -> None:
        if batch.archived or batch.outcomes is None:
            return _error(handler, 404, "not_found_error")
        if self.results.held is not None:
            self.results.held.wait()
        content = b"".join(line + b"\n" for line in batch.lines).replace(b"{key}", key_of(handler).encode())
        if not self.results.cut_at:
            return _send(handler, 200, content, {"content-type": "application/x-jsonl"})
        share = self.results.cut_at.pop(0)
        _send(handler, 200, content, part=int(len(content) * share))
        handler.close_connection = True


def key_of(handler: BaseHTTPRequestHandler) -> str:
    """Return the key that a client sent."""
    return handler.headers.get("x-api-key") or handler.headers.get("authorization", "").partition(" ")[2]


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, tz=UTC).isoformat().replace("+00:00", "Z")


def _send(
    handler: BaseHTTPRequestHandler, status: int, content: bytes, headers: Mapping[str, str] | None = None,
    part: int | None = None,
) -> None:  # fmt: skip
    handler.send_response(status)
    for key, value in {"content-type": "application/json", **(headers or {})}.items():
        handler.send_header(key, value)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[:part])


def _error(
    handler: BaseHTTPRequestHandler, status: int, kind: str, headers: Mapping[str, str] | None = None,
    error_code: str | None = None,
) -> None:  # fmt: skip
    details = {} if error_code is None else {"details": {"error_code": error_code}}
    text = f"as the test ordered of {key_of(handler)}"  # a server may repeat what it was sent
    error = {"type": "error", "error": {"type": kind, "message": text, **details}}
    _send(handler, status, json.dumps(error).encode(), headers)


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection so that the client sees a reset."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
