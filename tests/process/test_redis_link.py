"""The way to other machines through a Redis, whatever happens to that. What it answers is asked in
tests/state/test_shared.py. Also of addons/process/redis_scripts.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from addons.process import redis_link
from addons.process.redis_link import RedisLink, why
from addons.state.shared import ANSWERED_WITHIN, Admit, Question, Resumed, Shared, Sit, Totals, answer_of
from tests.fakes.front import Authority
from tests.fakes.ports import port_of, reserve
from tests.redis_server import NEEDS_REDIS, RedisServer, speaks_tls
from tests.team_ways import PATIENCE, until

PASSWORD = "open-sesame-4711"


@pytest.fixture
def server():
    found = RedisServer()
    yield found
    found.close()


def with_link(url: str, test: Callable[[Shared, RedisLink], Awaitable[None]]) -> None:
    async def whole() -> None:
        shared = Shared()
        link = RedisLink(url, shared)
        shared.link = link
        link.start()
        try:
            await test(shared, link)
        finally:
            await link.close()

    asyncio.run(whole())


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(redis_link, "PROBE_EVERY", 0.05)
    monkeypatch.setattr(redis_link, "HERE_EVERY", 0.05)


def kill(server: RedisServer) -> Callable[[], object]:
    server.kill()
    return server.start


def stop(server: RedisServer) -> Callable[[], object]:
    server.pause()
    return server.go_on


def fill(server: RedisServer) -> Callable[[], object]:
    server.say("CONFIG", "SET", "maxmemory", "1")
    return lambda: server.say("CONFIG", "SET", "maxmemory", "0")


def lock(server: RedisServer) -> Callable[[], object]:
    server.password = PASSWORD
    server.start_again()

    def unlock() -> None:
        server.password = ""
        server.start_again()

    return unlock


def freeze(server: RedisServer) -> Callable[[], object]:
    server.say("REPLICAOF", "127.0.0.1", "1")
    return lambda: server.say("REPLICAOF", "NO", "ONE")


@NEEDS_REDIS
@pytest.mark.parametrize("harm", [kill, stop, fill, lock, freeze])
def test_nobody_waits_for_a_redis_that_cannot_answer_and_it_is_used_again_when_it_can(server, harm, caplog):
    joined = []

    async def test(shared: Shared, link: RedisLink) -> None:
        shared.on_joining(lambda: joined.append(True))
        await until(lambda: link.is_up)
        mend = harm(server)
        loop = asyncio.get_running_loop()
        began = loop.time()
        asked = shared.ask(Admit("alice", rpm=5))
        if asked:  # (else it has noticed already)
            await until(lambda: not asked.waits)
            assert asked.lost or harm is fill  # (which is noticed when more is written)
        assert loop.time() - began < 40 * ANSWERED_WITHIN
        await until(lambda: not link.is_up)
        assert shared.status == "redis down" and shared.ask(Totals(())) is None
        shared.tell(Resumed("a"))  # nobody hears it
        mend()
        await until(lambda: link.is_up)
        assert await answer(shared, Sit("s", "claude", "a")) == "a"
        assert len(joined) >= 2

    with_link(server.url, test)
    said = [record.message for record in caplog.records if "can't be used" in record.message]
    assert 1 <= len(said) <= 3 and PASSWORD not in caplog.text


@NEEDS_REDIS
def test_a_wrong_password_is_said_once_and_never_shown(caplog):
    server = RedisServer(password="right")
    url = server.url.replace("right", PASSWORD)

    async def refused(shared: Shared, link: RedisLink) -> None:
        await until(lambda: link.problem)
        await asyncio.sleep(0.2)  # it has tried again by then
        assert not link.is_up and PASSWORD not in link.problem

    async def taken(shared: Shared, link: RedisLink) -> None:
        await until(lambda: link.is_up)

    try:
        with_link(url, refused)
        assert caplog.text.count("can't be used") == 1 and PASSWORD not in caplog.text
        with_link(server.url, taken)
    finally:
        server.close()


@NEEDS_REDIS
def test_tls_and_whom_nobody_vouches_for(tmp_path, caplog):
    if not speaks_tls():
        pytest.skip("needs a redis-server with TLS")
    company, ours, bundle = Authority(), tmp_path / "redis.pem", tmp_path / "company.pem"
    ours.write_bytes(company.issue("127.0.0.1"))
    bundle.write_text(company.pem)

    async def asked(shared: Shared, link: RedisLink) -> None:
        assert await answer(shared, Sit("s", "claude", "a")) == "a"
        assert shared.status == "redis"

    async def refused(shared: Shared, link: RedisLink) -> None:
        await until(lambda: link.problem)
        assert not link.is_up and "certificate verify failed" in link.problem.lower()

    with reserve() as reserved:
        port = port_of(reserved)
        files = ("--tls-cert-file", str(ours), "--tls-key-file", str(ours), "--tls-ca-cert-file", str(bundle))
        server = RedisServer("--tls-port", f"{port}", *files, "--tls-auth-clients", "no", password=PASSWORD)
        try:
            with_link(f"rediss://:{PASSWORD}@127.0.0.1:{port}?ssl_ca_certs={bundle}", asked)
            with_link(f"rediss://:{PASSWORD}@127.0.0.1:{port}", refused)
        finally:
            server.close()
    assert PASSWORD not in caplog.text


@NEEDS_REDIS
def test_a_start_without_a_redis_finds_it_later(server):
    server.kill()

    async def test(shared: Shared, link: RedisLink) -> None:
        await until(lambda: link.problem)
        server.start()
        await until(lambda: link.is_up)

    with_link(server.url, test)


@NEEDS_REDIS
def test_what_is_asked_while_others_are_answered_goes_out_together(server):
    async def test(shared: Shared, link: RedisLink) -> None:
        link.overdue.tick = PATIENCE
        await until(lambda: link.is_up)
        before = int(server.say("INFO", "stats").split(b"total_commands_processed:")[1].split(b"\r")[0])
        asked = [shared.ask(Admit("alice", rpm=1000)) for _ in range(200)]
        await until(lambda: all(one and not one.waits for one in asked))
        assert all(one and one.answer.wait == 0 for one in asked)
        after = int(server.say("INFO", "stats").split(b"total_commands_processed:")[1].split(b"\r")[0])
        assert after - before >= 200

    with_link(server.url, test)


@NEEDS_REDIS
def test_nothing_is_left_for_ever_in_the_server(server):
    async def test(shared: Shared, link: RedisLink) -> None:
        await until(lambda: link.is_up)
        for user in ("alice", "bob"):
            await answer(shared, Admit(user, rpm=5, session="s", sessions=2))
        await answer(shared, Sit("s", "claude", "a"))
        keys = [word for word in server.say("KEYS", "*").split(b"\r\n") if word.startswith(b"{gateway}")]
        assert len(keys) >= 5
        for key in keys:
            assert key == b"{gateway}:members" or server.say("TTL", key.decode()) > b":0", key

    with_link(server.url, test)


async def answer(shared: Shared, question: Question) -> Any:
    """What is answered; asked again where that takes too long, as it may on a busy machine."""
    async with asyncio.timeout(PATIENCE):
        while (found := await answer_of(shared.ask(question))) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


def test_what_is_wrong_is_said_in_a_line():
    assert why(TimeoutError()) == "it doesn't answer in time"
    assert why(OSError(111, "Connection refused")) == "[Errno 111] Connection refused"
    assert why(ValueError()) == "ValueError"
