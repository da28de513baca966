"""GET /v1/models and /v1/models/{id}: the aliases, in Anthropic's shape."""

from typing import Any

import anthropic as sdk
import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.raw_http import RawClient

ALIASES = ["glm", "glm-fast", "kimi", "openrouter", "local"]
NAMES = [*ALIASES, "claude-mini", *(f"claude-via-{alias}" for alias in ALIASES)]
LAST = NAMES[-1]


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    models: dict[str, Any] = routing["models"]
    local = {"provider": "kimi", "model": "k3", "context_window": 131072, "max_output_tokens": 8192}
    off = {"preset": "groq", "api_key": "${A_VARIABLE_THAT_IS_NOT_SET}"}
    zai = {**routing["providers"]["zai"], "preset": "zai"}
    providers = {**routing["providers"], "zai": zai, "off": off}
    named = {"local": local, "fast": "off/gpt-oss", "claude-mini": "zai/glm-5-air"}
    return {**routing, "providers": providers, "models": {**models, **named}}


def test_the_aliases_are_listed_in_the_order_of_the_file(gateway: Gateway, providers: Any) -> None:
    answer = gateway.client.get("/v1/models")
    assert answer.headers["content-type"] == "application/json"
    listed = answer.json()
    assert [model["id"] for model in listed["data"]] == NAMES
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, "glm", LAST)
    for model in listed["data"]:
        assert model["type"] == "model"
        assert model["display_name"]
        assert model["created_at"].endswith("Z")
    cards = {model["id"]: model for model in listed["data"]}
    assert cards["local"]["context_window"] == cards["local"]["max_input_tokens"] == 131072
    assert cards["local"]["max_output_tokens"] == cards["local"]["max_tokens"] == 8192
    assert "context_window" not in cards["glm"]
    assert cards["claude-via-local"] == {**cards["local"], "id": "claude-via-local"}
    assert (cards["glm"]["display_name"], cards["glm"]["description"]) == ("glm", "GLM-5 at Z.AI")
    assert cards["local"]["description"] == "K3 at kimi, 128k"
    assert [one for one in providers if one.requests] == []


@pytest.mark.parametrize(
    ("query", "names", "more"),
    [
        ("limit=2", NAMES[:2], True),
        ("limit=5", NAMES[:5], True),
        ("limit=1000", NAMES, False),
        ("limit=2&after_id=glm-fast", NAMES[2:4], True),
        ("limit=2&after_id=claude-via-kimi", NAMES[-2:], False),
        (f"after_id={LAST}", [], False),
        ("limit=2&before_id=openrouter", NAMES[1:3], True),
        ("limit=9&before_id=openrouter", NAMES[:3], False),
        ("before_id=glm", [], False),
        ("after_id=no-such", NAMES, False),
        ("limit=0", NAMES[:1], True),
        ("limit=-3", NAMES, False),
        ("limit=many", NAMES, False),
        ("limit=%C2%B2", NAMES, False),
        (f"limit={'9' * 5000}", NAMES, False),
        ("limit=", NAMES, False),
    ],
)
def test_pages(gateway: Gateway, query: str, names: list[str], more: bool) -> None:
    listed = gateway.client.get(f"/v1/models?{query}").json()
    assert [model["id"] for model in listed["data"]] == names
    assert listed["has_more"] is more
    assert listed["first_id"] == (names[0] if names else None)
    assert listed["last_id"] == (names[-1] if names else None)


def test_the_sdk_pages_through_them(gateway: Gateway) -> None:
    client = gateway.anthropic()
    assert [model.id for model in client.models.list(limit=4)] == NAMES
    back = client.models.list(limit=2, before_id="local")
    assert [[model.id for model in page.data] for page in back.iter_pages()] == [NAMES[2:4], NAMES[:2]]


@pytest.mark.parametrize(
    "name", ["glm", "local", "claude-mini", "claude-via-glm", "claude-sonnet-5-5", "anthropic/claude-opus-5-5"]
)
def test_one_model(gateway: Gateway, name: str) -> None:
    assert gateway.anthropic().models.retrieve(name).id == name
    assert gateway.client.get(f"/v1/models/{name}").json()["id"] == name
    assert gateway.client.get(f"/v1/models/{name.replace('/', '%2F')}?beta=true").json()["id"] == name


@pytest.mark.parametrize("name", ["no-such", "glm/x", "", "anthropic/", "fast", "claude-via-fast"])
def test_a_model_that_is_not_there(gateway: Gateway, name: str) -> None:
    answer = gateway.client.get(f"/v1/models/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"] == {"type": "not_found_error", "message": f"model: {name}"}
    assert answer.json()["request_id"] == answer.headers["request-id"]


def test_the_sdk_is_told_that_a_model_is_not_there(gateway: Gateway) -> None:
    with pytest.raises(sdk.NotFoundError, match="model: no-such"):
        gateway.anthropic().models.retrieve("no-such")


def test_head_has_the_length_and_no_body(gateway: Gateway) -> None:
    with RawClient(gateway) as client:
        client.write("HEAD /v1/models HTTP/1.1\r\nhost: g\r\n\r\n")
        head = client.read("HEAD")
        client.write("GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n")
        assert int(head.headers["content-length"]) == len(client.read("GET").body)
