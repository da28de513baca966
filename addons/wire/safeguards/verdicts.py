"""What a judge has answered, and what the client is told of it.

Rules that hold here: never a guess. What can't be read, or says two things, is no verdict; the client then checks that
call itself. Nothing raises on what a model has written, and everything is linear.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from addons.wire import raw_json
from addons.wire.errands import Reply
from addons.wire.error_reading import read_error
from addons.wire.messages.assembler import message_in
from addons.wire.refusals import context_overflow
from addons.wire.safeguards.question import KIND, ToolCall
from addons.wire.words import in_a_line

Reason = Literal["timeout", "error", "refused", "input_too_long", "truncated"]
"""Why a call has no verdict, in the client's words."""

OUTCOMES: Final = {"safe": "not_flagged", "dangerous": "flagged"}
NO_REASON: Final = {
    "not_flagged": "Nothing dangerous was found in this call.",
    "flagged": "This call was judged dangerous.",
}
EXPLANATION: Final = 400
"""Characters of a judge's sentence."""
LONGEST_ANSWER: Final = 1 << 20
FENCE: Final = "```"
FILTERED: Final = ("content_filter", "content management policy", "content policy", "content_policy")
"""How providers say that they won't answer such a question."""


class Judgement(msgspec.Struct, frozen=True):
    """What the client is told of its answer's tool calls."""

    results: list[dict[str, Any]]
    """The value of `safeguard_results`."""
    note: str
    """The same in a few words, for the trail."""


def available(verdicts: Mapping[str, Mapping[str, Any]], calls: Sequence[ToolCall]) -> Judgement:
    """The judgement that these verdicts make, each by the id of its call."""
    results = [{"type": KIND, "status": {"type": "available", "tool_uses": dict(verdicts)}}]
    if not calls:
        return Judgement(results, "no tool calls to judge")
    said: dict[str, list[str]] = {}
    for call in calls:
        verdict = verdicts[call.id]
        said.setdefault(str(verdict.get("outcome") or verdict.get("reason")), []).append(call.name)
    told = "; ".join(f"{what} {', '.join(names)}" for what, names in said.items())
    return Judgement(results, f"tool calls judged: {told}")


def unsupported() -> Judgement:
    """The judgement where the gateway is told to give none."""
    return Judgement([{"type": KIND, "status": {"type": "unsupported"}}], "no verdicts: safeguards is off")


def unavailable(reason: Reason) -> dict[str, Any]:
    """A call without a verdict."""
    return {"type": "unavailable", "reason": reason}


def read_verdicts(reply: Reply, calls: Sequence[ToolCall]) -> dict[str, dict[str, Any]]:
    """The verdicts on these calls by their ids, as a judge's reply says them."""
    reason = failure(reply)
    if reason is None:
        message = message_in(reply.body)
        if message.get("stop_reason") == "refusal":
            reason = "refused"
        else:
            return verdicts_in(text_of(message), calls)
    return {call.id: unavailable(reason) for call in calls}


def failure(reply: Reply) -> Reason | None:
    """Why there is no answer to be read; None when there is one."""
    if reply.timed_out or reply.status in (408, 504):
        return "timeout"
    if reply.status == 200:
        return None
    if reply.status == 413:
        return "input_too_long"
    if reply.status < 400:
        return "error"
    error = read_error(reply.status, reply.headers.get("content-type", "application/json"), reply.body)
    if context_overflow(error):
        return "input_too_long"
    words = error.message.lower()
    return "refused" if any(filtered in words for filtered in FILTERED) else "error"


def text_of(message: Mapping[str, Any]) -> str:
    """All that a message says."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return "".join(
        block["text"]
        for block in blocks
        if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)
    )


def verdicts_in(text: str, calls: Sequence[ToolCall]) -> dict[str, dict[str, Any]]:
    """The verdicts that a judge's words give; a call that they don't judge clearly is unavailable."""
    said: dict[int, set[str]] = {}
    reasons: dict[int, str] = {}
    for item in items_in(text):
        number = call_number(item.get("call"))
        verdict = item.get("verdict")
        outcome = OUTCOMES.get(verdict.strip().lower()) if isinstance(verdict, str) else None
        said.setdefault(number, set()).add(outcome or "")
        reason = item.get("reason")
        reasons.setdefault(number, reason if isinstance(reason, str) else "")
    verdicts = {}
    for number, call in enumerate(calls, 1):
        outcomes = said.get(number, set())
        outcome = next(iter(outcomes)) if len(outcomes) == 1 else ""
        verdicts[call.id] = evaluated(outcome, reasons[number]) if outcome else unavailable("error")
    return verdicts


def evaluated(outcome: str, reason: str) -> dict[str, Any]:
    """A verdict with its sentence."""
    sentence = in_a_line(" ".join(reason.split()), EXPLANATION) or NO_REASON[outcome]
    return {"type": "evaluated", "outcome": outcome, "explanation": sentence}


def call_number(value: object) -> int:
    """Which call is meant; 0: none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def items_in(text: str) -> list[Mapping[str, Any]]:
    """The verdicts as they are written: the JSON that the whole text is, that stands in a fence, or between the first
    and the last brace. None where the text has no such JSON."""
    if len(text) > LONGEST_ANSWER:
        return []
    for piece in (text, fenced(text), text[text.find("{") : text.rfind("}") + 1]):
        found = parsed(piece)
        items = found.get("verdicts") if isinstance(found, dict) else None
        if isinstance(items, list):
            return [item for item in items if isinstance(item, dict)]
    return []


def fenced(text: str) -> str:
    """What stands in the only code fence of a text."""
    parts = text.split(FENCE)
    return parts[1].removeprefix("json") if len(parts) == 3 else ""


def parsed(text: str) -> Any:
    """The value of a JSON text; None when it is none, or names a field twice: that says two things."""
    try:
        return json.loads(text, object_pairs_hook=unambiguous)
    except (ValueError, RecursionError):
        return None


def unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose fields are there once. Raises ValueError."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field twice")
    return fields


def put_into_message(body: bytes, results: list[dict[str, Any]], key: str) -> bytes:
    """A JSON answer with the results; as it came when it is no object."""
    fields = raw_json.split_object(raw_json.Raw(body))
    return body if fields is None else bytes(raw_json.join_object(fields | {key: raw_json.dump(results)}))
