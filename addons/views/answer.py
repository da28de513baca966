"""The Answer view: what the client got, put together as a message.

Text, thinking, tool calls with parsed arguments, why it ended, what it cost in time and tokens. It shows what there is
of an answer that was cut or is still running, and says so; an error is shown in its own words.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from addons.state.exchange import Exchange
from addons.views.bodies import body_of, events_of, fields_of, header, is_stream, presentable, text_of
from addons.views.content_blocks import content_lines
from addons.views.outline import field, pretty
from addons.views.summary import Ending, ending
from addons.views.text_layout import counted, fold, indented, lines, rule, seconds, size
from addons.views.trail import tokens_of
from addons.wire.messages.assembler import Assembler, Json
from addons.wire.raw_json import load
from addons.wire.sse import parse

MOST: Final = 60_000
"""Characters of one text that are shown."""

MOST_LINES: Final = 2_000
"""Lines that are shown of a JSON answer that is no message."""

SHOWN_ABOVE: Final = ("type", "role", "content", "model", "id", "usage", "stop_reason")
"""Fields of a message that have a place of their own, or say nothing."""


class Frame(NamedTuple):
    """What is known of an answer beside its body."""

    who: str = ""
    """The target that answered: `zai/glm-5`."""
    status: int | None = None
    state: str = ""
    """Why it may not be whole: `still running`, `cut: …`."""
    running: bool = False
    timing: str = ""
    content_type: str = ""
    signer: str = "Anthropic"
    """The owner of thinking signatures that no gateway wrapped."""
    note: str = ""


ALONE: Final = Frame()
"""The `Known` of an answer of which there is only the body."""


def render(exchange: Exchange, end: Ending | None = None) -> str:
    """What the client got; what the provider has sent, while the client has nothing of it."""
    end = end or ending(exchange)
    last, kept = exchange.attempt, exchange.recorded.response
    note, signer = "", "Anthropic"
    if (kept is None or not kept.body) and last and last.recorded.response and last.recorded.response.body:
        kept, note = last.recorded.response, "The client has nothing of it yet; this is what the provider sent."
        if end.over:
            note = "The client got nothing of it; this is what the provider sent."
        if last.target and not last.target.provider.is_anthropic:
            signer = last.target.provider.name
    frame = Frame(
        who=f"{last.target.provider.name}/{last.target.model}" if last and last.target else "",
        status=end.status,
        state=state_of(exchange, end),
        running=not end.over,
        timing=timing(exchange, body_of(kept) if kept else b""),
        content_type=header(kept, "content-type") if kept else "",
        signer=signer,
        note=note,
    )
    if kept is None:
        shown = "\n".join([headline(frame), "", "The answer was not kept." if end.over else "Nothing has come yet."])
    else:
        shown = render_body(body_of(kept), frame)
    return presentable(shown, exchange)


def state_of(exchange: Exchange, end: Ending) -> str:
    """Why the answer may not be whole; empty when nothing is known against it."""
    last = exchange.attempt
    if not end.over:
        return "still running"
    if end.error:
        return f"CUT: {end.error}"
    if last and last.outcome:
        content = bool(last.answer and last.answer.content)
        return f"{'CUT' if content else 'FAILED'}: {last.outcome.error.message}"
    return ""


def timing(exchange: Exchange, body: bytes) -> str:
    """The times of an answer: `first event after 1.9 s · ended after 4.2 s · 214 events, 93/s`."""
    last, parts = exchange.attempt, []
    if last and last.first_event is not None:
        parts.append(f"first event after {seconds(last.first_event - exchange.started)}")
    if last and last.ended is not None:
        parts.append(f"ended after {seconds(last.ended - exchange.started)}")
    if is_stream(body):
        events = len(events_of(body))
        took = last.ended - last.first_event if last and last.ended and last.first_event is not None else 0.0
        parts.append(counted(events, "event") + (f", {events / took:,.0f}/s" if took > 0 and events > 1 else ""))
    return " · ".join(parts)


def headline(frame: Frame, *more: str) -> str:
    parts = [frame.who, str(frame.status) if frame.status is not None else "", *more, frame.state]
    return " · ".join(fold(part, 300) for part in parts if part) or "answer"


def render_body(body: bytes, frame: Frame = ALONE) -> str:
    """An answer of any kind, from its body alone and what else is known."""
    notes = [line for line in (frame.timing, frame.note) if line]
    if not body:
        return "\n".join([headline(frame), *notes, "", "Nothing has come yet." if frame.running else "No body."])
    if is_stream(body):
        return "\n".join(streamed(body, frame, notes))
    fields = fields_of(body)
    if isinstance(fields, str):
        return "\n".join([headline(frame, size(len(body))), *notes, "", *not_json(body, fields, frame)])
    message = {key: load(piece) for key, piece in fields.items()}
    if isinstance(error := message.get("error"), dict | str) or message.get("type") == "error":
        return "\n".join([headline(frame), *notes, "", *error_lines(message, error)])
    if isinstance(message.get("content"), list):
        return "\n".join(message_lines(message, frame, notes, "complete"))
    return "\n".join([headline(frame), *notes, "", *pretty(message, MOST_LINES)])


def not_json(body: bytes, why: str, frame: Frame) -> list[str]:
    """A body that is no answer of the API; its text, when it is one."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text:
        return [f"The body is {frame.content_type or 'not text'}."]
    return [f"The body is {why}.", "", *lines(text, MOST)]


def streamed(body: bytes, frame: Frame, notes: list[str]) -> list[str]:
    """A stream of events, put together."""
    assembler = Assembler()
    assembler.feed(body)
    message = assembler.message()
    whole = "complete" if assembler.complete else "" if frame.running else "CUT: no message_stop"
    if not message["content"] and not message.get("model") and assembler.error is None:
        events = [parse(raw) for raw in events_of(body)]
        if all(event.type == "ping" or not event.data for event in events):
            return [headline(frame), *notes, "", "Nothing has come but pings."]
        return [headline(frame), *notes, "", rule("no message in these events"), *lines(text_of(body), MOST)]
    out = message_lines(message, frame, notes, "" if frame.state and not assembler.complete else whole)
    if assembler.error is not None:
        out += ["", rule("then an error event"), *error_lines(assembler.error, assembler.error.get("error"))]
    return out


def message_lines(message: Json, frame: Frame, notes: list[str], whole: str) -> list[str]:
    """A message as far as it has come."""
    stop, usage = message.get("stop_reason"), message.get("usage")
    ended = f"stop reason {stop}" if isinstance(stop, str) else ""
    out = [headline(frame, ended, whole), *usage_lines(usage), *notes]
    identity = [value for key in ("model", "id") if isinstance(value := message.get(key), str)]
    if identity:
        out.append(" · ".join(fold(value, 200) for value in identity))
    others = {key: value for key, value in message.items() if key not in SHOWN_ABOVE and value is not None}
    out += [field(key, value) for key, value in others.items()]
    return [*out, "", *content_lines(message["content"], MOST, frame.signer)]


def usage_lines(usage: Any) -> list[str]:
    """The tokens, and what else a provider counts."""
    if not isinstance(usage, dict) or not usage:
        return []
    counts = {key: value for key, value in usage.items() if isinstance(value, int) and key.endswith("_tokens")}
    others = {key: value for key, value in usage.items() if key not in counts and value}
    return [tokens_of(counts)] * any(counts.values()) + [field("usage", others)] * bool(others)


def error_lines(whole: Json, error: Any) -> list[str]:
    """An error in words, and what else came with it."""
    inner = error if isinstance(error, dict) else {"message": error} if isinstance(error, str) else {}
    kind, words = inner.get("type"), inner.get("message")
    title = kind if isinstance(kind, str) else "error"
    out = [f"{fold(title, 100)}:"]
    out += indented(lines(words, MOST) if isinstance(words, str) else pretty(error))
    rest = {key: value for key, value in inner.items() if key not in ("type", "message")}
    rest |= {key: value for key, value in whole.items() if key not in ("type", "error")}
    return [*out, *[field(key, value) for key, value in rest.items() if value is not None]]
