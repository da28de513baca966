"""The gate on flows: who comes in, and that nothing in a flow tells a credential."""

from __future__ import annotations

import hmac
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import exceptions, http
from mitmproxy.test import taddons, tflow

from addons.auth import AuthGate
from addons.config.config import Config
from addons.config.settings import Settings
from addons.proxy.client_address import read_networks
from addons.proxy.request_head import unpacked
from addons.state.exchange import ClientCredential, Exchange, exchange_of
from addons.state.replay_tickets import TICKET_HEADER
from addons.team import admission
from addons.team.admission import Presented, read_gateway_headers
from addons.wire import limits
from tests.credentials import ADMIN, OWN, TOKEN

KEY, MODE = "x-litellm-api-key", "x-claude-token-mode"

CREDENTIAL_HEADERS = [
    "authorization",
    "x-api-key",
    KEY,
    "cookie",
    "proxy-authorization",
    "X-Goog-Api-Key",
    "x-my-token",
]


def gate(**config: Any) -> AuthGate:
    settings = Settings(Path("routing.yaml"), Path(".env"), {})
    settings.current = Config(providers={}, models=(), **config)
    return AuthGate(settings)


def request(*lines: tuple[str, str], method: str = "POST", path: str = "/v1/messages") -> http.HTTPFlow:
    """A flow as it is when its headers have come."""
    flow = tflow.tflow(req=http.Request.make(method, f"http://gateway{path}"))
    flow.request.headers = http.Headers((name.encode(), value.encode()) for name, value in lines)
    flow.request.authority = ""
    flow.request.data.content = None
    return flow


def enter(flow: http.HTTPFlow, **config: Any) -> Exchange:
    """What the gate makes of the flow."""
    gate(**config).requestheaders(flow)
    made = exchange_of(flow)
    assert made
    return made


# The packed form


@pytest.mark.parametrize(
    ("lines", "presented"),
    [
        ([], ("", "")),
        ([(KEY, "t")], ("t", "")),
        ([(KEY, "t"), (MODE, "rotate")], ("t", "rotate")),
        ([(KEY, f"t, {MODE}: passthrough")], ("t", "passthrough")),
        ([(KEY, f"t,{MODE}:passthrough")], ("t", "passthrough")),
        ([(KEY, f"t , {MODE} : Passthrough")], ("t", "passthrough")),
        ([(KEY, rf"t\n{MODE}: passthrough")], ("t", "passthrough")),
        ([(KEY, rf"t \n {MODE.title()}: passthrough")], ("t", "passthrough")),
        ([(MODE, f"passthrough, {KEY}: t")], ("t", "passthrough")),
        ([(MODE, rf"passthrough\n{KEY}: t")], ("t", "passthrough")),
        ([("x-first", f"a, {KEY}: t, {MODE}: rotate")], ("t", "rotate")),
        ([(KEY, "with, a comma")], ("with, a comma", "")),
        ([(KEY, f"t{MODE}: passthrough")], (f"t{MODE}: passthrough", "")),
        ([(KEY, f"t, {MODE}")], (f"t, {MODE}", "")),
        ([(KEY, "one"), (KEY, "two")], ("two", "")),
    ],
)
def test_the_gateways_headers_in_one_line(lines: list[tuple[str, str]], presented: tuple[str, str]) -> None:
    assert said_in(lines) == Presented(*presented)


def said_in(lines: list[tuple[str, str]]) -> Presented:
    values: dict[str, list[str]] = {}
    for name, value in unpacked([(name.encode(), value.encode()) for name, value in lines]):
        values.setdefault(name.decode().lower(), []).append(value.decode())
    return read_gateway_headers(values)


WORDS = st.text(st.characters(codec="latin-1", exclude_characters=",\\\r\n"), min_size=1).map(str.strip).filter(bool)


@given(
    st.permutations([KEY, MODE, "x-other"]),
    st.tuples(WORDS, WORDS, WORDS),
    st.sampled_from([", ", ",", r"\n", r" \n "]),
)
def test_any_order_in_one_line_says_the_same(names: list[str], values: tuple[str, ...], separator: str) -> None:
    """But for a foreign header behind one of ours, of which nobody knows where it begins."""
    head, *rest = [name for name in names if name == names[0] or name != "x-other"]
    said = dict(zip(names, values, strict=True))
    line = separator.join([said[head], *(f"{name}: {said[name]}" for name in rest)])
    assert said_in([(head, line)]) == Presented(said[KEY], said[MODE].lower())


# Who comes in


@pytest.mark.parametrize(
    ("lines", "caller"),
    [
        ([(KEY, TOKEN)], "token"),
        ([(KEY, ADMIN)], "admin"),
        ([("x-api-key", ADMIN)], "admin"),
        ([("authorization", f"BEARER  {TOKEN}")], "token"),
        ([("authorization", TOKEN)], "token"),
        ([(KEY, "wrong"), ("x-api-key", TOKEN)], "token"),
        ([(KEY, "wrong")], "nobody"),
        ([(KEY, "")], "nobody"),
        ([("authorization", "Bearer ")], "nobody"),
        ([("authorization", "Bearer")], "nobody"),
        ([], "nobody"),
    ],
)
def test_callers(lines: list[tuple[str, str]], caller: str) -> None:
    flow = request(*lines)
    assert enter(flow, static_token=TOKEN, admin_key=ADMIN).client.caller == caller
    assert (flow.response is not None) == (caller == "nobody")


def test_without_a_token_everybody_comes_in_and_an_empty_one_is_none() -> None:
    for lines in ([], [(KEY, "anything")], [("authorization", "Bearer x")]):
        flow = request(*lines)
        assert enter(flow).client.caller == "anyone"
        assert flow.response is None
    assert enter(request((KEY, "")), static_token=TOKEN).client.caller == "nobody", "and an empty one equals none"


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, expected: bytes) -> bool:
        compared.append((given, expected))
        return hmac.compare_digest(given, expected)

    monkeypatch.setattr(admission, "hmac", type("hmac", (), {"compare_digest": staticmethod(compare)}))
    assert not admission.same("wrong", TOKEN)
    assert admission.same(TOKEN, TOKEN)
    assert compared == [(b"wrong", TOKEN.encode()), (TOKEN.encode(), TOKEN.encode())]
    assert not admission.same("", "")
    assert not admission.same("\udce4", TOKEN), "bytes that are no text are compared too"


# Web pages


def test_web_pages_of_others_are_refused_while_the_gate_is_open() -> None:
    page = [("host", "localhost"), ("origin", "https://evil.example")]
    for lines, path, status in [(page, "/v1/messages", 403), ([("host", "x")], "/v1/models", 403), (page, "/", 403)]:
        flow = request(*lines, path=path)
        enter(flow)
        assert flow.response
        assert flow.response.status_code == status
        assert flow.response.headers["x-should-retry"] == "false"
    closed = request(*page, (KEY, TOKEN))
    enter(closed, static_token=TOKEN)
    assert closed.response is None


def test_hosts_that_are_listed_and_the_one_that_is_listened_on() -> None:
    addon = gate()
    with taddons.context(addon) as context:
        context.configure(addon, gateway_origins="chat.example", listen_host="desk.example")
        for host in ("chat.example", "desk.example:4000"):
            flow = request(("host", host), ("origin", f"https://{host}"))
            addon.requestheaders(flow)
            assert flow.response is None
        with pytest.raises(exceptions.OptionsError, match=r"gateway_origins: 'a\*' is not a host"):
            context.configure(addon, gateway_origins="a*")


# Whom the log tells of


def test_who_came_without_the_token_is_told_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    addon = gate(static_token=TOKEN)
    addon.trusted.networks = read_networks("127.0.0.0/8")

    def comes(forwarded: str) -> None:
        flow = request((KEY, "wrong"), ("x-forwarded-for", forwarded))
        flow.client_conn.peername = ("127.0.0.1", 50000)
        addon.requestheaders(flow)

    comes("198.51.100.7")
    for _ in range(100):
        comes("198.51.100.8")
    now += 60
    comes("1.1.1.1, 198.51.100.9")
    assert caplog.messages == [
        "gate: a request without the gateway's token, the last from 198.51.100.7",
        "gate: 101 requests without the gateway's token, the last from 198.51.100.9",
    ]


# What is left in the flow and in the exchange


@pytest.mark.parametrize("refused", [True, False])
@pytest.mark.parametrize("name", CREDENTIAL_HEADERS)
@pytest.mark.parametrize("value", [OWN, f"Bearer {OWN}", f"a=b; session={OWN}", f"x, {MODE}: {OWN}"])
def test_a_flow_never_shows_a_credential(name: str, value: str, refused: bool) -> None:
    flow = request((name, value), (name, f"again {value}"))
    made = enter(flow, static_token=TOKEN if refused else "")
    for shown in (repr(flow.get_state()), repr(made), repr(made.headers)):
        assert OWN not in shown
    assert name.lower() in (header.lower() for header in flow.request.headers), "that there was one may be seen"


@pytest.mark.parametrize("name", [MODE, "x-anything"])
def test_a_token_that_is_packed_into_another_header_is_found(name: str) -> None:
    flow = request((name, f"rotate, {KEY}: {OWN}"))
    made = enter(flow)
    assert OWN not in repr(flow.get_state())
    assert OWN not in repr(made)
    assert flow.request.headers[KEY] == "sk-ant-oat01…6789"


def test_a_token_in_the_place_of_the_mode_is_not_shown() -> None:
    flow = request((MODE, OWN))
    assert enter(flow, tokens=("t",)).client.token_mode == "rotate"
    assert flow.request.headers[MODE] == "rotate"


def test_a_ticket_is_not_shown() -> None:
    flow = request((TICKET_HEADER, "of-nobody"), ("x-mine", "1"))
    made = enter(flow)
    assert "of-nobody" not in repr(flow.get_state())
    assert made.headers == (("x-mine", "1"),)


def test_what_a_provider_may_see() -> None:
    made = enter(
        request(
            ("User-Agent", "claude-cli"),
            ("x-mine", "1"),
            ("x-mine", "2"),
            (KEY, TOKEN),
            (MODE, "rotate"),
            ("Authorization", OWN),
            ("Cookie", "a=b"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("TE", "trailers"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("Expect", "100-continue"),
            ("Host", "gateway"),
            ("Content-Length", "5"),
        )
    )
    assert made.headers == (("User-Agent", "claude-cli"), ("x-mine", "1"), ("x-mine", "2"))


@pytest.mark.parametrize(
    ("lines", "own"),
    [
        ([], ("", "")),
        ([("authorization", f"Bearer {OWN}")], (f"Bearer {OWN}", "")),
        ([("authorization", f"Bearer {OWN}"), ("x-api-key", "k")], (f"Bearer {OWN}", "k")),
        ([("authorization", f"Bearer {TOKEN}"), ("x-api-key", "k")], ("", "k")),
        ([("authorization", f"Bearer {OWN}"), ("x-api-key", ADMIN)], (f"Bearer {OWN}", "")),
        ([("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {OWN}")], (f"Bearer {OWN}", "")),
        ([("authorization", f"Bearer {OWN}"), ("authorization", f"Bearer {TOKEN}")], (f"Bearer {OWN}", "")),
        ([("x-api-key", TOKEN), ("x-api-key", "k")], ("", "k")),
        ([("x-api-key", f"k, {MODE}: passthrough"), (KEY, TOKEN)], ("", "k")),
    ],
)
def test_the_clients_own_credential(lines: list[tuple[str, str]], own: tuple[str, str]) -> None:
    made = enter(request(*lines), static_token=TOKEN, admin_key=ADMIN)
    assert made.client.credential == ClientCredential(*own)
    assert bool(made.client.credential) == any(own)


@pytest.mark.parametrize(
    ("configured", "tokens", "asked", "mode"),
    [
        ("rotate", ("t",), "", "rotate"),
        ("rotate", ("t",), "passthrough", "passthrough"),
        ("rotate", ("t",), "PASSTHROUGH", "passthrough"),
        ("rotate", ("t",), "nonsense", "rotate"),
        ("passthrough", ("t",), "", "passthrough"),
        ("passthrough", ("t",), "rotate", "rotate"),
        ("rotate", (), "", "passthrough"),
        ("passthrough", (), "rotate", "passthrough"),
    ],
)
def test_token_modes(configured: Any, tokens: tuple[str, ...], asked: str, mode: str) -> None:
    assert enter(request((MODE, asked)), token_mode=configured, tokens=tokens).client.token_mode == mode


# What is answered at once


def test_each_refusal_names_its_request() -> None:
    large = request(("content-length", str(limits.BODY + 1)), ("expect", "100-continue"))
    proxied = request()
    proxied.request.authority = "api.anthropic.com"
    nobody = request((KEY, "wrong"), ("expect", "100-continue"))
    for flow, status, config in [(large, 413, {}), (proxied, 400, {}), (nobody, 401, {"static_token": TOKEN})]:
        made = enter(flow, **config)
        assert flow.response
        assert flow.response.status_code == status
        assert flow.response.json()["request_id"] == made.request_id == flow.response.headers["request-id"]
        assert "expect" not in flow.request.headers, "nobody is told to go on"
    assert enter(request()).request_id != made.request_id


def test_a_body_of_exactly_the_limit_may_come() -> None:
    flow = request(("content-length", str(limits.BODY)))
    enter(flow)
    assert flow.response is None


@pytest.mark.parametrize(
    ("method", "path", "passes"),
    [
        ("GET", "/", True),
        ("HEAD", "/", True),
        ("HEAD", "/api/hello", True),
        ("GET", "/health?x=1", True),
        ("POST", "/", False),
        ("DELETE", "/health", False),
        ("GET", "/healthz", False),
        ("GET", "/health/", False),
        ("GET", "//health", False),
        ("GET", "/v1/models", False),
        ("GET", "/x?/health", False),
    ],
)
def test_probes(method: str, path: str, passes: bool) -> None:
    flow = request(method=method, path=path)
    enter(flow, static_token=TOKEN)
    assert (flow.response is None) == passes


@pytest.mark.parametrize(
    ("host", "token", "warns"),
    [
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("localhost", "", False),
        ("", "", True),
        ("0.0.0.0", "", True),
        ("192.0.2.1", "", True),
        ("0.0.0.0", TOKEN, False),
    ],
)
def test_an_open_door_to_the_network_is_warned_about(
    host: str, token: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    addon = gate(static_token=token)
    with taddons.context(addon) as context, caplog.at_level(logging.WARNING):
        context.options.listen_host = host
        addon.running()
    assert ("there is no PROXY_STATIC_TOKEN" in caplog.text) == warns
