"""No secret is visible: not in a header, a view, an export, a HAR, a saved flow, the log at any verbosity, an error,
the database, a command's output or an answer to a client.

Everything that can go right or wrong is done with a canary in every place where a secret can come from, in mitmdump and
in mitmweb, with all the logging there is; then everything that was produced is searched, by the harness: it does so for
every gateway of every test, and `./run.sh test` runs the end-to-end tests once more with all the logging there is.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.canaries import Canary, Secret, files, leaks
from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway, messages_body
from tests.e2e.mitmweb import WebGateway
from tests.e2e.raw_http import RawClient
from tests.fakes.provider import PATIENCE
from tests.fakes.scripts import (
    Answer,
    Gate,
    Raw,
    Reply,
    Request,
    agent,
    drop,
    error,
    error_event,
    error_first,
    insert,
    oauth_429,
    openai_error,
    plain_error,
    reset,
    say,
    silent_close,
    text,
    thinking,
    with_headers,
)

pytestmark = pytest.mark.skipif(SAVING, reason="its gateways log and save everything anyway")

STATIC = Canary("the gateway's token", "static-")
ADMIN = Canary("the admin key", "sk-")
ZAI = Canary("the key of zai")
KIMI = Canary("the key of kimi", "sk-kimi-")
OPENROUTER = Canary("the key of openrouter", "sk-or-v1-")
CHAT = Canary("the key of a chat provider", "gsk_")
POOL = [Canary(f"pool token {number}", "sk-ant-oat01-") for number in (1, 2, 3)]
HEADER = Canary("a provider's header, from a variable")
LITERAL = Canary("a provider's header, from the file")
LATER = Canary("a key that came with a reload")
OWN = Canary("the client's own token", "sk-ant-oat01-")
OWN_KEY = Canary("the client's own key", "sk-ant-api03-")
WRONG = Canary("a token for another gateway")
COOKIE = Canary("a cookie")
PROXY = Canary("a proxy's password")
HIDDEN = Canary("a credential in the body", "sk-proj-")
SET_COOKIE = Canary("a provider's cookie")

CANARIES = [
    *(STATIC, ADMIN, ZAI, KIMI, OPENROUTER, CHAT, *POOL, HEADER, LITERAL, LATER),
    *(OWN, OWN_KEY, WRONG, COOKIE, PROXY, HIDDEN, SET_COOKIE),
]

KEY = {"x-litellm-api-key": str(STATIC)}
PASS = {**KEY, "x-claude-token-mode": "passthrough", "authorization": f"Bearer {OWN}", "x-api-key": str(OWN_KEY)}
TOOLS = [{"name": "Bash", "input_schema": {"type": "object"}}]


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    return {
        "ZAI_API_KEY": str(ZAI),
        "KIMI_API_KEY": str(KIMI),
        "OPENROUTER_API_KEY": str(OPENROUTER),
        "CHAT_API_KEY": str(CHAT),
        "PARTNER": str(HEADER),
        "CLAUDE_OAUTH_TOKENS": ",".join(map(str, POOL)),
        "PROXY_STATIC_TOKEN": str(STATIC),
        "LITELLM_MASTER_KEY": str(ADMIN),
    }


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any], providers: Providers) -> dict[str, Any]:
    named: dict[str, Any] = routing["providers"]
    named["kimi"]["headers"] = {"X-Partner": "for ${PARTNER}", "X-Partner-Token": str(LITERAL)}
    chat = {"base_url": f"{providers.kimi.url}/v1", "format": "openai-chat", "auth": "bearer"}
    named["chat"] = {**chat, "api_key": "${CHAT_API_KEY}"}
    return {
        **routing,
        "models": {**routing["models"], "chat": "chat/some-model"},
        "failover": {**routing["failover"], "retries": 0, "cooldown": 0.01},
    }


class Clients:
    """Those who ask the gateway, and what they were told where nobody could overhear it."""

    def __init__(self, gateway: Gateway, providers: Providers) -> None:
        self.gateway, self.providers = gateway, providers
        self.told: list[tuple[str, bytes]] = []

    def ask(self, model: str = "glm", headers: dict[str, str] | None = None, path: str = "/v1/messages", **body: Any):
        content = messages_body(model, tools=TOOLS, **body)
        return self.gateway.client.post(path, json=content, headers=KEY if headers is None else headers)

    @contextmanager
    def raw(self) -> Iterator[RawClient]:
        with RawClient(self.gateway) as client:
            yield client
            client.hang_up()
            client.rest()

    # What goes right

    def that_are_served(self) -> None:
        anthropic, zai, kimi, _ = self.providers
        for stream in (False, True):
            zai.script(agent(before=(thinking("hm"), text("Well. "))))
            assert self.ask(stream=stream).status_code == 200
            assert self.ask("kimi", stream=stream).status_code == 200
            assert kimi.last.headers["x-partner"] == f"for {HEADER}"
            assert self.ask("chat", stream=stream).status_code == 200
            assert kimi.last.token == str(CHAT)
            assert self.ask("openrouter", headers={"x-api-key": str(STATIC)}).status_code == 200
            assert self.ask(headers={"authorization": f"Bearer {ADMIN}"}, stream=stream).status_code == 200
            anthropic.script(oauth_429({"5h": 4e9}), say("hi"))
            assert self.ask("claude-sonnet-5-5", stream=stream).status_code == 200
        hidden: dict[str, Any] = {
            "extra_headers": {"Authorization": f"Bearer {HIDDEN}"},
            "api_key": str(HIDDEN),
            "metadata": {"user_id": "me", "headers": {"x-api-key": str(HIDDEN)}},
        }
        for stream in (False, True):
            assert self.ask(stream=stream, **hidden).status_code == 200
            answer = self.ask("claude-sonnet-5-5", stream=stream, **hidden)
            assert answer.status_code == 200
        self.with_hidden = answer.request
        assert str(HIDDEN).encode() not in anthropic.last.body
        assert self.ask("claude-sonnet-5-5", path="/v1/messages/count_tokens").status_code == 200
        for path in ("/health", "/v1/models", "/v1/models/glm"):
            self.gateway.client.get(path, headers=KEY)

    def that_bring_their_own(self) -> None:
        anthropic = self.providers.anthropic
        assert self.ask("claude-sonnet-5-5", PASS).status_code == 200
        assert anthropic.last.headers["x-api-key"] == str(OWN_KEY)
        assert self.ask("claude-sonnet-5-5", PASS, stream=True).status_code == 200
        cookies = {**KEY, "cookie": f"session={COOKIE}; other=1", "proxy-authorization": f"Basic {PROXY}"}
        assert self.ask(headers=cookies).status_code == 200
        anthropic.script(with_headers(say("relayed"), {"set-cookie": f"__cf={SET_COOKIE}; Path=/"}))
        relayed = self.gateway.client.post("/v1/files?beta=true", json={}, headers={**PASS, **cookies})
        assert anthropic.last.target == "/v1/files?beta=true"
        assert relayed.status_code == 200
        self.gateway.client.cookies.clear()
        anthropic.script(with_headers(say("hi"), {"set-cookie": f"__cf={SET_COOKIE}; Path=/"}))
        assert self.ask("claude-sonnet-5-5").status_code == 200
        refused = self.gateway.client.get(f"/v1/files?api_key={OWN_KEY}&k={STATIC}", headers=KEY)
        assert refused.status_code == 404

    # What goes wrong

    def that_are_refused(self) -> None:
        for headers in (
            {"x-litellm-api-key": str(WRONG)},
            {"authorization": f"Bearer {WRONG}"},
            {"x-api-key": str(WRONG), "cookie": f"session={COOKIE}"},
            {"x-litellm-api-key": f"{WRONG}, x-claude-token-mode: passthrough"},
            {"x-claude-token-mode": str(WRONG)},
        ):
            assert self.ask(headers=headers).status_code == 401
        assert self.ask("no-such-model").status_code == 404
        assert self.ask("no-such-model", PASS).status_code == 404
        answer = self.gateway.client.post(
            "/v1/messages", content=b'{"api_key": "%b"' % HIDDEN.value.encode(), headers=KEY
        )
        assert answer.status_code == 400

    def whose_providers_fail(self) -> None:
        anthropic, zai, kimi, _ = self.providers
        for stream in (False, True):
            anthropic.script(error(529))
            zai.script(say("instead"))
            assert self.ask("claude-sonnet-5-5", stream=stream).status_code == 200
            for script in (silent_close(), reset(), drop(say("cut"), events=4), error_first(), drop(say("x"), byte=40)):
                kimi.script(script)
                self.ask("kimi", stream=stream)
            zai.script(insert(say("odd"), Raw(f"garbage {ZAI}\r\n\r\n".encode()), after=3))
            self.ask(stream=stream)
        self.providers.openrouter.refuse()
        assert self.ask("openrouter").status_code == 502
        self.providers.openrouter.accept()

    def who_are_still_being_answered(self) -> None:
        anthropic, zai, *_ = self.providers
        for provider, model, headers in (
            (zai, "glm", KEY),
            (anthropic, "claude-sonnet-5-5", KEY),
            (anthropic, "claude-sonnet-5-5", PASS),
        ):
            provider.script(insert(say("never to its end"), Gate(), after=4))
            with self.gateway.stream(model, headers=headers) as running:
                running.until("content_block_start")
                assert leaks(self.gateway.secrets(), self.gateway.shown(running=True)) == []
            provider.wait_for(lambda: provider.last in provider.closed_by_peer)  # noqa: B023  # it waits here

    def whose_providers_repeat_the_credential(self) -> None:
        anthropic, zai, kimi, openrouter = self.providers
        for stream in (False, True):
            for status in (400, 401, 429, 500):
                zai.script(echoing(partial(error, status)))
                kimi.script(echoing(partial(openai_error, status)))
                openrouter.script(echoing(partial(plain_error, status)))
                for model in ("glm", "kimi", "openrouter"):
                    self.ask(model, stream=stream)
            kimi.script(echoing(lambda words: openai_error(400, words)))
            self.ask("chat", stream=stream)
            zai.script(echoing(lambda words: error_first(words)))
            self.ask(stream=stream)
            zai.script(echoing(lambda words: insert(say("half"), error_event(words), after=4)))
            self.ask(stream=stream)
            zai.script(echoing(lambda words: with_headers(say("hi"), {"x-you-sent": words})))
            self.ask(stream=stream)
            zai.script(echoing(lambda words: with_headers(error(400), {"x-you-sent": words, "retry-after": words})))
            self.ask(stream=stream)
            zai.script(echoing(lambda words: Answer(pieces=(Raw(f"HTTP/1.1 500 {words}\r\n\r\n".encode()),))))
            self.ask(stream=stream)
            zai.script(echoing(lambda words: with_headers(say("hi"), {words: "x"})))
            self.ask(stream=stream)
            for status in (400, 403, 404, 529):
                anthropic.script(echoing(partial(error, status)))
                self.ask("claude-sonnet-5-5", stream=stream)
                anthropic.script(echoing(partial(error, status)))
                self.ask("claude-sonnet-5-5", PASS, stream=stream)
        anthropic.script(echoing(lambda words: error(401, f"invalid bearer token: {words}")))
        self.ask("claude-sonnet-5-5")

    def that_talk_nonsense(self) -> None:
        """Bytes that no HTTP library sends, with credentials in them."""
        head = "POST /v1/messages HTTP/1.1\r\nhost: g\r\n"
        head += f"x-litellm-api-key: {STATIC}\r\nauthorization: Bearer {OWN}\r\n"
        for garbage in (
            head,
            head[:-20],
            f"{head}cookie: a={COOKIE}",
            f"{head}content-length: nonsense\r\n\r\n",
            f"{head}content-length: 5\r\ncontent-length: 6\r\n\r\n",
            f"{head}transfer-encoding: nonsense\r\n\r\n",
            f"{head}bad header {WRONG}\r\n\r\n",
            f'{head}content-length: 100\r\n\r\n{{"api_key": "{HIDDEN}"',
            f'{head}content-length: 2\r\n\r\n{{}}{{"api_key": "{HIDDEN}"}}',
            head.replace("HTTP/1.1", "HTTP/7.7") + "\r\n",
            head.replace("POST /v1/messages", f"POST http://user:{PROXY}@g/v1/messages") + "\r\n",
            f"CONNECT g:443 HTTP/1.1\r\nhost: g\r\nproxy-authorization: Basic {PROXY}\r\n\r\n",
            f"GET /ws HTTP/1.1\r\nhost: g\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
            f"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-api-key: {OWN_KEY}\r\n\r\n",
            f"authorization: Bearer {OWN}\r\n\r\n",
            f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nauthorization: {OWN}",
            f"{OWN} {OWN_KEY} {STATIC}\r\n\r\n",
        ):
            with self.raw() as client:
                client.write(garbage)
        with self.raw() as client:  # a secret in two halves, each in a read of its own
            middle = head.index(STATIC.value) + len(STATIC.value) // 2
            client.write(head[:middle])
            self.gateway.client.get("/health")
            client.write(head[middle:])
            self.gateway.client.get("/health")

    def that_come_over_tls(self) -> None:
        url = f"https://127.0.0.1:{self.gateway.port}/v1/messages"
        with httpx.Client(http2=True, verify=False, trust_env=False, timeout=PATIENCE) as client:
            self.providers.zai.script(say("over TLS"), echoing(lambda words: error(400, words)))
            for _ in range(2):
                answer = client.post(url, json=messages_body(), headers={**KEY, "cookie": f"a={COOKIE}"})
                self.told.append(("an answer over TLS", f"{answer.headers.raw!r}\n".encode() + answer.content))

    def who_see_another_configuration(self, env: dict[str, str]) -> None:
        reloads = self.gateway.log().count("configuration reloaded")
        self.gateway.rewrite_env({**env, "ZAI_API_KEY": str(LATER)})
        self.gateway.wait_until(lambda: self.gateway.log().count("configuration reloaded") > reloads)
        self.providers.zai.script(echoing(lambda words: error(400, words)))
        self.ask()
        assert self.providers.zai.last.token == str(LATER)
        self.gateway.rewrite_env(env)

    def all(self, env: dict[str, str]) -> None:
        for part in (
            self.that_are_served,
            self.that_bring_their_own,
            self.that_are_refused,
            self.whose_providers_fail,
            self.who_are_still_being_answered,
            self.whose_providers_repeat_the_credential,
            self.that_talk_nonsense,
            self.that_come_over_tls,
        ):
            part()
            assert [provider.unused for provider in self.providers] == [0, 0, 0, 0], f"{part}: {self.providers}"
        self.who_see_another_configuration(env)


def echoing(reply: Callable[[str], Reply]) -> Reply:
    """The reply that is made from all credentials of the request."""

    def made(request: Request) -> Reply:
        names = ("authorization", "x-api-key", "x-partner", "x-partner-token")
        values = [request.headers[name] for name in names if name in request.headers]
        return reply(f"not valid: {' '.join(values)} (key={request.token})")

    return made


def test_canaries_are_found() -> None:
    assert leaks(CANARIES, [("a", f"...{ZAI.value[:11]}".encode())])
    assert leaks(CANARIES, [("a", json.dumps({"key": OWN.value}).encode().hex().encode())])
    assert not leaks(CANARIES, [("a", f"Bearer sk-ant-oat01…{OWN.value[-4:]}".encode())])


@pytest.mark.parametrize("value", ["short/+1", "of-words-0123456789", 'sk-ant-oat01-quoted "and\\ so on-0123'])
def test_any_secret_is_found_however_it_is_written(value: str) -> None:
    secret = Secret("a test", value)
    for shift in range(4):
        text = "x" * shift + f"{value} and more"
        plain, encoded = text.encode(), base64.b64encode(text.encode())
        others = [base64.urlsafe_b64encode(plain), plain.hex().encode(), quote(text, safe="").encode()]
        for written in (plain, encoded, json.dumps(text).encode(), *others):
            assert leaks([secret], [("a", written)]), written
    assert not leaks([secret], [("a", f"sk-ant-oat01-…{value[-4:]}".encode())])


def test_mitmdump(start_gateway: Callable[..., Gateway], providers: Providers, env: dict[str, str]) -> None:
    gateway = start_gateway(saving=True)
    gateway.look_for(CANARIES)
    clients = Clients(gateway, providers)
    clients.all(env)
    assert leaks(gateway.secrets(), clients.told) == []
    gateway.stop()
    written = dict(files(gateway.directory))
    assert {"flows", "flows.har", "log", "gateway.sqlite"} <= set(written)
    assert b"DataReceived(client, <" in written["log"]
    read = subprocess.run(
        [Path(sys.executable).with_name("mitmdump"), "-nr", gateway.directory / "flows", "--flow-detail", "4"],
        capture_output=True,
        check=True,
    )
    assert leaks(CANARIES, [("the flows as read again", read.stdout)]) == []


def test_mitmweb(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> None:
    with WebGateway(routing, env, upstream=providers.anthropic.url, saving=True) as gateway:
        gateway.look_for(CANARIES)
        clients = Clients(gateway, providers)
        clients.all(env)
        listed = [flow for flow in gateway.flows() if flow["comment"]]
        for flow in listed[:10]:
            gateway.replay(flow)
        original = gateway.flow(clients.with_hidden)
        gateway.command("gateway.replay", f"@{original['id']}", "glm")
        gateway.command("gateway.resume")
        gateway.wait_until(lambda: not gateway.command("replay.client.count"))
        assert leaks(gateway.secrets(), clients.told) == []
