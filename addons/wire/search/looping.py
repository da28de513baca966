"""The errand of a conversation that may search: the tool is offered as a function, and the model's calls are answered.

For clients that mix Anthropic's `web_search` with tools of their own. Rules that hold here:
- the model is asked for whole answers, at most `ROUNDS` times; what it says between its searches stays in order;
- a search that the model has called for is told to the client as Anthropic's own is (answer.py), and to the model as
  the result of a function; in the client's next request the one becomes the other again;
- calls of the client's own tools end the answer, searched or not; so does the last round, with Anthropic's word for an
  answer that goes on when it is sent back (`pause_turn`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from addons.wire import raw_json
from addons.wire.errands import Ask, Errand, Reply
from addons.wire.error_reading import read_error
from addons.wire.errors import ProviderError
from addons.wire.messages.assembler import message_in
from addons.wire.messages.body import RequestBody
from addons.wire.messages.questions import WEB_SEARCH
from addons.wire.provenance import decode_tool_id
from addons.wire.search.answer import OWNER, blocks, message, told
from addons.wire.search.question import Question, is_forced, is_search
from addons.wire.search.searching import Outcome, search
from addons.wire.search.service import Found
from addons.wire.search.settings import SearchSettings
from addons.wire.usage import Usage

Json = dict[str, Any]

ROUNDS: Final = 5
MOST_SEARCHES: Final = 10
"""Searches of one answer, whatever the client allows."""
CUT_SHORT: Final = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
"""Stop reasons after which no call counts."""
NOT_ASKED: Final = frozenset({"model", "messages", "stream", "tools", "safeguards"})

FUNCTION: Final = {
    "name": WEB_SEARCH,
    "description": "Search the web. Returns titles, addresses and excerpts of pages. Name the pages that you use.",
    "input_schema": {
        "type": "object",
        "properties": {"query": {"type": "string", "description": "What to search for"}},
        "required": ["query"],
    },
}
AUTO: Final = raw_json.dump({"type": "auto"})
MARK: Final = f"gw1-{OWNER}--".encode()
"""How the ids of the gateway's own searches begin."""


def can_loop(body: RequestBody) -> bool:
    """Whether the search can be offered as a function: no tool of the client's has its name."""
    return [name for name in (names(tool) for tool in tools_of(body)) if name == WEB_SEARCH] == []


def tools_of(body: RequestBody) -> list[Raw]:
    return raw_json.split_array(body.fields.get("tools", UNSET)) or []


def names(tool: Raw) -> str | None:
    """The name of a tool that the provider doesn't run as a search."""
    found = raw_json.split_object(tool) or {}
    return None if is_search(found) else raw_json.string(found.get("name", UNSET))


class Conversation(msgspec.Struct):
    """One answer of several rounds, as far as it has come."""

    question: Question
    settings: SearchSettings
    model: str
    seed: str
    content: list[Json] = msgspec.field(default_factory=list)
    usage: Usage = msgspec.field(default_factory=Usage)
    searched: int = 0
    calls: int = 0

    def answer(self, body: RequestBody, timeout: float) -> Errand[bytes | ProviderError]:
        """Have the model answer, and search when it asks for it. `timeout`: seconds for each of its answers."""
        asked = {name: value for name, value in body.fields.items() if name not in NOT_ASKED}
        offered = [tool for tool in tools_of(body) if not is_search(raw_json.split_object(tool) or {})]
        asked["tools"] = raw_json.join_array([*offered, raw_json.dump(FUNCTION)])
        messages = as_called(body)
        for _ in range(ROUNDS):
            reply = yield Ask(purpose="search", body={**asked, "messages": messages}, timeout=timeout)
            if reply.status != 200:
                return failed(reply)
            add(self.usage, reply.usage)
            said = message_in(reply.body)
            stop, found = said.get("stop_reason"), blocks_of(said)
            results = yield from self.take(found, cut=stop in CUT_SHORT)
            if not results or any(is_call(block) and block.get("name") != WEB_SEARCH for block in found):
                return self.ended(stop if isinstance(stop, str) else "end_turn")
            messages = [*messages, turn("assistant", found), turn("user", results)]
            if is_forced(body):
                asked["tool_choice"] = AUTO  # it was, once
        return self.ended("pause_turn")

    def take(self, found: Sequence[Json], *, cut: bool) -> Errand[list[Json]]:
        """Take what the model has said, and make the searches in it. Returns their results as the model gets them."""
        results = []
        for block in found:
            if not (is_call(block) and block.get("name") == WEB_SEARCH):
                self.content.append(block)
            elif not cut:
                outcome = yield from self.look_up(block.get("input"))
                self.calls += 1
                self.content += blocks(outcome, f"srvtoolu_{self.seed}_{self.calls}")
                results.append(result(block.get("id"), told(outcome), is_error=outcome.error is not None))
        return results

    def look_up(self, given: Any) -> Errand[Outcome]:
        """Make one search, if the client allows another."""
        query = given.get("query") if isinstance(given, dict) else None
        question = self.question.of(query if isinstance(query, str) else "")
        most = MOST_SEARCHES if self.question.uses is None else min(self.question.uses, MOST_SEARCHES)
        if self.searched >= most:
            return Outcome(question.text, "", error="max_uses_exceeded", why="there have been as many as are allowed")
        self.searched += 1
        return (yield from search(question, self.settings))

    def ended(self, stop: str) -> bytes:
        """The whole answer."""
        if stop == "tool_use" and not any(is_call(block) for block in self.content):
            stop = "end_turn"
        return message(self.model, self.seed, self.content, searches=self.searched, stop_reason=stop, usage=self.usage)


def failed(reply: Reply) -> ProviderError:
    """Why the model has given no answer."""
    if reply.status < 400:
        words = "the provider did not answer in time" if reply.timed_out else "the provider gave no answer"
        return ProviderError(504 if reply.timed_out else 502, "api_error", words)
    return read_error(reply.status, reply.headers.get("content-type", "application/json"), reply.body)


def add(usage: Usage, more: Usage) -> None:
    """Count what another round has taken."""
    for one in fields(Usage):
        if isinstance(value := getattr(more, one.name), int) and not isinstance(value, bool):
            setattr(usage, one.name, getattr(usage, one.name) + value)


def is_call(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "tool_use"


def blocks_of(said: Mapping[str, Any]) -> list[Json]:
    """The content blocks of a message."""
    content = said.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def turn(role: str, content: Sequence[Json]) -> Raw:
    return raw_json.dump({"role": role, "content": content})


def result(call: Any, text: str, *, is_error: bool) -> Json:
    """A search's result as that of a function."""
    return {"type": "tool_result", "tool_use_id": call, "content": text} | ({"is_error": True} if is_error else {})


# The client's next request


def as_called(body: RequestBody) -> list[Raw]:
    """The request's messages, in which earlier searches of the gateway's own are calls of the function again."""
    text, made = body.messages.text, list[Raw]()
    waiting: list[Json] = []
    for index in range(len(body.messages)):
        raw = Raw(bytes(text.raw(index)))
        if MARK not in bytes(raw) and not waiting:
            made.append(raw)
            continue
        said = raw_json.load(raw)
        role, content = said.get("role"), blocks_of(said)
        if role == "user":
            made.append(turn("user", [*waiting, *content]))
            waiting = []
            continue
        if waiting:
            made.append(turn("user", waiting))
            waiting = []
        if role != "assistant":
            made.append(raw)
            continue
        turns, waiting = taken_apart(content)
        made += turns
    return [*made, turn("user", waiting)] if waiting else made


def taken_apart(content: Sequence[Json]) -> tuple[list[Raw], list[Json]]:
    """An assistant's turn in which the gateway has searched as the turns that its model knows: and the results that are
    still to be told."""
    turns, said, results, called = list[Raw](), list[Json](), list[Json](), set[str]()
    for block in content:
        kind, call = block.get("type"), own_id(block)
        if call and kind == "server_tool_use":
            called.add(call)
            said.append({"type": "tool_use", "id": call, "name": WEB_SEARCH, "input": block.get("input") or {}})
        elif call in called and kind == "web_search_tool_result":
            results.append(read_again(call, block.get("content")))
        elif call:
            continue  # half of a pair
        else:
            if results and not is_call(block):
                turns += [turn("assistant", said), turn("user", results)]
                said, results = [], []
            said.append(block)
    return [*turns, *([turn("assistant", said)] if said else [])], results


def own_id(block: Mapping[str, Any]) -> str:
    """The id of a call of the gateway's own search, as the model gets it; empty: it is none."""
    found = block.get("id") or block.get("tool_use_id")
    made = decode_tool_id(found) if isinstance(found, str) else None
    return made[1].removeprefix("srv") if made and made[0] == OWNER else ""


def read_again(call: str, content: Any) -> Json:
    """The result of an earlier search, from the block that the client was given."""
    if not isinstance(content, list):
        code = content.get("error_code") if isinstance(content, dict) else None
        return result(call, f"The web search has failed: {code}. There are no results.", is_error=True)
    found = tuple(
        Found(url=text_in(one, "url"), title=text_in(one, "title"), snippet=excerpt(one), age=text_in(one, "page_age"))
        for one in content
        if isinstance(one, dict)
    )
    return result(call, told(Outcome("", "a web search", found)), is_error=False)


def text_in(one: Mapping[str, Any], name: str) -> str:
    value = one.get(name)
    return value if isinstance(value, str) else ""


def excerpt(one: Mapping[str, Any]) -> str:
    """What the page said, as `blocks` has put it away."""
    try:
        return base64.b64decode(text_in(one, "encrypted_content"), validate=True).decode()
    except ValueError:
        return ""
