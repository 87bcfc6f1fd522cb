"""What became of requests: each answer as read, with what it cost, or why there is none; useless ones in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.claude.ledger.ledger import State, StoredAnswer
from pipeline.core.claude.messages.answer import Status, read_answer
from pipeline.core.claude.messages.request import Request
from pipeline.core.claude.prices import NANO
from pipeline.core.errors import TamisError
from pipeline.core.files.writing.durable import write_text


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request. `data` is set where a schema was asked for and met; `reason` where it was not."""

    request_id: str
    status: Status
    data: Mapping[str, Any] | None = None
    text: str = ""
    reason: str = ""
    raw: bytes = b""
    usage: Mapping[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0
    from_ledger: bool = False


STATES: dict[Status, State] = {
    "parsed": "PARSED", "invalid": "INVALID", "refused": "REFUSED", "truncated": "TRUNCATED", "errored": "ERRORED",
}  # fmt: skip


def bought_answer(request: Request, stored: StoredAnswer | None, *, from_ledger: bool, failure: str = "") -> Answer:
    """Read what the ledger has of a request; without an answer it is `errored`, by its failure."""
    if stored is None:
        return Answer(request.id, "errored", reason=failure)
    reading = read_answer(stored.raw, schema=request.schema, way=request.way)
    return Answer(
        request.id, reading.status, data=reading.data, text=reading.text, reason=reading.reason, raw=stored.raw,
        usage=stored.usage, cost_usd=stored.cost_nano / NANO, from_ledger=from_ledger,
    )  # fmt: skip


def show_useless(path: Path, error: TamisError, useless: Sequence[Answer]) -> None:
    """Write the useless answers of a purchase that was stopped where they can be read, and name the place."""
    if useless:
        lines = [
            json.dumps({"request": answer.request_id, "status": answer.status, "reason": answer.reason,
                        "answer": answer.text or answer.raw.decode(errors="replace")}, ensure_ascii=False)
            for answer in useless
        ]  # fmt: skip
        write_text(path, "".join(f"{line}\n" for line in lines))
        error.add_note(f"{len(useless)} useless answers are in {path}, such as {useless[0].text[:200]!r}")
