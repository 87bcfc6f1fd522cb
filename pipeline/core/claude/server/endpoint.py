"""Where requests go: to Anthropic, or to another server that ANTHROPIC_BASE_URL names.

Any server may answer under a model's name, so an address other than Anthropic's own is part of a request's id, of the
identity of a step that asks, and of the teacher's title. User, password and query are no part of it; a path, which
may hold an account or a secret, stands as 8 characters of its hash.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from blake3 import blake3

from pipeline.core.errors import RecipeError

VARIABLE = "ANTHROPIC_BASE_URL"
ANTHROPIC = "https://api.anthropic.com"
PORTS = {"https": 443, "http": 80}


def foreign_endpoint() -> str:
    """Return the address that the environment names, by `address_of`, or an empty text when it is Anthropic's own."""
    address = address_of(os.environ.get(VARIABLE) or ANTHROPIC)
    return "" if address == ANTHROPIC else address


def address_of(url: str) -> str:
    """Return `scheme://host`, `:port` where it is not the usual one, and `/hash` where there is a path."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in PORTS:
        raise RecipeError(f"{VARIABLE} is not an address; it must be like {ANTHROPIC}. Correct it, or unset it.")
    host = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/")
    shown_port = "" if port is None or port == PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{shown_port}" + (f"/{blake3(path.encode()).hexdigest()[:8]}" if path else "")


def shown(endpoint: str) -> str:
    """Return what a title says of an address after the model's name; nothing of Anthropic's own."""
    return f" at {endpoint.partition('://')[2]} (not Anthropic's address)" if endpoint else ""
