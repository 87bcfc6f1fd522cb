"""Every way in which the loopback server misbehaves in the matrix: to single requests, and to batches of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.batch_server import DAY, Creation, Item, Refusal
from tests.claude_server import Behaviour, CutShort, Garbage, HangUp, Reply, Reset, Server, Status

Mode = Callable[[Server], None]
SPENT = "enforced_spend_limit_reached"
LIMIT = "rate_limit_error"


def number_of(body: Mapping[str, Any]) -> int:
    return int(body["messages"][0]["content"].split()[1])


def creations(*ways: Creation | Refusal) -> Mode:
    def prepare(server: Server) -> None:
        server.batches.creations = list(ways)

    return prepare


def items(of: Callable[[int, bool], Item]) -> Mode:
    """Say what becomes of a request by its number and by whether it is the first time that it is sent."""

    def prepare(server: Server) -> None:
        seen: set[int] = set()

        def item(body: Mapping[str, Any], custom_id: str) -> Item:
            number = number_of(body) if "messages" in body and isinstance(body["messages"][0], dict) else -1
            first = number not in seen
            seen.add(number)
            return of(number, first)

        server.batches.item = item

    return prepare


def results(**how: Any) -> Mode:
    def prepare(server: Server) -> None:
        for name, value in how.items():
            setattr(server.batches.results, name, value)

    return prepare


def strangers(server: Server) -> None:
    requests = [{"custom_id": f"theirs-{n}", "params": {"model": "m", "messages": [n]}} for n in range(5)]
    server.batches.add(requests)
    server.batches.add(requests[:2])
    server.batches.creations = [Creation("reset after"), Creation("reset before")]


def archived(server: Server) -> None:
    server.batches.archives = 1


def first(*ways: Behaviour) -> Mode:
    """Treat the first requests in these ways, and the others well."""

    def prepare(server: Server) -> None:
        server.script = list(ways)

    return prepare


def documents(of: Callable[[int], Behaviour]) -> Mode:
    """Treat a request by its number, however often it comes."""

    def prepare(server: Server) -> None:
        server.default = lambda body: of(number_of(body))

    return prepare


def cut_upload(server: Server) -> None:
    server.cut_uploads = 2


def a_day_passes(server: Server) -> None:
    server.batches.takes_seconds = 2 * DAY
    server.batches.passes_a_day = True


SINGLE_MODES: dict[str, Mode] = {
    "well": first(),
    "slow after accept": first(Reply(), Reply(delay_seconds=0.6)),
    "reset after accept": first(Reply(), Reset(billed=True), HangUp()),
    "reset before accept": first(Reply(), Reset(), Reset()),
    "upload cut": cut_upload,
    "upload cut and told so": first(Reply(), Status(400, "invalid_request_error", text="not valid JSON")),
    "answer cut": first(Reply(), CutShort(), CutShort()),
    "answer is no message": first(Reply(), Garbage()),
    "429 with retry-after": first(Reply(), Status(429, LIMIT, headers={"retry-after": "0.01"})),
    "429 without retry-after": first(Reply(), Status(429, LIMIT), Status(429, LIMIT)),
    "spend limit": first(Reply(), Reply(), Reply(), Status(429, LIMIT, error_code=SPENT)),
    "500 before accept": first(Reply(), Status(500)),
    "500 after accept": first(Reply(), Status(500, billed=True)),
    "529": first(Status(529, "overloaded_error"), Reply(), Status(529, "overloaded_error")),
    "413 of one": documents(lambda n: Status(413, "request_too_large") if n == 3 else Reply()),
}

SLOW = Creation("slow after", delay_seconds=0.6)
BATCH_MODES: dict[str, Mode] = {
    "well": creations(),
    "slow after accept": creations(SLOW),
    "reset after accept": creations(Creation("reset after"), Creation("reset after")),
    "reset before accept": creations(Creation(), Creation("reset before")),
    "500 after accept": creations(Creation("500 after")),
    "500 before accept": creations(Refusal(500)),
    "upload cut": cut_upload,
    "upload cut and told so": creations(Refusal(400, "invalid_request_error")),
    "429 with retry-after": creations(Refusal(429, LIMIT, headers={"retry-after": "0.01"})),
    "429 without retry-after": creations(Refusal(429, LIMIT)),
    "spend limit": creations(Creation(), Refusal(429, LIMIT, error_code=SPENT)),
    "529": creations(Refusal(529, "overloaded_error")),
    "413": creations(Refusal(413, "request_too_large")),
    "mixed": items(lambda n, first: Item("errored", "overloaded_error" if n % 2 else "invalid_request_error")
                   if n in (3, 6) and (first or n == 6) else Item("expired") if n == 9 and first else Item()),
    "shuffled": results(shuffled=True),
    "doubled": items(lambda n, first: Item(twice=True)),
    "missing": items(lambda n, first: Item("missing") if n in (2, 7) and first else Item()),
    "unknown": results(unknown=3),
    "cut": results(cut_at=[0.5, 0.9]),
    "expired": items(lambda n, first: Item("expired") if first else Item()),
    "a day passes": a_day_passes,
    "archived": archived,
    "strangers": strangers,
}  # fmt: skip
