"""Who must wait, and until when: the headers of the 429s that were seen."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http

from addons.wire.rate_limits import LONGEST_WAIT, Limit, client_visible, read, retry_after

NOW = 1_790_000_000.0
COOLDOWN = 60.0
HOUR = 3600


def unified(**fields):
    """`s5h="rejected"` is the status of the window 5h, `r5h=90` its reset in 90 seconds."""
    kinds = {"s": "status", "r": "reset"}
    headers = {}
    for key, value in fields.items():
        text = str(int(NOW + value)) if key[0] == "r" else value
        headers["-".join(filter(None, ["anthropic-ratelimit-unified", key[1:], kinds[key[0]]]))] = text
    return headers


def seen(headers):
    limit = read(headers, NOW, COOLDOWN)
    return limit.scope, None if limit.until is None else limit.until - NOW


def test_a_shared_window_cools_the_account_until_its_reset():
    headers = unified(s="rejected", s5h="rejected", r5h=HOUR, s7d="allowed_warning", r7d=9 * HOUR, r=5)
    assert read({**headers, "retry-after": "7"}, NOW, COOLDOWN) == Limit("account", NOW + HOUR, "5h limit", stated=True)


def test_of_two_shared_windows_the_latest_reset_counts():
    headers = unified(s="rejected", s5h="rejected", r5h=HOUR, s7d="rejected", r7d=3 * HOUR)
    assert read(headers, NOW, COOLDOWN) == Limit("account", NOW + 3 * HOUR, "5h and 7d limit", stated=True)


@pytest.mark.parametrize("window", ["7d_oi", "7d_opus", "7d_sonnet", "5h_new"])
def test_a_window_of_some_models_cools_the_model_only(window):
    headers = unified(s="rejected", s5h="allowed", s7d="allowed", **{f"s{window}": "rejected", f"r{window}": HOUR})
    assert read(headers, NOW, COOLDOWN) == Limit("model", NOW + HOUR, f"{window} limit", stated=True)


def test_an_account_window_outweighs_a_model_window():
    headers = unified(s="rejected", s5h="rejected", r5h=HOUR, s7d_oi="rejected", r7d_oi=9 * HOUR)
    assert seen(headers) == ("account", HOUR)


def test_the_overage_status_is_no_window():
    """The headers of CLIProxyAPI#5915: the model's allowance is used up and extra usage is off."""
    headers = {
        **unified(s="rejected", s7d="allowed", s7d_oi="rejected", soverage="rejected"),
        "anthropic-ratelimit-unified-representative-claim": "seven_day_overage_included",
        "anthropic-ratelimit-unified-overage-disabled-reason": "org_spend_cap_reached",
        "retry-after": "1180",
    }
    assert seen(headers) == ("model", 1180)


@pytest.mark.parametrize(
    ("claim", "scope"),
    [
        ("seven_day_overage_included", "model"),
        ("seven_day_opus", "model"),
        ("seven_day", "account"),
        ("", "account"),
    ],
)
def test_without_a_rejected_window_the_claim_tells_the_scope(claim, scope):
    headers = unified(s="rejected", r=HOUR) | {"anthropic-ratelimit-unified-representative-claim": claim}
    assert seen(headers) == (scope, HOUR)


def test_a_window_without_a_reset_takes_the_general_one_then_retry_after_then_the_cooldown():
    headers = unified(s="rejected", s5h="rejected")
    assert seen(headers | unified(r=HOUR) | {"retry-after": "30"}) == ("account", HOUR)
    assert seen(headers | {"retry-after": "30"}) == ("account", 30)
    assert seen(headers) == ("account", COOLDOWN)


def test_a_reset_in_the_past_is_none():
    assert seen(unified(s="rejected", s5h="rejected", r5h=-1) | {"retry-after": "30"}) == ("account", 30)
    assert seen(unified(s="rejected", r=0)) == ("account", COOLDOWN)


def test_nobody_waits_longer_than_a_day():
    assert seen(unified(s="rejected", s7d="rejected", r7d=6 * 24 * HOUR)) == ("account", LONGEST_WAIT)
    assert seen({"retry-after": "121180"}) == ("account", LONGEST_WAIT)
    assert read({}, NOW, 10 * LONGEST_WAIT).until == NOW + LONGEST_WAIT


@pytest.mark.parametrize("reset", ["1790003600", "1790003600.0", "2026-09-21T15:13:20Z", "2026-09-21T17:13:20+02:00"])
def test_a_reset_is_epoch_seconds_or_rfc_3339(reset):
    headers = {"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": reset}
    assert seen(headers) == ("account", HOUR)


@pytest.mark.parametrize("reset", ["", "soon", "NaN", "inf", "-5", "1e999", "9" * 400, "2026-99-99T00:00:00Z", "٣"])
def test_an_unreadable_reset_is_none(reset):
    headers = {"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": reset}
    assert seen(headers) == ("account", COOLDOWN)


def test_an_api_keys_limit_has_only_retry_after():
    headers = {"anthropic-ratelimit-requests-remaining": "0", "retry-after": "12", "x-should-retry": "true"}
    assert read(headers, NOW, COOLDOWN) == Limit("account", NOW + 12, "retry-after", stated=True)


def test_a_429_without_a_limit_cools_nothing():
    assert seen({"x-should-retry": "true", "content-type": "application/json"}) == ("none", None)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-should-retry": "false"},
        {"x-should-retry": "true", "anthropic-ratelimit-unified-status": "allowed"},
        {"x-should-retry": "true", "anthropic-ratelimit-requests-limit": "50"},
        {"retry-after": "0"},
        {"retry-after": "never"},
    ],
)
def test_a_429_without_a_time_takes_the_cooldown(headers):
    assert seen(headers) == ("account", COOLDOWN)


def test_mitmproxys_headers_in_any_case_are_read():
    headers = http.Headers(
        [
            (b"Anthropic-Ratelimit-Unified-5h-Status", b"Rejected"),
            (b"Anthropic-Ratelimit-Unified-5h-Reset", b"1790003600"),
        ]
    )
    assert seen(headers) == ("account", HOUR)
    assert retry_after(http.Headers([(b"Retry-After", b"5")]), NOW) == 5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        (" 2.5 ", 2.5),
        ("0", 0.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("-3", None),
        ("nan", None),
        ("", None),
        ("tomorrow", None),
        ("9" * 100, None),
    ],
)
def test_retry_after(value, seconds):
    assert retry_after({"retry-after": value}, NOW) == seconds
    assert retry_after({}, NOW) is None


values = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["rejected", "allowed", "true", "seven_day_opus", "Fri, 31 Dec 9999 23:59:60 -9999"]),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(str),
)
names = st.one_of(
    st.sampled_from(["retry-after", "x-should-retry", "anthropic-ratelimit-unified-representative-claim"]),
    st.tuples(st.sampled_from(["", "5h-", "7d-", "7d_oi-", "overage-"]), st.sampled_from(["status", "reset"])).map(
        lambda parts: "anthropic-ratelimit-unified-" + "".join(parts)
    ),
)


@given(st.dictionaries(names, values, max_size=6))
def test_whatever_the_headers_say_the_wait_is_at_most_a_day(headers):
    limit = read(headers, NOW, COOLDOWN)
    if limit.scope == "none":
        assert limit.until is None
    else:
        assert limit.until is not None
        assert NOW < limit.until <= NOW + LONGEST_WAIT


@pytest.mark.parametrize(
    ("name", "visible"),
    [
        ("content-type", True),
        ("request-id", True),
        ("retry-after", True),
        ("x-should-retry", True),
        ("anthropic-ratelimit-unified-status", False),
        ("Anthropic-Ratelimit-Unified-5h-Reset", False),
        ("anthropic-organization-id", False),
        ("set-cookie", False),
    ],
)
def test_what_of_a_pool_accounts_answer_reaches_the_client(name, visible):
    assert client_visible(name.encode()) is visible
