"""A chat provider's stream as Anthropic's: chunks of Chat Completions in, events of the Messages API out.

Rules that hold here:
- What comes out depends on the chunks, never on how their bytes were split; what can be shown leaves in the `feed`
  call in which its chunk came.
- The message ends at `[DONE]`, or with the stream if a finish_reason came, or the usage that only comes last: several
  providers leave out one of the three. A stream that ends before any of them was cut, and `finished` stays False.
- Usage may come anywhere and several times, so the message_delta waits for the end.
- An error ends the answer and is not sent on: the caller decides between failover and telling the client.
- Nearly every chunk only says more of one block, and goes past all of this (running_block.py).
"""

from typing import Any, Final

from addons.wire import raw_json
from addons.wire.chat.answer_content import AnswerContent, Asked
from addons.wire.chat.chunk import Tokens, first_choices, is_error, usage_in
from addons.wire.chat.ending import Ending
from addons.wire.chat.events import Carried, carried, carried_at_end
from addons.wire.chat.running_block import RunningBlock, running_block
from addons.wire.error_reading import read_error
from addons.wire.errors import ProviderError
from addons.wire.sse import EventTooLarge, Splitter, frame, is_long
from addons.wire.usage import COUNTS, Usage

Json = dict[str, Any]

CHARACTERS_PER_TOKEN: Final = 4
"""For the output of a provider that never tells its usage."""


class ChatAnswer:
    """The `AnswerStream` of a provider that speaks Chat Completions."""

    def __init__(
        self, asked: Asked, *, model: str, seed: str, input_estimate: int, strip_thinking: bool = False
    ) -> None:
        """`model`: what the answer says that it is from. `seed`: letters, digits and _ that no other answer has; ids
        are made of it. `input_estimate`: tokens, for as long as the provider has not told. `strip_thinking`: thinking
        never reaches the client.
        """
        self.started = False
        self.content = False
        self.spoke = False
        self.error: ProviderError | None = None
        self.finished = False
        self.usage = Usage()
        self.stop_reason: str | None = None
        self._asked = asked
        self._head = {"id": f"msg_{seed}", "type": "message", "role": "assistant", "model": model}
        self._input_estimate = input_estimate
        self._splitter = Splitter()
        self._said = AnswerContent(asked, seed, strip_thinking=strip_thinking, start=self._message_start)
        self._tokens = Tokens()
        self._ending = Ending()
        self._running: RunningBlock | None = None

    @property
    def streamed(self) -> int:
        return self._said.characters

    @property
    def notes(self) -> list[str]:
        """What was odd about the answer and had to be changed, for the trail."""
        return self._said.notes

    def feed(self, data: bytes) -> bytes:
        """The provider's next bytes; the events that are complete now come out."""
        running = self._running
        if running and self._splitter.between and (out := running.take(data)):
            self.spoke = True
            return out
        return self._feed(data)

    def _feed(self, data: bytes) -> bytes:
        """The next bytes, whatever is in them."""
        running, self._running = self._running, None
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
            if running and raw is not data and (out := running.take(raw)):
                self.spoke = True
                self._said.blocks.out += out
                continue
            items = carried(raw, self._asked.provider)
            self.spoke = self.spoke or bool(items) or is_long(raw)
            self._take(items)
            running = running_block(running, self._said) if not self._ending.only_usage else None
        self._running = None if self.error or self.finished else running
        if not self._splitter.between:
            self.spoke = self.spoke or (bool(data) and self._splitter.tells)
        return self._out()

    def end(self) -> bytes:
        """The provider ended properly. A last event without its blank line counts when its JSON is whole."""
        if self.error or self.finished:
            return b""
        self._running = None
        items = carried_at_end(self._splitter.unfinished, self._asked.provider)
        self.started = self.started or bool(items)
        self._take(items)
        if not self.error and not self.finished and self._ending.announced:
            self._finish()
        return self._out()

    def take(self, answer: Json) -> bytes:
        """A whole JSON answer, as if it had been streamed."""
        self.started = True
        self._chunk(answer, whole=True)
        if not self.error and not self.finished:
            self._finish()
        return self._out()

    def _out(self) -> bytes:
        blocks = self._said.blocks
        out = bytes(blocks.out)
        blocks.out.clear()
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
        ending, choices = self._ending, first_choices(chunk)
        for usage in usage_in(chunk, choices):
            self._tokens.take(usage)
            self._tokens.put(self.usage)
            ending.only_usage = self.content and not choices and self._tokens.completion > 0
        for choice in choices:
            ending.only_usage = False
            if choice.get("error"):
                self.error = read_error(200, "application/json", _encoded({"error": choice["error"]}))
                return
            delta, message = choice.get("delta"), choice.get("message")
            # Perplexity sends both: what is new, and all that was said so far.
            if isinstance(message, dict) and (whole or (not isinstance(delta, dict) and not self.content)):
                delta = message
            if isinstance(delta, dict):
                ending.begun = True
                self._said.take(delta)
                self.content = self._said.any
                if self._said.is_too_much:
                    self._fail("kept more open than any answer has")
                    return
            if choice.get("finish_reason"):
                self.error = ending.take(choice, self._asked.provider)
                if self.error:
                    return
        if self._asked.stops and self._said.stopped_at is not None:
            self._finish()

    def _finish(self) -> None:
        """End the message, which is whole."""
        if not self._ending.begun:
            self._fail("ended its answer before it had begun")
            return
        said, blocks = self._said, self._said.blocks
        said.finish()
        if said.has_lost_calls or (self._ending.says_calls and not said.answers):
            self._fail("called a tool without saying which")  # to an agent, an answer without it would be the end
            return
        if not blocks.count:
            blocks.out += self._message_start()
        self.stop_reason, stop_sequence = self._stopped()
        delta = {"stop_reason": self.stop_reason, "stop_sequence": stop_sequence}
        blocks.out += frame(
            "message_delta", {"type": "message_delta", "delta": delta, "usage": self._usage(at_end=True)}
        )
        blocks.out += frame("message_stop", {"type": "message_stop"})
        self.content = self.finished = True

    def _stopped(self) -> tuple[str, str | None]:
        """(stop_reason, stop_sequence): what happened, whatever the provider calls it."""
        said = self._said
        if said.stopped_at is not None:
            return "stop_sequence", said.stopped_at
        reason, stop_sequence = self._ending.stop_reason(self._asked.stops)
        if said.has_calls:
            return ("max_tokens" if reason == "max_tokens" and said.cut_in_call else "tool_use"), None
        return ("refusal", None) if said.refused else (reason, stop_sequence)

    def _usage(self, *, at_end: bool) -> Json:
        """The usage that the client is told: the provider's numbers, or estimates before it has told any."""
        usage = {name: getattr(self.usage, name) for name in COUNTS}
        if not self._tokens.prompt:
            usage["input_tokens"] = self._input_estimate
        if at_end and not self._tokens.completion:
            usage["output_tokens"] = -(-self._said.characters // CHARACTERS_PER_TOKEN)
        return usage

    def _message_start(self) -> bytes:
        fields: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": self._usage(at_end=False)}
        return frame("message_start", {"type": "message_start", "message": self._head | fields})

    def _fail(self, what: str) -> None:
        self.error = ProviderError(502, "api_error", f"{self._asked.provider} {what}")


def _encoded(value: Json) -> bytes:
    return bytes(raw_json.dump(value))
