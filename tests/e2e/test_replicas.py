"""Three gateways that share limits and accounts through a real Redis, whatever happens to that.

addons/process/sharing.py, addons/process/sums_sharing.py, addons/process/users_sharing.py, addons/proxy/waking.py,
addons/state/replica.py and addons/config/version.py are tested here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from addons.state.control import FILE_NAME, HEADER, PATH
from addons.state.usage import grouped
from addons.state.usage import sessions as used_by_session
from tests.e2e.canaries import Secret
from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway, messages_body
from tests.e2e.sharing import SESSION, stays_on_its_account
from tests.e2e.sse import EventStream
from tests.e2e.users import key_of, user
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import Gate, insert, oauth_429, say
from tests.front import errors, in_front, needs
from tests.redis_server import NEEDS_REDIS, RedisServer

pytestmark = [NEEDS_REDIS, pytest.mark.skipif(SAVING, reason="who shares what, not what is said")]

TOKENS = tuple(f"sk-ant-oat01-token-number-{number:02}-of-many" for number in range(1, 9))
PASSWORD = "a-password-of-redis-4711"
BUDGET, PRICE = 3.0, 1000.0


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer(password=PASSWORD)
    yield server
    server.close()


@pytest.fixture(scope="module")
def replicas(
    providers: Providers, routing: dict[str, Any], env: dict[str, str], redis: RedisServer
) -> Iterator[list[Gateway]]:
    dear = {"provider": "zai", "model": "glm-5", "price": {"input": PRICE, "output": PRICE}}
    changes = {
        "models": {**routing["models"], "dear": dear, "only/*": "anthropic/*"},
        "users": {"timezone": "UTC", "budget": {"day": BUDGET}, "requests_per_minute": 100_000},
        "prices": {"unknown": {"input": 0, "output": 0}},
    }
    variables = {**env, "CLAUDE_OAUTH_TOKENS": ",".join(TOKENS)}
    options = ("--set", f"gateway_redis={redis.url}")
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        made = [
            Gateway({**routing, **changes}, variables, upstream=providers.anthropic.url, options=options)
            for _ in range(3)
        ]
        for gateway in made:
            gateway.look_for([Secret("the password of Redis", PASSWORD)])
        found = list(pool.map(stack.enter_context, made))
        for gateway in found:
            assert gateway.post("kimi").status_code == 200
        yield found


def is_shared(gateway: Gateway, status: str) -> bool:
    found: str = gateway.client.get("/health").json()["shared"]
    return found == status


def ask(gateway: Gateway) -> int:
    """The status of the answer to a request of a new session, about whose account others are asked."""
    return gateway.post("only/claude-opus-5-5", headers={SESSION: str(uuid4())}).status_code


def wait_for(replicas: list[Gateway], status: str) -> None:
    for gateway in replicas:
        gateway.wait_until(partial(is_shared, gateway, status))


@pytest.fixture(autouse=True)
def _together(replicas: list[Gateway]) -> None:
    wait_for(replicas, "redis")


def has_cooling(gateway: Gateway) -> bool:
    """Whether it knows of an account that cools down."""
    secret = (gateway.directory / FILE_NAME).read_text().strip()
    pool = gateway.client.post(f"{PATH}pool", headers={HEADER: secret}).json()
    return "cooling" in [row["state"] for row in pool["accounts"]]


def test_an_account_that_one_cools_down_the_others_do_not_use(replicas: list[Gateway], anthropic: Provider) -> None:
    one, *others = replicas
    anthropic.script(oauth_429({"5h": time.time() + 600}))
    assert one.post("only/claude-opus-5-5").status_code == 200
    cooling = anthropic.requests[0].token
    for gateway in others:
        gateway.wait_until(partial(has_cooling, gateway))
        for _ in TOKENS:
            assert gateway.post("only/claude-opus-5-5").status_code == 200
    assert cooling not in {request.token for request in anthropic.requests[1:]}


def test_a_session_stays_on_its_account_whichever_gateway_it_reaches(
    replicas: list[Gateway], anthropic: Provider
) -> None:
    for _ in range(3):
        clients = [gateway.client for gateway in (*replicas, *replicas)]
        replicas[0].wait_until(partial(stays_on_its_account, clients, anthropic, "redis"))


def test_a_budget_holds_over_all_of_them(replicas: list[Gateway], redis: RedisServer) -> None:
    text = "word " * 200  # what is reserved for it is more than it will cost
    alone = times_alone(replicas)
    with ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(replicas[number % 3].post, "dear", text=text) for number in range(200)]
        answers = [one.result() for one in asked]
    assert {answer.status_code for answer in answers} == {200, 429}
    used = [answer.json()["usage"] for answer in answers if answer.status_code == 200]
    costs = [(one["input_tokens"] + one["output_tokens"]) * PRICE / 1e6 for one in used]
    if times_alone(replicas) == alone:  # else, on a busy machine, some have gone by what they knew themselves
        assert sum(costs) <= BUDGET + 3 * max(costs), "overspent by more than a request each"
    assert all("for today" in answer.text for answer in answers if answer.status_code == 429)
    # Redis loses what it knows: everybody tells it again.
    replicas[0].wait_until(lambda: spent(redis) == pytest.approx(sum(costs)))
    redis.start_again()
    wait_for(replicas, "redis")
    replicas[0].wait_until(lambda: spent(redis) == pytest.approx(sum(costs)))


def times_alone(replicas: list[Gateway]) -> int:
    """How often one of them was without Redis."""
    return sum(gateway.log().count("can't be used") for gateway in replicas)


def spent(redis: RedisServer) -> float:
    """What everybody has spent today, as Redis knows it."""
    (key,) = [word for word in redis.say("KEYS", "*spent:day*").decode().split() if word.startswith("{gateway}")] or [
        ""
    ]
    found = redis.say("HGET", key, "anyone").split(b"\r\n") if key else []
    return float(found[1]) if len(found) > 1 else 0.0


def kill(redis: RedisServer) -> Callable[[], None]:
    redis.kill()
    return redis.start


def pause(redis: RedisServer) -> Callable[[], None]:
    redis.pause()
    return redis.go_on


def fill(redis: RedisServer) -> Callable[[], None]:
    redis.say("CONFIG", "SET", "maxmemory", "1")

    def mend() -> None:
        redis.say("CONFIG", "SET", "maxmemory", "0")

    return mend


def lock(redis: RedisServer) -> Callable[[], None]:
    redis.password = "another"
    redis.start_again()

    def mend() -> None:
        redis.password = PASSWORD
        redis.start_again()

    return mend


@pytest.mark.parametrize("harm", [kill, pause, fill, lock])
def test_no_request_fails_without_redis_and_it_is_used_again(
    replicas: list[Gateway], redis: RedisServer, harm: Callable[[RedisServer], Callable[[], None]]
) -> None:
    mend = harm(redis)
    try:
        for gateway in replicas:
            assert [ask(gateway) for _ in range(3)] == [200] * 3
        wait_for(replicas, "redis down")
        assert [ask(gateway) for gateway in replicas] == [200] * 3
    finally:
        mend()
    wait_for(replicas, "redis")
    assert [ask(gateway) for gateway in replicas] == [200] * 3
    assert all("can't be used" in gateway.log() for gateway in replicas)


def test_any_of_them_shows_what_was_used_through_all(replicas: list[Gateway]) -> None:
    """(They were asked for a model of their own in the beginning.)"""

    def requests(gateway: Gateway) -> int:
        groups = grouped(gateway.directory / "gateway.sqlite", ["model"])
        return sum(group.sums.requests for group in groups if group.keys == ("kimi-for-coding",))

    for gateway in replicas:
        gateway.wait_until(partial(lambda gateway: requests(gateway) == 3, gateway))


@pytest.mark.parametrize("program", [pytest.param(one, marks=needs(one)) for one in ("haproxy", "nginx")])
def test_behind_a_proxy_a_session_stays_and_events_come_at_once(
    replicas: list[Gateway], zai: Provider, tmp_path: Path, program: str
) -> None:
    """With the files of addons/deploy/."""
    sessions = [str(uuid4()) for _ in range(12)]
    with (
        in_front(program, tmp_path, [one.port for one in replicas]) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client,
    ):
        for session in [*sessions, *sessions]:
            answer = client.post("/v1/messages", json=messages_body("glm"), headers={SESSION: session})
            assert answer.status_code == 200, (answer.text, errors(tmp_path))
        gate = Gate()
        zai.script(insert(say("hello"), gate, after=4))
        with client.stream("POST", "/v1/messages", json=messages_body("glm", stream=True)) as response:
            stream = EventStream(response, time.monotonic())
            stream.until("content_block_delta")
            gate.open()
            stream.read()
            assert stream.types[-1] == "message_stop"

    def served() -> list[set[str]]:
        files = [gateway.directory / "gateway.sqlite" for gateway in replicas]
        return [{one.session for one in used_by_session(file)} & {*sessions} for file in files]

    replicas[0].wait_until(lambda: set().union(*served()) == {*sessions})
    assert sum(map(len, served())) == len(sessions), f"a session was served by two gateways: {errors(tmp_path)}"
    assert sum(map(bool, served())) >= 2


def test_a_user_of_one_is_one_of_all_until_revoked(replicas: list[Gateway]) -> None:
    """(The last one: from here on the gate is closed.)"""
    one, *others = replicas
    key = key_of(one, "carol")

    def status(gateway: Gateway) -> int:
        return gateway.post("glm", headers={"x-litellm-api-key": key}).status_code

    for gateway in others:
        gateway.look_for([Secret("the key of carol", key)])
        gateway.wait_until(
            partial(lambda gateway: status(gateway) == 200 and gateway.post("glm").status_code == 401, gateway)
        )
    user(others[0], "revoke", "carol")
    for gateway in replicas:
        gateway.wait_until(partial(lambda gateway: status(gateway) == 401, gateway))
