"""What the 429s of providers other than Anthropic say: who must wait, and until when."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.provider_limits import DURATION, duration, read_provider_limit
from addons.wire.rate_limits import LONGEST_WAIT

NOW = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC
COOLDOWN = 60.0


def seen(words: str = "slow down", **headers: str) -> tuple[str, float | None, bool]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    limit = read_provider_limit(named, words, NOW, COOLDOWN)
    return limit.scope, None if limit.until is None else round(limit.until - NOW, 3), limit.stated


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("High concurrency usage of this API (1302)", ("model", 5, False)),
        ("High frequency usage (1303)", ("model", 5, False)),
        (
            "Usage limit reached for 5 hour. Your limit will reset at 2026-09-21 23:13:20 (1308)",
            ("account", 3600, True),
        ),
        (
            "Usage limit reached for 5 hour. Your limit will reset at 2026-09-21 15:13:20 (1308)",
            ("account", 3600, True),
        ),
        ("Weekly limit exhausted (1310)", ("account", 900, False)),
        ("Rate limit exceeded: free-models-per-day", ("account", 60, False)),
        ("qwen3 is temporarily rate-limited upstream", ("model", 60, False)),
        ("We're receiving too many requests, rate_limit_reached_error", ("model", 60, False)),
    ],
)
def test_words(words: str, expected: tuple[str, float, bool]) -> None:
    """Z.AI says its times in Beijing's, which UTC is tried after."""
    assert seen(words) == expected


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "12"}, 12),
        (
            {
                "x_ratelimit_remaining_requests": "0",
                "x_ratelimit_reset_requests": "6m0s",
                "x_ratelimit_reset_tokens": "2h",
            },
            360,
        ),
        (
            {
                "x_ratelimit_remaining_tokens": "0",
                "x_ratelimit_reset_tokens": "1.5s",
                "x_ratelimit_reset_requests": "1h",
            },
            1.5,
        ),
        ({"x_ratelimit_reset_requests": "120ms"}, 0.12),
        ({"x_ratelimit_reset": "1790000030000"}, 30),
        ({"x_ratelimit_reset": "1790000030"}, 30),
        ({"x_ratelimit_reset": "30"}, 30),
        ({"x_ratelimit_reset": "999999999"}, LONGEST_WAIT),
    ],
)
def test_headers(headers: dict[str, str], seconds: float) -> None:
    assert seen(**headers) == ("model", seconds, True)


@pytest.mark.parametrize("value", ["", "soon", "-5", "1h1h", "9" * 400, "٣s", "1790000000", "2026-99-99"])
def test_what_cannot_be_read_is_no_time(value: str) -> None:
    assert seen(x_ratelimit_reset=value, x_ratelimit_reset_tokens="x" + value) == ("model", COOLDOWN, False)


def test_a_429_that_passes_cools_nothing() -> None:
    assert seen(x_should_retry="true") == ("none", None, False)


@given(
    st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "x-ratelimit-reset-tokens"]), st.text()),
    st.text(),
)
def test_whatever_is_said_nobody_waits_longer_than_a_day(headers: dict[str, str], words: str) -> None:
    limit = read_provider_limit(headers, words, NOW, COOLDOWN)
    assert limit.until is None or NOW <= limit.until <= NOW + LONGEST_WAIT


def test_durations() -> None:
    assert [duration(text) for text in ("1h2m3s", "6m0s", "0s", "250ms", "7", "")] == [3723, 360, 0, 0.25, 7, None]


def test_reading_takes_linear_time() -> None:
    started = time.process_time()
    read_provider_limit({"x-ratelimit-reset": "1" * 200_000}, "reset " * 100_000 + "(13" * 100_000, NOW, COOLDOWN)
    assert re.fullmatch(DURATION, "1h" * 100_000) is None
    assert time.process_time() - started < 2
