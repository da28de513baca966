"""OAuthRotator: what only the Claude credential of an attempt needs, a token of the pool (rotate) or the client's own.

Which token it is was decided by `accounts.py`. In passthrough the client's own credential is sent as it came.
"""

from __future__ import annotations

from addons.proxy.relay import accepted
from addons.proxy.request_head import with_flag
from addons.state.exchange import Exchange, Trying
from addons.wire.errors import ProviderError
from addons.wire.masking import mask

OAUTH_BETA = "oauth-2025-04-20"
"""Without it Anthropic answers 401 "OAuth authentication is currently not supported" (facts of public clients)."""

NO_CREDENTIAL = (
    "no Claude credential: log in to Claude Code (or set CLAUDE_CODE_OAUTH_TOKEN), set CLAUDE_OAUTH_TOKENS on the "
    "gateway, or give {model} a fallback there{off}; `./run.sh settings` prints what makes Claude Code ask for others"
)
"""Subagents, /model and auto mode's check ask for Claude by themselves: who has only another key reads this."""


class OAuthRotator:
    """Finishes the head of an attempt at Anthropic."""

    def attempt(self, trying: Trying) -> None:
        provider, attempt = trying.provider, trying.attempt
        if provider is None or provider.auth != "claude-oauth" or trying.flow.response or attempt.outcome:
            return
        headers = trying.flow.request.headers
        if attempt.choice.account:
            headers.pop("x-api-key", None)
            headers["anthropic-beta"] = with_flag(headers.get("anthropic-beta", ""), OAUTH_BETA)
            return
        own = accepted(trying.exchange.client.credential, provider.host)
        if not own:
            attempt.skip(ProviderError(403, "permission_error", no_credential(trying.exchange)))
            return
        for name, value in own.items():
            attempt.credential[name] = value
            headers[name] = mask(value)
        trying.exchange.note("oauth", "passthrough: the client's own credential")


def no_credential(exchange: Exchange) -> str:
    """What can be set so that the model is served, in one sentence: the fallbacks that lack a key are named in it."""
    model = exchange.plan.rule.to if exchange.plan.rule else exchange.model
    fallbacks = [target for target in exchange.config.targets(model) if target.fallback and target.provider.missing]
    off = "; ".join(f"{target.alias} is off: {target.provider.missing} is not set" for target in fallbacks)
    return NO_CREDENTIAL.format(model=model, off=off and f" ({off})")
