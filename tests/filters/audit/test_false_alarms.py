"""Of datasets of the same kind, at most one in twenty raises an alarm; `false_alarms.py` counts more."""

from __future__ import annotations

import pytest

from tests.filters.audit.false_alarms import false_alarms


@pytest.mark.slow
def test_at_most_one_pair_of_like_datasets_in_twenty_raises_any_alarm():
    found = false_alarms(pairs=60, documents=600)

    assert found.with_alarm <= 3, found


@pytest.mark.slow
def test_at_most_one_pair_of_sets_of_whole_hosts_in_twenty_raises_any_alarm():
    found = false_alarms(pairs=40, documents=1000, whole_hosts=True)

    assert found.with_alarm <= 2, found
