"""The SDK's client by the SDK's own rules for keys and addresses, and its errors sorted into setbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.claude.server.endpoint import ANTHROPIC, VARIABLE, address_of
from pipeline.core.claude.server.setbacks import Setback, connection_setback, status_setback
from pipeline.core.errors import RecipeError, ServiceError
from pipeline.core.process.keys import Mask

if TYPE_CHECKING:
    from anthropic import Anthropic, AnthropicError


def connect(*, timeout_seconds: float, endpoint: str | None = None) -> Anthropic:
    """Return an SDK client by the SDK's own rules for keys and addresses; RecipeError if there is no key.

    With `endpoint` (as of `foreign_endpoint`), also if requests would go anywhere else.
    """
    import os

    from anthropic import Anthropic

    client = Anthropic(max_retries=0, timeout=timeout_seconds, open_telemetry=False)
    if client.api_key is None and client.auth_token is None and client.credentials is None:
        if not os.environ.get("ANTHROPIC_BASE_URL"):
            raise RecipeError(
                "ANTHROPIC_API_KEY is not set, and neither is ANTHROPIC_BASE_URL; asking Claude needs one of them. "
                "Set one; a `label` step can also use `teacher: offline`."
            )
        client.close()
        client = Anthropic(api_key="none", max_retries=0, timeout=timeout_seconds, open_telemetry=False)
    reached = address_of(str(client.base_url))
    if endpoint is not None and reached != (endpoint or ANTHROPIC):  # a profile of the SDK's can name an address too
        client.close()
        raise RecipeError(
            f"Claude: the SDK's own settings send requests to {reached}, which no result would say. "
            f"Set {VARIABLE} to that address, or remove it from the SDK's profile."
        )
    return client


def check_credentials() -> None:
    """Raise RecipeError if there is neither a key nor an address; asks nobody."""
    connect(timeout_seconds=1.0).close()


def setback_of(error: AnthropicError, *, mask: Mask) -> Setback:
    """Sort an SDK error; see `setbacks`."""
    from anthropic import APIConnectionError, APIStatusError

    if isinstance(error, APIStatusError):
        mask.learn(error.response.request.headers)
        message = mask.text(error.api_message) if isinstance(error.api_message, str) else "no message"
        code = mask.text(str(error.error_code or error.type or ""))
        return status_setback(error.status_code, code=code, message=message, headers=error.response.headers)
    if isinstance(error, APIConnectionError):
        return connection_setback(f"{type(error).__name__} ({type(error.__cause__).__name__})")
    reason = mask.text(f"{type(error).__name__}: {error}")
    return Setback("stop", reason, error=ServiceError(f"Claude: {reason}. Check the credentials and run again."))
