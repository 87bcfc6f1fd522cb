"""Personal data and secrets: what is counted, what a limit does, and that a text's result depends on it alone."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.privacy.pii import KINDS, Pii
from pipeline.core.rng import generator
from tests.filters.conftest import measured_rows, verdict_of
from tests.timing import slowness

STEP = Pii(params=Pii.Params())
ONE_OF_EACH = [
    "jane@firm.io", "9.9.9.9", "2600::abcd", "+49 30 901820", "GB82WEST12345698765432", "AKIAIOSFODNN7EXAMPLE",
]  # fmt: skip
REPLACEMENTS = [replacement for _, _, replacement, _ in KINDS]
PIECES = st.sampled_from(
    [*ONE_OF_EACH, *REPLACEMENTS, " ", ", ", "\n", "a", "1", ".", ":", "@", "+", "-", "\u00e9", "_"]
)


def step(**params: object) -> Pii:
    return Pii(params=Pii.Params.parse(params))


def test_every_kind_is_counted_and_has_its_own_replacement() -> None:
    (row,) = measured_rows(STEP, [" and ".join(ONE_OF_EACH)])

    assert row == {**{signal: 1 for _, signal, *_ in KINDS}, "text": " and ".join(REPLACEMENTS)}


def test_only_the_kinds_asked_for_are_replaced_and_others_are_not_measured() -> None:
    (row,) = measured_rows(step(kinds=["email"]), [" and ".join(ONE_OF_EACH)])

    assert (row["num_emails"], row["num_ipv4"], row["num_keys"]) == (1, None, None)
    assert row["text"] == " and ".join(["email@example.com", *ONE_OF_EACH[1:]])


def test_a_limit_drops_by_kind() -> None:
    text = "a@firm.io b@firm.io 9.9.9.9"

    assert verdict_of(STEP, text) == "keep"
    assert verdict_of(step(max_per_kind=1), text) == "drop: many_emails"
    assert verdict_of(step(max_per_kind=2), text) == "keep"
    assert step(max_per_kind=1).params.of_role("measure") == {}


def test_batches_and_order_do_not_show() -> None:
    texts = ["", *ONE_OF_EACH, "nothing", "x" * 5000, " ".join(ONE_OF_EACH * 30)]

    together = measured_rows(STEP, texts)

    assert together == [measured_rows(STEP, [text])[0] for text in texts]
    assert measured_rows(STEP, texts[::-1]) == together[::-1]


@given(st.lists(PIECES, max_size=12).map("".join))
@example("jane@firm.io.GB82WEST12345698765432@")  # no address until the account number behind it is gone
@example("9.9.9.9.GB82WEST12345698765432 9.9.9.9.AKIAIOSFODNN7EXAMPLE")
@example("9.9.9.9.jane@firm.io.GB82WEST12345698765432@")
@settings(max_examples=300, deadline=None)
def test_cleaning_twice_leaves_what_cleaning_once_left(text: str) -> None:
    (row,) = measured_rows(STEP, [text])
    once = text if row["text"] is None else str(row["text"])

    (again,) = measured_rows(STEP, [once])

    assert again["text"] in (None, once)


def test_what_another_match_had_hidden_is_counted_and_leaves_other_texts_alone() -> None:
    texts = ["nothing", "at jane@firm.io.GB82WEST12345698765432@", "+49 30 901820"]

    rows = measured_rows(STEP, texts)

    assert [row["text"] for row in rows] == [None, "at email@example.com.[IBAN]@", "+1 202-555-0100"]
    assert [(row["num_emails"], row["num_ibans"], row["num_phones"]) for row in rows] == [
        (0, 0, 0),
        (1, 1, 0),
        (0, 0, 1),
    ]


@given(st.ip_addresses(v=4))
@settings(max_examples=500, deadline=None)
def test_ipv4_addresses_are_public_as_the_standard_library_says(address: ipaddress.IPv4Address) -> None:
    (row,) = measured_rows(STEP, [f"address {address} now"])  # four small numbers alone may be a version
    relays = ipaddress.ip_network("192.88.99.0/24"), ipaddress.ip_network("192.0.0.0/24")

    if not any(address in network for network in relays):
        assert row["num_ipv4"] == (address.is_global and not address.is_multicast)


def test_one_public_address_in_five_hundred_needs_a_sign_that_it_is_one() -> None:
    drawn = generator(4, "addresses").integers(0, 1 << 32, 40_000).tolist()
    public = [each for each in map(ipaddress.IPv4Address, drawn) if each.is_global and not each.is_multicast]

    rows = measured_rows(STEP, [f"at {address} now" for address in public])

    assert 0.001 < sum(row["num_ipv4"] == 0 for row in rows) / len(rows) < 0.003


@given(st.ip_addresses(v=6))
@settings(max_examples=300, deadline=None)
def test_ipv6_addresses_of_the_global_range_are_found_in_either_spelling(address: ipaddress.IPv6Address) -> None:
    unicast = ipaddress.IPv6Address(0x2600 << 112 | int(address) & (1 << 112) - 1)

    rows = measured_rows(STEP, [f"at {unicast} now", f"[{unicast.exploded}]:80", f"{unicast.compressed}."])

    assert [row["num_ipv6"] for row in rows] == [1, 1, 1]


@given(st.text(alphabet="0123456789", min_size=18, max_size=18))
@settings(max_examples=200, deadline=None)
def test_only_the_right_check_digits_make_an_account_number(digits: str) -> None:
    right = 98 - int(digits + "131400") % 97  # D is 13, E is 14

    texts = [f"DE{check:02d}{digits}" for check in range(2, 99)]
    rows = measured_rows(step(kinds=["iban"]), texts)

    assert [row["num_ibans"] for row in rows] == [int(check == right) for check in range(2, 99)]


ADVERSARIES = [
    "a@", "a@b.cc ", "a", "1.", "1.1.1.1 ", "+4", "+1 ", "2001::", "2:", "DE89", "sk-", "eyJ", "-", "b.", " 8",
    "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY----------END ", "eyJaaaaaaaaaa.",
]  # fmt: skip


@pytest.mark.parametrize("piece", ADVERSARIES)
def test_time_grows_with_the_text_whatever_it_says(piece: str) -> None:
    assert not slowness(lambda size: measured_rows(STEP, [piece * (size // len(piece))]))
