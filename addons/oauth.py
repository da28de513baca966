"""OAuthRotator: what only the Claude credential of an attempt needs, a token of the pool (rotate) or the client's own.

Which token it is was decided by `accounts.py`. In passthrough the client's own credential is sent as it came.
"""

from __future__ import annotations

from addons.proxy.relay import accepted
from addons.proxy.request_head import with_flag
from addons.state.exchange import Trying
from addons.wire.errors import ProviderError
from addons.wire.masking import mask

OAUTH_BETA = "oauth-2025-04-20"
"""Without it Anthropic answers 401 "OAuth authentication is currently not supported" (facts of public clients)."""

NO_CREDENTIAL = (
    "no Claude credential: log in to Claude Code (or set CLAUDE_CODE_OAUTH_TOKEN), "
    "or set CLAUDE_OAUTH_TOKENS on the gateway"
)


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
            attempt.skip(ProviderError(403, "permission_error", NO_CREDENTIAL))
            return
        for name, value in own.items():
            attempt.credential[name] = value
            headers[name] = mask(value)
        trying.exchange.note("oauth", "passthrough: the client's own credential")
