"""Addresses to compare by: what a parser of addresses trips over, and entries of datatrove's own lists in disguise."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from filters.conformance.blocklists import ARCHIVE, BANNED, SOFT, SUBWORDS, assets, suffix_extractor
from filters.conformance.url import Url
from pipeline.core import rng
from pipeline.core.text.batch import Batch

SCHEMES = [
    "http://",
    "https://",
    "HTTP://",
    "//",
    "ftp://",
    "a+b-c.d://",
    "a_b://",
    "://",
    "http:/",
    "http:",
    "x//",
    "",
]
USERS = ["user:pw@", "@", "a@b@", ":80@", "", "", "", ""]
LABELS = ["", "", "www.", ".", "a."]
HOSTS = [
    "example.com", "www.Example.COM", "a.b.co.uk", "co.uk", "com", "localhost", "x.ck", "www.ck", "b.a.ck", "!www.ck",
    "*.ck", "a.kawasaki.jp", "city.kawasaki.jp", "blogspot.com", "a.blogspot.com", "xn--p1ai", "a.xn--p1ai", "XN--P1AI",
    "xn--", "xn--\u00e9.com", "a.\u0440\u0444", "b\u00fccher.de", "\u516c\u53f8.cn", "a\u3002com", "a\uff0ecom",
    "a\uff61com\u3002", "1.2.3.4", "256.1.1.1", "1.2.3.4.5", "[::1]", "[::1", "[a.com]", "]a.com", "a..com", ".com",
    "..a.com", "a.com.", "a.com..", " a.com ", "a.com\x1f", "\x85a.com", "\u0130.com", "stra\u00dfe.de", "k12.ma.us",
    "-.com", "_.org", "%61.com", "a,b.com",
]  # fmt: skip
PORTS = [":80", ":", ":x", ":80:90", "", "", "", ""]
PATHS = [
    *"/?#&=.-_~%+ 7\0\n",
    "/a",
    "index.html",
    "?q=1",
    "#top",
    "//",
    "http://x.org",
    "\u00e9",
    "\u4e2d",
    "\U0001f600",
]
NAMES = ["news", "blog", "shop", "my", "the", "data", "green", "house", "river", "daily", "tech", "garden", "stone"]
ENDS = ["com", "org", "co.uk", "de", "fr", "net", "com.au"]


def prepared(shared: Path) -> Url:
    """Return our step with datatrove's lists."""
    step = Url(params=Url.Params())
    step.shared = shared
    step.prepare({})
    return step


def their_url_filter(folder: Path) -> Any:
    """Return datatrove's filter with its lists, unpacked there and in no cache of the user's, without the network."""
    from datatrove.pipeline.filters import url_filter

    with patch.object(url_filter, "cached_assets_path", lambda **place: str(folder)):
        made = url_filter.URLFilter()
        made.tldextractor = suffix_extractor()
        made.download_data()
    return made


def batch_of(urls: Sequence[str | None]) -> Batch:
    """Return documents from these addresses."""
    metadata = ["{}" if url is None else json.dumps({"url": url}, ensure_ascii="\ud800" in url) for url in urls]
    ids = [str(row) for row in range(len(urls))]
    return Batch(ids=pa.array(ids), text=pa.array(ids, pa.large_string()), metadata=pa.array(metadata, pa.string()))


@cache
def entries(member: str) -> list[str]:
    """Return every 50th domain of datatrove's list, or all its addresses."""
    with tarfile.open(assets().folder / ARCHIVE, "r:gz") as files:
        found = files.extractfile(member)
        assert found is not None
        return found.read().decode().split("\n")[:: 50 if member == "domains" else 1]


@cache
def words(name: str) -> list[str]:
    """Return one of datatrove's lists of words."""
    return assets().words(name)


def addresses() -> st.SearchStrategy[str]:
    """Return addresses glued from odd pieces, a listed domain or a listed word here and there; none is blank."""
    listed = st.sampled_from(entries("domains"))
    host = st.one_of(st.sampled_from(HOSTS), st.sampled_from(HOSTS), listed, listed.map(str.upper), st.text(max_size=6))
    word = st.sampled_from([word for name in (BANNED, SOFT, SUBWORDS) for word in words(name)])
    piece = st.one_of(st.sampled_from(PATHS), st.sampled_from(PATHS), word, word.map(str.upper), st.text(max_size=4))
    before = (st.sampled_from(choices) for choices in (SCHEMES, USERS, LABELS))
    path = st.lists(piece, max_size=6).map("".join)
    glued = st.tuples(*before, host, st.sampled_from(PORTS), path).map("".join)
    return st.one_of(glued, glued, glued, st.text(max_size=12), st.sampled_from(entries("urls"))).filter(str.strip)


def from_lists(count: int) -> list[str]:
    """Return addresses made of what datatrove lists: domains, their subdomains, addresses, words, subwords cut up."""
    draw = rng.generator(10, "addresses")
    return [_disguised(kind % 10, draw) for kind in range(count)]


def plain(count: int) -> list[str]:
    """Return addresses as a crawl has them, of which nearly none is listed."""
    draw = rng.generator(11, "addresses")
    return [
        f"https://www.{_one(NAMES, draw)}{_one(NAMES, draw)}{number}.{_one(ENDS, draw)}/{_one(NAMES, draw)}/"
        f"{'-'.join(_one(NAMES, draw) for _ in range(5))}-{number}.html"
        for number in range(count)
    ]


def _one(choices: Sequence[str], draw: np.random.Generator) -> str:
    return choices[int(draw.integers(len(choices)))]


def _cut(word: str, draw: np.random.Generator) -> str:
    return "".join(letter + _one(["", "", "", "-", "_", "/", ".", "\u00e9", "%"], draw) for letter in word)


def _disguised(kind: int, draw: np.random.Generator) -> str:
    domain, url = _one(entries("domains"), draw), _one(entries("urls"), draw)
    banned, soft, subwords = (words(name) for name in (BANNED, SOFT, SUBWORDS))
    ways: list[Any] = [
        lambda: f"http://{domain}/",
        lambda: f"https://a.{domain}:8080/b?c#d",
        lambda: f"HTTP://{domain.title()}/x",
        lambda: url + _one(["", "", "/", "?", " "], draw),
        lambda: f"https://x.org/{_one(banned, draw)}/y",
        lambda: f"https://x.org/{_one(banned, draw).title()}.{_one(soft, draw)}-{_one(soft, draw)}",
        lambda: f"http://{_one(soft, draw)}.com/{_one(soft, draw)}/{_one(soft, draw).upper()}",
        lambda: f"http://x.co.uk/{_cut(_one(subwords, draw), draw)}",
        lambda: f"//u:p@{domain}.:80/{_cut(_one(subwords, draw), draw).upper()}",
        lambda: domain,
    ]
    made: str = ways[kind]()
    return made
