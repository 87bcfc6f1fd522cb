"""Blocklists of addresses: what is compared, what stands below a domain, where the address is found."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.lists.url import Url, split_url
from pipeline.core.errors import DataError
from pipeline.core.text.batch import Batch
from tests.pipeline.house import House
from tests.timing import slowness

DOMAINS = "# bad ones\nbad.org\nWWW.Shop.Example.com\n\nb\u00fccher.de\n1.2.3.4\n"
URLS = "http://fine.org/Bad/\nfine.org/list?page=2\n"
WORDS = "casino\nPorn\n"


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "domains.txt").write_text(DOMAINS, encoding="utf-8")
    (tmp_path / "urls.txt.gz").write_bytes(gzip.compress(URLS.encode()))
    (tmp_path / "words.txt").write_text(WORDS)
    return {name.partition(".")[0]: tmp_path / name for name in ("domains.txt", "urls.txt.gz", "words.txt")}


def prepared(lists: dict[str, Path], **params: object) -> Url:
    step = Url(params=Url.Params.parse({**{name: [str(path)] for name, path in lists.items()}, **params}))
    step.prepare({name: [path] for name, path in lists.items()})
    return step


def measured(step: Url, urls: Sequence[str | None]) -> dict[str, list[object]]:
    metadata = pa.array(["{}" if url is None else json.dumps({"url": url}) for url in urls])
    batch = Batch(
        ids=pa.array([f"d{row}" for row in range(len(urls))]),
        text=pa.array(["text"] * len(urls), pa.large_string()),
        metadata=metadata,
    )
    return {name: pa.array(values).to_pylist() for name, values in step.measure(batch).signals.items()}


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        ("https://bad.org/x", 1),
        ("HTTP://User:pw@A.B.BAD.org.:443/x", 1),
        ("//bad.org", 1),
        ("bad.org", 1),
        ("http://notbad.org/bad.org", 0),
        ("http://bad.org.uk", 0),
        ("http://shop.example.com/", 1),
        ("http://example.com/", 0),
        ("http://xn--bcher-kva.de/", 1),
        ("http://b\u00fccher.de/", 1),
        ("http://1.2.3.4/x", 1),
        ("http://bad.org:8080/x", 1),
        ("", None),
    ],
)
def test_a_domain_stands_for_all_below_it(lists: dict[str, Path], url: str, listed: int | None) -> None:
    assert measured(prepared(lists), [url])["domain_listed"] == [listed]


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        ("https://www.fine.org/Bad", 1),
        ("http://fine.org/Bad/#top", 1),
        ("http://fine.org/bad", 0),
        ("http://fine.org/Bad/more", 0),
        ("http://fine.org/list/?page=2", 1),
        ("http://fine.org/list", 0),
    ],
)
def test_an_address_is_the_same_with_and_without_its_trimmings(lists: dict[str, Path], url: str, listed: int) -> None:
    assert measured(prepared(lists), [url])["url_listed"] == [listed]


def test_words_count_once_and_whatever_their_case(lists: dict[str, Path]) -> None:
    urls = ["http://x.org/CASINO/casino-porn", "http://casino.org/", "http://x.org/casinos"]

    assert measured(prepared(lists), urls)["num_listed_words"] == [2, 1, 0]


def test_a_document_without_an_address_has_no_values(lists: dict[str, Path]) -> None:
    found = measured(prepared(lists), [None, "http://bad.org"])

    assert found == {
        "url": [None, "http://bad.org"], "domain_listed": [None, 1], "url_listed": [None, 0],
        "num_listed_words": [None, 0],
    }  # fmt: skip


def test_only_given_lists_have_rules(lists: dict[str, Path]) -> None:
    step = prepared({"words": lists["words"]}, max_listed_words=2)

    (rule,) = step.rules(quantile=lambda signal, fraction: 0.0)

    assert (rule.name, rule.threshold) == ("blocked_words", 2)
    assert step.params.of_role("measure") == {}


def test_the_engine_hands_metadata_and_ids_to_the_step(tmp_path: Path) -> None:
    """An editing step before it must not lose the metadata, and an id that is an address counts where no field is."""
    house = House(tmp_path)
    (tmp_path / "bad.txt").write_text("bad.org\n")
    rows = [
        {"id": "a", "text": "write to me@firm.io", "url": "http://x.bad.org/"},
        {"id": "http://bad.org/1", "text": "two"},
        {"id": "c", "text": "three", "url": "http://good.org"},
        {"id": "d", "text": "four"},
    ]
    house.lines("docs.jsonl", rows)
    house.clean(["pii", "url: {domains: [DIR/bad.txt]}"], source="{read: jsonl, path: DIR/docs.jsonl, id: id}")

    house.run()

    assert [row["id"] for row in house.documents()] == ["c", "d"]
    assert house.card().dropped == {"url.blocked_domain": 2}
    assert [path.name[:12] for path in house.workspace.prepared.glob("*.hashes")] == ["url-domains-"]


def test_the_shared_copy_of_a_list_follows_its_content(lists: dict[str, Path], tmp_path: Path) -> None:
    step = Url(params=Url.Params.parse({"domains": [str(lists["domains"])]}))
    step.shared = tmp_path / "shared"
    answers = []
    for domains in ("bad.org\n", "worse.org\n", "bad.org\n"):
        lists["domains"].write_text(domains)
        step.prepare({"domains": [lists["domains"]]})
        answers.append(measured(step, ["http://bad.org/"])["domain_listed"])

    assert answers == [[1], [0], [1]]
    assert len(list((tmp_path / "shared").glob("*.hashes"))) == 2


def test_a_step_without_a_list_or_with_an_empty_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n")

    with pytest.raises(ValidationError, match="needs a list"):
        Url.Params()
    with pytest.raises(DataError, match=r"empty.txt: holds no entry for `urls` of url"):
        prepared({"urls": tmp_path / "empty.txt"})


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"no gzip")

    with pytest.raises(DataError, match=r"x.gz: cannot be read as a list"):
        prepared({"domains": tmp_path / "x.gz"})


@given(st.text(max_size=60))
def test_any_string_splits_and_splits_the_same_again(url: str) -> None:
    host, rest = split_url(f"http://{url}")

    assert "/" not in host and "#" not in rest
    assert "?" in rest or not rest.endswith("/")


@pytest.mark.parametrize("piece", ["a.", "/", "?", "@", ":", "http://", "a-"])
def test_time_grows_with_the_address_whatever_it_says(lists: dict[str, Path], piece: str) -> None:
    step = prepared(lists)

    assert not slowness(lambda size: measured(step, [piece * (size // len(piece))]))
