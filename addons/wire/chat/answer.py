"""A chat provider's stream as Anthropic's: chunks of Chat Completions in, events of the Messages API out.

Rules that hold here:
- What comes out depends on the chunks, never on how their bytes were split; what can be shown leaves in the `feed`
  call in which its chunk came.
- The message ends at `[DONE]`, or with the stream if a finish_reason came, or the usage that only comes last: several
  providers leave out one of the three. A stream that ends before any of them was cut, and `finished` stays False.
- Usage may come anywhere and several times, so the message_delta waits for the end.
- An error ends the answer and is not sent on: the caller decides between failover and telling the client.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, Final

from addons.wire import raw_json as pieces
from addons.wire.chat.block_writer import Blocks
from addons.wire.chat.chunk import (
    STOP_REASONS,
    Tokens,
    calls_in,
    content_in,
    failure,
    first_choices,
    is_error,
    reasoning_in,
    usage_in,
)
from addons.wire.chat.events import Carried, carried, carried_at_end
from addons.wire.chat.reasoning import FIELDS, PARTS, Reasoning, TagReader
from addons.wire.chat.tool_calls import Call, Calls
from addons.wire.chat.tools import CallIds
from addons.wire.errors import ProviderError, read_error
from addons.wire.sse import EventTooLarge, Splitter, frame, is_long
from addons.wire.usage import Usage

Json = dict[str, Any]

CHARACTERS_PER_TOKEN: Final = 4
"""For the output of a provider that never tells its usage."""


class ChatAnswer:
    """The `AnswerStream` of a provider that speaks Chat Completions."""

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        seed: str,
        input_estimate: int,
        tool_names: Mapping[str, str],
        tool_ids: Collection[str] = (),
        strip_thinking: bool = False,
    ) -> None:
        """`provider`: its name in the configuration. `model`: what the answer says that it is from. `seed`: letters,
        digits and _ that no other answer has; ids are made of it. `input_estimate`: tokens, for as long as the
        provider has not told. `tool_names`, `tool_ids`: as `to_chat` gave them. `strip_thinking`: thinking never
        reaches the client.
        """
        self.started = False
        self.content = False
        self.spoke = False
        self.error: ProviderError | None = None
        self.finished = False
        self.usage = Usage()
        self.stop_reason: str | None = None
        self.notes: list[str] = []
        """What was odd about the answer and had to be changed, for the trail."""
        self._provider = provider
        self._model = model
        self._seed = seed
        self._input_estimate = input_estimate
        self._strip = strip_thinking
        self._splitter = Splitter()
        self._names = tool_names
        self._ids = CallIds(provider, seed, tool_ids)
        self._calls = Calls()
        self._tags = TagReader()
        self._blocks = Blocks(provider, start=self._message_start, name_call=self._name_call)
        self._tokens = Tokens()
        self._finish_reason = ""
        self._begun = False  # a choice came
        self._last_usage = False  # the chunk that holds nothing but usage came
        self._refused = False
        self._stripped = False
        self._characters = 0
        self._late: Reasoning | None = None  # to remember, but its thinking is over

    def feed(self, data: bytes) -> bytes:
        """See `AnswerStream`."""
        self.spoke = False
        if self.error or self.finished:
            return b""
        try:
            events = self._splitter.feed(data)
        except EventTooLarge as error:
            self._fail(f"sent {error}")
            return b""
        for raw in events:
            if self.error or self.finished:
                break
            self.started = True
            items = carried(raw, self._provider)
            self.spoke = self.spoke or bool(items) or is_long(raw)
            self._take(items)
        if not self._splitter.between:
            self.spoke = self.spoke or (bool(data) and self._splitter.tells)
        return self._out()

    def end(self) -> bytes:
        """See `AnswerStream`. A last event without its blank line counts when its JSON is whole."""
        if self.error or self.finished:
            return b""
        items = carried_at_end(self._splitter.unfinished, self._provider)
        self.started = self.started or bool(items)
        self._take(items)
        if not self.error and not self.finished and (self._finish_reason or self._last_usage):
            self._finish()
        return self._out()

    def take(self, answer: Json) -> bytes:
        """A whole JSON answer, as if it had been streamed."""
        self.started = True
        self._chunk(answer, whole=True)
        if not self.error:
            self._finish()
        return self._out()

    def _out(self) -> bytes:
        out = bytes(self._blocks.out)
        self._blocks.out.clear()
        return out

    def _take(self, items: list[Carried]) -> None:
        for item in items:
            if self.error or self.finished:
                return
            if isinstance(item, dict):
                self._chunk(item)
            elif isinstance(item, ProviderError):
                self.error = item
            else:
                self._finish()

    def _chunk(self, chunk: Json, *, whole: bool = False) -> None:
        if is_error(chunk):
            self.error = read_error(200, "application/json", _encoded(chunk))
            return
        choices = first_choices(chunk)
        for usage in usage_in(chunk, choices):
            self._tokens.take(usage)
            self._tokens.put(self.usage)
            self._last_usage = self.content and not choices and self._tokens.completion > 0
        for choice in choices:
            self._begun, self._last_usage = True, False
            if choice.get("error"):
                self.error = read_error(200, "application/json", _encoded({"error": choice["error"]}))
                return
            delta, message = choice.get("delta"), choice.get("message")
            # Perplexity sends both: what is new, and all that was said so far.
            if isinstance(message, dict) and (whole or (not isinstance(delta, dict) and not self.content)):
                delta = message
            if isinstance(delta, dict):
                self._delta(delta)
            reason = choice.get("finish_reason")
            if isinstance(reason, str) and reason:
                self._finish_reason = reason.lower()
                self.content = True
                self.error = failure(self._provider, self._finish_reason)

    def _delta(self, delta: Json) -> None:
        """Thinking, then text, then calls: the order in which a model says them."""
        text, form, details = reasoning_in(delta)
        if text or details:
            self._thinking(text, Reasoning(form, details))
        if delta.get("content"):
            for kind, piece in content_in(delta["content"]):
                self._content(kind, piece)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._content("refusal", refusal)
        if entries := calls_in(delta):
            self._tool_calls(entries)

    def _content(self, kind: str, text: str) -> None:
        if kind == "thinking":
            self._thinking(text, Reasoning(PARTS))
        elif kind in ("text", "refusal"):
            self._refused = self._refused or kind == "refusal"
            self._told(self._tags.feed(text) if text else [])
            self.content = self.content or bool(text)
        else:
            self._note(f"left out a part of type {kind[:40]}")

    def _told(self, found: list[tuple[str, str]]) -> None:
        """What the tags say is text or thinking."""
        for tag, text in found:
            if tag:
                self._thinking(text, Reasoning(tag))
            else:
                self._characters += len(text)
                self._blocks.text(text)

    def _thinking(self, text: str, reasoning: Reasoning) -> None:
        self.content = self.content or bool(text)
        self._characters += len(text)
        if self._strip:
            self._stripped = True
        elif self._blocks.thinks or self._blocks.last is None:
            self._blocks.thinking(text, reasoning)
        elif text:
            self._remember()
            self._blocks.thinking(text, reasoning)
        elif self._late:
            self._late.add(reasoning)
        else:
            self._late = reasoning

    def _remember(self) -> None:
        """A block for what must go back and belongs to no thinking that is open."""
        if self._late:
            self._blocks.thinking("", self._late)
            self._late = None

    def _tool_calls(self, entries: list[Json]) -> None:
        self.content = True
        self._told(self._tags.flush())
        calls = [call for call in self._calls.take(entries) if call.name]
        for call in calls:
            if call.extra:
                self._thinking("", Reasoning(FIELDS[0], calls={call.id or self._ids.of(call): call.extra}))
                call.extra = {}
        for call in calls:
            if not self._blocks.has(call):
                self._remember()
            self._blocks.call(call)

    def _finish(self) -> None:
        """The message is whole."""
        if not self._begun:
            self._fail("ended its answer before it had begun")
            return
        blocks = self._blocks
        self._told(self._tags.flush())
        self._remember()
        if self._stripped and blocks.last is None:
            blocks.empty_text()
        blocks.finish()
        if not blocks.count:
            blocks.out += self._message_start()
        self.stop_reason = self._stopped()
        delta = {"stop_reason": self.stop_reason, "stop_sequence": None}
        blocks.out += frame(
            "message_delta", {"type": "message_delta", "delta": delta, "usage": self._usage(at_end=True)}
        )
        blocks.out += frame("message_stop", {"type": "message_stop"})
        self.finished = True

    def _stopped(self) -> str:
        """The stop_reason: what happened, whatever the provider calls it."""
        stop_reason = STOP_REASONS.get(self._finish_reason, "end_turn")
        called = [call for call in self._calls.all if call.name]
        for call in self._calls.all:
            if not call.name:
                self._note("left out a tool call without a name")
            elif call.arguments.problem:
                self._note(f"the arguments of {call.name} {call.arguments.problem}")
        if called:
            cut = stop_reason == "max_tokens" and not called[-1].arguments.complete
            return stop_reason if cut else "tool_use"
        return "refusal" if self._refused else stop_reason

    def _usage(self, *, at_end: bool) -> Json:
        """The usage that the client is told: the provider's numbers, or estimates before it has told any."""
        usage = asdict(self.usage)
        if not self._tokens.prompt:
            usage["input_tokens"] = self._input_estimate
        if at_end and not self._tokens.completion:
            usage["output_tokens"] = -(-self._characters // CHARACTERS_PER_TOKEN)
        return usage

    def _message_start(self) -> bytes:
        message: Json = {
            "id": f"msg_{self._seed}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._usage(at_end=False),
        }
        return frame("message_start", {"type": "message_start", "message": message})

    def _name_call(self, call: Call) -> tuple[str, str]:
        return self._ids.of(call), self._names.get(call.name, call.name)

    def _note(self, what: str) -> None:
        if what not in self.notes:
            self.notes.append(what)

    def _fail(self, what: str) -> None:
        self.error = ProviderError(502, "api_error", f"{self._provider} {what}")


def _encoded(value: Json) -> bytes:
    return bytes(pieces.dump(value))
