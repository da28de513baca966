"""A request's state: its attempts and trail, what must not be seen of it, and its tie to the flow."""

from __future__ import annotations

import gc

from mitmproxy.test import tflow

from addons.config.config import Config
from addons.state.exchange import ClientCredential, Exchange, Trying, exchange_of, forget, remember
from tests.exchanges import STARTED, Clock, exchange, failed, failure, status, targets


def test_attempts_begin_at_the_cursor() -> None:
    clock = Clock()
    made = exchange(*targets("zai", "kimi"), clock=clock)
    assert (made.attempt, made.verdict, made.usage) == (None, None, None)
    first = made.begin()
    clock.now += 2
    made.plan.cursor, made.plan.whole = 1, True
    second = made.begin()
    assert [(one.number, one.started, one.whole) for one in (first, second)] == [
        (1, STARTED, False),
        (2, STARTED + 2, True),
    ]
    assert first.target is made.plan.targets[0] and second.target is made.plan.targets[1]
    assert made.attempt is second
    assert first.draft is not second.draft


def test_what_was_skipped_was_not_sent() -> None:
    made = exchange(*targets("zai"))
    failed(made.begin(), failure("skipped"))
    sent = failed(made.begin(), status(500))
    assert made.sent() == [sent]


def test_an_attempt_that_is_postponed_leaves_no_trace() -> None:
    made = exchange(*targets("zai"))
    made.note("auth", "let in")
    failed(made.begin(), status(500))
    made.note("failover", "again")
    made.begin()
    made.note("accounts", "no credential yet")
    made.postpone()
    assert len(made.attempts) == 1
    assert [(line.who, line.attempt) for line in made.trail] == [("auth", 0), ("failover", 1)]
    assert made.begin().number == 2


def test_a_line_of_the_trail_is_one_line() -> None:
    clock = Clock()
    made = exchange(clock=clock)
    clock.now += 1.5
    made.note("router", "one\ntwo\r\n" + "x" * 100_000)
    (line,) = made.trail
    assert line.at == 1.5
    assert "\n" not in line.what and "\r" not in line.what and len(line.what) < 10_000


def test_secrets_are_the_gateways_and_the_clients() -> None:
    made = exchange(*targets("zai"), config=Config(providers={}, models=(), tokens=("sk-ant-oat01-pool",)))
    made.client.credential = ClientCredential(authorization="Bearer sk-ant-own")
    made.begin().choice.value = "of-the-moment"
    assert {"sk-ant-oat01-pool", "Bearer sk-ant-own", "sk-ant-own", "of-the-moment"} <= set(made.secrets())
    assert not any(secret in repr(made) for secret in ("sk-ant-own", "of-the-moment", "sk-ant-oat01-pool"))


def test_simple_questions() -> None:
    made = exchange()
    made.headers = (("X-Team", "blue"), ("x-team", "red"))
    assert (made.stream, made.model, made.header("x-team"), made.header("x-none")) == (True, "asked", "blue", "")
    made.kind = "count_tokens"
    assert not made.stream
    relayed = Exchange(made.config, Clock(), STARTED, "GET", "/v1/files")
    assert (relayed.stream, relayed.model, relayed.kind) == (False, "", "local")
    tried = Trying(tflow.tflow(), relayed, relayed.begin())
    assert (tried.target, tried.provider, tried.attempt.draft) == (None, None, None)


def test_the_state_is_there_as_long_as_its_flow() -> None:
    flow, made = tflow.tflow(), exchange()
    assert exchange_of(flow) is None
    remember(flow, made)
    assert exchange_of(flow) is made
    assert exchange_of(flow.copy()) is None
    forget(flow)
    forget(flow)
    assert exchange_of(flow) is None
    remember(flow, made)
    before = len(gc.get_referrers(made))
    del flow
    gc.collect()
    assert len(gc.get_referrers(made)) < before
