"""What Anthropic's rate-limit headers say: who must wait and until when, and how much room an account has.

Rules that hold here:
- Times are epoch seconds. A value that can't be read, or lies in the past, counts as absent.
- Nobody waits longer than a day on a header's word: a misread one has locked accounts for weeks elsewhere.
- Only windows that say `rejected` count. `allowed_warning`, utilization and the overage status do not.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import msgspec

LONGEST_WAIT: Final = 86_400.0

PREFIX: Final = "anthropic-ratelimit-"
UNIFIED: Final = "anthropic-ratelimit-unified-"
# 5h, 7d: shared by all models. 7d_oi, 7d_opus: of some models only. `overage` and `fallback` are no windows.
WINDOW_STATUS: Final = re.compile(rf"{UNIFIED}(\d+[a-z]+(?:_\w+)?)-status")
# The same in words, which is all there is when the window's own status is missing (CLIProxyAPI#5915).
MODEL_CLAIM: Final = re.compile(r"(?:five_hour|seven_day)_\w+")


class Limit(msgspec.Struct, frozen=True):
    """What a 429 means for the account that got it.

    scope   "account": nothing of it may be used · "model": only this model may not · "none": nothing cools down
    until   epoch seconds, at most a day ahead; None with scope "none"
    reason  for the trail: "5h limit", "retry-after", …
    stated  the provider has named the time
    """

    scope: Literal["account", "model", "none"]
    until: float | None
    reason: str
    stated: bool = False


def read(headers: Mapping[str, str], now: float, cooldown: float) -> Limit:
    """The limit behind a 429. `cooldown`: seconds to wait when the provider gives no time itself."""
    fields = {name.lower(): headers[name] for name in headers}
    wait = retry_after(fields, now)
    rejected = rejected_windows(fields)
    shared = [window for window in rejected if "_" not in window]
    claim = fields.get(f"{UNIFIED}representative-claim", "")
    scope: Literal["account", "model"] = "account"
    if rejected:
        # The account's windows outweigh a model's: that one's turn comes with the next 429, if still shut.
        windows = shared or rejected
        scope = "account" if shared else "model"
        reason = f"{' and '.join(windows)} limit"
    elif is_rejected(fields.get(f"{UNIFIED}status", "")):
        windows = []
        scope = "model" if MODEL_CLAIM.fullmatch(claim) else "account"
        reason = f"{claim or 'account'} limit"
    elif wait:
        return Limit("account", now + min(wait, LONGEST_WAIT), "retry-after", stated=True)
    elif is_passing(fields):
        return Limit("none", None, "a passing 429 without a limit")
    else:
        return Limit("account", now + min(cooldown, LONGEST_WAIT), "429 without a time")
    ends = [reset(fields.get(f"{UNIFIED}{window}-reset", ""), now) for window in windows]
    until = max(filter(None, ends), default=None) or reset(fields.get(f"{UNIFIED}reset", ""), now)
    end = min(until or now + (wait or cooldown), now + LONGEST_WAIT)
    return Limit(scope, end, reason, stated=bool(until or wait))


def rejected_windows(fields: Mapping[str, str]) -> list[str]:
    """The windows (`5h`, `7d` …) whose status in these headers, lower-case names, is `rejected`."""
    matches = ((WINDOW_STATUS.fullmatch(name), value) for name, value in fields.items())
    return sorted(match[1] for match, value in matches if match and is_rejected(value))


def is_rejected(status: str) -> bool:
    return status.strip().lower() == "rejected"


def is_passing(fields: Mapping[str, str]) -> bool:
    """Anthropic's windowless 429: come again, it has nothing to do with the account's limits."""
    unlimited = not any(name.startswith(PREFIX) for name in fields)
    return unlimited and fields.get("x-should-retry", "").strip().lower() == "true"


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait as `retry-after` says (a number or an HTTP date; 0.0 for one in the past), or None."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]*)?", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        return max(0.0, with_zone(date).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def reset(value: str, now: float) -> float | None:
    """The time in a `…-reset` header, epoch seconds or RFC 3339, when it lies ahead."""
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]*)?", value):
        time = float(value)
    else:
        try:
            time = with_zone(datetime.fromisoformat(value)).timestamp()
        except (ValueError, OverflowError):
            return None
    return time if time > now else None


def with_zone(date: datetime) -> datetime:
    return date if date.tzinfo else date.replace(tzinfo=UTC)


class Room(msgspec.Struct, frozen=True):
    """How full an account's two windows are, as its last answer said: 0 is empty, 1 is full; None: not known."""

    five_hours: float | None = None
    five_hours_reset: float | None = None
    week: float | None = None
    week_reset: float | None = None
    """Epoch seconds; None: not known."""

    def fullness(self, now: float) -> float:
        """The fuller of the two windows, in steps of a tenth, so that accounts of about the same room take turns."""
        five_hours = 0.0 if self.five_hours_reset and self.five_hours_reset <= now else self.five_hours or 0.0
        week = 0.0 if self.week_reset and self.week_reset <= now else self.week or 0.0
        return int(10 * max(five_hours, week)) / 10

    def weekly_reset(self, now: float) -> float | None:
        """When the weekly window is reset; None: not known, or past."""
        return self.week_reset if self.week_reset and self.week_reset > now else None


def room(headers: Mapping[str, str], now: float) -> Room | None:
    """What the headers of an answer (lower-case names, or mitmproxy's) say about the account's room, if anything."""
    five_hours, week = headers.get(f"{UNIFIED}5h-utilization"), headers.get(f"{UNIFIED}7d-utilization")
    if five_hours is None and week is None:
        return None
    resets = (headers.get(f"{UNIFIED}{window}-reset", "") for window in ("5h", "7d"))
    five_hours_reset, week_reset = (reset(value, now) for value in resets)
    return Room(share(five_hours), five_hours_reset, share(week), week_reset)


def share(value: str | None) -> float | None:
    """A utilization, 0 to 1; None for what can't be read."""
    if value is None or not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,20})?", value.strip()):
        return None
    return min(float(value), 1.0)


def tells_of_limits(name: bytes) -> bool:
    """Whether a response header tells of limits at Anthropic."""
    return name.lower().startswith(b"anthropic-ratelimit-")


def client_visible(name: bytes) -> bool:
    """Whether a response header of a pool account may reach the client.

    Not what tells of the account: its limits (`rejected` stops Claude Code although another token could
    serve), its organization, its cookies.
    """
    return not name.lower().startswith((b"anthropic-", b"x-ratelimit-", b"set-cookie"))
