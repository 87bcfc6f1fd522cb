"""Documents -> documents without e-mail and public IPv4 addresses, as datatrove 0.10's PIIFormatter writes them.

What its two regular expressions match is found by kernels (`pii_kernels.py`); addresses and replacements are kept. It
takes replacements in turn for as long as the object lives, so there a document's text depends on those before it, on
the number of tasks and on restarts; here the turn begins anew with every document, which is what a new PIIFormatter
would write.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.core.step import EditingStep, Measured, Signal
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch, text_array

PLACE = "datatrove 0.10, formatters/pii.py."
EMAILS = (b"email@example.com", b"firstname.lastname@example.org")
ADDRESSES = (  # random ones that answered nobody when datatrove's authors drew them
    b"22.214.171.124", b"126.96.36.199", b"188.8.131.52", b"184.108.40.206", b"220.127.116.11", b"18.104.22.168",
)  # fmt: skip
REPLACEMENTS = np.frombuffer(b"".join(EMAILS + ADDRESSES), np.uint8)
REPLACEMENT_STARTS = np.cumsum([0, *map(len, EMAILS + ADDRESSES)])
REMEMBERED_ADDRESSES = 1 << 14


class Pii(EditingStep):
    """Replace e-mail and IPv4 addresses as datatrove 0.10 does."""

    name = "pii@datatrove-0.10"
    signals = (
        Signal("num_emails", pa.int64(), "addresses", "E-mail addresses replaced."),
        Signal("num_ips", pa.int64(), "addresses", "IPv4 addresses replaced."),
    )

    class Params(BaseParams):
        remove_emails: bool = Field(default=True, description=f"Replace e-mail addresses. {PLACE}")
        remove_ips: bool = Field(default=True, description=f"Replace IPv4 addresses. {PLACE}")
        only_remove_public_ips: bool = Field(default=True, description=f"Leave private IPv4 addresses. {PLACE}")

    params: Params

    def measure(self, batch: Batch) -> Measured:
        from filters.conformance.pii_kernels import ADDRESS, EMAIL, find_matches, take_turns
        from filters.privacy.pii_kernels import replace_spans
        from pipeline.core.text.characters import character_table

        p = self.params
        wanted = p.remove_emails * EMAIL | p.remove_ips * ADDRESS
        spans, doc_spans = find_matches(batch.data, batch.offsets, wanted, character_table())
        replaced = np.ones(len(spans), np.bool_)
        for row in np.flatnonzero(spans[:, 0] == ADDRESS).tolist():
            address = batch.data[spans[row, 1] : spans[row, 2]].tobytes()
            replaced[row] = is_replaced(address, public_only=p.only_remove_public_ips)
        spans, doc_spans, counts = take_turns(spans, doc_spans, replaced, len(EMAILS), len(ADDRESSES))
        changed = np.diff(doc_spans) > 0
        data, offsets = replace_spans(
            batch.data, batch.offsets, spans, doc_spans, changed, REPLACEMENTS, REPLACEMENT_STARTS
        )
        return Measured(
            signals={"num_emails": counts[0], "num_ips": counts[1]},
            text=text_array(data, offsets, present=changed),
        )


@lru_cache(REMEMBERED_ADDRESSES)
def is_replaced(address: bytes, *, public_only: bool) -> bool:
    """Say whether four numbers are an address to Python (no zeros in front), and a public one if only those count."""
    try:
        found = ipaddress.ip_address(address.decode())
    except ValueError:
        return False
    return not public_only or found.is_global
