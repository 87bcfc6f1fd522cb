"""Every way the API says no has one reaction."""

from __future__ import annotations

import email.utils
import time

import pytest

from pipeline.core.claude.server.setbacks import connection_setback, retry_after, status_setback
from pipeline.core.errors import BudgetError, ServiceError


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "rate_limit_error", "wait"),
        (429, "ramp_limit_exceeded", "wait"),
        (429, "enforced_spend_limit_reached", "stop"),
        (402, "billing_error", "stop"),
        (400, "organization_on_hold", "stop"),
        (400, "invalid_request_error", "reject"),
        (413, "request_too_large", "reject"),
        (401, "authentication_error", "stop"),
        (404, "not_found_error", "stop"),
        (500, "api_error", "lost"),
        (502, "api_error", "lost"),
        (503, "api_error", "again"),
        (529, "overloaded_error", "again"),
        (504, "timeout_error", "lost"),
        (408, "", "lost"),
    ],
)
def test_a_status_has_one_reaction(status: int, code: str, kind: str) -> None:
    assert status_setback(status, code=code, message="m", headers={}).kind == kind


def test_spent_money_is_a_budget_error_and_a_wrong_key_is_not() -> None:
    spent = status_setback(429, code="contract_spend_limit_reached", message="m", headers={})
    wrong = status_setback(401, code="authentication_error", message="m", headers={})

    assert isinstance(spent.error, BudgetError)
    assert isinstance(wrong.error, ServiceError) and not isinstance(wrong.error, BudgetError)


def test_an_account_without_credit_is_no_fault_of_the_request() -> None:
    message = "Your credit balance is too low to access the Anthropic API."
    setback = status_setback(400, code="invalid_request_error", message=message, headers={})

    assert setback.kind == "stop" and isinstance(setback.error, BudgetError)


def test_only_what_surely_never_left_is_not_in_doubt() -> None:
    assert connection_setback("APIConnectionError (ConnectError)").kind == "again"
    assert connection_setback("APITimeoutError (ReadTimeout)").kind == "lost"
    assert connection_setback("APIConnectionError (RemoteProtocolError)").kind == "lost"


def test_retry_after_is_read_in_all_three_spellings() -> None:
    date = email.utils.formatdate(time.time() + 100, usegmt=True)

    assert retry_after({"retry-after": "7"}) == 7.0
    assert retry_after({"retry-after-ms": "250", "retry-after": "7"}) == 0.25
    assert 90 < (retry_after({"retry-after": date}) or 0) <= 100
    assert retry_after({}) is None and retry_after({"retry-after": "soon"}) is None
