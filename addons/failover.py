"""Failover: the verdict after a failed attempt, and the order in which targets are asked.

`next_move` is the whole policy and pure; `Breakers` remembers which providers are down. The addon applies them, and
makes the answer for the client when nothing is left to try.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from mitmproxy import http

from addons.proxy.replies import drop_foreign, error_for_client, final_response, label, reported
from addons.state.breakers import Breakers
from addons.state.exchange import Attempt, Exchange, Outcome, Trying, Verdict, describe, exchange_of
from addons.wire.rate_limits import LONGEST_WAIT, retry_after
from addons.wire.refusals import (
    bad_sample,
    context_overflow,
    credit_refused,
    field_unknown,
    model_unknown,
    thinking_refused,
)

RETRY_DELAY = 0.5
"""Seconds before the same target is asked once more."""

LONGEST_RETRY_AFTER = 5.0
"""A provider that asks for more seconds than this isn't waited for: the next target is asked."""

UNREADABLE = 2
"""Streams of one target that can't be read, after which it is asked for a whole answer."""

BUSY = frozenset({408, 409, 425, 429})
"""Client-error statuses that say "not now", and so start a failover."""


class Move(NamedTuple):
    """What comes after a failed attempt. `cursor` None: give up."""

    cursor: int | None
    reason: str
    delay: float = 0.0
    drop_thinking: bool = False
    last_resort: bool = False
    whole: bool = False


def next_move(exchange: Exchange, attempt: Attempt, outcome: Outcome, now: float) -> Move:
    """Decide what to do after `attempt` failed with `outcome`; `now` is unix time, for dates in headers.

    The order of the questions is the policy: is it an answer? can the same target serve (without thinking, with
    another token, once more)? is there another target? is there a token to fall back on?
    """
    target, settings, error = attempt.target, exchange.config.failover, outcome.error
    if target is None:
        return Move(None, "not a routed request")
    here = exchange.cursor
    left = settings.max_attempts - len(exchange.sent())
    spare = left - (len(exchange.targets) - 1 - here)  # so that no target's turn is eaten by another's retries
    anthropic = target.provider.is_anthropic

    if left > 0 and anthropic and outcome.kind == "status" and thinking_refused(error) and not exchange.drop_thinking:
        return Move(here, "Anthropic refused the thinking blocks: once more without any", drop_thinking=True)
    if is_answer(exchange, attempt, outcome):
        return Move(None, "an answer, not an outage")
    if attempt.other_tokens and spare > 0:
        return Move(here, "the next token of the pool")
    if spare > 0 and (delay := retry_delay(exchange, attempt, outcome, now)) is not None:
        return Move(here, f"the same target again in {delay:.1f} s", delay)
    if spare > 0 and breaks_streams(exchange, attempt):
        return Move(here, "no stream of this target can be read: once more as a whole answer", whole=True)
    if left > 0 and here + 1 < len(exchange.targets) and not exchange.last_resort:
        following = exchange.targets[here + 1]
        return Move(here + 1, f"next target {following.provider.name}/{following.model}")
    skipped = next((a.target for a in exchange.attempts if lacked_a_token(a)), None)
    if left > 0 and skipped and not exchange.last_resort:
        cursor = exchange.targets.index(skipped)
        return Move(cursor, "nothing else is left: the token that comes back soonest", last_resort=True)
    return Move(None, "nothing is left to try" if left > 0 else f"{settings.max_attempts} attempts are enough")


def is_answer(exchange: Exchange, attempt: Attempt, outcome: Outcome) -> bool:
    """Whether a failure is what the client must hear, because any other target would say the same or worse.

    400, 403, 404, 413, 422 are answers, as is the 401 of the client's own token. A fallback target that doesn't know
    the model or a field of the request has only shown that it is no fallback.
    """
    if outcome.kind not in ("status", "error event"):
        return False
    target, error, status = attempt.target, outcome.error, outcome.error.status
    assert target
    if context_overflow(error):
        return True
    if status >= 500 or status < 400 or status in BUSY or status == 402 or bad_sample(error):
        return False
    if attempt.token and (attempt.other_tokens or attempt.token_refused or credit_refused(error)):
        return False
    if status == 401:
        # Else it is the gateway's own key that was refused, or a credential that was never meant for this target.
        return target.provider.auth == "claude-oauth" and not target.fallback
    return not (target.fallback and (model_unknown(error) or field_unknown(error)))


def retry_delay(exchange: Exchange, attempt: Attempt, outcome: Outcome, now: float) -> float | None:
    """Seconds to wait before the same target is asked again; None when it should not be."""
    if outcome.kind in ("timeout", "skipped") or outcome.headers.get("x-should-retry") == "false":
        return None
    if died_of_age(attempt):
        return 0.0
    asked = [a for a in exchange.sent() if a.target == attempt.target and not excused(exchange, a)]
    if len(asked) > exchange.config.failover.retries:
        return None
    only = exchange.cursor + 1 == len(exchange.targets)
    wait = retry_after(outcome.headers, now)
    if outcome.kind == "connect" and not only:
        return None
    if outcome.error.status < 500 and outcome.kind in ("status", "error event") and not bad_sample(outcome.error):
        waits_shortly = only and wait is not None and attempt.token is None
        if not (attempt.benches_nothing or waits_shortly):
            return None
    if wait is not None:
        return max(wait, RETRY_DELAY) if wait <= LONGEST_RETRY_AFTER else None
    return RETRY_DELAY


def breaks_streams(exchange: Exchange, attempt: Attempt) -> bool:
    """Whether the target has sent streams that can't be read, twice, and has not been asked for a whole answer."""
    if not exchange.stream:
        return False
    here = [a for a in exchange.sent() if a.target == attempt.target]
    unreadable = [a for a in here if a.outcome and a.outcome.kind == "invalid"]
    return len(unreadable) >= UNREADABLE and not any(a.whole for a in here)


def excused(exchange: Exchange, attempt: Attempt) -> bool:
    """Whether a failure was not the provider's: the same request may still get its second chance there."""
    refused = attempt.outcome is not None and thinking_refused(attempt.outcome.error)
    return refused or died_of_age(attempt) or attempt.token in exchange.refused_tokens


def lacked_a_token(attempt: Attempt) -> bool:
    """Whether a target was not asked because every token of its pool rests."""
    outcome, target = attempt.outcome, attempt.target
    if outcome is None or outcome.kind != "skipped" or target is None:
        return False
    return target.provider.auth == "claude-oauth" and outcome.error.status != 401


def died_of_age(attempt: Attempt) -> bool:
    """A kept connection that the provider had closed by then: it says nothing about the provider."""
    return attempt.reused and attempt.outcome is not None and attempt.outcome.kind == "dropped"


class Failover:
    """Orders the targets, gives the verdict, and labels what the client gets."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.breakers = Breakers()

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange and len(exchange.targets) > 1 and not flow.response:
            now = exchange.clock()
            ordered = self.breakers.order(exchange.targets, now)
            if ordered != exchange.targets:
                exchange.note("failover", f"{exchange.targets[0].provider.name} has been failing: asked last")
                exchange.targets = ordered
            if exchange.kind == "messages":
                self.breakers.ask(ordered[0], now, exchange.config.failover.cooldown)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        attempt = exchange.attempt if exchange else None
        if exchange is None or attempt is None or flow.response is None:
            return
        if attempt.answer:
            label(flow.response, exchange)
        elif attempt.target is None:
            drop_foreign(flow.response)

    def verdict(self, trying: Trying) -> None:
        exchange, attempt, flow = trying.exchange, trying.attempt, trying.flow
        outcome = attempt.outcome
        if exchange.verdict or outcome is None:
            return
        self.remember(exchange, attempt, outcome)
        move = next_move(exchange, attempt, outcome, self.clock())
        took = exchange.clock() - attempt.started
        exchange.note("failover", f"{describe(outcome)} after {took:.1f} s: {move.reason}")
        if move.cursor is not None:
            exchange.cursor = move.cursor
            exchange.drop_thinking |= move.drop_thinking
            exchange.last_resort |= move.last_resort
            exchange.whole = move.whole
            exchange.verdict = Verdict(True, move.reason, move.delay)
            return
        failed = reported(exchange, attempt)
        outcome = failed.outcome or outcome
        error = error_for_client(failed, outcome)
        exchange.verdict = Verdict(False, move.reason, error=error)
        if trying.target is not None or flow.response is None:
            last = flow.response if failed is attempt else None
            flow.response = final_response(last, exchange, failed, outcome, error)

    def response(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        attempt = exchange.attempt if exchange else None
        if exchange and attempt and attempt.target and attempt.answer:
            if attempt.outcome is None and exchange.kind == "messages":
                self.breakers.succeeded(attempt.target)
            elif attempt.outcome and attempt.answer.content:
                self.remember(exchange, attempt, attempt.outcome)
                exchange.note("failover", f"{describe(attempt.outcome)} after content: the client was told")

    def remember(self, exchange: Exchange, attempt: Attempt, outcome: Outcome) -> None:
        """Note a failure that says something about the provider, or about its limit.

        Counting tokens has limits of its own, comes in bursts, and may work while nothing else does, or not at all.
        """
        if attempt.target is None or outcome.kind == "skipped" or died_of_age(attempt) or exchange.kind != "messages":
            return
        now, cooldown = exchange.clock(), exchange.config.failover.cooldown
        status = outcome.error.status
        if status >= 500 or outcome.kind not in ("status", "error event"):
            self.breakers.failed(attempt.target, now, cooldown, timed_out=outcome.kind == "timeout")
            return
        self.breakers.succeeded(attempt.target)
        if status == 429 and attempt.target.provider.auth != "claude-oauth":  # else it is a token's limit
            wait = retry_after(outcome.headers, self.clock())
            self.breakers.rest(attempt.target, now + min(cooldown if wait is None else wait, LONGEST_WAIT))
