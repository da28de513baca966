"""The content of one chat answer: deltas in, the client's content blocks out.

Rules that hold here:
- Within a delta thinking comes before text and text before calls: the order in which a model says them.
- What a provider wants back with its calls goes to the client inside the calls' ids, so that it survives clients that
  drop thinking, and providers whose thinking is never shown. What comes too late for that gets a block without words.
- `function_call` is the older form of `tool_calls`: where both come they say the same, so it counts only alone.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal

import msgspec

from addons.wire import limits
from addons.wire.chat.block_writer import Blocks, Written
from addons.wire.chat.calls_in_text import TextCalls
from addons.wire.chat.chunk import calls_in, content_in, function_call_in, reasoning_in
from addons.wire.chat.reasoning import FIELDS, PARTS, Reasoning
from addons.wire.chat.stops import StopFinder
from addons.wire.chat.thinking_tags import TagReader
from addons.wire.chat.tool_calls import Call, Calls
from addons.wire.chat.tools import CallIds, meant
from addons.wire.chat.written_calls import Tools

Json = dict[str, Any]

MOST_NOTES: Final = 20
"""Odd things that are told of one answer."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a request to read its answer."""

    provider: str
    """Its name in the configuration."""
    tool_names: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The sent name → the client's, where they differ."""
    tools: Collection[str] = ()
    """The sent names of all tools."""
    tool_ids: Collection[str] = ()
    """The ids of all calls in the conversation: the answer's are none of these."""
    short_ids: bool = False
    """The provider makes ids of nine letters and digits."""
    stops: tuple[str, ...] = ()
    """The client's stop sequences."""
    begins_thinking: bool = False
    """The provider's template opens `<think>` itself."""
    calls_in_text: str = "none"
    """The form in which the model writes calls into its text."""
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """The schema of each tool's parameters; empty where no form of calls in text needs it."""


class AnswerContent:
    """The blocks of one message on their way from the provider to the client.

    Sixteen fields: half of them are the parts of the work, each a class of its own, which are put together here.
    """

    def __init__(self, asked: Asked, seed: str, *, strip_thinking: bool, start: Callable[[], bytes]) -> None:
        """`seed`: letters, digits and _ that no other answer has. `start` gives the message_start."""
        self.any = False
        """Something was said: text, thinking or a call."""
        self.characters = 0
        """Of the text, the thinking and the arguments of calls so far."""
        self.answers = False
        """The whole message ends with text, or a tool was called in it; set by `finish`."""
        self.refused = False
        """Some of the text was marked as a refusal."""
        self.notes: list[str] = []
        """What was odd about the answer and had to be changed, for the trail."""
        self.blocks = Blocks(asked.provider, start=start, name_call=self._name_call)
        self._asked = asked
        self._ids = CallIds(asked.provider, seed, asked.tool_ids, short=asked.short_ids)
        self._calls = Calls()
        self._function_call: list[Json] = []
        self._tags = TagReader(inside=asked.begins_thinking)
        self._stops = StopFinder(asked.stops)
        self._written = TextCalls(asked.calls_in_text, Tools(asked.tools, asked.parameters))
        self._kept = 0
        self._plain = not asked.stops and not self._written.looks
        self._thinking_is: Literal["shown", "hidden", "left out"] = "hidden" if strip_thinking else "shown"
        self._secrets: dict[str, Reasoning] = {}  # by call id: what no client has been given yet
        self._late: Reasoning | None = None  # to remember, but its thinking is over

    @property
    def stopped_at(self) -> str | None:
        """The stop sequence at which the text ends: what follows isn't the client's."""
        return self._stops.found

    @property
    def is_too_much(self) -> bool:
        """More tools were called, or more was kept back, than in any answer."""
        kept = self._kept + self.blocks.kept
        return kept > limits.KEPT_BACK or len(self._calls.all) > limits.TOOL_CALLS

    @property
    def has_calls(self) -> bool:
        """Whether a tool was called."""
        return any(call.name for call in self._calls.all)

    @property
    def has_lost_calls(self) -> bool:
        """Whether a tool was to be called, and it wasn't said which."""
        return any(call.is_lost for call in self._calls.all)

    @property
    def cut_in_call(self) -> bool:
        """Whether the last call's arguments are no whole object."""
        called = [call for call in self._calls.all if call.name]
        return bool(called) and not called[-1].arguments.complete

    @property
    def runs(self) -> Written | Call | None:
        """The block to which a delta with nothing but more of it adds just that. None: more may have to be done."""
        block = self.blocks.running if self._plain else None
        if isinstance(block, Call):
            return None if self._tags.holds else block  # which comes before more of the call
        if block and block.reasoning:
            return block if block.reasoning.form in FIELDS else None
        return block  # once there is text, no tag follows

    def take(self, delta: Json) -> None:
        """A delta, or a whole message."""
        if found := reasoning_in(delta):
            self._thinking(*found)
        content = delta.get("content")
        if type(content) is str:
            if content:
                self.any = True
                self._tagged(self._tags.feed(content))
        elif content:
            for kind, piece in content_in(content):
                self._content(kind, piece)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._content("refusal", refusal)
        if "tool_calls" in delta and (entries := calls_in(delta)):
            self._tool_calls(entries)
        elif "function_call" in delta and (entry := function_call_in(delta)) and not self._calls.all:
            self._function_call.append(entry)
            self._kept += 100 + len(str(entry.get("function")))

    def finish(self) -> None:
        """End the blocks of the message, which is whole."""
        if self._function_call and not self._calls.all:
            for entry in self._function_call:
                self._tool_calls([entry])
        self._flush()
        if self._thinking_is != "shown" and self._calls.all:
            for secret in self._secrets.values():
                self._remember_late(secret)
        self._remember()
        self.answers = self.has_calls or not (self.blocks.last is None or self.blocks.thinks)
        if self._thinking_is == "left out" and self.blocks.last is None:
            self.blocks.empty_text()
        self.blocks.finish()
        for call in self._calls.all:
            if not call.name:
                self.note("left out a tool call without a name")
            elif call.arguments.problem:
                self.note(f"the arguments of {call.name} {call.arguments.problem}")

    def note(self, what: str) -> None:
        """Something for the trail, once."""
        if len(self.notes) < MOST_NOTES and what not in self.notes:
            self.notes.append(what)

    def _content(self, kind: str, text: str) -> None:
        if kind == "thinking":
            self._thinking(text, Reasoning(PARTS))
        elif kind in ("text", "refusal"):
            self.refused = self.refused or kind == "refusal"
            self._tagged(self._tags.feed(text) if text else [])
            self.any = self.any or bool(text)
        else:
            self.note(f"left out a part of type {kind[:40]}")

    def _tagged(self, found: list[tuple[str, str]]) -> None:
        """What the tags say is text or thinking."""
        for tag, text in found:
            if tag:
                self._thinking(text, Reasoning(tag))
            elif self._plain:
                self.characters += len(text)
                self.blocks.text(text)
            else:
                self._text(self._stops.feed(text))

    def _text(self, text: str) -> None:
        if text:
            self.characters += len(text)
            self._say(self._written.feed(text))

    def _say(self, found: list[str | Json]) -> None:
        for item in found:
            if isinstance(item, str):
                self.blocks.text(item)
            else:
                self._call([item])

    def _flush(self) -> None:
        """Send what was held back of a text: no more of it follows."""
        self._tagged(self._tags.flush())
        if not self._plain:
            self._text(self._stops.flush())
            self._say(self._written.flush())

    def _thinking(self, text: str, reasoning: Reasoning) -> None:
        self.any = self.any or bool(text)
        self.characters += len(text)
        if reasoning.lists or reasoning.opaque:
            self._kept += reasoning.size
            for call_id, secret in reasoning.secrets().items():
                self._secrets.setdefault(call_id, Reasoning(reasoning.form)).add(secret)
        if self._thinking_is != "shown":
            self._thinking_is = "left out"
        elif self.blocks.thinks or self.blocks.last is None:
            self.blocks.thinking(text, reasoning)
        elif text:
            self._remember()
            self.blocks.thinking(text, reasoning)
        else:
            self._remember_late(reasoning)

    def _remember_late(self, reasoning: Reasoning) -> None:
        if self._late:
            self._late.add(reasoning)
        else:
            self._late = reasoning

    def _remember(self) -> None:
        """A block for what must go back and belongs to no thinking that is open."""
        if self._late:
            self.blocks.thinking("", self._late)
            self._late = None

    def _tool_calls(self, entries: list[Json]) -> None:
        self._flush()
        before = self._calls.characters
        self._call(entries)
        self.any = self.any or self.has_calls
        self.characters += self._calls.characters - before  # what is called in a text has been counted as text

    def _call(self, entries: list[Json]) -> None:
        for call in self._calls.take(entries):
            if not call.name:
                self._kept += call.new + call.arguments.kept
                call.new = call.arguments.kept = 0
                continue
            if call.extra:
                self._kept += len(str(call.extra))
            if not self.blocks.has(call):
                self._remember()
                self._ids.begin(call, self._carried(call))
            elif call.extra:
                self._remember_late(Reasoning(FIELDS[0], calls={call.id or self._ids.of(call): call.extra}))
            call.extra = {}
            self.blocks.call(call)

    def _carried(self, call: Call) -> Reasoning | None:
        """What goes to the client inside the id of a call that begins."""
        carried = self._secrets.pop(call.id, None) if call.id else None
        if self._thinking_is != "shown" and (more := self._secrets.pop("", None)):
            more.add(carried or more.__class__(more.form))
            carried = more
        return carried

    def _name_call(self, call: Call) -> tuple[str, str]:
        """The id and the name that the client knows a call by."""
        name = meant(call.name, self._asked.tools)
        if name != call.name:
            self.note(f"the tool {call.name[:80]!r} is {name}")
        return self._ids.of(call), self._asked.tool_names.get(name, name)
