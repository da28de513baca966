"""What only a Claude credential needs in the head of an attempt; whose it is has been decided before."""

from __future__ import annotations

import pytest
from mitmproxy import http

from addons.config.config import Target
from addons.oauth import OAUTH_BETA, OAuthRotator
from addons.state.exchange import ClientCredential, Trying
from addons.state.pool import Account
from addons.wire.errors import ProviderError
from tests.credentials import OWN
from tests.exchanges import exchange, provider, target, trying

TOKEN = Account("sk-ant-oat01-of-the-pool-0123456789", 1, 1, 1)


def finished(tried: Trying) -> Trying:
    OAuthRotator().attempt(tried)
    return tried


def with_token(**headers: str) -> Trying:
    """An attempt that goes out with a token of the pool."""
    tried = trying(exchange(target("anthropic")))
    tried.attempt.choice.account = TOKEN
    tried.flow.request.headers = http.Headers((), **headers)
    return tried


def passthrough(own: ClientCredential, *, host: str = "api.anthropic.com") -> Trying:
    """An attempt that goes out with what the client has."""
    made = exchange(Target(alias="asked", provider=provider("anthropic", host=host), model="m"))
    made.client.credential = own
    tried = trying(made)
    tried.flow.request.headers = http.Headers()
    return tried


class TestATokenOfThePool:
    def test_needs_its_flag_and_stands_alone(self) -> None:
        headers = finished(with_token(x_api_key="masked", anthropic_beta="one")).flow.request.headers
        assert dict(headers) == {"anthropic-beta": f"one,{OAUTH_BETA}"}

    def test_where_the_client_has_sent_no_flags(self) -> None:
        assert finished(with_token()).flow.request.headers["anthropic-beta"] == OAUTH_BETA


class TestTheClientsOwn:
    def test_is_real_on_the_wire_and_masked_in_the_flow(self) -> None:
        tried = finished(passthrough(ClientCredential(authorization=f"Bearer {OWN}")))
        assert tried.attempt.credential == {"authorization": f"Bearer {OWN}"}
        assert OWN not in tried.flow.request.headers["authorization"]
        assert tried.flow.request.headers["authorization"].startswith("Bearer sk-ant-oat01")
        assert "anthropic-beta" not in tried.flow.request.headers, "the client knows which flags its token needs"
        assert (tried.exchange.trail[-1].who, tried.attempt.outcome) == ("oauth", None)
        assert OWN not in tried.exchange.trail[-1].what

    @pytest.mark.parametrize(
        "own", [ClientCredential(), ClientCredential(authorization="Bearer a-key-of-somebody-else-0123")]
    )
    def test_that_can_t_be_anthropic_s_is_not_sent_there(self, own: ClientCredential) -> None:
        tried = finished(passthrough(own))
        assert tried.attempt.credential == {}
        assert tried.attempt.outcome
        error = tried.attempt.outcome.error
        assert (error.status, error.type) == (403, "permission_error")
        assert error.message.startswith("no Claude credential: log in to Claude Code (or set CLAUDE_CODE_OAUTH_TOKEN)")
        assert "or give asked a fallback there; `./run.sh settings`" in error.message

    def test_is_a_company_s_upstream_s_to_judge(self) -> None:
        own = ClientCredential(authorization="Bearer a-key-of-somebody-else-0123")
        assert finished(passthrough(own, host="claude.example")).attempt.credential == own.headers()


class TestWhatIsLeftAlone:
    def untouched(self, tried: Trying) -> bool:
        tried.exchange.client.credential = ClientCredential(authorization=f"Bearer {OWN}")
        before, outcome = tried.flow.request.headers.copy(), tried.attempt.outcome
        finished(tried)
        same = tried.flow.request.headers == before and tried.attempt.outcome is outcome
        return same and not tried.attempt.credential and not tried.exchange.trail

    def test_an_attempt_elsewhere(self) -> None:
        assert self.untouched(trying(exchange(target("zai"))))

    def test_one_that_is_skipped_already(self) -> None:
        tried = trying(exchange(target("anthropic")))
        tried.attempt.skip(ProviderError(429, "rate_limit_error", "all are cooling down"))
        assert self.untouched(tried)

    def test_one_that_an_addon_has_answered(self) -> None:
        tried = trying(exchange(target("anthropic")))
        tried.flow.response = http.Response.make(503)
        assert self.untouched(tried)
