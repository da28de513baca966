"""What is fuzzed: functions that take any bytes at all, and what must hold whatever these are.

A target returns when all is well. Every exception that it raises is a find; refusals that are meant (`BadRequest`,
`ConfigError`, the `ValueError` of a broken encoding) are caught here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from addons.config.config import load
from addons.config.yaml_reader import ConfigError
from addons.proxy.request_head import unpacked, with_flag
from addons.views.answer import render_body
from addons.views.bodies import presentable
from addons.views.conversation import render_body as render_request
from addons.wire import encoding
from addons.wire.answer_reader import AnswerReader
from addons.wire.chat.answer import ChatAnswer
from addons.wire.chat.answer_content import Asked
from addons.wire.chat.options import ChatOptions
from addons.wire.chat.request import to_chat
from addons.wire.error_reading import read_error
from addons.wire.errors import BadRequest, envelope, is_envelope
from addons.wire.masking import mask_strings, mask_text
from addons.wire.messages.answer import MessagesAnswer, Rewrite, rewrite_message
from addons.wire.messages.body import Draft, RequestBody, session_of
from addons.wire.rate_limits import read as read_limits
from addons.wire.refusals import context_overflow, field_unknown, model_unknown, reworded
from addons.wire.steps.context import Context
from addons.wire.steps.table import apply
from addons.wire.token_estimate import estimate_request

SECRET: Final = "sk-ant-oat01-" + "Ab3_" * 20 + "3f9a"
CONTEXTS: Final = (
    Context(provider="anthropic", is_anthropic=True, max_output_tokens=2000),
    Context(provider="anthropic", is_anthropic=True, drop_all_thinking=True),
    Context(provider="zai", is_anthropic=False, max_output_tokens=2000),
)
ENV: Final = {"KEY": "k-0123456789", "ANOTHER": "", "PROXY_STATIC_TOKEN": "t"}
MOST: Final = 1 << 20


def request(data: bytes) -> None:
    """A body to /v1/messages: read, counted, and edited for each kind of target. What is sent is JSON."""
    try:
        body = RequestBody.parse(data)
    except BadRequest:
        return
    session_of(body)
    estimate_request(body.fields)
    for context in CONTEXTS:
        draft = Draft(body)
        for _, words in apply(draft, context, {}):
            assert words
        assert RequestBody.parse(draft.encode()).model == body.model


def chat_request(data: bytes) -> None:
    """The same body on its way to a provider that speaks Chat Completions."""
    try:
        made = to_chat(Draft(RequestBody.parse(data)), provider="zai", model="m", stream=True, options=ChatOptions())
    except BadRequest:
        return
    assert json.loads(made.body)["model"] == "m"


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Two ways to cut an answer into chunks: not at all, and in places that the data itself names."""
    yield [data]
    chunks, rest = [], data
    while rest:
        length = rest[len(rest) // 2] % 61 + 1
        chunks.append(rest[:length])
        rest = rest[length:]
    yield chunks


def read(new: Callable[[], Any], data: bytes) -> None:
    """What comes of an answer doesn't depend on how it was cut."""
    results = []
    for chunks in cuts(data):
        reader = new()
        out = b"".join([reader.feed(chunk) for chunk in chunks]) + reader.end()
        results.append((out, reader.error, reader.finished, reader.usage, reader.stop_reason))
    assert results[0] == results[1], "it depends on the cuts"


def answer(data: bytes) -> None:
    """A provider's answer in Anthropic's format, stripped or not, for clients that stream and for those that don't."""
    kind, data = (data[0], data[1:]) if data else (0, data)
    rewrite = Rewrite("zai", is_anthropic=bool(kind & 1), strip_thinking=bool(kind & 2))

    def new() -> AnswerReader:
        events = MessagesAnswer(rewrite)
        return AnswerReader(stream=not kind & 4, events=events, complete=lambda body: rewrite_message(body, rewrite))

    read(new, data)


def chat_answer(data: bytes) -> None:
    """A stream of a provider that speaks Chat Completions."""
    read(lambda: ChatAnswer(Asked(provider="zai"), model="m", seed="s1", input_estimate=9), data)


def error(data: bytes) -> None:
    """A provider's error, of whatever shape, becomes one of ours."""
    for content_type in ("application/json", "text/html"):
        found = read_error(500 if content_type == "text/html" else 200, content_type, data)
        assert 400 <= found.status < 600
        assert found.type
        assert found.message
        for ask in (context_overflow, model_unknown, field_unknown, reworded):
            ask(found)
        assert is_envelope(envelope(found.status, found.message, type=found.type))
    is_envelope(data)


def masking(data: bytes) -> None:
    """No secret survives, and masking again changes nothing."""
    text = data.decode("utf-8", "surrogateescape").replace("SECRET", SECRET)
    masked = mask_text(text, [SECRET])
    assert SECRET not in masked
    assert mask_text(masked, [SECRET]) == masked
    spelled = json.dumps({"a": text, "b": [text]}).encode()
    assert SECRET not in json.loads(mask_strings(spelled, [SECRET]))["a"]


def unpacking(data: bytes) -> None:
    """A compressed body, whole and as it comes: never more than the limit."""
    for name in ("gzip", "deflate", "br", "zstd", "gzip, br"):
        try:
            assert len(encoding.decode(data, name, MOST)) <= MOST + 1
            encoding.Decoder(name).feed(data)
        except ValueError as broken:
            assert "content-encoding" in str(broken)  # noqa: PT017  # that is the point


def configuration(data: bytes) -> None:
    """A routing.yaml is read, or refused with its file's name."""
    try:
        load(data.decode("utf-8", "replace"), ENV, filename="routing.yaml")
    except ConfigError as refused:
        assert "routing.yaml" in str(refused)  # noqa: PT017


def heads(data: bytes) -> None:
    """Header lines of a client, and of a provider's 429."""
    text = data.decode("latin-1")
    unpacked([(b"accept", data), *[line.partition(b":")[::2] for line in data.split(b"\r\n")]])
    with_flag(text, "oauth-2025-04-20")
    fields = dict(line.partition(": ")[::2] for line in text.split("\r\n"))
    limit = read_limits(fields, 1_000_000.0, 60.0)
    assert limit.until is None or limit.until <= 1_000_000.0 + 86_400


def views(data: bytes) -> None:
    """The views of bodies that are no exchange's."""
    for render in (render_body, render_request):
        assert "\x1b" not in presentable(render(data))


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    function.__name__: function
    for function in (
        request,
        chat_request,
        answer,
        chat_answer,
        error,
        masking,
        unpacking,
        configuration,
        heads,
        views,
    )
}
