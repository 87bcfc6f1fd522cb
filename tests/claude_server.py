"""A loopback server that speaks the Messages protocol, keeps its own bill, and can be told how to misbehave.

    with claude_server(script=[Status(429, headers={"retry-after": "1"}), Reply()]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)

What the server can do stands in `can`: give JSON by a schema, by a tool, or when told in the prompt; `lacks` says
whether it rejects or ignores what it cannot. The questions of the self-test are answered by that alone, and are on a
bill of their own (`tests`), so what a test orders is for what it asks.

Prompt caching is as documented: what comes before a mark is written (`written`, by how long it is kept) and read by
later requests (`read_tokens`) once an answer to an earlier one has begun, for five minutes or an hour of
`batches.now()` since it was last read; a prefix below `cache_minimum` is not kept. Without `cache_works` it is written
for ever and never read.

`script` answers the first requests in order of arrival; `default` answers the rest. The bill is by what was asked
(a hash of the body that arrived), so it knows nothing of the house's own request ids. A request is billed when the
server has accepted it, whether or not anybody is still there to read the answer.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.batch_server import ROUTE, BatchHouse, key_of, reset
from tests.claude_requests import asked_by, asked_schema, fingerprint, is_test, mark_of, plain, prefix_key

KEPT_SECONDS = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True)
class Reply:
    """A message. `text` may be computed from the request's body; without one the schema asked for is filled in.

    `{key}` in it stands for the key that the client sent, as in Status.
    """

    text: str | Callable[[Mapping[str, Any]], str] | None = None
    stop_reason: str = "end_turn"
    stop_details: Mapping[str, Any] | None = None
    delay_seconds: float = 0.0  # after the request was billed
    held: threading.Event | None = None  # what the answer waits for, after the request was billed
    output_tokens: int = 60
    usage: Mapping[str, Any] = field(default_factory=dict)  # in place of what was counted


@dataclass(frozen=True)
class Status:
    """An HTTP error."""

    code: int
    type: str = "api_error"
    error_code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = "as the test ordered"
    billed: bool = False


@dataclass(frozen=True)
class HangUp:
    """Accept and bill the request, then close the connection without an answer."""


@dataclass(frozen=True)
class Reset:
    """Reset the connection, before or after the request is accepted and billed."""

    billed: bool = False


@dataclass(frozen=True)
class CutShort:
    """Accept and bill the request, then send half of the answer."""


@dataclass(frozen=True)
class Garbage:
    """Answer 200 with bytes that are no message."""

    body: bytes = b"<html>welcome to the hotel network</html>"


Behaviour = Reply | Status | HangUp | Reset | CutShort | Garbage


@dataclass
class Server:
    """What a test sees of the running server."""

    base_url: str
    script: list[Behaviour]
    default: Behaviour | Callable[[Mapping[str, Any]], Behaviour]
    arrivals: list[Mapping[str, Any]] = field(default_factory=list)  # bodies, in order of arrival
    headers: list[Mapping[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    bill: Counter[str] = field(default_factory=Counter)  # hash of the body -> times billed
    input_tokens: int = 0  # that no cache had
    output_tokens: int = 0
    most_at_once: int = 0
    can: frozenset[str] = frozenset({"schema", "tool", "prompt"})  # ways to give JSON
    lacks: Literal["ignores", "rejects"] = "rejects"
    wrapping: str = "Here you are:\n\n```json\n{json}\n```\nI hope that helps."  # JSON that was asked for in words
    tests: list[Mapping[str, Any]] = field(default_factory=list)  # bodies of the self-test, all billed but rejections
    test_bill: Counter[str] = field(default_factory=Counter)
    test_tokens: Counter[str] = field(default_factory=Counter)
    test_script: list[Behaviour] = field(default_factory=list)  # how the first of them are answered
    written: Counter[str] = field(default_factory=Counter)  # tokens
    read_tokens: int = 0
    marks: list[str] = field(
        default_factory=list
    )  # of answered requests, in order: how long they ask to be kept, or ""
    cache_minimum: int = 512
    cache_works: bool = True
    kept: dict[str, float] = field(default_factory=dict)  # a prefix's hash -> until when
    listing: Behaviour | None = None  # what the list of batches is answered with, where it is none
    cut_uploads: int = 0  # requests, batches included, that are cut while they arrive
    _at_once: int = 0
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.batches = BatchHouse(self)

    def arrive(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> Behaviour:
        """Note an arrival and say how to answer it."""
        body, way = plain(body), asked_by(body)
        lacking = way in ("schema", "tool") and way not in self.can and self.lacks == "rejects"
        refusal = Status(400, "invalid_request_error", text=f"{way}: no such field") if lacking else None
        if is_test(body):
            with self._mutex:
                self._at_once += 1
                self.tests.append(body)
                told = self.test_script.pop(0) if self.test_script else refusal or Reply()
                self.test_bill.update([fingerprint(body)] * _is_billed(told))
                return told
        with self._mutex:
            self.arrivals.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            said = self.script.pop(0) if self.script else self.default
            behaviour = refusal or (said(body) if callable(said) else said)
            self.bill.update([fingerprint(body)] * _is_billed(behaviour))
            return behaviour

    def cuts_upload(self) -> bool:
        """Say whether the request that arrives now is cut."""
        with self._mutex:
            self.cut_uploads -= 1
            return self.cut_uploads >= 0

    def leave(self) -> None:
        """Note that an answer is out."""
        with self._mutex:
            self._at_once -= 1

    def is_kept(self, body: Mapping[str, Any], *, among: str = "single") -> bool:
        """Say whether the marked beginning of a request can be read now."""
        key = prefix_key(body, among=among)
        return self.cache_works and self.kept.get(key, 0.0) > self.batches.now()

    def usage(
        self, body: Mapping[str, Any], *, output_tokens: int, is_kept: bool = False, among: str = "single"
    ) -> dict[str, Any]:
        """Count tokens as four bytes each and put them on the bill; `among` are those that share a cache."""
        mark, prefix = mark_of(body), len(json.dumps([body.get("tools"), plain(body)["system"]])) // 4
        input_tokens = len(json.dumps(plain(body))) // 4
        usage = {"input_tokens": input_tokens, "output_tokens": output_tokens, "service_tier": "standard"}
        with self._mutex:
            if is_test(body):
                self.test_tokens += Counter(input=input_tokens, output=output_tokens)
                return usage
            self.output_tokens += output_tokens
            self.marks.append(mark)
            if mark and prefix >= self.cache_minimum:
                input_tokens -= prefix
                self.read_tokens += prefix * is_kept
                self.written[mark] += prefix * (not is_kept)
                self.kept[prefix_key(body, among=among)] = self.batches.now() + KEPT_SECONDS[mark]
                split = {
                    f"ephemeral_{each}_input_tokens": prefix * (each == mark and not is_kept) for each in KEPT_SECONDS
                }
                usage |= {"cache_creation_input_tokens": prefix * (not is_kept), "cache_creation": split}
                usage |= {"cache_read_input_tokens": prefix * is_kept, "input_tokens": input_tokens}
            self.input_tokens += input_tokens
        return usage


def _is_billed(behaviour: Behaviour) -> bool:
    return not isinstance(behaviour, Status | Reset) or behaviour.billed


@contextmanager
def claude_server(
    *, script: Sequence[Behaviour] = (), default: Behaviour | Callable[[Mapping[str, Any]], Behaviour] | None = None
) -> Iterator[Server]:
    """Run the server on a free port of 127.0.0.1."""
    listener = _Listener(("127.0.0.1", 0), _Handler)
    server = Server(
        base_url=f"http://127.0.0.1:{listener.server_address[1]}",
        script=list(script),
        default=Reply() if default is None else default,
    )
    listener.house = server
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    house: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that were killed; anything else is printed, as always."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms for the client to acknowledge the head

    def do_GET(self) -> None:
        server = self.server.house
        if not self.path.startswith(ROUTE):
            return self._send(404, error_body("not_found_error", None, "no such route"))
        try:
            if server.listing is not None and self.path.startswith(f"{ROUTE}?"):
                return self._answer(server, {}, server.listing)
            server.batches.answer(self, {})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_POST(self) -> None:
        server = self.server.house
        size = int(self.headers["content-length"] or 0)
        if server.cuts_upload():
            self.rfile.read(size // 2)
            return reset(self)
        arrived = self.rfile.read(size)
        if len(arrived) < size:  # the client was killed
            self.close_connection = True
            return None
        body = json.loads(arrived or b"{}")
        if self.path.startswith(ROUTE):
            try:
                return server.batches.answer(self, body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
                return None
        if self.path != "/v1/messages":
            return self._send(404, error_body("not_found_error", None, "no such route"))
        behaviour = server.arrive(body, {key.lower(): value for key, value in self.headers.items()})
        try:
            self._answer(server, body, behaviour)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client was killed; the bill stands
        finally:
            server.leave()

    def _answer(self, server: Server, body: Mapping[str, Any], behaviour: Behaviour) -> None:
        if isinstance(behaviour, Status):
            content = error_body(behaviour.type, behaviour.error_code, self._echoing(behaviour.text))
            self._send(behaviour.code, content, behaviour.headers)
        elif isinstance(behaviour, HangUp):
            self.close_connection = True
        elif isinstance(behaviour, Reset):
            reset(self)
        elif isinstance(behaviour, Garbage):
            self._send(200, self._echoing(behaviour.body.decode()).encode())
        elif isinstance(behaviour, CutShort):
            content = json.dumps(
                message(body, Reply(), usage=server.usage(body, output_tokens=60), server=server)
            ).encode()
            self._send(200, content[: len(content) // 2], {"content-length": str(len(content))})
            self.close_connection = True
        else:
            is_kept = server.is_kept(body)
            time.sleep(behaviour.delay_seconds)
            if behaviour.held is not None:
                behaviour.held.wait()
            usage = server.usage(body, output_tokens=behaviour.output_tokens, is_kept=is_kept)
            content = json.dumps(message(body, behaviour, usage={**usage, **behaviour.usage}, server=server)).encode()
            self._send(200, self._echoing(content.decode()).encode())

    def _echoing(self, text: str) -> str:
        return text.replace("{key}", key_of(self))

    def _send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        usual = {"content-type": "application/json", "request-id": "req_loopback", "content-length": str(len(content))}
        for key, value in {**usual, **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def message(body: Mapping[str, Any], reply: Reply, *, usage: Mapping[str, Any], server: Server) -> dict[str, Any]:
    """Build a Messages answer, in the way that was asked for where the server can do that."""
    body = plain(body)
    text = reply.text(body) if callable(reply.text) else reply.text
    if text is None:
        text = json.dumps(filled(asked_schema(body), seed=body))
    way = asked_by(body)
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if way not in server.can and way != "text":
        content = [{"type": "text", "text": "Yes, it is."}]
    elif way == "tool" and reply.stop_reason == "end_turn":
        name = body["tools"][0]["name"]
        content = [{"type": "tool_use", "id": "toolu_loopback", "name": name, "input": json.loads(text)}]
    elif way == "prompt":
        content = [{"type": "text", "text": server.wrapping.replace("{json}", text)}]
    return {
        "id": "msg_loopback", "type": "message", "role": "assistant", "model": body["model"],
        "content": [] if reply.stop_reason == "refusal" else content,
        "stop_reason": reply.stop_reason, "stop_details": reply.stop_details, "stop_sequence": None,
        "usage": dict(usage),
    }  # fmt: skip


def filled(schema: Mapping[str, Any], *, seed: object) -> Any:
    """Return a value that meets a schema: the same for the same request, different between requests."""
    draw = int.from_bytes(hashlib.sha256(json.dumps([seed, schema], sort_keys=True).encode()).digest()[:4], "big")
    if "enum" in schema:
        return schema["enum"][draw % len(schema["enum"])]
    if schema.get("type") == "object":
        return {key: filled(item, seed=[seed, key]) for key, item in schema.get("properties", {}).items()}
    values: dict[str, Any] = {"string": f"evidence {draw}", "boolean": draw % 2 == 0, "integer": draw % 6, "array": []}
    return values[str(schema.get("type"))]


def error_body(kind: str, error_code: str | None, text: str) -> bytes:
    """Build an error answer."""
    error: dict[str, Any] = {"type": kind, "message": text}
    if error_code is not None:
        error["details"] = {"error_code": error_code}
    return json.dumps({"type": "error", "error": error, "request_id": "req_loopback"}).encode()
