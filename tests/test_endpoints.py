"""What the gateway answers itself, on flows; paths and pages over the wire are in the end-to-end tests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from addons.config.config import Config, Route, Target
from addons.endpoints import ESTIMATE_HEADER, Endpoints
from addons.state.attempt import Outcome, Verdict
from addons.state.exchange import ClientCredential, Exchange, Trying, exchange_of, remember
from addons.wire.messages.body import RequestBody
from tests.exchanges import DROPPED, exchange, failed, failure, provider, status, target, targets, trying

ROUTES = ("glm", "kimi", "claude-*", "a/b c")


def configured(*aliases: str, **route: Any) -> Config:
    at = provider("zai")
    return Config(
        providers={"zai": at}, models=tuple(Route(alias=alias, provider=at, model="m*", **route) for alias in aliases)
    )


def asked(path: str, method: str = "GET", own: ClientCredential | None = None) -> tuple[http.HTTPFlow, Exchange]:
    """A flow and its exchange, after the addon has seen the request."""
    flow = tflow.tflow(req=http.Request.make(method, "http://gateway/"))
    made = Exchange(configured(*ROUTES), lambda: 0.0, 0.0, method, path, request_id="req_1")
    made.client.credential = own or ClientCredential()
    remember(flow, made)
    Endpoints().request(flow)
    return flow, made


@pytest.mark.parametrize(
    "path", ["/", "/?x=1", "/health", "/api/hello", "/v1/models", "/v1/models?limit=1", "/v1/models/glm"]
)
def test_own_paths_are_answered(path: str) -> None:
    for method in ("GET", "HEAD"):
        for own in (None, ClientCredential("Bearer own")):
            flow, made = asked(path, method, own)
            assert flow.response
            assert flow.response.status_code == 200
            assert made.kind == "local"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("POST", "/v1/models"),
        ("GET", "/v1/messages"),
        ("GET", "/v1/modelsx"),
        ("GET", "//gateway/v1/models"),
        ("GET", "/api/hello/x"),
        ("POST", "/v1/files"),
    ],
)
def test_other_paths_are_passed_on_for_those_with_a_credential(method: str, path: str) -> None:
    flow, made = asked(path, method, ClientCredential(x_api_key="sk-ant-api03-own"))
    assert (flow.response, made.kind) == (None, "relay")
    flow, made = asked(path, method)
    assert flow.response
    assert flow.response.status_code == 404
    assert flow.response.json()["error"]["message"] == f"the gateway does not serve {method} {path}"
    assert flow.response.json()["request_id"] == "req_1"
    assert made.kind == "local"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens"])
def test_routed_paths_are_left_to_the_router(path: str) -> None:
    assert asked(path, "POST")[0].response is None


def test_a_flow_that_has_its_answer_is_left_alone() -> None:
    flow, _ = asked("/nowhere")
    answer = flow.response
    Endpoints().request(flow)
    assert flow.response is answer
    flow = tflow.tflow()
    Endpoints().request(flow)
    assert flow.response is None


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("glm", "glm"),
        ("claude-x", "claude-x"),
        ("a%2Fb%20c", "a/b c"),
        ("a/b%20c", "a/b c"),
        ("glm?x=y", "glm"),
        ("claude-via-glm", "claude-via-glm"),
    ],
)
def test_one_model(name: str, id_: str) -> None:
    flow, _ = asked(f"/v1/models/{name}")
    assert flow.response
    card = flow.response.json()
    assert (card["type"], card["id"]) == ("model", id_)


def test_an_unknown_model_names_the_request() -> None:
    flow, _ = asked("/v1/models/nope")
    assert flow.response
    assert flow.response.status_code == 404
    assert flow.response.json()["error"]["message"] == "model: nope"
    assert flow.response.json()["request_id"] == "req_1"


# Counting tokens


def counting(*names: str) -> Exchange:
    made = exchange(*targets(*(names or ("zai",))))
    made.kind = "count_tokens"
    made.body = RequestBody.parse(b'{"model":"asked","messages":[{"role":"user","content":"%s"}]}' % (b"word " * 400))
    return made


def judged(endpoints: Endpoints, made: Exchange, outcome: Outcome) -> http.HTTPFlow:
    """The flow after this attempt has failed like that."""
    tried = trying(made)
    failed(tried.attempt, outcome)
    endpoints.verdict(tried)
    return tried.flow


@pytest.mark.parametrize(
    "outcome",
    [
        status(404),
        status(405),
        status(501),
        status(400, "Invalid URL (POST /v1/messages/count_tokens)"),
        failure("invalid", 500, "404 NOT_FOUND"),
    ],
)
def test_a_provider_that_does_not_count_is_not_asked_again(outcome: Outcome) -> None:
    endpoints, made = Endpoints(), counting()
    flow = judged(endpoints, made, outcome)
    assert flow.response
    assert 200 < flow.response.json()["input_tokens"] < 800
    assert flow.response.headers[ESTIMATE_HEADER] == "true"
    assert made.verdict
    assert not made.verdict.again
    assert [step.who for step in made.trail] == ["endpoints"]

    again = trying(counting())
    endpoints.attempt(again)
    assert again.flow.response
    assert again.flow.response.json() == flow.response.json()
    for other in (trying(counting("kimi")), trying(exchange(target("zai")))):
        endpoints.attempt(other)
        assert other.flow.response is None, "another provider, or no count"


def test_a_provider_that_has_moved_is_asked_again() -> None:
    endpoints = Endpoints()
    judged(endpoints, counting(), status(404))
    moved = counting()
    moved.plan.targets = [target("zai")]
    object.__setattr__(moved.plan.targets[0], "provider", provider("zai", base_url="https://elsewhere.test"))
    tried = trying(moved)
    endpoints.attempt(tried)
    assert tried.flow.response is None


@pytest.mark.parametrize(
    "outcome",
    [
        status(404, "model: claude-nope"),
        status(400, "max_tokens: Extra inputs are not permitted"),
        status(401),
        status(429),
        status(500),
        status(529),
        failure("timeout", 504),
        failure("invalid", 502, "the provider answered with an empty body"),
        DROPPED,
    ],
)
def test_other_failures_are_failovers_business(outcome: Outcome) -> None:
    endpoints, made = Endpoints(), counting()
    assert judged(endpoints, made, outcome).response is None
    assert made.verdict is None
    assert endpoints.without_count == set()


def test_a_404_to_a_message_is_no_missing_count() -> None:
    endpoints, made = Endpoints(), exchange(target("zai"))
    assert judged(endpoints, made, status(404)).response is None
    assert endpoints.without_count == set()


def test_the_verdict_is_kept_by_those_that_come_later() -> None:
    from addons.failover import Failover

    endpoints, made = Endpoints(), counting("zai", "kimi")
    tried = trying(made)
    failed(tried.attempt, status(404))
    endpoints.verdict(tried)
    verdict = made.verdict
    Failover().verdict(tried)
    assert isinstance(verdict, Verdict)
    assert made.verdict is verdict
    assert exchange_of(tried.flow) is made


THREADS = [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}]
CHAT = Target(alias="asked", provider=provider("ollama", format="openai-chat"), model="m")


def tried(at: Target, thread: Any) -> Trying:
    made = exchange(at)
    made.body = RequestBody.parse(json.dumps({"model": "asked", "messages": [], "thread": thread}).encode())
    attempt = trying(made)
    Endpoints().attempt(attempt)
    return attempt


@pytest.mark.parametrize("thread", THREADS)
@pytest.mark.parametrize("at", [target("zai"), CHAT], ids=["messages", "chat"])
def test_others_want_the_whole_conversation(at: Target, thread: Any) -> None:
    """In the words by which Anthropic's SDK knows that it must send that."""
    made = tried(at, thread)
    assert made.flow.response
    assert made.flow.response.status_code == 400
    error = json.loads(made.flow.response.content or b"")["error"]
    assert error["type"] == "invalid_request_error"
    assert error["details"]["error_code"] == "thread_unsupported_request"
    assert [step.who for step in made.exchange.trail] == ["endpoints"]


@pytest.mark.parametrize("thread", THREADS)
def test_anthropic_holds_it(thread: Any) -> None:
    assert tried(target("anthropic"), thread).flow.response is None


def test_a_request_without_one_is_nothing_special() -> None:
    assert tried(CHAT, None).flow.response is None
