"""What a team of three asks of the demo's gateway, so that each view of mitmweb has something to show: accounts and
providers that fail, other formats, thinking that is dropped, a search, a refusal, one question to two models.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .history import key

Json = dict[str, Any]

HEADERS = {
    "accept": "application/json",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
    "anthropic-dangerous-direct-browser-access": "true",
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.330 (external, cli)",
    "x-app": "cli",
    "x-stainless-arch": "x64",
    "x-stainless-lang": "js",
    "x-stainless-os": "Linux",
    "x-stainless-package-version": "0.70.0",
    "x-stainless-retry-count": "0",
    "x-stainless-runtime": "node",
    "x-stainless-runtime-version": "v24.3.0",
    "x-stainless-timeout": "600",
}
"""Those of Claude Code."""

SYSTEM = (
    "You are Claude Code, Anthropic's official CLI for Claude.",
    "You help with tasks of software engineering. Be brief, and say what you have done.\n\n"
    "# Rules\n- Look before you change something.\n- Run the tests when you have.",
)
TOOLS = (("Bash", "Runs a command in a shell."), ("Read", "Reads a file."), ("Edit", "Changes a text in a file."))
TASK = "Say hi with the shell."
QUESTION = "The last event of a stream is lost when the connection ends without a blank line. Why?"
SEARCH = "Perform a web search for the query: mitmproxy content views"
WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


class Asked(NamedTuple):
    """One request: who asks which model what."""

    who: str
    model: str
    messages: list[Json]
    stream: bool = False
    tools: list[Json] | None = None

    def body(self) -> Json:
        """Of /v1/messages, as Claude Code writes it."""
        session = f"{self.who:0<8}-5e6f-4a7b-8c9d-0e1f2a3b4c5d"
        return {
            "model": self.model,
            "max_tokens": 32000,
            "thinking": {"type": "adaptive"},
            "stream": self.stream,
            "metadata": {"user_id": json.dumps({"device_id": "1f3a", "session_id": session})},
            "system": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}} for text in SYSTEM],
            "tools": self.tools if self.tools is not None else [tool(*one) for one in TOOLS],
            "messages": self.messages,
        }


def tool(name: str, description: str) -> Json:
    return {"name": name, "description": description, "input_schema": {"type": "object", "properties": {}}}


def user(text: str) -> Json:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def result_of(content: list[Json]) -> Json:
    """The message in which the client tells what its tools have answered."""
    calls = [block["id"] for block in content if block["type"] == "tool_use"]
    return {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call, "content": "hi"} for call in calls],
    }


def long_conversation(turns: int) -> list[Json]:
    """A session that goes on since the morning."""
    messages = []
    for number in range(turns):
        code = "\n".join(f"{line:>4}  value_{line} = compute({number}, {line})" for line in range(60))
        messages += [
            {**user(f"Step {number}: look at part_{number}.py.\n\n{code}")},
            {"role": "assistant", "content": [{"type": "text", "text": f"part_{number}.py does what it should."}]},
        ]
    return [*messages, user("Sum up what you have seen.")]


def morning(url: str, *, streams: bool = True) -> Iterator[tuple[Asked, int]]:
    """Ask one after the other; each request, and the status that came. A Claude session that GLM has begun goes on
    with what GLM had answered. `streams`: some ask for a stream, which takes its time."""
    _, begun = ask(url, Asked("alice", "glm", [user(TASK)]))
    content = begun.get("content") or []
    session = [user(TASK), {"role": "assistant", "content": content}, result_of(content)]
    for asked in (
        Asked("alice", "claude-sonnet-5-5", session, stream=True),
        Asked("carol", "glm", [user(QUESTION)], stream=True, tools=[]),
        Asked("carol", "kimi", [user(QUESTION)], stream=True, tools=[]),
        Asked("alice", "openrouter", [user(TASK)], stream=True),
        Asked("carol", "local", [user(QUESTION)]),
        Asked("alice", "glm", [user(SEARCH)], tools=[WEB_SEARCH]),
        Asked("alice", "glm", long_conversation(150)),
        Asked("carol", "dying", [user(TASK)]),
        Asked("alice", "gpt-9", [user(TASK)]),
        Asked("bob", "claude-opus-5-5", [user(TASK)]),
        Asked("carol", "limited", session, stream=True),
    ):
        status, _ = ask(url, asked._replace(stream=asked.stream and streams))
        yield asked, status


def ask(url: str, asked: Asked) -> tuple[int, Json]:
    """Send it; the status, and the answer where it is JSON."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    session = {"x-claude-code-session-id": f"{asked.who:0<8}-5e6f-4a7b-8c9d-0e1f2a3b4c5d"}
    try:
        body = json.dumps(asked.body())
        connection.request("POST", "/v1/messages?beta=true", body, {**HEADERS, **session, "x-api-key": key(asked.who)})
        response = connection.getresponse()
        said = response.read()
    finally:
        connection.close()
    return response.status, json.loads(said) if said.startswith(b"{") else {}


def show(url: str, slow: Iterable[str]) -> None:
    """For a thread of the demo: ask as soon as the gateway answers; last what takes a while. Ends with the gateway."""
    host, _, port = url.removeprefix("http://").partition(":")
    for _ in range(600):
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    try:
        for _ in morning(url):
            pass
        for model in slow:
            ask(url, Asked("alice", model, [user(TASK)], stream=True))
    except (OSError, http.client.HTTPException):
        pass  # it was ended meanwhile
