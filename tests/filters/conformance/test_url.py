"""`url@datatrove-0.10` and datatrove's URLFilter side by side, with the lists that datatrove ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies as st

pytest.importorskip("tldextract", reason="datatrove's URLFilter needs it: pip install -e '.[conformance]'")
pytest.importorskip("ahocorasick", reason="datatrove's URLFilter needs it: pip install -e '.[conformance]'")
pytest.importorskip("fasteners", reason="datatrove's URLFilter needs it: pip install -e '.[conformance]'")

from datatrove.data import Document
from tldextract import TLDExtract

from filters.conformance.blocklists import suffix_extractor
from filters.conformance.url import Url
from filters.lists.word_lists import hashes_of
from pipeline.core.text.batch import Batch
from tests.filters.conformance.theirs import judged_by_us
from tests.filters.conformance.urls import addresses, batch_of, from_lists, plain, prepared, their_url_filter
from tests.pipeline.house import House
from tests.samples import examples, hold
from tests.timing import slowness

pytestmark = pytest.mark.filterwarnings("ignore:The 'registered_domain' property:DeprecationWarning")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return their_url_filter(tmp_path_factory.mktemp("lists"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Url:
    return prepared(tmp_path_factory.mktemp("shared"))


def differences(step: Url, their_filter: Any, urls: list[str]) -> list[tuple[str, str | None, str | None]]:
    """Return (address, our reason, their reason) where the two differ."""
    ours = judged_by_us(step, batch_of(list(urls))).verdicts
    answers = [their_filter.filter(Document(text="", id="", metadata={"url": url})) for url in urls]
    theirs = [None if answer is True else answer[1] for answer in answers]
    return [(url, one, other) for url, one, other in zip(urls, ours, theirs, strict=True) if one != other]


@examples(50, many=500)
def test_no_verdict_or_reason_differs_on_made_addresses(ours: Url, theirs: Any, examples: int) -> None:
    def alike(urls: list[str]) -> None:
        assert not differences(ours, theirs, urls)

    hold(alike, st.lists(addresses(), min_size=10, max_size=10), examples=examples)


def test_no_verdict_or_reason_differs_on_addresses_made_of_their_lists(ours: Url, theirs: Any) -> None:
    urls = [*from_lists(6000), *plain(500)]

    reasons = set(judged_by_us(ours, batch_of(list(urls))).verdicts)

    assert not differences(ours, theirs, urls)
    assert reasons == {None, *(rule.name for rule in ours.rules(quantile=lambda signal, fraction: 0.0))}


@pytest.mark.parametrize("threshold", [0, 1, 3])
def test_the_threshold_of_soft_words_does_what_theirs_does(
    ours: Url, theirs: Any, threshold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Url(params=Url.Params(soft_word_threshold=threshold))
    step.__dict__ |= {key: value for key, value in vars(ours).items() if key.startswith("_")}
    monkeypatch.setattr(theirs, "soft_word_threshold", threshold)

    assert not differences(step, theirs, from_lists(600))


def test_every_public_suffix_is_cut_off_as_tldextract_does(ours: Url) -> None:
    extract = suffix_extractor()
    rules = [rule.removeprefix("!").replace("*", "any") for rule in sorted(extract.tlds)]
    urls = [f"{before}{rule}" for rule in rules for before in ("", "x.", "y.x.", "Y.X.")]
    _, offsets, data = pa.array(urls, pa.string()).buffers()

    domains, hosts = ours._host_hashes(np.frombuffer(data, np.uint8), np.frombuffer(offsets, np.int32)[: len(urls) + 1])

    answers = [extract(url) for url in urls]
    assert len(rules) > 5000
    assert (domains == hashes_of([answer.top_domain_under_public_suffix for answer in answers])).all()
    assert (hosts == hashes_of([answer.fqdn for answer in answers])).all()


def test_the_bundled_suffixes_are_what_datatrove_has_without_a_network() -> None:
    """datatrove's extractor asks two servers first; here nobody answers."""
    offline = TLDExtract(cache_dir=None, suffix_list_urls=("http://127.0.0.1:9/list.dat",))

    assert sorted(offline.tlds) == sorted(suffix_extractor().tlds)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://x.org/porn", "hard_blacklisted"),
        ("http://x.org/PORN", None),
        ("http://x.org/pornographic", None),
        ("http://x.org/por-nhu.b", "blacklisted_subword"),
        ("http://x.org/\ud800porn\u00e9", "hard_blacklisted"),
        ("  porn  ", "hard_blacklisted"),
    ],
)
def test_known_faults_are_kept(ours: Url, theirs: Any, url: str, reason: str | None) -> None:
    assert judged_by_us(ours, batch_of([url])).verdicts == [reason]
    assert not differences(ours, theirs, [url])


def test_the_word_that_decides_is_named(ours: Url) -> None:
    signals = ours.measure(batch_of(["http://x.org/porn/x", "http://x.org/por-nhub", "http://x.org/"])).signals

    assert signals["banned_word"].to_pylist() == ["porn", None, None]
    assert signals["banned_subword"].to_pylist() == [None, "pornhub", None]
    assert signals["num_banned_words"].to_pylist() == [1, 0, 0]


def test_a_document_without_an_address_is_kept_and_not_measured(ours: Url) -> None:
    """datatrove stops the run there."""
    measured = ours.measure(batch_of([None, "", "http://x.org/porn"]))

    assert {name: pa.array(values).is_null().to_pylist()[:2] for name, values in measured.signals.items()} == {
        signal.name: [True, True] for signal in ours.signals
    }
    assert judged_by_us(ours, batch_of([None, "", "http://x.org/porn"])).verdicts == [None, None, "hard_blacklisted"]


def test_a_batch_without_documents_or_addresses_is_measured(ours: Url) -> None:
    assert all(len(values) == 0 for values in ours.measure(batch_of([])).signals.values())
    texts_only = ours.measure(Batch.from_texts(["a", "b"]))
    assert all(pa.array(values).null_count == 2 for values in texts_only.signals.values())


def test_hosts_with_labels_beyond_all_bounds_are_judged_the_same(ours: Url, theirs: Any) -> None:
    hosts = ["xn--" + "a" * 300, "xn--" + "a" * 300 + ".0-1sex.com", "\u00e9" * 300 + ".0-1sex.com", "\u00e9" * 2000]
    ends = ["", ".", ".com", ":80", " ", "\u3002com"]
    befores = ["http://", "u" * 300 + ":p@", "\u00e9" * 300 + "@", " " * 300]

    assert not differences(
        ours, theirs, [f"{before}{host}{end}" for before in befores for host in hosts for end in ends]
    )


@pytest.mark.parametrize(
    "piece", ["a.", "/", "?", "@", ":", "http://", "xn--", "a", "\u00e9.", "xn--a.", '"', "com.", "[:", "por"]
)
def test_time_grows_with_the_address_whatever_it_says(ours: Url, piece: str) -> None:
    def measure(size: int) -> None:
        ours.measure(batch_of([start + piece * (size // len(piece)) for start in ("", "http://xn--")]))

    assert not slowness(measure)


@pytest.mark.slow  # prepares datatrove's lists again, for a workspace of its own
def test_a_run_drops_by_address_and_keeps_what_has_none(tmp_path: Path) -> None:
    house = House(tmp_path)
    rows: list[dict[str, str]] = [
        {"id": "a", "text": "one", "url": "http://www.0-1sex.com/"},
        {"id": "http://x.org/porn", "text": "two"},
        {"id": "c", "text": "three", "url": "http://x.org/rain"},
        {"id": "d", "text": "four"},
    ]
    house.lines("docs.jsonl", rows)
    house.clean(["pii", "url@datatrove-0.10"], source="{read: jsonl, path: DIR/docs.jsonl, id: id}")

    house.run()

    assert [row["id"] for row in house.documents()] == ["c", "d"]
    assert house.card().dropped == {"url.domain": 1, "url.hard_blacklisted": 1}
    assert {path.name.rpartition("-")[0] for path in house.workspace.prepared.glob("*.hashes")} == {
        "datatrove-domains", "datatrove-urls",
    }  # fmt: skip
