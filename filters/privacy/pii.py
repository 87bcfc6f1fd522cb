"""Documents -> documents without e-mail addresses, public IP addresses, phone and account numbers, and keys.

Definitions are ours: word boundaries on both sides, no address in `version 1.2.3.4`, checksums and known country
codes where a shape has them, nothing that is reserved for examples or private networks. Four small numbers such as
2.8.1.1 are a version unless they stand where an address does (`host=`, `[...]`, a port); one address in 500 has such
numbers. Instances of systemd units and SSH's algorithms (hmac-sha1-etm@openssh.com) are not mailboxes. Each kind has
one fixed replacement, itself an example reserved for documents (RFC 2606, 5737, 3849; the North American 555-01XX) or
a label, so a text's result depends on that text alone and cleaning twice changes nothing. To that end a text that
changed is searched again: jane@firm.io.GB82WEST12345698765432@ is no address until the account number is a label.
Names, street addresses and national phone numbers without a country code are not found: no shape tells them from other
words and numbers.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.core.step import EditingStep, Measured, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch, text_array

Kind = Literal["email", "ipv4", "ipv6", "phone", "iban", "key"]
# In the order of filters.privacy.pii_kernels: kind, signal, replacement, meaning.
KINDS: tuple[tuple[Kind, str, str, str], ...] = (
    ("email", "num_emails", "email@example.com", "E-mail addresses, those of example domains aside."),
    ("ipv4", "num_ipv4", "192.0.2.1", "Globally reachable IPv4 addresses, not numbers of versions or sections."),
    ("ipv6", "num_ipv6", "2001:db8::1", "IPv6 addresses of the global range 2000::/3, reserved blocks aside."),
    ("phone", "num_phones", "+1 202-555-0100", "Phone numbers with + and a country code in use, 8 to 15 digits."),
    ("iban", "num_ibans", "[IBAN]", "Account numbers of their country's length whose check digits are right."),
    ("key", "num_keys", "[KEY]", "Keys and tokens by their issuers' prefixes, web tokens, private key blocks."),
)


class Pii(EditingStep):
    """Replace personal data and secrets that have a shape, and count them."""

    name = "pii"
    version = 3
    signals = tuple(Signal(signal, pa.int64(), "matches", meaning) for _, signal, _, meaning in KINDS)

    class Params(BaseParams):
        kinds: tuple[Kind, ...] = Field(
            default=tuple(kind for kind, *_ in KINDS), min_length=1, description="What to look for and replace."
        )
        max_per_kind: int | None = decides(
            None, ge=0, description="Most matches of one kind in a kept document, count; null: any number."
        )

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return one rule for each kind that is looked for; none without a limit."""
        limit = self.params.max_per_kind
        if limit is None:
            return ()
        return tuple(
            Rule(f"many_{signal.removeprefix('num_')}", signal, "<=", limit, "max_per_kind")
            for kind, signal, *_ in KINDS
            if kind in self.params.kinds
        )

    def measure(self, batch: Batch) -> Measured:
        from filters.privacy.pii_kernels import count_kinds, find_spans, replace_spans

        wanted = sum(1 << row for row, (kind, *_) in enumerate(KINDS) if kind in self.params.kinds)
        fillers = [replacement.encode() for _, _, replacement, _ in KINDS]
        joined, starts = np.frombuffer(b"".join(fillers), np.uint8), np.cumsum([0, *map(len, fillers)])
        spans, doc_spans = find_spans(batch.data, batch.offsets, wanted)
        counts = count_kinds(spans, doc_spans)
        changed = np.diff(doc_spans) > 0
        data, offsets = replace_spans(batch.data, batch.offsets, spans, doc_spans, changed, joined, starts)
        # What is gone may have hidden what stood before it. This ends: no filler is a match, so each takes bytes away
        # that were there from the start.
        while True:
            spans, doc_spans = find_spans(data, offsets, wanted)
            if not len(spans):
                break
            counts += count_kinds(spans, doc_spans)
            data, offsets = replace_spans(data, offsets, spans, doc_spans, changed, joined, starts)
        signals = {
            signal: counts[row] if wanted >> row & 1 else pa.nulls(len(batch), pa.int64())
            for row, (_, signal, *_) in enumerate(KINDS)
        }
        return Measured(signals=signals, text=text_array(data, offsets, present=changed))


def find_personal(data: bytes) -> list[tuple[int, int, bytes]]:
    """Return where personal data of any kind stands in a text, in order: first byte, the byte past it, its filler."""
    from filters.privacy.pii_kernels import find_spans

    every = (1 << len(KINDS)) - 1
    spans, _ = find_spans(np.frombuffer(data, np.uint8), np.array([0, len(data)], np.int64), every)
    return [(first, past, KINDS[kind][2].encode()) for kind, first, past in spans.tolist()]
