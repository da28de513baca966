"""Request bodies to write tests with, and what becomes of them."""

import json
from collections.abc import Callable
from typing import Any

from addons.wire.messages.body import Draft, RequestBody
from addons.wire.steps.context import Context

ANTHROPIC = Context(provider="anthropic", is_anthropic=True)
ZAI = Context(provider="zai", is_anthropic=False)
KIMI = Context(provider="kimi", is_anthropic=False)

Step = Callable[[Draft, Context], str | None]


def request(*messages: Any, **fields: Any) -> dict[str, Any]:
    """A body with these messages (a string is a user's) and top-level fields."""
    said = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
    return {"model": "glm", "messages": said or [{"role": "user", "content": "hi"}], **fields}


def run(step: Step, body: dict[str, Any], context: Context = ZAI) -> tuple[str | None, dict[str, Any]]:
    """What the step says and what is sent. A step that says nothing must leave the client's own bytes, and one
    that says something must have changed them."""
    draft = Draft(RequestBody.parse(json.dumps(body, indent=1).encode()))
    line = step(draft, context)
    sent = draft.encode()
    assert (sent is draft.body.raw) == (line is None), (line, sent)
    assert draft.body.raw == json.dumps(body, indent=1).encode(), "the client's body was changed"
    return line, json.loads(sent)


def unchanged(step: Step, body: dict[str, Any], context: Context = ZAI) -> bool:
    """Whether the step leaves every byte as it is, and says nothing."""
    return run(step, body, context) == (None, body)
