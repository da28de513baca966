"""Requests and failures of an account in the last hour."""

from addons.state.account_activity import MINUTES, AccountActivity

NOW = 1_790_000_040.0  # the beginning of a minute


def test_an_account_that_was_never_used():
    assert AccountActivity().last_hour("claude:1", NOW) == (0, 0)


def test_requests_and_failures_are_counted_by_account():
    activity = AccountActivity()
    activity.count("claude:1", NOW)
    activity.count("claude:1", NOW + 1)
    activity.count("claude:1", NOW + 70, failed=True)
    activity.count("zai:1", NOW + 70)
    assert activity.last_hour("claude:1", NOW + 80) == (2, 1)
    assert activity.last_hour("zai:1", NOW + 80) == (1, 0)


def test_what_is_older_than_an_hour_is_not_told():
    activity = AccountActivity()
    activity.count("claude:1", NOW)
    activity.count("claude:1", NOW + 60, failed=True)
    assert activity.last_hour("claude:1", NOW + 3599) == (1, 1)
    assert activity.last_hour("claude:1", NOW + 3600) == (0, 1)
    assert activity.last_hour("claude:1", NOW + 3660) == (0, 0)


def test_no_more_is_kept_than_an_hour_takes():
    activity = AccountActivity()
    for minute in range(10 * MINUTES):
        activity.count("claude:1", NOW + 60 * minute)
    assert len(activity.minutes["claude:1"]) == MINUTES
    assert activity.last_hour("claude:1", NOW + 60 * (10 * MINUTES - 1)) == (MINUTES, 0)
