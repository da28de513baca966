"""Failover: the verdict after a failed attempt, and the order in which targets are asked.

`next_move` is the whole policy and pure; `Breakers` remembers which targets are down. The addon applies them, and
makes the answer for the client when nothing is left to try.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from mitmproxy import http
from mitmproxy.addonmanager import Loader

from addons.proxy.replies import drop_foreign, error_for_client, final_response, label, reported
from addons.state.account_table import iso
from addons.state.attempt import Attempt, Outcome, Verdict, describe
from addons.state.breakers import Avoided, Breakers
from addons.state.context_window import larger
from addons.state.control import Control
from addons.state.exchange import Exchange, Plan, Trying, exchange_of
from addons.wire.rate_limits import LONGEST_WAIT, retry_after
from addons.wire.refusals import account_refused, bad_sample, context_overflow, credit_refused, thinking_refused

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
    forgive: bool = False
    """The accounts that this request was refused with may be used again: it has waited for them."""


def next_move(exchange: Exchange, attempt: Attempt, outcome: Outcome, now: float) -> Move:
    """Decide what to do after `attempt` failed with `outcome`; `now` is unix time, for dates in headers.

    The order of the questions is the policy: is it an answer? can the same target serve (without thinking, with
    another account, once more, without streaming)? is there another target? is there an account to fall back on?
    """
    target, settings, plan = attempt.target, exchange.config.failover, exchange.plan
    if target is None:
        return Move(None, "not a routed request")
    here = plan.cursor
    left = settings.max_attempts - len(exchange.sent())
    spare = left - (len(plan.targets) - 1 - here)  # so that no target's turn is eaten by another's retries

    if left > 0 and target.provider.is_anthropic and not plan.drop_thinking and refuses_thinking(outcome):
        return Move(here, "Anthropic refused the thinking blocks: once more without any", drop_thinking=True)
    if left > 0 and (roomier := larger_target(exchange, outcome)) is not None:
        following = plan.targets[roomier]
        return Move(roomier, f"too long for it: {following.provider.name}/{following.model} has a larger window")
    if is_answer(attempt, outcome):
        return Move(None, "an answer, not an outage")
    if attempt.choice.others and spare > 0:
        return Move(here, "the next account of the pool")
    if spare > 0 and (delay := retry_delay(exchange, attempt, outcome, now)) is not None:
        return Move(here, f"the same target again in {delay:.1f} s", delay, forgive=outcome.error.status == 429)
    if spare > 0 and breaks_streams(exchange, attempt):
        return Move(here, "no stream of this target can be read: once more as a whole answer", whole=True)
    if left > 0 and here + 1 < len(plan.targets) and not plan.last_resort:
        following = plan.targets[here + 1]
        return Move(here + 1, f"next target {following.provider.name}/{following.model}")
    skipped = next((a.target for a in exchange.attempts if lacked_an_account(a)), None)
    if left > 0 and skipped and not plan.last_resort:
        cursor = plan.targets.index(skipped)
        return Move(cursor, "nothing else is left: the account that comes back soonest", last_resort=True)
    return Move(None, "nothing is left to try" if left > 0 else f"{settings.max_attempts} attempts are enough")


def refuses_thinking(outcome: Outcome) -> bool:
    """Whether it was the conversation's thinking that was refused."""
    return outcome.kind == "status" and thinking_refused(outcome.error)


def larger_target(exchange: Exchange, outcome: Outcome) -> int | None:
    """Which target can take a request that was too long for the one that was asked; None when none can, or when it was
    something else."""
    overflow = context_overflow(outcome.error) if outcome.kind in ("status", "error event") else None
    if overflow is None:
        return None
    return larger(exchange.plan.targets, exchange.plan.cursor, overflow[1], exchange.facts)


def is_answer(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether a failure is what the client must hear, because any other target would say the same or worse.

    400, 403, 404, 413, 422 are answers, as is the 401 of the client's own token. What a fallback says in place of an
    answer never is one: it has only shown that it is no fallback.
    """
    target, error, status = attempt.target, outcome.error, outcome.error.status
    if target is None or target.fallback or outcome.kind not in ("status", "error event"):
        return False
    if context_overflow(error):
        return True
    if status >= 500 or status < 400 or status in BUSY or status == 402 or bad_sample(error):
        return False
    choice = attempt.choice
    if choice.account and (choice.others or choice.refused or credit_refused(error) or account_refused(error)):
        return False
    # Else a 401 is a refusal of the gateway's own key, or of a credential that was never meant for this target.
    return status != 401 or target.provider.auth == "claude-oauth"


def retry_delay(exchange: Exchange, attempt: Attempt, outcome: Outcome, now: float) -> float | None:
    """Seconds to wait before the same target is asked again; None when it should not be."""
    if outcome.kind in ("timeout", "skipped") or outcome.headers.get("x-should-retry") == "false":
        return None
    if died_of_age(attempt):
        return 0.0
    retries, same = exchange.config.failover.retries, [a for a in exchange.sent() if a.target == attempt.target]
    if sum(not excused(exchange, a) for a in same) > retries:
        return None
    only = exchange.plan.cursor + 1 == len(exchange.plan.targets)
    wait = retry_after(outcome.headers, now)
    if outcome.kind == "connect" and not only:
        return None
    if outcome.error.status < 500 and outcome.kind in ("status", "error event") and not bad_sample(outcome.error):
        waits_shortly = only and wait is not None and not exchange.plan.last_resort
        if not (attempt.choice.is_passing or waits_shortly):
            return None
        if sum(a.outcome is not None and a.outcome.error.status == 429 and not a.choice.others for a in same) > retries:
            return None  # every account has said so, and after a pause once more
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
    return refused or died_of_age(attempt) or attempt.choice.account in exchange.plan.refused


def lacked_an_account(attempt: Attempt) -> bool:
    """Whether a target was not asked because no account of its pool may be used."""
    skipped = attempt.outcome is not None and attempt.outcome.kind == "skipped"
    return skipped and attempt.choice.pooled and attempt.choice.account is None


def died_of_age(attempt: Attempt) -> bool:
    """Whether a kept connection failed because the provider had closed it by then, which says nothing about it."""
    return attempt.reused and attempt.outcome is not None and attempt.outcome.kind == "dropped"


class Failover:
    """Orders the targets, gives the verdict, and labels what the client gets."""

    def __init__(self, clock: Callable[[], float] = time.time, *, control: Control | None = None) -> None:
        self.clock = clock
        self.breakers = Breakers()
        if control:
            control.avoided = self.table

    def load(self, loader: Loader) -> None:
        loader.add_command("gateway.avoided", self.show)

    def show(self) -> str:
        """The targets that have been failing, or are over their limit: why, and until when they are asked last."""
        now = time.monotonic()
        lines = [self.line(avoided, now) for avoided in self.breakers.view(now)]
        return "\n".join(lines) or "nothing is avoided"

    def line(self, avoided: Avoided, now: float) -> str:
        """`zai/glm-5 is asked last until 14:02:10: 503 (overloaded)`"""
        until = time.strftime("%H:%M:%S", time.localtime(self.clock() + avoided.until - now))
        whose = f" by {sessions(avoided.sessions)}" if avoided.sessions else ""
        return f"{avoided.provider}/{avoided.model or '*'} is asked last{whose} until {until}: {avoided.why}"

    def table(self) -> list[dict[str, object]]:
        """The same for `./run.sh pool`."""
        now = time.monotonic()
        return [
            {
                "provider": one.provider,
                "model": one.model,
                "until": iso(self.clock() + one.until - now),
                "reason": one.why,
                "sessions": one.sessions,
            }
            for one in self.breakers.view(now)
        ]

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or len(exchange.plan.targets) < 2 or flow.response:
            return
        now, session, targets = exchange.clock(), exchange.client.who, exchange.plan.targets
        ordered = self.breakers.order(targets, session, now)
        if ordered != targets:
            for target in targets:
                if avoided := self.breakers.avoided(target, session, now):
                    exchange.note("failover", self.line(avoided, now))
            exchange.plan.targets = ordered
        if exchange.kind == "messages":
            self.breakers.ask(ordered[0], session, now, exchange.config.failover.cooldown)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        attempt = exchange.attempt if exchange else None
        if exchange is None or attempt is None or flow.response is None:
            return
        if attempt.answer:
            label(flow.response, exchange, attempt)
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
            follow(exchange.plan, move)
            attempt.verdict = Verdict(True, move.reason, move.delay)
            return
        failed = reported(exchange, attempt)
        outcome = failed.outcome or outcome
        error = error_for_client(failed, outcome)
        attempt.verdict = Verdict(False, move.reason, error=error)
        if trying.target is not None or flow.response is None:
            last = flow.response if failed is attempt else None
            flow.response = final_response(last, exchange, failed, outcome, error)

    def response(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        attempt = exchange.attempt if exchange else None
        if exchange and attempt and attempt.target and attempt.answer:
            if attempt.outcome is None and exchange.kind == "messages" and not attempt.instead:
                self.breakers.succeeded(attempt.target)
            elif attempt.outcome and attempt.answer.content:
                self.remember(exchange, attempt, attempt.outcome)
                exchange.note("failover", f"{describe(attempt.outcome)} after content: the client was told")

    def remember(self, exchange: Exchange, attempt: Attempt, outcome: Outcome) -> None:
        """Note a failure that says something about the provider, or about its limit.

        Counting tokens has limits of its own, comes in bursts, and may work while nothing else does, or not at all.
        What was done in place of asking it has asked by requests of the gateway's own, which count by themselves.
        """
        if attempt.target is None or outcome.kind == "skipped" or died_of_age(attempt) or exchange.kind != "messages":
            return
        if attempt.instead:
            return
        now, cooldown, target = exchange.clock(), exchange.config.failover.cooldown, attempt.target
        if outcome.error.status >= 500 or outcome.kind not in ("status", "error event"):
            session, why = exchange.client.who, describe(outcome)
            self.breakers.failed(target, session, exchange.request_id, now, cooldown, kind=outcome.kind, why=why)
            return
        self.breakers.succeeded(target)
        if outcome.error.status == 429 and not attempt.choice.account and target.provider.auth != "claude-oauth":
            wait = retry_after(outcome.headers, self.clock())
            self.breakers.limit(target, now + min(cooldown if wait is None else wait, LONGEST_WAIT))


def follow(plan: Plan, move: Move) -> None:
    """Write down in the plan what comes next."""
    assert move.cursor is not None
    plan.cursor = move.cursor
    plan.drop_thinking |= move.drop_thinking
    plan.last_resort |= move.last_resort
    plan.whole = move.whole
    if move.forgive:
        plan.refused.clear()


def sessions(count: int) -> str:
    """`one session`, `2 sessions`."""
    return "one session" if count == 1 else f"{count} sessions"
