"""What the next process knows of the last one: which tokens rest, and what rules hold on to."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

from tests.e2e.gateway import Gateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import error, oauth_429

OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"


def written(gateway: Gateway) -> int:
    """How many cooldowns are in the file."""
    with closing(sqlite3.connect(gateway.directory / "gateway.sqlite")) as file:
        return int(file.execute("SELECT count(*) FROM cooldowns").fetchone()[0])


def tokens(gateway: Gateway, anthropic: Provider, model: str) -> set[str]:
    """The tokens that requests without a session go out with."""
    anthropic.requests.clear()
    for _ in range(3):
        assert gateway.post(model).status_code == 200
    return {request.token for request in anthropic.requests}


def look_now(gateway: Gateway) -> None:
    """Another process, at the time when one request looks whether a limit was reset early: it takes minutes."""
    gateway.kill()
    with closing(sqlite3.connect(gateway.directory / "gateway.sqlite")) as file:
        assert file.execute("UPDATE cooldowns SET probe_at = ?", (time.time() - 1,)).rowcount == 1
        file.commit()
    gateway.start()


def test_a_limit_that_was_reset_early_is_noticed(
    start_gateway: Callable[..., Gateway], env: dict[str, str], anthropic: Provider
) -> None:
    limited, other = (f"sk-ant-oat01-token-of-an-early-reset-{how}" for how in ("limited", "other"))
    gateway = start_gateway(env={**env, "CLAUDE_OAUTH_TOKENS": f"{limited},{other}"})
    in_an_hour = oauth_429({"5h": time.time() + 3600})
    anthropic.script(in_an_hour)
    assert tokens(gateway, anthropic, OPUS) == {limited, other}
    gateway.wait_until(lambda: written(gateway) == 1)
    look_now(gateway)
    anthropic.script(in_an_hour)
    anthropic.requests.clear()
    assert [gateway.post(OPUS).status_code for _ in range(3)] == [200] * 3
    assert [request.token for request in anthropic.requests] == [limited, other, other, other], "one has looked"
    look_now(gateway)
    assert tokens(gateway, anthropic, OPUS) == {limited, other}
    assert anthropic.requests[0].token == limited
    gateway.wait_until(lambda: written(gateway) == 0)


def test_what_a_rule_holds_on_to_survives(start_gateway: Callable[..., Gateway]) -> None:
    def served_by(*said: str, **hints: str) -> str:
        headers = {"x-claude-code-session-id": "a-large-session", **{k.replace("_", "-"): v for k, v in hints.items()}}
        turns = [{"role": "user", "content": text} for text in said]
        return gateway.post("glm", headers=headers, messages=turns).headers["x-gateway-provider"]

    def held() -> int:
        with closing(sqlite3.connect(gateway.directory / "gateway.sqlite")) as file:
            return int(file.execute("SELECT count(*) FROM holds").fetchone()[0])

    gateway = start_gateway({"routes": [{"when": {"tokens": ">2000"}, "to": "kimi"}]})
    assert served_by("hello", "word " * 3000) == "kimi"
    gateway.wait_until(lambda: held() == 1)
    gateway.kill()
    gateway.start()
    assert served_by("hello", "shorter") == "kimi"
    assert served_by("another beginning") == "zai"
    assert served_by("hello", "summarize", x_claude_code_request_class="compaction") == "kimi"
    gateway.wait_until(lambda: held() == 0)
    assert served_by("hello", "shorter") == "zai"


def test_cooldowns_survive(start_gateway: Callable[..., Gateway], env: dict[str, str], anthropic: Provider) -> None:
    short, for_haiku, long = (f"sk-ant-oat01-token-that-rests-{how}" for how in ("shortly", "for-haiku", "long"))
    gateway = start_gateway(env={**env, "CLAUDE_OAUTH_TOKENS": f"{short},{for_haiku},{long}"})
    anthropic.script(
        error(429, headers={"retry-after": "0.1"}),
        oauth_429({"7d_oi": time.time() + 5000}),
        error(429, headers={"retry-after": "900"}),
    )
    assert gateway.post(HAIKU).headers["x-gateway-fallback"] == "glm-fast"
    assert [request.token for request in anthropic.requests] == [short, for_haiku, long]
    gateway.wait_until(lambda: written(gateway) == 3)
    gateway.kill()  # not even a chance to say goodbye
    gateway.start()
    assert tokens(gateway, anthropic, HAIKU) == {short}
    assert tokens(gateway, anthropic, OPUS) == {short, for_haiku}
    gateway.restart()
    assert tokens(gateway, anthropic, HAIKU) == {short}
    assert tokens(gateway, anthropic, OPUS) == {short, for_haiku}
