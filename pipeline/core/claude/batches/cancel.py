"""Stop batches that are on their way: what the server has not begun is not billed, what it has is kept.

Only the server is told. The next run of a recipe collects what was answered all the same, with its own prices, and asks
again for the rest. So what was saved is said as a bound: what was reserved for the requests that were canceled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.core.claude.batches.desk import BatchDesk, Pacing
from pipeline.core.claude.batches.log import BatchLog, Landed, LoggedBatch, Sent
from pipeline.core.claude.batches.wire import BatchWire, ServerBatch, WireError
from pipeline.core.claude.ledger.ledger import Ledger
from pipeline.core.claude.prices import NANO, load_prices
from pipeline.core.claude.server.connection import connect
from pipeline.core.claude.server.endpoint import ANTHROPIC, foreign_endpoint
from pipeline.core.claude.server.setbacks import Setback
from pipeline.core.errors import RecipeError, ServiceError
from pipeline.core.process.keys import Mask

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """What became of one batch that was canceled. `saved_usd` is the most that its canceled requests could cost."""

    batch: str
    requests: int
    ended: bool  # False: the server finishes what it had begun
    canceled: int
    answered: int
    saved_usd: float


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What `cancel` did."""

    stopped: tuple[Stopped, ...]
    in_doubt: int  # batches of which it is not known whether they exist
    forgotten: tuple[str, ...]  # counted as spent, in doubt
    elsewhere: int  # batches at another address


class _Bystander:
    """An owner of a desk that only looks."""

    def landed(self, batch: LoggedBatch, landed: Landed) -> None: ...

    def absent(self, batch: LoggedBatch, left: Sequence[Sent]) -> None: ...

    def lost(self, left: Sequence[Sent], setback: Setback) -> None: ...

    def ended(self, batch: LoggedBatch) -> None: ...


def cancel_batches(
    path: Path, *, say: Callable[[str], None], forget: Sequence[str] = (), wait_seconds: float = 30.0,
    pacing: Pacing | None = None,
) -> Cancellation:  # fmt: skip
    """Cancel all batches of a ledger that are on their way; wait a while for them to end.

    `forget` names batches that the server does not know: they are counted as spent, in doubt. BusyError while a run
    collects.
    """
    if not path.exists():
        raise RecipeError(f"{path}: there is no ledger, so nothing was ever sent. Give --workspace.")
    endpoint, pacing = foreign_endpoint(), pacing or Pacing()
    with Ledger(path) as ledger:
        log = BatchLog(ledger)
        unsettled = log.unsettled()
        here = {batch.key: batch for batch in unsettled if batch.endpoint == (endpoint or ANTHROPIC)}
        if not here:
            return Cancellation((), 0, (), len(unsettled))
        client = connect(timeout_seconds=TIMEOUT_SECONDS, endpoint=endpoint)
        try:
            desk = BatchDesk(
                log=log, wire=BatchWire(client, mask=Mask(base_url=str(client.base_url))), prices=load_prices(),
                endpoint=endpoint or ANTHROPIC, today=date.today, say=say, pause=time.sleep, pacing=pacing,
                owner=_Bystander(), open=dict(here),
            )  # fmt: skip
            forgotten = _forget(desk, forget)
            desk.find_doubted()
            stopped = _stop(desk, wait_seconds=wait_seconds, pacing=pacing)
            doubted = sum(batch.server_id is None for batch in desk.open.values())
        finally:
            client.close()
    return Cancellation(tuple(stopped), doubted, tuple(forgotten), len(unsettled) - len(here))


def _forget(desk: BatchDesk, ids: Sequence[str]) -> list[str]:
    named = {batch.server_id: batch for batch in desk.open.values()}
    for id in ids:
        if id not in named:
            raise RecipeError(f"--forget {id}: no batch of that name is on its way. Leave it out.")
        try:
            desk.wire.look_up(id)
        except WireError as trouble:
            if trouble.status != 404:
                desk.bear(trouble)
                raise ServiceError(f"Claude: {trouble.setback.reason}. Nothing was forgotten; try again.") from None
            desk.give_up(named[id], "the server does not know it, and it was forgotten by hand")
        else:
            raise RecipeError(f"--forget {id}: the server knows this batch. Leave it out to cancel it.")
    return list(ids)


def _stop(desk: BatchDesk, *, wait_seconds: float, pacing: Pacing) -> list[Stopped]:
    """Cancel what is not over, and look until all has ended or the time is up."""
    states: dict[int, ServerBatch] = {}
    batches = [batch for batch in desk.open.values() if batch.server_id is not None]
    deadline = time.monotonic() + wait_seconds
    for batch in batches:
        states[batch.key] = _ask(desk, batch, cancel=True)
    while not all(state.ended for state in states.values()) and time.monotonic() < deadline:
        desk.pause(pacing.poll_seconds)
        states |= {batch.key: _ask(desk, batch) for batch in batches if not states[batch.key].ended}
    return [_stopped(desk, batch, states[batch.key]) for batch in batches]


def _ask(desk: BatchDesk, batch: LoggedBatch, *, cancel: bool = False) -> ServerBatch:
    assert batch.server_id is not None
    try:
        found = desk.wire.look_up(batch.server_id)
        return desk.wire.cancel(batch.server_id) if cancel and not found.ended else found
    except WireError as trouble:
        if trouble.status == 404:
            raise desk.unknown(batch) from None
        raise trouble.setback.error or ServiceError(
            f"Claude: batch {batch.server_id} cannot be canceled ({trouble.setback.reason}). Run again."
        ) from None


def _stopped(desk: BatchDesk, batch: LoggedBatch, state: ServerBatch) -> Stopped:
    reserved = sum(sent.reserved_nano for sent in desk.log.sent(batch.key).values())
    share = state.canceled / batch.size
    return Stopped(
        batch=state.id, requests=batch.size, ended=state.ended, canceled=state.canceled, answered=state.succeeded,
        saved_usd=reserved * share / NANO,
    )  # fmt: skip
