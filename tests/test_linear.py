"""Whatever a client or a provider sends is read in linear time (linear.py says how that is measured).

Each reader is given every shape that could hurt it, at 32 and 64 KB; some go up to 1 MB. What people look at is in
test_linear_views.py.
"""

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest

from addons.proxy.request_head import unpacked, with_flag
from addons.wire.answer_reader import AnswerReader
from addons.wire.chat.calls_in_text import TextCalls
from addons.wire.chat.options import ChatOptions
from addons.wire.chat.request import to_chat
from addons.wire.chat.written_calls import Tools
from addons.wire.encoding import decode
from addons.wire.error_reading import read_error
from addons.wire.errors import BadRequest, is_envelope
from addons.wire.masking import mask_bytes, mask_strings, mask_text
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.messages.assembler import Assembler
from addons.wire.messages.body import Draft, RequestBody, session_of
from addons.wire.rate_limits import read as read_limits
from addons.wire.refusals import context_overflow, field_unknown, model_unknown, reworded
from addons.wire.sse import Splitter, parse
from addons.wire.steps.context import Context
from addons.wire.steps.table import STEPS, apply
from addons.wire.token_estimate import estimate_request
from tests.client_messages import assistant, text, thinking, tool_result, tool_use, user
from tests.fakes.messages import event
from tests.linear import LARGE, SIZE, Run, assert_linear, repeated
from tests.wire.chat.translated import new_answer

# ---- texts ----

RUNS = [
    "a",
    " ",
    "\\",
    '"',
    "'",
    "\n",
    "\r",
    "\t ",
    "é",
    "0",
    ".",
    "-",
    "[",
    "{",
    '{"a":',
    "<",
    "&",
    "…",
    "\x00",
    "://",
]
CREDENTIALS = [
    *(
        "Bearer ",
        "bearer a",
        "api_key",
        "api_key=",
        "api_key: ",
        "api_key: a…",
        "x-api-key:  ",
        "cookie=",
        "cookie: a;",
    ),
    *("eyJ", "eyJaaaaaaaaa-", "eyJaaaaaaaaa.", "eyJaaaaaaaaa.eyJ", "sk-", "sk-sk-sk-", "sk-aaaaaaaaaaaaaaaaaaaa…"),
    *(
        "authorization: bearer ",
        "access_token",
        '"\\u0073k-',
        "\\u0073k-",
        "\\u005c",
        "\\/",
        "\\\\/a",
        '\\"',
        'api_key\\\\\\"',
        "authorization', b'",
    ),
]


@pytest.mark.parametrize("piece", RUNS + CREDENTIALS)
def test_masking(piece):
    secrets = ("sk-ant-oat01-" + "a" * 80, "never-there")
    make = repeated(piece)
    assert_linear(lambda text: mask_text(text, secrets), make)
    assert_linear(lambda data: mask_bytes(data, secrets), lambda size: make(size).encode())
    assert_linear(lambda data: mask_strings(data, secrets), lambda size: make(size).encode())
    assert_linear(lambda data: mask_strings(data, secrets), lambda size: json.dumps(make(size // 2)).encode())


HEADS = [
    "a, ",
    "a,",
    ", ",
    "\\n",
    "\n",
    " ",
    "a",
    "x-litellm-api-key:",
    ",x-litellm-api-key",
    ", x-claude-token-mode: ",
]


@pytest.mark.parametrize("piece", HEADS)
def test_request_heads(piece):
    make = repeated(piece)
    assert_linear(lambda value: unpacked([(b"accept", value.encode())]), lambda size: "a," + make(size) + "b")
    assert_linear(lambda value: unpacked([(b"a", value.encode())] * 4), lambda size: make(size // 4))
    assert_linear(lambda value: with_flag(value, "oauth-2025-04-20"), make)


WORDS = [
    *RUNS,
    *("<title", "<script", "<style>", "</script ", "<!--", "&#1", "&#9999", "data:", "data: {", "\ndata:", "error: {"),
    *("model ", "models not ", "limit ", "1,", "1 + 1 > ", "maximum context length ", "field ", "request too large "),
]


def read_anything(text: str) -> None:
    for content_type in ("application/json", "text/html", "text/plain"):
        for spelled in (text, json.dumps({"error": {"message": text}}), json.dumps({"message": json.dumps(text)})):
            error = read_error(400, content_type, spelled.encode("utf-8", "replace"))
            reworded(error)
            context_overflow(error)
            model_unknown(error)
            field_unknown(error)
    is_envelope(text.encode("utf-8", "replace"))


@pytest.mark.parametrize("piece", WORDS)
def test_errors(piece):
    assert_linear(read_anything, repeated(piece))


@pytest.mark.parametrize("piece", RUNS)
def test_rate_limits(piece):
    names = ("retry-after", "anthropic-ratelimit-unified-status", "anthropic-ratelimit-unified-5h-reset")

    def read(value: str) -> None:
        read_limits(dict.fromkeys(names, value) | {"anthropic-ratelimit-unified-5h-status": "rejected"}, 0.0, 60.0)
        read_limits({"retry-after": value}, 0.0, 60.0)
        read_limits({f"anthropic-ratelimit-unified-{value}-status": "rejected"}, 0.0, 60.0)

    assert_linear(read, repeated(piece), 32 * 1024)


# ---- requests ----


def many(item: Callable[[int], Any], **fields: Any) -> Callable[[int], bytes]:
    """Bodies with as many messages as fit."""

    def make(size: int) -> bytes:
        items: list[Any] = []
        length = 0
        while length < size:
            made = item(len(items))
            made = made if isinstance(made, list) else [made]
            items += made
            length += sum(map(len, map(str, made))) + 8 * len(made)
        return encoded({"messages": items, **fields})

    return make


def in_one(block: Callable[[int], Any], role: str = "user", **fields: Any) -> Callable[[int], bytes]:
    """Bodies with one message that has as many content blocks as fit."""

    def make(size: int) -> bytes:
        sample = len(json.dumps(block(10_000))) + 1
        content = [block(number) for number in range(size // sample)]
        return encoded({"messages": [{"role": role, "content": content}], **fields})

    return make


def encoded(fields: dict[str, Any]) -> bytes:
    common = {"model": "glm", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    return json.dumps({**common, **fields}, ensure_ascii=False).encode()


def nested_results(depth: int) -> Any:
    content: Any = [text("")]
    for _ in range(depth):
        content = [tool_result("i 1", content), text("hi")]
    return content


def raw(start: bytes, piece: bytes, end: bytes) -> Callable[[int], bytes]:
    return lambda size: start + piece * (size // len(piece)) + end


DETAILED: Final = 'gw1.zai.{"form":"reasoning","reasoning_details":[{"type":"reasoning.text","text":1}]}'
BODIES: dict[str, Callable[[int], bytes]] = {
    "odd ids": in_one(lambda n: tool_use(f"i {n}"), "assistant"),
    "odd ids of another provider": in_one(lambda n: tool_use(f"gw1-zai--{n:06}"), "assistant"),
    "results of odd ids": in_one(lambda n: tool_result(f"i {n}")),
    "calls and results": many(lambda n: [assistant(tool_use(f"i {n}")), user(tool_result(f"i {n}"))]),
    "results of one call": in_one(lambda n: tool_result("i 1")),
    "thinking of others only": many(lambda n: [user(text("hi")), assistant(thinking("gw1.kimi.abc"))]),
    "thinking of nobody": many(lambda n: [user(text("hi")), assistant(thinking(""))]),
    "thinking and text": many(lambda n: [user(text("hi")), assistant(thinking("gw1.kimi.abc"), text("hi"))]),
    "thinking in one message": in_one(lambda n: thinking(f"gw1.kimi.{n}"), "assistant"),
    "own thinking in one message": in_one(lambda n: thinking(f"gw1.zai.{n}"), "assistant"),
    "own thinking with details": in_one(lambda n: thinking(DETAILED), "assistant"),
    "empty users": many(lambda n: [user(text("")), assistant(text("hi"))]),
    "empty assistants": many(lambda n: [user(text("hi")), assistant(text(""))]),
    "empty assistants behind results": many(lambda n: [user(tool_result("t")), assistant(text("")), user(text("hi"))]),
    "users only": many(lambda n: user(text("hi"))),
    "assistants only": many(lambda n: assistant(text("hi"))),
    "assistants with thinking only": many(lambda n: assistant(thinking("gw1.zai.x"))),
    "system messages": many(lambda n: {"role": "system", "content": "be brief"}),
    "system messages between": many(
        lambda n: [user(text("hi")), {"role": "system", "content": "x"}, assistant(text("hi"))]
    ),
    "system messages that are cleared": many(
        lambda n: [user(text("hi")), {"role": "system", "content": "x", "clear_at": "next_user_message"}]
    ),
    "empty texts": in_one(lambda n: text("")),
    "texts": in_one(lambda n: text(str(n))),
    "server tools": in_one(lambda n: {"type": "server_tool_use", "id": f"gw1-zai--{n:06}"}, "assistant"),
    "odd types": in_one(lambda n: {"type": f"t{n}_tool_use", "id": "x"}, "assistant"),
    "references": in_one(lambda n: {"type": "tool_reference", "tool_name": f"t{n}"}),
    "cache controls": in_one(lambda n: text("hi") | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}),
    "callers": in_one(lambda n: tool_use(f"t{n}") | {"caller": {"type": "direct"}}, "assistant"),
    "images": in_one(lambda n: {"type": "image", "source": {"type": "url", "url": "aa"}}),
    "documents": in_one(lambda n: {"type": "document", "source": {"type": "text", "data": "words"}}),
    "nested results": in_one(lambda n: tool_result("i 1", nested_results(15))),
    "one long text": lambda size: encoded({"messages": [user(text("a" * size))]}),
    "one long escaped text": lambda size: encoded({"messages": [user(text('"\\' * (size // 4)))]}),
    "one long blank": lambda size: encoded({"messages": [user(text(" \n" * (size // 3)))]}),
    "tools": lambda size: encoded(
        {
            "messages": [user(text("hi"))],
            "tools": [{"name": f"t {n}", "input_schema": {}, "strict": True} for n in range(size // 60)],
        }
    ),
    "tools of Anthropic": lambda size: encoded(
        {
            "messages": [user(text("hi"))],
            "tools": [{"name": f"t{n}", "type": "bash_20250124"} for n in range(size // 60)],
        }
    ),
    "system blocks": lambda size: encoded(
        {"messages": [user(text("hi"))], "system": [text("")] + [text(str(n)) for n in range(size // 40)]}
    ),
    "fields": lambda size: encoded(
        {"messages": [user(text("hi"))], **{f"f{n}": {"api_key": 1} for n in range(size // 30)}}
    ),
    "credentials": lambda size: encoded({"messages": [user(text("hi"))], "x": [{"api_key": 1}] * (size // 16)}),
    "context edits": lambda size: encoded(
        {
            "messages": [user(text("hi"))],
            "context_management": {"edits": [{"type": "clear_thinking_20251015"}] * (size // 36)},
        }
    ),
    "user_id nested": lambda size: encoded(
        {"messages": [user(text("hi"))], "metadata": {"user_id": '{"a":' * (size // 6)}}
    ),
    "nested without end": raw(b'{"model":"glm","messages":', b"[", b""),
    "nested objects without end": raw(b'{"model":"glm","messages":', b'{"a":', b""),
    "nested beside": lambda size: b'{"model":"glm","messages":[],"x":%b%b}' % (b"[" * (size // 2), b"]" * (size // 2)),
    "lone surrogates": raw(b'{"model":"glm","messages":[{"role":"user","content":"', b"\\ud83d", b'"}]}'),
    "backslashes": raw(b'{"model":"glm","messages":[{"role":"user","content":"', b"\\\\", b'"}]}'),
    "no JSON": raw(b"", b'{"a":1}', b""),
    "white space": raw(b"", b" ", b"{}"),
}
ANTHROPIC = Context(provider="anthropic", is_anthropic=True, max_output_tokens=1000)
SECOND_TRY = Context(provider="anthropic", is_anthropic=True, drop_all_thinking=True)
ZAI = Context(provider="zai", is_anthropic=False, max_output_tokens=1000)
ALL = dict.fromkeys([step.name for step in STEPS if not step.always], True)
"""Each step switched on."""


def served(body: bytes) -> None:
    """All that is done with a body, for each kind of target."""
    try:
        parsed = RequestBody.parse(body)
    except BadRequest:
        return
    session_of(parsed)
    estimate_request(parsed.fields)
    for context in (ANTHROPIC, ZAI, SECOND_TRY):
        draft = Draft(parsed)
        apply(draft, context, ALL)
        draft.encode()


@pytest.mark.parametrize("shape", BODIES)
def test_requests(shape):
    assert_linear(served, BODIES[shape])


def translated(body: bytes) -> None:
    with suppress(BadRequest):
        to_chat(Draft(RequestBody.parse(body)), provider="zai", model="m", stream=True, options=ChatOptions())


@pytest.mark.parametrize("shape", BODIES)
def test_requests_to_chat(shape):
    assert_linear(translated, BODIES[shape])


@pytest.mark.parametrize("shape", ["odd ids", "thinking of others only", "empty assistants", "calls and results"])
def test_requests_of_a_megabyte(shape):
    assert_linear(served, BODIES[shape], LARGE)


# ---- answers ----


def started(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block or {"type": "text", "text": ""})


def delta(index: int = 0, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta=fields or {"type": "text_delta", "text": "a"})


def stopped(index: int) -> bytes:
    return event("content_block_stop", index=index)


HEAD = event("message_start", message={"type": "message", "content": [], "usage": {"input_tokens": 1}})
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2}) + event("message_stop")


SHORTEST: Final = 8
"""Bytes that an event counts as, where it has less: one costs what any other does."""


def stream(item: Callable[[int], bytes], before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        count = size // max(len(item(1000)), SHORTEST)
        return HEAD + before + b"".join(map(item, range(count))) + after + END

    return make


SIGNED = {"type": "signature_delta", "signature": "c2ln"}
THOUGHT = {"type": "thinking", "thinking": "", "signature": ""}
STREAMS: dict[str, Callable[[int], bytes]] = {
    "deltas": stream(lambda n: delta(), started(0), stopped(0)),
    "deltas of many blocks": stream(lambda n: delta(n % 900), b"".join(map(started, range(900)))),
    "blocks": stream(lambda n: started(n) + delta(n) + stopped(n)),
    "blocks that never end": stream(lambda n: started(n)),
    "blocks of thinking that never end": stream(lambda n: started(n, **THOUGHT)),
    "the same block again": stream(lambda n: started(0)),
    "stops": stream(lambda n: stopped(n)),
    "signatures": stream(lambda n: delta(0, **SIGNED), started(0, **THOUGHT), stopped(0)),
    "tool input": stream(
        lambda n: delta(0, type="input_json_delta", partial_json='{"a":'), started(0, type="tool_use", id="t 1")
    ),
    "ends of an open message": stream(lambda n: event("message_delta", delta={"stop_reason": "end_turn"}), started(0)),
    "starts": stream(lambda n: HEAD),
    "pings": stream(lambda n: event("ping")),
    "comments": stream(lambda n: b": keep\n\n"),
    "one event of comments": stream(lambda n: b": keep\n"),
    "one event of ids": stream(lambda n: b"id: 1\n"),
    "one event of data": stream(lambda n: b"data: 1\n"),
    "blank lines": stream(lambda n: b"\n"),
    "carriage returns": stream(lambda n: b"\r"),
    "mixed ends": stream(lambda n: b"data: 1\r\n\n\r"),
    "odd events": stream(lambda n: event(f"odd{n}")),
    "nested": stream(lambda n: b"[", b"data: "),
    "one long text": lambda size: HEAD + started(0) + delta(0, type="text_delta", text="a" * size) + stopped(0) + END,
    "null bytes": stream(lambda n: b"\0"),
}


def feeding(new: Callable[[], Any], chunk: int) -> Run:
    def run(data: bytes) -> None:
        reader = new()
        for start in range(0, len(data), chunk):
            reader.feed(data[start : start + chunk])
        if hasattr(reader, "end"):
            reader.end()

    return run


def messages_reader(
    *, is_anthropic: bool = False, strip: bool = False, asked: bool = True
) -> Callable[[], AnswerReader]:
    rewrite = Rewrite("anthropic" if is_anthropic else "zai", is_anthropic=is_anthropic, strip_thinking=strip)
    return lambda: AnswerReader(
        stream=asked, events=MessagesAnswer(rewrite), complete=lambda body: rewrite_message(body, rewrite)
    )


READERS: dict[str, Callable[[], Any]] = {
    "anthropic": messages_reader(is_anthropic=True),
    "zai": messages_reader(),
    "zai, stripped": messages_reader(strip=True),
    "zai, stream: false": messages_reader(asked=False),
    "assembler": Assembler,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("shape", STREAMS)
def test_streams(reader, shape):
    assert_linear(feeding(READERS[reader], 16 * 1024), STREAMS[shape])


@pytest.mark.parametrize("shape", ["deltas", "one event of comments", "one long text"])
def test_streams_of_a_megabyte(shape):
    assert_linear(feeding(messages_reader(), 64 * 1024), STREAMS[shape], LARGE)


@pytest.mark.parametrize("shape", ["deltas", "one event of ids", "carriage returns", "one long text", "comments"])
def test_streams_in_small_pieces(shape):
    assert_linear(feeding(messages_reader(), 7), STREAMS[shape], 32 * 1024)
    assert_linear(feeding(Splitter, 7), STREAMS[shape], 32 * 1024)


@pytest.mark.parametrize("piece", [b"id: 1\n", b":\n", b"data: 1\n", b"data\n", b"\r", b"event: x\n", b" : \n"])
def test_one_event(piece):
    assert_linear(parse, lambda size: piece * (size // len(piece)))


CHUNKED = {"id": "c", "object": "chat.completion.chunk", "model": "m"}


def chunk(**delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return f"data: {json.dumps({**CHUNKED, 'choices': [choice]})}\n\n".encode()


def calls(*entries: dict[str, Any]) -> bytes:
    return chunk(tool_calls=list(entries))


def called(
    index: int | None, name: str | None = None, arguments: str = "", call_id: str | None = None
) -> dict[str, Any]:
    entry: dict[str, Any] = {"function": {"arguments": arguments}}
    if name:
        entry["function"]["name"] = name
    if index is not None:
        entry["index"] = index
    if call_id:
        entry["id"] = call_id
    return entry


def chat_stream(item: Callable[[int], bytes], before: bytes = b"") -> Callable[[int], bytes]:
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    return lambda size: before + b"".join(map(item, range(size // len(item(1000))))) + end


DETAIL = {"type": "reasoning.text", "text": "a", "index": 0}
CHATS: dict[str, Callable[[int], bytes]] = {
    "content": chat_stream(lambda n: chunk(content="a")),
    "blanks": chat_stream(lambda n: chunk(content=" ")),
    "thinking": chat_stream(lambda n: chunk(reasoning_content="a")),
    "details": chat_stream(lambda n: chunk(reasoning_details=[DETAIL])),
    "details of many kinds": chat_stream(lambda n: chunk(reasoning_details=[DETAIL | {"index": n}])),
    "tags": chat_stream(lambda n: chunk(content="<"), chunk(content="<think>")),
    "turns": chat_stream(lambda n: chunk(reasoning="a") + chunk(content="b")),
    "calls": chat_stream(lambda n: calls(called(n, "Bash", "{}", f"c{n}"))),
    "calls without a number": chat_stream(lambda n: calls(called(None, "Bash", "{}", f"c{n}"))),
    "calls without an id": chat_stream(lambda n: calls(called(None, "Bash", '{"a":1}'))),
    "calls without a name": chat_stream(lambda n: calls(called(n, None, "{}", f"c{n}"))),
    "calls of many names": chat_stream(lambda n: calls(called(n, f"tool{n}", "[", f"c{n}"))),
    "arguments": chat_stream(lambda n: calls(called(0, None, '"a":1,')), calls(called(0, "Bash", "{", "c"))),
    "arguments in a string": chat_stream(
        lambda n: calls(called(0, None, "a")), calls(called(0, "Bash", '{"a":"', "c"))
    ),
    "arguments that are a string": chat_stream(lambda n: calls(called(0, None, 'a"')), calls(called(0, "B", '"', "c"))),
    "arguments that are a list": chat_stream(lambda n: calls(called(0, None, "1]")), calls(called(0, "B", "[", "c"))),
    "a long key": chat_stream(lambda n: calls(called(0, None, "a")), calls(called(0, "Bash", '{"', "c"))),
    "a long number": chat_stream(lambda n: calls(called(0, None, "1")), calls(called(0, "Bash", '{"a":', "c"))),
    "blank arguments": chat_stream(lambda n: calls(called(0, None, " ")), calls(called(0, "Bash", '{"a":1,', "c"))),
    "nested arguments": chat_stream(lambda n: calls(called(0, None, '{"a":')), calls(called(0, "Bash", "{", "c"))),
    "arguments without a place": chat_stream(
        lambda n: calls(called(None, None, "1")), calls(*[called(n, "Bash", "{}", f"c{n}") for n in range(400)])
    ),
    "parts of many kinds": chat_stream(lambda n: chunk(content=[{"type": f"kind{n}"}])),
    "usage": chat_stream(lambda n: b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'),
    "one event of lines": chat_stream(lambda n: b'data: {"choices":[]}\n'),
    "comments": chat_stream(lambda n: b": OPENROUTER PROCESSING\n\n"),
    "nested": chat_stream(lambda n: b"[", b"data: "),
}


@pytest.mark.parametrize("shape", CHATS)
def test_chat_streams(shape):
    assert_linear(feeding(new_answer, 16 * 1024), CHATS[shape])


WRITTEN = [
    '<tool_call>{"name": "Bash", "arguments": {}}</tool_call>',
    "<tool_call>",
    "</tool_call>",
    "<",
]
BEGUN = ["", '<tool_call>{"name": "', "<tool_call><function=Bash><parameter=a>", "[TOOL_CALLS]"]


@pytest.mark.parametrize("begun", BEGUN)
@pytest.mark.parametrize("piece", [*WRITTEN, "</parameter>", " "])
def test_calls_in_text(begun, piece):
    def look(text: str) -> None:
        calls = TextCalls("any", Tools(("Bash",), {}))
        for at in range(0, len(text), 200):
            calls.feed(text[at : at + 200])
        calls.flush()

    assert_linear(look, lambda size: begun + piece * (size // len(piece)), SIZE // 4)


# ---- bodies ----


def test_unpacking():
    assert_linear(lambda body: decode(body, "gzip", 1 << 26), lambda size: gzip.compress(b"") * (size // 20))
    assert_linear(lambda body: decode(body, "gzip", 1 << 26), lambda size: gzip.compress(gzip.compress(bytes(size))))
