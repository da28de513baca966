"""OAuthRotator: the Claude credential of an attempt — a token of the pool (rotate) or the client's own (passthrough).

The pool's rules are `pool.py`, the meaning of Anthropic's rate-limit headers `wire/ratelimit.py`. This addon attaches
the token, reads refusals, benches, and remembers the benches over a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mitmproxy import exceptions
from mitmproxy.addonmanager import Loader

from addons.config.config import Config
from addons.config.settings import Settings
from addons.proxy.replies import error_response
from addons.proxy.request_head import with_flag
from addons.state.exchange import Attempt, Exchange, Outcome, Trying
from addons.state.pool import Token, TokenPool, TokenView
from addons.state.store import Store
from addons.wire import rate_limits as ratelimit
from addons.wire.errors import ProviderError
from addons.wire.masking import mask
from addons.wire.refusals import credit_refused, token_refused

logger = logging.getLogger(__name__)

OAUTH_BETA = "oauth-2025-04-20"
"""Without it Anthropic answers 401 "OAuth authentication is currently not supported" (facts of public clients)."""

NO_CREDENTIAL = (
    "no Claude credential: log in to Claude Code (or set CLAUDE_CODE_OAUTH_TOKEN), "
    "or set CLAUDE_OAUTH_TOKENS on the gateway"
)


class OAuthRotator:
    """Owns the token pool."""

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.settings, self.store, self.clock = settings, store, clock
        self.pool = TokenPool()
        self.config: Config | None = None

    def load(self, loader: Loader) -> None:
        loader.add_command("gateway.pool", self.show)
        loader.add_command("gateway.unbench", self.unbench)

    def running(self) -> None:
        self.follow(self.settings.current)  # reads the file now, not during the first request

    def show(self) -> str:
        """The pool: each token masked, whether it rests and until when, and how many sessions are on it."""
        self.follow(self.settings.current)
        rows = [pool_line(row) for row in self.pool.view(self.clock())]
        return "\n".join(rows) or "no Claude tokens (CLAUDE_OAUTH_TOKENS): requests use each client's own credential"

    def unbench(self, number: str = "all") -> str:
        """Let benched and refused tokens be used again: one by its number in gateway.pool, or all."""
        self.follow(self.settings.current)
        chosen = [token for token in self.pool.tokens if number in ("all", str(token.number))]
        if not chosen:
            raise exceptions.CommandError(f"no token {number!r}; the pool has {len(self.pool.tokens)}")
        for token in chosen:
            self.pool.unbench(token)
            self.store.forget_benches(token.fingerprint)
        return f"{len(chosen)} token{'s' if len(chosen) > 1 else ''} may be used again"

    def attempt(self, trying: Trying) -> None:
        provider, exchange, attempt = trying.provider, trying.exchange, trying.attempt
        if provider is None or provider.auth != "claude-oauth":
            return
        if exchange.token_mode == "passthrough":
            self.pass_through(trying)
            return
        self.follow(self.settings.current)
        now, model = self.clock(), attempt.target.model if attempt.target else ""
        token, moved = self.token_before(exchange, model, now), False
        if token is None and (pick := self.pool.pick(exchange.session, model, now, exclude=exchange.refused_tokens)):
            token, moved = pick.token, pick.moved
        if token is None and exchange.last_resort and (last := self.pool.soonest(model, now, exchange.refused_tokens)):
            token = last[0]
        if token is None:
            attempt.pool_back_in = self.back_in(model, now)
            attempt.skip = self.why_none(attempt.pool_back_in)
            return
        self.attach(trying, token, moved=moved)

    def token_before(self, exchange: Exchange, model: str, now: float) -> Token | None:
        """The token that this request has used already and may use again: its second try is not somebody else's."""
        used = (attempt.token for attempt in reversed(exchange.attempts) if attempt.token)
        token = next((token for token in used if token not in exchange.refused_tokens), None)
        return token if token in self.pool.tokens and self.pool.is_usable(token, model, now) else None

    def attach(self, trying: Trying, token: Token, *, moved: bool) -> None:
        """Put the token on this attempt: masked in the flow, real on the wire. `moved`: its session had another one."""
        exchange, attempt, headers = trying.exchange, trying.attempt, trying.flow.request.headers
        attempt.token = token
        attempt.credential["authorization"] = f"Bearer {token.value}"
        headers.pop("x-api-key", None)
        headers["authorization"] = f"Bearer {token.masked}"
        headers["anthropic-beta"] = with_flag(headers.get("anthropic-beta", ""), OAUTH_BETA)
        session = f", session {exchange.session[:4]}" if exchange.session else ""
        moves = " moves here" if moved else ""
        exchange.note("oauth", f"token {token.place} ({token.masked}){session}{moves}")

    def pass_through(self, trying: Trying) -> None:
        """Send the client's own credential, as it sent it."""
        exchange, attempt = trying.exchange, trying.attempt
        if not exchange.own and attempt.target and attempt.target.fallback:
            attempt.skip = ProviderError(401, "authentication_error", NO_CREDENTIAL)
            return
        if not exchange.own:
            trying.flow.response = error_response(401, NO_CREDENTIAL, exchange.request_id)
            trying.flow.response.headers["x-should-retry"] = "false"
            return
        for name, value in exchange.own.headers().items():
            attempt.credential[name] = value
            trying.flow.request.headers[name] = mask(value)
        exchange.note("oauth", "passthrough: the client's own credential")

    def verdict(self, trying: Trying) -> None:
        attempt, outcome = trying.attempt, trying.attempt.outcome
        if attempt.token is None or outcome is None or outcome.kind not in ("status", "error event"):
            return
        now, model = self.clock(), attempt.target.model if attempt.target else ""
        if self.judge(trying.exchange, attempt, outcome, model, now):
            trying.exchange.refused_tokens.append(attempt.token)
            untried = self.pool.next_usable(model, now, trying.exchange.refused_tokens)
            attempt.other_tokens = untried is not None
            attempt.pool_back_in = self.back_in(model, now)

    def judge(self, exchange: Exchange, attempt: Attempt, outcome: Outcome, model: str, now: float) -> bool:
        """Bench or take out the token that was refused. Returns whether another token could do better."""
        token, error = attempt.token, outcome.error
        assert token
        if token_refused(error):
            attempt.token_refused = True
            self.pool.refuse(token, error.message)
            logger.warning("oauth: token %s (%s) is refused: %s", token.place, token.masked, error.message)
            exchange.note("oauth", f"token {token.number} ({token.masked}) taken out: {error.message}")
            return True
        if credit_refused(error):
            return True
        if error.status != 429:
            return False
        if exchange.kind == "count_tokens":
            return True  # "Token counting and message creation have separate and independent rate limits" (docs)
        limit = ratelimit.read(outcome.headers, now, cooldown=exchange.config.failover.cooldown)
        if limit.until is None:
            attempt.benches_nothing = True
            return False
        scope = model if limit.scope == "model" else None
        if bench := self.pool.bench(token, limit.until, now, model=scope, reason=limit.reason):
            self.store.save_bench(bench)
        until = time_of_day(limit.until)
        exchange.note("oauth", f"token {token.number} ({token.masked}) benched until {until}: {limit.reason}")
        return True

    def follow(self, config: Config) -> None:
        """Take over the tokens and the strategy of a new configuration; on the first, the benches of the last run."""
        if config is self.config:
            return
        first = self.config is None
        self.config = config
        self.pool.strategy = config.pool.strategy
        self.pool.update(config.tokens)
        if first:
            self.pool.restore(self.store.load_benches(self.clock()), self.clock())

    def back_in(self, model: str, now: float) -> float | None:
        """Seconds until the first token is usable again; None when one is now, or none will be."""
        reset = self.pool.next_reset(model, now)
        return reset - now if reset and reset > now else None

    def why_none(self, back_in: float | None) -> ProviderError:
        """What a client is told when no token can be used: waiting helps against a limit, not against a refusal."""
        count = len(self.pool.tokens)
        if back_in is None:
            message = f"Anthropic refuses all {count} Claude tokens of the gateway: renew CLAUDE_OAUTH_TOKENS"
            return ProviderError(401, "authentication_error", message)
        message = f"all {count} Claude tokens are rate limited; the first is back in {back_in:.0f} s"
        return ProviderError(429, "rate_limit_error", message)


def pool_line(row: TokenView) -> str:
    """`2  sk-ant-oat01…3f9a  benched until 14:02:10 (5h limit) · 3 sessions`"""
    until = f" until {time_of_day(row.until)}" if row.until is not None else ""
    models = "".join(f" · {model} until {time_of_day(end)}" for model, end in row.models.items())
    why = f" ({row.reason})" if row.reason else ""
    return f"{row.number}  {row.masked}  {row.state}{until}{why}{models} · {row.sessions} sessions"


def time_of_day(at: float) -> str:
    """Local time of an epoch time."""
    return time.strftime("%H:%M:%S", time.localtime(at))
