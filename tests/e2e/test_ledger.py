"""What the ledger keeps of each kind of end that a request can have, as it is in the file afterwards.

The requests are made one after the other, before the first test: rows are written about a second later.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from addons.state import usage
from addons.state.ledger_rows import AttemptRow, RequestRow
from tests.e2e.chat.server import OPENAI
from tests.e2e.conftest import Providers
from tests.e2e.gateway import Gateway
from tests.fakes.answers import Answer, Reply
from tests.fakes.request import Request
from tests.fakes.scripts import (
    Gate,
    count_tokens,
    drop,
    error,
    error_event,
    error_first,
    event,
    hang,
    insert,
    say,
)

PRICE = {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75}
SAID = "Ten words of eight letters are about twenty tokens. " * 4
CACHED = {"input_tokens": 100, "output_tokens": 40, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 300}
WHOLE = say(SAID, usage=CACHED)
AFTER_CONTENT = 8
"""Events: message_start, the block's start and six deltas of twelve letters."""


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any], providers: Providers) -> dict[str, Any]:
    chat = {"base_url": f"{providers.openrouter.url}/v1", "format": "openai-chat", "auth": "none"}
    return {
        **routing,
        "providers": {**routing["providers"], "chat": chat},
        "models": {
            **routing["models"],
            "glm": {"provider": "zai", "model": "glm-5", "price": PRICE},
            "kimi": {"provider": "kimi", "model": "k3", "price": {"input": 1, "output": 2}},
            "backed-*": {"provider": "zai", "model": "glm-*", "price": PRICE},
            "chat": {"provider": "chat", "model": "m", "price": PRICE},
        },
        "fallbacks": {"backed-*": ["kimi"]},
        "failover": {**routing["failover"], "retries": 0, "first_byte_timeout": 20, "answer_timeout": 20, "hold": 0.1},
        "users": {"timezone": "Asia/Kathmandu"},
    }


def without_final_usage(request: Request) -> Answer:
    """A provider that tells its usage with the first event, and never again."""
    answer = WHOLE(request)
    pieces = [piece for piece in answer.pieces if isinstance(piece, bytes) and b"message_delta" not in piece]
    pieces.insert(-1, event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}))
    return Answer(headers=answer.headers, pieces=tuple(pieces), framing="chunked")


def without_usage(request: Request) -> Answer:
    """A provider that never tells any."""
    answer = say(SAID, usage={})(request)
    pieces = tuple(
        piece.replace(b', "usage": {"output_tokens": 1}', b"").replace(b', "usage": {}', b"")
        for piece in answer.pieces
        if isinstance(piece, bytes)
    )
    return Answer(headers=answer.headers, pieces=pieces, framing=answer.framing)


def from_chat(request: Request) -> Answer:
    """A chat provider, whose prompt has the cached tokens in it."""
    told = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 900}}
    if not request.stream:
        choice = {"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}
        whole = json.dumps({"object": "chat.completion", "choices": [choice], "usage": told})
        return Answer(headers=(("content-type", "application/json"),), pieces=(whole.encode(),))
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": SAID}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": told},
    ]
    pieces = (*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n")
    return Answer(headers=(("content-type", OPENAI.content_type),), pieces=pieces, framing="chunked")


Kept = tuple[RequestRow, list[AttemptRow]]


class Requests:
    """Requests that are made now, and what is kept of them."""

    def __init__(self, gateway: Gateway, providers: Providers) -> None:
        self.gateway, self.providers = gateway, providers
        self.path = gateway.directory / "gateway.sqlite"
        self.sessions: dict[str, str] = {}
        self.kept: dict[str, Kept] = {}

    def headers(self, name: str) -> dict[str, str]:
        """Those of a session of its own."""
        self.sessions[name] = str(uuid.uuid4())
        return {"x-claude-code-session-id": self.sessions[name]}

    def whole(self, name: str, reply: Reply, model: str = "glm", provider: str = "zai", **body: Any) -> None:
        """A request that is read to its end, as a stream and as a whole."""
        for form in ("stream", "json"):
            getattr(self.providers, provider).script(reply)
            headers = self.headers(f"{name}, {form}")
            self.gateway.post(model, headers=headers, stream=form == "stream", text="word " * 40, **body)

    def streamed(self, name: str, reply: Reply, model: str = "glm", provider: str = "zai", **headers: str) -> None:
        getattr(self.providers, provider).script(reply)
        self.gateway.post(model, headers={**self.headers(name), **headers}, stream=True, text="word " * 40)

    def left(self, name: str, reply: Reply, seen: str, times: int = 1) -> None:
        """A request whose client hangs up when it has seen so many such events."""
        self.providers.zai.script(reply)
        with self.gateway.stream("glm", headers=self.headers(name)) as stream:
            for _ in range(times):
                stream.until(seen)

    def begun(self, provider: str = "zai") -> Gate:
        """A provider tells its usage, and then nothing until the gate is opened."""
        gate = Gate()
        getattr(self.providers, provider).script(insert(WHOLE, gate, after=1))
        return gate

    def has_come(self, gate: Gate) -> None:
        """Wait until the gateway has read what stands before this gate: when it answers others, it has."""
        self.gateway.wait_until(lambda: gate.reached)
        for _ in range(2):
            self.gateway.client.get("/health")

    def wait(self) -> None:
        """Wait until all are in the file."""
        rows: dict[str | None, RequestRow] = {}

        def written() -> bool:
            rows.update((row.session, row) for row in usage.requests(self.path, limit=1000))
            return set(self.sessions.values()) <= set(rows)

        self.gateway.wait_until(written)
        for name, session in self.sessions.items():
            self.kept[name] = rows[session], usage.attempts(self.path, rows[session])


@pytest.fixture(scope="module")
def requests(gateway: Gateway, providers: Providers) -> Requests:
    made = Requests(gateway, providers)
    split = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}
    made.streamed(
        "success", say(SAID, usage={**CACHED, "cache_creation": split}), **{"x-claude-code-request-class": "compaction"}
    )
    made.whole("at the end", say(SAID, usage=CACHED, usage_at_start=False))
    made.streamed("at the start", without_final_usage)
    made.whole("nowhere", without_usage)
    gate = made.begun()
    with gateway.stream("glm", headers=made.headers("left before content")):
        made.has_come(gate)
    made.left("left after content", hang(WHOLE, events=AFTER_CONTENT), "content_block_delta", times=6)
    made.streamed("cut", drop(WHOLE, events=AFTER_CONTENT))
    made.streamed("error event", insert(WHOLE, error_event(), after=AFTER_CONTENT, rest=False))
    made.whole("from chat", from_chat, "chat", "openrouter")
    made.streamed("cut chat", drop(from_chat, events=1), "chat", "openrouter")
    for name, failure in (
        ("a status", error(529)),
        ("an error event", error_first()),
        ("a cut", drop(WHOLE, events=1)),
    ):
        providers.kimi.script(WHOLE)
        made.streamed(f"failover after {name}", failure, f"backed-{name.rpartition(' ')[2]}")
    gate = made.begun()
    providers.kimi.script(WHOLE)
    with gateway.stream("backed-hold", headers=made.headers("failover past the hold")) as stream:
        stream.until("ping")
        made.has_come(gate)
        providers.zai.hang_up()
        list(stream)
    providers.zai.script(count_tokens(12))
    gateway.post("glm", path="/v1/messages/count_tokens")
    made.wait()
    return made


def tokens(row: RequestRow | AttemptRow) -> tuple[int, int, int, int]:
    return row.input_tokens, row.output_tokens, row.cache_read_tokens, row.cache_write_tokens


def test_all_that_is_known_of_a_success(requests: Requests) -> None:
    row, [attempt] = requests.kept["success"]
    assert (row.user, row.request_class, row.asked_model) == ("anyone", "compaction", "glm")
    assert (row.provider, row.model, row.status, row.attempts, row.fallback) == ("zai", "glm-5", 200, 1, False)
    assert (row.estimated, row.error) == (False, None)
    assert tokens(row) == tokens(attempt) == (100, 40, 5000, 300)
    assert row.cache_write_1h_tokens == 200
    assert row.id.startswith("req_gw_")
    assert "zai/glm-5" in row.line
    assert (attempt.outcome, attempt.status, attempt.account) == ("", 200, row.account)
    assert row.first_event_s is not None and 0 < row.first_event_s <= row.duration_s


@pytest.mark.parametrize("name", ["at the end, stream", "at the end, json"])
def test_usage_that_is_told_at_the_end(requests: Requests, name: str) -> None:
    row, _ = requests.kept[name]
    assert (tokens(row), row.estimated) == ((100, 40, 5000, 300), False)
    assert row.cost_usd == pytest.approx((100 * 3 + 40 * 15 + 5000 * 0.3 + 300 * 3.75) / 1e6)


@pytest.mark.parametrize("name", ["nowhere, stream", "nowhere, json"])
def test_usage_that_is_told_nowhere(requests: Requests, name: str) -> None:
    row, _ = requests.kept[name]
    assert row.estimated
    assert 30 < row.input_tokens < 70
    assert len(SAID) / 8 < row.output_tokens < len(SAID) / 3


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("at the start", range(len(SAID) // 6, len(SAID) // 3)),
        ("left before content", range(1, 2)),
        ("left after content", range(5, 40)),
        ("cut", range(5, 40)),
        ("error event", range(5, 40)),
    ],
)
def test_what_was_told_at_the_start_is_kept_and_the_output_estimated(
    requests: Requests, name: str, output: range
) -> None:
    row, _ = requests.kept[name]
    assert (row.input_tokens, row.cache_read_tokens, row.cache_write_tokens) == (100, 5000, 300)
    assert row.estimated
    assert row.output_tokens in output
    assert bool(row.error) == (name != "at the start")
    assert row.cost_usd == pytest.approx((100 * 3 + row.output_tokens * 15 + 5000 * 0.3 + 300 * 3.75) / 1e6)


@pytest.mark.parametrize("name", ["from chat, stream", "from chat, json"])
def test_cached_tokens_of_a_translated_answer(requests: Requests, name: str) -> None:
    row, _ = requests.kept[name]
    assert (tokens(row), row.estimated) == ((100, 50, 900, 0), False)


def test_a_translated_answer_that_was_cut(requests: Requests) -> None:
    row, _ = requests.kept["cut chat"]
    assert (row.estimated, row.cache_read_tokens) == (True, 0)
    assert 30 < row.input_tokens < 70
    assert len(SAID) / 6 < row.output_tokens < len(SAID) / 3


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("failover after a status", (0, 0, 0, 0)),
        ("failover after an error event", (0, 0, 0, 0)),
        ("failover after a cut", (100, 1, 5000, 300)),
        ("failover past the hold", (100, 1, 5000, 300)),
    ],
)
def test_a_failover_pays_for_what_each_has_told(requests: Requests, name: str, used: tuple[int, ...]) -> None:
    row, [first, second] = requests.kept[name]
    assert (row.provider, row.model, row.attempts, row.fallback, row.error) == ("kimi", "k3", 2, True, None)
    assert (first.provider, bool(first.outcome), tokens(first)) == ("zai", True, used)
    assert (second.provider, second.outcome, tokens(second)) == ("kimi", "", (100, 40, 5000, 300))
    assert tokens(row) == tuple(map(sum, zip(tokens(first), tokens(second), strict=True)))
    assert second.cost_usd == pytest.approx((100 + 40 * 2 + 5000 + 300) / 1e6)
    assert row.cost_usd == pytest.approx((first.cost_usd or 0) + (second.cost_usd or 0))


def test_sums_agree_with_the_rows_and_counting_tokens_is_free(requests: Requests) -> None:
    rows = [row for row, _ in requests.kept.values()]
    [total] = usage.grouped(requests.path, [])
    assert total.sums.requests == len(rows)
    assert total.sums.cost_usd == pytest.approx(sum(row.cost_usd or 0 for row in rows))
    assert total.sums.output_tokens == sum(row.output_tokens for row in rows)
    assert total.sums.estimated == sum(attempt.estimated for _, tries in requests.kept.values() for attempt in tries)
