"""`url@datatrove-0.10` and datatrove's URLFilter on made addresses: differences and speed.

    python -m tests.filters.conformance.real_urls --addresses 100000

Addresses look as those of a crawl, each host another one; one in ten is made of datatrove's lists. Times are processor
seconds of one process, the same addresses on both sides, lists loaded and kernels compiled before. Ours reads the
address out of its JSON and measures every rule; datatrove is handed the address and stops at the first rule that fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import pyarrow as pa
from datatrove.data import Document

from pipeline.store.dataset.decide import failures
from tests.filters.conformance.theirs import judged_by_us
from tests.filters.conformance.urls import batch_of, from_lists, plain, prepared, their_url_filter

BATCH = 2000  # addresses


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--addresses", type=int, default=100_000, help="how many")
    warnings.simplefilter("ignore", DeprecationWarning)  # of tldextract, once for every address
    urls = plain(parser.parse_args().addresses)
    urls[::10] = from_lists(len(urls[::10]))
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = prepared(Path(folder)), their_url_filter(Path(folder))
        rules = ours.rules(quantile=lambda signal, fraction: 0.0)
        judged_by_us(ours, batch_of(urls[:BATCH]))
        batches = [batch_of(urls[first : first + BATCH]) for first in range(0, len(urls), BATCH)]
        documents = [Document(text="", id="", metadata={"url": url}) for url in urls]
        start = time.process_time()
        for batch in batches:
            failures(rules, pa.table(dict(ours.measure(batch).signals)))
        middle = time.process_time()
        answers = [theirs.filter(document) for document in documents]
        our_seconds, their_seconds = middle - start, time.process_time() - middle
        verdicts = [verdict for batch in batches for verdict in judged_by_us(ours, batch).verdicts]
    expected = [None if answer is True else answer[1] for answer in answers]
    differences = sum(one != other for one, other in zip(verdicts, expected, strict=True))
    reasons = Counter(verdict or "kept" for verdict in expected)
    each = (1e6 * seconds / len(urls) for seconds in (our_seconds, their_seconds))
    sys.stdout.write(f"{len(urls)} addresses, {differences} differences: {dict(reasons.most_common())}\n")
    sys.stdout.write(
        "ours {:.2f} us each, theirs {:.2f}; ratio ".format(*each) + f"{their_seconds / our_seconds:.1f}\n"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
