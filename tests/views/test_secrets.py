"""No view shows a secret, wherever one is: in headers, bodies, steps, errors; known or only looking like one."""

import json

import pytest

from addons.config.config import Config
from addons.state.exchange import ClientCredential
from addons.views import answer, attempts, changes, conversation, trail
from addons.wire.errors import error_event
from tests.client_messages import assistant, text, tool_result, tool_use, user
from tests.exchanges import provider
from tests.views.looked_at import Watched, kept
from tests.wire.bodies import request
from tests.wire.streams import sse, tool, whole
from tests.wire.streams import text as text_events

CANARIES = {
    "the gateway's token": "canary.gateway.of-no-known-shape",
    "a pool token": "sk-ant-oat01-canary0000000000000000000000000000-AAAA",
    "a provider's key": "canary0provider0key.0123456789",
    "the client's own": "canary0own0token.9876543210",
    "nobody's": "sk-or-v1-canary2222222222222222222222222222222222",
}
VIEWS = {"trail": trail, "changes": changes, "conversation": conversation, "answer": answer, "attempts": attempts}


def exchange_with(secret):
    """The secret wherever a client or a provider can put one."""
    zai = provider("zai", api_keys=(CANARIES["a provider's key"],))
    config = Config(
        providers={"zai": zai},
        models=(),
        tokens=(CANARIES["a pool token"],),
        static_token=CANARIES["the gateway's token"],
    )
    long = f"{'word ' * 120}{secret} " * 30  # a fold falls into it somewhere
    body = request(
        user(text(f"my key is {secret}"), text(long)),
        assistant(tool_use(name=f"n {secret}", input={"env": {f"KEY {secret}": secret}, "text": f"a\n{long}"})),
        user(tool_result(content=secret), {"type": secret, "odd": [secret]}, text(long)),
        system=f"token: {secret}",
        tools=[{"name": secret}],
        extra_headers={"authorization": f"Bearer {secret}"},
        metadata={"user_id": secret},
    )
    watched = Watched("zai", "anthropic", body=body, config=config)
    exchange = watched.exchange
    exchange.client.credential = ClientCredential(authorization=f"Bearer {CANARIES["the client's own"]}")
    exchange.client.session = secret
    exchange.path = f"/v1/messages?key={secret}"
    watched.sends(headers=[("x-api-key", "…6789")])
    watched.fails(words=f"bad key {secret}")
    exchange.note("oauth", f"took {secret}")
    watched.sends()
    events = whole(text_events(0, "your key: ", secret), tool(1, "t1", json.dumps({"key": secret, "long": long})))
    watched.streams(sse(events))
    made = watched.ends()
    assert made.recorded.response
    assert made.attempts[0].outcome
    made.recorded.response.body = made.recorded.response.body.replace(b"your key", b"YOUR KEY") + error_event(
        made.attempts[0].outcome.error
    )
    return made


@pytest.mark.parametrize("whose", CANARIES)
@pytest.mark.parametrize("name", VIEWS)
def test_no_view_shows_it(name, whose):
    secret = CANARIES[whose]
    shown = VIEWS[name].render(exchange_with(secret))
    pieces = {secret[start : start + 12] for start in range(4, len(secret) - 12)}
    assert not [piece for piece in pieces if piece in shown]
    assert "…" in shown


@pytest.mark.parametrize(
    "body", ['{"text":"%s"}', 'no JSON: %s "', 'data: an odd "\n\ndata: {"text":"%s"}\n\n', "<p>%s"]
)
@pytest.mark.parametrize("depth", [0, 2])
def test_no_view_shows_how_it_is_spelt(body, depth):
    """A provider that says the gateway's key in escapes, in an answer or an error of any kind."""
    secret = CANARIES["a provider's key"]
    escaped = "".join(f"\\u{ord(char):04x}" for char in secret)
    for _ in range(depth):
        escaped = json.dumps(escaped)[1:-1]
    made = exchange_with("harmless")
    said = (body % escaped).encode()
    for one in (made.recorded, *(attempt.recorded for attempt in made.attempts)):
        assert one.response
        one.response.body = said
    for view in VIEWS.values():
        shown = view.render(made)
        assert secret not in shown
        assert escaped not in shown
        assert escaped[:40] not in shown


@pytest.mark.parametrize("length", range(380, 640, 7))
def test_no_fold_leaves_half_of_it(length):
    secret = CANARIES["the gateway's token"]
    made = exchange_with(secret)
    made.recorded.request = kept(
        "POST /", request("x " * (length // 2) + secret + " y" * 5000, system="y " * (length // 2) + secret)
    )
    made.attempts[0].recorded.request = kept("POST /", request("x " * (length // 2) + secret + " z" * 5000))
    for view in VIEWS.values():
        assert "canary" not in view.render(made)
