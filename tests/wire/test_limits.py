"""Every limit says what it limits, README's table has it with its value, and a test goes beyond it."""

from __future__ import annotations

import ast
import gzip
import itertools
import json
import re
from pathlib import Path

import pytest

from addons.state.attempt import Kept
from addons.views.bodies import body_of
from addons.wire import limits
from addons.wire.chat.options import ChatOptions
from addons.wire.chat.request import to_chat
from addons.wire.errors import BadRequest
from addons.wire.messages.answer import MessagesAnswer, Rewrite
from addons.wire.messages.body import Draft, RequestBody, session_of
from tests.exchanges import exchange

ROOT = Path(__file__).parents[2]
UNITS = {"KILOBYTE", "MEGABYTE"}


def megabytes(size: int) -> str:
    return f"{size // limits.MEGABYTE} MB"


LIMITS: dict[str, tuple[str, str, str]] = {
    "BODY": ("a request's body", megabytes(limits.BODY), "e2e/test_limits.py::test_one_byte_more_is_refused"),
    "BODY_SILENCE": (
        "a request's body",
        f"{limits.BODY_SILENCE:.0f} s of silence",
        "proxy/test_http1.py::test_a_body_that_stops",
    ),
    "BODY_WITHIN": (
        "a request's body",
        f"{limits.BODY_WITHIN:.0f} s in all",
        "proxy/test_http1.py::test_a_body_that_goes_on_for_ever",
    ),
    "SMALL_BODY": (
        "request bodies of over 1 MB",
        megabytes(limits.SMALL_BODY),
        "proxy/test_body_budget.py::test_small_ones_never_wait",
    ),
    "LARGE_BODIES": (
        "request bodies of over",
        megabytes(limits.LARGE_BODIES),
        "attacks/test_bodies.py::test_who_finds_no_room_is_told",
    ),
    "ROOM_WITHIN": (
        "request bodies of over",
        f"after {limits.ROOM_WITHIN:.0f} s 529",
        "proxy/test_body_budget.py::test_who_waits_for_too_long_is_told",
    ),
    "SLOW_AFTER": (
        "the pace of such a body",
        f"after {limits.SLOW_AFTER:.0f} s",
        "attacks/test_bodies.py::test_who_trickles_loses_its_room_to_who_waits",
    ),
    "SLOWEST": (
        "the pace of such a body",
        f"{limits.SLOWEST // 1024} KB/s",
        "proxy/test_body_budget.py::test_who_has_room_uses_it_while_others_wait",
    ),
    "HEAD": ("a request's head", f"{limits.HEAD // 1024} KB", "proxy/test_http1.py::test_too_much"),
    "HEAD_LINES": ("a request's head", f"{limits.HEAD_LINES} lines", "proxy/test_http1.py::test_too_much"),
    "HEAD_WITHIN": (
        "a request's head",
        f"{limits.HEAD_WITHIN:.0f} s",
        "proxy/test_http1.py::test_a_head_has_its_time",
    ),
    "REQUESTS_AT_ONCE": (
        "requests that come in one piece",
        f"{limits.REQUESTS_AT_ONCE}",
        "proxy/test_http1.py::test_requests_that_come_at_once_leave_others_their_turn",
    ),
    "CODINGS": (
        "names in a `content-encoding`",
        f"{limits.CODINGS}",
        "wire/test_encoding.py::test_no_more_codings_than_anybody_uses",
    ),
    "NESTED_RESULTS": (
        "tool results in tool results",
        f"{limits.NESTED_RESULTS} deep",
        "wire/test_limits.py::test_nested_results",
    ),
    "STOP_SEQUENCE": (
        "a stop sequence",
        f"{limits.STOP_SEQUENCE} characters",
        "wire/test_limits.py::test_long_stop_sequences",
    ),
    "SIGN_IN": ("the form of the page's sign-in", f"{limits.SIGN_IN // 1024} KB", "e2e/test_page.py::test_a_wrong_key"),
    "LEDGER_MODELS": (
        "models of a day",
        f"{limits.LEDGER_MODELS:,}",
        "state/test_ledger_rows.py::test_made_up_models_are_summed_up_together",
    ),
    "COMMAND": ("what a command asks", megabytes(limits.COMMAND), "process/test_control_channel.py::test_mistakes"),
    "HELD": (
        "an answer before its first content",
        megabytes(limits.HELD),
        "attacks/test_floods.py::test_comments_before_any_content",
    ),
    "DISCARDED": (
        "a refused request's body",
        f"{limits.DISCARDED:.0f} s",
        "proxy/test_early_answer.py::test_a_client_that_never_finishes_is_closed",
    ),
    "HANDSHAKE": (
        "a connection that sends nothing",
        f"{limits.HANDSHAKE:.0f} s",
        "proxy/test_connection_limits.py::test_a_handshake_without_an_end_is_closed",
    ),
    "SILENT": (
        "a connection that sends nothing",
        f"{limits.SILENT:.0f} s",
        "proxy/test_connection_limits.py::test_who_says_nothing_is_closed",
    ),
    "IDLE": (
        "a connection that idles",
        {3600: "an hour"}[int(limits.IDLE)],
        "proxy/test_http1.py::test_a_connection_that_idles_after_an_answer_is_closed_after_an_hour",
    ),
    "ANSWER_END": (
        "the end of an answer's connection",
        f"{limits.ANSWER_END:.0f} s",
        "proxy/test_cut.py::test_the_connection_stays_open",
    ),
    "CONNECTIONS_PER_ADDRESS": (
        "connections of one address",
        f"{limits.CONNECTIONS_PER_ADDRESS} (`gateway_max_per_address`",
        "attacks/test_connections.py::test_one_address_does_not_get_all",
    ),
    "WRONG_KEYS": (
        "requests without a right key",
        f"{limits.WRONG_KEYS} from one address",
        "team/test_wrong_keys.py::test_the_first_are_answered_at_once_and_then_one_a_second",
    ),
    "SLOWED": (
        "requests without a right key",
        f"up to {limits.SLOWED:.0f} s",
        "team/test_wrong_keys.py::test_no_wait_is_endless_and_it_is_forgotten_soon",
    ),
    "SLOWED_ADDRESSES": (
        "addresses that try wrong keys",
        f"{limits.SLOWED_ADDRESSES:,}",
        "team/test_wrong_keys.py::test_the_table_is_bounded_and_the_quiet_go_first",
    ),
    "HUB_BACKLOG": (
        "what a worker and its parent tell each other",
        megabytes(limits.HUB_BACKLOG),
        "process/test_hub.py::test_a_worker_that_does_not_read_is_not_waited_for",
    ),
    "BACKLOG": (
        "connections that wait to be accepted",
        f"{limits.BACKLOG}",
        "proxy/test_accepting.py::test_more_may_wait_at_a_socket_that_listens_already",
    ),
    "WORKERS": (
        "workers",
        f"{limits.WORKERS}",
        "process/workers/test_supervisor.py::test_how_many_there_may_be",
    ),
    "WORKER_SILENCE": (
        "workers of",
        f"{limits.WORKER_SILENCE:.0f} s",
        "process/workers/test_silence.py::test_who_does_not_answer_for_too_long_hangs",
    ),
    "DESCRIPTORS_PER_CLIENT": (
        "clients in all",
        {3: "a third of `ulimit -n`"}[limits.DESCRIPTORS_PER_CLIENT],
        "attacks/test_connections.py::test_silent_connections_take_nobodys_place",
    ),
    "MODEL_NAME": ("model name", f"{limits.MODEL_NAME} characters", "wire/test_limits.py::test_a_long_model_name"),
    "TOOL_NAME": (
        "model name, tool names",
        f"{limits.TOOL_NAME} characters",
        "wire/test_names.py::test_what_fits_in_no_line_is_refused",
    ),
    "BETA_FLAG": (
        "model name, tool names",
        f"{limits.BETA_FLAG} characters",
        "wire/test_names.py::test_what_is_no_flag_is_refused",
    ),
    "NOTE": ("a line of a request's trail", f"{limits.NOTE:,} characters", "wire/test_limits.py::test_a_long_note"),
    "UNPACKED_AT_ONCE": (
        "what 64 KB of a compressed answer unpack to",
        megabytes(limits.UNPACKED_AT_ONCE),
        "wire/test_encoding.py::test_a_bomb_costs_little_memory_and_time",
    ),
    "UNPACKING_WINDOW": (
        "a compressed body's window",
        megabytes(limits.UNPACKING_WINDOW),
        "wire/test_encoding.py::test_a_window_larger_than_browsers_take_is_refused",
    ),
    "ERROR_BODY": (
        "a provider's error",
        megabytes(limits.ERROR_BODY),
        "proxy/test_retry.py::test_an_endless_error_is_cut",
    ),
    "ERROR_WORDS": (
        "a provider's error",
        f"{limits.ERROR_WORDS:,} characters",
        "wire/test_errors.py::test_a_long_message_is_cut_and_keeps_its_code",
    ),
    "TOKEN_ANSWER": (
        "an answer of the token endpoint",
        f"{limits.TOKEN_ANSWER // 1024} KB",
        "state/test_token_endpoint.py::test_a_success_is_read_up_to_a_limit",
    ),
    "ENDINGS": ("events that say how an answer ends", f"{limits.ENDINGS}", "wire/test_limits.py::test_many_endings"),
    "ANSWER": (
        "a whole answer",
        megabytes(limits.ANSWER),
        "wire/test_answer_reader.py::test_a_stream_without_end_is_not_put_together",
    ),
    "EVENT": (
        "one event of an answer",
        megabytes(limits.EVENT),
        "wire/test_sse.py::test_an_event_without_end_is_refused",
    ),
    "OPEN_BLOCKS": (
        "blocks of an answer that are open",
        f"{limits.OPEN_BLOCKS:,}",
        "wire/test_limits.py::test_many_open_blocks",
    ),
    "WRITTEN_CALLS": (
        "tool calls that a model writes into its text",
        megabytes(limits.WRITTEN_CALLS),
        "wire/chat/test_calls_in_text.py::test_what_is_longer_than_any_call_is_text",
    ),
    "TOOL_CALLS": (
        "blocks of an answer that are open, tool calls",
        f"{limits.TOOL_CALLS:,}",
        "wire/test_answer_memory.py::test_what_is_kept_back_has_a_limit",
    ),
    "KEPT_BACK": (
        "what of a streamed answer",
        megabytes(limits.KEPT_BACK),
        "wire/test_answer_memory.py::test_what_is_kept_back_of_messages_has_a_limit",
    ),
    "SHOWN_BODY": (
        "a body that a view shows",
        megabytes(limits.SHOWN_BODY),
        "wire/test_limits.py::test_a_long_body_in_a_view",
    ),
    "SEARCH_ANSWER": (
        "a search service's answer",
        megabytes(limits.SEARCH_ANSWER),
        "proxy/test_errand.py::test_an_answer_that_is_longer_than_was_asked_for_is_given_up",
    ),
    "SEARCH_QUERY": (
        "a search service's answer, a query",
        f"{limits.SEARCH_QUERY:,} characters",
        "wire/search/test_searching.py::test_nothing_to_search_for_and_too_much_ask_nobody",
    ),
    "LOG_LINES": (
        "lines of the log that wait",
        f"{limits.LOG_LINES:,}",
        "process/test_log_file.py::test_a_disk_that_stands_still_costs_no_memory",
    ),
    "USER_ID": (
        "a session in `metadata.user_id`",
        f"{limits.USER_ID // 1024} KB",
        "wire/test_limits.py::test_a_long_user_id",
    ),
}
"""By name: how its row in README begins, the value that stands there, and the test that goes beyond it."""


def named() -> dict[str, ast.stmt]:
    """The limits of the file, each with what follows it there."""
    body = ast.parse(Path(limits.__file__).read_text()).body
    return {
        node.target.id: follower
        for node, follower in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id not in UNITS
    }


def test_every_limit_has_a_docstring() -> None:
    for name, follower in named().items():
        assert isinstance(follower, ast.Expr), name
        assert isinstance(follower.value, ast.Constant), name
        assert len(str(follower.value.value)) > 60, name


def test_every_limit_is_in_this_table() -> None:
    assert set(LIMITS) == set(named())


@pytest.mark.parametrize("name", LIMITS)
def test_readme_names_it_with_its_value(name: str) -> None:
    row, value, _ = LIMITS[name]
    section = (ROOT / "README.md").read_text().partition("\n## Limits")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith(f"| {row}")]
    assert rows, row
    assert any(value in line for line in rows), (value, rows)


@pytest.mark.parametrize("name", LIMITS)
def test_it_has_a_test(name: str) -> None:
    file, _, test = LIMITS[name][2].partition("::")
    assert re.search(rf"^ *(?:async )?def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), test


def test_nested_results() -> None:
    nested = b'{"type":"tool_result","tool_use_id":"t","content":[' * 30 + b"]}" * 30
    with pytest.raises(BadRequest, match="nested too deeply"):
        RequestBody.parse(request_with(nested))


def request_with(block: bytes) -> bytes:
    return b'{"model":"glm","messages":[{"role":"user","content":[%b]}]}' % block


def test_a_long_model_name() -> None:
    for model in ("x" * (limits.MODEL_NAME + 1), "x\x1b[0m"):
        body = json.dumps({"model": model, "messages": []}).encode()
        with pytest.raises(BadRequest, match=f"at most {limits.MODEL_NAME} characters"):
            RequestBody.parse(body)


def test_a_long_note() -> None:
    made = exchange()
    made.note("router", "x" * 10 * limits.NOTE)
    assert len(made.trail[-1].what) == limits.NOTE


def test_a_long_user_id() -> None:
    def of(padding: int) -> str | None:
        user_id = json.dumps({"session_id": "abc", "pad": "x" * padding})
        body = {"model": "m", "messages": [], "metadata": {"user_id": user_id}}
        return session_of(RequestBody.parse(json.dumps(body).encode()))

    assert of(100) == "abc"
    assert of(limits.USER_ID) is None


def test_long_stop_sequences() -> None:
    stops = ["x" * limits.STOP_SEQUENCE, "y" * (limits.STOP_SEQUENCE + 1)]
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stop_sequences": stops})
    draft = Draft(RequestBody.parse(body.encode()))
    made = to_chat(draft, provider="zai", model="m", stream=True, options=ChatOptions())
    assert made.asked.stops == (stops[0],)


def test_a_long_body_in_a_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addons.views.bodies.SHOWN_BODY", 1000)
    packed = gzip.compress(b"x" * 10_000_000)
    assert 1000 <= len(body_of(Kept("200 OK", (("content-encoding", "gzip"),), packed))) < 2_000_000


def streamed() -> MessagesAnswer:
    return MessagesAnswer(Rewrite("zai", is_anthropic=False, strip_thinking=False))


def start(index: int) -> bytes:
    return (
        b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,'
        b'"content_block":{"type":"text","text":""}}\n\n' % index
    )


def test_many_open_blocks() -> None:
    reader = streamed()
    for index in range(limits.OPEN_BLOCKS + 1):
        assert not reader.error
        reader.feed(start(index))
    assert reader.error
    assert reader.error.status == 502


def test_many_endings() -> None:
    reader = streamed()
    reader.feed(start(0))
    for _ in range(limits.ENDINGS + 1):
        assert not reader.error
        reader.feed(b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n')
    assert reader.error
    assert reader.error.status == 502
