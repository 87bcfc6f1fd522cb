"""The keys that leave with a request: masked in whatever comes back, and handed to no child process.

A server, or a proxy before it, may repeat what it was sent, in an error or inside an answer. So what comes back is
masked before it is shown or stored, by the very headers that left. Documents are read by libraries in C and by other
people's extractors; their processes start without the key, so that a hole in one of them cannot give it away.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qsl, unquote, urlsplit

VARIABLES = (
    "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_ENVIRONMENT_KEY",
    "ANTHROPIC_FOUNDRY_API_KEY", "ANTHROPIC_WEBHOOK_SIGNING_KEY", "ANTHROPIC_WORK_SECRET",
)  # fmt: skip
OF_STORES = ("AWS_", "AZURE_", "GOOGLE_", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # how keys of object stores begin
HEADERS = ("x-api-key", "authorization", "proxy-authorization", "cookie")
SECRET = re.compile("key|token|secret|sig|auth|pass|code", re.I)  # in the name of a value in an address
SHORTEST = 8  # characters; masking a shorter one would tear words apart
MASK = "[key masked]"


class Mask:
    """Knows the keys that were sent, and takes them out of texts. Methods may be called from any thread."""

    def __init__(self, *, base_url: str = "") -> None:
        custom = (line.partition(":") for line in os.environ.get("ANTHROPIC_CUSTOM_HEADERS", "").splitlines())
        named = {name.strip().lower(): value.strip() for name, _, value in custom}
        self._headers = {*HEADERS, *named}
        self._keys: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None
        keys = [os.environ.get(name, "") for name in VARIABLES if name != "ANTHROPIC_BASE_URL"]
        self._learn([*keys, *named.values(), *_keys_in(base_url)])

    def learn(self, headers: Mapping[str, str]) -> None:
        """Remember the keys among the headers of a request that was sent."""
        values = [headers.get(name) or "" for name in self._headers]
        self._learn([*values, *(value.partition(" ")[2] for value in values)])  # `Bearer KEY`

    def _learn(self, keys: list[str]) -> None:
        known = {key for key in keys if len(key) >= SHORTEST} | set(self._keys)
        if len(known) > len(self._keys):
            self._keys = tuple(sorted(known, key=len, reverse=True))  # the longest first: one may hold another
            self._pattern = re.compile("|".join("".join(map(_spellings, key)) for key in self._keys))

    def text(self, text: str) -> str:
        """Return a text without the keys, also where JSON's escapes spell them."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def body(self, raw: bytes) -> bytes:
        """Return the body of an answer without the keys."""
        return self.text(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _spellings(character: str) -> str:
    """Return a pattern of all that JSON may write for a character, inside a JSON text that is itself a string too."""
    escaped = re.escape(character)
    return rf"(?:{escaped}|\\{{1,9}}{escaped}|\\{{1,9}}(?i:u{ord(character):04x}))"


def _keys_in(url: str) -> list[str]:
    """Return what may be secret in an address: a password, and values of its query whose name says so."""
    parts = urlsplit(url)
    return [unquote(parts.password or ""), *(value for name, value in parse_qsl(parts.query) if SECRET.search(name))]


def environment(*, stores: bool = True) -> dict[str, str]:
    """Return the environment for a child process: this one's without keys, also of stores unless it needs those."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return kept if stores else {name: value for name, value in kept.items() if not name.startswith(OF_STORES)}


@contextmanager
def withheld() -> Iterator[None]:
    """Take the keys out of the environment for a moment in which child processes start."""
    kept = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
