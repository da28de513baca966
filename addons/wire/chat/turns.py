"""The turns of a conversation as Chat Completions messages.

Messages lets the assistant's calls and their results stand among text; Chat Completions wants the results of all calls
of a message right behind it, each in a message of its own, and many servers want user and assistant to take turns.

Rules that hold here:
- Neighbours of one role are one turn (Anthropic reads them so), and a turn that has become empty is none.
- Every call gets its result and every result has its call, whatever the client sent: what is missing is said in words.
- The assistant's thinking goes back to the provider that it came from, on the message that it belongs to, and nowhere
  else.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.chat.content import (
    NOTHING,
    SEPARATOR,
    Contents,
    Part,
    Text,
    joined,
    message_content,
    plain,
    required,
    string,
    text_part,
)
from addons.wire.chat.options import ChatOptions
from addons.wire.chat.reasoning import DETAILS, PARTS, Returned
from addons.wire.chat.thinking_tags import TAGS
from addons.wire.chat.tools import ToolNames, carried_by, provider_id, short_id
from addons.wire.messages.message import Message
from addons.wire.messages.traits import THINKING_TYPES, is_server_tool
from addons.wire.provenance import unwrap_signature
from addons.wire.sse import Fields

Json = dict[str, Any]

RECEIVED: Final = "Understood."
"""What the assistant says between a tool's result and the user's words where a provider wants that. The words could
also be moved into the result; but then nobody could tell the user's from the tool's, and images have no place there."""
NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""Google's own word for a call that another model made (ai.google.dev/gemini-api/docs/thought-signatures)."""
_NO_RESULT: Final = "(no result: the call was interrupted)"


class Assistant(msgspec.Struct):
    """What the assistant said in one turn."""

    content: list[tuple[str, Text]] = msgspec.field(default_factory=list)
    """(text, or where thinking inside the content stood; what it says)"""
    calls: dict[str, tuple[str, Text]] = msgspec.field(default_factory=dict)
    """The client's id → (name, input as JSON)."""
    returned: Returned = msgspec.field(default_factory=Returned)

    def __bool__(self) -> bool:
        return bool(self.content or self.calls or self.returned)


class User(msgspec.Struct):
    """What came from the user's side in one turn."""

    results: dict[str, tuple[list[Text], list[Part]]] = msgspec.field(default_factory=dict)
    """The client's id → (texts, what else there is)."""
    parts: list[Part] = msgspec.field(default_factory=list)


class Turns:
    """Reads the messages of one request, then writes them."""

    def __init__(self, provider: str, names: ToolNames, contents: Contents, options: ChatOptions) -> None:
        self.turns: list[Assistant | User] = []
        self.call_ids: set[str] = set()
        """The client's ids of all calls."""
        self._provider = provider
        self._names = names
        self._contents = contents
        self._options = options
        self._notes = contents.notes

    def read(self, message: Message, place: str) -> None:
        """One message of the client's, with role user or assistant. Raises BadRequest."""
        last = self.turns[-1] if self.turns else None
        if message.role == "assistant":
            only = self._options.reasoning_field
            turn = last if isinstance(last, Assistant) else Assistant(returned=Returned(only))
            self._read_assistant(message, turn, place)
            if turn and turn is not last:
                self.turns.append(turn)
            return
        if not isinstance(last, User):
            last = User()
            self.turns.append(last)
        for index, block in enumerate(message.pieces):
            where = f"{place}.content.{index}"
            if block_type(message, index) == "tool_result":
                self._read_result(raw_json.split_object(block) or {}, last, where)
            else:
                last.parts += self._contents.parts(block, where)

    def write(self) -> list[Json]:
        """The messages for the provider."""
        messages: list[Json] = []
        waiting: dict[str, str] = {}  # the client's id → the provider's, of calls without a result
        for turn in self.turns:
            if isinstance(turn, Assistant):
                message, waiting = self._assistant(turn)
                messages.append(message)
                continue
            parts: list[Part] = []
            for client_id in [*waiting, *(key for key in turn.results if key not in waiting)]:
                texts, others = turn.results.get(client_id, ([_NO_RESULT], []))
                text = joined(texts)
                sent_id = waiting.get(client_id)
                if sent_id is None:
                    self._notes["wrote the result of a call that isn't there as text"] += 1
                    parts.append(text_part(f"[Result of the tool call {client_id}]\n{plain(text)}"))
                else:
                    messages.append({"role": "tool", "tool_call_id": sent_id, "content": text})
                if client_id not in turn.results:
                    self._notes["a call without a result got one that says so"] += 1
                if others:
                    parts += [
                        text_part(f"[Besides text, the tool call {sent_id or client_id} returned this:]"),
                        *others,
                    ]
            parts += turn.parts
            if parts and messages and messages[-1]["role"] == "tool" and not self._options.user_after_tool:
                messages.append({"role": "assistant", "content": RECEIVED})
            if parts or not turn.results:
                messages.append({"role": "user", "content": message_content(parts or [text_part(NOTHING)])})
            waiting = {}
        return [*messages, *self._unanswered(waiting)]

    def _unanswered(self, waiting: dict[str, str]) -> list[Json]:
        """Results for calls that the conversation ends with."""
        for _ in waiting:
            self._notes["a call without a result got one that says so"] += 1
        return [{"role": "tool", "tool_call_id": sent, "content": _NO_RESULT} for sent in waiting.values()]

    def _read_assistant(self, message: Message, turn: Assistant, place: str) -> None:
        for index, block in enumerate(message.pieces):
            kind, where = block_type(message, index), f"{place}.content.{index}"
            fields = raw_json.split_object(block) or {}
            if kind == "text":
                if not raw_json.blank(fields.get("text", UNSET)):
                    turn.content.append(("text", required(fields, "text", where)))
            elif kind in THINKING_TYPES:
                self._read_thinking(kind, fields, turn)
            elif kind == "tool_use":
                client_id = plain(required(fields, "id", where))
                name = plain(required(fields, "name", where))
                turn.calls[client_id] = (name, bytes(fields.get("input", Raw(b"{}"))).decode())
                self.call_ids.add(client_id)
            elif is_server_tool(kind):
                self._notes[f"left out a block of a tool that another provider ran ({kind})"] += 1
            else:
                texts = [part["text"] for part in self._contents.parts(block, where) if part["type"] == "text"]
                turn.content += [("text", text) for text in texts]

    def _read_thinking(self, kind: str, fields: Fields, turn: Assistant) -> None:
        wrapped = unwrap_signature(string(fields, "signature" if kind == "thinking" else "data"))
        if wrapped is None or wrapped[0] != self._provider:
            self._notes["left out a thinking block that is not the provider's own"] += 1
            return
        text = string(fields, "thinking")
        form = turn.returned.take(wrapped[1], text)
        if form:
            turn.content.append((form, text))

    def _read_result(self, fields: Fields, turn: User, place: str) -> None:
        client_id = plain(required(fields, "tool_use_id", place))
        text, others = self._contents.result(fields, place)
        texts, more = turn.results.setdefault(client_id, ([], []))
        texts.append(text)
        more += others

    def _assistant(self, turn: Assistant) -> tuple[Json, dict[str, str]]:
        """The message, and the provider's id of each of its calls by the client's."""
        message: Json = {"role": "assistant", "content": assistant_content(turn.content)}
        sent: dict[str, str] = {}
        taken: set[str] = set()
        for client_id in turn.calls:
            call_id = provider_id(client_id, self._provider, short=self._options.tool_ids == "short")
            if call_id in taken:
                call_id = short_id(client_id)
            sent[client_id] = call_id
            taken.add(call_id)
            if carried := carried_by(client_id, self._provider):
                turn.returned.add(carried)
        message |= turn.returned.message_fields()
        if sent:
            message["tool_calls"] = [self._call(turn, client_id, call_id) for client_id, call_id in sent.items()]
            self._need_thinking(message)
            self._sign_call(message)
        return message, sent

    def _need_thinking(self, message: Json) -> None:
        """Gives a message with calls the field without which the provider refuses the conversation."""
        always = self._options.reasoning_field
        if always and always != DETAILS and not message.get(always):
            rules = self._options.thinking_rules
            message[always] = rules.placeholder if rules.calls_need_it else ""

    def _sign_call(self, message: Json) -> None:
        """Gives calls that another model made what Gemini 3 takes in place of its own signature. It looks at the first
        call of a message only."""
        form, first = self._options.call_signatures, message["tool_calls"][0]
        if form == "google" and not any("extra_content" in call for call in message["tool_calls"]):
            first["extra_content"] = {"google": {"thought_signature": NO_SIGNATURE}}
        elif form == "openrouter" and not any(
            entry.get("type") == "reasoning.encrypted" for entry in message.get(DETAILS, ())
        ):
            entry = {"type": "reasoning.encrypted", "data": NO_SIGNATURE, "id": first["id"], "index": 0}
            message.setdefault(DETAILS, []).append(entry | {"format": "google-gemini-v1"})

    def _call(self, turn: Assistant, client_id: str, call_id: str) -> Json:
        name, arguments = turn.calls[client_id]
        call: Json = {
            "id": call_id,
            "type": "function",
            "function": {"name": self._names.sent(name), "arguments": arguments},
        }
        if extra := turn.returned.calls.get(call_id):
            call["extra_content"] = extra
        return call


def assistant_content(content: list[tuple[str, Text]]) -> Text | list[Part]:
    """What the assistant said, with the thinking that stood inside. Empty, not null, when it is nothing: everybody
    takes that beside calls, while llama-cpp-python takes neither null nor a missing field."""
    if not content:
        return ""
    if all(form == "text" for form, _ in content):
        return joined([text for _, text in content])
    if any(form == PARTS for form, _ in content):
        return [
            text_part(text) if form == "text" else {"type": "thinking", "thinking": [text_part(text)]}
            for form, text in content
        ]
    whole = before = ""
    for form, text in content:
        if form == "text":
            whole += (SEPARATOR if before == "text" else "") + plain(text)
        else:
            opening, closing = TAGS[form]
            whole += f"{opening}{plain(text)}{closing}"
        before = form
    return whole


def block_type(message: Message, index: int) -> str:
    """The type of a block; a content string is one text block."""
    return message.blocks[index].type if message.blocks else "text"
