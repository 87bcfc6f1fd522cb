"""Documents -> documents without e-mail and public IPv4 addresses, as datatrove 0.10's PIIFormatter writes them.

Its two regular expressions, addresses and replacements are kept. It takes replacements in turn for as long as the
object lives, so there a document's text depends on those before it, on the number of tasks and on restarts; here the
turn begins anew with every document, which is what a new PIIFormatter would write. `Rewriter` is the rule without
the restart: carried through the documents of one rank, it gives that rank's text.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numba import njit
from pydantic import Field

from pipeline.core.step import Measured, MeasuringStep, Signal
from pipeline.core.step import Params as BaseParams
from pipeline.core.text import Batch

PLACE = "datatrove 0.10, formatters/pii.py."
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_OCTET = r"25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?"
EMAIL = re.compile(
    rf"\b{_LOCAL}(?:\.{_LOCAL})*@(?:(?:{_LABEL}\.)+{_LABEL}"
    rf"|\[(?:(?:{_OCTET})\.){{3}}(?:{_OCTET}|[A-Za-z0-9-]*[A-Za-z0-9]:)])"
)
ADDRESS = re.compile(rf"(?:(?:{_OCTET})\.){{3}}(?:{_OCTET})")
EMAILS = ("email@example.com", "firstname.lastname@example.org")
ADDRESSES = (  # random ones that answered nobody when datatrove's authors drew them
    "22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168",
)  # fmt: skip
MAY_HOLD_EMAIL, MAY_HOLD_ADDRESS = 1, 2


@dataclass(slots=True)
class Rewriter:
    """Replaces addresses, the replacements in turn; `num_emails` and `num_addresses` count since it was made."""

    emails: bool = True
    addresses: bool = True
    public_only: bool = True
    num_emails: int = 0
    num_addresses: int = 0

    def rewrite(self, text: str) -> str:
        """Return the text with every address replaced."""
        text = EMAIL.sub(self._email, text) if self.emails else text
        return ADDRESS.sub(self._address, text) if self.addresses else text

    def _email(self, match: re.Match[str]) -> str:
        self.num_emails += 1
        return EMAILS[(self.num_emails - 1) % len(EMAILS)]

    def _address(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            return match[0]
        if self.public_only and not address.is_global:
            return match[0]
        self.num_addresses += 1
        return ADDRESSES[(self.num_addresses - 1) % len(ADDRESSES)]


class Pii(MeasuringStep):
    """Replace e-mail and IPv4 addresses as datatrove 0.10 does."""

    name = "pii@datatrove-0.10"
    edits = True
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
        p = self.params
        emails, addresses = np.zeros(len(batch), np.int64), np.zeros(len(batch), np.int64)
        texts: list[str | None] = [None] * len(batch)
        wanted = p.remove_emails * MAY_HOLD_EMAIL | p.remove_ips * MAY_HOLD_ADDRESS
        for row in np.flatnonzero(suspects(batch.data, batch.offsets) & wanted).tolist():
            rewriter = Rewriter(p.remove_emails, p.remove_ips, p.only_remove_public_ips)
            text = batch.text[row].as_py()
            rewritten = rewriter.rewrite(text)
            texts[row] = None if rewritten == text else rewritten
            emails[row], addresses[row] = rewriter.num_emails, rewriter.num_addresses
        return Measured(
            signals={"num_emails": emails, "num_ips": addresses}, text=pa.array(texts, type=pa.large_string())
        )


@njit(cache=True, nogil=True)
def suspects(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return uint8[num_docs]: MAY_HOLD_EMAIL with an `@`, MAY_HOLD_ADDRESS with three full stops between digits."""
    found = np.zeros(len(offsets) - 1, np.uint8)
    for doc in range(len(offsets) - 1):
        stops = 0
        at_signs = 0
        for at in range(offsets[doc], offsets[doc + 1]):
            at_signs += data[at] == 0x40
            if data[at] == 0x2E and at > offsets[doc] and at + 1 < offsets[doc + 1]:
                stops += 0x30 <= data[at - 1] <= 0x39 and 0x30 <= data[at + 1] <= 0x39
        found[doc] = (at_signs > 0) * MAY_HOLD_EMAIL | (stops >= 3) * MAY_HOLD_ADDRESS
    return found
