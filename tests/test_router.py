"""The plan of a request and the head of each attempt, on flows."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.test import tflow

from addons.config.config import Config, Route, Target
from addons.config.rules import Rule, When
from addons.router import ModelRouter, body_bytes
from addons.state.exchange import Client, ClientCredential, Exchange, Trying, remember
from addons.wire import limits
from addons.wire.errors import BadRequest
from addons.wire.messages.body import RequestBody, session_key, session_of
from tests.exchanges import exchange, provider, target, trying

ROUTER = ModelRouter()
KEY = "provider-key-0123456789"
BODY = b'{"model":"%s","messages":[],"max_tokens":1}'


def routes(**models: Any) -> Config:
    """A configuration with these models: each a provider."""
    routes = tuple(Route(alias=alias, provider=where, model="m") for alias, where in models.items())
    return Config(providers={where.name: where for where in models.values()}, models=routes)


def posted(body: bytes, path: str = "/v1/messages", method: str = "POST", **headers: str) -> http.Request:
    """A request with exactly this body."""
    request = http.Request.make(method, f"http://gateway{path}")
    request.headers = http.Headers((name.encode(), value.encode()) for name, value in headers.items())
    request.raw_content = body
    return request


def asked(config: Config, body: bytes, path: str = "/v1/messages", method: str = "POST", **headers: str) -> Any:
    """A flow and its exchange, after the router has planned it."""
    flow = tflow.tflow(req=posted(body, path, method, **headers))
    made = Exchange(config, lambda: 0.0, 0.0, method, path, tuple(headers.items()), request_id="req_1")
    remember(flow, made)
    ROUTER.request(flow)
    return flow, made


def sent(at: Target, made: Exchange | None = None, **fields: Any) -> Trying:
    """The attempt at this target, after the router has adapted it."""
    made = made or exchange(at)
    for name, value in fields.items():
        setattr(made, name, value)
    tried = trying(made)
    ROUTER.attempt(tried)
    return tried


# The plan


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/v1/messages", "messages"),
        ("POST", "/v1/messages?beta=true", "messages"),
        ("POST", "/v1/messages/count_tokens?beta=true", "count_tokens"),
        ("GET", "/v1/messages", "local"),
        ("POST", "/v1/messages/", "local"),
        ("POST", "//gateway/v1/messages", "local"),
        ("POST", "/V1/messages", "local"),
        ("POST", "/v1/messages/batches", "local"),
        ("POST", "/x/v1/messages", "local"),
    ],
)
def test_only_two_paths_are_routed(method: str, path: str, kind: str) -> None:
    flow, made = asked(routes(glm=provider("zai")), BODY % b"glm", path, method)
    assert made.kind == kind
    assert bool(made.plan.targets) == (kind != "local")
    assert flow.response is None


def test_a_flow_that_did_not_come_through_the_gate_is_left_alone() -> None:
    flow = tflow.tflow()
    before = flow.get_state()
    ROUTER.request(flow)
    assert flow.get_state() == before


def test_a_flow_that_has_its_answer_is_left_alone() -> None:
    flow, _ = asked(routes(glm=provider("zai")), b"")
    answer = flow.response
    ROUTER.request(flow)
    assert flow.response is answer


def test_targets_without_their_key_are_left_out() -> None:
    config = Config(
        providers={},
        models=(Route(alias="a", provider=provider("one", missing="ONE_KEY"), model="m"),),
    )
    flow, made = asked(config, BODY % b"a")
    assert made.plan.targets == []
    assert flow.response.status_code == 403
    error = flow.response.json()
    assert (
        error["error"]["message"] == "model 'a' is served by one, which is disabled: ONE_KEY is not set on the gateway"
    )
    assert error["request_id"] == "req_1"
    assert flow.response.headers["x-should-retry"] == "false"


def test_a_rule_decides_before_the_model_does_and_is_named_in_the_trail() -> None:
    config = routes(glm=provider("zai"), kimi=provider("kimi"))
    config = replace(config, rules=(Rule(when=When(model=("glm",)), to="kimi"),))
    _, made = asked(config, BODY % b"claude-via-glm")
    assert [target.provider.name for target in made.plan.targets] == ["kimi"]
    assert made.plan.rule is config.rules[0]
    assert [(step.who, step.what) for step in made.trail] == [("router", "rule 1 (model glm) → kimi")]


def test_a_bad_body_is_answered_and_planned_nowhere() -> None:
    flow, made = asked(routes(glm=provider("zai")), b'{"model":"glm"}')
    assert flow.response.status_code == 400
    assert "messages" in flow.response.json()["error"]["message"]
    assert (made.plan.targets, made.kind) == ([], "local")


# The body


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP ", gzip.compress)]
)
def test_compressed_bodies(coding: str, encode: Any) -> None:
    body = BODY % b"glm" * 1000
    assert body_bytes(posted(encode(body), **{"content-encoding": coding})) == body


def test_a_body_that_grows_without_end_is_not_made() -> None:
    bomb = gzip.compress(b" " * (1 << 24)) * 8
    made = body_bytes(posted(bomb, **{"content-encoding": "gzip"}))
    assert limits.BODY < len(made) < limits.BODY + (8 << 20)
    flow, planned = asked(routes(glm=provider("zai")), bomb, **{"content-encoding": "gzip"})
    assert flow.response.status_code == 413
    assert planned.body is None


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "rot13", "hex", "unknown", "x" * 1000])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(BadRequest, match="content-encoding: ") as raised:
        body_bytes(posted(b"616263", **{"content-encoding": coding}))
    assert len(str(raised.value)) < 120


@given(st.binary())
def test_no_bytes_are_too_strange(body: bytes) -> None:
    for coding in ("gzip", "deflate"):
        flow, made = asked(routes(glm=provider("zai")), body, **{"content-encoding": coding})
        assert flow.response.status_code == 400
        assert made.body is None


@pytest.mark.parametrize(
    ("metadata", "session"),
    [
        ('{"user_id":"{\\"device_id\\":\\"d\\",\\"account_uuid\\":\\"\\",\\"session_id\\":\\"s-1\\"}"}', "s-1"),
        ('{"user_id":"user_d_account__session_s-1"}', "s-1"),
        ('{"user_id":"user_d_account_a_session_"}', None),
        ('{"user_id":"somebody"}', None),
        ('{"user_id":"{broken"}', None),
        ('{"user_id":"{\\"session_id\\":5}"}', None),
        ('{"user_id":"{\\"session_id\\":\\"\\"}"}', None),
        ('{"user_id":"[1]"}', None),
        ('{"user_id":"{\\"session_id\\":\\"\\ud83d\\"}"}', "\ufffd"),
        ('{"user_id":5}', None),
        ('{"user_id":null}', None),
        ("null", None),
        ("[]", None),
        ('"x"', None),
    ],
)
def test_the_session_in_the_metadata(metadata: str, session: str | None) -> None:
    body = f'{{"model":"m","messages":[],"metadata":{metadata}}}'
    assert session_of(RequestBody.parse(body.encode())) == session


@pytest.mark.parametrize("session", ["x" * 101, "a b", "a\tb", "a\x1b[2J", "a\nb", "ü", "\udce4", "\u202e"])
def test_a_session_id_that_is_none_is_kept_as_its_fingerprint(session: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", session_key(session))
    assert session_key("x" * 100) == "x" * 100


def test_a_session_id_that_is_nested_deeply_is_none() -> None:
    deep = '{\\"a\\":' * 100_000
    body = f'{{"model":"glm","messages":[],"metadata":{{"user_id":"{deep}"}}}}'
    assert session_of(RequestBody.parse(body.encode())) is None


def test_the_header_names_the_session_before_the_metadata() -> None:
    body = b'{"model":"glm","messages":[],"metadata":{"user_id":"user_d_account__session_s-1"}}'
    assert asked(routes(glm=provider("zai")), body)[1].client.session == "s-1"
    assert asked(routes(glm=provider("zai")), body, **{"X-Claude-Code-Session-Id": "s-2"})[1].client.session == "s-2"
    assert asked(routes(glm=provider("zai")), BODY % b"glm")[1].client.session is None


# The head


def port(request: http.Request) -> str:
    return "" if request.port == {"http": 80, "https": 443}[request.scheme] else f":{request.port}"


@pytest.mark.parametrize(
    ("base", "url", "host"),
    [
        ({}, "https://zai.test/v1/messages?beta=true", "zai.test"),
        ({"path": "/api/anthropic"}, "https://zai.test/api/anthropic/v1/messages?beta=true", "zai.test"),
        ({"port": 8443}, "https://zai.test:8443/v1/messages?beta=true", "zai.test:8443"),
        ({"scheme": "http", "port": 80}, "http://zai.test/v1/messages?beta=true", "zai.test"),
        ({"scheme": "http", "port": 443}, "http://zai.test:443/v1/messages?beta=true", "zai.test:443"),
        ({"host": "::1", "port": 8080}, "https://::1:8080/v1/messages?beta=true", "[::1]:8080"),
    ],
)
def test_where_it_goes(base: dict[str, Any], url: str, host: str) -> None:
    at = Target(alias="asked", provider=provider("zai", **base), model="m")
    request = sent(at, path="/v1/messages?beta=true").flow.request
    assert f"{request.scheme}://{request.host}{port(request)}{request.path}" == url
    assert request.headers["host"] == host
    assert request.authority == ""


def test_no_credential_for_a_provider_that_needs_none() -> None:
    tried = sent(
        Target(alias="asked", provider=provider("zai", auth="none"), model="m"),
        client=Client(credential=ClientCredential("Bearer own", "own")),
    )
    assert tried.attempt.credential == {}
    assert {"authorization", "x-api-key"}.isdisjoint(tried.flow.request.headers)


def test_secrets_in_the_headers_of_a_provider_are_only_put_on_the_wire() -> None:
    headers = {"X-Portal": f"id {KEY}", "Authorization": "Bearer sk-proj-0123456789abcdef", "X-Title": "gateway"}
    config = Config(providers={}, models=(), header_secrets=(KEY,))
    at = Target(alias="asked", provider=provider("zai", auth="none", headers=headers), model="m")
    tried = sent(at, exchange(at, config=config))
    assert tried.flow.request.headers["x-title"] == "gateway"
    assert tried.flow.request.headers["x-portal"] == "id …6789"
    assert tried.attempt.credential == {"x-portal": f"id {KEY}", "authorization": "Bearer sk-proj-0123456789abcdef"}
    assert KEY not in repr(tried.flow.get_state())


CLIENT = (
    ("Accept", "application/json"),
    ("X-App", "cli"),
    ("anthropic-beta", "a-1, b-2"),
    ("anthropic-version", "2023-06-01"),
    ("anthropic-beta", "c-3,b-20"),
    ("Accept-Encoding", "gzip"),
    ("Content-Encoding", "gzip"),
    ("User-Agent", "claude-cli"),
    ("Content-Type", "application/json"),
)


def test_headers_to_anthropic() -> None:
    at = target("anthropic")
    lines = sent(at, headers=CLIENT).flow.request.headers.items(multi=True)
    assert sorted(lines) == sorted(
        [
            ("host", "anthropic.test"),
            *(line for line in CLIENT if "Encoding" not in line[0]),
            ("accept-encoding", "identity"),
        ]
    )


@pytest.mark.parametrize(
    ("betas", "flags"), [((), []), (("b-2",), ["b-2"]), (("c-3", "a-1"), ["a-1", "c-3"]), (("b-20", "b"), ["b-20"])]
)
def test_headers_to_others(betas: tuple[str, ...], flags: list[str]) -> None:
    at = Target(alias="asked", provider=provider("zai", auth="none", betas=frozenset(betas)), model="m")
    headers = sent(at, headers=CLIENT).flow.request.headers
    assert headers.get_all("anthropic-beta") == flags
    names = {name.lower() for name in headers}
    assert names - {"anthropic-beta"} == {
        "host", "accept", "content-type", "user-agent", "anthropic-version", "accept-encoding",
    }  # fmt: skip
    assert headers["accept-encoding"] == "identity"


def test_each_attempt_starts_from_the_clients_request() -> None:
    first = Target(alias="asked", provider=provider("one", auth="x-api-key", headers={"x-one": KEY}), model="a")
    second = Target(alias="b", provider=provider("two", auth="bearer"), model="b", fallback=True)
    made = exchange(first, second)
    made.headers = CLIENT
    tried = sent(first, made)
    made.plan.cursor = 1
    again = Trying(tried.flow, made, made.begin())
    ROUTER.attempt(again)
    assert "x-one" not in again.flow.request.headers
    assert again.attempt.credential == {}
    assert again.flow.request.pretty_host == "two.test"
    assert [attempt.draft.get("model") for attempt in made.attempts if attempt.draft] == ["a", "b"]


def test_a_model_of_the_same_name_leaves_the_body_alone() -> None:
    tried = sent(target("zai", model="asked"))
    assert tried.attempt.draft
    assert tried.attempt.draft.encode() is tried.attempt.draft.body.raw


def test_what_is_passed_on_keeps_its_head() -> None:
    made = Exchange(
        Config(providers={}, models=()), lambda: 0.0, 0.0, "GET", "/v1/files",
        headers=(("X-App", "cli"), ("Accept-Encoding", "gzip")),
        client=Client(credential=ClientCredential(f"Bearer {KEY}", KEY)),
    )  # fmt: skip
    made.kind = "relay"
    tried = trying(made)
    ROUTER.attempt(tried)
    assert dict(tried.flow.request.headers) == {
        "host": "client.test",
        "X-App": "cli",
        "Accept-Encoding": "gzip",
        "authorization": "Bearer …6789",
        "x-api-key": "…6789",
    }
    assert tried.attempt.credential == {"authorization": f"Bearer {KEY}", "x-api-key": KEY}
