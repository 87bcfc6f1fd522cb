"""Bytes around an anchor -> where a key or token begins and ends: fixed prefixes, JSON web tokens, private key blocks.

The prefixes are those that the issuers document for secret scanning (AWS, GitHub, GitLab, Google, Hugging Face, npm,
OpenAI and Anthropic, PyPI, Slack, Stripe). What follows must be long enough and hold a letter and a digit, so
`sk-learn-contrib-examples` and `sk-xxxxxxxxxxxxxxxxxxxx` stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filters.privacy.pii_shapes import DOT, HYPHEN, UNDERSCORE
from filters.words.byte_classes import ALNUM, CLASS, DIGIT, LOWER, UPPER, URLSAFE, class_at
from pipeline.core.process.kernels import njit

CAPITALS, LETTERS, UNDERSCORED, HYPHENED, SAFE = (
    0,
    1,
    2,
    3,
    4,
)  # what may follow: A-Z0-9, with a-z, also _, also -, both
# (prefix, offset of its anchor byte, what follows, fewest bytes, most bytes)
PREFIXES = (
    (b"AKIA", 1, CAPITALS, 16, 16), (b"ASIA", 1, CAPITALS, 16, 16), (b"AIza", 2, SAFE, 35, 35),
    (b"ghp_", 3, LETTERS, 36, 255), (b"gho_", 3, LETTERS, 36, 255), (b"ghu_", 3, LETTERS, 36, 255),
    (b"ghs_", 3, LETTERS, 36, 255), (b"ghr_", 3, LETTERS, 36, 255), (b"github_pat_", 10, UNDERSCORED, 22, 255),
    (b"hf_", 2, LETTERS, 34, 255), (b"npm_", 3, LETTERS, 36, 36), (b"sk_live_", 7, LETTERS, 16, 255),
    (b"sk_test_", 7, LETTERS, 16, 255), (b"rk_live_", 7, LETTERS, 16, 255), (b"sk-", 2, SAFE, 20, 255),
    (b"glpat-", 5, SAFE, 20, 255), (b"pypi-", 4, SAFE, 50, 400), (b"xoxb-", 4, HYPHENED, 10, 255),
    (b"xoxp-", 4, HYPHENED, 10, 255), (b"xoxa-", 4, HYPHENED, 10, 255), (b"xoxr-", 4, HYPHENED, 10, 255),
    (b"xoxs-", 4, HYPHENED, 10, 255),
)  # fmt: skip
PREFIX_BYTES = np.frombuffer(b"".join(prefix for prefix, *_ in PREFIXES), np.uint8)
PREFIX_STARTS = np.cumsum([0, *(len(prefix) for prefix, *_ in PREFIXES)])
PREFIX_RULES = np.array([rule for _, *rule in PREFIXES], np.int64)
BEGIN, END = np.frombuffer(b"-----BEGIN ", np.uint8), np.frombuffer(b"-----END ", np.uint8)
PRIVATE_KEY = np.frombuffer(b"PRIVATE KEY-----", np.uint8)
MAX_TITLE = 24  # bytes of what may stand between BEGIN and PRIVATE KEY: "OPENSSH ", "RSA ", "ENCRYPTED "
MIN_TOKEN_PART = 10  # bytes of each of the three parts of a JSON web token
EY = (0x65, 0x79, 0x4A)  # "eyJ": what {" is in base64


@njit(cache=True, nogil=True)
def stands_at(data: Any, at: Any, end: Any, wanted: Any) -> Any:
    """Say whether the wanted bytes stand at `at`."""
    if at + len(wanted) > end:
        return False
    same = 0
    for offset in range(len(wanted)):
        same += data[at + offset] == wanted[offset]
    return same == len(wanted)


@njit(cache=True, nogil=True)
def follows(byte: Any, rule: Any) -> Any:
    """Say whether a byte may follow a prefix."""
    kind = CLASS[byte]
    if rule == CAPITALS:
        return kind & (UPPER | DIGIT) != 0
    if rule == UNDERSCORED:
        return kind & ALNUM != 0 or byte == UNDERSCORE
    if rule == HYPHENED:
        return kind & ALNUM != 0 or byte == HYPHEN
    return kind & (ALNUM if rule == LETTERS else URLSAFE) != 0


@njit(cache=True, nogil=True)
def prefixed(data: Any, at: Any, floor: Any, end: Any) -> Any:
    """Match a key with one of PREFIXES whose anchor byte stands at `at`."""
    for number in range(len(PREFIX_RULES)):
        offset, rule, fewest, most = PREFIX_RULES[number]
        prefix = PREFIX_BYTES[PREFIX_STARTS[number] : PREFIX_STARTS[number + 1]]
        start = at - offset
        if data[at] != prefix[offset] or start < floor or not stands_at(data, start, end, prefix):
            continue
        if class_at(data, start - 1, floor, end) & URLSAFE:
            continue
        begin = past = start + len(prefix)
        letters = digits = 0
        while past < end and past - begin <= most and follows(data[past], rule):
            letters += CLASS[data[past]] & (UPPER | LOWER) != 0
            digits += CLASS[data[past]] & DIGIT != 0
            past += 1
        if fewest <= past - begin <= most and letters and digits and not class_at(data, past, floor, end) & ALNUM:
            return start, past
    return 0, 0


@njit(cache=True, nogil=True)
def web_token(data: Any, at: Any, floor: Any, end: Any) -> Any:
    """Match a JSON web token whose first J stands at `at`: header and claims begin with eyJ, a signature follows."""
    start = at - 2
    if start < floor or data[start] != EY[0] or data[start + 1] != EY[1]:
        return 0, 0
    if class_at(data, start - 1, floor, end) & URLSAFE:
        return 0, 0
    past = start
    for part in range(3):
        begin = past
        while past < end and CLASS[data[past]] & URLSAFE:
            past += 1
        if past - begin < MIN_TOKEN_PART:
            return 0, 0
        if part < 2 and (data[begin] != EY[0] or data[begin + 1] != EY[1] or data[begin + 2] != EY[2]):
            return 0, 0
        if part < 2:
            if past >= end or data[past] != DOT:
                return 0, 0
            past += 1
    return start, past


@njit(cache=True, nogil=True)
def title_end(data: Any, at: Any, end: Any) -> Any:
    """Return where `PRIVATE KEY-----` ends that stands at `at` or after a short title; -1 where it does not."""
    for past in range(at, min(end, at + MAX_TITLE)):
        if stands_at(data, past, end, PRIVATE_KEY):
            return past + len(PRIVATE_KEY)
        if not (CLASS[data[past]] & (UPPER | DIGIT) or data[past] == 0x20):
            return -1
    return -1


@njit(cache=True, nogil=True)
def private_key(data: Any, at: Any, floor: Any, end: Any) -> Any:
    """Match from the BEGIN line of a private key, whose B stands at `at`, to its END line; (0, -1) if there is none."""
    start = at - 5
    if start < floor or not stands_at(data, start, end, BEGIN):
        return 0, 0
    past = title_end(data, start + len(BEGIN), end)
    if past < 0:
        return 0, 0
    while past < end:
        if data[past] == HYPHEN and stands_at(data, past, end, END):
            closing = title_end(data, past + len(END), end)
            if closing > 0:
                return start, closing
        past += 1
    return 0, -1
