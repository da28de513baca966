"""Accounts: which key or token of a provider's pool an attempt goes out with, and what a refusal does to it.

It puts the credential on the request, reads refusals, lets accounts cool down, and remembers that over a restart. Which
account is next is decided in `state/pool.py`, which pools there are in `state/account_pools.py`; what a limit means in
`wire/rate_limits.py` and `wire/provider_limits.py`. Commands about them are answered by `state/account_commands.py`.
A single key is a pool of one. The Claude tokens are a pool like any other; what only they need is `oauth.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mitmproxy import exceptions, http
from mitmproxy.addonmanager import Loader

from addons.config.config import Provider
from addons.config.settings import Settings
from addons.proxy.header_lines import put
from addons.proxy.request_head import QUERY_KEY, put_path
from addons.proxy.waking import waker
from addons.state.account_activity import AccountActivity
from addons.state.account_commands import AccountCommands
from addons.state.account_errors import back_in, clock, refused_error, why_none
from addons.state.account_pools import AccountPools
from addons.state.attempt import Attempt, Outcome
from addons.state.control import Control, ControlError
from addons.state.exchange import Exchange, Trying, exchange_of
from addons.state.live_credentials import LiveCredentials, is_live
from addons.state.pool import NEARLY, Account, AccountPool, Pick
from addons.state.shared import ANSWERED_WITHIN, Shared, Sit
from addons.state.shared_accounts import SharedAccounts
from addons.state.store import Seat, Store
from addons.wire.errors import ProviderError
from addons.wire.masking import mask
from addons.wire.provider_limits import read_provider_limit
from addons.wire.rate_limits import Limit, read, room
from addons.wire.refusals import account_refused, credit_refused, token_refused

logger = logging.getLogger(__name__)

LONGEST_WAIT = 30.0
"""Seconds that a request waits for a credential that is being had."""

LOOK_AGAIN = 0.05
"""Seconds until an attempt that waits for a credential looks for it again."""


class Accounts:
    """Puts an account's credential on every attempt, and draws the consequences of a refusal."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Callable[[], float] = time.time,
        *,
        live: LiveCredentials | None = None,
        control: Control | None = None,
        shared: Shared | None = None,
    ) -> None:
        self.store, self.clock = store, clock
        self.live = live or LiveCredentials()
        self.activity = AccountActivity()
        self.pools = AccountPools(settings, store, self.live)
        self.shared = shared or Shared()
        self.others = SharedAccounts(self.pools, self.shared, clock)
        self.commands = AccountCommands(self.pools, self.activity, control or Control(), clock, self.others)

    def load(self, loader: Loader) -> None:
        loader.add_command("gateway.pool", self.commands.show)
        loader.add_command("gateway.resume", self.end_cooldowns)  # `resume` is the name of a hook
        loader.add_command("gateway.unbench", self.end_cooldowns)  # its name until November 2026

    def running(self) -> None:
        self.pools.follow(self.clock())  # reads the file now, not during the first request

    def end_cooldowns(self, account: str = "all") -> str:
        """Let accounts that cool down or were refused be used again: one by its name in gateway.pool, or all."""
        try:
            names = self.commands.resume(account)
        except ControlError as error:
            raise exceptions.CommandError(str(error)) from None
        return f"{len(names)} account{'s' if len(names) > 1 else ''} may be used again"

    def attempt(self, trying: Trying) -> None:
        provider, exchange, attempt = trying.provider, trying.exchange, trying.attempt
        if provider is None or trying.flow.response or attempt.outcome or attempt.instead:
            return
        if attempt.postponed and self.shared.link is None:
            return
        if provider.auth == "claude-oauth" and exchange.client.token_mode == "passthrough":
            return
        now, model = self.clock(), attempt.target.model if attempt.target else ""
        self.pools.follow(now)
        pool = self.pools.of(provider)
        if pool is None or not pool.accounts:
            return
        unready = self.pools.unready(pool, now) if self.live.known else []
        if self.shared.link:
            self.ask_for_seat(trying, pool, model, now, unready)
            if attempt.postponed:
                return
        attempt.choice.pooled = True
        if pick := self.choose(pool, exchange, model, now, unready):
            attempt.choice.account, attempt.choice.probe = pick.account, pick.probe
            if is_live(pick.account.value):
                attempt.choice.value = self.live.usable(pick.account.value, now)
            self.activity.count(pick.account.name, now)
            attach(trying, provider, pick)
            return
        if unready:
            self.await_credential(exchange, attempt, provider, unready)
            return
        attempt.choice.back_in = back_in(pool, model, now)
        attempt.choice.error = why_none(pool, provider, attempt.choice.back_in, now)
        attempt.skip(attempt.choice.error)

    def ask_for_seat(self, trying: Trying, pool: AccountPool, model: str, now: float, unready: list[Account]) -> None:
        """Ask other gateways on which account a session stays that is not known here, and wait for that."""
        exchange, attempt, plan = trying.exchange, trying.attempt, trying.exchange.plan
        session = exchange.client.session
        if not session or len(pool.accounts) < 2 or pool.strategy == "request" or exchange.own or plan.only:
            return
        if session in pool.sessions:
            return
        if plan.seat_asked is None:
            account = pool.preview(session, model, now, [*plan.refused, *unready])
            plan.seat_asked = self.others.ask_for_seat(pool, session, account) if account else None
            if plan.seat_asked is None:
                return
            plan.seat_asked.wake = waker(trying.flow)
        if plan.seat_asked.waits:
            attempt.postponed = max(attempt.postponed, ANSWERED_WITHIN)
            return
        asked, plan.seat_asked = plan.seat_asked, None
        if asked.answer and isinstance(asked.question, Sit) and asked.question.pool == pool.name:
            self.others.sit(pool, session, asked.answer, now)

    def await_credential(
        self, exchange: Exchange, attempt: Attempt, provider: Provider, unready: list[Account]
    ) -> None:
        """Wait for a credential that is being had, for a while; else this target can't be asked."""
        plan, names = exchange.plan, [one.value for one in unready]
        plan.waits_since = exchange.clock() if plan.waits_since is None else plan.waits_since
        coming = any(self.live.is_coming(name) for name in names)
        if coming and exchange.clock() - plan.waits_since < LONGEST_WAIT:
            attempt.postponed = LOOK_AGAIN
            return
        problem = next(filter(None, map(self.live.problem, names)), "its credential is not there yet")
        attempt.choice.error = ProviderError(403, "permission_error", f"{provider.name}: {problem}")
        attempt.skip(attempt.choice.error)

    def choose(
        self, pool: AccountPool, exchange: Exchange, model: str, now: float, unready: list[Account]
    ) -> Pick | None:
        """The account of the next attempt: the one that this request has used already, if it may be used again (its
        second try is not somebody else's), else the pool's choice, else the last resort."""
        plan, session = exchange.plan, exchange.client.session
        if plan.only:
            return None if plan.only in unready or plan.only in plan.refused else Pick(plan.only)
        excluded = [*plan.refused, *unready] if unready else plan.refused
        earlier = exchange.attempts[-2::-1]
        used = [a.choice.account for a in earlier if a.choice.account in pool.accounts]
        before = next((account for account in used if account and account not in excluded), None)
        if before and pool.is_usable(before, model, now):
            return Pick(before)
        probes = exchange.kind == "messages"
        if pick := pool.pick(session, model, now, exclude=excluded, probes=probes):
            if pick.seated and session and len(pool.accounts) > 1:
                self.store.record(Seat(session, pool.name, pick.account.fingerprint, now))
                self.others.moved(pool, session, pick.account)
            return pick
        last = pool.soonest(model, now, excluded)
        if last and (plan.last_resort or (last[0] in used and last[1] - now <= NEARLY)):
            return Pick(last[0], probe=probes)
        return None

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        attempt = exchange.attempt if exchange else None
        account, target = (attempt.choice.account, attempt.target) if attempt else (None, None)
        if account and flow.response and target and target.provider.is_anthropic:
            pool = self.pools.of(target.provider)
            if pool and (found := room(flow.response.headers, self.clock())):
                if self.shared.link and pool.rooms.get(account.fingerprint) != found:
                    self.others.seen(account, found)
                pool.rooms[account.fingerprint] = found

    def verdict(self, trying: Trying) -> None:
        exchange, attempt, outcome = trying.exchange, trying.attempt, trying.attempt.outcome
        account, provider = attempt.choice.account, trying.provider
        pool = self.pools.of(provider) if provider else None
        if account is None or outcome is None or provider is None or pool is None:
            return
        if outcome.kind not in ("status", "error event"):
            return
        now, model = self.clock(), attempt.target.model if attempt.target else ""
        self.activity.count(account.name, now, failed=True)
        if (
            outcome.error.status == 401
            and attempt.choice.value
            and self.live.doubt(account.value, attempt.choice.value, now)
        ):
            note(exchange, pool, f"{account.name}: refused before its end, a new one is being had")
            attempt.choice.others = True
            return
        if exchange.plan.only:
            return
        if self.judge(pool, provider, trying, outcome, now):
            exchange.plan.refused.append(account)
            attempt.choice.others = pool.next_usable(model, now, exchange.plan.refused) is not None
        if attempt.choice.refused or outcome.error.status == 401:
            attempt.choice.error = refused_error(provider, account, outcome.error)
        elif outcome.error.status == 429 and not attempt.choice.is_passing:
            attempt.choice.back_in = back_in(pool, model, now)
            if attempt.choice.back_in is not None:
                attempt.choice.error = why_none(pool, provider, attempt.choice.back_in, now, outcome.error.message)

    def judge(self, pool: AccountPool, provider: Provider, trying: Trying, outcome: Outcome, now: float) -> bool:
        """Let the account that was refused cool down, or take it out. Returns whether another one could do better."""
        exchange, attempt, error = trying.exchange, trying.attempt, outcome.error
        account = attempt.choice.account
        assert account
        is_claude = provider.auth == "claude-oauth"
        if token_refused(error) or (error.status == 401 and not is_claude):
            attempt.choice.refused = True
            self.take_out(pool, exchange, account, error.message, now)
            return True
        if credit_refused(error) or account_refused(error):
            return True
        if error.status != 429:
            return False
        if exchange.kind == "count_tokens":
            return True  # "Token counting and message creation have separate and independent rate limits" (docs)
        limit = self.limit(provider, outcome, exchange.config.failover.cooldown, now)
        if limit.until is None:
            attempt.choice.is_passing = True
            return True
        scope = attempt.target.model if limit.scope == "model" and attempt.target else None
        if row := pool.cool_down(account, limit.until, now, model=scope, reason=limit.reason, stated=limit.stated):
            self.store.save_cooldown(row)
            self.others.cooled(account, row)
        note(exchange, pool, f"{account.name} ({account.masked}) cools down until {clock(limit.until)}: {limit.reason}")
        return True

    def limit(self, provider: Provider, outcome: Outcome, cooldown: float, now: float) -> Limit:
        """What a 429 of this provider says."""
        if provider.is_anthropic:
            return read(outcome.headers, now, cooldown=cooldown)
        return read_provider_limit(outcome.headers, outcome.error.message, now, cooldown)

    def take_out(self, pool: AccountPool, exchange: Exchange, account: Account, why: str, now: float) -> None:
        """The provider refuses this account: nobody else is sent there with it. Unless another account was refused to
        the same request: then it is the request that is refused, and both stay."""
        suspects = exchange.plan.suspects
        suspects.append((account, why))
        if sum(one.pool == account.pool for one, _ in suspects) > 1:
            for one, _ in suspects:
                if one.pool == account.pool and one.fingerprint in pool.refused:
                    del pool.refused[one.fingerprint]
                    self.others.refused(pool, one)
                    note(exchange, pool, f"{one.name} ({one.masked}) stays: several refuse this request")
            return
        pool.refuse(account, why, now)
        self.others.refused(pool, account)
        logger.warning("accounts: %s (%s) is refused: %s", account.name, account.masked, why)
        note(exchange, pool, f"{account.name} ({account.masked}) taken out: {why}")

    def response(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        attempt = exchange.attempt if exchange else None
        if exchange is None or attempt is None or not attempt.choice.account or not attempt.target:
            return
        telling = attempt.choice.probe or exchange.plan.suspects or exchange.plan.only
        if telling and attempt.answer and not attempt.outcome and (pool := self.pools.of(attempt.target.provider)):
            self.answered(pool, exchange, attempt)

    def answered(self, pool: AccountPool, exchange: Exchange, attempt: Attempt) -> None:
        """What an answer shows: a probe's account is back, and who was refused the same request is refused indeed."""
        account, now = attempt.choice.account, self.clock()
        assert account and attempt.target
        if attempt.choice.probe and pool.resume(account, attempt.target.model):
            self.store.forget_cooldowns(account.fingerprint, attempt.target.model)
            self.others.resumed(account, attempt.target.model)
            note(exchange, pool, f"{account.name} ({account.masked}) is back before its time")
            if exchange.client.session and pool.strategy != "request":
                pool.sit(exchange.client.session, account)
                self.others.moved(pool, exchange.client.session, account)
        if exchange.plan.only and pool.is_refused(account, now):
            pool.resume(account)  # it was tested, and is taken
            self.others.resumed(account)
        for one, why in exchange.plan.suspects:
            if one.pool == account.pool and one != account:
                pool.refuse(one, why, now)
                self.others.refused(pool, one)


def attach(trying: Trying, provider: Provider, pick: Pick) -> None:
    """Put the account's credential on this attempt: masked in the flow, real on the wire."""
    exchange, attempt, headers, account = trying.exchange, trying.attempt, trying.flow.request.headers, pick.account
    value = attempt.choice.value or account.value
    masked = mask(value) if attempt.choice.value else account.masked
    if provider.auth in ("x-api-key", "header"):
        name = provider.auth_name or "x-api-key"
        attempt.credential[name] = value
        put(headers, name.encode(), masked.encode())
    elif provider.auth == "query":
        attempt.credential[QUERY_KEY] = value
        put_path(trying.flow.request, attempt.credential, provider, provider.path + exchange.path)
    else:
        attempt.credential["authorization"] = f"Bearer {value}"
        put(headers, b"authorization", f"Bearer {masked}".encode())
    if account.count > 1 or provider.auth == "claude-oauth":
        kind = "token" if provider.auth == "claude-oauth" else "key"
        session = f", session {exchange.client.session[:4]}" if exchange.client.session else ""
        how = " moves here" if pick.moved else " asks whether it is back" if pick.probe else ""
        exchange.note(who(account.pool), f"{kind} {account.place} ({masked}){session}{how}")


def who(pool: str) -> str:
    """Under which name the trail tells of this pool."""
    return "oauth" if pool == "claude" else "keys"


def note(exchange: Exchange, pool: AccountPool, what: str) -> None:
    exchange.note(who(pool.name), what)
