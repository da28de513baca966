"""What clients write around a model's name: `[1m]` behind it is their mark for a long context, `claude-via-` before it
makes Claude Code take it from the list of models. No provider gets to see either."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import error

BETA = "context-1m-2025-08-07"
PATHS = ["/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens"]


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    zai = {**routing["providers"]["zai"], "betas": [BETA]}
    models = {**routing["models"], "opus-long": "anthropic/claude-opus-4-8[1m]"}
    return {**routing, "models": models, "providers": {**routing["providers"], "zai": zai}}


@pytest.fixture(autouse=True)
def strict(anthropic: Provider, zai: Provider, kimi: Provider) -> None:
    anthropic.refuse_like_anthropic()
    zai.refuse_like_others(betas=frozenset({BETA}))
    kimi.refuse_like_others()


def flags(provider: Provider) -> list[str]:
    return provider.last.headers.get("anthropic-beta", "").split(",")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["claude-opus-4-8[1m]", "claude-opus-4-8[1M][1m]", "anthropic/claude-opus-4-8[1M]"])
def test_at_anthropic_it_becomes_a_beta_flag(gateway: Gateway, anthropic: Provider, name: str, path: str) -> None:
    assert gateway.post(name, path=path).status_code == 200
    assert anthropic.last.model == "claude-opus-4-8"
    assert flags(anthropic).count(BETA) == 1


def test_a_flag_that_the_client_sent_itself_is_there_once(gateway: Gateway, anthropic: Provider) -> None:
    betas = {"anthropic-beta": f"claude-code-20250219,{BETA}"}
    assert gateway.post("claude-opus-4-8[1m]", headers=betas).status_code == 200
    assert flags(anthropic).count(BETA) == 1


def test_a_model_that_is_configured_with_it(gateway: Gateway, anthropic: Provider) -> None:
    assert gateway.post("opus-long").status_code == 200
    assert (anthropic.last.model, BETA in flags(anthropic)) == ("claude-opus-4-8", True)
    assert gateway.post("claude-opus-4-8").status_code == 200
    assert BETA not in flags(anthropic)


@pytest.mark.parametrize("path", PATHS)
def test_at_others_it_is_left_out(gateway: Gateway, kimi: Provider, zai: Provider, path: str) -> None:
    assert gateway.post("kimi[1m]", path=path).status_code == 200
    assert (kimi.last.model, flags(kimi)) == ("kimi-for-coding", [""])
    assert gateway.post("glm[1M]", path=path).status_code == 200
    assert (zai.last.model, flags(zai)) == ("glm-5", [BETA])  # it is said to know this flag


def test_at_a_fallback(gateway: Gateway, anthropic: Provider, zai: Provider) -> None:
    anthropic.always(error(529))
    assert gateway.post("claude-opus-4-8[1m]").status_code == 200
    assert zai.last.model == "glm-5"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["claude-via-glm", "claude-via-glm[1m]"])
def test_the_second_name_of_the_list_is_the_model(gateway: Gateway, zai: Provider, name: str, path: str) -> None:
    answer = gateway.post(name, path=path)
    assert (answer.status_code, answer.headers["x-gateway-model"]) == (200, "glm-5")
    assert zai.last.model == "glm-5"
    assert flags(zai) == ([BETA] if name.endswith("[1m]") else [""])


def test_what_is_remembered_of_a_request_by_the_second_name(gateway: Gateway, session: dict[str, str]) -> None:
    def rows() -> list[tuple[str, str]]:
        with closing(sqlite3.connect(gateway.directory / "gateway.sqlite")) as file:
            return file.execute(
                "SELECT asked_model, model FROM requests WHERE session = ?", (session["x-claude-code-session-id"],)
            ).fetchall()

    assert gateway.post("claude-via-kimi[1m]", headers=session).status_code == 200
    gateway.wait_until(rows)
    assert rows() == [("kimi", "kimi-for-coding")]
    assert not [line for line in gateway.log().splitlines() if "→" in line and "claude-via" in line]


@pytest.mark.parametrize("name", ["glm[1m]", "claude-opus-4-8%5B1M%5D%5B1m%5D"])
def test_asked_for_by_name(gateway: Gateway, name: str) -> None:
    card = gateway.client.get(f"/v1/models/{name}")
    assert card.status_code == 200
    assert card.json()["id"] == name.partition("[")[0].partition("%")[0]


def test_a_model_that_nobody_has(gateway: Gateway) -> None:
    assert gateway.post("nope[1m]").status_code == 404
    assert gateway.client.get("/v1/models/nope[1m]").status_code == 404


@pytest.mark.parametrize(
    ("headers", "fields", "where"),
    [
        ({"anthropic-beta": "a-1,x" + "y" * 300}, {}, "anthropic-beta"),
        ({"anthropic-beta": "a-1,\u00e4".encode()}, {}, "anthropic-beta"),
        ({}, {"tools": [{"name": "x\r\nset-cookie: a=b", "input_schema": {"type": "object"}}]}, "tools.0.name"),
    ],
)
def test_other_names_are_looked_at_too(
    gateway: Gateway, anthropic: Provider, headers: dict[str, Any], fields: dict[str, Any], where: str
) -> None:
    answer = gateway.post("claude-opus-4-8", headers=headers, **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(where)
    assert anthropic.requests == []
