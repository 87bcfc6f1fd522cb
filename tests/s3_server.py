"""A loopback S3 with faults: moto's, behind a door that can refuse, cut, delay, lie and show old listings."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
Fault = Callable[[dict[str, Any]], str | None]  # environ -> what to do with a request, None for nothing


@dataclass
class S3:
    """A running server. `fault` is asked about each request: "503", "cut", "blind" (ignores If-None-Match) or None."""

    url: str = ""
    fault: Fault = lambda environ: None
    seen: list[str] = field(default_factory=list)  # "PUT /bucket/key", in order; COPY is a PUT from another key
    listings: dict[str, bytes] | None = None  # kept and shown again instead of later ones

    def environment(self) -> dict[str, str]:
        """Return what a process needs to know."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "loopback", "AWS_SECRET_ACCESS_KEY": "CANARY-secret",
            "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def count(self, start: str, *, inside: str = "") -> int:
        """Return how many requests were made that begin so."""
        return sum(line.startswith(start) and inside in line for line in self.seen)

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Let requests fail while a test does something."""
        self.fault, before = fault, self.fault
        try:
            yield
        finally:
            self.fault = before


def each_time(what: str, *, method: str, inside: str, times: int = 1) -> Fault:
    """Return a fault that strikes the first `times` requests of a method whose path holds `inside`."""
    left = [times]

    def fault(environ: dict[str, Any]) -> str | None:
        if environ["REQUEST_METHOD"] == method and inside in environ["PATH_INFO"] and left[0]:
            left[0] -= 1
            return what
        return None

    return fault


@contextmanager
def s3_server(*buckets: str) -> Iterator[S3]:
    """Run a server with some buckets; skips a test where moto or s3fs is not installed."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    from moto.backends import get_backend
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    get_backend("s3").reset()  # which all servers of a process share
    store, whole = S3(), DomainDispatcherApplication(create_backend_app)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method = "COPY" if "HTTP_X_AMZ_COPY_SOURCE" in environ else environ["REQUEST_METHOD"]
        line = f"{method} {environ['PATH_INFO']}"
        store.seen.append(line)
        what = store.fault(environ)
        if what == "503":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Retry-After", "0")])
            return [SLOW_DOWN]
        if what == "403":
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SignatureDoesNotMatch</Code><Message>CANARY-secret</Message></Error>"]
        if what == "cut":
            environ["wsgi.input"].read(min(100, int(environ.get("CONTENT_LENGTH") or 0)))
            environ["werkzeug.socket"].shutdown(2)
            return []
        if what == "blind":
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if what == "slow":
            time.sleep(0.5)
        is_list = environ["REQUEST_METHOD"] == "GET" and "list-type" in environ.get("QUERY_STRING", "")
        if is_list and store.listings is not None:
            key = line + environ["QUERY_STRING"]
            if key not in store.listings:
                store.listings[key] = b"".join(whole(environ, lambda *_: lambda _: None))
            start_response("200 OK", [("Content-Type", "application/xml")])
            return [store.listings[key]]
        return whole(environ, start_response)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    try:
        import s3fs

        system = s3fs.S3FileSystem(endpoint_url=store.url, key="loopback", secret="CANARY-secret")
        for bucket in buckets:
            system.mkdir(bucket)
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
