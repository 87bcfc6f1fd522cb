"""Bytes around an anchor -> where an address, number or key begins and ends, by its shape and its check digits.

Each matcher looks at the text once, from an anchor that its shape cannot do without ('@', the first digit of a run,
'+', a byte of a key's prefix), and gives (start, end), or (0, 0). None backs up, so no text takes more than linear
time. `floor` is where the matcher may begin to look, `end` where the document ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.words.byte_classes import (
    ALNUM,
    CLASS,
    DIGIT,
    LOCAL,
    LOWER,
    UPPER,
    URLSAFE,
    _pack,
    among,
    class_at,
    packed_letters,
    packed_word,
)
from pipeline.core.process.kernels import njit

MAX_LOCAL, MAX_LABEL, MAX_DOMAIN = 64, 63, 253  # bytes, RFC 5321 section 4.5.3.1 and RFC 1035 section 2.3.4
AT, DOT, PLUS, HYPHEN, COLON, SLASH, SPACE = 0x40, 0x2E, 0x2B, 0x2D, 0x3A, 0x2F, 0x20
OPEN, CLOSE, UNDERSCORE, EQUALS, BRACKET = 0x28, 0x29, 0x5F, 0x3D, 0x5B


# What is no mail domain: reserved by RFC 2606, the name of a picture for dense screens (logo@2x.png), or of an instance
# of a systemd unit (getty@tty1.service).
NO_MAIL_TLDS = packed_letters(
    "example invalid test localhost png jpg jpeg gif svg webp avif "
    "service socket target mount automount timer slice scope device swap nspawn conf"
)
EXAMPLE_TLDS = packed_letters("com net org")
EXAMPLE = _pack("example")
# Domains by which SSH names its own algorithms and extensions (RFC 4251, section 6): hmac-sha1-etm@openssh.com.
PROTOCOL_HOSTS = packed_letters("openssh libssh")
OPENSSH = _pack("openssh")  # the one mailbox there
# Words before four numbers that make them a version or a place in a text. Assumption, not measured.
NO_ADDRESS_WORDS = packed_letters(
    "version versions ver v release releases build rev revision firmware section sections sec chapter figure fig table "
    "clause article appendix rule item step oid"
)
# Words before four small numbers that make them an address after all.
ADDRESS_WORDS = packed_letters(
    "ip ips inet addr address addresses host hosts hostname server servers dns nameserver nameservers resolver "
    "gateway router proxy ping route src dst local remote peer client network subnet netmask broadcast"
)
SMALL, TWO_DIGITS = 32, 99  # most of a version's numbers are below the one, all are at most the other
# First and last address of the IPv4 blocks that are not globally reachable: IANA special-purpose registry (RFC 6890).
_BLOCKS = (
    ((0, 0), 8), ((10, 0), 8), ((100, 64), 10), ((127, 0), 8), ((169, 254), 16), ((172, 16), 12), ((192, 0, 0), 24),
    ((192, 0, 2), 24), ((192, 88, 99), 24), ((192, 168), 16), ((198, 18), 15), ((198, 51, 100), 24),
    ((203, 0, 113), 24), ((224, 0), 3),
)  # fmt: skip


def _block(octets: tuple[int, ...], bits: int) -> tuple[int, int]:
    first = int.from_bytes(bytes(octets).ljust(4, b"\0"), "big")
    return first, first + (1 << 32 - bits) - 1


LOCAL_BLOCKS = np.array([_block(*block) for block in _BLOCKS], np.int64)

# Country calling codes in use for people, ITU E.164: those of two digits, and the last digits of those of three.
_SHORT_CODES = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66"
_MORE_SHORT_CODES = "81 82 84 86 90 91 92 93 94 95 98"
_LONG_CODES = {
    21: "12368", 22: "0123456789", 23: "0123456789", 24: "0123456789", 25: "012345678", 26: "0123456789", 29: "01789",
    35: "0123456789", 37: "0123456789", 38: "01235679", 42: "013", 50: "0123456789", 59: "0123456789", 67: "02345679",
    68: "012356789", 69: "012", 85: "02356", 88: "06", 96: "012345678", 97: "01234567", 99: "234568",
}  # fmt: skip


def _calling_codes() -> np.ndarray:
    known = np.zeros(1000, np.bool_)
    known[100:200] = known[700:800] = True
    for code in f"{_SHORT_CODES} {_MORE_SHORT_CODES}".split():
        known[int(code) * 10 : int(code) * 10 + 10] = True
    for tens, units in _LONG_CODES.items():
        for unit in units:
            known[10 * tens + int(unit)] = True
    return known


CALLING_CODES = _calling_codes()  # by the first three digits of a number

# Characters of an IBAN by country: SWIFT IBAN registry, release 99.
_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
IBAN_SIZE = np.zeros((26, 26), np.int64)
for _entry in _IBANS.split():
    IBAN_SIZE[ord(_entry[0]) - 65, ord(_entry[1]) - 65] = int(_entry[2:])


@njit(cache=True, nogil=True)
def email(data: Any, at: Any, floor: Any, end: Any) -> Any:
    """Match the address around the '@' at `at`: a dotted local part, then at least two labels, the last of letters."""
    start = at
    while start > floor and at - start <= MAX_LOCAL and CLASS[data[start - 1]] & LOCAL:
        start -= 1
    if at - start > MAX_LOCAL:
        return 0, 0
    while start < at and not (CLASS[data[start]] & ALNUM or data[start] == UNDERSCORE):
        start += 1
    if start == at or not (CLASS[data[at - 1]] & ALNUM or data[at - 1] in (UNDERSCORE, HYPHEN, PLUS)):
        return 0, 0
    past = label = at + 1
    before = host_start = top_start = top_end = 0  # the last label of letters, and where the label before it begins
    while past - at <= MAX_DOMAIN and class_at(data, label, floor, end) & ALNUM:
        letters = True
        while past < end and past - label < MAX_LABEL and CLASS[data[past]] & URLSAFE and data[past] != UNDERSCORE:
            letters &= CLASS[data[past]] & (UPPER | LOWER) != 0
            past += 1
        if before and letters and past - label > 1:
            host_start, top_start, top_end = before, label, past
        if past >= end or data[past] != DOT:
            break
        before, label, past = label, past + 1, past + 1
    if top_end == 0 or (past < end and data[past] == AT):
        return 0, 0
    top = packed_word(data, top_start, top_end)
    if among(top, NO_MAIL_TLDS):
        return 0, 0
    if among(top, EXAMPLE_TLDS):
        host = packed_word(data, host_start, top_start - 1)
        if host == EXAMPLE or (among(host, PROTOCOL_HOSTS) and packed_word(data, start, at) != OPENSSH):
            return 0, 0
    return start, top_end


@njit(cache=True, nogil=True)
def ipv4(data: Any, at: Any, floor: Any, end: Any) -> Any:
    """Match a globally reachable IPv4 address whose first digit stands at `at`; no version, section or object id."""
    if at > floor:
        last = data[at - 1]
        glued = last in (HYPHEN, SLASH) and class_at(data, at - 2, floor, end) & ALNUM != 0
        glued |= last == COLON and at - 1 > floor and data[at - 2] == COLON  # the tail of an IPv6 address
        if CLASS[last] & ALNUM or last in (DOT, UNDERSCORE) or glued:
            return 0, 0
    past = at
    address = small = largest = 0
    for octet in range(4):
        first = past
        value = 0
        while class_at(data, past, floor, end) & DIGIT and past - first < 4:
            value = 10 * value + data[past] - 0x30
            past += 1
        if past == first or value > 255 or past - first > 1 + (value > 9) + (value > 99):
            return 0, 0
        address = address << 8 | value
        small += value < SMALL
        largest = max(largest, value)
        if octet < 3:
            if past >= end or data[past] != DOT:
                return 0, 0
            past += 1
    after = class_at(data, past, floor, end)
    beyond = class_at(data, past + 1, floor, end) & ALNUM
    if past < end and (
        after & ALNUM or data[past] in (UNDERSCORE, AT) or (beyond and (data[past] == DOT or data[past] == HYPHEN))
    ):
        return 0, 0
    for first, last_address in LOCAL_BLOCKS:
        if first <= address <= last_address:
            return 0, 0
    if follows_word(data, at, floor, NO_ADDRESS_WORDS):
        return 0, 0
    numbers = address >> 24 < SMALL and small >= 3 and largest <= TWO_DIGITS  # as in 2.8.1.1, if they are not all one
    if numbers and address != (address & 0xFF) * 0x01010101 and not placed(data, at, past, floor, end):
        return 0, 0
    return at, past


@njit(cache=True, nogil=True)
def placed(data: Any, at: Any, past: Any, floor: Any, end: Any) -> Any:
    """Say whether data[at:past], four numbers, stands where an address does: host=1.2.3.4, [1.2.3.4], 1.2.3.4:80."""
    before = data[at - 1] if at > floor else SPACE
    if before in (AT, SLASH, BRACKET) or (before == EQUALS and class_at(data, at - 2, floor, end) & ALNUM):
        return True
    if past < end and data[past] in (COLON, SLASH) and class_at(data, past + 1, floor, end) & DIGIT:
        return True
    return follows_word(data, at, floor, ADDRESS_WORDS)


@njit(cache=True, nogil=True)
def follows_word(data: Any, at: Any, floor: Any, words: Any) -> Any:
    """Say whether one of the words stands before `at`, with at most a few signs between."""
    past = at
    while past > floor and at - past < 4 and not CLASS[data[past - 1]] & ALNUM and data[past - 1] < 0x80:
        past -= 1
    start = past
    while start > floor and past - start <= 12 and CLASS[data[start - 1]] & (UPPER | LOWER):
        start -= 1
    return past - start <= 12 and past > start and among(packed_word(data, start, past), words)


@njit(cache=True, nogil=True)
def hex_value(byte: Any) -> Any:
    """Return the value of a hexadecimal digit, or -1."""
    if 0x30 <= byte <= 0x39:
        return np.int64(byte) - 0x30
    lower = np.int64(byte) | 0x20
    return lower - 0x57 if 0x61 <= lower <= 0x66 else np.int64(-1)


@njit(cache=True, nogil=True)
def ipv6(data: Any, at: Any, floor: Any, end: Any) -> Any:
    """Match an IPv6 address of the global unicast range 2000::/3 whose first digit, 2 or 3, stands at `at`."""
    if at > floor and (CLASS[data[at - 1]] & ALNUM or data[at - 1] in (COLON, DOT, UNDERSCORE)):
        return 0, 0
    groups = gaps = first = second = 0
    past = at
    while True:
        begin = past
        value = 0
        while past < end and past - begin < 5 and hex_value(data[past]) >= 0:
            value = value << 4 | hex_value(data[past])
            past += 1
        if past - begin > 4 or (groups == 0 and past - begin != 4):
            return 0, 0
        if past > begin:
            groups += 1
            first = value if groups == 1 else first
            second = value if groups == 2 and gaps == 0 else second
        if groups == 8 or past + 1 >= end or data[past] != COLON:
            break
        if data[past + 1] == COLON:
            gaps += 1
            past += 2
            if past >= end or hex_value(data[past]) < 0:
                break
        elif hex_value(data[past + 1]) >= 0:
            past += 1
        else:
            break
    if gaps > 1 or (gaps == 0) != (groups == 8) or (gaps == 1 and groups == 8):
        return 0, 0
    if past < end and (CLASS[data[past]] & ALNUM or data[past] == UNDERSCORE):
        return 0, 0
    if past + 1 < end and data[past] == COLON and (data[past + 1] == COLON or hex_value(data[past + 1]) >= 0):
        return 0, 0
    while past + 1 < end and data[past] == DOT and CLASS[data[past + 1]] & DIGIT:  # a tail in the manner of IPv4
        past += 2
        while past < end and CLASS[data[past]] & DIGIT:
            past += 1
    reserved = (first == 0x2001 and (second < 0x200 or second == 0xDB8)) or (first == 0x3FFF and second < 0x1000)
    return (0, 0) if reserved else (at, past)


@njit(cache=True, nogil=True)
def phone(data: Any, at: Any, floor: Any, end: Any) -> Any:
    """Match an international number that opens with the '+' at `at`: a known country code, 8 to 15 digits in all."""
    if at > floor and (CLASS[data[at - 1]] & ALNUM or data[at - 1] in (PLUS, UNDERSCORE)):
        return 0, 0
    digits = separators = dots = opened = 0
    head: Any = 0  # the first three digits
    area: Any = 0  # of +1: area code, exchange, four-digit line
    exchange: Any = 0
    line: Any = 0
    past = at + 1
    last = past
    while past < end:
        byte = data[past]
        if CLASS[byte] & DIGIT:
            if digits == 15:
                return 0, 0
            value = np.int64(byte) - 0x30
            head = 10 * head + value if digits < 3 else head
            area = 10 * area + value if 1 <= digits < 4 else area
            exchange = 10 * exchange + value if 4 <= digits < 7 else exchange
            line = 10 * line + value if digits >= 7 else line
            digits += 1
            past += 1
            last = past
            continue
        if digits == 0:
            return 0, 0
        dots += byte == DOT
        opened += (byte == OPEN) - (byte == CLOSE)
        if byte not in (SPACE, HYPHEN, DOT, OPEN, CLOSE, SLASH) or opened < 0 or opened > 1:
            dots -= byte == DOT
            opened -= (byte == OPEN) - (byte == CLOSE)
            break
        if past - last >= 2:  # at most two signs in a row: ") " or " ("
            break
        separators += past == last
        past += 1
    trailing_dot = last < end and data[last] == DOT
    dots -= trailing_dot
    if last < end and (CLASS[data[last]] & (UPPER | LOWER) or data[last] == UNDERSCORE or data[last] == AT):
        return 0, 0
    if digits < 8 or not CALLING_CODES[head] or separators > 7 or (dots == 1 and separators - trailing_dot <= 1):
        return 0, 0
    if head < 200 and (digits != 11 or area < 200 or exchange < 200 or (exchange == 555 and 100 <= line < 200)):
        return 0, 0
    return at, last


@njit(cache=True, nogil=True)
def iban(data: Any, at: Any, floor: Any, end: Any) -> Any:
    """Match an account number whose first check digit stands at `at`: its country's length, and ISO 7064 mod 97-10."""
    start = at - 2
    if start < floor or not (CLASS[data[start]] & UPPER and CLASS[data[start + 1]] & UPPER):
        return 0, 0
    if start > floor and (CLASS[data[start - 1]] & ALNUM or data[start - 1] == UNDERSCORE):
        return 0, 0
    size = IBAN_SIZE[data[start] - 65, data[start + 1] - 65]
    past, found, rest = start, 0, 0
    characters = np.empty(40, np.int64)
    while found < size and past < end:
        kind = CLASS[data[past]]
        if kind & (DIGIT | UPPER):
            characters[found] = np.int64(data[past]) - (0x30 if kind & DIGIT else 55)
            found += 1
            past += 1
        elif data[past] == SPACE and found % 4 == 0 and data[past - 1] != SPACE:
            past += 1
        else:
            return 0, 0
    if size == 0 or found < size or class_at(data, past, floor, end) & ALNUM:
        return 0, 0
    for step in range(size):
        value = characters[(step + 4) % size]
        rest = (rest * (100 if value > 9 else 10) + value) % 97
    return (start, past) if rest == 1 else (0, 0)
