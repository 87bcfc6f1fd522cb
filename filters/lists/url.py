"""Documents -> whether the page that each comes from stands on a list of domains, addresses or words.

The address is the metadata field `url`, or else the id where that is one. Lists are the user's files; none is shipped,
and all workers share one copy of each in memory. A listed domain stands for itself and all below it, so `x.org` blocks
`a.b.x.org` and no list of public suffixes, which would change with the network, is needed. Addresses are compared
without scheme, user, port 80 or 443, `www.`, fragment and closing slash, hosts and words without case: known faults of
the reference (`/PORN` passes where `/porn` does not, `x.org/y/` differs from `x.org/y`). A document without an address
is kept: nothing was measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from filters.lists.addresses import SCHEME, addresses
from filters.lists.word_lists import HashedList, entries_of, hashes_of
from pipeline.core.errors import DataError
from pipeline.core.step import Measured, MeasuringStep, Quantile, Rule, Signal, decides, input_names
from pipeline.core.step import Params as BaseParams
from pipeline.core.text.batch import Batch

LISTS = ("domains", "urls", "words")
MAX_LENGTH = 4096  # characters of an address that are looked at: browsers and servers cut off earlier
MAX_LABELS = 32  # of a host that are looked up, from the right
_PLAIN_HOST = re.compile(r"(?!www\.)[a-z0-9-]+(\.[a-z0-9-]+)+")  # as nearly all entries of domain lists are
_NO_WORD = re.compile(r"[\W_]+")


class Url(MeasuringStep):
    """Drop documents by the address that they come from."""

    name = "url"
    needs = ("metadata",)
    signals = (
        Signal("url", pa.string(), "text", "The address that was looked up; null without one."),
        Signal("domain_listed", pa.int8(), "0 or 1", "1 if its host or a domain above it is listed."),
        Signal("url_listed", pa.int8(), "0 or 1", "1 if the address is listed."),
        Signal("num_listed_words", pa.int32(), "words", "Different listed words between its signs."),
    )

    class Params(BaseParams):
        domains: tuple[str, ...] = input_names((), description="Files of domains, one a line, plain or .gz.")
        urls: tuple[str, ...] = input_names((), description="Files of addresses, one a line, plain or .gz.")
        words: tuple[str, ...] = input_names((), description="Files of words, one a line, plain or .gz.")
        field: str = Field(default="url", description="Metadata field that holds the address.")
        max_listed_words: int = decides(0, ge=0, description="Listed words that a kept document's address may have.")

        @model_validator(mode="after")
        def _some_list(self) -> Self:
            if not any(getattr(self, name) for name in LISTS):
                raise ValueError("needs a list of `domains`, `urls` or `words`")
            return self

    params: Params

    def rules(self, *, quantile: Quantile) -> tuple[Rule, ...]:
        """Return a rule for each list that is given."""
        rules = (
            Rule("blocked_domain", "domain_listed", "<=", 0),
            Rule("blocked_url", "url_listed", "<=", 0),
            Rule("blocked_words", "num_listed_words", "<=", self.params.max_listed_words, "max_listed_words"),
        )
        return tuple(rule for rule, name in zip(rules, LISTS, strict=True) if getattr(self.params, name))

    def prepare(self, inputs: Mapping[str, Sequence[Path]]) -> None:
        """Read the lists, or map them where another worker has; DataError if one that is given holds nothing."""
        ways = (host_of, lambda entry: "".join(split_url(entry)), str.casefold)
        self._lists = []
        for name, normalise in zip(LISTS, ways, strict=True):
            paths = inputs.get(name, ())
            found = HashedList.once(
                self.shared if paths else None,
                kind=f"url-{name}",
                version=self.version,
                paths=paths,
                build=partial(_read, paths, normalise=normalise),
            )
            if paths and not len(found.hashes):
                raise DataError(f"{paths[0]}: holds no entry for `{name}` of url. Name another file or take it out.")
            self._lists.append(found)

    def measure(self, batch: Batch) -> Measured:
        found = addresses(batch, field=self.params.field).to_pylist()
        urls = [None if url is None else url.strip() for url in found]
        there = np.array([url is not None for url in urls], np.bool_)
        split = [split_url(url) for url in urls if url is not None]
        looked_up = (
            [parents(host) for host, _ in split],
            [[host + path] for host, path in split],
            [words_in(host + path) for host, path in split],
        )
        counts = np.zeros((len(LISTS), len(batch)), np.int32)
        for row, (strings, listed) in enumerate(zip(looked_up, self._lists, strict=True)):
            counts[row, there] = _count_listed(strings, listed)
        unknown = ~there
        return Measured(
            signals={
                "url": pa.array(urls, pa.string()),
                "domain_listed": pa.array((counts[0] > 0).astype(np.int8), mask=unknown),
                "url_listed": pa.array(counts[1].astype(np.int8), mask=unknown),
                "num_listed_words": pa.array(counts[2], mask=unknown),
            }
        )


def _read(paths: Sequence[Path], *, normalise: Callable[[str], str]) -> HashedList:
    return HashedList.of(entries_of(paths), normalise=normalise)


def host_of(entry: str) -> str:
    """Return the host of an address or domain as it is compared."""
    return entry if _PLAIN_HOST.fullmatch(entry) else split_url(entry)[0]


def split_url(url: str) -> tuple[str, str]:
    """Return (host, rest) as they are compared: host in lower case, rest with its first slash and without its last."""
    url = url.strip()[:MAX_LENGTH]
    scheme = SCHEME.match(url)
    url = (url[scheme.end() :] if scheme else url.removeprefix("//")).partition("#")[0]
    cut = min((place for place in map(url.find, "/?") if place >= 0), default=len(url))
    host, rest = url[:cut].rpartition("@")[2].casefold(), url[cut:]
    host = re.sub(r":(80|443)?$", "", host).rstrip(".").removeprefix("www.")
    if not host.isascii():
        with suppress(UnicodeError):  # no name that a registry would accept is compared as it stands
            host = host.encode("idna").decode()
    path, question, query = rest.partition("?")
    return host, path.rstrip("/") + question + query if query else path.rstrip("/")


def parents(host: str) -> list[str]:
    """Return a host and the domains above it, longest first."""
    labels = host.partition(":")[0].split(".")[-MAX_LABELS:]
    return [".".join(labels[start:]) for start in range(len(labels))]


def words_in(url: str) -> list[str]:
    """Return the different words of an address, in lower case."""
    return sorted(set(_NO_WORD.split(url.casefold())) - {""})


def _count_listed(strings: Sequence[Sequence[str]], listed: HashedList) -> np.ndarray:
    """Return int32[len(strings)]: how many strings of each row are listed."""
    ends = np.cumsum([0, *map(len, strings)])
    if not len(listed.hashes):
        return np.zeros(len(strings), np.int32)
    hits = listed.holds(hashes_of([string for row in strings for string in row]))
    totals = np.concatenate([[0], np.cumsum(hits)])
    counts: np.ndarray = (totals[ends[1:]] - totals[ends[:-1]]).astype(np.int32)
    return counts
