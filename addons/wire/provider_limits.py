"""What a 429 of a provider other than Anthropic says: who must wait, and until when.

Rules that hold here are those of `rate_limits`. Such a limit concerns the model, as far as nothing else is said: it is
so at OpenAI, OpenRouter, Groq and Z.AI's concurrency limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Literal

from addons.wire.rate_limits import LONGEST_WAIT, Limit, is_passing, reset, retry_after

ZAI_CODE: Final = re.compile(r"\((13\d\d)\)$|^(13\d\d)\b")
"""Z.AI's codes, as `read_error` puts them behind the words."""
ZAI_SHORT: Final = {"1302": "concurrency limit", "1303": "frequency limit"}
ZAI_PLAN: Final = {"1304": "daily limit", "1308": "usage limit of the plan", "1310": "weekly limit of the plan"}
ZAI_SHORT_SECONDS: Final = 5.0
ZAI_PLAN_SECONDS: Final = 900.0
"""A plan's limit that names no time: it is looked into four times an hour."""

RESET_IN_WORDS: Final = re.compile(r"\breset[^\d\n]{1,20}(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)")
BEIJING: Final = timezone(timedelta(hours=8))
"""The time zone of Z.AI's words."""

DURATION: Final = re.compile(
    r"(?:(\d{1,4})h)?(?:(\d{1,4})m(?!s))?(?:(\d{1,6}(?:\.\d{1,6})?)s)?(?:(\d{1,7}(?:\.\d{1,6})?)ms)?"
)
"""`6m0s`, `1h2m3.5s`, `120ms`: OpenAI's and Groq's `x-ratelimit-reset-*`."""

ACCOUNT_WIDE: Final = re.compile(
    r"per[- _](day|week|month)\b|\b(daily|weekly|monthly)\b|usage limit|quota (exceeded|exhausted)|free-models-per",
    re.IGNORECASE,
)
"""Words about a limit that no other model of the account escapes."""


def read_provider_limit(headers: Mapping[str, str], words: str, now: float, cooldown: float) -> Limit:
    """The limit behind a 429. `headers` have lower-case names; `words` are the error's; `cooldown` is how many seconds
    are waited when the provider names no time."""
    found = ZAI_CODE.search(words)
    code = (found[1] or found[2]) if found else ""
    if code in ZAI_SHORT:
        wait = retry_after(headers, now) or ZAI_SHORT_SECONDS
        return Limit("model", now + min(wait, cooldown, LONGEST_WAIT), ZAI_SHORT[code])
    until = named_time(headers, words, now)
    if code in ZAI_PLAN:
        end = until or now + max(ZAI_PLAN_SECONDS, cooldown)
        return Limit("account", min(end, now + LONGEST_WAIT), ZAI_PLAN[code], stated=until is not None)
    scope: Literal["account", "model"] = "account" if ACCOUNT_WIDE.search(words) else "model"
    if until is not None:
        return Limit(scope, min(until, now + LONGEST_WAIT), "rate limit", stated=True)
    if is_passing(headers):
        return Limit("none", None, "a passing 429 without a limit")
    return Limit(scope, now + min(cooldown, LONGEST_WAIT), "429 without a time")


def named_time(headers: Mapping[str, str], words: str, now: float) -> float | None:
    """The end of the limit (epoch seconds) as the provider has named it: in a header, or in the words."""
    if wait := retry_after(headers, now):
        return now + wait
    used_up = [kind for kind in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{kind}", "") == "0"]
    values = (headers.get(f"x-ratelimit-reset-{kind}", "") for kind in used_up or ("requests", "tokens"))
    ends = [now + wait for value in values if (wait := duration(value))]
    if ends:
        return max(ends)
    if (end := plain_reset(headers.get("x-ratelimit-reset", ""), now)) is not None:
        return end
    if found := RESET_IN_WORDS.search(words):
        return reset_in_words(found[1], now)
    return None


def duration(value: str) -> float | None:
    """Seconds in `6m0s` or `120ms`; also a bare number of seconds. None for what can't be read."""
    value = value.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", value):
        return float(value)
    parts = DURATION.fullmatch(value)
    if not value or parts is None:
        return None
    hours, minutes, seconds, thousandths = (float(part or 0) for part in parts.groups())
    return 3600 * hours + 60 * minutes + seconds + thousandths / 1000


def plain_reset(value: str, now: float) -> float | None:
    """`x-ratelimit-reset`: OpenRouter's milliseconds of the epoch, others' seconds of it, or seconds from now."""
    if not re.fullmatch(r"\d{1,14}(\.\d{1,6})?", value.strip()):
        return reset(value, now)
    number = float(value)
    number = number / 1000 if number > 1e11 else number if number > 1e9 else now + number
    return number if number > now else None


def reset_in_words(text: str, now: float) -> float | None:
    """`2026-11-28 15:00:00` as Z.AI means it; as UTC where that is past already."""
    try:
        named = datetime.fromisoformat(text)
    except ValueError:
        return None
    for offset in (BEIJING, UTC):
        at = named.replace(tzinfo=offset).timestamp()
        if at > now:
            return at
    return None
