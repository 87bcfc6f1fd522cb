"""Documents -> what datatrove 0.10's URLFilter says of the page that each comes from, by datatrove's lists.

Definitions are theirs: the registered domain, then the whole host, among the 4.56 million listed domains, the address
as it stands among the listed ones, words between what is no ASCII letter or digit. What `url` puts right is left as it
is: `/porn` is found and `/PORN` is not, nor are hosts in upper case or the address with another slash. Where the lists
and public suffixes come from: `blocklists.py`. datatrove stops at a document without an address; here nothing is
measured for it, so it is kept. There are no lists of the user's: `url` takes those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.conformance.blocklists import BANNED, SOFT, SUBWORDS, Trie, assets, suffix_extractor, suffix_table
from filters.lists.addresses import addresses
from filters.lists.word_lists import hashes_of, hashes_of_array
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

PLACE = "datatrove 0.10, url_filter.py."
FIELD = "url"  # of the metadata, as there
MEMORY_HOSTS = 1 << 16  # that are not plain, with tldextract's answer
MAX_REMEMBERED = 1024  # characters of one
MAX_LABEL = 255  # characters that tldextract is given: longer ones are listed nowhere, and take it quadratic time
_LONG_LABEL = re.compile(rf"[^\s.\u3002\uff0e\uff61@:\[\]]{{{MAX_LABEL + 1},}}")


class Url(MeasuringStep):
    """Drop documents by the address that they come from, as datatrove 0.10 does."""

    name = "url@datatrove-0.10"
    needs = ("metadata",)
    leans_on = ("tldextract",)
    signals = (
        Signal("domain_listed", pa.int8(), "0 or 1", "1 if its registered domain is listed; null without an address."),
        Signal("host_listed", pa.int8(), "0 or 1", "1 if its whole host is listed as a domain."),
        Signal("url_listed", pa.int8(), "0 or 1", "1 if the address is listed, letter for letter."),
        Signal("num_banned_words", pa.int32(), "words", "Different banned words in the address."),
        Signal("num_soft_words", pa.int32(), "words", "Different words in it that count only together."),
        Signal("has_banned_subword", pa.int8(), "0 or 1", "1 if letters and digits of it, joined, hold a subword."),
        Signal("banned_word", pa.string(), "text", "The first banned word; null without one."),
        Signal("banned_subword", pa.string(), "text", "The subword that ends first; null without one."),
    )

    class Params(BaseParams):
        soft_word_threshold: int = decides(
            2, ge=0, description=f"Different soft words with which an address is dropped. {PLACE}"
        )

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return the rules in datatrove's order and under its names."""
        return (
            Rule("domain", "domain_listed", "<=", 0),
            Rule("subdomain", "host_listed", "<=", 0),
            Rule("url", "url_listed", "<=", 0),
            Rule("hard_blacklisted", "num_banned_words", "<=", 0),
            Rule("soft_blacklisted", "num_soft_words", "<", self.params.soft_word_threshold, "soft_word_threshold"),
            Rule("blacklisted_subword", "has_banned_subword", "<=", 0),
        )

    def check_environment(self) -> None:
        assets()

    def identity_extras(self) -> dict[str, Any]:
        """Name the content of the installed lists."""
        return {**assets().identity(), **super().identity_extras()}

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Read or map the lists; RecipeError if datatrove's or tldextract's are missing."""
        from filters.conformance.blocklist_kernels import symbol_table

        found = assets()
        self._domains, self._urls = (
            found.addresses(name, shared=self.shared, version=self.version) for name in ("domains", "urls")
        )
        self._banned, soft, parts = (found.words(name) for name in (BANNED, SOFT, SUBWORDS))
        self._subwords = [word for word in parts if word]  # an empty one is never found, there too
        trie = Trie.of([*self._banned, *soft])
        words = trie.flat(), trie.numbers(self._banned), trie.numbers(soft)
        inside, ends = Trie.of(self._subwords).anywhere(self._subwords)
        self._tables = symbol_table(), words, (inside.flat(), ends)
        self._extract = suffix_extractor()
        self._suffixes = suffix_table(self._extract.tlds)
        self._remembered = lru_cache(maxsize=MEMORY_HOSTS)(self._asked)

    def measure(self, batch: Batch) -> Measured:
        from filters.conformance.blocklist_kernels import find_words

        urls = addresses(batch, field=FIELD)
        unknown = ~np.asarray(urls.is_valid())
        data, offsets = _buffers(urls)
        domains, hosts = self._host_hashes(data, offsets)
        listed = (self._domains.holds(domains), self._domains.holds(hosts), self._urls.holds(hashes_of_array(urls)))
        counts = find_words(data, offsets, *self._tables)
        flags = [pa.array(found.astype(np.int8), mask=unknown) for found in (*listed, counts[3] >= 0)]
        names = [
            pa.array(list_of_words, pa.string()).take(pa.array(numbers, mask=unknown | (numbers < 0)))
            for list_of_words, numbers in ((self._banned, counts[2]), (self._subwords, counts[3]))
        ]
        return Measured(
            signals={
                "domain_listed": flags[0],
                "host_listed": flags[1],
                "url_listed": flags[2],
                "num_banned_words": pa.array(counts[0], mask=unknown),
                "num_soft_words": pa.array(counts[1], mask=unknown),
                "has_banned_subword": flags[3],
                "banned_word": names[0],
                "banned_subword": names[1],
            }
        )

    def _host_hashes(self, data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the hashes of every address's registered domain and of its whole host, of '' where there is none."""
        from filters.conformance.blocklist_kernels import ASK, find_hosts
        from filters.lists.list_kernels import hash_spans

        starts, ends, domains, hosts, stops = find_hosts(data, offsets, *self._suffixes)
        asked = np.flatnonzero(domains == ASK)
        domains[asked] = 0
        hashed = hash_spans(data, domains, stops), hash_spans(data, hosts, stops)
        if len(asked):
            answers = [self._domains_of(data[starts[row] : ends[row]].tobytes().decode()) for row in asked]
            for values, place in zip(hashed, (0, 1), strict=True):
                values[asked] = hashes_of([answer[place] for answer in answers])
        return hashed

    def _domains_of(self, authority: str) -> tuple[str, str]:
        authority = _LONG_LABEL.sub(lambda label: label[0][:MAX_LABEL], authority)
        return (self._remembered if len(authority) <= MAX_REMEMBERED else self._asked)(authority)

    def _asked(self, authority: str) -> tuple[str, str]:
        """Return (registered domain, whole host) as tldextract cuts them out; '' where there is none."""
        found = self._extract(authority)
        return f"{found.domain}.{found.suffix}" if found.domain and found.suffix else "", found.fqdn


def _buffers(strings: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return (uint8 bytes, int32[len(strings) + 1]) of a string array that begins at offset 0."""
    _, offsets, data = strings.buffers()
    ends = np.frombuffer(offsets, np.int32)[: len(strings) + 1] if offsets else np.zeros(1, np.int32)
    return np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8), ends
