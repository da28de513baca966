"""Users of a real gateway: who comes in with which key, what they may ask for, and how it ends.

addons/process/user_watch.py, addons/team/admission.py and addons/proxy/dismissal.py are tested here too.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from select import select
from typing import Any

import httpx
import pytest

from addons.state.control import PATH
from addons.wire import limits
from tests.credentials import ADMIN, OWN, TOKEN
from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway, messages_body
from tests.e2e.users import key_of, run_user, user
from tests.fakes.answers import Reply
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import drop, error, hang, say

KEY, MODE = "x-litellm-api-key", "x-claude-token-mode"

names = (f"user{number}" for number in count(1))


@pytest.fixture(scope="module")
def gateway(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[Gateway]:
    """One that has a user, and so a closed gate."""
    rules = [{"when": {"header": {"x-ruled": "kimi"}}, "to": "kimi"}, {"when": {"user": "ruled*"}, "to": "glm-fast"}]
    routing = {**routing, "fallbacks": {"glm": ["kimi", "glm-fast"]}, "routes": rules}
    with Gateway(routing, {**env, "LITELLM_MASTER_KEY": ADMIN}, upstream=providers.anthropic.url) as gateway:
        key_of(gateway, "first")
        yield gateway


@pytest.fixture(scope="module")
def alice(gateway: Gateway) -> str:
    """The key of a user whom no test changes."""
    return key_of(gateway, "alice")


@pytest.fixture
def name() -> str:
    """Of a user whom no other test has."""
    return next(names)


def status(gateway: Gateway, key: str, model: str = "glm") -> int:
    return gateway.post(model, headers={KEY: key}).status_code


# Coming in


def test_the_first_user_closes_the_gate(start_gateway: Callable[..., Gateway], zai: Provider) -> None:
    gateway = start_gateway()
    assert gateway.post().status_code == 200
    said = run_user(gateway, "add", "alice")
    assert said.status == 0
    assert "the gate is closed from now on" in said.errors
    key = said.out.strip()
    refused = gateway.post()
    assert refused.status_code == 401
    assert refused.headers["x-should-retry"] == "false"
    assert "missing or wrong gateway key" in refused.json()["error"]["message"]
    assert gateway.client.get("/v1/models").status_code == 401
    assert gateway.client.get("/health").status_code == 200
    assert status(gateway, key) == 200
    # Whatever becomes of users: it stays closed, over a restart too.
    user(gateway, "delete", "alice")
    assert gateway.post().status_code == status(gateway, key) == 401
    gateway.restart()
    assert gateway.post().status_code == 401
    assert zai.requests[1:] == zai.requests[-1:]
    # Until somebody opens it.
    assert user(gateway, "open-gate") == {"gate": "open"}
    assert gateway.post().status_code == 200
    gateway.restart()
    assert gateway.post().status_code == 200


@pytest.mark.parametrize(
    "lines",
    [
        [(KEY, "{}")],
        [(KEY, "Bearer {}")],
        [("x-api-key", "{}")],
        [("authorization", "Bearer {}")],
        [(KEY, "{}, " + MODE + ": rotate")],
        [(MODE, "rotate, " + KEY + ": {}")],
        [(KEY, r"{}\n" + MODE + ": rotate")],
        [(KEY, "wrong"), ("x-api-key", "{}")],
        [("authorization", f"Bearer {OWN}"), ("x-api-key", "{}")],
    ],
)
@pytest.mark.parametrize("model", ["glm", "claude-sonnet-5-5"])
def test_a_key_lets_in_and_stays_here(
    gateway: Gateway, zai: Provider, anthropic: Provider, alice: str, lines: list[tuple[str, str]], model: str
) -> None:
    headers = [(header, value.replace("{}", alice)) for header, value in lines]
    answer = gateway.client.post("/v1/messages", json=messages_body(model), headers=headers)
    assert answer.status_code == 200, answer.text
    (request,) = zai.requests if model == "glm" else anthropic.requests
    everything = f"{request.target} {request.headers!r} {request.body!r}"
    assert alice not in everything and alice[-20:] not in everything and KEY not in everything


@pytest.mark.parametrize("form", ["two lines", ", ", r"\n"])
def test_passthrough_stays(gateway: Gateway, anthropic: Provider, alice: str, form: str) -> None:
    one_line = [(KEY, f"{alice}{form}{MODE}: passthrough")]
    ours = [(KEY, alice), (MODE, "passthrough")] if form == "two lines" else one_line
    headers = [*ours, ("authorization", f"Bearer {OWN}")]
    answer = gateway.client.post("/v1/messages", json=messages_body("claude-sonnet-5-5"), headers=headers)
    assert answer.status_code == 200
    assert anthropic.last.headers["authorization"] == f"Bearer {OWN}"
    assert alice not in repr(anthropic.last.headers)


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_key_is_never_passed_through(
    gateway: Gateway, anthropic: Provider, alice: str, name: str, header: str
) -> None:
    """Not even one that lets nobody in."""
    old = key_of(gateway, name)
    user(gateway, "revoke", name)
    for value in (alice, old, f"{alice[:-1]}{'A' if alice[-1] != 'A' else 'B'}"):
        shown = f"Bearer {value}" if header == "authorization" else value
        lines = [(KEY, alice), (MODE, "passthrough"), (header, shown)]
        gateway.client.post("/v1/messages", json=messages_body("claude-sonnet-5-5"), headers=lines)
        gateway.client.post("/v1/elsewhere", json={}, headers=lines)
    assert anthropic.requests == []


def test_wrong_keys(gateway: Gateway, zai: Provider, alice: str, name: str) -> None:
    mixed = key_of(gateway, name)[:12] + alice[12:]  # the id of one and the secret of the other
    parts = alice[:-1], alice + "A", alice.upper(), alice[:11], f"x{alice}", alice[3:]
    for wrong in (*parts, mixed, "alice", "admin", "shared"):
        answer = gateway.post(headers={KEY: wrong})
        assert answer.status_code == 401, wrong
        assert "missing or wrong gateway key" in answer.json()["error"]["message"]
        assert "alice" not in answer.text
    assert zai.requests == []


def test_the_callers_of_old_come_in_too(start_gateway: Callable[..., Gateway], env: dict[str, str]) -> None:
    gateway = start_gateway(env={**env, "PROXY_STATIC_TOKEN": TOKEN, "LITELLM_MASTER_KEY": ADMIN})
    key = key_of(gateway, "alice")
    assert [status(gateway, one) for one in (TOKEN, ADMIN, key, "wrong")] == [200, 200, 200, 401]
    user(gateway, "open-gate")
    assert gateway.post().status_code == 401, "PROXY_STATIC_TOKEN closes it all the same"
    # Who has the static token is the user `shared`.
    user(gateway, "set", "shared", "--models", "kimi")
    assert [status(gateway, one) for one in (TOKEN, ADMIN)] == [403, 200]
    assert status(gateway, TOKEN, "kimi") == 200


def test_who_asks_is_told(gateway: Gateway, alice: str) -> None:
    """In the log's line, and in the ledger."""
    assert status(gateway, alice) == 200
    gateway.wait_until(lambda: "alice · glm → zai/glm-5" in gateway.log())

    def users() -> set[str]:
        with closing(sqlite3.connect(gateway.directory / "gateway.sqlite")) as database:
            return {user for (user,) in database.execute("SELECT user FROM requests")}

    gateway.wait_until(lambda: "alice" in users())


def test_an_administrator_may_give_commands(gateway: Gateway, name: str) -> None:
    plain, admin = key_of(gateway, name), key_of(gateway, f"{name}.2", "--admin")
    assert gateway.client.post(f"{PATH}pool", json={}, headers={KEY: plain}).status_code == 403
    assert gateway.client.post(f"{PATH}pool", json={}, headers={KEY: admin}).status_code == 200
    user(gateway, "set", f"{name}.2", "--no-admin")
    assert gateway.client.post(f"{PATH}pool", json={}, headers={KEY: admin}).status_code == 403


# Going out


@pytest.mark.parametrize(
    ("reply", "stream"),
    [
        (hang(say("hello"), events=3), True),
        (hang(say("hello"), events=1), True),
        (hang(), True),
        (hang(), False),
        (drop(say("hello"), byte=200, then="hang"), False),
    ],
    ids=["after content", "before content", "before the head", "before the head, whole", "in a whole answer"],
)
def test_a_revoked_users_answer_ends(
    gateway: Gateway, zai: Provider, name: str, reply: Reply, stream: bool, session: dict[str, str]
) -> None:
    key = key_of(gateway, name)
    zai.script(reply)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: gateway.post(stream=stream, headers={KEY: key, **session}))
        gateway.wait_until(lambda: zai.requests)
        started = time.monotonic()
        user(gateway, "revoke", name)
        answer = running.result()
        assert time.monotonic() - started < 25, "it would have gone on for 30 s"
    gateway.wait_until(lambda: zai.closed_by_peer)
    error_told = json.loads(answer.text.rpartition("data: ")[2]) if answer.status_code == 200 else answer.json()
    assert error_told["error"] == {
        "type": "authentication_error",
        "message": "the gateway key of this request has been revoked",
    }
    assert answer.status_code == 401 or stream
    again = gateway.post(headers={KEY: key})
    assert again.status_code == 401
    assert "has been revoked" in again.json()["error"]["message"]
    assert len(zai.requests) == 1


def test_other_users_answers_go_on(gateway: Gateway, zai: Provider, name: str) -> None:
    key = key_of(gateway, name)
    key_of(gateway, f"{name}.2")
    zai.script(hang(say("hello"), events=3))
    with gateway.stream(headers={KEY: key}) as stream:
        stream.until("content_block_delta")
        user(gateway, "revoke", f"{name}.2")
        user(gateway, "set", name, "--rpm", "100")
        user(gateway, "rotate", name)
        stream.until("ping")
        stream.until("ping")
        assert "error" not in stream.types


def test_a_new_key(gateway: Gateway, name: str) -> None:
    first = user(gateway, "add", name, "--budget", "day=5")
    second = user(gateway, "rotate", name, "--grace", "24h")
    assert second["id"] == first["id"] and second["budget"] == {"day": 5.0, "week": None, "month": None}
    assert [status(gateway, shown["key"]) for shown in (first, second)] == [200, 200]
    third = user(gateway, "rotate", name)
    assert [status(gateway, shown["key"]) for shown in (first, second, third)] == [401, 401, 200]
    fourth = user(gateway, "rotate", name, "--grace", "1s")
    assert status(gateway, fourth["key"]) == 200
    gateway.wait_until(lambda: status(gateway, third["key"]) == 401)
    answer = gateway.post(headers={KEY: third["key"]})
    assert "has been replaced by a newer one" in answer.json()["error"]["message"]
    # A new key brings a revoked user back, and no old one does.
    user(gateway, "revoke", name)
    fifth = user(gateway, "rotate", name, "--grace", "24h")
    assert [status(gateway, shown["key"]) for shown in (fourth, fifth)] == [401, 200]


def test_a_key_that_was_revoked_is_not_let_in_by_an_open_gate(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    key = key_of(gateway, "alice")
    user(gateway, "revoke", "alice")
    user(gateway, "open-gate")
    assert gateway.post().status_code == 200
    assert status(gateway, key) == 401


# What they may ask for


def test_allowed_models(gateway: Gateway, zai: Provider, anthropic: Provider, name: str) -> None:
    key = key_of(gateway, name, "--models", "glm,claude-haiku-*")
    assert [status(gateway, key, model) for model in ("glm", "claude-via-glm", "claude-haiku-5-5")] == [200] * 3
    anthropic.reset()
    for model in ("glm-fast", "claude-sonnet-5-5", "anthropic/claude-haiku-5-5", "openrouter"):
        answer = gateway.post(model, headers={KEY: key})
        assert answer.status_code == 403, model
        assert answer.headers["x-should-retry"] == "false"
        told = answer.json()["error"]
        assert told["type"] == "permission_error"
        assert told["message"] == f"{name} may not use the model {model!r}; allowed: glm, claude-haiku-*"
        assert gateway.post(model, path="/v1/messages/count_tokens", headers={KEY: key}).status_code == 403
    assert anthropic.requests == []
    listed = gateway.client.get("/v1/models", headers={KEY: key}).json()
    assert [model["id"] for model in listed["data"]] == ["glm", "claude-via-glm"]
    assert gateway.client.get("/v1/models/kimi", headers={KEY: key}).status_code == 404
    assert gateway.client.get("/v1/models/glm", headers={KEY: key}).status_code == 200
    asked = {"request": {"model": "glm-fast", "user": name}}
    explained = gateway.client.post(f"{PATH}routes/explain", json=asked, headers={KEY: ADMIN}).json()
    assert explained["targets"][0]["skipped"] == f"{name} may not use the model 'glm-fast'"
    user(gateway, "set", name, "--models", "*")
    assert status(gateway, key, "glm-fast") == 200


def test_a_fallback_that_is_not_allowed_is_left_out(gateway: Gateway, zai: Provider, kimi: Provider, name: str) -> None:
    key = key_of(gateway, name, "--models", "glm*")
    zai.script(error(529), error(529))
    answer = gateway.post(headers={KEY: key})
    assert answer.status_code == 200
    assert answer.headers["x-gateway-fallback"] == "glm-fast"
    assert kimi.requests == []


def test_what_a_rule_sends_it_to_must_be_allowed(gateway: Gateway, kimi: Provider, name: str) -> None:
    key = key_of(gateway, name, "--models", "glm")
    answer = gateway.post(headers={KEY: key, "x-ruled": "kimi"})
    assert answer.status_code == 403
    assert "'kimi', to which rule 1 " in answer.json()["error"]["message"]
    user(gateway, "set", name, "--models", "kimi")
    assert gateway.post(headers={KEY: key, "x-ruled": "kimi"}).status_code == 200
    assert kimi.requests


def test_a_rule_on_a_user(gateway: Gateway) -> None:
    key = key_of(gateway, "ruled.by.name")
    assert gateway.post(headers={KEY: key}).headers["x-gateway-model"] == "glm-5-air"


# Wrong keys, again and again


def test_who_tries_wrong_keys_is_slowed_and_nobody_else(gateway: Gateway, alice: str) -> None:
    address = "127.0.0.9"
    transport = httpx.HTTPTransport(local_address=address)
    with (
        httpx.Client(base_url=gateway.url, trust_env=False, timeout=PATIENCE, transport=transport) as client,
        ExitStack() as stack,
    ):
        started = time.monotonic()
        for _ in range(limits.WRONG_KEYS + 2):  # one more is answered at once each second
            answer = client.post("/v1/messages", json=messages_body(), headers={KEY: "wrong"})
            assert answer.status_code == 401
        assert time.monotonic() - started >= 1
        head = f"POST /v1/messages HTTP/1.1\r\nhost: g\r\n{KEY}: wrong\r\ncontent-length: 0\r\n\r\n"
        slowed = []
        for _ in range(12):  # each a second later than the one before it, the last ten from now
            slowed.append(socket.create_connection(("127.0.0.1", gateway.port), PATIENCE, source_address=(address, 0)))
            stack.enter_context(slowed[-1]).sendall(head.encode())
        answer = client.post("/v1/messages", json=messages_body(), headers={KEY: alice})
        assert answer.status_code == 200, "a right key is not slowed"
        assert status(gateway, "wrong") == 401, "nor is another address"
        assert len(select(slowed, [], [], 0)[0]) < len(slowed)
    assert gateway.log().count(" without the gateway's token") <= 2
    assert SAVING or "] nobody · " not in gateway.log()  # all that is known of a flow is logged then


# The file


def test_two_gateways_with_one_file(gateway: Gateway, routing: dict[str, Any], env: dict[str, str], name: str) -> None:
    other = Gateway(routing, env)
    (other.directory / "gateway.sqlite").symlink_to(gateway.directory / "gateway.sqlite")
    with other:
        assert other.post().status_code == 401
        key = key_of(gateway, name)
        other.wait_until(lambda: status(other, key) == 200)
        user(gateway, "revoke", name)
        other.wait_until(lambda: status(other, key) == 401)


def test_users_that_cannot_be_read(start_gateway: Callable[..., Gateway], env: dict[str, str]) -> None:
    gateway = start_gateway()
    key = key_of(gateway, "alice")
    database = gateway.directory / "gateway.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE users RENAME TO elsewhere")
        connection.commit()
    # Those that were read last stay.
    gateway.wait_until(lambda: "users: can't be read, those that were read last stay" in gateway.log())
    assert status(gateway, key) == 200
    assert gateway.post().status_code == 401
    # At a start without them nobody comes in.
    gateway.restart()
    answer = gateway.post(headers={KEY: key})
    assert answer.status_code == 401
    assert "can't read its users" in answer.json()["error"]["message"]
    assert "users: can't be read, nobody comes in" in gateway.log()
    said = run_user(gateway, "list")
    assert said.status == 1 and "no such table: users" in said.errors
    # When they can be read, they are.
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO users")
        connection.commit()
    gateway.wait_until(lambda: status(gateway, key) == 200)
    # A file that is lost, and made anew, opens nothing.
    for suffix in ("", "-wal", "-shm"):
        database.with_name(f"{database.name}{suffix}").unlink(missing_ok=True)
    gateway.wait_until(lambda: " is new, and there were users" in gateway.log())
    assert gateway.post().status_code == 401
    assert status(gateway, key) == 200
    gateway.restart()
    assert gateway.post().status_code == 401
    assert "is new, and there were users" in gateway.log()
    bob = key_of(gateway, "bob")
    assert [status(gateway, one) for one in (bob, key)] == [200, 401]
